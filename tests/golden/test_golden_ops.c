/* test_golden_ops.c - ops and block codecs against PyTorch and gguf.quants (generate/ops.py), with
 * the reference kernels and with what this machine selects. */
#include "kernels/cpu/blocks.h"
#include "kernels/cpu/halves.h"
#include "kernels/kernels.h"
#include "tensor/tape.h"
#include "tensor/tensor_data.h"
#include "../tolerances.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* ---- the data file: "name type count\n", then the elements ---- */

typedef struct array {
  char name[64], type[3];
  int64_t n;
  void *data;
} array;

static array arrays[192];
static int n_arrays;

static int load(void **state) {
  (void)state;
  FILE *f = fopen(LIMBECK_SOURCE_DIR "/tests/golden/ops/ops.bin", "rb");
  if (f == NULL) return -1;
  array *a = arrays;
  long long n;
  while (fscanf(f, "%63s %2s %lld", a->name, a->type, &n) == 3) {
    a->n = n;
    size_t size = (size_t)n * (size_t)(a->type[1] - '0');
    a->data = aligned_alloc(64, (size + 64) / 64 * 64);
    if (fgetc(f) != '\n' || a->data == NULL || fread(a->data, 1, size, f) != size) return -1;
    a++;
    n_arrays++;
  }
  fclose(f);
  return n_arrays > 50 ? 0 : -1;
}

static int unload(void **state) {
  (void)state;
  for (int i = 0; i < n_arrays; i++) free(arrays[i].data);
  return 0;
}

static const array *find(const char *name) {
  for (int i = 0; i < n_arrays; i++)
    if (strcmp(arrays[i].name, name) == 0) return &arrays[i];
  fail_msg("ops.bin has no '%s'", name);
  return NULL;
}

static lb_tensor view(const char *name, lb_dtype dtype, int rank, int64_t a, int64_t b, int64_t c) {
  lb_tensor t;
  const array *data = find(name);
  const int64_t shape[] = {a, b, c};
  size_t size = (size_t)data->n * (size_t)(data->type[1] - '0');
  lb_error err = {0};
  if (lb__tensor_view_bytes(&t, dtype, rank, shape, data->data, size, &err) != LB_OK)
    fail_msg("%s: %s", name, err.message);
  return t;
}

static lb_tensor floats(const char *name, int rank, int64_t a, int64_t b, int64_t c) {
  return view(name, LB_DTYPE_F32, rank, a, b, c);
}

static void expect(const lb_tensor *got, const char *name, lb_tolerance t) {
  const array *wanted = find(name);
  const float *x = lb__tensor_f32(got), *y = wanted->data;
  assert_int_equal(lb__tensor_elements(got), wanted->n);
  double largest = 0.0;
  for (int64_t i = 0; i < wanted->n; i++) largest = fmax(largest, fabs((double)y[i]));
  for (int64_t i = 0; i < wanted->n; i++) {
    double error = fabs((double)x[i] - (double)y[i]);
    if (!(error <= t.relative * fabs((double)y[i]) + t.of_largest * largest))
      fail_msg("%s[%lld]: %.9g, PyTorch says %.9g", name, (long long)i, (double)x[i], (double)y[i]);
  }
}

/* ---- ops, through the public calls, with the kernels in the table ---- */

static lb__stream stream;
static const char *sets;

static void select_sets(lb__kernel_table *table) {
  assert_int_equal(lb__kernels_fill(table, sets, NULL), LB_OK);
}

static int begin_ops(void **state) {
  lb__kernels_register(select_sets);
  lb__stream_init(&stream, lb__device_cpu());
  return load(state);
}

static int end_ops(void **state) {
  lb__stream_deinit(&stream);
  return unload(state);
}

static void test_norms(void **state) {
  (void)state;
  lb_tensor x = floats("norm.x", 2, 5, 77, 1), w = floats("norm.weight", 1, 77, 1, 1), *y;
  lb_tensor b = floats("norm.bias", 1, 77, 1, 1);
  assert_int_equal(lb__op_rms_norm(&stream, &y, &x, &w, 1e-5f, 0.0f, NULL), LB_OK);
  expect(y, "norm.rms", (lb_tolerance)LB_TOL_NORM);
  assert_int_equal(lb__op_rms_norm(&stream, &y, &x, &w, 1e-6f, 1.0f, NULL), LB_OK);
  expect(y, "norm.rms_gemma", (lb_tolerance)LB_TOL_NORM);
  assert_int_equal(lb__op_layer_norm(&stream, &y, &x, &w, &b, 1e-5f, NULL), LB_OK);
  expect(y, "norm.layer", (lb_tolerance)LB_TOL_NORM);
}

static void test_activations(void **state) {
  (void)state;
  static const char *const names[] = {"gelu_tanh", "gelu_erf", "silu", "relu"}; /* as the enum */
  lb_tensor x = floats("act.x", 1, 512, 1, 1), up = floats("act.up", 1, 512, 1, 1), *y;
  char name[64];
  for (int kind = 0; kind < 4; kind++) {
    assert_int_equal(lb__op_act(&stream, &y, &x, (lb__act_kind)kind, NULL), LB_OK);
    snprintf(name, sizeof name, "act.%s", names[kind]);
    expect(y, name, (lb_tolerance)LB_TOL_ACT);
    assert_int_equal(lb__op_act_mul(&stream, &y, &x, &up, (lb__act_kind)kind, NULL), LB_OK);
    snprintf(name, sizeof name, "act_mul.%s", names[kind]);
    expect(y, name, (lb_tolerance)LB_TOL_ACT);
  }
  assert_int_equal(lb__op_softcap(&stream, &y, &x, 5.0f, NULL), LB_OK);
  expect(y, "act.softcap", (lb_tolerance)LB_TOL_ACT);
}

static void test_rope(void **state) {
  (void)state;
  lb_tensor x = floats("rope.x", 3, 7, 3, 64), f = floats("rope.inv_freq", 1, 32, 1, 1);
  lb_tensor positions = view("rope.positions", LB_DTYPE_I32, 1, 7, 1, 1), copy;
  assert_int_equal(lb__tensor_init(&copy, LB_DTYPE_F32, 3, x.shape, NULL), LB_OK);
  memcpy(lb__tensor_f32(&copy), lb__tensor_f32(&x), x.size_bytes);
  assert_int_equal(lb__op_rope(&stream, &copy, &positions, &f, 1.25f, NULL), LB_OK);
  expect(&copy, "rope.out", (lb_tolerance)LB_TOL_ROPE);
  lb__tensor_deinit(&copy);
}

static const struct {
  const char *name;
  int64_t window;
  float cap;
} attention_cases[] = {{"plain", 0, 0}, {"window", 7, 0}, {"softcap", 0, 3}, {"both", 40, 2}};

static void test_attention(void **state) {
  (void)state;
  lb_tensor q = floats("attention.q", 3, 90, 6, 24), k = floats("attention.k", 3, 90, 2, 24), *y;
  lb_tensor v = floats("attention.v", 3, 90, 2, 24);
  lb_tensor starts = view("attention.starts", LB_DTYPE_I32, 1, 4, 1, 1);
  for (int i = 0; i < 4; i++) {
    lb__attention_args a = {.q = &q, .k = &k, .v = &v, .cu_seqlens = &starts, .scale = 0.3f};
    a.window = attention_cases[i].window;
    a.softcap = attention_cases[i].cap;
    assert_int_equal(lb__op_attention(&stream, &y, a, NULL), LB_OK);
    char name[64];
    snprintf(name, sizeof name, "attention.%s", attention_cases[i].name);
    expect(y, name, (lb_tolerance)LB_TOL_ATTENTION);
  }
}

/* A gradient that starts at zero. */
static lb_tensor *zeros(const lb_tensor *like) {
  lb_tensor *t;
  assert_int_equal(lb__stream_tensor(&t, &stream, LB_DTYPE_F32, like->rank, like->shape, NULL),
                   LB_OK);
  lb__tensor_zero(t);
  return t;
}

/* Wants a gradient: `gradient` receives it. */
static void want(lb_tensor *t, lb__gradient *slot, const lb_tensor *gradient) {
  *slot = (lb__gradient){.memory_ = lb__tensor_data(gradient), .size_bytes = t->size_bytes};
  t->gradient = slot;
}

/* Through the tape, from a given gradient of the result. */
static void test_attention_gradients(void **state) {
  (void)state;
  static const char *const names[] = {"q", "k", "v"};
  lb_tensor t[] = {floats("attention.q", 3, 90, 6, 24), floats("attention.k", 3, 90, 2, 24),
                   floats("attention.v", 3, 90, 2, 24)};
  lb_tensor starts = view("attention.starts", LB_DTYPE_I32, 1, 4, 1, 1), *y;
  lb_tensor dout = floats("attention.dout", 3, 90, 6, 24);
  for (int i = 0; i < 4; i += 3) { /* plain; both */
    lb__tape tape;
    lb__gradient slots[3];
    lb_tensor *gradients[3], *copy = zeros(&dout);
    for (int k = 0; k < 3; k++) want(&t[k], &slots[k], gradients[k] = zeros(&t[k]));
    lb__attention_args a = {.q = &t[0], .k = &t[1], .v = &t[2], .cu_seqlens = &starts};
    a.scale = 0.3f;
    a.window = attention_cases[i].window;
    a.softcap = attention_cases[i].cap;
    lb__tape_begin(&tape, &stream);
    assert_int_equal(lb__op_attention(&stream, &y, a, NULL), LB_OK);
    memcpy(lb__tensor_data(copy), lb__tensor_data(&dout), dout.size_bytes);
    y->gradient->memory_ = lb__tensor_data(copy);
    assert_int_equal(lb__tape_backward(&stream, NULL), LB_OK);
    for (int k = 0; k < 3; k++) {
      char name[64];
      snprintf(name, sizeof name, "attention.%s.d%s", attention_cases[i].name, names[k]);
      expect(gradients[k], name, (lb_tolerance)LB_TOL_ATTENTION_BWD);
    }
  }
}

static void test_relation(void **state) {
  (void)state;
  lb_tensor x = floats("relation.x", 2, 90, 48, 1),
            target = floats("relation.target", 2, 90, 72, 1);
  lb_tensor starts = view("attention.starts", LB_DTYPE_I32, 1, 4, 1, 1), *dx = zeros(&x);
  lb__gradient slot;
  lb__tape tape;
  double sum = 0.0, wanted = 0.0;
  want(&x, &slot, dx);
  lb__tape_begin(&tape, &stream);
  assert_int_equal(lb__op_relation(&stream, &sum, &x, &target, &starts, 4, 0.25, NULL), LB_OK);
  assert_int_equal(lb__tape_backward(&stream, NULL), LB_OK);
  expect(dx, "relation.dx", (lb_tolerance)LB_TOL_RELATION);
  const array *losses = find("relation.losses");
  for (int64_t n = 0; n < losses->n; n++) wanted += (double)((const float *)losses->data)[n];
  assert_true(fabs(sum - wanted) <= 1e-6 * wanted);
}

static void test_logits_stats(void **state) {
  (void)state;
  lb_tensor x = floats("logits.x", 2, 4, 333, 1);
  lb_tensor targets = view("logits.targets", LB_DTYPE_I32, 1, 4, 1, 1);
  lb__logits_stats_args r;
  assert_int_equal(lb__op_logits_stats(&stream, &r, &x, &targets, 9, NULL), LB_OK);
  expect(r.logsumexp, "logits.logsumexp", (lb_tolerance)LB_TOL_LOGSUMEXP);
  expect(r.top_logits, "logits.top", (lb_tolerance)LB_TOL_EXACT);
  assert_memory_equal(lb__tensor_i32(r.top_ids), find("logits.top_ids")->data, 4 * 9 * 4);
  for (int64_t n = 0; n < 4; n++)
    assert_true(lb__tensor_f32(r.target_logits)[n] ==
                lb__tensor_f32(&x)[n * 333 + lb__tensor_i32(&targets)[n]]);
}

/* ---- codecs: bit for bit ---- */

static void check_decoder(lb__row_to_f32_fn *decode, const char *what, const char *name) {
  enum { ROWS = 6, COLUMNS = 512 };
  char wanted_name[64];
  snprintf(wanted_name, sizeof wanted_name, "%s.f32", name);
  const array *data = find(name), *wanted = find(wanted_name);
  float row[COLUMNS];
  for (int r = 0; r < ROWS; r++) {
    /* an odd address: weights lie anywhere in a mapped file */
    size_t bytes = (size_t)(data->n / ROWS);
    char *odd = malloc(bytes + 1);
    memcpy(odd + 1, (const char *)data->data + (size_t)r * bytes, bytes);
    decode(row, odd + 1, COLUMNS);
    free(odd);
    if (memcmp(row, (const float *)wanted->data + r * COLUMNS, sizeof row) != 0)
      fail_msg("%s: the %s decoder differs from gguf.quants in row %d", name, what, r);
  }
}

static void test_blocks(void **state) {
  (void)state;
  (void)lb__kernels();
  for (int i = 0; i < LB_DTYPE_COUNT; i++) {
    if (!lb_dtype_is_block((lb_dtype)i)) continue;
    char name[64];
    snprintf(name, sizeof name, "blocks.%s", lb_dtype_name((lb_dtype)i));
    check_decoder(lb__ref_row_to_f32((lb_dtype)i), "reference", name);
    check_decoder(lb__row_to_f32((lb_dtype)i), "selected", name);
  }
}

static void check_quantised(lb_dtype dtype, const char *name) {
  const array *x = find("quantise.x"), *wanted = find(name);
  uint8_t *got = malloc((size_t)wanted->n);
  lb__row_from_f32(dtype)(got, x->data, x->n);
  int64_t block = (int64_t)lb_dtype_block_bytes(dtype);
  for (int64_t i = 0; i < wanted->n; i++)
    if (got[i] != ((const uint8_t *)wanted->data)[i])
      fail_msg("%s: block %lld differs from gguf.quants", name, (long long)(i / block));
  free(got);
}

static void test_quantise(void **state) {
  (void)state;
  check_quantised(LB_DTYPE_Q8_0, "quantise.Q8_0");
  check_quantised(LB_DTYPE_Q4_0, "quantise.Q4_0");
}

static bool is_half_nan(uint16_t h) {
  return (h & 0x7C00) == 0x7C00 && (h & 0x3FF) != 0;
}

static void test_rounding_to_16_bits(void **state) {
  (void)state;
  const array *x = find("halves.x");
  const uint16_t *f16 = find("halves.f16")->data, *bf16 = find("halves.bf16")->data;
  for (int64_t i = 0; i < x->n; i++) {
    float value = ((const float *)x->data)[i];
    uint16_t h = lb__half_from_f32(value), b = lb__bf16_from_f32(value);
    if (isnan(value)) {
      assert_true(is_half_nan(h) && isnan(lb__bf16_to_f32(b)));
      continue;
    }
    if (h != f16[i] || b != bf16[i])
      fail_msg("%a: half %04x, PyTorch %04x; bf16 %04x, PyTorch %04x", (double)value, h, f16[i], b,
               bf16[i]);
  }
}

/* Every half survives the way to float32 and back, through every decoder. */
static void test_every_half(void **state) {
  (void)state;
  static uint16_t halves[65536];
  static float wide[65536], selected[65536];
  for (int i = 0; i < 65536; i++) halves[i] = (uint16_t)i;
  lb__ref_row_to_f32(LB_DTYPE_F16)(wide, halves, 65536);
  lb__row_to_f32(LB_DTYPE_F16)(selected, halves, 65536);
  for (int i = 0; i < 65536; i++) {
    assert_true(isnan(wide[i]) == is_half_nan((uint16_t)i));
    if (isnan(wide[i])) continue;
    assert_int_equal(lb__half_from_f32(wide[i]), i);
    assert_memory_equal(&wide[i], &selected[i], sizeof wide[i]);
  }
}

static void check_f8(lb_dtype dtype, const char *name) {
  uint8_t bytes[256];
  float got[256];
  const float *wanted = find(name)->data;
  for (int i = 0; i < 256; i++) bytes[i] = (uint8_t)i;
  lb__row_to_f32(dtype)(got, bytes, 256);
  for (int i = 0; i < 256; i++)
    assert_true(isnan(wanted[i]) ? isnan(got[i]) : memcmp(&got[i], &wanted[i], sizeof *got) == 0);
}

static void test_f8(void **state) {
  (void)state;
  check_f8(LB_DTYPE_F8_E4M3, "f8.e4m3");
  check_f8(LB_DTYPE_F8_E5M2, "f8.e5m2");
}

/* The kernels of a process are chosen once: LIMBECK_TEST_KERNELS runs another set. */
int main(void) {
  sets = getenv("LIMBECK_TEST_KERNELS");
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_norms),        cmocka_unit_test(test_activations),
      cmocka_unit_test(test_rope),         cmocka_unit_test(test_attention),
      cmocka_unit_test(test_logits_stats), cmocka_unit_test(test_attention_gradients),
      cmocka_unit_test(test_relation),     cmocka_unit_test(test_blocks),
      cmocka_unit_test(test_quantise),     cmocka_unit_test(test_rounding_to_16_bits),
      cmocka_unit_test(test_every_half),   cmocka_unit_test(test_f8),
  };
  return cmocka_run_group_tests(tests, begin_ops, end_ops);
}

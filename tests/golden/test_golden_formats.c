/* test_golden_formats.c - files written by the reference packages (generate/formats.py) read back
 * as what they are, and our writer gives the reference's bytes for the reference's tensors. */
#include "formats/gguf.h"
#include "formats/hf_config.h"
#include "formats/safetensors.h"

#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOLDER LIMBECK_SOURCE_DIR "/tests/golden/formats"

static json_t *expected;

static int load_expected(void **state) {
  (void)state;
  return lb__json_read(&expected, FOLDER "/expected.json", 1 << 24, NULL) == LB_OK ? 0 : -1;
}
static int drop_expected(void **state) {
  (void)state;
  json_decref(expected);
  return 0;
}

static json_t *expect(const char *what) {
  json_t *value = json_object_get(expected, what);
  assert_non_null(value);
  return value;
}

static uint8_t hex_digit(char c) {
  return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void check_tensor(const lb__stored_tensor *t, const char *name, const json_t *want) {
  const char *hex = json_string_value(json_object_get(want, "hex"));
  const json_t *shape = json_object_get(want, "shape");
  if (t == NULL) fail_msg("%s is missing", name);
  assert_string_equal(lb_dtype_name(t->dtype), json_string_value(json_object_get(want, "dtype")));
  assert_int_equal(t->rank, json_array_size(shape));
  for (int i = 0; i < t->rank; i++)
    assert_int_equal(t->shape[i], json_integer_value(json_array_get(shape, (size_t)i)));
  assert_int_equal(t->size * 2, strlen(hex));
  for (size_t i = 0; i < t->size; i++)
    assert_int_equal(t->bytes[i], hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
}

static void check_safetensors(const lb__safetensors *s, const char *what) {
  json_t *tensors = json_object_get(expect("safetensors"), what), *want;
  const char *name;
  assert_int_equal(lb__safetensors_count(s), json_object_size(tensors));
  json_object_foreach(tensors, name, want) {
    check_tensor(lb__safetensors_find(s, name), name, want);
  }
  assert_string_equal(lb__safetensors_metadata(s, "format"), "pt");
}

static void safetensors_file(void **state) {
  (void)state;
  lb__safetensors *s;
  lb_error err = {0};
  if (lb__safetensors_open(&s, FOLDER "/all_dtypes.safetensors", &err) != LB_OK)
    fail_msg("%s", err.message);
  check_safetensors(s, "all_dtypes.safetensors");
  lb__safetensors_close(s);
}

static void safetensors_shards(void **state) {
  (void)state;
  lb__safetensors *s;
  lb_error err = {0};
  if (lb__safetensors_open_folder(&s, FOLDER "/sharded", &err) != LB_OK)
    fail_msg("%s", err.message);
  check_safetensors(s, "sharded");
  lb__safetensors_close(s);
}

static lb_status pour(void *ctx, size_t index, lb__sink *sink, lb_error *err) {
  const lb__stored_tensor *t = lb__safetensors_tensor(ctx, index);
  return lb__sink_write(sink, t->bytes, t->size, err);
}

static void our_writer_gives_the_same_bytes(void **state) {
  (void)state;
  lb__safetensors *s;
  lb__tensor_decl decls[64];
  char *folder = scratch_new();
  assert_int_equal(lb__safetensors_open(&s, FOLDER "/all_dtypes.safetensors", NULL), LB_OK);
  size_t n = lb__safetensors_count(s), ours_size, theirs_size;
  assert_true(n <= 64);
  for (size_t i = 0; i < n; i++) {
    const lb__stored_tensor *t = lb__safetensors_tensor(s, i);
    decls[i] = (lb__tensor_decl){.name = t->name, .dtype = t->dtype, .rank = t->rank};
    memcpy(decls[i].shape, t->shape, sizeof t->shape);
  }
  assert_int_equal(
      lb__safetensors_save(scratch_path(folder, "x"), decls, n, NULL, 0, pour, s, NULL), LB_OK);
  char *ours = scratch_read(folder, "x", &ours_size);
  char *theirs = scratch_read(FOLDER, "all_dtypes.safetensors", &theirs_size);
  assert_int_equal(ours_size, theirs_size);
  assert_memory_equal(ours, theirs, ours_size);
  free(ours);
  free(theirs);
  lb__safetensors_close(s);
  scratch_remove(folder);
}

/* ---- GGUF ---- */
static void check_keys(const lb__gguf *g) {
  static const struct {
    const char *key;
    int64_t want;
  } ints[] = {{"k.u8", 250},
              {"k.i8", -5},
              {"k.u16", 65000},
              {"k.i16", -300},
              {"k.u32", 4000000000},
              {"k.i32", -70000},
              {"k.u64", INT64_C(1) << 62},
              {"k.i64", -(INT64_C(1) << 62)}};
  int64_t x;
  double real;
  bool flag = false;
  const char *text;
  lb__gguf_array a;
  for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++) {
    assert_int_equal(lb__gguf_get_int(&x, g, ints[i].key, true, NULL), LB_OK);
    assert_true(x == ints[i].want);
  }
  assert_int_equal(lb__gguf_get_real(&real, g, "k.f32", true, NULL), LB_OK);
  assert_true(real == (double)0.1f);
  assert_int_equal(lb__gguf_get_real(&real, g, "k.f64", true, NULL), LB_OK);
  assert_true(real == 0.1);
  assert_int_equal(lb__gguf_get_bool(&flag, g, "k.bool", true, NULL), LB_OK);
  assert_true(flag);
  assert_int_equal(lb__gguf_get_string(&text, g, "k.string", true, NULL), LB_OK);
  assert_string_equal(text, "h\xc3\xa9llo");
  assert_int_equal(lb__gguf_get_array(&a, g, "k.strings", LB__GGUF_ARRAY_OF_STRINGS, true, NULL),
                   LB_OK);
  assert_int_equal(a.n, 3);
  assert_int_equal(lb__gguf_array_string(&a, 1).size, 0);
  assert_memory_equal(lb__gguf_array_string(&a, 2).bytes, "\xe2\x96\x81the", 6);
  assert_int_equal(lb__gguf_get_array(&a, g, "k.ints", LB__GGUF_ARRAY_OF_INTS, true, NULL), LB_OK);
  assert_int_equal(a.n, 3);
  assert_int_equal(lb__gguf_array_int(&a, 1), -2);
  assert_int_equal(lb__gguf_get_array(&a, g, "k.floats", LB__GGUF_ARRAY_OF_REALS, true, NULL),
                   LB_OK);
  assert_true(lb__gguf_array_real(&a, 1) == -1.25);
  assert_int_equal(lb__gguf_get_array(&a, g, "k.bools", LB__GGUF_ARRAY_OF_INTS, true, NULL), LB_OK);
  assert_int_equal(lb__gguf_array_int(&a, 0), 1);
}

static void gguf_files(void **state) {
  (void)state;
  static const char *const paths[] = {
      FOLDER "/all_types.gguf", FOLDER "/aligned.gguf", FOLDER "/split-00001-of-00003.gguf",
      FOLDER "/split-00003-of-00003.gguf"}; /* any part opens the whole */
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    lb__gguf *g;
    lb_error err = {0};
    json_t *want;
    const char *name;
    if (lb__gguf_open(&g, paths[i], &err) != LB_OK) fail_msg("%s", err.message);
    check_keys(g);
    assert_int_equal(lb__gguf_count(g), json_object_size(expect("gguf")));
    json_object_foreach(expect("gguf"), name, want) {
      check_tensor(lb__gguf_find(g, name), name, want);
    }
    lb__gguf_close(g);
  }
}

/* ---- config.json ---- */
static void check_rope(const json_t *config, const char *layer_type, const json_t *want) {
  lb__hf_rope r;
  lb_error err = {0};
  if (lb__hf_rope_read(&r, config, layer_type, 10000, "config.json", &err) != LB_OK)
    fail_msg("%s", err.message);
  assert_string_equal(lb__rope_type_name(r.type),
                      json_string_value(json_object_get(want, "rope_type")));
  assert_true(r.theta == json_number_value(json_object_get(want, "rope_theta")));
  const json_t *factor = json_object_get(want, "factor");
  assert_true(factor == NULL ? r.factor != r.factor : r.factor == json_number_value(factor));
}

/* Each spelling means what Transformers makes of it, and so does what Transformers saves. */
static void rope_spellings(void **state) {
  (void)state;
  size_t i;
  json_t *one;
  assert_true(json_array_size(expect("rope")) > 0);
  json_array_foreach(expect("rope"), i, one) {
    const json_t *want = json_object_get(one, "rope_parameters");
    static const char *const layer_types[] = {"full_attention", "sliding_attention"};
    static const char *const sources[] = {"config", "saved"};
    for (size_t s = 0; s < 2; s++) {
      const json_t *config = json_object_get(one, sources[s]);
      if (json_object_get(want, "full_attention") == NULL)
        check_rope(config, NULL, want);
      else
        for (size_t j = 0; j < 2; j++)
          check_rope(config, layer_types[j], json_object_get(want, layer_types[j]));
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(safetensors_file),
      cmocka_unit_test(safetensors_shards),
      cmocka_unit_test(our_writer_gives_the_same_bytes),
      cmocka_unit_test(gguf_files),
      cmocka_unit_test(rope_spellings),
  };
  return cmocka_run_group_tests(tests, load_expected, drop_expected);
}

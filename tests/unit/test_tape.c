/* test_tape.c - the tape: order, what is passed over, memory of gradients, in place, recomputation,
 * and that a steady-state step allocates nothing. Values of gradients: tests/op. */
#include "faults.h"
#include "ops/ops.h"
#include "tensor/tape.h"

#include "kernels/kernels.h"
#include "tensor/tensor_data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static lb__stream stream;
static lb__tape tape;
static lb_error err;

static int begin(void **state) {
  (void)state;
  lb__stream_init(&stream, lb__device_cpu());
  return lb__kernels_install(&err) == LB_OK ? 0 : -1;
}

static int end(void **state) {
  (void)state;
  lb__stream_deinit(&stream);
  return 0;
}

#define OK(call)                                                                                   \
  do {                                                                                             \
    if ((call) != LB_OK) fail_msg("%s", err.message);                                              \
  } while (0)

/* A leaf: heap memory, and a gradient of its own, as parameters have. */
typedef struct leaf {
  lb_tensor t;
  lb__gradient gradient;
  float *d;
} leaf;

static void leaf_init(leaf *l, int rank, int64_t a, int64_t b) {
  OK(lb__tensor_init(&l->t, LB_DTYPE_F32, rank, (int64_t[]){a, b}, &err));
  int64_t n = lb__tensor_elements(&l->t);
  for (int64_t i = 0; i < n; i++) lb__tensor_f32(&l->t)[i] = (float)(i * 37 % 11 - 5) / 4.0f;
  l->d = calloc((size_t)n, sizeof *l->d);
  assert_non_null(l->d);
  l->gradient = (lb__gradient){.memory_ = l->d, .size_bytes = l->t.size_bytes};
  l->t.gradient = &l->gradient;
}

static void leaf_deinit(leaf *l) {
  free(l->d);
  lb__tensor_deinit(&l->t);
}

/* ---- nodes that only say that they ran ---- */

static char ran[64];

typedef struct mark {
  char letter;
  lb_tensor in; /* its gradient gets the result's, or 1 from a loss */
} mark;

static lb_status mark_backward(lb__stream *s, const lb_tensor *dout, void *saved, lb_error *e) {
  const mark *m = saved;
  lb_tensor d;
  bool wanted;
  strncat(ran, &m->letter, 1);
  lb_status st = lb__gradient_view(&d, &wanted, s, &m->in, e);
  for (int64_t i = 0; st == LB_OK && wanted && i < lb__tensor_elements(&d); i++)
    lb__tensor_f32(&d)[i] += dout != NULL ? lb__tensor_f32(dout)[i] : 1.0f;
  return st;
}

/* A result of x's shape with a node; or a loss. */
static lb_tensor *node(char letter, const lb_tensor *x) {
  lb_tensor *y;
  mark m = {.letter = letter, .in = *x};
  OK(lb__stream_tensor(&y, &stream, LB_DTYPE_F32, x->rank, x->shape, &err));
  OK(lb__tape_record(&stream, y, false, mark_backward, &m, sizeof m, &err));
  return y;
}

static void loss(char letter, const lb_tensor *x) {
  mark m = {.letter = letter, .in = *x};
  OK(lb__tape_record(&stream, NULL, false, mark_backward, &m, sizeof m, &err));
}

static void start(void) {
  ran[0] = '\0';
  lb__tape_begin(&tape, &stream);
}

static void walk(void) {
  OK(lb__tape_backward(&stream, &err));
  assert_null(stream.tape);
  assert_int_equal(tape.n_nodes, 0);
}

static void test_order(void **state) {
  (void)state;
  leaf x;
  leaf_init(&x, 1, 4, 1);
  start();
  const lb_tensor *a = node('a', &x.t), *b = node('b', a);
  loss('l', b);
  loss('m', a);
  assert_int_equal(tape.n_nodes, 4);
  walk();
  assert_string_equal(ran, "mlba");
  for (int i = 0; i < 4; i++) assert_true(x.d[i] == 2.0f); /* once through b, once directly */
  lb__stream_reset(&stream);
  leaf_deinit(&x);
}

static void test_unused_branches_are_passed_over(void **state) {
  (void)state;
  leaf x;
  leaf_init(&x, 1, 4, 1);
  start();
  const lb_tensor *a = node('a', &x.t), *b = node('b', a), *c = node('c', &x.t);
  node('d', c);
  loss('l', b);
  walk();
  assert_string_equal(ran, "lba");
  for (int i = 0; i < 4; i++) assert_true(x.d[i] == 1.0f);
  lb__stream_reset(&stream);
  leaf_deinit(&x);
}

static void test_wants(void **state) {
  (void)state;
  leaf x;
  leaf_init(&x, 2, 2, 3);
  lb_tensor frozen = x.t, *y;
  frozen.gradient = NULL;
  frozen.owns_memory_ = false;
  assert_false(lb__tape_wants(&stream, &x.t)); /* not recording */
  OK(lb__op_scale(&stream, &y, &x.t, 2.0f, &err));
  assert_null(y->gradient);
  start();
  assert_true(lb__tape_wants(&stream, &x.t));
  assert_false(lb__tape_wants(&stream, &frozen));
  assert_false(lb__tape_wants(&stream, NULL));
  OK(lb__op_scale(&stream, &y, &frozen, 2.0f, &err));
  assert_null(y->gradient);
  assert_int_equal(tape.n_nodes, 0);
  OK(lb__op_add_to(&stream, y, &x.t, &err)); /* one input that wants is enough */
  assert_non_null(y->gradient);
  assert_int_equal(tape.n_nodes, 1);
  lb__tape_end(&stream);
  lb__stream_reset(&stream);
  leaf_deinit(&x);
}

/* A long chain needs the memory of two gradients, whatever its length. */
static void test_gradient_memory_is_used_again(void **state) {
  (void)state;
  enum { N = 4096, LENGTH = 50 };
  leaf x;
  leaf_init(&x, 1, N, 1);
  start();
  const lb_tensor *y = &x.t;
  for (int i = 0; i < LENGTH; i++) y = node('n', y);
  loss('l', y);
  size_t before = stream.arena.in_use;
  ran[0] = '\0';
  OK(lb__tape_backward(&stream, &err));
  assert_true(stream.arena.in_use - before < 3 * N * sizeof(float));
  for (int i = 0; i < N; i++) assert_true(x.d[i] == 1.0f);
  lb__stream_reset(&stream);
  leaf_deinit(&x);
}

/* Gradients smaller than the list's own header are used again as well. */
static void test_small_gradients(void **state) {
  (void)state;
  leaf x;
  leaf_init(&x, 1, 1, 1);
  start();
  const lb_tensor *y = &x.t;
  for (int i = 0; i < 10; i++) y = node('n', y);
  loss('l', y);
  walk();
  assert_true(x.d[0] == 1.0f);
  lb__stream_reset(&stream);
  leaf_deinit(&x);
}

/* In place, what comes out is what went in: one gradient, turned back on the way. */
static void test_in_place(void **state) {
  (void)state;
  leaf x;
  leaf_init(&x, 2, 1, 2);
  lb_tensor *y, *view, *positions, inv_freq;
  const float one = 1.0f;
  OK(lb__tensor_view_bytes(&inv_freq, LB_DTYPE_F32, 1, (int64_t[]){1}, &one, sizeof one, &err));
  start();
  OK(lb__stream_i32(&positions, &stream, (int32_t[]){2}, 1, &err));
  OK(lb__op_scale(&stream, &y, &x.t, 3.0f, &err));
  OK(lb__op_reshape(&stream, &view, y, 3, (int64_t[]){1, 1, 2}, &err));
  OK(lb__op_rope(&stream, view, positions, &inv_freq, 1.0f, &err));
  assert_ptr_equal(view->gradient, y->gradient);
  assert_int_equal(tape.n_nodes, 2); /* a view is no node */
  loss('l', view);
  walk();
  /* d/dx of the sum of a turned pair: 3 (cos 2 + sin 2), 3 (cos 2 - sin 2) */
  assert_float_equal(x.d[0], 3.0f * (-0.41614684f + 0.90929743f), 1e-6f);
  assert_float_equal(x.d[1], 3.0f * (-0.41614684f - 0.90929743f), 1e-6f);
  lb__stream_reset(&stream);
  leaf_deinit(&x);
}

static void test_refusals(void **state) {
  (void)state;
  leaf x;
  leaf_init(&x, 2, 2, 2);
  lb_tensor *y, bf16;
  OK(lb__tensor_init(&bf16, LB_DTYPE_BF16, 2, (int64_t[]){2, 2}, &err));
  lb__gradient g = {.size_bytes = bf16.size_bytes};
  bf16.gradient = &g;
  start();
  assert_int_equal(lb__op_linear(&stream, &y, &x.t, &bf16, NULL, &err), LB_E_DTYPE);
  assert_string_equal(err.message, "linear: weight [2,2] BF16: want F32, since it is trained");
  assert_int_equal(lb__op_reshape(&stream, &y, &x.t, 2, (int64_t[]){3, 2}, &err), LB_E_SHAPE);
  assert_int_equal(lb__op_reshape(&stream, &y, &x.t, 2, (int64_t[]){-2, -2}, &err), LB_E_SHAPE);
  assert_int_equal(tape.n_nodes, 0);
  lb__tape_end(&stream);
  lb__stream_reset(&stream);
  lb__tensor_deinit(&bf16);
  leaf_deinit(&x);
}

/* ---- a small network: recomputation, and steps ---- */

enum { TOKENS = 7, WIDTH = 33, LAYERS = 4 };

typedef struct network {
  leaf x, norm[LAYERS], weight[LAYERS], bias[LAYERS];
} network;

static void network_init(network *n) {
  leaf_init(&n->x, 2, TOKENS, WIDTH);
  for (int i = 0; i < LAYERS; i++) {
    leaf_init(&n->norm[i], 1, WIDTH, 1);
    leaf_init(&n->weight[i], 2, WIDTH, WIDTH);
    leaf_init(&n->bias[i], 1, WIDTH, 1);
  }
}

static void network_deinit(network *n) {
  leaf_deinit(&n->x);
  for (int i = 0; i < LAYERS; i++) {
    leaf_deinit(&n->norm[i]);
    leaf_deinit(&n->weight[i]);
    leaf_deinit(&n->bias[i]);
  }
}

typedef struct layer {
  network *n;
  int i;
} layer;

static lb_status run_layer(lb__stream *s, lb_tensor **out, const lb_tensor *x, void *ctx,
                           lb_error *e) {
  const layer *l = ctx;
  lb_tensor *h, *g;
  lb_status st = lb__op_layer_norm(s, &h, x, &l->n->norm[l->i].t, NULL, 1e-5f, e);
  if (st == LB_OK) st = lb__op_linear(s, &g, h, &l->n->weight[l->i].t, &l->n->bias[l->i].t, e);
  if (st == LB_OK) st = lb__op_act(s, out, g, LB__ACT_GELU_TANH, e);
  return st == LB_OK ? lb__op_add_to(s, *out, x, e) : st;
}

/* One step; the result's bytes in out[TOKENS * WIDTH]. */
static void step(network *n, bool checkpoints, float *out) {
  start();
  lb_tensor *y = &n->x.t;
  for (int i = 0; i < LAYERS; i++) {
    layer l = {n, i};
    if (checkpoints)
      OK(lb__tape_checkpoint(&stream, &y, y, run_layer, &l, sizeof l, &err));
    else
      OK(run_layer(&stream, &y, y, &l, &err));
  }
  OK(lb__tensor_read(y, 0, out, y->size_bytes, &err));
  loss('l', y);
  walk();
  lb__stream_reset(&stream);
}

static void assert_same_gradients(const network *a, const network *b) {
  assert_memory_equal(a->x.d, b->x.d, a->x.t.size_bytes);
  for (int i = 0; i < LAYERS; i++) {
    assert_memory_equal(a->norm[i].d, b->norm[i].d, a->norm[i].t.size_bytes);
    assert_memory_equal(a->weight[i].d, b->weight[i].d, a->weight[i].t.size_bytes);
    assert_memory_equal(a->bias[i].d, b->bias[i].d, a->bias[i].t.size_bytes);
  }
}

static void test_recomputation_changes_nothing(void **state) {
  (void)state;
  network plain, again;
  network_init(&plain);
  network_init(&again);
  float a[TOKENS * WIDTH], b[TOKENS * WIDTH];
  step(&plain, false, a);
  step(&again, true, b);
  assert_memory_equal(a, b, sizeof a);
  assert_true(plain.weight[0].d[5] != 0.0f);
  assert_same_gradients(&plain, &again);
  step(&plain, false, a); /* gradients are added to */
  step(&again, true, b);
  assert_same_gradients(&plain, &again);
  network_deinit(&plain);
  network_deinit(&again);
}

/* What recomputation is for: only one layer's activations at a time. */
static size_t high_water(bool checkpoints) {
  network n;
  float out[TOKENS * WIDTH];
  network_init(&n);
  lb__stream_deinit(&stream);
  lb__stream_init(&stream, lb__device_cpu());
  step(&n, checkpoints, out);
  network_deinit(&n);
  return stream.arena.high_water;
}

static void test_recomputation_saves_memory(void **state) {
  (void)state;
  size_t plain = high_water(false), less = high_water(true);
  assert_true(less < plain * 3 / 4);
}

/* ---- nothing is allocated in steady state ---- */

static void check_steady(bool checkpoints) {
  network n;
  float out[TOKENS * WIDTH];
  network_init(&n);
  int n_allocations;
  long n_kept;
  fault_allocations_begin(0, false);
  step(&n, checkpoints, out);
  fault_allocations_end(&n_allocations, &n_kept);
  assert_true(n_allocations > 0); /* the counter counts */
  step(&n, checkpoints, out);
  fault_allocations_begin(0, false);
  for (int i = 0; i < 5; i++) step(&n, checkpoints, out);
  fault_allocations_end(&n_allocations, &n_kept);
  assert_int_equal(n_allocations, 0);
  network_deinit(&n);
}

static void test_steady_state_allocates_nothing(void **state) {
  (void)state;
  for (int checkpoints = 0; checkpoints < 2; checkpoints++) {
    lb__stream_deinit(&stream);
    lb__stream_init(&stream, lb__device_cpu());
    check_steady(checkpoints != 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_order),
      cmocka_unit_test(test_unused_branches_are_passed_over),
      cmocka_unit_test(test_wants),
      cmocka_unit_test(test_gradient_memory_is_used_again),
      cmocka_unit_test(test_small_gradients),
      cmocka_unit_test(test_in_place),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_recomputation_changes_nothing),
      cmocka_unit_test(test_recomputation_saves_memory),
      cmocka_unit_test(test_steady_state_allocates_nothing),
  };
  return cmocka_run_group_tests(tests, begin, end);
}

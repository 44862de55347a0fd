/* test_fused_head.c - the fused head: chunks, micro-batches, masks, padded vocabularies, frozen and
 * quantised heads, facts, what it refuses; and that it allocates nothing once it has run. Gradients
 * against differences: tests/op/gradient_cases_loss.c. */
#include "loss/fused_head.h"

#include "kernels/kernels.h"
#include "tensor/tape.h"
#include "tensor/tensor_data.h"

#include "faults.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static lb_error err;

#define OK(call)                                                                                   \
  do {                                                                                             \
    if ((call) != LB_OK) fail_msg("%s", err.message);                                              \
  } while (0)

static int begin(void **state) {
  (void)state;
  return lb__kernels_install(&err) == LB_OK ? 0 : -1;
}

/* ---- a student and a teacher that end here ---- */

enum { M = 37, C = 24, CT = 32, V = 61, VS = 64, VT = 67 }; /* heads padded beyond V */

typedef struct leaf {
  lb_tensor t;
  lb__gradient gradient;
} leaf;

typedef struct world {
  lb__stream stream;
  leaf hidden, weight; /* the student's */
  lb_tensor teacher_hidden, teacher_weight, targets, weights;
  lb__head_side teacher;
  lb__fused_head_args args;
} world;

static uint64_t seed;

static float draw(void) {
  double sum = -1.5;
  for (int i = 0; i < 3; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    sum += (double)(seed >> 32) / 4294967296.0;
  }
  return (float)sum;
}

static lb_tensor floats(int rank, int64_t a, int64_t b) {
  lb_tensor t;
  OK(lb__tensor_init(&t, LB_DTYPE_F32, rank, (int64_t[]){a, b}, &err));
  for (int64_t i = 0; i < lb__tensor_elements(&t); i++) lb__tensor_f32(&t)[i] = draw();
  return t;
}

static void leaf_init(leaf *l, int64_t a, int64_t b) {
  l->t = floats(2, a, b);
  l->gradient = (lb__gradient){calloc(1, l->t.size_bytes), l->t.size_bytes};
  assert_non_null(l->gradient.memory_);
  l->t.gradient = &l->gradient;
}

static const lb__divergence_term terms[] = {
    {LB__DIVERGENCE_forward_kl, 0.7, 2.0, 4.0, {0}},
    {LB__DIVERGENCE_cross_entropy, 0.3, 1.0, 1.0, {0}},
};

static void world_init(world *w) {
  memset(w, 0, sizeof *w);
  seed = 7;
  lb__stream_init(&w->stream, lb__device_cpu());
  leaf_init(&w->hidden, M, C);
  leaf_init(&w->weight, VS, C);
  w->teacher_hidden = floats(2, M, CT);
  w->teacher_weight = floats(2, VT, CT);
  w->weights = floats(1, M, 1);
  OK(lb__tensor_init(&w->targets, LB_DTYPE_I32, 1, (int64_t[]){M}, &err));
  for (int64_t i = 0; i < M; i++) {
    lb__tensor_i32(&w->targets)[i] = i % 5 == 2 ? -100 : (int32_t)(i * 17 % V);
    lb__tensor_f32(&w->weights)[i] =
        i % 7 == 3 ? 0.0f : 0.5f + fabsf(lb__tensor_f32(&w->weights)[i]);
  }
  w->teacher = (lb__head_side){.hidden = &w->teacher_hidden, .weight = &w->teacher_weight};
  w->args = (lb__fused_head_args){.student = {&w->hidden.t, &w->weight.t, 0.0f},
                                  .teacher = &w->teacher,
                                  .targets = &w->targets,
                                  .weights = &w->weights,
                                  .vocab = V,
                                  .terms = terms,
                                  .n_terms = 2,
                                  .scale = 1.0 / M};
}

static void world_deinit(world *w) {
  free(w->hidden.gradient.memory_);
  free(w->weight.gradient.memory_);
  lb_tensor *all[] = {&w->hidden.t,       &w->weight.t, &w->teacher_hidden,
                      &w->teacher_weight, &w->targets,  &w->weights};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) lb__tensor_deinit(all[i]);
  lb__stream_deinit(&w->stream);
}

static void clear_gradients(world *w) {
  memset(w->hidden.gradient.memory_, 0, w->hidden.t.size_bytes);
  memset(w->weight.gradient.memory_, 0, w->weight.t.size_bytes);
}

/* One step: forward, the tape walked, everything given back. */
static lb__fused_head_sums step(world *w) {
  lb__fused_head_sums sums = {0};
  lb__tape tape;
  lb__tape_begin(&tape, &w->stream);
  OK(lb__fused_head(&w->stream, &sums, &w->args, &err));
  OK(lb__tape_backward(&w->stream, &err));
  lb__stream_reset(&w->stream);
  return sums;
}

/* Gradients of one step, to compare with. */
typedef struct gradients {
  float hidden[M * C], weight[VS * C];
} gradients;

static gradients gradients_of(const world *w) {
  gradients g;
  memcpy(g.hidden, w->hidden.gradient.memory_, sizeof g.hidden);
  memcpy(g.weight, w->weight.gradient.memory_, sizeof g.weight);
  return g;
}

static void expect_close(const float *a, const float *b, size_t n, double tolerance,
                         const char *what) {
  double largest = 0.0, worst = 0.0;
  for (size_t i = 0; i < n; i++) {
    largest = fmax(largest, fabs((double)b[i]));
    worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
  }
  if (!(worst <= tolerance * largest) || largest == 0.0)
    fail_msg("%s: off by %g of %g", what, worst, largest);
}

static void expect_same_step(const lb__fused_head_sums *a, const lb__fused_head_sums *b,
                             const gradients *ga, const gradients *gb) {
  for (int t = 0; t < 2; t++)
    if (!(fabs(a->terms[t] - b->terms[t]) <= 1e-6 * b->terms[t]))
      fail_msg("term %d: %.9g and %.9g", t, a->terms[t], b->terms[t]);
  assert_true(fabs(a->weight - b->weight) <= 1e-12 * b->weight);
  assert_int_equal(a->n_rows, b->n_rows);
  expect_close(ga->hidden, gb->hidden, M * C, 1e-6, "dhidden");
  expect_close(ga->weight, gb->weight, VS * C, 1e-6, "dweight");
}

/* ---- chunks and micro-batches ---- */

static void test_chunk_size_does_not_matter(void **state) {
  (void)state;
  world w;
  world_init(&w);
  w.args.chunk_tokens = M;
  lb__fused_head_sums whole = step(&w);
  gradients wanted = gradients_of(&w);
  for (int64_t chunk = 1; chunk < M; chunk += 5) {
    clear_gradients(&w);
    w.args.chunk_tokens = chunk;
    lb__fused_head_sums sums = step(&w);
    gradients found = gradients_of(&w);
    expect_same_step(&sums, &whole, &found, &wanted);
  }
  world_deinit(&w);
}

/* Rows begin .. begin+n-1 as a micro-batch of their own. */
static void micro_batch(world *w, lb__fused_head_sums *sums, int64_t first, int64_t n) {
  lb_tensor hidden = lb__tensor_rows(&w->hidden.t, first, n);
  lb_tensor teacher_hidden = lb__tensor_rows(&w->teacher_hidden, first, n);
  lb_tensor targets = lb__tensor_rows(&w->targets, first, n);
  lb_tensor weights = lb__tensor_rows(&w->weights, first, n);
  lb__gradient gradient = {(char *)w->hidden.gradient.memory_ + first * C * 4, hidden.size_bytes};
  hidden.gradient = &gradient;
  lb__head_side teacher = {.hidden = &teacher_hidden, .weight = &w->teacher_weight};
  lb__fused_head_args args = w->args;
  args.student.hidden = &hidden;
  args.teacher = &teacher;
  args.targets = &targets;
  args.weights = &weights;
  lb__tape tape;
  lb__tape_begin(&tape, &w->stream);
  OK(lb__fused_head(&w->stream, sums, &args, &err));
  OK(lb__tape_backward(&w->stream, &err));
  lb__stream_reset(&w->stream);
}

/* transformers #34191, #35438, #37766: means of means of unequal micro-batches. */
static void test_micro_batches_of_unequal_length_are_the_whole_batch(void **state) {
  (void)state;
  static const int64_t lengths[] = {1, 9, 2, 16, 0, 9};
  world w;
  world_init(&w);
  lb__fused_head_sums whole = step(&w), sums = {0};
  gradients wanted = gradients_of(&w);
  clear_gradients(&w);
  int64_t first = 0;
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; first += lengths[i++])
    micro_batch(&w, &sums, first, lengths[i]);
  assert_int_equal(first, M);
  gradients found = gradients_of(&w);
  expect_same_step(&sums, &whole, &found, &wanted);
  world_deinit(&w);
}

static void test_threads_do_not_matter_at_all(void **state) {
  (void)state;
  world w;
  world_init(&w);
  w.args.chunk_tokens = 10;
  w.args.want_facts = true;
  lb_threads_set(1);
  lb__fused_head_sums one = step(&w);
  gradients wanted = gradients_of(&w);
  for (int threads = 2; threads <= 4; threads++) {
    lb_threads_set(threads);
    clear_gradients(&w);
    lb__fused_head_sums many = step(&w);
    gradients found = gradients_of(&w);
    assert_memory_equal(&many, &one, sizeof one);
    assert_memory_equal(&found, &wanted, sizeof found);
  }
  lb_threads_set(0);
  world_deinit(&w);
}

/* ---- masks ---- */

static void expect_no_gradient(const world *w) {
  const float *hidden = w->hidden.gradient.memory_, *weight = w->weight.gradient.memory_;
  for (int64_t i = 0; i < M * C; i++) assert_true(hidden[i] == 0.0f);
  for (int64_t i = 0; i < VS * C; i++) assert_true(weight[i] == 0.0f);
}

/* trl #5885: 0/0 */
static void test_all_masked_is_zero(void **state) {
  (void)state;
  world w;
  world_init(&w);
  for (int64_t i = 0; i < M; i++) lb__tensor_f32(&w.weights)[i] = 0.0f;
  lb__tensor_f32(&w.teacher_hidden)[5] = NAN; /* nobody looks */
  lb__fused_head_sums sums = step(&w);
  assert_true(sums.terms[0] == 0.0 && sums.terms[1] == 0.0 && sums.weight == 0.0);
  expect_no_gradient(&w);
  world_deinit(&w);
}

static void test_no_targets_is_no_cross_entropy(void **state) {
  (void)state;
  world w;
  world_init(&w);
  for (int64_t i = 0; i < M; i++) lb__tensor_i32(&w.targets)[i] = -100;
  w.args.terms = &terms[1];
  w.args.n_terms = 1;
  lb__fused_head_sums sums = step(&w);
  assert_true(sums.terms[0] == 0.0);
  expect_no_gradient(&w);
  world_deinit(&w);
}

/* A masked row does not touch its own hidden state, nor anything else. */
static void test_a_masked_row_has_no_gradient(void **state) {
  (void)state;
  world w;
  world_init(&w);
  step(&w);
  const float *hidden = w.hidden.gradient.memory_;
  for (int64_t c = 0; c < C; c++)
    assert_true(hidden[3 * C + c] == 0.0f && hidden[4 * C + c] != 0.0f);
  world_deinit(&w);
}

/* ---- vocabularies ---- */

/* Rows beyond the common vocabulary (Qwen: 151936 and 152064) neither count nor learn. */
static void test_padding_rows_do_not_count(void **state) {
  (void)state;
  world w;
  world_init(&w);
  lb__fused_head_sums before = step(&w);
  gradients wanted = gradients_of(&w);
  for (int64_t i = V * C; i < VS * C; i++) lb__tensor_f32(&w.weight.t)[i] = NAN;
  for (int64_t i = V * CT; i < VT * CT; i++) lb__tensor_f32(&w.teacher_weight)[i] = 1e30f;
  clear_gradients(&w);
  lb__fused_head_sums after = step(&w);
  gradients found = gradients_of(&w);
  assert_memory_equal(&after, &before, sizeof after);
  assert_memory_equal(&found, &wanted, sizeof found);
  for (int64_t i = V * C; i < VS * C; i++) assert_true(found.weight[i] == 0.0f);
  world_deinit(&w);
}

/* ---- heads that do not learn ---- */

static void test_a_quantised_teacher_head(void **state) {
  (void)state;
  world w;
  world_init(&w);
  lb_tensor quantised, expanded;
  OK(lb__tensor_init(&quantised, LB_DTYPE_Q8_0, 2, w.teacher_weight.shape, &err));
  OK(lb__tensor_init(&expanded, LB_DTYPE_F32, 2, w.teacher_weight.shape, &err));
  OK(lb__op_cast(&quantised, &w.teacher_weight, &err));
  OK(lb__op_cast(&expanded, &quantised, &err));
  lb__fused_head_sums plain = step(&w);
  w.teacher.weight = &expanded;
  clear_gradients(&w);
  lb__fused_head_sums wanted = step(&w);
  gradients wanted_gradients = gradients_of(&w);
  w.teacher.weight = &quantised;
  clear_gradients(&w);
  lb__fused_head_sums sums = step(&w);
  gradients found = gradients_of(&w);
  expect_same_step(&sums, &wanted, &found, &wanted_gradients);
  assert_true(sums.terms[0] != plain.terms[0]); /* it is another teacher */
  lb__tensor_deinit(&quantised);
  lb__tensor_deinit(&expanded);
  world_deinit(&w);
}

static void test_a_frozen_head_gets_no_gradient(void **state) {
  (void)state;
  world w;
  world_init(&w);
  step(&w);
  gradients wanted = gradients_of(&w);
  clear_gradients(&w);
  w.weight.t.gradient = NULL;
  step(&w);
  gradients found = gradients_of(&w);
  assert_memory_equal(found.hidden, wanted.hidden, sizeof found.hidden);
  for (int64_t i = 0; i < VS * C; i++) assert_true(found.weight[i] == 0.0f);
  world_deinit(&w);
}

/* Evaluation: no tape, no gradient, the same values. */
static void test_without_a_tape_only_values(void **state) {
  (void)state;
  world w;
  world_init(&w);
  lb__fused_head_sums wanted = step(&w), sums = {0};
  clear_gradients(&w);
  OK(lb__fused_head(&w.stream, &sums, &w.args, &err));
  assert_memory_equal(&sums, &wanted, sizeof sums);
  expect_no_gradient(&w);
  world_deinit(&w);
}

/* The head's gradient at once, the hidden states' when the tape is walked. */
static void test_when_gradients_arrive(void **state) {
  (void)state;
  world w;
  world_init(&w);
  lb__fused_head_sums sums = {0};
  lb__tape tape;
  lb__tape_begin(&tape, &w.stream);
  OK(lb__fused_head(&w.stream, &sums, &w.args, &err));
  assert_int_equal(tape.n_nodes, 1);
  assert_true(((float *)w.weight.gradient.memory_)[0] != 0.0f);
  assert_true(((float *)w.hidden.gradient.memory_)[0] == 0.0f);
  OK(lb__tape_backward(&w.stream, &err));
  assert_true(((float *)w.hidden.gradient.memory_)[0] != 0.0f);
  world_deinit(&w);
}

/* ---- facts ---- */

static void logits_of(double *out, const lb_tensor *hidden, const lb_tensor *weight, int64_t n) {
  int64_t width = hidden->shape[1];
  for (int64_t v = 0; v < V; v++) {
    out[v] = 0.0;
    for (int64_t c = 0; c < width; c++)
      out[v] += (double)lb__tensor_f32(hidden)[n * width + c] *
                (double)lb__tensor_f32(weight)[v * width + c];
  }
}

static void log_softmax(double *x) {
  double sum = 0.0;
  for (int64_t v = 0; v < V; v++) sum += exp(x[v]);
  for (int64_t v = 0; v < V; v++) x[v] -= log(sum);
}

static int64_t argmax(const double *x) {
  int64_t best = 0;
  for (int64_t v = 1; v < V; v++)
    if (x[v] > x[best]) best = v;
  return best;
}

static void test_facts(void **state) {
  (void)state;
  world w;
  world_init(&w);
  double wanted[LB__N_ROW_FACTS] = {0}, p[V], q[V];
  for (int64_t n = 0; n < M; n++) {
    int32_t target = lb__tensor_i32(&w.targets)[n];
    logits_of(q, &w.hidden.t, &w.weight.t, n);
    logits_of(p, &w.teacher_hidden, &w.teacher_weight, n);
    log_softmax(q);
    log_softmax(p);
    for (int64_t v = 0; v < V; v++) {
      wanted[LB__FACT_FORWARD_KL] += exp(p[v]) * (p[v] - q[v]);
      wanted[LB__FACT_REVERSE_KL] += exp(q[v]) * (q[v] - p[v]);
    }
    wanted[LB__FACT_AGREES] += argmax(p) == argmax(q);
    if (target < 0) continue;
    wanted[LB__FACT_CE] -= q[target];
    wanted[LB__FACT_TEACHER_CE] -= p[target];
    wanted[LB__FACT_CORRECT] += argmax(q) == target;
  }
  double rows[M * LB__N_ROW_FACTS];
  w.args.want_facts = true;
  w.args.row_facts = rows;
  w.args.chunk_tokens = 10;
  lb__fused_head_sums sums = {0};
  OK(lb__fused_head(&w.stream, &sums, &w.args, &err));
  for (int i = 0; i < LB__N_ROW_FACTS; i++) {
    double of_rows = 0.0;
    for (int64_t n = 0; n < M; n++) of_rows += rows[n * LB__N_ROW_FACTS + i];
    assert_true(of_rows == sums.facts[i]);
    if (!(fabs(sums.facts[i] - wanted[i]) <= 2e-6 * wanted[i]))
      fail_msg("fact %d: %.9g, want %.9g", i, sums.facts[i], wanted[i]);
  }
  assert_int_equal(sums.n_rows, M);
  world_deinit(&w);
}

static void test_facts_without_a_teacher(void **state) {
  (void)state;
  world w;
  world_init(&w);
  w.args.teacher = NULL;
  w.args.terms = &terms[1];
  w.args.n_terms = 1;
  w.args.want_facts = true;
  lb__fused_head_sums sums = step(&w);
  assert_true(isfinite(sums.facts[LB__FACT_CE]) && isfinite(sums.facts[LB__FACT_CORRECT]));
  assert_true(isnan(sums.facts[LB__FACT_TEACHER_CE]) && isnan(sums.facts[LB__FACT_FORWARD_KL]));
  assert_true(isnan(sums.facts[LB__FACT_REVERSE_KL]) && isnan(sums.facts[LB__FACT_AGREES]));
  world_deinit(&w);
}

/* ---- the arena ---- */

static void test_a_steady_step_allocates_nothing(void **state) {
  (void)state;
  world w;
  world_init(&w);
  w.args.chunk_tokens = 8;
  w.args.want_facts = true;
  step(&w);
  step(&w);
  int n_calls;
  long n_leaked;
  fault_allocations_begin(0, false);
  for (int i = 0; i < 3; i++) step(&w);
  fault_allocations_end(&n_calls, &n_leaked);
  assert_int_equal(n_calls, 0);
  world_deinit(&w);
}

/* Memory ends at every allocation in turn: said so, and nothing is lost. */
static lb_status step_of_a_new_stream(void *ctx, lb_error *e) {
  world *w = ctx;
  lb__stream s;
  lb__tape tape;
  lb__fused_head_sums sums = {0};
  lb__stream_init(&s, lb__device_cpu());
  lb__tape_begin(&tape, &s);
  lb_status st = lb__fused_head(&s, &sums, &w->args, e);
  if (st == LB_OK) st = lb__tape_backward(&s, e);
  lb__stream_deinit(&s);
  return st;
}

static void test_memory_that_ends(void **state) {
  (void)state;
  world w;
  world_init(&w);
  w.args.want_facts = true;
  fault_case c = {.run = step_of_a_new_stream, .ctx = &w};
  c.may_survive = true; /* the arena then asks for a smaller block */
  assert_true(fault_each_allocation(&c) > 0);
  world_deinit(&w);
}

/* [chunk, vocabulary] twice, not [tokens, vocabulary]: memory does not grow with chunks. */
static void test_logits_exist_for_one_chunk_only(void **state) {
  (void)state;
  world w;
  world_init(&w);
  w.args.chunk_tokens = M;
  step(&w);
  size_t whole = w.stream.arena.high_water;
  world_deinit(&w);
  world_init(&w);
  w.args.chunk_tokens = 1;
  step(&w);
  assert_true(whole - w.stream.arena.high_water > 2 * (M - 2) * V * sizeof(float));
  world_deinit(&w);
}

/* ---- refusals ---- */

static void expect_refused(world *w, lb_status want, const char *what) {
  lb__fused_head_sums sums = {0}, nothing = {0};
  lb__tape tape;
  lb__tape_begin(&tape, &w->stream);
  lb_status st = lb__fused_head(&w->stream, &sums, &w->args, &err);
  lb__tape_end(&w->stream);
  lb__stream_reset(&w->stream);
  if (st != want || strstr(err.message, what) == NULL)
    fail_msg("want '%s', status %d: '%s', status %d", what, want, err.message, st);
  assert_memory_equal(&sums, &nothing, sizeof sums);
  world_deinit(w);
  world_init(w);
}

static void test_refusals(void **state) {
  (void)state;
  world w;
  world_init(&w);
  lb__divergence_term bad = terms[0];
  w.args.vocab = VS + 1;
  expect_refused(&w, LB_E_ARG, "vocabulary is 65 tokens; the student's head [64,24] F32");
  w.args.vocab = 0;
  expect_refused(&w, LB_E_ARG, "vocabulary is 0");
  w.args.teacher = NULL;
  expect_refused(&w, LB_E_ARG, "forward_kl needs a teacher");
  w.args.targets = NULL;
  expect_refused(&w, LB_E_ARG, "cross_entropy needs targets");
  w.args.n_terms = 9;
  expect_refused(&w, LB_E_ARG, "9 loss terms");
  w.args.chunk_tokens = -1;
  expect_refused(&w, LB_E_ARG, "chunk_tokens is -1");
  lb__tensor_i32(&w.targets)[9] = V;
  expect_refused(&w, LB_E_ARG, "target 61 of row 9 is outside the common vocabulary of 61");
  w.weight.t.dtype = LB_DTYPE_BF16;
  expect_refused(&w, LB_E_DTYPE, "want F32");
  lb_tensor short_hidden = lb__tensor_rows(&w.teacher_hidden, 0, 3);
  w.teacher.hidden = &short_hidden;
  expect_refused(&w, LB_E_SHAPE, "teacher's hidden [3,32]");
  lb_tensor narrow = floats(2, M, C - 1);
  w.args.student.hidden = &narrow;
  expect_refused(&w, LB_E_SHAPE, "x has 23 input features");
  lb__tensor_deinit(&narrow);
#define BAD(change, what)                                                                          \
  bad = terms[0], change, w.args.terms = &bad, w.args.n_terms = 1;                                 \
  expect_refused(&w, LB_E_ARG, what)
  BAD(bad.temperature = 0.0, "forward_kl: the temperature is 0, want");
  BAD(bad.temperature = (double)NAN, "the temperature is nan");
  BAD(bad.coefficient = (double)INFINITY, "the coefficient is inf");
  BAD(bad.factor = (double)NAN, "the factor is nan");
  BAD(bad.kind = LB__N_DIVERGENCES, "no kind 5");
  BAD((bad.kind = LB__DIVERGENCE_generalized_jsd, bad.parameter[0] = 1.5),
      "parameter is 1.5, want 0 to 1");
  BAD(bad.kind = LB__DIVERGENCE_cross_entropy, "cross_entropy: the temperature is 2, want 1");
  world_deinit(&w);
}

static void test_names(void **state) {
  (void)state;
  assert_string_equal(lb__divergence_name(LB__DIVERGENCE_forward_kl), "forward_kl");
  assert_string_equal(lb__divergence_name(-1), "?");
  assert_string_equal(lb__divergence_name(LB__N_DIVERGENCES), "?");
  assert_false(lb__divergence_needs_teacher(LB__DIVERGENCE_cross_entropy));
  assert_true(lb__divergence_needs_teacher(LB__DIVERGENCE_tvd));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_chunk_size_does_not_matter),
      cmocka_unit_test(test_micro_batches_of_unequal_length_are_the_whole_batch),
      cmocka_unit_test(test_threads_do_not_matter_at_all),
      cmocka_unit_test(test_all_masked_is_zero),
      cmocka_unit_test(test_no_targets_is_no_cross_entropy),
      cmocka_unit_test(test_a_masked_row_has_no_gradient),
      cmocka_unit_test(test_padding_rows_do_not_count),
      cmocka_unit_test(test_a_quantised_teacher_head),
      cmocka_unit_test(test_a_frozen_head_gets_no_gradient),
      cmocka_unit_test(test_without_a_tape_only_values),
      cmocka_unit_test(test_when_gradients_arrive),
      cmocka_unit_test(test_facts),
      cmocka_unit_test(test_facts_without_a_teacher),
      cmocka_unit_test(test_a_steady_step_allocates_nothing),
      cmocka_unit_test(test_memory_that_ends),
      cmocka_unit_test(test_logits_exist_for_one_chunk_only),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_names),
  };
  return cmocka_run_group_tests(tests, begin, NULL);
}

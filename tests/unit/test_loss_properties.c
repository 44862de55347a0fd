/* test_loss_properties.c - what must hold of every divergence, whatever the logits: ordinary ones,
 * +-1e4, excluded (-inf), one-hot; and the bugs that other programs had, each by its name. Through
 * the kernels that this machine selects (float32) and the readable ones in double. */
#include "kernels/kernels.h"
#include "ops/ops.h"
#include "tensor/tensor_data.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { CASES = 10000 };

/* ---- one row through one table ---- */

static lb__kernel_table tuned, exact;

typedef struct precision {
  const lb__kernel_table *table;
  lb_dtype real;
  double epsilon; /* what rounding makes of a probability of 1 or a logarithm of about 20 */
} precision;
static const precision precisions[] = {{&tuned, LB_DTYPE_F32, 4e-6}, {&exact, LB_DTYPE_F64, 1e-12}};

/* Logits of both sides, their softmaxes in double, and what the kernel said. */
typedef struct row {
  int64_t V;
  double *student, *teacher, *q, *p, *gradient;
} row;

static row row_new(int64_t V) {
  row r = {.V = V};
  double **all[] = {&r.student, &r.teacher, &r.q, &r.p, &r.gradient};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    *all[i] = calloc((size_t)V, sizeof(double));
    assert_non_null(*all[i]);
  }
  return r;
}

static void row_free(row *r) {
  free(r->student);
  free(r->teacher);
  free(r->q);
  free(r->p);
  free(r->gradient);
}

static lb_tensor tensor_of(const double *x, int64_t V, lb_dtype real) {
  lb_tensor t;
  assert_int_equal(lb__tensor_init(&t, real, 2, (int64_t[]){1, V}, NULL), LB_OK);
  for (int64_t v = 0; v < V; v++) {
    if (real == LB_DTYPE_F64)
      ((double *)lb__tensor_data(&t))[v] = x[v];
    else
      lb__tensor_f32(&t)[v] = (float)x[v];
  }
  return t;
}

/* The term's value; its gradient goes to r->gradient. */
static double run(const precision *k, row *r, lb__divergence_term term, int32_t target) {
  lb_tensor student = tensor_of(r->student, r->V, k->real);
  lb_tensor teacher = tensor_of(r->teacher, r->V, k->real), losses, targets;
  assert_int_equal(lb__tensor_init(&losses, LB_DTYPE_F64, 2, (int64_t[]){1, 1}, NULL), LB_OK);
  assert_int_equal(lb__tensor_init(&targets, LB_DTYPE_I32, 1, (int64_t[]){1}, NULL), LB_OK);
  lb__tensor_i32(&targets)[0] = target;
  lb__divergence_args args = {.student = &student,
                              .losses = &losses,
                              .teacher = &teacher,
                              .targets = &targets,
                              .vocab = r->V,
                              .terms = &term,
                              .n_terms = 1,
                              .scale = 1.0,
                              .gradient = true};
  size_t size = k->table->divergence_workspace ? k->table->divergence_workspace(&args) : 0;
  void *workspace = aligned_alloc(64, (size + 64) / 64 * 64);
  assert_int_equal(k->table->divergence(&args, workspace), LB_OK);
  for (int64_t v = 0; v < r->V; v++)
    r->gradient[v] = k->real == LB_DTYPE_F64 ? ((double *)lb__tensor_data(&student))[v]
                                             : (double)lb__tensor_f32(&student)[v];
  double value = *(double *)lb__tensor_data(&losses);
  lb_tensor *all[] = {&student, &teacher, &losses, &targets};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) lb__tensor_deinit(all[i]);
  free(workspace);
  return value;
}

static lb__divergence_term plain(int kind) {
  return (lb__divergence_term){.kind = kind, .coefficient = 1.0, .temperature = 1.0, .factor = 1.0};
}
static lb__divergence_term jsd(double beta) {
  lb__divergence_term t = plain(LB__DIVERGENCE_generalized_jsd);
  t.parameter[0] = beta;
  return t;
}
static double value_of(const precision *k, row *r, int kind) {
  return run(k, r, plain(kind), -100);
}

/* ---- random rows ---- */

static uint64_t seed = 99;

static double uniform(void) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (double)(seed >> 32) / 4294967296.0;
}

static void softmax(double *out, const double *x, int64_t V, double T) {
  double largest = -INFINITY, sum = 0.0;
  for (int64_t v = 0; v < V; v++) largest = fmax(largest, x[v]);
  for (int64_t v = 0; v < V; v++) sum += out[v] = exp((x[v] - largest) / T);
  for (int64_t v = 0; v < V; v++) out[v] /= sum;
}

static void draw_side(double *x, int64_t V, double spread, int shape) {
  for (int64_t v = 0; v < V; v++)
    x[v] = (double)(float)(spread * (uniform() + uniform() + uniform() - 1.5));
  if (shape == 1) x[(int64_t)(uniform() * (double)V)] = 1e4;
  if (shape == 2) x[(int64_t)(uniform() * (double)V)] = -1e4;
  if (shape == 3) { /* one-hot */
    for (int64_t v = 0; v < V; v++) x[v] = -1e4;
    x[(int64_t)(uniform() * (double)V)] = 1e4;
  }
}

/* Half of the rows are ordinary; in some both sides exclude the same tokens. */
static void draw(row *r) {
  double spread = exp(4.0 * uniform() - 2.0);
  draw_side(r->student, r->V, spread, uniform() < 0.5 ? 0 : (int)(4 * uniform()));
  draw_side(r->teacher, r->V, spread, uniform() < 0.5 ? 0 : (int)(4 * uniform()));
  if (uniform() < 0.2)
    for (int64_t v = 1; v < r->V; v++)
      if (uniform() < 0.3) r->student[v] = r->teacher[v] = -INFINITY;
}

typedef void property(const precision *k, row *r);

/* Small vocabularies by the thousand, a few large ones. */
static void for_all(property *holds) {
  static const int64_t large[] = {1000, 4097, 50257, 262144};
  for (size_t k = 0; k < sizeof precisions / sizeof *precisions; k++) {
    for (int i = 0; i < CASES; i++) {
      row r = row_new(2 + (int64_t)(62 * uniform()));
      draw(&r);
      holds(&precisions[k], &r);
      row_free(&r);
    }
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
      row r = row_new(large[i]);
      draw(&r);
      holds(&precisions[k], &r);
      row_free(&r);
    }
  }
}

static void expect_near(double got, double want, double allowed, const char *what) {
  if (!(fabs(got - want) <= allowed))
    fail_msg("%s: %.12g, want %.12g (+-%g)", what, got, want, allowed);
}

/* An error of k->epsilon in logarithms of about `size`. */
static double slack(const precision *k, double size) {
  return k->epsilon * (1.0 + fabs(size));
}

/* ---- properties ---- */

static const lb__divergence_term all_kinds[] = {
    {LB__DIVERGENCE_forward_kl, 1, 1, 1, {0}},
    {LB__DIVERGENCE_reverse_kl, 1, 1, 1, {0}},
    {LB__DIVERGENCE_generalized_jsd, 1, 1, 1, {.5}},
    {LB__DIVERGENCE_generalized_jsd, 1, 2, 4, {.1}},
    {LB__DIVERGENCE_tvd, 1, 1, 1, {0}},
    {LB__DIVERGENCE_forward_kl, 1, 3, 9, {0}},
};
enum { N_KINDS = sizeof all_kinds / sizeof *all_kinds };

static void not_negative(const precision *k, row *r) {
  for (int i = 0; i < N_KINDS; i++) {
    double value = run(k, r, all_kinds[i], -100);
    if (!(value >= -k->epsilon) || !isfinite(value))
      fail_msg("%s: %g", lb__divergence_name(all_kinds[i].kind), value);
    for (int64_t v = 0; v < r->V; v++) assert_true(isfinite(r->gradient[v]));
  }
}
static void test_no_divergence_is_negative(void **state) {
  (void)state;
  for_all(not_negative);
}

static void zero_for_itself(const precision *k, row *r) {
  double allowed = k->real == LB_DTYPE_F64 ? 1e-12 : 2e-7;
  memcpy(r->teacher, r->student, (size_t)r->V * sizeof *r->teacher);
  for (int i = 0; i < N_KINDS; i++) {
    bool exactly = k->real == LB_DTYPE_F32 && all_kinds[i].kind != LB__DIVERGENCE_generalized_jsd;
    double value = run(k, r, all_kinds[i], -100);
    expect_near(value, 0.0, exactly ? 0.0 : allowed, "loss of the teacher itself");
    for (int64_t v = 0; v < r->V; v++)
      expect_near(r->gradient[v], 0.0, exactly ? 0.0 : allowed, "gradient of the teacher itself");
  }
}
static void test_nothing_is_lost_or_learnt_from_oneself(void **state) {
  (void)state;
  for_all(zero_for_itself);
}

/* To within the rounding of the logarithms that it is made of. */
static void gradient_sums_to_zero(const precision *k, row *r) {
  for (int i = 0; i <= N_KINDS; i++) {
    int32_t target = (int32_t)(uniform() * (double)r->V);
    lb__divergence_term term = i < N_KINDS ? all_kinds[i] : plain(LB__DIVERGENCE_cross_entropy);
    double value = run(k, r, term, target), sum = 0.0, size = 0.0;
    for (int64_t v = 0; v < r->V; v++) {
      sum += r->gradient[v];
      size += fabs(r->gradient[v]);
    }
    expect_near(sum, 0.0, slack(k, size + value), "sum of the gradient");
  }
}
static void test_gradients_sum_to_zero(void **state) {
  (void)state;
  for_all(gradient_sums_to_zero);
}

static void shift_changes_nothing(const precision *k, row *r) {
  double before[N_KINDS];
  for (int64_t v = 0; v < r->V; v++) { /* so that adding 64 is exact in float32 */
    r->student[v] = rint(fmax(r->student[v], -1e5) * 256) / 256;
    r->teacher[v] = rint(fmax(r->teacher[v], -1e5) * 256) / 256;
  }
  for (int i = 0; i < N_KINDS; i++) before[i] = run(k, r, all_kinds[i], -100);
  for (int64_t v = 0; v < r->V; v++) r->student[v] += 64.0, r->teacher[v] -= 512.0;
  for (int i = 0; i < N_KINDS; i++)
    expect_near(run(k, r, all_kinds[i], -100), before[i], slack(k, before[i]), "shifted logits");
}
static void test_a_shift_changes_nothing(void **state) {
  (void)state;
  for_all(shift_changes_nothing);
}

/* methods.md's table: T (q - p) with the T^2 factor; q (log(q/p) - KL). */
static void closed_forms(const precision *k, row *r) {
  double T = 1.0 + 3.0 * uniform();
  lb__divergence_term warm = {LB__DIVERGENCE_forward_kl, 1.0, T, T * T, {0}};
  run(k, r, warm, -100);
  softmax(r->q, r->student, r->V, T);
  softmax(r->p, r->teacher, r->V, T);
  for (int64_t v = 0; v < r->V; v++)
    expect_near(r->gradient[v], T * (r->q[v] - r->p[v]), slack(k, 1.0) * T,
                "forward KL's gradient");
  double kl = value_of(k, r, LB__DIVERGENCE_reverse_kl);
  softmax(r->q, r->student, r->V, 1.0);
  softmax(r->p, r->teacher, r->V, 1.0);
  for (int64_t v = 0; v < r->V; v++) {
    if (r->p[v] < 1e-30 || r->q[v] < 1e-30) continue;
    expect_near(r->gradient[v], r->q[v] * (log(r->q[v] / r->p[v]) - kl), slack(k, kl),
                "reverse KL's gradient");
  }
}
static void test_closed_forms(void **state) {
  (void)state;
  for_all(closed_forms);
}

static void swap_sides(row *r) {
  double *student = r->student;
  r->student = r->teacher;
  r->teacher = student;
}

static double entropy_of(double beta) {
  return -beta * log(beta) - (1.0 - beta) * log1p(-beta);
}

static void jsd_bounds(const precision *k, row *r) {
  double beta = 0.01 + 0.98 * uniform(), half = run(k, r, jsd(0.5), -100);
  assert_true(half <= log(2.0) + k->epsilon);
  assert_true(run(k, r, jsd(beta), -100) <= entropy_of(beta) + k->epsilon);
  double mirrored = run(k, r, jsd(beta), -100);
  swap_sides(r);
  expect_near(run(k, r, jsd(0.5), -100), half, k->epsilon, "JSD is symmetric");
  expect_near(run(k, r, jsd(1.0 - beta), -100), mirrored, k->epsilon, "beta and 1 - beta");
}
static void test_jsd_is_symmetric_and_bounded(void **state) {
  (void)state;
  for_all(jsd_bounds);
}

/* trl #3043, #6780: at the ends TRL's convention, the KLs; just inside, beta times them. */
static void jsd_ends(const precision *k, row *r) {
  double forward = value_of(k, r, LB__DIVERGENCE_forward_kl);
  double reverse = value_of(k, r, LB__DIVERGENCE_reverse_kl);
  assert_true(run(k, r, jsd(0.0), -100) == forward);
  assert_true(run(k, r, jsd(1.0), -100) == reverse);
  double widest = 0.0;
  for (int64_t v = 0; v < r->V; v++)
    widest = fmax(widest, fmax(fabs(r->student[v]), fabs(r->teacher[v])));
  if (k->real != LB_DTYPE_F64 || widest > 3.0) return; /* where p/q is nowhere above 1e6 */
  expect_near(run(k, r, jsd(1e-9), -100) / 1e-9, forward, 1e-3 * (1.0 + forward), "JSD near 0");
  expect_near(run(k, r, jsd(1.0 - 1e-9), -100) / 1e-9, reverse, 1e-3 * (1.0 + reverse),
              "JSD near 1");
}
static void test_jsd_at_its_ends(void **state) {
  (void)state;
  for_all(jsd_ends);
}

static void tvd_bounds(const precision *k, row *r) {
  double tvd = value_of(k, r, LB__DIVERGENCE_tvd), kl = value_of(k, r, LB__DIVERGENCE_forward_kl);
  assert_true(tvd <= 1.0 + k->epsilon);
  assert_true(2.0 * tvd * tvd <= kl + slack(k, kl)); /* Pinsker */
}
static void test_tvd_is_bounded(void **state) {
  (void)state;
  for_all(tvd_bounds);
}

/* Tokens put together in one bucket can only look more alike. In double only: the bucket's logit is
 * another number, and float32 rounds one of 1e4 by 5e-4. */
static void buckets(const precision *k, row *r) {
  if (k->real != LB_DTYPE_F64) return;
  double full = value_of(k, r, LB__DIVERGENCE_forward_kl);
  int64_t kept = 1 + (int64_t)(uniform() * (double)(r->V - 1));
  row small = row_new(kept + 1);
  const double *from[] = {r->student, r->teacher};
  double *to[] = {small.student, small.teacher};
  for (int side = 0; side < 2; side++) {
    double largest = -INFINITY, sum = 0.0;
    memcpy(to[side], from[side], (size_t)kept * sizeof(double));
    for (int64_t v = kept; v < r->V; v++) largest = fmax(largest, from[side][v]);
    for (int64_t v = kept; v < r->V && largest > -INFINITY; v++)
      sum += exp(from[side][v] - largest);
    to[side][kept] = largest > -INFINITY ? largest + log(sum) : -INFINITY;
  }
  assert_true(value_of(k, &small, LB__DIVERGENCE_forward_kl) <= full + slack(k, full));
  row_free(&small);
}
static void test_top_k_and_rest_is_less_than_all(void **state) {
  (void)state;
  for_all(buckets);
}

/* ---- bugs of others ---- */

static row row_of(double p0, double q0) {
  row r = row_new(2);
  r.teacher[0] = log(p0), r.teacher[1] = log1p(-p0);
  r.student[0] = log(q0), r.student[1] = log1p(-q0);
  return r;
}

/* trl #2202: the mixture of log-probabilities instead of probabilities. p = (.5, .5), q = (.9, .1),
 * M = (.7, .3); by hand. */
static void test_trl_2202_jsd_mixes_probabilities(void **state) {
  (void)state;
  double kl_p = 0.5 * log(0.5 / 0.7) + 0.5 * log(0.5 / 0.3);
  double kl_q = 0.9 * log(0.9 / 0.7) + 0.1 * log(0.1 / 0.3);
  for (int k = 0; k < 2; k++) {
    row r = row_of(0.5, 0.9);
    expect_near(run(&precisions[k], &r, jsd(0.5), -100), 0.5 * kl_p + 0.5 * kl_q, 1e-7, "JSD");
    row_free(&r);
  }
}

/* trl #3043: beta weighs the teacher, in the mixture and before its KL. M = .2 p + .8 q. */
static void test_trl_3043_beta_is_the_teachers(void **state) {
  (void)state;
  double m = 0.2 * 0.5 + 0.8 * 0.9;
  double kl_p = 0.5 * log(0.5 / m) + 0.5 * log(0.5 / (1 - m));
  double kl_q = 0.9 * log(0.9 / m) + 0.1 * log(0.1 / (1 - m));
  for (int k = 0; k < 2; k++) {
    row r = row_of(0.5, 0.9);
    expect_near(run(&precisions[k], &r, jsd(0.2), -100), 0.2 * kl_p + 0.8 * kl_q, 1e-7, "JSD");
    row_free(&r);
  }
}

/* verl-recipe #151: beta clamped to 1 - 1e-6 gave losses of 2e-6 and no signal. */
static void test_verl_151_beta_1_trains(void **state) {
  (void)state;
  for (int k = 0; k < 2; k++) {
    row r = row_of(0.5, 0.9);
    assert_true(run(&precisions[k], &r, jsd(1.0), -100) > 0.3);
    assert_true(fabs(r.gradient[0]) > 0.1);
    row_free(&r);
  }
}

/* trl #4105, sparseml #592: `batchmean` divided by the vocabulary too. Tokens that both exclude,
 * and so a larger vocabulary, change nothing. */
static void test_trl_4105_not_divided_by_the_vocabulary(void **state) {
  (void)state;
  for (int k = 0; k < 2; k++) {
    row small = row_of(0.5, 0.9), large = row_new(1000);
    for (int64_t v = 0; v < 1000; v++) large.student[v] = large.teacher[v] = -INFINITY;
    memcpy(large.student, small.student, 2 * sizeof(double));
    memcpy(large.teacher, small.teacher, 2 * sizeof(double));
    for (int i = 0; i < N_KINDS; i++)
      expect_near(run(&precisions[k], &large, all_kinds[i], -100),
                  run(&precisions[k], &small, all_kinds[i], -100), 1e-7, "a larger vocabulary");
    row_free(&small);
    row_free(&large);
  }
}

/* EasyDeL #267: 248,320 tokens summed in bfloat16 made a KL of 0.025 out of 0, or a negative one.
 */
static void test_easydel_267_large_vocabularies_add_no_bias(void **state) {
  (void)state;
  row r = row_new(248320);
  draw_side(r.teacher, r.V, 3.0, 0);
  for (int64_t v = 0; v < r.V; v++) r.student[v] = (double)(float)(r.teacher[v] + 1e-3 * uniform());
  double wanted = value_of(&precisions[1], &r, LB__DIVERGENCE_forward_kl);
  double found = value_of(&precisions[0], &r, LB__DIVERGENCE_forward_kl);
  assert_true(wanted > 2e-8 && wanted < 1e-6);
  expect_near(found, wanted, 1e-8, "a KL of nearly nothing");
  assert_true(found >= 0.0);
  row_free(&r);
}

/* annotated_deep_learning #66: the teacher's logits on both sides, so that nothing was learnt. */
static void test_labml_66_both_sides_are_looked_at(void **state) {
  (void)state;
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < N_KINDS; i++) {
      row r = row_of(0.5, 0.9);
      double before = run(&precisions[k], &r, all_kinds[i], -100);
      r.teacher[0] += 1.0;
      double other_teacher = run(&precisions[k], &r, all_kinds[i], -100);
      r.student[1] += 1.0;
      assert_true(fabs(other_teacher - before) > 1e-3);
      assert_true(fabs(run(&precisions[k], &r, all_kinds[i], -100) - other_teacher) > 1e-3);
      row_free(&r);
    }
}

/* mlx-lm #1700: -3.39e38 in the gradient of logits that lie far apart. */
static void test_mlx_1700_gradients_do_not_overflow(void **state) {
  (void)state;
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < N_KINDS; i++) {
      row r = row_new(2);
      r.teacher[0] = 1e4, r.teacher[1] = -1e4, r.student[0] = -1e4, r.student[1] = 1e4;
      double T = all_kinds[i].temperature;
      assert_true(isfinite(run(&precisions[k], &r, all_kinds[i], -100)));
      assert_true(fabs(r.gradient[0]) <= all_kinds[i].factor / T * 2.1e4);
      row_free(&r);
    }
}

/* trl #5731: half cross-entropy crept in. A term that is not asked for is not there. */
static void test_trl_5731_only_what_was_asked_for(void **state) {
  (void)state;
  for (int k = 0; k < 2; k++) {
    row r = row_of(0.5, 0.9);
    double without = run(&precisions[k], &r, jsd(0.5), -100), gradient = r.gradient[0];
    assert_true(run(&precisions[k], &r, jsd(0.5), 1) == without && r.gradient[0] == gradient);
    row_free(&r);
  }
}

/* What is infinite is said to be: the trainer skips the step; forward KL's gradient is fine even
 * so. */
static void test_an_infinite_divergence_is_infinite(void **state) {
  (void)state;
  for (int k = 0; k < 2; k++) {
    row r = row_of(0.5, 0.9);
    r.student[0] = -INFINITY;
    assert_true(value_of(&precisions[k], &r, LB__DIVERGENCE_forward_kl) == INFINITY);
    expect_near(r.gradient[0], -0.5, 1e-6, "gradient");
    expect_near(run(&precisions[k], &r, jsd(0.5), -100),
                0.5 * (0.5 * log(2.0) + 0.5 * log(0.5 / 0.75)) + 0.5 * log(1 / 0.75), 1e-6,
                "JSD stays finite");
    row_free(&r);
  }
}

static int begin(void **state) {
  (void)state;
  lb_threads_set(1);
  if (lb__kernels_fill(&exact, "reference", NULL) != LB_OK) return -1;
  return lb__kernels_fill(&tuned, NULL, NULL) == LB_OK ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_no_divergence_is_negative),
      cmocka_unit_test(test_nothing_is_lost_or_learnt_from_oneself),
      cmocka_unit_test(test_gradients_sum_to_zero),
      cmocka_unit_test(test_a_shift_changes_nothing),
      cmocka_unit_test(test_closed_forms),
      cmocka_unit_test(test_jsd_is_symmetric_and_bounded),
      cmocka_unit_test(test_jsd_at_its_ends),
      cmocka_unit_test(test_tvd_is_bounded),
      cmocka_unit_test(test_top_k_and_rest_is_less_than_all),
      cmocka_unit_test(test_trl_2202_jsd_mixes_probabilities),
      cmocka_unit_test(test_trl_3043_beta_is_the_teachers),
      cmocka_unit_test(test_verl_151_beta_1_trains),
      cmocka_unit_test(test_trl_4105_not_divided_by_the_vocabulary),
      cmocka_unit_test(test_easydel_267_large_vocabularies_add_no_bias),
      cmocka_unit_test(test_labml_66_both_sides_are_looked_at),
      cmocka_unit_test(test_mlx_1700_gradients_do_not_overflow),
      cmocka_unit_test(test_trl_5731_only_what_was_asked_for),
      cmocka_unit_test(test_an_infinite_divergence_is_infinite),
  };
  return cmocka_run_group_tests(tests, begin, NULL);
}

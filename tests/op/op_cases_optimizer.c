/* op_cases_optimizer.c - the optimizer. See op_cases.h. */
#include "op_case_parts.h"

/* p: n */
static void run_sum_squares(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor x = floats(1, c->p[0], 1, 1);
  double sum = 3.0; /* added to */
  lb__sum_squares_args args = {.x = &x, .sum = &sum};
  RUN(sum_squares, args);
  keep(result, sum);
  lb__tensor_deinit(&x);
}
SEEDED(sum_squares)

/* p: n, step, weight decay in thousandths, gradient scale in thousandths */
static void run_adamw(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor t[4];
  for (int i = 0; i < 4; i++) t[i] = floats(1, c->p[0], 1, 1);
  float *v = lb__tensor_f32(&t[3]);
  for (int64_t i = 0; i < c->p[0]; i++) v[i] *= v[i]; /* a mean of squares */
  lb__adamw_args args = {.parameter = &t[0],
                         .gradient = &t[1],
                         .exp_avg = &t[2],
                         .exp_avg_sq = &t[3],
                         .learning_rate = 0.01,
                         .beta1 = 0.9,
                         .beta2 = 0.999,
                         .eps = 1e-8,
                         .weight_decay = (double)c->p[2] / 1000.0,
                         .gradient_scale = (double)c->p[3] / 1000.0,
                         .step = c->p[1]};
  RUN(adamw, args);
  for (int i = 0; i < 4; i++) keep_floats(result, &t[i]);
  for (int i = 0; i < 4; i++) lb__tensor_deinit(&t[i]);
}
SEEDED(adamw)

/* clang-format off */
static const op_case cases[] = {
    CASE(sum_squares, LB_TOL_SUM_SQUARES, "one", 1),
    CASE(sum_squares, LB_TOL_SUM_SQUARES, "odd", 1003),
    CASE(sum_squares, LB_TOL_SUM_SQUARES, "several chunks", 70001),
    CASE(sum_squares, LB_TOL_SUM_SQUARES, "more than one round", 8388608 + 16391),
    CASE(sum_squares, LB_TOL_EXACT, "none", 0),
    CASE(adamw, LB_TOL_ADAMW, "first step", 1000, 1, 0, 1000),
    CASE(adamw, LB_TOL_ADAMW, "decay and clip", 4099, 7, 100, 250),
    CASE(adamw, LB_TOL_ADAMW, "late step", 33333, 100000, 10, 1000),
    CASE(adamw, LB_TOL_ADAMW, "three", 3, 2, 10, 500),
    CASE(adamw, LB_TOL_ADAMW, "none", 0, 1, 0, 1000),
};
/* clang-format on */

const op_case_list op_cases_optimizer = {cases, sizeof cases / sizeof *cases};

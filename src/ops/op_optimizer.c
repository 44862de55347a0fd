/* op_optimizer.c - what looks at parameters and their gradients between steps. Contracts: ops.h. */
#include "op_check.h"

lb_status lb__op_sum_squares(double *sum, const lb_tensor *x, lb_error *err) {
  lb_status st = lb__op_check_dtype(LB__OP_sum_squares, "x", x, LB_DTYPE_F32, err);
  if (st != LB_OK) return st;
  lb__sum_squares_args args = {.x = x, .sum = sum};
  return lb__run_sum_squares(NULL, &args, err);
}

/* Same numbers of elements, whatever the shapes: moments are kept flat. */
static lb_status check_like_parameter(const lb_tensor *parameter, const char *name,
                                      const lb_tensor *t, lb_error *err) {
  static const lb__op OP = LB__OP_adamw;
  lb_status st = lb__op_check_dtype(OP, name, t, LB_DTYPE_F32, err);
  if (st != LB_OK || lb__tensor_elements(t) == lb__tensor_elements(parameter)) return st;
  return lb__op_fail_pair(err, OP, (lb__named){"parameter", parameter}, (lb__named){name, t},
                          "want as many elements");
}

/* Written so that NaN is refused too. */
static lb_status check_numbers(const lb__adamw_args *a, lb_error *err) {
  if (!(a->beta1 >= 0 && a->beta1 < 1) || !(a->beta2 >= 0 && a->beta2 < 1))
    return lb__fail(err, LB_E_ARG, "adamw: betas %g and %g: want 0 <= beta < 1", a->beta1,
                    a->beta2);
  if (!(a->eps >= 0)) return lb__fail(err, LB_E_ARG, "adamw: eps %g: want >= 0", a->eps);
  if (a->step < 1)
    return lb__fail(err, LB_E_ARG, "adamw: step %lld: steps count from 1", (long long)a->step);
  return LB_OK;
}

lb_status lb__op_adamw(const lb__adamw_args *a, lb_error *err) {
  lb_status st = lb__op_check_dtype(LB__OP_adamw, "parameter", a->parameter, LB_DTYPE_F32, err);
  if (st == LB_OK) st = check_like_parameter(a->parameter, "gradient", a->gradient, err);
  if (st == LB_OK) st = check_like_parameter(a->parameter, "exp_avg", a->exp_avg, err);
  if (st == LB_OK) st = check_like_parameter(a->parameter, "exp_avg_sq", a->exp_avg_sq, err);
  if (st == LB_OK) st = check_numbers(a, err);
  return st != LB_OK ? st : lb__run_adamw(NULL, a, err);
}

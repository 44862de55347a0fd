/* ref_elementwise.c - one element at a time; results may overwrite inputs. */
#include "reference.h"

#include <math.h>

double lb__ref_act_value(double x, lb__act_kind kind) {
  const double pi = 3.14159265358979323846;
  switch (kind) {
  case LB__ACT_GELU_TANH:
    return 0.5 * x * (1.0 + tanh(sqrt(2.0 / pi) * (x + 0.044715 * x * x * x)));
  case LB__ACT_GELU_ERF: return 0.5 * x * (1.0 + erf(x / sqrt(2.0)));
  case LB__ACT_SILU: return x / (1.0 + exp(-x));
  case LB__ACT_RELU: return x < 0.0 ? 0.0 : x; /* NaN stays NaN */
  }
  return x;
}

lb_status lb__ref_act(const lb__act_args *a, void *workspace) {
  (void)workspace;
  int64_t n = lb__tensor_elements(a->x);
  for (int64_t i = 0; i < n; i++)
    lb__ref_put(a->out, i, lb__ref_act_value(lb__ref_get(a->x, i), a->kind));
  return LB_OK;
}

lb_status lb__ref_act_mul(const lb__act_mul_args *a, void *workspace) {
  (void)workspace;
  int64_t n = lb__tensor_elements(a->gate);
  for (int64_t i = 0; i < n; i++) {
    double activated = lb__ref_act_value(lb__ref_get(a->gate, i), a->kind);
    lb__ref_put(a->out, i, activated * lb__ref_get(a->up, i));
  }
  return LB_OK;
}

lb_status lb__ref_add(const lb__add_args *args, void *workspace) {
  (void)workspace;
  int64_t n = lb__tensor_elements(args->a);
  for (int64_t i = 0; i < n; i++)
    lb__ref_put(args->out, i, lb__ref_get(args->a, i) + lb__ref_get(args->b, i));
  return LB_OK;
}

lb_status lb__ref_scale(const lb__scale_args *a, void *workspace) {
  (void)workspace;
  int64_t n = lb__tensor_elements(a->x);
  for (int64_t i = 0; i < n; i++) lb__ref_put(a->out, i, lb__ref_get(a->x, i) * (double)a->factor);
  return LB_OK;
}

lb_status lb__ref_softcap(const lb__softcap_args *a, void *workspace) {
  (void)workspace;
  int64_t n = lb__tensor_elements(a->x);
  double cap = (double)a->cap;
  for (int64_t i = 0; i < n; i++) lb__ref_put(a->out, i, cap * tanh(lb__ref_get(a->x, i) / cap));
  return LB_OK;
}

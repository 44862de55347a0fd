/* ref_elementwise_bwd.c - gradients of what looks at one element at a time: dout times the
 * derivative, added. A gradient that is NULL is not wanted. */
#include "reference.h"

#include <math.h>

/* d act(x) / dx, by the product and chain rules on lb__ref_act_value. */
double lb__ref_act_slope(double x, lb__act_kind kind) {
  const double pi = 3.14159265358979323846;
  switch (kind) {
  case LB__ACT_GELU_TANH: {
    double t = tanh(sqrt(2.0 / pi) * (x + 0.044715 * x * x * x));
    double du = sqrt(2.0 / pi) * (1.0 + 3.0 * 0.044715 * x * x);
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * du;
  }
  case LB__ACT_GELU_ERF: /* the normal distribution's integral, plus x times its density */
    return 0.5 * (1.0 + erf(x / sqrt(2.0))) + x * exp(-0.5 * x * x) / sqrt(2.0 * pi);
  case LB__ACT_SILU: {
    double s = 1.0 / (1.0 + exp(-x));
    return s * (1.0 + x * (1.0 - s));
  }
  case LB__ACT_RELU: return x > 0.0 ? 1.0 : x <= 0.0 ? 0.0 : x; /* NaN stays NaN */
  }
  return 1.0;
}

lb_status lb__ref_act_bwd(const lb__act_bwd_args *a, void *workspace) {
  (void)workspace;
  int64_t n = lb__tensor_elements(a->x);
  for (int64_t i = 0; i < n; i++) {
    double slope = lb__ref_act_slope(lb__ref_get(a->x, i), a->kind);
    lb__ref_add_to(a->dx, i, lb__ref_get(a->dout, i) * slope);
  }
  return LB_OK;
}

/* out = act(gate) * up */
lb_status lb__ref_act_mul_bwd(const lb__act_mul_bwd_args *a, void *workspace) {
  (void)workspace;
  int64_t n = lb__tensor_elements(a->gate);
  for (int64_t i = 0; i < n; i++) {
    double dout = lb__ref_get(a->dout, i), gate = lb__ref_get(a->gate, i);
    double up = lb__ref_get(a->up, i);
    if (a->dgate != NULL) lb__ref_add_to(a->dgate, i, dout * up * lb__ref_act_slope(gate, a->kind));
    if (a->dup != NULL) lb__ref_add_to(a->dup, i, dout * lb__ref_act_value(gate, a->kind));
  }
  return LB_OK;
}

/* tanh' = 1 - tanh^2, and out / cap is the tanh */
lb_status lb__ref_softcap_bwd(const lb__softcap_bwd_args *a, void *workspace) {
  (void)workspace;
  int64_t n = lb__tensor_elements(a->out);
  for (int64_t i = 0; i < n; i++) {
    double t = lb__ref_get(a->out, i) / (double)a->cap;
    lb__ref_add_to(a->dx, i, lb__ref_get(a->dout, i) * (1.0 - t * t));
  }
  return LB_OK;
}

lb_status lb__ref_add_scaled(const lb__add_scaled_args *a, void *workspace) {
  (void)workspace;
  int64_t n = lb__tensor_elements(a->x);
  for (int64_t i = 0; i < n; i++)
    lb__ref_add_to(a->out, i, (double)a->factor * lb__ref_get(a->x, i));
  return LB_OK;
}

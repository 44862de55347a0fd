/* ref_elementwise.c - one element at a time; results may overwrite inputs. */
#include "reference.h"

#include "tensor/tensor_data.h"

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
  const float *x = lb__tensor_f32(a->x);
  float *out = lb__tensor_f32(a->out);
  int64_t n = lb__tensor_elements(a->x);
  for (int64_t i = 0; i < n; i++) out[i] = (float)lb__ref_act_value((double)x[i], a->kind);
  return LB_OK;
}

lb_status lb__ref_act_mul(const lb__act_mul_args *a, void *workspace) {
  (void)workspace;
  const float *gate = lb__tensor_f32(a->gate), *up = lb__tensor_f32(a->up);
  float *out = lb__tensor_f32(a->out);
  int64_t n = lb__tensor_elements(a->gate);
  for (int64_t i = 0; i < n; i++)
    out[i] = (float)(lb__ref_act_value((double)gate[i], a->kind) * (double)up[i]);
  return LB_OK;
}

lb_status lb__ref_add(const lb__add_args *args, void *workspace) {
  (void)workspace;
  const float *a = lb__tensor_f32(args->a), *b = lb__tensor_f32(args->b);
  float *out = lb__tensor_f32(args->out);
  int64_t n = lb__tensor_elements(args->a);
  for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
  return LB_OK;
}

lb_status lb__ref_scale(const lb__scale_args *a, void *workspace) {
  (void)workspace;
  const float *x = lb__tensor_f32(a->x);
  float *out = lb__tensor_f32(a->out);
  int64_t n = lb__tensor_elements(a->x);
  for (int64_t i = 0; i < n; i++) out[i] = x[i] * a->factor;
  return LB_OK;
}

lb_status lb__ref_softcap(const lb__softcap_args *a, void *workspace) {
  (void)workspace;
  const float *x = lb__tensor_f32(a->x);
  float *out = lb__tensor_f32(a->out);
  int64_t n = lb__tensor_elements(a->x);
  double cap = (double)a->cap;
  for (int64_t i = 0; i < n; i++) out[i] = (float)(cap * tanh((double)x[i] / cap));
  return LB_OK;
}

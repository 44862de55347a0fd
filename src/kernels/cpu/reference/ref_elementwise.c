/* ref_elementwise.c - act, act_mul, add, scale, softcap, rms_norm, layer_norm, rope. */
#include "reference.h"

#include "tensor/tensor_data.h"

#include <math.h>

static double activate(lb__act_kind kind, double x) {
  switch (kind) {
  case LB__ACT_GELU_TANH:
    return 0.5 * x * (1.0 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
  case LB__ACT_GELU_ERF: return 0.5 * x * (1.0 + erf(x * 0.7071067811865476));
  case LB__ACT_SILU: return x / (1.0 + exp(-x));
  case LB__ACT_RELU: return x > 0.0 ? x : 0.0 * x; /* a NaN stays one */
  }
  return x;
}

lb_status lb__reference_act(const lb__act_args *a, void *workspace) {
  (void)workspace;
  for (int64_t i = 0; i < lb__tensor_elements(a->x); i++)
    lb__tensor_f32(a->out)[i] = (float)activate(a->kind, (double)lb__tensor_f32(a->x)[i]);
  return LB_OK;
}

lb_status lb__reference_act_mul(const lb__act_mul_args *a, void *workspace) {
  (void)workspace;
  const float *gate = lb__tensor_f32(a->gate), *up = lb__tensor_f32(a->up);
  for (int64_t i = 0; i < lb__tensor_elements(a->gate); i++)
    lb__tensor_f32(a->out)[i] = (float)(activate(a->kind, (double)gate[i]) * (double)up[i]);
  return LB_OK;
}

lb_status lb__reference_add(const lb__add_args *a, void *workspace) {
  (void)workspace;
  for (int64_t i = 0; i < lb__tensor_elements(a->a); i++)
    lb__tensor_f32(a->out)[i] = lb__tensor_f32(a->a)[i] + lb__tensor_f32(a->b)[i];
  return LB_OK;
}

lb_status lb__reference_scale(const lb__scale_args *a, void *workspace) {
  (void)workspace;
  for (int64_t i = 0; i < lb__tensor_elements(a->x); i++)
    lb__tensor_f32(a->out)[i] = lb__tensor_f32(a->x)[i] * a->factor;
  return LB_OK;
}

lb_status lb__reference_softcap(const lb__softcap_args *a, void *workspace) {
  (void)workspace;
  double cap = (double)a->cap;
  for (int64_t i = 0; i < lb__tensor_elements(a->x); i++)
    lb__tensor_f32(a->out)[i] = (float)(cap * tanh((double)lb__tensor_f32(a->x)[i] / cap));
  return LB_OK;
}

lb_status lb__reference_rms_norm(const lb__rms_norm_args *a, void *workspace) {
  (void)workspace;
  int64_t D = lb__tensor_row_length(a->x), N = lb__tensor_n_rows(a->x);
  const float *w = lb__tensor_f32(a->weight);
  for (int64_t n = 0; n < N; n++) {
    const float *x = lb__tensor_f32(a->x) + n * D;
    float *out = lb__tensor_f32(a->out) + n * D;
    double squares = 0.0;
    for (int64_t d = 0; d < D; d++) squares += (double)x[d] * (double)x[d];
    double inverse = 1.0 / sqrt(squares / (double)D + (double)a->eps);
    for (int64_t d = 0; d < D; d++)
      out[d] = (float)((double)x[d] * inverse * ((double)w[d] + (double)a->weight_offset));
  }
  return LB_OK;
}

lb_status lb__reference_layer_norm(const lb__layer_norm_args *a, void *workspace) {
  (void)workspace;
  int64_t D = lb__tensor_row_length(a->x), N = lb__tensor_n_rows(a->x);
  const float *w = lb__tensor_f32(a->weight);
  for (int64_t n = 0; n < N; n++) {
    const float *x = lb__tensor_f32(a->x) + n * D;
    float *out = lb__tensor_f32(a->out) + n * D;
    double mean = 0.0, variance = 0.0;
    for (int64_t d = 0; d < D; d++) mean += (double)x[d] / (double)D;
    for (int64_t d = 0; d < D; d++)
      variance += ((double)x[d] - mean) * ((double)x[d] - mean) / (double)D;
    double inverse = 1.0 / sqrt(variance + (double)a->eps);
    for (int64_t d = 0; d < D; d++) {
      double bias = a->bias != NULL ? (double)lb__tensor_f32(a->bias)[d] : 0.0;
      out[d] = (float)(((double)x[d] - mean) * inverse * (double)w[d] + bias);
    }
  }
  return LB_OK;
}

lb_status lb__reference_rope(const lb__rope_args *a, void *workspace) {
  (void)workspace;
  int64_t N = a->x->shape[0], H = a->x->shape[1], D = a->x->shape[2], half = a->inv_freq->shape[0];
  for (int64_t n = 0; n < N; n++) {
    for (int64_t j = 0; j < half; j++) {
      float angle = (float)lb__tensor_i32(a->positions)[n] * lb__tensor_f32(a->inv_freq)[j];
      double c = cos((double)angle) * (double)a->magnitude;
      double s = sin((double)angle) * (double)a->magnitude;
      for (int64_t h = 0; h < H; h++) {
        float *x = lb__tensor_f32(a->x) + (n * H + h) * D;
        double first = (double)x[j], second = (double)x[j + half];
        x[j] = (float)(first * c - second * s);
        x[j + half] = (float)(second * c + first * s);
      }
    }
  }
  return LB_OK;
}

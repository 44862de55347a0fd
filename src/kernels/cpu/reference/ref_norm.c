/* ref_norm.c - normalising rows. x and out may be the same tensor: a row's sums are complete before
 * its first element is written. */
#include "reference.h"

#include "tensor/tensor_data.h"

#include <math.h>

/* out = x / sqrt(mean(x^2) + eps) * (weight + offset) */
lb_status lb__ref_rms_norm(const lb__rms_norm_args *a, void *workspace) {
  (void)workspace;
  int64_t N = lb__tensor_n_rows(a->x), C = lb__tensor_row_length(a->x);
  const float *x = lb__tensor_f32(a->x), *weight = lb__tensor_f32(a->weight); /* [N,C], [C] */
  float *out = lb__tensor_f32(a->out);                                        /* [N,C] */
  for (int64_t n = 0; n < N; n++, x += C, out += C) {
    double squares = 0.0;
    for (int64_t c = 0; c < C; c++) squares += (double)x[c] * (double)x[c];
    double scale = 1.0 / sqrt(squares / (double)C + (double)a->eps);
    for (int64_t c = 0; c < C; c++)
      out[c] = (float)((double)x[c] * scale * ((double)weight[c] + (double)a->weight_offset));
  }
  return LB_OK;
}

/* out = (x - mean) / sqrt(mean((x - mean)^2) + eps) * weight + bias */
lb_status lb__ref_layer_norm(const lb__layer_norm_args *a, void *workspace) {
  (void)workspace;
  int64_t N = lb__tensor_n_rows(a->x), C = lb__tensor_row_length(a->x);
  const float *x = lb__tensor_f32(a->x), *weight = lb__tensor_f32(a->weight); /* [N,C], [C] */
  const float *bias = a->bias ? lb__tensor_f32(a->bias) : NULL;               /* [C] */
  float *out = lb__tensor_f32(a->out);                                        /* [N,C] */
  for (int64_t n = 0; n < N; n++, x += C, out += C) {
    double mean = 0.0, variance = 0.0;
    for (int64_t c = 0; c < C; c++) mean += (double)x[c] / (double)C;
    for (int64_t c = 0; c < C; c++) variance += pow((double)x[c] - mean, 2) / (double)C;
    double scale = 1.0 / sqrt(variance + (double)a->eps);
    for (int64_t c = 0; c < C; c++)
      out[c] = (float)(((double)x[c] - mean) * scale * (double)weight[c] +
                       (bias ? (double)bias[c] : 0.0));
  }
  return LB_OK;
}

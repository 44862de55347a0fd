/* ref_norm.c - normalising rows. x and out may be the same tensor: a row's sums are complete before
 * its first element is written. */
#include "reference.h"

#include <math.h>

lb__row_moments lb__ref_row_moments(const lb_tensor *x, int64_t n, bool centred, double eps) {
  int64_t C = lb__tensor_row_length(x);
  double mean = 0.0, squares = 0.0;
  for (int64_t c = 0; c < C && centred; c++) mean += lb__ref_get(x, n * C + c) / (double)C;
  for (int64_t c = 0; c < C; c++) squares += pow(lb__ref_get(x, n * C + c) - mean, 2);
  return (lb__row_moments){.mean = mean, .scale = 1.0 / sqrt(squares / (double)C + eps)};
}

/* out = x / sqrt(mean(x^2) + eps) * (weight + offset) */
lb_status lb__ref_rms_norm(const lb__rms_norm_args *a, void *workspace) {
  (void)workspace;
  int64_t N = lb__tensor_n_rows(a->x), C = lb__tensor_row_length(a->x);
  for (int64_t n = 0; n < N; n++) {
    lb__row_moments row = lb__ref_row_moments(a->x, n, false, (double)a->eps);
    for (int64_t c = 0; c < C; c++) {
      double weight = lb__ref_get(a->weight, c) + (double)a->weight_offset;
      lb__ref_put(a->out, n * C + c, lb__ref_get(a->x, n * C + c) * row.scale * weight);
    }
  }
  return LB_OK;
}

/* out = (x - mean) / sqrt(mean((x - mean)^2) + eps) * weight + bias */
lb_status lb__ref_layer_norm(const lb__layer_norm_args *a, void *workspace) {
  (void)workspace;
  int64_t N = lb__tensor_n_rows(a->x), C = lb__tensor_row_length(a->x);
  for (int64_t n = 0; n < N; n++) {
    lb__row_moments row = lb__ref_row_moments(a->x, n, true, (double)a->eps);
    for (int64_t c = 0; c < C; c++) {
      double normal = (lb__ref_get(a->x, n * C + c) - row.mean) * row.scale;
      double bias = a->bias != NULL ? lb__ref_get(a->bias, c) : 0.0;
      lb__ref_put(a->out, n * C + c, normal * lb__ref_get(a->weight, c) + bias);
    }
  }
  return LB_OK;
}

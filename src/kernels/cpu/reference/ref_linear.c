/* ref_linear.c - out[n,o] = sum_i x[n,i] weight[o,i] + bias[o]. */
#include "reference.h"

#include "base/threads.h"
#include "kernels/cpu/blocks.h"
#include "kernels/cpu/halves.h"
#include "kernels/cpu/linear_quantized.h"

/* With LB__COMPUTE_BF16 both factors are rounded to bfloat16 before they are multiplied. */
double lb__ref_factor(double x, lb__compute compute) {
  return compute == LB__COMPUTE_BF16 ? (double)lb__bf16_to_f32(lb__bf16_from_f32((float)x)) : x;
}

void lb__ref_weight_row(double *out, const lb_tensor *weight, int64_t row, lb_dtype real,
                        float *scratch) {
  int64_t C = weight->shape[1];
  if (weight->dtype == LB_DTYPE_F64 && real == LB_DTYPE_F64) {
    for (int64_t c = 0; c < C; c++) out[c] = lb__ref_get(weight, row * C + c);
    return;
  }
  size_t row_bytes = weight->size_bytes / (size_t)weight->shape[0];
  const char *bytes = (const char *)lb__tensor_data(weight) + (size_t)row * row_bytes;
  lb__ref_row_to_f32(weight->dtype)(scratch, bytes, C);
  for (int64_t c = 0; c < C; c++) out[c] = (double)scratch[c];
}

typedef struct job {
  const lb__linear_args *args;
  double *rows; /* [threads, I + I / 2 + 1]: one row of the weight for each thread, and floats */
} job;

/* x[n,:] . row */
static double dot(const lb_tensor *x, int64_t n, const double *row, lb__compute compute) {
  int64_t I = x->shape[1];
  double sum = 0.0;
  for (int64_t i = 0; i < I; i++)
    sum += lb__ref_factor(lb__ref_get(x, n * I + i), compute) * row[i];
  return sum;
}

static int64_t row_doubles(int64_t I) {
  return I + I / 2 + 1;
}

/* Output features begin .. end-1, for all tokens. */
static void features(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  const lb__linear_args *a = j->args;
  int64_t N = a->x->shape[0], I = a->x->shape[1], O = a->weight->shape[0];
  double *row = j->rows + lb__thread_index() * row_doubles(I);
  for (int64_t o = begin; o < end; o++) {
    lb__ref_weight_row(row, a->weight, o, a->x->dtype, (float *)(row + I));
    for (int64_t i = 0; i < I; i++) row[i] = lb__ref_factor(row[i], a->compute);
    double bias = a->bias != NULL ? lb__ref_get(a->bias, o) : 0.0;
    for (int64_t n = 0; n < N; n++)
      lb__ref_put(a->out, n * O + o, dot(a->x, n, row, a->compute) + bias);
  }
}

size_t lb__ref_linear_workspace(const lb__linear_args *args) {
  if (lb__quantized_wanted(args)) return lb__quantized_linear_workspace(args);
  return (size_t)lb_threads_get() * (size_t)row_doubles(args->x->shape[1]) * sizeof(double);
}

lb_status lb__ref_linear(const lb__linear_args *args, void *workspace) {
  if (lb__quantized_wanted(args)) return lb__quantized_linear(args, workspace);
  job j = {.args = args, .rows = workspace};
  lb__parallel_for(args->weight->shape[0], 1, features, &j);
  return LB_OK;
}

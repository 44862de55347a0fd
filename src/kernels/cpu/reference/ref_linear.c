/* ref_linear.c - out[n,o] = sum_i x[n,i] weight[o,i] + bias[o]. */
#include "reference.h"

#include "base/threads.h"
#include "kernels/cpu/blocks.h"
#include "kernels/cpu/halves.h"
#include "tensor/tensor_data.h"

typedef struct job {
  const lb__linear_args *args;
  float *rows;      /* [threads, I]: one decoded row of the weight for each thread */
  size_t row_bytes; /* of the weight */
} job;

/* With LB__COMPUTE_BF16 both factors are rounded to bfloat16 before they are multiplied. */
static float rounded(float x, lb__compute compute) {
  return compute == LB__COMPUTE_BF16 ? lb__bf16_to_f32(lb__bf16_from_f32(x)) : x;
}

static double dot(const float *x, const float *w, int64_t I, lb__compute compute) {
  double sum = 0.0;
  for (int64_t i = 0; i < I; i++)
    sum += (double)rounded(x[i], compute) * (double)rounded(w[i], compute);
  return sum;
}

/* Output features begin .. end-1, for all tokens. */
static void features(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  const lb__linear_args *a = j->args;
  int64_t N = a->x->shape[0], I = a->x->shape[1], O = a->weight->shape[0];
  const float *x = lb__tensor_f32(a->x), *bias = a->bias ? lb__tensor_f32(a->bias) : NULL;
  const char *weight = lb__tensor_data(a->weight);
  float *out = lb__tensor_f32(a->out), *row = j->rows + lb__thread_index() * I;
  for (int64_t o = begin; o < end; o++) {
    lb__ref_row_to_f32(a->weight->dtype)(row, weight + (size_t)o * j->row_bytes, I);
    for (int64_t n = 0; n < N; n++) {
      double sum = dot(x + n * I, row, I, a->compute);
      out[n * O + o] = (float)(sum + (bias ? (double)bias[o] : 0.0));
    }
  }
}

size_t lb__ref_linear_workspace(const lb__linear_args *args) {
  return (size_t)lb_threads_get() * (size_t)args->x->shape[1] * sizeof(float);
}

lb_status lb__ref_linear(const lb__linear_args *args, void *workspace) {
  int64_t O = args->weight->shape[0];
  if (O == 0) return LB_OK;
  job j = {.args = args, .rows = workspace, .row_bytes = args->weight->size_bytes / (size_t)O};
  lb__parallel_for(O, 1, features, &j);
  return LB_OK;
}

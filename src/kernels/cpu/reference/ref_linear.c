/* ref_linear.c - embed and linear. The weight is expanded one row at a time. */
#include "reference.h"

#include "base/threads.h"
#include "kernels/cpu/blocks.h"
#include "tensor/tensor_data.h"

static const char *weight_row(const lb_tensor *weight, int64_t row) {
  size_t bytes = weight->size_bytes / (size_t)weight->shape[0];
  return (const char *)lb__tensor_data(weight) + (size_t)row * bytes;
}

lb_status lb__reference_embed(const lb__embed_args *a, void *workspace) {
  (void)workspace;
  int64_t N = a->ids->shape[0], C = a->weight->shape[1];
  lb__row_to_f32_fn *to_f32 = lb__row_to_f32(a->weight->dtype);
  for (int64_t n = 0; n < N; n++) {
    float *out = lb__tensor_f32(a->out) + n * C; /* (C) */
    to_f32(out, weight_row(a->weight, lb__tensor_i32(a->ids)[n]), C);
    for (int64_t c = 0; c < C; c++) out[c] *= a->scale;
  }
  return LB_OK;
}

/* One row of scratch per thread that may run. */
size_t lb__reference_linear_workspace(const lb__linear_args *a) {
  return (size_t)lb_threads_get() * (size_t)a->x->shape[1] * sizeof(float);
}

typedef struct job {
  const lb__linear_args *a;
  float *rows; /* (threads, I) */
} job;

static void outputs(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  const lb__linear_args *a = j->a;
  int64_t N = a->x->shape[0], I = a->x->shape[1], O = a->weight->shape[0];
  lb__row_to_f32_fn *to_f32 = lb__row_to_f32(a->weight->dtype);
  float *w = j->rows + lb__thread_index() * I;
  for (int64_t o = begin; o < end; o++) {
    to_f32(w, weight_row(a->weight, o), I);
    for (int64_t n = 0; n < N; n++) {
      const float *x = lb__tensor_f32(a->x) + n * I;
      double sum = a->bias != NULL ? (double)lb__tensor_f32(a->bias)[o] : 0.0;
      for (int64_t i = 0; i < I; i++) sum += (double)x[i] * (double)w[i];
      lb__tensor_f32(a->out)[n * O + o] = (float)sum;
    }
  }
}

lb_status lb__reference_linear(const lb__linear_args *a, void *workspace) {
  job j = {a, workspace};
  lb__parallel_for(a->weight->shape[0], 1, outputs, &j);
  return LB_OK;
}

/* ref_cast.c - another dtype, or another orientation. */
#include "reference.h"

#include "kernels/cpu/blocks.h"
#include "tensor/tensor_data.h"

size_t lb__ref_cast_workspace(const lb__cast_args *a) {
  return (size_t)lb__tensor_row_length(a->x) * sizeof(float);
}

/* Row by row through float32. LB_E_NUMERIC when a block type cannot hold a number. */
lb_status lb__ref_cast(const lb__cast_args *a, void *workspace) {
  int64_t n_rows = lb__tensor_n_rows(a->x), C = lb__tensor_row_length(a->x);
  if (n_rows == 0) return LB_OK;
  const char *x = lb__tensor_data(a->x);
  char *out = lb__tensor_data(a->out);
  if (a->x->dtype == a->out->dtype) {
    memmove(out, x, a->x->size_bytes);
    return LB_OK;
  }
  size_t x_bytes = a->x->size_bytes / (size_t)n_rows,
         out_bytes = a->out->size_bytes / (size_t)n_rows;
  float *row = workspace;
  for (int64_t n = 0; n < n_rows; n++, x += x_bytes, out += out_bytes) {
    lb__ref_row_to_f32(a->x->dtype)(row, x, C);
    if (!lb__row_fits(a->out->dtype, row, C)) return LB_E_NUMERIC;
    lb__row_from_f32(a->out->dtype)(out, row, C);
  }
  return LB_OK;
}

/* out[c,n] = x[n,c], whatever the elements mean */
lb_status lb__ref_transpose(const lb__transpose_args *a, void *workspace) {
  (void)workspace;
  int64_t N = a->x->shape[0], C = a->x->shape[1];
  size_t size = lb_dtype_block_bytes(a->x->dtype);
  const char *x = lb__tensor_data(a->x);
  char *out = lb__tensor_data(a->out);
  for (int64_t n = 0; n < N; n++)
    for (int64_t c = 0; c < C; c++)
      memcpy(out + (size_t)(c * N + n) * size, x + (size_t)(n * C + c) * size, size);
  return LB_OK;
}

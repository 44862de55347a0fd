/* ref_rows.c - rows from one place to another. Ids, rows and slots are in range: ops.h. */
#include "reference.h"

#include "kernels/cpu/blocks.h"
#include "tensor/tensor_data.h"

/* out[n,:] = scale * weight[ids[n],:] */
lb_status lb__ref_embed(const lb__embed_args *a, void *workspace) {
  (void)workspace;
  int64_t N = a->out->shape[0], C = a->out->shape[1], V = a->weight->shape[0];
  if (V == 0) return LB_OK; /* then there are no valid ids */
  const int32_t *ids = lb__tensor_i32(a->ids);
  const char *weight = lb__tensor_data(a->weight);
  size_t row_bytes = a->weight->size_bytes / (size_t)V;
  float *out = lb__tensor_f32(a->out);
  for (int64_t n = 0; n < N; n++, out += C) {
    lb__ref_row_to_f32(a->weight->dtype)(out, weight + (size_t)ids[n] * row_bytes, C);
    for (int64_t c = 0; c < C; c++) out[c] *= a->scale;
  }
  return LB_OK;
}

/* out[m,:] = x[rows[m],:] */
lb_status lb__ref_gather_rows(const lb__gather_rows_args *a, void *workspace) {
  (void)workspace;
  int64_t M = a->out->shape[0], C = a->out->shape[1];
  const int32_t *rows = lb__tensor_i32(a->rows);
  const float *x = lb__tensor_f32(a->x);
  float *out = lb__tensor_f32(a->out);
  for (int64_t m = 0; m < M; m++) memcpy(out + m * C, x + rows[m] * C, (size_t)C * sizeof *x);
  return LB_OK;
}

/* cache_k[slots[n],:] = k[n,:], likewise v */
lb_status lb__ref_kv_store(const lb__kv_store_args *a, void *workspace) {
  (void)workspace;
  int64_t N = a->k->shape[0], C = a->k->shape[1] * a->k->shape[2];
  const int32_t *slots = lb__tensor_i32(a->slots);
  const float *k = lb__tensor_f32(a->k), *v = lb__tensor_f32(a->v);
  float *cache_k = lb__tensor_f32(a->cache_k), *cache_v = lb__tensor_f32(a->cache_v);
  for (int64_t n = 0; n < N; n++) {
    memcpy(cache_k + slots[n] * C, k + n * C, (size_t)C * sizeof *k);
    memcpy(cache_v + slots[n] * C, v + n * C, (size_t)C * sizeof *v);
  }
  return LB_OK;
}

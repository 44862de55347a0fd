/* ref_rows.c - rows from one place to another. Ids, rows and slots are in range: ops.h. */
#include "reference.h"

/* out[n,:] = scale * weight[ids[n],:] */
lb_status lb__ref_embed(const lb__embed_args *a, void *workspace) {
  int64_t N = a->out->shape[0], C = a->out->shape[1];
  if (a->weight->shape[0] == 0) return LB_OK; /* then there are no valid ids */
  double *row = workspace;                    /* [C], then C floats */
  for (int64_t n = 0; n < N; n++) {
    int32_t id = lb__tensor_i32(a->ids)[n];
    lb__ref_weight_row(row, a->weight, id, a->out->dtype, (float *)(row + C));
    for (int64_t c = 0; c < C; c++) lb__ref_put(a->out, n * C + c, row[c] * (double)a->scale);
  }
  return LB_OK;
}

size_t lb__ref_embed_workspace(const lb__embed_args *a) {
  return (size_t)a->weight->shape[1] * (sizeof(double) + sizeof(float));
}

/* dweight[ids[n],:] += scale * dout[n,:] */
lb_status lb__ref_embed_bwd(const lb__embed_bwd_args *a, void *workspace) {
  (void)workspace;
  int64_t N = a->dout->shape[0], C = a->dout->shape[1];
  const int32_t *ids = lb__tensor_i32(a->ids);
  for (int64_t n = 0; n < N; n++)
    for (int64_t c = 0; c < C; c++)
      lb__ref_add_to(a->dweight, ids[n] * C + c,
                     (double)a->scale * lb__ref_get(a->dout, n * C + c));
  return LB_OK;
}

/* out[m,:] = x[rows[m],:] */
lb_status lb__ref_gather_rows(const lb__gather_rows_args *a, void *workspace) {
  (void)workspace;
  int64_t M = a->out->shape[0], C = a->out->shape[1];
  const int32_t *rows = lb__tensor_i32(a->rows);
  for (int64_t m = 0; m < M; m++)
    for (int64_t c = 0; c < C; c++)
      lb__ref_put(a->out, m * C + c, lb__ref_get(a->x, rows[m] * C + c));
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

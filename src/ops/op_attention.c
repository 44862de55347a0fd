/* op_attention.c - rope, kv_store, attention. Contracts: ops.h.
 * Index tensors come from model/, which has checked their values; here only shapes are compared. */
#include "op_check.h"

static bool is_index(const lb_tensor *t, int rank) {
  return t != NULL && t->dtype == LB_DTYPE_I32 && t->rank == rank;
}

lb_status lb__op_rope(lb__stream *s, lb_tensor *x, const lb_tensor *positions,
                      const lb_tensor *inv_freq, float magnitude, lb_error *err) {
  lb_status st = lb__op_want(LB__OP_rope, "x", x, LB_DTYPE_F32, err);
  if (st != LB_OK) return st;
  if (x->rank != 3 || !is_index(positions, 1) || positions->shape[0] != x->shape[0])
    return lb__op_shape_error(LB__OP_rope, "x", x, "positions", positions,
                              "want [N,heads,D] and [N] I32", err);
  if (inv_freq->dtype != LB_DTYPE_F32 || inv_freq->rank != 1 ||
      2 * inv_freq->shape[0] > x->shape[2])
    return lb__op_shape_error(LB__OP_rope, "x", x, "inv_freq", inv_freq,
                              "want at most D/2 frequencies", err);
  lb__rope_args args = {
      .x = x, .positions = positions, .inv_freq = inv_freq, .magnitude = magnitude};
  return lb__run_rope(s, &args, err);
}

lb_status lb__op_kv_store(lb__stream *s, lb_tensor *cache_k, lb_tensor *cache_v, const lb_tensor *k,
                          const lb_tensor *v, const lb_tensor *slots, lb_error *err) {
  bool same = lb__tensor_same_shape(k, v) && lb__tensor_same_shape(cache_k, cache_v) &&
              k->rank == 3 && cache_k->rank == 3 && k->shape[1] == cache_k->shape[1] &&
              k->shape[2] == cache_k->shape[2] && cache_k->dtype == cache_v->dtype;
  if (!same)
    return lb__op_shape_error(LB__OP_kv_store, "cache", cache_k, "k", k,
                              "want [R,G,D] and [N,G,D], likewise v", err);
  if (!is_index(slots, 1) || slots->shape[0] != k->shape[0])
    return lb__op_shape_error(LB__OP_kv_store, "slots", slots, "k", k, "want [N] I32", err);
  lb_status st = lb__op_want(LB__OP_kv_store, "k", k, LB_DTYPE_F32, err);
  if (st == LB_OK) st = lb__op_want(LB__OP_kv_store, "cache", cache_k, LB_DTYPE_F32, err);
  if (st != LB_OK) return st;
  lb__kv_store_args args = {.cache_k = cache_k, .cache_v = cache_v, .k = k, .v = v, .slots = slots};
  return lb__run_kv_store(s, &args, err);
}

static lb_status check_attention(const lb__attention_args *a, lb_error *err) {
  const lb_tensor *q = a->q, *k = a->k, *v = a->v;
  if (q->rank != 3 || k->rank != 3 || !lb__tensor_same_shape(k, v) || k->shape[2] != q->shape[2] ||
      k->shape[1] < 1 || q->shape[1] % k->shape[1] != 0)
    return lb__op_shape_error(LB__OP_attention, "q", q, "k", k,
                              "want [N,H,D] and [N,G,D] with H a multiple of G; v like k", err);
  if (!is_index(a->cu_seqlens, 1) || a->cu_seqlens->shape[0] < 1)
    return lb__op_shape_error(LB__OP_attention, "q", q, "cu_seqlens", a->cu_seqlens,
                              "want [documents + 1] I32", err);
  int64_t n_docs = a->cu_seqlens->shape[0] - 1;
  if (a->page_table == NULL && k->shape[0] != q->shape[0])
    return lb__op_shape_error(LB__OP_attention, "q", q, "k", k,
                              "want as many keys as queries without a cache", err);
  if (a->page_table != NULL &&
      (!is_index(a->page_table, 2) || !is_index(a->kv_lens, 1) || a->page_size < 1 ||
       a->page_table->shape[0] != n_docs || a->kv_lens->shape[0] != n_docs))
    return lb__op_shape_error(LB__OP_attention, "page_table", a->page_table, "cu_seqlens",
                              a->cu_seqlens, "want a row of pages and a length per document", err);
  if (a->window < 0 || !(a->softcap >= 0.0f))
    return lb__fail(err, LB_E_ARG, "attention: window %lld and soft cap %g, want neither negative",
                    (long long)a->window, (double)a->softcap);
  lb_status st = lb__op_want(LB__OP_attention, "q", q, LB_DTYPE_F32, err);
  if (st == LB_OK) st = lb__op_want(LB__OP_attention, "k", k, LB_DTYPE_F32, err);
  return st == LB_OK ? lb__op_want(LB__OP_attention, "v", v, LB_DTYPE_F32, err) : st;
}

lb_status lb__op_attention(lb__stream *s, lb_tensor **out, lb__attention_args a, lb_error *err) {
  *out = NULL;
  lb_status st = check_attention(&a, err);
  if (st == LB_OK) st = lb__stream_tensor(out, s, LB_DTYPE_F32, 3, a.q->shape, err);
  if (st != LB_OK) return st;
  a.out = *out;
  return lb__run_attention(s, &a, err);
}

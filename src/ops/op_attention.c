/* op_attention.c - what happens between the projections: rope, the key-value cache, attention.
 * Contracts: ops.h. The contents of index tensors (cu_seqlens, page_table, slots) are the caller's
 * promise; here only their shapes are known. */
#include "op_record.h"

#include <math.h>

/* ---- rope ---- */

typedef struct rope_saved {
  lb_tensor positions, inv_freq;
  float magnitude;
} rope_saved;

/* In place: the gradient of what came out becomes the gradient of what went in. */
static lb_status rope_backward(lb__stream *s, const lb_tensor *dout, void *saved, lb_error *err) {
  const rope_saved *k = saved;
  lb_tensor gradient = *dout;
  lb__rope_args args = {.x = &gradient,
                        .positions = &k->positions,
                        .inv_freq = &k->inv_freq,
                        .magnitude = k->magnitude,
                        .inverse = true};
  return lb__run_rope(&s->arena, &args, err);
}

lb_status lb__op_rope(lb__stream *s, lb_tensor *x, const lb_tensor *positions,
                      const lb_tensor *inv_freq, float magnitude, lb_error *err) {
  static const lb__op OP = LB__OP_rope;
  lb__named x_named = {"x", x}, positions_named = {"positions", positions};
  lb_status st = lb__op_check(OP, "x", x, s->real, 3, err);
  if (st != LB_OK) return st;
  st = lb__op_check(OP, "positions", positions, LB_DTYPE_I32, 1, err);
  if (st != LB_OK) return st;
  if (positions->shape[0] != x->shape[0])
    return lb__op_fail_pair(err, OP, x_named, positions_named, "want one position for each row");
  st = lb__op_check(OP, "inv_freq", inv_freq, LB_DTYPE_F32, 1, err);
  if (st != LB_OK) return st;
  if (inv_freq->shape[0] > x->shape[2] / 2)
    return lb__op_fail_pair(err, OP, x_named, (lb__named){"inv_freq", inv_freq},
                            "want at most %lld frequencies", (long long)(x->shape[2] / 2));
  lb__rope_args args = {
      .x = x, .positions = positions, .inv_freq = inv_freq, .magnitude = magnitude};
  st = lb__run_rope(&s->arena, &args, err);
  rope_saved saved = {.positions = *positions, .inv_freq = *inv_freq, .magnitude = magnitude};
  if (st == LB_OK && lb__tape_wants(s, x))
    st = lb__tape_record(s, x, true, rope_backward, &saved, sizeof saved, err);
  return st;
}

/* ---- the cache ---- */

lb_status lb__op_kv_store(lb__stream *s, lb_tensor *cache_k, lb_tensor *cache_v, const lb_tensor *k,
                          const lb_tensor *v, const lb_tensor *slots, lb_error *err) {
  static const lb__op OP = LB__OP_kv_store;
  lb__named k_named = {"k", k}, cache_named = {"cache_k", cache_k}, slots_named = {"slots", slots};
  lb_status st = lb__op_check(OP, "k", k, LB_DTYPE_F32, 3, err);
  if (st != LB_OK) return st;
  st = lb__op_check(OP, "cache_k", cache_k, LB_DTYPE_F32, 3, err);
  if (st != LB_OK) return st;
  st = lb__op_check(OP, "v", v, LB_DTYPE_F32, 3, err);
  if (st != LB_OK) return st;
  st = lb__op_check(OP, "cache_v", cache_v, LB_DTYPE_F32, 3, err);
  if (st != LB_OK) return st;
  st = lb__op_check(OP, "slots", slots, LB_DTYPE_I32, 1, err);
  if (st != LB_OK) return st;
  st = lb__op_check_same(OP, k_named, (lb__named){"v", v}, err);
  if (st != LB_OK) return st;
  st = lb__op_check_same(OP, cache_named, (lb__named){"cache_v", cache_v}, err);
  if (st != LB_OK) return st;
  if (k->shape[1] != cache_k->shape[1] || k->shape[2] != cache_k->shape[2])
    return lb__op_fail_pair(err, OP, k_named, cache_named, "want the same kv-heads and head size");
  if (slots->shape[0] != k->shape[0])
    return lb__op_fail_pair(err, OP, k_named, slots_named, "want one slot for each row");
  lb__kv_store_args args = {.cache_k = cache_k, .cache_v = cache_v, .k = k, .v = v, .slots = slots};
  return lb__run_kv_store(&s->arena, &args, err);
}

/* ---- attention ---- */

static lb_status check_heads(lb__stream *s, const lb__attention_args *a, lb_error *err) {
  static const lb__op OP = LB__OP_attention;
  lb__named q = {"q", a->q}, k = {"k", a->k}, v = {"v", a->v};
  lb_status st = lb__op_check(OP, "q", a->q, s->real, 3, err);
  if (st != LB_OK) return st;
  st = lb__op_check(OP, "k", a->k, s->real, 3, err);
  if (st != LB_OK) return st;
  st = lb__op_check(OP, "v", a->v, s->real, 3, err);
  if (st != LB_OK) return st;
  st = lb__op_check_same(OP, k, v, err);
  if (st != LB_OK) return st;
  if (a->q->shape[2] != a->k->shape[2])
    return lb__op_fail_pair(err, OP, q, k, "want the same head size");
  if (a->k->shape[1] < 1 || a->q->shape[1] % a->k->shape[1] != 0)
    return lb__op_fail_pair(err, OP, q, k, "want heads to be a multiple of kv-heads");
  st = lb__op_check(OP, "cu_seqlens", a->cu_seqlens, LB_DTYPE_I32, 1, err);
  if (st != LB_OK) return st;
  if (a->cu_seqlens->shape[0] >= 1) return LB_OK;
  return lb__op_fail(err, LB_E_SHAPE, OP, "cu_seqlens", a->cu_seqlens,
                     "want one number more than documents");
}

static lb_status check_cache(const lb__attention_args *a, lb_error *err) {
  static const lb__op OP = LB__OP_attention;
  lb__named k = {"k", a->k}, pages = {"page_table", a->page_table}, lens = {"kv_lens", a->kv_lens};
  int64_t n_docs = a->cu_seqlens->shape[0] - 1;
  lb_status st = lb__op_check(OP, "page_table", a->page_table, LB_DTYPE_I32, 2, err);
  if (st != LB_OK) return st;
  if (a->kv_lens == NULL)
    return lb__fail(err, LB_E_ARG, "attention: a page_table needs kv_lens, which is NULL");
  st = lb__op_check(OP, "kv_lens", a->kv_lens, LB_DTYPE_I32, 1, err);
  if (st != LB_OK) return st;
  if (a->page_table->shape[0] != n_docs || a->kv_lens->shape[0] != n_docs)
    return lb__op_fail_pair(err, OP, pages, lens, "want one row for each of %lld documents",
                            (long long)n_docs);
  if (a->page_size >= 1 && a->k->shape[0] % a->page_size == 0) return LB_OK;
  return lb__op_fail_pair(err, OP, k, pages, "want whole pages of page_size %lld rows, at least 1",
                          (long long)a->page_size);
}

static lb_status check_attention(lb__stream *s, const lb__attention_args *a, lb_error *err) {
  static const lb__op OP = LB__OP_attention;
  lb_status st = check_heads(s, a, err);
  if (st != LB_OK) return st;
  if (a->window < 0 || !isfinite(a->scale) || !isfinite(a->softcap))
    return lb__fail(err, LB_E_ARG,
                    "attention: window %lld, scale %g, softcap %g: want a window >= 0 and finite "
                    "numbers",
                    (long long)a->window, (double)a->scale, (double)a->softcap);
  st = lb__op_check_draw(OP, &a->dropout, err);
  if (st != LB_OK) return st;
  if (a->page_table != NULL) return check_cache(a, err);
  if (a->k->shape[0] == a->q->shape[0]) return LB_OK;
  return lb__op_fail_pair(err, OP, (lb__named){"q", a->q}, (lb__named){"k", a->k},
                          "without a cache, want as many keys as queries");
}

/* ---- backward of attention ---- */

/* What a node keeps: descriptors, because those of the caller may be gone by then. */
typedef struct saved_attention {
  lb_tensor out, logsumexp, q, k, v, cu_seqlens;
  lb__attention_args args; /* its numbers; the pointers are stale */
} saved_attention;

static lb_status attention_backward(lb__stream *s, const lb_tensor *dout, void *saved,
                                    lb_error *err) {
  const saved_attention *a = saved;
  lb_tensor *dq, *dk, *dv, dq_view, dk_view, dv_view;
  lb_status st = lb__op_gradient(&dq, &dq_view, s, &a->q, err);
  if (st == LB_OK) st = lb__op_gradient(&dk, &dk_view, s, &a->k, err);
  if (st == LB_OK) st = lb__op_gradient(&dv, &dv_view, s, &a->v, err);
  if (st != LB_OK) return st;
  lb__attention_bwd_args args = {.dq = dq,
                                 .dk = dk,
                                 .dv = dv,
                                 .dout = dout,
                                 .out = &a->out,
                                 .logsumexp = &a->logsumexp,
                                 .q = &a->q,
                                 .k = &a->k,
                                 .v = &a->v,
                                 .cu_seqlens = &a->cu_seqlens,
                                 .window = a->args.window,
                                 .scale = a->args.scale,
                                 .softcap = a->args.softcap,
                                 .dropout = a->args.dropout};
  return lb__run_attention_bwd(&s->arena, &args, err);
}

static lb_status record_attention(lb__stream *s, const lb__attention_args *a, lb_error *err) {
  saved_attention saved = {.out = *a->out,
                           .logsumexp = *a->logsumexp,
                           .q = *a->q,
                           .k = *a->k,
                           .v = *a->v,
                           .cu_seqlens = *a->cu_seqlens,
                           .args = *a};
  return lb__tape_record(s, a->out, false, attention_backward, &saved, sizeof saved, err);
}

lb_status lb__op_attention(lb__stream *s, lb_tensor **out, lb__attention_args a, lb_error *err) {
  *out = NULL;
  bool recording = lb__tape_wants(s, a.q) || lb__tape_wants(s, a.k) || lb__tape_wants(s, a.v);
  lb_status st = check_attention(s, &a, err);
  if (st != LB_OK) return st;
  if (recording && a.page_table != NULL)
    return lb__fail(err, LB_E_ARG,
                    "attention: keys and values of a cache have no gradient; want page_table NULL "
                    "while recording");
  st = lb__stream_tensor(&a.out, s, s->real, 3, a.q->shape, err);
  if (st == LB_OK && recording)
    st = lb__stream_tensor(&a.logsumexp, s, s->real, 2, a.q->shape, err);
  if (st == LB_OK) st = lb__run_attention(&s->arena, &a, err);
  if (st == LB_OK && recording) st = record_attention(s, &a, err);
  if (st == LB_OK) *out = a.out;
  return st;
}

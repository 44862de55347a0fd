/* ref_attention_bwd.c - gradients of attention (FlashAttention, arXiv:2205.14135, algorithm 4;
 * FlashAttention-2, arXiv:2307.08691, section 3.1). For a query with gradient dout, over the keys j
 * that it sees, f_j being 0 or 1 / (1 - p) as dropout drew it:
 *     p_j      = exp(score_j - logsumexp)
 *     dv_j    += f_j p_j dout
 *     dscore_j = p_j (f_j dout.v_j - dout.out)      because  dout.out = sum_k p_k f_k dout.v_k
 *     dscore_j *= 1 - (score_j / cap)^2             the derivative of cap * tanh(x / cap)
 *     dq      += scale dscore_j k_j,   dk_j += scale dscore_j q
 * Several query heads add to the kv-head that they share, in the order of queries, then heads; a
 * kv-head is one thread's work. */
#include "ref_attention.h"

#include "base/threads.h"

typedef struct job {
  const lb__attention_bwd_args *b;
  lb__attention_args forward;
} job;

/* to[D] += factor * x[D]; nothing when `to` is not wanted. */
static void add_row(lb_tensor *to, int64_t at, double factor, const lb_tensor *x, int64_t from,
                    int64_t D) {
  if (to == NULL) return;
  for (int64_t c = 0; c < D; c++) lb__ref_add_to(to, at + c, factor * lb__ref_get(x, from + c));
}

/* What query `q` of document `d`, head h gives. */
static void query_gradient(const job *j, const lb__document *d, int64_t q, int64_t h) {
  const lb__attention_bwd_args *b = j->b;
  int64_t H = b->q->shape[1], D = b->q->shape[2], g = h / (H / b->k->shape[1]);
  int64_t n = d->first_query + q, query = lb__ref_head_at(b->q, n, h);
  double out_dout = lb__ref_dot(b->out, query, b->dout, query, D), cap = (double)b->softcap;
  for (int64_t i = lb__first_visible_key(&j->forward, q); i <= q; i++) {
    int64_t key = lb__ref_head_at(b->k, lb__key_row(d, i), g);
    double score = lb__ref_score(&j->forward, query, key);
    double p = exp(score - lb__ref_get(b->logsumexp, n * H + h));
    double kept = lb__dropout_factor(&b->dropout, lb__attention_draw(n * H + h, i));
    double dscore = p * (kept * lb__ref_dot(b->dout, query, b->v, key, D) - out_dout);
    if (cap > 0.0) dscore *= 1.0 - (score / cap) * (score / cap);
    add_row(b->dv, key, kept * p, b->dout, query, D);
    add_row(b->dq, query, (double)b->scale * dscore, b->k, key, D);
    add_row(b->dk, key, (double)b->scale * dscore, b->q, query, D);
  }
}

/* KV-heads begin .. end-1 of every document. */
static void kv_heads(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  int64_t share = j->b->q->shape[1] / j->b->k->shape[1];
  for (int64_t i = 0; i < j->b->cu_seqlens->shape[0] - 1; i++) {
    lb__document d = lb__attention_document(&j->forward, i);
    for (int64_t q = 0; q < d.n_queries; q++)
      for (int64_t h = begin * share; h < end * share; h++) query_gradient(j, &d, q, h);
  }
}

lb_status lb__ref_attention_bwd(const lb__attention_bwd_args *b, void *workspace) {
  (void)workspace;
  job j = {.b = b, .forward = lb__attention_of(b)};
  lb__parallel_for(b->k->shape[1], 1, kv_heads, &j);
  return LB_OK;
}

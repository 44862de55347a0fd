/* ref_attention.c - causal attention, one query row of one head at a time:
 *     score_j = scale * q.k_j   (soft-capped)   for each key j that the query sees
 *     p_j     = exp(score_j - max) / sum_k exp(score_k - max)
 *     out     = sum_j dropout(p_j) v_j
 * Scores of one query are all that is ever held; there is no [T,T] matrix. */
#include "ref_attention.h"

#include "base/threads.h"

typedef struct job {
  const lb__attention_args *args;
  double *scores; /* [threads, longest + D] */
  int64_t longest;
} job;

/* out[D] and logsumexp of query `q` of document `d`, head h. scores has room for all keys, sum for
 * D. */
static void attend(const lb__attention_args *a, const lb__document *d, int64_t q, int64_t h,
                   double *scores, double *sum) {
  int64_t H = a->q->shape[1], G = a->k->shape[1], D = a->q->shape[2], g = h / (H / G);
  int64_t n = d->first_query + q, last = lb__query_position(d, q);
  int64_t first = lb__first_visible_key(a, last), query = lb__ref_head_at(a->q, n, h);

  double largest = -INFINITY, total = 0.0;
  for (int64_t j = first; j <= last; j++) {
    scores[j] = lb__ref_score(a, query, lb__ref_head_at(a->k, lb__key_row(d, j), g));
    largest = fmax(largest, scores[j]);
  }
  for (int64_t c = 0; c < D; c++) sum[c] = 0.0;
  for (int64_t j = first; j <= last; j++) {
    double weight = exp(scores[j] - largest);
    total += weight;
    weight *= lb__dropout_factor(&a->dropout, lb__attention_draw(n * H + h, j));
    int64_t value = lb__ref_head_at(a->v, lb__key_row(d, j), g);
    for (int64_t c = 0; c < D; c++) sum[c] += weight * lb__ref_get(a->v, value + c);
  }
  for (int64_t c = 0; c < D; c++) lb__ref_put(a->out, query + c, sum[c] / total);
  if (a->logsumexp != NULL) lb__ref_put(a->logsumexp, n * H + h, largest + log(total));
}

/* Heads begin .. end-1 of every query. */
static void heads(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  const lb__attention_args *a = j->args;
  double *scores = j->scores + lb__thread_index() * (j->longest + a->q->shape[2]);
  for (int64_t i = 0; i < a->cu_seqlens->shape[0] - 1; i++) {
    lb__document d = lb__attention_document(a, i);
    for (int64_t q = 0; q < d.n_queries; q++)
      for (int64_t h = begin; h < end; h++) attend(a, &d, q, h, scores, scores + j->longest);
  }
}

size_t lb__ref_attention_workspace(const lb__attention_args *a) {
  size_t each = (size_t)(lb__ref_longest_document(a) + a->q->shape[2]) * sizeof(double);
  return each * (size_t)lb_threads_get();
}

lb_status lb__ref_attention(const lb__attention_args *a, void *workspace) {
  job j = {.args = a, .scores = workspace, .longest = lb__ref_longest_document(a)};
  lb__parallel_for(a->q->shape[1], 1, heads, &j);
  return LB_OK;
}

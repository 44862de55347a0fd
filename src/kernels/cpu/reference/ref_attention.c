/* ref_attention.c - causal attention, one query row of one head at a time:
 *     score_j = scale * q.k_j   (soft-capped)   for each key j that the query sees
 *     out     = sum_j exp(score_j - max) v_j / sum_j exp(score_j - max)
 * Scores of one query are all that is ever held; there is no [T,T] matrix. */
#include "reference.h"

#include "base/threads.h"
#include "kernels/cpu/attention_keys.h"

#include <math.h>

typedef struct job {
  const lb__attention_args *args;
  double *scores; /* [threads, longest + D] */
  int64_t longest;
} job;

static double dot(const float *a, const float *b, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
  return sum;
}

static double capped(double score, double cap) {
  return cap > 0.0 ? cap * tanh(score / cap) : score;
}

/* Row `row` of k or v, kv-head g. */
static const float *kv_row(const lb_tensor *t, int64_t row, int64_t g) {
  return lb__tensor_f32(t) + (row * t->shape[1] + g) * t->shape[2];
}

/* out[D] for query `q` of document `d`, head h. scores has room for all keys, sum for D. */
static void attend(const lb__attention_args *a, const lb__document *d, int64_t q, int64_t h,
                   double *scores, double *sum) {
  int64_t H = a->q->shape[1], G = a->k->shape[1], D = a->q->shape[2], g = h / (H / G);
  int64_t row = ((d->first_query + q) * H + h) * D, last = lb__query_position(d, q);
  int64_t first = lb__first_visible_key(a, last);
  const float *query = lb__tensor_f32(a->q) + row;
  float *out = lb__tensor_f32(a->out) + row;

  double largest = -INFINITY, total = 0.0;
  for (int64_t j = first; j <= last; j++) {
    double score = dot(query, kv_row(a->k, lb__key_row(d, j), g), D) * (double)a->scale;
    scores[j] = capped(score, (double)a->softcap);
    largest = fmax(largest, scores[j]);
  }
  for (int64_t c = 0; c < D; c++) sum[c] = 0.0;
  for (int64_t j = first; j <= last; j++) {
    double p = exp(scores[j] - largest);
    const float *value = kv_row(a->v, lb__key_row(d, j), g);
    total += p;
    for (int64_t c = 0; c < D; c++) sum[c] += p * (double)value[c];
  }
  for (int64_t c = 0; c < D; c++) out[c] = (float)(sum[c] / total);
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

static int64_t longest_document(const lb__attention_args *a) {
  int64_t longest = 0;
  for (int64_t i = 0; i < a->cu_seqlens->shape[0] - 1; i++) {
    int64_t n = lb__attention_document(a, i).n_keys;
    if (n > longest) longest = n;
  }
  return longest;
}

size_t lb__ref_attention_workspace(const lb__attention_args *a) {
  size_t each = (size_t)(longest_document(a) + a->q->shape[2]) * sizeof(double);
  return each * (size_t)lb_threads_get();
}

lb_status lb__ref_attention(const lb__attention_args *a, void *workspace) {
  job j = {.args = a, .scores = workspace, .longest = longest_document(a)};
  lb__parallel_for(a->q->shape[1], 1, heads, &j);
  return LB_OK;
}

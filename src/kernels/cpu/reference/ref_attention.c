/* ref_attention.c - attention and kv_store. One query at a time; scratch is one row of scores. */
#include "reference.h"

#include "base/threads.h"
#include "tensor/tensor_data.h"

#include <math.h>
#include <string.h>

lb_status lb__reference_kv_store(const lb__kv_store_args *a, void *workspace) {
  (void)workspace;
  int64_t row = a->k->shape[1] * a->k->shape[2];
  size_t bytes = (size_t)row * sizeof(float);
  for (int64_t n = 0; n < a->k->shape[0]; n++) {
    int64_t slot = lb__tensor_i32(a->slots)[n];
    memcpy(lb__tensor_f32(a->cache_k) + slot * row, lb__tensor_f32(a->k) + n * row, bytes);
    memcpy(lb__tensor_f32(a->cache_v) + slot * row, lb__tensor_f32(a->v) + n * row, bytes);
  }
  return LB_OK;
}

typedef struct document {
  int64_t index, first_query, n_queries, n_keys;
} document;

/* Row of the k or v tensor that holds key j. */
static int64_t key_row(const lb__attention_args *a, const document *d, int64_t j) {
  if (a->page_table == NULL) return d->first_query + j;
  const int32_t *pages = lb__tensor_i32(a->page_table) + d->index * a->page_table->shape[1];
  return pages[j / a->page_size] * a->page_size + j % a->page_size;
}

static int64_t most_keys(const lb__attention_args *a) {
  const lb_tensor *lengths = a->page_table != NULL ? a->kv_lens : NULL;
  int64_t most = a->q->shape[0];
  for (int64_t d = 0; lengths != NULL && d < lengths->shape[0]; d++)
    if (lb__tensor_i32(lengths)[d] > most) most = lb__tensor_i32(lengths)[d];
  return most;
}

size_t lb__reference_attention_workspace(const lb__attention_args *a) {
  return (size_t)lb_threads_get() * (size_t)(most_keys(a) + a->q->shape[2]) * sizeof(double);
}

/* out (D) for query row n, head h, which sits at position i of its document. */
static void attend(const lb__attention_args *a, const document *d, int64_t n, int64_t h, int64_t i,
                   double *scores, double *sum) {
  int64_t H = a->q->shape[1], D = a->q->shape[2], G = a->k->shape[1], g = h / (H / G);
  const float *q = lb__tensor_f32(a->q) + (n * H + h) * D;
  int64_t first = a->window > 0 && i - a->window + 1 > 0 ? i - a->window + 1 : 0;
  double most = -INFINITY, total = 0.0;
  for (int64_t j = first; j <= i; j++) {
    const float *k = lb__tensor_f32(a->k) + (key_row(a, d, j) * G + g) * D;
    double dot = 0.0;
    for (int64_t c = 0; c < D; c++) dot += (double)q[c] * (double)k[c];
    dot *= (double)a->scale;
    if (a->softcap > 0.0f) dot = (double)a->softcap * tanh(dot / (double)a->softcap);
    scores[j - first] = dot;
    most = fmax(most, dot);
  }
  for (int64_t c = 0; c < D; c++) sum[c] = 0.0;
  for (int64_t j = first; j <= i; j++) {
    const float *v = lb__tensor_f32(a->v) + (key_row(a, d, j) * G + g) * D;
    double p = exp(scores[j - first] - most);
    total += p;
    for (int64_t c = 0; c < D; c++) sum[c] += p * (double)v[c];
  }
  float *out = lb__tensor_f32(a->out) + (n * H + h) * D;
  for (int64_t c = 0; c < D; c++) out[c] = (float)(sum[c] / total);
}

typedef struct job {
  const lb__attention_args *a;
  document d;
  double *scratch;
  int64_t scratch_row;
} job;

static void heads(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  int64_t D = j->a->q->shape[2];
  double *sum = j->scratch + lb__thread_index() * j->scratch_row;
  for (int64_t h = begin; h < end; h++)
    for (int64_t t = 0; t < j->d.n_queries; t++)
      attend(j->a, &j->d, j->d.first_query + t, h, j->d.n_keys - j->d.n_queries + t, sum + D, sum);
}

lb_status lb__reference_attention(const lb__attention_args *a, void *workspace) {
  const int32_t *start = lb__tensor_i32(a->cu_seqlens);
  for (int64_t d = 0; d + 1 < a->cu_seqlens->shape[0]; d++) {
    job j = {.a = a, .scratch = workspace, .scratch_row = most_keys(a) + a->q->shape[2]};
    j.d = (document){d, start[d], start[d + 1] - start[d], start[d + 1] - start[d]};
    if (a->page_table != NULL) j.d.n_keys = lb__tensor_i32(a->kv_lens)[d];
    lb__parallel_for(a->q->shape[1], 1, heads, &j);
  }
  return LB_OK;
}

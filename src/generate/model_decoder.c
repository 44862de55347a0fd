/* model_decoder.c - a decoder that is a model with a KV cache. See decoder.h.
 * Owns: the cache, the stream, the arrays of a batch. Refuses: choosing tokens. */
#include "decoder.h"
#include "kv_cache.h"

#include "base/fail.h"
#include "model/forward.h"
#include "ops/ops.h"

typedef struct model_decoder {
  lb__decoder base; /* first: an lb__decoder * is a model_decoder * */
  lb_model *model;
  lb__kv_cache *cache;
  lb__stream stream;
  const lb_tensor *logits; /* [rows, V] of the last feed, in the stream's arena */
  lb__kv_append *appends;
  int32_t *ids, *positions, *doc_start, *last_rows, *best_ids;
  float *numbers; /* logsumexp and best logit of each row */
  size_t appends_capacity, ids_capacity, positions_capacity, starts_capacity, rows_capacity,
      best_capacity, numbers_capacity;
} model_decoder;

static model_decoder *get(lb__decoder *d) {
  return (model_decoder *)d;
}

static lb_status md_sequence_new(lb__decoder *d, int32_t *sequence, lb_error *err) {
  return lb__kv_sequence_new(get(d)->cache, sequence, err);
}
static lb_status md_fork(lb__decoder *d, int32_t *copy, int32_t sequence, lb_error *err) {
  return lb__kv_fork(get(d)->cache, copy, sequence, err);
}
static void md_drop(lb__decoder *d, int32_t sequence) {
  lb__kv_drop(get(d)->cache, sequence);
}
static void md_truncate(lb__decoder *d, int32_t sequence, int64_t n_tokens) {
  lb__kv_truncate(get(d)->cache, sequence, n_tokens);
}
static int64_t md_length(const lb__decoder *d, int32_t sequence) {
  return lb__kv_length(((const model_decoder *)d)->cache, sequence);
}

static bool grow_batch(model_decoder *m, size_t n_tokens, size_t n_feeds) {
  return lb__grow(&m->appends, &m->appends_capacity, n_feeds, sizeof *m->appends) &&
         lb__grow(&m->ids, &m->ids_capacity, n_tokens, sizeof *m->ids) &&
         lb__grow(&m->positions, &m->positions_capacity, n_tokens, sizeof *m->positions) &&
         lb__grow(&m->doc_start, &m->starts_capacity, n_feeds + 1, sizeof *m->doc_start) &&
         lb__grow(&m->last_rows, &m->rows_capacity, n_feeds, sizeof *m->last_rows) &&
         lb__grow(&m->best_ids, &m->best_capacity, n_feeds, sizeof *m->best_ids) &&
         lb__grow(&m->numbers, &m->numbers_capacity, 2 * n_feeds, sizeof *m->numbers);
}

/* Lays the feeds end to end. *n_rows: how many want logits; last_rows says which rows. */
static lb_status lay_out(model_decoder *m, const lb__feed *feeds, size_t n, lb__batch *batch,
                         int64_t *n_rows, lb_error *err) {
  size_t n_tokens = 0, at = 0;
  for (size_t i = 0; i < n; i++) n_tokens += (size_t)feeds[i].n_ids;
  if (!grow_batch(m, n_tokens, n)) return lb__fail_nomem(err, "a batch");
  *n_rows = 0;
  m->doc_start[0] = 0;
  for (size_t i = 0; i < n; i++) {
    const lb__feed *f = &feeds[i];
    int64_t first = lb__kv_length(m->cache, f->sequence);
    m->appends[i] = (lb__kv_append){f->sequence, f->n_ids};
    for (int64_t t = 0; t < f->n_ids; t++, at++) {
      m->ids[at] = f->ids[t];
      m->positions[at] = (int32_t)(first + t);
    }
    m->doc_start[i + 1] = (int32_t)at;
    if (f->wants_logits) m->last_rows[(*n_rows)++] = (int32_t)at - 1;
  }
  *batch = (lb__batch){.n_tokens = (int64_t)n_tokens,
                       .n_docs = (int64_t)n,
                       .ids = m->ids,
                       .positions = m->positions,
                       .doc_start = m->doc_start};
  return LB_OK;
}

static lb_status compute_logits(model_decoder *m, const lb_tensor *hidden, int64_t n_rows,
                                lb__row_summary *summaries, lb_error *err) {
  lb_tensor *last, *logits;
  lb__logits_stats_args stats = {0};
  lb_status st = lb__model_pick(&last, &m->stream, hidden, m->last_rows, n_rows, err);
  if (st == LB_OK) st = lb__model_logits(&logits, m->model, &m->stream, last, err);
  if (st == LB_OK) st = lb__op_logits_stats(&m->stream, &stats, logits, NULL, 1, err);
  size_t bytes = (size_t)n_rows * sizeof(float);
  float *logsumexp = m->numbers, *best = m->numbers + n_rows;
  if (st == LB_OK) st = lb__tensor_read(stats.logsumexp, 0, logsumexp, bytes, err);
  if (st == LB_OK) st = lb__tensor_read(stats.top_logits, 0, best, bytes, err);
  if (st == LB_OK)
    st = lb__tensor_read(stats.top_ids, 0, m->best_ids, (size_t)n_rows * sizeof(int32_t), err);
  if (st != LB_OK) return st;
  for (int64_t i = 0; i < n_rows; i++)
    summaries[i] = (lb__row_summary){logsumexp[i], best[i], m->best_ids[i]};
  m->logits = logits;
  return LB_OK;
}

static lb_status md_feed(lb__decoder *d, const lb__feed *feeds, size_t n,
                         lb__row_summary *summaries, lb_error *err) {
  model_decoder *m = get(d);
  lb__batch batch;
  lb__kv_view view;
  lb_tensor *hidden;
  int64_t n_rows;
  m->logits = NULL;
  lb__stream_reset(&m->stream);
  lb_status st = lay_out(m, feeds, n, &batch, &n_rows, err);
  if (st == LB_OK) st = lb__kv_prepare(m->cache, m->appends, (int64_t)n, &view, err);
  if (st != LB_OK) return st;
  batch.cache = &view;
  st = lb__model_hidden(&hidden, m->model, &m->stream, &batch, err);
  if (st == LB_OK && n_rows > 0) st = compute_logits(m, hidden, n_rows, summaries, err);
  if (st == LB_OK) lb__kv_commit(m->cache, m->appends, (int64_t)n);
  return st;
}

static lb_status md_read(lb__decoder *d, size_t row, int64_t first, int64_t n, float *logits,
                         lb_error *err) {
  const lb_tensor *t = get(d)->logits;
  LB_ASSERT(t != NULL && (int64_t)row < t->shape[0] && first + n <= t->shape[1]);
  size_t offset = (row * (size_t)t->shape[1] + (size_t)first) * sizeof(float);
  return lb__tensor_read(t, offset, logits, (size_t)n * sizeof(float), err);
}

static void md_free(lb__decoder *d) {
  model_decoder *m = get(d);
  lb__kv_cache_free(m->cache);
  lb__stream_deinit(&m->stream);
  lb__free(m->appends);
  lb__free(m->ids);
  lb__free(m->positions);
  lb__free(m->doc_start);
  lb__free(m->last_rows);
  lb__free(m->best_ids);
  lb__free(m->numbers);
  lb__free(m);
}

static const lb__decoder_ops model_ops = {md_sequence_new, md_fork, md_drop, md_truncate,
                                          md_length,       md_feed, md_read, md_free};

lb_status lb__model_decoder_new(lb__decoder **out, lb_model *model, lb_error *err) {
  const lb_model_info *info = lb_model_get_info(model);
  *out = NULL;
  model_decoder *m = lb__new(sizeof *m);
  if (m == NULL) return lb__fail_nomem(err, "a decoder");
  m->base = (lb__decoder){&model_ops, info->vocab_size, info->max_positions};
  m->model = model;
  lb__model_stream_init(&m->stream, model);
  lb__kv_shape shape = {info->n_layers, info->n_kv_heads, info->head_dim};
  lb_status st = lb__kv_cache_new(&m->cache, shape, err);
  if (st != LB_OK) {
    md_free(&m->base);
    return st;
  }
  *out = &m->base;
  return LB_OK;
}

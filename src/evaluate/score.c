/* score.c - log-probabilities of given tokens. See include/limbeck/score.h.
 *
 * Short documents are packed end to end into one pass; one longer than a pass is read in pieces
 * through a KV cache. Logits exist for LOGIT_ROWS tokens at a time.
 * Refuses: keeping logits, choosing tokens. Read next: lb_score, then score_rows. */
#include <limbeck/score.h>

#include "base/fail.h"
#include "generate/kv_cache.h"
#include "model/forward.h"
#include "ops/ops.h"

#include <math.h>

enum { PASS_TOKENS = 2048, LOGIT_ROWS = 256, MAX_TOP_K = 1024 };

struct lb_scores {
  lb_score_row *rows; /* [n] their arrays point into the arena */
  size_t n;
  lb__arena arena;
};

/* Tokens [begin, end) of one document, the next ones in the pass. */
typedef struct piece {
  size_t document, begin, end;
} piece;

typedef struct scorer {
  lb_model *model;
  const lb_model_info *info;
  const lb_prompt *documents;
  lb_scores *out;
  int64_t top_k;  /* asked for */
  int64_t n_best; /* fetched per row: at least the argmax */
  lb__stream stream;
  int32_t ids[PASS_TOKENS], positions[PASS_TOKENS], doc_start[PASS_TOKENS + 1];
  piece pieces[PASS_TOKENS]; /* [n_pieces] of this pass */
  size_t n_pieces, n_tokens;
  int32_t targets[LOGIT_ROWS], *best_ids; /* [LOGIT_ROWS, n_best] */
  float logsumexp[LOGIT_ROWS], target_logits[LOGIT_ROWS], *best_logits;
} scorer;

lb_score_options lb_score_options_default(void) {
  return (lb_score_options){0};
}

/* ---- checks ---- */

static lb_status check_document(const lb_model_info *info, const lb_prompt *d, size_t i,
                                lb_error *err) {
  if (d->ids == NULL || d->n_ids == 0)
    return lb__fail(err, LB_E_ARG, "document %zu: want at least one token, it is empty", i);
  if (d->n_ids > (size_t)info->max_positions)
    return lb__fail(err, LB_E_ARG,
                    "document %zu: the model's context has %lld tokens, the document "
                    "%zu; split it",
                    i, (long long)info->max_positions, d->n_ids);
  for (size_t t = 0; t < d->n_ids; t++)
    if (d->ids[t] < 0 || d->ids[t] >= info->vocab_size)
      return lb__fail(err, LB_E_ARG, "document %zu: want token ids 0 to %lld, id %zu is %d", i,
                      (long long)info->vocab_size - 1, t, d->ids[t]);
  return LB_OK;
}

static lb_status check(const lb_model_info *info, const lb_prompt *documents, size_t n,
                       const lb_score_options *o, lb_error *err) {
  int64_t most = info->vocab_size < MAX_TOP_K ? info->vocab_size : MAX_TOP_K;
  if (o->top_k < 0 || o->top_k > most)
    return lb__fail(err, LB_E_ARG, "top_k: want 0 to %lld, got %lld", (long long)most,
                    (long long)o->top_k);
  for (size_t i = 0; i < n; i++) {
    lb_status st = check_document(info, &documents[i], i, err);
    if (st != LB_OK) return st;
  }
  return LB_OK;
}

/* ---- results ---- */

static lb_status make_row(lb_scores *s, size_t i, size_t n, int64_t top_k, lb_error *err) {
  size_t n_top;
  if (!lb__ck_mul(&n_top, n, (size_t)top_k)) return lb__fail_nomem(err, "the scores");
  lb_score_row *r = &s->rows[i];
  r->n = n;
  r->top_k = top_k;
  r->nll = NAN;
  r->logprobs = lb__arena_new(&s->arena, n, sizeof(float));
  r->argmax = lb__arena_new(&s->arena, n, sizeof(int32_t));
  r->logsumexp = lb__arena_new(&s->arena, n, sizeof(float));
  r->top_ids = lb__arena_new(&s->arena, n_top, sizeof(int32_t));
  r->top_logprobs = lb__arena_new(&s->arena, n_top, sizeof(float));
  if (r->logprobs == NULL || r->argmax == NULL || r->logsumexp == NULL || r->top_ids == NULL ||
      r->top_logprobs == NULL)
    return lb__fail_nomem(err, "the scores");
  return LB_OK;
}

static lb_status scores_new(lb_scores **out, const lb_prompt *documents, size_t n, int64_t top_k,
                            lb_error *err) {
  lb_scores *s = lb__new(sizeof *s);
  *out = s;
  if (s == NULL) return lb__fail_nomem(err, "the scores");
  lb__arena_init(&s->arena, 0);
  s->rows = lb__new_array(n, sizeof *s->rows);
  if (s->rows == NULL) return lb__fail_nomem(err, "the scores");
  s->n = n;
  lb_status st = LB_OK;
  for (size_t i = 0; i < n && st == LB_OK; i++) st = make_row(s, i, documents[i].n_ids, top_k, err);
  return st;
}

void lb_scores_free(lb_scores *s) {
  if (s == NULL) return;
  lb__arena_deinit(&s->arena);
  lb__free(s->rows);
  lb__free(s);
}

const lb_score_row *lb_scores_get(const lb_scores *s, size_t document) {
  return document < s->n ? &s->rows[document] : NULL;
}

/* The results are const for their readers; this is their only writer. */
static float *floats(const float *p) {
  return (float *)(uintptr_t)p;
}
static int32_t *ints(const int32_t *p) {
  return (int32_t *)(uintptr_t)p;
}

/* Row `i` of the chunk is the prediction after token t of a document. */
static lb_status store_row(scorer *s, const piece *p, size_t t, size_t i, lb_error *err) {
  lb_score_row *r = &s->out->rows[p->document];
  float lse = s->logsumexp[i];
  if (!isfinite(lse))
    return lb__fail(err, LB_E_NUMERIC,
                    "document %zu: the model's logits after token %zu are not "
                    "finite; are its weights damaged?",
                    p->document, t);
  size_t best = i * (size_t)s->n_best, top = t * (size_t)s->top_k;
  floats(r->logsumexp)[t] = lse;
  ints(r->argmax)[t] = s->best_ids[best];
  if (t + 1 < r->n) floats(r->logprobs)[t + 1] = s->target_logits[i] - lse;
  for (size_t k = 0; k < (size_t)s->top_k; k++) {
    ints(r->top_ids)[top + k] = s->best_ids[best + k];
    floats(r->top_logprobs)[top + k] = s->best_logits[best + k] - lse;
  }
  return LB_OK;
}

static void finish_row(lb_score_row *r) {
  double sum = 0.0;
  floats(r->logprobs)[0] = NAN;
  for (size_t t = 1; t < r->n; t++) sum -= (double)r->logprobs[t];
  if (r->n > 1) r->nll = sum / (double)(r->n - 1);
}

/* ---- a chunk of logits ---- */

static lb_status read_stats(scorer *s, const lb__logits_stats_args *stats, size_t n,
                            lb_error *err) {
  size_t bytes = n * sizeof(float), best = bytes * (size_t)s->n_best;
  lb_status st = lb__tensor_read(stats->logsumexp, 0, s->logsumexp, bytes, err);
  if (st == LB_OK) st = lb__tensor_read(stats->target_logits, 0, s->target_logits, bytes, err);
  if (st == LB_OK) st = lb__tensor_read(stats->top_ids, 0, s->best_ids, best, err);
  if (st == LB_OK) st = lb__tensor_read(stats->top_logits, 0, s->best_logits, best, err);
  return st;
}

/* Statistics of rows first .. first+n-1 of the pass; their targets are set. */
static lb_status compute_stats(scorer *s, const lb_tensor *hidden, size_t first, size_t n,
                               lb_error *err) {
  lb__arena_mark mark = lb__arena_get_mark(&s->stream.arena);
  lb_tensor rows = lb__tensor_rows(hidden, (int64_t)first, (int64_t)n), *logits, *targets;
  lb__logits_stats_args stats = {0};
  lb_status st = lb__model_logits(&logits, s->model, &s->stream, &rows, err);
  if (st == LB_OK) st = lb__stream_i32(&targets, &s->stream, s->targets, (int64_t)n, err);
  if (st == LB_OK) st = lb__op_logits_stats(&s->stream, &stats, logits, targets, s->n_best, err);
  if (st == LB_OK) st = read_stats(s, &stats, n, err);
  lb__arena_release(&s->stream.arena, mark);
  return st;
}

/* The id that should follow token t of a document; -1 after the last. */
static int32_t target_of(const scorer *s, const piece *p, size_t t) {
  const lb_prompt *d = &s->documents[p->document];
  return t + 1 < d->n_ids ? d->ids[t + 1] : -1;
}

/* Which piece holds row `row` of the pass: the same as the row before's or the next one. */
static const piece *piece_of(const scorer *s, size_t row, size_t *at) {
  while ((size_t)s->doc_start[*at + 1] <= row) (*at)++;
  return &s->pieces[*at];
}

static lb_status score_rows(scorer *s, const lb_tensor *hidden, lb_error *err) {
  size_t at = 0, stored = 0;
  for (size_t first = 0; first < s->n_tokens; first += LOGIT_ROWS) {
    size_t n = s->n_tokens - first < LOGIT_ROWS ? s->n_tokens - first : LOGIT_ROWS;
    for (size_t i = 0; i < n; i++) {
      const piece *p = piece_of(s, first + i, &at);
      s->targets[i] = target_of(s, p, p->begin + first + i - (size_t)s->doc_start[at]);
    }
    lb_status st = compute_stats(s, hidden, first, n, err);
    for (size_t i = 0; i < n && st == LB_OK; i++) {
      const piece *p = piece_of(s, first + i, &stored);
      st = store_row(s, p, p->begin + first + i - (size_t)s->doc_start[stored], i, err);
    }
    if (st != LB_OK) return st;
  }
  return LB_OK;
}

/* ---- a pass ---- */

static void add_piece(scorer *s, piece p) {
  for (size_t t = p.begin; t < p.end; t++, s->n_tokens++) {
    s->ids[s->n_tokens] = s->documents[p.document].ids[t];
    s->positions[s->n_tokens] = (int32_t)t;
  }
  s->pieces[s->n_pieces++] = p;
  s->doc_start[s->n_pieces] = (int32_t)s->n_tokens;
}

/* Runs what was added, and forgets it. */
static lb_status run_pass(scorer *s, const lb__kv_view *cache, lb_error *err) {
  lb__batch batch = {.n_tokens = (int64_t)s->n_tokens,
                     .n_docs = (int64_t)s->n_pieces,
                     .ids = s->ids,
                     .positions = s->positions,
                     .doc_start = s->doc_start,
                     .cache = cache};
  lb_tensor *hidden;
  if (s->n_tokens == 0) return LB_OK;
  lb__stream_reset(&s->stream);
  lb_status st = lb__model_hidden(&hidden, s->model, &s->stream, &batch, err);
  if (st == LB_OK) st = score_rows(s, hidden, err);
  s->n_tokens = s->n_pieces = 0;
  return st;
}

static lb_status score_in_pieces(scorer *s, lb__kv_cache *cache, int32_t sequence, size_t document,
                                 lb_error *err) {
  size_t n = s->documents[document].n_ids;
  lb_status st = LB_OK;
  for (size_t begin = 0; begin < n && st == LB_OK; begin += PASS_TOKENS) {
    size_t end = n - begin < PASS_TOKENS ? n : begin + PASS_TOKENS;
    lb__kv_append append = {sequence, (int64_t)(end - begin)};
    lb__kv_view view;
    add_piece(s, (piece){document, begin, end});
    st = lb__kv_prepare(cache, &append, 1, &view, err);
    if (st == LB_OK) st = run_pass(s, &view, err);
    if (st == LB_OK) lb__kv_commit(cache, &append, 1);
  }
  return st;
}

static lb_status score_long(scorer *s, size_t document, lb_error *err) {
  lb__kv_shape shape = {s->info->n_layers, s->info->n_kv_heads, s->info->head_dim};
  lb__kv_cache *cache;
  int32_t sequence;
  lb_status st = lb__kv_cache_new(&cache, shape, err);
  if (st == LB_OK) st = lb__kv_sequence_new(cache, &sequence, err);
  if (st == LB_OK) st = score_in_pieces(s, cache, sequence, document, err);
  lb__kv_cache_free(cache);
  return st;
}

static lb_status score_all(scorer *s, size_t n, lb_error *err) {
  lb_status st = LB_OK;
  for (size_t i = 0; i < n && st == LB_OK; i++) {
    size_t size = s->documents[i].n_ids;
    if (s->n_tokens + size > PASS_TOKENS) st = run_pass(s, NULL, err);
    if (st != LB_OK) break;
    if (size > PASS_TOKENS)
      st = score_long(s, i, err);
    else
      add_piece(s, (piece){i, 0, size});
  }
  if (st == LB_OK) st = run_pass(s, NULL, err);
  for (size_t i = 0; i < n && st == LB_OK; i++) finish_row(&s->out->rows[i]);
  return st;
}

static lb_status scorer_run(scorer *s, size_t n, lb_error *err) {
  size_t n_best = LOGIT_ROWS * (size_t)s->n_best;
  s->best_ids = lb__alloc_array(n_best, sizeof *s->best_ids);
  s->best_logits = lb__alloc_array(n_best, sizeof *s->best_logits);
  lb_status st =
      s->best_ids != NULL && s->best_logits != NULL ? LB_OK : lb__fail_nomem(err, "the scores");
  lb__model_stream_init(&s->stream, s->model);
  if (st == LB_OK) st = score_all(s, n, err);
  lb__stream_deinit(&s->stream);
  lb__free(s->best_ids);
  lb__free(s->best_logits);
  return st;
}

lb_status lb_score(lb_scores **out, lb_model *model, const lb_prompt *documents, size_t n_documents,
                   const lb_score_options *options, lb_error *err) {
  lb_score_options defaults = lb_score_options_default();
  const lb_score_options *o = options != NULL ? options : &defaults;
  const lb_model_info *info = lb_model_get_info(model);
  *out = NULL;
  lb_status st = check(info, documents, n_documents, o, err);
  if (st != LB_OK) return st;
  scorer *s = lb__new(sizeof *s); /* its arrays are too large for a stack */
  if (s == NULL) return lb__fail_nomem(err, "the scores");
  s->model = model;
  s->info = info;
  s->documents = documents;
  s->top_k = o->top_k;
  s->n_best = o->top_k > 0 ? o->top_k : 1;
  st = scores_new(&s->out, documents, n_documents, o->top_k, err);
  if (st == LB_OK) st = scorer_run(s, n_documents, err);
  if (st != LB_OK)
    lb_scores_free(s->out);
  else
    *out = s->out;
  lb__free(s);
  return st;
}

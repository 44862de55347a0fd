/* score.c - log-probabilities of given tokens. See include/limbeck/score.h.
 *
 * Documents are read a pass at a time (passes.h); logits exist for LOGIT_ROWS tokens of it at a
 * time. Refuses: keeping logits, choosing tokens. Read next: lb_score, then score_rows. */
#include <limbeck/score.h>

#include "base/fail.h"
#include "ops/ops.h"
#include "passes.h"

#include <math.h>

enum { LOGIT_ROWS = 256, MAX_TOP_K = 1024 };

struct lb_scores {
  lb_score_row *rows; /* [n] their arrays point into the arena */
  size_t n;
  lb__arena arena;
};

typedef struct scorer {
  lb_scores *out;
  int64_t top_k;  /* asked for */
  int64_t n_best; /* fetched per row: at least the argmax */
  lb__pass_reader reader;
  lb__passes passes;
  int32_t targets[LOGIT_ROWS], *best_ids; /* [LOGIT_ROWS, n_best] */
  float logsumexp[LOGIT_ROWS], target_logits[LOGIT_ROWS], *best_logits;
} scorer;

lb_score_options lb_score_options_default(void) {
  return (lb_score_options){0};
}

/* ---- checks ---- */

static lb_status check(const lb_model_info *info, const lb_prompt *documents, size_t n,
                       const lb_score_options *o, lb_error *err) {
  int64_t most = info->vocab_size < MAX_TOP_K ? info->vocab_size : MAX_TOP_K;
  if (o->top_k < 0 || o->top_k > most)
    return lb__fail(err, LB_E_ARG, "top_k: want 0 to %lld, got %lld", (long long)most,
                    (long long)o->top_k);
  return lb__documents_check(documents, n, info, err);
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

/* Row `i` of the chunk is row `row` of the pass: the prediction after a token of a document. */
static lb_status store_row(scorer *s, size_t row, size_t i, lb_error *err) {
  size_t document = s->passes.document[row], t = (size_t)s->passes.positions[row];
  lb_score_row *r = &s->out->rows[document];
  float lse = s->logsumexp[i];
  if (!isfinite(lse))
    return lb__fail(err, LB_E_NUMERIC,
                    "document %zu: the model's logits after token %zu are not "
                    "finite; are its weights damaged?",
                    document, t);
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
  lb__stream *stream = &s->reader.stream;
  lb__arena_mark mark = lb__arena_get_mark(&stream->arena);
  lb_tensor rows = lb__tensor_rows(hidden, (int64_t)first, (int64_t)n), *logits, *targets;
  lb__logits_stats_args stats = {0};
  lb_status st = lb__model_logits(&logits, s->reader.model, stream, &rows, err);
  if (st == LB_OK) st = lb__stream_i32(&targets, stream, s->targets, (int64_t)n, err);
  if (st == LB_OK) st = lb__op_logits_stats(stream, &stats, logits, targets, s->n_best, err);
  if (st == LB_OK) st = read_stats(s, &stats, n, err);
  lb__arena_release(&stream->arena, mark);
  return st;
}

static lb_status score_rows(scorer *s, const lb_tensor *hidden, lb_error *err) {
  lb_status st = LB_OK;
  for (size_t first = 0; first < s->passes.n_tokens && st == LB_OK; first += LOGIT_ROWS) {
    size_t left = s->passes.n_tokens - first, n = left < LOGIT_ROWS ? left : LOGIT_ROWS;
    for (size_t i = 0; i < n; i++) s->targets[i] = lb__pass_target(&s->passes, first + i);
    st = compute_stats(s, hidden, first, n, err);
    for (size_t i = 0; i < n && st == LB_OK; i++) st = store_row(s, first + i, i, err);
  }
  return st;
}

static lb_status score_all(scorer *s, lb_error *err) {
  lb_tensor *hidden;
  lb_status st = LB_OK;
  while (st == LB_OK && lb__passes_next(&s->passes)) {
    st = lb__pass_read(&hidden, &s->reader, &s->passes, err);
    if (st == LB_OK) st = score_rows(s, hidden, err);
  }
  for (size_t i = 0; i < s->out->n && st == LB_OK; i++) finish_row(&s->out->rows[i]);
  return st;
}

static lb_status scorer_run(scorer *s, lb_model *model, lb_error *err) {
  size_t n_best = LOGIT_ROWS * (size_t)s->n_best;
  s->best_ids = lb__alloc_array(n_best, sizeof *s->best_ids);
  s->best_logits = lb__alloc_array(n_best, sizeof *s->best_logits);
  lb_status st =
      s->best_ids != NULL && s->best_logits != NULL ? LB_OK : lb__fail_nomem(err, "the scores");
  lb__pass_reader_init(&s->reader, model);
  if (st == LB_OK) st = score_all(s, err);
  lb__pass_reader_deinit(&s->reader);
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
  lb__passes_init(&s->passes, documents, n_documents);
  s->top_k = o->top_k;
  s->n_best = o->top_k > 0 ? o->top_k : 1;
  st = scores_new(&s->out, documents, n_documents, o->top_k, err);
  if (st == LB_OK) st = scorer_run(s, model, err);
  if (st != LB_OK)
    lb_scores_free(s->out);
  else
    *out = s->out;
  lb__free(s);
  return st;
}

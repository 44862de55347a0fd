/* toy_decoder.c - see toy_decoder.h. */
#include "toy_decoder.h"

#include "base/fail.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "generate/sampler.h"

#include <assert.h>

typedef struct toy_sequence {
  int32_t *ids;
  size_t n, capacity;
  bool alive;
} toy_sequence;

typedef struct toy_decoder {
  lb__decoder base;
  toy_logits_fn *fn;
  toy_sequence *sequences;
  size_t n, capacity;
  float *rows;
  size_t rows_capacity, n_rows;
  toy_stats stats;
} toy_decoder;

void toy_logits(float *logits, int64_t vocab_size, const int32_t *ids, size_t n_ids) {
  uint64_t h = 1469598103934665603u;
  for (size_t i = 0; i < n_ids; i++) h = (h ^ (uint64_t)(uint32_t)ids[i]) * 1099511628211u;
  for (int64_t v = 0; v < vocab_size; v++) {
    uint64_t x = (h ^ (uint64_t)(v + 1) * 0x9E3779B97F4A7C15u) * 0xBF58476D1CE4E5B9u;
    x ^= x >> 31;
    x *= 0x94D049BB133111EBu;
    logits[v] = (float)(x >> 40) / 16777216.0f * 8.0f - 4.0f;
  }
}

static toy_decoder *get(lb__decoder *d) {
  return (toy_decoder *)d;
}

static lb_status toy_new_sequence(lb__decoder *d, int32_t *sequence, lb_error *err) {
  toy_decoder *t = get(d);
  *sequence = -1;
  if (!lb__grow(&t->sequences, &t->capacity, t->n + 1, sizeof *t->sequences))
    return lb__fail_nomem(err, "a toy sequence");
  t->sequences[t->n] = (toy_sequence){.alive = true};
  *sequence = (int32_t)t->n++;
  t->stats.alive++;
  return LB_OK;
}

static lb_status append(toy_sequence *s, const int32_t *ids, size_t n, lb_error *err) {
  if (!lb__grow(&s->ids, &s->capacity, s->n + n, sizeof *s->ids))
    return lb__fail_nomem(err, "toy tokens");
  if (n > 0) memcpy(s->ids + s->n, ids, n * sizeof *ids);
  s->n += n;
  return LB_OK;
}

static void toy_drop(lb__decoder *d, int32_t sequence) {
  toy_decoder *t = get(d);
  if (sequence < 0) return;
  assert(t->sequences[sequence].alive); /* dropped twice */
  t->sequences[sequence].alive = false;
  lb__free(t->sequences[sequence].ids);
  t->sequences[sequence].ids = NULL;
  t->stats.alive--;
}

static lb_status toy_fork(lb__decoder *d, int32_t *copy, int32_t sequence, lb_error *err) {
  toy_decoder *t = get(d);
  lb_status st = toy_new_sequence(d, copy, err);
  if (st != LB_OK) return st;
  const toy_sequence *from = &t->sequences[sequence];
  assert(from->alive);
  st = append(&t->sequences[*copy], from->ids, from->n, err);
  if (st != LB_OK) {
    toy_drop(d, *copy);
    *copy = -1;
  }
  t->stats.forks++;
  return st;
}

static void toy_truncate(lb__decoder *d, int32_t sequence, int64_t n_tokens) {
  assert((size_t)n_tokens <= get(d)->sequences[sequence].n);
  get(d)->sequences[sequence].n = (size_t)n_tokens;
}

static int64_t toy_length(const lb__decoder *d, int32_t sequence) {
  return (int64_t)((const toy_decoder *)d)->sequences[sequence].n;
}

static void make_row(toy_decoder *t, const toy_sequence *s, lb__row_summary *summary) {
  int64_t v_count = t->base.vocab_size;
  float *row = t->rows + t->n_rows++ * (size_t)v_count;
  t->fn(row, v_count, s->ids, s->n);
  int32_t best = 0;
  for (int64_t v = 1; v < v_count; v++)
    if (row[v] > row[best]) best = (int32_t)v;
  *summary = (lb__row_summary){(float)lb__row_logsumexp(row, v_count), row[best], best};
}

static lb_status toy_feed(lb__decoder *d, const lb__feed *feeds, size_t n,
                          lb__row_summary *summaries, lb_error *err) {
  toy_decoder *t = get(d);
  int64_t n_tokens = 0, n_rows = 0;
  t->n_rows = 0;
  if (!lb__grow(&t->rows, &t->rows_capacity, n * (size_t)d->vocab_size, sizeof *t->rows))
    return lb__fail_nomem(err, "toy logits");
  for (size_t i = 0; i < n; i++) {
    toy_sequence *s = &t->sequences[feeds[i].sequence];
    assert(s->alive && feeds[i].n_ids >= 1);
    assert((int64_t)s->n + feeds[i].n_ids <= d->max_positions);
    lb_status st = append(s, feeds[i].ids, (size_t)feeds[i].n_ids, err);
    if (st != LB_OK) return st; /* the toy does not undo: its tests end here */
    n_tokens += feeds[i].n_ids;
    if (feeds[i].wants_logits) make_row(t, s, &summaries[n_rows++]);
  }
  t->stats.feeds++;
  t->stats.fed_tokens += n_tokens;
  if (n_tokens > t->stats.largest_feed) t->stats.largest_feed = n_tokens;
  if (n_rows > t->stats.most_rows) t->stats.most_rows = n_rows;
  return LB_OK;
}

static lb_status toy_read(lb__decoder *d, size_t row, int64_t first, int64_t n, float *logits,
                          lb_error *err) {
  toy_decoder *t = get(d);
  (void)err;
  assert(row < t->n_rows && first >= 0 && first + n <= d->vocab_size);
  memcpy(logits, t->rows + row * (size_t)d->vocab_size + first, (size_t)n * sizeof *logits);
  return LB_OK;
}

static void toy_free(lb__decoder *d) {
  toy_decoder *t = get(d);
  for (size_t i = 0; i < t->n; i++) lb__free(t->sequences[i].ids);
  lb__free(t->sequences);
  lb__free(t->rows);
  lb__free(t);
}

static const lb__decoder_ops toy_ops = {toy_new_sequence, toy_fork, toy_drop, toy_truncate,
                                        toy_length,       toy_feed, toy_read, toy_free};

lb_status toy_decoder_new(lb__decoder **out, int64_t vocab_size, int64_t max_positions,
                          toy_logits_fn *fn, lb_error *err) {
  toy_decoder *t = lb__new(sizeof *t);
  *out = NULL;
  if (t == NULL) return lb__fail_nomem(err, "a toy decoder");
  t->base = (lb__decoder){&toy_ops, vocab_size, max_positions};
  t->fn = fn != NULL ? fn : toy_logits;
  *out = &t->base;
  return LB_OK;
}

const toy_stats *toy_decoder_stats(const lb__decoder *d) {
  return &((const toy_decoder *)d)->stats;
}

/* ---- text ---- */

typedef struct toy_state {
  const char *const *pieces;
  char held[64];
  char shown[64];
  size_t n_held;
} toy_state;

static lb_status open_text(void **state, const void *ctx, lb_error *err) {
  toy_state *t = lb__new(sizeof *t);
  *state = t;
  if (t == NULL) return lb__fail_nomem(err, "toy text");
  t->pieces = ctx;
  return LB_OK;
}

static lb_status show(toy_state *t, size_t n, const char **text, size_t *size) {
  memcpy(t->shown, t->held, n);
  t->n_held -= n;
  memmove(t->held, t->held + n, t->n_held);
  *text = t->shown;
  *size = n;
  return LB_OK;
}

static lb_status feed_text(void *state, int32_t id, const char **text, size_t *size,
                           lb_error *err) {
  toy_state *t = state;
  size_t n = strlen(t->pieces[id]);
  (void)err;
  assert(t->n_held + n <= sizeof t->held);
  memcpy(t->held + t->n_held, t->pieces[id], n);
  t->n_held += n;
  return show(t, lb__utf8_complete(t->held, t->n_held), text, size);
}

static lb_status finish_text(void *state, const char **text, size_t *size, lb_error *err) {
  toy_state *t = state;
  (void)err;
  return show(t, t->n_held, text, size);
}

static void close_text(void *state) {
  lb__free(state);
}

lb__text_source toy_text(const char *const *pieces) {
  return (lb__text_source){open_text, feed_text, finish_text, close_text, pieces};
}

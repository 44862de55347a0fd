/* sample_search.c - greedy search and sampling: one token per live sequence and step.
 *
 * Batching is continuous: a sequence that ends leaves, and the next prompts are read as soon as
 * there is room. All sequences of one prompt share its cache. Read next: lb__search_sample. */
#include "search.h"

#include "base/clock.h"
#include "base/fail.h"

typedef struct track { /* one sequence being made */
  size_t prompt, index;
  int32_t sequence; /* of the decoder; -1: none, or a session's */
  int32_t *ids;
  size_t n_ids, capacity;
  int64_t limit;
  double logprob;
  lb__text_stream text;
  bool done;
  lb_finish_reason reason;
} track;

typedef struct live_set {
  lb__search *s;
  track *tracks; /* [n] in the order of their prompts */
  size_t n, capacity;
} live_set;

static void track_deinit(live_set *set, track *t) {
  if (set->s->resume == NULL && t->sequence >= 0)
    set->s->decoder->ops->drop(set->s->decoder, t->sequence);
  lb__text_stream_deinit(&t->text);
  lb__free(t->ids);
}

/* ---- choosing ---- */

/* The next token through the processors and warpers; its raw logit. */
static lb_status choose_processed(lb__search *s, const track *t, size_t row, int32_t *id,
                                  float *logit, lb_error *err) {
  const lb_generate_options *o = s->options;
  const lb_prompt *p = &s->prompts[t->prompt];
  lb_status st = lb__search_load_row(s, row, err);
  if (st != LB_OK) return st;
  lb__row_process(&s->sampler, o, s->eos_ids, s->n_eos_ids,
                  (lb__history){p->ids, t->ids, p->n_ids, t->n_ids});
  if (o->do_sample) {
    lb__row_warp(&s->sampler, o);
    *id = lb__row_draw(&s->sampler, lb__sample_uniform(o->seed, (size_t)o->first_prompt + t->prompt,
                                                       t->index, t->n_ids));
  } else {
    *id = lb__row_argmax(&s->sampler);
  }
  if (*id < 0)
    return lb__fail(err, LB_E_NUMERIC,
                    "prompt %zu: no token is possible after %zu new ones; is "
                    "repetition_penalty or temperature extreme?",
                    t->prompt, t->n_ids);
  return s->decoder->ops->read(s->decoder, row, *id, 1, logit, err);
}

static lb_status choose(lb__search *s, const track *t, size_t row, int32_t *id, double *logprob,
                        lb_error *err) {
  lb_status st = LB_OK;
  float logit = s->rows[row].best_logit;
  *id = s->rows[row].best_id;
  if (s->options->do_sample || lb__row_is_processed(s->options, t->n_ids))
    st = choose_processed(s, t, row, id, &logit, err);
  *logprob = (double)logit - (double)s->rows[row].logsumexp;
  return st;
}

/* ---- a token is chosen ---- */

static void end_track(track *t, lb_finish_reason reason) {
  t->done = true;
  t->reason = reason;
}

static lb_status update_text(lb__search *s, track *t, int32_t id, lb_error *err) {
  if (s->text == NULL) return LB_OK;
  lb_status st = lb__text_stream_feed(&t->text, id, err);
  if (st == LB_OK && t->done) st = lb__text_stream_finish(&t->text, err);
  if (st == LB_OK && t->text.stopped) end_track(t, LB_FINISH_STOP);
  return st;
}

static void tell(lb__search *s, track *t, int32_t id, double logprob) {
  const char *text = NULL;
  size_t size = 0;
  if (s->options->on_token == NULL) return;
  if (s->text != NULL) text = lb__text_stream_show(&t->text, &size);
  bool go_on = s->options->on_token(s->options->on_token_ctx, t->prompt, t->index, id,
                                    (float)logprob, text, size);
  if (!go_on && !t->done) end_track(t, LB_FINISH_STOP);
}

static lb_status accept(lb__search *s, track *t, int32_t id, double logprob, lb_error *err) {
  if (!lb__grow(&t->ids, &t->capacity, t->n_ids + 1, sizeof *t->ids))
    return lb__fail_nomem(err, "the new tokens");
  t->ids[t->n_ids++] = id;
  t->logprob += logprob;
  s->out->times.new_tokens++;
  if (lb__search_is_eos(s, id))
    end_track(t, LB_FINISH_EOS);
  else if ((int64_t)t->n_ids >= t->limit)
    end_track(t, LB_FINISH_LENGTH);
  lb_status st = update_text(s, t, id, err);
  if (st == LB_OK) tell(s, t, id, logprob);
  return st;
}

static lb_status choose_and_accept(lb__search *s, track *t, size_t row, lb_error *err) {
  int32_t id;
  double logprob;
  lb_status st = choose(s, t, row, &id, &logprob, err);
  return st == LB_OK ? accept(s, t, id, logprob, err) : st;
}

/* ---- the end of a sequence ---- */

static lb_status give_text(track *t, lb_sequence *out, lb_error *err) {
  lb_status st = lb__text_stream_finish(&t->text, err); /* the callback may have stopped it */
  if (st != LB_OK || t->text.text.size == 0) return st;
  out->text_size = t->text.text.size;
  out->text = lb__buf_take(&t->text.text);
  return LB_OK;
}

static lb_status give_result(live_set *set, track *t, lb_error *err) {
  lb_sequence *out = lb__generation_slot(set->s->out, t->prompt, t->index);
  out->ids = t->ids;
  out->n_ids = t->n_ids;
  out->logprob = out->score = t->logprob;
  out->finish_reason = t->reason;
  t->ids = NULL;
  return set->s->text != NULL ? give_text(t, out, err) : LB_OK;
}

/* Those that are done leave; the others keep their order. */
static lb_status collect_done(live_set *set, lb_error *err) {
  lb_status st = LB_OK;
  size_t kept = 0;
  for (size_t i = 0; i < set->n; i++) {
    track *t = &set->tracks[i];
    if (!t->done) {
      set->tracks[kept++] = *t;
      continue;
    }
    if (st == LB_OK) st = give_result(set, t, err);
    track_deinit(set, t);
  }
  set->n = kept;
  return st;
}

/* ---- the beginning of a sequence ---- */

static lb_status add_track(live_set *set, const lb__reading *r, size_t index, lb_error *err) {
  lb__search *s = set->s;
  track *t = &set->tracks[set->n];
  *t = (track){.prompt = r->prompt,
               .index = index,
               .sequence = r->sequence,
               .limit = lb__search_limit(s, r->prompt)};
  lb_status st = LB_OK;
  if (index > 0) st = s->decoder->ops->fork(s->decoder, &t->sequence, r->sequence, err);
  if (st != LB_OK) return st;
  set->n++; /* from here on deinit releases it */
  if (s->text == NULL) return LB_OK;
  return lb__text_stream_init(&t->text, s->text, s->options->stop, s->options->n_stop, err);
}

/* lb__prompt_fn: every sequence of this prompt chooses its first token from the same logits. */
static lb_status begin_prompt(void *ctx, const lb__reading *r, size_t row, lb_error *err) {
  live_set *set = ctx;
  lb_status st = LB_OK;
  for (size_t i = 0; i < set->s->out->n_per_prompt && st == LB_OK; i++) {
    st = add_track(set, r, i, err);
    if (st == LB_OK) st = choose_and_accept(set->s, &set->tracks[set->n - 1], row, err);
  }
  return st;
}

/* Reads prompts [first, first + n) into new sequences. */
static lb_status read_prompts(live_set *set, size_t first, size_t n, lb_error *err) {
  lb__search *s = set->s;
  lb__reading readings[LB__MAX_LIVE];
  size_t opened = 0, before = set->n;
  lb_status st = LB_OK;
  if (s->resume != NULL) {
    readings[opened++] = *s->resume;
  } else {
    for (; opened < n && st == LB_OK; opened++) {
      readings[opened] = (lb__reading){.prompt = first + opened};
      st = s->decoder->ops->sequence_new(s->decoder, &readings[opened].sequence, err);
    }
  }
  if (st == LB_OK) st = lb__search_read(s, readings, opened, begin_prompt, set, err);
  if (st == LB_OK || s->resume != NULL) return st;
  size_t owned = 0; /* sequences that tracks have taken over; readings become tracks in order */
  for (size_t i = before; i < set->n; i++) owned += set->tracks[i].index == 0 ? 1 : 0;
  for (size_t i = owned; i < opened; i++) s->decoder->ops->drop(s->decoder, readings[i].sequence);
  return st;
}

static lb_status admit(live_set *set, size_t *next, lb_error *err) {
  lb__search *s = set->s;
  size_t room = (set->capacity - set->n) / s->out->n_per_prompt, left = s->n_prompts - *next;
  size_t n = room < left ? room : left;
  if (n > LB__MAX_LIVE) n = LB__MAX_LIVE;
  if (n == 0) return LB_OK;
  int64_t begin = lb__clock_ns();
  lb_status st = read_prompts(set, *next, n, err);
  s->out->times.prompt_ns += lb__clock_ns() - begin;
  *next += n;
  return st;
}

/* ---- a step ---- */

/* One more token for tracks [first, end). */
static lb_status step(live_set *set, size_t first, size_t end, lb_error *err) {
  lb__search *s = set->s;
  lb_status st = LB_OK;
  for (size_t i = first; i < end && st == LB_OK; i++) {
    const track *t = &set->tracks[i];
    st = lb__search_add_feed(s, (lb__feed){t->sequence, &t->ids[t->n_ids - 1], 1, true}, err);
  }
  if (st == LB_OK) st = lb__search_feed(s, err);
  for (size_t i = first; i < end && st == LB_OK; i++)
    st = choose_and_accept(s, &set->tracks[i], i - first, err);
  return st;
}

static lb_status step_all(live_set *set, lb_error *err) {
  lb_status st = LB_OK;
  for (size_t first = 0; first < set->n && st == LB_OK; first += LB__MAX_LIVE) {
    size_t end = set->n - first < LB__MAX_LIVE ? set->n : first + LB__MAX_LIVE;
    st = step(set, first, end, err);
  }
  return st;
}

lb_status lb__search_sample(lb__search *s, lb_error *err) {
  live_set set = {.s = s, .capacity = LB__MAX_LIVE};
  if (set.capacity < s->out->n_per_prompt) set.capacity = s->out->n_per_prompt;
  set.tracks = lb__new_array(set.capacity, sizeof *set.tracks);
  if (set.tracks == NULL) return lb__fail_nomem(err, "the sequences");
  lb_status st = LB_OK;
  for (size_t next = 0; st == LB_OK && (next < s->n_prompts || set.n > 0);) {
    st = admit(&set, &next, err);
    if (st == LB_OK) st = collect_done(&set, err);
    if (st == LB_OK && set.n > 0) st = step_all(&set, err);
    if (st == LB_OK) st = collect_done(&set, err);
  }
  for (size_t i = 0; i < set.n; i++) track_deinit(&set, &set.tracks[i]);
  lb__free(set.tracks);
  return st;
}

/* search.c - what all searches share. See search.h. */
#include "search.h"

#include "base/clock.h"
#include "base/fail.h"

#include <math.h>

int64_t lb__search_limit(const lb__search *s, size_t prompt) {
  int64_t room = s->decoder->max_positions - (int64_t)s->prompts[prompt].n_ids + 1;
  return s->options->max_new_tokens < room ? s->options->max_new_tokens : room;
}

bool lb__search_is_eos(const lb__search *s, int32_t id) {
  for (size_t i = 0; i < s->n_eos_ids; i++)
    if (s->eos_ids[i] == id) return true;
  return false;
}

/* ---- feeding ---- */

lb_status lb__search_add_feed(lb__search *s, lb__feed feed, lb_error *err) {
  if (!lb__grow(&s->feeds, &s->feeds_capacity, s->n_feeds + 1, sizeof *s->feeds) ||
      !lb__grow(&s->rows, &s->rows_capacity, s->n_feeds + 1, sizeof *s->rows))
    return lb__fail_nomem(err, "a batch of sequences");
  s->feeds[s->n_feeds++] = feed;
  return LB_OK;
}

lb_status lb__search_feed(lb__search *s, lb_error *err) {
  size_t n = s->n_feeds, row = 0;
  s->n_feeds = 0;
  if (s->options->cancel != NULL && *s->options->cancel != 0)
    return lb__fail(err, LB_E_CANCELLED, "generation was stopped by its caller");
  lb_status st = s->decoder->ops->feed(s->decoder, s->feeds, n, s->rows, err);
  for (size_t i = 0; i < n && st == LB_OK; i++) {
    if (!s->feeds[i].wants_logits) continue;
    /* a NaN, an infinity, or nothing above -inf all end up in the logsumexp */
    if (!isfinite(s->rows[row++].logsumexp))
      st = lb__fail(err, LB_E_NUMERIC,
                    "the model's logits after token %lld of a sequence are not finite; are its "
                    "weights damaged, or is the precision too low?",
                    (long long)s->decoder->ops->length(s->decoder, s->feeds[i].sequence));
  }
  return st;
}

lb_status lb__search_load_row(lb__search *s, size_t row, lb_error *err) {
  return s->decoder->ops->read(s->decoder, row, 0, s->decoder->vocab_size, s->sampler.row, err);
}

/* ---- reading prompts ---- */

/* Queues up to LB__PROMPT_CHUNK tokens of the readings from *first on. */
static lb_status queue_chunk(lb__search *s, const lb__reading *readings, size_t n, size_t first,
                             lb_error *err) {
  size_t budget = LB__PROMPT_CHUNK;
  lb_status st = LB_OK;
  for (size_t i = first; i < n && budget > 0 && st == LB_OK; i++) {
    const lb_prompt *p = &s->prompts[readings[i].prompt];
    size_t left = p->n_ids - readings[i].done, piece = left < budget ? left : budget;
    st = lb__search_add_feed(
        s,
        (lb__feed){readings[i].sequence, p->ids + readings[i].done, (int64_t)piece, piece == left},
        err);
    budget -= piece;
  }
  return st;
}

lb_status lb__search_read(lb__search *s, lb__reading *readings, size_t n, lb__prompt_fn *fn,
                          void *ctx, lb_error *err) {
  for (size_t first = 0; first < n;) {
    lb_status st = queue_chunk(s, readings, n, first, err);
    size_t n_fed = s->n_feeds, row = 0, begin = first;
    if (st == LB_OK) st = lb__search_feed(s, err);
    for (size_t i = 0; i < n_fed && st == LB_OK; i++) {
      lb__reading *r = &readings[begin + i];
      r->done += (size_t)s->feeds[i].n_ids;
      s->out->times.prompt_tokens += s->feeds[i].n_ids;
      if (!s->feeds[i].wants_logits) continue;
      first++; /* only the last of a chunk can be left unfinished */
      st = fn(ctx, r, row++, err);
    }
    if (st != LB_OK) return st;
  }
  return LB_OK;
}

/* ---- one run ---- */

static lb_status generation_new(lb_generation **out, size_t n_prompts, size_t n_per_prompt,
                                lb_error *err) {
  size_t n;
  *out = lb__new(sizeof **out);
  if (*out == NULL) return lb__fail_nomem(err, "the result");
  if (lb__ck_mul(&n, n_prompts, n_per_prompt))
    (*out)->sequences = lb__new_array(n, sizeof *(*out)->sequences);
  if ((*out)->sequences == NULL) return lb__fail_nomem(err, "the result");
  (*out)->n_prompts = n_prompts;
  (*out)->n_per_prompt = n_per_prompt;
  for (size_t i = 0; i < n; i++) (*out)->sequences[i].text = "";
  return LB_OK;
}

/* The end tokens: the options', else the model's and tokenizer's that exist, each once. */
static lb_status set_eos(lb__search *s, const lb__search_input *input, lb_error *err) {
  const lb_generate_options *o = s->options;
  const int32_t *ids = o->eos_ids != NULL ? o->eos_ids : input->eos_ids;
  size_t n = o->eos_ids != NULL ? o->n_eos_ids : input->n_eos_ids;
  if (o->ignore_eos) return LB_OK;
  for (size_t i = 0; i < n; i++) {
    if (ids[i] < 0 || ids[i] >= s->decoder->vocab_size || lb__search_is_eos(s, ids[i])) continue;
    if (!lb__grow(&s->eos_ids, &s->eos_capacity, s->n_eos_ids + 1, sizeof *s->eos_ids))
      return lb__fail_nomem(err, "the end tokens");
    s->eos_ids[s->n_eos_ids++] = ids[i];
  }
  return LB_OK;
}

static lb_status check_eos_count(const lb__search *s, lb_error *err) {
  int64_t n = (int64_t)s->n_eos_ids, vocab = s->decoder->vocab_size;
  int64_t least = s->options->num_beams > 1 ? (n > 1 ? n : 1) + 1 : n + (n > 0 ? 1 : 0);
  if (vocab >= least) return LB_OK;
  return lb__fail(err, LB_E_ARG,
                  "the vocabulary has %lld tokens and %lld of them are end tokens: want at least "
                  "one that is not",
                  (long long)vocab, (long long)n);
}

static lb_status run(lb__search *s, const lb__search_input *input, lb_error *err) {
  int64_t begin = lb__clock_ns();
  lb_status st = set_eos(s, input, err);
  if (st == LB_OK) st = check_eos_count(s, err);
  if (st == LB_OK) st = lb__sampler_init(&s->sampler, s->decoder->vocab_size, err);
  if (st != LB_OK || s->options->max_new_tokens == 0) return st;
  st = s->options->num_beams > 1 ? lb__search_beams(s, err) : lb__search_sample(s, err);
  s->out->times.generate_ns = lb__clock_ns() - begin - s->out->times.prompt_ns;
  return st;
}

lb_status lb__search_run(lb_generation **out, const lb__search_input *input,
                         const lb_generate_options *options, lb_error *err) {
  *out = NULL;
  lb_status st = lb__generate_check(input, options, err);
  if (st != LB_OK) return st;
  lb__search s = {.decoder = input->decoder,
                  .text = input->text,
                  .options = options,
                  .prompts = input->prompts,
                  .n_prompts = input->n_prompts,
                  .resume = input->resume};
  st = generation_new(&s.out, input->n_prompts, (size_t)options->num_return_sequences, err);
  if (st == LB_OK) st = run(&s, input, err);
  lb__sampler_deinit(&s.sampler);
  lb__free(s.eos_ids);
  lb__free(s.feeds);
  lb__free(s.rows);
  if (st != LB_OK) {
    lb_generation_free(s.out);
    return st;
  }
  *out = s.out;
  return LB_OK;
}

/* ---- the result ---- */

lb_sequence *lb__generation_slot(lb_generation *g, size_t prompt, size_t i) {
  return &g->sequences[prompt * g->n_per_prompt + i];
}

void lb_generation_free(lb_generation *g) {
  if (g == NULL) return;
  for (size_t i = 0; g->sequences != NULL && i < g->n_prompts * g->n_per_prompt; i++) {
    lb_sequence *q = &g->sequences[i];
    lb__free((void *)(uintptr_t)q->ids);
    if (q->text_size > 0) lb__free((void *)(uintptr_t)q->text); /* an empty one is a literal */
  }
  lb__free(g->sequences);
  lb__free(g);
}

size_t lb_generation_n_sequences(const lb_generation *g, size_t prompt) {
  return prompt < g->n_prompts ? g->n_per_prompt : 0;
}

const lb_sequence *lb_generation_sequence(const lb_generation *g, size_t prompt, size_t i) {
  if (prompt >= g->n_prompts || i >= g->n_per_prompt) return NULL;
  return lb__generation_slot((lb_generation *)(uintptr_t)g, prompt, i);
}

lb_generation_times lb_generation_get_times(const lb_generation *g) {
  return g->times;
}

const char *lb_finish_reason_name(lb_finish_reason reason) {
  switch (reason) {
  case LB_FINISH_LENGTH: return "length";
  case LB_FINISH_EOS: return "eos";
  case LB_FINISH_STOP: return "stop";
  }
  return "?";
}

/* generate_options.c - the defaults of lb_generate, and every check of its arguments. A message
 * names the option, what it accepts and what it got. */
#include "search.h"

#include "base/fail.h"

#include <math.h>

lb_generate_options lb_generate_options_default(void) {
  return (lb_generate_options){.max_new_tokens = 128,
                               .temperature = 1.0,
                               .top_p = 1.0,
                               .repetition_penalty = 1.0,
                               .num_beams = 1,
                               .length_penalty = 1.0,
                               .early_stopping = LB_EARLY_STOPPING_FALSE,
                               .num_return_sequences = 1};
}

static lb_status check_integer(const char *name, int64_t value, int64_t least, int64_t most,
                               lb_error *err) {
  if (value >= least && value <= most) return LB_OK;
  if (most == INT64_MAX)
    return lb__fail(err, LB_E_ARG, "%s: want at least %lld, got %lld", name, (long long)least,
                    (long long)value);
  return lb__fail(err, LB_E_ARG, "%s: want %lld to %lld, got %lld", name, (long long)least,
                  (long long)most, (long long)value);
}

static lb_status check_integers(const lb_generate_options *o, lb_error *err) {
  lb_status st = check_integer("max_new_tokens", o->max_new_tokens, 0, INT64_MAX, err);
  if (st == LB_OK) st = check_integer("min_new_tokens", o->min_new_tokens, 0, INT64_MAX, err);
  if (st == LB_OK) st = check_integer("top_k", o->top_k, 0, INT64_MAX, err);
  if (st == LB_OK) st = check_integer("num_beams", o->num_beams, 1, LB__MAX_BEAMS, err);
  if (st == LB_OK)
    st = check_integer("num_return_sequences", o->num_return_sequences, 1, LB__MAX_RETURN, err);
  if (st != LB_OK) return st;
  if (o->min_new_tokens > o->max_new_tokens)
    return lb__fail(err, LB_E_ARG, "min_new_tokens: want at most max_new_tokens (%lld), got %lld",
                    (long long)o->max_new_tokens, (long long)o->min_new_tokens);
  return LB_OK;
}

static lb_status check_numbers(const lb_generate_options *o, lb_error *err) {
  if (!(o->temperature > 0.0) || !isfinite(o->temperature))
    return lb__fail(err, LB_E_ARG,
                    "temperature: want a number above 0 (for the most likely token "
                    "every time, do not sample), got %g",
                    o->temperature);
  if (!(o->top_p > 0.0 && o->top_p <= 1.0))
    return lb__fail(err, LB_E_ARG, "top_p: want a number above 0 and at most 1, got %g", o->top_p);
  if (!(o->min_p >= 0.0 && o->min_p <= 1.0))
    return lb__fail(err, LB_E_ARG, "min_p: want a number from 0 to 1, got %g", o->min_p);
  if (!(o->repetition_penalty > 0.0) || !isfinite(o->repetition_penalty))
    return lb__fail(err, LB_E_ARG, "repetition_penalty: want a number above 0, got %g",
                    o->repetition_penalty);
  if (!isfinite(o->length_penalty))
    return lb__fail(err, LB_E_ARG, "length_penalty: want a finite number, got %g",
                    o->length_penalty);
  return LB_OK;
}

static lb_status check_combination(const lb_generate_options *o, lb_error *err) {
  if (o->do_sample && o->num_beams > 1)
    return lb__fail(err, LB_E_ARG, "num_beams: want 1 together with do_sample, got %lld",
                    (long long)o->num_beams);
  if (o->num_beams > 1 && o->num_return_sequences > o->num_beams)
    return lb__fail(err, LB_E_ARG, "num_return_sequences: want at most num_beams (%lld), got %lld",
                    (long long)o->num_beams, (long long)o->num_return_sequences);
  if (o->num_beams == 1 && !o->do_sample && o->num_return_sequences > 1)
    return lb__fail(err, LB_E_ARG,
                    "num_return_sequences: want 1 for greedy search, which finds one answer (use "
                    "do_sample or num_beams), got %lld",
                    (long long)o->num_return_sequences);
  if (o->early_stopping != LB_EARLY_STOPPING_FALSE && o->early_stopping != LB_EARLY_STOPPING_TRUE &&
      o->early_stopping != LB_EARLY_STOPPING_NEVER)
    return lb__fail(err, LB_E_ARG, "early_stopping: want false, true or never, got %d",
                    (int)o->early_stopping);
  return LB_OK;
}

static lb_status check_stop(const lb_generate_options *o, bool has_text, lb_error *err) {
  if (o->n_stop > 0 && o->stop == NULL)
    return lb__fail(err, LB_E_ARG, "stop: %zu strings announced, the list is NULL", o->n_stop);
  if (o->n_stop > 0 && !has_text)
    return lb__fail(err, LB_E_ARG, "stop: stop strings need a tokenizer, there is none");
  for (size_t i = 0; i < o->n_stop; i++)
    if (o->stop[i] == NULL || o->stop[i][0] == '\0')
      return lb__fail(err, LB_E_ARG, "stop: string %zu is empty", i);
  return LB_OK;
}

static lb_status check_ids(const char *what, size_t which, const int32_t *ids, size_t n,
                           int64_t vocab_size, lb_error *err) {
  for (size_t i = 0; i < n; i++)
    if (ids[i] < 0 || ids[i] >= vocab_size)
      return lb__fail(err, LB_E_ARG, "%s %zu: want token ids 0 to %lld, id %zu is %d", what, which,
                      (long long)vocab_size - 1, i, ids[i]);
  return LB_OK;
}

static lb_status check_prompt(const lb__decoder *d, const lb_prompt *p, size_t i, lb_error *err) {
  if (p->n_ids == 0 || p->ids == NULL)
    return lb__fail(err, LB_E_ARG, "prompt %zu: want at least one token, it is empty", i);
  if (p->n_ids > (size_t)d->max_positions)
    return lb__fail(err, LB_E_ARG,
                    "prompt %zu: the model's context has %lld tokens, the prompt %zu", i,
                    (long long)d->max_positions, p->n_ids);
  return check_ids("prompt", i, p->ids, p->n_ids, d->vocab_size, err);
}

lb_status lb__generate_check(const lb__search_input *input, const lb_generate_options *o,
                             lb_error *err) {
  lb_status st = check_integers(o, err);
  if (st == LB_OK) st = check_numbers(o, err);
  if (st == LB_OK) st = check_combination(o, err);
  if (st == LB_OK) st = check_stop(o, input->text != NULL, err);
  if (st == LB_OK && o->eos_ids != NULL)
    st = check_ids("eos_ids", 0, o->eos_ids, o->n_eos_ids, input->decoder->vocab_size, err);
  for (size_t i = 0; i < input->n_prompts && st == LB_OK; i++)
    st = check_prompt(input->decoder, &input->prompts[i], i, err);
  return st;
}

/* generate.c - the public calls: a model and a tokenizer put behind the tables that the searches
 * see. Read next: search.c, then sample_search.c. */
#include "detokenizer.h"
#include "search.h"

#include "base/fail.h"

/* End tokens of both; the search drops what repeats or does not exist. */
static lb_status join_eos(int32_t **out, size_t *n, const lb_model *model,
                          const lb_tokenizer *tokenizer, lb_error *err) {
  const lb_model_info *info = lb_model_get_info(model);
  size_t n_text = 0;
  const int32_t *of_text = tokenizer != NULL ? lb_tokenizer_eos_ids(tokenizer, &n_text) : NULL;
  *n = info->n_eos_token_ids + n_text;
  *out = lb__alloc_array(*n, sizeof **out);
  if (*out == NULL) return lb__fail_nomem(err, "the end tokens");
  for (size_t i = 0; i < *n; i++)
    (*out)[i] =
        i < info->n_eos_token_ids ? info->eos_token_ids[i] : of_text[i - info->n_eos_token_ids];
  return LB_OK;
}

static lb_status run(lb_generation **out, lb__decoder *decoder, const lb_model *model,
                     const lb_tokenizer *tokenizer, const lb_prompt *prompts, size_t n_prompts,
                     const lb__reading *resume, const lb_generate_options *options, lb_error *err) {
  int32_t *eos;
  size_t n_eos;
  lb_status st = join_eos(&eos, &n_eos, model, tokenizer, err);
  if (st != LB_OK) return st;
  lb__text_source text = lb__detokenizer(tokenizer);
  lb__search_input input = {.decoder = decoder,
                            .text = tokenizer != NULL ? &text : NULL,
                            .eos_ids = eos,
                            .n_eos_ids = n_eos,
                            .prompts = prompts,
                            .n_prompts = n_prompts,
                            .resume = resume};
  st = lb__search_run(out, &input, options, err);
  lb__free(eos);
  return st;
}

lb_status lb_generate(lb_generation **out, lb_model *model, const lb_tokenizer *tokenizer,
                      const lb_prompt *prompts, size_t n_prompts,
                      const lb_generate_options *options, lb_error *err) {
  lb_generate_options defaults = lb_generate_options_default();
  lb__decoder *decoder;
  *out = NULL;
  lb_status st = lb__model_decoder_new(&decoder, model, err);
  if (st != LB_OK) return st;
  st = run(out, decoder, model, tokenizer, prompts, n_prompts, NULL,
           options != NULL ? options : &defaults, err);
  lb__decoder_free(decoder);
  return st;
}

/* ---- a conversation ---- */

struct lb_session {
  lb_model *model;
  const lb_tokenizer *tokenizer;
  lb__decoder *decoder;
  int32_t sequence;
  int32_t *ids; /* [n_ids] what the sequence holds */
  size_t n_ids, capacity;
};

lb_status lb_session_new(lb_session **out, lb_model *model, const lb_tokenizer *tokenizer,
                         lb_error *err) {
  *out = NULL;
  lb_session *s = lb__new(sizeof *s);
  if (s == NULL) return lb__fail_nomem(err, "a session");
  s->model = model;
  s->tokenizer = tokenizer;
  lb_status st = lb__model_decoder_new(&s->decoder, model, err);
  if (st == LB_OK) st = s->decoder->ops->sequence_new(s->decoder, &s->sequence, err);
  if (st != LB_OK) {
    lb_session_free(s);
    return st;
  }
  *out = s;
  return LB_OK;
}

void lb_session_free(lb_session *s) {
  if (s == NULL) return;
  lb__decoder_free(s->decoder);
  lb__free(s->ids);
  lb__free(s);
}

static lb_status check_session(const lb_generate_options *o, lb_error *err) {
  if (o->num_beams != 1)
    return lb__fail(err, LB_E_ARG, "num_beams: want 1 in a session, got %lld",
                    (long long)o->num_beams);
  if (o->num_return_sequences != 1)
    return lb__fail(err, LB_E_ARG, "num_return_sequences: want 1 in a session, got %lld",
                    (long long)o->num_return_sequences);
  return LB_OK;
}

/* Tokens that the prompt and the sequence begin with alike; the prompt's last one is always read
 * again, because its logits were not kept. */
static size_t common_prefix(const lb_session *s, lb_prompt prompt) {
  size_t n = 0;
  while (n + 1 < prompt.n_ids && n < s->n_ids && s->ids[n] == prompt.ids[n]) n++;
  return n;
}

/* Notes what the sequence holds now: the prompt and all new tokens but the last, or less after a
 * failure. At most the context's size; room for the ids was made before. */
static void remember(lb_session *s, lb_prompt prompt, const lb_sequence *made) {
  lb__decoder *d = s->decoder;
  size_t n = (size_t)d->ops->length(d, s->sequence);
  size_t known = prompt.n_ids + (made != NULL ? made->n_ids : 0);
  if (n > known) d->ops->truncate(d, s->sequence, (int64_t)(n = known));
  for (size_t i = 0; i < n; i++)
    s->ids[i] = i < prompt.n_ids ? prompt.ids[i] : made->ids[i - prompt.n_ids];
  s->n_ids = n;
}

static lb_status continue_session(lb_generation **out, lb_session *s, lb_prompt prompt,
                                  const lb_generate_options *o, lb_error *err) {
  lb__decoder *d = s->decoder;
  size_t room = (size_t)d->max_positions + 1, made = (size_t)o->max_new_tokens;
  if (prompt.n_ids < room && made < room - prompt.n_ids) room = prompt.n_ids + made;
  if (!lb__grow(&s->ids, &s->capacity, room, sizeof *s->ids))
    return lb__fail_nomem(err, "a session's tokens");
  lb__reading resume = {.sequence = s->sequence, .done = common_prefix(s, prompt)};
  d->ops->truncate(d, s->sequence, (int64_t)resume.done);
  s->n_ids = resume.done;
  lb_status st = run(out, d, s->model, s->tokenizer, &prompt, 1, &resume, o, err);
  remember(s, prompt, st == LB_OK ? lb_generation_sequence(*out, 0, 0) : NULL);
  return st;
}

lb_status lb_session_generate(lb_generation **out, lb_session *s, lb_prompt prompt,
                              const lb_generate_options *options, lb_error *err) {
  lb_generate_options defaults = lb_generate_options_default();
  const lb_generate_options *o = options != NULL ? options : &defaults;
  *out = NULL;
  lb_status st = check_session(o, err);
  if (st != LB_OK) return st;
  if (prompt.ids == NULL || prompt.n_ids == 0)
    return lb__fail(err, LB_E_ARG, "prompt: want at least one token, it is empty");
  return continue_session(out, s, prompt, o, err);
}

/* test_golden_generate.c - greedy search, penalties and beam search give Transformers' answers,
 * token for token, for every model of data/models. Cases that hang on a near tie are not in the
 * fixtures (generate/generation_goldens.py), so equality is the only tolerance for ids.
 * Read next: golden.h. */
#include "golden.h"

#include "tolerances.h"

#include <limbeck/generate.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct call {
  lb_generate_options options;
  int32_t *eos;
} call;

static lb_early_stopping early_stopping_of(const json_t *value) {
  if (json_is_string(value)) return LB_EARLY_STOPPING_NEVER;
  return json_is_true(value) ? LB_EARLY_STOPPING_TRUE : LB_EARLY_STOPPING_FALSE;
}

static void call_load(call *c, const json_t *fixture) {
  const json_t *o = json_object_get(fixture, "options");
  c->options = lb_generate_options_default();
  c->options.max_new_tokens = golden_int(o, "max_new_tokens", 0);
  c->options.min_new_tokens = golden_int(o, "min_new_tokens", 0);
  c->options.repetition_penalty = golden_real(o, "repetition_penalty", 1);
  c->options.num_beams = golden_int(o, "num_beams", 1);
  c->options.num_return_sequences = golden_int(o, "num_return_sequences", 1);
  c->options.length_penalty = golden_real(o, "length_penalty", 1);
  c->options.early_stopping = early_stopping_of(json_object_get(o, "early_stopping"));
  c->eos = golden_ids(json_object_get(o, "eos_token_id"), &c->options.n_eos_ids);
  c->options.eos_ids = c->eos;
  c->options.ignore_eos = c->options.n_eos_ids == 0;
}

static lb_generation *generate(lb_model *model, const lb_prompt *prompts, size_t n, const call *c) {
  lb_error err;
  lb_generation *g;
  if (lb_generate(&g, model, NULL, prompts, n, &c->options, &err) != LB_OK)
    fail_msg("%s", err.message);
  return g;
}

static void check_sequences(const char *what, const json_t *fixture, const lb_generation *g,
                            size_t prompt) {
  const json_t *sequences = json_object_get(fixture, "sequences");
  const json_t *scores = json_object_get(fixture, "scores");
  const json_t *finish = json_object_get(fixture, "finish");
  assert_int_equal(lb_generation_n_sequences(g, prompt), json_array_size(sequences));
  for (size_t i = 0; i < json_array_size(sequences); i++) {
    const lb_sequence *s = lb_generation_sequence(g, prompt, i);
    golden_assert_ids(what, json_array_get(sequences, i), s->ids, s->n_ids);
    const char *reason = json_string_value(json_array_get(finish, i));
    if (strcmp(lb_finish_reason_name(s->finish_reason), reason) != 0)
      fail_msg("%s: finish_reason: want %s, got %s", what, reason,
               lb_finish_reason_name(s->finish_reason));
    if (scores == NULL) continue;
    double score = json_number_value(json_array_get(scores, i));
    if (!(fabs(score - s->score) <= LB_TOL_GOLDEN_LOGPROB_SUM))
      fail_msg("%s: score of sequence %zu: want %.6f, got %.6f", what, i, score, s->score);
  }
}

static void check_logprob(const char *what, const json_t *fixture, const lb_generation *g,
                          size_t prompt) {
  double want = golden_real(fixture, "logprob", 0),
         got = lb_generation_sequence(g, prompt, 0)->logprob;
  if (!(fabs(want - got) <= LB_TOL_GOLDEN_LOGPROB_SUM))
    fail_msg("%s: logprob: want %.6f, got %.6f", what, want, got);
}

/* Each case of one list ("greedy", "beams") on its own. */
static void check_list(const golden_model *m, lb_model *model, const char *list_name) {
  const json_t *list = json_object_get(m->expected, list_name);
  assert_true(json_array_size(list) > 0);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *fixture = json_array_get(list, i);
    char what[128];
    snprintf(what, sizeof what, "%s: %s[%zu]", m->name, list_name, i);
    call c;
    call_load(&c, fixture);
    lb_prompt prompt = golden_prompt(json_object_get(fixture, "prompt"));
    lb_generation *g = generate(model, &prompt, 1, &c);
    check_sequences(what, fixture, g, 0);
    if (json_object_get(fixture, "logprob") != NULL) check_logprob(what, fixture, g, 0);
    lb_generation_free(g);
    free((void *)prompt.ids);
    free(c.eos);
  }
}

/* All prompts of the first greedy kind in one call: lengths differ, one by one they finish. */
static void check_several_prompts(const golden_model *m, lb_model *model) {
  const json_t *list = json_object_get(m->expected, "greedy");
  const json_t *like = json_object_get(json_array_get(list, 0), "options");
  size_t n = 0, n_cases = json_array_size(list);
  lb_prompt *prompts = calloc(n_cases, sizeof *prompts);
  const json_t **cases = calloc(n_cases, sizeof *cases);
  assert_true(prompts != NULL && cases != NULL);
  for (size_t i = 0; i < n_cases; i++) {
    const json_t *fixture = json_array_get(list, i);
    if (!json_equal(json_object_get(fixture, "options"), like)) continue;
    cases[n] = fixture;
    prompts[n++] = golden_prompt(json_object_get(fixture, "prompt"));
  }
  assert_true(n >= 2);
  call c;
  call_load(&c, cases[0]);
  lb_generation *g = generate(model, prompts, n, &c);
  for (size_t i = 0; i < n; i++) {
    check_sequences("several prompts in one call", cases[i], g, i);
    free((void *)prompts[i].ids);
  }
  lb_generation_free(g);
  free(c.eos);
  free(prompts);
  free(cases);
}

/* Without eos_ids the model's own end: the list in its generation_config.json. */
static void check_own_eos(const golden_model *m, lb_model *model) {
  const json_t *own = json_object_get(m->expected, "own_eos");
  if (own == NULL) return;
  const json_t *fixture = json_object_get(own, "case");
  call c;
  call_load(&c, fixture);
  c.options.eos_ids = NULL;
  c.options.n_eos_ids = 0;
  lb_prompt prompt = golden_prompt(json_object_get(fixture, "prompt"));
  lb_generation *g = generate(model, &prompt, 1, &c);
  check_sequences("the model's own end tokens", fixture, g, 0);
  lb_generation_free(g);
  free((void *)prompt.ids);
  free(c.eos);
}

static void answers_are_those_of_transformers(void **state) {
  golden_model m;
  golden_model_load(&m, *state);
  lb_model *model = golden_open(m.folder, LB_PRECISION_F32);
  check_list(&m, model, "greedy");
  check_several_prompts(&m, model);
  check_own_eos(&m, model);
  check_list(&m, model, "beams");
  lb_model_free(model);
  golden_model_unload(&m);
}

int main(void) {
  return golden_run_models("generation", answers_are_those_of_transformers);
}

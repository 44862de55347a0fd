/* test_golden_real.c - two real models, as their files are in the world, against Transformers with
 * the same weights: ids of text, predictions at every position, greedy answers, beams. The files
 * (94 and 253 MB) are not in the repository: LIMBECK_MODELS names their folder, and without it the
 * test says so and is skipped. Read next: golden.h, README.md (where the files come from). */
#include "golden.h"

#include "tolerances.h"

#include <limbeck/chat.h>
#include <limbeck/generate.h>
#include <limbeck/tokenizer.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SKIPPED = 77, TOP = 5 };

static const char *const FIXTURES[] = {"SmolLM2-135M-Instruct", "gemma-3-270m-q4_k_m"};

typedef struct real_model {
  const char *name;
  char *path; /* of the GGUF file */
  json_t *expected;
  lb_model *model;
} real_model;

static char *gguf_path(const json_t *expected) {
  const char *folder = getenv("LIMBECK_MODELS"),
             *file = json_string_value(json_object_get(expected, "file"));
  if (folder == NULL) return NULL;
  char *path = malloc(strlen(folder) + strlen(file) + 2);
  assert_non_null(path);
  sprintf(path, "%s/%s", folder, file);
  return path;
}

static int real_open(void **state) {
  real_model *m = calloc(1, sizeof *m);
  if (m == NULL) return -1;
  m->name = *state;
  char *json = golden_path("real/%s.json", m->name);
  m->expected = golden_json(json);
  free(json);
  m->path = gguf_path(m->expected);
  m->model = golden_open(m->path, LB_PRECISION_F32);
  *state = m;
  return 0;
}

static int real_close(void **state) {
  real_model *m = *state;
  lb_model_free(m->model);
  json_decref(m->expected);
  free(m->path);
  free(m);
  return 0;
}

/* ---- text ---- */

static void check_ids(lb_tokenizer *tokenizer, const json_t *fixture) {
  lb_error err;
  int32_t *ids;
  size_t n;
  const char *text = json_string_value(json_object_get(fixture, "text"));
  lb_encode_options options = lb_encode_options_default();
  options.add_special_tokens =
      json_object_get(fixture, "messages") == NULL; /* a template writes its own */
  if (lb_tokenizer_encode(tokenizer, text, strlen(text), &options, &ids, &n, &err) != LB_OK)
    fail_msg("%s: %s", text, err.message);
  golden_assert_ids(text, json_object_get(fixture, "ids"), ids, n);
  lb_ids_free(ids);
}

static void check_chat(const char *path, const json_t *fixture) {
  lb_error err;
  lb_chat_template *template;
  lb_chat_text *text;
  json_t *request = json_pack("{s:O,s:b}", "messages", json_object_get(fixture, "messages"),
                              "add_generation_prompt", 1);
  char *json = json_dumps(request, 0);
  if (lb_chat_template_open(&template, path, NULL, &err) != LB_OK) fail_msg("%s", err.message);
  if (lb_chat_render(&text, template, json, strlen(json), NULL, &err) != LB_OK)
    fail_msg("%s", err.message);
  assert_string_equal(text->text, json_string_value(json_object_get(fixture, "text")));
  lb_chat_text_free(text);
  lb_chat_template_free(template);
  free(json);
  json_decref(request);
}

static void texts_agree(void **state) {
  const real_model *m = *state;
  lb_error err;
  lb_tokenizer *tokenizer;
  size_t i;
  json_t *fixture;
  if (lb_tokenizer_open(&tokenizer, m->path, &err) != LB_OK) fail_msg("%s", err.message);
  json_array_foreach(json_object_get(m->expected, "prompts"), i, fixture) {
    check_ids(tokenizer, fixture);
    if (json_object_get(fixture, "messages") != NULL) check_chat(m->path, fixture);
  }
  json_array_foreach(json_object_get(m->expected, "long"), i, fixture)
      check_ids(tokenizer, fixture);
  lb_tokenizer_free(tokenizer);
}

/* ---- every position ---- */

static void check_top(const char *what, const json_t *top, const lb_score_row *row, size_t t) {
  for (size_t k = 0; k < TOP; k++) {
    const json_t *pair = json_array_get(top, k);
    int32_t id = (int32_t)json_integer_value(json_array_get(pair, 0));
    double want = json_number_value(json_array_get(pair, 1));
    bool found = false;
    for (size_t j = 0; j < 2 * TOP && !found; j++) { /* near ties may change places */
      if (row->top_ids[t * 2 * TOP + j] != id) continue;
      double got = (double)row->top_logprobs[t * 2 * TOP + j];
      if (!(fabs(want - got) <= LB_TOL_GOLDEN_REAL))
        fail_msg("%s: position %zu, id %d: want log-probability %.5f, got %.5f", what, t, id, want,
                 got);
      found = true;
    }
    if (!found) fail_msg("%s: position %zu: id %d is not among the best", what, t, id);
  }
}

static void check_positions(const real_model *m, const json_t *fixture) {
  lb_error err;
  lb_scores *scores;
  lb_score_options options = lb_score_options_default();
  options.top_k = 2 * TOP;
  lb_prompt prompt = golden_prompt(json_object_get(fixture, "ids"));
  if (lb_score(&scores, m->model, &prompt, 1, &options, &err) != LB_OK) fail_msg("%s", err.message);
  const lb_score_row *row = lb_scores_get(scores, 0);
  const json_t *argmax = json_object_get(fixture, "argmax"), *gap = json_object_get(fixture, "gap");
  const json_t *lse = json_object_get(fixture, "logsumexp"), *top = json_object_get(fixture, "top");
  size_t top_from = (size_t)golden_int(fixture, "top_from", 0);
  double worst = 0;
  for (size_t t = 0; t < prompt.n_ids; t++) {
    double want = json_number_value(json_array_get(lse, t)), got = (double)row->logsumexp[t];
    if (!(fabs(want - got) <= LB_TOL_GOLDEN_REAL))
      fail_msg("%s: logsumexp[%zu]: want %.5f, got %.5f", m->name, t, want, got);
    worst = fmax(worst, fabs(want - got));
    if (json_number_value(json_array_get(gap, t)) > 2 * LB_TOL_GOLDEN_REAL)
      assert_int_equal(row->argmax[t], json_integer_value(json_array_get(argmax, t)));
    if (t >= top_from) check_top(m->name, json_array_get(top, t - top_from), row, t);
  }
  print_message("           %s: %zu positions, largest difference of logsumexp %.1e\n", m->name,
                prompt.n_ids, worst);
  lb_scores_free(scores);
  free((void *)prompt.ids);
}

static void positions_agree(void **state) {
  const real_model *m = *state;
  size_t i;
  json_t *fixture;
  json_array_foreach(json_object_get(m->expected, "prompts"), i, fixture)
      check_positions(m, fixture);
  json_array_foreach(json_object_get(m->expected, "long"), i, fixture) check_positions(m, fixture);
}

/* ---- answers ---- */

static lb_generation *generate(const real_model *m, const lb_prompt *prompt, lb_generate_options *o,
                               const int32_t *eos, size_t n_eos) {
  lb_error err;
  lb_generation *g;
  o->eos_ids = eos;
  o->n_eos_ids = n_eos;
  if (lb_generate(&g, m->model, NULL, prompt, 1, o, &err) != LB_OK) fail_msg("%s", err.message);
  return g;
}

static void greedy_answers_agree(void **state) {
  const real_model *m = *state;
  size_t i, n_eos;
  json_t *fixture;
  int32_t *eos = golden_ids(json_object_get(m->expected, "eos"), &n_eos);
  json_array_foreach(json_object_get(m->expected, "prompts"), i, fixture) {
    const json_t *want = json_object_get(fixture, "greedy");
    lb_generate_options options = lb_generate_options_default();
    options.max_new_tokens = (int64_t)json_array_size(want);
    lb_prompt prompt = golden_prompt(json_object_get(fixture, "ids"));
    lb_generation *g = generate(m, &prompt, &options, eos, n_eos);
    const lb_sequence *s = lb_generation_sequence(g, 0, 0);
    golden_assert_ids(json_string_value(json_object_get(fixture, "text")), want, s->ids, s->n_ids);
    assert_true(fabs(s->logprob - golden_real(fixture, "logprob", 0)) <= LB_TOL_GOLDEN_REAL_SUM);
    lb_generation_free(g);
    free((void *)prompt.ids);
  }
  free(eos);
}

static void check_beams(const real_model *m, const json_t *fixture) {
  const json_t *o = json_object_get(fixture, "options"),
               *sequences = json_object_get(fixture, "sequences");
  lb_generate_options options = lb_generate_options_default();
  size_t n_eos;
  int32_t *eos = golden_ids(json_object_get(o, "eos_token_id"), &n_eos);
  options.max_new_tokens = golden_int(o, "max_new_tokens", 0);
  options.num_beams = golden_int(o, "num_beams", 1);
  options.num_return_sequences = golden_int(o, "num_return_sequences", 1);
  options.length_penalty = golden_real(o, "length_penalty", 1);
  options.early_stopping = json_is_true(json_object_get(o, "early_stopping"))
                               ? LB_EARLY_STOPPING_TRUE
                               : LB_EARLY_STOPPING_FALSE;
  lb_prompt prompt = golden_prompt(json_object_get(fixture, "prompt"));
  lb_generation *g = generate(m, &prompt, &options, eos, n_eos);
  for (size_t i = 0; i < json_array_size(sequences); i++) {
    const lb_sequence *s = lb_generation_sequence(g, 0, i);
    golden_assert_ids("beams", json_array_get(sequences, i), s->ids, s->n_ids);
    double want = json_number_value(json_array_get(json_object_get(fixture, "scores"), i));
    assert_true(fabs(s->score - want) <= LB_TOL_GOLDEN_REAL_SUM);
  }
  lb_generation_free(g);
  free((void *)prompt.ids);
  free(eos);
}

static void beams_agree(void **state) {
  const real_model *m = *state;
  size_t i;
  json_t *fixture;
  assert_true(json_array_size(json_object_get(m->expected, "beams")) > 0);
  json_array_foreach(json_object_get(m->expected, "beams"), i, fixture) check_beams(m, fixture);
}

/* ---- */

static int fixtures_present(void) {
  for (size_t i = 0; i < sizeof FIXTURES / sizeof *FIXTURES; i++) {
    char *json = golden_path("real/%s.json", FIXTURES[i]);
    json_t *expected = json_load_file(json, 0, NULL);
    char *path = gguf_path(expected);
    bool present = path != NULL && access(path, R_OK) == 0;
    if (!present)
      fprintf(stderr,
              "skipped: LIMBECK_MODELS=%s does not hold %s (tests/golden/README.md says where it "
              "comes from)\n",
              getenv("LIMBECK_MODELS") ? getenv("LIMBECK_MODELS") : "(unset)",
              json_string_value(json_object_get(expected, "file")));
    free(path);
    json_decref(expected);
    free(json);
    if (!present) return 0;
  }
  return 1;
}

#define CASE(test, i)                                                                              \
  cmocka_unit_test_prestate_setup_teardown(test, real_open, real_close,                            \
                                           (void *)(uintptr_t)FIXTURES[i])

int main(void) {
  if (!fixtures_present()) return SKIPPED;
  const struct CMUnitTest tests[] = {
      CASE(texts_agree, 0),          CASE(positions_agree, 0), CASE(greedy_answers_agree, 0),
      CASE(beams_agree, 0),          CASE(texts_agree, 1),     CASE(positions_agree, 1),
      CASE(greedy_answers_agree, 1), CASE(beams_agree, 1),
  };
  return cmocka_run_group_tests_name("real models", tests, NULL, NULL);
}

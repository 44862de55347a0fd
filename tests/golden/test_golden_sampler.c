/* test_golden_sampler.c - penalties and warpers turn logits into Transformers' probabilities, on
 * vectors without a model: wide, flat, tied, huge, a vocabulary of one. Read next: sampler.h. */
#include "golden.h"

#include "generate/sampler.h"
#include "tolerances.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static lb_generate_options options_of(const json_t *o) {
  lb_generate_options options = lb_generate_options_default();
  options.do_sample = true;
  options.temperature = golden_real(o, "temperature", options.temperature);
  options.top_k = golden_int(o, "top_k", options.top_k);
  options.top_p = golden_real(o, "top_p", options.top_p);
  options.min_p = golden_real(o, "min_p", options.min_p);
  options.repetition_penalty = golden_real(o, "repetition_penalty", options.repetition_penalty);
  return options;
}

static void process(lb__sampler *s, const json_t *logits, const json_t *fixture) {
  lb_generate_options options = options_of(json_object_get(fixture, "options"));
  size_t n_previous;
  int32_t *previous = golden_ids(json_object_get(fixture, "previous"), &n_previous);
  for (size_t i = 0; i < json_array_size(logits); i++)
    s->row[i] = (float)json_number_value(json_array_get(logits, i));
  /* half of what came before is prompt, half is new: both count */
  lb__history history = {.prompt = previous,
                         .n_prompt = n_previous / 2,
                         .fresh = previous + n_previous / 2,
                         .n_fresh = n_previous - n_previous / 2};
  lb__row_process(s, &options, NULL, 0, history);
  lb__row_warp(s, &options);
  free(previous);
}

static void check_probabilities(const char *what, const lb__sampler *s, const json_t *want) {
  double lse = lb__row_logsumexp(s->row, s->vocab_size);
  for (size_t i = 0; i < (size_t)s->vocab_size; i++) {
    double p = exp((double)s->row[i] - lse), q = json_number_value(json_array_get(want, i));
    if ((p == 0) != (q == 0)) fail_msg("%s: token %zu: want probability %g, got %g", what, i, q, p);
    if (!(fabs(p - q) <= LB_TOL_GOLDEN_PROBABILITY))
      fail_msg("%s: token %zu: want probability %.8f, got %.8f", what, i, q, p);
  }
}

static void probabilities_are_those_of_transformers(void **state) {
  (void)state;
  char *path = golden_path("sampler.json");
  json_t *tree = golden_json(path);
  const json_t *cases = json_object_get(tree, "cases");
  assert_true(json_array_size(cases) > 50);
  for (size_t i = 0; i < json_array_size(cases); i++) {
    const json_t *fixture = json_array_get(cases, i);
    const char *vector = json_string_value(json_object_get(fixture, "vector"));
    const json_t *logits = json_object_get(json_object_get(tree, "vectors"), vector);
    char what[64];
    snprintf(what, sizeof what, "case %zu (%s)", i, vector);
    lb__sampler s;
    lb_error err;
    if (lb__sampler_init(&s, (int64_t)json_array_size(logits), &err) != LB_OK)
      fail_msg("%s", err.message);
    process(&s, logits, fixture);
    check_probabilities(what, &s, json_object_get(fixture, "probabilities"));
    lb__sampler_deinit(&s);
  }
  json_decref(tree);
  free(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(probabilities_are_those_of_transformers)};
  return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}

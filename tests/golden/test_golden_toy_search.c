/* test_golden_toy_search.c - greedy and beam search against Transformers' own, on a toy language
 * model that both compute bit for bit: 240 mixtures of beams, length penalties, stopping rules, end
 * tokens, penalties. The generator is generate/toy_search.py. */
#include "generate/search.h"
#include "toy_decoder.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_IDS = 64 };

/* "3,1,4" or "-" */
static size_t read_ids(const char *text, int32_t ids[MAX_IDS]) {
  size_t n = 0;
  if (text[0] == '-') return 0;
  for (char *end; *text != '\0' && n < MAX_IDS; text = *end == ',' ? end + 1 : end)
    ids[n++] = (int32_t)strtol(text, &end, 10);
  return n;
}

typedef struct toy_case {
  int vocab_size;
  int32_t prompt[MAX_IDS], eos[MAX_IDS];
  size_t n_prompt, n_eos;
  lb_generate_options options;
} toy_case;

static void read_case(toy_case *c, const char *line) {
  char prompt[256], eos[256], early[16];
  int max_new, min_new, beams, n_return;
  double length_penalty, penalty;
  assert_int_equal(sscanf(line, "%d %255s %d %d %255s %d %lf %15s %lf %d", &c->vocab_size, prompt,
                          &max_new, &min_new, eos, &beams, &length_penalty, early, &penalty,
                          &n_return),
                   10);
  c->n_prompt = read_ids(prompt, c->prompt);
  c->n_eos = read_ids(eos, c->eos);
  c->options = lb_generate_options_default();
  c->options.max_new_tokens = max_new;
  c->options.min_new_tokens = min_new;
  c->options.num_beams = beams;
  c->options.length_penalty = length_penalty;
  c->options.repetition_penalty = penalty;
  c->options.num_return_sequences = n_return;
  c->options.early_stopping = early[0] == 't'   ? LB_EARLY_STOPPING_TRUE
                              : early[0] == 'n' ? LB_EARLY_STOPPING_NEVER
                                                : LB_EARLY_STOPPING_FALSE;
}

static void check_sequence(const char *want, const lb_sequence *got, bool has_score, int line) {
  char text[512];
  double score;
  int32_t ids[MAX_IDS];
  assert_int_equal(sscanf(want, " %lf %511s", &score, text), 2);
  size_t n = read_ids(text, ids);
  if (got->n_ids != n || memcmp(got->ids, ids, n * sizeof *ids) != 0)
    fail_msg("line %d: other ids than Transformers' %s", line, want);
  /* one rounding of a float sum of at most 20 terms below 10 */
  if (has_score && fabs(got->score - score) > 4e-6 * (1.0 + fabs(score)))
    fail_msg("line %d: score %.9g, want %.9g", line, got->score, score);
}

static void check_line(char *line, int number) {
  toy_case c;
  lb_error err = {0};
  lb__decoder *d;
  lb_generation *g;
  read_case(&c, line);
  assert_int_equal(toy_decoder_new(&d, c.vocab_size, 4096, NULL, &err), LB_OK);
  lb_prompt prompt = {c.prompt, c.n_prompt};
  lb__search_input input = {
      .decoder = d, .eos_ids = c.eos, .n_eos_ids = c.n_eos, .prompts = &prompt, .n_prompts = 1};
  if (lb__search_run(&g, &input, &c.options, &err) != LB_OK)
    fail_msg("line %d: %s", number, err.message);
  for (size_t i = 0; i < lb_generation_n_sequences(g, 0); i++) {
    line = strchr(line, '|') + 1;
    check_sequence(line, lb_generation_sequence(g, 0, i), c.options.num_beams > 1, number);
  }
  assert_int_equal(toy_decoder_stats(d)->alive, 0);
  lb_generation_free(g);
  lb__decoder_free(d);
}

static void test_as_transformers(void **state) {
  (void)state;
  FILE *f = fopen(LIMBECK_SOURCE_DIR "/tests/golden/data/toy_search.txt", "r");
  assert_non_null(f);
  static char line[16384];
  int n = 0;
  while (fgets(line, sizeof line, f) != NULL) check_line(line, ++n);
  fclose(f);
  assert_int_equal(n, 240);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_transformers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_generate.c - lb_generate and lb_session on a tiny random model: against lb_score, which has
 * no cache; together against one by one; a session against a fresh start; every failure. */
#include <limbeck/environment.h>
#include <limbeck/score.h>

#include "faults.h"
#include "scratch.h"
#include "tiny_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { N_PROMPTS = 70, MAX_PROMPT = 600 };
/* float sums in another order, over at most 700 terms */
#define TOLERANCE 2e-3

static char *folder;
static lb_model *model;
static lb_tokenizer *tokenizer;
static int32_t store[N_PROMPTS][MAX_PROMPT];
static lb_prompt prompts[N_PROMPTS];

static int setup(void **state) {
  (void)state;
  lb_error err;
  lb_threads_set(1); /* matrices of 16 columns: threads would only wait for each other */
  folder = scratch_new();
  tiny_model_write(folder, (tiny_options){.seed = 3});
  if (lb_model_open(&model, folder, NULL, &err) != LB_OK) fail_msg("%s", err.message);
  if (lb_tokenizer_open(&tokenizer, folder, &err) != LB_OK) fail_msg("%s", err.message);
  for (size_t i = 0; i < N_PROMPTS; i++) {
    size_t n = i == 5 ? MAX_PROMPT : 1 + i * 11 % 60;
    for (size_t t = 0; t < n; t++) store[i][t] = (int32_t)((i * 17 + t * t * 5 + t * i) % TINY_V);
    prompts[i] = (lb_prompt){store[i], n};
  }
  return 0;
}

static int teardown(void **state) {
  (void)state;
  lb_tokenizer_free(tokenizer);
  lb_model_free(model);
  scratch_remove(folder);
  return 0;
}

static lb_generation *generate(const lb_prompt *p, size_t n, const lb_generate_options *o) {
  lb_error err;
  lb_generation *g;
  if (lb_generate(&g, model, tokenizer, p, n, o, &err) != LB_OK) fail_msg("%s", err.message);
  return g;
}

/* Prompt and answer in one array; the caller frees ids. */
static lb_prompt joined(lb_prompt p, const lb_sequence *s) {
  int32_t *ids = malloc((p.n_ids + s->n_ids + 1) * sizeof *ids);
  memcpy(ids, p.ids, p.n_ids * sizeof *ids);
  if (s->n_ids > 0) memcpy(ids + p.n_ids, s->ids, s->n_ids * sizeof *ids);
  return (lb_prompt){ids, p.n_ids + s->n_ids};
}

/* The answer's log-probability, and that each token is the most likely one, by lb_score. */
static void check_by_score(lb_prompt p, const lb_sequence *s, bool is_greedy) {
  lb_prompt whole = joined(p, s);
  lb_scores *scores;
  double sum = 0.0;
  assert_int_equal(lb_score(&scores, model, &whole, 1, NULL, NULL), LB_OK);
  const lb_score_row *row = lb_scores_get(scores, 0);
  for (size_t t = p.n_ids; t < whole.n_ids; t++) {
    sum += (double)row->logprobs[t];
    if (is_greedy) assert_int_equal(row->argmax[t - 1], whole.ids[t]);
  }
  if (fabs(sum - s->logprob) > TOLERANCE) fail_msg("logprob %g, by score %g", s->logprob, sum);
  lb_scores_free(scores);
  free((int32_t *)(uintptr_t)whole.ids);
}

static void test_greedy_agrees_with_score(void **state) {
  (void)state;
  lb_generate_options o = lb_generate_options_default();
  o.max_new_tokens = 40;
  lb_generation *g = generate(prompts, N_PROMPTS, &o);
  int n_eos = 0;
  for (size_t i = 0; i < N_PROMPTS; i++) {
    const lb_sequence *s = lb_generation_sequence(g, i, 0);
    check_by_score(prompts[i], s, true);
    bool ended = s->ids[s->n_ids - 1] == TINY_EOS;
    assert_int_equal(s->finish_reason, ended ? LB_FINISH_EOS : LB_FINISH_LENGTH);
    n_eos += ended;
  }
  assert_true(n_eos > 0 && n_eos < N_PROMPTS); /* both ends were tried */
  lb_generation_free(g);
}

static void test_together_equals_alone(void **state) {
  (void)state;
  lb_generate_options o = lb_generate_options_default();
  o.max_new_tokens = 20;
  for (int beams = 1; beams <= 4; beams += 3) {
    o.num_beams = beams;
    lb_generation *all = generate(prompts, N_PROMPTS, &o);
    for (size_t i = 0; i < N_PROMPTS; i += 6) {
      lb_generation *one = generate(&prompts[i], 1, &o);
      const lb_sequence *a = lb_generation_sequence(all, i, 0);
      const lb_sequence *b = lb_generation_sequence(one, 0, 0);
      assert_int_equal(a->n_ids, b->n_ids);
      assert_memory_equal(a->ids, b->ids, a->n_ids * sizeof *a->ids);
      assert_true(fabs(a->logprob - b->logprob) < TOLERANCE);
      lb_generation_free(one);
    }
    lb_generation_free(all);
  }
}

static void test_beams_and_samples_agree_with_score(void **state) {
  (void)state;
  lb_generate_options o = lb_generate_options_default();
  o.max_new_tokens = 35;
  o.num_return_sequences = 4;
  for (int sampled = 0; sampled < 2; sampled++) {
    o.num_beams = sampled ? 1 : 4;
    o.do_sample = sampled;
    o.seed = 9;
    lb_generation *g = generate(prompts + 6, 8, &o);
    for (size_t i = 0; i < 8; i++)
      for (size_t k = 0; k < 4; k++)
        check_by_score(prompts[6 + i], lb_generation_sequence(g, i, k), false);
    lb_generation_free(g);
  }
}

static void test_text_is_the_decoded_ids(void **state) {
  (void)state;
  lb_generate_options o = lb_generate_options_default();
  o.max_new_tokens = 30;
  o.do_sample = true;
  o.temperature = 3.0; /* so that ids without a token come up too */
  lb_generation *g = generate(prompts, 20, &o);
  int n_unknown = 0;
  for (size_t i = 0; i < 20; i++) {
    const lb_sequence *s = lb_generation_sequence(g, i, 0);
    int32_t known[64];
    size_t n = 0;
    char *text;
    for (size_t t = 0; t < s->n_ids; t++)
      if (s->ids[t] < TINY_KNOWN) known[n++] = s->ids[t];
    n_unknown += (int)(s->n_ids - n);
    assert_int_equal(lb_tokenizer_decode(tokenizer, known, n, true, &text, NULL, NULL), LB_OK);
    assert_string_equal(s->text, text);
    assert_int_equal(s->text_size, strlen(text));
    lb_text_free(text);
  }
  assert_true(n_unknown > 0);
  lb_generation_free(g);
}

/* ---- sessions ---- */

static void assert_as_fresh(lb_session *session, lb_prompt p, const lb_generate_options *o,
                            int64_t most_read) {
  lb_generation *kept, *fresh = generate(&p, 1, o);
  lb_error err;
  if (lb_session_generate(&kept, session, p, o, &err) != LB_OK) fail_msg("%s", err.message);
  const lb_sequence *a = lb_generation_sequence(kept, 0, 0);
  const lb_sequence *b = lb_generation_sequence(fresh, 0, 0);
  assert_int_equal(a->n_ids, b->n_ids);
  assert_memory_equal(a->ids, b->ids, a->n_ids * sizeof *a->ids);
  assert_true(lb_generation_get_times(kept).prompt_tokens <= most_read);
  lb_generation_free(kept);
  lb_generation_free(fresh);
}

static void test_session_reads_only_what_is_new(void **state) {
  (void)state;
  lb_session *session;
  lb_generate_options o = lb_generate_options_default();
  o.max_new_tokens = 25;
  o.ignore_eos = true;
  assert_int_equal(lb_session_new(&session, model, tokenizer, NULL), LB_OK);
  assert_as_fresh(session, (lb_prompt){store[5], 300}, &o, 300);
  assert_as_fresh(session, (lb_prompt){store[5], 300}, &o, 1);  /* the same again */
  assert_as_fresh(session, (lb_prompt){store[5], 320}, &o, 21); /* other words after 300 */
  assert_as_fresh(session, (lb_prompt){store[5], 100}, &o, 1);  /* shorter */
  assert_as_fresh(session, (lb_prompt){store[5], 600}, &o, 500);
  lb_generation *g = generate(&(lb_prompt){store[5], 600}, 1, &o);
  lb_prompt answered = joined((lb_prompt){store[5], 600}, lb_generation_sequence(g, 0, 0));
  assert_as_fresh(session, answered, &o,
                  1); /* the conversation goes on: all but its end is there */
  assert_as_fresh(session, prompts[6], &o, (int64_t)prompts[6].n_ids); /* another one altogether */
  free((int32_t *)(uintptr_t)answered.ids);
  lb_generation_free(g);
  lb_session_free(session);
}

static int cancelled, tokens_left;
static bool cancel_later(void *ctx, size_t prompt, size_t sequence, int32_t id, float logprob,
                         const char *text, size_t size) {
  (void)ctx, (void)prompt, (void)sequence, (void)id, (void)logprob, (void)text, (void)size;
  if (--tokens_left == 0) cancelled = 1;
  return true;
}

static void test_session_survives_failures(void **state) {
  (void)state;
  lb_session *session;
  lb_generation *g;
  lb_error err;
  lb_generate_options o = lb_generate_options_default(), stopping = o;
  o.max_new_tokens = stopping.max_new_tokens = 30;
  stopping.ignore_eos = true;
  stopping.cancel = &cancelled;
  stopping.on_token = cancel_later;
  assert_int_equal(lb_session_new(&session, model, NULL, NULL), LB_OK);
  tokens_left = 10, cancelled = 0;
  assert_int_equal(lb_session_generate(&g, session, prompts[5], &stopping, &err), LB_E_CANCELLED);
  assert_null(g);
  assert_as_fresh(session, prompts[5], &o, 1);
  int32_t wrong[] = {1, 2, -3};
  assert_int_equal(lb_session_generate(&g, session, (lb_prompt){wrong, 3}, &o, &err), LB_E_ARG);
  assert_int_equal(lb_session_generate(&g, session, (lb_prompt){wrong, 0}, &o, &err), LB_E_ARG);
  assert_string_equal(err.message, "prompt: want at least one token, it is empty");
  stopping.num_beams = 2;
  assert_int_equal(lb_session_generate(&g, session, prompts[1], &stopping, &err), LB_E_ARG);
  assert_string_equal(err.message, "num_beams: want 1 in a session, got 2");
  assert_as_fresh(session, prompts[7], &o, (int64_t)prompts[7].n_ids);
  lb_session_free(session);
}

/* ---- failures ---- */

static void test_broken_weights(void **state) {
  (void)state;
  char *place = scratch_new();
  lb_model *broken;
  lb_generation *g;
  lb_error err;
  lb_generate_options o = lb_generate_options_default();
  tiny_model_write(place, (tiny_options){.seed = 3, .is_broken = 1});
  assert_int_equal(lb_model_open(&broken, place, NULL, NULL), LB_OK);
  for (o.num_beams = 1; o.num_beams <= 2; o.num_beams++) {
    assert_int_equal(lb_generate(&g, broken, NULL, prompts, 2, &o, &err), LB_E_NUMERIC);
    assert_null(g);
    assert_non_null(strstr(err.message, "not finite"));
  }
  lb_model_free(broken);
  scratch_remove(place);
}

typedef struct fault_run {
  lb_generate_options o;
  bool in_session;
} fault_run;

static lb_status run_in_session(const fault_run *r, lb_error *err) {
  lb_session *session;
  lb_generation *g;
  lb_status st = lb_session_new(&session, model, tokenizer, err);
  for (size_t i = 0; i < 2 && st == LB_OK; i++) {
    st = lb_session_generate(&g, session, (lb_prompt){store[5], 20 + 20 * i}, &r->o, err);
    lb_generation_free(g);
  }
  lb_session_free(session);
  return st;
}

static lb_status run(void *ctx, lb_error *err) {
  const fault_run *r = ctx;
  if (r->in_session) return run_in_session(r, err);
  lb_generation *g;
  lb_status st = lb_generate(&g, model, tokenizer, prompts, 3, &r->o, err);
  assert_true((st == LB_OK) == (g != NULL));
  lb_generation_free(g);
  return st;
}

/* The arena and the cache ask for more than they need and take less when refused: may_survive. */
static void test_every_allocation_may_fail(void **state) {
  (void)state;
  const char *const stop[] = {"zz"};
  fault_run r = {.o = lb_generate_options_default()};
  fault_case c = {.run = run, .ctx = &r, .may_survive = true};
  r.o.max_new_tokens = 14;
  r.o.stop = stop, r.o.n_stop = 1;
  assert_true(fault_each_allocation(&c) > 20);
  r.in_session = true;
  assert_true(fault_each_allocation(&c) > 20);
  r.in_session = false;
  r.o.max_new_tokens = 4;
  r.o.num_beams = 3;
  assert_true(fault_each_allocation(&c) > 20);
}

/* ---- steady state ---- */

static int n_allocations, n_steps, n_allocating_steps;

static void *count_alloc(void *ctx, size_t size) {
  (void)ctx;
  n_allocations++;
  return malloc(size);
}
static void *count_resize(void *ctx, void *p, size_t old_size, size_t size) {
  (void)ctx, (void)old_size;
  n_allocations++;
  return realloc(p, size);
}
static void count_release(void *ctx, void *p) {
  (void)ctx;
  free(p);
}

static bool count_step(void *ctx, size_t prompt, size_t sequence, int32_t id, float logprob,
                       const char *text, size_t size) {
  (void)ctx, (void)prompt, (void)sequence, (void)id, (void)logprob, (void)text, (void)size;
  n_allocating_steps += n_steps++ > 0 && n_allocations > 0;
  n_allocations = 0;
  return true;
}

/* What grows (ids, pages) doubles; so of 500 steps only a handful may allocate. */
static void test_steps_do_not_allocate(void **state) {
  (void)state;
  static const lb_allocator counting = {count_alloc, count_resize, count_release, NULL};
  lb_generate_options o = lb_generate_options_default();
  o.max_new_tokens = 500;
  o.ignore_eos = true;
  o.on_token = count_step;
  lb_generation *g;
  lb_allocator_set(&counting);
  assert_int_equal(lb_generate(&g, model, NULL, prompts, 1, &o, NULL), LB_OK);
  lb_generation_free(g);
  lb_allocator_set(NULL);
  assert_int_equal(n_steps, 500);
  assert_true(n_allocating_steps < 30);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_greedy_agrees_with_score),
      cmocka_unit_test(test_together_equals_alone),
      cmocka_unit_test(test_beams_and_samples_agree_with_score),
      cmocka_unit_test(test_text_is_the_decoded_ids),
      cmocka_unit_test(test_session_reads_only_what_is_new),
      cmocka_unit_test(test_session_survives_failures),
      cmocka_unit_test(test_broken_weights),
      cmocka_unit_test(test_every_allocation_may_fail),
      cmocka_unit_test(test_steps_do_not_allocate),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}

/* test_search.c - greedy search, sampling and beam search on a toy language model: equal to a naive
 * search, independent of the batch, bounded, and right when stopped, refused or out of memory. */
#include "generate/search.h"
#include "faults.h"
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

enum { V = 11 };
static const char *const pieces[V] = {"a", "b", "c", "d", " ", "\n", "\xC3", "\xA9", "x", "yz", ""};

typedef struct bench { /* a decoder with its text, and what came of a run */
  lb__decoder *decoder;
  lb__text_source text;
  lb__search_input input;
  lb_generation *g;
  lb_error err;
} bench;

static void bench_init(bench *b, int64_t vocab_size, int64_t max_positions, toy_logits_fn *fn) {
  *b = (bench){.text = toy_text(pieces)};
  assert_int_equal(toy_decoder_new(&b->decoder, vocab_size, max_positions, fn, NULL), LB_OK);
  b->input.decoder = b->decoder;
}

static lb_status bench_run(bench *b, const lb_prompt *prompts, size_t n,
                           const lb_generate_options *o) {
  lb_generation_free(b->g);
  b->input.prompts = prompts;
  b->input.n_prompts = n;
  return lb__search_run(&b->g, &b->input, o, &b->err);
}

static void bench_deinit(bench *b) {
  lb_generation_free(b->g);
  assert_int_equal(toy_decoder_stats(b->decoder)->alive, 0);
  lb__decoder_free(b->decoder);
}

static const lb_sequence *sequence(const bench *b, size_t prompt, size_t i) {
  return lb_generation_sequence(b->g, prompt, i);
}

static void assert_same(const lb_sequence *a, const lb_sequence *b) {
  assert_int_equal(a->n_ids, b->n_ids);
  assert_memory_equal(a->ids, b->ids, a->n_ids * sizeof *a->ids);
  assert_int_equal(a->finish_reason, b->finish_reason);
  assert_true(a->logprob == b->logprob && a->score == b->score);
  assert_int_equal(a->text_size, b->text_size);
  assert_memory_equal(a->text, b->text, a->text_size);
}

/* Many prompts of many lengths; the ids of prompt i are in store[i]. */
enum { N_PROMPTS = 150, MAX_PROMPT = 700 };
static int32_t store[N_PROMPTS][MAX_PROMPT];
static lb_prompt prompts[N_PROMPTS];

static void make_prompts(void) {
  for (size_t i = 0; i < N_PROMPTS; i++) {
    size_t n = i == 3 || i == 70 ? 600 + i : 1 + i * 7 % 23;
    for (size_t t = 0; t < n; t++) store[i][t] = (int32_t)((i * 31 + t * t * 7 + t) % V);
    prompts[i] = (lb_prompt){store[i], n};
  }
}

/* ---- greedy ---- */

static void test_greedy_is_the_naive_search(void **state) {
  (void)state;
  bench b;
  bench_init(&b, V, 1000, NULL);
  lb_generate_options o = lb_generate_options_default();
  const int32_t eos[] = {4, -1, 4, 99}; /* repeats and impossible ones are ignored */
  o.max_new_tokens = 12;
  b.input.eos_ids = eos, b.input.n_eos_ids = 4;
  assert_int_equal(bench_run(&b, prompts, N_PROMPTS, &o), LB_OK);
  for (size_t i = 0; i < N_PROMPTS; i++) {
    int32_t ids[MAX_PROMPT + 12];
    size_t n = prompts[i].n_ids, made = 0;
    double logprob = 0.0;
    lb_finish_reason reason = LB_FINISH_LENGTH;
    memcpy(ids, prompts[i].ids, n * sizeof *ids);
    while (made < 12 && reason == LB_FINISH_LENGTH) {
      float row[V];
      int best = 0;
      toy_logits(row, V, ids, n + made);
      for (int v = 1; v < V; v++)
        if (row[v] > row[best]) best = v;
      logprob += (double)row[best] - lb__row_logsumexp(row, V);
      ids[n + made++] = best;
      if (best == 4) reason = LB_FINISH_EOS;
    }
    const lb_sequence *s = sequence(&b, i, 0);
    assert_int_equal(s->n_ids, made);
    assert_memory_equal(s->ids, ids + n, made * sizeof *ids);
    assert_int_equal(s->finish_reason, reason);
    assert_true(fabs(s->logprob - logprob) < 1e-5 && s->score == s->logprob);
  }
  assert_true(toy_decoder_stats(b.decoder)->largest_feed <= LB__PROMPT_CHUNK);
  assert_true(toy_decoder_stats(b.decoder)->most_rows <= LB__MAX_LIVE);
  bench_deinit(&b);
}

/* Every search gives a prompt the same answer alone and among others. */
static void check_batch_equals_single(const lb_generate_options *o) {
  bench all, one;
  const int32_t eos[] = {4, 9};
  bench_init(&all, V, 1000, NULL);
  bench_init(&one, V, 1000, NULL);
  all.input.eos_ids = one.input.eos_ids = eos;
  all.input.n_eos_ids = one.input.n_eos_ids = 2;
  all.input.text = &all.text, one.input.text = &one.text;
  assert_int_equal(bench_run(&all, prompts, N_PROMPTS, o), LB_OK);
  for (size_t i = 0; i < N_PROMPTS; i++) {
    assert_int_equal(bench_run(&one, &prompts[i], 1, o), LB_OK);
    for (size_t k = 0; k < (size_t)o->num_return_sequences; k++)
      assert_same(sequence(&all, i, k), sequence(&one, 0, k));
  }
  bench_deinit(&all);
  bench_deinit(&one);
}

static void test_batch_equals_one_by_one(void **state) {
  (void)state;
  lb_generate_options o = lb_generate_options_default();
  o.max_new_tokens = 10;
  o.repetition_penalty = 1.2;
  check_batch_equals_single(&o);
  o.num_beams = 3;
  o.num_return_sequences = 2;
  check_batch_equals_single(&o);
  o.num_beams = 100; /* more than a batch usually has */
  o.max_new_tokens = 3;
  check_batch_equals_single(&o);
}

/* ---- sampling ---- */

static void test_sampling_is_a_pure_function(void **state) {
  (void)state;
  bench a, b;
  lb_generate_options o = lb_generate_options_default();
  o.do_sample = true;
  o.top_k = 6;
  o.top_p = 0.95;
  o.max_new_tokens = 15;
  o.seed = 42;
  o.num_return_sequences = 5;
  bench_init(&a, V, 1000, NULL);
  bench_init(&b, V, 1000, NULL);
  assert_int_equal(bench_run(&a, prompts, N_PROMPTS, &o), LB_OK);
  o.num_return_sequences = 2; /* fewer sequences: the first ones are the same */
  assert_int_equal(bench_run(&b, prompts, 20, &o), LB_OK);
  for (size_t i = 0; i < 20; i++)
    for (size_t k = 0; k < 2; k++) assert_same(sequence(&a, i, k), sequence(&b, i, k));
  o.seed = 43;
  assert_int_equal(bench_run(&b, prompts, 20, &o), LB_OK);
  int differ = 0;
  for (size_t i = 0; i < 20; i++)
    differ += memcmp(sequence(&a, i, 0)->ids, sequence(&b, i, 0)->ids, 15 * sizeof(int32_t)) != 0;
  assert_true(differ >= 19);
  assert_memory_not_equal(sequence(&a, 0, 0)->ids, sequence(&a, 0, 1)->ids, 15 * sizeof(int32_t));
  bench_deinit(&a);
  bench_deinit(&b);
}

static void test_many_sequences_share_one_reading(void **state) {
  (void)state;
  bench b;
  lb_generate_options o = lb_generate_options_default();
  o.do_sample = true;
  o.max_new_tokens = 2;
  o.num_return_sequences = 200; /* more than are fed at once */
  bench_init(&b, V, 1000, NULL);
  assert_int_equal(bench_run(&b, &prompts[3], 1, &o), LB_OK);
  const toy_stats *stats = toy_decoder_stats(b.decoder);
  assert_int_equal(stats->fed_tokens, (int64_t)prompts[3].n_ids + 200);
  assert_int_equal(stats->forks, 199);
  assert_int_equal(stats->most_rows, LB__MAX_LIVE);
  assert_int_equal(lb_generation_get_times(b.g).prompt_tokens, prompts[3].n_ids);
  assert_int_equal(lb_generation_get_times(b.g).new_tokens, 400);
  bench_deinit(&b);
}

/* ---- beams ---- */

typedef struct brute { /* the best ending sequences of all */
  double score;
  int32_t ids[8];
  size_t n;
} brute;

enum { BRUTE_V = 4, BRUTE_NEW = 4, BRUTE_EOS = 2 };

static void brute_force(brute *best, int32_t *ids, size_t n_prompt, size_t n_new, double sum,
                        double length_penalty) {
  float row[BRUTE_V];
  toy_logits(row, BRUTE_V, ids, n_prompt + n_new);
  double lse = lb__row_logsumexp(row, BRUTE_V);
  for (int32_t v = 0; v < BRUTE_V; v++) {
    double s = sum + (double)row[v] - lse;
    size_t n = n_new + 1;
    ids[n_prompt + n_new] = v;
    if (v != BRUTE_EOS && n < BRUTE_NEW) {
      brute_force(best, ids, n_prompt, n, s, length_penalty);
      continue;
    }
    double score = s / pow((double)n, length_penalty);
    if (score <= best->score) continue;
    best->score = score;
    best->n = n;
    memcpy(best->ids, ids + n_prompt, n * sizeof *ids);
  }
}

/* With as many beams as there are sequences, nothing is ever given up: the best one is found. */
static void test_wide_beams_find_the_best(void **state) {
  (void)state;
  for (int32_t first = 0; first < 30; first++) {
    int32_t ids[16] = {first % BRUTE_V, first / BRUTE_V % BRUTE_V, first / 16};
    const int32_t eos[] = {BRUTE_EOS};
    lb_prompt prompt = {ids, 3};
    lb_generate_options o = lb_generate_options_default();
    bench b;
    o.max_new_tokens = BRUTE_NEW;
    o.num_beams = 256;
    o.length_penalty = first % 3 == 0 ? 0.0 : first % 3 == 1 ? 1.0 : 2.0;
    o.early_stopping = LB_EARLY_STOPPING_NEVER;
    bench_init(&b, BRUTE_V, 100, NULL);
    b.input.eos_ids = eos, b.input.n_eos_ids = 1;
    assert_int_equal(bench_run(&b, &prompt, 1, &o), LB_OK);
    brute best = {.score = -INFINITY};
    int32_t path[16];
    memcpy(path, ids, sizeof path);
    brute_force(&best, path, 3, 0, 0.0, o.length_penalty);
    assert_int_equal(sequence(&b, 0, 0)->n_ids, best.n);
    assert_memory_equal(sequence(&b, 0, 0)->ids, best.ids, best.n * sizeof *best.ids);
    assert_true(fabs(sequence(&b, 0, 0)->score - best.score) < 1e-5);
    bench_deinit(&b);
  }
}

static void test_beams_logprob_is_of_the_raw_model(void **state) {
  (void)state;
  bench b;
  lb_generate_options o = lb_generate_options_default();
  o.max_new_tokens = 6;
  o.num_beams = 4;
  o.num_return_sequences = 4;
  o.repetition_penalty = 1.5;
  bench_init(&b, V, 100, NULL);
  assert_int_equal(bench_run(&b, &prompts[5], 1, &o), LB_OK);
  for (size_t k = 0; k < 4; k++) {
    const lb_sequence *s = sequence(&b, 0, k);
    int32_t ids[64];
    double logprob = 0.0;
    size_t n = prompts[5].n_ids;
    memcpy(ids, prompts[5].ids, n * sizeof *ids);
    for (size_t t = 0; t < s->n_ids; t++) {
      float row[V];
      toy_logits(row, V, ids, n + t);
      logprob += (double)row[s->ids[t]] - lb__row_logsumexp(row, V);
      ids[n + t] = s->ids[t];
    }
    assert_true(fabs(s->logprob - logprob) < 1e-9);
    assert_true(k == 0 || s->score <= sequence(&b, 0, k - 1)->score);
  }
  bench_deinit(&b);
}

/* ---- text, callbacks, ends ---- */

/* Writes a fixed text: the next piece after the number of new tokens. The prompt is one token. */
static const int32_t script[] = {0, 1, 6, 7, 4, 8, 9, 5, 10, 2};
static void scripted(float *logits, int64_t vocab_size, const int32_t *ids, size_t n_ids) {
  (void)ids;
  for (int64_t v = 0; v < vocab_size; v++) logits[v] = v == script[(n_ids - 1) % 10] ? 5.0f : 0.0f;
}

typedef struct heard {
  char log[2048]; /* "prompt.sequence:id=text|" */
  int n, stop_after;
} heard;

static bool listen(void *ctx, size_t prompt, size_t seq, int32_t id, float logprob,
                   const char *text, size_t size) {
  heard *h = ctx;
  char line[64];
  assert_true(logprob <= 0.0f);
  snprintf(line, sizeof line, "%zu.%zu:%d=%.*s|", prompt, seq, id, text != NULL ? (int)size : 1,
           text != NULL ? text : "-");
  strcat(h->log, line);
  if (text == NULL) assert_int_equal(size, 0);
  return ++h->n != h->stop_after;
}

static void test_stop_string_ends_a_sequence(void **state) {
  (void)state;
  bench b;
  heard h = {0};
  const int32_t start[] = {3};
  const lb_prompt prompt = {start, 1};
  const char *const stop[] = {"never", "xy"};
  lb_generate_options o = lb_generate_options_default();
  o.stop = stop, o.n_stop = 2;
  o.on_token = listen, o.on_token_ctx = &h;
  bench_init(&b, V, 100, scripted);
  b.input.text = &b.text;
  assert_int_equal(bench_run(&b, &prompt, 1, &o), LB_OK);
  const lb_sequence *s = sequence(&b, 0, 0);
  assert_int_equal(s->finish_reason, LB_FINISH_STOP);
  assert_int_equal(s->n_ids, 7); /* up to the token that completed it */
  assert_string_equal(s->text, "ab\xC3\xA9 ");
  assert_string_equal(h.log, "0.0:0=a|0.0:1=b|0.0:6=|0.0:7=\xC3\xA9|0.0:4= |0.0:8=|0.0:9=|");
  o.num_beams = 3; /* the same text by beams, which are silent */
  h = (heard){0};
  assert_int_equal(bench_run(&b, &prompt, 1, &o), LB_OK);
  s = sequence(&b, 0, 0);
  assert_int_equal(s->finish_reason, LB_FINISH_STOP);
  assert_int_equal(s->n_ids, 7);
  assert_string_equal(s->text, "ab\xC3\xA9 ");
  assert_int_equal(h.n, 0);
  bench_deinit(&b);
}

static void test_held_text_comes_with_the_last_token(void **state) {
  (void)state;
  bench b;
  heard h = {0};
  const int32_t start[] = {3};
  const lb_prompt prompt = {start, 1};
  const char *const stop[] = {" xA"};
  lb_generate_options o = lb_generate_options_default();
  o.stop = stop, o.n_stop = 1;
  o.max_new_tokens = 6;
  o.on_token = listen, o.on_token_ctx = &h;
  bench_init(&b, V, 100, scripted);
  b.input.text = &b.text;
  assert_int_equal(bench_run(&b, &prompt, 1, &o), LB_OK);
  assert_string_equal(h.log, "0.0:0=a|0.0:1=b|0.0:6=|0.0:7=\xC3\xA9|0.0:4=|0.0:8= x|");
  assert_string_equal(sequence(&b, 0, 0)->text, "ab\xC3\xA9 x");
  assert_int_equal(sequence(&b, 0, 0)->finish_reason, LB_FINISH_LENGTH);
  bench_deinit(&b);
}

static void test_callback_order_and_stop(void **state) {
  (void)state;
  bench b;
  heard h = {.stop_after = 3};
  const int32_t start[] = {3, 3, 3};
  const lb_prompt two[] = {{start, 1}, {start, 3}};
  lb_generate_options o = lb_generate_options_default();
  o.max_new_tokens = 3;
  o.on_token = listen, o.on_token_ctx = &h;
  bench_init(&b, V, 100, scripted);
  assert_int_equal(bench_run(&b, two, 2, &o), LB_OK);
  assert_string_equal(h.log, "0.0:0=-|1.0:6=-|0.0:1=-|1.0:7=-|1.0:4=-|");
  assert_int_equal(sequence(&b, 0, 0)->finish_reason, LB_FINISH_STOP);
  assert_int_equal(sequence(&b, 0, 0)->n_ids, 2);
  assert_int_equal(sequence(&b, 1, 0)->finish_reason, LB_FINISH_LENGTH);
  assert_string_equal(sequence(&b, 1, 0)->text, "");
  bench_deinit(&b);
}

static void test_end_tokens(void **state) {
  (void)state;
  bench b;
  const int32_t start[] = {3}, model_eos[] = {7}, own_eos[] = {4};
  const lb_prompt prompt = {start, 1};
  lb_generate_options o = lb_generate_options_default();
  o.max_new_tokens = 9;
  bench_init(&b, V, 100, scripted);
  b.input.eos_ids = model_eos, b.input.n_eos_ids = 1;
  assert_int_equal(bench_run(&b, &prompt, 1, &o), LB_OK);
  assert_int_equal(sequence(&b, 0, 0)->n_ids, 4); /* the end token included */
  assert_int_equal(sequence(&b, 0, 0)->finish_reason, LB_FINISH_EOS);
  o.eos_ids = own_eos, o.n_eos_ids = 1;
  assert_int_equal(bench_run(&b, &prompt, 1, &o), LB_OK);
  assert_int_equal(sequence(&b, 0, 0)->n_ids, 5);
  o.n_eos_ids = 0; /* an empty list: none */
  assert_int_equal(bench_run(&b, &prompt, 1, &o), LB_OK);
  assert_int_equal(sequence(&b, 0, 0)->n_ids, 9);
  o.eos_ids = NULL;
  o.ignore_eos = true;
  assert_int_equal(bench_run(&b, &prompt, 1, &o), LB_OK);
  assert_int_equal(sequence(&b, 0, 0)->n_ids, 9);
  o.ignore_eos = false;
  o.min_new_tokens = 6; /* the end token's place is taken by the first of the others */
  assert_int_equal(bench_run(&b, &prompt, 1, &o), LB_OK);
  assert_int_equal(sequence(&b, 0, 0)->n_ids, 9);
  assert_int_equal(sequence(&b, 0, 0)->ids[3], 0);
  bench_deinit(&b);
}

static void test_context_is_a_length(void **state) {
  (void)state;
  bench b;
  lb_generate_options o = lb_generate_options_default();
  bench_init(&b, V, 20, NULL);
  for (int64_t beams = 1; beams <= 3; beams += 2) {
    o.num_beams = beams;
    lb_prompt prompt = {store[3], 17};
    assert_int_equal(bench_run(&b, &prompt, 1, &o), LB_OK);
    assert_int_equal(sequence(&b, 0, 0)->n_ids, 4);
    assert_int_equal(sequence(&b, 0, 0)->finish_reason, LB_FINISH_LENGTH);
    prompt.n_ids = 20;
    assert_int_equal(bench_run(&b, &prompt, 1, &o), LB_OK);
    assert_int_equal(sequence(&b, 0, 0)->n_ids, 1);
    prompt.n_ids = 21;
    assert_int_equal(bench_run(&b, &prompt, 1, &o), LB_E_ARG);
    b.g = NULL;
  }
  o.max_new_tokens = 0;
  o.num_beams = 1;
  assert_int_equal(bench_run(&b, prompts, 2, &o), LB_OK);
  assert_int_equal(sequence(&b, 1, 0)->n_ids, 0);
  assert_string_equal(sequence(&b, 1, 0)->text, "");
  assert_null(lb_generation_sequence(b.g, 2, 0));
  assert_null(lb_generation_sequence(b.g, 0, 1));
  assert_int_equal(lb_generation_n_sequences(b.g, 2), 0);
  assert_int_equal(bench_run(&b, NULL, 0, &o), LB_OK);
  bench_deinit(&b);
}

/* ---- refusals ---- */

static void broken(float *logits, int64_t vocab_size, const int32_t *ids, size_t n_ids) {
  toy_logits(logits, vocab_size, ids, n_ids);
  if (n_ids == 9) logits[vocab_size / 2] = NAN;
}

static void test_logits_that_are_not_numbers(void **state) {
  (void)state;
  bench b;
  lb_generate_options o = lb_generate_options_default();
  bench_init(&b, V, 100, broken);
  const lb_prompt prompt = {store[3], 5};
  for (int64_t beams = 1; beams <= 4; beams += 3) {
    o.num_beams = beams;
    assert_int_equal(bench_run(&b, &prompt, 1, &o), LB_E_NUMERIC);
    assert_null(b.g);
    assert_non_null(strstr(b.err.message, "token 9"));
  }
  bench_deinit(&b);
}

static int cancel_at, cancelled;
static bool cancel_soon(void *ctx, size_t prompt, size_t seq, int32_t id, float logprob,
                        const char *text, size_t size) {
  (void)ctx, (void)prompt, (void)seq, (void)id, (void)logprob, (void)text, (void)size;
  if (--cancel_at == 0) cancelled = 1;
  return true;
}

static void test_cancel(void **state) {
  (void)state;
  bench b;
  lb_generate_options o = lb_generate_options_default();
  bench_init(&b, V, 1000, NULL);
  o.cancel = &cancelled;
  o.on_token = cancel_soon;
  cancel_at = 500;
  assert_int_equal(bench_run(&b, prompts, N_PROMPTS, &o), LB_E_CANCELLED);
  assert_null(b.g);
  o.num_beams = 2; /* already set: nothing runs */
  assert_int_equal(bench_run(&b, prompts, 1, &o), LB_E_CANCELLED);
  cancelled = 0;
  bench_deinit(&b);
}

static void test_arguments(void **state) {
  (void)state;
  static const int32_t bad_ids[] = {1, V}, negative[] = {-1};
  static const char *const empty[] = {"a", ""}, *const fine[] = {"a"};
  struct {
    const char *want; /* in the message */
    lb_generate_options o;
  } cases[24];
  size_t n = 0;
#define CASE(text, assignment)                                                                     \
  do {                                                                                             \
    cases[n].want = text;                                                                          \
    cases[n].o = lb_generate_options_default();                                                    \
    cases[n].o.assignment;                                                                         \
    n++;                                                                                           \
  } while (0)
  CASE("max_new_tokens: want at least 0, got -1", max_new_tokens = -1);
  CASE("min_new_tokens: want at least 0, got -2", min_new_tokens = -2);
  CASE("min_new_tokens: want at most max_new_tokens (128), got 129", min_new_tokens = 129);
  CASE("temperature: want a number above 0", temperature = 0.0);
  CASE("temperature", temperature = NAN);
  CASE("temperature", temperature = INFINITY);
  CASE("top_k: want at least 0, got -1", top_k = -1);
  CASE("top_p: want a number above 0 and at most 1, got 0", top_p = 0.0);
  CASE("top_p", top_p = 1.5);
  CASE("min_p: want a number from 0 to 1, got -0.1", min_p = -0.1);
  CASE("min_p", min_p = NAN);
  CASE("repetition_penalty: want a number above 0, got -1", repetition_penalty = -1.0);
  CASE("num_beams: want 1 to 256, got 0", num_beams = 0);
  CASE("num_beams: want 1 to 256, got 5000", num_beams = 5000);
  CASE("length_penalty", length_penalty = INFINITY);
  CASE("early_stopping", early_stopping = (lb_early_stopping)7);
  CASE("num_return_sequences: want 1 to 4096, got 0", num_return_sequences = 0);
  CASE("num_return_sequences: want 1 for greedy search", num_return_sequences = 2);
  CASE("num_return_sequences: want at most num_beams (2), got 3", num_return_sequences = 3);
  cases[n - 1].o.num_beams = 2;
  CASE("num_beams: want 1 together with do_sample, got 2", num_beams = 2);
  cases[n - 1].o.do_sample = true;
  CASE("eos_ids 0: want token ids 0 to 10, id 1 is 11", eos_ids = bad_ids);
  cases[n - 1].o.n_eos_ids = 2;
  CASE("stop: string 1 is empty", stop = empty);
  cases[n - 1].o.n_stop = 2;
  CASE("stop: 3 strings announced", n_stop = 3);
#undef CASE
  bench b;
  bench_init(&b, V, 100, NULL);
  b.input.text = &b.text;
  for (size_t i = 0; i < n; i++) {
    assert_int_equal(bench_run(&b, prompts, 1, &cases[i].o), LB_E_ARG);
    if (strstr(b.err.message, cases[i].want) == NULL)
      fail_msg("want '%s', got '%s'", cases[i].want, b.err.message);
    assert_null(b.g);
  }
  lb_generate_options o = lb_generate_options_default();
  const lb_prompt none[] = {prompts[0], {store[0], 0}}, wrong = {negative, 1};
  assert_int_equal(bench_run(&b, none, 2, &o), LB_E_ARG);
  assert_string_equal(b.err.message, "prompt 1: want at least one token, it is empty");
  assert_int_equal(bench_run(&b, &wrong, 1, &o), LB_E_ARG);
  assert_string_equal(b.err.message, "prompt 0: want token ids 0 to 10, id 0 is -1");
  b.input.text = NULL;
  o.stop = fine, o.n_stop = 1;
  assert_int_equal(bench_run(&b, prompts, 1, &o), LB_E_ARG);
  assert_string_equal(b.err.message, "stop: stop strings need a tokenizer, there is none");
  bench_deinit(&b);
}

static void test_vocabulary_of_end_tokens(void **state) {
  (void)state;
  static const int32_t ids[] = {0, 1, 2};
  const lb_prompt prompt = {ids, 1};
  bench b;
  lb_generate_options o = lb_generate_options_default();
  bench_init(&b, 3, 100, NULL);
  b.input.eos_ids = ids, b.input.n_eos_ids = 3;
  assert_int_equal(bench_run(&b, &prompt, 1, &o), LB_E_ARG);
  b.input.n_eos_ids = 2;
  o.num_beams = 2;
  assert_int_equal(bench_run(&b, &prompt, 1, &o), LB_OK);
  bench_deinit(&b);
}

/* ---- memory ---- */

static lb_status run_once(void *ctx, lb_error *err) {
  const int32_t eos[] = {4};
  lb__text_source text = toy_text(pieces);
  lb__search_input input = {
      .text = &text, .eos_ids = eos, .n_eos_ids = 1, .prompts = prompts, .n_prompts = 6};
  lb_generation *g;
  lb_status st = toy_decoder_new(&input.decoder, V, 1000, NULL, err);
  if (st != LB_OK) return st;
  st = lb__search_run(&g, &input, ctx, err);
  assert_true((st == LB_OK) == (g != NULL));
  lb_generation_free(g);
  assert_int_equal(toy_decoder_stats(input.decoder)->alive, 0); /* no sequence is forgotten */
  lb__decoder_free(input.decoder);
  return st;
}

static void sweep(lb_generate_options *o) {
  fault_case c = {.run = run_once, .ctx = o};
  assert_true(fault_each_allocation(&c) > 40);
}

static void test_every_allocation_may_fail(void **state) {
  (void)state;
  const char *const stop[] = {"ba"};
  lb_generate_options o = lb_generate_options_default();
  o.max_new_tokens = 6;
  o.stop = stop, o.n_stop = 1;
  sweep(&o);
  o.do_sample = true;
  o.num_return_sequences = 3;
  sweep(&o);
  o.do_sample = false;
  o.num_beams = 3;
  o.repetition_penalty = 1.1;
  sweep(&o);
}

static int setup(void **state) {
  (void)state;
  make_prompts();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_greedy_is_the_naive_search),
      cmocka_unit_test(test_batch_equals_one_by_one),
      cmocka_unit_test(test_sampling_is_a_pure_function),
      cmocka_unit_test(test_many_sequences_share_one_reading),
      cmocka_unit_test(test_wide_beams_find_the_best),
      cmocka_unit_test(test_beams_logprob_is_of_the_raw_model),
      cmocka_unit_test(test_stop_string_ends_a_sequence),
      cmocka_unit_test(test_held_text_comes_with_the_last_token),
      cmocka_unit_test(test_callback_order_and_stop),
      cmocka_unit_test(test_end_tokens),
      cmocka_unit_test(test_context_is_a_length),
      cmocka_unit_test(test_logits_that_are_not_numbers),
      cmocka_unit_test(test_cancel),
      cmocka_unit_test(test_arguments),
      cmocka_unit_test(test_vocabulary_of_end_tokens),
      cmocka_unit_test(test_every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}

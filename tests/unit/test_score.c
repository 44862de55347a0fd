/* test_score.c - lb_score on a tiny random model: against the logits of one plain pass, packed
 * against one by one, in pieces against whole, and every refusal. */
#include <limbeck/environment.h>
#include <limbeck/score.h>

#include "model/forward.h"

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

enum { N_DOCUMENTS = 40, LONG = 2500 };
/* float logits below 20 in magnitude, summed in another order */
#define TOLERANCE 2e-4

static char *folder;
static lb_model *model;
static int32_t store[N_DOCUMENTS][LONG];
static lb_prompt documents[N_DOCUMENTS];

static int setup(void **state) {
  (void)state;
  lb_error err;
  lb_threads_set(1); /* matrices of 16 columns: threads would only wait for each other */
  folder = scratch_new();
  tiny_model_write(folder, (tiny_options){.seed = 4});
  if (lb_model_open(&model, folder, NULL, &err) != LB_OK) fail_msg("%s", err.message);
  for (size_t i = 0; i < N_DOCUMENTS; i++) {
    size_t n = i == 20 ? LONG : i == 3 ? 400 : 1 + i * 29 % 97;
    for (size_t t = 0; t < n; t++) store[i][t] = (int32_t)((i * 13 + t * t * 3 + t / 7) % TINY_V);
    documents[i] = (lb_prompt){store[i], n};
  }
  return 0;
}

static int teardown(void **state) {
  (void)state;
  lb_model_free(model);
  scratch_remove(folder);
  return 0;
}

static lb_scores *score(const lb_prompt *d, size_t n, int64_t top_k) {
  lb_error err;
  lb_scores *s;
  if (lb_score(&s, model, d, n, &(lb_score_options){.top_k = top_k}, &err) != LB_OK)
    fail_msg("%s", err.message);
  return s;
}

static void assert_near(double a, double b) {
  if (!(fabs(a - b) <= TOLERANCE)) fail_msg("%.9g and %.9g", a, b);
}

/* Logits [n, V] of one document in one pass without a cache. */
static float *plain_logits(lb_prompt d) {
  int32_t start[] = {0, (int32_t)d.n_ids}, *positions = malloc(d.n_ids * sizeof *positions);
  float *rows = malloc(d.n_ids * TINY_V * sizeof *rows);
  lb__stream s;
  lb_tensor *hidden, *logits;
  for (size_t t = 0; t < d.n_ids; t++) positions[t] = (int32_t)t;
  lb__batch batch = {
      .n_tokens = start[1], .n_docs = 1, .ids = d.ids, .positions = positions, .doc_start = start};
  lb__model_stream_init(&s, model);
  assert_int_equal(lb__model_hidden(&hidden, model, &s, &batch, NULL), LB_OK);
  assert_int_equal(lb__model_logits(&logits, model, &s, hidden, NULL), LB_OK);
  assert_int_equal(lb__tensor_read(logits, 0, rows, d.n_ids * TINY_V * sizeof *rows, NULL), LB_OK);
  lb__stream_deinit(&s);
  free(positions);
  return rows;
}

static int rank_of(const float *row, int32_t id) {
  int above = 0;
  for (int v = 0; v < TINY_V; v++) above += row[v] > row[id] || (row[v] == row[id] && v < id);
  return above;
}

static void check_row(const lb_score_row *r, lb_prompt d, const float *logits) {
  double nll = 0.0;
  assert_int_equal(r->n, d.n_ids);
  assert_true(isnan(r->logprobs[0]));
  for (size_t t = 0; t < d.n_ids; t++) {
    const float *row = logits + t * TINY_V;
    double sum = 0.0;
    for (int v = 0; v < TINY_V; v++) sum += exp((double)row[v]);
    assert_near(r->logsumexp[t], log(sum));
    for (int64_t k = 0; k < r->top_k; k++) {
      int32_t id = r->top_ids[(int64_t)t * r->top_k + k];
      assert_near(r->top_logprobs[(int64_t)t * r->top_k + k], (double)row[id] - log(sum));
      if (d.n_ids < 500) assert_int_equal(rank_of(row, id), k);
    }
    if (d.n_ids < 500) assert_int_equal(rank_of(row, r->argmax[t]), 0);
    if (t + 1 == d.n_ids) break;
    assert_near(r->logprobs[t + 1], (double)row[d.ids[t + 1]] - log(sum));
    nll -= (double)r->logprobs[t + 1];
  }
  if (d.n_ids > 1)
    assert_near(r->nll, nll / (double)(d.n_ids - 1));
  else
    assert_true(isnan(r->nll));
}

/* A document of 400 makes two chunks of logits; packing puts it among others. */
static void test_against_plain_logits(void **state) {
  (void)state;
  lb_scores *together = score(documents, 20, 3);
  for (size_t i = 0; i < 20; i++) {
    float *logits = plain_logits(documents[i]);
    check_row(lb_scores_get(together, i), documents[i], logits);
    lb_scores *alone = score(&documents[i], 1, TINY_V);
    check_row(lb_scores_get(alone, 0), documents[i], logits);
    lb_scores_free(alone);
    free(logits);
  }
  assert_null(lb_scores_get(together, 20));
  lb_scores_free(together);
}

/* Longer than a pass: read in two pieces through the cache, between documents that are not. */
static void test_long_document_in_pieces(void **state) {
  (void)state;
  lb_scores *s = score(documents + 19, 3, 2);
  for (size_t i = 0; i < 3; i++) {
    float *logits = plain_logits(documents[19 + i]);
    check_row(lb_scores_get(s, i), documents[19 + i], logits);
    free(logits);
  }
  lb_scores_free(s);
}

static void test_without_top(void **state) {
  (void)state;
  lb_scores *s;
  assert_int_equal(lb_score(&s, model, &documents[2], 1, NULL, NULL), LB_OK);
  float *logits = plain_logits(documents[2]);
  assert_int_equal(lb_scores_get(s, 0)->top_k, 0);
  check_row(lb_scores_get(s, 0), documents[2], logits);
  lb_scores_free(s);
  free(logits);
  s = score(NULL, 0, 0);
  assert_null(lb_scores_get(s, 0));
  lb_scores_free(s);
}

static void refuse(lb_prompt d, int64_t top_k, const char *want) {
  const lb_prompt two[] = {documents[0], d};
  lb_scores *s;
  lb_error err;
  assert_int_equal(lb_score(&s, model, two, 2, &(lb_score_options){.top_k = top_k}, &err),
                   LB_E_ARG);
  assert_null(s);
  assert_string_equal(err.message, want);
}

static void test_refusals(void **state) {
  (void)state;
  static int32_t ids[TINY_CONTEXT + 1];
  refuse(documents[1], -1, "top_k: want 0 to 40, got -1");
  refuse(documents[1], 41, "top_k: want 0 to 40, got 41");
  refuse((lb_prompt){NULL, 3}, 0, "document 1: want at least one token, it is empty");
  refuse((lb_prompt){ids, 0}, 0, "document 1: want at least one token, it is empty");
  refuse((lb_prompt){ids, TINY_CONTEXT + 1}, 0,
         "document 1: the model's context has 8192 tokens, the document 8193; split it");
  ids[2] = TINY_V;
  refuse((lb_prompt){ids, 5}, 0, "document 1: want token ids 0 to 39, id 2 is 40");
  ids[2] = -1;
  refuse((lb_prompt){ids, 5}, 0, "document 1: want token ids 0 to 39, id 2 is -1");
}

static void test_broken_weights(void **state) {
  (void)state;
  char *place = scratch_new();
  lb_model *broken;
  lb_scores *s;
  lb_error err;
  tiny_model_write(place, (tiny_options){.seed = 4, .is_broken = 1});
  assert_int_equal(lb_model_open(&broken, place, NULL, NULL), LB_OK);
  assert_int_equal(lb_score(&s, broken, documents, 2, NULL, &err), LB_E_NUMERIC);
  assert_null(s);
  assert_non_null(strstr(err.message, "document 0: the model's logits after token 0"));
  lb_model_free(broken);
  scratch_remove(place);
}

static lb_status run(void *ctx, lb_error *err) {
  lb_scores *s;
  lb_status st = lb_score(&s, model, ctx, 3, &(lb_score_options){.top_k = 2}, err);
  lb_scores_free(s);
  return st;
}

static void test_every_allocation_may_fail(void **state) {
  (void)state;
  fault_case c = {.run = run, .ctx = documents, .may_survive = true};
  assert_true(fault_each_allocation(&c) > 8);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_against_plain_logits), cmocka_unit_test(test_long_document_in_pieces),
      cmocka_unit_test(test_without_top),          cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_broken_weights),       cmocka_unit_test(test_every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}

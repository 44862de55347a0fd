/* test_precisions.c - lb_compare_precisions on a tiny random model: documents longer than a pass,
 * one open model beside itself, and every refusal. The figures themselves:
 * tests/golden/test_golden_precisions.c. */
#include <limbeck/environment.h>

#include "evaluate/precisions.h"
#include "model/forward.h"
#include "ops/kernel_table.h"

#include "faults.h"
#include "scratch.h"
#include "tiny_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { N_DOCUMENTS = 5, LONG = 2500, STEPS = 2 };

static char *folder;
static int32_t store[N_DOCUMENTS][LONG];
static lb_prompt documents[N_DOCUMENTS]; /* 1, 301, LONG, 90 and 400 tokens */

static int setup(void **state) {
  static const size_t sizes[N_DOCUMENTS] = {1, 301, LONG, 90, 400};
  (void)state;
  lb_threads_set(1); /* matrices of 16 columns: threads would only wait for each other */
  folder = scratch_new();
  tiny_model_write(folder, (tiny_options){.seed = 4});
  for (size_t i = 0; i < N_DOCUMENTS; i++) {
    for (size_t t = 0; t < sizes[i]; t++)
      store[i][t] = (int32_t)((i * 13 + t * t * 3 + t / 7) % TINY_V);
    documents[i] = (lb_prompt){store[i], sizes[i]};
  }
  return 0;
}

static int teardown(void **state) {
  (void)state;
  scratch_remove(folder);
  return 0;
}

static lb_model *open_as(lb_precision precision) {
  lb_error err;
  lb_model *m;
  if (lb__model_open(&m, folder, precision, &err) != LB_OK) fail_msg("%s", err.message);
  return m;
}

/* Two models that were opened apart compute the same bits: nothing at all between them. */
static void test_f32_beside_f32_is_exactly_zero(void **state) {
  (void)state;
  lb_model *models[] = {open_as(LB_PRECISION_F32), open_as(LB_PRECISION_F32)};
  const lb__variant variants[] = {{models[0], LB_PRECISION_F32}, {models[1], LB_PRECISION_F32}};
  lb_precision_comparison c;
  lb_error err;
  if (lb__precisions_measure(&c, variants, 2, documents, N_DOCUMENTS, STEPS, NULL, &err) != LB_OK)
    fail_msg("%s", err.message);
  for (size_t i = 0; i < 2; i++) {
    assert_true(c.precisions[i].mean_kl == 0.0 && c.precisions[i].worst_kl == 0.0);
    assert_true(c.precisions[i].agreement == 1.0);
    assert_true(c.precisions[i].nll == c.precisions[0].nll);
    lb_model_free(models[i]);
  }
}

/* What lb_score says of the same documents, one of which goes through a cache in pieces. */
static void test_nll_is_that_of_score(void **state) {
  (void)state;
  lb_precision_comparison c;
  lb_error err;
  if (lb_compare_precisions(&c, folder, documents, N_DOCUMENTS, NULL, &err) != LB_OK)
    fail_msg("%s", err.message);
  assert_int_equal(c.n, lb__kernels()->bf16_products ? 3 : 2);
  assert_int_equal(c.n_tokens, 1 + 301 + LONG + 90 + 400);
  assert_int_equal(c.n_predicted, c.n_tokens - N_DOCUMENTS);
  for (size_t i = 0; i < c.n; i++) {
    lb_model *m = open_as(c.precisions[i].precision);
    lb_scores *scores;
    double nll = 0.0;
    assert_int_equal(lb_score(&scores, m, documents, N_DOCUMENTS, NULL, &err), LB_OK);
    for (size_t d = 1; d < N_DOCUMENTS; d++)
      nll += lb_scores_get(scores, d)->nll * (double)(documents[d].n_ids - 1);
    nll /= (double)c.n_predicted;
    if (!(fabs(nll - c.precisions[i].nll) < 1e-5)) /* sums of float logarithms */
      fail_msg("%.9g and %.9g", nll, c.precisions[i].nll);
    assert_true(c.precisions[i].write_rate > 0.0);
    lb_scores_free(scores);
    lb_model_free(m);
  }
}

/* One token: a prediction to compare, but nothing that was predicted. */
static void test_one_token(void **state) {
  (void)state;
  lb_precision_comparison c;
  assert_int_equal(lb_compare_precisions(&c, folder, documents, 1, NULL, NULL), LB_OK);
  assert_int_equal(c.n_tokens, 1);
  assert_true(isnan(c.precisions[0].nll) && isnan(c.precisions[0].perplexity));
  assert_true(c.precisions[c.n - 1].p99_kl == c.precisions[c.n - 1].mean_kl);
}

static void refuse(const char *path, const lb_prompt *d, size_t n, lb_status status,
                   const char *want) {
  lb_precision_comparison c;
  lb_error err;
  assert_int_equal(lb_compare_precisions(&c, path, d, n, NULL, &err), status);
  if (strstr(err.message, want) == NULL) fail_msg("'%s' lacks '%s'", err.message, want);
}

static void test_refusals(void **state) {
  (void)state;
  static const int32_t wrong[] = {1, TINY_V};
  const lb_prompt bad = {wrong, 2}, empty = {wrong, 0};
  refuse(folder, NULL, 0, LB_E_ARG, "want at least one document");
  refuse(folder, &bad, 1, LB_E_ARG, "document 0: want token ids 0 to 39, id 1 is 40");
  refuse(folder, &empty, 1, LB_E_ARG, "document 0: want at least one token");
  refuse(scratch_path(folder, "absent"), documents, 1, LB_E_IO, "absent");
}

static void test_cancel(void **state) {
  (void)state;
  volatile int stop = 1;
  lb_precision_comparison c;
  lb_error err;
  assert_int_equal(lb_compare_precisions(&c, folder, documents, 2, &stop, &err), LB_E_CANCELLED);
}

static void test_broken_weights(void **state) {
  (void)state;
  char *place = scratch_new();
  tiny_model_write(place, (tiny_options){.seed = 4, .is_broken = 1});
  refuse(place, documents, 2, LB_E_NUMERIC, "not finite");
  scratch_remove(place);
}

static lb_status run(void *ctx, lb_error *err) {
  lb_precision_comparison c;
  return lb_compare_precisions(&c, folder, ctx, 2, NULL, err);
}

static void test_every_allocation_may_fail(void **state) {
  (void)state;
  fault_case c = {.run = run, .ctx = documents, .may_survive = true};
  assert_true(fault_each_allocation(&c) > 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_f32_beside_f32_is_exactly_zero),
      cmocka_unit_test(test_nll_is_that_of_score),
      cmocka_unit_test(test_one_token),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_cancel),
      cmocka_unit_test(test_broken_weights),
      cmocka_unit_test(test_every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}

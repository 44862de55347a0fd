/* test_golden_models.c - the logits of every family are those of Transformers. One case per folder
 * of data/models: each text alone, all texts in one call, and what lb_score derives from them.
 * Everything goes through the public API. Read next: golden.h, data's README.md. */
#include "golden.h"

#include "tolerances.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { N_TEXTS = 4 };

typedef struct texts {
  golden_logits want[N_TEXTS];
  lb_prompt prompts[N_TEXTS];
} texts;

static void texts_load(texts *t, const char *name) {
  for (int k = 0; k < N_TEXTS; k++) {
    golden_logits_load(&t->want[k], name, k);
    t->prompts[k] = (lb_prompt){.ids = t->want[k].ids, .n_ids = t->want[k].n_ids};
  }
}

static void texts_unload(texts *t) {
  for (int k = 0; k < N_TEXTS; k++) golden_logits_unload(&t->want[k]);
}

/* The largest difference; fails where it exceeds the tolerance, and on NaN. */
static double compare(const char *name, const golden_logits *want, const float *got) {
  double worst = 0;
  for (size_t i = 0; i < want->n_ids * want->vocab_size; i++) {
    double difference = fabs((double)want->logits[i] - (double)got[i]);
    if (!(difference <= LB_TOL_GOLDEN_LOGITS_F32))
      fail_msg("%s: text of %zu, position %zu, id %zu: want logit %.6f, got %.6f (tolerance %g)",
               name, want->n_ids, i / want->vocab_size, i % want->vocab_size,
               (double)want->logits[i], (double)got[i], LB_TOL_GOLDEN_LOGITS_F32);
    worst = fmax(worst, difference);
  }
  return worst;
}

static double check_alone(lb_model *model, const char *name, const texts *t) {
  double worst = 0;
  for (int k = 0; k < N_TEXTS; k++) {
    float **logits = golden_all_logits(model, &t->prompts[k], 1);
    worst = fmax(worst, compare(name, &t->want[k], logits[0]));
    free(logits[0]);
    free(logits);
  }
  return worst;
}

/* Documents lie end to end in one call: none may see another. */
static void check_together(lb_model *model, const char *name, const texts *t) {
  float **logits = golden_all_logits(model, t->prompts, N_TEXTS);
  for (int k = 0; k < N_TEXTS; k++) {
    compare(name, &t->want[k], logits[k]);
    free(logits[k]);
  }
  free(logits);
}

static bool is_near_tie(const float *x, size_t n) {
  size_t first = golden_best(x, n);
  for (size_t i = 0; i < n; i++)
    if (i != first && (double)(x[first] - x[i]) < 2 * LB_TOL_GOLDEN_LOGITS_F32) return true;
  return false;
}

/* logprobs, logsumexp, argmax, nll against the same things worked out here in double. */
static void check_scores(lb_model *model, const char *name, const golden_logits *want) {
  lb_error err;
  lb_scores *scores;
  lb_prompt prompt = {.ids = want->ids, .n_ids = want->n_ids};
  if (lb_score(&scores, model, &prompt, 1, NULL, &err) != LB_OK) fail_msg("%s", err.message);
  const lb_score_row *row = lb_scores_get(scores, 0);
  double nll = 0, tolerance = 2 * LB_TOL_GOLDEN_LOGITS_F32;
  assert_true(isnan(row->logprobs[0]));
  for (size_t t = 0; t < want->n_ids; t++) {
    const float *x = want->logits + t * want->vocab_size;
    double lse = golden_logsumexp(x, want->vocab_size);
    if (!(fabs(lse - (double)row->logsumexp[t]) <= tolerance))
      fail_msg("%s: logsumexp[%zu]: want %.6f, got %.6f", name, t, lse, (double)row->logsumexp[t]);
    if (!is_near_tie(x, want->vocab_size))
      assert_int_equal(row->argmax[t], (int)golden_best(x, want->vocab_size));
    if (t + 1 == want->n_ids) break;
    double logprob = (double)x[want->ids[t + 1]] - lse;
    nll -= logprob;
    if (!(fabs(logprob - (double)row->logprobs[t + 1]) <= tolerance))
      fail_msg("%s: logprobs[%zu]: want %.6f, got %.6f", name, t + 1, logprob,
               (double)row->logprobs[t + 1]);
  }
  if (want->n_ids >= 2)
    assert_true(fabs(nll / (double)(want->n_ids - 1) - row->nll) <= tolerance);
  else
    assert_true(isnan(row->nll));
  lb_scores_free(scores);
}

static void logits_are_those_of_transformers(void **state) {
  const char *name = *state;
  texts t;
  texts_load(&t, name);
  char *folder = golden_path("models/%s", name);
  lb_model *model = golden_open(folder, LB_PRECISION_F32);
  assert_int_equal(lb_model_get_info(model)->vocab_size, (int64_t)t.want[0].vocab_size);
  double worst = check_alone(model, name, &t);
  print_message("           %s: largest difference %.2e\n", name, worst);
  check_together(model, name, &t);
  for (int k = 0; k < N_TEXTS; k++) check_scores(model, name, &t.want[k]);
  lb_model_free(model);
  texts_unload(&t);
  free(folder);
}

/* bfloat16 products have eight bits: what they do to the distribution is what counts. */
static void bf16_products_stay_close(void **state) {
  const char *name = *state;
  texts t;
  texts_load(&t, name);
  char *folder = golden_path("models/%s", name);
  lb_model *model = golden_open(folder, LB_PRECISION_BF16);
  for (int k = 0; k < N_TEXTS; k++) {
    float **logits = golden_all_logits(model, &t.prompts[k], 1);
    double kl = golden_mean_kl(&t.want[k], logits[0], t.want[k].vocab_size);
    print_message("           %s, text of %zu: KL %.1e\n", name, t.want[k].n_ids, kl);
    if (!(kl <= LB_TOL_GOLDEN_KL_BF16_PRODUCTS)) fail_msg("%s: KL %g", name, kl);
    free(logits[0]);
    free(logits);
  }
  lb_model_free(model);
  texts_unload(&t);
  free(folder);
}

int main(void) {
  int failed = golden_run_models("logits", logits_are_those_of_transformers);
  return failed + golden_run_models("logits in bf16", bf16_products_stay_close);
}

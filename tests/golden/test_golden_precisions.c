/* test_golden_precisions.c - lb_compare_precisions, for every family, beside the same figures made
 * of all logits, in double, without blocks. Read next: golden.h. */
#include "golden.h"

#include "tolerances.h"

#include <math.h>
#include <string.h>

enum { N_TEXTS = 4, N_DOCS = 8, LONG = 60, MOST_TOKENS = 512 };

typedef struct brute {
  double kl[MOST_TOKENS], nll_sum, n_agrees;
  size_t n, n_predicted;
} brute;

static void add_row(brute *b, const float *exact, const float *own, size_t V, int32_t target) {
  assert_true(b->n < MOST_TOKENS);
  b->kl[b->n++] = golden_row_kl(exact, own, V);
  b->n_agrees += golden_best(exact, V) == golden_best(own, V);
  if (target < 0) return;
  b->nll_sum += golden_logsumexp(own, V) - (double)own[target];
  b->n_predicted++;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void assert_near(const char *what, double want, double got) {
  if (!(fabs(want - got) <= LB_TOL_COMPARED_KL * (1.0 + fabs(want))))
    fail_msg("%s: want %.9g, found %.9g", what, want, got);
}

static void check_figures(const lb_precision_figures *f, brute *b) {
  double sum = 0.0;
  size_t above = 0, not_below = 0; /* the 99th percentile */
  for (size_t i = 0; i < b->n; i++) sum += b->kl[i];
  qsort(b->kl, b->n, sizeof *b->kl, by_value);
  for (size_t i = 0; i < b->n; i++) {
    above += b->kl[i] > f->p99_kl + LB_TOL_COMPARED_KL;
    not_below += b->kl[i] >= f->p99_kl - LB_TOL_COMPARED_KL;
  }
  assert_near("mean KL", sum / (double)b->n, f->mean_kl);
  assert_near("worst KL", b->kl[b->n - 1], f->worst_kl);
  assert_true(above * 100 <= b->n && not_below * 100 > b->n);
  assert_near("agreement", b->n_agrees / (double)b->n, f->agreement);
  assert_near("nll", b->nll_sum / (double)b->n_predicted, f->nll);
  assert_near("perplexity", exp(f->nll), f->perplexity);
  assert_true(f->read_rate > 0.0 && f->write_rate > 0.0);
}

static void check_precision(const char *path, const lb_precision_figures *f, float **exact,
                            const lb_prompt *texts, size_t V) {
  lb_model *model = golden_open(path, f->precision);
  float **own = golden_all_logits(model, texts, N_DOCS);
  brute b = {0};
  for (size_t k = 0; k < N_DOCS; k++) {
    for (size_t t = 0; t < texts[k].n_ids; t++)
      add_row(&b, exact[k] + t * V, own[k] + t * V, V,
              t + 1 < texts[k].n_ids ? texts[k].ids[t + 1] : -1);
    free(own[k]);
  }
  free(own);
  check_figures(f, &b);
  lb_model_free(model);
}

static void test_model(void **state) {
  golden_model m;
  golden_logits logits[N_TEXTS];
  lb_prompt texts[N_DOCS]; /* those of the fixture, and long ones of any tokens */
  int32_t ids[N_DOCS][LONG];
  lb_precision_comparison found;
  lb_error err;
  bool has_int8 = false;
  golden_model_load(&m, *state);
  for (int k = 0; k < N_TEXTS; k++) {
    golden_logits_load(&logits[k], m.name, k);
    texts[k] = (lb_prompt){logits[k].ids, logits[k].n_ids};
  }
  lb_model *model = golden_open(m.folder, LB_PRECISION_F32);
  size_t V = (size_t)lb_model_get_info(model)->vocab_size;
  for (size_t k = N_TEXTS; k < N_DOCS; k++) {
    for (size_t t = 0; t < LONG; t++) ids[k][t] = (int32_t)((t * t * 7 + k * 31) % V);
    texts[k] = (lb_prompt){ids[k], LONG};
  }
  if (lb_compare_precisions(&found, m.folder, texts, N_DOCS, NULL, &err) != LB_OK)
    fail_msg("%s", err.message);
  float **exact = golden_all_logits(model, texts, N_DOCS);
  for (size_t i = 0; i < found.n; i++) {
    const lb_precision_figures *f = &found.precisions[i];
    print_message("           %s, %s: KL %.1e, worst %.1e\n", m.name,
                  lb_precision_name(f->precision), f->mean_kl, f->worst_kl);
    check_precision(m.folder, f, exact, texts, V);
    has_int8 |= f->precision == LB_PRECISION_INT8 && f->mean_kl > 0.0;
  }
  const lb_precision_figures *f32 = &found.precisions[0];
  assert_true(has_int8);
  assert_int_equal(f32->precision, LB_PRECISION_F32);
  assert_true(f32->mean_kl == 0.0 && f32->worst_kl == 0.0 && f32->agreement == 1.0);
  for (int k = 0; k < N_TEXTS; k++) golden_logits_unload(&logits[k]);
  for (int k = 0; k < N_DOCS; k++) free(exact[k]);
  free(exact);
  lb_model_free(model);
  golden_model_unload(&m);
}

int main(void) {
  return golden_run_models("precisions", test_model);
}

/* teacher_precision.c - see teacher_precision.h. */
#include "teacher_precision.h"

#include "base/fail.h"
#include "base/log.h"
#include "evaluate/precisions.h"
#include "ops/kernel_table.h"

enum { MEASURED = 512, MOST_DOCS = 64 }; /* tokens, in so many documents at most */
/* Measuring costs about as much as reading 2 * MEASURED tokens in F32, packing included. */
const lb__teacher_least lb__teacher_least_default = {LB__AUTO_LEAST_PARAMETERS, 4 * MEASURED};

static const lb_precision candidates[] = {LB_PRECISION_F32, LB_PRECISION_BF16, LB_PRECISION_INT8};
enum { N_CANDIDATES = sizeof candidates / sizeof *candidates };

/* The data's first documents, the last one cut. */
typedef struct sample {
  lb_prompt docs[MOST_DOCS];
  size_t n;
} sample;

static void take_sample(sample *t, const lb__setup *s) {
  int64_t n_documents = lb__corpus_n_documents(s->corpus);
  size_t left = MEASURED;
  t->n = 0;
  for (int64_t i = 0; i < n_documents && t->n < MOST_DOCS && left > 0; i++) {
    lb__document_view d = lb__corpus_document(s->corpus, i);
    size_t n_ids = (size_t)d.n < left ? (size_t)d.n : left;
    t->docs[t->n++] = (lb_prompt){d.ids, n_ids};
    left -= n_ids;
  }
}

/* The first is F32. */
static size_t find_variants(lb__variant variants[N_CANDIDATES], lb_model *plain, lb_model *int8) {
  size_t n = 0;
  for (size_t i = 0; i < N_CANDIDATES; i++) {
    lb_model *m = candidates[i] == LB_PRECISION_INT8 ? int8 : plain;
    bool wanted = i == 0 || lb__precision_is_faster(candidates[i]);
    if (m != NULL && wanted) variants[n++] = (lb__variant){m, candidates[i]};
  }
  return n;
}

/* Of those within the bound; F32 always is. */
static size_t fastest(const lb_precision_comparison *found, double max_kl) {
  const double *rates = lb__kernels()->product_rates;
  size_t best = 0;
  for (size_t i = 1; i < found->n; i++) {
    const lb_precision_figures *f = &found->precisions[i];
    double rate = rates[lb__model_compute(f->precision)];
    double most = rates[lb__model_compute(found->precisions[best].precision)];
    if (f->mean_kl <= max_kl && rate > most) best = i;
  }
  return best;
}

static void tell(const lb_precision_comparison *found, size_t best, double max_kl) {
  lb__buf line;
  lb__buf_init(&line, 512);
  lb__precisions_list(&line, found);
  lb__log(LB_LOG_NOTE, "the teacher on %lld tokens of the data, beside f32:%s -> %s (bound %g)",
          (long long)found->n_tokens, lb__buf_text(&line),
          lb_precision_name(found->precisions[best].precision), max_kl);
  lb__buf_deinit(&line);
}

/* *chosen: the model of the best variant, in its precision. */
static lb_status choose(lb_model **chosen, const lb__setup *s, lb_model *plain, lb_model *int8,
                        lb_error *err) {
  lb__variant variants[N_CANDIDATES];
  lb_precision_comparison found = {0};
  double max_kl = s->recipe->distill.teacher_precision_max_kl;
  size_t n = find_variants(variants, plain, int8);
  sample t;
  *chosen = plain;
  if (n < 2) return LB_OK;
  take_sample(&t, s);
  lb_status st =
      lb__precisions_measure(&found, variants, n, t.docs, t.n, 1, s->options->cancel, err);
  if (st != LB_OK) return st;
  size_t best = fastest(&found, max_kl);
  tell(&found, best, max_kl);
  *chosen = variants[best].model;
  if (*chosen == int8) return LB_OK; /* it is packed */
  return lb__model_set_precision(plain, variants[best].precision, err);
}

lb_status lb__teacher_choose_precision(lb__setup *s, const lb__teacher_least *least,
                                       lb_error *err) {
  lb_model *plain = lb__teacher_model(s->teacher), *int8 = NULL, *chosen = plain;
  const lb_model_info *info = lb_model_get_info(plain);
  if (info->n_parameters < least->parameters || lb__setup_run_tokens(s) < (double)least->tokens)
    return LB_OK;
  lb_status st = LB_OK;
  if (lb__precision_is_faster(LB_PRECISION_INT8))
    st = lb__teacher_open_again(&int8, s->teacher, LB_PRECISION_INT8, err);
  if (st == LB_E_UNSUPPORTED) st = LB_OK; /* weights that cannot be packed */
  if (st == LB_OK) st = choose(&chosen, s, plain, int8, err);
  if (int8 != NULL && chosen != int8) lb_model_free(int8);
  lb__teacher_set_model(s->teacher, chosen);
  if (st == LB_OK) st = lb__model_settle(chosen, err);
  return st == LB_OK ? LB_OK : lb__fail_prefix(err, st, "teacher");
}

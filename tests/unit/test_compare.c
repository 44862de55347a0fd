/* test_compare.c - two tiny models on ragged documents: every figure against plain double
 * arithmetic on their logits, a model against itself, without a teacher, with documents that are
 * too long, and every refusal. */
#include "evaluate/compare.h"

#include "data/batch.h"

#include "faults.h"
#include "scratch.h"
#include "tiny_model.h"

#include <limbeck/environment.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { N_DOCS = 60, MOST_TOKENS = 6000, CONTEXT = 64 };
/* means of float logits below 20 in magnitude, softmax in another order */
#define TOLERANCE 2e-5

static char *folders[2];
static lb_model *models[2]; /* teacher, student */
static lb_error err;
static int32_t ids[MOST_TOKENS], targets[MOST_TOKENS];
static int64_t doc_start[N_DOCS + 1];

/* ---- models with a short context, documents of 1 to 96 tokens ---- */

static void shorten_context(const char *folder) {
  char *config = scratch_read(folder, "config.json", NULL);
  memcpy(strstr(config, "8192"), "  64", 4);
  scratch_write_text(folder, "config.json", config);
  free(config);
}

static int setup(void **state) {
  (void)state;
  lb_threads_set(1);
  for (int i = 0; i < 2; i++) {
    folders[i] = scratch_new();
    tiny_model_write(folders[i], (tiny_options){.seed = 4 + i});
    shorten_context(folders[i]);
    if (lb_model_open(&models[i], folders[i], NULL, &err) != LB_OK) fail_msg("%s", err.message);
  }
  int64_t n = 0;
  for (int64_t d = 0; d < N_DOCS; d++) {
    int64_t length = 1 + d * 29 % 97;
    for (int64_t t = 0; t < length; t++) ids[n + t] = (int32_t)((d * 13 + t * t * 3) % TINY_KNOWN);
    for (int64_t t = 0; t < length; t++) {
      bool is_trained = t + 1 < length && (d % 3 == 0 || t >= length / 2);
      targets[n + t] = is_trained ? ids[n + t + 1] : LB__NOT_TRAINED;
    }
    doc_start[d] = n;
    n += length;
  }
  doc_start[N_DOCS] = n;
  assert_true(n > 2048 && n <= MOST_TOKENS); /* more than one pass */
  return 0;
}

static int teardown(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    lb_model_free(models[i]);
    scratch_remove(folders[i]);
  }
  return 0;
}

static lb__corpus *make_corpus(int64_t n_docs) {
  lb__corpus *corpus;
  if (lb__corpus_from_arrays(&corpus, ids, targets, doc_start, n_docs, &err) != LB_OK)
    fail_msg("%s", err.message);
  return corpus;
}

/* ---- the same by plain arithmetic ---- */

typedef struct plain_sums {
  double student_ce, teacher_ce, forward_kl, reverse_kl, agrees, correct;
  int64_t n, n_cut, n_tokens, n_documents;
  double document_forward[N_DOCS], document_reverse[N_DOCS];
} plain_sums;

/* log q of every token after position t, in double, over the first `vocab` columns. */
static void log_softmax(double *out, const float *logits, int64_t vocab) {
  double most = -INFINITY, sum = 0;
  for (int64_t v = 0; v < vocab; v++) most = fmax(most, (double)logits[v]);
  for (int64_t v = 0; v < vocab; v++) sum += exp((double)logits[v] - most);
  for (int64_t v = 0; v < vocab; v++) out[v] = (double)logits[v] - most - log(sum);
}

static void logits_of(float *out, lb_model *model, const int32_t *document, int64_t n) {
  int32_t positions[CONTEXT], starts[2] = {0, (int32_t)n};
  lb__stream s;
  lb_tensor *hidden, *logits;
  for (int64_t t = 0; t < n; t++) positions[t] = (int32_t)t;
  lb__batch batch = {
      .n_tokens = n, .n_docs = 1, .ids = document, .positions = positions, .doc_start = starts};
  lb__model_stream_init(&s, model);
  assert_int_equal(lb__model_hidden(&hidden, model, &s, &batch, &err), LB_OK);
  assert_int_equal(lb__model_logits(&logits, model, &s, hidden, &err), LB_OK);
  assert_int_equal(lb__tensor_read(logits, 0, out, logits->size_bytes, &err), LB_OK);
  lb__stream_deinit(&s);
}

static int64_t best_of(const double *p, int64_t vocab) {
  int64_t best = 0;
  for (int64_t v = 1; v < vocab; v++)
    if (p[v] > p[best]) best = v;
  return best;
}

static void add_position(plain_sums *s, const float *teacher, const float *student, int32_t target,
                         int64_t vocab) {
  double p[TINY_V], q[TINY_V];
  log_softmax(p, teacher, vocab);
  log_softmax(q, student, vocab);
  for (int64_t v = 0; v < vocab; v++) {
    s->forward_kl += exp(p[v]) * (p[v] - q[v]);
    s->reverse_kl += exp(q[v]) * (q[v] - p[v]);
  }
  s->student_ce -= q[target];
  s->teacher_ce -= p[target];
  s->agrees += best_of(p, vocab) == best_of(q, vocab);
  s->correct += best_of(q, vocab) == target;
  s->n++;
}

static plain_sums plainly(int64_t vocab) {
  static float logits[2][CONTEXT * TINY_V];
  plain_sums s = {0};
  for (int64_t d = 0; d < N_DOCS; d++) {
    int64_t n = doc_start[d + 1] - doc_start[d], before = s.n;
    double forward = s.forward_kl, reverse = s.reverse_kl;
    s.n_cut += n > CONTEXT;
    if (n > CONTEXT) n = CONTEXT;
    for (int i = 0; i < 2; i++) logits_of(logits[i], models[i], ids + doc_start[d], n);
    for (int64_t t = 0; t < n; t++) {
      int32_t target = targets[doc_start[d] + t];
      if (target != LB__NOT_TRAINED)
        add_position(&s, logits[0] + t * TINY_V, logits[1] + t * TINY_V, target, vocab);
    }
    s.document_forward[d] = s.forward_kl - forward;
    s.document_reverse[d] = s.reverse_kl - reverse;
    s.n_documents += s.n > before;
    s.n_tokens += s.n > before ? n : 0;
  }
  return s;
}

static void expect_near(const char *what, double found, double wanted) {
  if (!(fabs(found - wanted) <= TOLERANCE * (1.0 + fabs(wanted))))
    fail_msg("%s: %.9g, want %.9g", what, found, wanted);
}

/* ---- tests ---- */

static void expect_figures(int64_t vocab) {
  lb__comparison c;
  double forward[N_DOCS], reverse[N_DOCS];
  lb__corpus *corpus = make_corpus(N_DOCS);
  if (lb__compare_models(&c, &(lb__document_kl){forward, reverse}, models[0], models[1], corpus,
                         vocab, NULL, &err) != LB_OK)
    fail_msg("%s", err.message);
  lb__corpus_free(corpus);
  plain_sums s = plainly(vocab);
  double n = (double)s.n;
  assert_int_equal(c.n_measured, s.n);
  assert_int_equal(c.n_cut, s.n_cut);
  assert_int_equal(c.n_tokens, s.n_tokens);
  assert_int_equal(c.n_documents, s.n_documents);
  assert_true(c.n_cut > 0 && c.n_documents < N_DOCS && c.n_tokens > 2048);
  expect_near("student's cross entropy", c.student.ce, s.student_ce / n);
  expect_near("student's perplexity", c.student.perplexity, exp(s.student_ce / n));
  expect_near("teacher's cross entropy", c.teacher.ce, s.teacher_ce / n);
  expect_near("teacher's perplexity", c.teacher.perplexity, exp(s.teacher_ce / n));
  expect_near("forward KL", c.forward_kl, s.forward_kl / n);
  expect_near("reverse KL", c.reverse_kl, s.reverse_kl / n);
  expect_near("agreement", c.agreement, s.agrees / n);
  for (int64_t d = 0; d < N_DOCS; d++) {
    expect_near("a document's forward KL", forward[d], s.document_forward[d]);
    expect_near("a document's reverse KL", reverse[d], s.document_reverse[d]);
  }
  expect_near("accuracy", c.accuracy, s.correct / n);
  assert_true(c.forward_kl > 0.1 && c.agreement > 0 && c.agreement < 1);
  assert_true(isfinite(c.student.tokens_per_second) && c.student.tokens_per_second > 0);
  assert_true(isfinite(c.teacher.tokens_per_second) && c.teacher.tokens_per_second > 0);
}

static void test_figures(void **state) {
  (void)state;
  expect_figures(TINY_V);
}

static void test_common_vocabulary(void **state) {
  (void)state;
  expect_figures(TINY_KNOWN);
}

static void test_model_against_itself(void **state) {
  (void)state;
  lb__comparison c;
  lb__corpus *corpus = make_corpus(N_DOCS);
  assert_int_equal(lb__compare_models(&c, NULL, models[1], models[1], corpus, TINY_V, NULL, &err),
                   LB_OK);
  expect_near("forward KL", c.forward_kl, 0);
  expect_near("reverse KL", c.reverse_kl, 0);
  assert_true(c.agreement == 1.0);
  assert_true(c.student.ce == c.teacher.ce);
  lb__corpus_free(corpus);
}

static void test_without_teacher(void **state) {
  (void)state;
  lb__comparison with, without;
  double forward[N_DOCS], reverse[N_DOCS];
  lb__corpus *corpus = make_corpus(N_DOCS);
  assert_int_equal(
      lb__compare_models(&with, NULL, models[0], models[1], corpus, TINY_V, NULL, &err), LB_OK);
  assert_int_equal(lb__compare_models(&without, &(lb__document_kl){forward, reverse}, NULL,
                                      models[1], corpus, TINY_V, NULL, &err),
                   LB_OK);
  assert_true(without.student.ce == with.student.ce && without.accuracy == with.accuracy);
  assert_true(isnan(without.teacher.ce) && isnan(without.teacher.perplexity) &&
              isnan(without.teacher.tokens_per_second) && isnan(without.forward_kl) &&
              isnan(without.reverse_kl) && isnan(without.agreement));
  assert_true(forward[0] == 0 && reverse[0] == 0); /* a token, and nothing to predict */
  assert_true(isnan(forward[1]) && isnan(reverse[1]));
  lb__corpus_free(corpus);
}

static void expect_refusal(lb_model *teacher, lb_model *student, const lb__corpus *corpus,
                           int64_t vocab, lb_status status, const char *part) {
  lb__comparison c;
  assert_int_equal(lb__compare_models(&c, NULL, teacher, student, corpus, vocab, NULL, &err),
                   status);
  if (strstr(err.message, part) == NULL) fail_msg("'%s' in: %s", part, err.message);
}

static void test_refusals(void **state) {
  (void)state;
  lb__corpus *corpus = make_corpus(N_DOCS);
  char *folder = scratch_new();
  lb_model *broken;
  expect_refusal(models[0], models[1], corpus, TINY_V + 1, LB_E_ARG, "vocabulary");
  tiny_model_write(folder, (tiny_options){.seed = 4, .is_broken = 1});
  assert_int_equal(lb_model_open(&broken, folder, NULL, &err), LB_OK);
  expect_refusal(models[0], broken, corpus, TINY_V, LB_E_NUMERIC, "the student's predictions");
  expect_refusal(broken, models[1], corpus, TINY_V, LB_E_NUMERIC, "the teacher's predictions");
  lb_model_free(broken);
  scratch_remove(folder);
  volatile int cancel = 1;
  lb__comparison c;
  assert_int_equal(
      lb__compare_models(&c, NULL, models[0], models[1], corpus, TINY_V, &cancel, &err),
      LB_E_CANCELLED);
  lb__corpus_free(corpus);
}

static void test_ids_outside_a_vocabulary(void **state) {
  (void)state;
  static const int32_t bad_ids[] = {1, TINY_V, 2}, bad_targets[] = {2, 2, LB__NOT_TRAINED};
  static const int32_t none[] = {LB__NOT_TRAINED, LB__NOT_TRAINED, LB__NOT_TRAINED};
  static const int64_t starts[] = {0, 3};
  lb__corpus *corpus;
  assert_int_equal(lb__corpus_from_arrays(&corpus, bad_ids, bad_targets, starts, 1, &err), LB_OK);
  expect_refusal(NULL, models[1], corpus, TINY_V, LB_E_ARG,
                 "held-out documents, student: token id");
  lb__corpus_free(corpus);
  if (lb__corpus_from_arrays(&corpus, ids, none, starts, 1, &err) == LB_OK)
    expect_refusal(NULL, models[1], corpus, TINY_V, LB_E_ARG, "none has a token to predict");
  lb__corpus_free(corpus);
}

static lb_status run(void *ctx, lb_error *error) {
  lb__comparison c;
  return lb__compare_models(&c, NULL, models[0], models[1], ctx, TINY_V, NULL, error);
}

static void test_every_allocation_may_fail(void **state) {
  (void)state;
  lb__corpus *corpus = make_corpus(5);
  fault_case c = {.run = run, .ctx = corpus, .may_survive = true}; /* arenas take smaller blocks */
  assert_true(fault_each_allocation(&c) > 5);
  lb__corpus_free(corpus);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_figures),
                                     cmocka_unit_test(test_common_vocabulary),
                                     cmocka_unit_test(test_model_against_itself),
                                     cmocka_unit_test(test_without_teacher),
                                     cmocka_unit_test(test_refusals),
                                     cmocka_unit_test(test_ids_outside_a_vocabulary),
                                     cmocka_unit_test(test_every_allocation_may_fail)};
  return cmocka_run_group_tests(tests, setup, teardown);
}

/* test_importance.c - lb_importance_measure on a tiny random model: against the definitions,
 * written once more over the whole activations of plain passes; with any number of threads and
 * whatever the order of documents; every refusal; every allocation failing. */
#include <limbeck/environment.h>
#include <limbeck/importance.h>

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

/* The tiny model's shape: see tiny_model.h. */
enum { L = 2, H = 4, D = 4, C = 16, MOST_F = 64, N_DOCUMENTS = 9, LONG = 2300 };
#define CLOSE 2e-5 /* float activations of passes cut elsewhere; relative */

static char *folder;
static lb_model *model;
static int32_t store[N_DOCUMENTS][LONG];
static lb_prompt documents[N_DOCUMENTS];
static int64_t F;

static int setup(void **state) {
  (void)state;
  lb_error err;
  folder = scratch_new();
  tiny_model_write(folder, (tiny_options){.seed = 4});
  if (lb_model_open(&model, folder, NULL, &err) != LB_OK) fail_msg("%s", err.message);
  const lb_model_info *info = lb_model_get_info(model);
  F = info->intermediate_size;
  assert_true(info->n_layers == L && info->n_heads == H && info->head_dim == D);
  assert_true(info->hidden_size == C && F <= MOST_F);
  for (size_t i = 0; i < N_DOCUMENTS; i++) {
    size_t n = i == 4 ? LONG : 1 + i * 29 % 97; /* one is longer than a pass, one a single token */
    for (size_t t = 0; t < n; t++) store[i][t] = (int32_t)((i * 13 + t * t * 3 + t / 7) % TINY_V);
    documents[i] = (lb_prompt){store[i], n};
  }
  return 0;
}

static int teardown(void **state) {
  (void)state;
  lb_threads_set(0);
  lb_model_free(model);
  scratch_remove(folder);
  return 0;
}

static lb_importance *measure(const lb_prompt *d, size_t n) {
  lb_error err;
  lb_importance *found;
  if (lb_importance_measure(&found, model, d, n, NULL, &err) != LB_OK) fail_msg("%s", err.message);
  return found;
}

/* ---- the definitions, over activations of one document that are all kept ---- */

typedef struct seen {
  float *in[LB__N_SIGHTS][L + 1], *out[LB__N_SIGHTS][L + 1]; /* NULL: not shown */
} seen;

static float *copy(const lb_tensor *t) {
  lb_error err;
  float *values = malloc(t->size_bytes);
  assert_non_null(values);
  assert_int_equal(lb__tensor_read(t, 0, values, t->size_bytes, &err), LB_OK);
  return values;
}

static lb_status look(void *ctx, lb__sight what, int64_t layer, const lb_tensor *in,
                      const lb_tensor *out, lb_error *err) {
  seen *s = ctx;
  (void)err;
  assert_null(s->in[what][layer]);
  s->in[what][layer] = copy(in);
  if (out != NULL) s->out[what][layer] = copy(out);
  return LB_OK;
}

static void look_at(seen *s, const lb_prompt *d) {
  lb_error err;
  lb__stream stream;
  lb_tensor *hidden;
  int32_t *positions = malloc(d->n_ids * sizeof *positions), starts[2] = {0, (int32_t)d->n_ids};
  assert_non_null(positions);
  for (size_t t = 0; t < d->n_ids; t++) positions[t] = (int32_t)t;
  lb__batch batch = {.n_tokens = (int64_t)d->n_ids,
                     .n_docs = 1,
                     .ids = d->ids,
                     .positions = positions,
                     .doc_start = starts};
  lb__watcher watcher = {look, s};
  lb__pass_options options = {.watcher = &watcher};
  memset(s, 0, sizeof *s);
  lb__model_stream_init(&stream, model);
  if (lb__model_pass(&hidden, model, &stream, &batch, &options, &err) != LB_OK)
    fail_msg("%s", err.message);
  lb__stream_deinit(&stream);
  free(positions);
}

static void forget(seen *s) {
  for (int w = 0; w < LB__N_SIGHTS; w++)
    for (int l = 0; l <= L; l++) free(s->in[w][l]), free(s->out[w][l]);
}

/* mean over tokens of the Euclidean norm of `group` channels from `first` on */
static double mean_size(const float *x, size_t n, int64_t width, int64_t first, int64_t group) {
  double sum = 0.0;
  for (size_t t = 0; t < n; t++) {
    double squares = 0.0;
    for (int64_t i = 0; i < group; i++) {
      double v = (double)x[(int64_t)t * width + first + i];
      squares += v * v;
    }
    sum += sqrt(squares);
  }
  return sum / (double)n;
}

static double sum_turns(const float *a, const float *b, size_t n) {
  double sum = 0.0;
  for (size_t t = 0; t < n; t++) {
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (size_t c = t * C; c < (t + 1) * C; c++) {
      ab += (double)a[c] * (double)b[c];
      aa += (double)a[c] * (double)a[c];
      bb += (double)b[c] * (double)b[c];
    }
    sum += 1.0 - ab / sqrt(aa * bb);
  }
  return sum;
}

typedef struct wanted {
  double layers[L], norms[2 * L + 1][C], heads[L][H], neurons[L][MOST_F], shares[4 * L + 1][C];
  double n_tokens;
} wanted;

static void add_squares(double *into, double mean) {
  *into += mean * mean / N_DOCUMENTS;
}

static void add_shares(double *shares, const float *x, size_t n) {
  for (size_t t = 0; t < n; t++) {
    double all = 0.0;
    for (size_t c = 0; c < C; c++) all += pow((double)x[t * C + c], 2.0);
    for (size_t c = 0; c < C; c++) shares[c] += pow((double)x[t * C + c], 2.0) / all;
  }
}

static void add_document(wanted *w, const seen *s, size_t n) {
  w->n_tokens += (double)n;
  for (int l = 0; l < L; l++) {
    const float *after =
        l + 1 < L ? s->in[LB__SEES_ATTN_NORM][l + 1] : s->in[LB__SEES_FINAL_NORM][L];
    w->layers[l] += sum_turns(s->in[LB__SEES_ATTN_NORM][l], after, n);
    for (int h = 0; h < H; h++)
      add_squares(&w->heads[l][h], mean_size(s->in[LB__SEES_HEADS][l], n, H * D, h * D, D));
    for (int64_t f = 0; f < F; f++)
      add_squares(&w->neurons[l][f], mean_size(s->in[LB__SEES_NEURONS][l], n, F, f, 1));
    for (int c = 0; c < C; c++) {
      add_squares(&w->norms[2 * l][c], mean_size(s->out[LB__SEES_ATTN_NORM][l], n, C, c, 1));
      add_squares(&w->norms[2 * l + 1][c], mean_size(s->out[LB__SEES_MLP_NORM][l], n, C, c, 1));
    }
    add_shares(w->shares[4 * l], s->in[LB__SEES_ATTN_NORM][l], n);
    add_shares(w->shares[4 * l + 2], s->in[LB__SEES_MLP_NORM][l], n);
  }
  for (int c = 0; c < C; c++)
    add_squares(&w->norms[2 * L][c], mean_size(s->out[LB__SEES_FINAL_NORM][L], n, C, c, 1));
  add_shares(w->shares[4 * L], s->in[LB__SEES_FINAL_NORM][L], n);
}

static void expect_close(double found, double wanted_value, const char *what, int64_t i) {
  if (!(fabs(found - wanted_value) <= CLOSE * (1e-3 + fabs(wanted_value))))
    fail_msg("%s %lld: %.9g, want %.9g", what, (long long)i, found, wanted_value);
}

static void test_definitions(void **state) {
  (void)state;
  static wanted w;
  seen s;
  lb_importance *found = measure(documents, N_DOCUMENTS);
  memset(&w, 0, sizeof w);
  for (size_t d = 0; d < N_DOCUMENTS; d++) {
    look_at(&s, &documents[d]);
    add_document(&w, &s, documents[d].n_ids);
    forget(&s);
  }
  assert_int_equal(found->n_tokens, (int64_t)w.n_tokens);
  assert_int_equal(found->n_documents, N_DOCUMENTS);
  assert_int_equal(found->intermediate_size, F);
  for (int l = 0; l < L; l++) {
    expect_close(found->layers[l], w.layers[l] / w.n_tokens, "layer", l);
    assert_true(found->layers[l] > 0.0);
    for (int h = 0; h < H; h++)
      expect_close(found->heads[l * H + h], sqrt(w.heads[l][h]), "head", l * H + h);
    for (int64_t f = 0; f < F; f++)
      expect_close(found->neurons[l * F + f], sqrt(w.neurons[l][f]), "neuron", l * F + f);
  }
  for (int c = 0; c < C; c++) {
    double sum = 0.0;
    for (int n = 0; n < 2 * L + 1; n++) sum += sqrt(w.norms[n][c]);
    expect_close(found->hidden[c], sum, "channel", c);
    for (int n = 0; n < 4 * L + 1; n++)
      expect_close(found->shares[n * C + c], w.shares[n][c] / w.n_tokens, "share", n * C + c);
  }
  lb_importance_free(found);
}

/* ---- the same again ---- */

static void expect_same(const lb_importance *a, const lb_importance *b) {
  size_t real = sizeof(double);
  assert_memory_equal(a->layers, b->layers, L * real);
  assert_memory_equal(a->hidden, b->hidden, C * real);
  assert_memory_equal(a->heads, b->heads, L * H * real);
  assert_memory_equal(a->neurons, b->neurons, (size_t)(L * F) * real);
  assert_memory_equal(a->shares, b->shares, (4 * L + 1) * C * real);
}

static void test_threads_change_nothing(void **state) {
  (void)state;
  lb_threads_set(1);
  lb_importance *one = measure(documents, N_DOCUMENTS);
  for (int n = 2; n <= 5; n++) {
    lb_threads_set(n);
    lb_importance *many = measure(documents, N_DOCUMENTS);
    expect_same(one, many);
    lb_importance_free(many);
  }
  lb_importance_free(one);
}

/* A document counts once, however long it is: twice the same is the same. */
static void test_documents_weigh_alike(void **state) {
  (void)state;
  lb_prompt twice[4] = {documents[1], documents[2], documents[1], documents[2]};
  lb_importance *a = measure(twice, 2), *b = measure(twice, 4);
  for (int c = 0; c < C; c++) expect_close(b->hidden[c], a->hidden[c], "channel", c);
  for (int l = 0; l < L; l++) expect_close(b->layers[l], a->layers[l], "layer", l);
  lb_importance_free(a);
  lb_importance_free(b);
}

/* ---- refusals ---- */

static void count_calls(void *ctx, size_t done, size_t total) {
  size_t *calls = ctx;
  assert_true(done <= total);
  calls[0]++;
  calls[1] = done;
  calls[2] = total;
}

static void test_progress_and_cancel(void **state) {
  (void)state;
  lb_error err;
  size_t calls[3] = {0};
  volatile int cancel = 0;
  lb_importance_options o = lb_importance_options_default();
  o.on_progress = count_calls;
  o.on_progress_ctx = calls;
  o.cancel = &cancel;
  lb_importance *found;
  assert_int_equal(lb_importance_measure(&found, model, documents, N_DOCUMENTS, &o, &err), LB_OK);
  assert_true(calls[0] >= 3 && calls[1] == calls[2] && calls[2] == (size_t)found->n_tokens);
  lb_importance_free(found);
  cancel = 1;
  assert_int_equal(lb_importance_measure(&found, model, documents, N_DOCUMENTS, &o, &err),
                   LB_E_CANCELLED);
  assert_null(found);
}

static void test_refusals(void **state) {
  (void)state;
  lb_error err;
  lb_importance *found;
  int32_t bad[] = {1, TINY_V};
  lb_prompt outside = {bad, 2}, empty = {bad, 0};
  assert_int_equal(lb_importance_measure(&found, model, documents, 0, NULL, &err), LB_E_ARG);
  assert_non_null(strstr(err.message, "want at least one document"));
  assert_null(found);
  assert_int_equal(lb_importance_measure(&found, model, &outside, 1, NULL, &err), LB_E_ARG);
  assert_int_equal(lb_importance_measure(&found, model, &empty, 1, NULL, &err), LB_E_ARG);
  lb_importance_free(NULL);
}

/* ---- faults ---- */

static lb_status run(void *ctx, lb_error *err) {
  (void)ctx;
  lb_importance *found;
  lb_status st = lb_importance_measure(&found, model, documents, 3, NULL, err);
  if (st != LB_OK) assert_null(found);
  lb_importance_free(found);
  return st;
}

static void test_every_allocation_may_fail(void **state) {
  (void)state;
  lb_threads_set(1);
  fault_case c = {.run = run, .may_survive = true};
  assert_true(fault_each_allocation(&c) >= 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_definitions),
                                     cmocka_unit_test(test_threads_change_nothing),
                                     cmocka_unit_test(test_documents_weigh_alike),
                                     cmocka_unit_test(test_progress_and_cancel),
                                     cmocka_unit_test(test_refusals),
                                     cmocka_unit_test(test_every_allocation_may_fail)};
  return cmocka_run_group_tests(tests, setup, teardown);
}

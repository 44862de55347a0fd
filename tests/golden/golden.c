/* golden.c - see golden.h. Read next: test_golden_models.c. */
#include "golden.h"

#include "golden_file.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void *need(void *p) {
  if (p == NULL) fail_msg("out of memory");
  return p;
}

char *golden_path(const char *format, ...) {
  char name[512];
  va_list args;
  va_start(args, format);
  vsnprintf(name, sizeof name, format, args);
  va_end(args);
  const char *root = LIMBECK_SOURCE_DIR "/tests/golden/data/";
  char *path = need(malloc(strlen(root) + strlen(name) + 1));
  strcpy(path, root);
  return strcat(path, name);
}

json_t *golden_json(const char *path) {
  json_error_t error;
  json_t *tree = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
  if (tree == NULL) fail_msg("%s:%d: %s", path, error.line, error.text);
  return tree;
}

/* ---- one case per model ---- */

static int by_name(const struct dirent **a, const struct dirent **b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_visible(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

int golden_run_models(const char *group, CMUnitTestFunction test) {
  char *folder = golden_path("models");
  struct dirent **entries;
  int n = scandir(folder, &entries, is_visible, by_name);
  if (n <= 0) {
    fprintf(stderr, "no fixtures in %s\n", folder);
    free(folder);
    return 1;
  }
  struct CMUnitTest *tests = calloc((size_t)n, sizeof *tests);
  if (tests == NULL) abort();
  for (int i = 0; i < n; i++)
    tests[i] = (struct CMUnitTest){
        .name = entries[i]->d_name, .test_func = test, .initial_state = entries[i]->d_name};
  int failed = _cmocka_run_group_tests(group, tests, (size_t)n, NULL, NULL);
  for (int i = 0; i < n; i++) free(entries[i]);
  free(entries);
  free(tests);
  free(folder);
  return failed;
}

void golden_model_load(golden_model *m, const char *name) {
  m->name = name;
  m->folder = golden_path("models/%s", name);
  char *path = golden_path("expected/%s.json", name);
  m->expected = golden_json(path);
  free(path);
}

void golden_model_unload(golden_model *m) {
  free(m->folder);
  json_decref(m->expected);
}

/* ---- expected logits ---- */

static void *copy_of(golden_tensor t) {
  void *copy = need(malloc(t.n * 4 + 1));
  memcpy(copy, t.data, t.n * 4);
  return copy;
}

void golden_logits_load(golden_logits *g, const char *name, int k) {
  golden_file f;
  char *path = golden_path("expected/%s.safetensors", name);
  golden_file_open(&f, path);
  golden_tensor ids = golden_file_tensor(&f, "I32", "ids.%d", k);
  golden_tensor logits = golden_file_tensor(&f, "F32", "logits.%d", k);
  *g = (golden_logits){.n_ids = ids.n,
                       .vocab_size = logits.shape[1],
                       .ids = copy_of(ids),
                       .logits = copy_of(logits)};
  golden_file_close(&f);
  free(path);
}

void golden_logits_unload(golden_logits *g) {
  free(g->ids);
  free(g->logits);
}

/* ---- the library, with failures turned into test failures ---- */

lb_model *golden_open(const char *path, lb_precision precision) {
  lb_error err;
  lb_model *model;
  lb_model_options options = lb_model_options_default();
  options.precision = precision;
  if (lb_model_open(&model, path, &options, &err) != LB_OK) fail_msg("%s", err.message);
  return model;
}

/* With top_k = the vocabulary, the log-probabilities plus logsumexp are the logits. */
static float *logits_of_row(const lb_score_row *row, size_t vocab) {
  float *logits = need(malloc(row->n * vocab * sizeof *logits + 1));
  for (size_t i = 0; i < row->n * vocab; i++) logits[i] = NAN; /* an id that is missing shows */
  for (size_t t = 0; t < row->n; t++) {
    for (size_t k = 0; k < vocab; k++) {
      int32_t id = row->top_ids[t * vocab + k];
      if (id < 0 || (size_t)id >= vocab) fail_msg("lb_score reports id %d of %zu", id, vocab);
      logits[t * vocab + (size_t)id] = row->top_logprobs[t * vocab + k] + row->logsumexp[t];
    }
  }
  return logits;
}

float **golden_all_logits(lb_model *model, const lb_prompt *documents, size_t n_documents) {
  lb_error err;
  lb_scores *scores;
  lb_score_options options = lb_score_options_default();
  options.top_k = lb_model_get_info(model)->vocab_size;
  if (lb_score(&scores, model, documents, n_documents, &options, &err) != LB_OK)
    fail_msg("%s", err.message);
  float **logits = need(calloc(n_documents, sizeof *logits));
  for (size_t i = 0; i < n_documents; i++) {
    const lb_score_row *row = lb_scores_get(scores, i);
    assert_non_null(row);
    assert_int_equal(row->n, documents[i].n_ids);
    assert_int_equal(row->top_k, options.top_k);
    logits[i] = logits_of_row(row, (size_t)options.top_k);
  }
  lb_scores_free(scores);
  return logits;
}

double golden_logsumexp(const float *x, size_t n) {
  double max = (double)x[0], sum = 0;
  for (size_t i = 1; i < n; i++) max = fmax(max, (double)x[i]);
  for (size_t i = 0; i < n; i++) sum += exp((double)x[i] - max);
  return max + log(sum);
}

size_t golden_best(const float *x, size_t n) {
  size_t at = 0;
  for (size_t i = 1; i < n; i++)
    if (x[i] > x[at]) at = i;
  return at;
}

double golden_row_kl(const float *x, const float *y, size_t n) {
  double zx = golden_logsumexp(x, n), zy = golden_logsumexp(y, n), kl = 0;
  for (size_t i = 0; i < n; i++) {
    double log_p = (double)x[i] - zx, log_q = (double)y[i] - zy;
    kl += exp(log_p) * (log_p - log_q);
  }
  return kl;
}

double golden_mean_kl(const golden_logits *want, const float *got, size_t vocab) {
  size_t common = vocab < want->vocab_size ? vocab : want->vocab_size;
  double sum = 0;
  for (size_t t = 0; t < want->n_ids; t++)
    sum += golden_row_kl(want->logits + t * want->vocab_size, got + t * vocab, common);
  return sum / (double)want->n_ids;
}

/* ---- JSON ---- */

int32_t *golden_ids(const json_t *list, size_t *n) {
  if (!json_is_array(list)) fail_msg("the fixture has no list of ids here");
  *n = json_array_size(list);
  int32_t *ids = need(malloc((*n + 1) * sizeof *ids));
  for (size_t i = 0; i < *n; i++) ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
  return ids;
}

lb_prompt golden_prompt(const json_t *list) {
  size_t n;
  int32_t *ids = golden_ids(list, &n);
  return (lb_prompt){.ids = ids, .n_ids = n};
}

int64_t golden_int(const json_t *object, const char *key, int64_t otherwise) {
  const json_t *value = json_object_get(object, key);
  return json_is_integer(value) ? (int64_t)json_integer_value(value) : otherwise;
}

double golden_real(const json_t *object, const char *key, double otherwise) {
  const json_t *value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : otherwise;
}

static void print_ids(const char *label, const int32_t *ids, size_t n) {
  fprintf(stderr, "%s [", label);
  for (size_t i = 0; i < n; i++) fprintf(stderr, "%s%d", i ? "," : "", ids[i]);
  fprintf(stderr, "]\n");
}

void golden_assert_ids(const char *what, const json_t *want, const int32_t *got, size_t n_got) {
  size_t n_want;
  int32_t *ids = golden_ids(want, &n_want);
  bool same = n_want == n_got && (n_got == 0 || memcmp(ids, got, n_got * sizeof *ids) == 0);
  if (!same) {
    print_ids("want", ids, n_want);
    print_ids("got ", got, n_got);
    free(ids);
    fail_msg("%s: other ids than Transformers", what);
  }
  free(ids);
}

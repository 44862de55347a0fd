/* test_golden_data.c - rows become the ids, and learn the tokens, that Transformers and TRL give
 * them. Data and its generator: tests/golden/data/data_masks.json, generate/data_masks.py. */
#include "data/batch.h"
#include "data/corpus.h"

#include "base/json.h"
#include "base/memory.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN LIMBECK_SOURCE_DIR "/tests/golden/"

static lb_error err;
static json_t *golden;
static char *folder;

static int set_up(void **state) {
  (void)state;
  if (lb__json_read(&golden, GOLDEN "data/data_masks.json", (size_t)64 << 20, &err) != LB_OK)
    fail_msg("%s", err.message);
  folder = scratch_new();
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  json_decref(golden);
  scratch_remove(folder);
  return 0;
}

/* ---- the tokenizer and the template of a case, kept while they stay the same ---- */

typedef struct tools {
  char tokenizer_name[200], template_name[200];
  lb_tokenizer *tokenizer;
  lb_chat_template *template;
} tools;

static void put_away(tools *t) {
  lb_tokenizer_free(t->tokenizer);
  lb_chat_template_free(t->template);
  *t = (tools){0};
}

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text != NULL ? text : "";
}

static void take(tools *t, const json_t *c) {
  char path[1024];
  const char *tokenizer = text_of(c, "tokenizer"), *template = text_of(c, "template");
  if (strcmp(tokenizer, t->tokenizer_name) == 0 && strcmp(template, t->template_name) == 0) return;
  put_away(t);
  snprintf(t->tokenizer_name, sizeof t->tokenizer_name, "%s", tokenizer);
  snprintf(t->template_name, sizeof t->template_name, "%s", template);
  snprintf(path, sizeof path, GOLDEN "data/%s", tokenizer);
  if (lb_tokenizer_open(&t->tokenizer, path, &err) != LB_OK) fail_msg("%s", err.message);
  snprintf(path, sizeof path, GOLDEN "%s", template);
  if (template[0] != '\0' && lb_chat_template_open(&t->template, NULL, path, &err) != LB_OK)
    fail_msg("%s", err.message);
}

/* ---- one case ---- */

static bool is_learned(const lb__document_view *d, int64_t i) {
  return i > 0 && d->targets[i - 1] == d->ids[i];
}

static bool same_document(const lb__document_view *d, const json_t *c) {
  const json_t *ids = json_object_get(c, "ids"), *mask = json_object_get(c, "mask");
  if ((int64_t)json_array_size(ids) != d->n) return false;
  for (int64_t i = 0; i < d->n; i++) {
    if (json_integer_value(json_array_get(ids, (size_t)i)) != d->ids[i]) return false;
    if (i > 0 && (json_integer_value(json_array_get(mask, (size_t)i)) == 1) != is_learned(d, i))
      return false;
  }
  return true;
}

/* The first token cannot be learned: nothing comes before it. */
static bool learns_nothing(const json_t *c) {
  const json_t *mask = json_object_get(c, "mask");
  for (size_t i = 1; i < json_array_size(mask); i++)
    if (json_integer_value(json_array_get(mask, i)) == 1) return false;
  return true;
}

static void print_case(const json_t *c, const lb__corpus *corpus) {
  char *text = lb__json_text(c, 0);
  fprintf(stderr, "%.1500s\n  %s\n", text, corpus == NULL ? err.message : "got:");
  lb__free(text);
  if (corpus == NULL) return;
  lb__document_view d = lb__corpus_document(corpus, 0);
  for (int64_t i = 0; i < d.n; i++)
    fprintf(stderr, "%s%d", is_learned(&d, i) ? " *" : " ", d.ids[i]);
  fprintf(stderr, "\n");
}

typedef enum outcome { SAME, REFUSED, OTHER } outcome;

static outcome try_case(const json_t *c, const tools *t) {
  char path[1024];
  const char *paths[] = {path};
  char *row = lb__json_text(json_object_get(c, "row"), 0);
  scratch_write_text(folder, "row.jsonl", row);
  lb__free(row);
  snprintf(path, sizeof path, "%s", scratch_path(folder, "row.jsonl"));
  lb__corpus_options o = lb__corpus_options_default();
  o.paths = paths;
  o.n_paths = 1;
  o.max_length = 100000;
  o.tokenizer = t->tokenizer;
  o.chat_template = t->template;
  lb__corpus *corpus;
  lb_status st = lb__corpus_open(&corpus, &o, &err);
  bool same;
  if (learns_nothing(c)) {
    same = st == LB_E_ARG && strstr(err.message, "trained token") != NULL;
  } else {
    same = st == LB_OK && lb__corpus_n_documents(corpus) > 0;
    lb__document_view d = {0};
    if (same) d = lb__corpus_document(corpus, lb__corpus_n_documents(corpus) - 1);
    same = same && same_document(&d, c);
  }
  bool is_refused = !same && st == LB_E_FORMAT && strstr(err.message, "cannot tell") != NULL;
  if (!same && !is_refused) print_case(c, corpus);
  lb__corpus_free(corpus);
  return same ? SAME : is_refused ? REFUSED : OTHER;
}

/* Refused: where unknown characters fuse into one token, we do not guess where a border lies. */
static void check_all(const char *key, size_t at_least, size_t most_refused) {
  const json_t *cases = json_object_get(golden, key), *c;
  tools t = {0};
  size_t i, count[3] = {0};
  json_array_foreach(cases, i, c) {
    take(&t, c);
    count[try_case(c, &t)]++;
  }
  put_away(&t);
  if (i < at_least) fail_msg("%zu cases, want at least %zu", i, at_least);
  if (count[OTHER] > 0) fail_msg("%zu of %zu cases differ", count[OTHER], i);
  if (count[REFUSED] > most_refused) fail_msg("%zu of %zu cases are refused", count[REFUSED], i);
}

static void assistant_masks(void **state) {
  (void)state;
  check_all("assistant", 300, 0);
}

static void last_turns(void **state) {
  (void)state;
  check_all("turn", 300, 0);
}

static void prompts_and_completions(void **state) {
  (void)state;
  check_all("prompt", 1000, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(assistant_masks),
      cmocka_unit_test(last_turns),
      cmocka_unit_test(prompts_and_completions),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}

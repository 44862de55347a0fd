/* Golden test of the tokenizers: ids, decoded text and the stream decoder against what Hugging
 * Face's `tokenizers` gave (generate/golden_tokenizers.py). Small tokenizers with every kind and
 * option lie beside their cases; the real ones are looked for in ../shared and skipped, visibly,
 * when they are not there. */
#include <limbeck/tokenizer.h>

#include <dirent.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define DATA LIMBECK_SOURCE_DIR "/tests/golden/data/tokenizers/"

static int n_failed, n_checked, n_skipped, n_tokenizers;

static void complain(const char *name, size_t row, const char *what) {
  if (n_failed++ < 20) fprintf(stderr, "%s: case %zu: %s differs\n", name, row, what);
}

/* `want` is null where the reference refuses the text. */
static bool same_ids(const json_t *want, lb_status st, const int32_t *ids, size_t n) {
  if (json_is_null(want)) return st != LB_OK;
  if (st != LB_OK || json_array_size(want) != n) return false;
  for (size_t i = 0; i < n; i++)
    if (json_integer_value(json_array_get(want, i)) != ids[i]) return false;
  return true;
}

static void check_encode(lb_tokenizer *t, const char *name, size_t row, const json_t *item) {
  static const struct {
    const char *key;
    lb_encode_options options;
  } ways[] = {{"ids", {true, true}}, {"plain", {false, true}}, {"unparsed", {false, false}}};
  const json_t *text = json_object_get(item, "text");
  if (text == NULL) return;
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
    int32_t *ids;
    size_t n;
    lb_status st = lb_tokenizer_encode(t, json_string_value(text), json_string_length(text),
                                       &ways[i].options, &ids, &n, NULL);
    if (!same_ids(json_object_get(item, ways[i].key), st, ids, n)) complain(name, row, ways[i].key);
    lb_ids_free(ids);
    n_checked++;
  }
}

static bool same_text(const json_t *want, const char *text, size_t size) {
  return json_string_length(want) == size && memcmp(json_string_value(want), text, size) == 0;
}

/* One id at a time; the sum must be the whole text. */
static void check_stream(lb_tokenizer *t, const char *name, size_t row, const int32_t *ids,
                         size_t n, const json_t *want) {
  lb_stream_decoder *d;
  size_t done = 0, size;
  const char *piece, *text = json_string_value(want);
  bool same = true;
  assert_int_equal(lb_stream_decoder_new(&d, t, false, NULL), LB_OK);
  for (size_t i = 0; i <= n; i++) {
    lb_status st = i < n ? lb_stream_decoder_feed(d, ids[i], &piece, &size, NULL)
                         : lb_stream_decoder_finish(d, &piece, &size, NULL);
    same = same && st == LB_OK && done + size <= json_string_length(want) &&
           memcmp(text + done, piece, size) == 0;
    done += size;
    same = same && (done == 0 || ((unsigned char)text[done] & 0xC0) != 0x80); /* whole characters */
  }
  if (!same || done != json_string_length(want)) complain(name, row, "stream");
  lb_stream_decoder_free(d);
}

static void check_decode(lb_tokenizer *t, const char *name, size_t row, const json_t *item) {
  const json_t *list = json_object_get(item, "decode");
  size_t n = json_array_size(list), size;
  int32_t *ids = malloc((n + 1) * sizeof *ids);
  for (size_t i = 0; i < n; i++) ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
  for (int skip = 0; skip < 2; skip++) {
    const json_t *want = json_object_get(item, skip ? "skipped" : "decoded");
    char *text;
    lb_status st = lb_tokenizer_decode(t, ids, n, skip, &text, &size, NULL);
    if (st != LB_OK || !same_text(want, text, size))
      complain(name, row, skip ? "skipped" : "decoded");
    lb_text_free(text);
    n_checked++;
  }
  check_stream(t, name, row, ids, n, json_object_get(item, "decoded"));
  free(ids);
}

static void check_cases(const char *cases_path, const char *tokenizer_path, const char *name) {
  lb_error err;
  lb_tokenizer *t;
  if (lb_tokenizer_open(&t, tokenizer_path, &err) != LB_OK) fail_msg("%s", err.message);
  json_error_t e;
  json_t *cases = json_load_file(cases_path, JSON_ALLOW_NUL, &e);
  if (cases == NULL) fail_msg("%s:%d: %s", cases_path, e.line, e.text);
  assert_true(json_array_size(cases) > 50);
  for (size_t i = 0; i < json_array_size(cases); i++) {
    check_encode(t, name, i, json_array_get(cases, i));
    check_decode(t, name, i, json_array_get(cases, i));
  }
  n_tokenizers++;
  json_decref(cases);
  lb_tokenizer_free(t);
}

/* "shared.gpt2.cases.json" -> ../shared/tokenizers/gpt2, "llama.cases.json" -> llama.json */
static void check_file(const char *file) {
  char name[200], path[1000], cases[1000];
  snprintf(name, sizeof name, "%.*s", (int)(strlen(file) - strlen(".cases.json")), file);
  snprintf(cases, sizeof cases, DATA "%s", file);
  if (strncmp(name, "shared.", 7) == 0) {
    const char *shared = getenv("LIMBECK_SHARED");
    snprintf(path, sizeof path, "%s/tokenizers/%s",
             shared ? shared : LIMBECK_SOURCE_DIR "/../shared", name + 7);
    struct stat info;
    if (stat(path, &info) != 0) {
      fprintf(stderr, "skipped: no %s\n", path);
      n_skipped++;
      return;
    }
  } else {
    snprintf(path, sizeof path, DATA "%s.json", name);
  }
  check_cases(cases, path, name);
}

static void test_all(void **state) {
  (void)state;
  struct dirent **entries;
  int n = scandir(DATA, &entries, NULL, alphasort);
  assert_true(n > 0);
  for (int i = 0; i < n; i++) {
    if (strstr(entries[i]->d_name, ".cases.json") != NULL) check_file(entries[i]->d_name);
    free(entries[i]);
  }
  free(entries);
  fprintf(stderr, "%d tokenizers, %d comparisons, %d real tokenizers skipped\n", n_tokenizers,
          n_checked, n_skipped);
  assert_true(n_tokenizers >= 38);
  assert_int_equal(n_failed, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_all)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

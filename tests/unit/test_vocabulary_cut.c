/* test_vocabulary_cut.c - tokenizers trimmed to what a text uses. With every small tokenizer of the
 * golden data, and the real ones where they are: the text that was counted gets the same tokens
 * under their new ids; any other text decodes to what the whole tokenizer makes of it. */
#include "text/vocabulary_cut.h"

#include "base/fail.h"
#include "text/tokenizer_convert.h"
#include "text/tokenizer_internal.h"

#include "faults.h"
#include "scratch.h"
#include "small_tokenizer.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <cmocka.h>

#define DATA LIMBECK_SOURCE_DIR "/tests/golden/data/tokenizers/"

static lb_error err;
static const lb_encode_options ways[] = {{true, true}, {false, true}, {false, false}};
enum { N_WAYS = sizeof ways / sizeof *ways };

/* ---- texts and what they use ---- */

typedef struct encoded {
  int32_t *ids;
  size_t n;
  lb_status status;
} encoded;

static encoded encode(const lb_tokenizer *t, const json_t *text, int way) {
  encoded e = {0};
  e.status = lb_tokenizer_encode(t, json_string_value(text), json_string_length(text), &ways[way],
                                 &e.ids, &e.n, NULL);
  return e;
}

static const json_t *text_of(const json_t *cases, size_t i) {
  return json_object_get(json_array_get(cases, i), "text");
}

/* Every other text is counted. */
static int64_t *count(const lb_tokenizer *t, const json_t *cases) {
  int64_t *counts = calloc((size_t)lb_tokenizer_size(t), sizeof *counts);
  for (size_t i = 0; i < json_array_size(cases); i += 2) {
    for (int way = 0; way < N_WAYS && text_of(cases, i) != NULL; way++) {
      encoded e = encode(t, text_of(cases, i), way);
      for (size_t k = 0; k < e.n; k++) counts[e.ids[k]]++;
      lb_ids_free(e.ids);
    }
  }
  return counts;
}

/* ---- what must hold ---- */

static void check_map(const lb__vocabulary_cut *cut, const lb_tokenizer *whole,
                      const lb_tokenizer *trimmed) {
  assert_int_equal(cut->n_source, lb_tokenizer_size(whole));
  assert_int_equal(cut->n, lb_tokenizer_size(trimmed));
  int32_t n = 0;
  for (int32_t id = 0; id < cut->n_source; id++) {
    if (cut->new_ids[id] < 0) continue;
    assert_int_equal(cut->new_ids[id], n);
    assert_int_equal(cut->kept[n], id);
    n++;
  }
  assert_int_equal(n, cut->n);
  for (int32_t id = 0; id < n; id++) {
    size_t size, want_size;
    const char *text = lb_tokenizer_token_text(trimmed, id, &size);
    const char *want = lb_tokenizer_token_text(whole, cut->kept[id], &want_size);
    assert_int_equal(size, want_size);
    assert_memory_equal(text, want, size);
    assert_int_equal(lb_tokenizer_is_special(trimmed, id),
                     lb_tokenizer_is_special(whole, cut->kept[id]));
  }
}

static void expect_same(const char *name, const lb__vocabulary_cut *cut, encoded whole,
                        encoded trimmed, const json_t *text) {
  bool same = whole.status == trimmed.status && whole.n == trimmed.n;
  for (size_t i = 0; i < whole.n && same; i++) same = cut->kept[trimmed.ids[i]] == whole.ids[i];
  if (!same)
    fail_msg("%s: '%s' has other tokens than before: %zu, were %zu", name, json_string_value(text),
             trimmed.n, whole.n);
}

/* Without a decoder there is a space between two tokens. */
static size_t drop_spaces(const lb_tokenizer *t, char *text, size_t size) {
  size_t n = 0;
  if (!json_is_null(json_object_get(t->config, "decoder"))) return size;
  for (size_t i = 0; i < size; i++)
    if (text[i] != ' ') text[n++] = text[i];
  return n;
}

static void expect_same_text(const char *name, const lb_tokenizer *whole,
                             const lb_tokenizer *trimmed, encoded a, encoded b,
                             const json_t *text) {
  char *left = NULL, *right = NULL;
  size_t left_size = 0, right_size = 0;
  if (a.status == LB_OK) {
    assert_int_equal(b.status, LB_OK);
    assert_int_equal(lb_tokenizer_decode(whole, a.ids, a.n, false, &left, &left_size, &err), LB_OK);
    assert_int_equal(lb_tokenizer_decode(trimmed, b.ids, b.n, false, &right, &right_size, &err),
                     LB_OK);
  }
  left_size = drop_spaces(whole, left, left_size);
  right_size = drop_spaces(whole, right, right_size);
  if (left_size != right_size || memcmp(left, right, left_size) != 0)
    fail_msg("%s: '%s' decodes to '%s', with all tokens to '%s'", name, json_string_value(text),
             right, left);
  lb_text_free(left);
  lb_text_free(right);
}

static void check_texts(const char *name, const lb__vocabulary_cut *cut, const lb_tokenizer *whole,
                        const lb_tokenizer *trimmed, const json_t *cases, bool is_bounded) {
  for (size_t i = 0; i < json_array_size(cases); i++) {
    const json_t *text = text_of(cases, i);
    for (int way = 0; way < N_WAYS && text != NULL; way++) {
      encoded a = encode(whole, text, way), b = encode(trimmed, text, way);
      if (i % 2 == 0 && !is_bounded) expect_same(name, cut, a, b, text);
      expect_same_text(name, whole, trimmed, a, b, text);
      lb_ids_free(a.ids);
      lb_ids_free(b.ids);
    }
  }
}

/* Written and read again it is the same tokenizer. */
static void check_saved(const lb_tokenizer *trimmed) {
  char *folder = scratch_new();
  lb_tokenizer *again;
  if (lb__tokenizer_save_json(trimmed, folder, &err) != LB_OK ||
      lb_tokenizer_open(&again, folder, &err) != LB_OK)
    fail_msg("%s", err.message);
  assert_true(lb_tokenizer_hash(again) == lb_tokenizer_hash(trimmed));
  assert_int_equal(again->bpe.n_merges, trimmed->bpe.n_merges);
  assert_int_equal(lb_tokenizer_bos(again), lb_tokenizer_bos(trimmed));
  assert_int_equal(lb_tokenizer_eos(again), lb_tokenizer_eos(trimmed));
  assert_int_equal(lb_tokenizer_pad(again), lb_tokenizer_pad(trimmed));
  assert_int_equal(lb_tokenizer_unk(again), lb_tokenizer_unk(trimmed));
  lb_tokenizer_free(again);
  scratch_remove(folder);
}

static int32_t check_cut(const char *name, const lb_tokenizer *whole, const json_t *cases,
                         const int64_t *counts, int64_t most) {
  lb__vocabulary_cut cut;
  lb_tokenizer *trimmed;
  lb__vocabulary_wish wish = {.counts = counts, .n_counts = lb_tokenizer_size(whole), .most = most};
  if (lb__vocabulary_cut_choose(&cut, whole, &wish, &err) != LB_OK ||
      lb__tokenizer_cut(&trimmed, whole, &cut, &err) != LB_OK)
    fail_msg("%s: %s", name, err.message);
  check_map(&cut, whole, trimmed);
  check_texts(name, &cut, whole, trimmed, cases, most > 0);
  check_saved(trimmed);
  int32_t n = cut.n;
  lb_tokenizer_free(trimmed);
  lb__vocabulary_cut_deinit(&cut);
  return n;
}

/* ---- every tokenizer that there is ---- */

static int n_tokenizers, n_trimmed, n_real;

static void check_tokenizer(const char *name, const char *path, const char *cases_path) {
  lb_tokenizer *whole;
  json_t *cases = json_load_file(cases_path, JSON_ALLOW_NUL, NULL);
  if (lb_tokenizer_open(&whole, path, &err) != LB_OK) fail_msg("%s", err.message);
  int64_t *counts = count(whole, cases);
  int32_t all = check_cut(name, whole, cases, counts, 0);
  int64_t *none = calloc((size_t)lb_tokenizer_size(whole), sizeof *none);
  int32_t least = check_cut(name, whole, json_array_get(cases, 1000000), none, 0);
  assert_true(least <= all);
  if (least < all) {
    int32_t n = check_cut(name, whole, cases, counts, (least + all) / 2);
    assert_true(n <= (least + all) / 2);
    assert_true(n >= least);
  }
  n_tokenizers++;
  n_trimmed += all < lb_tokenizer_size(whole);
  free(none);
  free(counts);
  json_decref(cases);
  lb_tokenizer_free(whole);
}

static void check_file(const char *file) {
  char name[200], path[1000], cases[1000];
  struct stat info;
  const char *shared = getenv("LIMBECK_SHARED_TOKENIZERS");
  snprintf(name, sizeof name, "%.*s", (int)(strlen(file) - strlen(".cases.json")), file);
  snprintf(cases, sizeof cases, DATA "%s", file);
  bool is_real = strncmp(name, "shared.", 7) == 0;
  if (is_real)
    snprintf(path, sizeof path, "%s/%s",
             shared != NULL ? shared : LIMBECK_SOURCE_DIR "/../shared/tokenizers", name + 7);
  else
    snprintf(path, sizeof path, DATA "%s.json", name);
  if (is_real && stat(path, &info) != 0) {
    fprintf(stderr, "skipped: no %s\n", path);
    return;
  }
  n_real += is_real;
  check_tokenizer(name, path, cases);
}

static void test_all(void **state) {
  (void)state;
  struct dirent **entries;
  int n = scandir(DATA, &entries, NULL, alphasort);
  for (int i = 0; i < n; i++) {
    if (strstr(entries[i]->d_name, ".cases.json") != NULL) check_file(entries[i]->d_name);
    free(entries[i]);
  }
  free(entries);
  fprintf(stderr, "%d tokenizers, %d of them real; %d have tokens to spare\n", n_tokenizers, n_real,
          n_trimmed);
  assert_true(n_tokenizers >= 38);
  assert_true(n_trimmed >= 20);
}

/* ---- which tokens, exactly ---- */

#define BPE(added, more, extra)                                                                    \
  "\"added_tokens\":[{\"id\":10,\"content\":\"<s>\",\"special\":true,\"normalized\":false}" added  \
  "],\"model\":{\"type\":\"BPE\"" more                                                             \
  ",\"vocab\":{\"h\":0,\"e\":1,\"l\":2,\"o\":3,\"he\":4,\"ll\":5,"                                 \
  "\"hell\":6,\"hello\":7,\"el\":8,\"lo\":9" extra                                                 \
  "},\"merges\":[\"h e\",\"l l\",\"l o\",\"e l\","                                                 \
  "\"he ll\",\"hell o\"]}"

static void expect_kept(const lb_tokenizer *t, const lb__vocabulary_wish *wish,
                        const int32_t *wanted) {
  lb__vocabulary_cut cut;
  int32_t n = 0;
  if (lb__vocabulary_cut_choose(&cut, t, wish, &err) != LB_OK) fail_msg("%s", err.message);
  while (wanted[n] >= 0) n++;
  assert_int_equal(cut.n, n);
  for (int32_t i = 0; i < n; i++) assert_int_equal(cut.kept[i], wanted[i]);
  assert_int_equal(lb__vocabulary_cut_id(&cut, cut.kept[n - 1]), n - 1);
  assert_int_equal(lb__vocabulary_cut_id(&cut, -1), -1);
  assert_int_equal(lb__vocabulary_cut_id(&cut, 1000), -1);
  lb__vocabulary_cut_deinit(&cut);
}

/* "hello" is h+e, l+l, he+ll, hell+o: el and lo were never there. */
static void test_way(void **state) {
  (void)state;
  lb_tokenizer *t = small_tokenizer(BPE("", "", ""));
  int64_t counts[11] = {[7] = 5};
  lb__vocabulary_wish wish = {.counts = counts, .n_counts = 11};
  expect_kept(t, &wish, IDS(0, 1, 2, 3, 4, 5, 6, 7, 10));
  counts[7] = 0;
  expect_kept(t, &wish, IDS(0, 1, 2, 3, 10)); /* the characters that any text may need */
  wish.needed = IDS(8, 9, 99);
  wish.n_needed = 3;
  expect_kept(t, &wish, IDS(0, 1, 2, 3, 8, 9, 10));
  lb_tokenizer_free(t);
}

/* One that was needed all the same, or is an added token, may be used through merges too. */
static void test_way_of_needed(void **state) {
  (void)state;
  lb_tokenizer *t = small_tokenizer(BPE("", "", ""));
  int64_t counts[11] = {[7] = 5};
  lb__vocabulary_wish wish = {.counts = counts, .n_counts = 11, .needed = IDS(7), .n_needed = 1};
  expect_kept(t, &wish, IDS(0, 1, 2, 3, 4, 5, 6, 7, 10));
  lb_tokenizer_free(t);
}

static void test_bound(void **state) {
  (void)state;
  lb_tokenizer *t = small_tokenizer(BPE("", "", ""));
  int64_t counts[11] = {[7] = 5, [9] = 4, [8] = 3};
  lb__vocabulary_wish wish = {.counts = counts, .n_counts = 11, .most = 9};
  expect_kept(t, &wish, IDS(0, 1, 2, 3, 4, 5, 6, 7, 10)); /* hello with all that leads to it */
  wish.most = 8;                                          /* hello does not fit; the next ones do */
  expect_kept(t, &wish, IDS(0, 1, 2, 3, 8, 9, 10));
  wish.most = 6; /* of two that fit alone, the more used */
  expect_kept(t, &wish, IDS(0, 1, 2, 3, 9, 10));
  wish.most = 4;
  lb__vocabulary_cut cut;
  assert_int_equal(lb__vocabulary_cut_choose(&cut, t, &wish, &err), LB_E_ARG);
  assert_non_null(strstr(err.message, "any text may need are 5"));
  lb_tokenizer_free(t);
}

/* Placeholders go unless they are used or a template writes them; other added tokens stay. */
static void test_placeholders(void **state) {
  (void)state;
  lb_tokenizer *t = small_tokenizer(
      BPE(",{\"id\":11,\"content\":\"<unused7>\"},{\"id\":12,\"content\":\"<unused8>\"},"
          "{\"id\":13,\"content\":\"<unusedx>\"},{\"id\":14,\"content\":\"<|reserved_special_token_"
          "0|>\","
          "\"special\":true}",
          "", ""));
  int64_t counts[15] = {0};
  lb__vocabulary_wish wish = {.counts = counts, .n_counts = 15};
  expect_kept(t, &wish, IDS(0, 1, 2, 3, 10, 13));
  counts[11] = 1;
  wish.template = "{{ '<|reserved_special_token_0|>' }}";
  wish.template_size = strlen(wish.template);
  expect_kept(t, &wish, IDS(0, 1, 2, 3, 10, 11, 13, 14));
  lb_tokenizer_free(t);
}

/* Found whole, a token needs no merges; those that lead elsewhere are of no use. */
static void test_ignore_merges(void **state) {
  (void)state;
  lb_tokenizer *t = small_tokenizer(BPE("", ",\"ignore_merges\":true", ",\"olleh\":10"));
  int64_t counts[12] = {[10] = 1};
  lb__vocabulary_wish wish = {.counts = counts, .n_counts = 12};
  expect_kept(t, &wish, IDS(0, 1, 2, 3, 10, 11));
  lb_tokenizer_free(t);
}

/* Rows that the embedding has: an added token beyond them cannot stay, any other must not be. */
static void test_rows(void **state) {
  (void)state;
  lb_tokenizer *t = small_tokenizer(BPE("", "", ""));
  int64_t counts[11] = {0};
  lb__vocabulary_cut cut;
  lb__vocabulary_wish wish = {.counts = counts, .n_counts = 11, .n_rows = 10};
  expect_kept(t, &wish, IDS(0, 1, 2, 3));
  wish.n_rows = 9;
  assert_int_equal(lb__vocabulary_cut_choose(&cut, t, &wish, &err), LB_E_ARG);
  lb_tokenizer_free(t);
}

/* ---- every allocation fails ---- */

static lb_status cut_once(void *ctx, lb_error *e) {
  const lb_tokenizer *t = ctx;
  int64_t counts[11] = {[7] = 5};
  lb__vocabulary_wish wish = {.counts = counts, .n_counts = 11};
  lb__vocabulary_cut cut;
  lb_tokenizer *trimmed = NULL;
  lb_status st = lb__vocabulary_cut_choose(&cut, t, &wish, e);
  if (st == LB_OK) st = lb__tokenizer_cut(&trimmed, t, &cut, e);
  lb_tokenizer_free(trimmed);
  lb__vocabulary_cut_deinit(&cut);
  return st;
}

static void test_faults(void **state) {
  (void)state;
  lb_tokenizer *t = small_tokenizer(BPE("", "", ""));
  fault_case c = {.run = cut_once, .ctx = t};
  assert_true(fault_each_allocation(&c) > 20);
  lb_tokenizer_free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_all),           cmocka_unit_test(test_way),
      cmocka_unit_test(test_way_of_needed), cmocka_unit_test(test_bound),
      cmocka_unit_test(test_placeholders),  cmocka_unit_test(test_ignore_merges),
      cmocka_unit_test(test_rows),          cmocka_unit_test(test_faults)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

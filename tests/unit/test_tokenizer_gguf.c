/* test_tokenizer_gguf.c - a vocabulary to GGUF and back, to a folder and back: the ids stay. */
#include "scratch.h"
#include "small_tokenizer.h"
#include "text/tokenizer_convert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DATA LIMBECK_SOURCE_DIR "/tests/golden/data/tokenizers/"

static const char *const texts[] = {"Hello world",
                                    "  two  spaces   three ",
                                    "It's 3.14 and 2024\n\n\tx",
                                    "\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x91\x8D",
                                    "<s>a</s> <unk><|im_start|>user\n",
                                    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                    ""};

static void expect_same(lb_tokenizer *a, lb_tokenizer *b) {
  assert_int_equal(lb_tokenizer_size(a), lb_tokenizer_size(b));
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    int32_t *x, *y;
    size_t n, m;
    assert_int_equal(lb_tokenizer_encode(a, texts[i], strlen(texts[i]), NULL, &x, &n, NULL), LB_OK);
    assert_int_equal(lb_tokenizer_encode(b, texts[i], strlen(texts[i]), NULL, &y, &m, NULL), LB_OK);
    assert_int_equal(n, m);
    if (n > 0) assert_memory_equal(x, y, n * sizeof *x);
    lb_ids_free(x);
    lb_ids_free(y);
  }
}

static lb_status write_file(const lb_tokenizer *t, size_t n_rows, const char *path, lb_error *err) {
  lb__gguf_writer *w;
  assert_int_equal(lb__gguf_writer_new(&w, NULL), LB_OK);
  lb__gguf_set_string(w, "general.architecture", "gemma3");
  lb_status st = lb__tokenizer_set_gguf(w, t, n_rows, err);
  if (st == LB_OK) st = lb__gguf_writer_save(w, path, NULL, NULL, err);
  lb__gguf_writer_free(w);
  return st;
}

static void round_trip(const char *name) {
  lb_error err;
  lb_tokenizer *t, *from_gguf, *from_folder;
  char path[1000];
  snprintf(path, sizeof path, DATA "%s.json", name);
  char *folder = scratch_new();
  if (lb_tokenizer_open(&t, path, &err) != LB_OK) fail_msg("%s", err.message);
  if (write_file(t, (size_t)lb_tokenizer_size(t), scratch_path(folder, "x.gguf"), &err) != LB_OK)
    fail_msg("%s", err.message);
  if (lb_tokenizer_open(&from_gguf, scratch_path(folder, "x.gguf"), &err) != LB_OK)
    fail_msg("%s", err.message);
  expect_same(t, from_gguf);
  assert_int_equal(lb__tokenizer_save_json(from_gguf, folder, &err), LB_OK);
  if (lb_tokenizer_open(&from_folder, folder, &err) != LB_OK) fail_msg("%s", err.message);
  expect_same(t, from_folder);
  assert_true(lb_tokenizer_hash(from_gguf) == lb_tokenizer_hash(from_folder));
  lb_tokenizer_free(t);
  lb_tokenizer_free(from_gguf);
  lb_tokenizer_free(from_folder);
  scratch_remove(folder);
}

static void test_round_trips(void **state) {
  (void)state;
  round_trip("byte_level");
  round_trip("digits");
  round_trip("o200k");
  round_trip("byte_fallback_llama");
  round_trip("byte_fallback_gemma");
}

static void test_padding(void **state) {
  (void)state;
  lb_tokenizer *t, *back;
  char *folder = scratch_new();
  assert_int_equal(lb_tokenizer_open(&t, DATA "byte_level.json", NULL), LB_OK);
  int32_t n = lb_tokenizer_size(t);
  assert_int_equal(write_file(t, (size_t)n + 3, scratch_path(folder, "x.gguf"), NULL), LB_OK);
  assert_int_equal(lb_tokenizer_open(&back, scratch_path(folder, "x.gguf"), NULL), LB_OK);
  assert_int_equal(lb_tokenizer_size(back), n + 3);
  assert_memory_equal(lb_tokenizer_token_text(back, n + 2, NULL), "[PAD", 4);
  lb_error err;
  assert_int_equal(write_file(t, (size_t)n - 1, scratch_path(folder, "y.gguf"), &err), LB_E_ARG);
  lb_tokenizer_free(t);
  lb_tokenizer_free(back);
  scratch_remove(folder);
}

static void count_warning(void *ctx, lb_log_level level, const char *line) {
  *(int *)ctx += level == LB_LOG_WARN && strstr(line, "'<image>'") != NULL;
}

/* Gemma 3's tokenizer has one added token more than its text models have embedding rows. */
static void test_added_token_without_row(void **state) {
  (void)state;
  int warnings = 0;
  lb_error err;
  lb_tokenizer *back;
  lb_tokenizer *t = small_tokenizer(
      "\"added_tokens\":[{\"id\":2,\"content\":\"<image>\",\"special\":true,\"normalized\":false,"
      "\"single_word\":false,\"lstrip\":false,\"rstrip\":false}],"
      "\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"vocab\":{\"a\":0,\"b\":1},"
      "\"merges\":[]}");
  char *folder = scratch_new();
  lb_log_set(count_warning, &warnings);
  assert_int_equal(write_file(t, 2, scratch_path(folder, "x.gguf"), NULL), LB_OK);
  assert_int_equal(warnings, 1);
  assert_int_equal(write_file(t, 3, scratch_path(folder, "y.gguf"), NULL), LB_OK);
  assert_int_equal(write_file(t, 1, scratch_path(folder, "z.gguf"), &err), LB_E_ARG);
  lb_log_set(NULL, NULL);
  assert_int_equal(warnings, 1);
  assert_int_equal(lb_tokenizer_open(&back, scratch_path(folder, "x.gguf"), NULL), LB_OK);
  assert_int_equal(lb_tokenizer_size(back), 2);
  assert_int_equal(lb_tokenizer_token_id(back, "<image>"), -1);
  lb_tokenizer_free(t);
  lb_tokenizer_free(back);
  scratch_remove(folder);
}

static void test_no_name(void **state) {
  (void)state;
  lb_tokenizer *t;
  lb_error err;
  char *folder = scratch_new();
  assert_int_equal(lb_tokenizer_open(&t, DATA "split_isolated.json", NULL), LB_OK);
  assert_int_equal(write_file(t, 1000, scratch_path(folder, "x.gguf"), &err), LB_E_UNSUPPORTED);
  assert_non_null(strstr(err.message, "llama-bpe"));
  lb_tokenizer_free(t);
  scratch_remove(folder);
}

static void expect_bad(void (*fill)(lb__gguf_writer *w), lb_status status, const char *part) {
  char *folder = scratch_new();
  lb__gguf_writer *w;
  lb_tokenizer *t;
  lb_error err;
  assert_int_equal(lb__gguf_writer_new(&w, NULL), LB_OK);
  lb__gguf_set_string(w, "general.architecture", "llama");
  fill(w);
  assert_int_equal(lb__gguf_writer_save(w, scratch_path(folder, "x.gguf"), NULL, NULL, NULL),
                   LB_OK);
  lb__gguf_writer_free(w);
  lb_status st = lb_tokenizer_open(&t, scratch_path(folder, "x.gguf"), &err);
  if (st != status || strstr(err.message, part) == NULL ||
      strncmp(err.message, scratch_path(folder, "x.gguf: "), strlen(folder) + 9) != 0)
    fail_msg("gave %d '%s', want '%s'", (int)st, err.message, part);
  assert_null(t);
  scratch_remove(folder);
}

static const lb__gguf_string two[] = {{"a", 1}, {"b", 1}}, same[] = {{"a", 1}, {"a", 1}},
                             odd[] = {{"\xFF", 1}}, merge[] = {{"ab", 2}}, absent[] = {{"a c", 3}};
static void no_model(lb__gguf_writer *w) {
  (void)w;
}
static void other_model(lb__gguf_writer *w) {
  lb__gguf_set_string(w, "tokenizer.ggml.model", "t5");
}
static void set_base(lb__gguf_writer *w, const char *pre, const lb__gguf_string *tokens, size_t n,
                     const lb__gguf_string *merges) {
  lb__gguf_set_string(w, "tokenizer.ggml.model", "gpt2");
  lb__gguf_set_string(w, "tokenizer.ggml.pre", pre);
  lb__gguf_set_string_array(w, "tokenizer.ggml.tokens", tokens, n);
  lb__gguf_set_string_array(w, "tokenizer.ggml.merges", merges, merges != NULL);
}
static void unknown_pre(lb__gguf_writer *w) {
  set_base(w, "my-pre", two, 2, NULL);
}
static void twice(lb__gguf_writer *w) {
  set_base(w, "gpt-2", same, 2, NULL);
}
static void not_utf8(lb__gguf_writer *w) {
  set_base(w, "gpt-2", odd, 1, NULL);
}
static void bad_merge(lb__gguf_writer *w) {
  set_base(w, "gpt-2", two, 2, merge);
}
static void absent_merge(lb__gguf_writer *w) {
  set_base(w, "gpt-2", two, 2, absent);
}
static void short_types(lb__gguf_writer *w) {
  set_base(w, "gpt-2", two, 2, NULL);
  lb__gguf_set_i32_array(w, "tokenizer.ggml.token_type", (int32_t[]){1}, 1);
}

static void short_scores(lb__gguf_writer *w) {
  set_base(w, "gpt-2", two, 2, NULL);
  lb__gguf_set_f32_array(w, "tokenizer.ggml.scores", (float[]){1}, 1);
}
static void scores_of_bools(lb__gguf_writer *w) { /* one byte each, read as four it would leak */
  set_base(w, "gpt-2", two, 2, NULL);
  lb__gguf_set_bool_array(w, "tokenizer.ggml.scores", (bool[]){true, false}, 2);
}
static void types_of_reals(lb__gguf_writer *w) {
  set_base(w, "gpt-2", two, 2, NULL);
  lb__gguf_set_f32_array(w, "tokenizer.ggml.token_type", (float[]){1, 1}, 2);
}
static void tokens_of_integers(lb__gguf_writer *w) {
  lb__gguf_set_string(w, "tokenizer.ggml.model", "gpt2");
  lb__gguf_set_i32_array(w, "tokenizer.ggml.tokens", (int32_t[]){1, 1}, 2);
}
static void model_is_no_string(lb__gguf_writer *w) {
  lb__gguf_set_u32(w, "tokenizer.ggml.model", 1);
}
static void no_merges(lb__gguf_writer *w) {
  lb__gguf_set_string(w, "tokenizer.ggml.model", "gpt2");
  lb__gguf_set_string_array(w, "tokenizer.ggml.tokens", two, 2);
}

static void test_bad_files(void **state) {
  (void)state;
  expect_bad(short_scores, LB_E_FORMAT, "scores has 1 entries, tokens has 2");
  expect_bad(scores_of_bools, LB_E_FORMAT, "scores': want an array of floats, found an array");
  expect_bad(types_of_reals, LB_E_FORMAT, "token_type': want an array of integers, found");
  expect_bad(tokens_of_integers, LB_E_FORMAT, "tokens': want an array of strings, found");
  expect_bad(model_is_no_string, LB_E_FORMAT, "model': want a string, found u32");
  expect_bad(no_merges, LB_E_FORMAT, "'tokenizer.ggml.merges' is missing");
  expect_bad(no_model, LB_E_FORMAT, "tokenizer.ggml.model");
  expect_bad(other_model, LB_E_UNSUPPORTED, "'t5' (known: gpt2 llama)");
  expect_bad(unknown_pre, LB_E_UNSUPPORTED, "'my-pre' (known: ");
  expect_bad(twice, LB_E_FORMAT, "two ids");
  expect_bad(not_utf8, LB_E_FORMAT, "tokens[0]");
  expect_bad(bad_merge, LB_E_FORMAT, "merges[0]");
  expect_bad(absent_merge, LB_E_FORMAT, "'c' is not in the vocabulary");
  expect_bad(short_types, LB_E_FORMAT, "token_type has 1 entries");
}

/* CVE-2025-49847: a token longer than what a narrower integer holds keeps its length. */
static void test_long_token(void **state) {
  (void)state;
  enum { LONG = (1 << 16) + 1 };
  char *folder = scratch_new(), *text = malloc(LONG);
  memset(text, 'a', LONG);
  const lb__gguf_string tokens[] = {{"a", 1}, {text, LONG}};
  lb__gguf_writer *w;
  lb_tokenizer *t;
  size_t size;
  assert_int_equal(lb__gguf_writer_new(&w, NULL), LB_OK);
  set_base(w, "gpt-2", tokens, 2, NULL);
  assert_int_equal(lb__gguf_writer_save(w, scratch_path(folder, "x.gguf"), NULL, NULL, NULL),
                   LB_OK);
  assert_int_equal(lb_tokenizer_open(&t, scratch_path(folder, "x.gguf"), NULL), LB_OK);
  assert_memory_equal(lb_tokenizer_token_text(t, 1, &size), text, LONG);
  assert_int_equal(size, LONG);
  char *back;
  assert_int_equal(lb_tokenizer_decode(t, (int32_t[]){1, 1}, 2, false, &back, &size, NULL), LB_OK);
  assert_int_equal(size, 2 * LONG);
  lb_text_free(back);
  lb_tokenizer_free(t);
  lb__gguf_writer_free(w);
  free(text);
  scratch_remove(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trips),
                                     cmocka_unit_test(test_padding),
                                     cmocka_unit_test(test_added_token_without_row),
                                     cmocka_unit_test(test_no_name),
                                     cmocka_unit_test(test_bad_files),
                                     cmocka_unit_test(test_long_token)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

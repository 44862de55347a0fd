/* test_tokenizer_errors.c - hostile and unsupported tokenizer files: each is an error that names
 * the thing, or behaves as the reference does. */
#include "scratch.h"
#include "small_tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BPE(vocab, merges)                                                                         \
  "\"model\":{\"type\":\"BPE\",\"vocab\":{" vocab "},\"merges\":[" merges "]}"
#define AB BPE("\"a\":0,\"b\":1,\"ab\":2", "\"a b\"")

static void expect_error(const char *file, lb_status status, const char *part) {
  lb_error err = {0};
  lb_status st = small_tokenizer_error(file, &err);
  if (st != status || strstr(err.message, part) == NULL ||
      strstr(err.message, "/tokenizer.json:") == NULL)
    fail_msg("%s\n  gave %d '%s', want %d and '%s'", file, (int)st, err.message, (int)status, part);
}

static void test_syntax(void **state) {
  (void)state;
  expect_error("", LB_E_FORMAT, "byte 0");
  expect_error("[]", LB_E_FORMAT, "'{'");
  expect_error("{", LB_E_FORMAT, "a string");
  expect_error("{\"model\":{\"vocab\":{\"a\":0", LB_E_FORMAT, "want");
  expect_error("{\"model\":{\"vocab\":{\"\\ud800\":0},\"merges\":[]}}", LB_E_FORMAT, "escape");
  expect_error("{\"model\":{\"vocab\":{\"a\xFF\":0},\"merges\":[]}}", LB_E_FORMAT, "UTF-8");
  expect_error("{\"model\":{\"vocab\":{\"a\":1.5},\"merges\":[]}}", LB_E_FORMAT, "an integer");
  expect_error("{\"model\":{\"vocab\":{},\"merges\":[]}} x", LB_E_FORMAT, "");
  char *deep = calloc(300000, 1);
  memset(deep, '[', 200000);
  expect_error(deep, LB_E_FORMAT, "'{'");
  memcpy(deep, "{\"x\":", 5);
  expect_error(deep, LB_E_FORMAT, "nesting");
  free(deep);
}

static void test_vocabulary(void **state) {
  (void)state;
  expect_error("{" BPE("\"a\":0,\"b\":0", "") "}", LB_E_FORMAT, "id 0 belongs to 'a' and to 'b'");
  expect_error("{" BPE("\"a\":0,\"a\":1", "") "}", LB_E_FORMAT, "two ids");
  expect_error("{" BPE("\"a\":-1", "") "}", LB_E_LIMIT, "-1");
  expect_error("{" BPE("\"a\":16000000", "") "}", LB_E_LIMIT, "16000000");
  expect_error("{" BPE("\"a\":99999999999999999999", "") "}", LB_E_FORMAT, "an integer");
  expect_error("{" BPE("\"a\":0", "\"a b\"") "}", LB_E_FORMAT, "'b' is not in the vocabulary");
  expect_error("{" BPE("\"a\":0", "\"a a\"") "}", LB_E_FORMAT, "result 'aa'");
  expect_error("{" BPE("\"a\":0", "\"aa\"") "}", LB_E_FORMAT, "one space");
  expect_error("{" BPE("\"a\":0", "[\"a\"]") "}", LB_E_FORMAT, "','");
  expect_error("{\"model\":{\"type\":\"BPE\",\"merges\":[]}}", LB_E_FORMAT, "no vocab");
  expect_error("{\"model\":{\"type\":\"BPE\",\"vocab\":{}}}", LB_E_FORMAT, "no merges");
  expect_error("{\"model\":{\"type\":\"Unigram\",\"unk_id\":3,\"vocab\":[[\"a\",0]]}}", LB_E_FORMAT,
               "unk_id is 3");
  expect_error("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",1e999]]}}", LB_E_FORMAT,
               "number");
}

static void test_unknown_kinds(void **state) {
  (void)state;
  expect_error("{\"version\":\"2.0\"," AB "}", LB_E_UNSUPPORTED, "'2.0'");
  expect_error("{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}", LB_E_UNSUPPORTED,
               "'WordPiece'");
  expect_error("{\"model\":{\"type\":\"WordLevel\",\"vocab\":{}}}", LB_E_UNSUPPORTED,
               "BPE Unigram");
  expect_error("{\"model\":{\"dropout\":0.5,\"vocab\":{},\"merges\":[]}}", LB_E_UNSUPPORTED,
               "dropout");
  expect_error("{\"normalizer\":{\"type\":\"Foo\"}," AB "}", LB_E_UNSUPPORTED, "'Foo'");
  expect_error("{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\"},"
               "{\"type\":\"Bar\"}]}," AB "}",
               LB_E_UNSUPPORTED, "pretokenizers[1]");
  expect_error("{\"decoder\":{\"type\":\"CTC\"}," AB "}", LB_E_UNSUPPORTED, "decoder: unknown");
  expect_error("{\"post_processor\":{\"type\":\"Baz\"}," AB "}", LB_E_UNSUPPORTED, "'Baz'");
  expect_error(
      "{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(\"},\"content\":\"\"}," AB
      "}",
      LB_E_FORMAT, "normalizer.pattern");
  expect_error("{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a&&[b]]\"},"
               "\"behavior\":\"Isolated\"}," AB "}",
               LB_E_UNSUPPORTED, "class inside a class");
  expect_error("{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"},"
               "\"behavior\":\"Odd\"}," AB "}",
               LB_E_UNSUPPORTED, "'Odd'");
  expect_error("{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"////\"}," AB
               "}",
               LB_E_FORMAT, "precompiled_charsmap");
  expect_error(
      "{\"post_processor\":{\"type\":\"RobertaProcessing\",\"sep\":[\"</s>\",601],\"cls\":["
      "\"<s>\",1]}," AB "}",
      LB_E_FORMAT, "post_processor: token id 601: the tokens have ids 0 to ");
  expect_error("{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":"
               "{\"id\":\"x\"}}],\"special_tokens\":{}}," AB "}",
               LB_E_FORMAT, "'x'");
}

static void test_arguments(void **state) {
  (void)state;
  lb_error err;
  lb_tokenizer *t = small_tokenizer(AB);
  int32_t *ids;
  size_t n;
  assert_int_equal(lb_tokenizer_encode(t, "ab\xFFz", 4, NULL, &ids, &n, &err), LB_E_ARG);
  assert_non_null(strstr(err.message, "byte 2"));
  assert_null(ids);
  char *text;
  assert_int_equal(lb_tokenizer_decode(t, IDS(3), 1, false, &text, NULL, &err), LB_E_ARG);
  assert_non_null(strstr(err.message, "3 is outside the vocabulary (0 to 2)"));
  assert_int_equal(lb_tokenizer_decode(t, (int32_t[]){-5}, 1, false, &text, NULL, &err), LB_E_ARG);
  lb_tokenizer *none;
  assert_int_equal(lb_tokenizer_open(&none, "/nonexistent/tokenizer.json", &err), LB_E_IO);
  assert_null(none);
  lb_tokenizer_free(t);
  lb_tokenizer_free(NULL);
  lb_stream_decoder_free(NULL);
  lb_ids_free(NULL);
  lb_text_free(NULL);
}

/* Patterns that a backtracking engine cannot finish, where either kind of rule applies them. */
static const struct hostile_pattern {
  const char *name, *pattern;
} hostile_patterns[] = {
    {"nested repetition", "(a+)+$b"},
    {"nested repetition of nothing", "(a*)*b"},
    {"repeated alternatives that overlap", "(a|aa)+$b"},
    {"repeated alternatives that are equal", "(a|a)*b"},
    {"repetition of a repetition with bounds", "(a{1,50}){1,50}b"},
    {"polynomial", "a*a*a*a*a*a*a*b"},
    {"repetition that looks back", "(?:(a+)\\\\1)+b"},
    {"repetition inside a look ahead", "(?=(a+)+b)a"},
    {"recursion without an end", "((?:a|aa)(?1)?)+b"},
};

static void expect_end(const char *rule, const struct hostile_pattern *p, const char *place) {
  char members[512], text[3003];
  lb_error err;
  int32_t *ids;
  size_t n;
  snprintf(members, sizeof members, "%s,\"pattern\":{\"Regex\":\"%s\"}}," AB, rule, p->pattern);
  lb_tokenizer *t = small_tokenizer(members);
  memset(text, 'a', 3000);
  strcpy(text + 3000, "-b"); /* a 'b' out of reach: else a look for it ends the match early */
  lb_status st = lb_tokenizer_encode(t, text, 3002, NULL, &ids, &n, &err);
  if (st != LB_E_LIMIT || strstr(err.message, place) == NULL)
    fail_msg("%s: gave %d '%s'", p->name, (int)st, err.message);
  lb_ids_free(ids);
  lb_tokenizer_free(t);
}

static void test_hostile_patterns(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof hostile_patterns / sizeof hostile_patterns[0]; i++) {
    expect_end("\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\"",
               &hostile_patterns[i], "pre_tokenizer.pattern: the pattern cannot cope");
    expect_end("\"normalizer\":{\"type\":\"Replace\",\"content\":\"a\"", &hostile_patterns[i],
               "normalizer.pattern: the pattern cannot cope");
  }
}

/* A tokenizer.json whose only rule is `n` times `part`. */
static void expect_bad_pattern(const char *part, size_t n, lb_status status, const char *says) {
  static const char begin[] = "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"",
                    end[] = "\"},\"behavior\":\"Isolated\"}," AB "}";
  char *file = malloc(sizeof begin + n * strlen(part) + sizeof end), *at = stpcpy(file, begin);
  for (size_t i = 0; i < n; i++) at = stpcpy(at, part);
  strcpy(at, end);
  lb_error err = {0};
  lb_status st = small_tokenizer_error(file, &err);
  if (st != status || strstr(err.message, says) == NULL ||
      strstr(err.message, "tokenizer.json: pre_tokenizer.pattern: ") == NULL)
    fail_msg("%zu times %s: gave %d '%s', want '%s'", n, part, (int)st, err.message, says);
  free(file);
}

static void test_bad_patterns(void **state) {
  (void)state;
  expect_bad_pattern("a", (64 << 10) + 1, LB_E_LIMIT, "pattern of 65537 bytes; at most 65536");
  expect_bad_pattern("(", 30000, LB_E_FORMAT, "bad pattern");
  expect_bad_pattern("(?:", 10000, LB_E_FORMAT, "bad pattern");
  expect_bad_pattern("a{1000}{1000}", 3, LB_E_FORMAT, "bad pattern");
  expect_bad_pattern("\\\\C", 1, LB_E_FORMAT, "bad pattern");
  expect_bad_pattern("\\\\", 1, LB_E_FORMAT, "ends in a backslash");
}

/* CVE-2025-52566: a text whose length no int holds is refused before a byte of it is read. */
static void test_text_beyond_the_limit(void **state) {
  (void)state;
  static const size_t sizes[] = {((size_t)1 << 30) + 1, (size_t)INT32_MAX + 1,
                                 (size_t)UINT32_MAX + 2, SIZE_MAX / 2, SIZE_MAX};
  lb_tokenizer *t = small_tokenizer(AB);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    lb_error err;
    int32_t *ids;
    size_t n;
    assert_int_equal(lb_tokenizer_encode(t, "ab", sizes[i], NULL, &ids, &n, &err), LB_E_LIMIT);
    assert_null(ids);
    assert_non_null(strstr(err.message, "at once"));
    lb_text_span spans[] = {{.text = "ab", .size = 2}, {.text = "ab", .size = sizes[i]}};
    assert_int_not_equal(lb_tokenizer_encode_spans(t, spans, 2, NULL, &ids, &n, &err), LB_OK);
    assert_null(ids);
  }
  lb_tokenizer_free(t);
}

static void test_file_beyond_the_limit(void **state) {
  (void)state;
  char *folder = scratch_new();
  lb_error err;
  lb_tokenizer *t;
  scratch_write_text(folder, "tokenizer.json", "{");
  assert_int_equal(truncate(scratch_path(folder, "tokenizer.json"), ((off_t)1 << 30) + 1), 0);
  assert_int_equal(lb_tokenizer_open(&t, scratch_path(folder, "tokenizer.json"), &err), LB_E_LIMIT);
  assert_non_null(strstr(err.message, "tokenizer.json"));
  scratch_remove(folder);
}

/* Every prefix of a good file is an error, never a crash. */
static void test_truncation(void **state) {
  (void)state;
  static const char whole[] =
      "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":3,\"content\":\"<x>\",\"special\":true}],"
      "\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"Digits\"},\"decoder\":{"
      "\"type\":"
      "\"Fuse\"}," AB "}";
  char *part = malloc(sizeof whole);
  for (size_t n = 0; n + 1 < sizeof whole; n++) {
    memcpy(part, whole, n);
    part[n] = 0;
    lb_error err;
    assert_int_not_equal(small_tokenizer_error(part, &err), LB_OK);
  }
  free(part);
  assert_int_equal(small_tokenizer_error(whole, NULL), LB_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_syntax),
      cmocka_unit_test(test_vocabulary),
      cmocka_unit_test(test_unknown_kinds),
      cmocka_unit_test(test_arguments),
      cmocka_unit_test(test_hostile_patterns),
      cmocka_unit_test(test_bad_patterns),
      cmocka_unit_test(test_text_beyond_the_limit),
      cmocka_unit_test(test_file_beyond_the_limit),
      cmocka_unit_test(test_truncation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

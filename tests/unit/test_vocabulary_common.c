/* test_vocabulary_common.c - the common vocabulary of two models. */
#include "text/vocabulary_common.h"

#include "small_tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MODEL(vocab) "\"model\":{\"type\":\"BPE\",\"vocab\":{" vocab "},\"merges\":[]}"
#define ADDED(id, text)                                                                            \
  "{\"id\":" id ",\"content\":\"" text "\",\"single_word\":false,\"lstrip\":false,"                \
  "\"rstrip\":false,\"normalized\":false,\"special\":true}"
#define ABC "\"a\":0,\"b\":1,\"c\":2"

static int64_t common_of(const char *teacher, const char *student, int64_t teacher_rows,
                         int64_t student_rows, lb_error *err) {
  lb_tokenizer *t = small_tokenizer(teacher), *s = small_tokenizer(student);
  int64_t common = -1;
  lb_status st = lb__vocabulary_common(&common, t, s, teacher_rows, student_rows, err);
  if (st != LB_OK) assert_int_equal(common, 0);
  assert_int_equal(st, err->status);
  lb_tokenizer_free(t);
  lb_tokenizer_free(s);
  return common;
}

/* Qwen2.5: heads padded to 151936 and 152064 rows over one tokenizer of 151665 tokens. */
static void test_padding_rows_are_cut(void **state) {
  (void)state;
  lb_error err = {0};
  assert_int_equal(common_of(MODEL(ABC), MODEL(ABC), 128, 64, &err), 3);
  assert_int_equal(common_of(MODEL(ABC), MODEL(ABC), 3, 3, &err), 3);
}

static void test_padding_tokens_of_gguf_are_cut(void **state) {
  (void)state;
  lb_error err = {0};
  const char *padded = MODEL(ABC ",\"[PAD3]\":3,\"[PAD4]\":4");
  assert_int_equal(common_of(padded, MODEL(ABC), 5, 5, &err), 3);
  assert_int_equal(common_of(padded, padded, 5, 5, &err), 3);
  assert_int_equal(common_of(MODEL(ABC ",\"[PAD4]\":3"), MODEL(ABC ",\"[PAD4]\":3"), 5, 5, &err),
                   4);
}

/* A head with fewer rows than its tokenizer has tokens decides. */
static void test_a_short_head_decides(void **state) {
  (void)state;
  lb_error err = {0};
  assert_int_equal(common_of(MODEL(ABC), MODEL(ABC), 2, 64, &err), 2);
}

static void test_more_tokens_at_the_end(void **state) {
  (void)state;
  lb_error err = {0};
  const char *chat = "\"added_tokens\":[" ADDED("3", "<|im_start|>") "]," MODEL(ABC);
  assert_int_equal(common_of(chat, MODEL(ABC), 64, 64, &err), 3);
  assert_int_equal(common_of(MODEL(ABC), chat, 64, 64, &err), 3);
  assert_int_equal(common_of(chat, chat, 64, 64, &err), 4);
}

static void expect_refused(const char *teacher, const char *student, const char *what) {
  lb_error err = {0};
  assert_int_equal(common_of(teacher, student, 64, 64, &err), 0);
  assert_int_equal(err.status, LB_E_ARG);
  if (strstr(err.message, what) == NULL) fail_msg("'%s' does not say '%s'", err.message, what);
  assert_non_null(strstr(err.message, "cross-tokenizer"));
}

static void test_the_first_difference_is_named(void **state) {
  (void)state;
  expect_refused(MODEL(ABC), MODEL("\"a\":0,\"d\":1,\"e\":2"),
                 "id 1 is 'b' to the teacher, 'd' to the student");
  expect_refused(MODEL("\"a\":0,\"b\":1,\"b\\u0001\":2"), MODEL(ABC),
                 "id 2 is 'b?' to the teacher");
}

/* Added tokens of one side that lie inside the other's vocabulary, and a hole on one side. */
static void test_tokens_inside(void **state) {
  (void)state;
  expect_refused("\"added_tokens\":[" ADDED("3", "<x>") "]," MODEL(ABC),
                 "\"added_tokens\":[" ADDED("3", "<y>") "]," MODEL(ABC), "id 3 is '<x>'");
  expect_refused(MODEL("\"a\":0,\"b\":1,\"c\":3"), MODEL("\"a\":0,\"b\":1,\"x\":2,\"c\":3"),
                 "id 2 is no token to the teacher, 'x' to the student");
}

static void test_long_tokens_are_cut(void **state) {
  (void)state;
  lb_error err = {0};
  assert_int_equal(common_of(MODEL("\"0123456789012345678901234567890123456\xc3\xa4xyz\":0"),
                             MODEL(ABC), 9, 9, &err),
                   0);
  assert_non_null(strstr(err.message, "'0123456789012345678901234567890123456...'"));
}

static void test_without_tokenizers(void **state) {
  (void)state;
  lb_error err = {0};
  int64_t common;
  lb_tokenizer *t = small_tokenizer(MODEL(ABC));
  assert_int_equal(lb__vocabulary_common(&common, NULL, NULL, 50257, 50257, &err), LB_OK);
  assert_int_equal(common, 50257);
  assert_int_equal(lb__vocabulary_common(&common, t, NULL, 50257, 50304, &err), LB_E_ARG);
  assert_int_equal(common, 0);
  assert_non_null(strstr(err.message, "50257"));
  assert_non_null(strstr(err.message, "50304"));
  assert_non_null(strstr(err.message, "tokenizer.json"));
  lb_tokenizer_free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_padding_rows_are_cut),
      cmocka_unit_test(test_padding_tokens_of_gguf_are_cut),
      cmocka_unit_test(test_a_short_head_decides),
      cmocka_unit_test(test_more_tokens_at_the_end),
      cmocka_unit_test(test_the_first_difference_is_named),
      cmocka_unit_test(test_tokens_inside),
      cmocka_unit_test(test_long_tokens_are_cut),
      cmocka_unit_test(test_without_tokenizers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

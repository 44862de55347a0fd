/* test_fail.c - errors: what a message may contain, how a long one is cut, "did you mean". */
#include "base/fail.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void test_message(void **state) {
  (void)state;
  lb_error err;
  assert_int_equal(lb__fail(&err, LB_E_SHAPE, "want [%d], found [%d]", 3, 4), LB_E_SHAPE);
  assert_int_equal(err.status, LB_E_SHAPE);
  assert_string_equal(err.message, "want [3], found [4]");
  assert_int_equal(lb__fail_nomem(&err, "'x.bin'"), LB_E_NOMEM);
  assert_string_equal(err.message, "out of memory: 'x.bin'");
}

static void test_null_error(void **state) {
  (void)state;
  assert_int_equal(lb__fail(NULL, LB_E_IO, "%d", 1), LB_E_IO);
  assert_int_equal(lb__fail_prefix(NULL, LB_E_IO, "%d", 1), LB_E_IO);
  assert_int_equal(lb__fail_nomem(NULL, "x"), LB_E_NOMEM);
}

static void test_prefix(void **state) {
  (void)state;
  lb_error err;
  lb__fail(&err, LB_E_FORMAT, "line 3: bad");
  assert_int_equal(lb__fail_prefix(&err, LB_E_FORMAT, "file '%s'", "a.json"), LB_E_FORMAT);
  assert_string_equal(err.message, "file 'a.json': line 3: bad");
}

/* A message may be built from the message it replaces. */
static void test_own_message_as_argument(void **state) {
  (void)state;
  lb_error err;
  lb__fail(&err, LB_E_IO, "inner");
  lb__fail(&err, LB_E_IO, "outer (%s)", err.message);
  assert_string_equal(err.message, "outer (inner)");
}

static void test_cut(void **state) {
  (void)state;
  lb_error err;
  char text[LB_ERROR_MESSAGE_SIZE + 100];
  memset(text, 'a', sizeof text);
  text[LB_ERROR_MESSAGE_SIZE - 1] = '\0'; /* exactly fits */
  lb__fail(&err, LB_E_IO, "%s", text);
  assert_string_equal(err.message, text);
  text[LB_ERROR_MESSAGE_SIZE - 1] = 'a';
  text[LB_ERROR_MESSAGE_SIZE] = '\0'; /* one too many */
  lb__fail(&err, LB_E_IO, "%s", text);
  assert_int_equal(strlen(err.message), LB_ERROR_MESSAGE_SIZE - 1);
  assert_string_equal(err.message + LB_ERROR_MESSAGE_SIZE - 5, "a...");
}

/* Wherever the cut falls, no half character is left. */
static void test_cut_between_characters(void **state) {
  (void)state;
  for (size_t shift = 0; shift < 4; shift++) {
    char text[4 * LB_ERROR_MESSAGE_SIZE] = "aaaa";
    size_t n = shift;
    while (n + 4 < sizeof text) {
      memcpy(text + n, "\xF0\x9F\x98\x80", 4);
      n += 4;
    }
    text[n] = '\0';
    lb_error err;
    lb__fail(&err, LB_E_IO, "%s", text);
    size_t length = strlen(err.message);
    assert_true(lb__utf8_valid(err.message, length));
    assert_string_equal(err.message + length - 3, "...");
    assert_null(strchr(err.message, '?'));
  }
}

static void test_unprintable_bytes(void **state) {
  (void)state;
  lb_error err;
  lb__fail(&err, LB_E_IO, "a\x1B[2Jb\x7F\xFF\xC3(\xC2\x9B\r|\xC3\xA9\n\tz");
  assert_string_equal(err.message, "a?[2Jb??"
                                   "?(??"
                                   "?|\xC3\xA9\n\tz");
}

static void test_status_text(void **state) {
  (void)state;
  assert_string_equal(lb_status_text(LB_OK), "success");
  assert_string_equal(lb_status_text(LB_E_LIMIT), "a safety limit was reached");
  assert_string_equal(lb_status_text((lb_status)999), "unknown status");
}

static void test_did_you_mean(void **state) {
  (void)state;
  static const char *const names[] = {"temperature", "learning_rate", "alpha",
                                      "beta",        "save_steps",    NULL};
  static const char *const none[] = {NULL};
  assert_string_equal(lb__did_you_mean("temprature", names), "temperature");
  assert_string_equal(lb__did_you_mean("learning-rate", names), "learning_rate");
  assert_string_equal(lb__did_you_mean("LEARNING_RATE", names), "learning_rate");
  assert_string_equal(lb__did_you_mean("aplha", names), "alpha"); /* a swap is one edit */
  assert_string_equal(lb__did_you_mean("beta1", names), "beta");
  assert_string_equal(lb__did_you_mean("save_step", names), "save_steps");
  assert_null(lb__did_you_mean("zzz", names));
  assert_null(lb__did_you_mean("", names));
  assert_null(lb__did_you_mean("gamma", names)); /* two edits of five */
  assert_null(lb__did_you_mean("alpha", none));
}

static void test_did_you_mean_long_names(void **state) {
  (void)state;
  char longest[64], longer[4000];
  memset(longest, 'x', 63);
  longest[63] = '\0';
  memset(longer, 'x', sizeof longer - 1);
  longer[sizeof longer - 1] = '\0';
  const char *names[] = {longer, longest, NULL};
  assert_ptr_equal(lb__did_you_mean(longest, names), longest);
  assert_null(lb__did_you_mean(longer, names));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_message),
      cmocka_unit_test(test_null_error),
      cmocka_unit_test(test_prefix),
      cmocka_unit_test(test_own_message_as_argument),
      cmocka_unit_test(test_cut),
      cmocka_unit_test(test_cut_between_characters),
      cmocka_unit_test(test_unprintable_bytes),
      cmocka_unit_test(test_status_text),
      cmocka_unit_test(test_did_you_mean),
      cmocka_unit_test(test_did_you_mean_long_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

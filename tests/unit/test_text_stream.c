/* test_text_stream.c - stop strings across tokens, held-back text, characters cut in half. */
#include "generate/text_stream.h"
#include "toy_decoder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef struct run {
  char shown[16][64]; /* after each id, and at the end */
  char text[128];
  bool stopped;
} run;

/* Feeds ids 0, 1, ... of `pieces` until NULL or a stop string. */
static run feed_all(const char *const *pieces, const char *const *stop, size_t n_stop) {
  run r = {0};
  lb__text_source source = toy_text(pieces);
  lb__text_stream t;
  size_t n = 0, size;
  assert_int_equal(lb__text_stream_init(&t, &source, stop, n_stop, NULL), LB_OK);
  for (; pieces[n] != NULL && !t.stopped; n++) {
    assert_int_equal(lb__text_stream_feed(&t, (int32_t)n, NULL), LB_OK);
    const char *text = lb__text_stream_show(&t, &size);
    memcpy(r.shown[n], text, size);
  }
  for (int twice = 0; twice < 2; twice++) {
    assert_int_equal(lb__text_stream_finish(&t, NULL), LB_OK);
    const char *text = lb__text_stream_show(&t, &size);
    if (twice == 0)
      memcpy(r.shown[n], text, size);
    else
      assert_int_equal(size, 0);
  }
  memcpy(r.text, lb__buf_text(&t.text), t.text.size);
  r.stopped = t.stopped;
  lb__text_stream_deinit(&t);
  return r;
}

static void test_without_stop_strings(void **state) {
  (void)state;
  run r = feed_all((const char *const[]){"He", "", "llo", NULL}, NULL, 0);
  assert_string_equal(r.shown[0], "He");
  assert_string_equal(r.shown[1], "");
  assert_string_equal(r.shown[2], "llo");
  assert_string_equal(r.text, "Hello");
  assert_false(r.stopped);
}

static void test_stop_within_and_across_tokens(void **state) {
  (void)state;
  const char *const stop[] = {"END"};
  run r = feed_all((const char *const[]){"a ENDz", "never", NULL}, stop, 1);
  assert_true(r.stopped);
  assert_string_equal(r.text, "a ");
  assert_string_equal(r.shown[0], "a ");
  assert_string_equal(r.shown[1], "");
  r = feed_all((const char *const[]){"xE", "N", "Dy", NULL}, stop, 1);
  assert_true(r.stopped);
  assert_string_equal(r.text, "x");
  assert_string_equal(r.shown[0], "x");
  assert_string_equal(r.shown[2], "");
}

static void test_false_beginnings_are_shown_later(void **state) {
  (void)state;
  const char *const stop[] = {"END"};
  run r = feed_all((const char *const[]){"xEN", "Ey", "E", NULL}, stop, 1);
  assert_false(r.stopped);
  assert_string_equal(r.shown[0], "x");
  assert_string_equal(r.shown[1], "ENEy");
  assert_string_equal(r.shown[2], "");
  assert_string_equal(r.shown[3], "E"); /* the end: nothing more can come */
  assert_string_equal(r.text, "xENEyE");
}

static void test_overlapping_beginnings(void **state) {
  (void)state;
  const char *const stop[] = {"aab"};
  run r = feed_all((const char *const[]){"a", "a", "a", "b", NULL}, stop, 1);
  assert_true(r.stopped);
  assert_string_equal(r.shown[2], "a"); /* "aa" may still become the stop string */
  assert_string_equal(r.text, "a");
}

static void test_earliest_of_several(void **state) {
  (void)state;
  const char *const stop[] = {"cd", "abc"};
  run r = feed_all((const char *const[]){"xab", "cd", NULL}, stop, 2);
  assert_true(r.stopped);
  assert_string_equal(r.text, "x");
}

/* U+00E9 is C3 A9, U+20AC is E2 82 AC; tokens cut both in half */
static void test_stop_string_of_cut_characters(void **state) {
  (void)state;
  const char *const stop[] = {"\xE2\x82\xAC"};
  run r = feed_all((const char *const[]){"caf\xC3", "\xA9 \xE2", "\x82", "\xAC!", NULL}, stop, 1);
  assert_string_equal(r.shown[0], "caf");
  assert_string_equal(r.shown[1], "\xC3\xA9 ");
  assert_string_equal(r.shown[2], "");
  assert_true(r.stopped);
  assert_string_equal(r.text, "caf\xC3\xA9 ");
}

static void test_rest_comes_at_the_end(void **state) {
  (void)state;
  run r = feed_all((const char *const[]){"a\xE2\x82", NULL}, NULL, 0);
  assert_string_equal(r.shown[0], "a");
  assert_string_equal(r.shown[1], "\xE2\x82"); /* the toy source hands it out raw */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_without_stop_strings),
      cmocka_unit_test(test_stop_within_and_across_tokens),
      cmocka_unit_test(test_false_beginnings_are_shown_later),
      cmocka_unit_test(test_overlapping_beginnings),
      cmocka_unit_test(test_earliest_of_several),
      cmocka_unit_test(test_stop_string_of_cut_characters),
      cmocka_unit_test(test_rest_comes_at_the_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

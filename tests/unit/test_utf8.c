/* test_utf8.c - every class of well-formed and ill-formed sequence (Unicode 15, tables 3-6, 3-7).
 */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void test_every_scalar_value_round_trips(void **state) {
  (void)state;
  for (uint32_t c = 0; c <= 0x10FFFF; c++) {
    if (c == 0xD800) c = 0xE000;
    char bytes[4];
    uint32_t back = UINT32_MAX;
    int length = lb__utf8_encode(bytes, c);
    assert_int_equal(length, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
    assert_int_equal(lb__utf8_decode(&back, bytes, (size_t)length), length);
    assert_int_equal(back, c);
    if (length > 1) assert_int_equal(lb__utf8_decode(&back, bytes, (size_t)length - 1), 0);
  }
}

static void test_known_encodings(void **state) {
  (void)state;
  char bytes[4];
  assert_int_equal(lb__utf8_encode(bytes, 0x20AC), 3);
  assert_memory_equal(bytes, "\xE2\x82\xAC", 3);
  assert_int_equal(lb__utf8_encode(bytes, 0x1F600), 4);
  assert_memory_equal(bytes, "\xF0\x9F\x98\x80", 4);
}

/* All four-byte-prefix inputs against a decoder written the slow way: accept what an independent
 * encoder would have produced. */
static int slow_length(const unsigned char *s) {
  static const struct {
    unsigned char low[4], high[4];
    int n;
  } rows[] = {{{0x00}, {0x7F}, 1},
              {{0xC2, 0x80}, {0xDF, 0xBF}, 2},
              {{0xE0, 0xA0, 0x80}, {0xE0, 0xBF, 0xBF}, 3},
              {{0xE1, 0x80, 0x80}, {0xEC, 0xBF, 0xBF}, 3},
              {{0xED, 0x80, 0x80}, {0xED, 0x9F, 0xBF}, 3},
              {{0xEE, 0x80, 0x80}, {0xEF, 0xBF, 0xBF}, 3},
              {{0xF0, 0x90, 0x80, 0x80}, {0xF0, 0xBF, 0xBF, 0xBF}, 4},
              {{0xF1, 0x80, 0x80, 0x80}, {0xF3, 0xBF, 0xBF, 0xBF}, 4},
              {{0xF4, 0x80, 0x80, 0x80}, {0xF4, 0x8F, 0xBF, 0xBF}, 4}};
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    int i = 0;
    while (i < rows[r].n && s[i] >= rows[r].low[i] && s[i] <= rows[r].high[i]) i++;
    if (i == rows[r].n) return rows[r].n;
  }
  return 0;
}

static void test_table_3_7(void **state) {
  (void)state;
  static const unsigned char edges[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
  for (unsigned first = 0; first < 256; first++)
    for (unsigned second = 0; second < 256; second++)
      for (size_t k = 0; k < sizeof edges * sizeof edges; k++) {
        unsigned char s[4] = {(unsigned char)first, (unsigned char)second, edges[k / sizeof edges],
                              edges[k % sizeof edges]};
        uint32_t c;
        assert_int_equal(lb__utf8_decode(&c, (char *)s, 4), slow_length(s));
      }
}

static void test_valid(void **state) {
  (void)state;
  assert_true(lb__utf8_valid("", 0));
  assert_true(lb__utf8_valid("a\0b", 3));
  assert_true(lb__utf8_valid("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9));
  assert_false(lb__utf8_valid("\xC3", 1));
  assert_false(lb__utf8_valid("a\xED\xA0\x80", 4));    /* a surrogate */
  assert_false(lb__utf8_valid("\xC0\xAF", 2));         /* an overlong '/' */
  assert_false(lb__utf8_valid("\xF4\x90\x80\x80", 4)); /* beyond U+10FFFF */
  assert_false(lb__utf8_valid("\xF8\x88\x80\x80\x80", 5));
}

/* One odd byte at every place of a text that is looked at in blocks. */
static void test_long_texts(void **state) {
  (void)state;
  char text[71];
  for (size_t at = 0; at + 1 < sizeof text; at++) {
    memset(text, 'a', sizeof text);
    assert_int_equal(lb__ascii_prefix(text, at), at);
    text[at] = '\xC3';
    assert_int_equal(lb__ascii_prefix(text, sizeof text), at);
    assert_int_equal(lb__utf8_valid_prefix(text, sizeof text), at);
    text[at + 1] = '\xA9';
    assert_true(lb__utf8_valid(text, sizeof text));
    text[at] = 'a';
    assert_false(lb__utf8_valid(text, sizeof text));
    assert_int_equal(lb__utf8_valid_prefix(text, sizeof text), at + 1);
  }
}

static void test_complete(void **state) {
  (void)state;
  const char *text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z";
  static const size_t whole[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
  for (size_t n = 0; n <= 11; n++) assert_int_equal(lb__utf8_complete(text, n), whole[n]);
  /* hopeless beginnings need no more input */
  assert_int_equal(lb__utf8_complete("\x80", 1), 1);
  assert_int_equal(lb__utf8_complete("\xC3(", 2), 2);
  assert_int_equal(lb__utf8_complete("\xED\xA0", 2), 2);
  assert_int_equal(lb__utf8_complete("\xF4\x90", 2), 2);
  assert_int_equal(lb__utf8_complete("\xFF", 1), 1);
  assert_int_equal(lb__utf8_complete("\xE2\x82\xE2", 3), 2);
}

/* The lengths Python's bytes.decode(errors="replace") and Rust use: one U+FFFD per longest
 * beginning of a valid sequence, else per byte (the Unicode standard's table 3-8). */
static void test_invalid_run(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t size, run;
  } cases[] = {{"\x80", 1, 1},         {"\xC0\x80", 2, 1},         {"\xE1\x80\xE2", 3, 2},
               {"\xF0\x91\x92", 3, 3}, {"\xF1\xBF", 2, 2},         {"\xED\xA0\x80", 3, 1},
               {"\xF4\x91\x92", 3, 1}, {"\xF0\x9F\x98z", 4, 3},    {"\xE2z", 2, 1},
               {"\xFF", 1, 1},         {"\xF0\x80\x80\x41", 4, 1}, {"\xC3", 1, 1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_int_equal(lb__utf8_invalid_run(cases[i].bytes, cases[i].size), cases[i].run);
}

static void test_nothing_to_read(void **state) {
  (void)state;
  uint32_t c = 7;
  assert_int_equal(lb__utf8_decode(&c, "", 0), 0);
  assert_int_equal(c, 7);
  assert_int_equal(lb__utf8_invalid_run("", 0), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_scalar_value_round_trips),
      cmocka_unit_test(test_known_encodings),
      cmocka_unit_test(test_table_3_7),
      cmocka_unit_test(test_valid),
      cmocka_unit_test(test_long_texts),
      cmocka_unit_test(test_complete),
      cmocka_unit_test(test_invalid_run),
      cmocka_unit_test(test_nothing_to_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

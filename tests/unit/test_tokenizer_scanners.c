/* test_tokenizer_scanners.c - each hand-written scanner cuts random Unicode exactly where its regex
 * does, run by PCRE2; and the class table agrees with the regex classes on every character. */
#include "base/random.h"
#include "base/utf8.h"
#include "text/scanners.h"
#include "text/text_regex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t below(uint64_t *counter, uint32_t n) {
  uint32_t r[4];
  lb__random_u32x4(r, (lb__random_key){11, LB__PURPOSE_TEST}, 0, (*counter)++);
  return r[0] % n;
}

/* Mostly the characters that the patterns treat in different ways. */
static uint32_t random_char(uint64_t *counter) {
  static const uint32_t special[] = {
      ' ',    ' ',   ' ',  '\n',  '\r',   '\t',  '\'', 's',     'T',    'r',    'E',   'l',
      'L',    'v',   'd',  'M',   '1',    '2',   '!',  '.',     0xA0,   0x3000, 0x85,  0x180E,
      0x2028, 0x17F, 0xE9, 0x301, 0x4E2D, 0x661, 0xBD, 0x1F44D, 0x200D, 0xC5,   0x212A};
  uint32_t kind = below(counter, 10);
  if (kind < 7) return special[below(counter, sizeof special / sizeof special[0])];
  if (kind == 7) return 0x20 + below(counter, 0x5F);
  uint32_t c = kind == 8 ? below(counter, 0x3000) : below(counter, 0x110000);
  return c >= 0xD800 && c <= 0xDFFF ? 'x' : c;
}

static size_t random_text(char *text, uint64_t *counter) {
  size_t n = 0;
  for (uint32_t i = below(counter, 14); i > 0; i--)
    n += (size_t)lb__utf8_encode(text + n, random_char(counter));
  if (below(counter, 2) == 0) return n;
  /* A long word, because the scanners take letters by eights; what ends it stands next to a letter
   * in ASCII as often as not. */
  for (uint32_t i = below(counter, 30); i > 0; i--)
    text[n++] = (char)((below(counter, 2) ? 'A' : 'a') + (char)below(counter, 26));
  return n + (size_t)lb__utf8_encode(text + n, below(counter, 2)
                                                   ? (uint32_t) "@[`{"[below(counter, 4)]
                                                   : random_char(counter));
}

static void compare(const char *pattern, uint64_t first) {
  lb__scanner *scanner = lb__scanner_find(pattern, strlen(pattern));
  assert_non_null(scanner);
  lb__regex *regex;
  assert_int_equal(lb__regex_new(&regex, pattern, strlen(pattern), "test", NULL), LB_OK);
  uint64_t counter = first;
  for (int i = 0; i < 60000; i++) {
    char text[128];
    size_t size = random_text(text, &counter), at = 0;
    while (at < size) {
      bool found;
      size_t start, end;
      assert_int_equal(lb__regex_find(regex, text, size, at, &found, &start, &end, NULL), LB_OK);
      const unsigned char *p = (const unsigned char *)text + at;
      size_t mine = (size_t)(scanner(lb__unicode(), p, (const unsigned char *)text + size) -
                             (const unsigned char *)text);
      if (!found || start != at || end != mine)
        fail_msg("'%.*s' at %zu: regex [%zu, %zu), scanner to %zu", (int)size, text, at, start, end,
                 mine);
      at = mine;
    }
  }
  lb__regex_free(regex);
}

static void test_gpt2(void **state) {
  (void)state, compare(lb__pattern_gpt2, 0);
}
static void test_llama3(void **state) {
  (void)state, compare(lb__pattern_llama3, 1u << 24);
}
static void test_qwen2(void **state) {
  (void)state, compare(lb__pattern_qwen2, 1u << 25);
}

static void test_classes(void **state) {
  (void)state;
  static const struct {
    const char *pattern;
    unsigned bits;
  } classes[] = {{"\\p{L}", LB__UC_LETTER},
                 {"\\p{N}", LB__UC_NUMBER},
                 {"\\s", LB__UC_SPACE},
                 {"\\p{M}", LB__UC_MARK},
                 {"\\p{P}", LB__UC_PUNCTUATION},
                 {"\\p{S}", LB__UC_SYMBOL},
                 {"[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]", LB__UC_UPPER_LIKE}};
  for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
    lb__regex *regex;
    const char *pattern = classes[i].pattern;
    assert_int_equal(lb__regex_new(&regex, pattern, strlen(pattern), "test", NULL), LB_OK);
    for (uint32_t c = 0; c < 0x110000; c++) {
      if (c >= 0xD800 && c <= 0xDFFF) continue;
      char text[4];
      bool found;
      size_t start, end, size = (size_t)lb__utf8_encode(text, c);
      assert_int_equal(lb__regex_find(regex, text, size, 0, &found, &start, &end, NULL), LB_OK);
      if (found != ((lb__unicode_class(lb__unicode(), c) & classes[i].bits) != 0))
        fail_msg("U+%04X and %s", (unsigned)c, pattern);
    }
    lb__regex_free(regex);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_gpt2), cmocka_unit_test(test_llama3),
                                     cmocka_unit_test(test_qwen2), cmocka_unit_test(test_classes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* unicode_class.h - which Unicode classes a character belongs to, one table lookup each.
 * Owns: the table (built once, on first use, from utf8proc's general categories) and the places
 * where the reference library follows an older or a newer Unicode (unicode_tables.inc; its parts
 * disagree among themselves, which is why "mark" has two answers). Refuses: regular expressions. */
#ifndef LB_TEXT_UNICODE_CLASS_H
#define LB_TEXT_UNICODE_CLASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  LB__UC_LETTER = 1,       /* L */
  LB__UC_NUMBER = 2,       /* N: decimal digits, letter numbers, others */
  LB__UC_SPACE = 4,        /* White_Space; never U+180E */
  LB__UC_MARK = 8,         /* M */
  LB__UC_PUNCTUATION = 16, /* P */
  LB__UC_SYMBOL = 32,      /* S */
  LB__UC_WORD = 64,        /* \w of Rust's regex: alphabetic, M, Nd, Pc, join controls */
  LB__UC_UPPER_LIKE = 128, /* Lu Lt Lm Lo M: the capital part of a word in o200k's pattern */
  LB__UC_LOWER_LIKE = 256, /* Ll Lm Lo M */
  LB__UC_ACCENT = 512,     /* what StripAccents removes */
  LB__UC_SPLIT_PUNCTUATION = 1024, /* what the Punctuation pre-tokenizer splits */
  LB__UC_SPLIT_DIGIT = 2048,       /* what the Digits pre-tokenizer splits */
  LB__UC_FROZEN = 4096             /* unknown to the reference's normalisation forms */
};

#define LB__UC_N_PAGES          (0x110000 / 256)
#define LB__UC_MAX_UNIQUE_PAGES 512

typedef struct lb__unicode_table {
  uint16_t page_of[LB__UC_N_PAGES]; /* code point / 256 -> row of `pages` */
  uint16_t pages[LB__UC_MAX_UNIQUE_PAGES][256];
} lb__unicode_table;

/* The table; thread-safe. */
const lb__unicode_table *lb__unicode(void);

static inline unsigned lb__unicode_class(const lb__unicode_table *t, uint32_t c) {
  return t->pages[t->page_of[c >> 8]][c & 255];
}

/* Lower case, one or two characters; returns how many. */
int lb__unicode_lower(uint32_t out[2], uint32_t c);

/* The part of a PCRE2 character class that adds what \p{NAME} of an older PCRE2 does not know yet:
 * "\x{897}\x{1C89}-\x{1C8A}...". NAME is one or two letters. Appends nothing for other names. */
struct lb__buf;
void lb__unicode_newer_ranges(struct lb__buf *out, const char *name, size_t size);

/* Reads one character of text already known to be valid UTF-8; *p moves behind it. */
static inline uint32_t lb__utf8_next(const unsigned char **p) {
  const unsigned char *s = *p;
  if (s[0] < 0x80) {
    *p = s + 1;
    return s[0];
  }
  if (s[0] < 0xE0) {
    *p = s + 2;
    return (uint32_t)(s[0] & 0x1F) << 6 | (s[1] & 0x3Fu);
  }
  if (s[0] < 0xF0) {
    *p = s + 3;
    return (uint32_t)(s[0] & 0x0F) << 12 | (uint32_t)(s[1] & 0x3F) << 6 | (s[2] & 0x3Fu);
  }
  *p = s + 4;
  return (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3F) << 12 |
         (uint32_t)(s[2] & 0x3F) << 6 | (s[3] & 0x3Fu);
}

/* Length in bytes of the valid UTF-8 character that starts with this byte. */
static inline size_t lb__utf8_length(unsigned char first) {
  return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

/* The character that ends before text[at], at > 0; *start receives where it begins. */
uint32_t lb__utf8_before(const char *text, size_t at, size_t *start);

/* White space at the two ends of text[0..size): how many bytes, whole characters. */
size_t lb__space_prefix(const char *text, size_t size);
size_t lb__space_suffix(const char *text, size_t size);

#endif

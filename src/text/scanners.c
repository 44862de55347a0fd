/* scanners.c - see scanners.h. Each function below states the alternative it stands for; the order
 * of the calls is the order of the alternatives, because the first that matches wins. */
#include "scanners.h"

#include <string.h>

#define WHITE "|\\s+(?!\\S)|\\s+"
const char lb__pattern_gpt2[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+" WHITE;
const char lb__pattern_llama3[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}"
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+" WHITE;
const char lb__pattern_qwen2[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}"
                                 "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+" WHITE;

typedef const unsigned char *position;

/* The class of the character at p, and where the next one starts. */
static inline unsigned class_at(const lb__unicode_table *t, position p, position *next) {
  *next = p + 1;
  if (*p < 0x80) return t->pages[0][*p]; /* the first row is the first page's */
  *next = p;
  return lb__unicode_class(t, lb__utf8_next(next));
}

/* C+ or C*: characters that have a class of `bits`. */
static inline position skip_while(const lb__unicode_table *t, position p, position end,
                                  unsigned bits) {
  position next;
  while (p < end && (class_at(t, p, &next) & bits)) p = next;
  return p;
}

/* How many of the next eight bytes, from the first on, are ASCII letters. */
static inline unsigned count_ascii_letters(position p) {
  const uint64_t each = 0x0101010101010101u;
  uint64_t word = 0;
  for (int i = 0; i < 8; i++) word |= (uint64_t)p[i] << (8 * i); /* one load */
  uint64_t lower = (word | each * 0x20) & each * 0x7F;
  uint64_t from_a = lower + each * (0x80 - 'a'), behind_z = lower + each * (0x7F - 'z');
  uint64_t others = ~(from_a & ~behind_z & ~word) & each * 0x80; /* the top bit of each byte */
  return others == 0 ? 8 : (unsigned)__builtin_ctzll(others) / 8;
}

/* \p{L}*: by eights as long as they are ASCII. */
static inline position skip_letters(const lb__unicode_table *t, position p, position end) {
  while (end - p >= 8) {
    unsigned n = count_ascii_letters(p);
    p += n;
    if (n < 8) break;
  }
  return skip_while(t, p, end, LB__UC_LETTER);
}

/* C*: characters that have no class of `bits`. */
static inline position skip_until(const lb__unicode_table *t, position p, position end,
                                  unsigned bits) {
  position next;
  while (p < end && !(class_at(t, p, &next) & bits)) p = next;
  return p;
}

/* 's|'t|'re|'ve|'m|'ll|'d behind the apostrophe; NULL when none matches. */
static position contraction(position p, position end) {
  if (end - p < 2) return NULL;
  switch (p[1]) {
  case 's':
  case 't':
  case 'm':
  case 'd': return p + 2;
  case 'r':
  case 'v': return end - p > 2 && p[2] == 'e' ? p + 3 : NULL;
  case 'l': return end - p > 2 && p[2] == 'l' ? p + 3 : NULL;
  default: return NULL;
  }
}

/* The same without regard to case; U+017F, the long s, is an s then. */
static position contraction_any_case(position p, position end) {
  if (end - p < 2) return NULL;
  int first = p[1] | 0x20, second = end - p > 2 ? p[2] | 0x20 : 0;
  if (p[1] < 0x80) {
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return p + 2;
    if ((first == 'r' || first == 'v') && second == 'e') return p + 3;
    return first == 'l' && second == 'l' ? p + 3 : NULL;
  }
  return end - p > 2 && p[1] == 0xC5 && p[2] == 0xBF ? p + 3 : NULL;
}

/* \s+(?!\S)|\s+ on a run [p, run): all of it at the end of the text; else all but the last
 * character, which belongs to the next word; else (a run of one) that one. */
static position white_run(position p, position run, position end) {
  if (run == end) return run;
  position last = run - 1;
  while ((*last & 0xC0) == 0x80) last--;
  return last > p ? last : run;
}

const unsigned char *lb__scan_gpt2(const lb__unicode_table *t, const unsigned char *p,
                                   const unsigned char *end) {
  position found, next;
  if (*p == '\'' && (found = contraction(p, end)) != NULL) return found;
  unsigned class = class_at(t, p, &next);
  if (*p == ' ' && next < end) { /* an optional space before letters, numbers or others */
    position after;
    unsigned following = class_at(t, next, &after);
    if (!(following & LB__UC_SPACE)) {
      class = following;
      next = after;
    }
  }
  if (class & LB__UC_LETTER) return skip_letters(t, next, end);
  if (class & LB__UC_NUMBER) return skip_while(t, next, end, LB__UC_NUMBER);
  if (!(class & LB__UC_SPACE))
    return skip_until(t, next, end, LB__UC_SPACE | LB__UC_LETTER | LB__UC_NUMBER);
  return white_run(p, skip_while(t, next, end, LB__UC_SPACE), end);
}

static inline bool is_newline(unsigned char byte) {
  return byte == '\r' || byte == '\n';
}

/* \s*[\r\n]+: up to the last line end of the run; NULL when the run has none. */
static position through_last_newline(position p, position run) {
  for (position q = run; q > p; q--)
    if (is_newline(q[-1])) return q;
  return NULL;
}

/* Llama 3 and Qwen 2, which differ in how many digits may stay together. */
static inline position scan_llama3(const lb__unicode_table *t, position p, position end,
                                   int max_digits) {
  position found, next, after = p;
  if (*p == '\'' && (found = contraction_any_case(p, end)) != NULL) return found;
  unsigned class = class_at(t, p, &next);
  unsigned following = next < end ? class_at(t, next, &after) : LB__UC_SPACE;

  /* [^\r\n\p{L}\p{N}]?\p{L}+ */
  if (class & LB__UC_LETTER) return skip_letters(t, next, end);
  if (class & LB__UC_NUMBER) {
    for (int n = 1; n < max_digits && next < end; n++) {
      if (!(class_at(t, next, &after) & LB__UC_NUMBER)) break;
      next = after;
    }
    return next;
  }
  if ((following & LB__UC_LETTER) && !is_newline(*p)) return skip_letters(t, after, end);

  /*  ?[^\s\p{L}\p{N}]+[\r\n]* */
  const unsigned known = LB__UC_SPACE | LB__UC_LETTER | LB__UC_NUMBER;
  if (!(class & LB__UC_SPACE) || (*p == ' ' && next < end && !(following & known))) {
    p = skip_until(t, next, end, known);
    while (p < end && is_newline(*p)) p++;
    return p;
  }
  position run = skip_while(t, next, end, LB__UC_SPACE);
  found = through_last_newline(p, run);
  return found != NULL ? found : white_run(p, run, end);
}

static position scan_three_digits(const lb__unicode_table *t, position p, position end) {
  return scan_llama3(t, p, end, 3);
}

static position scan_one_digit(const lb__unicode_table *t, position p, position end) {
  return scan_llama3(t, p, end, 1);
}

lb__scanner *lb__scanner_find(const char *pattern, size_t size) {
  static const struct {
    const char *pattern;
    lb__scanner *scanner;
  } known[] = {{lb__pattern_gpt2, lb__scan_gpt2},
               {lb__pattern_llama3, scan_three_digits},
               {lb__pattern_qwen2, scan_one_digit}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (strlen(known[i].pattern) == size && memcmp(known[i].pattern, pattern, size) == 0)
      return known[i].scanner;
  return NULL;
}

/* unicode_class.c - builds the class table. Read unicode_class.h first. */
#include "unicode_class.h"

#include "base/memory.h"

#include <pthread.h>
#include <utf8proc.h>

/* utf8proc's numbers for the general categories */
enum {
  LB__CATEGORY_LU = UTF8PROC_CATEGORY_LU,
  LB__CATEGORY_LL = UTF8PROC_CATEGORY_LL,
  LB__CATEGORY_LM = UTF8PROC_CATEGORY_LM,
  LB__CATEGORY_LO = UTF8PROC_CATEGORY_LO,
  LB__CATEGORY_MN = UTF8PROC_CATEGORY_MN,
  LB__CATEGORY_MC = UTF8PROC_CATEGORY_MC,
  LB__CATEGORY_ND = UTF8PROC_CATEGORY_ND,
  LB__CATEGORY_NL = UTF8PROC_CATEGORY_NL,
  LB__CATEGORY_NO = UTF8PROC_CATEGORY_NO,
  LB__CATEGORY_PD = UTF8PROC_CATEGORY_PD,
  LB__CATEGORY_PO = UTF8PROC_CATEGORY_PO,
  LB__CATEGORY_SM = UTF8PROC_CATEGORY_SM,
  LB__CATEGORY_SC = UTF8PROC_CATEGORY_SC,
  LB__CATEGORY_SK = UTF8PROC_CATEGORY_SK,
  LB__CATEGORY_SO = UTF8PROC_CATEGORY_SO
};

typedef struct lb__code_range {
  uint32_t first, last;
} lb__code_range;
typedef struct lb__category_range {
  uint32_t first, last;
  int category;
} lb__category_range;
typedef struct lb__lower_exception {
  uint32_t upper, lower, second; /* second: 0 when there is none */
} lb__lower_exception;
#include "unicode_tables.inc"

#define N_OF(array) (sizeof(array) / sizeof(array)[0])

static lb__unicode_table table;
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static bool is_white_space(uint32_t c) {
  return (c >= 0x9 && c <= 0xD) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

static bool is_ascii_symbol(uint32_t c) {
  return c == '$' || c == '+' || (c >= '<' && c <= '>') || c == '^' || c == '`' || c == '|' ||
         c == '~';
}

/* Alphabetic characters that are neither letters, marks nor letter numbers: circled and squared
 * letters; and the two join controls, which \w contains too. */
static bool is_extra_word(uint32_t c) {
  return (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
         (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189) || c == 0x200C ||
         c == 0x200D;
}

static unsigned class_of_category(int category) {
  switch (category) {
  case UTF8PROC_CATEGORY_LU:
  case UTF8PROC_CATEGORY_LT: return LB__UC_LETTER | LB__UC_WORD | LB__UC_UPPER_LIKE;
  case UTF8PROC_CATEGORY_LL: return LB__UC_LETTER | LB__UC_WORD | LB__UC_LOWER_LIKE;
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_LO:
    return LB__UC_LETTER | LB__UC_WORD | LB__UC_UPPER_LIKE | LB__UC_LOWER_LIKE;
  case UTF8PROC_CATEGORY_MN:
  case UTF8PROC_CATEGORY_MC:
  case UTF8PROC_CATEGORY_ME:
    return LB__UC_MARK | LB__UC_WORD | LB__UC_UPPER_LIKE | LB__UC_LOWER_LIKE | LB__UC_ACCENT;
  case UTF8PROC_CATEGORY_ND:
  case UTF8PROC_CATEGORY_NL: return LB__UC_NUMBER | LB__UC_WORD | LB__UC_SPLIT_DIGIT;
  case UTF8PROC_CATEGORY_NO: return LB__UC_NUMBER | LB__UC_SPLIT_DIGIT;
  case UTF8PROC_CATEGORY_PC: return LB__UC_PUNCTUATION | LB__UC_WORD | LB__UC_SPLIT_PUNCTUATION;
  case UTF8PROC_CATEGORY_PD:
  case UTF8PROC_CATEGORY_PS:
  case UTF8PROC_CATEGORY_PE:
  case UTF8PROC_CATEGORY_PI:
  case UTF8PROC_CATEGORY_PF:
  case UTF8PROC_CATEGORY_PO: return LB__UC_PUNCTUATION | LB__UC_SPLIT_PUNCTUATION;
  case UTF8PROC_CATEGORY_SM:
  case UTF8PROC_CATEGORY_SC:
  case UTF8PROC_CATEGORY_SK:
  case UTF8PROC_CATEGORY_SO: return LB__UC_SYMBOL;
  default: return 0;
  }
}

static unsigned class_of(uint32_t c) {
  unsigned bits = class_of_category((int)utf8proc_category((utf8proc_int32_t)c));
  if (is_white_space(c)) bits |= LB__UC_SPACE;
  if (is_ascii_symbol(c)) bits |= LB__UC_SPLIT_PUNCTUATION;
  if (is_extra_word(c)) bits |= LB__UC_WORD;
  return bits;
}

/* What of first..last is among the 256 characters from `page` on; empty: first > last. */
static lb__code_range clip(uint32_t first, uint32_t last, uint32_t page) {
  return (lb__code_range){first > page ? first : page, last < page + 255 ? last : page + 255};
}

static void fill_page(uint16_t *row, uint32_t first) {
  for (uint32_t i = 0; i < 256; i++) row[i] = (uint16_t)class_of(first + i);
  for (size_t r = 0; r < N_OF(newer_categories); r++) {
    lb__code_range part = clip(newer_categories[r].first, newer_categories[r].last, first);
    for (uint32_t c = part.first; c <= part.last; c++)
      row[c & 255] = (uint16_t)(class_of_category(newer_categories[r].category) | LB__UC_FROZEN);
  }
#define CHANGE(ranges, operator, bits)                                                             \
  for (size_t r = 0; r < N_OF(ranges); r++) {                                                      \
    lb__code_range part = clip(ranges[r].first, ranges[r].last, first);                            \
    for (uint32_t c = part.first; c <= part.last; c++) row[c & 255] operator(bits);                \
  }
  CHANGE(newer_numbers, ^=, LB__UC_SPLIT_DIGIT)
  CHANGE(older_punctuation, ^=, LB__UC_SPLIT_PUNCTUATION)
  CHANGE(older_marks, ^=, LB__UC_ACCENT)
  CHANGE(frozen_characters, |=, LB__UC_FROZEN)
#undef CHANGE
}

static void build_table(void) {
  size_t n_unique = 0;
  for (uint32_t page = 0; page < LB__UC_N_PAGES; page++) {
    /* Nothing is assigned in planes 4 to 13: they share the row of the page before them. */
    if (page > 0x400 && page < 0xE00) {
      table.page_of[page] = table.page_of[0x400];
      continue;
    }
    uint16_t *row = table.pages[n_unique];
    fill_page(row, page * 256);
    size_t same = 0; /* rows repeat a lot (CJK, unassigned): keep each only once */
    while (memcmp(table.pages[same], row, sizeof table.pages[0]) != 0) same++;
    table.page_of[page] = (uint16_t)same;
    if (same == n_unique && n_unique + 1 < LB__UC_MAX_UNIQUE_PAGES) n_unique++;
  }
}

const lb__unicode_table *lb__unicode(void) {
  pthread_once(&table_once, build_table);
  return &table;
}

int lb__unicode_lower(uint32_t out[2], uint32_t c) {
  if (c < 0x80) {
    out[0] = c >= 'A' && c <= 'Z' ? c + 32 : c;
    return 1;
  }
  for (size_t i = 0; i < N_OF(lower_exceptions); i++) {
    if (lower_exceptions[i].upper != c) continue;
    out[0] = lower_exceptions[i].lower;
    out[1] = lower_exceptions[i].second;
    return out[1] != 0 ? 2 : 1;
  }
  out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
  return 1;
}

void lb__unicode_newer_ranges(struct lb__buf *out, const char *name, size_t size) {
  if (size == 0 || size > 2) return;
  for (size_t r = 0; r < N_OF(newer_categories); r++) {
    const lb__category_range *range = &newer_categories[r];
    static const char *const names[] = {"Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc",
                                        "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe",
                                        "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So"};
    if (memcmp(names[range->category], name, size) != 0) continue;
    lb__buf_printf(out, "\\x{%x}-\\x{%x}", (unsigned)range->first, (unsigned)range->last);
  }
}

uint32_t lb__utf8_before(const char *text, size_t at, size_t *start) {
  size_t i = at - 1;
  while (i > 0 && ((unsigned char)text[i] & 0xC0) == 0x80) i--;
  *start = i;
  const unsigned char *p = (const unsigned char *)text + i;
  return lb__utf8_next(&p);
}

size_t lb__space_prefix(const char *text, size_t size) {
  const lb__unicode_table *t = lb__unicode();
  const unsigned char *begin = (const unsigned char *)text, *p = begin, *end = begin + size;
  while (p < end) {
    const unsigned char *before = p;
    if (!(lb__unicode_class(t, lb__utf8_next(&p)) & LB__UC_SPACE)) return (size_t)(before - begin);
  }
  return size;
}

size_t lb__space_suffix(const char *text, size_t size) {
  const lb__unicode_table *t = lb__unicode();
  size_t at = size, start;
  while (at > 0 && (lb__unicode_class(t, lb__utf8_before(text, at, &start)) & LB__UC_SPACE))
    at = start;
  return size - at;
}

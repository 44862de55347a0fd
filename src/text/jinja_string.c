/* jinja_string.c - marked text: building, searching, cutting, changing. Each function is the Python
 * str method of that name; marks travel with the bytes. Read first: jinja_string.h. */
#define _GNU_SOURCE /* memmem */
#include "jinja_string.h"

#include "base/utf8.h"

#include <utf8proc.h>

/* ---- making ---- */

static size_t count_chars(const char *bytes, size_t size) {
  size_t n = 0;
  for (size_t i = 0; i < size; i++) n += ((unsigned char)bytes[i] & 0xC0) != 0x80;
  return n;
}

static const lb__jstr empty_string = {.bytes = ""};

static lb__jval wrap(lb__jrun *r, lb__jstr s) {
  lb__jcharge(r, 1 + s.size / 16);
  lb__jstr *kept = lb__jalloc(r, 1, sizeof *kept);
  if (kept == NULL) return (lb__jval){.kind = LB__J_STRING, .s = &empty_string};
  s.n_chars = count_chars(s.bytes, s.size);
  *kept = s;
  return (lb__jval){.kind = LB__J_STRING, .s = kept};
}

lb__jval lb__jstring(lb__jrun *r, const char *bytes, size_t size, uint8_t mark) {
  return wrap(r, (lb__jstr){.bytes = bytes, .size = size, .mark = mark});
}

lb__jval lb__jtext(lb__jrun *r, const char *literal) {
  return lb__jstring(r, literal, strlen(literal), 0);
}

static bool reserve(lb__jrun *r, lb__jout *out, size_t extra) {
  size_t wanted;
  if (!lb__ck_add(&wanted, out->size, extra) || wanted > LB__JMAX_TEXT) {
    lb__jfail(r, LB_E_LIMIT, "a text grew beyond %zu bytes", LB__JMAX_TEXT);
    return false;
  }
  if (wanted <= out->capacity) return true;
  size_t capacity = wanted < 32 ? 64 : wanted * 2;
  char *bytes = lb__jalloc(r, capacity, 1);
  uint8_t *marks = lb__jalloc(r, capacity, 1);
  if (bytes == NULL || marks == NULL) return false;
  if (out->size > 0) {
    memcpy(bytes, out->bytes, out->size);
    memcpy(marks, out->marks, out->size);
  }
  *out = (lb__jout){.bytes = bytes, .marks = marks, .size = out->size, .capacity = capacity};
  return true;
}

bool lb__jout_add(lb__jrun *r, lb__jout *out, const char *bytes, size_t size, uint8_t mark) {
  if (!lb__jcharge(r, size / 16) || !reserve(r, out, size)) return false;
  if (size == 0) return true;
  memcpy(out->bytes + out->size, bytes, size);
  memset(out->marks + out->size, mark, size);
  out->size += size;
  return true;
}

bool lb__jout_text(lb__jrun *r, lb__jout *out, const char *text) {
  return lb__jout_add(r, out, text, strlen(text), 0);
}

bool lb__jout_str(lb__jrun *r, lb__jout *out, const lb__jstr *s, size_t begin, size_t end) {
  size_t at = out->size;
  if (!lb__jout_add(r, out, s->bytes + begin, end - begin, s->mark)) return false;
  if (s->marks != NULL && end > begin) memcpy(out->marks + at, s->marks + begin, end - begin);
  return true;
}

bool lb__jout_char(lb__jrun *r, lb__jout *out, uint32_t code_point, uint8_t mark) {
  char bytes[4];
  int size = lb__utf8_encode(bytes, code_point);
  return lb__jout_add(r, out, bytes, (size_t)size, mark);
}

lb__jval lb__jout_take(lb__jrun *r, lb__jout *out) {
  if (out->size == 0) return (lb__jval){.kind = LB__J_STRING, .s = &empty_string};
  return wrap(r, (lb__jstr){.bytes = out->bytes, .marks = out->marks, .size = out->size});
}

/* ---- looking ---- */

int lb__jstr_compare(const lb__jstr *a, const lb__jstr *b) {
  size_t n = a->size < b->size ? a->size : b->size;
  int order = n == 0 ? 0 : memcmp(a->bytes, b->bytes, n); /* byte order is code point order */
  if (order != 0) return order < 0 ? -1 : 1;
  return (a->size > b->size) - (a->size < b->size);
}

bool lb__jstr_is(const lb__jstr *s, const char *text) {
  return strlen(text) == s->size && memcmp(s->bytes, text, s->size) == 0;
}

size_t lb__jstr_next(const lb__jstr *s, size_t at) {
  if (at < s->size) at++;
  while (at < s->size && ((unsigned char)s->bytes[at] & 0xC0) == 0x80) at++;
  return at;
}

static size_t previous(const lb__jstr *s, size_t at) {
  if (at > 0) at--;
  while (at > 0 && ((unsigned char)s->bytes[at] & 0xC0) == 0x80) at--;
  return at;
}

uint32_t lb__jstr_char(const lb__jstr *s, size_t at) {
  uint32_t code_point = 0xFFFD;
  (void)lb__utf8_decode(&code_point, s->bytes + at, s->size - at);
  return code_point;
}

uint8_t lb__jstr_mark(const lb__jstr *s, size_t at) {
  return s->marks != NULL && at < s->size ? s->marks[at] : s->mark;
}

size_t lb__jstr_offset(const lb__jstr *s, size_t character) {
  if (s->n_chars == s->size || character >= s->n_chars)
    return character < s->n_chars ? character : s->size;
  size_t at = 0;
  while (character-- > 0) at = lb__jstr_next(s, at);
  return at;
}

/* memmem is linear for the short needles of templates; each call pays for what it may scan. */
size_t lb__jstr_find(lb__jrun *r, const lb__jstr *s, const lb__jstr *what, size_t begin,
                     size_t end) {
  if (begin > end || end - begin < what->size || !lb__jcharge(r, 1)) return SIZE_MAX;
  if (what->size == 0) return begin;
  const char *hit = memmem(s->bytes + begin, end - begin, what->bytes, what->size);
  size_t scanned = hit == NULL ? end - begin : (size_t)(hit - (s->bytes + begin));
  if (!lb__jcharge(r, scanned / 16)) return SIZE_MAX;
  return hit == NULL ? SIZE_MAX : (size_t)(hit - s->bytes);
}

size_t lb__jstr_rfind(lb__jrun *r, const lb__jstr *s, const lb__jstr *what, size_t begin,
                      size_t end) {
  if (begin > end || end - begin < what->size || !lb__jcharge(r, 1)) return SIZE_MAX;
  for (size_t at = end - what->size + 1; at-- > begin;) {
    if (what->size == 0) return at;
    if (s->bytes[at] != what->bytes[0]) {
      if (at % 16 == 0 && !lb__jcharge(r, 1)) return SIZE_MAX;
    } else if (!lb__jcharge(r, 1 + what->size / 16)) {
      return SIZE_MAX;
    } else if (memcmp(s->bytes + at, what->bytes, what->size) == 0) {
      return at;
    }
  }
  return SIZE_MAX;
}

bool lb__jis_space(uint32_t c) {
  if (c < 128) return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x1F);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/* ---- cutting ---- */

lb__jval lb__jstr_slice(lb__jrun *r, const lb__jstr *s, size_t begin, size_t end) {
  lb__jstr part = *s;
  if (begin >= end) return (lb__jval){.kind = LB__J_STRING, .s = &empty_string};
  part.bytes += begin;
  part.size = end - begin;
  if (part.marks != NULL) part.marks += begin;
  return wrap(r, part);
}

/* When `a` is the end of its home and there is room, b goes in behind it and nothing is copied:
 * other strings that share the home see only their own bytes. */
lb__jval lb__jstr_concat(lb__jrun *r, const lb__jstr *a, const lb__jstr *b) {
  lb__jout *home = a->home;
  bool grows = home != NULL && a->bytes + a->size == home->bytes + home->size &&
               home->capacity - home->size >= b->size;
  size_t begin = grows ? home->size - a->size : 0;
  if (!grows) {
    home = lb__jalloc(r, 1, sizeof *home);
    if (home == NULL || !lb__jout_str(r, home, a, 0, a->size)) return lb__jundefined(NULL);
  }
  if (!lb__jout_str(r, home, b, 0, b->size)) return lb__jundefined(NULL);
  if (home->size == begin) return (lb__jval){.kind = LB__J_STRING, .s = &empty_string};
  return wrap(r, (lb__jstr){.bytes = home->bytes + begin,
                            .marks = home->marks + begin,
                            .size = home->size - begin,
                            .home = home,
                            .is_markup = a->is_markup});
}

static bool in_set(const lb__jstr *chars, uint32_t c) {
  if (chars == NULL) return lb__jis_space(c);
  for (size_t at = 0; at < chars->size; at = lb__jstr_next(chars, at))
    if (lb__jstr_char(chars, at) == c) return true;
  return false;
}

lb__jval lb__jstr_strip(lb__jrun *r, const lb__jstr *s, const lb__jstr *chars, int sides) {
  size_t begin = 0, end = s->size, cost = 1 + (chars == NULL ? 0 : chars->size / 4);
  if (sides & LB__JSTRIP_LEFT)
    while (begin < end && lb__jcharge(r, cost) && in_set(chars, lb__jstr_char(s, begin)))
      begin = lb__jstr_next(s, begin);
  if (sides & LB__JSTRIP_RIGHT)
    while (begin < end && lb__jcharge(r, cost) && in_set(chars, lb__jstr_char(s, previous(s, end))))
      end = previous(s, end);
  return lb__jstr_slice(r, s, begin, end);
}

static void add_slice(lb__jrun *r, lb__jval list, const lb__jstr *s, size_t begin, size_t end) {
  if (list.kind == LB__J_LIST) lb__jlist_add(r, list.list, lb__jstr_slice(r, s, begin, end));
}

static lb__jval split_space(lb__jrun *r, const lb__jstr *s, int64_t max) {
  lb__jval list = lb__jnew_list(r, LB__J_PLAIN_LIST, 0);
  size_t at = 0;
  while (lb__jcharge(r, 1)) {
    while (at < s->size && lb__jis_space(lb__jstr_char(s, at))) at = lb__jstr_next(s, at);
    if (at >= s->size) break;
    size_t end = at;
    if (max == 0) { /* the rest, with the space at its end */
      add_slice(r, list, s, at, s->size);
      break;
    }
    while (end < s->size && !lb__jis_space(lb__jstr_char(s, end))) end = lb__jstr_next(s, end);
    add_slice(r, list, s, at, end);
    at = end;
    if (max > 0) max--;
  }
  return list;
}

lb__jval lb__jstr_split(lb__jrun *r, const lb__jstr *s, const lb__jstr *separator, int64_t max) {
  if (separator == NULL) return split_space(r, s, max);
  if (separator->size == 0) return lb__jfail(r, LB_E_ARG, "empty separator");
  lb__jval list = lb__jnew_list(r, LB__J_PLAIN_LIST, 0);
  size_t at = 0;
  while (lb__jcharge(r, 1)) {
    size_t hit = max == 0 ? SIZE_MAX : lb__jstr_find(r, s, separator, at, s->size);
    if (hit == SIZE_MAX) break;
    add_slice(r, list, s, at, hit);
    at = hit + separator->size;
    if (max > 0) max--;
  }
  add_slice(r, list, s, at, s->size);
  return list;
}

static void reverse_list(lb__jlist *list) {
  for (size_t i = 0; i < list->n / 2; i++) {
    lb__jval v = list->values[i];
    list->values[i] = list->values[list->n - 1 - i];
    list->values[list->n - 1 - i] = v;
  }
}

static void rsplit_space(lb__jrun *r, const lb__jstr *s, int64_t max, lb__jval list) {
  size_t end = s->size;
  while (lb__jcharge(r, 1)) {
    while (end > 0 && lb__jis_space(lb__jstr_char(s, previous(s, end)))) end = previous(s, end);
    if (end == 0) break;
    size_t begin = end;
    if (max == 0) {
      add_slice(r, list, s, 0, end);
      break;
    }
    while (begin > 0 && !lb__jis_space(lb__jstr_char(s, previous(s, begin))))
      begin = previous(s, begin);
    add_slice(r, list, s, begin, end);
    end = begin;
    if (max > 0) max--;
  }
}

lb__jval lb__jstr_rsplit(lb__jrun *r, const lb__jstr *s, const lb__jstr *separator, int64_t max) {
  lb__jval list = lb__jnew_list(r, LB__J_PLAIN_LIST, 0);
  if (separator != NULL && separator->size == 0) return lb__jfail(r, LB_E_ARG, "empty separator");
  size_t end = s->size;
  if (separator == NULL) rsplit_space(r, s, max, list);
  while (separator != NULL && lb__jcharge(r, 1)) {
    size_t hit = max == 0 ? SIZE_MAX : lb__jstr_rfind(r, s, separator, 0, end);
    if (hit == SIZE_MAX) break;
    add_slice(r, list, s, hit + separator->size, end);
    end = hit;
    if (max > 0) max--;
  }
  if (separator != NULL) add_slice(r, list, s, 0, end);
  if (list.kind == LB__J_LIST) reverse_list(list.list);
  return list;
}

static bool is_line_end(uint32_t c) {
  return (c >= 10 && c <= 13) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

lb__jval lb__jstr_splitlines(lb__jrun *r, const lb__jstr *s, bool keep_ends) {
  lb__jval list = lb__jnew_list(r, LB__J_PLAIN_LIST, 0);
  size_t begin = 0, at = 0;
  while (at < s->size && lb__jcharge(r, at % 16 == 0)) {
    uint32_t c = lb__jstr_char(s, at);
    size_t end = at;
    at = lb__jstr_next(s, at);
    if (!is_line_end(c)) continue;
    if (c == '\r' && at < s->size && s->bytes[at] == '\n') at++;
    add_slice(r, list, s, begin, keep_ends ? at : end);
    begin = at;
  }
  if (begin < s->size) add_slice(r, list, s, begin, s->size);
  return list;
}

/* ---- changing ---- */

/* Python puts `by` before every character when `old` is empty. */
static lb__jval replace_empty(lb__jrun *r, const lb__jstr *s, const lb__jstr *by, int64_t max) {
  lb__jout out = {0};
  for (size_t at = 0; lb__jcharge(r, 1); at = lb__jstr_next(s, at)) {
    if (max == 0) {
      lb__jout_str(r, &out, s, at, s->size);
      break;
    }
    lb__jout_str(r, &out, by, 0, by->size);
    if (max > 0) max--;
    if (at >= s->size) break;
    lb__jout_str(r, &out, s, at, lb__jstr_next(s, at));
  }
  return lb__jout_take(r, &out);
}

lb__jval lb__jstr_replace(lb__jrun *r, const lb__jstr *s, const lb__jstr *old, const lb__jstr *by,
                          int64_t max) {
  lb__jout out = {0};
  size_t at = 0;
  if (old->size == 0) return replace_empty(r, s, by, max);
  while (lb__jcharge(r, 1)) {
    size_t hit = max == 0 ? SIZE_MAX : lb__jstr_find(r, s, old, at, s->size);
    if (hit == SIZE_MAX) break;
    lb__jout_str(r, &out, s, at, hit);
    lb__jout_str(r, &out, by, 0, by->size);
    at = hit + old->size;
    if (max > 0) max--;
  }
  lb__jout_str(r, &out, s, at, s->size);
  return lb__jout_take(r, &out);
}

lb__jval lb__jstr_join(lb__jrun *r, const lb__jstr *glue, lb__jlist *items, bool strict) {
  lb__jout out = {0};
  for (size_t i = 0; items != NULL && i < items->n; i++) {
    lb__jval v = items->values[i];
    if (strict && v.kind == LB__J_UNDEFINED) return lb__jfail_undefined(r, v);
    if (strict && v.kind != LB__J_STRING)
      return lb__jfail(r, LB_E_ARG, "sequence item %zu: expected str instance, %s found", i,
                       lb__jtype_name(v));
    if (i > 0) lb__jout_str(r, &out, glue, 0, glue->size);
    if (!lb__jprint(r, &out, v)) break;
  }
  return lb__jout_take(r, &out);
}

lb__jval lb__jstr_repeat(lb__jrun *r, const lb__jstr *s, int64_t n) {
  lb__jout out = {0};
  if (s->size == 0) n = 0;
  while (n-- > 0 && lb__jcharge(r, 1) && lb__jout_str(r, &out, s, 0, s->size)) continue;
  return lb__jout_take(r, &out);
}

lb__jval lb__jstr_reverse(lb__jrun *r, const lb__jstr *s) {
  lb__jout out = {0};
  for (size_t end = s->size; end > 0 && lb__jcharge(r, 1);) {
    size_t begin = previous(s, end);
    lb__jout_str(r, &out, s, begin, end);
    end = begin;
  }
  return lb__jout_take(r, &out);
}

lb__jval lb__jstr_escape(lb__jrun *r, const lb__jstr *s) {
  static const char from[] = "&<>'\"";
  static const char *const to[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
  lb__jout out = {0};
  for (size_t at = 0; at < s->size && lb__jcharge(r, 1); at++) {
    const char *hit = s->bytes[at] == '\0' ? NULL : strchr(from, s->bytes[at]);
    const char *text = hit == NULL ? NULL : to[hit - from];
    if (text == NULL)
      lb__jout_str(r, &out, s, at, at + 1);
    else
      lb__jout_add(r, &out, text, strlen(text), lb__jstr_mark(s, at));
  }
  lb__jstr result = *lb__jout_take(r, &out).s;
  result.is_markup = true;
  return wrap(r, result);
}

/* Letters whose capital is more than one letter; utf8proc maps one to one only. */
static const struct {
  uint16_t from, upper[3], title[3];
} long_capitals[] = {
    {0xDF, {'S', 'S'}, {'S', 's'}},
    {0x149, {0x2BC, 'N'}, {0x2BC, 'N'}},
    {0x1F0, {'J', 0x30C}, {'J', 0x30C}},
    {0x587, {0x535, 0x552}, {0x535, 0x582}},
    {0xFB00, {'F', 'F'}, {'F', 'f'}},
    {0xFB01, {'F', 'I'}, {'F', 'i'}},
    {0xFB02, {'F', 'L'}, {'F', 'l'}},
    {0xFB03, {'F', 'F', 'I'}, {'F', 'f', 'i'}},
    {0xFB04, {'F', 'F', 'L'}, {'F', 'f', 'l'}},
    {0xFB05, {'S', 'T'}, {'S', 't'}},
    {0xFB06, {'S', 'T'}, {'S', 't'}},
};

enum { TO_UPPER, TO_LOWER, TO_TITLE };

static void add_cased(lb__jrun *r, lb__jout *out, uint32_t c, int to, uint8_t mark) {
  for (size_t i = 0; to != TO_LOWER && i < sizeof long_capitals / sizeof *long_capitals; i++) {
    if (long_capitals[i].from != c) continue;
    const uint16_t *letters = to == TO_UPPER ? long_capitals[i].upper : long_capitals[i].title;
    for (int k = 0; k < 3 && letters[k] != 0; k++) lb__jout_char(r, out, letters[k], mark);
    return;
  }
  if (to == TO_LOWER && c == 0x130) { /* I with dot: two characters in lower case */
    lb__jout_char(r, out, 'i', mark);
    c = 0x307;
  } else {
    int32_t code = (int32_t)c;
    c = (uint32_t)(to == TO_UPPER   ? utf8proc_toupper(code)
                   : to == TO_LOWER ? utf8proc_tolower(code)
                                    : utf8proc_totitle(code));
  }
  lb__jout_char(r, out, c, mark);
}

static bool is_cased(uint32_t c) {
  utf8proc_category_t category = utf8proc_category((int32_t)c);
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL ||
         category == UTF8PROC_CATEGORY_LT;
}

/* A capital sigma at the end of a word becomes the final sigma; the text looked at begins at
 * `begin`. */
static bool is_final_sigma(const lb__jstr *s, size_t begin, size_t at) {
  size_t next = lb__jstr_next(s, at);
  return at > begin && is_cased(lb__jstr_char(s, previous(s, at))) &&
         (next >= s->size || !is_cased(lb__jstr_char(s, next)));
}

lb__jval lb__jstr_case(lb__jrun *r, const lb__jstr *s, lb__jcase to) {
  lb__jout out = {0};
  bool in_word = false; /* inside a word, so that the next letter is not its first */
  size_t begin = 0;     /* Jinja's title lowers each word apart from its first letter */
  for (size_t at = 0; at < s->size && lb__jcharge(r, 1); at = lb__jstr_next(s, at)) {
    uint32_t c = lb__jstr_char(s, at);
    int change = to == LB__JCASE_UPPER ? TO_UPPER : TO_LOWER;
    if (to == LB__JCASE_CAPITALIZE && at == 0) change = TO_TITLE;
    if (to == LB__JCASE_TITLE && !in_word) change = TO_TITLE;
    if (to == LB__JCASE_TITLE_WORDS && !in_word) change = TO_UPPER;
    if (to == LB__JCASE_TITLE_WORDS && !in_word) begin = lb__jstr_next(s, at);
    if (to == LB__JCASE_SWAP && utf8proc_category((int32_t)c) == UTF8PROC_CATEGORY_LL)
      change = TO_UPPER;
    in_word = to == LB__JCASE_TITLE_WORDS
                  ? !(lb__jis_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<')
                  : is_cased(c);
    if (change == TO_LOWER && c == 0x3A3 && is_final_sigma(s, begin, at))
      lb__jout_char(r, &out, 0x3C2, lb__jstr_mark(s, at));
    else
      add_cased(r, &out, c, change, lb__jstr_mark(s, at));
  }
  return lb__jout_take(r, &out);
}

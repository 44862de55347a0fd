/* jinja_string.h - marked text: making it, cutting it, changing it, printing values into it.
 * Positions are byte offsets here; a template counts characters, and lb__jstr_offset translates. */
#ifndef LB_TEXT_JINJA_STRING_H
#define LB_TEXT_JINJA_STRING_H

#include "base/real_text.h"
#include "jinja_value.h"

/* ---- making ---- */
/* Borrows bytes (valid UTF-8), which must live as long as the job. */
lb__jval lb__jstring(lb__jrun *r, const char *bytes, size_t size, uint8_t mark);
lb__jval lb__jtext(lb__jrun *r, const char *literal); /* borrowed, template text */
bool lb__jout_add(lb__jrun *r, lb__jout *out, const char *bytes, size_t size, uint8_t mark);
bool lb__jout_text(lb__jrun *r, lb__jout *out, const char *text);
bool lb__jout_str(lb__jrun *r, lb__jout *out, const lb__jstr *s, size_t begin, size_t end);
bool lb__jout_char(lb__jrun *r, lb__jout *out, uint32_t code_point, uint8_t mark);
lb__jval lb__jout_take(lb__jrun *r, lb__jout *out); /* the text so far, as a string */

/* ---- looking ---- */
int lb__jstr_compare(const lb__jstr *a, const lb__jstr *b); /* -1, 0, 1 by code point */
bool lb__jstr_is(const lb__jstr *s, const char *text);
size_t lb__jstr_next(const lb__jstr *s, size_t at); /* offset of the next character */
uint32_t lb__jstr_char(const lb__jstr *s, size_t at);
uint8_t lb__jstr_mark(const lb__jstr *s, size_t at);
size_t lb__jstr_offset(const lb__jstr *s, size_t character); /* of the n-th character */
/* First or last occurrence within [begin, end); SIZE_MAX when there is none. */
size_t lb__jstr_find(lb__jrun *r, const lb__jstr *s, const lb__jstr *what, size_t begin,
                     size_t end);
size_t lb__jstr_rfind(lb__jrun *r, const lb__jstr *s, const lb__jstr *what, size_t begin,
                      size_t end);
bool lb__jis_space(uint32_t code_point); /* str.isspace */

/* ---- cutting and changing ---- */
lb__jval lb__jstr_slice(lb__jrun *r, const lb__jstr *s, size_t begin, size_t end);
lb__jval lb__jstr_concat(lb__jrun *r, const lb__jstr *a, const lb__jstr *b);
enum { LB__JSTRIP_LEFT = 1, LB__JSTRIP_RIGHT = 2, LB__JSTRIP_BOTH = 3 };
lb__jval lb__jstr_strip(lb__jrun *r, const lb__jstr *s, const lb__jstr *chars, int sides);
/* chars of the set NULL = white space; max < 0 = no limit */
lb__jval lb__jstr_split(lb__jrun *r, const lb__jstr *s, const lb__jstr *separator, int64_t max);
lb__jval lb__jstr_rsplit(lb__jrun *r, const lb__jstr *s, const lb__jstr *separator, int64_t max);
lb__jval lb__jstr_splitlines(lb__jrun *r, const lb__jstr *s, bool keep_ends);
lb__jval lb__jstr_replace(lb__jrun *r, const lb__jstr *s, const lb__jstr *old, const lb__jstr *by,
                          int64_t max);
lb__jval lb__jstr_join(lb__jrun *r, const lb__jstr *glue, lb__jlist *items, bool strict);
lb__jval lb__jstr_repeat(lb__jrun *r, const lb__jstr *s, int64_t n);
lb__jval lb__jstr_reverse(lb__jrun *r, const lb__jstr *s);
lb__jval lb__jstr_escape(lb__jrun *r, const lb__jstr *s); /* HTML; the result is Markup */
typedef enum lb__jcase {
  LB__JCASE_UPPER,
  LB__JCASE_LOWER,
  LB__JCASE_CAPITALIZE,
  LB__JCASE_TITLE,       /* str.title */
  LB__JCASE_TITLE_WORDS, /* Jinja's filter: words begin after spaces, dashes and brackets */
  LB__JCASE_SWAP
} lb__jcase;
lb__jval lb__jstr_case(lb__jrun *r, const lb__jstr *s, lb__jcase to);

/* ---- printing (jinja_print.c) ---- */
bool lb__jprint(lb__jrun *r, lb__jout *out, lb__jval v);       /* Python's str() */
bool lb__jprint_repr(lb__jrun *r, lb__jout *out, lb__jval v);  /* Python's repr() */
const lb__jstr *lb__jto_str(lb__jrun *r, lb__jval v);          /* never NULL */
void lb__jfloat_text(char text[LB__REAL_TEXT_SIZE], double d); /* repr(float) */

typedef struct lb__jjson {                                 /* the arguments of json.dumps */
  const lb__jstr *indent, *item_separator, *key_separator; /* indent NULL: one line */
  bool ensure_ascii, sort_keys;
} lb__jjson;
lb__jval lb__jto_json(lb__jrun *r, lb__jval v, const lb__jjson *style);

/* Fails with the undefined value's own sentence ("'x' is undefined"). */
lb__jval lb__jfail_undefined(lb__jrun *r, lb__jval v);

#endif

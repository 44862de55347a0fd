/* json_scan.h - a cursor over JSON text, for the two huge members of a tokenizer.json: vocab and
 * merges are read straight into tables, because a tree of 33 MB costs more time and memory than
 * everything else together. Owns: strict syntax, escapes, a depth cap. The text is valid UTF-8. */
#ifndef LB_TEXT_JSON_SCAN_H
#define LB_TEXT_JSON_SCAN_H

#include "base/memory.h"

typedef struct lb__json_cursor {
  const char *begin, *at, *end; /* *end is NUL */
  const char *name;             /* of the file, for errors */
  lb__buf text;                 /* the last string that had escapes */
} lb__json_cursor;

/* Skips white space and, if the next character is c, that character too. */
bool lb__json_accept(lb__json_cursor *c, char character);
lb_status lb__json_expect(lb__json_cursor *c, char character, lb_error *err);
/* A string; valid until the next call. */
lb_status lb__json_string(lb__json_cursor *c, const char **text, size_t *size, lb_error *err);
lb_status lb__json_integer(lb__json_cursor *c, int64_t *value, lb_error *err);
lb_status lb__json_number(lb__json_cursor *c, double *value, lb_error *err);
/* Skips one value of any kind. [*start, at) is its text. */
lb_status lb__json_skip(lb__json_cursor *c, const char **start, lb_error *err);
/* "name: byte N: want <what>". */
lb_status lb__json_fail(const lb__json_cursor *c, const char *what, lb_error *err);

#endif

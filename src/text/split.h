/* split.h - cutting a text into pieces by a pattern, the way NormalizedString::split of the
 * reference does. Owns: patterns (a string, a regex, a character class, a scanner) and the five
 * ways to treat a match. */
#ifndef LB_TEXT_SPLIT_H
#define LB_TEXT_SPLIT_H

#include "scanners.h"
#include "text_regex.h"

typedef struct lb__span {
  uint32_t start, end; /* bytes */
} lb__span;

typedef struct lb__spans {
  lb__span *items;
  size_t n, capacity;
} lb__spans;

bool lb__spans_add(lb__spans *s, size_t start, size_t end); /* false: no memory */

typedef enum lb__split_behavior {
  LB__SPLIT_REMOVED,
  LB__SPLIT_ISOLATED,
  LB__SPLIT_MERGED_WITH_PREVIOUS,
  LB__SPLIT_MERGED_WITH_NEXT,
  LB__SPLIT_CONTIGUOUS
} lb__split_behavior;

typedef struct lb__pattern {
  enum { LB__PATTERN_STRING, LB__PATTERN_REGEX, LB__PATTERN_CLASS, LB__PATTERN_SCANNER } kind;
  char *string; /* STRING; empty matches nothing */
  size_t string_size;
  lb__regex *regex;
  unsigned class_bits; /* CLASS: one character of any of these classes, LB__UC_... */
  lb__scanner *scanner;
} lb__pattern;

void lb__pattern_deinit(lb__pattern *p);
bool lb__pattern_is_space(const lb__pattern *p); /* the string " " */

/* The next match at or after *position; *position moves behind it. Also empty matches, as
 * Oniguruma's iterator finds them. *found false at the end of the text. */
typedef struct lb__matches {
  const lb__pattern *pattern;
  const char *text;
  size_t size, position, last_end;
  bool has_last;
} lb__matches;
lb_status lb__matches_next(lb__matches *m, bool *found, size_t *start, size_t *end, lb_error *err);

/* Cuts text[start..end) and appends the nonempty pieces to `out`. The pattern sees nothing of the
 * text outside. `scratch` is emptied. */
lb_status lb__split(lb__spans *out, lb__spans *scratch, const char *text, lb__span piece,
                    const lb__pattern *pattern, lb__split_behavior behavior, bool invert,
                    lb_error *err);

#endif

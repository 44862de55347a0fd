/* outside_text.h - text that comes from outside (names, recipes, what models wrote), character by
 * character, for whoever writes it into a page. Refuses: knowing what a page may hold; Markdown and
 * HTML escape for themselves. */
#ifndef LB_REPORT_OUTSIDE_TEXT_H
#define LB_REPORT_OUTSIDE_TEXT_H

#include "base/memory.h"

#include <jansson.h>

/* Takes the next character of *s, U+FFFD for what is not UTF-8; false at the end. */
bool lb__outside_next(uint32_t *c, const char **s);
void lb__outside_add(lb__buf *b, uint32_t c); /* as UTF-8 */
/* HTML in which the text means nothing but itself, in elements and in quoted attributes: markup is
 * escaped, and control characters and those that turn the direction of writing are U+FFFD. */
void lb__outside_add_html(lb__buf *b, const char *text);
/* A JSON string; what is not UTF-8 (names of files are bytes, and a model may stop within a
 * character) is U+FFFD. NULL: no memory */
json_t *lb__outside_json(const char *text);

#endif

/* text_regex.h - regular expressions out of tokenizer files: PCRE2 made to answer as Oniguruma (the
 * reference's engine) does, with limits, because the pattern comes from a stranger.
 * Owns: rewriting of classes, compilation, the walk over all matches. Refuses: nested and
 * intersected classes, patterns beyond a size cap; gives LB_E_LIMIT when matching explodes. */
#ifndef LB_TEXT_REGEX_H
#define LB_TEXT_REGEX_H

#include <limbeck/status.h>

#include <stdbool.h>

typedef struct lb__regex lb__regex;

/* `where` names the pattern in errors ("pre_tokenizer.pattern"). */
lb_status lb__regex_new(lb__regex **out, const char *pattern, size_t size, const char *where,
                        lb_error *err);
void lb__regex_free(lb__regex *regex);

/* The first match at or after `from` in text[0..size) (valid UTF-8); *found false when none.
 * @thread any number at once: the pattern is not changed, only its pool of match memory */
lb_status lb__regex_find(lb__regex *regex, const char *text, size_t size, size_t from, bool *found,
                         size_t *start, size_t *end, lb_error *err);

#endif

/* normal_form.h - Unicode normalisation forms NFC, NFD, NFKC, NFKD. Owns: the order of marks (a
 * linear sort: utf8proc's own is quadratic on a long run of marks) and skipping text that is
 * normal already. utf8proc supplies decompositions and compositions. */
#ifndef LB_TEXT_NORMAL_FORM_H
#define LB_TEXT_NORMAL_FORM_H

#include <limbeck/status.h>

#include <stdbool.h>

typedef struct lb__normal_form {
  bool compatible; /* the K */
  bool compose;    /* C, not D */
} lb__normal_form;

struct lb__buf;
/* Appends the normal form of valid UTF-8. */
lb_status lb__normal_form_apply(struct lb__buf *out, const char *text, size_t size,
                                lb__normal_form form, lb_error *err);
/* Length of the prefix that certainly needs no change; `size` when the text is normal. */
size_t lb__normal_form_prefix(const char *text, size_t size, lb__normal_form form);

#endif

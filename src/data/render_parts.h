/* render_parts.h - what render.c, render_text.c and render_rules.c share. Nobody else includes it.
 */
#ifndef LB_DATA_RENDER_PARTS_H
#define LB_DATA_RENDER_PARTS_H

#include "batch.h"
#include "render.h"

lb_status lb__fail_fatal(lb__made_row *row, lb_status status); /* marks the row; returns status */

/* Truncates, checks ids, shifts labels (labels[i] belongs to ids[i]) into targets, counts; leaves
 * out what teaches nothing. */
lb_status lb__add_document(lb__made_row *row, const int32_t *ids, const int32_t *labels, size_t n,
                           const lb__render_rules *r);
uint64_t lb__hash_document(const int32_t *cells, int64_t n); /* ids[n], targets[n] */

lb_status lb__render_text(lb__made_row *row, const lb__example *e, const lb__render_rules *r);
lb_status lb__render_prompt(lb__made_row *row, const lb__example *e, const lb__render_rules *r);
lb_status lb__render_conversation(lb__made_row *row, const lb__example *e,
                                  const lb__render_rules *r);
lb_status lb__render_tokens(lb__made_row *row, const lb__example *e, const lb__render_rules *r);
/* Part of a text file: documents of at most max_length tokens, nothing lost. */
lb_status lb__render_running_text(lb__made_row *row, const char *text, size_t size, bool is_end,
                                  const lb__render_rules *r);

#endif

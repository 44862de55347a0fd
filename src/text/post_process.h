/* post_process.h - the special tokens that a post-processor puts around a text. Owns: templates
 * (only `single`: a pair of texts is nothing a decoder model sees). */
#ifndef LB_TEXT_POST_PROCESS_H
#define LB_TEXT_POST_PROCESS_H

#include "bpe.h"
#include "config_path.h"

/* One template: ids with LB__SEQUENCE where the text goes. Several run one after the other. */
#define LB__SEQUENCE (-1)
typedef struct lb__templates {
  lb__ids *items;
  size_t n, capacity;
} lb__templates;

lb_status lb__templates_compile(lb__templates *out, const json_t *part, lb_error *err);
/* LB_E_FORMAT when an id is not below n_ids, the vocabulary's with all added tokens. */
lb_status lb__templates_check(const lb__templates *t, int32_t n_ids, lb_error *err);
void lb__templates_deinit(lb__templates *t);
/* Rewrites ids in place. */
lb_status lb__templates_apply(const lb__templates *t, lb__ids *ids, lb_error *err);

#endif

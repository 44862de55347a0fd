/* precisions.h - one model in several precisions: what each makes of the same documents, and how
 * fast. Owns: the figures of <limbeck/score.h>'s lb_compare_precisions. Refuses: choosing one
 * (auto_precision.c). */
#ifndef LB_EVALUATE_PRECISIONS_H
#define LB_EVALUATE_PRECISIONS_H

#include "base/memory.h"

#include <limbeck/score.h>

/* One way to compute. F32, BF16 and STORED may share an open model: what differs is the products.
 */
typedef struct lb__variant {
  lb_model *model; /* in any of those; or in INT8, when that is the precision */
  lb_precision precision;
} lb__variant;

/* The same weights in n variants; the first is F32. Fills out->n, n_tokens, n_predicted and figures
 * 0 to n-1, but for their resident_bytes. The speed of writing is that of
 * the fastest step of a few times n_written.
 * @error as lb_compare_precisions */
lb_status lb__precisions_measure(lb_precision_comparison *out, const lb__variant *variants,
                                 size_t n, const lb_prompt *documents, size_t n_documents,
                                 int64_t n_written, const volatile int *cancel, lb_error *err);

/* Adds " bf16 KL 0.0001, int8 KL 0.0046": all but the first, which is F32. */
void lb__precisions_list(lb__buf *line, const lb_precision_comparison *found);

#endif

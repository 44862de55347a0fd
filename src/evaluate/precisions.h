/* precisions.h - one model in several precisions: what each makes of the same documents, and how
 * fast. Owns: the figures of <limbeck/score.h>'s lb_compare_precisions. Refuses: choosing one
 * (auto_precision.c). */
#ifndef LB_EVALUATE_PRECISIONS_H
#define LB_EVALUATE_PRECISIONS_H

#include <limbeck/score.h>

/* The same model, open in n precisions; models[0] is F32. Fills out->n_tokens, out->n_predicted and
 * figures 0 to n-1, but for their resident_bytes. The speed of writing is the fastest of n_written
 * steps.
 * @error as lb_compare_precisions */
lb_status lb__precisions_measure(lb_precision_comparison *out, lb_model *const *models, size_t n,
                                 const lb_prompt *documents, size_t n_documents, int64_t n_written,
                                 const volatile int *cancel, lb_error *err);

#endif

/* plan_memory.h - what a run will hold in memory and on disk, from the sizes of its models and
 * batches. Owns: the formulas; test_golden_plan.c compares them with what steps really held. */
#ifndef LB_DISTILL_PLAN_MEMORY_H
#define LB_DISTILL_PLAN_MEMORY_H

#include "setup.h"

/* Fills memory lines, totals, disk and what is available. When it does not fit, the first pieces of
 * advice are the settings that would help most, with what each saves. plan->total_steps is known.
 */
void lb__plan_estimate(lb_plan *plan, const lb__setup *s);
/* What gradient_checkpointing comes to with so many bytes free: auto is true where the run would
 * not fit otherwise. s->recomputes is not read. */
bool lb__plan_recomputes(const lb__setup *s, uint64_t available);
/* A remark, if there is room for one more. */
void lb__plan_advise(lb_plan *plan, const char *format, ...) LB_PRINTF(2, 3);
/* LB_E_LIMIT naming what is missing and what would help; LB_OK when it fits. */
lb_status lb__plan_refuse(const lb_plan *plan, lb_error *err);

/* plan.c: counts, estimate and advice; everything but the probe. */
void lb__plan_fill(lb_plan *plan, const lb__setup *s);

#endif

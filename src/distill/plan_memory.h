/* plan_memory.h - what a run will hold in memory and on disk, from the sizes of its models and
 * batches. Owns: the formulas; test_plan.c compares them with what runs really held. */
#ifndef LB_DISTILL_PLAN_MEMORY_H
#define LB_DISTILL_PLAN_MEMORY_H

#include "setup.h"

/* Fills memory lines, totals, disk and what is available. */
void lb__plan_estimate(lb_plan *plan, const lb__setup *s);
/* Adds a remark; past LB_PLAN_ADVICE_MAX nothing. */
void lb__plan_advise(lb_plan *plan, const char *format, ...) LB_PRINTF(2, 3);
/* When it does not fit: LB__PLAN_HELPFUL remarks, each a setting that would help and what it saves.
 * Called before any other remark is made. */
enum { LB__PLAN_HELPFUL = 3 };
void lb__plan_advise_fit(lb_plan *plan, const lb__setup *s);
/* LB_E_LIMIT naming what is missing and the three settings that would help most, with what each
 * saves; LB_OK when it fits. */
lb_status lb__plan_refuse(const lb__setup *s, lb_error *err);

#endif

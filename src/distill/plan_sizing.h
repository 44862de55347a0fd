/* plan_sizing.h - is the student of a sensible size, and will it see enough? Owns: what is known of
 * that, with where it was published. Refuses: memory and disk (plan_memory.h). */
#ifndef LB_DISTILL_PLAN_SIZING_H
#define LB_DISTILL_PLAN_SIZING_H

#include "setup.h"

/* Fills the plan's tokens a parameter, and advises. Parameters and steps are counted already. */
void lb__plan_size(lb_plan *plan, const lb__setup *s);

#endif

/* recipe_check.h - what no single key can tell: keys that need, exclude or contradict each other.
 * Owns: rules that need no files. Refuses: opening anything (run and plan do). */
#ifndef LB_DISTILL_RECIPE_CHECK_H
#define LB_DISTILL_RECIPE_CHECK_H

#include "recipe.h"

/* What is wrong, without the place: *key names the key to blame, so that the caller can put its
 * file and line before the message; NULL when the message says all.
 * @error LB_E_ARG */
lb_status lb__recipe_check(const lb_recipe *r, const char **key, lb_error *err);

#endif

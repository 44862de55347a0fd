/* recipe_values.h - one key and its value: text into the recipe, and the recipe into text.
 * Owns: what a number, a truth and a list look like. Refuses: where they stand (recipe.c). */
#ifndef LB_DISTILL_RECIPE_VALUES_H
#define LB_DISTILL_RECIPE_VALUES_H

#include "recipe_keys.h"

#include "base/yaml.h"

/* True for what means "as if the line were not there": null, ~, or nothing. */
bool lb__recipe_is_null(const lb__yaml_node *value);
/* Puts a value into the recipe. @error LB_E_FORMAT "train.learning_rate: want a number > 0, found
 * 'x'", LB_E_NOMEM */
lb_status lb__recipe_set(lb_recipe *r, const lb__recipe_row *row, const lb__yaml_node *value,
                         lb_error *err);
/* Whether a key whose "not given" is zero was given: every bound one. */
bool lb__recipe_is_given(const lb_recipe *r, const lb__recipe_row *row);
/* Whether anything bound below a section was given. */
bool lb__recipe_has_below(const lb_recipe *r, const char *section);
/* Makes it zero again. */
void lb__recipe_unset(lb_recipe *r, const lb__recipe_row *row);
/* The value as YAML that lb__recipe_set reads back. */
void lb__recipe_write(lb__buf *out, lb_recipe *r, const lb__recipe_row *row);

#endif

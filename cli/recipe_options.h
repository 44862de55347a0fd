/* recipe_options.h - the keys of a recipe on the command line, and explained.
 * Owns: their names as options, their help, docs/recipe.md. Refuses: reading values, which is
 * lb_recipe_load's. */
#ifndef RECIPE_OPTIONS_H
#define RECIPE_OPTIONS_H

#include "cli.h"

#include <limbeck/distill.h>

/* For verb.extra_key: every name of every key. */
extra_key recipe_extra_key(size_t i);

/* The keys as rows of an option table, for shell completion. */
const option *recipe_option_rows(void);

/* The RECIPE of a verb, with what the environment and the command line override. path NULL: the
 * command line says all. @return CLI_DONE, or what to return after the error was told */
int recipe_open(lb_recipe **out, const cli *c, const char *path);

/* "limbeck distill r.yaml 'prompt=a b' resume_from_checkpoint=true": the same call again, for a
 * shell, and `more` after it. */
void recipe_put_command(text *out, const cli *c, const char *path, const char *more);

/* Every key with default and meaning: for people, for man, for docs/recipe.md. */
void recipe_print_keys(const cli *c, FILE *file);
void recipe_print_man(FILE *file);
void recipe_print_markdown(FILE *file);

#endif

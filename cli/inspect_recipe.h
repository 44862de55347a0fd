/* inspect_recipe.h - `limbeck inspect recipe.yaml`: the data as training will see it. */
#ifndef INSPECT_RECIPE_H
#define INSPECT_RECIPE_H

#include "cli.h"

/* True for a path that names a recipe: .yaml or .yml. */
bool inspect_is_recipe(const char *path);
/* Format, counts, and one document with its trained tokens marked. */
int inspect_recipe(const cli *c, const char *path, int64_t document);

#endif

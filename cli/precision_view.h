/* precision_view.h - what `score --compare-precision` prints. */
#ifndef PRECISION_VIEW_H
#define PRECISION_VIEW_H

#include "cli.h"

#include <limbeck/score.h>

/* A table, or with --json one object. */
void precision_view_print(const cli *c, const lb_precision_comparison *found);

#endif

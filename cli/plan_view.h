/* plan_view.h - an lb_plan for people and for programs. */
#ifndef PLAN_VIEW_H
#define PLAN_VIEW_H

#include "cli.h"
#include "json_writer.h"

#include <limbeck/distill.h>

/* Tables on `file`: models, data, run, memory; then the advice. */
void plan_print(const lb_plan *plan, const cli *c, FILE *file);
/* Its members, into an object that is open. */
void plan_write(const lb_plan *plan, writer *w);
/* "error: this run needs 9.1 GB of memory, 4.0 GB are free", and the settings that would help.
 * @return CLI_FAILED */
int plan_refuse(const lb_plan *plan, const cli *c);

#endif

/* result_view.h - what a finished run tells: figures, answers side by side, where the student is.
 */
#ifndef RESULT_VIEW_H
#define RESULT_VIEW_H

#include "cli.h"

#include <limbeck/distill.h>

/* The table teacher / student before / student after, the answers, the next commands, on stdout. */
void result_print(const lb_distill_result *r, const cli *c);
/* {"event":"result", ...}, one line on stdout. */
void result_write(const lb_distill_result *r);

#endif

/* run_display.h - what a run shows while it runs.
 *
 * On a terminal: one line that moves (tqdm's shape), with what must stay (evaluations, checkpoints,
 * warnings) above it. Elsewhere: a plain line per log. With --json: an object per event on stdout.
 * Owns: the shape of lines. Refuses: knowing what is run. */
#ifndef RUN_DISPLAY_H
#define RUN_DISPLAY_H

#include "json_writer.h"
#include "terminal.h"

#include <limbeck/distill.h>

#include <time.h>

typedef struct run_display {
  const cli *c;
  writer json;
  char phase[64];        /* the one that is shown, or was shown last */
  bool is_line_open;     /* something is on the terminal's last line */
  struct timespec shown; /* when: the line moves ten times a second at most */
  lb_event last;         /* of what was known last: losses come with logs */
  bool has_losses;
} run_display;

void run_display_init(run_display *d, const cli *c);
void run_display_deinit(run_display *d);
/* Fills on_event, on_phase and cancel. */
lb_distill_options run_display_options(run_display *d);
/* Clears the moving line; what is printed next stands alone. */
void run_display_end(run_display *d);

/* "1,234" */
void format_thousands(text *out, double x);
/* "01:02", "1:02:03"; "?" when it is not known */
void format_duration(text *out, double seconds);

#endif

/* listener.h - what happened, for whoever wants to know. The trainer tells; progress bars, run logs
 * and TensorBoard listen. Owns: the shape of an event. Refuses: printing. */
#ifndef LB_TRAIN_LISTENER_H
#define LB_TRAIN_LISTENER_H

#include <limbeck/train_events.h>

typedef struct lb__listeners {
  struct lb__listener {
    lb_event_fn *fn;
    void *ctx;
  } list[8];
  size_t n;
} lb__listeners;
/* LB_E_LIMIT when there are eight already */
lb_status lb__listeners_add(lb__listeners *l, lb_event_fn *fn, void *ctx, lb_error *err);
/* Tells all, in order; the first failure stops the run (a log that cannot be written is an error).
 */
lb_status lb__listeners_tell(const lb__listeners *l, const lb_event *event, lb_error *err);

#endif

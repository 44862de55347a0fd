/* listener.c - see listener.h. */
#include "listener.h"

#include "base/fail.h"

enum { MOST_LISTENERS = sizeof((lb__listeners *)0)->list / sizeof *((lb__listeners *)0)->list };

lb_status lb__listeners_add(lb__listeners *l, lb_event_fn *fn, void *ctx, lb_error *err) {
  if (l->n == MOST_LISTENERS)
    return lb__fail(err, LB_E_LIMIT, "a training run has at most %d listeners", MOST_LISTENERS);
  l->list[l->n++] = (struct lb__listener){fn, ctx};
  return LB_OK;
}

lb_status lb__listeners_tell(const lb__listeners *l, const lb_event *event, lb_error *err) {
  for (size_t i = 0; i < l->n; i++) {
    lb_status st = l->list[i].fn(l->list[i].ctx, event, err);
    if (st != LB_OK) return st;
  }
  return LB_OK;
}

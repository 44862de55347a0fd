/* metrics.h - the numbers of an event under the names that logs show: loss, loss_kd, grad_norm,
 * eval_loss. The one list for every log. Refuses: numbers that are not known (NaN) or not finite.
 */
#ifndef LB_REPORT_METRICS_H
#define LB_REPORT_METRICS_H

#include <limbeck/train_events.h>

enum { LB__METRIC_NAME_SIZE = 48, LB__METRICS_MAX = 16 + LB_LOSS_TERMS_MAX };

typedef struct lb__metrics {
  size_t n;
  struct lb__metric {
    char name[LB__METRIC_NAME_SIZE];
    double value;
    bool is_whole; /* a count */
  } list[LB__METRICS_MAX];
} lb__metrics;

/* What a LOG or an EVAL event has to say; nothing of other kinds. The step is not among them. */
void lb__metrics_of(lb__metrics *out, const lb_event *event);

#endif

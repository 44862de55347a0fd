/* run_log.h - output_dir/metrics.jsonl: one JSON object a line, for scripts and plots.
 *
 *   {"step": 10, "epoch": 0.5, "loss": 2.31, "loss_ce": 3.1, "loss_kd": 1.97, "grad_norm": 0.9,
 * ...}
 *   {"step": 50, "epoch": 2.5, "eval_loss": 2.2, "eval_kl": 0.31, ...}
 *   {"step": 61, "warning": "step 61: the loss is not finite; the step was skipped"}
 *
 * A fresh run begins a new file. A run resumed at step N keeps the lines up to the last one of a
 * step <= N; what a killed run wrote after its last checkpoint goes, and so does a torn last line.
 * Lines that cannot be read are kept where lines that can be read follow them.
 * After a rollback steps come again: the later line of a step is the one that counts, and a warning
 * stands before it.
 * Refuses: telling how a run ended (a resumed one would tell it twice). */
#ifndef LB_REPORT_RUN_LOG_H
#define LB_REPORT_RUN_LOG_H

#include <limbeck/train_events.h>

typedef struct lb__run_log lb__run_log;
/* Touches nothing before the first event. @owns *out: lb__run_log_free   @error LB_E_NOMEM
 * @test tests/unit/test_run_log.c */
lb_status lb__run_log_new(lb__run_log **out, const char *output_dir, lb_error *err);
/* An lb_event_fn; ctx is the log. BEGIN opens the file, CHECKPOINT puts it on the disk, END closes
 * it. @error LB_E_IO, LB_E_NOMEM; LB_E_ARG (an event before BEGIN) */
lb_status lb__run_log_event(void *ctx, const lb_event *event, lb_error *err);
void lb__run_log_free(lb__run_log *log);

#endif

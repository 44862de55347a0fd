/* run_curves.h - metrics.jsonl read back: for each number of the log a curve over steps, and the
 * warnings. Of a step that comes twice (after a rollback) the later line counts. Lines that are not
 * such objects are counted and passed over: a log may be torn by whatever ended its run.
 * Refuses: knowing which numbers there are. */
#ifndef LB_REPORT_RUN_CURVES_H
#define LB_REPORT_RUN_CURVES_H

#include "metrics.h"

typedef struct lb__curve {
  char name[LB__METRIC_NAME_SIZE];
  size_t n, step_capacity, value_capacity;
  double *steps, *values; /* [n]; steps rise */
} lb__curve;

enum { LB__CURVES_MAX = 48, LB__CURVE_WARNINGS_MAX = 50 };

typedef struct lb__run_curves {
  size_t n;
  lb__curve list[LB__CURVES_MAX];
  size_t n_warnings;                      /* in the log */
  char *warnings[LB__CURVE_WARNINGS_MAX]; /* the first of them */
  int64_t n_lines, n_unread;
} lb__run_curves;

/* @owns *out: lb__run_curves_deinit, also after a failure
 * @error LB_E_IO, LB_E_LIMIT (a log beyond 1 GiB), LB_E_NOMEM  @test tests/unit/test_report.c */
lb_status lb__run_curves_read(lb__run_curves *out, const char *path, lb_error *err);
/* The same of a log's text; for fuzzing. */
lb_status lb__run_curves_parse(lb__run_curves *out, const char *text, size_t size, lb_error *err);
void lb__run_curves_deinit(lb__run_curves *curves);
const lb__curve *lb__run_curves_find(const lb__run_curves *curves, const char *name); /* or NULL */

#endif

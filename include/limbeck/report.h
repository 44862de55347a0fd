/** limbeck/report.h - a run as one page: report.html, made of the run's metrics.jsonl and run.json.
 *
 *      lb_report_options options = {.run = "distilled"};
 *      lb_report_facts facts;
 *      lb_status st = lb_report_write(&facts, &options, &err);   // distilled/report.html
 *
 *  The page holds everything it needs (no scripts, nothing is fetched), is light or dark as the
 *  reader's system is, and can be made while the run goes on.                                   */
#ifndef LIMBECK_REPORT_H
#define LIMBECK_REPORT_H

#include <limbeck/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lb_report_options {
  const char *run;        /* a run's output_dir */
  const char *baseline;   /* another's, drawn beside it; NULL: none */
  const char *comparison; /* what `limbeck compare --json` printed; NULL: none */
  const char *output;     /* NULL: run/report.html. Replaced when it is there */
} lb_report_options;

typedef struct lb_report_facts {
  char path[4096];       /* of the page */
  int64_t lines, unread; /* of the run's log; unread: torn or foreign, passed over */
} lb_report_facts;

/** Writes the page atomically.
 *  @error LB_E_ARG (no run), LB_E_IO (no metrics.jsonl there), LB_E_FORMAT (run.json or a
 *         comparison that are none), LB_E_LIMIT, LB_E_NOMEM   @test tests/unit/test_report.c */
LB_API LB_NODISCARD lb_status lb_report_write(lb_report_facts *facts,
                                              const lb_report_options *options, lb_error *err);

#ifdef __cplusplus
}
#endif
#endif

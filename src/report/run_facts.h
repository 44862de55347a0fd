/* run_facts.h - output_dir/run.json: what a run was told, on what machine, and what came of it, in
 * one versioned object, so that a report can be made later without the models:
 *
 *   {"format": "limbeck-run", "version": 1,
 *    "state": "running" | "interrupted" | "failed" | "finished", "error": "of a failed run",
 *    "teacher", "student", "loss", "data": [...], "documents", "tokens", "held_out_documents",
 *    "settings": "the resolved recipe, YAML", "test_prompt",
 *    "environment": {"limbeck", "build", "cpu", "threads", "libraries": {...}, "kernels": {...}},
 *    "result": {"steps", "seconds", ..., "teacher": {"perplexity", ...}, "before", "after",
 *               "teacher_answer", "student_answer"}}
 *
 * What is not known is not there. Refuses: reading it back (html_report.c does). */
#ifndef LB_REPORT_RUN_FACTS_H
#define LB_REPORT_RUN_FACTS_H

#include "model_card.h"

#define LB__RUN_FACTS_FILE   "run.json"
#define LB__RUN_FACTS_FORMAT "limbeck-run"
enum { LB__RUN_FACTS_VERSION = 1 };

typedef struct lb__run_state {
  const char *name;        /* one of the above */
  const char *error;       /* NULL: none */
  const char *test_prompt; /* NULL: none */
} lb__run_state;

/* Atomically. @error LB_E_IO, LB_E_NOMEM  @test tests/unit/test_report.c */
lb_status lb__run_facts_save(const char *folder, const lb__model_card *card,
                             const lb__run_state *state, lb_error *err);

#endif

/* test_run_log.c - metrics.jsonl: its lines, what a resumed run keeps, and every call failing. */
#include "report/run_log.h"

#include "faults.h"
#include "scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char *folder;
static lb_error err;

static int setup(void **state) {
  (void)state;
  folder = scratch_new();
  return 0;
}

static int teardown(void **state) {
  (void)state;
  scratch_remove(folder);
  return 0;
}

static void expect_file(const char *text) {
  char *found = scratch_read(folder, "run/metrics.jsonl", NULL);
  assert_string_equal(found, text);
  free(found);
}

/* ---- a run that logs every step, evaluates every second and saves every third ---- */

static lb_status tell(lb__run_log *log, lb_event e, lb_error *error) {
  return lb__run_log_event(log, &e, error);
}

static lb_event training(int64_t step) {
  return (lb_event){.kind = LB_EVENT_LOG,
                    .step = step,
                    .epoch = (double)step / 4,
                    .loss = 1.0 / (double)step,
                    .n_terms = 2,
                    .term_names = {"ce", "kd"},
                    .terms = {2.5, NAN},
                    .grad_norm = 0.1,
                    .learning_rate = 5e-05,
                    .tokens = 590 * step,
                    .trained_tokens = 500 * step,
                    .tokens_per_second = INFINITY};
}

static lb_event evaluation(int64_t step) {
  return (lb_event){.kind = LB_EVENT_EVAL,
                    .step = step,
                    .epoch = (double)step / 4,
                    .eval_loss = NAN, /* not known: the line must be recognised without it */
                    .eval_ce = 2.0,
                    .eval_perplexity = 7.25,
                    .eval_kl = NAN,
                    .eval_reverse_kl = NAN,
                    .eval_agreement = NAN,
                    .eval_accuracy = 0.5};
}

static lb_status run_steps(int64_t resumed, int64_t last, lb_error *error) {
  lb__run_log *log;
  lb_status st = lb__run_log_new(&log, scratch_path(folder, "run"), error);
  if (st == LB_OK) st = tell(log, (lb_event){.kind = LB_EVENT_BEGIN, .step = resumed}, error);
  for (int64_t s = resumed + 1; s <= last && st == LB_OK; s++) {
    st = tell(log, (lb_event){.kind = LB_EVENT_STEP, .step = s}, error);
    if (st == LB_OK) st = tell(log, training(s), error);
    if (st == LB_OK && s % 2 == 0) st = tell(log, evaluation(s), error);
    if (st == LB_OK && s % 3 == 0)
      st = tell(log, (lb_event){.kind = LB_EVENT_CHECKPOINT, .step = s}, error);
  }
  lb__run_log_free(log); /* without END: killed */
  return st;
}

#define LINE_1                                                                                     \
  "{\"step\": 1, \"epoch\": 0.25, \"loss\": 1.0, \"loss_ce\": 2.5, \"grad_norm\": 0.1, "           \
  "\"learning_rate\": 5e-05, \"tokens\": 590, \"trained_tokens\": 500, \"skipped_steps\": 0}\n"
#define LINE_2                                                                                     \
  "{\"step\": 2, \"epoch\": 0.5, \"loss\": 0.5, \"loss_ce\": 2.5, \"grad_norm\": 0.1, "            \
  "\"learning_rate\": 5e-05, \"tokens\": 1180, \"trained_tokens\": 1000, \"skipped_steps\": 0}\n"
#define EVAL_2                                                                                     \
  "{\"step\": 2, \"epoch\": 0.5, \"eval_ce\": 2.0, \"eval_perplexity\": 7.25, "                    \
  "\"eval_accuracy\": 0.5}\n"

static void test_lines(void **state) {
  (void)state;
  assert_int_equal(run_steps(0, 2, &err), LB_OK);
  expect_file(LINE_1 LINE_2 EVAL_2);
  assert_int_equal(run_steps(0, 1, &err), LB_OK); /* a fresh run begins a new file */
  expect_file(LINE_1);
}

static void test_resumed_is_uninterrupted(void **state) {
  (void)state;
  assert_int_equal(run_steps(0, 12, &err), LB_OK);
  char *whole = scratch_read(folder, "run/metrics.jsonl", NULL);
  for (int64_t killed = 3; killed <= 12; killed++)
    for (int64_t saved = 3; saved <= killed; saved += 3) {
      assert_int_equal(run_steps(0, killed, &err), LB_OK);
      assert_int_equal(run_steps(saved, 12, &err), LB_OK);
      expect_file(whole);
    }
  free(whole);
}

/* Evaluated at the saved step again: what is there already is not said twice. */
static void test_same_step_again(void **state) {
  (void)state;
  lb__run_log *log;
  assert_int_equal(run_steps(0, 2, &err), LB_OK);
  assert_int_equal(lb__run_log_new(&log, scratch_path(folder, "run"), &err), LB_OK);
  assert_int_equal(tell(log, (lb_event){.kind = LB_EVENT_BEGIN, .step = 2}, &err), LB_OK);
  assert_int_equal(tell(log, training(2), &err), LB_OK);
  assert_int_equal(tell(log, evaluation(2), &err), LB_OK);
  assert_int_equal(tell(log, (lb_event){.kind = LB_EVENT_END, .step = 2}, &err), LB_OK);
  assert_int_equal(tell(log, training(3), &err), LB_E_ARG); /* after the end */
  lb__run_log_free(log);
  expect_file(LINE_1 LINE_2 EVAL_2);
}

static void expect_kept(const char *before, int64_t resumed, const char *after) {
  scratch_write_text(folder, "run/metrics.jsonl", before);
  assert_int_equal(run_steps(resumed, resumed, &err), LB_OK);
  expect_file(after);
}

static void test_damaged_files(void **state) {
  (void)state;
  assert_int_equal(run_steps(0, 1, &err), LB_OK);
  expect_kept(LINE_1 "{\"step\": 2, \"ep", 5, LINE_1); /* torn */
  expect_kept(LINE_1 "\n\x01rubbish\n" LINE_2, 5, LINE_1 "\n\x01rubbish\n" LINE_2);
  expect_kept(LINE_1 "[1]\n{\"step\": \"2\"}\n{}\n", 5, LINE_1);
  expect_kept(LINE_1 LINE_2 "{\"step\": 3}\n" LINE_2 "{\"step\": 3}\n", 2, /* after a rollback */
              LINE_1 LINE_2 "{\"step\": 3}\n" LINE_2);
  expect_kept("", 5, "");
  expect_kept("no newline", 5, "");
}

static void test_warnings(void **state) {
  (void)state;
  lb__run_log *log;
  assert_int_equal(lb__run_log_new(&log, scratch_path(folder, "run"), &err), LB_OK);
  assert_int_equal(tell(log, (lb_event){.kind = LB_EVENT_WARNING, .text = "early"}, &err),
                   LB_E_ARG);
  assert_non_null(strstr(err.message, "metrics.jsonl': an event came before the run began"));
  assert_int_equal(tell(log, (lb_event){.kind = LB_EVENT_BEGIN}, &err), LB_OK);
  lb_event e = {.kind = LB_EVENT_WARNING, .step = 7, .text = "a \"b\"\n\xFF\xC3\xA9"};
  assert_int_equal(tell(log, e, &err), LB_OK);
  lb__run_log_free(log);
  lb__run_log_free(NULL);
  expect_file("{\"step\": 7, \"warning\": \"a \\\"b\\\"\\n\xEF\xBF\xBD\xC3\xA9\"}\n");
}

/* ---- faults ---- */

static void prepare(void *ctx) {
  (void)ctx;
  scratch_write_text(folder, "run/metrics.jsonl", LINE_1 LINE_2 "{\"torn");
}

static lb_status run_resumed(void *ctx, lb_error *error) {
  (void)ctx;
  return run_steps(1, 3, error);
}

static void check(void *ctx, lb_status st, bool left_behind) {
  (void)ctx, (void)st;
  size_t size;
  char *found = scratch_read(folder, "run/metrics.jsonl", &size);
  assert_memory_equal(found, LINE_1, strlen(LINE_1)); /* what was logged is never lost */
  if (!left_behind && strstr(found, "{\"torn") == NULL) assert_int_equal(found[size - 1], '\n');
  free(found);
}

static void test_every_call_may_fail(void **state) {
  (void)state;
  assert_int_equal(run_steps(0, 1, &err), LB_OK);
  fault_case c = {.run = run_resumed, .prepare = prepare, .check = check};
  assert_true(fault_each_allocation(&c) > 20);
  assert_true(fault_each_io(&c) > 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
      cmocka_unit_test_setup_teardown(test_resumed_is_uninterrupted, setup, teardown),
      cmocka_unit_test_setup_teardown(test_same_step_again, setup, teardown),
      cmocka_unit_test_setup_teardown(test_damaged_files, setup, teardown),
      cmocka_unit_test_setup_teardown(test_warnings, setup, teardown),
      cmocka_unit_test_setup_teardown(test_every_call_may_fail, setup, teardown)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

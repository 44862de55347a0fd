/* test_tensorboard_log.c - event files byte for byte as TensorBoard's own writer makes them, fresh
 * and resumed, and with every call failing in turn. */
#include "report/tensorboard_log.h"
#include "report/tf_record.h"

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
static double clock_now;

/* As the generator's clock: one second later at every event. The name takes the first look. */
static double test_clock(void) {
  return clock_now++;
}

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

/* ---- the same events as generate/tensorboard_events.py ---- */

static lb_event training(int64_t step) {
  double s = (double)step;
  return (lb_event){.kind = LB_EVENT_LOG,
                    .step = step,
                    .epoch = s / 4,
                    .loss = 3.5 - s / 8,
                    .n_terms = 3,
                    .term_names = {"ce", "kd", "hidden"},
                    .terms = {4.25, s * 1e-3, NAN}, /* NaN: not known, not written */
                    .grad_norm = 1.0 / 3,
                    .learning_rate = 5e-5 / s,
                    .tokens = step * 1000,
                    .trained_tokens = step * 900,
                    .tokens_per_second = 123.456};
}

static const lb_event evaluation = {.kind = LB_EVENT_EVAL,
                                    .step = 300,
                                    .epoch = 75,
                                    .eval_loss = 2.5,
                                    .eval_ce = 2.75,
                                    .eval_perplexity = 15.642632,
                                    .eval_kl = 0.125,
                                    .eval_reverse_kl = 0.25,
                                    .eval_agreement = 0.75,
                                    .eval_accuracy = 0.5};

static lb_status tell(lb__tensorboard_log *log, const lb_event *e, lb_error *error) {
  return lb__tensorboard_log_event(log, e, error);
}

static lb_status tell_kind(lb__tensorboard_log *log, lb_event_kind kind, int64_t step,
                           lb_error *error) {
  lb_event e = {.kind = kind, .step = step, .path = "checkpoint", .text = "text"};
  return tell(log, &e, error);
}

static lb_status open_log(lb__tensorboard_log **log, lb_error *error) {
  lb__tensorboard_options o = {.output_dir = folder, .run_name = "run", .now = test_clock};
  clock_now = 1699999999.25;
  return lb__tensorboard_log_new(log, &o, error);
}

static lb_status run_fresh(void *ctx, lb_error *error) {
  static const int64_t steps[] = {1, 2, 300};
  (void)ctx;
  lb__tensorboard_log *log;
  lb_status st = open_log(&log, error);
  if (st == LB_OK) st = tell_kind(log, LB_EVENT_BEGIN, 0, error);
  for (size_t i = 0; i < 3 && st == LB_OK; i++) {
    lb_event e = training(steps[i]);
    st = tell(log, &e, error);
    if (st == LB_OK) st = tell_kind(log, LB_EVENT_STEP, steps[i], error);
  }
  if (st == LB_OK) st = tell(log, &evaluation, error);
  if (st == LB_OK) st = tell_kind(log, LB_EVENT_WARNING, 300, error);
  if (st == LB_OK) st = tell_kind(log, LB_EVENT_CHECKPOINT, 300, error);
  if (st == LB_OK) st = tell_kind(log, LB_EVENT_END, 300, error);
  lb__tensorboard_log_free(log);
  return st;
}

static lb_status run_resumed(lb_error *error) {
  lb__tensorboard_log *log;
  lb_event e = training(3);
  lb_status st = open_log(&log, error);
  if (st == LB_OK) st = tell_kind(log, LB_EVENT_BEGIN, 2, error);
  if (st == LB_OK) st = tell(log, &e, error);
  lb__tensorboard_log_free(log); /* killed, as it were: nothing is lost */
  return st;
}

#define RUN "runs/run/events.out.tfevents."

static void expect_golden(const char *name, const char *golden) {
  size_t size, wanted_size;
  char *found = scratch_read(folder, name, &size);
  char *wanted = scratch_read(LIMBECK_SOURCE_DIR "/tests/golden/events", golden, &wanted_size);
  assert_int_equal(size, wanted_size);
  assert_memory_equal(found, wanted, size);
  free(found);
  free(wanted);
}

static void test_bytes_are_tensorboards(void **state) {
  (void)state;
  assert_int_equal(run_fresh(NULL, &err), LB_OK);
  expect_golden(RUN "1699999999.limbeck", "fresh.tfevents");
  assert_int_equal(run_resumed(&err), LB_OK);
  expect_golden(RUN "1699999999.limbeck", "fresh.tfevents"); /* as it was */
  /* the clock says the same second, the name a later one */
  expect_golden(RUN "1700000000.limbeck", "resumed.tfevents");
  assert_int_equal(scratch_count(scratch_path(folder, "runs/run")), 2);
}

static void test_fresh_run_begins_anew(void **state) {
  (void)state;
  assert_int_equal(run_fresh(NULL, &err), LB_OK);
  assert_int_equal(run_resumed(&err), LB_OK);
  scratch_write_text(folder, "runs/run/notes.txt", "mine");
  assert_int_equal(run_fresh(NULL, &err), LB_OK);
  assert_int_equal(scratch_count(scratch_path(folder, "runs/run")), 2);
  assert_true(scratch_exists(folder, "runs/run/notes.txt"));
  expect_golden(RUN "1699999999.limbeck", "fresh.tfevents");
}

static void test_rollback(void **state) {
  (void)state;
  static const struct {
    int64_t step;
    double ce; /* 0: a line of training */
  } events[] = {{2, 0}, {2, 2.75}, {3, 0}, {2, 0}, {2, 2.5}, {3, 0}};
  lb__tensorboard_log *log;
  assert_int_equal(open_log(&log, &err), LB_OK);
  assert_int_equal(tell_kind(log, LB_EVENT_BEGIN, 0, &err), LB_OK);
  for (size_t i = 0; i < 6; i++) {
    lb_event e = training(events[i].step);
    lb_event evaluated = {.kind = LB_EVENT_EVAL,
                          .step = events[i].step,
                          .epoch = 0.5,
                          .eval_ce = events[i].ce,
                          .eval_loss = NAN,
                          .eval_perplexity = NAN,
                          .eval_kl = NAN,
                          .eval_reverse_kl = NAN,
                          .eval_agreement = NAN,
                          .eval_accuracy = NAN};
    assert_int_equal(tell(log, events[i].ce > 0 ? &evaluated : &e, &err), LB_OK);
  }
  lb__tensorboard_log_free(log);
  expect_golden(RUN "1699999999.limbeck", "rollback.tfevents");
}

static void test_crc(void **state) {
  (void)state; /* RFC 3720, B.4 */
  char zeros[32] = {0};
  assert_int_equal(lb__crc32c("123456789", 9), 0xE3069283u);
  assert_int_equal(lb__crc32c(zeros, sizeof zeros), 0x8A9136AAu);
}

static void test_refusals(void **state) {
  (void)state;
  lb__tensorboard_log *log;
  lb__tensorboard_options o = {.output_dir = folder, .run_name = "../elsewhere"};
  assert_int_equal(lb__tensorboard_log_new(&log, &o, &err), LB_E_ARG);
  assert_null(log);
  assert_string_equal(err.message, "run name '../elsewhere': want a plain file name");
  assert_int_equal(open_log(&log, &err), LB_OK);
  assert_int_equal(tell(log, &evaluation, &err), LB_E_ARG);
  assert_non_null(strstr(err.message, "before the run began"));
  lb__tensorboard_log_free(log);
  lb__tensorboard_log_free(NULL);
}

static void prepare(void *ctx) {
  (void)ctx;
  assert_int_equal(run_fresh(NULL, &err), LB_OK); /* an earlier run, to be removed */
}

static void test_every_call_may_fail(void **state) {
  (void)state;
  fault_case c = {.run = run_fresh, .prepare = prepare};
  assert_true(fault_each_allocation(&c) > 20);
  assert_true(fault_each_io(&c) > 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_bytes_are_tensorboards, setup, teardown),
      cmocka_unit_test_setup_teardown(test_fresh_run_begins_anew, setup, teardown),
      cmocka_unit_test_setup_teardown(test_rollback, setup, teardown),
      cmocka_unit_test(test_crc),
      cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
      cmocka_unit_test_setup_teardown(test_every_call_may_fail, setup, teardown)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_trainer.c - the order of a step and of a run, on a toy that has the smallest model:
 * counting, logging, bad steps, checkpoints; a resumed run is the uninterrupted one, bit for bit.
 */
#define _GNU_SOURCE /* memmem */
#include "base/files.h"
#include "base/json.h"
#include "faults.h"
#include "kernels/kernels.h"
#include "scratch.h"
#include "toy_training.h"
#include "train/checkpoint_folder.h"
#include "train/checkpoint_manifest.h"

#include <limbeck/environment.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static char *folder;
static lb_error err;
static char last_log[512];

static void on_log(void *ctx, lb_log_level level, const char *text) {
  (void)ctx;
  if (level == LB_LOG_WARN) snprintf(last_log, sizeof last_log, "%s", text);
}

/* ---- a run with what it told ---- */

enum { MOST_EVENTS = 1000 };
typedef struct run {
  toy toy;
  lb__trainer_options options;
  lb__listeners listeners;
  lb__train_result result;
  lb_event events[MOST_EVENTS];
  int n_events;
  char warning[512];   /* the last */
  int cancel;          /* the flag */
  int64_t cancel_step; /* sets it after this step; 0: never */
} run;

static lb_status on_event(void *ctx, const lb_event *e, lb_error *error) {
  run *r = ctx;
  (void)error;
  assert_true(r->n_events < MOST_EVENTS);
  assert_true((r->n_events == 0) == (e->kind == LB_EVENT_BEGIN)); /* first, and once */
  r->events[r->n_events] = *e;
  r->events[r->n_events++].path = NULL;
  if (e->kind == LB_EVENT_WARNING) snprintf(r->warning, sizeof r->warning, "%s", e->text);
  if (e->kind == LB_EVENT_STEP && e->step == r->cancel_step) r->cancel = 1;
  return LB_OK;
}

static run *run_new(int64_t accumulation, int64_t max_steps) {
  run *r = calloc(1, sizeof *r);
  assert_non_null(r);
  toy_init(&r->toy, accumulation);
  r->options = lb__trainer_options_default();
  r->options.max_steps = max_steps;
  r->options.learning_rate = 0.05;
  r->options.warmup_steps = 3;
  r->options.weight_decay = 0.1;
  r->options.logging_steps = 4;
  r->options.save_steps = 0;
  r->options.max_bad_steps = 3;
  r->options.cancel = &r->cancel;
  assert_int_equal(lb__listeners_add(&r->listeners, on_event, r, NULL), LB_OK);
  return r;
}

static lb_status run_try(run *r) {
  lb__trainer *t;
  err = (lb_error){0};
  lb_status st = lb__trainer_new(&t, &r->toy.objective, r->toy.parameters, 2, r->toy.loader,
                                 &r->listeners, &r->options, &err);
  if (st == LB_OK) st = lb__trainer_run(&r->result, t, &err);
  lb__trainer_free(t);
  return st;
}

static void run_all(run *r) {
  if (run_try(r) != LB_OK) fail_msg("%s", err.message);
}

static void run_free(run *r) {
  lb__free(r->result.last_checkpoint);
  toy_deinit(&r->toy);
  free(r);
}

static int count_events(const run *r, lb_event_kind kind) {
  int n = 0;
  for (int i = 0; i < r->n_events; i++) n += r->events[i].kind == kind;
  return n;
}

/* The i-th of its kind. */
static const lb_event *event_at(const run *r, lb_event_kind kind, int index) {
  for (int i = 0; i < r->n_events; i++)
    if (r->events[i].kind == kind && index-- == 0) return &r->events[i];
  fail_msg("there is no such event");
  return NULL;
}

static int begin(void **state) {
  (void)state;
  folder = scratch_new();
  last_log[0] = '\0';
  lb_log_set(on_log, NULL);
  return 0;
}

static int end(void **state) {
  (void)state;
  lb_log_set(NULL, NULL);
  scratch_remove(folder);
  return 0;
}

/* ---- counting ---- */

/* 7 micro-batches an epoch. */
static void check_steps(int64_t accumulation, double epochs, int64_t max_steps, int64_t wanted) {
  run *r = run_new(accumulation, max_steps);
  r->options.num_train_epochs = epochs;
  run_all(r);
  assert_int_equal(r->result.steps, wanted);
  assert_int_equal(count_events(r, LB_EVENT_STEP), wanted);
  assert_int_equal(event_at(r, LB_EVENT_BEGIN, 0)->max_steps, wanted);
  assert_false(r->result.is_interrupted);
  run_free(r);
}

static void test_number_of_steps(void **state) {
  (void)state;
  check_steps(1, 1, -1, 7);
  check_steps(2, 1, -1, 4); /* the last has one micro-batch */
  check_steps(7, 3, 0, 3);
  check_steps(8, 2, -1, 2);
  check_steps(2, 1.5, -1, 6);
  check_steps(3, 0.1, -1, 1); /* ceil(0.1 * 3) */
  check_steps(2, 100, 5, 5);
  check_steps(2, 0, -1, 0);
}

static void test_epochs_of_events(void **state) {
  (void)state;
  run *r = run_new(2, 6);
  run_all(r);
  static const double wanted[] = {2.0 / 7, 4.0 / 7, 6.0 / 7, 1, 9.0 / 7, 11.0 / 7};
  for (int i = 0; i < 6; i++)
    assert_true(fabs(event_at(r, LB_EVENT_STEP, i)->epoch - wanted[i]) < 1e-12);
  run_free(r);
}

static void test_rates_and_learning(void **state) {
  (void)state;
  run *r = run_new(2, 60);
  run_all(r);
  lb__schedule s = {LB__SCHEDULER_LINEAR, 0.05, 3, 60, 0};
  for (int i = 0; i < 60; i++)
    assert_true(event_at(r, LB_EVENT_STEP, i)->learning_rate == lb__schedule_rate(&s, i));
  assert_true(r->result.last_loss < 0.3 * r->result.first_loss);
  assert_true(event_at(r, LB_EVENT_STEP, 0)->loss == r->result.first_loss);
  assert_true(event_at(r, LB_EVENT_STEP, 59)->loss == r->result.last_loss);
  run_free(r);
}

/* The first update of AdamW has the size of the rate, whatever the gradient; decay only where the
 * parameter says so; at rate 0 nothing moves. */
static void test_first_updates(void **state) {
  (void)state;
  float before[TOY_IDS + 1], after[TOY_IDS + 1];
  run *r = run_new(7, 1);
  toy_weights(&r->toy, before);
  run_all(r);
  toy_weights(&r->toy, after);
  assert_memory_equal(before, after, sizeof before); /* the first step of a warm-up */
  run_free(r);
  r = run_new(7, 1);
  r->options.warmup_steps = 0;
  run_all(r);
  toy_weights(&r->toy, after);
  for (int i = 0; i <= TOY_IDS; i++) {
    double kept = (double)before[i] * (i < TOY_IDS ? 1 - 0.05 * 0.1 : 1.0);
    double moved = fabs((double)after[i] - kept);
    assert_true(moved < 1e-7 || fabs(moved - 0.05) < 1e-5); /* an id that was never trained stays */
  }
  assert_true(after[TOY_IDS] != before[TOY_IDS]);
  run_free(r);
}

/* Adam's update hides the size of a gradient, its moments show it. */
static void test_gradients_are_clipped(void **state) {
  (void)state;
  double norms[2];
  for (int clips = 0; clips < 2; clips++) {
    run *r = run_new(1, 1);
    r->options.max_grad_norm = clips ? 0.01 : 0;
    r->options.output_dir = scratch_path(folder, clips ? "clipped" : "free");
    run_all(r);
    norms[clips] = event_at(r, LB_EVENT_STEP, 0)->grad_norm;
    size_t size;
    char *bytes = scratch_read(scratch_path(r->options.output_dir, "checkpoint-1"),
                               "optimizer.safetensors", &size);
    float first; /* exp_avg.b, the first by name */
    memcpy(&first, bytes + size - 4 * (2 * TOY_IDS + 2), 4);
    double m = fabs((double)first) / 0.1;
    assert_true(clips ? m <= 0.01 : m > 0.01);
    free(bytes);
    run_free(r);
  }
  assert_true(norms[0] == norms[1] && norms[0] > 0.01); /* told before clipping */
}

/* ---- logging ---- */

static void test_logs_are_means_over_tokens(void **state) {
  (void)state;
  run *r = run_new(2, 10);
  r->options.logging_first_step = true;
  run_all(r);
  assert_int_equal(count_events(r, LB_EVENT_LOG), 4); /* 1, 4, 8, and the last */
  static const int last[] = {1, 4, 8, 10};
  int step = 0;
  int64_t trained = 0;
  for (int i = 0; i < 4; i++) {
    double sum = 0, absolute = 0;
    int64_t n = 0;
    for (; step < last[i]; step++) {
      const lb_event *e = event_at(r, LB_EVENT_STEP, step);
      int64_t now = e->trained_tokens - trained;
      trained = e->trained_tokens;
      sum += e->loss * (double)now;
      absolute += e->terms[1] * (double)now;
      n += now;
    }
    const lb_event *log = event_at(r, LB_EVENT_LOG, i), *e = event_at(r, LB_EVENT_STEP, step - 1);
    assert_int_equal(log->step, last[i]);
    assert_true(fabs(log->loss - sum / (double)n) < 1e-12);
    assert_true(fabs(log->terms[1] - absolute / (double)n) < 1e-12);
    assert_true(log->grad_norm == e->grad_norm && log->learning_rate == e->learning_rate);
  }
  run_free(r);
}

static void test_evaluation(void **state) {
  (void)state;
  run *r = run_new(2, 10);
  r->options.eval_steps = 5;
  run_all(r);
  assert_int_equal(count_events(r, LB_EVENT_EVAL), 2);
  assert_true(isfinite(event_at(r, LB_EVENT_EVAL, 1)->eval_loss));
  assert_true(isnan(event_at(r, LB_EVENT_EVAL, 1)->eval_kl));
  run_free(r);
}

static lb_status refuse(void *ctx, const lb_event *e, lb_error *error) {
  (void)ctx;
  if (e->kind != LB_EVENT_STEP || e->step < 3) return LB_OK;
  if (error != NULL) snprintf(error->message, sizeof error->message, "the log is full");
  return LB_E_IO;
}

static void test_a_listener_that_fails_stops_the_run(void **state) {
  (void)state;
  run *r = run_new(2, 10);
  assert_int_equal(lb__listeners_add(&r->listeners, refuse, NULL, NULL), LB_OK);
  assert_int_equal(run_try(r), LB_E_IO);
  assert_string_equal(err.message, "the log is full");
  assert_int_equal(count_events(r, LB_EVENT_STEP), 3);
  for (int i = 2; i < 8; i++)
    assert_int_equal(lb__listeners_add(&r->listeners, refuse, NULL, &err), LB_OK);
  assert_int_equal(lb__listeners_add(&r->listeners, refuse, NULL, &err), LB_E_LIMIT);
  run_free(r);
}

/* ---- memory ---- */

static int allocations_at[64];

static lb_status count_allocations(void *ctx, const lb_event *e, lb_error *error) {
  (void)ctx, (void)error;
  long leaked;
  if (e->kind != LB_EVENT_STEP) return LB_OK;
  fault_allocations_end(&allocations_at[e->step], &leaked);
  fault_allocations_begin(0, false);
  return LB_OK;
}

static void test_a_steady_step_allocates_nothing(void **state) {
  (void)state;
  run *r = run_new(2, 24);
  r->options.logging_steps = 0;
  assert_int_equal(lb__listeners_add(&r->listeners, count_allocations, NULL, NULL), LB_OK);
  fault_allocations_begin(0, false);
  run_all(r);
  int n;
  long leaked;
  fault_allocations_end(&n, &leaked);
  for (int step = 9; step <= 23; step++) assert_int_equal(allocations_at[step], 0);
  run_free(r);
}

/* ---- resuming ---- */

static const char *const state_files[] = {"trainer_state.json", "limbeck_state.json",
                                          "optimizer.safetensors", "model.safetensors"};

static void compare_checkpoints(const char *a, const char *b, bool has_model) {
  for (int i = 0; i < 3 + has_model; i++) {
    size_t n, m;
    char *x = scratch_read(a, state_files[i], &n), *y = scratch_read(b, state_files[i], &m);
    if (n != m || memcmp(x, y, n) != 0) fail_msg("%s differs:\n%s\n%s", state_files[i], x, y);
    free(x);
    free(y);
  }
}

static run *resumable(int64_t accumulation, toy_format format, const char *output_dir) {
  run *r = run_new(accumulation, 12);
  r->options.output_dir = output_dir;
  r->options.num_train_epochs = 2;
  r->options.eval_steps = 5;
  r->toy.format = format;
  return r;
}

/* Interrupted after `step`, gone on in another process's place, then everything is as without:
 * weights, moments, counters, losses, and the documents seen. */
static void check_resume(int64_t accumulation, toy_format format, const run *whole,
                         const char *whole_folder, int64_t step) {
  char output[600];
  snprintf(output, sizeof output, "%s/r-%d-%d-%d", folder, (int)accumulation, (int)format,
           (int)step);
  run *first = resumable(accumulation, format, output);
  first->cancel_step = step;
  run_all(first);
  assert_true(first->result.is_interrupted);
  assert_int_equal(first->result.steps, step);
  assert_true(event_at(first, LB_EVENT_END, 0)->is_interrupted);
  run *second = resumable(accumulation, format, output);
  second->options.resume_from_checkpoint = "true";
  second->toy.seen_hash = first->toy.seen_hash;
  run_all(second);
  assert_int_equal(event_at(second, LB_EVENT_BEGIN, 0)->step, step);
  assert_int_equal(second->result.tokens, whole->result.tokens);
  assert_true(second->result.first_loss == whole->result.first_loss);
  assert_true(second->toy.seen_hash == whole->toy.seen_hash);
  float a[TOY_IDS + 1], b[TOY_IDS + 1];
  toy_weights(&whole->toy, a);
  toy_weights(&second->toy, b);
  assert_memory_equal(a, b, sizeof a);
  compare_checkpoints(second->result.last_checkpoint, whole_folder, format != TOY_NOTHING);
  run_free(first);
  run_free(second);
}

static void test_resume_at_every_step(void **state) {
  (void)state;
  for (int64_t accumulation = 1; accumulation <= 4; accumulation++)
    for (toy_format format = TOY_F32; format <= TOY_NOTHING; format++) {
      char output[600];
      snprintf(output, sizeof output, "%s/w-%d-%d", folder, (int)accumulation, (int)format);
      run *whole = resumable(accumulation, format, output);
      run_all(whole);
      assert_int_equal(whole->result.steps, 12);
      for (int64_t step = 1; step < 12; step++)
        check_resume(accumulation, format, whole, whole->result.last_checkpoint, step);
      run_free(whole);
    }
}

/* Interrupted again and again, with a checkpoint in between that nobody asked for. */
static void test_resume_many_times(void **state) {
  (void)state;
  run *whole = resumable(2, TOY_BF16, scratch_path(folder, "whole"));
  run_all(whole);
  const char *output = scratch_path(folder, "pieces");
  char name[600];
  snprintf(name, sizeof name, "%s", output);
  float a[TOY_IDS + 1], b[TOY_IDS + 1];
  for (int64_t step = 1; step <= 12; step++) {
    run *r = resumable(2, TOY_BF16, name);
    r->options.save_total_limit = 2;
    r->options.resume_from_checkpoint = "true";
    r->cancel_step = step;
    run_all(r);
    assert_int_equal(r->result.steps, step);
    toy_weights(&r->toy, b);
    run_free(r);
  }
  assert_int_equal(scratch_count(name), 2);
  toy_weights(&whole->toy, a);
  assert_memory_equal(a, b, sizeof a);
  run_free(whole);
}

/* Cancelled before the first step there is nothing to save. */
static void test_cancelled_at_once(void **state) {
  (void)state;
  run *r = resumable(2, TOY_F32, scratch_path(folder, "out"));
  r->cancel = 1;
  run_all(r);
  assert_true(r->result.is_interrupted);
  assert_null(r->result.last_checkpoint);
  assert_int_equal(r->result.steps, 0);
  run_free(r);
}

static void save_two(const char *output) {
  run *r = resumable(2, TOY_F32, output);
  r->options.save_steps = 4;
  r->cancel_step = 8;
  run_all(r);
  run_free(r);
}

static run *resuming(const char *output) {
  run *r = resumable(2, TOY_F32, output);
  r->options.resume_from_checkpoint = "true";
  return r;
}

static void test_damaged_checkpoint_is_passed_over(void **state) {
  (void)state;
  char output[600];
  snprintf(output, sizeof output, "%s/out", folder);
  save_two(output);
  scratch_write_text(output, "checkpoint-8/optimizer.safetensors", "nothing");
  run *r = resuming(output);
  run_all(r);
  assert_int_equal(event_at(r, LB_EVENT_BEGIN, 0)->step, 4);
  assert_non_null(strstr(last_log, "passed over"));
  assert_non_null(strstr(last_log, "checkpoint-8/optimizer.safetensors"));
  run_free(r);
  /* by name it is an error */
  r = resuming(output);
  char path[700];
  snprintf(path, sizeof path, "%s/checkpoint-4", output);
  r->options.resume_from_checkpoint = path;
  scratch_write_text(path, "limbeck_state.json", "{}");
  assert_int_equal(run_try(r), LB_E_FORMAT);
  assert_non_null(strstr(err.message, "limbeck_state.json"));
  run_free(r);
}

static void test_nothing_to_resume_begins(void **state) {
  (void)state;
  run *r = resuming(scratch_path(folder, "none"));
  run_all(r);
  assert_int_equal(r->result.steps, 12);
  assert_non_null(strstr(r->warning, "from the beginning"));
  run_free(r);
}

static void test_resume_by_name_into_another_folder(void **state) {
  (void)state;
  char output[600], path[700];
  snprintf(output, sizeof output, "%s/out", folder);
  save_two(output);
  snprintf(path, sizeof path, "%s/checkpoint-8", output);
  run *r = resumable(2, TOY_F32, scratch_path(folder, "other"));
  r->options.resume_from_checkpoint = path;
  r->cancel_step = 9;
  run_all(r);
  assert_int_equal(event_at(r, LB_EVENT_BEGIN, 0)->step, 8);
  assert_true(lb__path_is_folder(scratch_path(folder, "other/checkpoint-9")));
  run_free(r);
}

static void test_another_run_is_refused(void **state) {
  (void)state;
  char output[600];
  snprintf(output, sizeof output, "%s/out", folder);
  run *r = resumable(2, TOY_F32, output);
  r->options.run_hash = "student: 1234\nlearning_rate: 0.05\nseed: 42";
  r->cancel_step = 3;
  run_all(r);
  run_free(r);
  r = resuming(output);
  r->options.run_hash = "student: 1234\nlearning_rate: 0.5\nseed: 42";
  assert_int_equal(run_try(r), LB_E_ARG);
  assert_non_null(strstr(err.message, "'learning_rate: 0.05'"));
  assert_non_null(strstr(err.message, "'learning_rate: 0.5'"));
  run_free(r);
}

static void test_fresh_run_among_old_checkpoints_is_refused(void **state) {
  (void)state;
  char output[600];
  snprintf(output, sizeof output, "%s/out", folder);
  save_two(output);
  run *r = resumable(2, TOY_F32, output);
  assert_int_equal(run_try(r), LB_E_ARG);
  assert_non_null(strstr(err.message, "resume_from_checkpoint: true"));
  run_free(r);
}

#define STATE   "limbeck_state.json"
#define MOMENTS "optimizer.safetensors"

/* Changes one text in a file of the checkpoint and makes the manifest fit. */
static void edit_file(const char *checkpoint, const char *name, const char *from, const char *to) {
  size_t size, n = strlen(from);
  char *bytes = scratch_read(checkpoint, name, &size), *at = memmem(bytes, size, from, n);
  if (at == NULL) fail_msg("no '%s' in %s", from, name);
  FILE *f = fopen(scratch_path(checkpoint, name), "w");
  assert_non_null(f);
  fwrite(bytes, 1, (size_t)(at - bytes), f);
  fputs(to, f);
  fwrite(at + n, 1, size - (size_t)(at - bytes) - n, f);
  fclose(f);
  free(bytes);
  assert_int_equal(lb__manifest_write(checkpoint, 8, NULL), LB_OK);
}

static void test_other_kernels_are_refused(void **state) {
  (void)state;
  char output[600], checkpoint[700], now[100];
  snprintf(output, sizeof output, "%s/out", folder);
  snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint-8", output);
  save_two(output);
  snprintf(now, sizeof now, "\"adamw\": \"%s\"", lb__kernels()->chosen[LB__OP_adamw]);
  edit_file(checkpoint, STATE, now, "\"adamw\": \"reference once\"");
  run *r = resuming(output);
  assert_int_equal(run_try(r), LB_E_UNSUPPORTED);
  assert_non_null(strstr(err.message, "'adamw' was computed by kernel 'reference once'"));
  assert_non_null(strstr(err.message, "LIMBECK_KERNELS="));
  assert_non_null(strstr(err.message, "resume_with_other_kernels"));
  run_free(r);
  r = resuming(output);
  r->options.resume_with_other_kernels = true;
  run_all(r);
  assert_int_equal(r->result.steps, 12);
  run_free(r);
}

/* CVE-2026-43629: a saved state whose hashes fit is checked like any other file. */
static const struct hostile_state {
  const char *name, *file, *from, *to;
} hostile_states[] = {
    {"negative step", STATE, "\"step\": 8,\n  \"threads\"", "\"step\": -1,\n  \"threads\""},
    {"step that wraps", STATE, "\"step\": 8,\n  \"threads\"",
     "\"step\": 9223372036854775807,\n  \"threads\""},
    {"step of another type", STATE, "\"step\": 8,\n  \"threads\"",
     "\"step\": \"8\",\n  \"threads\""},
    {"unknown version", STATE, "\"version\": 1", "\"version\": 9"},
    {"no cursor", STATE, "\"cursor\"", "\"curses\""},
    {"no window", STATE, "\"window\"", "\"door\""},
    {"no terms", STATE, "\"terms\"", "\"words\""},
    {"no kernels", STATE, "\"kernels\"", "\"nuts\""},
    {"no run hash", STATE, "\"run_hash\"", "\"walk_hash\""},
    {"cursor beyond the data", STATE, "\"micro\": ", "\"micro\": 9999999"},
    {"moments of another type", MOMENTS, "F32", "I32"},
    {"moments of another shape", MOMENTS, "[11]", "[12]"},
    {"moments of a shape that wraps", MOMENTS,
     "\"__metadata__\":{\"format\":\"pt\"},\"exp_avg.b\":{\"dtype\":\"F32\",\"shape\":[1]",
     "\"exp_avg.b\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,1234567,1]"},
    {"moments beyond the file", MOMENTS, "[52,96]", "[52,97]"},
    {"moments that overlap", MOMENTS, "[48,52]", "[44,48]"},
    {"moments of another parameter", MOMENTS,
     "exp_avg.b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"exp_avg.w",
     "exp_avg.w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"exp_avg.b"},
    {"moments of no parameter", MOMENTS, "exp_avg.b", "exp_avg.c"},
};

static void test_hostile_states_are_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof hostile_states / sizeof *hostile_states; i++) {
    const struct hostile_state *h = &hostile_states[i];
    char output[600], checkpoint[700];
    snprintf(output, sizeof output, "%s/out-%zu", folder, i);
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint-8", output);
    save_two(output);
    edit_file(checkpoint, h->file, h->from, h->to);
    run *r = resuming(output);
    if (run_try(r) == LB_OK) fail_msg("%s: was accepted", h->name);
    if ((err.status != LB_E_FORMAT && err.status != LB_E_ARG && err.status != LB_E_SHAPE) ||
        strstr(err.message, h->file) == NULL)
      fail_msg("%s: status %d: %s", h->name, (int)err.status, err.message);
    run_free(r);
  }
}

/* ---- bad steps ---- */

static int64_t bad_from, bad_to, bad_runs; /* bad while bad_from <= number of the run < bad_to */

static bool is_bad_run(const toy *t, const lb__step_context *step) {
  (void)step;
  bad_runs += t->n_runs > bad_from && t->n_runs <= bad_to;
  return t->n_runs > bad_from && t->n_runs <= bad_to;
}

static void test_bad_steps_are_skipped(void **state) {
  (void)state;
  float before[TOY_IDS + 1], after[TOY_IDS + 1];
  run *r = run_new(1, 3);
  bad_from = 0;
  bad_to = 2;
  r->toy.is_bad = is_bad_run;
  r->options.warmup_steps = 0;
  r->options.lr_scheduler_type = LB__SCHEDULER_CONSTANT;
  toy_weights(&r->toy, before);
  run_all(r);
  assert_int_equal(r->result.steps, 3);
  assert_int_equal(r->result.skipped_steps, 2);
  assert_int_equal(count_events(r, LB_EVENT_WARNING), 2);
  assert_non_null(strstr(r->warning, "step 2 is skipped: loss nan"));
  assert_true(isnan(event_at(r, LB_EVENT_STEP, 0)->loss));
  toy_weights(&r->toy, after);
  for (int i = 0; i <= TOY_IDS; i++) {
    assert_true(isfinite(after[i]));
    /* AdamW's first update and decay, on gradients without a trace of the bad ones */
    assert_true(fabs((double)after[i] - (double)before[i]) < 0.05 + 0.005 * 0.6 + 1e-6);
  }
  run_free(r);
}

static void test_bad_steps_in_a_row_go_back(void **state) {
  (void)state;
  run *r = run_new(1, 20);
  char output[600];
  snprintf(output, sizeof output, "%s/out", folder);
  r->options.output_dir = output;
  r->options.save_steps = 5;
  bad_from = 11; /* steps 12, 13, 14; the last checkpoint is of step 10 */
  bad_to = 14;
  r->toy.is_bad = is_bad_run;
  run_all(r);
  assert_int_equal(r->result.rollbacks, 1);
  assert_int_equal(r->result.skipped_steps, 3);
  assert_int_equal(r->result.steps, 20);
  assert_int_equal(r->toy.n_runs, 14 + 10); /* ten steps again, on data of their own */
  assert_int_equal(r->toy.n_loads, 1);
  assert_non_null(strstr(r->warning, "after step 14: back to"));
  assert_non_null(strstr(r->warning, "checkpoint-10"));
  assert_int_equal(r->events[r->n_events - 1].tokens, r->result.tokens);
  run_free(r);
}

/* What the data would have been without the bad window does not come again. */
static void test_going_back_moves_on_in_the_data(void **state) {
  (void)state;
  run *r = run_new(1, 14), *plain = run_new(1, 18);
  char output[600];
  snprintf(output, sizeof output, "%s/out", folder);
  r->options.output_dir = output;
  r->options.save_steps = 10;
  bad_from = 11;
  bad_to = 14;
  r->toy.is_bad = is_bad_run;
  run_all(r);
  run_all(plain);
  assert_true(r->toy.seen_hash == plain->toy.seen_hash);
  assert_int_equal(r->toy.n_runs, 18);
  run_free(plain);
  run_free(r);
}

static void test_bad_from_the_start_is_an_error(void **state) {
  (void)state;
  run *r = run_new(1, 20);
  bad_from = 0;
  bad_to = 1000;
  r->toy.is_bad = is_bad_run;
  r->options.output_dir = scratch_path(folder, "out");
  assert_int_equal(run_try(r), LB_E_NUMERIC);
  assert_non_null(strstr(err.message, "3 steps in a row"));
  assert_non_null(strstr(err.message, "no checkpoint"));
  assert_non_null(strstr(err.message, "learning_rate"));
  run_free(r);
}

static void test_going_back_for_ever_is_an_error(void **state) {
  (void)state;
  run *r = run_new(1, 20);
  bad_from = 7;
  bad_to = 1000;
  r->toy.is_bad = is_bad_run;
  r->options.output_dir = scratch_path(folder, "out");
  r->options.save_steps = 5;
  assert_int_equal(run_try(r), LB_E_NUMERIC);
  assert_non_null(strstr(err.message, "three times"));
  assert_true(r->toy.n_runs < 50);
  run_free(r);
}

/* Weights that are not finite are never saved, although no loss has shown it. */
static bool poison(const toy *t, const lb__step_context *step) {
  float bad = INFINITY;
  lb_tensor w = t->w;
  if (t->n_runs == 9) assert_int_equal(lb__tensor_write(&w, 40, &bad, 4, NULL), LB_OK);
  (void)step;
  return false;
}

static void test_no_checkpoint_has_an_infinity(void **state) {
  (void)state;
  char output[600];
  snprintf(output, sizeof output, "%s/out", folder);
  run *r = run_new(1, 12);
  r->options.output_dir = output;
  r->options.save_steps = 1;
  r->toy.is_bad = poison;
  run_all(r);
  assert_int_equal(r->result.rollbacks, 1);
  float w[TOY_IDS + 1];
  toy_weights(&r->toy, w);
  for (int i = 0; i <= TOY_IDS; i++) assert_true(isfinite(w[i]));
  run_free(r);
}

/* ---- what is refused ---- */

static void test_bad_options(void **state) {
  (void)state;
#define REFUSED(member, value)                                                                     \
  do {                                                                                             \
    run *r = run_new(1, 1);                                                                        \
    r->options.member = value;                                                                     \
    assert_int_equal(run_try(r), LB_E_ARG);                                                        \
    assert_non_null(strstr(err.message, #member));                                                 \
    run_free(r);                                                                                   \
  } while (0)
  REFUSED(learning_rate, -1);
  REFUSED(learning_rate, (double)NAN);
  REFUSED(adam_beta1, 1);
  REFUSED(adam_beta2, 1.5);
  REFUSED(adam_epsilon, (double)INFINITY);
  REFUSED(max_grad_norm, -0.5);
  REFUSED(save_steps, -1);
  REFUSED(max_bad_steps, 0);
  run *r = run_new(1, 0);
  r->options.num_train_epochs = 1e300;
  assert_int_equal(run_try(r), LB_E_ARG);
  run_free(r);
}

static void test_defaults_are_transformers(void **state) {
  (void)state;
  lb__trainer_options o = lb__trainer_options_default();
  assert_true(o.num_train_epochs == 3 && o.learning_rate == 5e-5 && o.weight_decay == 0);
  assert_true(o.adam_beta1 == 0.9 && o.adam_beta2 == 0.999 && o.adam_epsilon == 1e-8);
  assert_true(o.max_grad_norm == 1 && o.logging_steps == 500 && o.save_steps == 500);
  assert_true(o.warmup_steps == 0 && o.lr_scheduler_type == LB__SCHEDULER_LINEAR);
  assert_int_equal(lb__trainer_estimate(1000), 8000);
}

int main(void) {
  lb__kernels_install(NULL);
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
  const struct CMUnitTest tests[] = {
      TEST(test_number_of_steps),
      TEST(test_epochs_of_events),
      TEST(test_rates_and_learning),
      TEST(test_first_updates),
      TEST(test_gradients_are_clipped),
      TEST(test_logs_are_means_over_tokens),
      TEST(test_evaluation),
      TEST(test_a_listener_that_fails_stops_the_run),
      TEST(test_a_steady_step_allocates_nothing),
      TEST(test_resume_at_every_step),
      TEST(test_resume_many_times),
      TEST(test_cancelled_at_once),
      TEST(test_damaged_checkpoint_is_passed_over),
      TEST(test_nothing_to_resume_begins),
      TEST(test_resume_by_name_into_another_folder),
      TEST(test_another_run_is_refused),
      TEST(test_fresh_run_among_old_checkpoints_is_refused),
      TEST(test_other_kernels_are_refused),
      TEST(test_hostile_states_are_refused),
      TEST(test_bad_steps_are_skipped),
      TEST(test_bad_steps_in_a_row_go_back),
      TEST(test_going_back_moves_on_in_the_data),
      TEST(test_bad_from_the_start_is_an_error),
      TEST(test_going_back_for_ever_is_an_error),
      TEST(test_no_checkpoint_has_an_infinity),
      TEST(test_bad_options),
      TEST(test_defaults_are_transformers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

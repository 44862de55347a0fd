/* test_trainer_faults.c - every allocation and every system call of a run that saves and resumes
 * fails in turn: an error with a message, nothing leaks, no file stays open, and what is on disk
 * goes on to the same weights as a run that nothing disturbed. */
#include "base/files.h"
#include "faults.h"
#include "kernels/kernels.h"
#include "scratch.h"
#include "toy_training.h"
#include "train/checkpoint_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { STEPS = 4 };

static char *top;
static char output[600];
static float undisturbed[TOY_IDS + 1];
static toy_format format;

/* Up to `stop` steps, saving every second one; the toy's weights when it got there. */
static lb_status train(const char *resume, int64_t stop, float *weights, lb_error *err) {
  toy t;
  lb__trainer *trainer = NULL;
  lb__train_result result = {0};
  const lb__listeners listeners = {.n = 0};
  lb__trainer_options o = lb__trainer_options_default();
  o.max_steps = stop;
  o.learning_rate = 0.05;
  o.lr_scheduler_type = LB__SCHEDULER_CONSTANT;
  o.logging_steps = 2;
  o.save_steps = 2;
  o.save_total_limit = 2;
  o.output_dir = output;
  o.resume_from_checkpoint = resume;
  lb_status st = toy_try_init(&t, 2, err);
  t.format = format;
  if (st == LB_OK)
    st = lb__trainer_new(&trainer, &t.objective, t.parameters, 2, t.loader, &listeners, &o, err);
  if (st == LB_OK) st = lb__trainer_run(&result, trainer, err);
  if (st == LB_OK && weights != NULL) toy_weights(&t, weights);
  lb__trainer_free(trainer);
  lb__free(result.last_checkpoint);
  toy_deinit(&t);
  return st;
}

static void must_train(const char *resume, int64_t stop, float *weights) {
  lb_error err = {0};
  if (train(resume, stop, weights, &err) != LB_OK) fail_msg("%s", err.message);
}

static void empty_output(void) {
  scratch_remove(strdup(output));
}

static void prepare_nothing(void *ctx) {
  (void)ctx;
  empty_output();
}

/* Checkpoints of steps 2 and 3 are there. */
static void prepare_checkpoints(void *ctx) {
  (void)ctx;
  empty_output();
  must_train(NULL, 3, NULL);
}

static lb_status run(void *ctx, lb_error *err) {
  return train(ctx, STEPS, NULL, err);
}

/* What the next start finds is whole, and leads to the same end. */
static void check_goes_on(void *ctx, lb_status status, bool left_behind) {
  (void)ctx, (void)left_behind;
  float weights[TOY_IDS + 1];
  char *path;
  int64_t step;
  assert_int_equal(lb__checkpoint_newest(&path, &step, output, NULL), LB_OK);
  if (status == LB_OK) assert_int_equal(step, STEPS);
  if (ctx != NULL) assert_true(step >= 3); /* never less than there was */
  lb__free(path);
  must_train("true", STEPS, weights);
  assert_memory_equal(weights, undisturbed, sizeof weights);
}

static void check_faults(const char *resume, void (*prepare)(void *)) {
  fault_case c = {.run = run,
                  .prepare = prepare,
                  .check = check_goes_on,
                  .ctx = (void *)(uintptr_t)resume,
                  .may_survive = true};
  assert_true(fault_each_io(&c) > 100);
  assert_true(fault_each_allocation(&c) > 100);
}

static void test_faults_of_a_fresh_run(void **state) {
  (void)state;
  check_faults(NULL, prepare_nothing);
}

static void test_faults_of_a_resumed_run(void **state) {
  (void)state;
  check_faults("true", prepare_checkpoints);
}

/* The weights of the checkpoint are too coarse: resuming takes the masters. */
static void test_faults_with_masters(void **state) {
  (void)state;
  fault_case c = {.run = run,
                  .prepare = prepare_checkpoints,
                  .check = check_goes_on,
                  .ctx = (void *)(uintptr_t) "true",
                  .may_survive = true};
  format = TOY_BF16;
  assert_true(fault_each_allocation(&c) > 100);
  format = TOY_F32;
}

/* One flipped bit in any file of the newest checkpoint: the run goes back to the one before. */
static void flip(const char *path, size_t at, int bit) {
  FILE *f = fopen(path, "r+b");
  assert_non_null(f);
  fseek(f, (long)at, SEEK_SET);
  int byte = fgetc(f);
  fseek(f, (long)at, SEEK_SET);
  fputc(byte ^ (1 << bit), f);
  fclose(f);
}

static void check_flips(const char *name, size_t size) {
  char relative[200];
  snprintf(relative, sizeof relative, "checkpoint-3/%s", name);
  for (size_t i = 0; i < 60; i++) { /* spread over the file, all bits of a byte in turn */
    size_t at = i * size / 60;
    char *path;
    int64_t step;
    flip(scratch_path(output, relative), at, (int)(i % 8));
    assert_int_equal(lb__checkpoint_newest(&path, &step, output, NULL), LB_OK);
    if (step != 2) fail_msg("%s: byte %zu was changed and nobody noticed", name, at);
    lb__free(path);
    flip(scratch_path(output, relative), at, (int)(i % 8));
  }
}

static void test_flipped_bits(void **state) {
  (void)state;
  prepare_checkpoints(NULL);
  const char *checkpoint = scratch_path(output, "checkpoint-3");
  char **names;
  size_t n;
  assert_int_equal(lb__folder_list(&names, &n, checkpoint, NULL), LB_OK);
  assert_int_equal(n, 5); /* model, optimizer, two states, manifest */
  for (size_t i = 0; i < n; i++) {
    size_t size;
    free(scratch_read(scratch_path(output, "checkpoint-3"), names[i], &size));
    check_flips(names[i], size);
  }
  flip(scratch_path(output, "checkpoint-3/model.safetensors"), 300, 3);
  float weights[TOY_IDS + 1];
  must_train("true", STEPS, weights);
  assert_memory_equal(weights, undisturbed, sizeof weights);
  lb__name_list_free(names, n);
}

static int begin(void **state) {
  (void)state;
  top = scratch_new();
  snprintf(output, sizeof output, "%s/run", top);
  must_train(NULL, STEPS, undisturbed);
  return 0;
}

static int end(void **state) {
  (void)state;
  scratch_remove(top);
  return 0;
}

int main(void) {
  lb__kernels_install(NULL);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_faults_of_a_fresh_run),
      cmocka_unit_test(test_faults_of_a_resumed_run),
      cmocka_unit_test(test_faults_with_masters),
      cmocka_unit_test(test_flipped_bits),
  };
  return cmocka_run_group_tests(tests, begin, end);
}

/* test_auto_precision.c - precision AUTO on a tiny model, through the seam that lets one so small
 * be measured: what is told, remembered, forgotten and refused. How fast a precision is differs
 * from run to run, so which one is chosen is tested on made-up figures. */
#include <limbeck/environment.h>

#include "evaluate/auto_precision.h"
#include "kernels/kernels.h"
#include "model/trainable.h"

#include "faults.h"
#include "scratch.h"
#include "tiny_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char *folder, *cache;
static char note[1024]; /* the last one */
static int n_notes;

static void listen(void *ctx, lb_log_level level, const char *line) {
  (void)ctx;
  if (level != LB_LOG_NOTE) return;
  n_notes++;
  snprintf(note, sizeof note, "%s", line);
}

static int setup(void **state) {
  (void)state;
  lb_threads_set(1);
  folder = scratch_new();
  tiny_model_write(folder, (tiny_options){.seed = 4});
  lb_log_set(listen, NULL);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  lb_log_set(NULL, NULL);
  scratch_remove(folder);
  return 0;
}

static int begin(void **state) {
  (void)state;
  cache = scratch_new();
  setenv("LIMBECK_CACHE", cache, 1);
  n_notes = 0;
  return 0;
}

static int end(void **state) {
  (void)state;
  scratch_remove(cache);
  return 0;
}

/* What is chosen for this bound. */
static lb_precision open_with(double max_kl) {
  lb_model *m;
  lb_error err;
  if (lb__model_open_auto(&m, folder, max_kl, 0, &err) != LB_OK) fail_msg("%s", err.message);
  lb_precision precision = lb_model_get_info(m)->precision;
  assert_true(lb_model_get_info(m)->precision_kl <= max_kl);
  lb_model_free(m);
  return precision;
}

static void assert_told(const char *part) {
  if (strstr(note, part) == NULL) fail_msg("'%s' lacks '%s'", note, part);
}

/* The one file in the cache; free() */
static char *cached_name(void) {
  char command[512], name[256] = "";
  snprintf(command, sizeof command, "ls '%s'", cache);
  FILE *list = popen(command, "r");
  assert_non_null(fgets(name, sizeof name, list));
  pclose(list);
  name[strcspn(name, "\n")] = '\0';
  assert_int_equal(scratch_count(cache), 1);
  return strdup(name);
}

static void test_told_once_and_remembered(void **state) {
  (void)state;
  lb_precision first = open_with(10.0);
  char arrow[32];
  snprintf(arrow, sizeof arrow, "-> %s (", lb_precision_name(first));
  assert_int_equal(n_notes, 1);
  assert_told("measuring precisions once for this model: ");
  assert_told("int8 KL 0.");
  assert_told(arrow);
  assert_told("remembered in ");
  assert_told(cache);
  assert_int_equal(scratch_count(cache), 1);
  for (int i = 0; i < 3; i++) assert_int_equal(open_with(10.0), first);
  assert_int_equal(n_notes, 1);
}

static void test_a_bound_of_zero_is_f32(void **state) {
  (void)state;
  assert_int_equal(open_with(0.0), LB_PRECISION_F32);
  assert_told("-> f32 (");
  assert_int_equal(open_with(0.0), LB_PRECISION_F32);
  assert_int_equal(n_notes, 1);
}

static void test_another_bound_is_another_question(void **state) {
  (void)state;
  open_with(10.0);
  assert_int_equal(open_with(1e-12), LB_PRECISION_F32); /* rounding is never that good */
  assert_int_equal(n_notes, 2);
  assert_int_equal(scratch_count(cache), 2);
}

static void test_another_model_is_another_question(void **state) {
  (void)state;
  char *first = folder;
  open_with(10.0);
  folder = scratch_new();
  tiny_model_write(folder, (tiny_options){.seed = 5});
  open_with(10.0);
  assert_int_equal(n_notes, 2);
  scratch_remove(folder);
  folder = first;
}

static void test_damage_is_measured_anew(void **state) {
  (void)state;
  static const char *const damaged[] = {
      "",
      "{",
      "[]",
      "{\"precision\":\"int8\"}",
      "{\"precision\":\"int4\",\"kl\":0.001}",
      "{\"precision\":\"auto\",\"kl\":0.001}",
      "{\"precision\":8,\"kl\":0.001}",
      "{\"precision\":\"int8\",\"kl\":-1}",
      "{\"precision\":\"int8\",\"kl\":0.5}",
  };
  int n = sizeof damaged / sizeof *damaged;
  open_with(0.25);
  char *name = cached_name();
  for (int i = 0; i < n; i++) {
    scratch_write_text(cache, name, damaged[i]);
    open_with(0.25);
    assert_int_equal(n_notes, 2 + i);
  }
  open_with(0.25);
  assert_int_equal(n_notes, 1 + n);
  scratch_write_text(cache, name, "{\"precision\":\"int8\",\"kl\":0.125}");
  assert_int_equal(open_with(0.25), LB_PRECISION_INT8);
  scratch_write_text(cache, name, "{\"precision\":\"f32\",\"kl\":0}");
  assert_int_equal(open_with(0.25), LB_PRECISION_F32);
  assert_int_equal(n_notes, 1 + n);
  free(name);
}

static void test_a_cache_that_cannot_be_written(void **state) {
  (void)state;
  scratch_write_text(cache, "file", "not a folder");
  setenv("LIMBECK_CACHE", scratch_path(cache, "file"), 1);
  open_with(10.0);
  assert_told("not remembered: ");
  open_with(10.0);
  assert_int_equal(n_notes, 2);
}

static void test_small_models_are_f32(void **state) {
  (void)state;
  lb_model *m;
  lb_model_options options = {.precision = LB_PRECISION_AUTO, .precision_max_kl = 10.0};
  assert_int_equal(lb_model_open(&m, folder, &options, NULL), LB_OK);
  assert_int_equal(lb_model_get_info(m)->precision, LB_PRECISION_F32);
  assert_int_equal(n_notes, 0);
  lb_model_free(m);
}

static void test_refusals(void **state) {
  (void)state;
  lb_model *m;
  lb_error err;
  const double bad[] = {-1.0, NAN};
  for (int i = 0; i < 2; i++) {
    assert_int_equal(lb__model_open_auto(&m, folder, bad[i], 0, &err), LB_E_ARG);
    assert_null(m);
    assert_non_null(strstr(err.message, "precision_max_kl: want a number >= 0"));
  }
  lb_model_options options = {.precision = (lb_precision)77};
  assert_int_equal(lb_model_open(&m, folder, &options, &err), LB_E_ARG);
  assert_null(m);
}

/* Integers have no backward: nothing may be trained in float32 instead without a word. */
static void test_int8_is_not_trained(void **state) {
  (void)state;
  static const lb_precision frozen[] = {LB_PRECISION_INT8, LB_PRECISION_STORED};
  for (int i = 0; i < 2; i++) {
    lb_model *m;
    lb_error err;
    lb__trainable_options options = {.real = LB_DTYPE_F32, .precision = frozen[i]};
    assert_int_equal(lb__model_open_trainable(&m, folder, &options, &err), LB_E_UNSUPPORTED);
    assert_null(m);
    assert_non_null(strstr(err.message, lb_precision_name(frozen[i])));
    assert_non_null(strstr(err.message, "trained in f32 or bf16"));
  }
}

/* 256 tokens read and 128 written. */
static void test_which_is_best(void **state) {
  (void)state;
  lb_precision_comparison c = {.n = 3};
  lb_precision_figures *f = c.precisions;
  f[0] = (lb_precision_figures){.mean_kl = 0.0, .read_rate = 100, .write_rate = 20};
  f[1] = (lb_precision_figures){.mean_kl = 0.001, .read_rate = 200, .write_rate = 19};
  f[2] = (lb_precision_figures){.mean_kl = 0.005, .read_rate = 110, .write_rate = 40};
  assert_int_equal(lb__precision_best(&c, 0.02), 2);
  assert_int_equal(lb__precision_best(&c, 0.005), 2);
  assert_int_equal(lb__precision_best(&c, 0.004), 1); /* 8.0 s beside 9.0 s */
  assert_int_equal(lb__precision_best(&c, 0.0), 0);
  f[1].write_rate = 10; /* reads fast, but writes slowly: 14.1 s */
  assert_int_equal(lb__precision_best(&c, 0.004), 0);
}

static lb_status run(void *ctx, lb_error *err) {
  lb_model *m;
  lb_status st = lb__model_open_auto(&m, ctx, 10.0, 0, err);
  lb_model_free(m);
  return st;
}

static void forget(void *ctx) {
  (void)ctx;
  scratch_empty(cache);
}

static void test_every_allocation_may_fail(void **state) {
  (void)state;
  fault_case c = {.run = run, .prepare = forget, .ctx = folder, .may_survive = true};
  assert_true(fault_each_allocation(&c) > 20);
}

int main(void) {
  assert_int_equal(lb__kernels_install(NULL), LB_OK);
  (void)lb__kernels(); /* measured before the cache folder is ours */
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
  const struct CMUnitTest tests[] = {
      TEST(test_told_once_and_remembered),
      TEST(test_a_bound_of_zero_is_f32),
      TEST(test_another_bound_is_another_question),
      TEST(test_another_model_is_another_question),
      TEST(test_damage_is_measured_anew),
      TEST(test_a_cache_that_cannot_be_written),
      TEST(test_small_models_are_f32),
      TEST(test_refusals),
      TEST(test_int8_is_not_trained),
      TEST(test_which_is_best),
      TEST(test_every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}

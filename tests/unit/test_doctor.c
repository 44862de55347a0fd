/* test_doctor.c - the report on the machine, and the measurements of ops. */
#include <limbeck/bench.h>
#include <limbeck/doctor.h>
#include <limbeck/environment.h>

#include "ops/kernel_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* In a process of its own, because a process chooses its kernels once. */
static void test_unknown_kernel_set_is_reported(void **state) {
  (void)state;
  pid_t child = fork();
  if (child == 0) {
    setenv("LIMBECK_KERNELS", "avx2,sse9", 1);
    lb_doctor d;
    lb_error err;
    bool right = lb_doctor_report(&d, &err) == LB_E_ARG && strstr(err.message, "'sse9'") != NULL &&
                 d.n_kernels == LB__OP_COUNT && strcmp(d.kernels[0].kernel, "reference") == 0;
    _exit(right ? 0 : 1);
  }
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

static void test_report(void **state) {
  (void)state;
  lb_doctor d;
  lb_error err;
  assert_int_equal(lb_doctor_report(&d, &err), LB_OK);
  assert_string_equal(d.limbeck_version, lb_version());
  assert_int_equal(d.n_kernels, LB__OP_COUNT);
  for (int i = 0; i < d.n_kernels; i++) {
    assert_true(strlen(d.kernels[i].op) > 0 && strlen(d.kernels[i].meaning) > 0);
    assert_non_null(d.kernels[i].kernel);
  }
  assert_true(d.cpu[0] != '\0' && d.threads >= 1 && d.logical_cores >= 1);
  assert_true(d.physical_cores <= d.logical_cores);
  assert_true(d.memory_total >= d.memory_available);
  assert_true(d.n_libraries == 5);
  for (int i = 0; i < d.n_libraries; i++) assert_true(d.libraries[i].version[0] != '\0');
  assert_true(d.n_kernel_sets >= 3 && d.n_features >= 1);
}

static bool has_warning(const lb_doctor *d, const char *text) {
  for (int i = 0; i < d->n_warnings; i++)
    if (strstr(d->warnings[i], text) != NULL) return true;
  return false;
}

static void test_too_many_threads_are_a_warning(void **state) {
  (void)state;
  lb_doctor d;
  lb_threads_set(1000);
  assert_int_equal(lb_doctor_report(&d, NULL), LB_OK);
  lb_threads_set(0);
  if (d.usable_cores < 1000) assert_true(has_warning(&d, "1000 threads"));
}

static void test_bench_one_op(void **state) {
  (void)state;
  lb_bench_result *results;
  size_t n;
  lb_bench_options options = {.seconds = 0.001, .op = "rms_norm"};
  assert_int_equal(lb_bench_ops(&results, &n, &options, NULL), LB_OK);
  assert_true(n >= 1);
  for (size_t i = 0; i < n; i++) {
    assert_string_equal(results[i].op, "rms_norm");
    assert_true(results[i].repetitions >= 3 && results[i].fastest_ns > 0);
    assert_true(results[i].fastest_ns <= results[i].median_ns);
    assert_true(results[i].median_ns <= results[i].slowest_ns && results[i].reference_ns > 0);
  }
  lb_bench_results_free(results);
}

static void test_bench_refuses_an_unknown_op(void **state) {
  (void)state;
  lb_bench_result *results;
  size_t n;
  lb_error err;
  lb_bench_options options = {.op = "matmul"};
  assert_int_equal(lb_bench_ops(&results, &n, &options, &err), LB_E_ARG);
  assert_non_null(strstr(err.message, "'matmul'"));
  assert_null(results);
  lb_bench_results_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_unknown_kernel_set_is_reported), cmocka_unit_test(test_report),
      cmocka_unit_test(test_too_many_threads_are_a_warning), cmocka_unit_test(test_bench_one_op),
      cmocka_unit_test(test_bench_refuses_an_unknown_op),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_signals.c - a program's signal handlers may run during products (docs/decisions/0009). */
#include "kernels/kernels.h"
#include "ops/ops.h"
#include "tensor/tensor_data.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#include <cmocka.h>

static volatile sig_atomic_t raised;

static void count(int number) {
  (void)number;
  raised++;
}

static void handle(struct sigaction *before, void (*handler)(int)) {
  struct sigaction action = {.sa_handler = handler};
  assert_int_equal(sigaction(SIGALRM, &action, before), 0);
}

static void raise_every(suseconds_t microseconds) {
  struct itimerval timer = {{0, microseconds}, {0, microseconds}};
  assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static lb_tensor *ones(lb__stream *s, int64_t rows, int64_t columns) {
  lb_tensor *t;
  assert_int_equal(lb__stream_tensor(&t, s, LB_DTYPE_F32, 2, (int64_t[]){rows, columns}, NULL),
                   LB_OK);
  for (int64_t i = 0; i < rows * columns; i++) lb__tensor_f32(t)[i] = 1.0f;
  return t;
}

/* Until a hundred have come. Wrong memory shows as a wrong number, or ends the process. */
static void test_products_survive_signals(void **state) {
  (void)state;
  enum { N = 256, I = 576, O = 192, WANTED = 100 };
  lb__compute computes[] = {LB__COMPUTE_F32, LB__COMPUTE_BF16};
  struct sigaction before;
  assert_int_equal(lb__kernels_install(NULL), LB_OK);
  handle(&before, count);
  raise_every(500);
  for (size_t k = 0; k < sizeof computes / sizeof *computes; k++)
    for (raised = 0; raised < WANTED;) {
      lb__stream s;
      lb_tensor *out;
      lb__stream_init(&s, lb__device_cpu());
      s.compute = computes[k];
      lb_tensor *x = ones(&s, N, I), *weight = ones(&s, O, I);
      assert_int_equal(lb__op_linear(&s, &out, x, weight, NULL, NULL), LB_OK);
      for (int64_t i = 0; i < N * O; i++) assert_true(lb__tensor_f32(out)[i] == (float)I);
      lb__stream_deinit(&s);
    }
  raise_every(0);
  assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_products_survive_signals)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

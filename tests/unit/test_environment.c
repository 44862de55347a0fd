/* test_environment.c - the version and the log receiver. */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void test_version(void **state) {
  (void)state;
  int major, minor, patch, end = 0;
  assert_int_equal(sscanf(lb_version(), "%d.%d.%d%n", &major, &minor, &patch, &end), 3);
  assert_int_equal(lb_version()[end], '\0');
}

typedef struct heard {
  int n;
  lb_log_level level;
  char text[2000];
} heard;

static void listen(void *ctx, lb_log_level level, const char *text) {
  heard *h = ctx;
  h->n++;
  h->level = level;
  strncpy(h->text, text, sizeof h->text - 1);
}

static void test_log(void **state) {
  (void)state;
  heard h = {0};
  lb__log(LB_LOG_WARN, "nobody listens");
  lb_log_set(listen, &h);
  lb__log(LB_LOG_WARN, "loss %d\n\x7F[1m\x1B", 3);
  assert_int_equal(h.n, 1);
  assert_int_equal(h.level, LB_LOG_WARN);
  assert_string_equal(h.text, "loss 3  [1m "); /* one line, no escapes */
  char longer[1500];
  memset(longer, 'x', sizeof longer - 1);
  longer[sizeof longer - 1] = '\0';
  lb__log(LB_LOG_DEBUG, "%s", longer);
  assert_int_equal(strlen(h.text), 1023);
  lb_log_set(NULL, NULL);
  lb__log(LB_LOG_WARN, "nobody listens");
  assert_int_equal(h.n, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_version), cmocka_unit_test(test_log)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

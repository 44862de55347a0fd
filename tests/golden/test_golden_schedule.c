/* test_golden_schedule.c - learning rates of every step against Transformers
 * (generate/schedules.py), to the last bit except for the cosine. */
#include "golden.h"

#include "train/schedule.h"
#include "../tolerances.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static lb__scheduler scheduler_of(const char *name) {
  for (int i = 0; lb__scheduler_name(i) != NULL; i++)
    if (strcmp(lb__scheduler_name(i), name) == 0) return (lb__scheduler)i;
  fail_msg("no scheduler '%s'", name);
  return LB__SCHEDULER_LINEAR;
}

static void check_case(const json_t *c) {
  lb__schedule s = {.type = scheduler_of(json_string_value(json_object_get(c, "name"))),
                    .learning_rate = golden_real(c, "learning_rate", 0),
                    .max_steps = golden_int(c, "max_steps", 0),
                    .min_lr = golden_real(c, "min_lr", 0)};
  double warmup = json_number_value(json_object_get(c, "warmup"));
  s.warmup_steps = lb__schedule_warmup_steps(warmup, s.max_steps);
  assert_int_equal(s.warmup_steps, golden_int(c, "warmup_steps", -1));
  bool is_cosine = strncmp(lb__scheduler_name((int)s.type), "cosine", 6) == 0;
  const json_t *rates = json_object_get(c, "rates");
  assert_int_equal(json_array_size(rates), s.max_steps);
  for (size_t i = 0; i < json_array_size(rates); i++) {
    double want = json_number_value(json_array_get(rates, i));
    double got = lb__schedule_rate(&s, (int64_t)i);
    double allowed = is_cosine ? LB_TOL_GOLDEN_COSINE * s.learning_rate : 0;
    if (!(fabs(got - want) <= allowed))
      fail_msg("%s, %g warm-up steps of %lld, step %zu: %.17g, Transformers %.17g",
               lb__scheduler_name((int)s.type), warmup, (long long)s.max_steps, i, got, want);
  }
}

static void test_every_step(void **state) {
  (void)state;
  char *path = golden_path("schedules.json");
  json_t *cases = golden_json(path);
  assert_true(json_array_size(cases) >= 30);
  for (size_t i = 0; i < json_array_size(cases); i++) check_case(json_array_get(cases, i));
  json_decref(cases);
  free(path);
}

static void test_names_end(void **state) {
  (void)state;
  assert_null(lb__scheduler_name(-1));
  assert_null(lb__scheduler_name(LB__SCHEDULER_COSINE_WITH_MIN_LR + 1));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_step),
      cmocka_unit_test(test_names_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

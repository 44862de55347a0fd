/* test_golden_teacher.c - which precision a teacher gets: the fastest within the bound; float32
 * where the bound allows nothing else, where the model or the run is small. */
#include "golden.h"

#include "distill/teacher_precision.h"
#include "kernels/kernels.h"
#include "ops/kernel_table.h"

#include <stdio.h>

static lb_error err;
static const lb__teacher_least none = {0, 0};

/* Opens a tiny job, chooses, and returns what the teacher computes in. */
static lb_precision choose(const char *max_kl, const lb__teacher_least *least) {
  char *teacher = golden_path("train/gpt2-teacher"), *student = golden_path("train/gpt2-student");
  char *data = golden_path("train/gpt2.jsonl"), texts[4][512];
  const char *const keys[4] = {"teacher", "student", "data.train", "teacher_precision_max_kl"};
  const char *const values[4] = {teacher, student, data, max_kl};
  const char *words[] = {texts[0], texts[1], texts[2], texts[3], "max_length=32"};
  for (int i = 0; i < 4; i++) snprintf(texts[i], sizeof texts[i], "%s=%s", keys[i], values[i]);
  lb_recipe *recipe;
  lb__setup s;
  lb__setup_options how = {.real = LB_DTYPE_F32};
  if (lb_recipe_load(&recipe, NULL, words, 5, &err) != LB_OK) fail_msg("%s", err.message);
  if (lb__setup_open(&s, recipe, NULL, &how, &err) != LB_OK) fail_msg("%s", err.message);
  assert_int_equal(lb_model_get_info(lb__teacher_model(s.teacher))->precision, LB_PRECISION_F32);
  if (lb__teacher_choose_precision(&s, least, &err) != LB_OK) fail_msg("%s", err.message);
  lb_precision chosen = lb_model_get_info(lb__teacher_model(s.teacher))->precision;
  lb__setup_close(&s);
  lb_recipe_free(recipe);
  free(teacher), free(student), free(data);
  return chosen;
}

/* What is measured to be fastest on this machine. */
static lb_precision fastest(void) {
  const double *rates = lb__kernels()->product_rates;
  bool bf16 = lb__precision_is_faster(LB_PRECISION_BF16);
  bool int8 = lb__precision_is_faster(LB_PRECISION_INT8);
  if (int8 && (!bf16 || rates[LB__COMPUTE_INT8] > rates[LB__COMPUTE_BF16]))
    return LB_PRECISION_INT8;
  return bf16 ? LB_PRECISION_BF16 : LB_PRECISION_F32;
}

static void test_the_fastest_within_the_bound(void **state) {
  (void)state;
  assert_int_equal(choose("10", &none), fastest());
  assert_int_equal(choose("0", &none), LB_PRECISION_F32);
}

static void test_small_ones_stay_exact(void **state) {
  (void)state;
  assert_int_equal(choose("10", &lb__teacher_least_default), LB_PRECISION_F32);
  assert_int_equal(choose("10", &(lb__teacher_least){0, INT64_MAX}), LB_PRECISION_F32);
  assert_int_equal(choose("10", &(lb__teacher_least){INT64_MAX, 0}), LB_PRECISION_F32);
}

int main(void) {
  if (lb__kernels_install(&err) != LB_OK) return 1;
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_fastest_within_the_bound),
                                     cmocka_unit_test(test_small_ones_stay_exact)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

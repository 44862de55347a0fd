/* test_golden_trainer_state.c - trainer_state.json has the keys and types of the one that a
 * Transformers Trainer wrote (generate/trainer_state.py), so that scripts which plot log_history
 * work on both. */
#include "golden.h"

#include "base/json.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "scratch.h"
#include "toy_training.h"

#include <stdio.h>
#include <string.h>

static char *folder;

/* The toy's checkpoint of step 4, of a run with the settings of the generator. */
static json_t *our_state(void) {
  toy t;
  lb__trainer *trainer;
  lb__train_result result;
  lb_error err = {0};
  const lb__listeners none = {.n = 0};
  lb__trainer_options o = lb__trainer_options_default();
  o.max_steps = 6;
  o.warmup_steps = 0.2;
  o.logging_steps = 2;
  o.save_steps = 4;
  o.eval_steps = 3;
  o.output_dir = folder;
  toy_init(&t, 2);
  assert_int_equal(
      lb__trainer_new(&trainer, &t.objective, t.parameters, 2, t.loader, &none, &o, &err), LB_OK);
  if (lb__trainer_run(&result, trainer, &err) != LB_OK) fail_msg("%s", err.message);
  lb__trainer_free(trainer);
  lb__free(result.last_checkpoint);
  toy_deinit(&t);
  return golden_json(scratch_path(folder, "checkpoint-4/trainer_state.json"));
}

/* Transformers' integers may be floats where one asked for a float. */
static const char *kind_of(const json_t *value) {
  return json_is_number(value) ? "number" : lb__json_type_name(value);
}

static void check_object(json_t *wanted, json_t *got, const char *what) {
  const char *key;
  json_t *value;
  json_object_foreach(wanted, key, value) {
    const json_t *ours = json_object_get(got, key);
    if (ours == NULL) fail_msg("%s: '%s' is missing", what, key);
    bool may_be_unknown = json_is_null(ours) && strcmp(key, "train_batch_size") == 0;
    if (!may_be_unknown && strcmp(kind_of(value), kind_of(ours)) != 0)
      fail_msg("%s: '%s' is of type %s, Transformers' of %s", what, key, kind_of(ours),
               kind_of(value));
  }
}

static void test_keys(void **state) {
  (void)state;
  char *path = golden_path("trainer_state.json");
  json_t *theirs = golden_json(path), *ours = our_state();
  check_object(theirs, ours, "trainer_state.json");
  assert_int_equal(json_object_size(theirs), json_object_size(ours));
  json_t *a = json_object_get(json_object_get(theirs, "stateful_callbacks"), "TrainerControl");
  json_t *b = json_object_get(json_object_get(ours, "stateful_callbacks"), "TrainerControl");
  check_object(a, b, "TrainerControl");
  check_object(json_object_get(a, "args"), json_object_get(b, "args"), "TrainerControl.args");
  json_decref(theirs);
  json_decref(ours);
  free(path);
}

/* Losses at 2 and 4, an evaluation at 3; times are left out, because they would make two runs that
 * are the same differ. */
static void test_history(void **state) {
  (void)state;
  char *path = golden_path("trainer_state.json");
  json_t *theirs = golden_json(path), *ours = our_state();
  const json_t *a = json_object_get(theirs, "log_history");
  const json_t *b = json_object_get(ours, "log_history");
  assert_int_equal(json_array_size(a), json_array_size(b));
  for (size_t i = 0; i < json_array_size(a); i++) {
    json_t *entry = json_array_get(a, i);
    json_object_del(entry, "eval_runtime");
    json_object_del(entry, "eval_samples_per_second");
    json_object_del(entry, "eval_steps_per_second");
    check_object(entry, json_array_get(b, i), "log_history");
    assert_true(
        json_equal(json_object_get(entry, "step"), json_object_get(json_array_get(b, i), "step")));
  }
  json_decref(theirs);
  json_decref(ours);
  free(path);
}

static int begin(void **state) {
  (void)state;
  folder = scratch_new();
  return 0;
}
static int end(void **state) {
  (void)state;
  scratch_remove(folder);
  return 0;
}

int main(void) {
  lb__kernels_install(NULL);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_keys, begin, end),
      cmocka_unit_test_setup_teardown(test_history, begin, end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

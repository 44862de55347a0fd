/* test_shrink.c - lb_shrink: every weight of the result is the chosen layer's, byte for byte; what
 * config.json says of single layers goes with them; every refusal; every call failing. */
#include "formats/checkpoint.h"
#include "model/model_config.h"

#include <limbeck/shrink.h>

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

#define MODELS LIMBECK_SOURCE_DIR "/tests/golden/data/models/"

static char *folder;
static lb_error err;

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

/* ---- which layers ---- */

static void expect_choice(int64_t n_keep, int64_t n_layers, const int64_t *wanted) {
  int64_t found[64];
  assert_true(lb_shrink_choose(found, n_keep, n_layers));
  for (int64_t i = 0; i < n_keep; i++) assert_int_equal(found[i], wanted[i]);
}

static void test_choice(void **state) {
  (void)state;
  expect_choice(6, 12, (const int64_t[]){0, 2, 4, 7, 9, 11}); /* DistilBERT's extract.py */
  expect_choice(3, 4, (const int64_t[]){0, 2, 3});            /* a half goes up */
  expect_choice(2, 30, (const int64_t[]){0, 29});
  expect_choice(1, 30, (const int64_t[]){0});
  expect_choice(3, 3, (const int64_t[]){0, 1, 2});
  int64_t found[64];
  for (int64_t n = 1; n <= 64; n++) { /* always rising, with both ends */
    for (int64_t k = 2; k <= n; k++) {
      assert_true(lb_shrink_choose(found, k, n));
      assert_int_equal(found[0], 0);
      assert_int_equal(found[k - 1], n - 1);
      for (int64_t i = 1; i < k; i++) assert_true(found[i] > found[i - 1]);
    }
  }
  assert_false(lb_shrink_choose(found, 0, 3));
  assert_false(lb_shrink_choose(found, 4, 3));
}

static void expect_layers(const lb_shrink_options *o, const int64_t *wanted, int64_t n_wanted) {
  int64_t found[6], n;
  if (lb_shrink_layers(found, &n, o, 6, &err) != LB_OK) fail_msg("%s", err.message);
  assert_int_equal(n, n_wanted);
  for (int64_t i = 0; i < n; i++) assert_int_equal(found[i], wanted[i]);
}

static void test_ways_to_choose(void **state) {
  (void)state;
  const double influence[6] = {0.5, 0.1, 0.3, 0.1, 0.3, 0.2};
  lb_importance hand = {.n_layers = 6, .layers = influence};
  lb_shrink_options o = lb_shrink_options_default();
  int64_t found[6], n;
  expect_layers(&o, (const int64_t[]){0, 1, 2, 3, 4, 5}, 6); /* nothing said: all */
  o.n_layers = 3;
  expect_layers(&o, (const int64_t[]){0, 3, 5}, 3);
  o.layer_selection = LB_LAYERS_INFLUENCE;
  o.importance = &hand;
  expect_layers(&o, (const int64_t[]){0, 2, 4}, 3);
  o.n_layers = 2; /* of equals the first */
  expect_layers(&o, (const int64_t[]){0, 2}, 2);
  o.n_layers = 5;
  expect_layers(&o, (const int64_t[]){0, 1, 2, 4, 5}, 5);
  const double broken[6] = {0.5, (double)NAN, 0.3, 0.1, 0.3, 0.2};
  hand.layers = broken;
  assert_int_equal(lb_shrink_layers(found, &n, &o, 6, &err), LB_E_NUMERIC);
  hand = (lb_importance){.n_layers = 5, .layers = influence};
  assert_int_equal(lb_shrink_layers(found, &n, &o, 6, &err), LB_E_ARG);
  o.importance = NULL;
  assert_int_equal(lb_shrink_layers(found, &n, &o, 6, &err), LB_E_ARG);
  int n_of[6] = {0}; /* drawn: rising, and each layer about as often */
  o.layer_selection = LB_LAYERS_RANDOM;
  o.n_layers = 2;
  for (o.seed = 0; o.seed < 600; o.seed++) {
    assert_int_equal(lb_shrink_layers(found, &n, &o, 6, &err), LB_OK);
    assert_true(n == 2 && found[0] < found[1]);
    n_of[found[0]]++, n_of[found[1]]++;
  }
  for (int i = 0; i < 6; i++) assert_true(n_of[i] > 140 && n_of[i] < 260); /* 200 expected */
}

/* ---- weights ---- */

/* The name in the source of a tensor of the result: "model.layers.1.x" is "model.layers.4.x". */
static void source_name(char *out, size_t size, const char *name, const int64_t *layers) {
  const char *mark = strstr(name, "layers.");
  if (mark == NULL) mark = strstr(name, ".h.");
  if (mark == NULL) {
    snprintf(out, size, "%s", name);
    return;
  }
  mark = strchr(mark + 1, '.') + 1;
  char *rest;
  long layer = strtol(mark, &rest, 10);
  snprintf(out, size, "%.*s%lld%s", (int)(mark - name), name, (long long)layers[layer], rest);
}

/* Names with and without a prefix: the hub's gpt2 has none. */
static const lb__stored_tensor *find_source(const lb__checkpoint *teacher, const char *name) {
  const lb__stored_tensor *t = lb__checkpoint_find(teacher, name);
  return t != NULL ? t : lb__checkpoint_find(teacher, strchr(name, '.') + 1);
}

static void expect_weights(const char *teacher_path, const char *student_path,
                           const int64_t *layers, size_t n_layers) {
  lb__checkpoint *teacher, *student;
  assert_int_equal(lb__checkpoint_open(&teacher, teacher_path, &err), LB_OK);
  assert_int_equal(lb__checkpoint_open(&student, student_path, &err), LB_OK);
  size_t n = lb__checkpoint_count(student), of_last = 0;
  char last[32];
  snprintf(last, sizeof last, ".%zu.", n_layers - 1);
  for (size_t i = 0; i < n; i++) {
    const lb__stored_tensor *found = lb__checkpoint_tensor(student, i);
    char name[LB__WEIGHT_NAME_SIZE];
    source_name(name, sizeof name, found->name, layers);
    const lb__stored_tensor *wanted = find_source(teacher, name);
    if (wanted == NULL) fail_msg("%s comes from nowhere (%s)", found->name, name);
    assert_int_equal(found->dtype, wanted->dtype);
    assert_int_equal(found->size, wanted->size);
    assert_memory_equal(found->bytes, wanted->bytes, found->size);
    of_last += strstr(found->name, last) != NULL;
  }
  assert_true(of_last >= 9); /* norms, attention, MLP */
  lb__checkpoint_close(student);
  lb__checkpoint_close(teacher);
}

static void shrink_to(const char *model, const char *name, const int64_t *layers, size_t n) {
  lb_shrink_options o = lb_shrink_options_default();
  char teacher[256], student[256];
  snprintf(teacher, sizeof teacher, MODELS "%s", model);
  snprintf(student, sizeof student, "%s", scratch_path(folder, name));
  o.layers = layers;
  o.n_chosen = n;
  if (lb_shrink(teacher, student, &o, &err) != LB_OK) fail_msg("%s: %s", model, err.message);
  expect_weights(teacher, student, layers, n);
  lb_model *m;
  if (lb_model_open(&m, student, NULL, &err) != LB_OK) fail_msg("%s: %s", model, err.message);
  assert_int_equal(lb_model_get_info(m)->n_layers, (int64_t)n);
  lb_model_free(m);
}

static void test_weights_of_every_family(void **state) {
  (void)state;
  static const char *const models[] = {"gpt2-tied",  "gpt2-untied",  "llama-bias",
                                       "mistral",    "qwen2-untied", "qwen2-tied",
                                       "qwen3-tied", "llama-f16",    "llama-bf16-shards"};
  for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
    char name[64];
    snprintf(name, sizeof name, "last-of-%s", models[i]);
    shrink_to(models[i], name, (const int64_t[]){1}, 1);
    snprintf(name, sizeof name, "all-of-%s", models[i]);
    shrink_to(models[i], name, (const int64_t[]){0, 1}, 2);
  }
  shrink_to("gemma3-softcap", "gemma", (const int64_t[]){1, 2, 4, 6}, 4);
}

/* ---- what is said of single layers ---- */

static void expect_windows(const char *name, const int64_t *layers, size_t n) {
  char teacher_path[256];
  lb__checkpoint *teacher, *student;
  lb__model_config before, after;
  snprintf(teacher_path, sizeof teacher_path, MODELS "%s", name);
  assert_int_equal(lb__checkpoint_open(&teacher, teacher_path, &err), LB_OK);
  assert_int_equal(lb__model_config_read(&before, teacher, &err), LB_OK);
  lb_shrink_options o = lb_shrink_options_default();
  o.layers = layers;
  o.n_chosen = n;
  o.overwrite = true;
  if (lb_shrink(teacher_path, scratch_path(folder, "windows"), &o, &err) != LB_OK)
    fail_msg("%s", err.message);
  assert_int_equal(lb__checkpoint_open(&student, scratch_path(folder, "windows"), &err), LB_OK);
  if (lb__model_config_read(&after, student, &err) != LB_OK) fail_msg("%s", err.message);
  for (size_t i = 0; i < n; i++)
    if (after.is_sliding[i] != before.is_sliding[layers[i]])
      fail_msg("%s: layer %zu, the teacher's %lld", name, i, (long long)layers[i]);
  assert_int_equal(after.sliding_window, before.sliding_window);
  lb__model_config_deinit(&after);
  lb__model_config_deinit(&before);
  lb__checkpoint_close(student);
  lb__checkpoint_close(teacher);
}

static void test_windows_stay_with_their_layers(void **state) {
  (void)state; /* of 6 layers the last is global, of 3 the third, of 7 as layer_types says */
  expect_windows("gemma3-linear", (const int64_t[]){0, 5}, 2);
  expect_windows("gemma3-linear", (const int64_t[]){4, 5}, 2);
  expect_windows("gemma3-linear", (const int64_t[]){0, 1, 2}, 3);
  expect_windows("gemma3-scale", (const int64_t[]){1, 2}, 2);
  expect_windows("gemma3-softcap", (const int64_t[]){1, 2, 4, 6}, 4);
}

/* An old spelling: no layer_types, only a rule over the layers' numbers. */
static void test_rules_over_numbers(void **state) {
  (void)state;
  char *config = scratch_read(MODELS "gemma3-linear", "config.json", NULL);
  json_t *j = json_loads(config, 0, NULL);
  free(config);
  (void)json_object_del(j, "layer_types");
  json_object_set_new(j, "sliding_window_pattern", json_integer(3));
  json_object_set_new(j, "some_layer_list", json_pack("[i,i,i,i,i,i]", 10, 11, 12, 13, 14, 15));
  json_object_set_new(j, "other_list", json_pack("[i,i,i,i,i,i]", 0, 0, 0, 0, 0, 0));
  lb__checkpoint *c;
  assert_int_equal(lb__checkpoint_open(&c, MODELS "gemma3-linear", &err), LB_OK);
  assert_int_equal(lb__folder_make(scratch_path(folder, "old"), &err), LB_OK);
  assert_int_equal(lb__json_save(scratch_path(folder, "old/config.json"), j, &err), LB_OK);
  lb__checkpoint_close(c);
  json_decref(j);
  size_t size;
  char *weights = scratch_read(MODELS "gemma3-linear", "model.safetensors", &size);
  scratch_write(folder, "old/model.safetensors", weights, size);
  free(weights);
  lb_shrink_options o = lb_shrink_options_default();
  o.layers = (const int64_t[]){1, 2, 4};
  o.n_chosen = 3;
  if (lb_shrink(scratch_path(folder, "old"), scratch_path(folder, "new"), &o, &err) != LB_OK)
    fail_msg("%s", err.message);
  assert_int_equal(lb__hf_config_read(&j, scratch_path(folder, "new"), &err), LB_OK);
  json_t *wanted = json_pack("[s,s,s]", "sliding_attention", "full_attention", "sliding_attention");
  json_t *cut = json_pack("[i,i,i]", 11, 12, 14);
  assert_true(json_equal(json_object_get(j, "layer_types"), wanted));
  assert_null(json_object_get(j, "sliding_window_pattern"));
  assert_true(json_equal(json_object_get(j, "some_layer_list"), cut));
  assert_int_equal(json_array_size(json_object_get(j, "other_list")), 6);
  assert_int_equal(json_integer_value(json_object_get(j, "num_hidden_layers")), 3);
  json_decref(cut);
  json_decref(wanted);
  json_decref(j);
}

/* ---- refusals ---- */

static void expect_refusal(const char *teacher, const char *to, const lb_shrink_options *o,
                           lb_status status, const char *part) {
  char path[256];
  snprintf(path, sizeof path, "%s", scratch_path(folder, to));
  lb_status st = lb_shrink(teacher, path, o, &err);
  assert_int_equal(st, status);
  if (strstr(err.message, part) == NULL) fail_msg("'%s' in: %s", part, err.message);
  assert_false(scratch_exists(folder, to));
}

static lb_shrink_options listed(const int64_t *layers, size_t n) {
  lb_shrink_options o = lb_shrink_options_default();
  o.layers = layers;
  o.n_chosen = n;
  return o;
}

static void test_refusals(void **state) {
  (void)state;
  static const char *const teacher = MODELS "llama-bias";
  lb_shrink_options o = lb_shrink_options_default();
  o.n_layers = 3;
  expect_refusal(teacher, "x", &o, LB_E_ARG,
                 "llama-bias has 2, want to keep 1 to 2 of them, not 3");
  o.n_layers = -1;
  expect_refusal(teacher, "x", &o, LB_E_ARG, "not -1");
  o = listed((const int64_t[]){0, 2}, 2);
  expect_refusal(teacher, "x", &o, LB_E_ARG, "layer 2: " MODELS "llama-bias has layers 0 to 1");
  o = listed((const int64_t[]){-1}, 1);
  expect_refusal(teacher, "x", &o, LB_E_ARG, "layer -1");
  o = listed((const int64_t[]){1, 0}, 2);
  expect_refusal(teacher, "x", &o, LB_E_ARG, "0 comes after 1; want them rising");
  o = listed((const int64_t[]){1, 1}, 2);
  expect_refusal(teacher, "x", &o, LB_E_ARG, "1 comes after 1; want them rising");
  o = listed((const int64_t[]){1}, 0);
  expect_refusal(teacher, "x", &o, LB_E_ARG, "not 0");
  o = listed((const int64_t[]){1}, 1);
  o.n_layers = 1;
  expect_refusal(teacher, "x", &o, LB_E_ARG, "not both");
  o.n_layers = 0;
  o.layer_selection = LB_LAYERS_RANDOM;
  expect_refusal(teacher, "x", &o, LB_E_ARG, "not both");
  o = lb_shrink_options_default();
  o.n_layers = 1;
  o.layer_selection = LB_LAYERS_INFLUENCE;
  expect_refusal(teacher, "x", &o, LB_E_ARG, "give a calibration text");
  o.layer_selection = (lb_layer_selection)9;
  expect_refusal(teacher, "x", &o, LB_E_ARG, "layer_selection 9 is none");
  o = listed((const int64_t[]){1}, 1);
  expect_refusal(teacher, "x.gguf", &o, LB_E_ARG, "limbeck convert makes a GGUF of it");
  o.has_dtype = true;
  o.dtype = LB_DTYPE_Q8_0;
  expect_refusal(teacher, "x", &o, LB_E_ARG, "cannot write Q8_0; want F32, F16 or BF16");
  o.has_dtype = false;
  expect_refusal("/no/such/model", "x", &o, LB_E_IO, "/no/such/model");
  volatile int cancel = 1;
  o.cancel = &cancel;
  assert_int_equal(lb_shrink(teacher, scratch_path(folder, "y"), &o, &err), LB_E_CANCELLED);
  assert_false(scratch_exists(folder, "y/config.json"));
}

/* GPT-2 models that scale attention by the layer's number. */
static void test_layers_tied_to_their_numbers(void **state) {
  (void)state;
  size_t size;
  char *weights = scratch_read(MODELS "gpt2-tied", "model.safetensors", &size);
  char *config = scratch_read(MODELS "gpt2-tied", "config.json", NULL);
  char *key = strstr(config, "\"scale_attn_by_inverse_layer_idx\": false");
  assert_non_null(key);
  memcpy(strstr(key, "false"), "true ", 5);
  scratch_write(folder, "model.safetensors", weights, size);
  scratch_write_text(folder, "config.json", config);
  free(config);
  free(weights);
  lb_shrink_options o = listed((const int64_t[]){1}, 1);
  expect_refusal(folder, "x", &o, LB_E_UNSUPPORTED, "layer 1 cannot become layer 0");
  o = listed((const int64_t[]){0}, 1);
  assert_int_equal(lb_shrink(folder, scratch_path(folder, "x"), &o, &err), LB_OK);
}

/* ---- faults ---- */

static void prepare(void *ctx) {
  (void)ctx;
  scratch_empty(scratch_path(folder, "student"));
}

static lb_status run(void *ctx, lb_error *error) {
  (void)ctx;
  lb_shrink_options o = lb_shrink_options_default();
  o.n_layers = 1;
  char teacher[256], student[256];
  snprintf(teacher, sizeof teacher, "%s", scratch_path(folder, "teacher"));
  snprintf(student, sizeof student, "%s", scratch_path(folder, "student"));
  return lb_shrink(teacher, student, &o, error);
}

/* A folder with a config.json is whole. */
static void check(void *ctx, lb_status st, bool left_behind) {
  (void)ctx;
  bool is_there = scratch_exists(folder, "student/config.json");
  if (st == LB_OK) assert_true(is_there);
  if (is_there) assert_true(scratch_exists(folder, "student/model.safetensors"));
  if (!left_behind) assert_int_equal(scratch_count_hidden(scratch_path(folder, "student")), 0);
}

static void test_every_call_may_fail(void **state) {
  (void)state;
  assert_int_equal(lb__folder_make(scratch_path(folder, "teacher"), &err), LB_OK);
  assert_int_equal(lb__folder_make(scratch_path(folder, "student"), &err), LB_OK);
  char teacher[256];
  snprintf(teacher, sizeof teacher, "%s", scratch_path(folder, "teacher"));
  tiny_model_write(teacher, (tiny_options){.seed = 4});
  fault_case c = {.run = run, .prepare = prepare, .check = check};
  c.may_survive = true; /* arenas take a smaller block */
  assert_true(fault_each_allocation(&c) > 50);
  assert_true(fault_each_io(&c) > 50);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_choice),
      cmocka_unit_test(test_ways_to_choose),
      cmocka_unit_test_setup_teardown(test_weights_of_every_family, setup, teardown),
      cmocka_unit_test_setup_teardown(test_windows_stay_with_their_layers, setup, teardown),
      cmocka_unit_test_setup_teardown(test_rules_over_numbers, setup, teardown),
      cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
      cmocka_unit_test_setup_teardown(test_layers_tied_to_their_numbers, setup, teardown),
      cmocka_unit_test_setup_teardown(test_every_call_may_fail, setup, teardown)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_create.c - lb_create: the tensors of every family, their distribution, the same bytes for
 * any number of threads, pinned numbers, the tokenizer that goes along, every refusal, every call
 * failing; and shapes, which become configurations. */
#include "formats/checkpoint.h"
#include "model/model_create.h"

#include <limbeck/convert.h>
#include <limbeck/tokenizer.h>

#include "faults.h"
#include "scratch.h"

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
#define PINNED                                                                                     \
  { 0.0f, 0.0f, 0.0f, 0.0f }

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

static const char *const families[] = {"gpt2", "llama", "mistral", "qwen2", "qwen3", "gemma3_text"};
enum { N_FAMILIES = sizeof families / sizeof families[0] };

static lb__model_shape small(const char *type) {
  return (lb__model_shape){.model_type = type,
                           .hidden_size = 64,
                           .num_hidden_layers = 7,
                           .num_attention_heads = 4,
                           .max_position_embeddings = 128,
                           .vocab_size = 500,
                           .bos_token_id = -1};
}

static json_t *config_of(const lb__model_shape *shape) {
  json_t *j;
  err = (lb_error){0};
  if (lb__model_shape_config(&j, shape, &err) != LB_OK) fail_msg("%s", err.message);
  return j;
}

/* `name` below the scratch folder: a new model of a shape. */
static void create(const char *name, const lb__model_shape *shape, const lb_create_options *o) {
  json_t *j = config_of(shape);
  if (lb__create(j, "shape", scratch_path(folder, name), o, &err) != LB_OK)
    fail_msg("%s: %s", shape->model_type, err.message);
  json_decref(j);
}

static lb__checkpoint *opened(const char *path) {
  lb__checkpoint *c;
  if (lb__checkpoint_open(&c, path, &err) != LB_OK) fail_msg("%s", err.message);
  return c;
}

/* ---- which tensors ---- */

/* A new model has the tensors that Transformers wrote for the same config.json, and no others. */
static void test_tensors_are_transformers(void **state) {
  (void)state;
  static const char *const models[] = {"gpt2-untied",    "llama-bias",    "llama-headdim",
                                       "llama-tied-gqa", "mistral",       "qwen2-untied",
                                       "qwen3-tied",     "gemma3-softcap"};
  for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
    char source[512];
    snprintf(source, sizeof source, MODELS "%s", models[i]);
    if (lb_create(source, scratch_path(folder, models[i]), NULL, &err) != LB_OK)
      fail_msg("%s: %s", models[i], err.message);
    lb__checkpoint *wanted = opened(source), *found = opened(scratch_path(folder, models[i]));
    assert_int_equal(lb__checkpoint_count(found), lb__checkpoint_count(wanted));
    for (size_t t = 0; t < lb__checkpoint_count(wanted); t++) {
      const lb__stored_tensor *w = lb__checkpoint_tensor(wanted, t),
                              *f = lb__checkpoint_find(found, w->name);
      if (f == NULL) fail_msg("%s: no %s", models[i], w->name);
      assert_int_equal(f->rank, w->rank);
      assert_memory_equal(f->shape, w->shape, (size_t)w->rank * sizeof *w->shape);
      assert_int_equal(f->dtype, LB_DTYPE_F32);
    }
    lb__checkpoint_close(wanted);
    lb__checkpoint_close(found);
  }
}

/* ---- how they begin ---- */

typedef struct moments {
  double mean, deviation, fourth; /* of the normal distribution: 0, s, 3 s^4 */
} moments;

static moments measure(const lb__stored_tensor *t) {
  size_t n = t->size / sizeof(float);
  double sum[3] = {0};
  for (size_t i = 0; i < n; i++) {
    float x;
    memcpy(&x, t->bytes + i * sizeof x, sizeof x);
    sum[0] += (double)x;
    sum[1] += (double)x * (double)x;
    sum[2] += pow((double)x, 4);
  }
  return (moments){sum[0] / (double)n, sqrt(sum[1] / (double)n), sum[2] / (double)n};
}

static bool is_norm(const char *name) {
  return strstr(name, "norm") != NULL || strstr(name, "ln_") != NULL;
}

/* What Transformers' _init_weights gives: five standard errors of room. */
static void check_begins(const lb__stored_tensor *t, const char *family, double range) {
  moments m = measure(t);
  double n = (double)(t->size / sizeof(float)), s = range;
  bool is_gpt2 = strcmp(family, "gpt2") == 0, is_gemma = strcmp(family, "gemma3_text") == 0;
  if (t->rank == 1) { /* every element is the same, so the deviation from 0 is the value */
    double wanted = is_norm(t->name) && strstr(t->name, "bias") == NULL && !is_gemma ? 1.0 : 0.0;
    if (m.mean != wanted || m.deviation != wanted) fail_msg("%s: mean %g", t->name, m.mean);
    return;
  }
  if (is_gpt2 && strstr(t->name, "c_proj") != NULL) s = range / sqrt(2.0 * 7.0);
  if (fabs(m.mean) > 5.0 * s / sqrt(n) || fabs(m.deviation / s - 1.0) > 5.0 / sqrt(2.0 * n) ||
      fabs(m.fourth / (3.0 * pow(s, 4)) - 1.0) > 5.0 * sqrt(96.0 / 9.0 / n))
    fail_msg("%s %s: mean %g, deviation %g, want %g", family, t->name, m.mean, m.deviation, s);
}

static void test_distribution_of_every_family(void **state) {
  (void)state;
  for (int f = 0; f < N_FAMILIES; f++) {
    lb__model_shape shape = small(families[f]);
    shape.initializer_range = f % 2 == 0 ? 0.0 : 0.05; /* 0: 0.02 */
    create(families[f], &shape, NULL);
    lb__checkpoint *c = opened(scratch_path(folder, families[f]));
    for (size_t t = 0; t < lb__checkpoint_count(c); t++)
      check_begins(lb__checkpoint_tensor(c, t), families[f], f % 2 == 0 ? 0.02 : 0.05);
    lb__checkpoint_close(c);
  }
}

/* No two tensors begin with the same numbers. */
static void test_tensors_are_independent(void **state) {
  (void)state;
  lb__model_shape shape = small("llama");
  create("a", &shape, NULL);
  lb__checkpoint *c = opened(scratch_path(folder, "a"));
  for (size_t t = 0; t < lb__checkpoint_count(c); t++)
    for (size_t u = 0; u < t; u++) {
      const lb__stored_tensor *a = lb__checkpoint_tensor(c, t), *b = lb__checkpoint_tensor(c, u);
      if (a->rank == 2 && b->rank == 2) assert_memory_not_equal(a->bytes, b->bytes, 32);
    }
  lb__checkpoint_close(c);
}

/* ---- the same again ---- */

static char *weights_of(const char *name, size_t *size) {
  char file[64];
  snprintf(file, sizeof file, "%s/model.safetensors", name);
  return scratch_read(folder, file, size);
}

static void expect_same_weights(const char *a, const char *b, bool same) {
  size_t n, m;
  char *x = weights_of(a, &n), *y = weights_of(b, &m);
  assert_true((n == m && memcmp(x, y, n) == 0) == same);
  free(x);
  free(y);
}

static void test_threads_and_seeds(void **state) {
  (void)state;
  lb__model_shape shape = small("gpt2");
  shape.vocab_size = 20000; /* more than a chunk of a million */
  lb_create_options o = lb_create_options_default();
  o.seed = 7;
  int threads = lb_threads_get();
  lb_threads_set(1);
  create("one", &shape, &o);
  lb_threads_set(3);
  create("three", &shape, &o);
  lb_threads_set(threads);
  expect_same_weights("one", "three", true);
  o.seed = 8;
  create("other", &shape, &o);
  expect_same_weights("one", "other", false);
}

/* A run that goes on would otherwise be another run: these never change. Found with Python's
 * integers and libm from the formulas in random.c and create.c. */
static void test_pinned_numbers(void **state) {
  (void)state;
  static const float wanted[4] = {-0x1.fbda6ap-9f, 0x1.5f72dep-6f, 0x1.d1f9b4p-6f, 0x1.df1f5cp-6f};
  lb__model_shape shape = small("llama");
  lb_create_options o = lb_create_options_default();
  o.seed = 42;
  create("a", &shape, &o);
  lb__checkpoint *c = opened(scratch_path(folder, "a"));
  const lb__stored_tensor *t = lb__checkpoint_find(c, "model.layers.3.mlp.down_proj.weight");
  float found[4];
  memcpy(found, t->bytes, sizeof found);
  for (int i = 0; i < 4; i++)
    if (found[i] != wanted[i]) fail_msg("%d: %a, want %a", i, (double)found[i], (double)wanted[i]);
  lb__checkpoint_close(c);
}

static void test_number_formats(void **state) {
  (void)state;
  static const lb_dtype dtypes[] = {LB_DTYPE_F16, LB_DTYPE_BF16};
  lb__model_shape shape = small("qwen2");
  for (int i = 0; i < 2; i++) {
    lb_create_options o = {.has_dtype = true, .dtype = dtypes[i], .overwrite = true};
    create("a", &shape, &o);
    lb__checkpoint *c = opened(scratch_path(folder, "a"));
    assert_int_equal(lb__checkpoint_tensor(c, 0)->dtype, dtypes[i]);
    lb__checkpoint_close(c);
  }
}

/* ---- text ---- */

static uint64_t tokens_of(const char *path) {
  lb_tokenizer *t;
  if (lb_tokenizer_open(&t, path, &err) != LB_OK) fail_msg("%s", err.message);
  uint64_t hash = lb_tokenizer_hash(t);
  lb_tokenizer_free(t);
  return hash;
}

static void test_tokenizer_goes_along(void **state) {
  (void)state;
  lb__model_shape shape = small("llama");
  lb_create_options o = {.tokenizer = MODELS "llama-tied-gqa"};
  create("from-folder", &shape, &o);
  assert_int_equal(tokens_of(scratch_path(folder, "from-folder")), tokens_of(o.tokenizer));
  assert_true(scratch_exists(folder, "from-folder/chat_template.jinja"));
  assert_true(scratch_exists(folder, "from-folder/generation_config.json"));
  char gguf[512];
  snprintf(gguf, sizeof gguf, "%s", scratch_path(folder, "t.gguf"));
  if (lb_convert(o.tokenizer, gguf, NULL, &err) != LB_OK) fail_msg("%s", err.message);
  o.tokenizer = gguf;
  create("from-gguf", &shape, &o);
  assert_int_equal(tokens_of(scratch_path(folder, "from-gguf")), tokens_of(gguf));
  assert_true(scratch_exists(folder, "from-gguf/generation_config.json"));
  o.tokenizer = NULL;
  create("without", &shape, &o);
  assert_false(scratch_exists(folder, "without/tokenizer.json"));
}

/* ---- shapes ---- */

static void test_what_a_shape_leaves_open(void **state) {
  (void)state;
  lb__model_shape shape = small("llama");
  json_t *j = config_of(&shape);
  assert_int_equal(json_integer_value(json_object_get(j, "num_key_value_heads")), 4);
  assert_int_equal(json_integer_value(json_object_get(j, "head_dim")), 16);
  assert_int_equal(json_integer_value(json_object_get(j, "intermediate_size")), 192); /* 170.7 */
  assert_true(json_is_false(json_object_get(j, "tie_word_embeddings")));
  assert_true(json_real_value(json_object_get(j, "rope_theta")) == 1e4);
  assert_true(json_real_value(json_object_get(j, "rms_norm_eps")) == 1e-6);
  json_decref(j);
  shape = small("gpt2");
  j = config_of(&shape);
  assert_int_equal(json_integer_value(json_object_get(j, "n_embd")), 64);
  assert_true(json_is_null(json_object_get(j, "n_inner"))); /* 4 * n_embd */
  assert_true(json_is_true(json_object_get(j, "tie_word_embeddings")));
  json_decref(j);
  shape = small("gemma3"); /* the family's name does too */
  shape.head_dim = 32;
  shape.tie_word_embeddings = -1;
  j = config_of(&shape);
  assert_string_equal(json_string_value(json_object_get(j, "model_type")), "gemma3_text");
  assert_int_equal(json_integer_value(json_object_get(j, "query_pre_attn_scalar")), 32);
  assert_true(json_is_false(json_object_get(j, "tie_word_embeddings")));
  const json_t *types = json_object_get(j, "layer_types");
  assert_int_equal(json_array_size(types), 7);
  assert_string_equal(json_string_value(json_array_get(types, 5)), "full_attention");
  assert_string_equal(json_string_value(json_array_get(types, 6)), "sliding_attention");
  json_decref(j);
  shape = small("mistral"); /* Transformers would slide when nothing is said */
  j = config_of(&shape);
  assert_true(json_is_null(json_object_get(j, "sliding_window")));
  json_decref(j);
}

static void expect_shape_refusal(lb__model_shape shape, lb_status wanted, const char *message) {
  json_t *j = (json_t *)&err;
  lb_status st = lb__model_shape_config(&j, &shape, &err);
  assert_null(j);
  if (st != wanted || strstr(err.message, message) == NULL)
    fail_msg("status %d '%s', want '%s'", (int)st, err.message, message);
}

#define EXPECT(type, change, status, message)                                                      \
  do {                                                                                             \
    lb__model_shape s = small(type);                                                               \
    s.change;                                                                                      \
    expect_shape_refusal(s, status, message);                                                      \
  } while (0)

static void test_shape_refusals(void **state) {
  (void)state;
  EXPECT("lama", bos_token_id = 0, LB_E_UNSUPPORTED, "'lama' is not known; did you mean 'llama'?");
  EXPECT("t5", bos_token_id = 0, LB_E_UNSUPPORTED, "known: gpt2, llama");
  EXPECT("llama", hidden_size = 0, LB_E_ARG, "hidden_size: want 1 to");
  EXPECT("llama", hidden_size = INT64_MAX, LB_E_ARG, "hidden_size: want 1 to");
  EXPECT("llama", num_hidden_layers = 4097, LB_E_ARG, "num_hidden_layers: want 1 to 4096");
  EXPECT("llama", num_attention_heads = 5, LB_E_ARG, "cannot be split over num_attention_heads 5");
  EXPECT("llama", num_attention_heads = INT64_MIN, LB_E_ARG, "num_attention_heads: want 1");
  EXPECT("llama", num_key_value_heads = 3, LB_E_ARG, "cannot share num_key_value_heads 3");
  EXPECT("llama", num_key_value_heads = 8, LB_E_ARG, "cannot share num_key_value_heads 8");
  EXPECT("llama", head_dim = 5, LB_E_ARG, "rotary positions need an even number, it is 5");
  EXPECT("llama", rope_theta = 0.5, LB_E_ARG, "rope_theta: want a number > 1");
  EXPECT("llama", vocab_size = 1 << 25, LB_E_ARG, "vocab_size: want 1 to");
  EXPECT("llama", max_position_embeddings = 0, LB_E_ARG, "max_position_embeddings");
  EXPECT("gpt2", num_key_value_heads = 2, LB_E_ARG, "gpt2 has as many as");
  EXPECT("gpt2", head_dim = 8, LB_E_ARG, "hidden_size / num_attention_heads, found 8");
  EXPECT("gpt2", rope_theta = 1e4, LB_E_ARG, "gpt2 learns its positions");
}

/* ---- refusals of a configuration ---- */

static void expect_refusal(const char *config, const char *to, const lb_create_options *o,
                           lb_status wanted, const char *message) {
  char path[512];
  snprintf(path, sizeof path, "%s", scratch_path(folder, to));
  err = (lb_error){0};
  lb_status st = lb_create(config, path, o, &err);
  if (st != wanted || strstr(err.message, message) == NULL)
    fail_msg("status %d '%s', want '%s'", (int)st, err.message, message);
}

static const char *written(const char *text) {
  scratch_write_text(folder, "c.json", text);
  return scratch_path(folder, "c.json");
}

#define LLAMA_OF(hidden, rest)                                                                     \
  "{\"model_type\": \"llama\", \"vocab_size\": 64, \"hidden_size\": " hidden                       \
  ", \"num_hidden_layers\": 1, \"num_attention_heads\": 4, \"max_position_embeddings\": 16, "      \
  "\"intermediate_size\": 32" rest "}"

static void test_refusals(void **state) {
  (void)state;
  lb_create_options o = lb_create_options_default();
  expect_refusal("/no/such/config.json", "x", &o, LB_E_IO, "/no/such/config.json");
  expect_refusal(written("[1]"), "x", &o, LB_E_FORMAT, "want an object, found array");
  expect_refusal(written("{"), "x", &o, LB_E_FORMAT, "c.json");
  expect_refusal(written("{\"model_type\": \"bert\"}"), "x", &o, LB_E_UNSUPPORTED, "'bert'");
  expect_refusal(written("{\"model_type\": \"llama\"}"), "x", &o, LB_E_FORMAT, "vocab_size");
  expect_refusal(written("{\"model_type\": \"gemma3\", \"text_config\": {\"model_type\": "
                         "\"gemma3_text\"}}"),
                 "x", &o, LB_E_FORMAT, "vocab_size");
  expect_refusal(written(LLAMA_OF("8", ", \"initializer_range\": -1")), "x", &o, LB_E_FORMAT,
                 "initializer_range: want a number above 0, found -1");
  expect_refusal(written(LLAMA_OF("8", ", \"quantization_config\": {}")), "x", &o, LB_E_UNSUPPORTED,
                 "quantised");
  /* a petabyte */
  expect_refusal(
      written(
          "{\"model_type\": \"gpt2\", \"vocab_size\": 16777216, \"n_embd\": 16777216, "
          "\"n_layer\": 4000, \"n_inner\": 16777216, \"n_head\": 65536, \"n_positions\": 1024}"),
      "x", &o, LB_E_LIMIT, "are free");
  assert_false(scratch_exists(folder, "x"));
  o.tokenizer = MODELS "llama-tied-gqa";
  expect_refusal(written(LLAMA_OF("8", "")), "x", &o, LB_E_ARG, "vocab_size 64 is too small");
  o.tokenizer = "/no/such/tokenizer";
  expect_refusal(written(LLAMA_OF("8", "")), "x", &o, LB_E_IO, "tokenizer");
  o.tokenizer = NULL;
  expect_refusal(written(LLAMA_OF("8", "")), "x.gguf", &o, LB_E_ARG, "a folder is to be written");
  o.has_dtype = true;
  o.dtype = LB_DTYPE_Q8_0;
  expect_refusal(written(LLAMA_OF("8", "")), "x", &o, LB_E_ARG, "want F32, F16 or BF16");
  o.has_dtype = false;
  expect_refusal(written(LLAMA_OF("8", "")), "x", &o, LB_OK, "");
  expect_refusal(written(LLAMA_OF("8", "")), "x", &o, LB_E_ARG, "exists already");
  volatile int cancel = 1;
  o.cancel = &cancel;
  expect_refusal(written(LLAMA_OF("8", "")), "y", &o, LB_E_CANCELLED, "stopped");
  assert_false(scratch_exists(folder, "y"));
}

/* ---- faults ---- */

static void prepare(void *ctx) {
  (void)ctx;
  scratch_empty(scratch_path(folder, "student"));
}

static lb_status run(void *ctx, lb_error *error) {
  lb_create_options o = {
      .tokenizer = MODELS "llama-tied-gqa", .has_dtype = true, .dtype = LB_DTYPE_BF16};
  json_t *j = NULL;
  lb__model_shape shape = small("llama");
  shape.num_hidden_layers = 1;
  (void)ctx;
  lb_status st = lb__model_shape_config(&j, &shape, error);
  if (st == LB_OK) st = lb__create(j, "shape", scratch_path(folder, "student"), &o, error);
  json_decref(j);
  return st;
}

/* A folder with a config.json is whole. */
static void check(void *ctx, lb_status st, bool left_behind) {
  (void)ctx;
  bool is_there = scratch_exists(folder, "student/config.json");
  if (st == LB_OK) assert_true(is_there);
  if (is_there) assert_true(scratch_exists(folder, "student/model.safetensors"));
  if (is_there) assert_true(scratch_exists(folder, "student/tokenizer.json"));
  if (!left_behind) assert_int_equal(scratch_count_hidden(scratch_path(folder, "student")), 0);
}

static void test_every_call_may_fail(void **state) {
  (void)state;
  assert_int_equal(lb__folder_make(scratch_path(folder, "student"), &err), LB_OK);
  fault_case c = {.run = run, .prepare = prepare, .check = check, .may_survive = true};
  assert_true(fault_each_allocation(&c) > 50);
  assert_true(fault_each_io(&c) > 50);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_tensors_are_transformers, setup, teardown),
      cmocka_unit_test_setup_teardown(test_distribution_of_every_family, setup, teardown),
      cmocka_unit_test_setup_teardown(test_tensors_are_independent, setup, teardown),
      cmocka_unit_test_setup_teardown(test_threads_and_seeds, setup, teardown),
      cmocka_unit_test_setup_teardown(test_pinned_numbers, setup, teardown),
      cmocka_unit_test_setup_teardown(test_number_formats, setup, teardown),
      cmocka_unit_test_setup_teardown(test_tokenizer_goes_along, setup, teardown),
      cmocka_unit_test(test_what_a_shape_leaves_open),
      cmocka_unit_test(test_shape_refusals),
      cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
      cmocka_unit_test_setup_teardown(test_every_call_may_fail, setup, teardown)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

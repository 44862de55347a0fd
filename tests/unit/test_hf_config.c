/* test_hf_config.c - both generations of config.json spellings, generation_config.json, copying. */
#include "formats/hf_config.h"

#include "faults.h"
#include "scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *tree(const char *text) {
  json_t *t;
  lb_error err = {0};
  if (lb__json_parse(&t, text, strlen(text), "config.json", &err) != LB_OK)
    fail_msg("%s", err.message);
  return t;
}

static bool absent(double x) {
  return isnan(x);
}

/* ---- rope ---- */
static lb__hf_rope rope_of(const char *text, const char *layer_type) {
  lb__hf_rope r;
  lb_error err = {0};
  json_t *config = tree(text);
  if (lb__hf_rope_read(&r, config, layer_type, 10000, "config.json", &err) != LB_OK)
    fail_msg("%s: %s", text, err.message);
  json_decref(config);
  return r;
}

#define LLAMA3                                                                                     \
  "\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"                               \
  "\"original_max_position_embeddings\":8192"

static void rope_spellings(void **state) {
  (void)state;
  static const char *const plain[] = {
      "{\"rope_theta\":500000.0}", "{\"rope_theta\":500000,\"rope_scaling\":null}",
      "{\"rope_parameters\":{\"rope_theta\":5e5,\"rope_type\":\"default\"}}",
      "{\"rope_theta\":1,\"rope_parameters\":{\"rope_theta\":5e5}}", /* the new one decides */
      "{\"rope_theta\":5e5,\"rope_parameters\":{\"rope_type\":\"default\"}}"};
  for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
    lb__hf_rope r = rope_of(plain[i], NULL);
    assert_int_equal(r.type, LB__ROPE_DEFAULT);
    assert_true(r.theta == 500000 && absent(r.factor) && r.truncate);
    assert_int_equal(r.original_max_position_embeddings, -1);
  }
  assert_true(rope_of("{}", NULL).theta == 10000);
  static const char *const llama3[] = {
      "{\"rope_theta\":5e5,\"rope_scaling\":{\"rope_type\":\"llama3\"," LLAMA3 "}}",
      "{\"rope_theta\":5e5,\"rope_scaling\":{\"type\":\"llama3\"," LLAMA3 "}}",
      "{\"rope_parameters\":{\"rope_theta\":5e5,\"rope_type\":\"llama3\"," LLAMA3 "}}"};
  for (size_t i = 0; i < 3; i++) {
    lb__hf_rope r = rope_of(llama3[i], NULL);
    assert_int_equal(r.type, LB__ROPE_LLAMA3);
    assert_true(r.theta == 5e5 && r.factor == 8 && r.low_freq_factor == 1);
    assert_true(r.high_freq_factor == 4 && r.original_max_position_embeddings == 8192);
  }
  lb__hf_rope yarn =
      rope_of("{\"max_position_embeddings\":4096,\"rope_scaling\":{\"type\":\"yarn\","
              "\"factor\":4,\"beta_fast\":32,\"truncate\":false}}",
              NULL);
  assert_int_equal(yarn.type, LB__ROPE_YARN);
  assert_int_equal(yarn.original_max_position_embeddings, 4096);
  assert_true(yarn.beta_fast == 32 && absent(yarn.beta_slow) && !yarn.truncate);
  assert_true(rope_of("{\"partial_rotary_factor\":0.5}", NULL).partial_rotary_factor == 0.5);
}

static void rope_of_gemma3(void **state) {
  (void)state;
  static const char *const both[] = {
      "{\"rope_theta\":1e6,\"rope_local_base_freq\":1e4,"
      "\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":8.0}}",
      "{\"rope_parameters\":{\"full_attention\":{\"rope_theta\":1e6,\"rope_type\":\"linear\","
      "\"factor\":8.0},\"sliding_attention\":{\"rope_theta\":1e4,\"rope_type\":\"default\"}}}"};
  for (size_t i = 0; i < 2; i++) {
    lb__hf_rope full = rope_of(both[i], "full_attention");
    lb__hf_rope sliding = rope_of(both[i], "sliding_attention");
    assert_int_equal(full.type, LB__ROPE_LINEAR);
    assert_true(full.theta == 1e6 && full.factor == 8);
    assert_int_equal(sliding.type, LB__ROPE_DEFAULT);
    assert_true(sliding.theta == 1e4 && absent(sliding.factor));
  }
}

static void bad_ropes(void **state) {
  (void)state;
  static const struct {
    const char *text, *says;
    lb_status want;
  } cases[] = {
      {"{\"rope_theta\":\"x\"}", "rope_theta", LB_E_FORMAT},
      {"{\"rope_theta\":0}", "rope_theta", LB_E_FORMAT},
      {"{\"rope_theta\":-1.0}", "rope_theta", LB_E_FORMAT},
      {"{\"rope_scaling\":1}", "rope_scaling", LB_E_FORMAT},
      {"{\"rope_parameters\":[]}", "rope_parameters", LB_E_FORMAT},
      {"{\"rope_scaling\":{\"type\":\"mrope\"}}", "'mrope'", LB_E_UNSUPPORTED},
      {"{\"rope_scaling\":{\"type\":1}}", "type", LB_E_FORMAT},
      {"{\"rope_scaling\":{\"type\":\"linear\"}}", "factor", LB_E_FORMAT},
      {"{\"rope_scaling\":{\"type\":\"linear\",\"factor\":0}}", "factor", LB_E_FORMAT},
      {"{\"rope_scaling\":{\"type\":\"llama3\",\"factor\":8}}", "original_max", LB_E_FORMAT},
      {"{\"rope_scaling\":{\"type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,"
       "\"high_freq_factor\":4,\"original_max_position_embeddings\":1}}",
       "high_freq_factor", LB_E_FORMAT},
      {"{\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4}}", "max_position_embeddings",
       LB_E_FORMAT},
      {"{\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4,\"original_max_position_embeddings\":0}}",
       "original_max", LB_E_FORMAT},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lb__hf_rope r;
    lb_error err = {0};
    json_t *config = tree(cases[i].text);
    assert_int_equal(lb__hf_rope_read(&r, config, NULL, 1e4, "config.json", &err), cases[i].want);
    if (strstr(err.message, cases[i].says) == NULL || strstr(err.message, "config.json") == NULL)
      fail_msg("want '%s' in: %s", cases[i].says, err.message);
    json_decref(config);
  }
}

/* What is written reads back the same through either spelling alone. */
static void check_rope(const json_t *config, const char *layer_type, const lb__hf_rope *want) {
  lb__hf_rope r;
  assert_int_equal(lb__hf_rope_read(&r, config, layer_type, 1, "config.json", NULL), LB_OK);
  assert_int_equal(r.type, want->type);
  assert_true(r.theta == want->theta);
  assert_true(r.factor == want->factor || (absent(r.factor) && absent(want->factor)));
  assert_int_equal(r.original_max_position_embeddings, want->original_max_position_embeddings);
}

static void rope_writing(void **state) {
  (void)state;
  lb__hf_rope llama3 =
      rope_of("{\"rope_theta\":5e5,\"rope_scaling\":{\"type\":\"llama3\"," LLAMA3 "}}", NULL);
  lb__hf_rope linear =
      rope_of("{\"rope_theta\":1e6,\"rope_scaling\":{\"type\":\"linear\",\"factor\":8}}", NULL);
  lb__hf_rope local = rope_of("{\"rope_theta\":1e4}", NULL);
  static const char *const drop[] = {"rope_parameters", "rope_scaling"};
  for (size_t i = 0; i < 2; i++) {
    json_t *config = tree("{\"rope_local_base_freq\":3,\"other\":[1]}");
    assert_int_equal(lb__hf_rope_write(config, &llama3, NULL, NULL), LB_OK);
    assert_null(json_object_get(config, "rope_local_base_freq"));
    assert_non_null(json_object_get(config, "other"));
    json_object_del(config, drop[i]);
    check_rope(config, NULL, &llama3);
    json_decref(config);
    config = tree("{}");
    assert_int_equal(lb__hf_rope_write(config, &linear, &local, NULL), LB_OK);
    json_object_del(config, drop[i]);
    check_rope(config, "full_attention", &linear);
    check_rope(config, "sliding_attention", &local);
    json_decref(config);
  }
  json_t *config = tree("{}");
  assert_int_equal(lb__hf_rope_write(config, &local, NULL, NULL), LB_OK);
  assert_true(json_is_null(json_object_get(config, "rope_scaling")));
  lb__hf_rope longrope = local;
  longrope.type = LB__ROPE_LONGROPE;
  assert_int_equal(lb__hf_rope_write(config, &longrope, NULL, NULL), LB_E_UNSUPPORTED);
  json_decref(config);
}

/* ---- dtype ---- */
static void dtypes(void **state) {
  (void)state;
  static const struct {
    const char *text;
    lb_dtype dtype;
  } cases[] = {{"{\"torch_dtype\":\"bfloat16\"}", LB_DTYPE_BF16},
               {"{\"dtype\":\"float16\"}", LB_DTYPE_F16},
               {"{\"dtype\":\"torch.float32\"}", LB_DTYPE_F32},
               {"{\"dtype\":\"bfloat16\",\"torch_dtype\":\"float32\"}", LB_DTYPE_BF16}};
  lb_dtype d;
  bool found;
  lb_error err;
  for (size_t i = 0; i < 4; i++) {
    json_t *config = tree(cases[i].text);
    assert_int_equal(lb__hf_dtype_read(&d, &found, config, "c", &err), LB_OK);
    assert_true(found && d == cases[i].dtype);
    json_decref(config);
  }
  json_t *config = tree("{}");
  assert_int_equal(lb__hf_dtype_read(&d, &found, config, "c", &err), LB_OK);
  assert_false(found);
  assert_int_equal(lb__hf_dtype_write(config, LB_DTYPE_F32, &err), LB_OK);
  assert_string_equal(json_string_value(json_object_get(config, "torch_dtype")), "float32");
  assert_string_equal(json_string_value(json_object_get(config, "dtype")), "float32");
  assert_int_equal(lb__hf_dtype_write(config, LB_DTYPE_Q4_0, &err), LB_E_UNSUPPORTED);
  json_decref(config);
  config = tree("{\"dtype\":\"int3\"}");
  assert_int_equal(lb__hf_dtype_read(&d, &found, config, "c", &err), LB_E_UNSUPPORTED);
  json_decref(config);
  config = tree("{\"dtype\":3}");
  assert_int_equal(lb__hf_dtype_read(&d, &found, config, "c", &err), LB_E_FORMAT);
  json_decref(config);
}

/* ---- ids ---- */
static void token_ids(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t n;
    int32_t last;
  } good[] = {{"{}", 0, 0},
              {"{\"e\":null}", 0, 0},
              {"{\"e\":2}", 1, 2},
              {"{\"e\":[1,7]}", 2, 7},
              {"{\"e\":[7,7]}", 1, 7},
              {"{\"e\":-1}", 0, 0},
              {"{\"e\":[]}", 0, 0},
              {"{\"e\":2147483647}", 1, 2147483647}};
  static const char *const bad[] = {"{\"e\":\"2\"}",      "{\"e\":2.0}",   "{\"e\":[1,null]}",
                                    "{\"e\":2147483648}", "{\"e\":[[1]]}", "{\"e\":true}"};
  lb__token_ids ids;
  lb_error err = {0};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    json_t *config = tree(good[i].text);
    assert_int_equal(lb__hf_ids_read(&ids, config, "e", "c", &err), LB_OK);
    assert_int_equal(ids.n, good[i].n);
    if (ids.n > 0) assert_int_equal(ids.ids[ids.n - 1], good[i].last);
    json_t *json = lb__token_ids_json(&ids);
    assert_int_equal(json_typeof(json), ids.n == 0   ? JSON_NULL
                                        : ids.n == 1 ? JSON_INTEGER
                                                     : JSON_ARRAY);
    json_decref(json);
    lb__token_ids_deinit(&ids);
    json_decref(config);
  }
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    json_t *config = tree(bad[i]);
    assert_int_equal(lb__hf_ids_read(&ids, config, "e", "c", &err), LB_E_FORMAT);
    assert_null(ids.ids);
    assert_non_null(strstr(err.message, "'e'"));
    json_decref(config);
  }
}

/* ---- files ---- */
static void config_files(void **state) {
  (void)state;
  char *folder = scratch_new();
  json_t *config;
  lb_error err = {0};
  assert_int_equal(lb__hf_config_read(&config, folder, &err), LB_E_IO);
  assert_non_null(strstr(err.message, "config.json"));
  scratch_write_text(folder, "config.json", "[1]");
  assert_int_equal(lb__hf_config_read(&config, folder, &err), LB_E_FORMAT);
  assert_null(config);
  scratch_write_text(folder, "config.json",
                     "{\"z\":1e-05,\"unknown\":{\"k\":[1,2.5,null,\"\\u00e9\"]},\"a\":10000.0,"
                     "\"big\":1e30,\"i\":9007199254740993}");
  assert_int_equal(lb__hf_config_read(&config, folder, &err), LB_OK);
  assert_int_equal(lb__hf_config_write(folder, config, &err), LB_OK);
  char *text = scratch_read(folder, "config.json", NULL);
  assert_string_equal(text, "{\n  \"a\": 10000.0,\n  \"big\": 1e+30,\n  \"i\": 9007199254740993,\n"
                            "  \"unknown\": {\n    \"k\": [\n      1,\n      2.5,\n      null,\n"
                            "      \"\xc3\xa9\"\n    ]\n  },\n  \"z\": 1e-05\n}\n");
  free(text);
  json_decref(config);
  config = tree("{\"text_config\":{\"x\":1}}");
  assert_non_null(json_object_get(lb__hf_text_config(config), "x"));
  json_decref(config);
  config = tree("{\"x\":1}");
  assert_ptr_equal(lb__hf_text_config(config), config);
  json_decref(config);
  scratch_remove(folder);
}

static void generation(void **state) {
  (void)state;
  char *folder = scratch_new();
  lb__hf_generation g;
  lb_error err = {0};
  assert_int_equal(lb__hf_generation_read(&g, folder, &err), LB_OK);
  assert_true(g.tree == NULL && !g.has_temperature && g.eos.n == 0);
  lb__hf_generation_deinit(&g);
  scratch_write_text(folder, "generation_config.json",
                     "{\"do_sample\":true,\"temperature\":1,\"top_k\":20,\"top_p\":0.95,"
                     "\"eos_token_id\":[151645,151643],\"pad_token_id\":151643,"
                     "\"bos_token_id\":null,\"early_stopping\":\"never\",\"other\":{}}");
  if (lb__hf_generation_read(&g, folder, &err) != LB_OK) fail_msg("%s", err.message);
  assert_true(g.has_do_sample && g.do_sample && g.has_temperature && g.temperature == 1);
  assert_true(g.has_top_k && g.top_k == 20 && g.top_p == 0.95 && !g.has_min_p);
  assert_true(g.eos.n == 2 && g.eos.ids[1] == 151643 && g.pad_token_id == 151643);
  assert_false(g.has_bos_token_id);
  assert_true(g.has_early_stopping && g.early_stopping == LB__EARLY_STOPPING_NEVER);
  assert_non_null(json_object_get(g.tree, "other"));
  assert_int_equal(lb__hf_generation_write(folder, g.tree, &err), LB_OK);
  lb__hf_generation_deinit(&g);
  static const char *const bad[] = {"{\"temperature\":\"hot\"}", "{\"top_k\":1.5}",
                                    "{\"do_sample\":1}",         "{\"early_stopping\":\"soon\"}",
                                    "{\"eos_token_id\":\"x\"}",  "[]",
                                    "{\"num_beams\":true}"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    scratch_write_text(folder, "generation_config.json", bad[i]);
    assert_int_equal(lb__hf_generation_read(&g, folder, &err), LB_E_FORMAT);
    assert_null(g.tree);
    assert_non_null(strstr(err.message, "generation_config.json"));
  }
  scratch_remove(folder);
}

static void copying(void **state) {
  (void)state;
  char *from = scratch_new(), *to = scratch_new();
  static const char *const copied[] = {"tokenizer.json",      "merges.txt",
                                       "chat_template.jinja", "LICENSE.txt",
                                       "tokenizer.model",     "generation_config.json"};
  static const char *const left[] = {"config.json", "model.safetensors", "README.md", "x.py"};
  for (size_t i = 0; i < 6; i++) scratch_write(from, copied[i], "a\0\r\n", i == 1 ? 0 : 4);
  for (size_t i = 0; i < 4; i++) scratch_write_text(from, left[i], "x");
  scratch_write_text(to, "tokenizer.json", "old");
  lb_error err = {0};
  if (lb__hf_folder_copy_files(to, from, &err) != LB_OK) fail_msg("%s", err.message);
  assert_int_equal(scratch_count(to), 6);
  for (size_t i = 0; i < 6; i++) {
    size_t size;
    char *bytes = scratch_read(to, copied[i], &size);
    assert_int_equal(size, i == 1 ? 0 : 4);
    assert_memory_equal(bytes, "a\0\r\n", size);
    free(bytes);
  }
  assert_int_equal(lb__hf_folder_copy_files(to, "/nowhere/at/all", &err), LB_E_IO);
  /* named templates, in a folder of their own */
  assert_int_equal(lb__folder_make(scratch_path(from, "chat_templates"), &err), LB_OK);
  scratch_write_text(from, "chat_templates/tool_use.jinja", "{{ tools }}");
  scratch_write_text(from, "chat_templates/run.py", "x");
  assert_int_equal(lb__hf_folder_copy_files(to, from, &err), LB_OK);
  assert_true(scratch_exists(to, "chat_templates/tool_use.jinja"));
  assert_false(scratch_exists(to, "chat_templates/run.py"));
  scratch_remove(from);
  scratch_remove(to);
}

/* ---- faults ---- */
typedef struct folders {
  char *from, *to;
} folders;

/* Everything the room does with a folder's small files. */
static lb_status run_all(void *ctx, lb_error *err) {
  const folders *f = ctx;
  json_t *config = NULL, *ids = NULL;
  lb__hf_generation g = {0};
  lb__hf_rope full, sliding;
  lb_status st = lb__hf_config_read(&config, f->from, err);
  if (st == LB_OK) st = lb__hf_rope_read(&full, config, "full_attention", 1e4, "c", err);
  if (st == LB_OK) st = lb__hf_rope_read(&sliding, config, "sliding_attention", 1e4, "c", err);
  if (st == LB_OK) st = lb__hf_rope_write(config, &full, &sliding, err);
  if (st == LB_OK) st = lb__hf_dtype_write(config, LB_DTYPE_BF16, err);
  if (st == LB_OK) st = lb__hf_generation_read(&g, f->from, err);
  if (st == LB_OK && (ids = lb__token_ids_json(&g.eos)) == NULL) st = LB_E_NOMEM;
  if (st == LB_E_NOMEM && err->message[0] == '\0') strcpy(err->message, "ids");
  if (st == LB_OK) st = lb__hf_folder_copy_files(f->to, f->from, err);
  if (st == LB_OK) st = lb__hf_config_write(f->to, config, err);
  if (st == LB_OK) st = lb__hf_generation_write(f->to, g.tree, err);
  json_decref(ids);
  json_decref(config);
  lb__hf_generation_deinit(&g);
  return st;
}

static void empty_target(void *ctx) {
  scratch_empty(((const folders *)ctx)->to);
}

static void check_all(void *ctx, lb_status status, bool left_behind) {
  const folders *f = ctx;
  json_t *config;
  static const char *const names[] = {"config.json", "generation_config.json", "tokenizer.json"};
  int n = 0;
  for (size_t i = 0; i < 3; i++) n += scratch_exists(f->to, names[i]);
  if (!left_behind) assert_int_equal(scratch_count(f->to), n); /* no temporary files */
  if (!scratch_exists(f->to, "config.json")) return;
  assert_int_equal(lb__hf_config_read(&config, f->to, NULL), LB_OK); /* whole, never torn */
  assert_non_null(json_object_get(config, "unknown"));
  json_decref(config);
  if (status == LB_OK) assert_int_equal(n, 3);
}

static void faults(void **state) {
  (void)state;
  folders f = {scratch_new(), scratch_new()};
  scratch_write_text(f.from, "config.json",
                     "{\"unknown\":[1,{\"a\":2}],\"rope_theta\":1e6,\"rope_local_base_freq\":1e4,"
                     "\"rope_scaling\":{\"type\":\"linear\",\"factor\":8}}");
  scratch_write_text(f.from, "generation_config.json", "{\"eos_token_id\":[1,106]}");
  scratch_write_text(f.from, "tokenizer.json", "{}");
  fault_case c = {.run = run_all, .prepare = empty_target, .check = check_all, .ctx = &f};
  assert_true(fault_each_allocation(&c) > 50);
  assert_true(fault_each_io(&c) > 30);
  scratch_remove(f.from);
  scratch_remove(f.to);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rope_spellings), cmocka_unit_test(rope_of_gemma3),
      cmocka_unit_test(bad_ropes),      cmocka_unit_test(rope_writing),
      cmocka_unit_test(dtypes),         cmocka_unit_test(token_ids),
      cmocka_unit_test(config_files),   cmocka_unit_test(generation),
      cmocka_unit_test(copying),        cmocka_unit_test(faults),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

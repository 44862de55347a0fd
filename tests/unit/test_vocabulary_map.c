/* test_vocabulary_map.c - vocab_map.json: what is written is read, what is malformed is refused by
 * name; a model that is cut to a map predicts what its own trimmed copy does; every call failing.
 */
#include "model/forward.h"
#include "model/vocabulary_map.h"

#include <limbeck/convert.h>
#include <limbeck/score.h>
#include <limbeck/shrink.h>

#include "faults.h"
#include "scratch.h"
#include "tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MODELS LIMBECK_SOURCE_DIR "/tests/golden/data/models/"
#define HEAD                                                                                       \
  "{\"format\":\"limbeck-vocab-map\",\"version\":1,\"source\":{\"name\":\"t\",\"tokens\":10,"      \
  "\"tokenizer\":\"0123456789abcdef\"},"

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

/* ---- the file ---- */

static void test_round_trip(void **state) {
  (void)state;
  int32_t ids[] = {0, 3, 4, 9};
  lb__vocabulary_map map = {"a \"name\"", 0x0123456789abcdefu, 10, ids, 4}, *found;
  assert_int_equal(lb__vocabulary_map_read(&found, folder, &err), LB_OK);
  assert_null(found); /* none is there */
  assert_int_equal(lb__vocabulary_map_write(folder, &map, &err), LB_OK);
  assert_int_equal(lb__vocabulary_map_read(&found, folder, &err), LB_OK);
  assert_string_equal(found->source, map.source);
  assert_true(found->source_hash == map.source_hash);
  assert_int_equal(found->source_tokens, 10);
  assert_int_equal(found->n, 4);
  assert_memory_equal(found->ids, ids, sizeof ids);
  lb__vocabulary_map_free(found);
}

static void test_malformed(void **state) {
  (void)state;
  static const struct {
    const char *text, *message;
    lb_status status;
  } cases[] = {
      {"[]", "want an object", LB_E_FORMAT},
      {"{}", "format", LB_E_FORMAT},
      {"{\"format\":\"x\",\"version\":1}", "want 'limbeck-vocab-map'", LB_E_FORMAT},
      {"{\"format\":\"limbeck-vocab-map\",\"version\":2}", "newer", LB_E_UNSUPPORTED},
      {"{\"format\":\"limbeck-vocab-map\",\"version\":1}", "source", LB_E_FORMAT},
      {"{\"format\":\"limbeck-vocab-map\",\"version\":1,\"source\":{\"name\":\"t\",\"tokens\":0,"
       "\"tokenizer\":\"0123456789abcdef\"},\"ids\":[0]}",
       "source.tokens is 0", LB_E_FORMAT},
      {"{\"format\":\"limbeck-vocab-map\",\"version\":1,\"source\":{\"name\":\"t\",\"tokens\":"
       "4611686018427387904,\"tokenizer\":\"0123456789abcdef\"},\"ids\":[0]}",
       "source.tokens is 4611686018427387904", LB_E_FORMAT},
      {"{\"format\":\"limbeck-vocab-map\",\"version\":1,\"source\":{\"name\":\"t\",\"tokens\":10,"
       "\"tokenizer\":\"0123456789abcdeF\"},\"ids\":[0]}",
       "16 hexadecimal digits", LB_E_FORMAT},
      {HEAD "\"ids\":[]}", "an empty one", LB_E_FORMAT},
      {HEAD "\"ids\":{}}", "found object", LB_E_FORMAT},
      {HEAD "\"ids\":[0,10]}", "ids[1]: want an id from 0 to 9", LB_E_FORMAT},
      {HEAD "\"ids\":[-1]}", "ids[0]", LB_E_FORMAT},
      {HEAD "\"ids\":[\"0\"]}", "ids[0]", LB_E_FORMAT},
      {HEAD "\"ids\":[0.5]}", "ids[0]", LB_E_FORMAT},
      {HEAD "\"ids\":[3,3]}", "ids[1] is 3, after 3", LB_E_FORMAT},
      {HEAD "\"ids\":[3,2]}", "rising", LB_E_FORMAT},
      {HEAD "\"ids\":[99999999999999999999]}", "ids[0]", LB_E_FORMAT},
      {HEAD "\"ids\":[0", "name", LB_E_FORMAT},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    lb__vocabulary_map *map = (void *)&err;
    lb_status st =
        lb__vocabulary_map_parse(&map, cases[i].text, strlen(cases[i].text), "name", &err);
    if (st != cases[i].status || strstr(err.message, cases[i].message) == NULL)
      fail_msg("%s: %d, %s", cases[i].text, st, err.message);
    assert_null(map);
  }
}

/* ---- between two models ---- */

static const char *const text = "the quick brown fox jumps over the lazy dog";

/* A student and a whole copy of the teacher, both trimmed to the text. */
static void trim(const char *teacher, char *trimmed, char *student) {
  lb_token_counts *counts;
  const char *paths[1];
  char file[600];
  snprintf(file, sizeof file, "%s/texts.txt", folder);
  scratch_write_text(folder, "texts.txt", text);
  paths[0] = file;
  snprintf(trimmed, 600, "%s/trimmed", folder);
  snprintf(student, 600, "%s/student", folder);
  if (lb_token_counts_read(&counts, teacher, paths, 1, NULL, &err) != LB_OK)
    fail_msg("%s", err.message);
  lb_shrink_options o = lb_shrink_options_default();
  o.vocabulary = counts;
  if (lb_shrink(teacher, trimmed, &o, &err) != LB_OK) fail_msg("%s", err.message);
  o.n_layers = 1;
  if (lb_shrink(teacher, student, &o, &err) != LB_OK) fail_msg("%s", err.message);
  lb_token_counts_free(counts);
}

static void remove_models(void) {
  char path[600];
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, i == 0 ? "trimmed" : "student");
    scratch_empty(path);
    remove(path);
  }
}

static void expect_same_scores(lb_model *a, lb_model *b) {
  const int32_t ids[] = {5, 70, 80, 3, 90, 100};
  lb_prompt document = {.ids = ids, .n_ids = 6};
  lb_score_options o = {.top_k = 20};
  lb_scores *left, *right;
  assert_int_equal(lb_score(&left, a, &document, 1, &o, &err), LB_OK);
  assert_int_equal(lb_score(&right, b, &document, 1, &o, &err), LB_OK);
  const lb_score_row *x = lb_scores_get(left, 0), *y = lb_scores_get(right, 0);
  assert_memory_equal(x->logprobs + 1, y->logprobs + 1, 5 * sizeof *x->logprobs);
  assert_memory_equal(x->top_ids, y->top_ids, 120 * sizeof *x->top_ids);
  assert_memory_equal(x->top_logprobs, y->top_logprobs, 120 * sizeof *x->top_logprobs);
  lb_scores_free(left);
  lb_scores_free(right);
}

static void check_cut(const char *teacher, lb_precision precision) {
  char trimmed[600], student[600];
  lb_model *cut, *own;
  trim(teacher, trimmed, student);
  lb_model_options o = lb_model_options_default();
  o.precision = precision;
  assert_int_equal(lb_model_open(&own, trimmed, &o, &err), LB_OK);
  o.vocabulary_of = student;
  if (lb_model_open(&cut, teacher, &o, &err) != LB_OK) fail_msg("%s", err.message);
  const lb_model_info *a = lb_model_get_info(cut), *b = lb_model_get_info(own);
  assert_int_equal(a->vocab_size, b->vocab_size);
  assert_int_equal(a->n_parameters, b->n_parameters);
  assert_int_equal(a->weight_bytes, b->weight_bytes);
  assert_int_equal(a->bos_token_id, b->bos_token_id);
  assert_int_equal(a->n_eos_token_ids, b->n_eos_token_ids);
  for (size_t i = 0; i < a->n_eos_token_ids; i++)
    assert_int_equal(a->eos_token_ids[i], b->eos_token_ids[i]);
  expect_same_scores(cut, own);
  lb_model_free(cut);
  o.vocabulary_of = student;
  assert_int_equal(lb_model_open(&cut, trimmed, &o, &err), LB_OK); /* nothing to cut */
  assert_int_equal(lb_model_get_info(cut)->n_parameters, b->n_parameters);
  lb_model_free(cut);
  lb_model_free(own);
  remove_models();
}

static void test_cut(void **state) {
  (void)state;
  static const char *const teachers[] = {MODELS "llama-tied-gqa", MODELS "gpt2-untied",
                                         MODELS "llama-bf16-shards", MODELS "gemma3-linear"};
  static const lb_precision precisions[] = {LB_PRECISION_AUTO, LB_PRECISION_F32, LB_PRECISION_INT8};
  for (size_t i = 0; i < sizeof teachers / sizeof *teachers; i++)
    for (size_t k = 0; k < sizeof precisions / sizeof *precisions; k++)
      check_cut(teachers[i], precisions[k]);
}

/* ---- in a GGUF file ---- */

static void test_gguf(void **state) {
  (void)state;
  static const char *const teacher = MODELS "llama-tied-gqa";
  char trimmed[600], student[600], gguf[700], back[700];
  lb__vocabulary_map *of_folder, *of_gguf, *of_back;
  lb_convert_options o = lb_convert_options_default();
  trim(teacher, trimmed, student);
  snprintf(gguf, sizeof gguf, "%s/student.gguf", folder);
  snprintf(back, sizeof back, "%s/back", folder);
  if (lb_convert(student, gguf, &o, &err) != LB_OK) fail_msg("%s", err.message);
  if (lb_convert(gguf, back, &o, &err) != LB_OK) fail_msg("%s", err.message);
  assert_int_equal(lb__vocabulary_map_read(&of_folder, student, &err), LB_OK);
  assert_int_equal(lb__vocabulary_map_read(&of_back, back, &err), LB_OK);
  if (lb__vocabulary_map_between(&of_gguf, teacher, gguf, &err) != LB_OK)
    fail_msg("%s", err.message);
  const lb__vocabulary_map *others[] = {of_back, of_gguf};
  for (int i = 0; i < 2; i++) {
    assert_non_null(others[i]);
    assert_string_equal(others[i]->source, of_folder->source);
    assert_int_equal(others[i]->n, of_folder->n);
    assert_memory_equal(others[i]->ids, of_folder->ids,
                        (size_t)of_folder->n * sizeof *of_folder->ids);
  }
  lb__vocabulary_map_free(of_folder);
  lb__vocabulary_map_free(of_back);
  lb__vocabulary_map_free(of_gguf);
  scratch_empty(back);
  remove(back);
  remove_models();
}

static void write_nothing(const char *path, const char *map) {
  lb__gguf_writer *w;
  assert_int_equal(lb__gguf_writer_new(&w, &err), LB_OK);
  lb__gguf_set_string(w, "general.architecture", "llama");
  if (map != NULL)
    lb__gguf_set_string(w, LB__VOCABULARY_MAP_KEY, map);
  else
    lb__gguf_set_u32(w, LB__VOCABULARY_MAP_KEY, 1);
  assert_int_equal(lb__gguf_writer_save(w, path, NULL, NULL, &err), LB_OK);
  lb__gguf_writer_free(w);
}

static void test_gguf_malformed(void **state) {
  (void)state;
  static const struct {
    const char *map, *message;
  } cases[] = {{"{}", "bad.gguf: limbeck.vocab_map: "},
               {HEAD "\"ids\":[3,3]}", "ids[1] is 3, after 3"},
               {NULL, "want a string"}};
  char path[700];
  snprintf(path, sizeof path, "%s/bad.gguf", folder);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    lb__vocabulary_map *map;
    write_nothing(path, cases[i].map);
    assert_int_equal(lb__vocabulary_map_between(&map, MODELS "llama-tied-gqa", path, &err),
                     LB_E_FORMAT);
    if (strstr(err.message, cases[i].message) == NULL) fail_msg("%s", err.message);
    assert_null(map);
  }
}

/* A model with fewer rows than the map speaks of. */
static void test_too_few_rows(void **state) {
  (void)state;
  char path[600];
  int32_t ids[] = {0, TINY_V};
  lb__vocabulary_map map = {"t", 0, 100, ids, 2};
  lb_model *m;
  snprintf(path, sizeof path, "%s", folder);
  tiny_model_write(path, (tiny_options){.seed = 1});
  assert_int_equal(lb__model_open_rows(&m, path, LB_PRECISION_F32, &map, &err), LB_E_ARG);
  assert_non_null(strstr(err.message, "40 rows"));
  assert_null(m);
  ids[1] = TINY_V - 1;
  assert_int_equal(lb__model_open_rows(&m, path, LB_PRECISION_F32, &map, &err), LB_OK);
  assert_int_equal(lb_model_get_info(m)->vocab_size, 2);
  lb_model_free(m);
}

/* ---- every call fails ---- */

typedef struct files {
  char teacher[600], student[600];
} files;

static lb_status open_cut(void *ctx, lb_error *e) {
  const files *f = ctx;
  lb_model *m;
  lb_model_options o = lb_model_options_default();
  o.vocabulary_of = f->student;
  lb_status st = lb_model_open(&m, f->teacher, &o, e);
  lb_model_free(m);
  return st;
}

static void test_faults(void **state) {
  (void)state;
  files f;
  char trimmed[600];
  snprintf(f.teacher, sizeof f.teacher, "%s", folder);
  tiny_model_write(folder, (tiny_options){.seed = 1});
  trim(f.teacher, trimmed, f.student);
  fault_case c = {.run = open_cut, .ctx = &f, .may_survive = true};
  assert_true(fault_each_allocation(&c) > 50);
  assert_true(fault_each_io(&c) > 10);
  remove_models();
}

static lb_status shrink_once(void *ctx, lb_error *e) {
  char out[700];
  snprintf(out, sizeof out, "%s/out", folder);
  lb_shrink_options o = lb_shrink_options_default();
  o.vocabulary = ctx;
  o.overwrite = true;
  return lb_shrink(folder, out, &o, e);
}

/* What is left is a whole folder or none. */
static void check_folder(void *ctx, lb_status status, bool left_behind) {
  lb_model *m;
  char out[700];
  (void)ctx;
  snprintf(out, sizeof out, "%s/out", folder);
  if (status == LB_OK) {
    assert_int_equal(lb_model_open(&m, out, NULL, &err), LB_OK);
    lb_model_free(m);
  } else if (!left_behind) {
    assert_false(scratch_exists(folder, "out/config.json"));
  }
  if (!scratch_exists(folder, "out")) return;
  scratch_empty(out);
  remove(out);
}

static void test_shrink_faults(void **state) {
  (void)state;
  char path[600];
  const char *paths[1] = {path};
  lb_token_counts *counts;
  tiny_model_write(folder, (tiny_options){.seed = 1});
  snprintf(path, sizeof path, "%s/texts.txt", folder);
  scratch_write_text(folder, "texts.txt", text);
  assert_int_equal(lb_token_counts_read(&counts, folder, paths, 1, NULL, &err), LB_OK);
  fault_case c = {.run = shrink_once, .check = check_folder, .ctx = counts, .may_survive = true};
  assert_true(fault_each_io(&c) > 20);
  lb_token_counts_free(counts);
}

/* ---- configurations that speak of ids in other ways ---- */

static void expect_refused(const char *generation, const char *part) {
  static const char config[] = "{\"bos_token_id\": 2, \"eos_token_id\": [3, 4], ";
  char model[600], out[600], whole[400];
  int64_t numbers[TINY_KNOWN + 16] = {[3] = 1};
  lb_tokenizer *t;
  snprintf(model, sizeof model, "%s", folder);
  snprintf(out, sizeof out, "%s/out", folder);
  snprintf(whole, sizeof whole, "%s%s}", config, generation);
  tiny_model_write(model, (tiny_options){.seed = 1});
  scratch_write_text(folder, "generation_config.json", whole);
  assert_int_equal(lb_tokenizer_open(&t, model, &err), LB_OK);
  lb_token_counts counts = {.n_ids = lb_tokenizer_size(t), .counts = numbers};
  lb_tokenizer_free(t);
  lb_shrink_options o = lb_shrink_options_default();
  o.vocabulary = &counts;
  lb_status st = lb_shrink(model, out, &o, &err);
  if (part == NULL) {
    if (st != LB_OK) fail_msg("%s", err.message);
    scratch_empty(out);
    remove(out);
    return;
  }
  assert_int_equal(st, LB_E_UNSUPPORTED);
  if (strstr(err.message, part) == NULL) fail_msg("%s", err.message);
  assert_false(scratch_exists(folder, "out"));
}

static void test_other_ids(void **state) {
  (void)state;
  expect_refused("\"suppress_tokens\": [9, 10], \"pad_token_id\": -1, \"cls_token_id\": null",
                 NULL);
  expect_refused("\"bad_words_ids\": [[5]]", "bad_words_ids");
  expect_refused("\"sequence_bias\": {\"5\": 1}", "sequence_bias");
  expect_refused("\"image_token_ids\": [[5]]", "not as an id or a list");
  expect_refused("\"sep_token_id\": \"5\"", "not as an id or a list");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
      cmocka_unit_test(test_malformed),
      cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
      cmocka_unit_test_setup_teardown(test_gguf, setup, teardown),
      cmocka_unit_test_setup_teardown(test_gguf_malformed, setup, teardown),
      cmocka_unit_test_setup_teardown(test_too_few_rows, setup, teardown),
      cmocka_unit_test_setup_teardown(test_other_ids, setup, teardown),
      cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
      cmocka_unit_test_setup_teardown(test_shrink_faults, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_tokenizer_faults.c - every allocation and every read fails in turn, while a tokenizer is
 * opened, used and freed: an error, no leak, no crash. */
#include "faults.h"
#include "scratch.h"
#include "small_tokenizer.h"
#include "text/tokenizer_convert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char whole[] =
    "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":7,\"content\":\"<x>\",\"special\":true,"
    "\"normalized\":true}],\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":"
    "\"NFC\"},"
    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"z+\"},\"content\":\"a\"}]},\"pre_tokenizer\":{"
    "\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\d\"}"
    ","
    "\"behavior\":\"Isolated\"},{\"type\":\"ByteLevel\",\"add_prefix_space\":true}]},"
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
    "\"a\"}},"
    "{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"a\":{\"ids\":[0]}}},"
    "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"ignore_merges\":true,"
    "\"vocab\":{"
    "\"a\":0,\"b\":1,\"ab\":2,\"\xC4\xA0\":3,\"1\":4,\"\\u00c3\":5,\"\xC2\xA9\":6},\"merges\":[["
    "\"a\",\"b\"]]}}";

static const char text[] =
    "abab ab1 zz<x>e\xCC\x81 ababababababababababababababababababababababababab";

static lb_status use(lb_tokenizer *t, lb_error *err) {
  int32_t *ids;
  size_t n;
  char *back;
  lb_status st = lb_tokenizer_encode(t, text, strlen(text), NULL, &ids, &n, err);
  if (st == LB_OK) {
    st = lb_tokenizer_decode(t, ids, n, true, &back, NULL, err);
    lb_text_free(back);
  }
  lb_ids_free(ids);
  return st;
}

static lb_status open_and_use(void *path, lb_error *err) {
  lb_tokenizer *t;
  lb_status st = lb_tokenizer_open(&t, path, err);
  if (st == LB_OK) st = use(t, err);
  lb_tokenizer_free(t);
  return st;
}

static lb_status convert(void *path, lb_error *err) {
  lb_tokenizer *t;
  lb__gguf_writer *w = NULL;
  char *folder = path;
  lb_status st = lb_tokenizer_open(&t, scratch_path(folder, "in.gguf"), err);
  if (st == LB_OK) st = lb__gguf_writer_new(&w, err);
  if (st == LB_OK) st = lb__tokenizer_set_gguf(w, t, (size_t)lb_tokenizer_size(t), err);
  if (st == LB_OK) st = lb__gguf_writer_save(w, scratch_path(folder, "out.gguf"), NULL, NULL, err);
  if (st == LB_OK) st = lb__tokenizer_save_json(t, folder, err);
  lb__gguf_writer_free(w);
  lb_tokenizer_free(t);
  return st;
}

static void test_json(void **state) {
  (void)state;
  char *folder = scratch_new();
  scratch_write_text(folder, "tokenizer.json", whole);
  scratch_write_text(folder, "tokenizer_config.json",
                     "{\"eos_token\":\"<x>\",\"add_bos_token\":true}");
  scratch_write_text(folder, "config.json", "{\"eos_token_id\":[1,2]}");
  fault_case c = {.run = open_and_use, .ctx = folder};
  assert_true(fault_each_allocation(&c) > 50);
  assert_true(fault_each_io(&c) > 5);
  scratch_remove(folder);
}

static void test_gguf(void **state) {
  (void)state;
  static const char *const models[] = {"gpt2", "llama"};
  for (int i = 0; i < 2; i++) {
    char *folder = scratch_new();
    lb__gguf_writer *w;
    const lb__gguf_string tokens[] = {{"a", 1}, {"b", 1}, {"ab", 2}, {"<s>", 3}, {"<t>", 3}};
    const lb__gguf_string merges[] = {{"a b", 3}};
    assert_int_equal(lb__gguf_writer_new(&w, NULL), LB_OK);
    lb__gguf_set_string(w, "general.architecture", "llama");
    lb__gguf_set_string(w, "tokenizer.ggml.model", models[i]);
    lb__gguf_set_string_array(w, "tokenizer.ggml.tokens", tokens, 5);
    if (i == 0) lb__gguf_set_string_array(w, "tokenizer.ggml.merges", merges, 1);
    lb__gguf_set_f32_array(w, "tokenizer.ggml.scores", (float[]){-1, -2, 0, 0, 0}, 5);
    lb__gguf_set_i32_array(w, "tokenizer.ggml.token_type", (int32_t[]){1, 1, 1, 3, 4}, 5);
    lb__gguf_set_u32(w, "tokenizer.ggml.bos_token_id", 3);
    lb__gguf_set_bool(w, "tokenizer.ggml.add_bos_token", true);
    assert_int_equal(lb__gguf_writer_save(w, scratch_path(folder, "in.gguf"), NULL, NULL, NULL),
                     LB_OK);
    lb__gguf_writer_free(w);
    fault_case c = {.run = convert, .ctx = folder, .may_survive = true}; /* arenas ask again */
    assert_true(fault_each_allocation(&c) > 50);
    scratch_remove(folder);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_json), cmocka_unit_test(test_gguf)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

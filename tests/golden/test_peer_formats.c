/* test_peer_formats.c - what we write, the reference packages read (peers/check_formats.py).
 * LIMBECK_PEERS_PYTHON names a Python that has them; without it the test is skipped, visibly. */
#include "formats/gguf.h"
#include "formats/hf_config.h"
#include "formats/safetensors.h"

#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { SKIPPED = 77 };

/* Byte j of tensor "tNN.DTYPE" is (7 NN + j) mod 256; a bool is that mod 2. */
static lb_status pour(void *ctx, size_t index, lb__sink *sink, lb_error *err) {
  const lb__tensor_decl *decls = ctx;
  unsigned modulus = decls[index].dtype == LB_DTYPE_BOOL ? 2 : 256;
  lb_status st = LB_OK;
  for (size_t j = 0; st == LB_OK && j < sink->wanted; j++)
    st = lb__sink_write(sink, &(uint8_t){(uint8_t)((7 * index + j) % modulus)}, 1, err);
  return st;
}

static size_t declare(lb__tensor_decl *decls, char names[][16], bool safetensors) {
  size_t n = 0;
  for (int d = 0; d < LB_DTYPE_COUNT; d++) {
    const char *name;
    bool there = lb__safetensors_dtype(&name, (lb_dtype)d) >= 0;
    if (!safetensors) /* what GGUF can hold, seen from outside */
      there = lb_dtype_is_block((lb_dtype)d) || d == LB_DTYPE_F32 || d == LB_DTYPE_F16 ||
              d == LB_DTYPE_BF16 || d == LB_DTYPE_F64 || d == LB_DTYPE_I8 || d == LB_DTYPE_I16 ||
              d == LB_DTYPE_I32;
    if (!there) continue;
    snprintf(names[n], 16, "t%02zu.%s", n, lb_dtype_name((lb_dtype)d));
    decls[n] = (lb__tensor_decl){names[n], (lb_dtype)d, 2, {2, 3}};
    if (!safetensors) memcpy(decls[n].shape, (int64_t[]){3, 512}, 2 * sizeof(int64_t));
    n++;
  }
  return n;
}

static void write_safetensors(const char *folder) {
  lb__tensor_decl decls[LB_DTYPE_COUNT];
  char names[LB_DTYPE_COUNT][16];
  lb_error err = {0};
  size_t n = declare(decls, names, true);
  if (lb__safetensors_save(scratch_path(folder, "x.safetensors"), decls, n, NULL, 0, pour, decls,
                           &err) != LB_OK ||
      lb__safetensors_save_folder(scratch_path(folder, "sharded"), decls, n, 50, pour, decls,
                                  &err) != LB_OK)
    fail_msg("%s", err.message);
}

static void write_gguf(const char *folder) {
  static const lb__gguf_string strings[] = {{"a", 1}, {"", 0}, {"\xe2\x96\x81the", 6}};
  lb__tensor_decl decls[LB_DTYPE_COUNT];
  char names[LB_DTYPE_COUNT][16];
  lb_error err = {0};
  lb__gguf_writer *w;
  size_t n = declare(decls, names, false);
  assert_int_equal(lb__gguf_writer_new(&w, NULL), LB_OK);
  lb__gguf_set_string(w, "general.architecture", "llama");
  lb__gguf_set_u32(w, "k.u32", 4000000000u);
  lb__gguf_set_i32(w, "k.i32", -7);
  lb__gguf_set_u64(w, "k.u64", (uint64_t)1 << 63);
  lb__gguf_set_f32(w, "k.f32", 0.1f);
  lb__gguf_set_bool(w, "k.bool", true);
  lb__gguf_set_string(w, "k.string", "h\xc3\xa9llo");
  lb__gguf_set_string_array(w, "k.strings", strings, 3);
  lb__gguf_set_i32_array(w, "k.ints", (int32_t[]){1, -2, 3}, 3);
  lb__gguf_set_f32_array(w, "k.floats", (float[]){0.5f, -1.25f}, 2);
  lb__gguf_set_bool_array(w, "k.bools", (bool[]){true, false}, 2);
  for (size_t i = 0; i < n; i++) lb__gguf_add_tensor(w, &decls[i]);
  if (lb__gguf_writer_save(w, scratch_path(folder, "x.gguf"), pour, decls, &err) != LB_OK)
    fail_msg("%s", err.message);
  lb__gguf_writer_free(w);
}

static void write_config(const char *folder, const char *name, const char *config_text,
                         const char *rope_text, const char *sliding_text) {
  json_t *config, *rope, *sliding;
  lb__hf_rope full, local;
  lb_error err = {0};
  const char *path = scratch_path(folder, name);
  assert_int_equal(lb__json_parse(&config, config_text, strlen(config_text), "c", NULL), LB_OK);
  assert_int_equal(lb__json_parse(&rope, rope_text, strlen(rope_text), "r", NULL), LB_OK);
  assert_int_equal(lb__json_parse(&sliding, sliding_text, strlen(sliding_text), "s", NULL), LB_OK);
  assert_int_equal(lb__hf_rope_read(&full, rope, NULL, 1e4, "r", NULL), LB_OK);
  assert_int_equal(lb__hf_rope_read(&local, sliding, NULL, 1e4, "s", NULL), LB_OK);
  bool has_local = json_object_size(sliding) > 0;
  if (lb__hf_rope_write(config, &full, has_local ? &local : NULL, &err) != LB_OK ||
      lb__hf_dtype_write(config, LB_DTYPE_BF16, &err) != LB_OK ||
      lb__folder_make(path, &err) != LB_OK || lb__hf_config_write(path, config, &err) != LB_OK)
    fail_msg("%s", err.message);
  json_decref(config);
  json_decref(rope);
  json_decref(sliding);
}

static void peers_read_what_we_write(void **state) {
  (void)state;
  char *folder = scratch_new(), command[2048];
  write_safetensors(folder);
  write_gguf(folder);
  write_config(folder, "llama", "{\"model_type\":\"llama\"}",
               "{\"rope_theta\":500000,\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,"
               "\"low_freq_factor\":1,\"high_freq_factor\":4,"
               "\"original_max_position_embeddings\":1024}}",
               "{}");
  write_config(folder, "gemma3_text", "{\"model_type\":\"gemma3_text\"}",
               "{\"rope_theta\":1e6,\"rope_scaling\":{\"type\":\"linear\",\"factor\":8}}",
               "{\"rope_theta\":1e4}");
  snprintf(command, sizeof command, "'%s' '%s' '%s'", getenv("LIMBECK_PEERS_PYTHON"),
           LIMBECK_SOURCE_DIR "/tests/golden/peers/check_formats.py", folder);
  int result = system(command);
  scratch_remove(folder);
  if (WIFEXITED(result) && WEXITSTATUS(result) == SKIPPED) exit(SKIPPED);
  assert_int_equal(result, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(peers_read_what_we_write)};
  if (getenv("LIMBECK_PEERS_PYTHON") == NULL) {
    puts("skipped: LIMBECK_PEERS_PYTHON does not name a Python that has safetensors, gguf, torch");
    return SKIPPED;
  }
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_checkpoint.c - finding a model (folders, files, the hub cache) and viewing its tensors. */
#include "formats/checkpoint.h"

#include "faults.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const lb__tensor_decl decls[] = {{"wte.weight", LB_DTYPE_F32, 2, {2, 2}},
                                        {"ln_f.weight", LB_DTYPE_F32, 1, {2}}};

static lb_status pour(void *ctx, size_t index, lb__sink *sink, lb_error *err) {
  static const char zeros[64];
  (void)ctx, (void)index;
  return lb__sink_write(sink, zeros, sink->wanted, err);
}

static void make_folder(const char *folder) {
  scratch_write_text(folder, "config.json", "{\"model_type\":\"gpt2\"}");
  assert_int_equal(lb__safetensors_save_folder(folder, decls, 2, 0, pour, NULL, NULL), LB_OK);
}

static void make_gguf(const char *path) {
  lb__gguf_writer *w;
  assert_int_equal(lb__gguf_writer_new(&w, NULL), LB_OK);
  lb__gguf_set_string(w, "general.architecture", "gpt2");
  for (int i = 0; i < 2; i++) lb__gguf_add_tensor(w, &decls[i]);
  assert_int_equal(lb__gguf_writer_save(w, path, pour, NULL, NULL), LB_OK);
  lb__gguf_writer_free(w);
}

static void make_below(const char *folder, const char *below) {
  assert_int_equal(lb__folder_make(scratch_path(folder, below), NULL), LB_OK);
}

static void check_view(const char *path, lb__model_kind kind) {
  lb__checkpoint *c;
  const lb__stored_tensor *t;
  lb_error err = {0};
  if (lb__checkpoint_open(&c, path, &err) != LB_OK) fail_msg("%s: %s", path, err.message);
  assert_int_equal(lb__checkpoint_place(c)->kind, kind);
  assert_int_equal(lb__checkpoint_gguf(c) != NULL, kind == LB__MODEL_GGUF);
  assert_int_equal(lb__checkpoint_config(c) != NULL, kind == LB__MODEL_FOLDER);
  assert_int_equal(lb__checkpoint_count(c), 2);
  assert_non_null(lb__checkpoint_find(c, lb__checkpoint_tensor(c, 1)->name));
  assert_null(lb__checkpoint_find(c, "x"));
  assert_int_equal(lb__checkpoint_need(&t, c, "ln_f.weight", &err), LB_OK);
  assert_int_equal(t->shape[0], 2);
  assert_int_equal(lb__checkpoint_need(&t, c, "ln_g.weight", &err), LB_E_FORMAT);
  assert_non_null(strstr(err.message, "did you mean 'ln_f.weight'"));
  assert_non_null(strstr(err.message, lb__checkpoint_name(c)));
  lb__checkpoint_close(c);
}

static void expect_failure(const char *path, lb_status want, const char *says) {
  lb__checkpoint *c;
  lb_error err = {0};
  lb_status st = lb__checkpoint_open(&c, path, &err);
  if (st != want) fail_msg("%s: want %d, found %d: %s", path, want, st, err.message);
  assert_null(c);
  if (strstr(err.message, says) == NULL) fail_msg("%s: want '%s' in: %s", path, says, err.message);
}

static void folders_and_files(void **state) {
  (void)state;
  char *folder = scratch_new();
  make_folder(folder);
  check_view(folder, LB__MODEL_FOLDER);
  check_view(scratch_path(folder, ""), LB__MODEL_FOLDER);
  check_view(scratch_path(folder, "model.safetensors"), LB__MODEL_FOLDER);
  check_view(scratch_path(folder, "config.json"), LB__MODEL_FOLDER);
  make_gguf(scratch_path(folder, "x.gguf"));
  check_view(scratch_path(folder, "x.gguf"), LB__MODEL_GGUF);
  check_view(folder, LB__MODEL_FOLDER); /* config.json decides */
  unlink(scratch_path(folder, "config.json"));
  check_view(folder, LB__MODEL_GGUF); /* the only .gguf */
  make_gguf(scratch_path(folder, "y.gguf"));
  expect_failure(folder, LB_E_ARG, "y.gguf");
  scratch_write_text(folder, "notes.txt", "x");
  expect_failure(scratch_path(folder, "notes.txt"), LB_E_UNSUPPORTED, "notes.txt");
  lb__checkpoint_close(NULL);
  scratch_remove(folder);
  char *empty = scratch_new();
  expect_failure(empty, LB_E_IO, "config.json");
  scratch_remove(empty);
}

static void relative_paths(void **state) {
  (void)state;
  char *folder = scratch_new(), *here = getcwd(NULL, 0);
  make_gguf(scratch_path(folder, "x.gguf"));
  assert_int_equal(chdir(folder), 0);
  check_view("x.gguf", LB__MODEL_GGUF);
  check_view(".", LB__MODEL_GGUF);
  assert_int_equal(chdir(here), 0);
  free(here);
  scratch_remove(folder);
}

/* ---- the hub cache ---- */
#define COMMIT "607a30d783dfa663caf39e06633721c8d4cfcd7e"

static void clear_environment(void) {
  unsetenv("HF_HUB_CACHE");
  unsetenv("HF_HOME");
  unsetenv("XDG_CACHE_HOME");
}

static void cache_root(void **state) {
  (void)state;
  static const char *const steps[][3] = {{"HOME", "/h", "/h/.cache/huggingface/hub"},
                                         {"XDG_CACHE_HOME", "/x", "/x/huggingface/hub"},
                                         {"HF_HOME", "/f", "/f/hub"},
                                         {"HF_HUB_CACHE", "/c", "/c"}};
  char *root;
  clear_environment();
  for (size_t i = 0; i < 4; i++) { /* each one outranks the earlier ones */
    setenv(steps[i][0], steps[i][1], 1);
    assert_int_equal(lb__hub_cache_root(&root, NULL), LB_OK);
    assert_string_equal(root, steps[i][2]);
    lb__free(root);
  }
  setenv("HF_HUB_CACHE", "", 1); /* empty is not set */
  assert_int_equal(lb__hub_cache_root(&root, NULL), LB_OK);
  assert_string_equal(root, "/f/hub");
  lb__free(root);
  clear_environment();
  unsetenv("HOME");
  assert_int_equal(lb__hub_cache_root(&root, NULL), LB_E_IO);
  assert_null(root);
}

static void hub_names(void **state) {
  (void)state;
  static const char *const good[] = {"gpt2", "openai/gpt2", "HuggingFaceTB/SmolLM2-135M", "a_b/c.d",
                                     "_x/y_"};
  static const char *const bad[] = {"",     "/",      "a/",   "/a",   "a/b/c", "..",
                                    "a/..", "../a",   "a--b", "a..b", "-a",    "a.",
                                    "a b",  "a/b\\c", "~/x",  "./a",  "a:b",   "a\nb"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    assert_true(lb__hub_name_valid(good[i]));
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    if (lb__hub_name_valid(bad[i])) fail_msg("'%s' passed", bad[i]);
}

static void hub_cache(void **state) {
  (void)state;
  char *root = scratch_new(), snapshot[600];
  clear_environment();
  setenv("HF_HUB_CACHE", root, 1);
  make_below(root, "models--org--tiny/refs/pr");
  make_below(root, "models--org--tiny/blobs");
  make_below(root, "models--org--tiny/snapshots/" COMMIT);
  snprintf(snapshot, sizeof snapshot, "%s/models--org--tiny/snapshots/" COMMIT, root);
  make_folder(snapshot);
  /* as in the real cache: the snapshot's files are links out of their folder */
  char blob[600], link[640];
  snprintf(blob, sizeof blob, "%s/models--org--tiny/blobs/abc", root);
  snprintf(link, sizeof link, "%s/model.safetensors", snapshot);
  assert_int_equal(rename(link, blob), 0);
  assert_int_equal(symlink("../../blobs/abc", link), 0);

  expect_failure("org/tiny", LB_E_IO, "huggingface-cli download org/tiny"); /* no refs/main yet */
  scratch_write_text(root, "models--org--tiny/refs/main", COMMIT "\n");
  scratch_write_text(root, "models--org--tiny/refs/pr/1", COMMIT);
  check_view("org/tiny", LB__MODEL_FOLDER);
  check_view("org/tiny@main", LB__MODEL_FOLDER);
  check_view("org/tiny@pr/1", LB__MODEL_FOLDER);
  check_view("org/tiny@" COMMIT, LB__MODEL_FOLDER);
  expect_failure("org/tiny@v2", LB_E_IO, "'v2'");
  expect_failure("org/tiny@../../x", LB_E_IO, "hub name");
  expect_failure("org/absent", LB_E_IO, "models--org--absent");
  expect_failure("absent", LB_E_IO, "models--absent");
  expect_failure("no such/thing", LB_E_IO, "no such/thing");
  scratch_write_text(root, "models--org--tiny/refs/main", "../../../etc");
  expect_failure("org/tiny", LB_E_FORMAT, "want a commit");
  scratch_write_text(root, "models--org--tiny/refs/main", "");
  expect_failure("org/tiny", LB_E_FORMAT, "want a commit");

  /* a folder of that name wins over the cache */
  char *here = getcwd(NULL, 0), *work = scratch_new();
  make_below(work, "org/tiny");
  make_gguf(scratch_path(work, "org/tiny/x.gguf"));
  assert_int_equal(chdir(work), 0);
  check_view("org/tiny", LB__MODEL_GGUF);
  assert_int_equal(chdir(here), 0);
  free(here);
  scratch_remove(work);

  /* plain names */
  make_below(root, "models--gpt2/refs");
  make_below(root, "models--gpt2/snapshots/" COMMIT);
  scratch_write_text(root, "models--gpt2/refs/main", COMMIT);
  snprintf(snapshot, sizeof snapshot, "%s/models--gpt2/snapshots/" COMMIT, root);
  make_folder(snapshot);
  check_view("gpt2", LB__MODEL_FOLDER);
  scratch_remove(root);
  clear_environment();
}

/* ---- faults ---- */
static lb_status run_open(void *ctx, lb_error *err) {
  lb__checkpoint *c;
  lb_status st = lb__checkpoint_open(&c, ctx, err);
  lb__checkpoint_close(c);
  return st;
}

static void faults(void **state) {
  (void)state;
  char *folder = scratch_new();
  make_folder(folder);
  fault_case c = {.run = run_open, .ctx = folder, .may_survive = true}; /* arenas ask again */
  assert_true(fault_each_allocation(&c) > 10);
  assert_true(fault_each_io(&c) > 5);
  scratch_remove(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(folders_and_files), cmocka_unit_test(relative_paths),
      cmocka_unit_test(hub_names),         cmocka_unit_test(hub_cache),
      cmocka_unit_test(cache_root),        cmocka_unit_test(faults),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

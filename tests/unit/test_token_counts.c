/* test_token_counts.c - which tokens a text uses: the same documents as training sees, whole. */
#include <limbeck/token_counts.h>
#include <limbeck/tokenizer.h>

#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MODEL LIMBECK_SOURCE_DIR "/tests/golden/data/models/llama-tied-gqa"

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

static lb_token_counts *read_file(const char *name) {
  char path[600];
  const char *paths[1] = {path};
  lb_token_counts *c;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  if (lb_token_counts_read(&c, MODEL, paths, 1, NULL, &err) != LB_OK) fail_msg("%s", err.message);
  return c;
}

static void test_text(void **state) {
  (void)state;
  lb_tokenizer *t;
  int32_t *ids;
  size_t n;
  static const char text[] = "the quick brown fox, the quick fox";
  assert_int_equal(lb_tokenizer_open(&t, MODEL, &err), LB_OK);
  assert_int_equal(lb_tokenizer_encode(t, text, strlen(text), NULL, &ids, &n, &err), LB_OK);
  int64_t *want = calloc((size_t)lb_tokenizer_size(t), sizeof *want);
  for (size_t i = 0; i < n; i++) want[ids[i]]++;
  want[lb_tokenizer_eos(t)]++; /* what ends a document */
  scratch_write_text(folder, "a.txt", text);
  lb_token_counts *c = read_file("a.txt");
  assert_int_equal(c->n_ids, lb_tokenizer_size(t));
  assert_int_equal(c->n_documents, 1);
  int64_t n_used = 0, n_tokens = 0;
  for (int32_t id = 0; id < c->n_ids; id++) {
    assert_int_equal(c->counts[id], want[id]);
    n_used += want[id] > 0;
    n_tokens += want[id];
  }
  assert_int_equal(c->n_used, n_used);
  assert_int_equal(c->n_tokens, n_tokens);
  lb_token_counts_free(c);
  free(want);
  lb_ids_free(ids);
  lb_tokenizer_free(t);
}

/* Prompts count although only answers are learned; labels of -100 do not matter either. */
static void test_untrained(void **state) {
  (void)state;
  scratch_write_text(folder, "a.jsonl",
                     "{\"input_ids\":[3,4,5,5],\"labels\":[-100,-100,-100,-100]}\n"
                     "{\"input_ids\":[4,6]}\n");
  lb_token_counts *c = read_file("a.jsonl");
  assert_int_equal(c->n_documents, 2);
  assert_int_equal(c->n_tokens, 6);
  assert_int_equal(c->n_used, 4);
  assert_int_equal(c->counts[5], 2);
  lb_token_counts_free(c);
}

static void test_refused(void **state) {
  (void)state;
  char path[600];
  const char *paths[1] = {path};
  volatile int cancel = 1;
  lb_token_counts_options o = lb_token_counts_options_default();
  lb_token_counts *c = (void *)&err;
  snprintf(path, sizeof path, "%s/a.jsonl", folder);
  assert_int_equal(lb_token_counts_read(&c, MODEL, paths, 1, NULL, &err), LB_E_IO);
  assert_null(c);
  scratch_write_text(folder, "a.jsonl", "{\"input_ids\":[3,100000]}\n");
  assert_int_not_equal(lb_token_counts_read(&c, MODEL, paths, 1, NULL, &err), LB_OK);
  assert_int_equal(lb_token_counts_read(&c, MODEL, paths, 0, NULL, &err), LB_E_ARG);
  assert_int_equal(lb_token_counts_read(&c, folder, paths, 1, NULL, &err), LB_E_IO);
  scratch_write_text(folder, "a.jsonl", "{\"text\":\"ab\"}\n");
  o.cancel = &cancel;
  assert_int_equal(lb_token_counts_read(&c, MODEL, paths, 1, &o, &err), LB_E_CANCELLED);
  lb_token_counts_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_text, setup, teardown),
      cmocka_unit_test_setup_teardown(test_untrained, setup, teardown),
      cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

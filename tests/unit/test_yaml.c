/* test_yaml.c - libyaml into a tree, and everything a recipe may not contain. */
#include "base/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static lb_error err;

static lb__yaml *parse(const char *text) {
  lb__yaml *y = NULL;
  if (lb__yaml_parse(&y, text, strlen(text), "r.yaml", &err) != LB_OK) fail_msg("%s", err.message);
  return y;
}

static void refused_bytes(const char *text, size_t size, lb_status wanted, const char *message) {
  lb__yaml *y = (lb__yaml *)&err;
  assert_int_equal(lb__yaml_parse(&y, text, size, "r.yaml", &err), wanted);
  assert_null(y);
  if (strstr(err.message, message) == NULL) fail_msg("'%s' is not in '%s'", message, err.message);
  if (strncmp(err.message, "r.yaml:", 7) != 0) fail_msg("no file in '%s'", err.message);
}

static void refused(const char *text, const char *message) {
  refused_bytes(text, strlen(text), LB_E_FORMAT, message);
}

static void test_tree(void **state) {
  (void)state;
  lb__yaml *y = parse("# a recipe\n"
                      "teacher: gpt2-medium\n"
                      "data: {train: texts.jsonl, max_length: 512}\n"
                      "layers:\n"
                      "  - 1\n"
                      "  - \"2\"\n"
                      "  - [a, b]\n"
                      "empty:\n"
                      "text: |\n"
                      "  two\n"
                      "  lines\n");
  const lb__yaml_node *root = lb__yaml_root(y);
  assert_int_equal(root->kind, LB__YAML_MAP);
  assert_null(root->key);
  const lb__yaml_node *teacher = lb__yaml_get(root, "teacher");
  assert_string_equal(teacher->text, "gpt2-medium");
  assert_string_equal(teacher->key, "teacher");
  assert_int_equal(teacher->line, 2);
  assert_int_equal(teacher->kind, LB__YAML_SCALAR);
  assert_false(teacher->quoted);
  assert_ptr_equal(root->first, teacher);

  const lb__yaml_node *data = teacher->next;
  assert_int_equal(data->kind, LB__YAML_MAP);
  assert_string_equal(lb__yaml_get(data, "max_length")->text, "512");
  assert_null(lb__yaml_get(data, "teacher"));

  const lb__yaml_node *item = lb__yaml_get(root, "layers")->first;
  assert_string_equal(item->text, "1");
  assert_null(item->key);
  assert_int_equal(item->line, 5);
  item = item->next;
  assert_true(item->quoted);
  assert_int_equal(item->next->kind, LB__YAML_LIST);
  assert_string_equal(item->next->first->next->text, "b");
  assert_null(item->next->next);

  const lb__yaml_node *empty = lb__yaml_get(root, "empty");
  assert_string_equal(empty->text, "");
  assert_false(empty->quoted);
  assert_string_equal(lb__yaml_get(root, "text")->text, "two\nlines\n");
  assert_true(lb__yaml_get(root, "text")->quoted); /* a block is a string too */
  assert_null(lb__yaml_get(empty, "x"));
  assert_null(lb__yaml_get(NULL, "x"));
  lb__yaml_free(y);
  lb__yaml_free(NULL);
}

static void test_documents(void **state) {
  (void)state;
  static const char *const empties[] = {"", "# only a comment\n", "---\n", "\xEF\xBB\xBF",
                                        "--- \n...\n"};
  for (size_t i = 0; i < sizeof empties / sizeof *empties; i++) {
    lb__yaml *y = parse(empties[i]);
    assert_int_equal(lb__yaml_root(y)->kind, LB__YAML_SCALAR);
    assert_string_equal(lb__yaml_root(y)->text, "");
    assert_false(lb__yaml_root(y)->quoted);
    lb__yaml_free(y);
  }
  lb__yaml *y = parse("\xEF\xBB\xBF---\na: 1\n...\n");
  assert_string_equal(lb__yaml_get(lb__yaml_root(y), "a")->text, "1");
  lb__yaml_free(y);
  refused("a: 1\n---\nb: 2\n", "r.yaml:2: more than one document");
}

static void test_refused(void **state) {
  (void)state;
  refused("a: &x 1\nb: 2\n", "r.yaml:1: anchors");
  refused("a: &x [1]\n", "anchors");
  refused("a: &x {b: 1}\n", "anchors");
  refused("&x a: 1\n", "anchors");
  refused("b: 2\na: *x\n", "r.yaml:2: aliases");
  refused("a: !!str 1\n", "tags");
  refused("a: !mine [1]\n", "tags");
  refused("!mine {a: 1}\n", "tags");
  refused("? [a, b]\n: 1\n", "a key must be a plain word");
  refused("? {a: b}\n: 1\n", "a key must be a plain word");
  refused("a: \"x\\0y\"\n", "NUL");
}

/* Nine aliases to nine aliases, nine times: 300 bytes that would make hundreds of millions. */
static void test_alias_bomb(void **state) {
  (void)state;
  char text[600], *at = text + sprintf(text, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
  for (int i = 1; i < 10; i++) {
    at += sprintf(at, "a%d: &a%d [", i, i);
    for (int k = 0; k < 9; k++) at += sprintf(at, k > 0 ? ", *a%d" : "*a%d", i - 1);
    at += sprintf(at, "]\n");
  }
  refused(text, "r.yaml:1: anchors");
}

static void test_duplicate_keys(void **state) {
  (void)state;
  refused("a: 1\nb: 2\na: 3\n", "r.yaml:3: key 'a' was already given in line 1");
  refused("x: {k: 1, k: 2}\n", "key 'k' was already given in line 1");
  lb__yaml_free(parse("x: {k: 1}\ny: {k: 2}\nk: 3\n")); /* in different maps: fine */
}

static void test_malformed(void **state) {
  (void)state;
  refused("a: [1, 2\nb: 3\n", "r.yaml:");
  refused("a: 'x\n", "r.yaml:");
  refused("a: b: c\n", "r.yaml:1:");
  refused("a:\n  b: 1\n c: 2\n", "r.yaml:3:");
  refused("\ta: 1\n", "r.yaml:1:");
  refused("a: \xFF\n", "r.yaml: byte 3:");
  refused_bytes("a: \0b", 5, LB_E_FORMAT, "r.yaml: byte 3:");
  refused("\xFF\xFE"
          "a",
          "r.yaml: byte 0:"); /* UTF-16 */
  refused("%YAML 9.9\n---\na: 1\n", "r.yaml:1:");
  refused("}", "r.yaml:1:");
}

static void test_depth(void **state) {
  (void)state;
  enum { MANY = 200000 };
  static char text[MANY + 1];
  memset(text, '[', 64);
  memset(text + 64, ']', 64);
  text[128] = '\0';
  lb__yaml_free(parse(text));
  memset(text, '[', 65);
  memset(text + 65, ']', 65);
  refused_bytes(text, 130, LB_E_LIMIT, "r.yaml:1: nested deeper than 64 levels");
  memset(text, '[', MANY);
  refused_bytes(text, MANY, LB_E_LIMIT, "nested deeper");
  memset(text, '{', MANY);
  refused_bytes(text, MANY, LB_E_FORMAT, "r.yaml");
  for (int i = 0; i < MANY; i += 2) memcpy(text + i, "- ", 2);
  refused_bytes(text, MANY, LB_E_LIMIT, "nested deeper");
}

static void test_size(void **state) {
  (void)state;
  size_t size = (1 << 20) + 1;
  char *text = malloc(size);
  memset(text, '#', size);
  refused_bytes(text, size, LB_E_LIMIT, "larger than the limit of 1048576 bytes");
  lb__yaml *y;
  assert_int_equal(lb__yaml_parse(&y, text, size - 1, "r.yaml", &err), LB_OK);
  lb__yaml_free(y);
  free(text);
}

/* As many keys as fit: finding duplicates must not take quadratic time (CTest's limit tells). */
static void test_many_keys(void **state) {
  (void)state;
  enum { N = 100000 };
  char *text = malloc(10 * N + 1);
  for (int i = 0; i < N; i++) sprintf(text + 10 * i, "k%06d: \n", i);
  lb__yaml *y = parse(text);
  int n = 0;
  for (const lb__yaml_node *k = lb__yaml_root(y)->first; k != NULL; k = k->next) n++;
  assert_int_equal(n, N);
  lb__yaml_free(y);
  free(text);
}

static void test_read(void **state) {
  (void)state;
  char path[] = "/tmp/limbeck_yaml_XXXXXX", wanted[100];
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "a: 1\na: 2\n", 10), 10);
  lb__yaml *y;
  assert_int_equal(lb__yaml_read(&y, path, &err), LB_E_FORMAT);
  assert_null(y);
  snprintf(wanted, sizeof wanted, "%s:2: key 'a'", path);
  assert_memory_equal(err.message, wanted, strlen(wanted));
  assert_int_equal(ftruncate(fd, 5), 0);
  assert_int_equal(lb__yaml_read(&y, path, &err), LB_OK);
  assert_string_equal(lb__yaml_get(lb__yaml_root(y), "a")->text, "1");
  lb__yaml_free(y);
  close(fd);
  unlink(path);
  assert_int_equal(lb__yaml_read(&y, path, &err), LB_E_IO);
  assert_null(y);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tree),           cmocka_unit_test(test_documents),
      cmocka_unit_test(test_refused),        cmocka_unit_test(test_alias_bomb),
      cmocka_unit_test(test_duplicate_keys), cmocka_unit_test(test_malformed),
      cmocka_unit_test(test_depth),          cmocka_unit_test(test_size),
      cmocka_unit_test(test_many_keys),      cmocka_unit_test(test_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

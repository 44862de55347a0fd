/* test_json.c - jansson behind our limits: depth, duplicates, big integers, typed members. */
#include "base/json.h"
#include "base/memory.h"

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

static json_t *parse(const char *text) {
  json_t *value = NULL;
  lb_status st = lb__json_parse(&value, text, strlen(text), "a.json", &err);
  if (st != LB_OK) fail_msg("%s", err.message);
  return value;
}

static void refused(const char *text, size_t size, lb_status wanted, const char *message) {
  json_t *value = (json_t *)&err;
  lb_status st = lb__json_parse(&value, text, size, "a.json", &err);
  assert_int_equal(st, wanted);
  assert_null(value);
  if (strstr(err.message, message) == NULL) fail_msg("'%s' is not in '%s'", message, err.message);
  if (strncmp(err.message, "a.json:1:", 9) != 0 && strncmp(err.message, "a.json:3:", 9) != 0)
    fail_msg("no place in '%s'", err.message);
}

static void test_values(void **state) {
  (void)state;
  static const char *const texts[] = {"1", "\"x\"", "null", "[]", "{}", " [1, 2.5, \"\\u0000\"]\n"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) json_decref(parse(texts[i]));
}

static void test_malformed(void **state) {
  (void)state;
  static const char *const texts[] = {"",
                                      "{",
                                      "[1,]",
                                      "{\"a\":}",
                                      "[1] 2",
                                      "NaN",
                                      "Infinity",
                                      "-Infinity",
                                      "'a'",
                                      "\"\xFF\"",
                                      "\"\xED\xA0\x80\"",
                                      "\"\\ud800\"",
                                      "01",
                                      "\"abc",
                                      "\"abc\\",
                                      "tru",
                                      "[1 2]",
                                      "\"a\nb\"",
                                      "-",
                                      "{1:2}",
                                      "1e999",
                                      "// comment\n1",
                                      "\xEF\xBB\xBF{}"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    refused(texts[i], strlen(texts[i]), LB_E_FORMAT, "a.json:");
  refused("[1]\0[2]", 7, LB_E_FORMAT, "a.json:1:");
  refused("{\n  \"a\": 1,\n  oops\n}", 19, LB_E_FORMAT, "a.json:3:");
}

static void test_duplicate_keys(void **state) {
  (void)state;
  refused("{\"a\":1,\"a\":2}", 13, LB_E_FORMAT, "duplicate");
  json_decref(parse("[{\"a\":1},{\"a\":2}]"));
}

static void nested(char *text, int depth, char open, char close) {
  memset(text, open, (size_t)depth);
  memset(text + depth, close, (size_t)depth);
  text[2 * depth] = '\0';
}

static void test_depth(void **state) {
  (void)state;
  static char text[2 * 100000 + 1];
  nested(text, LB__JSON_MAX_DEPTH, '[', ']');
  json_decref(parse(text));
  nested(text, LB__JSON_MAX_DEPTH + 1, '[', ']');
  refused(text, strlen(text), LB_E_LIMIT, "a.json:1:129: nested deeper than 128 levels");
  nested(text, 100000, '[', ']');
  refused(text, strlen(text), LB_E_LIMIT, "nested deeper");
  text[0] = '\0';
  for (char *end = text; end < text + 5 * 20000; end += 5) strcpy(end, "{\"a\":");
  refused(text, strlen(text), LB_E_LIMIT, "nested deeper");
}

/* Brackets inside strings are text. */
static void test_brackets_in_strings(void **state) {
  (void)state;
  char text[600] = "[\"\\\"";
  memset(text + 4, '[', 300);
  strcpy(text + 304, "\\\\\", 1]");
  json_t *value = parse(text);
  assert_int_equal(json_array_size(value), 2);
  json_decref(value);
  strcpy(text, "[\"\\\\\"");
  memset(text + 6, '[', 300);
  text[306] = '\0';
  refused(text, 306, LB_E_FORMAT, "a.json:1:6: want ',' or ']'");
}

static void test_big_integers_become_reals(void **state) {
  (void)state;
  json_t *v = parse("[9223372036854775807, -9223372036854775808, 9223372036854775808,"
                    " -9223372036854775809, 1000000000000000019884624838656, 7,"
                    " \"99999999999999999999 \\\" 99999999999999999999\", 1.5e1]");
  assert_true(json_is_integer(json_array_get(v, 0)));
  assert_int_equal(json_integer_value(json_array_get(v, 0)), INT64_MAX);
  assert_int_equal(json_integer_value(json_array_get(v, 1)), INT64_MIN);
  assert_true(json_is_real(json_array_get(v, 2)));
  assert_true(json_real_value(json_array_get(v, 2)) == 0x1p63);
  assert_true(json_real_value(json_array_get(v, 3)) == -0x1p63);
  assert_true(json_real_value(json_array_get(v, 4)) == 1e30);
  assert_true(json_is_integer(json_array_get(v, 5))); /* the others keep their type */
  assert_string_equal(json_string_value(json_array_get(v, 6)),
                      "99999999999999999999 \" 99999999999999999999");
  assert_true(json_real_value(json_array_get(v, 7)) == 15);
  json_decref(v);
  v = parse("123456789012345678901234567890");
  assert_true(json_is_real(v));
  json_decref(v);
}

static void test_numbers_too_big_for_a_real(void **state) {
  (void)state;
  static char text[1000];
  memset(text, '9', 500);
  refused(text, 500, LB_E_FORMAT, "overflow");
  refused("[99999999999999999999, 1e400]", 29, LB_E_FORMAT, "overflow");
  refused("[99999999999999999999, oops]", 28, LB_E_FORMAT, "a.json:1:");
}

static void test_members(void **state) {
  (void)state;
  json_t *o = parse("{\"i\":3,\"w\":4.0,\"r\":2.5,\"b\":true,\"s\":\"text\",\"n\":null,"
                    "\"z\":\"a\\u0000b\",\"big\":1e30}");
  int64_t i = -1;
  double r = -1;
  bool b = false;
  const char *s = NULL;
  assert_int_equal(lb__json_get_int(&i, o, "i", true, "c", &err), LB_OK);
  assert_int_equal(i, 3);
  assert_int_equal(lb__json_get_int(&i, o, "w", true, "c", &err), LB_OK);
  assert_int_equal(i, 4);
  assert_int_equal(lb__json_get_real(&r, o, "r", true, "c", &err), LB_OK);
  assert_true(r == 2.5);
  assert_int_equal(lb__json_get_real(&r, o, "i", true, "c", &err), LB_OK);
  assert_true(r == 3);
  assert_int_equal(lb__json_get_bool(&b, o, "b", true, "c", &err), LB_OK);
  assert_true(b);
  assert_int_equal(lb__json_get_string(&s, o, "s", true, "c", &err), LB_OK);
  assert_string_equal(s, "text");

  i = 77; /* absent and null leave it alone */
  assert_int_equal(lb__json_get_int(&i, o, "absent", false, "c", &err), LB_OK);
  assert_int_equal(lb__json_get_int(&i, o, "n", false, "c", &err), LB_OK);
  assert_int_equal(i, 77);
  assert_int_equal(lb__json_get_int(&i, o, "n", true, "c", &err), LB_E_FORMAT);
  assert_string_equal(err.message, "c: key 'n' is missing");

  assert_int_equal(lb__json_get_int(&i, o, "s", false, "c", &err), LB_E_FORMAT);
  assert_string_equal(err.message, "c: key 's': want an integer, found string");
  assert_int_equal(lb__json_get_int(&i, o, "r", false, "c", &err), LB_E_FORMAT);
  assert_int_equal(lb__json_get_int(&i, o, "big", false, "c", &err), LB_E_FORMAT);
  assert_int_equal(lb__json_get_int(&i, o, "b", false, "c", &err), LB_E_FORMAT);
  assert_int_equal(lb__json_get_real(&r, o, "s", false, "c", &err), LB_E_FORMAT);
  assert_string_equal(err.message, "c: key 's': want a number, found string");
  assert_int_equal(lb__json_get_bool(&b, o, "i", false, "c", &err), LB_E_FORMAT);
  assert_string_equal(err.message, "c: key 'i': want a boolean, found integer");
  assert_int_equal(lb__json_get_string(&s, o, "b", false, "c", &err), LB_E_FORMAT);
  assert_string_equal(err.message, "c: key 'b': want a string, found boolean");
  assert_int_equal(lb__json_get_string(&s, o, "z", false, "c", &err), LB_E_FORMAT);
  assert_int_equal(i, 77);
  json_decref(o);
}

static void test_members_of_what_is_no_object(void **state) {
  (void)state;
  int64_t i = 5;
  json_t *list = parse("[]");
  assert_int_equal(lb__json_get_int(&i, list, "k", false, "c", &err), LB_E_FORMAT);
  assert_string_equal(err.message, "c: want an object with key 'k', found array");
  assert_int_equal(lb__json_get_int(&i, NULL, "k", false, "c", &err), LB_E_FORMAT);
  assert_string_equal(err.message, "c: want an object with key 'k', found nothing");
  json_decref(list);
}

static void test_text(void **state) {
  (void)state;
  json_t *o = parse("{\"b\":1,\"a\":[true,null,\"\xC3\xA9\"]}");
  char *one_line = lb__json_text(o, 0), *lines = lb__json_text(o, 2);
  assert_string_equal(one_line, "{\"b\": 1, \"a\": [true, null, \"\xC3\xA9\"]}");
  assert_string_equal(lines,
                      "{\n  \"a\": [\n    true,\n    null,\n    \"\xC3\xA9\"\n  ],\n  \"b\": 1\n}");
  lb__free(one_line);
  lb__free(lines);
  json_decref(o);
  assert_null(lb__json_text(NULL, 0));
}

static void test_read(void **state) {
  (void)state;
  char path[] = "/tmp/limbeck_json_XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "{\"a\":\n!}", 8), 8);
  json_t *value;
  char wanted[100];
  snprintf(wanted, sizeof wanted, "%s:2:", path);
  assert_int_equal(lb__json_read(&value, path, 1000, &err), LB_E_FORMAT);
  assert_null(value);
  assert_memory_equal(err.message, wanted, strlen(wanted));
  assert_int_equal(lb__json_read(&value, path, 7, &err), LB_E_LIMIT);
  assert_int_equal(ftruncate(fd, 0), 0);
  assert_int_equal(pwrite(fd, "[1]", 3, 0), 3);
  assert_int_equal(lb__json_read(&value, path, 1000, &err), LB_OK);
  json_decref(value);
  close(fd);
  unlink(path);
  assert_int_equal(lb__json_read(&value, path, 1000, &err), LB_E_IO);
  assert_null(value);
}

/* ---- every allocation fails in turn ---- */

static int n_calls, fail_at, n_alive;

static void *failing_alloc(void *ctx, size_t size) {
  (void)ctx;
  if (++n_calls == fail_at) return NULL;
  n_alive++;
  return malloc(size);
}

static void *failing_resize(void *ctx, void *p, size_t old_size, size_t new_size) {
  (void)ctx, (void)old_size;
  return ++n_calls == fail_at ? NULL : realloc(p, new_size);
}

static void counting_release(void *ctx, void *p) {
  (void)ctx;
  n_alive -= p != NULL;
  free(p);
}

static void test_out_of_memory(void **state) {
  (void)state;
  static const char text[] = "{\"a\": [1, 99999999999999999999, \"text\"], \"b\": {\"c\": 2.5}}";
  static const lb_allocator failing = {failing_alloc, failing_resize, counting_release, NULL};
  lb_allocator_set(&failing);
  int n_failed = 0;
  n_calls = 0;
  for (fail_at = 1; fail_at <= n_calls + 1; fail_at++) { /* until none is left to fail */
    json_t *value;
    n_calls = n_alive = 0;
    lb_status st = lb__json_parse(&value, text, sizeof text - 1, "a.json", &err);
    assert_true(st == LB_OK || st == LB_E_NOMEM); /* jansson survives a few of them */
    if (st != LB_OK) assert_null(value);
    n_failed += st != LB_OK;
    json_decref(value);
    assert_int_equal(n_alive, 0);
  }
  lb_allocator_set(NULL);
  assert_true(n_failed > 10); /* jansson does use our allocator */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_values),
      cmocka_unit_test(test_malformed),
      cmocka_unit_test(test_duplicate_keys),
      cmocka_unit_test(test_depth),
      cmocka_unit_test(test_brackets_in_strings),
      cmocka_unit_test(test_big_integers_become_reals),
      cmocka_unit_test(test_numbers_too_big_for_a_real),
      cmocka_unit_test(test_members),
      cmocka_unit_test(test_members_of_what_is_no_object),
      cmocka_unit_test(test_text),
      cmocka_unit_test(test_read),
      cmocka_unit_test(test_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

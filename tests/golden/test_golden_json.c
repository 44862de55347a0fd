/* test_golden_json.c - JSONTestSuite: what our JSON parser accepts (y_), refuses (n_), and where it
 * may do either (i_). A refusal names the file and the place in it. Read next:
 * generate/json_suite.py. */
#include "golden.h"

#include "base/json.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_FILES = 301, LONGEST_LINE = 20000 };

/* ---- one line of the data ---- */

/* Appends %XX and plain characters as bytes. */
static void put_unescaped(lb__buf *out, const char *text) {
  unsigned byte;
  for (const char *p = text; *p != '\0'; p++) {
    if (*p == '%') {
      assert_int_equal(sscanf(p + 1, "%2X", &byte), 1);
      lb__buf_add_char(out, (char)byte);
      p += 2;
    } else {
      lb__buf_add_char(out, *p);
    }
  }
}

/* Cuts `line` at its tabs; the name stays in it. */
static void unpack(lb__buf *content, char *line) {
  char *parts[4] = {line};
  for (int i = 1; i < 4; i++) {
    parts[i] = strchr(parts[i - 1], '\t');
    assert_non_null(parts[i]);
    *parts[i]++ = '\0';
  }
  lb__buf_clear(content);
  for (long n = strtol(parts[1], NULL, 10); n > 0; n--) put_unescaped(content, parts[2]);
  put_unescaped(content, parts[3]);
}

/* ---- what our parser says ---- */

/* What the suite accepts and we never do: a key that comes twice or holds a NUL; and what its later
 * versions leave open or refuse, numbers that no double holds and UTF-16. */
static const char *const refused[] = {
    "y_object_duplicated_key",      "y_object_duplicated_key_and_value",
    "y_object_escaped_null_in_key", "y_number_huge_exp",
    "y_number_neg_int_huge_exp",    "y_number_pos_double_huge_exp",
    "y_number_real_neg_overflow",   "y_number_real_pos_overflow",
    "y_string_utf16BE_no_BOM",      "y_string_utf16LE_no_BOM",
};

static bool is_wanted(const char *name) {
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
    if (strcmp(name, refused[i]) == 0) return false;
  return name[0] == 'y';
}

static void check_file(const char *name, const lb__buf *content) {
  lb_error err = {0};
  json_t *value;
  size_t n = strlen(name);
  lb_status st = lb__json_parse(&value, lb__buf_text(content), content->size, name, &err);
  assert_true((st == LB_OK) == (value != NULL));
  if (name[0] != 'i' && (st == LB_OK) != is_wanted(name))
    fail_msg("%s: status %d %s", name, (int)st, err.message);
  if (st != LB_OK && st != LB_E_FORMAT && st != LB_E_LIMIT) fail_msg("%s: status %d", name, st);
  int line = 0, column = 0;
  if (st != LB_OK && (strncmp(err.message, name, n) != 0 ||
                      sscanf(err.message + n, ":%d:%d: ", &line, &column) != 2 || column < 1))
    fail_msg("%s: no place in: %s", name, err.message);
  json_decref(value);
}

static void test_every_file(void **state) {
  (void)state;
  static char line[LONGEST_LINE];
  char *path = golden_path("json_suite.txt");
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  lb__buf content;
  lb__buf_init(&content, SIZE_MAX);
  int n = 0;
  while (fgets(line, sizeof line, f) != NULL) {
    if (line[0] == '#') continue;
    line[strcspn(line, "\n")] = '\0';
    unpack(&content, line);
    check_file(line, &content);
    n++;
  }
  assert_int_equal(n, N_FILES);
  lb__buf_deinit(&content);
  fclose(f);
  free(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_file)};
  return cmocka_run_group_tests_name("JSONTestSuite", tests, NULL, NULL);
}

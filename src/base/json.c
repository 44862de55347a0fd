/* json.c - see json.h. Owns: jansson's memory, writing trees, typed members. Read next:
 * json_parse.c. */
#include "json.h"

#include "fail.h"
#include "files.h"
#include "memory.h"
#include "real_text.h"

#include <math.h>
#include <stdlib.h>

/* jansson's memory comes from our allocator, from the start of the process, so that no tree ever
 * changes hands between two allocators. */
__attribute__((constructor)) static void adopt_jansson(void) {
  json_set_alloc_funcs(lb__alloc, lb__free);
}

/* ---- reading; lb__json_parse is in json_parse.c ---- */

lb_status lb__json_read(json_t **out, const char *path, size_t max_size, lb_error *err) {
  char *text;
  size_t size;
  *out = NULL;
  lb_status st = lb__file_read(&text, &size, path, max_size, err);
  if (st != LB_OK) return st;
  st = lb__json_parse(out, text, size, path, err);
  lb__free(text);
  return st;
}

/* ---- writing ---- */

static int add_to_buf(const char *bytes, size_t size, void *ctx) {
  return lb__buf_add(ctx, bytes, size) ? 0 : -1;
}

/* The end of the string that starts at text[i] == '"', or size. */
static size_t skip_string(const char *text, size_t size, size_t i) {
  for (i++; i < size && text[i] != '"'; i++)
    if (text[i] == '\\') i++;
  return i < size ? i + 1 : size;
}

static size_t number_length(const char *text, size_t size) {
  size_t n = 0;
  while (n < size && text[n] != '\0' && strchr("+-.0123456789eE", text[n]) != NULL) n++;
  return n;
}

/* jansson prints 17 digits (1e-5 as 1.0000000000000001e-05); people and diffs want 1e-05. Appends
 * the shortest text that reads back as the same double, as Python's repr writes it. */
static void add_shortest_real(lb__buf *out, const char *number) {
  char text[LB__REAL_TEXT_SIZE];
  lb__real_text(text, strtod(number, NULL));
  lb__buf_add_text(out, text);
}

/* Copies JSON text that we have written, with every real shortened. */
static bool shorten_reals(lb__buf *out, const char *text, size_t size) {
  size_t i = 0;
  while (i < size) {
    size_t start = i;
    bool real = false;
    if (text[i] == '"') {
      i = skip_string(text, size, i);
    } else if (text[i] == '-' || (text[i] >= '0' && text[i] <= '9')) {
      i += number_length(text + i, size - i);
      real = memchr(text + start, '.', i - start) || memchr(text + start, 'e', i - start);
    } else {
      i++;
    }
    if (real)
      add_shortest_real(out, text + start);
    else
      lb__buf_add(out, text + start, i - start);
  }
  return !out->failed;
}

char *lb__json_text(const json_t *value, int indent) {
  size_t flags = JSON_ENCODE_ANY;
  if (indent > 0) flags |= JSON_INDENT((size_t)indent) | JSON_SORT_KEYS;
  lb__buf text, shortened;
  lb__buf_init(&text, SIZE_MAX);
  lb__buf_init(&shortened, SIZE_MAX);
  char *taken = NULL;
  if (json_dump_callback(value, add_to_buf, &text, flags) == 0 &&
      shorten_reals(&shortened, lb__buf_text(&text), text.size))
    taken = lb__buf_take(&shortened);
  lb__buf_deinit(&text);
  lb__buf_deinit(&shortened);
  return taken;
}

lb_status lb__json_save(const char *path, const json_t *value, lb_error *err) {
  lb__save save = {0};
  char *text = lb__json_text(value, 2);
  if (text == NULL) return lb__fail_nomem(err, path);
  lb_status st = lb__save_begin(&save, path, err);
  if (st == LB_OK) st = lb__save_write(&save, text, strlen(text), err);
  if (st == LB_OK) st = lb__save_write(&save, "\n", 1, err);
  if (st == LB_OK) st = lb__save_commit(&save, err);
  lb__save_abort(&save);
  lb__free(text);
  return st;
}

/* ---- typed members ---- */

const char *lb__json_type_name(const json_t *value) {
  if (value == NULL) return "nothing";
  switch (json_typeof(value)) {
  case JSON_OBJECT: return "object";
  case JSON_ARRAY: return "array";
  case JSON_STRING: return "string";
  case JSON_INTEGER: return "integer";
  case JSON_REAL: return "real";
  case JSON_TRUE:
  case JSON_FALSE: return "boolean";
  case JSON_NULL: return "null";
  }
  return "nothing";
}

/* *member is NULL when the key is absent or null and may be. */
static lb_status find_member(const json_t **member, const json_t *object, const char *key,
                             bool required, const char *name, lb_error *err) {
  *member = NULL;
  if (!json_is_object(object))
    return lb__fail(err, LB_E_FORMAT, "%s: want an object with key '%s', found %s", name, key,
                    lb__json_type_name(object));
  const json_t *found = json_object_get(object, key);
  if (found != NULL && !json_is_null(found)) *member = found;
  if (*member == NULL && required)
    return lb__fail(err, LB_E_FORMAT, "%s: key '%s' is missing", name, key);
  return LB_OK;
}

static lb_status fail_type(const json_t *found, const char *key, const char *wanted,
                           const char *name, lb_error *err) {
  return lb__fail(err, LB_E_FORMAT, "%s: key '%s': want %s, found %s", name, key, wanted,
                  lb__json_type_name(found));
}

/* Writers without an integer type write 2 as 2.0; up to 2^53 that is exact. */
static bool whole_number(int64_t *out, const json_t *value) {
  if (json_is_integer(value)) {
    *out = json_integer_value(value);
    return true;
  }
  double real = json_real_value(value); /* 0 when it is no real */
  if (!json_is_real(value) || fabs(real) > 0x1p53 || real != floor(real)) return false;
  *out = (int64_t)real;
  return true;
}

lb_status lb__json_get_int(int64_t *out, const json_t *object, const char *key, bool required,
                           const char *name, lb_error *err) {
  const json_t *member;
  lb_status st = find_member(&member, object, key, required, name, err);
  if (st != LB_OK || member == NULL) return st;
  if (!whole_number(out, member)) return fail_type(member, key, "an integer", name, err);
  return LB_OK;
}

lb_status lb__json_get_real(double *out, const json_t *object, const char *key, bool required,
                            const char *name, lb_error *err) {
  const json_t *member;
  lb_status st = find_member(&member, object, key, required, name, err);
  if (st != LB_OK || member == NULL) return st;
  if (!json_is_number(member)) return fail_type(member, key, "a number", name, err);
  *out = json_number_value(member);
  return LB_OK;
}

lb_status lb__json_get_bool(bool *out, const json_t *object, const char *key, bool required,
                            const char *name, lb_error *err) {
  const json_t *member;
  lb_status st = find_member(&member, object, key, required, name, err);
  if (st != LB_OK || member == NULL) return st;
  if (!json_is_boolean(member)) return fail_type(member, key, "a boolean", name, err);
  *out = json_is_true(member);
  return LB_OK;
}

lb_status lb__json_get_string(const char **out, const json_t *object, const char *key,
                              bool required, const char *name, lb_error *err) {
  const json_t *member;
  lb_status st = find_member(&member, object, key, required, name, err);
  if (st != LB_OK || member == NULL) return st;
  if (!json_is_string(member)) return fail_type(member, key, "a string", name, err);
  const char *text = json_string_value(member);
  if (strlen(text) != json_string_length(member))
    return lb__fail(err, LB_E_FORMAT, "%s: key '%s': a NUL character inside the string", name, key);
  *out = text;
  return LB_OK;
}

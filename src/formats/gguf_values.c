/* gguf_values.c - typed access to the key-values. Writers disagree about integer widths, so any
 * integer type is read as long as the value fits; a float is never read as an integer, and the
 * declared element type of an array is checked before an element is touched. */
#include "gguf_parts.h"

#include "base/fail.h"

#include <inttypes.h>

/* ---- numbers in the file, which are not aligned ---- */
static uint64_t little_endian(const uint8_t *p, size_t size) {
  uint64_t x = 0;
  for (size_t i = size; i > 0; i--) x = x << 8 | p[i - 1];
  return x;
}

static bool is_signed(lb__gguf_type type) {
  return type == LB__GGUF_I8 || type == LB__GGUF_I16 || type == LB__GGUF_I32 ||
         type == LB__GGUF_I64;
}

static bool is_integer(lb__gguf_type type) {
  return is_signed(type) || type == LB__GGUF_U8 || type == LB__GGUF_U16 || type == LB__GGUF_U32 ||
         type == LB__GGUF_U64;
}

static bool is_real(lb__gguf_type type) {
  return type == LB__GGUF_F32 || type == LB__GGUF_F64;
}

/* False when a u64 does not fit; *out is then INT64_MAX. */
static bool read_int(int64_t *out, const uint8_t *p, lb__gguf_type type) {
  size_t size = lb__gguf_type_size(type);
  uint64_t x = little_endian(p, size);
  if (is_signed(type) && size < 8 && (x >> (8 * size - 1)) != 0) x |= UINT64_MAX << (8 * size);
  if (!is_signed(type) && x > INT64_MAX) {
    *out = INT64_MAX;
    return false;
  }
  memcpy(out, &x, sizeof x);
  return true;
}

static double read_real(const uint8_t *p, lb__gguf_type type) {
  if (type == LB__GGUF_F32) {
    uint32_t bits = (uint32_t)little_endian(p, 4);
    float x;
    memcpy(&x, &bits, sizeof x);
    return (double)x;
  }
  uint64_t bits = little_endian(p, 8);
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* ---- finding ---- */
const lb__gguf_value *lb__gguf_value_find(const lb__gguf *g, const char *key) {
  int64_t i;
  return lb__map_get(&g->by_key, key, strlen(key), &i) ? &g->values[i] : NULL;
}

bool lb__gguf_has(const lb__gguf *g, const char *key) {
  return lb__gguf_value_find(g, key) != NULL;
}

static lb_status fail_absent(const lb__gguf *g, const char *key, bool required, lb_error *err) {
  if (!required) return LB_OK;
  return lb__fail(err, LB_E_FORMAT, "%.160s: key '%.120s' is missing", g->name, key);
}

static lb_status fail_type(const lb__gguf *g, const lb__gguf_value *v, const char *wanted,
                           lb_error *err) {
  if (v->type == LB__GGUF_ARRAY)
    return lb__fail(err, LB_E_FORMAT, "%.160s: key '%.120s': want %s, found an array of %s",
                    g->name, v->key, wanted, lb__gguf_type_name(v->element));
  return lb__fail(err, LB_E_FORMAT, "%.160s: key '%.120s': want %s, found %s", g->name, v->key,
                  wanted, lb__gguf_type_name(v->type));
}

/* ---- getters ---- */
lb_status lb__gguf_get_int(int64_t *out, const lb__gguf *g, const char *key, bool required,
                           lb_error *err) {
  const lb__gguf_value *v = lb__gguf_value_find(g, key);
  int64_t x;
  if (v == NULL) return fail_absent(g, key, required, err);
  if (!is_integer(v->type)) return fail_type(g, v, "an integer", err);
  if (!read_int(&x, v->elements, v->type))
    return lb__fail(err, LB_E_FORMAT, "%.160s: key '%.120s': the value does not fit in 63 bits",
                    g->name, key);
  *out = x;
  return LB_OK;
}

lb_status lb__gguf_get_u32(uint32_t *out, const lb__gguf *g, const char *key, bool required,
                           lb_error *err) {
  int64_t x = -1;
  lb_status st = lb__gguf_get_int(&x, g, key, required, err);
  if (st != LB_OK || !lb__gguf_has(g, key)) return st;
  if (x < 0 || x > UINT32_MAX)
    return lb__fail(err, LB_E_FORMAT, "%.160s: key '%.120s': want 0 to %" PRIu32 ", found %" PRId64,
                    g->name, key, UINT32_MAX, x);
  *out = (uint32_t)x;
  return LB_OK;
}

lb_status lb__gguf_get_real(double *out, const lb__gguf *g, const char *key, bool required,
                            lb_error *err) {
  const lb__gguf_value *v = lb__gguf_value_find(g, key);
  int64_t x = 0;
  lb_status st;
  if (v == NULL) return fail_absent(g, key, required, err);
  if (is_real(v->type)) {
    *out = read_real(v->elements, v->type);
    return LB_OK;
  }
  if (!is_integer(v->type)) return fail_type(g, v, "a number", err);
  st = lb__gguf_get_int(&x, g, key, required, err);
  if (st == LB_OK) *out = (double)x;
  return st;
}

lb_status lb__gguf_get_bool(bool *out, const lb__gguf *g, const char *key, bool required,
                            lb_error *err) {
  const lb__gguf_value *v = lb__gguf_value_find(g, key);
  if (v == NULL) return fail_absent(g, key, required, err);
  if (v->type != LB__GGUF_BOOL) return fail_type(g, v, "a bool", err);
  *out = v->elements[0] != 0;
  return LB_OK;
}

lb_status lb__gguf_get_string(const char **out, const lb__gguf *g, const char *key, bool required,
                              lb_error *err) {
  const lb__gguf_value *v = lb__gguf_value_find(g, key);
  if (v == NULL) return fail_absent(g, key, required, err);
  if (v->type != LB__GGUF_STRING) return fail_type(g, v, "a string", err);
  if (v->text == NULL)
    return lb__fail(err, LB_E_FORMAT, "%.160s: key '%.120s': the string is not UTF-8 text", g->name,
                    key);
  *out = v->text;
  return LB_OK;
}

lb_status lb__gguf_get_array(lb__gguf_array *out, const lb__gguf *g, const char *key,
                             lb__gguf_array_kind kind, bool required, lb_error *err) {
  const lb__gguf_value *v = lb__gguf_value_find(g, key);
  bool right = false;
  const char *wanted = "an array";
  memset(out, 0, sizeof *out);
  if (v == NULL) return fail_absent(g, key, required, err);
  switch (kind) {
  case LB__GGUF_ARRAY_OF_INTS:
    wanted = "an array of integers";
    right = is_integer(v->element) || v->element == LB__GGUF_BOOL;
    break;
  case LB__GGUF_ARRAY_OF_REALS:
    wanted = "an array of floats";
    right = is_real(v->element);
    break;
  case LB__GGUF_ARRAY_OF_STRINGS:
    wanted = "an array of strings";
    right = v->element == LB__GGUF_STRING;
    break;
  }
  if (v->type != LB__GGUF_ARRAY || !right) return fail_type(g, v, wanted, err);
  *out = (lb__gguf_array){v->element, v->n, v->elements, v->strings};
  return LB_OK;
}

int64_t lb__gguf_array_int(const lb__gguf_array *a, size_t i) {
  int64_t x;
  LB_ASSERT(i < a->n && a->strings == NULL);
  if (a->type == LB__GGUF_BOOL) return a->bytes[i] != 0;
  read_int(&x, a->bytes + i * lb__gguf_type_size(a->type), a->type);
  return x;
}

double lb__gguf_array_real(const lb__gguf_array *a, size_t i) {
  LB_ASSERT(i < a->n && is_real(a->type));
  return read_real(a->bytes + i * lb__gguf_type_size(a->type), a->type);
}

lb__gguf_string lb__gguf_array_string(const lb__gguf_array *a, size_t i) {
  LB_ASSERT(i < a->n && a->strings != NULL);
  return a->strings[i];
}

/* ---- looking around ---- */
size_t lb__gguf_n_keys(const lb__gguf *g) {
  return g->n_values;
}

const char *lb__gguf_key(const lb__gguf *g, size_t i) {
  LB_ASSERT(i < g->n_values);
  return g->values[i].key;
}

lb__gguf_type lb__gguf_key_type(const lb__gguf *g, size_t i) {
  LB_ASSERT(i < g->n_values);
  return g->values[i].type;
}

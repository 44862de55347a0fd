/* gguf_writer.c - writing version 3. Keys and tensor descriptions are collected as the bytes that
 * will be in the file; the tensors' own bytes stream through lb__sink. */
#include "gguf_parts.h"

#include "base/fail.h"
#include "base/utf8.h"

#define KEYS_MAX_BYTES ((size_t)1 << 31)

typedef struct declared {
  lb__tensor_decl decl; /* name is a copy */
  size_t size;
} declared;

struct lb__gguf_writer {
  lb__buf keys;
  size_t n_keys;
  lb__map seen_keys, seen_tensors;
  declared *tensors;
  size_t n, capacity;
  lb_error error; /* the first; status LB_OK while all is well */
};

lb_status lb__gguf_writer_new(lb__gguf_writer **out, lb_error *err) {
  *out = lb__new(sizeof **out);
  if (*out == NULL) return lb__fail_nomem(err, "GGUF writer");
  lb__buf_init(&(*out)->keys, KEYS_MAX_BYTES);
  lb__map_init(&(*out)->seen_keys, true);
  lb__map_init(&(*out)->seen_tensors, true);
  return LB_OK;
}

void lb__gguf_writer_free(lb__gguf_writer *w) {
  if (w == NULL) return;
  for (size_t i = 0; i < w->n; i++) lb__free((char *)w->tensors[i].decl.name);
  lb__free(w->tensors);
  lb__map_deinit(&w->seen_keys);
  lb__map_deinit(&w->seen_tensors);
  lb__buf_deinit(&w->keys);
  lb__free(w);
}

/* ---- the pieces of the file ---- */
static void add_number(lb__buf *b, uint64_t x, size_t size) {
  char bytes[8];
  for (size_t i = 0; i < size; i++) bytes[i] = (char)(x >> (8 * i) & 0xff);
  lb__buf_add(b, bytes, size);
}

static void add_string(lb__buf *b, const char *bytes, size_t size) {
  add_number(b, size, 8);
  lb__buf_add(b, bytes, size);
}

static uint32_t float_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* ---- keys ---- */
/* Begins a key; false when the writer has already failed or does so now. */
static bool begin_key(lb__gguf_writer *w, const char *key, lb__gguf_type type) {
  size_t n = strlen(key);
  bool twice;
  if (w->error.status != LB_OK) return false;
  if (n == 0 || n > LB__GGUF_KEY_MAX || !lb__utf8_valid(key, n)) {
    lb__fail(&w->error, LB_E_ARG, "GGUF key '%.120s' cannot be written", key);
  } else if (!lb__map_put(&w->seen_keys, key, n, 0, &twice)) {
    lb__fail_nomem(&w->error, "GGUF keys");
  } else if (twice) {
    lb__fail(&w->error, LB_E_ARG, "GGUF key '%.120s' is set twice", key);
  } else {
    add_string(&w->keys, key, n);
    add_number(&w->keys, type, 4);
    w->n_keys++;
    return true;
  }
  return false;
}

static bool begin_array(lb__gguf_writer *w, const char *key, lb__gguf_type element, size_t n) {
  if (n > LB__GGUF_ARRAY_MAX && w->error.status == LB_OK)
    lb__fail(&w->error, LB_E_ARG, "GGUF key '%.120s': %zu elements are too many", key, n);
  if (!begin_key(w, key, LB__GGUF_ARRAY)) return false;
  add_number(&w->keys, element, 4);
  add_number(&w->keys, n, 8);
  return true;
}

void lb__gguf_set_u32(lb__gguf_writer *w, const char *key, uint32_t value) {
  if (begin_key(w, key, LB__GGUF_U32)) add_number(&w->keys, value, 4);
}

void lb__gguf_set_i32(lb__gguf_writer *w, const char *key, int32_t value) {
  if (begin_key(w, key, LB__GGUF_I32)) add_number(&w->keys, (uint32_t)value, 4);
}

void lb__gguf_set_u64(lb__gguf_writer *w, const char *key, uint64_t value) {
  if (begin_key(w, key, LB__GGUF_U64)) add_number(&w->keys, value, 8);
}

void lb__gguf_set_f32(lb__gguf_writer *w, const char *key, float value) {
  if (begin_key(w, key, LB__GGUF_F32)) add_number(&w->keys, float_bits(value), 4);
}

void lb__gguf_set_bool(lb__gguf_writer *w, const char *key, bool value) {
  if (begin_key(w, key, LB__GGUF_BOOL)) add_number(&w->keys, value, 1);
}

void lb__gguf_set_string(lb__gguf_writer *w, const char *key, const char *value) {
  size_t n = strlen(value);
  if (w->error.status == LB_OK && (n > LB__GGUF_STRING_MAX || !lb__utf8_valid(value, n)))
    lb__fail(&w->error, LB_E_ARG, "GGUF key '%.120s': the string is not UTF-8 or too long", key);
  if (begin_key(w, key, LB__GGUF_STRING)) add_string(&w->keys, value, n);
}

void lb__gguf_set_i32_array(lb__gguf_writer *w, const char *key, const int32_t *values, size_t n) {
  if (!begin_array(w, key, LB__GGUF_I32, n)) return;
  for (size_t i = 0; i < n; i++) add_number(&w->keys, (uint32_t)values[i], 4);
}

void lb__gguf_set_f32_array(lb__gguf_writer *w, const char *key, const float *values, size_t n) {
  if (!begin_array(w, key, LB__GGUF_F32, n)) return;
  for (size_t i = 0; i < n; i++) add_number(&w->keys, float_bits(values[i]), 4);
}

void lb__gguf_set_bool_array(lb__gguf_writer *w, const char *key, const bool *values, size_t n) {
  if (!begin_array(w, key, LB__GGUF_BOOL, n)) return;
  for (size_t i = 0; i < n; i++) add_number(&w->keys, values[i], 1);
}

void lb__gguf_set_string_array(lb__gguf_writer *w, const char *key, const lb__gguf_string *values,
                               size_t n) {
  for (size_t i = 0; i < n && w->error.status == LB_OK; i++)
    if (values[i].size > LB__GGUF_STRING_MAX)
      lb__fail(&w->error, LB_E_ARG, "GGUF key '%.120s': string %zu is too long", key, i);
  if (!begin_array(w, key, LB__GGUF_STRING, n)) return;
  for (size_t i = 0; i < n; i++) add_string(&w->keys, values[i].bytes, values[i].size);
}

void lb__gguf_set_from(lb__gguf_writer *w, const lb__gguf *g, const char *key) {
  const lb__gguf_value *v = lb__gguf_value_find(g, key);
  if (v == NULL) {
    if (w->error.status == LB_OK)
      lb__fail(&w->error, LB_E_ARG, "%.160s: key '%.120s' is missing", g->name, key);
    return;
  }
  if (begin_key(w, key, v->type)) lb__buf_add(&w->keys, v->bytes, v->size);
}

/* ---- tensors ---- */
static lb_status check_decl(size_t *size, const lb__tensor_decl *decl, lb_error *err) {
  size_t n = strlen(decl->name);
  uint32_t number;
  if (n == 0 || n > LB__GGUF_NAME_MAX || !lb__utf8_valid(decl->name, n))
    return lb__fail(err, LB_E_ARG, "tensor name '%.120s': GGUF wants 1 to %u bytes", decl->name,
                    LB__GGUF_NAME_MAX);
  if (!lb__gguf_dtype_number(&number, decl->dtype))
    return lb__fail(err, LB_E_ARG, "tensor '%s': GGUF has no dtype %s", decl->name,
                    lb_dtype_name(decl->dtype));
  if (decl->rank < 0 || decl->rank > (int)LB__GGUF_RANK_MAX ||
      !lb__stored_size(size, decl->dtype, decl->rank, decl->shape))
    return lb__fail(err, LB_E_ARG, "tensor '%s': GGUF cannot hold this shape as %s", decl->name,
                    lb_dtype_name(decl->dtype));
  return LB_OK;
}

void lb__gguf_add_tensor(lb__gguf_writer *w, const lb__tensor_decl *decl) {
  declared t = {.decl = *decl};
  bool twice = false;
  if (w->error.status != LB_OK || check_decl(&t.size, decl, &w->error) != LB_OK) return;
  if (!lb__map_put(&w->seen_tensors, decl->name, strlen(decl->name), 0, &twice)) {
    lb__fail_nomem(&w->error, "GGUF tensors");
    return;
  }
  if (twice) {
    lb__fail(&w->error, LB_E_ARG, "tensor '%s' is declared twice", decl->name);
    return;
  }
  t.decl.name = lb__strdup(decl->name);
  if (t.decl.name == NULL || !lb__grow(&w->tensors, &w->capacity, w->n + 1, sizeof t)) {
    lb__free((char *)t.decl.name);
    lb__fail_nomem(&w->error, "GGUF tensors");
    return;
  }
  w->tensors[w->n++] = t;
}

/* ---- the file ---- */
static size_t padding(uint64_t size) {
  return (size_t)(-size & (LB__GGUF_ALIGNMENT_DEFAULT - 1));
}

static lb_status build_header(lb__buf *b, const lb__gguf_writer *w, lb_error *err) {
  lb__buf_add(b, "GGUF", 4);
  add_number(b, 3, 4);
  add_number(b, w->n, 8);
  add_number(b, w->n_keys, 8);
  lb__buf_add(b, lb__buf_text(&w->keys), w->keys.size);
  uint64_t offset = 0;
  for (size_t i = 0; i < w->n; i++) {
    const lb__tensor_decl *decl = &w->tensors[i].decl;
    uint32_t number = 0;
    lb__gguf_dtype_number(&number, decl->dtype); /* known: check_decl */
    add_string(b, decl->name, strlen(decl->name));
    add_number(b, (uint64_t)decl->rank, 4);
    for (int d = decl->rank - 1; d >= 0; d--) add_number(b, (uint64_t)decl->shape[d], 8);
    add_number(b, number, 4);
    add_number(b, offset, 8);
    if (offset > INT64_MAX / 2 || w->tensors[i].size > INT64_MAX / 2)
      return lb__fail(err, LB_E_ARG, "the tensors together are too large for one file");
    offset += w->tensors[i].size;
    offset += padding(offset);
  }
  return lb__buf_check(b, "GGUF header", err);
}

static lb_status write_file(lb__save *save, const lb__gguf_writer *w, const lb__buf *header,
                            lb__fill_fn *fill, void *ctx, lb_error *err) {
  lb_status st = lb__save_write(save, header->bytes, header->size, err);
  if (st == LB_OK) st = lb__save_zeros(save, padding(header->size), err);
  for (size_t i = 0; st == LB_OK && i < w->n; i++) {
    const declared *t = &w->tensors[i];
    st = lb__sink_fill(save, &t->decl, i, t->size, fill, ctx, err);
    if (st == LB_OK) st = lb__save_zeros(save, padding(t->size), err);
  }
  return st;
}

lb_status lb__gguf_writer_save(lb__gguf_writer *w, const char *path, lb__fill_fn *fill, void *ctx,
                               lb_error *err) {
  lb__buf header;
  lb__save save = {0};
  lb_status st;
  if (w->error.status != LB_OK) return lb__fail(err, w->error.status, "%s", w->error.message);
  st = lb__buf_check(&w->keys, "GGUF keys", err);
  if (st != LB_OK) return st;
  lb__buf_init(&header, 2 * KEYS_MAX_BYTES);
  st = build_header(&header, w, err);
  if (st == LB_OK) st = lb__save_begin(&save, path, err);
  if (st == LB_OK) st = write_file(&save, w, &header, fill, ctx, err);
  if (st == LB_OK) st = lb__save_commit(&save, err);
  lb__save_abort(&save);
  lb__buf_deinit(&header);
  return st;
}

/* safetensors.c - reading one file: header bytes -> JSON -> entries -> layout check -> lookup.
 * Every rule of the format is checked before a single tensor pointer is made. Nothing is sized from
 * a number in the file except what the header's own bytes already paid for.
 * Read next: safetensors_folder.c (shards), safetensors_save.c (writing). */
#include "safetensors_parts.h"

#include "base/fail.h"
#include "base/json.h"
#include "base/map.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- the dtypes of the format, in the order of the reference's enum (which sorts files) ---- */
#define NOT_OURS LB_DTYPE_COUNT
static const struct format_dtype {
  const char *name;
  unsigned bits;
  lb_dtype dtype;
} format_dtypes[] = {
    {"BOOL", 8, LB_DTYPE_BOOL},
    {"F4", 4, NOT_OURS},
    {"F6_E2M3", 6, NOT_OURS},
    {"F6_E3M2", 6, NOT_OURS},
    {"U8", 8, LB_DTYPE_U8},
    {"I8", 8, LB_DTYPE_I8},
    {"F8_E5M2", 8, LB_DTYPE_F8_E5M2},
    {"F8_E4M3", 8, LB_DTYPE_F8_E4M3},
    {"F8_E8M0", 8, NOT_OURS},
    {"F8_E4M3FNUZ", 8, NOT_OURS},
    {"F8_E5M2FNUZ", 8, NOT_OURS},
    {"I16", 16, LB_DTYPE_I16},
    {"U16", 16, LB_DTYPE_U16},
    {"F16", 16, LB_DTYPE_F16},
    {"BF16", 16, LB_DTYPE_BF16},
    {"I32", 32, LB_DTYPE_I32},
    {"U32", 32, LB_DTYPE_U32},
    {"F32", 32, LB_DTYPE_F32},
    {"C64", 64, NOT_OURS},
    {"F64", 64, LB_DTYPE_F64},
    {"I64", 64, LB_DTYPE_I64},
    {"U64", 64, LB_DTYPE_U64},
};
#define N_FORMAT_DTYPES (sizeof format_dtypes / sizeof format_dtypes[0])

static const struct format_dtype *find_format_dtype(const char *name) {
  for (size_t i = 0; i < N_FORMAT_DTYPES; i++)
    if (strcmp(format_dtypes[i].name, name) == 0) return &format_dtypes[i];
  return NULL;
}

int lb__safetensors_dtype(const char **name, lb_dtype dtype) {
  *name = NULL;
  for (size_t i = 0; i < N_FORMAT_DTYPES; i++)
    if (format_dtypes[i].dtype == dtype && dtype != NOT_OURS) {
      *name = format_dtypes[i].name;
      return (int)i;
    }
  return -1;
}

/* ---- one file while it is being read ---- */
typedef struct entry {
  lb__stored_tensor tensor; /* bytes are set last, when the layout is known to be sound */
  uint64_t begin, end;      /* relative to the end of the header */
} entry;

typedef struct file_reader {
  lb__safetensors *out;
  const char *file; /* for messages */
  const uint8_t *data;
  uint64_t data_size;
  entry *entries;
  size_t n, capacity;
  lb_error *err;
} file_reader;

/* The name is clipped so that wanted and found still fit into the message. */
#define FAIL_TENSOR(r, tensor_name, status, ...)                                                   \
  lb__fail_prefix((r)->err, lb__fail((r)->err, status, __VA_ARGS__), "%.160s: tensor '%.120s'",    \
                  (r)->file, tensor_name)

static lb_status find_header(const char **text, size_t *text_size, file_reader *r,
                             const uint8_t *bytes, size_t size) {
  uint64_t n = 0;
  if (size < 8)
    return lb__fail(r->err, LB_E_FORMAT, "%.160s: want at least 8 bytes, file has %zu", r->file,
                    size);
  for (int i = 7; i >= 0; i--) n = n << 8 | bytes[i];
  if (n > LB__SAFETENSORS_HEADER_MAX)
    return lb__fail(r->err, LB_E_FORMAT,
                    "%.160s: header length (offset 0): want at most %u, found %" PRIu64
                    "; is this a safetensors file?",
                    r->file, LB__SAFETENSORS_HEADER_MAX, n);
  if (n > size - 8)
    return lb__fail(r->err, LB_E_FORMAT,
                    "%.160s: header of %" PRIu64 " bytes (offset 8), but the file ends after %zu; "
                    "was the download cut off?",
                    r->file, n, size);
  *text = (const char *)bytes + 8;
  *text_size = (size_t)n;
  r->data = bytes + 8 + n;
  r->data_size = size - 8 - n;
  return LB_OK;
}

static lb_status read_metadata(file_reader *r, json_t *metadata) {
  const char *key;
  json_t *value;
  if (!json_is_object(metadata))
    return lb__fail(r->err, LB_E_FORMAT, "%.160s: __metadata__: want an object, found %s", r->file,
                    lb__json_type_name(metadata));
  json_object_foreach(metadata, key, value) {
    if (!json_is_string(value))
      return lb__fail(r->err, LB_E_FORMAT,
                      "%.160s: __metadata__: '%.120s': want a string, found %s", r->file, key,
                      lb__json_type_name(value));
  }
  if (r->out->metadata == NULL) r->out->metadata = json_incref(metadata);
  return LB_OK;
}

/* A string that is one for C too (json.h lets NUL through). */
static bool is_c_string(const json_t *value) {
  return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value);
}

/* A list of at most max non-negative integers. */
static lb_status read_numbers(int64_t *out, size_t *n, size_t max, const json_t *list,
                              const char *what, const char *tensor, file_reader *r) {
  if (!json_is_array(list))
    return FAIL_TENSOR(r, tensor, LB_E_FORMAT, "%s: want a list, found %s", what,
                       lb__json_type_name(list));
  *n = json_array_size(list);
  if (*n > max)
    return FAIL_TENSOR(r, tensor, LB_E_FORMAT, "%s: want at most %zu numbers, found %zu", what, max,
                       *n);
  for (size_t i = 0; i < *n; i++) {
    const json_t *number = json_array_get(list, i);
    if (!json_is_integer(number) || json_integer_value(number) < 0)
      return FAIL_TENSOR(r, tensor, LB_E_FORMAT, "%s[%zu]: want an integer of 0 or more", what, i);
    out[i] = json_integer_value(number);
  }
  return LB_OK;
}

/* Checks end - begin against shape and dtype; the format counts bits because of F4 and F6. */
static lb_status check_size(file_reader *r, const entry *e, const struct format_dtype *dtype) {
  char shape[LB__SHAPE_TEXT_SIZE];
  int64_t n, bits;
  lb__shape_text(shape, e->tensor.rank, e->tensor.shape);
  if (!lb__stored_elements(&n, e->tensor.rank, e->tensor.shape) ||
      __builtin_mul_overflow(n, (int64_t)dtype->bits, &bits))
    return FAIL_TENSOR(r, e->tensor.name, LB_E_FORMAT, "shape %s of %s overflows", shape,
                       dtype->name);
  if (bits % 8 != 0)
    return FAIL_TENSOR(r, e->tensor.name, LB_E_FORMAT,
                       "shape %s of %s is %" PRId64 " bits, not whole bytes", shape, dtype->name,
                       bits);
  if (e->end < e->begin)
    return FAIL_TENSOR(r, e->tensor.name, LB_E_FORMAT,
                       "data_offsets [%" PRIu64 ",%" PRIu64 "] end before they begin", e->begin,
                       e->end);
  if (e->end - e->begin != (uint64_t)bits / 8)
    return FAIL_TENSOR(r, e->tensor.name, LB_E_FORMAT,
                       "shape %s of %s needs %" PRId64 " bytes, data_offsets [%" PRIu64 ",%" PRIu64
                       "] hold %" PRIu64,
                       shape, dtype->name, bits / 8, e->begin, e->end, e->end - e->begin);
  return LB_OK;
}

static lb_status read_entry(entry *e, file_reader *r, const char *name, const json_t *value) {
  int64_t offsets[2];
  size_t rank, n_offsets;
  const struct format_dtype *dtype;
  const json_t *dtype_name;
  lb_status st;
  if (!json_is_object(value))
    return FAIL_TENSOR(r, name, LB_E_FORMAT, "want an object, found %s", lb__json_type_name(value));
  dtype_name = json_object_get(value, "dtype");
  if (!is_c_string(dtype_name))
    return FAIL_TENSOR(r, name, LB_E_FORMAT, "dtype: want a string, found %s",
                       lb__json_type_name(dtype_name));
  dtype = find_format_dtype(json_string_value(dtype_name));
  if (dtype == NULL)
    return FAIL_TENSOR(r, name, LB_E_FORMAT, "unknown dtype '%.40s'",
                       json_string_value(dtype_name));
  e->tensor.dtype = dtype->dtype;
  st = read_numbers(e->tensor.shape, &rank, LB__STORED_RANK_MAX, json_object_get(value, "shape"),
                    "shape", name, r);
  if (st != LB_OK) return st;
  e->tensor.rank = (int)rank;
  st = read_numbers(offsets, &n_offsets, 2, json_object_get(value, "data_offsets"), "data_offsets",
                    name, r);
  if (st != LB_OK) return st;
  if (n_offsets != 2)
    return FAIL_TENSOR(r, name, LB_E_FORMAT, "data_offsets: want 2 numbers, found %zu", n_offsets);
  e->begin = (uint64_t)offsets[0];
  e->end = (uint64_t)offsets[1];
  st = check_size(r, e, dtype);
  if (st != LB_OK) return st;
  if (dtype->dtype == NOT_OURS)
    return FAIL_TENSOR(r, name, LB_E_UNSUPPORTED, "dtype %s is not supported", dtype->name);
  e->tensor.size = (size_t)(e->end - e->begin);
  return LB_OK;
}

static lb_status read_entries(file_reader *r, json_t *root) {
  const char *name;
  json_t *value;
  lb_status st;
  json_object_foreach(root, name, value) {
    entry e = {0};
    if (strcmp(name, "__metadata__") == 0) {
      st = read_metadata(r, value);
      if (st != LB_OK) return st;
      continue;
    }
    e.tensor.name = lb__arena_strndup(&r->out->names, name, strlen(name));
    if (e.tensor.name == NULL || !lb__grow(&r->entries, &r->capacity, r->n + 1, sizeof e))
      return lb__fail_nomem(r->err, r->file);
    st = read_entry(&e, r, name, value);
    if (st != LB_OK) return st;
    r->entries[r->n++] = e;
  }
  return LB_OK;
}

static int by_offsets(const void *a, const void *b) {
  const entry *x = a, *y = b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  return x->end != y->end ? (x->end < y->end ? -1 : 1) : 0;
}

/* Back to back from the end of the header to the end of the file: no hole in which something else
 * could hide, no byte that belongs to two tensors. */
static lb_status check_layout(file_reader *r) {
  uint64_t position = 0;
  if (r->n > 1) qsort(r->entries, r->n, sizeof *r->entries, by_offsets);
  for (size_t i = 0; i < r->n; i++) {
    const entry *e = &r->entries[i];
    if (e->begin != position)
      return FAIL_TENSOR(r, e->tensor.name, LB_E_FORMAT,
                         "data_offsets begin at %" PRIu64 ", want %" PRIu64 " (%s)", e->begin,
                         position, e->begin > position ? "a hole" : "an overlap");
    position = e->end;
  }
  if (position != r->data_size)
    return lb__fail(r->err, LB_E_FORMAT,
                    "%.160s: the tensors take %" PRIu64 " bytes, the file has %" PRIu64
                    " after the header; was the download cut off?",
                    r->file, position, r->data_size);
  return LB_OK;
}

static lb_status append_entries(file_reader *r) {
  lb__safetensors *s = r->out;
  size_t total;
  if (!lb__ck_add(&total, s->n, r->n) ||
      !lb__grow(&s->tensors, &s->capacity, total, sizeof *s->tensors))
    return lb__fail_nomem(r->err, r->file);
  for (size_t i = 0; i < r->n; i++) {
    lb__stored_tensor *t = &s->tensors[s->n++];
    *t = r->entries[i].tensor;
    t->bytes = t->size > 0 ? r->data + r->entries[i].begin : NULL;
  }
  return LB_OK;
}

lb_status lb__safetensors_read_part(lb__safetensors *s, const uint8_t *bytes, size_t size,
                                    const char *file, lb_error *err) {
  file_reader r = {.out = s, .file = file, .err = err};
  const char *text = NULL;
  size_t text_size = 0;
  json_t *root = NULL;
  lb_status st = find_header(&text, &text_size, &r, bytes, size);
  if (st != LB_OK) return st;
  st = lb__json_parse(&root, text, text_size, file, err);
  if (st != LB_OK) return st;
  if (!json_is_object(root)) {
    st = lb__fail(err, LB_E_FORMAT, "%.160s: header: want an object, found %s", file,
                  lb__json_type_name(root));
    goto done;
  }
  st = read_entries(&r, root);
  if (st == LB_OK) st = check_layout(&r);
  if (st == LB_OK) st = append_entries(&r);
done:
  lb__free(r.entries);
  json_decref(root);
  return st;
}

/* ---- the handle ---- */
lb__safetensors *lb__safetensors_new(void) {
  lb__safetensors *s = lb__new(sizeof *s);
  if (s == NULL) return NULL;
  lb__arena_init(&s->names, 0);
  lb__map_init(&s->by_name, false);
  return s;
}

static int by_name(const void *a, const void *b) {
  const lb__stored_tensor *x = a, *y = b;
  return strcmp(x->name, y->name);
}

lb_status lb__safetensors_index(lb__safetensors *s, const char *what, lb_error *err) {
  if (s->n > 1) qsort(s->tensors, s->n, sizeof *s->tensors, by_name);
  if (!lb__map_reserve(&s->by_name, s->n)) return lb__fail_nomem(err, what);
  for (size_t i = 0; i < s->n; i++) {
    const char *name = s->tensors[i].name;
    if (!lb__map_put(&s->by_name, name, strlen(name), (int64_t)i, NULL))
      return lb__fail_nomem(err, what);
  }
  return LB_OK;
}

lb_status lb__safetensors_parse(lb__safetensors **out, const void *bytes, size_t size,
                                const char *name, lb_error *err) {
  lb_status st;
  lb__safetensors *s = *out = NULL;
  s = lb__safetensors_new();
  if (s == NULL) return lb__fail_nomem(err, name);
  st = lb__safetensors_read_part(s, bytes, size, name, err);
  if (st == LB_OK) st = lb__safetensors_index(s, name, err);
  if (st != LB_OK) {
    lb__safetensors_close(s);
    return st;
  }
  *out = s;
  return LB_OK;
}

lb_status lb__safetensors_open(lb__safetensors **out, const char *path, lb_error *err) {
  lb_status st;
  lb__mapping map = {0};
  *out = NULL;
  st = lb__file_map(&map, path, err);
  if (st != LB_OK) return st;
  st = lb__safetensors_parse(out, map.bytes, map.size, path, err);
  if (st != LB_OK) {
    lb__file_unmap(&map);
    return st;
  }
  if (!lb__grow(&(*out)->maps, &(*out)->maps_capacity, 1, sizeof map)) {
    lb__file_unmap(&map);
    lb__safetensors_close(*out);
    *out = NULL;
    return lb__fail_nomem(err, path);
  }
  (*out)->maps[(*out)->n_maps++] = map;
  return LB_OK;
}

void lb__safetensors_close(lb__safetensors *s) {
  if (s == NULL) return;
  for (size_t i = 0; i < s->n_maps; i++) lb__file_unmap(&s->maps[i]);
  lb__free(s->maps);
  lb__free(s->tensors);
  lb__map_deinit(&s->by_name);
  lb__arena_deinit(&s->names);
  json_decref(s->metadata);
  lb__free(s);
}

size_t lb__safetensors_count(const lb__safetensors *s) {
  return s->n;
}

const lb__stored_tensor *lb__safetensors_tensor(const lb__safetensors *s, size_t i) {
  LB_ASSERT(i < s->n);
  return &s->tensors[i];
}

const lb__stored_tensor *lb__safetensors_find(const lb__safetensors *s, const char *name) {
  int64_t i;
  return lb__map_get(&s->by_name, name, strlen(name), &i) ? &s->tensors[i] : NULL;
}

const char *lb__safetensors_metadata(const lb__safetensors *s, const char *key) {
  return json_string_value(json_object_get(s->metadata, key));
}

/* gguf.c - checking one GGUF file and finding its parts.
 *
 * The file is read through a cursor whose `take` is the only way to bytes: every length is compared
 * with what is left before anything is allocated or skipped. The history of this format's readers
 * (reliability notes: a dozen CVEs) is one of sizes computed in several places, so here all byte
 * counts come from lb__stored_size and lb__ck_*.
 * Read next: gguf_values.c (getters), gguf_split.c (several files), gguf_writer.c. */
#include "gguf_parts.h"

#include "base/fail.h"
#include "base/utf8.h"

#include <inttypes.h>

/* ---- types ---- */
static const struct {
  const char *name;
  size_t size;
} value_types[LB__GGUF_TYPE_COUNT] = {
    [LB__GGUF_U8] = {"u8", 1},         [LB__GGUF_I8] = {"i8", 1},
    [LB__GGUF_U16] = {"u16", 2},       [LB__GGUF_I16] = {"i16", 2},
    [LB__GGUF_U32] = {"u32", 4},       [LB__GGUF_I32] = {"i32", 4},
    [LB__GGUF_F32] = {"f32", 4},       [LB__GGUF_BOOL] = {"bool", 1},
    [LB__GGUF_STRING] = {"string", 0}, [LB__GGUF_ARRAY] = {"array", 0},
    [LB__GGUF_U64] = {"u64", 8},       [LB__GGUF_I64] = {"i64", 8},
    [LB__GGUF_F64] = {"f64", 8},
};

const char *lb__gguf_type_name(lb__gguf_type type) {
  return (unsigned)type < LB__GGUF_TYPE_COUNT ? value_types[type].name : "unknown type";
}

size_t lb__gguf_type_size(lb__gguf_type type) {
  return (unsigned)type < LB__GGUF_TYPE_COUNT ? value_types[type].size : 0;
}

/* ggml's numbers. Types without an lb_dtype have a name only, for the refusal. */
#define NOT_OURS LB_DTYPE_COUNT
static const struct {
  uint32_t number;
  const char *name;
  lb_dtype dtype;
} tensor_types[] = {
    {0, "F32", LB_DTYPE_F32},    {1, "F16", LB_DTYPE_F16},    {2, "Q4_0", LB_DTYPE_Q4_0},
    {3, "Q4_1", LB_DTYPE_Q4_1},  {6, "Q5_0", LB_DTYPE_Q5_0},  {7, "Q5_1", LB_DTYPE_Q5_1},
    {8, "Q8_0", LB_DTYPE_Q8_0},  {9, "Q8_1", NOT_OURS},       {10, "Q2_K", LB_DTYPE_Q2_K},
    {11, "Q3_K", LB_DTYPE_Q3_K}, {12, "Q4_K", LB_DTYPE_Q4_K}, {13, "Q5_K", LB_DTYPE_Q5_K},
    {14, "Q6_K", LB_DTYPE_Q6_K}, {15, "Q8_K", NOT_OURS},      {16, "IQ2_XXS", NOT_OURS},
    {17, "IQ2_XS", NOT_OURS},    {18, "IQ3_XXS", NOT_OURS},   {19, "IQ1_S", NOT_OURS},
    {20, "IQ4_NL", NOT_OURS},    {21, "IQ3_S", NOT_OURS},     {22, "IQ2_S", NOT_OURS},
    {23, "IQ4_XS", NOT_OURS},    {24, "I8", LB_DTYPE_I8},     {25, "I16", LB_DTYPE_I16},
    {26, "I32", LB_DTYPE_I32},   {27, "I64", LB_DTYPE_I64},   {28, "F64", LB_DTYPE_F64},
    {29, "IQ1_M", NOT_OURS},     {30, "BF16", LB_DTYPE_BF16}, {34, "TQ1_0", NOT_OURS},
    {35, "TQ2_0", NOT_OURS},     {39, "MXFP4", NOT_OURS},
};
#define N_TENSOR_TYPES (sizeof tensor_types / sizeof tensor_types[0])

bool lb__gguf_dtype_number(uint32_t *out, lb_dtype dtype) {
  for (size_t i = 0; i < N_TENSOR_TYPES; i++) {
    if (tensor_types[i].dtype != dtype || dtype == NOT_OURS) continue;
    *out = tensor_types[i].number;
    return true;
  }
  return false;
}

/* ---- the cursor ---- */
typedef struct cursor {
  const uint8_t *bytes;
  size_t size, position;
  const char *file;
  lb_error *err;
} cursor;

static size_t left(const cursor *c) {
  return c->size - c->position;
}

#define FAIL_AT(c, status, ...)                                                                    \
  lb__fail_prefix((c)->err, lb__fail((c)->err, status, __VA_ARGS__), "%.160s: offset %zu",         \
                  (c)->file, (c)->position)

static lb_status take(const uint8_t **out, cursor *c, uint64_t n, const char *what) {
  if (n > left(c))
    return FAIL_AT(c, LB_E_FORMAT,
                   "%s needs %" PRIu64 " bytes, %zu are left; was the download cut off?", what, n,
                   left(c));
  *out = c->bytes + c->position;
  c->position += (size_t)n;
  return LB_OK;
}

/* A little-endian unsigned number of `size` bytes. */
static lb_status take_number(uint64_t *out, cursor *c, size_t size, const char *what) {
  const uint8_t *p = NULL;
  lb_status st = take(&p, c, size, what);
  if (st != LB_OK) return st;
  *out = 0;
  for (size_t i = size; i > 0; i--) *out = *out << 8 | p[i - 1];
  return LB_OK;
}

static lb_status take_string(lb__gguf_string *out, cursor *c, uint64_t max, const char *what) {
  uint64_t n = 0;
  const uint8_t *p = NULL;
  *out = (lb__gguf_string){NULL, 0};
  lb_status st = take_number(&n, c, 8, what);
  if (st != LB_OK) return st;
  if (n > max)
    return FAIL_AT(c, LB_E_LIMIT, "%s of %" PRIu64 " bytes, want at most %" PRIu64, what, n, max);
  st = take(&p, c, n, what);
  if (st != LB_OK) return st;
  *out = (lb__gguf_string){(const char *)p, (size_t)n};
  return LB_OK;
}

/* A key or tensor name: nonempty text, copied with a NUL. */
static lb_status take_name(const char **out, cursor *c, lb__arena *arena, uint64_t max,
                           const char *what) {
  lb__gguf_string s;
  lb_status st = take_string(&s, c, max, what);
  if (st != LB_OK) return st;
  if (s.size == 0) return FAIL_AT(c, LB_E_FORMAT, "%s is empty", what);
  if (memchr(s.bytes, '\0', s.size) != NULL || !lb__utf8_valid(s.bytes, s.size))
    return FAIL_AT(c, LB_E_FORMAT, "%s is not text", what);
  *out = lb__arena_strndup(arena, s.bytes, s.size);
  return *out != NULL ? LB_OK : lb__fail_nomem(c->err, c->file);
}

/* ---- key-values ---- */
static lb_status take_type(lb__gguf_type *out, cursor *c, const char *key) {
  uint64_t number;
  lb_status st = take_number(&number, c, 4, "value type");
  if (st != LB_OK) return st;
  if (number >= LB__GGUF_TYPE_COUNT)
    return FAIL_AT(c, LB_E_FORMAT, "key '%.120s': unknown value type %" PRIu64, key, number);
  *out = (lb__gguf_type)number;
  return LB_OK;
}

/* Each string costs 8 bytes of file at least, so the index is at most twice the file. */
static lb_status take_strings(lb__gguf_value *v, cursor *c, lb__arena *arena) {
  lb_status st = LB_OK;
  if (v->n > left(c) / 8)
    return FAIL_AT(c, LB_E_FORMAT, "key '%.120s': %zu strings do not fit into %zu bytes", v->key,
                   v->n, left(c));
  v->strings = lb__arena_new(arena, v->n, sizeof *v->strings);
  if (v->strings == NULL) return lb__fail_nomem(c->err, c->file);
  for (size_t i = 0; st == LB_OK && i < v->n; i++)
    st = take_string(&v->strings[i], c, LB__GGUF_STRING_MAX, v->key);
  return st;
}

static lb_status take_array(lb__gguf_value *v, cursor *c, lb__arena *arena) {
  uint64_t n;
  size_t size;
  lb_status st = take_type(&v->element, c, v->key);
  if (st != LB_OK) return st;
  if (v->element == LB__GGUF_ARRAY)
    return FAIL_AT(c, LB_E_FORMAT, "key '%.120s': an array of arrays", v->key);
  st = take_number(&n, c, 8, "array length");
  if (st != LB_OK) return st;
  if (n > LB__GGUF_ARRAY_MAX)
    return FAIL_AT(c, LB_E_LIMIT, "key '%.120s': %" PRIu64 " elements, want at most %" PRIu64,
                   v->key, n, LB__GGUF_ARRAY_MAX);
  v->n = (size_t)n;
  if (v->element == LB__GGUF_STRING) return take_strings(v, c, arena);
  if (!lb__ck_mul(&size, v->n, lb__gguf_type_size(v->element)))
    return FAIL_AT(c, LB_E_LIMIT, "key '%.120s': size overflows", v->key);
  return take(&v->elements, c, size, v->key);
}

static lb_status take_scalar_string(lb__gguf_value *v, cursor *c, lb__arena *arena) {
  const lb__gguf_string *s;
  lb_status st = take_strings(v, c, arena);
  if (st != LB_OK) return st;
  s = &v->strings[0];
  if (memchr(s->bytes, '\0', s->size) != NULL || !lb__utf8_valid(s->bytes, s->size)) return LB_OK;
  v->text = lb__arena_strndup(arena, s->bytes, s->size);
  return v->text != NULL ? LB_OK : lb__fail_nomem(c->err, c->file);
}

static lb_status take_value(lb__gguf_value *v, cursor *c, lb__arena *arena) {
  lb_status st = take_type(&v->type, c, v->key);
  size_t start = c->position;
  if (st != LB_OK) return st;
  v->n = 1;
  if (v->type == LB__GGUF_ARRAY)
    st = take_array(v, c, arena);
  else if (v->type == LB__GGUF_STRING)
    st = take_scalar_string(v, c, arena);
  else
    st = take(&v->elements, c, lb__gguf_type_size(v->type), v->key);
  v->bytes = c->bytes + start;
  v->size = c->position - start;
  return st;
}

static lb_status read_values(lb__gguf *g, cursor *c, uint64_t n) {
  enum { SMALLEST = 8 + 1 + 4 + 1 }; /* key length, key, type, value */
  if (n > left(c) / SMALLEST)
    return FAIL_AT(c, LB_E_FORMAT, "%" PRIu64 " keys do not fit into %zu bytes", n, left(c));
  g->values = lb__new_array((size_t)n, sizeof *g->values);
  if (g->values == NULL) return lb__fail_nomem(c->err, c->file);
  for (size_t i = 0; i < n; i++) {
    lb__gguf_value *v = &g->values[i];
    bool twice;
    lb_status st = take_name(&v->key, c, &g->arena, LB__GGUF_KEY_MAX, "key");
    if (st != LB_OK) return st;
    if (!lb__map_put(&g->by_key, v->key, strlen(v->key), (int64_t)i, &twice))
      return lb__fail_nomem(c->err, c->file);
    if (twice) return FAIL_AT(c, LB_E_FORMAT, "key '%.120s' appears twice", v->key);
    st = take_value(v, c, &g->arena);
    if (st != LB_OK) return st;
    g->n_values = i + 1;
  }
  return LB_OK;
}

static lb_status read_alignment(lb__gguf *g, cursor *c) {
  const lb__gguf_value *v = lb__gguf_value_find(g, "general.alignment");
  uint32_t alignment = LB__GGUF_ALIGNMENT_DEFAULT;
  if (v != NULL && v->type != LB__GGUF_U32)
    return FAIL_AT(c, LB_E_FORMAT, "key 'general.alignment': want u32, found %s",
                   lb__gguf_type_name(v->type));
  if (v != NULL)
    lb__gguf_get_u32(&alignment, g, "general.alignment", true, c->err); /* cannot fail: is a u32 */
  if (alignment == 0 || (alignment & (alignment - 1)) != 0)
    return FAIL_AT(c, LB_E_FORMAT, "general.alignment is %" PRIu32 ", want a power of two",
                   alignment);
  if (alignment > LB__GGUF_ALIGNMENT_MAX)
    return FAIL_AT(c, LB_E_LIMIT, "general.alignment is %" PRIu32 ", want at most %" PRIu64,
                   alignment, LB__GGUF_ALIGNMENT_MAX);
  g->alignment = alignment;
  return LB_OK;
}

/* ---- tensors ---- */
static lb_status take_shape(lb__stored_tensor *t, cursor *c) {
  uint64_t rank, extent;
  lb_status st = take_number(&rank, c, 4, "tensor rank");
  if (st != LB_OK) return st;
  if (rank > LB__GGUF_RANK_MAX)
    return FAIL_AT(c, LB_E_FORMAT, "tensor '%.80s': rank %" PRIu64 ", want at most %u", t->name,
                   rank, LB__GGUF_RANK_MAX);
  t->rank = (int)rank;
  for (int i = 0; i < t->rank; i++) { /* the file begins with the contiguous extent */
    st = take_number(&extent, c, 8, "tensor shape");
    if (st != LB_OK) return st;
    if (extent > INT64_MAX)
      return FAIL_AT(c, LB_E_FORMAT, "tensor '%.80s': extent %d is negative", t->name, i);
    t->shape[t->rank - 1 - i] = (int64_t)extent;
  }
  return LB_OK;
}

static lb_status take_dtype(lb_dtype *out, cursor *c, const char *tensor) {
  uint64_t number;
  lb_status st = take_number(&number, c, 4, "tensor type");
  if (st != LB_OK) return st;
  for (size_t i = 0; i < N_TENSOR_TYPES; i++) {
    if (tensor_types[i].number != number) continue;
    if (tensor_types[i].dtype == NOT_OURS)
      return FAIL_AT(c, LB_E_UNSUPPORTED,
                     "tensor '%.80s': type %s (number %" PRIu64
                     ") is not supported; convert the model to Q4_K_M, Q8_0 or BF16",
                     tensor, tensor_types[i].name, number);
    *out = tensor_types[i].dtype;
    return LB_OK;
  }
  return FAIL_AT(c, LB_E_UNSUPPORTED, "tensor '%.80s': unknown tensor type number %" PRIu64, tensor,
                 number);
}

static lb_status check_tensor_size(lb__stored_tensor *t, cursor *c) {
  char shape[LB__SHAPE_TEXT_SIZE];
  if (lb__stored_size(&t->size, t->dtype, t->rank, t->shape)) return LB_OK;
  lb__shape_text(shape, t->rank, t->shape);
  if (t->rank > 0 && t->shape[t->rank - 1] % lb_dtype_block_elements(t->dtype) != 0)
    return FAIL_AT(c, LB_E_FORMAT,
                   "tensor '%.80s': shape %s: rows of %s want a multiple of %" PRId64 " elements",
                   t->name, shape, lb_dtype_name(t->dtype), lb_dtype_block_elements(t->dtype));
  return FAIL_AT(c, LB_E_FORMAT, "tensor '%.80s': shape %s of %s %s", t->name, shape,
                 lb_dtype_name(t->dtype), t->rank == 0 ? "is less than a block" : "overflows");
}

/* Reads one description. *data_end is the padded sum so far: the only offset that is right. */
static lb_status read_tensor(lb__stored_tensor *t, lb__gguf *g, cursor *c, size_t *data_end) {
  uint64_t offset;
  bool twice;
  size_t end;
  lb_status st = take_name(&t->name, c, &g->arena, LB__GGUF_NAME_MAX, "tensor name");
  if (st != LB_OK) return st;
  if (!lb__map_put(&g->by_name, t->name, strlen(t->name), (int64_t)g->n, &twice))
    return lb__fail_nomem(c->err, c->file);
  if (twice) return FAIL_AT(c, LB_E_FORMAT, "tensor '%.80s' appears twice", t->name);
  st = take_shape(t, c);
  if (st == LB_OK) st = take_dtype(&t->dtype, c, t->name);
  if (st == LB_OK) st = check_tensor_size(t, c);
  if (st == LB_OK) st = take_number(&offset, c, 8, "tensor offset");
  if (st != LB_OK) return st;
  if (offset != *data_end)
    return FAIL_AT(c, LB_E_FORMAT, "tensor '%.80s': data offset %" PRIu64 ", want %zu", t->name,
                   offset, *data_end);
  if (!lb__ck_add(&end, *data_end, t->size) || !lb__ck_pad(&end, end, g->alignment))
    return FAIL_AT(c, LB_E_FORMAT, "tensor '%.80s': the data section overflows", t->name);
  *data_end = end;
  return LB_OK;
}

static lb_status read_tensors(lb__gguf *g, cursor *c, uint64_t n) {
  enum { SMALLEST = 8 + 1 + 4 + 4 + 8 }; /* name length, name, rank, type, offset */
  size_t data_end = 0;
  if (n > left(c) / SMALLEST)
    return FAIL_AT(c, LB_E_FORMAT, "%" PRIu64 " tensors do not fit into %zu bytes", n, left(c));
  g->capacity = (size_t)n;
  g->tensors = lb__new_array(g->capacity, sizeof *g->tensors);
  if (g->tensors == NULL) return lb__fail_nomem(c->err, c->file);
  while (g->n < n) {
    lb_status st = read_tensor(&g->tensors[g->n], g, c, &data_end);
    if (st != LB_OK) return st;
    g->n++;
  }
  return LB_OK;
}

/* Gives every tensor its bytes. The padding after the last one may be missing. */
static lb_status place_tensors(lb__gguf *g, cursor *c) {
  size_t start;
  if (g->n == 0) return LB_OK;
  if (!lb__ck_pad(&start, c->position, g->alignment) || start > c->size)
    return FAIL_AT(c, LB_E_FORMAT,
                   "the file ends before the tensor data; was the download cut off?");
  c->position = start;
  for (size_t i = 0; i < g->n; i++) {
    lb__stored_tensor *t = &g->tensors[i];
    const uint8_t *bytes;
    size_t padding;
    lb_status st = take(&bytes, c, t->size, t->name);
    if (st != LB_OK) return st;
    t->bytes = t->size > 0 ? bytes : NULL;
    padding = (size_t)(-(t->size)) & (g->alignment - 1);
    c->position += padding < left(c) ? padding : left(c);
  }
  return LB_OK;
}

/* ---- the file ---- */
static lb_status read_version(lb__gguf *g, cursor *c) {
  const uint8_t *magic;
  uint64_t version;
  lb_status st = take(&magic, c, 4, "magic");
  if (st != LB_OK) return st;
  if (memcmp(magic, "GGUF", 4) != 0)
    return lb__fail(c->err, LB_E_FORMAT, "%.160s: does not begin with GGUF; is this a GGUF file?",
                    c->file);
  st = take_number(&version, c, 4, "version");
  if (st != LB_OK) return st;
  if ((version & 0xffff) == 0 && version != 0)
    return FAIL_AT(c, LB_E_UNSUPPORTED, "a big-endian file; convert it to little-endian");
  if (version != 2 && version != 3)
    return FAIL_AT(c, LB_E_UNSUPPORTED, "GGUF version %" PRIu64 ", want 2 or 3", version);
  g->version = (uint32_t)version;
  return LB_OK;
}

static lb_status read_file(lb__gguf *g, cursor *c) {
  uint64_t n_tensors, n_values;
  lb_status st = read_version(g, c);
  if (st == LB_OK) st = take_number(&n_tensors, c, 8, "number of tensors");
  if (st == LB_OK) st = take_number(&n_values, c, 8, "number of keys");
  if (st == LB_OK) st = read_values(g, c, n_values);
  if (st == LB_OK) st = read_alignment(g, c);
  if (st == LB_OK) st = read_tensors(g, c, n_tensors);
  if (st == LB_OK) st = place_tensors(g, c);
  return st;
}

lb_status lb__gguf_parse(lb__gguf **out, const void *bytes, size_t size, const char *name,
                         lb_error *err) {
  cursor c = {.bytes = bytes, .size = size, .file = name, .err = err};
  lb_status st;
  lb__gguf *g = lb__new(sizeof *g);
  *out = NULL;
  if (g == NULL) return lb__fail_nomem(err, name);
  lb__arena_init(&g->arena, 0);
  lb__map_init(&g->by_key, false);
  lb__map_init(&g->by_name, false);
  g->name = lb__strdup(name);
  st = g->name == NULL ? lb__fail_nomem(err, name) : read_file(g, &c);
  if (st == LB_OK)
    *out = g;
  else
    lb__gguf_close(g);
  return st;
}

lb_status lb__gguf_open_part(lb__gguf **out, const char *path, lb_error *err) {
  lb__mapping map = {0};
  lb_status st;
  *out = NULL;
  st = lb__file_map(&map, path, err);
  if (st != LB_OK) return st;
  st = lb__gguf_parse(out, map.bytes, map.size, path, err);
  if (st == LB_OK)
    (*out)->map = map;
  else
    lb__file_unmap(&map);
  return st;
}

void lb__gguf_close(lb__gguf *g) {
  if (g == NULL) return;
  for (size_t i = 0; i < g->n_others; i++) lb__gguf_close(g->others[i]);
  lb__free(g->others);
  lb__free(g->values);
  lb__free(g->tensors);
  lb__map_deinit(&g->by_key);
  lb__map_deinit(&g->by_name);
  lb__arena_deinit(&g->arena);
  lb__file_unmap(&g->map);
  lb__free(g->name);
  lb__free(g);
}

const char *lb__gguf_name(const lb__gguf *g) {
  return g->name;
}
uint32_t lb__gguf_version(const lb__gguf *g) {
  return g->version;
}
size_t lb__gguf_count(const lb__gguf *g) {
  return g->n;
}

const lb__stored_tensor *lb__gguf_tensor(const lb__gguf *g, size_t i) {
  LB_ASSERT(i < g->n);
  return &g->tensors[i];
}

const lb__stored_tensor *lb__gguf_find(const lb__gguf *g, const char *name) {
  int64_t i;
  return lb__map_get(&g->by_name, name, strlen(name), &i) ? &g->tensors[i] : NULL;
}

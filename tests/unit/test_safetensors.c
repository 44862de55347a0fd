/* test_safetensors.c - one case for each rule of the format, hostile bytes, the writer, shards. */
#include "formats/safetensors.h"

#include "faults.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- files in memory ---- */
typedef struct file_bytes {
  uint8_t *bytes;
  size_t size;
} file_bytes;

static file_bytes build_sized(uint64_t header_size, const char *header, size_t n, size_t n_data) {
  file_bytes f = {malloc(8 + n + n_data), 8 + n + n_data};
  assert_non_null(f.bytes);
  for (int i = 0; i < 8; i++) f.bytes[i] = (uint8_t)(header_size >> (8 * i));
  memcpy(f.bytes + 8, header, n);
  for (size_t i = 0; i < n_data; i++) f.bytes[8 + n + i] = (uint8_t)i;
  return f;
}

static file_bytes build(const char *header, size_t n_data) {
  size_t n = strlen(header);
  return build_sized(n, header, n, n_data);
}

static lb_status parse_status(file_bytes f, lb_error *err) {
  lb__safetensors *s = (lb__safetensors *)&f; /* must be overwritten on every path */
  lb_status st = lb__safetensors_parse(&s, f.bytes, f.size, "bad.safetensors", err);
  if (st != LB_OK) assert_null(s);
  lb__safetensors_close(s);
  return st;
}

/* ---- the rules ---- */
#define F32_2 "\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]"
static const struct rule {
  const char *name, *header;
  size_t n_data;
  lb_status want;
  const char *says; /* must be in the message */
} rules[] = {
    {"one tensor", "{\"a\":{" F32_2 "}}", 8, LB_OK, NULL},
    {"no tensors", "{}", 0, LB_OK, NULL},
    {"trailing spaces", "{\"a\":{" F32_2 "}}   ", 8, LB_OK, NULL},
    {"leading white space is read leniently", "  \n{\"a\":{" F32_2 "}}", 8, LB_OK, NULL},
    {"unknown members of a tensor are ignored", "{\"a\":{" F32_2 ",\"x\":1}}", 8, LB_OK, NULL},
    {"rank 0", "{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, LB_OK, NULL},
    {"zero-size tensor", "{\"a\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[0,0]}}", 0,
     LB_OK, NULL},
    {"zero-size between others",
     "{\"a\":{" F32_2 "},\"z\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[8,8]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[8,9]}}",
     9, LB_OK, NULL},
    {"metadata", "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{" F32_2 "}}", 8, LB_OK, NULL},
    {"metadata twice", "{\"__metadata__\":{},\"__metadata__\":{}}", 0, LB_E_FORMAT, "duplicate"},
    {"key of the metadata twice", "{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, LB_E_FORMAT,
     "duplicate"},
    {"metadata is no object", "{\"__metadata__\":1}", 0, LB_E_FORMAT, "__metadata__"},
    {"metadata value is no string", "{\"__metadata__\":{\"k\":1}}", 0, LB_E_FORMAT, "'k'"},
    {"empty header", "", 0, LB_E_FORMAT, "bad.safetensors"},
    {"invalid JSON", "{\"a\"", 0, LB_E_FORMAT, "bad.safetensors"},
    {"junk after the JSON", "{} x", 0, LB_E_FORMAT, "bad.safetensors"},
    {"junk before the JSON", "x{}", 0, LB_E_FORMAT, "bad.safetensors:1:1: want a value"},
    {"byte order mark before the JSON", "\xEF\xBB\xBF{}", 0, LB_E_FORMAT, "bad.safetensors:1:1:"},
    {"a second object after the JSON", "{}{}", 0, LB_E_FORMAT, "bad.safetensors:1:3: something"},
    {"invalid UTF-8", "{\"\xff\":{" F32_2 "}}", 8, LB_E_FORMAT, "bad.safetensors:1:3: not UTF-8"},
    {"invalid UTF-8 alone (test_non_utf8)", "\xff", 0, LB_E_FORMAT, "1:1: not UTF-8"},
    {"root is no object", "[]", 0, LB_E_FORMAT, "want an object, found array"},
    {"JSON bomb of nesting", NULL, 0, LB_E_LIMIT, "nested"},
    {"duplicate tensor", "{\"a\":{" F32_2 "},\"a\":{" F32_2 "}}", 8, LB_E_FORMAT, "duplicate"},
    {"duplicate member", "{\"a\":{\"dtype\":\"F32\"," F32_2 "}}", 8, LB_E_FORMAT, "duplicate"},
    {"tensor is no object", "{\"a\":1}", 0, LB_E_FORMAT, "'a'"},
    {"dtype is missing", "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, LB_E_FORMAT, "dtype"},
    {"dtype is no string", "{\"a\":{\"dtype\":1,\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
     LB_E_FORMAT, "dtype"},
    {"dtype is unknown", "{\"a\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
     LB_E_FORMAT, "unknown dtype 'F33'"},
    {"dtype of GGUF", "{\"a\":{\"dtype\":\"Q8_0\",\"shape\":[32],\"data_offsets\":[0,34]}}", 34,
     LB_E_FORMAT, "unknown dtype 'Q8_0'"},
    {"dtype in lower case", "{\"a\":{\"dtype\":\"f32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
     LB_E_FORMAT, "unknown dtype"},
    {"dtype with a NUL", "{\"a\":{\"dtype\":\"F32\\u0000\",\"shape\":[2],\"data_offsets\":[0,8]}}",
     8, LB_E_FORMAT, "dtype"},
    {"dtype of the format that is not ours",
     "{\"a\":{\"dtype\":\"C64\",\"shape\":[2],\"data_offsets\":[0,16]}}", 16, LB_E_UNSUPPORTED,
     "C64"},
    {"bits are no whole bytes", "{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}",
     2, LB_E_FORMAT, "12 bits"},
    {"F4 of whole bytes is refused by name",
     "{\"a\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[0,2]}}", 2, LB_E_UNSUPPORTED, "F4"},
    {"shape is missing", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, LB_E_FORMAT,
     "shape"},
    {"shape is no list", "{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8,
     LB_E_FORMAT, "shape"},
    {"negative extent", "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8,
     LB_E_FORMAT, "shape[0]"},
    {"extent is no integer", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}",
     8, LB_E_FORMAT, "shape[0]"},
    {"extent beyond 64 bits",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,8]}}", 8,
     LB_E_FORMAT, "shape[0]"},
    {"rank above 8",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1,
     LB_E_FORMAT, "at most 8"},
    {"product of the shape overflows",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}", 8,
     LB_E_FORMAT, "overflows"},
    {"product overflows although an extent is 0",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296,0],\"data_offsets\":[0,0]}}", 0,
     LB_E_FORMAT, "overflows"},
    {"product overflows after an extent of 0",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[0,4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
     LB_E_FORMAT, "overflows"},
    {"byte count overflows",
     "{\"a\":{\"dtype\":\"F64\",\"shape\":[2305843009213693952],\"data_offsets\":[0,0]}}", 0,
     LB_E_FORMAT, "overflows"},
    {"product beyond 64 bits by one row (test_validation_overflow)",
     "{\"a\":{\"dtype\":\"I32\",\"shape\":[2,9223372036854775807],\"data_offsets\":[0,16]}}", 16,
     LB_E_FORMAT, "overflows"},
    {"data_offsets are missing", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, LB_E_FORMAT,
     "data_offsets"},
    {"one offset", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, LB_E_FORMAT,
     "want 2"},
    {"three offsets", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]}}", 8,
     LB_E_FORMAT, "at most 2"},
    {"negative offset", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", 8,
     LB_E_FORMAT, "data_offsets[0]"},
    {"offset beyond 63 bits",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,18446744073709551615]}}", 8,
     LB_E_FORMAT, "data_offsets[1]"},
    {"offsets beyond the file",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[9223372036854775799,"
     "9223372036854775807]}}",
     8, LB_E_FORMAT, "a hole"},
    {"shape larger than the file (CVE-2026-7482)",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[1000000],\"data_offsets\":[0,4000000]}}", 8, LB_E_FORMAT,
     "take 4000000 bytes, the file has 8"},
    {"end before begin", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8,
     LB_E_FORMAT, "before they begin"},
    {"size is not that of the shape",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, LB_E_FORMAT,
     "needs 12 bytes"},
    {"first tensor does not begin at 0",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12, LB_E_FORMAT,
     "a hole"},
    {"hole", "{\"a\":{" F32_2 "},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]}}",
     16, LB_E_FORMAT, "a hole"},
    {"overlap",
     "{\"a\":{" F32_2 "},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12,
     LB_E_FORMAT, "an overlap"},
    {"two tensors on the same bytes", "{\"a\":{" F32_2 "},\"b\":{" F32_2 "}}", 8, LB_E_FORMAT,
     "an overlap"},
    {"many tensors on the same bytes (test_json_attack)",
     "{\"a\":{" F32_2 "},\"b\":{" F32_2 "},\"c\":{" F32_2 "},\"d\":{" F32_2 "}}", 8, LB_E_FORMAT,
     "an overlap"},
    {"data too short", "{\"a\":{" F32_2 "}}", 7, LB_E_FORMAT, "cut off"},
    {"data too long", "{\"a\":{" F32_2 "}}", 9, LB_E_FORMAT, "take 8 bytes"},
    {"data without tensors", "{}", 1, LB_E_FORMAT, "take 0 bytes"},
};

static void every_rule(void **state) {
  (void)state;
  char *bomb = malloc(200001);
  memset(bomb, '[', 200000);
  bomb[200000] = '\0';
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    const struct rule *r = &rules[i];
    lb_error err = {0};
    file_bytes f = build(r->header != NULL ? r->header : bomb, r->n_data);
    lb_status st = parse_status(f, &err);
    if (st != r->want)
      fail_msg("%s: want status %d, found %d: %s", r->name, r->want, st, err.message);
    if (r->says != NULL && strstr(err.message, r->says) == NULL)
      fail_msg("%s: want '%s' in: %s", r->name, r->says, err.message);
    if (r->says != NULL && strstr(err.message, "bad.safetensors") == NULL)
      fail_msg("%s: the file is not named in: %s", r->name, err.message);
    free(f.bytes);
  }
  free(bomb);
}

#define TOO_LONG "want at most 100000000"
static const struct length_rule {
  const char *name;
  uint64_t header_size;
  size_t file_size;
  const char *says;
} length_rules[] = {
    {"empty file", 0, 0, "file has 0"},
    {"file of 7 bytes (test_header_too_small)", 2, 7, "want at least 8 bytes, file has 7"},
    {"header of no bytes", 0, 8, "1:1: the text ends too early"},
    {"header one byte beyond the file", 3, 10, "header of 3 bytes (offset 8)"},
    {"header beyond the file", 100000000, 10, "but the file ends after 10"},
    {"header above the cap (test_header_too_large)", 100000001, 10, TOO_LONG},
    {"header above the cap that is in the file", 100000001, 100000009, TOO_LONG},
    {"header length and 8 wrap", UINT64_MAX - 7, 10, TOO_LONG},
    {"header length of all ones", UINT64_MAX, 10, TOO_LONG},
    {"header length with the sign bit", (uint64_t)1 << 63, 10, TOO_LONG},
};

static void header_length_rules(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof length_rules / sizeof length_rules[0]; i++) {
    const struct length_rule *r = &length_rules[i];
    lb_error err = {0};
    file_bytes f = {calloc(r->file_size + 1, 1), r->file_size};
    assert_non_null(f.bytes);
    for (size_t k = 0; k < 8 && k < f.size; k++) f.bytes[k] = (uint8_t)(r->header_size >> (8 * k));
    if (f.size == 10) memcpy(f.bytes + 8, "{}", 2);
    lb_status st = parse_status(f, &err);
    if (st != LB_E_FORMAT || strstr(err.message, r->says) == NULL ||
        strstr(err.message, "bad.safetensors") == NULL)
      fail_msg("%s: status %d, want '%s' in: %s", r->name, st, r->says, err.message);
    free(f.bytes);
  }
}

static void dtypes_of_the_format(void **state) {
  (void)state;
  static const struct {
    const char *name;
    lb_dtype dtype;
    size_t size;
  } dtypes[] = {{"BOOL", LB_DTYPE_BOOL, 1},       {"U8", LB_DTYPE_U8, 1},
                {"I8", LB_DTYPE_I8, 1},           {"F8_E5M2", LB_DTYPE_F8_E5M2, 1},
                {"F8_E4M3", LB_DTYPE_F8_E4M3, 1}, {"I16", LB_DTYPE_I16, 2},
                {"U16", LB_DTYPE_U16, 2},         {"F16", LB_DTYPE_F16, 2},
                {"BF16", LB_DTYPE_BF16, 2},       {"I32", LB_DTYPE_I32, 4},
                {"U32", LB_DTYPE_U32, 4},         {"F32", LB_DTYPE_F32, 4},
                {"F64", LB_DTYPE_F64, 8},         {"I64", LB_DTYPE_I64, 8},
                {"U64", LB_DTYPE_U64, 8}};
  int last = -1;
  for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
    char header[200];
    const char *name;
    lb__safetensors *s;
    snprintf(header, sizeof header,
             "{\"t\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[0,%zu]}}", dtypes[i].name,
             3 * dtypes[i].size);
    file_bytes f = build(header, 3 * dtypes[i].size);
    assert_int_equal(lb__safetensors_parse(&s, f.bytes, f.size, "x", NULL), LB_OK);
    assert_int_equal(lb__safetensors_find(s, "t")->dtype, dtypes[i].dtype);
    assert_int_equal(lb__safetensors_find(s, "t")->size, 3 * dtypes[i].size);
    lb__safetensors_close(s);
    free(f.bytes);
    int rank = lb__safetensors_dtype(&name, dtypes[i].dtype);
    assert_true(rank > last); /* the reference's enum order */
    assert_string_equal(name, dtypes[i].name);
    last = rank;
  }
  const char *name;
  assert_int_equal(lb__safetensors_dtype(&name, LB_DTYPE_Q4_0), -1);
}

static const char seed_header[] =
    "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"F32\",\"shape\":[2,2],"
    "\"data_offsets\":[0,16]},\"a\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[16,22]}} ";

static void lookup(void **state) {
  (void)state;
  lb__safetensors *s;
  file_bytes f = build(seed_header, 22);
  assert_int_equal(lb__safetensors_parse(&s, f.bytes, f.size, "x", NULL), LB_OK);
  assert_int_equal(lb__safetensors_count(s), 2);
  assert_string_equal(lb__safetensors_tensor(s, 0)->name, "a");
  assert_string_equal(lb__safetensors_tensor(s, 1)->name, "b");
  const lb__stored_tensor *b = lb__safetensors_find(s, "b");
  assert_int_equal(b->rank, 2);
  assert_int_equal(b->shape[0], 2);
  assert_int_equal(b->bytes[1], 1);
  assert_int_equal(lb__safetensors_find(s, "a")->bytes[0], 16);
  assert_null(lb__safetensors_find(s, "c"));
  assert_string_equal(lb__safetensors_metadata(s, "format"), "pt");
  assert_null(lb__safetensors_metadata(s, "other"));
  lb__safetensors_close(s);
  lb__safetensors_close(NULL);
  free(f.bytes);
}

/* ---- hostile bytes: copies of exactly the right size, so that ASan sees a read too far ---- */
static void survive(const uint8_t *bytes, size_t size) {
  lb__safetensors *s;
  uint8_t *copy = malloc(size > 0 ? size : 1);
  memcpy(copy, bytes, size);
  if (lb__safetensors_parse(&s, copy, size, "x", NULL) == LB_OK) {
    unsigned sum = 0;
    for (size_t i = 0; i < lb__safetensors_count(s); i++) {
      const lb__stored_tensor *t = lb__safetensors_tensor(s, i);
      for (size_t j = 0; j < t->size; j++) sum += t->bytes[j];
    }
    assert_true(sum < UINT32_MAX);
  }
  lb__safetensors_close(s);
  free(copy);
}

static void every_truncation_and_byte(void **state) {
  (void)state;
  file_bytes f = build(seed_header, 22);
  for (size_t n = 0; n < f.size; n++) {
    lb_error err;
    file_bytes cut = {malloc(n + 1), n};
    memcpy(cut.bytes, f.bytes, n);
    assert_int_equal(parse_status(cut, &err), LB_E_FORMAT);
    free(cut.bytes);
  }
  for (size_t i = 0; i < f.size - 22; i++) {
    uint8_t old = f.bytes[i];
    for (int v = 0; v < 256; v++) {
      f.bytes[i] = (uint8_t)v;
      survive(f.bytes, f.size);
    }
    f.bytes[i] = old;
  }
  free(f.bytes);
}

/* ---- writing ---- */
static const lb__tensor_decl decls[] = {
    {"b.weight", LB_DTYPE_F32, 2, {2, 3}},
    {"a.weight", LB_DTYPE_BF16, 1, {5}},
    {"c \"quoted\"\n", LB_DTYPE_I64, 0, {0}},
    {"e", LB_DTYPE_F32, 2, {0, 7}},
    {"d", LB_DTYPE_F32, 1, {1}},
};
enum { N_DECLS = sizeof decls / sizeof decls[0] };

/* Byte j of tensor i is 16 i + j; poured in two pieces. */
static lb_status pour(void *ctx, size_t index, lb__sink *sink, lb_error *err) {
  uint8_t bytes[64];
  size_t half = sink->wanted / 2;
  (void)ctx;
  for (size_t j = 0; j < sink->wanted; j++) bytes[j] = (uint8_t)(16 * index + j);
  lb_status st = lb__sink_write(sink, bytes, half, err);
  return st == LB_OK ? lb__sink_write(sink, bytes + half, sink->wanted - half, err) : st;
}

static void check_written(const lb__safetensors *s) {
  assert_int_equal(lb__safetensors_count(s), N_DECLS);
  for (size_t i = 0; i < N_DECLS; i++) {
    const lb__stored_tensor *t = lb__safetensors_find(s, decls[i].name);
    assert_non_null(t);
    assert_int_equal(t->dtype, decls[i].dtype);
    assert_int_equal(t->rank, decls[i].rank);
    assert_memory_equal(t->shape, decls[i].shape, sizeof(int64_t) * (size_t)t->rank);
    for (size_t j = 0; j < t->size; j++) assert_int_equal(t->bytes[j], 16 * i + j);
  }
}

static void round_trip(void **state) {
  (void)state;
  char *folder = scratch_new();
  const char *path = scratch_path(folder, "x.safetensors");
  static const lb__text_pair metadata[] = {{"who", "a \"test\"\t"}};
  lb_error err;
  lb__safetensors *s;
  assert_int_equal(lb__safetensors_save(path, decls, N_DECLS, metadata, 1, pour, NULL, &err),
                   LB_OK);
  assert_int_equal(lb__safetensors_open(&s, path, &err), LB_OK);
  check_written(s);
  assert_string_equal(lb__safetensors_metadata(s, "format"), "pt");
  assert_string_equal(lb__safetensors_metadata(s, "who"), "a \"test\"\t");
  /* strict: larger dtypes first, then names; every tensor aligned */
  assert_true(lb__safetensors_find(s, decls[2].name)->bytes <
              lb__safetensors_find(s, "b.weight")->bytes);
  assert_true(lb__safetensors_find(s, "b.weight")->bytes < lb__safetensors_find(s, "d")->bytes);
  assert_true(lb__safetensors_find(s, "d")->bytes < lb__safetensors_find(s, "a.weight")->bytes);
  for (size_t i = 0; i < N_DECLS; i++)
    assert_true(lb__stored_is_aligned(lb__safetensors_tensor(s, i)));
  lb__safetensors_close(s);
  size_t size;
  char *bytes = scratch_read(folder, "x.safetensors", &size);
  assert_int_equal(bytes[0] % 8, 0); /* header length, below 256 * 8 */
  assert_int_equal(bytes[8], '{');
  free(bytes);
  assert_int_equal(scratch_count(folder), 1);
  scratch_remove(folder);
}

static lb_status pour_too_little(void *ctx, size_t index, lb__sink *sink, lb_error *err) {
  (void)ctx, (void)index;
  return sink->wanted > 0 ? lb__sink_write(sink, "", 1, err) : LB_OK;
}
static lb_status pour_too_much(void *ctx, size_t index, lb__sink *sink, lb_error *err) {
  static const char bytes[100];
  (void)ctx, (void)index;
  return lb__sink_write(sink, bytes, sink->wanted + 1, err);
}
static lb_status pour_fails(void *ctx, size_t index, lb__sink *sink, lb_error *err) {
  (void)ctx, (void)index, (void)sink, (void)err;
  return LB_E_CANCELLED;
}

static void writer_refusals(void **state) {
  (void)state;
  char *folder = scratch_new();
  const char *path = scratch_path(folder, "x.safetensors");
  static const lb__tensor_decl bad[][2] = {
      {{"a", LB_DTYPE_F32, 1, {1}}, {"a", LB_DTYPE_F32, 1, {1}}},
      {{"", LB_DTYPE_F32, 1, {1}}, {"a", LB_DTYPE_F32, 1, {1}}},
      {{"\xff", LB_DTYPE_F32, 1, {1}}, {"a", LB_DTYPE_F32, 1, {1}}},
      {{"__metadata__", LB_DTYPE_F32, 1, {1}}, {"a", LB_DTYPE_F32, 1, {1}}},
      {{"q", LB_DTYPE_Q8_0, 1, {32}}, {"a", LB_DTYPE_F32, 1, {1}}},
      {{"n", LB_DTYPE_F32, 1, {-1}}, {"a", LB_DTYPE_F32, 1, {1}}},
      {{"o", LB_DTYPE_F32, 2, {INT64_MAX, 2}}, {"a", LB_DTYPE_F32, 1, {1}}},
      {{"h", LB_DTYPE_U8, 1, {INT64_MAX}}, {"a", LB_DTYPE_F32, 1, {1}}},
      {{"r", LB_DTYPE_U8, 9, {1}}, {"a", LB_DTYPE_F32, 1, {1}}},
  };
  static const lb__text_pair twice[] = {{"k", "1"}, {"k", "2"}}, broken[] = {{"k", "\xff"}};
  lb_error err;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal(lb__safetensors_save(path, bad[i], 2, NULL, 0, pour, NULL, &err), LB_E_ARG);
  assert_int_equal(lb__safetensors_save(path, decls, 1, twice, 2, pour, NULL, &err), LB_E_ARG);
  assert_int_equal(lb__safetensors_save(path, decls, 1, broken, 1, pour, NULL, &err), LB_E_ARG);
  assert_int_equal(lb__safetensors_save(path, decls, 1, NULL, 0, pour_too_little, NULL, &err),
                   LB_E_ARG);
  assert_int_equal(lb__safetensors_save(path, decls, 1, NULL, 0, pour_too_much, NULL, &err),
                   LB_E_ARG);
  assert_int_equal(lb__safetensors_save(path, decls, 1, NULL, 0, pour_fails, NULL, &err),
                   LB_E_CANCELLED);
  assert_int_equal(scratch_count(folder), 0); /* not even a temporary file */
  scratch_remove(folder);
}

/* ---- shards ---- */
static void open_and_check(const char *folder) {
  lb__safetensors *s;
  lb_error err = {0};
  if (lb__safetensors_open_folder(&s, folder, &err) != LB_OK) fail_msg("%s", err.message);
  check_written(s);
  lb__safetensors_close(s);
}

static void save_folder(const char *folder, uint64_t max_shard_size) {
  lb_error err = {0};
  if (lb__safetensors_save_folder(folder, decls, N_DECLS, max_shard_size, pour, NULL, &err) !=
      LB_OK)
    fail_msg("%s", err.message);
  open_and_check(folder);
}

/* 24 + 10 + 8 + 0 + 4 bytes */
static void sharded_saves(void **state) {
  (void)state;
  char *folder = scratch_new();
  save_folder(folder, 0);
  assert_int_equal(scratch_count(folder), 1);
  assert_true(scratch_exists(folder, "model.safetensors"));
  save_folder(folder, 18); /* 24 alone; 10 + 8 + 0; 4 */
  assert_int_equal(scratch_count(folder), 4);
  assert_true(scratch_exists(folder, "model-00003-of-00003.safetensors"));
  assert_false(scratch_exists(folder, "model.safetensors"));
  char *index = scratch_read(folder, "model.safetensors.index.json", NULL);
  assert_non_null(strstr(index, "\"total_parameters\": 13"));
  assert_non_null(strstr(index, "\"total_size\": 46"));
  assert_non_null(strstr(index, "\"a.weight\": \"model-00002-of-00003.safetensors\""));
  assert_int_equal(index[strlen(index) - 1], '\n');
  free(index);
  save_folder(folder, 18); /* the same names again */
  assert_int_equal(scratch_count(folder), 4);
  save_folder(folder, 34); /* 24 + 10; 8 + 0 + 4 */
  assert_int_equal(scratch_count(folder), 3);
  save_folder(folder, 0);
  assert_int_equal(scratch_count(folder), 1);
  scratch_remove(folder);
}

static void expect_folder(const char *folder, lb_status want, const char *says) {
  lb__safetensors *s;
  lb_error err = {0};
  assert_int_equal(lb__safetensors_open_folder(&s, folder, &err), want);
  assert_null(s);
  if (strstr(err.message, says) == NULL) fail_msg("want '%s' in: %s", says, err.message);
}

#define INDEX         "model.safetensors.index.json"
#define PLACES(shard) "{\"weight_map\":{\"a\":\"" shard "\"}}"
static const struct index_rule {
  const char *name, *index, *says;
} index_rules[] = {
    {"no JSON", "{", INDEX ":1:2:"},
    {"index is no object", "[]", "weight_map"},
    {"weight_map is missing", "{}", "weight_map"},
    {"shard is no string", "{\"weight_map\":{\"a\":1}}", "'a'"},
    {"tensor twice", "{\"weight_map\":{\"a\":\"x\",\"a\":\"y\"}}", "duplicate"},
    {"shard above the folder", PLACES("../x.safetensors"), "not a plain file name"},
    {"shard at an absolute path", PLACES("/etc/passwd"), "not a plain file name"},
    {"shard below the folder", PLACES("sub/x.safetensors"), "not a plain file name"},
    {"shard out of and into the folder", PLACES("./x.safetensors"), "not a plain file name"},
    {"shard is the folder above", PLACES(".."), "not a plain file name"},
    {"shard is the folder", PLACES("."), "not a plain file name"},
    {"shard without a name", PLACES(""), "not a plain file name"},
    {"shard with a NUL", PLACES("x.safetensors\\u0000y"), "not a plain file name"},
    {"tensor that its shard lacks",
     "{\"weight_map\":{\"b\":\"x.safetensors\",\"missing\":\"x.safetensors\"}}", "'missing'"},
};

static void bad_folders(void **state) {
  (void)state;
  char *folder = scratch_new();
  expect_folder(folder, LB_E_IO, INDEX);
  scratch_write_text(folder, "pytorch_model.bin", "x");
  expect_folder(folder, LB_E_UNSUPPORTED, "pickle");
  file_bytes f = build(seed_header, 22);
  scratch_write(folder, "x.safetensors", f.bytes, f.size);
  for (size_t i = 0; i < sizeof index_rules / sizeof index_rules[0]; i++) {
    scratch_write_text(folder, INDEX, index_rules[i].index);
    expect_folder(folder, LB_E_FORMAT, index_rules[i].says);
    expect_folder(folder, LB_E_FORMAT, INDEX);
  }
  scratch_write_text(folder, INDEX, "{\"weight_map\":{\"a\":\"absent.safetensors\"}}");
  expect_folder(folder, LB_E_IO, "absent.safetensors");
  assert_int_equal(truncate(scratch_path(folder, INDEX), ((off_t)256 << 20) + 1), 0);
  expect_folder(folder, LB_E_LIMIT, INDEX);
  /* the index decides: b is in the shard but not listed */
  lb__safetensors *s;
  scratch_write_text(folder, INDEX, "{\"weight_map\":{\"a\":\"x.safetensors\"}}");
  assert_int_equal(lb__safetensors_open_folder(&s, folder, NULL), LB_OK);
  assert_int_equal(lb__safetensors_count(s), 1);
  lb__safetensors_close(s);
  free(f.bytes);
  scratch_remove(folder);
}

/* ---- faults ---- */
static lb_status run_open(void *ctx, lb_error *err) {
  lb__safetensors *s;
  lb_status st = lb__safetensors_open_folder(&s, ctx, err);
  if (st == LB_OK) check_written(s);
  lb__safetensors_close(s);
  return st;
}

static void faults_while_opening(void **state) {
  (void)state;
  char *folder = scratch_new();
  save_folder(folder, 18);
  /* an arena that gets no large block asks for a small one: survived, with the right tensors */
  fault_case c = {.run = run_open, .ctx = folder, .may_survive = true};
  assert_true(fault_each_allocation(&c) > 10);
  assert_true(fault_each_io(&c) > 5);
  scratch_remove(folder);
}

typedef struct save_case {
  char *folder;
  uint64_t old_size, new_size;
} save_case;

static void prepare_save(void *ctx) {
  const save_case *c = ctx;
  scratch_empty(c->folder);
  save_folder(c->folder, c->old_size);
}

static lb_status run_save(void *ctx, lb_error *err) {
  const save_case *c = ctx;
  return lb__safetensors_save_folder(c->folder, decls, N_DECLS, c->new_size, pour, NULL, err);
}

/* Old, new or, only when shards replace shards of the same names, none; never torn. */
static void check_save(void *ctx, lb_status status, bool left_behind) {
  const save_case *c = ctx;
  lb__safetensors *s;
  lb_error err = {0};
  lb_status st = lb__safetensors_open_folder(&s, c->folder, &err);
  if (st == LB_OK) check_written(s);
  lb__safetensors_close(s);
  if (status == LB_OK || c->old_size != c->new_size)
    assert_int_equal(st, LB_OK);
  else if (st != LB_OK)
    assert_int_equal(st, LB_E_IO);
  if (!left_behind) assert_int_equal(scratch_count_hidden(c->folder), 0);
}

static void faults_while_saving(void **state) {
  (void)state;
  static const uint64_t sizes[][2] = {{0, 18}, {18, 34}, {18, 18}, {18, 0}, {0, 0}};
  for (size_t i = 0; i < 5; i++) {
    save_case save = {scratch_new(), sizes[i][0], sizes[i][1]};
    fault_case c = {.run = run_save, .prepare = prepare_save, .check = check_save, .ctx = &save};
    assert_true(fault_each_allocation(&c) > 5);
    assert_true(fault_each_io(&c) > 5);
    scratch_remove(save.folder);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_rule),
      cmocka_unit_test(header_length_rules),
      cmocka_unit_test(dtypes_of_the_format),
      cmocka_unit_test(lookup),
      cmocka_unit_test(every_truncation_and_byte),
      cmocka_unit_test(round_trip),
      cmocka_unit_test(writer_refusals),
      cmocka_unit_test(sharded_saves),
      cmocka_unit_test(bad_folders),
      cmocka_unit_test(faults_while_opening),
      cmocka_unit_test(faults_while_saving),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

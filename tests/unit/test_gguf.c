/* test_gguf.c - one case for each rule of the format, hostile bytes, getters, splits, the writer.
 */
#include "formats/gguf.h"

#include "base/map.h"
#include "faults.h"
#include "scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- files in memory: bytes put one after the other, right or wrong ---- */
typedef struct image {
  uint8_t bytes[1 << 14];
  size_t size;
} image;

static void put(image *f, const void *bytes, size_t size) {
  assert_true(f->size + size <= sizeof f->bytes);
  memcpy(f->bytes + f->size, bytes, size);
  f->size += size;
}
static void put_number(image *f, uint64_t x, size_t size) {
  for (size_t i = 0; i < size; i++) put(f, &(uint8_t){(uint8_t)(x >> (8 * i))}, 1);
}
static void put_string(image *f, const char *s) {
  put_number(f, strlen(s), 8);
  put(f, s, strlen(s));
}
static void put_header(image *f, uint64_t n_tensors, uint64_t n_keys) {
  f->size = 0;
  put(f, "GGUF", 4);
  put_number(f, 3, 4);
  put_number(f, n_tensors, 8);
  put_number(f, n_keys, 8);
}
static void put_key(image *f, const char *key, uint32_t type) {
  put_string(f, key);
  put_number(f, type, 4);
}
static void put_u32(image *f, const char *key, uint32_t value) {
  put_key(f, key, LB__GGUF_U32);
  put_number(f, value, 4);
}
static void put_tensor(image *f, const char *name, uint32_t rank, const uint64_t *ne, uint32_t type,
                       uint64_t offset) {
  put_string(f, name);
  put_number(f, rank, 4);
  for (uint32_t i = 0; i < rank; i++) put_number(f, ne[i], 8);
  put_number(f, type, 4);
  put_number(f, offset, 8);
}
static void put_f32(image *f, const char *name, uint64_t n, uint64_t offset) {
  put_tensor(f, name, 1, &n, 0, offset);
}
static void put_data(image *f, size_t alignment, size_t size) {
  while (f->size % alignment != 0) put(f, "", 1);
  for (size_t i = 0; i < size; i++) put(f, &(uint8_t){(uint8_t)i}, 1);
}

/* ---- the rules ---- */
typedef void rule_fn(image *f);
#define RULE(name) static void name(image *f)
RULE(valid_empty) {
  put_header(f, 0, 0);
}
RULE(valid_v2) {
  put_header(f, 0, 0);
  f->bytes[4] = 2;
}
RULE(valid_tensor) {
  put_header(f, 1, 1);
  put_u32(f, "general.alignment", 64);
  put_f32(f, "a", 4, 0);
  put_data(f, 64, 16);
}
RULE(valid_alignment_1) {
  put_header(f, 1, 1);
  put_u32(f, "general.alignment", 1);
  put_f32(f, "a", 4, 0);
  put_data(f, 1, 16);
}
RULE(valid_no_padding_after_the_last) {
  put_header(f, 2, 0);
  put_f32(f, "a", 3, 0);
  put_f32(f, "b", 3, 32);
  put_data(f, 32, 44);
}
RULE(valid_zero_size) {
  put_header(f, 2, 0);
  put_f32(f, "a", 0, 0);
  put_f32(f, "b", 2, 0);
  put_data(f, 32, 8);
}
RULE(valid_rank_0) {
  put_header(f, 1, 0);
  put_tensor(f, "a", 0, NULL, 0, 0);
  put_data(f, 32, 4);
}
RULE(valid_empty_string) {
  put_header(f, 0, 1);
  put_key(f, "k", LB__GGUF_STRING);
  put_string(f, "");
}
RULE(bad_empty_file) {
  f->size = 0;
}
RULE(bad_magic_alone) {
  put_header(f, 0, 0);
  f->size = 4;
}
RULE(bad_counts_cut) {
  put_header(f, 0, 0);
  f->size = 23;
}
RULE(bad_magic) {
  put_header(f, 0, 0);
  f->bytes[0] = 'g';
}
RULE(bad_version_1) {
  put_header(f, 0, 0);
  f->bytes[4] = 1;
}
RULE(bad_version_4) {
  put_header(f, 0, 0);
  f->bytes[4] = 4;
}
RULE(bad_version_0) {
  put_header(f, 0, 0);
  f->bytes[4] = 0;
}
RULE(bad_big_endian) {
  put_header(f, 0, 0);
  memcpy(f->bytes + 4, "\0\0\0\3", 4);
}
RULE(bad_n_tensors) {
  put_header(f, 1, 0);
}
RULE(bad_n_tensors_huge) {
  put_header(f, UINT64_MAX, 0);
}
RULE(bad_n_keys) {
  put_header(f, 0, 1);
}
RULE(bad_n_keys_huge) {
  put_header(f, 0, UINT64_MAX / 2);
}
RULE(bad_key_empty) {
  put_header(f, 0, 1);
  put_u32(f, "", 1);
}
RULE(bad_key_twice) {
  put_header(f, 0, 2);
  put_u32(f, "k", 1);
  put_u32(f, "k", 1);
}
RULE(bad_key_too_long) {
  put_header(f, 0, 1);
  put_number(f, 65536, 8);
  put_data(f, 1, 100);
}
RULE(bad_key_beyond_the_file) {
  put_header(f, 0, 1);
  put_number(f, 60000, 8);
  put_data(f, 1, 100);
}
RULE(bad_key_length_wraps) {
  put_header(f, 0, 1);
  put_number(f, UINT64_MAX, 8);
  put_data(f, 1, 100);
}
RULE(bad_key_not_utf8) {
  put_header(f, 0, 1);
  put_u32(f, "\xff\xfe", 1);
}
RULE(bad_key_with_nul) {
  put_header(f, 0, 1);
  put_number(f, 3, 8);
  put(f, "a\0b", 3);
  put_number(f, 4, 4);
  put_number(f, 4, 4);
}
RULE(bad_value_type) {
  put_header(f, 0, 1);
  put_key(f, "k", 13);
  put_number(f, 0, 8);
}
RULE(bad_value_type_negative) {
  put_header(f, 0, 1);
  put_key(f, "k", 0xffffffffu);
  put_number(f, 0, 8);
}
RULE(bad_value_absent) {
  put_header(f, 0, 2);
  put_u32(f, "a", 1); /* room for a second key, as far as the count can tell */
  put_key(f, "k", LB__GGUF_STRING);
}
RULE(bad_type_absent) {
  put_header(f, 0, 1);
  put_number(f, 6, 8);
  put(f, "abcdef", 6);
}
RULE(bad_value_cut) {
  put_header(f, 0, 1);
  put_key(f, "k", LB__GGUF_U64);
  put_number(f, 0, 7);
}
RULE(bad_string_beyond_the_file) {
  put_header(f, 0, 1);
  put_key(f, "k", LB__GGUF_STRING);
  put_number(f, 1000000, 8);
}
RULE(bad_string_too_long) {
  put_header(f, 0, 1);
  put_key(f, "k", LB__GGUF_STRING);
  put_number(f, (64u << 20) + 1, 8);
}
RULE(bad_string_length_wraps) {
  put_header(f, 0, 1);
  put_key(f, "k", LB__GGUF_STRING);
  put_number(f, UINT64_MAX, 8);
}
static void put_array(image *f, uint32_t element, uint64_t n, size_t n_bytes) {
  put_header(f, 0, 1);
  put_key(f, "k", LB__GGUF_ARRAY);
  put_number(f, element, 4);
  put_number(f, n, 8);
  for (size_t i = 0; i < n_bytes; i++) put_number(f, 0, 1);
}
RULE(valid_empty_array) {
  put_array(f, LB__GGUF_F32, 0, 0);
}
RULE(valid_empty_strings) {
  put_array(f, LB__GGUF_STRING, 0, 0);
}
RULE(bad_array_of_arrays) {
  put_array(f, LB__GGUF_ARRAY, 1, 100);
}
RULE(bad_array_type) {
  put_array(f, 99, 1, 100);
}
RULE(bad_array_beyond_the_file) {
  put_array(f, LB__GGUF_F32, 26, 100);
}
RULE(bad_array_too_long) {
  put_array(f, LB__GGUF_U8, (1u << 26) + 1, 100);
}
RULE(bad_array_size_wraps) {
  put_array(f, LB__GGUF_U64, ((uint64_t)1 << 61) + 1, 100);
}
RULE(bad_array_n_negative) {
  put_array(f, LB__GGUF_U8, UINT64_MAX, 100);
}
RULE(bad_strings_too_many) {
  put_array(f, LB__GGUF_STRING, 13, 100);
}
RULE(bad_strings_one_too_long) {
  put_array(f, LB__GGUF_STRING, 1, 0);
  put_number(f, 50, 8);
  put_data(f, 1, 49);
}
static void put_alignment(image *f, uint32_t alignment) {
  put_header(f, 0, 1);
  put_u32(f, "general.alignment", alignment);
}
RULE(bad_alignment_0) {
  put_alignment(f, 0);
}
RULE(bad_alignment_odd) {
  put_alignment(f, 33);
}
RULE(bad_alignment_huge) {
  put_alignment(f, 1u << 21);
}
RULE(bad_alignment_most) {
  put_alignment(f, 1u << 31);
}
RULE(bad_alignment_of_another) { /* laid out for 32 bytes, declared as 64 */
  put_header(f, 2, 1);
  put_u32(f, "general.alignment", 64);
  put_f32(f, "a", 4, 0);
  put_f32(f, "b", 4, 32);
  put_data(f, 64, 128);
}
RULE(bad_alignment_type) {
  put_header(f, 0, 1);
  put_key(f, "general.alignment", LB__GGUF_U64);
  put_number(f, 32, 8);
}
RULE(bad_name_empty) {
  put_header(f, 1, 0);
  put_f32(f, "", 4, 0);
  put_data(f, 32, 16);
}
RULE(bad_name_64_bytes) {
  put_header(f, 1, 0);
  put_f32(f, "0123456789012345678901234567890123456789012345678901234567890123", 4, 0);
  put_data(f, 32, 16);
}
RULE(valid_name_63_bytes) {
  put_header(f, 1, 0);
  put_f32(f, "012345678901234567890123456789012345678901234567890123456789012", 4, 0);
  put_data(f, 32, 16);
}
RULE(bad_name_twice) {
  put_header(f, 2, 0);
  put_f32(f, "a", 8, 0);
  put_f32(f, "a", 8, 32);
  put_data(f, 32, 64);
}
RULE(bad_rank_5) {
  put_header(f, 1, 0);
  put_tensor(f, "a", 5, (uint64_t[]){1, 1, 1, 1, 1}, 0, 0);
  put_data(f, 32, 4);
}
RULE(bad_rank_huge) {
  put_header(f, 1, 0);
  put_string(f, "a");
  put_number(f, 0xffffffffu, 4);
  put_data(f, 32, 100);
}
RULE(bad_extent_negative) {
  put_header(f, 1, 0);
  put_f32(f, "a", UINT64_MAX, 0);
  put_data(f, 32, 4);
}
RULE(bad_elements_overflow) {
  put_header(f, 1, 0);
  put_tensor(f, "a", 3, (uint64_t[]){1u << 31, 1u << 31, 1u << 31}, 0, 0);
  put_data(f, 32, 4);
}
/* CVE-2024-21802: the product of the extents wraps to a small number */
RULE(bad_elements_wrap_to_0) {
  put_header(f, 1, 0);
  put_tensor(f, "a", 2, (uint64_t[]){(uint64_t)1 << 32, (uint64_t)1 << 32}, 0, 0);
  put_data(f, 32, 4);
}
RULE(bad_elements_wrap_before_0) {
  put_header(f, 1, 0);
  put_tensor(f, "a", 3, (uint64_t[]){(uint64_t)1 << 32, (uint64_t)1 << 32, 0}, 0, 0);
  put_data(f, 32, 4);
}
/* CVE-2026-33298: the elements fit into int64, the bytes do not */
RULE(bad_bytes_overflow) {
  put_header(f, 1, 0);
  put_f32(f, "a", (uint64_t)1 << 62, 0);
  put_data(f, 32, 4);
}
/* CVE-2025-53630: the running sum wraps */
RULE(bad_sum_overflows) {
  put_header(f, 3, 0);
  put_tensor(f, "a", 1, (uint64_t[]){INT64_MAX - 31}, 24, 0);
  put_tensor(f, "b", 1, (uint64_t[]){INT64_MAX - 31}, 24, INT64_MAX - 31);
  put_tensor(f, "c", 1, (uint64_t[]){INT64_MAX - 31}, 24, 2 * (uint64_t)(INT64_MAX - 31));
  put_data(f, 32, 4);
}
/* CVE-2026-27940: the sum of the tensors fits, with the header before them it does not */
RULE(bad_sum_and_header_overflow) {
  put_header(f, 2, 0);
  put_tensor(f, "a", 1, (uint64_t[]){INT64_MAX - 31}, 24, 0);
  put_tensor(f, "b", 1, (uint64_t[]){INT64_MAX - 31}, 24, INT64_MAX - 31);
  put_data(f, 32, 4);
}
RULE(bad_padding_overflows) {
  put_header(f, 2, 0);
  put_tensor(f, "a", 1, (uint64_t[]){INT64_MAX}, 24, 0);
  put_tensor(f, "b", 1, (uint64_t[]){INT64_MAX}, 24, (uint64_t)INT64_MAX + 1);
  put_data(f, 32, 4);
}
RULE(bad_type_unknown) {
  put_header(f, 1, 0);
  put_tensor(f, "a", 1, (uint64_t[]){32}, 77, 0);
  put_data(f, 32, 200);
}
RULE(bad_type_removed) {
  put_header(f, 1, 0);
  put_tensor(f, "a", 1, (uint64_t[]){32}, 4, 0); /* Q4_2 */
  put_data(f, 32, 200);
}
RULE(bad_type_not_ours) {
  put_header(f, 1, 0);
  put_tensor(f, "a", 1, (uint64_t[]){32}, 39, 0);
  put_data(f, 32, 200);
}
RULE(bad_block) {
  put_header(f, 1, 0);
  put_tensor(f, "a", 2, (uint64_t[]){48, 2}, 8, 0);
  put_data(f, 32, 200);
}
RULE(bad_block_rank_0) {
  put_header(f, 1, 0);
  put_tensor(f, "a", 0, NULL, 8, 0);
  put_data(f, 32, 200);
}
RULE(bad_offset_hole) {
  put_header(f, 2, 0);
  put_f32(f, "a", 4, 0);
  put_f32(f, "b", 4, 64);
  put_data(f, 32, 128);
}
RULE(bad_offset_overlap) {
  put_header(f, 2, 0);
  put_f32(f, "a", 4, 0);
  put_f32(f, "b", 4, 0);
  put_data(f, 32, 128);
}
RULE(bad_offset_unaligned) {
  put_header(f, 2, 0);
  put_f32(f, "a", 4, 0);
  put_f32(f, "b", 4, 16);
  put_data(f, 32, 128);
}
/* CVE-2026-7482: the shape says more than the file has */
RULE(bad_data_cut) {
  put_header(f, 1, 0);
  put_f32(f, "a", 4, 0);
  put_data(f, 32, 15);
}
RULE(bad_data_absent) {
  put_header(f, 1, 0);
  put_f32(f, "a", 4, 0);
}

#define OK(fn)                                                                                     \
  { #fn, fn, LB_OK, NULL }
static const struct rule {
  const char *name;
  rule_fn *build;
  lb_status want;
  const char *says;
} rules[] = {
    OK(valid_empty),
    OK(valid_v2),
    OK(valid_tensor),
    OK(valid_alignment_1),
    OK(valid_no_padding_after_the_last),
    OK(valid_zero_size),
    OK(valid_rank_0),
    OK(valid_empty_array),
    OK(valid_empty_strings),
    OK(valid_name_63_bytes),
    OK(valid_empty_string),
    {"empty file", bad_empty_file, LB_E_FORMAT, "offset 0: magic needs 4 bytes"},
    {"magic alone", bad_magic_alone, LB_E_FORMAT, "offset 4: version needs 4 bytes"},
    {"counts cut", bad_counts_cut, LB_E_FORMAT, "offset 16: number of keys needs 8 bytes"},
    {"magic", bad_magic, LB_E_FORMAT, "GGUF"},
    {"version 1", bad_version_1, LB_E_UNSUPPORTED, "version 1"},
    {"version 4", bad_version_4, LB_E_UNSUPPORTED, "version 4"},
    {"version 0", bad_version_0, LB_E_UNSUPPORTED, "version 0"},
    {"big-endian", bad_big_endian, LB_E_UNSUPPORTED, "big-endian"},
    {"more tensors than bytes", bad_n_tensors, LB_E_FORMAT, "1 tensors"},
    {"n_tensors huge", bad_n_tensors_huge, LB_E_FORMAT, "tensors"},
    {"more keys than bytes", bad_n_keys, LB_E_FORMAT, "1 keys"},
    {"n_keys huge", bad_n_keys_huge, LB_E_FORMAT, "keys"},
    {"empty key", bad_key_empty, LB_E_FORMAT, "key is empty"},
    {"key twice", bad_key_twice, LB_E_FORMAT, "'k' appears twice"},
    {"key too long", bad_key_too_long, LB_E_LIMIT, "65535"},
    {"key beyond the file", bad_key_beyond_the_file, LB_E_FORMAT, "cut off"},
    {"key length wraps", bad_key_length_wraps, LB_E_LIMIT, "key"},
    {"key not UTF-8", bad_key_not_utf8, LB_E_FORMAT, "not text"},
    {"key with NUL", bad_key_with_nul, LB_E_FORMAT, "not text"},
    {"unknown value type", bad_value_type, LB_E_FORMAT, "value type 13"},
    {"negative value type", bad_value_type_negative, LB_E_FORMAT, "value type"},
    {"value absent", bad_value_absent, LB_E_FORMAT, "'k': 1 strings do not fit into 0"},
    {"value type absent", bad_type_absent, LB_E_FORMAT, "value type needs 4 bytes"},
    {"value cut", bad_value_cut, LB_E_FORMAT, "cut off"},
    {"string beyond the file", bad_string_beyond_the_file, LB_E_FORMAT, "cut off"},
    {"string too long", bad_string_too_long, LB_E_LIMIT, "67108864"},
    {"string length wraps", bad_string_length_wraps, LB_E_LIMIT, "k of"},
    {"array of arrays", bad_array_of_arrays, LB_E_FORMAT, "array of arrays"},
    {"array type", bad_array_type, LB_E_FORMAT, "value type 99"},
    {"array beyond the file", bad_array_beyond_the_file, LB_E_FORMAT, "cut off"},
    {"array too long", bad_array_too_long, LB_E_LIMIT, "67108864"},
    {"array size wraps", bad_array_size_wraps, LB_E_LIMIT, "elements"},
    {"array length negative", bad_array_n_negative, LB_E_LIMIT, "elements"},
    {"more strings than bytes", bad_strings_too_many, LB_E_FORMAT, "13 strings"},
    {"string of an array cut", bad_strings_one_too_long, LB_E_FORMAT, "cut off"},
    {"alignment 0", bad_alignment_0, LB_E_FORMAT, "power of two"},
    {"alignment odd", bad_alignment_odd, LB_E_FORMAT, "power of two"},
    {"alignment huge", bad_alignment_huge, LB_E_LIMIT, "1048576"},
    {"alignment 2^31", bad_alignment_most, LB_E_LIMIT, "1048576"},
    {"alignment of another layout", bad_alignment_of_another, LB_E_FORMAT, "offset 32, want 64"},
    {"alignment type", bad_alignment_type, LB_E_FORMAT, "want u32, found u64"},
    {"tensor name empty", bad_name_empty, LB_E_FORMAT, "tensor name is empty"},
    {"tensor name of 64 bytes", bad_name_64_bytes, LB_E_LIMIT, "63"},
    {"tensor name twice", bad_name_twice, LB_E_FORMAT, "'a' appears twice"},
    {"rank 5", bad_rank_5, LB_E_FORMAT, "rank 5"},
    {"rank huge", bad_rank_huge, LB_E_FORMAT, "rank"},
    {"negative extent", bad_extent_negative, LB_E_FORMAT, "negative"},
    {"elements overflow", bad_elements_overflow, LB_E_FORMAT, "overflows"},
    {"elements wrap to 0", bad_elements_wrap_to_0, LB_E_FORMAT, "overflows"},
    {"elements wrap before a 0", bad_elements_wrap_before_0, LB_E_FORMAT, "overflows"},
    {"bytes overflow", bad_bytes_overflow, LB_E_FORMAT, "overflows"},
    {"sum of tensors overflows", bad_sum_overflows, LB_E_FORMAT, "overflow"},
    {"sum and header overflow", bad_sum_and_header_overflow, LB_E_FORMAT, "left"},
    {"padding overflows", bad_padding_overflows, LB_E_FORMAT, "overflows"},
    {"unknown tensor type", bad_type_unknown, LB_E_UNSUPPORTED, "77"},
    {"removed tensor type", bad_type_removed, LB_E_UNSUPPORTED, "number 4"},
    {"tensor type that is not ours", bad_type_not_ours, LB_E_UNSUPPORTED, "MXFP4"},
    {"row is no whole number of blocks", bad_block, LB_E_FORMAT, "multiple of 32"},
    {"rank 0 of a block type", bad_block_rank_0, LB_E_FORMAT, "block"},
    {"hole between tensors", bad_offset_hole, LB_E_FORMAT, "offset 64, want 32"},
    {"overlapping tensors", bad_offset_overlap, LB_E_FORMAT, "offset 0, want 32"},
    {"unaligned tensor", bad_offset_unaligned, LB_E_FORMAT, "offset 16, want 32"},
    {"data cut", bad_data_cut, LB_E_FORMAT, "a needs 16 bytes, 15 are left"},
    {"data absent", bad_data_absent, LB_E_FORMAT, "before the tensor data"},
};

/* A copy of exactly the right size, so that ASan sees a read too far. */
static lb_status parse_copy(const uint8_t *bytes, size_t size, lb_error *err) {
  lb__gguf *g;
  uint8_t *copy = malloc(size > 0 ? size : 1);
  memcpy(copy, bytes, size);
  lb_status st = lb__gguf_parse(&g, copy, size, "bad.gguf", err);
  assert_int_equal(st == LB_OK, g != NULL);
  for (size_t i = 0; st == LB_OK && i < lb__gguf_count(g); i++) {
    const lb__stored_tensor *t = lb__gguf_tensor(g, i);
    volatile uint8_t sum = 0;
    for (size_t j = 0; j < t->size; j++) sum = (uint8_t)(sum + t->bytes[j]);
  }
  for (size_t i = 0; st == LB_OK && i < lb__gguf_n_keys(g); i++) {
    const char *key = lb__gguf_key(g, i), *text;
    int64_t x;
    double real;
    bool flag;
    lb__gguf_array a;
    lb__gguf_get_int(&x, g, key, true, NULL);
    lb__gguf_get_real(&real, g, key, true, NULL);
    lb__gguf_get_bool(&flag, g, key, true, NULL);
    lb__gguf_get_string(&text, g, key, true, NULL);
    if (lb__gguf_get_array(&a, g, key, LB__GGUF_ARRAY_OF_INTS, true, NULL) == LB_OK)
      for (size_t j = 0; j < a.n; j++) lb__gguf_array_int(&a, j);
    if (lb__gguf_get_array(&a, g, key, LB__GGUF_ARRAY_OF_REALS, true, NULL) == LB_OK)
      for (size_t j = 0; j < a.n; j++) lb__gguf_array_real(&a, j);
    if (lb__gguf_get_array(&a, g, key, LB__GGUF_ARRAY_OF_STRINGS, true, NULL) == LB_OK)
      for (size_t j = 0; j < a.n; j++) {
        lb__gguf_string string = lb__gguf_array_string(&a, j);
        lb__hash_bytes(string.bytes, string.size);
      }
  }
  lb__gguf_close(g);
  free(copy);
  return st;
}

static void every_rule(void **state) {
  (void)state;
  static image f;
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    const struct rule *r = &rules[i];
    lb_error err = {0};
    f.size = 0;
    r->build(&f);
    lb_status st = parse_copy(f.bytes, f.size, &err);
    if (st != r->want)
      fail_msg("%s: want status %d, found %d: %s", r->name, r->want, st, err.message);
    if (r->says != NULL && strstr(err.message, r->says) == NULL)
      fail_msg("%s: want '%s' in: %s", r->name, r->says, err.message);
    if (r->says != NULL && strncmp(err.message, "bad.gguf: ", 10) != 0)
      fail_msg("%s: the file is not named in: %s", r->name, err.message);
    if (r->says != NULL && r->build != bad_magic && strstr(err.message, ": offset ") == NULL)
      fail_msg("%s: the place is not named in: %s", r->name, err.message);
  }
}

/* ---- a file with one of everything, written by our writer ---- */
static const lb__tensor_decl decls[] = {
    {"w", LB_DTYPE_F32, 2, {2, 3}},     {"q", LB_DTYPE_Q8_0, 2, {2, 64}},
    {"k", LB_DTYPE_Q6_K, 1, {256}},     {"b", LB_DTYPE_BF16, 3, {2, 1, 5}},
    {"empty", LB_DTYPE_F16, 2, {0, 4}}, {"scalar", LB_DTYPE_I32, 0, {0}},
};
enum { N_DECLS = sizeof decls / sizeof decls[0] };

static lb_status pour(void *ctx, size_t index, lb__sink *sink, lb_error *err) {
  uint8_t bytes[512];
  (void)ctx;
  for (size_t j = 0; j < sink->wanted; j++) bytes[j] = (uint8_t)(31 * index + j);
  return lb__sink_write(sink, bytes, sink->wanted, err);
}

static lb_status write_everything(const char *path, lb_error *err) {
  static const int32_t ints[] = {1, -2, 3};
  static const float reals[] = {0.5f, -1e-5f};
  static const bool flags[] = {true, false};
  static const lb__gguf_string strings[] = {{"a", 1}, {"", 0}, {"\xff\0x", 3}};
  lb__gguf_writer *w;
  lb_status st = lb__gguf_writer_new(&w, err);
  if (st != LB_OK) return st;
  lb__gguf_set_string(w, "general.architecture", "llama");
  lb__gguf_set_u32(w, "u32", 7);
  lb__gguf_set_i32(w, "i32", -7);
  lb__gguf_set_u64(w, "u64", UINT64_MAX);
  lb__gguf_set_f32(w, "f32", 1e-5f);
  lb__gguf_set_bool(w, "bool", true);
  lb__gguf_set_i32_array(w, "ints", ints, 3);
  lb__gguf_set_f32_array(w, "reals", reals, 2);
  lb__gguf_set_bool_array(w, "flags", flags, 2);
  lb__gguf_set_string_array(w, "strings", strings, 3);
  for (size_t i = 0; i < N_DECLS; i++) lb__gguf_add_tensor(w, &decls[i]);
  st = lb__gguf_writer_save(w, path, pour, NULL, err);
  lb__gguf_writer_free(w);
  return st;
}

static void check_tensors(const lb__gguf *g) {
  assert_int_equal(lb__gguf_count(g), N_DECLS);
  for (size_t i = 0; i < N_DECLS; i++) {
    const lb__stored_tensor *t = lb__gguf_find(g, decls[i].name);
    assert_non_null(t);
    assert_ptr_equal(t, lb__gguf_tensor(g, i));
    assert_int_equal(t->dtype, decls[i].dtype);
    assert_int_equal(t->rank, decls[i].rank);
    assert_memory_equal(t->shape, decls[i].shape, sizeof(int64_t) * (size_t)t->rank);
    for (size_t j = 0; j < t->size; j++) assert_int_equal(t->bytes[j], (uint8_t)(31 * i + j));
    assert_int_equal((uintptr_t)t->bytes % 32, 0);
  }
  assert_null(lb__gguf_find(g, "absent"));
}

static void says(lb_status st, const lb_error *err, const char *text) {
  assert_int_equal(st, LB_E_FORMAT);
  if (strstr(err->message, text) == NULL) fail_msg("want '%s' in: %s", text, err->message);
}

static void getters(void **state) {
  (void)state;
  char *folder = scratch_new();
  const char *path = scratch_path(folder, "x.gguf");
  lb_error err = {0};
  lb__gguf *g;
  if (write_everything(path, &err) != LB_OK) fail_msg("%s", err.message);
  if (lb__gguf_open(&g, path, &err) != LB_OK) fail_msg("%s", err.message);
  check_tensors(g);
  assert_int_equal(lb__gguf_version(g), 3);
  assert_int_equal(lb__gguf_n_keys(g), 10);
  assert_string_equal(lb__gguf_key(g, 1), "u32");
  assert_int_equal(lb__gguf_key_type(g, 9), LB__GGUF_ARRAY);

  int64_t x = 0;
  uint32_t u = 99;
  double real = 0;
  bool flag = false;
  const char *text = NULL;
  assert_int_equal(lb__gguf_get_int(&x, g, "u32", true, &err), LB_OK);
  assert_int_equal(x, 7);
  assert_int_equal(lb__gguf_get_int(&x, g, "i32", true, &err), LB_OK);
  assert_int_equal(x, -7);
  says(lb__gguf_get_int(&x, g, "u64", true, &err), &err, "63 bits");
  says(lb__gguf_get_int(&x, g, "f32", true, &err), &err, "want an integer, found f32");
  says(lb__gguf_get_int(&x, g, "bool", true, &err), &err, "want an integer, found bool");
  says(lb__gguf_get_int(&x, g, "ints", true, &err), &err, "found an array of i32");
  says(lb__gguf_get_int(&x, g, "none", true, &err), &err, "key 'none' is missing");
  assert_int_equal(lb__gguf_get_int(&x, g, "none", false, &err), LB_OK);
  assert_int_equal(x, -7);
  says(lb__gguf_get_u32(&u, g, "i32", true, &err), &err, "found -7");
  assert_int_equal(lb__gguf_get_u32(&u, g, "none", false, &err), LB_OK);
  assert_int_equal(u, 99);
  assert_int_equal(lb__gguf_get_u32(&u, g, "u32", false, &err), LB_OK);
  assert_int_equal(u, 7);
  assert_int_equal(lb__gguf_get_real(&real, g, "f32", true, &err), LB_OK);
  assert_true(real == (double)1e-5f);
  assert_int_equal(lb__gguf_get_real(&real, g, "i32", true, &err), LB_OK);
  assert_true(real == -7);
  says(lb__gguf_get_real(&real, g, "bool", true, &err), &err, "want a number");
  assert_int_equal(lb__gguf_get_bool(&flag, g, "bool", true, &err), LB_OK);
  assert_true(flag);
  says(lb__gguf_get_bool(&flag, g, "u32", true, &err), &err, "want a bool, found u32");
  assert_int_equal(lb__gguf_get_string(&text, g, "general.architecture", true, &err), LB_OK);
  assert_string_equal(text, "llama");
  says(lb__gguf_get_string(&text, g, "u32", true, &err), &err, "want a string");
  assert_true(lb__gguf_has(g, "bool"));
  assert_false(lb__gguf_has(g, "none"));

  lb__gguf_array a;
  assert_int_equal(lb__gguf_get_array(&a, g, "ints", LB__GGUF_ARRAY_OF_INTS, true, &err), LB_OK);
  assert_int_equal(a.n, 3);
  assert_int_equal(lb__gguf_array_int(&a, 1), -2);
  says(lb__gguf_get_array(&a, g, "ints", LB__GGUF_ARRAY_OF_REALS, true, &err), &err,
       "want an array of floats, found an array of i32");
  assert_int_equal(a.n, 0);
  assert_int_equal(lb__gguf_get_array(&a, g, "reals", LB__GGUF_ARRAY_OF_REALS, true, &err), LB_OK);
  assert_true(lb__gguf_array_real(&a, 1) == (double)-1e-5f);
  assert_int_equal(lb__gguf_get_array(&a, g, "flags", LB__GGUF_ARRAY_OF_INTS, true, &err), LB_OK);
  assert_int_equal(lb__gguf_array_int(&a, 0), 1);
  assert_int_equal(lb__gguf_get_array(&a, g, "strings", LB__GGUF_ARRAY_OF_STRINGS, true, &err),
                   LB_OK);
  assert_int_equal(lb__gguf_array_string(&a, 1).size, 0);
  assert_memory_equal(lb__gguf_array_string(&a, 2).bytes, "\xff\0x", 3);
  says(lb__gguf_get_array(&a, g, "strings", LB__GGUF_ARRAY_OF_INTS, true, &err), &err, "of string");
  says(lb__gguf_get_array(&a, g, "u32", LB__GGUF_ARRAY_OF_INTS, true, &err), &err, "found u32");
  assert_int_equal(lb__gguf_get_array(&a, g, "none", LB__GGUF_ARRAY_OF_INTS, false, &err), LB_OK);
  assert_int_equal(a.n, 0);
  lb__gguf_close(g);
  lb__gguf_close(NULL);
  scratch_remove(folder);
}

/* Every integer width with its extremes, read through the unaligned file. */
static void integer_widths(void **state) {
  (void)state;
  static const struct {
    lb__gguf_type type;
    size_t size;
    uint64_t bits;
    int64_t want;
  } cases[] = {{LB__GGUF_U8, 1, 0xff, 255},
               {LB__GGUF_I8, 1, 0xff, -1},
               {LB__GGUF_U16, 2, 0xffff, 65535},
               {LB__GGUF_I16, 2, 0x8000, -32768},
               {LB__GGUF_U32, 4, 0xffffffff, UINT32_MAX},
               {LB__GGUF_I32, 4, 0x80000000, INT32_MIN},
               {LB__GGUF_U64, 8, INT64_MAX, INT64_MAX},
               {LB__GGUF_I64, 8, UINT64_MAX, -1},
               {LB__GGUF_I64, 8, (uint64_t)1 << 63, INT64_MIN}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    static image f;
    lb__gguf *g;
    lb__gguf_array a;
    int64_t x;
    put_header(&f, 0, 2);
    put_key(&f, "k", cases[i].type);
    put_number(&f, cases[i].bits, cases[i].size);
    put_key(&f, "a", LB__GGUF_ARRAY);
    put_number(&f, cases[i].type, 4);
    put_number(&f, 2, 8);
    put_number(&f, 1, cases[i].size);
    put_number(&f, cases[i].bits, cases[i].size);
    assert_int_equal(lb__gguf_parse(&g, f.bytes, f.size, "x", NULL), LB_OK);
    assert_int_equal(lb__gguf_get_int(&x, g, "k", true, NULL), LB_OK);
    assert_true(x == cases[i].want);
    assert_int_equal(lb__gguf_get_array(&a, g, "a", LB__GGUF_ARRAY_OF_INTS, true, NULL), LB_OK);
    assert_int_equal(lb__gguf_array_int(&a, 0), 1);
    assert_true(lb__gguf_array_int(&a, 1) == cases[i].want);
    lb__gguf_close(g);
  }
}

static void strings_that_are_no_text(void **state) {
  (void)state;
  static image f;
  lb__gguf *g;
  lb_error err;
  const char *text;
  put_header(&f, 0, 2);
  put_key(&f, "nul", LB__GGUF_STRING);
  put_number(&f, 3, 8);
  put(&f, "a\0b", 3);
  put_key(&f, "bad", LB__GGUF_STRING);
  put_string(&f, "\xff");
  assert_int_equal(lb__gguf_parse(&g, f.bytes, f.size, "x", &err), LB_OK);
  says(lb__gguf_get_string(&text, g, "nul", true, &err), &err, "not UTF-8 text");
  says(lb__gguf_get_string(&text, g, "bad", true, &err), &err, "not UTF-8 text");
  lb__gguf_close(g);
}

static void every_truncation_and_byte(void **state) {
  (void)state;
  char *folder = scratch_new();
  size_t size, header = 0;
  assert_int_equal(write_everything(scratch_path(folder, "x.gguf"), NULL), LB_OK);
  uint8_t *bytes = (uint8_t *)scratch_read(folder, "x.gguf", &size);
  lb__gguf *g;
  assert_int_equal(lb__gguf_parse(&g, bytes, size, "x", NULL), LB_OK);
  const lb__stored_tensor *last = lb__gguf_tensor(g, N_DECLS - 1);
  size_t needed = (size_t)(last->bytes - bytes) + last->size;
  header = (size_t)(lb__gguf_tensor(g, 0)->bytes - bytes);
  lb__gguf_close(g);
  for (size_t n = 0; n < size; n++) {
    lb_error err = {0};
    lb_status st = parse_copy(bytes, n, &err);
    if (n < needed)
      assert_int_equal(st, LB_E_FORMAT);
    else
      assert_int_equal(st, LB_OK); /* only padding is missing */
  }
  for (size_t i = 0; i < header; i++) {
    uint8_t old = bytes[i];
    for (int v = 0; v < 256; v++) {
      bytes[i] = (uint8_t)v;
      parse_copy(bytes, size, NULL);
    }
    bytes[i] = old;
  }
  free(bytes);
  scratch_remove(folder);
}

/* ---- splits ---- */
typedef struct part {
  int no, count, total; /* -1: leave the key out */
  const char *tensor, *file;
} part;

static void write_part(const char *folder, part p) {
  lb__gguf_writer *w;
  lb_error err = {0};
  assert_int_equal(lb__gguf_writer_new(&w, NULL), LB_OK);
  if (p.no >= 0) lb__gguf_set_u32(w, "split.no", (uint32_t)p.no);
  if (p.count >= 0) lb__gguf_set_u32(w, "split.count", (uint32_t)p.count);
  if (p.total >= 0) lb__gguf_set_i32(w, "split.tensors.count", p.total);
  if (p.no == 0) lb__gguf_set_string(w, "general.architecture", "llama");
  lb__gguf_add_tensor(w, &(lb__tensor_decl){p.tensor, LB_DTYPE_F32, 1, {4}});
  if (lb__gguf_writer_save(w, scratch_path(folder, p.file), pour, NULL, &err) != LB_OK)
    fail_msg("%s", err.message);
  lb__gguf_writer_free(w);
}

#define P1 "m-00001-of-00002.gguf"
#define P2 "m-00002-of-00002.gguf"

static void splits(void **state) {
  (void)state;
  char *folder = scratch_new();
  static const char *const entry[] = {P1, P2};
  write_part(folder, (part){0, 2, 2, "a", P1});
  write_part(folder, (part){1, 2, 2, "b", P2});
  for (int i = 0; i < 2; i++) { /* whichever part is named */
    lb__gguf *g;
    const char *text;
    lb_error err = {0};
    if (lb__gguf_open(&g, scratch_path(folder, entry[i]), &err) != LB_OK)
      fail_msg("%s", err.message);
    assert_int_equal(lb__gguf_count(g), 2);
    assert_string_equal(lb__gguf_tensor(g, 1)->name, "b");
    assert_int_equal(lb__gguf_find(g, "b")->bytes[1], 1);
    assert_int_equal(lb__gguf_get_string(&text, g, "general.architecture", true, &err), LB_OK);
    lb__gguf_close(g);
  }
  scratch_remove(folder);
}

static void bad_splits(void **state) {
  (void)state;
  static const struct {
    part first, second;
    const char *open, *says;
  } cases[] = {
      {{0, 2, 2, "a", P1}, {1, 2, 2, "b", "other.gguf"}, P1, P2},
      {{0, 2, 2, "a", P1}, {0, 2, 2, "b", P2}, P1, "split.no is 0"},
      {{0, 2, 2, "a", P1}, {1, 3, 2, "b", P2}, P1, "split.count is 3"},
      {{0, 2, 3, "a", P1}, {1, 2, 3, "b", P2}, P1, "the parts hold 2"},
      {{0, 2, -1, "a", P1}, {1, 2, 2, "b", P2}, P1, "split.tensors.count"},
      {{0, 2, 2, "a", P1}, {1, 2, 2, "a", P2}, P1, "earlier part"},
      {{0, 2, 2, "a", P1}, {-1, -1, -1, "b", P2}, P1, "split.no"},
      {{0, 2, 2, "a", "m.gguf"}, {1, 2, 2, "b", P2}, "m.gguf", "name does not end"},
      {{1, 2, 2, "a", P1}, {1, 2, 2, "b", P2}, P1, "split.no is 1"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char *folder = scratch_new();
    lb__gguf *g;
    lb_error err = {0};
    write_part(folder, cases[i].first);
    write_part(folder, cases[i].second);
    assert_int_not_equal(lb__gguf_open(&g, scratch_path(folder, cases[i].open), &err), LB_OK);
    assert_null(g);
    if (strstr(err.message, cases[i].says) == NULL)
      fail_msg("case %zu: want '%s' in: %s", i, cases[i].says, err.message);
    scratch_remove(folder);
  }
}

/* ---- the writer ---- */
typedef void misuse_fn(lb__gguf_writer *w);
static void key_twice(lb__gguf_writer *w) {
  lb__gguf_set_u32(w, "k", 1);
  lb__gguf_set_f32(w, "k", 1);
}
static void key_empty(lb__gguf_writer *w) {
  lb__gguf_set_u32(w, "", 1);
}
static void key_not_utf8(lb__gguf_writer *w) {
  lb__gguf_set_u32(w, "\xff", 1);
}
static void string_not_utf8(lb__gguf_writer *w) {
  lb__gguf_set_string(w, "k", "\xff");
}
static void tensor_twice(lb__gguf_writer *w) {
  lb__gguf_add_tensor(w, &decls[0]);
  lb__gguf_add_tensor(w, &decls[0]);
}
static void tensor_name_long(lb__gguf_writer *w) {
  lb__gguf_add_tensor(
      w, &(lb__tensor_decl){"0123456789012345678901234567890123456789012345678901234567890123",
                            LB_DTYPE_F32,
                            1,
                            {1}});
}
static void tensor_rank(lb__gguf_writer *w) {
  lb__gguf_add_tensor(w, &(lb__tensor_decl){"t", LB_DTYPE_F32, 5, {1, 1, 1, 1, 1}});
}
static void tensor_block(lb__gguf_writer *w) {
  lb__gguf_add_tensor(w, &(lb__tensor_decl){"t", LB_DTYPE_Q8_0, 1, {33}});
}
static void tensor_dtype(lb__gguf_writer *w) {
  lb__gguf_add_tensor(w, &(lb__tensor_decl){"t", LB_DTYPE_F8_E4M3, 1, {32}});
}

static void writer_refusals(void **state) {
  (void)state;
  static misuse_fn *const misuses[] = {key_twice,       key_empty,    key_not_utf8,
                                       string_not_utf8, tensor_twice, tensor_name_long,
                                       tensor_rank,     tensor_block, tensor_dtype};
  char *folder = scratch_new();
  for (size_t i = 0; i < sizeof misuses / sizeof misuses[0]; i++) {
    lb__gguf_writer *w;
    lb_error err = {0};
    assert_int_equal(lb__gguf_writer_new(&w, NULL), LB_OK);
    misuses[i](w);
    lb__gguf_set_u32(w, "later", 1); /* the first failure is the one told */
    assert_int_equal(lb__gguf_writer_save(w, scratch_path(folder, "x"), pour, NULL, &err),
                     LB_E_ARG);
    assert_true(err.message[0] != '\0');
    lb__gguf_writer_free(w);
  }
  assert_int_equal(scratch_count(folder), 0);
  lb__gguf_writer_free(NULL);
  scratch_remove(folder);
}

static void copied_keys(void **state) {
  (void)state;
  char *folder = scratch_new();
  lb__gguf *g, *copy;
  lb__gguf_writer *w;
  lb__gguf_array a;
  lb_error err = {0};
  assert_int_equal(write_everything(scratch_path(folder, "x.gguf"), NULL), LB_OK);
  assert_int_equal(lb__gguf_open(&g, scratch_path(folder, "x.gguf"), NULL), LB_OK);
  assert_int_equal(lb__gguf_writer_new(&w, NULL), LB_OK);
  for (size_t i = 0; i < lb__gguf_n_keys(g); i++) lb__gguf_set_from(w, g, lb__gguf_key(g, i));
  assert_int_equal(lb__gguf_writer_save(w, scratch_path(folder, "y.gguf"), pour, NULL, &err),
                   LB_OK);
  assert_int_equal(lb__gguf_open(&copy, scratch_path(folder, "y.gguf"), &err), LB_OK);
  assert_int_equal(lb__gguf_n_keys(copy), lb__gguf_n_keys(g));
  assert_int_equal(lb__gguf_get_array(&a, copy, "strings", LB__GGUF_ARRAY_OF_STRINGS, true, &err),
                   LB_OK);
  assert_memory_equal(lb__gguf_array_string(&a, 2).bytes, "\xff\0x", 3);
  lb__gguf_set_from(w, g, "none");
  assert_int_equal(lb__gguf_writer_save(w, scratch_path(folder, "y.gguf"), pour, NULL, &err),
                   LB_E_ARG);
  lb__gguf_writer_free(w);
  lb__gguf_close(copy);
  lb__gguf_close(g);
  scratch_remove(folder);
}

/* ---- faults ---- */
static lb_status run_open(void *ctx, lb_error *err) {
  lb__gguf *g;
  lb_status st = lb__gguf_open(&g, ctx, err);
  if (st == LB_OK) assert_int_equal(lb__gguf_count(g), 2);
  lb__gguf_close(g);
  return st;
}

static lb_status run_write(void *ctx, lb_error *err) {
  return write_everything(scratch_path(ctx, "x.gguf"), err);
}

static void check_write(void *ctx, lb_status status, bool left_behind) {
  lb__gguf *g;
  if (status == LB_OK) {
    assert_int_equal(lb__gguf_open(&g, scratch_path(ctx, "x.gguf"), NULL), LB_OK);
    check_tensors(g);
    lb__gguf_close(g);
  }
  if (!left_behind) assert_true(scratch_count(ctx) == scratch_exists(ctx, "x.gguf"));
}

static void prepare_write(void *ctx) {
  scratch_empty(ctx);
}

static void faults(void **state) {
  (void)state;
  char *folder = scratch_new(), *other = scratch_new();
  write_part(folder, (part){0, 2, 2, "a", P1});
  write_part(folder, (part){1, 2, 2, "b", P2});
  char path[600];
  snprintf(path, sizeof path, "%s/" P1, folder);
  fault_case open = {.run = run_open, .ctx = path, .may_survive = true}; /* arenas ask again */
  assert_true(fault_each_allocation(&open) > 10);
  assert_true(fault_each_io(&open) > 5);
  fault_case write = {
      .run = run_write, .prepare = prepare_write, .check = check_write, .ctx = other};
  assert_true(fault_each_allocation(&write) > 10);
  assert_true(fault_each_io(&write) > 10);
  scratch_remove(folder);
  scratch_remove(other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_rule),
      cmocka_unit_test(getters),
      cmocka_unit_test(integer_widths),
      cmocka_unit_test(strings_that_are_no_text),
      cmocka_unit_test(every_truncation_and_byte),
      cmocka_unit_test(splits),
      cmocka_unit_test(bad_splits),
      cmocka_unit_test(writer_refusals),
      cmocka_unit_test(copied_keys),
      cmocka_unit_test(faults),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

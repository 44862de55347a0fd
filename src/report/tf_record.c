/* tf_record.c - see tf_record.h. */
#include "tf_record.h"

#include "base/fail.h"

enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 }; /* protobuf's wire types */

/* Bit by bit: a log writes a few hundred bytes a second. */
uint32_t lb__crc32c(const void *bytes, size_t size) {
  const uint8_t *p = bytes;
  uint32_t crc = 0xFFFFFFFFu;
  for (size_t i = 0; i < size; i++) {
    crc ^= p[i];
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82F63B78u & (0u - (crc & 1u)));
  }
  return ~crc;
}

static void add_little_endian(lb__buf *b, uint64_t value, int n_bytes) {
  for (int i = 0; i < n_bytes; i++) lb__buf_add_char(b, (char)(uint8_t)(value >> (8 * i)));
}

static void add_masked_crc(lb__buf *b, const void *bytes, size_t size) {
  uint32_t crc = lb__crc32c(bytes, size);
  add_little_endian(b, (uint32_t)(((crc >> 15) | (crc << 17)) + 0xA282EAD8u), 4);
}

lb_status lb__tf_record_write(lb__append *file, const void *data, size_t size, lb_error *err) {
  lb__buf b;
  lb__buf_init(&b, 1 << 20);
  add_little_endian(&b, size, 8);
  if (!b.failed) add_masked_crc(&b, b.bytes, 8);
  lb__buf_add(&b, data, size);
  add_masked_crc(&b, data, size);
  lb_status st = lb__buf_check(&b, "a TensorBoard event", err);
  if (st == LB_OK) st = lb__append_write(file, b.bytes, b.size, err);
  lb__buf_deinit(&b);
  return st;
}

/* ---- protobuf ---- */

static void add_varint(lb__buf *b, uint64_t value) {
  for (; value >= 0x80; value >>= 7) lb__buf_add_char(b, (char)(uint8_t)(value | 0x80));
  lb__buf_add_char(b, (char)(uint8_t)value);
}

static void add_key(lb__buf *b, uint32_t field, uint32_t wire_type) {
  add_varint(b, (uint64_t)field << 3 | wire_type);
}

void lb__proto_int(lb__buf *b, uint32_t field, int64_t value) {
  if (value == 0) return;
  add_key(b, field, VARINT);
  add_varint(b, (uint64_t)value);
}

void lb__proto_double(lb__buf *b, uint32_t field, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  add_key(b, field, FIXED64);
  add_little_endian(b, bits, 8);
}

void lb__proto_float(lb__buf *b, uint32_t field, float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  add_key(b, field, FIXED32);
  add_little_endian(b, bits, 4);
}

void lb__proto_bytes(lb__buf *b, uint32_t field, const void *bytes, size_t size) {
  add_key(b, field, LENGTH);
  add_varint(b, size);
  lb__buf_add(b, bytes, size);
}

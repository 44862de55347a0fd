/* utf8.c - strict UTF-8. Owns: table 3-7 of the Unicode standard ("well-formed byte sequences"),
 * in one place (sequence_at). Refuses: normalisation and classes of characters (text/ does that).
 */
#include "utf8.h"

#include <string.h>

/* What the bytes at s are: `need` is the length of the sequence the first byte announces (0 when
 * no sequence starts with it), `have` how many bytes of it are there and allowed. The sequence is
 * whole when have == need. */
typedef struct sequence {
  int need, have;
} sequence;

/* The second byte carries the rules against overlong forms, surrogates and > U+10FFFF. */
static bool second_allowed(unsigned char first, unsigned char second) {
  unsigned char low = 0x80, high = 0xBF;
  if (first == 0xE0) low = 0xA0;
  if (first == 0xED) high = 0x9F;
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;
  return second >= low && second <= high;
}

static int announced_length(unsigned char first) {
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0; /* a continuation byte, or an overlong two-byte form */
  if (first < 0xE0) return 2;
  if (first < 0xF0) return 3;
  return first < 0xF5 ? 4 : 0;
}

static sequence sequence_at(const char *s, size_t size) {
  unsigned char first = (unsigned char)s[0];
  sequence q = {announced_length(first), 1};
  while (q.have < q.need && (size_t)q.have < size) {
    unsigned char byte = (unsigned char)s[q.have];
    bool allowed = q.have == 1 ? second_allowed(first, byte) : (byte & 0xC0) == 0x80;
    if (!allowed) break;
    q.have++;
  }
  return q;
}

int lb__utf8_decode(uint32_t *code_point, const char *s, size_t size) {
  static const unsigned char first_mask[5] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  if (size == 0) return 0;
  sequence q = sequence_at(s, size);
  if (q.need == 0 || q.have < q.need) return 0;
  uint32_t c = (unsigned char)s[0] & first_mask[q.need];
  for (int i = 1; i < q.need; i++) c = c << 6 | ((unsigned char)s[i] & 0x3F);
  *code_point = c;
  return q.need;
}

int lb__utf8_encode(char out[4], uint32_t code_point) {
  uint32_t c = code_point;
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  int length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (int i = length - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3F));
  out[0] = (char)((0xF00U >> length & 0xFF) | c); /* 0xC0, 0xE0 or 0xF0 */
  return length;
}

size_t lb__ascii_prefix(const char *s, size_t size) {
  enum { BLOCK = 16 };
  size_t i = 0;
  for (; i + BLOCK <= size; i += BLOCK) {
    uint64_t words[BLOCK / 8];
    memcpy(words, s + i, sizeof words);
    if (((words[0] | words[1]) & 0x8080808080808080u) != 0) break;
  }
  while (i < size && (unsigned char)s[i] < 0x80) i++;
  return i;
}

size_t lb__utf8_valid_prefix(const char *s, size_t size) {
  size_t i = lb__ascii_prefix(s, size);
  while (i < size) {
    sequence q = sequence_at(s + i, size - i);
    if (q.need == 0 || q.have < q.need) break;
    i += (size_t)q.need;
    i += lb__ascii_prefix(s + i, size - i);
  }
  return i;
}

bool lb__utf8_valid(const char *s, size_t size) {
  return lb__utf8_valid_prefix(s, size) == size;
}

size_t lb__utf8_complete(const char *s, size_t size) {
  /* A first byte (C2..F4) is never a continuation byte, so looking back three bytes is enough. */
  for (size_t back = 1; back <= 3 && back <= size; back++) {
    sequence q = sequence_at(s + size - back, back);
    if (q.need > 1 && q.have < q.need && (size_t)q.have == back) return size - back;
  }
  return size;
}

size_t lb__utf8_invalid_run(const char *s, size_t size) {
  if (size == 0) return 0;
  return (size_t)sequence_at(s, size).have;
}

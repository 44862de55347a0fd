/* byte_alphabet.c - see byte_alphabet.h. */
#include "byte_alphabet.h"

#include "unicode_class.h"

static bool stands_for_itself(uint32_t c) {
  return (c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xAC) || (c >= 0xAE && c <= 0xFF);
}

/* The bytes that need a substitute lie in three runs: 00-20, 7F-A0 and AD. */
uint32_t lb__byte_to_char(unsigned char byte) {
  if (stands_for_itself(byte)) return byte;
  if (byte <= 0x20) return 0x100u + byte;
  if (byte <= 0xA0) return 0x121u + byte - 0x7Fu;
  return 0x143u;
}

int lb__char_to_byte(uint32_t c) {
  if (stands_for_itself(c)) return (int)c;
  if (c >= 0x100 && c <= 0x120) return (int)(c - 0x100);
  if (c >= 0x121 && c <= 0x142) return (int)(c - 0x121 + 0x7F);
  return c == 0x143 ? 0xAD : -1;
}

size_t lb__bytes_to_alphabet(char *out, const char *bytes, size_t size) {
  size_t n = 0;
  for (size_t i = 0; i < size; i++) {
    uint32_t c = lb__byte_to_char((unsigned char)bytes[i]);
    if (c < 0x80) {
      out[n++] = (char)c;
    } else {
      out[n++] = (char)(0xC0 | c >> 6);
      out[n++] = (char)(0x80 | (c & 0x3F));
    }
  }
  return n;
}

bool lb__alphabet_to_bytes(char *out, size_t *out_size, const char *token, size_t size) {
  const unsigned char *p = (const unsigned char *)token, *end = p + size;
  size_t n = 0;
  while (p < end) {
    int byte = lb__char_to_byte(lb__utf8_next(&p));
    if (byte < 0) return false;
    out[n++] = (char)byte;
  }
  *out_size = n;
  return true;
}

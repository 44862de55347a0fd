/* mutate_json.c - see mutate_json.h. */
#include "mutate_json.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_VALUES = 4096, MOST_DEPTH = 64, MOST_NEW = 4096 };

typedef struct span {
  size_t begin, end;
} span;

/* ---- where values are: strings, words and numbers, and closed brackets ---- */

static size_t string_end(const uint8_t *t, size_t size, size_t at) {
  for (at++; at < size && t[at] != '"'; at++)
    if (t[at] == '\\') at++;
  return at < size ? at + 1 : size;
}

static bool is_word(uint8_t c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '+' || c == '.';
}

static size_t find_values(span *out, const uint8_t *t, size_t size) {
  size_t open[MOST_DEPTH], depth = 0, n = 0;
  for (size_t at = 0; at < size && n < MOST_VALUES;) {
    size_t begin = at;
    if (t[at] == '"') {
      at = string_end(t, size, at);
    } else if (is_word(t[at])) {
      while (at < size && is_word(t[at])) at++;
    } else {
      if ((t[at] == '{' || t[at] == '[') && depth < MOST_DEPTH) open[depth++] = at;
      bool closes = (t[at] == '}' || t[at] == ']') && depth > 0;
      at++;
      if (!closes) continue;
      begin = open[--depth];
    }
    out[n++] = (span){begin, at};
  }
  return n;
}

/* ---- what a value becomes ---- */

static const char *const others[] = {"null",
                                     "true",
                                     "false",
                                     "{}",
                                     "[]",
                                     "\"\"",
                                     "0",
                                     "-0",
                                     "-1",
                                     "1",
                                     "2",
                                     "255",
                                     "256",
                                     "32767",
                                     "65536",
                                     "2147483647",
                                     "2147483648",
                                     "-2147483649",
                                     "4294967296",
                                     "9223372036854775807",
                                     "-9223372036854775808",
                                     "18446744073709551615",
                                     "18446744073709551616",
                                     "1e308",
                                     "1e309",
                                     "-1e-320",
                                     "0.5",
                                     "1e-45",
                                     "3.5e38",
                                     "NaN",
                                     "\"..\"",
                                     "\"../x\"",
                                     "\"/etc/passwd\"",
                                     "\"a\\u0000b\"",
                                     "\"\\ud800\"",
                                     "\"a.safetensors\"",
                                     "\"model.safetensors\""};

/* Writes what replaces value `v` to out [MOST_NEW]; returns its size. */
static size_t replacement(uint8_t *out, const uint8_t *t, span v, span other, uint32_t r) {
  size_t size = v.end - v.begin < MOST_NEW / 4 ? v.end - v.begin : MOST_NEW / 4, n = 0;
  uint32_t pick = r >> 8;
  switch (r % 6) {
  case 0: /* a limit */
    n = strlen(others[pick % (sizeof others / sizeof *others)]);
    memcpy(out, others[pick % (sizeof others / sizeof *others)], n);
    return n;
  case 1: /* another value of the text */
    n = other.end - other.begin < MOST_NEW ? other.end - other.begin : MOST_NEW;
    memcpy(out, t + other.begin, n);
    return n;
  case 2: /* deeper */
    n = pick % 300;
    memset(out, '[', n);
    memcpy(out + n, t + v.begin, size);
    memset(out + n + size, ']', n);
    return 2 * n + size;
  case 3: /* twice */
    memcpy(out, t + v.begin, size);
    out[size] = ',';
    memcpy(out + size + 1, t + v.begin, size);
    return 2 * size + 1;
  case 4: /* a long string */
    n = pick % (MOST_NEW / 2);
    out[0] = '"';
    memset(out + 1, 'a' + (int)(pick % 26), n);
    out[n + 1] = '"';
    return n + 2;
  default: return 0; /* nothing */
  }
}

size_t fuzz_mutate_json(uint8_t *text, size_t size, size_t most, uint32_t seed) {
  static span values[MOST_VALUES];
  static uint8_t fresh[MOST_NEW];
  size_t n = find_values(values, text, size);
  if (n == 0) return size;
  uint32_t r = seed * 2654435761u;
  span v = values[r % n], other = values[(r >> 7) % n];
  size_t length = replacement(fresh, text, v, other, r >> 11);
  size_t tail = size - v.end;
  if (v.begin + length + tail > most) return size;
  memmove(text + v.begin + length, text + v.end, tail);
  memcpy(text + v.begin, fresh, length);
  return v.begin + length + tail;
}

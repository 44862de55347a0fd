/* cli_text.c - see cli_text.h. */
#include "cli_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void out_of_memory(void) {
  fputs("error: out of memory\n", stderr);
  exit(1);
}

void *cli_alloc(size_t size) {
  void *p = calloc(1, size == 0 ? 1 : size);
  if (p == NULL) out_of_memory();
  return p;
}

void *cli_resize(void *pointer, size_t size) {
  void *p = realloc(pointer, size == 0 ? 1 : size);
  if (p == NULL) out_of_memory();
  return p;
}

char *cli_copy(const char *bytes, size_t size) {
  char *copy = cli_alloc(size + 1);
  if (size > 0) memcpy(copy, bytes, size);
  return copy;
}

void text_free(text *t) {
  free(t->data);
  *t = (text){0};
}

void text_clear(text *t) {
  t->size = 0;
  if (t->data != NULL) t->data[0] = '\0';
}

static void reserve(text *t, size_t more) {
  if (more > SIZE_MAX / 4 || t->size > SIZE_MAX / 4) out_of_memory();
  size_t wanted = t->size + more + 1;
  if (wanted <= t->capacity) return;
  size_t capacity = t->capacity < 64 ? 64 : t->capacity;
  while (capacity < wanted) capacity *= 2;
  t->data = cli_resize(t->data, capacity);
  t->capacity = capacity;
}

void text_add(text *t, const char *bytes, size_t size) {
  reserve(t, size);
  if (size > 0) memcpy(t->data + t->size, bytes, size);
  t->size += size;
  t->data[t->size] = '\0';
}

void text_put(text *t, const char *string) {
  text_add(t, string, strlen(string));
}

void text_putf(text *t, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (length > 0) {
    reserve(t, (size_t)length);
    vsnprintf(t->data + t->size, (size_t)length + 1, format, again);
    t->size += (size_t)length;
  }
  va_end(again);
}

const char *text_get(const text *t) {
  return t->data == NULL ? "" : t->data;
}

size_t text_character(int32_t *out, const char *bytes, size_t size) {
  const unsigned char *b = (const unsigned char *)bytes;
  static const int32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t n = b[0] < 0x80   ? 1
             : b[0] < 0xc2 ? 0
             : b[0] < 0xe0 ? 2
             : b[0] < 0xf0 ? 3
             : b[0] < 0xf5 ? 4
                           : 0;
  *out = -1;
  if (n == 0 || n > size) return 1;
  int32_t value = n == 1 ? b[0] : b[0] & (0x7f >> n);
  for (size_t i = 1; i < n; i++) {
    if ((b[i] & 0xc0) != 0x80) return 1;
    value = (value << 6) | (b[i] & 0x3f);
  }
  if (value < smallest[n] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return 1;
  *out = value;
  return n;
}

bool text_is_control(int32_t c) {
  if (c == '\n' || c == '\t') return false;
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069);
}

void text_put_visible(text *t, const char *bytes, size_t size) {
  for (size_t at = 0; at < size;) {
    int32_t c;
    size_t n = text_character(&c, bytes + at, size - at);
    if (c == '\n')
      text_put(t, "\\n");
    else if (c == '\t')
      text_put(t, "\\t");
    else if (c == '\r')
      text_put(t, "\\r");
    else if (c < 0)
      text_putf(t, "\\x%02x", (unsigned char)bytes[at]);
    else if (text_is_control(c))
      text_putf(t, c < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned)c);
    else
      text_add(t, bytes + at, n);
    at += n;
  }
}

void text_put_shell_word(text *out, const char *word) {
  static const char safe[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%";
  if (word[0] != '\0' && word[strspn(word, safe)] == '\0') {
    text_put(out, word);
    return;
  }
  text_put(out, "'");
  for (const char *c = word; *c != '\0'; c++)
    if (*c == '\'')
      text_put(out, "'\\''");
    else
      text_add(out, c, 1);
  text_put(out, "'");
}

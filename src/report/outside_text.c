/* outside_text.c - see outside_text.h. */
#include "outside_text.h"

#include "base/utf8.h"

enum { LARGEST_JSON_TEXT = 4 << 20 };

bool lb__outside_next(uint32_t *c, const char **s) {
  size_t size = strnlen(*s, 4);
  if (size == 0) return false;
  int n = lb__utf8_decode(c, *s, size);
  if (n == 0) *c = 0xFFFD;
  *s += n > 0 ? (size_t)n : lb__utf8_invalid_run(*s, size);
  return true;
}

void lb__outside_add(lb__buf *b, uint32_t c) {
  char bytes[4];
  lb__buf_add(b, bytes, (size_t)lb__utf8_encode(bytes, c));
}

json_t *lb__outside_json(const char *text) {
  lb__buf b;
  uint32_t c;
  lb__buf_init(&b, LARGEST_JSON_TEXT);
  while (lb__outside_next(&c, &text)) lb__outside_add(&b, c);
  json_t *value = b.failed ? NULL : json_string(lb__buf_text(&b));
  lb__buf_deinit(&b);
  return value;
}

/* Cannot be seen, and changes what is seen beside it (Unicode 15, sections 23.1 and 23.2). */
static bool is_hidden(uint32_t c) {
  return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0) ||
         (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

void lb__outside_add_html(lb__buf *b, const char *text) {
  uint32_t c;
  while (lb__outside_next(&c, &text)) {
    switch (c) {
    case '&': lb__buf_add_text(b, "&amp;"); break;
    case '<': lb__buf_add_text(b, "&lt;"); break;
    case '>': lb__buf_add_text(b, "&gt;"); break;
    case '"': lb__buf_add_text(b, "&quot;"); break;
    case '\'': lb__buf_add_text(b, "&#39;"); break;
    default: lb__outside_add(b, is_hidden(c) ? 0xFFFD : c);
    }
  }
}

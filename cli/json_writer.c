/* json_writer.c - see json_writer.h. */
#include "json_writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void writer_free(writer *w) {
  text_free(&w->line);
}

/* Line ends of Unicode are no line ends of JSON Lines, but programs that split lines by Unicode's
 * rules (Python's splitlines) would cut an object there. */
static bool is_line_end(int32_t c) {
  return c == 0x85 || c == 0x2028 || c == 0x2029;
}

static void put_quoted(text *t, const char *bytes, size_t size) {
  text_add(t, "\"", 1);
  size_t plain = 0; /* where the run of bytes that need nothing began */
  for (size_t at = 0; at < size;) {
    int32_t c;
    size_t n = text_character(&c, bytes + at, size - at);
    if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f || is_line_end(c)) {
      text_add(t, bytes + plain, at - plain);
      plain = at + n;
      if (c < 0)
        text_put(t, "\xef\xbf\xbd");
      else if (c == '"' || c == '\\')
        text_putf(t, "\\%c", (int)c);
      else if (c == '\n')
        text_put(t, "\\n");
      else if (c == '\t')
        text_put(t, "\\t");
      else
        text_putf(t, "\\u%04x", (unsigned)c);
    }
    at += n;
  }
  text_add(t, bytes + plain, size - plain);
  text_add(t, "\"", 1);
}

/* The comma and the key before a value. */
static void begin(writer *w, const char *key) {
  if (w->needs_comma) text_add(&w->line, ",", 1);
  w->needs_comma = true;
  if (key == NULL) return;
  put_quoted(&w->line, key, strlen(key));
  text_add(&w->line, ":", 1);
}

static void open_with(writer *w, const char *key, const char *bracket) {
  begin(w, key);
  text_add(&w->line, bracket, 1);
  w->needs_comma = false;
}

static void close_with(writer *w, const char *bracket) {
  text_add(&w->line, bracket, 1);
  w->needs_comma = true;
}

void writer_open_object(writer *w, const char *key) {
  open_with(w, key, "{");
}
void writer_close_object(writer *w) {
  close_with(w, "}");
}
void writer_open_array(writer *w, const char *key) {
  open_with(w, key, "[");
}
void writer_close_array(writer *w) {
  close_with(w, "]");
}

void writer_text(writer *w, const char *key, const char *bytes, size_t size) {
  begin(w, key);
  put_quoted(&w->line, bytes, size);
}

void writer_string(writer *w, const char *key, const char *string) {
  if (string != NULL) {
    writer_text(w, key, string, strlen(string));
    return;
  }
  begin(w, key);
  text_put(&w->line, "null");
}

void writer_int(writer *w, const char *key, int64_t x) {
  begin(w, key);
  text_putf(&w->line, "%lld", (long long)x);
}

void writer_uint(writer *w, const char *key, uint64_t x) {
  begin(w, key);
  text_putf(&w->line, "%llu", (unsigned long long)x);
}

/* The shortest of the usual digits that reads back as the same number. */
static void put_double(text *t, double x) {
  char digits[40];
  if (!isfinite(x)) {
    text_put(t, "null");
    return;
  }
  snprintf(digits, sizeof digits, "%.15g", x);
  if (strtod(digits, NULL) != x) snprintf(digits, sizeof digits, "%.17g", x);
  text_put(t, digits);
}

static void put_float(text *t, float x) {
  char digits[40];
  if (!isfinite(x)) {
    text_put(t, "null");
    return;
  }
  snprintf(digits, sizeof digits, "%.9g", (double)x);
  text_put(t, digits);
}

void writer_real(writer *w, const char *key, double x) {
  begin(w, key);
  put_double(&w->line, x);
}

void writer_float(writer *w, const char *key, float x) {
  begin(w, key);
  put_float(&w->line, x);
}

void writer_bool(writer *w, const char *key, bool x) {
  begin(w, key);
  text_put(&w->line, x ? "true" : "false");
}

void writer_ids(writer *w, const char *key, const int32_t *ids, size_t n) {
  writer_open_array(w, key);
  for (size_t i = 0; i < n; i++) writer_int(w, NULL, ids[i]);
  writer_close_array(w);
}

void writer_floats(writer *w, const char *key, const float *x, size_t n) {
  writer_open_array(w, key);
  for (size_t i = 0; i < n; i++) writer_float(w, NULL, x[i]);
  writer_close_array(w);
}

void writer_end_line(writer *w) {
  text_add(&w->line, "\n", 1);
  fwrite(w->line.data, 1, w->line.size, stdout);
  text_clear(&w->line);
  w->needs_comma = false;
}

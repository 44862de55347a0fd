/* json_writer.h - one JSON object per line on stdout: what --json promises.
 *
 *     writer w = {0};
 *     writer_open_object(&w, NULL);
 *     writer_ids(&w, "ids", ids, n);
 *     writer_real(&w, "nll", nll);        // null when it is not finite
 *     writer_close_object(&w);
 *     writer_end_line(&w);
 *
 * Numbers are written so that reading them back gives the same float or double. Text that is not
 * UTF-8 (half a character that a model stopped in) is written with U+FFFD in the broken places. */
#ifndef JSON_WRITER_H
#define JSON_WRITER_H

#include "cli_text.h"

#include <stdint.h>

typedef struct writer {
  text line;
  bool needs_comma;
} writer;

void writer_free(writer *w);
/* `key` is NULL inside arrays and at the top. */
void writer_open_object(writer *w, const char *key);
void writer_close_object(writer *w);
void writer_open_array(writer *w, const char *key);
void writer_close_array(writer *w);
void writer_text(writer *w, const char *key, const char *bytes, size_t size);
void writer_string(writer *w, const char *key, const char *string); /* NULL: null */
void writer_int(writer *w, const char *key, int64_t x);
void writer_uint(writer *w, const char *key, uint64_t x);
void writer_real(writer *w, const char *key, double x);
void writer_float(writer *w, const char *key, float x);
void writer_bool(writer *w, const char *key, bool x);
void writer_ids(writer *w, const char *key, const int32_t *ids, size_t n);
void writer_floats(writer *w, const char *key, const float *x, size_t n);
/* Writes the line to stdout and starts anew. */
void writer_end_line(writer *w);

#endif

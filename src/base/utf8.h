/* utf8.h - reading and writing UTF-8 strictly (RFC 3629: no surrogates, no overlong forms). */
#ifndef LB_BASE_UTF8_H
#define LB_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes one character at s (size > 0). Returns its length 1..4, or 0 when invalid. */
int lb__utf8_decode(uint32_t *code_point, const char *s, size_t size);
/* Writes 1..4 bytes, returns how many; code_point must be a Unicode scalar value. */
int lb__utf8_encode(char out[4], uint32_t code_point);
size_t lb__ascii_prefix(const char *s, size_t size); /* how many bytes at the start are ASCII */
bool lb__utf8_valid(const char *s, size_t size);
size_t lb__utf8_valid_prefix(const char *s, size_t size); /* size when all of it is valid */
/* How many bytes at the start of s form whole, valid-or-hopelessly-invalid characters: the rest
 * (at most 3 bytes) is a valid beginning that needs more input. For streaming output. */
size_t lb__utf8_complete(const char *s, size_t size);

/* Length of the longest run at s to replace by one U+FFFD, as Rust's String::from_utf8_lossy and
 * Python's errors="replace" do; s must start with an invalid sequence. */
size_t lb__utf8_invalid_run(const char *s, size_t size);

#endif

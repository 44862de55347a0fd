/* cli_text.h - growing text, and memory that does not fail: the binary ends with a message when
 * there is none left (the library never does). */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <limbeck/status.h>

#include <stdbool.h>

/* Memory or the end of the process, with "error: out of memory". */
void *cli_alloc(size_t size);
void *cli_resize(void *pointer, size_t size);
char *cli_copy(const char *bytes, size_t size); /* adds a NUL */

/* Always NUL-terminated once something was added; a zeroed struct is empty. */
typedef struct text {
  char *data;
  size_t size, capacity;
} text;

void text_free(text *t);
void text_clear(text *t);
void text_add(text *t, const char *bytes, size_t size);
void text_put(text *t, const char *string);
void text_putf(text *t, const char *format, ...) LB_PRINTF(2, 3);
const char *text_get(const text *t); /* "" when empty */

/* Adds a string whose control characters and broken UTF-8 are made visible: \x1b, \n. One line, and
 * harmless on a terminal. */
void text_put_visible(text *t, const char *bytes, size_t size);

/* Adds a word as a POSIX shell reads it: in quotes when it needs them. */
void text_put_shell_word(text *t, const char *word);

/* The length in bytes of the UTF-8 character at the front of bytes, and its value; 1 and -1 for a
 * broken one. size > 0. */
size_t text_character(int32_t *out, const char *bytes, size_t size);

/* True for characters that steer a terminal or reorder what is read: C0 but \t \n, DEL, C1, and
 * the bidirectional overrides. */
bool text_is_control(int32_t character);

#endif

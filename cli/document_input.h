/* document_input.h - JSON Lines in: {"text":...}, {"ids":[...]} or {"messages":[...]}, one document
 * per line, from a file or standard input. An error names the file and the line. */
#ifndef DOCUMENT_INPUT_H
#define DOCUMENT_INPUT_H

#include "cli.h"
#include "text_side.h"

#include <limbeck/model.h>

#include <jansson.h>

typedef struct line_input {
  const cli *c;
  const char *name; /* for errors */
  int fd;
  char *bytes; /* read and not yet used: [begin, end) */
  size_t begin, end;
  int error;     /* errno of a failed read, 0: none */
  size_t number; /* of the line last read, from 1 */
  text line;
} line_input;

/* `path` "-" is standard input. @return false after telling why */
bool line_input_open(line_input *in, const cli *c, const char *path);
void line_input_close(line_input *in);

/* True when the next line is not there yet: whoever collects lines should answer those it has, for
 * the program at the other end of the pipe may be waiting for that. */
bool line_input_waits(const line_input *in);

typedef enum line_result { LINE_READ, LINE_END, LINE_BAD } line_result;
/* The next line that is not blank, in in->line. LINE_BAD after telling why. */
line_result line_input_next(line_input *in);
/* The line as an object, the caller's to decref; NULL after telling why. */
json_t *line_input_object(const line_input *in);
/* Tells an error of the line. @return CLI_FAILED */
int line_input_failure(const line_input *in, const char *format, ...) LB_PRINTF(2, 3);
/* object[key], a list of token ids. @return false after telling why */
bool line_input_ids(id_list *out, const line_input *in, const json_t *list);

/* Reads the next line and makes it token ids that the model can read; what it cannot is told with
 * the line's number, which the library does not know. */
typedef struct document {
  size_t line;
  id_list ids; /* free with document_free */
} document;
line_result document_next(document *out, line_input *in, text_side *side, const lb_model *model,
                          bool add_special);
void document_free(document *d);

#endif

/* text_stream.h - the text of one growing sequence, and where a stop string ends it.
 *
 * Text is held back while it may be the beginning of a stop string; what is before one is shown,
 * the stop string and what follows never is. Bytes that are not yet a whole character are held back
 * by the source. Refuses: knowing tokenizers (a source is a table; detokenizer.c fills it in). */
#ifndef LB_GENERATE_TEXT_STREAM_H
#define LB_GENERATE_TEXT_STREAM_H

#include "base/memory.h"

/* Turns ids into text, one sequence per state. Text is valid until the state's next call. */
typedef struct lb__text_source {
  lb_status (*open)(void **state, const void *ctx, lb_error *err);
  lb_status (*feed)(void *state, int32_t id, const char **text, size_t *size, lb_error *err);
  lb_status (*finish)(void *state, const char **text, size_t *size, lb_error *err);
  void (*close)(void *state); /* accepts NULL */
  const void *ctx;
} lb__text_source;

typedef struct lb__text_stream {
  const lb__text_source *source;
  void *state;
  const char *const *stop; /* [n_stop] none of them empty */
  size_t n_stop, longest_stop;
  lb__buf text; /* all so far, cut before a stop string */
  size_t shown; /* bytes already taken */
  size_t ready; /* bytes that may be shown: shown <= ready <= text.size */
  bool stopped; /* a stop string was found; feeding goes on without effect */
  bool finished;
} lb__text_stream;

lb_status lb__text_stream_init(lb__text_stream *t, const lb__text_source *source,
                               const char *const *stop, size_t n_stop, lb_error *err);
void lb__text_stream_deinit(lb__text_stream *t); /* accepts a zeroed one */
lb_status lb__text_stream_feed(lb__text_stream *t, int32_t id, lb_error *err);
/* No more ids: everything becomes ready. A second call does nothing. */
lb_status lb__text_stream_finish(lb__text_stream *t, lb_error *err);
/* What became ready since the last call; valid until the next. */
const char *lb__text_stream_show(lb__text_stream *t, size_t *size);

#endif

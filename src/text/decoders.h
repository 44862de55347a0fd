/* decoders.h - the decoders of a tokenizer.json as a chain that takes tokens one at a time, so that
 * decoding at once and decoding as a stream are the same code. Owns: every kind that decoder models
 * use, and their configuration. Refuses: unknown kinds, by name.
 *
 * A step receives begin, bytes..., end for each token and sends the same to the next step. A step
 * that fuses tokens sends one begin, all the bytes, and the one end when the chain finishes. */
#ifndef LB_TEXT_DECODERS_H
#define LB_TEXT_DECODERS_H

#include "base/memory.h"
#include "config_path.h"

typedef struct lb__decoder lb__decoder;
typedef struct lb__decoders {
  lb__decoder *items;
  size_t n, capacity;
  bool joins_with_space; /* the file has no decoder: tokens are joined by spaces */
} lb__decoders;

lb_status lb__decoders_compile(lb__decoders *out, const json_t *part, lb_error *err);
void lb__decoders_deinit(lb__decoders *list);

/* One decoding in progress. */
typedef struct lb__decoding lb__decoding;
lb_status lb__decoding_new(lb__decoding **out, const lb__decoders *list, lb_error *err);
void lb__decoding_free(lb__decoding *d);
lb_status lb__decoding_token(lb__decoding *d, const char *text, size_t size, lb_error *err);
lb_status lb__decoding_finish(lb__decoding *d, lb_error *err); /* then only free */
/* What has come out so far; the caller empties it (lb__buf_clear) when it has taken it. */
lb__buf *lb__decoding_output(lb__decoding *d);
/* Bytes of text that are held back and will come out later, unless they turn out to be no UTF-8. */
size_t lb__decoding_held(const lb__decoding *d);

#endif

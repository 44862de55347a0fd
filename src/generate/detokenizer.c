/* detokenizer.c - see detokenizer.h. */
#include "detokenizer.h"

#include "base/fail.h"

typedef struct detokenizer {
  const lb_tokenizer *tokenizer;
  lb_stream_decoder *decoder;
} detokenizer;

static void close_decoder(void *state) {
  detokenizer *d = state;
  if (d == NULL) return;
  lb_stream_decoder_free(d->decoder);
  lb__free(d);
}

static lb_status open_decoder(void **state, const void *ctx, lb_error *err) {
  detokenizer *d = lb__new(sizeof *d);
  *state = NULL;
  if (d == NULL) return lb__fail_nomem(err, "a decoder of text");
  d->tokenizer = ctx;
  lb_status st = lb_stream_decoder_new(&d->decoder, d->tokenizer, true, err);
  if (st != LB_OK) {
    close_decoder(d);
    return st;
  }
  *state = d;
  return LB_OK;
}

static lb_status feed_id(void *state, int32_t id, const char **text, size_t *size, lb_error *err) {
  detokenizer *d = state;
  *text = "";
  *size = 0;
  if (lb_tokenizer_token_text(d->tokenizer, id, NULL) == NULL) return LB_OK;
  return lb_stream_decoder_feed(d->decoder, id, text, size, err);
}

static lb_status finish_text(void *state, const char **text, size_t *size, lb_error *err) {
  return lb_stream_decoder_finish(((detokenizer *)state)->decoder, text, size, err);
}

lb__text_source lb__detokenizer(const lb_tokenizer *tokenizer) {
  return (lb__text_source){open_decoder, feed_id, finish_text, close_decoder, tokenizer};
}

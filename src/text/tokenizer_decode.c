/* tokenizer_decode.c - ids to text, at once and as a stream: both feed decoders.h's chain. */
#include "stream_decoder.h"
#include "tokenizer_internal.h"

#include "base/fail.h"

/* A hole in the vocabulary has no text and is passed over, as in the reference. */
static lb_status feed(const lb_tokenizer *t, lb__decoding *d, int32_t id, bool skip_special,
                      lb_error *err) {
  if (id < 0 || id >= t->n_ids)
    return lb__fail(err, LB_E_ARG, "token id %d is outside the vocabulary (0 to %d)", id,
                    t->n_ids - 1);
  const lb__added_token *added = lb__added_tokens_get(&t->added, id);
  if (added != NULL && added->skipped && skip_special) return LB_OK;
  if (added != NULL) return lb__decoding_token(d, added->shown, added->shown_size, err);
  size_t size;
  const char *text = lb__vocabulary_text(&t->vocabulary, id, &size);
  return text == NULL ? LB_OK : lb__decoding_token(d, text, size, err);
}

lb_status lb_tokenizer_decode(const lb_tokenizer *t, const int32_t *ids, size_t n,
                              bool skip_special_tokens, char **text, size_t *size, lb_error *err) {
  *text = NULL;
  if (size != NULL) *size = 0;
  lb__decoding *d;
  lb_status st = lb__decoding_new(&d, &t->decoders, err);
  for (size_t i = 0; i < n && st == LB_OK; i++) st = feed(t, d, ids[i], skip_special_tokens, err);
  if (st == LB_OK) st = lb__decoding_finish(d, err);
  if (st == LB_OK) {
    lb__buf *out = lb__decoding_output(d);
    if (size != NULL) *size = out->size;
    *text = lb__strndup(lb__buf_text(out), out->size);
    if (*text == NULL) st = lb__fail_nomem(err, "decoded text");
  }
  lb__decoding_free(d);
  return st;
}

void lb_text_free(char *text) {
  lb__free(text);
}

struct lb_stream_decoder {
  const lb_tokenizer *tokenizer;
  lb__decoding *decoding;
  bool skip_special_tokens;
};

lb_status lb_stream_decoder_new(lb_stream_decoder **out, const lb_tokenizer *tokenizer,
                                bool skip_special_tokens, lb_error *err) {
  *out = NULL;
  lb_stream_decoder *s = lb__new(sizeof *s);
  if (s == NULL) return lb__fail_nomem(err, "stream decoder");
  s->tokenizer = tokenizer;
  s->skip_special_tokens = skip_special_tokens;
  lb_status st = lb__decoding_new(&s->decoding, &tokenizer->decoders, err);
  if (st != LB_OK) {
    lb_stream_decoder_free(s);
    return st;
  }
  *out = s;
  return LB_OK;
}

static void show_output(lb_stream_decoder *s, const char **text, size_t *size) {
  const lb__buf *out = lb__decoding_output(s->decoding);
  *text = lb__buf_text(out);
  if (size != NULL) *size = out->size;
}

lb_status lb_stream_decoder_feed(lb_stream_decoder *s, int32_t id, const char **text, size_t *size,
                                 lb_error *err) {
  lb__buf_clear(lb__decoding_output(s->decoding));
  lb_status st = feed(s->tokenizer, s->decoding, id, s->skip_special_tokens, err);
  show_output(s, text, size);
  return st;
}

lb_status lb_stream_decoder_finish(lb_stream_decoder *s, const char **text, size_t *size,
                                   lb_error *err) {
  lb__buf_clear(lb__decoding_output(s->decoding));
  lb_status st = lb__decoding_finish(s->decoding, err);
  show_output(s, text, size);
  return st;
}

size_t lb__stream_decoder_held(const lb_stream_decoder *s) {
  return lb__decoding_held(s->decoding);
}

void lb_stream_decoder_free(lb_stream_decoder *s) {
  if (s == NULL) return;
  lb__decoding_free(s->decoding);
  lb__free(s);
}

/* corpus_show.c - a document as a person sees it: lb__corpus_show of corpus.h. */
#include "corpus_internal.h"

#include "batch.h"

#include "base/fail.h"

typedef struct show {
  lb__shown_piece *pieces;
  size_t n, capacity;
  lb__buf text; /* of the piece being made */
  lb_stream_decoder *decoder;
} show;

static bool is_trained(const lb__document_view *d, int64_t i) {
  return i > 0 && d->targets[i - 1] != LB__NOT_TRAINED;
}

static lb_status end_piece(show *s, bool trained, lb_error *err) {
  if (s->text.size == 0) return LB_OK;
  size_t size = s->text.size;
  char *text = lb__buf_take(&s->text);
  lb__buf_init(&s->text, SIZE_MAX);
  if (text == NULL || !lb__grow(&s->pieces, &s->capacity, s->n + 1, sizeof *s->pieces)) {
    lb__free(text);
    return lb__fail_nomem(err, "shown document");
  }
  s->pieces[s->n++] = (lb__shown_piece){text, size, trained};
  return LB_OK;
}

/* Without a tokenizer: the numbers. */
static lb_status add_token(show *s, int32_t id, lb_error *err) {
  const char *text;
  size_t size;
  if (s->decoder == NULL) {
    lb__buf_printf(&s->text, "%d ", id);
  } else {
    lb_status st = lb_stream_decoder_feed(s->decoder, id, &text, &size, err);
    if (st != LB_OK) return st;
    lb__buf_add(&s->text, text, size);
  }
  return lb__buf_check(&s->text, "shown document", err);
}

static lb_status add_rest(show *s, lb_error *err) {
  const char *text;
  size_t size;
  if (s->decoder == NULL) return LB_OK;
  lb_status st = lb_stream_decoder_finish(s->decoder, &text, &size, err);
  if (st == LB_OK && size > 0 && !lb__buf_add(&s->text, text, size))
    st = lb__fail_nomem(err, "shown document");
  return st;
}

static lb_status show_all(show *s, const lb__document_view *d, lb_error *err) {
  lb_status st = LB_OK;
  for (int64_t i = 0; i < d->n && st == LB_OK; i++) {
    if (i > 0 && is_trained(d, i) != is_trained(d, i - 1))
      st = end_piece(s, is_trained(d, i - 1), err);
    if (st == LB_OK) st = add_token(s, d->ids[i], err);
  }
  if (st == LB_OK) st = add_rest(s, err);
  return st == LB_OK ? end_piece(s, is_trained(d, d->n - 1), err) : st;
}

lb_status lb__corpus_show(lb__shown_piece **pieces, size_t *n, const lb__corpus *c,
                          int64_t document, const lb_tokenizer *tokenizer, lb_error *err) {
  *pieces = NULL;
  *n = 0;
  if (document < 0 || document >= (int64_t)c->n)
    return lb__fail(err, LB_E_ARG, "document %lld of %zu", (long long)document, c->n);
  show s = {0};
  lb__buf_init(&s.text, SIZE_MAX);
  const lb__document_view view = lb__corpus_document(c, document);
  lb_status st = LB_OK;
  if (tokenizer != NULL) st = lb_stream_decoder_new(&s.decoder, tokenizer, false, err);
  if (st == LB_OK) st = show_all(&s, &view, err);
  lb_stream_decoder_free(s.decoder);
  lb__buf_deinit(&s.text);
  if (st != LB_OK) {
    lb__shown_pieces_free(s.pieces, s.n);
    return st;
  }
  *pieces = s.pieces;
  *n = s.n;
  return LB_OK;
}

void lb__shown_pieces_free(lb__shown_piece *pieces, size_t n) {
  for (size_t i = 0; i < n; i++) lb__free(pieces[i].text);
  lb__free(pieces);
}

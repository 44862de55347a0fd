/* tokenizer_encode.c - one encoding call: the two passes over added tokens, and the pipeline for
 * what lies between them. Read tokenizer_internal.h first. */
#include "tokenizer_internal.h"

#include "base/fail.h"
#include "base/utf8.h"

/* ---- encoders: one per thread that is encoding right now ---- */

void lb__encoder_free(lb__encoder *e) {
  if (e == NULL) return;
  lb__rewriting_deinit(&e->normal);
  lb__pieces_deinit(&e->pieces);
  lb__bpe_scratch_free(e->bpe);
  lb__free(e->unigram.nodes);
  lb__free(e->ids.items);
  lb__free(e);
}

static lb__encoder *new_encoder(void) {
  lb__encoder *e = lb__new(sizeof *e);
  if (e == NULL) return NULL;
  lb__rewriting_init(&e->normal);
  lb__pieces_init(&e->pieces);
  e->bpe = lb__bpe_scratch_new();
  if (e->bpe != NULL) return e;
  lb__encoder_free(e);
  return NULL;
}

/* The spare scratch is the one part of an open tokenizer that changes; it is atomic. */
static lb__encoder *take_encoder(const lb_tokenizer *tokenizer) {
  lb_tokenizer *t = (lb_tokenizer *)(uintptr_t)tokenizer;
  for (size_t i = 0; i < LB__MAX_ENCODERS; i++) {
    lb__encoder *e = atomic_exchange(&t->encoders[i], NULL);
    if (e != NULL) return e;
  }
  return new_encoder();
}

static void return_encoder(const lb_tokenizer *tokenizer, lb__encoder *e) {
  lb_tokenizer *t = (lb_tokenizer *)(uintptr_t)tokenizer;
  for (size_t i = 0; i < LB__MAX_ENCODERS; i++) {
    lb__encoder *empty = NULL;
    if (atomic_compare_exchange_strong(&t->encoders[i], &empty, e)) return;
  }
  lb__encoder_free(e);
}

/* ---- the pipeline ---- */

typedef struct job {
  const lb_tokenizer *t;
  lb__encoder *e;
  bool parse_special;
  const struct lb__byte_range *user; /* user text, in bytes of the whole text */
  size_t n_user;
  lb_error *err;
} job;

/* Pre-tokenise and run the model on normalised text without added tokens. */
static lb_status encode_plain(const job *j, const char *text, size_t size, bool at_origin) {
  const lb_tokenizer *t = j->t;
  lb__pieces *p = &j->e->pieces;
  lb__rewriting_begin(&p->text, text, size, at_origin);
  lb_status st = lb__pretokenize(p, &t->pretokenizers, j->err);
  for (size_t i = 0; i < p->spans.n && st == LB_OK; i++) {
    const char *piece = p->text.text + p->spans.items[i].start;
    size_t piece_size = p->spans.items[i].end - p->spans.items[i].start;
    st = t->is_unigram ? lb__unigram_encode(&t->unigram, &j->e->unigram, piece, piece_size,
                                            &j->e->ids, j->err)
                       : lb__bpe_encode(&t->bpe, j->e->bpe, piece, piece_size, &j->e->ids, j->err);
  }
  return st;
}

/* Handles what lies between two added tokens. */
typedef lb_status between(const job *j, const char *text, size_t size, size_t offset,
                          bool at_origin);

/* Splits text at the tokens that `search` finds. `offset`: where text stands in the whole. */
static lb_status split_at_tokens(const job *j, const lb__added_search *search, const char *text,
                                 size_t size, bool at_origin, between *handle) {
  size_t position = 0, done = 0, start, end;
  lb_status st = LB_OK;
  const lb__added_token *token;
  while (st == LB_OK && (token = lb__added_tokens_next(search, text, size, &position, done, &start,
                                                       &end)) != NULL) {
    if (start > done) st = handle(j, text + done, start - done, done, at_origin && done == 0);
    if (st == LB_OK && !lb__ids_add(&j->e->ids, token->id)) st = lb__fail_nomem(j->err, "tokens");
    done = end;
  }
  if (st == LB_OK && done < size)
    st = handle(j, text + done, size - done, done, at_origin && done == 0);
  return st;
}

static lb_status handle_plain(const job *j, const char *text, size_t size, size_t offset,
                              bool at_origin) {
  (void)offset;
  return encode_plain(j, text, size, at_origin);
}

/* Pass 2: normalise, then the tokens that are compared with normalised text. */
static lb_status handle_raw(const job *j, const char *text, size_t size, size_t offset,
                            bool at_origin) {
  lb__rewriting *r = &j->e->normal;
  lb__rewriting_begin(r, text, size, at_origin && offset == 0);
  lb_status st = lb__normalize(r, &j->t->normalizers, j->err);
  if (st != LB_OK || r->size == 0) return st;
  lb__added_search search = {.tokens = &j->t->added,
                             .normalized = true,
                             .with_normalized_special = j->n_user > 0,
                             .ignore_special = !j->parse_special};
  return split_at_tokens(j, &search, r->text, r->size, r->at_origin, handle_plain);
}

/* Pass 1. With user text, special tokens of both kinds are looked for here, where places in the
 * text are still known; otherwise only those that are compared with raw text. */
static lb_status encode_text(const job *j, const char *text, size_t size) {
  lb__added_search search = {.tokens = &j->t->added,
                             .with_normalized_special = j->n_user > 0,
                             .ignore_special = !j->parse_special,
                             .forbidden = j->user,
                             .n_forbidden = j->n_user};
  return split_at_tokens(j, &search, text, size, true, handle_raw);
}

/* ---- from outside ---- */

lb_encode_options lb_encode_options_default(void) {
  return (lb_encode_options){.add_special_tokens = true, .parse_special = true};
}

static lb_status check_text(const char *text, size_t size, lb_error *err) {
  if (size > LB__TEXT_MAX)
    return lb__fail(err, LB_E_LIMIT, "text of %zu bytes; at most %zu at once", size, LB__TEXT_MAX);
  size_t valid = lb__utf8_valid_prefix(text, size);
  if (valid == size) return LB_OK;
  return lb__fail(err, LB_E_ARG, "text is not valid UTF-8 at byte %zu", valid);
}

/* Moves the ids out of the encoder. */
static lb_status give_ids(lb__encoder *e, int32_t **ids, size_t *n, lb_error *err) {
  *ids = lb__alloc_array(e->ids.n, sizeof **ids);
  if (*ids == NULL) return lb__fail_nomem(err, "tokens");
  if (e->ids.n > 0) memcpy(*ids, e->ids.items, e->ids.n * sizeof **ids);
  *n = e->ids.n;
  return LB_OK;
}

static lb_status encode(const lb_tokenizer *t, const char *text, size_t size,
                        const struct lb__byte_range *user, size_t n_user,
                        const lb_encode_options *options, int32_t **ids, size_t *n, lb_error *err) {
  lb_encode_options o = options != NULL ? *options : lb_encode_options_default();
  lb_status st = check_text(text, size, err);
  if (st != LB_OK) return st;
  lb__encoder *e = take_encoder(t);
  if (e == NULL) return lb__fail_nomem(err, "tokens");
  e->ids.n = 0;
  const job j = {t, e, o.parse_special, user, n_user, err};
  st = encode_text(&j, text, size);
  if (st == LB_OK && o.add_special_tokens) st = lb__templates_apply(&t->templates, &e->ids, err);
  if (st == LB_OK) st = give_ids(e, ids, n, err);
  return_encoder(t, e);
  return st;
}

lb_status lb_tokenizer_encode(const lb_tokenizer *t, const char *text, size_t size,
                              const lb_encode_options *options, int32_t **ids, size_t *n,
                              lb_error *err) {
  *ids = NULL;
  *n = 0;
  return encode(t, size > 0 ? text : "", size, NULL, 0, options, ids, n, err);
}

lb_status lb_tokenizer_encode_spans(const lb_tokenizer *t, const lb_text_span *spans,
                                    size_t n_spans, const lb_encode_options *options, int32_t **ids,
                                    size_t *n, lb_error *err) {
  *ids = NULL;
  *n = 0;
  lb__buf text;
  lb__buf_init(&text, LB__TEXT_MAX);
  struct lb__byte_range *user = lb__alloc_array(n_spans, sizeof *user);
  size_t n_user = 0;
  for (size_t i = 0; user != NULL && i < n_spans; i++) {
    if (spans[i].size == 0) continue;
    if (spans[i].is_user_text)
      user[n_user++] = (struct lb__byte_range){text.size, text.size + spans[i].size};
    lb__buf_add(&text, spans[i].text, spans[i].size);
  }
  lb_status st = user == NULL ? lb__fail_nomem(err, "text spans")
                              : lb__buf_check(&text, "text of all spans", err);
  if (st == LB_OK)
    st = encode(t, lb__buf_text(&text), text.size, user, n_user, options, ids, n, err);
  lb__buf_deinit(&text);
  lb__free(user);
  return st;
}

void lb_ids_free(int32_t *ids) {
  lb__free(ids);
}

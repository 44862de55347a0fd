/* token_counts.c - see limbeck/token_counts.h: a corpus is read, its ids are counted. */
#include "corpus.h"

#include "base/fail.h"
#include "base/files.h"
#include "base/log.h"

#include <limbeck/token_counts.h>

enum { LONGEST = 1 << 30 }; /* tokens of a document: documents are counted whole */

typedef struct reading {
  lb_token_counts *counts;
  int64_t *table; /* counts->counts */
  lb_tokenizer *tokenizer;
  lb_chat_template *chat;
  lb__corpus *corpus;
  lb_token_counts_options o;
} reading;

lb_token_counts_options lb_token_counts_options_default(void) {
  return (lb_token_counts_options){0};
}

void lb_token_counts_free(lb_token_counts *c) {
  if (c == NULL) return;
  lb__free((void *)(uintptr_t)c->counts);
  lb__free(c);
}

static void on_read(void *ctx, uint64_t done, uint64_t total, int64_t n_documents) {
  const reading *r = ctx;
  (void)n_documents;
  if (r->o.on_progress != NULL) r->o.on_progress(r->o.on_progress_ctx, done, total);
}

/* A template is missed only where a row is a conversation, and then that is told. */
static lb_status open_text(reading *r, const char *model, lb_error *err) {
  lb_error why = {0};
  lb_status st = lb_tokenizer_open(&r->tokenizer, model, err);
  if (st != LB_OK) return st;
  st = lb_chat_template_open(&r->chat, model, NULL, &why);
  if (st == LB_E_NOMEM) return lb__fail_nomem(err, "a chat template");
  if (st != LB_OK) lb__log(LB_LOG_DEBUG, "no chat template: %s", why.message);
  return LB_OK;
}

static lb_status open_corpus(reading *r, const char *const *paths, size_t n_paths, lb_error *err) {
  lb__corpus_options o = lb__corpus_options_default();
  char *tokens = lb__temporary_path("limbeck-count");
  if (tokens == NULL) return lb__fail_nomem(err, "a path");
  o.paths = paths;
  o.n_paths = n_paths;
  o.train_on = LB__TRAIN_ON_ALL;
  o.text_field = r->o.text_field;
  o.max_length = LONGEST;
  o.vocab_size = lb_tokenizer_size(r->tokenizer);
  o.tokenizer = r->tokenizer;
  o.chat_template = r->chat;
  o.cache_path = tokens;
  o.cancel = r->o.cancel;
  o.on_progress = on_read;
  o.on_progress_ctx = r;
  lb_status st = lb__corpus_open(&r->corpus, &o, err);
  lb__free(tokens);
  return st;
}

static lb_status count(reading *r, lb_error *err) {
  lb_token_counts *c = r->counts;
  const lb__corpus_facts *f = lb__corpus_get_facts(r->corpus);
  c->n_ids = lb_tokenizer_size(r->tokenizer);
  r->table = lb__new_array((size_t)c->n_ids + 1, sizeof *r->table);
  if (r->table == NULL) return lb__fail_nomem(err, "token counts");
  c->counts = r->table;
  c->n_documents = lb__corpus_n_documents(r->corpus);
  for (int64_t i = 0; i < c->n_documents; i++) {
    lb__document_view d = lb__corpus_document(r->corpus, i);
    for (int64_t k = 0; k < d.n; k++) c->n_used += r->table[d.ids[k]]++ == 0;
    c->n_tokens += d.n;
  }
  if (f->n_bad_lines > 0)
    lb__log(LB_LOG_WARN, "%lld rows could not be used and were not counted; the first: %s",
            (long long)f->n_bad_lines, f->first_bad);
  return LB_OK;
}

lb_status lb_token_counts_read(lb_token_counts **out, const char *model, const char *const *paths,
                               size_t n_paths, const lb_token_counts_options *options,
                               lb_error *err) {
  reading r = {.o = options != NULL ? *options : lb_token_counts_options_default()};
  *out = NULL;
  r.counts = lb__new(sizeof *r.counts);
  lb_status st = r.counts != NULL ? LB_OK : lb__fail_nomem(err, "token counts");
  if (st == LB_OK) st = open_text(&r, model, err);
  if (st == LB_OK) st = open_corpus(&r, paths, n_paths, err);
  if (st == LB_OK) st = count(&r, err);
  lb__corpus_free(r.corpus);
  lb_chat_template_free(r.chat);
  lb_tokenizer_free(r.tokenizer);
  if (st == LB_OK)
    *out = r.counts;
  else
    lb_token_counts_free(r.counts);
  return st;
}

/* corpus_build.c - lb__corpus_open: batches of rows are rendered by all threads, their documents
 * are kept in the order of the rows, so the result does not depend on the number of threads.
 *
 * Tokens are written through the atomic save into cache_path, which is mapped and then removed from
 * its folder: nobody can change it under us, and nothing is left behind however the run ends. */
#include "corpus_internal.h"

#include "dataset.h"
#include "render.h"

#include "base/fail.h"
#include "base/threads.h"

enum { ROWS_AT_ONCE = 4 }; /* of a batch, for one thread: rows are of uneven length */

typedef struct builder {
  lb__corpus *corpus;
  lb__corpus_options o;
  lb__render_rules rules;
  lb__dataset *data;
  lb__row_batch batch;
  lb__made_row *made; /* one for each row of a batch */
  size_t made_capacity;
  lb__save save; /* when there is a cache_path */
  bool saves;
  int64_t good_rows, bad_rows; /* of the file being read */
  lb_error first_bad;          /* of the file being read */
  lb_error *err;
} builder;

/* ---- checks ---- */

static lb_status check_options(const lb__corpus_options *o, lb_error *err) {
  if (o->n_paths == 0) return lb__fail(err, LB_E_ARG, "no data: want a file or a folder");
  if (o->max_length < 2)
    return lb__fail(err, LB_E_ARG, "max_length: want at least 2 tokens, found %lld",
                    (long long)o->max_length);
  if (o->max_documents < 0)
    return lb__fail(err, LB_E_ARG, "max_documents: want 0 (all) or more, found %lld",
                    (long long)o->max_documents);
  if (lb__data_format_name(o->format) == NULL)
    return lb__fail(err, LB_E_ARG, "format: %d is not one of them", (int)o->format);
  return LB_OK;
}

/* What `auto` comes to, for people to read. */
static lb__train_on resolve(lb__train_on train_on, lb__data_format format) {
  if (train_on != LB__TRAIN_ON_AUTO) return train_on;
  switch (format) {
  case LB__DATA_PROMPT:
  case LB__DATA_ALPACA: return LB__TRAIN_ON_COMPLETION;
  case LB__DATA_MESSAGES:
  case LB__DATA_SHAREGPT: return LB__TRAIN_ON_ASSISTANT;
  case LB__DATA_TEXT: return LB__TRAIN_ON_ALL;
  case LB__DATA_TOKENS:
  case LB__DATA_AUTO: break;
  }
  return LB__TRAIN_ON_AUTO; /* tokens: the labels */
}

/* ---- rendering a batch ---- */

static bool is_cancelled(const builder *b) {
  return b->o.cancel != NULL && *b->o.cancel != 0;
}

static void render_range(void *ctx, int64_t begin, int64_t end) {
  builder *b = ctx;
  for (int64_t i = begin; i < end && !is_cancelled(b); i++)
    lb__render_row(&b->made[i], &b->batch.rows[i], lb__buf_text(&b->batch.bytes), &b->rules);
}

static lb_status render_batch(builder *b) {
  size_t before = b->made_capacity;
  if (!lb__grow(&b->made, &b->made_capacity, b->batch.n, sizeof *b->made))
    return lb__fail_nomem(b->err, "batch of rows");
  if (b->made_capacity > before)
    memset(b->made + before, 0, (b->made_capacity - before) * sizeof *b->made);
  for (size_t i = 0; i < b->batch.n; i++) lb__made_row_reset(&b->made[i]);
  lb__parallel_for_dynamic((int64_t)b->batch.n, ROWS_AT_ONCE, render_range, b);
  if (is_cancelled(b)) return lb__fail(b->err, LB_E_CANCELLED, "reading the data was stopped");
  return LB_OK;
}

/* ---- keeping what was made ---- */

static lb_status put_cells(builder *b, const int32_t *cells, size_t n) {
  lb__corpus *c = b->corpus;
  if (b->saves) {
    lb_status st = lb__save_write(&b->save, cells, n * sizeof *cells, b->err);
    c->n_cells += n;
    return st;
  }
  if (!lb__grow(&c->memory, &c->memory_capacity, c->n_cells + n, sizeof *c->memory))
    return lb__fail_nomem(b->err, "tokens");
  memcpy(c->memory + c->n_cells, cells, n * sizeof *cells);
  c->n_cells += n;
  return LB_OK;
}

static bool is_full(const builder *b) {
  return b->o.max_documents > 0 && (int64_t)b->corpus->n >= b->o.max_documents;
}

static lb_status keep_row(builder *b, const lb__made_row *row) {
  lb__corpus_facts *f = &b->corpus->facts;
  size_t n_cells = 0, before = b->corpus->n_cells;
  lb_status st = LB_OK;
  if (f->format == LB__DATA_AUTO) f->format = row->format;
  f->n_untrained += row->n_untrained;
  f->n_truncated += row->n_truncated;
  f->n_too_short += row->n_too_short;
  b->good_rows++;
  for (size_t i = 0; i < row->n_documents && st == LB_OK && !is_full(b); i++) {
    const lb__made_document *d = &row->documents[i];
    lb__document_entry entry = {(int64_t)(before + d->begin), d->n, d->n_trained};
    n_cells = d->begin + 2 * (size_t)d->n;
    st = lb__corpus_add_entry(b->corpus, entry, d->hash, b->err);
  }
  return st == LB_OK && n_cells > 0 ? put_cells(b, row->cells, n_cells) : st;
}

static void count_bad(builder *b, const lb__row *at, const lb__made_row *row) {
  lb__corpus_facts *f = &b->corpus->facts;
  if (b->bad_rows++ == 0)
    lb__fail(&b->first_bad, row->status, "%s:%lld: %s", b->batch.path, (long long)at->line,
             row->err.message);
  if (f->n_bad_lines++ > 0) return;
  const char *message = b->first_bad.message;
  size_t n = strlen(message);
  if (n >= sizeof f->first_bad) n = sizeof f->first_bad - 1;
  while (n > 0 && ((unsigned char)message[n] & 0xC0) == 0x80) n--; /* between two characters */
  memcpy(f->first_bad, message, n);
  f->first_bad[n] = '\0';
}

static lb_status keep_batch(builder *b) {
  lb_status st = LB_OK;
  for (size_t i = 0; i < b->batch.n && st == LB_OK && !is_full(b); i++) {
    const lb__made_row *row = &b->made[i];
    if (row->is_fatal)
      st = lb__fail(b->err, row->status, "%s:%lld: %s", b->batch.path,
                    (long long)b->batch.rows[i].line, row->err.message);
    else if (row->status != LB_OK)
      count_bad(b, &b->batch.rows[i], row);
    else
      st = keep_row(b, row);
  }
  return st;
}

/* ---- all files ---- */

static lb_status end_file(builder *b) {
  long long n = b->bad_rows;
  bool useless = b->good_rows == 0 && !is_full(b);
  b->good_rows = b->bad_rows = 0;
  if (!useless) return LB_OK;
  if (n == 0) return lb__fail(b->err, LB_E_FORMAT, "'%s': holds no row", b->batch.path);
  return lb__fail(b->err, LB_E_FORMAT, "'%s': none of its %lld rows can be used; the first: %s",
                  b->batch.path, n, b->first_bad.message);
}

static lb_status read_all(builder *b) {
  lb_status st = lb__dataset_open(&b->data, b->o.paths, b->o.n_paths, b->err);
  while (st == LB_OK && !is_full(b)) {
    st = lb__dataset_next(b->data, &b->batch, b->err);
    if (st != LB_OK || b->batch.path == NULL) break;
    st = render_batch(b);
    if (st == LB_OK) st = keep_batch(b);
    if (st == LB_OK && b->batch.ends_file) st = end_file(b);
    if (st == LB_OK && b->o.on_progress != NULL)
      b->o.on_progress(b->o.on_progress_ctx, lb__dataset_bytes_done(b->data),
                       lb__dataset_bytes_total(b->data), (int64_t)b->corpus->n);
  }
  return st;
}

/* ---- the end ---- */

static lb_status check_not_empty(const builder *b) {
  const lb__corpus_facts *f = &b->corpus->facts;
  if (b->corpus->n > 0) return LB_OK;
  return lb__fail(b->err, LB_E_ARG,
                  "'%s': no document has a trained token: %lld without one (no completion or "
                  "assistant turn, all labels -100, or an answer beyond max_length %lld), %lld "
                  "shorter than two tokens, %lld bad rows%s%s",
                  b->o.paths[0], (long long)f->n_untrained, (long long)b->o.max_length,
                  (long long)f->n_too_short, (long long)f->n_bad_lines,
                  f->first_bad[0] != '\0' ? "; the first: " : "", f->first_bad);
}

static lb_status finish_cells(builder *b) {
  lb__corpus *c = b->corpus;
  if (!b->saves) {
    c->cells = c->memory;
    return LB_OK;
  }
  lb_status st = lb__save_commit(&b->save, b->err);
  if (st == LB_OK) st = lb__file_map(&c->mapping, b->o.cache_path, b->err);
  if (st == LB_OK && c->mapping.size != c->n_cells * sizeof *c->cells)
    st = lb__fail(b->err, LB_E_IO, "'%s': another program changed the file", b->o.cache_path);
  if (st == LB_OK) c->cells = (const int32_t *)(const void *)c->mapping.bytes;
  lb_status removed = lb__file_remove(b->o.cache_path, st == LB_OK ? b->err : NULL);
  return st != LB_OK ? st : removed;
}

static void builder_deinit(builder *b) {
  if (b->saves) lb__save_abort(&b->save);
  for (size_t i = 0; i < b->made_capacity; i++) lb__made_row_deinit(&b->made[i]);
  lb__free(b->made);
  lb__row_batch_deinit(&b->batch);
  lb__dataset_close(b->data);
  lb__render_rules_deinit(&b->rules);
}

static lb_status build(builder *b) {
  lb_status st = lb__render_rules_init(&b->rules, &b->o, b->err);
  if (st == LB_OK && b->o.cache_path != NULL) {
    st = lb__save_begin(&b->save, b->o.cache_path, b->err);
    b->saves = st == LB_OK;
  }
  if (st == LB_OK) st = read_all(b);
  if (st == LB_OK) st = check_not_empty(b);
  if (st == LB_OK) st = finish_cells(b);
  b->corpus->facts.train_on = resolve(b->o.train_on, b->corpus->facts.format);
  return st;
}

lb_status lb__corpus_open(lb__corpus **out, const lb__corpus_options *options, lb_error *err) {
  *out = NULL;
  lb_status st = check_options(options, err);
  if (st != LB_OK) return st;
  builder b = {.o = *options, .err = err};
  lb__row_batch_init(&b.batch);
  b.corpus = lb__new(sizeof *b.corpus);
  st = b.corpus == NULL ? lb__fail_nomem(err, "corpus") : build(&b);
  builder_deinit(&b);
  if (st != LB_OK) {
    lb__corpus_free(b.corpus);
    return st;
  }
  *out = b.corpus;
  return LB_OK;
}

/* passes.c - see passes.h. */
#include "passes.h"

#include "base/fail.h"

/* ---- checks ---- */

static lb_status check_document(const lb_model_info *info, const lb_prompt *d, size_t i,
                                lb_error *err) {
  if (d->ids == NULL || d->n_ids == 0)
    return lb__fail(err, LB_E_ARG, "document %zu: want at least one token, it is empty", i);
  if (d->n_ids > (size_t)info->max_positions)
    return lb__fail(err, LB_E_ARG,
                    "document %zu: the model's context has %lld tokens, the document "
                    "%zu; split it",
                    i, (long long)info->max_positions, d->n_ids);
  for (size_t t = 0; t < d->n_ids; t++)
    if (d->ids[t] < 0 || d->ids[t] >= info->vocab_size)
      return lb__fail(err, LB_E_ARG, "document %zu: want token ids 0 to %lld, id %zu is %d", i,
                      (long long)info->vocab_size - 1, t, d->ids[t]);
  return LB_OK;
}

lb_status lb__documents_check(const lb_prompt *documents, size_t n, const lb_model_info *info,
                              lb_error *err) {
  lb_status st = LB_OK;
  for (size_t i = 0; i < n && st == LB_OK; i++) st = check_document(info, &documents[i], i, err);
  return st;
}

/* ---- the cut ---- */

void lb__passes_init(lb__passes *p, const lb_prompt *documents, size_t n) {
  p->documents = documents;
  p->n_documents = n;
  p->next_document = p->next_token = 0;
  p->doc_start[0] = 0;
}

/* The next tokens of the next document, up to `n`. */
static void add_part(lb__passes *p, size_t n) {
  const lb_prompt *d = &p->documents[p->next_document];
  for (size_t i = 0; i < n; i++, p->next_token++, p->n_tokens++) {
    p->ids[p->n_tokens] = d->ids[p->next_token];
    p->positions[p->n_tokens] = (int32_t)p->next_token;
    p->document[p->n_tokens] = p->next_document;
  }
  p->doc_start[++p->n_parts] = (int32_t)p->n_tokens;
  if (p->next_token < d->n_ids) return;
  p->next_document++;
  p->next_token = 0;
}

bool lb__passes_next(lb__passes *p) {
  p->n_tokens = p->n_parts = 0;
  while (p->next_document < p->n_documents) {
    size_t left = p->documents[p->next_document].n_ids - p->next_token;
    size_t n = left < LB__PASS_TOKENS ? left : LB__PASS_TOKENS;
    bool is_piece = p->documents[p->next_document].n_ids > LB__PASS_TOKENS; /* goes alone */
    if (p->n_tokens > 0 && (is_piece || p->n_tokens + n > LB__PASS_TOKENS)) break;
    add_part(p, n);
    if (is_piece) break;
  }
  return p->n_tokens > 0;
}

int32_t lb__pass_target(const lb__passes *p, size_t row) {
  const lb_prompt *d = &p->documents[p->document[row]];
  size_t next = (size_t)p->positions[row] + 1;
  return next < d->n_ids ? d->ids[next] : -1;
}

/* ---- reading ---- */

void lb__pass_reader_init(lb__pass_reader *r, lb_model *model) {
  *r = (lb__pass_reader){.model = model};
  lb__model_stream_init(&r->stream, model);
}

static void forget_cache(lb__pass_reader *r) {
  lb__kv_cache_free(r->cache);
  r->cache = NULL;
}

void lb__pass_reader_deinit(lb__pass_reader *r) {
  if (r->model == NULL) return;
  forget_cache(r);
  lb__stream_deinit(&r->stream);
}

static lb_status new_cache(lb__pass_reader *r, lb_error *err) {
  const lb_model_info *info = lb_model_get_info(r->model);
  lb__kv_shape shape = {info->n_layers, info->n_kv_heads, info->head_dim};
  forget_cache(r);
  lb_status st = lb__kv_cache_new(&r->cache, shape, err);
  return st == LB_OK ? lb__kv_sequence_new(r->cache, &r->sequence, err) : st;
}

static lb_status read_batch(lb_tensor **hidden, lb__pass_reader *r, const lb__batch *batch,
                            lb_error *err) {
  lb__pass_options options = {.watcher = r->watcher};
  return lb__model_pass(hidden, r->model, &r->stream, batch, &options, err);
}

/* The next piece of a document that is longer than a pass. */
static lb_status read_piece(lb_tensor **hidden, lb__pass_reader *r, lb__batch *batch,
                            lb_error *err) {
  lb_status st = batch->positions[0] == 0 ? new_cache(r, err) : LB_OK;
  lb__kv_append append = {r->sequence, batch->n_tokens};
  lb__kv_view view;
  batch->cache = &view;
  if (st == LB_OK) st = lb__kv_prepare(r->cache, &append, 1, &view, err);
  if (st == LB_OK) st = read_batch(hidden, r, batch, err);
  if (st == LB_OK) lb__kv_commit(r->cache, &append, 1);
  batch->cache = NULL; /* the view ends here */
  return st;
}

lb_status lb__pass_read(lb_tensor **hidden, lb__pass_reader *r, const lb__passes *p,
                        lb_error *err) {
  lb__batch batch = {.n_tokens = (int64_t)p->n_tokens,
                     .n_docs = (int64_t)p->n_parts,
                     .ids = p->ids,
                     .positions = p->positions,
                     .doc_start = p->doc_start};
  lb__stream_reset(&r->stream);
  if (p->documents[p->document[0]].n_ids > LB__PASS_TOKENS)
    return read_piece(hidden, r, &batch, err);
  forget_cache(r);
  return read_batch(hidden, r, &batch, err);
}

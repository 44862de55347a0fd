/* render.c - see render.h. Read next: render_text.c, render_rules.c. */
#include "render.h"

#include "render_parts.h"

#include "base/fail.h"
#include "base/map.h"

/* ---- documents ---- */

/* A single huge row must not keep its memory in every place of the batch that it ever had. */
enum { KEPT_CELLS = 1 << 18 };

void lb__made_row_reset(lb__made_row *row) {
  if (row->cells_capacity > KEPT_CELLS) lb__made_row_deinit(row);
  row->status = LB_OK;
  row->is_fatal = false;
  row->err.message[0] = '\0';
  row->format = LB__DATA_AUTO;
  row->n_cells = row->n_documents = 0;
  row->n_untrained = row->n_truncated = row->n_too_short = 0;
}

void lb__made_row_deinit(lb__made_row *row) {
  lb__free(row->cells);
  lb__free(row->documents);
  *row = (lb__made_row){0};
}

lb_status lb__fail_fatal(lb__made_row *row, lb_status status) {
  row->is_fatal = true;
  return status;
}

static lb_status check_ids(lb__made_row *row, const int32_t *ids, size_t n, bool are_labels,
                           const lb__render_rules *r) {
  int64_t size = r->o.vocab_size > 0 ? r->o.vocab_size : INT32_MAX;
  for (size_t i = 0; i < n; i++) {
    if (ids[i] >= 0 && ids[i] < size) continue;
    if (are_labels && ids[i] == LB__NOT_TRAINED) continue;
    lb__fail(&row->err, LB_E_ARG,
             "%s %d at position %zu is outside the model's vocabulary of %lld; do the data and the "
             "tokenizer belong to this model?",
             are_labels ? "label" : "token id", ids[i], i, (long long)size);
    return lb__fail_fatal(row, LB_E_ARG);
  }
  return LB_OK;
}

/* The key is part of checkpoints (lb__corpus_facts.hash). */
uint64_t lb__hash_document(const int32_t *cells, int64_t n) {
  const uint64_t key[2] = {0x6C696D6265636B31U, (uint64_t)n};
  return lb__hash_sip13(cells, (size_t)n * 2 * sizeof *cells, key);
}

static lb_status keep(lb__made_row *row, const int32_t *ids, const int32_t *labels, size_t n,
                      int64_t n_trained) {
  if (!lb__grow(&row->cells, &row->cells_capacity, row->n_cells + 2 * n, sizeof *row->cells) ||
      !lb__grow(&row->documents, &row->documents_capacity, row->n_documents + 1,
                sizeof *row->documents))
    return lb__fail_fatal(row, lb__fail_nomem(&row->err, "tokens"));
  int32_t *cells = row->cells + row->n_cells;
  memcpy(cells, ids, n * sizeof *ids);
  memcpy(cells + n, labels + 1, (n - 1) * sizeof *labels); /* position i learns token i + 1 */
  cells[2 * n - 1] = LB__NOT_TRAINED;
  row->documents[row->n_documents++] = (lb__made_document){row->n_cells, (int64_t)n, n_trained,
                                                           lb__hash_document(cells, (int64_t)n)};
  row->n_cells += 2 * n;
  return LB_OK;
}

lb_status lb__add_document(lb__made_row *row, const int32_t *ids, const int32_t *labels, size_t n,
                           const lb__render_rules *r) {
  int64_t n_trained = 0;
  if (n > (size_t)r->o.max_length) {
    n = (size_t)r->o.max_length;
    row->n_truncated++;
  }
  lb_status st = check_ids(row, ids, n, false, r);
  if (st == LB_OK) st = check_ids(row, labels, n, true, r);
  if (st != LB_OK) return st;
  for (size_t i = 1; i < n; i++) n_trained += labels[i] != LB__NOT_TRAINED;
  if (n < 2) {
    row->n_too_short++;
    return LB_OK;
  }
  if (n_trained == 0) {
    row->n_untrained++;
    return LB_OK;
  }
  return keep(row, ids, labels, n, n_trained);
}

/* ---- rows ---- */

static lb_status read_json(json_t **out, const char *text, size_t size, lb__made_row *row) {
  lb_status st = lb__json_parse(out, text, size, "JSON", &row->err);
  return st == LB_E_NOMEM ? lb__fail_fatal(row, st) : st;
}

static lb_status want_tokenizer(lb__made_row *row, const lb__render_rules *r) {
  if (r->o.tokenizer != NULL) return LB_OK;
  lb__fail(&row->err, LB_E_ARG,
           "rows of the format '%s' need a tokenizer; without one, want rows with input_ids",
           lb__data_format_name(row->format));
  return lb__fail_fatal(row, LB_E_ARG);
}

static lb_status render_example(lb__made_row *row, const lb__example *e,
                                const lb__render_rules *r) {
  lb_status st;
  if (e->kind == LB__EXAMPLE_TOKENS) return lb__render_tokens(row, e, r);
  st = want_tokenizer(row, r);
  if (st != LB_OK) return st;
  switch (e->kind) {
  case LB__EXAMPLE_TEXT: return lb__render_text(row, e, r);
  case LB__EXAMPLE_PROMPT: return lb__render_prompt(row, e, r);
  case LB__EXAMPLE_CONVERSATION: return lb__render_conversation(row, e, r);
  case LB__EXAMPLE_TOKENS: break;
  }
  return LB_OK;
}

static lb_status render_json(lb__made_row *row, const char *text, size_t size,
                             const lb__render_rules *r) {
  json_t *tree;
  lb__example e;
  lb_status st = read_json(&tree, text, size, row);
  if (st != LB_OK) return st;
  st = lb__example_read(&e, tree, &r->o, &row->err);
  row->format = e.format;
  if (st == LB_OK) st = render_example(row, &e, r);
  lb__example_deinit(&e);
  json_decref(tree);
  return st;
}

void lb__render_row(lb__made_row *out, const lb__row *row, const char *text,
                    const lb__render_rules *r) {
  const char *bytes = text + row->begin;
  switch (row->kind) {
  case LB__ROW_BAD: out->status = lb__fail(&out->err, LB_E_FORMAT, "%s", row->problem); break;
  case LB__ROW_JSON: out->status = render_json(out, bytes, row->size, r); break;
  case LB__ROW_TEXT:
  case LB__ROW_TEXT_END:
    out->format = LB__DATA_TEXT;
    out->status = want_tokenizer(out, r);
    if (out->status == LB_OK)
      out->status =
          lb__render_running_text(out, bytes, row->size, row->kind == LB__ROW_TEXT_END, r);
    break;
  }
  if (out->status == LB_E_NOMEM) out->is_fatal = true;
  if (out->status != LB_OK) out->n_cells = out->n_documents = 0; /* all of a row, or nothing */
}

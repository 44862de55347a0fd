/* render.h - a row becomes documents: ids and targets, cut to max_length, shifted, checked.
 *
 * Owns: which tokens are trained, special tokens and the end token, truncation. Refuses: files
 * (dataset.h) and keeping what it made (corpus.c). Thread-safe: rules are read only. */
#ifndef LB_DATA_RENDER_H
#define LB_DATA_RENDER_H

#include "dataset.h"
#include "example.h"

/* The options, and what is found out about the tokenizer and the template once. */
typedef struct lb__render_rules {
  lb__corpus_options o;
  lb_chat_render_options chat;
  bool marks_generation;
  int32_t *lead, *trail; /* what the tokenizer puts around a text by itself */
  size_t n_lead, n_trail;
  int32_t eos; /* appended after texts and completions; -1: nothing */
} lb__render_rules;
lb_status lb__render_rules_init(lb__render_rules *r, const lb__corpus_options *o, lb_error *err);
void lb__render_rules_deinit(lb__render_rules *r);

typedef struct lb__made_document {
  size_t begin; /* cells[begin .. begin + n) are ids, the next n are targets */
  int64_t n, n_trained;
  uint64_t hash;
} lb__made_document;

typedef struct lb__made_row {
  lb_status status; /* of this row */
  bool is_fatal;    /* not only this row's trouble: reading ends */
  lb_error err;
  lb__data_format format;
  int32_t *cells;
  size_t n_cells, cells_capacity;
  lb__made_document *documents;
  size_t n_documents, documents_capacity;
  int64_t n_untrained, n_truncated, n_too_short;
} lb__made_row;

/* @param text  the row's bytes   @owns the arrays of *out, which is zeroed or reset */
void lb__render_row(lb__made_row *out, const lb__row *row, const char *text,
                    const lb__render_rules *rules);
void lb__made_row_reset(lb__made_row *row); /* keeps its memory, unless it is much */
void lb__made_row_deinit(lb__made_row *row);

#endif

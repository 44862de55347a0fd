/* attention_keys.h - which keys a query sees and where they lie: the part of attention that all
 * kernels share, so that none can disagree about windows, documents or pages. */
#ifndef LB_KERNELS_ATTENTION_KEYS_H
#define LB_KERNELS_ATTENTION_KEYS_H

#include "dropout_draw.h"
#include "tensor/tensor_data.h"

/* One document: its queries are rows first_query .. first_query + n_queries - 1 of q, the last
 * n_queries of its n_keys positions. */
typedef struct lb__document {
  int64_t index, first_query, n_queries, n_keys;
  const int32_t *pages; /* NULL: keys lie in k's rows from first_query on */
  int64_t page_size;
} lb__document;

static inline lb__document lb__attention_document(const lb__attention_args *a, int64_t index) {
  const int32_t *starts = lb__tensor_i32(a->cu_seqlens);
  lb__document d = {.index = index, .first_query = starts[index]};
  d.n_queries = d.n_keys = starts[index + 1] - starts[index];
  if (a->page_table != NULL) {
    d.n_keys = lb__tensor_i32(a->kv_lens)[index];
    d.pages = lb__tensor_i32(a->page_table) + index * a->page_table->shape[1];
    d.page_size = a->page_size;
  }
  return d;
}

/* Position of query `q` (0 .. n_queries-1) in its document. */
static inline int64_t lb__query_position(const lb__document *d, int64_t q) {
  return d->n_keys - d->n_queries + q;
}

/* The query at `position` sees keys from this one up to and including `position`. */
static inline int64_t lb__first_visible_key(const lb__attention_args *a, int64_t position) {
  return a->window > 0 && position >= a->window ? position - a->window + 1 : 0;
}

/* The draw for the weight of key j; `row` is query row * H + head. */
static inline uint64_t lb__attention_draw(int64_t row, int64_t j) {
  return ((uint64_t)row << 24) + (uint64_t)j;
}

/* The forward that a backward belongs to. */
static inline lb__attention_args lb__attention_of(const lb__attention_bwd_args *b) {
  return (lb__attention_args){.q = b->q,
                              .k = b->k,
                              .v = b->v,
                              .cu_seqlens = b->cu_seqlens,
                              .window = b->window,
                              .scale = b->scale,
                              .softcap = b->softcap,
                              .dropout = b->dropout};
}

/* The row of k and v that holds key j. */
static inline int64_t lb__key_row(const lb__document *d, int64_t j) {
  if (d->pages == NULL) return d->first_query + j;
  return (int64_t)d->pages[j / d->page_size] * d->page_size + j % d->page_size;
}

/* Whether keys j .. j + n - 1 lie in rows that follow each other. */
static inline bool lb__keys_adjoin(const lb__document *d, int64_t j, int64_t n) {
  if (d->pages == NULL) return true;
  for (int64_t page = j / d->page_size; page < (j + n - 1) / d->page_size; page++)
    if (d->pages[page + 1] != d->pages[page] + 1) return false;
  return true;
}

#endif

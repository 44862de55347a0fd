/* corpus_internal.h - what a corpus is made of, for corpus*.c. */
#ifndef LB_DATA_CORPUS_INTERNAL_H
#define LB_DATA_CORPUS_INTERNAL_H

#include "corpus.h"

#include "base/files.h"

typedef struct lb__document_entry { /* 24 bytes */
  int64_t at;                       /* cells[at .. at + n) are ids, the next n targets */
  int64_t n, n_trained;
} lb__document_entry;

struct lb__corpus {
  lb__corpus_facts facts;
  lb__document_entry *documents;
  size_t n, capacity;
  const int32_t *cells; /* memory, mapping, or another corpus's */
  int32_t *memory;
  size_t n_cells, memory_capacity;
  lb__mapping mapping;
};

/* Appends to the index and to facts; the cells are the caller's business. */
lb_status lb__corpus_add_entry(lb__corpus *c, lb__document_entry entry, uint64_t hash,
                               lb_error *err);
uint64_t lb__hash_pair(uint64_t a, uint64_t b); /* same on every machine */

#endif

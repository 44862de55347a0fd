/* bpe_merge.h - the merging of byte pair encoding: of all adjacent pairs the one whose merge has
 * the lowest rank is replaced, leftmost first, until no pair merges. Owns: the memory that long
 * pieces need, kept from piece to piece. Read next: bpe.c, which makes symbols of a text. */
#ifndef LB_TEXT_BPE_MERGE_H
#define LB_TEXT_BPE_MERGE_H

#include "bpe.h"

enum { LB__SHORT_PIECE = 32 };

/* At most LB__SHORT_PIECE ids, in place; returns how many are left. */
size_t lb__bpe_merge_short(const lb__bpe *bpe, int32_t *ids, size_t n);

typedef struct lb__bpe_merger lb__bpe_merger;
lb__bpe_merger *lb__bpe_merger_new(void); /* NULL: no memory */
void lb__bpe_merger_free(lb__bpe_merger *m);

/* Any number of ids, O(n log n); appends what is left to `out`. */
lb_status lb__bpe_merge_long(const lb__bpe *bpe, lb__bpe_merger *m, const int32_t *ids, size_t n,
                             lb__ids *out, lb_error *err);

#endif

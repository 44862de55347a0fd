/* bpe.h - byte pair encoding of one piece of text. Owns: the merge table, the first symbols of a
 * piece, a cache of whole pieces. O(n log n) in the piece. Refuses: dropout.
 * Read lb__bpe_encode first. */
#ifndef LB_TEXT_BPE_H
#define LB_TEXT_BPE_H

#include "vocabulary.h"

typedef struct lb__ids {
  int32_t *items;
  size_t n, capacity;
} lb__ids;
bool lb__ids_add(lb__ids *ids, int32_t id); /* false: no memory */
bool lb__ids_append(lb__ids *ids, const int32_t *items, size_t n);

typedef struct lb__merge {
  int32_t left, right, result;
} lb__merge;

typedef struct lb__merge_slot {
  uint64_t pair; /* left << 32 | right; UINT64_MAX = empty */
  uint32_t rank; /* smaller merges first */
  int32_t result;
} lb__merge_slot;

typedef struct lb__bpe {
  const lb__vocabulary *vocabulary;
  lb__merge *merges; /* by rank */
  size_t n_merges, merges_capacity;
  lb__merge_slot *table;
  size_t n_slots;
  unsigned table_shift;
  uint64_t table_multiplier; /* random, so that a file cannot choose collisions */

  char *prefix, *suffix; /* continuing_subword_prefix, end_of_word_suffix; NULL: none */
  size_t prefix_size, suffix_size;
  char *unk_token;
  size_t unk_token_size;
  bool fuse_unk, byte_fallback, ignore_merges;

  bool reads_bytes;            /* a piece is raw bytes; each stands for its character (ByteLevel) */
  int32_t symbol_of_byte[256]; /* when reads_bytes; -1: the vocabulary lacks it */
  int32_t fallback_byte[256];  /* <0xHH>, -1: lacking */
  int32_t *symbol_of_bmp;      /* [65536] single-character tokens of the first plane, -1: none */
  bool reads_spaces;           /* a space in a piece stands for U+2581 */
  /* Whether a piece may be cut between two characters that no merge joins, so that the parts are
   * merged, and remembered, on their own; and which characters some merge joins, by the byte that
   * the right one begins with and the byte that the left one ends in. */
  bool may_cut;
  uint64_t joined[256][4];
} lb__bpe;

/* Appends the next merge: two token texts; the result is left + right without the prefix. */
lb_status lb__bpe_add_merge(lb__bpe *bpe, const char *left, size_t left_size, const char *right,
                            size_t right_size, lb_error *err);
/* After options, vocabulary and merges are set. */
lb_status lb__bpe_finish(lb__bpe *bpe, lb_error *err);
void lb__bpe_deinit(lb__bpe *bpe);

static inline uint64_t lb__merge_pair(int32_t left, int32_t right) {
  return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/* NULL: the two do not merge. */
static inline const lb__merge_slot *lb__bpe_find_merge(const lb__bpe *bpe, int32_t left,
                                                       int32_t right) {
  uint64_t pair = lb__merge_pair(left, right);
  size_t i = (size_t)((pair * bpe->table_multiplier) >> bpe->table_shift);
  while (bpe->table[i].pair != pair) {
    if (bpe->table[i].pair == UINT64_MAX) return NULL;
    i = (i + 1) & (bpe->n_slots - 1);
  }
  return &bpe->table[i];
}

typedef struct lb__bpe_scratch lb__bpe_scratch;
lb__bpe_scratch *lb__bpe_scratch_new(void); /* NULL: no memory */
void lb__bpe_scratch_free(lb__bpe_scratch *s);

/* Appends the ids of one piece. */
lb_status lb__bpe_encode(const lb__bpe *bpe, lb__bpe_scratch *s, const char *piece, size_t size,
                         lb__ids *ids, lb_error *err);

#endif

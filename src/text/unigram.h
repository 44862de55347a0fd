/* unigram.h - the Unigram model of one piece of text: the cut with the highest sum of scores
 * (Viterbi over a trie). Time is linear in the piece times the longest token. */
#ifndef LB_TEXT_UNIGRAM_H
#define LB_TEXT_UNIGRAM_H

#include "bpe.h"
#include "trie.h"

typedef struct lb__unigram {
  const lb__vocabulary *vocabulary;
  double *scores; /* by id */
  size_t n_scores, scores_capacity;
  int64_t unk_id; /* -1: none */
  bool byte_fallback;
  int32_t fallback_byte[256];
  double unk_score; /* the smallest score - 10 */
  lb__trie trie;
} lb__unigram;

lb_status lb__unigram_add_score(lb__unigram *u, double score, lb_error *err);
/* After vocabulary, scores and options are set. */
lb_status lb__unigram_finish(lb__unigram *u, lb_error *err);
void lb__unigram_deinit(lb__unigram *u);

typedef struct lb__unigram_node {
  double score; /* of the best cut of the text before this byte */
  int32_t id;
  uint32_t start; /* of its last token; UINT32_MAX: not reached */
} lb__unigram_node;
typedef struct lb__unigram_scratch {
  lb__unigram_node *nodes;
  size_t capacity;
} lb__unigram_scratch;

lb_status lb__unigram_encode(const lb__unigram *u, lb__unigram_scratch *s, const char *piece,
                             size_t size, lb__ids *ids, lb_error *err);

#endif

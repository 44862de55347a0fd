/* vocabulary_cut.h - which tokens of a tokenizer stay when it is trimmed to what a text uses, and
 * the tokenizer that is left.
 *
 * Kept are the tokens that were used; of byte pair encoding also those that stand between the
 * characters and each of them, for without these no merge would get there; everything that is
 * needed to write any other text; added tokens, but for placeholders that nobody uses (<unused7>,
 * <|reserved_special_token_7|>); and what the caller needs. Ids keep their order. So the text that
 * was counted gets the same tokens as before, under their new ids, and every other text still gets
 * some that decode to it.
 * Owns: the choice, the map between ids, the cut tokenizer. Refuses: reading text (data/), files.
 */
#ifndef LB_TEXT_VOCABULARY_CUT_H
#define LB_TEXT_VOCABULARY_CUT_H

#include <limbeck/tokenizer.h>

typedef struct lb__vocabulary_cut {
  int32_t *kept;    /* [n] ids of the source, rising: token i of the target is kept[i] */
  int32_t *new_ids; /* [n_source] the other way; -1: dropped */
  int32_t n, n_source;
} lb__vocabulary_cut;

/* A zero field wishes nothing. */
typedef struct lb__vocabulary_wish {
  const int64_t *counts; /* [n_counts] how often each id was used */
  int64_t n_counts;
  const int32_t
      *needed; /* [n_needed] kept however often they were used; ids out of range are none */
  size_t n_needed;
  const char *template; /* [template_size] of chats: placeholders that it spells are kept */
  size_t template_size;
  int64_t n_rows; /* of the embedding: an id from here on has no row and cannot stay; 0: all have */
  int64_t most;   /* tokens to keep: the most used; 0: as many as were used */
} lb__vocabulary_wish;

/* @owns *out: lb__vocabulary_cut_deinit
 * @error LB_E_ARG (`most` is too few: says the least; fewer rows than the tokenizer has tokens
 *        besides added ones), LB_E_NOMEM
 * @test  tests/unit/test_vocabulary_cut.c */
lb_status lb__vocabulary_cut_choose(lb__vocabulary_cut *out, const lb_tokenizer *t,
                                    const lb__vocabulary_wish *wish, lb_error *err);
void lb__vocabulary_cut_deinit(lb__vocabulary_cut *cut); /* accepts a zeroed one */

/* What an id becomes; -1: it was dropped or never there. */
static inline int32_t lb__vocabulary_cut_id(const lb__vocabulary_cut *cut, int64_t id) {
  return id >= 0 && id < cut->n_source ? cut->new_ids[id] : -1;
}

/* The tokenizer that is left: tokens, merges whose parts and result are left, added tokens, and the
 * same pipeline around them.
 * @owns  *out: lb_tokenizer_free
 * @error LB_E_UNSUPPORTED (ids that Hugging Face's numbering of added tokens cannot give),
 *        LB_E_NOMEM
 * @test  tests/unit/test_vocabulary_cut.c */
lb_status lb__tokenizer_cut(lb_tokenizer **out, const lb_tokenizer *t,
                            const lb__vocabulary_cut *cut, lb_error *err);

#endif

/* added_tokens.h - tokens that are found in the text before the model sees it ("<|im_end|>").
 * Owns: their flags and ids, the search (leftmost, then longest). */
#ifndef LB_TEXT_ADDED_TOKENS_H
#define LB_TEXT_ADDED_TOKENS_H

#include "base/map.h"
#include "normalize.h"
#include "trie.h"
#include "vocabulary.h"

typedef struct lb__added_token {
  char *text;
  size_t size;
  int32_t id;
  bool single_word, lstrip, rstrip, normalized, special;
  /* How the reference decodes it: a `normalized` token in its normalised form, which also makes it
   * miss the list of special tokens unless that form stands there. Set by finish. */
  char *shown;
  size_t shown_size;
  bool skipped; /* by skip_special_tokens */
} lb__added_token;

typedef struct lb__added_tokens {
  lb__added_token *items;
  size_t n, capacity;
  lb__map by_text;      /* text -> index into items */
  int32_t max_id;       /* -1: none */
  int32_t *index_of_id; /* [n_ids] index into items, -1 */
  size_t n_ids;
  lb__trie raw, normalized; /* value = index into items */
  struct lb__first_bytes {
    bool any[256];
    int only; /* the one first byte that all tokens share, else -1 */
  } starts_raw, starts_normalized;
  bool has_normalized_special;
} lb__added_tokens;

/* Reads the array `added_tokens` and gives ids as the reference does: the id of the vocabulary, or
 * the next free one. */
lb_status lb__added_tokens_read(lb__added_tokens *out, const json_t *array,
                                const lb__vocabulary *vocabulary, lb_error *err);
/* Adds one; text already there is updated. */
lb_status lb__added_tokens_put(lb__added_tokens *list, const lb__added_token *token,
                               const lb__vocabulary *vocabulary, lb_error *err);
/* Builds the search; contents of `normalized` tokens are normalised first. */
lb_status lb__added_tokens_finish(lb__added_tokens *list, const lb__vocabulary *vocabulary,
                                  const lb__normalizers *normalizers, lb_error *err);
void lb__added_tokens_deinit(lb__added_tokens *list);

/* NULL when the id is not an added token. */
const lb__added_token *lb__added_tokens_get(const lb__added_tokens *list, int64_t id);
const lb__added_token *lb__added_tokens_find(const lb__added_tokens *list, const char *text,
                                             size_t size);

/* Which tokens a search may find. */
typedef struct lb__added_search {
  const lb__added_tokens *tokens;
  bool normalized;              /* the tokens of the second pass, else those of the first */
  bool with_normalized_special; /* first pass also finds these: see lb_tokenizer_encode_spans */
  bool ignore_special;          /* special tokens are ordinary text */
  /* No special token may touch these bytes of the text; sorted, disjoint. */
  const struct lb__byte_range { size_t start, end; } * forbidden;
  size_t n_forbidden;
} lb__added_search;

/* The next token at or after *position. [start, end) is what it takes out of the text, with the
 * white space that lstrip and rstrip swallow; *position moves on. `floor`: end of the token before,
 * which lstrip may not cross. NULL when there is none. */
const lb__added_token *lb__added_tokens_next(const lb__added_search *search, const char *text,
                                             size_t size, size_t *position, size_t floor,
                                             size_t *start, size_t *end);

#endif

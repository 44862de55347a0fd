/* pretokenize.h - the pre-tokenizers of a tokenizer.json: they cut the normalised text into the
 * pieces that the model sees one at a time. Owns: every kind that decoder models use, and their
 * configuration. Refuses: unknown kinds, by name. */
#ifndef LB_TEXT_PRETOKENIZE_H
#define LB_TEXT_PRETOKENIZE_H

#include "normalize.h"

typedef struct lb__pretokenizer lb__pretokenizer;
typedef struct lb__pretokenizers {
  lb__pretokenizer *items;
  size_t n, capacity;
  /* The last step is ByteLevel and the model reads bytes itself: leave the bytes as they are. */
  bool keeps_bytes;
} lb__pretokenizers;

lb_status lb__pretokenizers_compile(lb__pretokenizers *out, const json_t *part, lb_error *err);
void lb__pretokenizers_deinit(lb__pretokenizers *list);
bool lb__pretokenizers_end_in_bytes(const lb__pretokenizers *list);
/* Whether they do nothing to a text without spaces. */
bool lb__pretokenizers_need_spaces(const lb__pretokenizers *list);

typedef struct lb__pieces {
  lb__rewriting text;
  lb__spans spans; /* the result: pieces of text.text, none empty */
  lb__spans next, cuts;
} lb__pieces;
void lb__pieces_init(lb__pieces *p);
void lb__pieces_deinit(lb__pieces *p);

/* Cuts p->text, which lb__rewriting_begin has set. */
lb_status lb__pretokenize(lb__pieces *p, const lb__pretokenizers *list, lb_error *err);

#endif

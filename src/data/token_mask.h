/* token_mask.h - from trained bytes of a text to trained tokens.
 *
 * A token is trained when it holds a byte of a trained range: what Transformers'
 * return_assistant_tokens_mask does. Where each token lies is found by decoding the ids and
 * comparing with the text; where the two differ (a normaliser changed the text), by tokenising the
 * text up to each border. */
#ifndef LB_DATA_TOKEN_MASK_H
#define LB_DATA_TOKEN_MASK_H

#include "chat_turns.h"

#include <limbeck/tokenizer.h>

/* trained[i] for ids[n], which are the tokens of the spans without added special tokens.
 * @error LB_E_FORMAT when a border cannot be found, or in a second or so; those of encoding;
 * LB_E_NOMEM
 * @test tests/unit/test_corpus.c, tests/golden/test_golden_data.c */
lb_status lb__mask_tokens(bool *trained, const lb_tokenizer *tokenizer, const int32_t *ids,
                          size_t n, const lb_text_span *spans, size_t n_spans,
                          const lb__byte_range *ranges, size_t n_ranges, lb_error *err);

/* Takes white space behind a special token at the end of a trained run out of it: a template's
 * line end after the end of a turn, which nobody generates. */
lb_status lb__mask_trim(bool *trained, const lb_tokenizer *tokenizer, const int32_t *ids, size_t n,
                        lb_error *err);

#endif

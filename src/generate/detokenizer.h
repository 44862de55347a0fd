/* detokenizer.h - a tokenizer as a source of text (text_stream.h). */
#ifndef LB_GENERATE_DETOKENIZER_H
#define LB_GENERATE_DETOKENIZER_H

#include "text_stream.h"

#include <limbeck/tokenizer.h>

/* Without special tokens. Ids that the tokenizer does not have (a padded embedding has more rows
 * than the vocabulary) have no text. The tokenizer is borrowed. */
lb__text_source lb__detokenizer(const lb_tokenizer *tokenizer);

#endif

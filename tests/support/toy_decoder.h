/* toy_decoder.h - a decoder without a model, for the searches' tests: logits are a pure function
 * of all tokens before them, by a hash or by the test's own function. Allocates through the
 * library, so that failing allocations and leaks are seen. */
#ifndef LIMBECK_TESTS_TOY_DECODER_H
#define LIMBECK_TESTS_TOY_DECODER_H

#include "generate/decoder.h"
#include "generate/text_stream.h"

typedef void toy_logits_fn(float *logits, int64_t vocab_size, const int32_t *ids, size_t n_ids);

typedef struct toy_stats {
  int64_t fed_tokens, feeds, forks, alive, largest_feed, most_rows;
} toy_stats;

/* fn NULL: toy_logits. */
lb_status toy_decoder_new(lb__decoder **out, int64_t vocab_size, int64_t max_positions,
                          toy_logits_fn *fn, lb_error *err);
const toy_stats *toy_decoder_stats(const lb__decoder *d);

/* Numbers in (-4, 4) by a hash of all ids. */
void toy_logits(float *logits, int64_t vocab_size, const int32_t *ids, size_t n_ids);

/* Text of id i is pieces[i]; bytes of unfinished characters are held back. */
lb__text_source toy_text(const char *const *pieces);

#endif

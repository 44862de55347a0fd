/* batch.h - what a training step eats: documents end to end, no padding token, ever.
 * Owns: the shape of it. Read next: loader.h, which makes them. */
#ifndef LB_DATA_BATCH_H
#define LB_DATA_BATCH_H

#include <limbeck/status.h>

#include <stdbool.h>

enum { LB__NOT_TRAINED = -100 };

/* One forward and backward pass. Arrays belong to the loader until its next call. */
typedef struct lb__micro_batch {
  int64_t n_tokens, n_docs;
  int64_t n_trained;        /* targets that are not LB__NOT_TRAINED */
  const int32_t *ids;       /* [N] */
  const int32_t *positions; /* [N] from 0 in each document */
  const int32_t *doc_start; /* [n_docs + 1] */
  const int32_t *targets; /* [N] the next token of the same document, or -100: at a document's last
                             position, and where the next token is not to be learned */
  const float *weights;   /* [N] or NULL: 1 */
} lb__micro_batch;

/* Everything one optimizer step sees: gradient_accumulation_steps micro-batches (fewer at the end
 * of an epoch). Losses are sums over all of it divided by n_trained, never a mean of means. */
typedef struct lb__optimizer_batch {
  const lb__micro_batch *micro;
  int64_t n_micro;
  int64_t n_tokens, n_trained;
  int64_t epoch; /* from 0 */
  bool ends_epoch;
} lb__optimizer_batch;

#endif

/* loader.h - the order in which documents come, and how they are packed.
 *
 * A corpus (corpus.h) is every document, tokenised, with its trained positions. A loader hands out
 * optimizer batches of it. Order is a pure function of (seed, epoch, index): a cursor of three
 * numbers resumes exactly, and no hidden state exists. */
#ifndef LB_DATA_LOADER_H
#define LB_DATA_LOADER_H

#include "batch.h"
#include "corpus.h"

typedef struct lb__loader_options {
  int64_t max_length;                  /* tokens of a packed row */
  int64_t per_device_train_batch_size; /* rows (packing) or documents of a micro-batch */
  int64_t gradient_accumulation_steps;
  bool packing, shuffle;
  uint64_t seed;
} lb__loader_options;

typedef struct lb__cursor {
  int64_t epoch, micro; /* the next micro-batch, counted within its epoch */
  int64_t step;         /* optimizer batches handed out so far, over all epochs */
} lb__cursor;

typedef struct lb__loader lb__loader;
/* Borrows the corpus. @owns *out: lb__loader_free
 * @error LB_E_ARG (no document with a trained token; a size < 1), LB_E_NOMEM */
lb_status lb__loader_new(lb__loader **out, const lb__corpus *corpus,
                         const lb__loader_options *options, lb_error *err);
void lb__loader_free(lb__loader *l);

/* The next optimizer batch; epochs follow one another without end. Valid until the next call. */
lb_status lb__loader_next(lb__loader *l, lb__optimizer_batch *out, lb_error *err);
/* Micro-batches and optimizer batches of one epoch (the same for every epoch), as Transformers
 * counts them: ceil(micro / accumulation). */
int64_t lb__loader_micro_per_epoch(const lb__loader *l);
int64_t lb__loader_steps_per_epoch(const lb__loader *l);
/* Upper bound of the tokens of a micro-batch: for planning memory. */
int64_t lb__loader_most_tokens(const lb__loader *l);

lb__cursor lb__loader_cursor(const lb__loader *l);
/* @error LB_E_ARG when the cursor does not fit this loader */
lb_status lb__loader_seek(lb__loader *l, lb__cursor cursor, lb_error *err);

#endif

/* passes.h - documents cut into passes of the decoder: short ones lie end to end, one that is
 * longer than a pass is read in pieces through a KV cache.
 *
 *     lb__passes_init(p, documents, n);
 *     while (lb__passes_next(p)) lb__pass_read(&hidden, &reader, p, &err);
 *
 * Owns: the cut, and what a model needs to read it. Refuses: looking at what was read. */
#ifndef LB_EVALUATE_PASSES_H
#define LB_EVALUATE_PASSES_H

#include <limbeck/generate.h>

#include "generate/kv_cache.h"

enum { LB__PASS_TOKENS = 2048 };

/* All documents, and the pass that is to be read now. Too large for a stack. */
typedef struct lb__passes {
  const lb_prompt *documents;
  size_t n_documents, next_document, next_token; /* where the following pass begins */
  size_t n_tokens, n_parts;                      /* of this pass; a part is of one document */
  int32_t ids[LB__PASS_TOKENS], positions[LB__PASS_TOKENS], doc_start[LB__PASS_TOKENS + 1];
  size_t document[LB__PASS_TOKENS]; /* that each token is of */
} lb__passes;

/* @error LB_E_ARG: an empty document, one longer than the model's context, a bad id */
lb_status lb__documents_check(const lb_prompt *documents, size_t n, const lb_model_info *info,
                              lb_error *err);

void lb__passes_init(lb__passes *p, const lb_prompt *documents, size_t n); /* they are borrowed */
bool lb__passes_next(lb__passes *p);                                       /* false: no more */
/* The id that follows row `row` of the pass; -1 at the end of its document. */
int32_t lb__pass_target(const lb__passes *p, size_t row);

/* One model that reads passes. Several may read the same ones. */
typedef struct lb__pass_reader {
  lb_model *model;            /* borrowed */
  const lb__watcher *watcher; /* that sees what passes by; borrowed, NULL: nobody */
  lb__stream stream;
  lb__kv_cache *cache; /* of the long document that is being read, else NULL */
  int32_t sequence;
} lb__pass_reader;
void lb__pass_reader_init(lb__pass_reader *r, lb_model *model);
void lb__pass_reader_deinit(lb__pass_reader *r); /* accepts a zeroed one */
/* Every pass, in order. Hidden states [n_tokens, C] in the reader's stream, which is reset. */
lb_status lb__pass_read(lb_tensor **hidden, lb__pass_reader *r, const lb__passes *p, lb_error *err);

#endif

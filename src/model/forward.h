/* forward.h - running a model: ids in, hidden states and logits out. The only door into the model
 * room for generate/, evaluate/ and train/. Refuses: choosing tokens, owning a cache. */
#ifndef LB_MODEL_FORWARD_H
#define LB_MODEL_FORWARD_H

#include <limbeck/model.h>

#include "tensor/tape.h"

#include "taps.h"
#include "vocabulary_map.h"

/* lb_model_open for a precision that is known: everything but AUTO, which evaluate/ chooses.
 * @owns *out: lb_model_free   @error as lb_model_open */
lb_status lb__model_open(lb_model **out, const char *path, lb_precision precision, lb_error *err);
/* The same with a part of its vocabulary only (model_rows.c); rows NULL: all of it.
 * @error also LB_E_ARG (the model has not so many rows)   @test tests/unit/test_vocabulary_map.c */
lb_status lb__model_open_rows(lb_model **out, const char *path, lb_precision precision,
                              const lb__vocabulary_map *rows, lb_error *err);
/* Another precision for a model that is open in F32.
 * @error LB_E_UNSUPPORTED (a weight that it cannot be packed for; the model is of no more use),
 * LB_E_ARG (AUTO), LB_E_NOMEM */
lb_status lb__model_set_precision(lb_model *model, lb_precision precision, lb_error *err);
/* The precision is the last one: weights that bfloat16 products would round each time are rounded
 * now, half the memory. The same products; only lookups of tables keep their digits. */
lb_status lb__model_settle(lb_model *model, lb_error *err);
/* Of all weights, as they are kept now: packed, in memory or in the mapped file. */
uint64_t lb__model_held_bytes(const lb_model *model);
lb__compute lb__model_compute(lb_precision precision); /* AUTO: F32 */
/* Models of fewer parameters are F32 unless somebody asks: every precision is fast there, so the
 * exact one is right. */
#define LB__AUTO_LEAST_PARAMETERS 8000000
/* Whether many rows times weights were measured to be faster in this precision than in F32, by more
 * than a noisy machine feigns. */
bool lb__precision_is_faster(lb_precision precision);
void lb__model_set_kl(lb_model *model, double kl); /* what was measured of its precision */
/* Whether products in this precision differ from float32's: BF16 needs a CPU that has them, STORED
 * weights in blocks. What INT8 refuses is known when weights are packed. */
bool lb__model_knows_precision(const lb_model *model, lb_precision precision);

/* Where the keys and values of earlier tokens lie. The cache's owner (generate/kv_cache.h) fills
 * this in for one batch; host arrays, copied during the call. */
typedef struct lb__kv_view {
  lb_tensor *keys, *values; /* [n_layers], each [n_rows, G, D] F32 */
  int64_t page_size;
  const int32_t *slots;      /* [N] cache row that each new token's key goes to */
  const int32_t *page_table; /* [n_docs, max_pages] pages of each document, in order */
  int64_t max_pages;
  const int32_t *kv_lens; /* [n_docs] tokens of each document, the new ones included */
} lb__kv_view;

/* New tokens of several documents, end to end. There is no padding, ever. */
typedef struct lb__batch {
  int64_t n_tokens, n_docs;
  const int32_t *ids;       /* [N], each in [0, vocab_size) */
  const int32_t *positions; /* [N] place within the document, from 0 */
  const int32_t *doc_start; /* [n_docs + 1]; doc_start[0] = 0, doc_start[n_docs] = N */
  const lb__kv_view *cache; /* NULL: every document is whole in this batch */
} lb__batch;

/* Final hidden states (after the last norm) [N, C] F32, in the stream's arena.
 * @error LB_E_ARG when an id or position is outside the model's range, LB_E_NOMEM */
lb_status lb__model_hidden(lb_tensor **hidden, lb_model *model, lb__stream *s,
                           const lb__batch *batch, lb_error *err);

/* What training adds to a pass; zeroed: nothing. */
typedef struct lb__pass_options {
  lb__taps *taps;             /* also hand these out */
  const lb__watcher *watcher; /* also show it what passes by, while nothing records; NULL */
  bool use_dropout;           /* the config's embedding, residual and attention dropout */
  uint64_t dropout_seed, dropout_step; /* a pass of the same numbers draws the same */
  bool gradient_checkpointing; /* keep only the layers' inputs; compute the rest again in backward.
                                  Layers whose attention is tapped are kept whole */
} lb__pass_options;
/* As lb__model_hidden. While the stream records and the model is trainable, the pass can be walked
 * backwards; with gradient_checkpointing, batch and options must be there until then.
 * @error also LB_E_ARG when a tap names a layer that is not there */
lb_status lb__model_pass(lb_tensor **hidden, lb_model *model, lb__stream *s, const lb__batch *batch,
                         const lb__pass_options *options, lb_error *err);
/* Whether its norms are LayerNorm, which subtracts the mean, or RMSNorm. */
bool lb__model_has_layer_norm(const lb_model *model);
/* The head's weight: lm_head, or the embedding it is tied to. Borrowed. */
const lb_tensor *lb__model_head(const lb_model *model, float *softcap);

/* logits [M, V] F32 = head(hidden [M, C]), with the family's soft cap. */
lb_status lb__model_logits(lb_tensor **logits, lb_model *model, lb__stream *s,
                           const lb_tensor *hidden, lb_error *err);

/* Rows `rows` [n] of hidden, as a new [n, C] tensor. */
lb_status lb__model_pick(lb_tensor **out, lb__stream *s, const lb_tensor *hidden,
                         const int32_t *rows, int64_t n, lb_error *err);

/* A stream set up for this model's precision and device. */
void lb__model_stream_init(lb__stream *s, const lb_model *model);

#endif

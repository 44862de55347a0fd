/* taps.h - what else a forward pass can hand out besides its result: the residual stream after
 * chosen layers, and queries, keys and values of chosen layers, for hidden-state and attention
 * losses; and, to a watcher, what passes by in every layer. */
#ifndef LB_MODEL_TAPS_H
#define LB_MODEL_TAPS_H

#include "tensor/tensor.h"

enum { LB__TAPS_MAX = 32 };

typedef struct lb__taps {
  size_t n_hidden; /* hidden[i] is Transformers' hidden_states[hidden_layers[i]]: 0 the embeddings,
                      l the stream after layer l, n_layers the final norm's result */
  int64_t hidden_layers[LB__TAPS_MAX];
  lb_tensor *hidden[LB__TAPS_MAX]; /* out: [N,C], in the stream's arena */
  size_t n_attention;              /* q, k, v of layer attention_layers[i], after rotation */
  int64_t attention_layers[LB__TAPS_MAX];
  lb_tensor *q[LB__TAPS_MAX], *k[LB__TAPS_MAX], *v[LB__TAPS_MAX]; /* out: [N,H,D], [N,G,D] */
} lb__taps;

/* What a watcher is shown, in the order in which a layer computes it. */
typedef enum lb__sight {
  LB__SEES_ATTN_NORM, /* a norm over channels: what it reads and what comes out, [N,C] */
  LB__SEES_HEADS,     /* what the attention's output projection reads, [N,H*D] */
  LB__SEES_POST_ATTN_NORM,
  LB__SEES_MLP_NORM,
  LB__SEES_NEURONS, /* what the MLP's down projection reads, [N,F] */
  LB__SEES_POST_MLP_NORM,
  LB__SEES_FINAL_NORM, /* of layer n_layers */
  LB__N_SIGHTS
} lb__sight;

/* Called for every layer of a pass; the tensors are gone after the call. */
typedef struct lb__watcher {
  /* out: NULL but for norms */
  lb_status (*see)(void *ctx, lb__sight what, int64_t layer, const lb_tensor *in,
                   const lb_tensor *out, lb_error *err);
  void *ctx;
} lb__watcher;

#endif

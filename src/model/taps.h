/* taps.h - what else a forward pass can hand out besides its result: the residual stream after
 * chosen layers, and queries, keys and values of chosen layers. For hidden-state and attention
 * losses. */
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

#endif

/* model_internal.h - an open model: config, weights, tables. Private to src/model.
 * Weights are views of the mapped file wherever that is possible; `owned` says where not. */
#ifndef LB_MODEL_MODEL_INTERNAL_H
#define LB_MODEL_MODEL_INTERNAL_H

#include "forward.h"
#include "model_config.h"

typedef struct lb__trainable lb__trainable; /* trainable.c */

struct lb_model {
  lb__checkpoint *checkpoint;
  lb__model_config config;
  lb_tensor top[LB__FIRST_LAYER_WEIGHT]; /* by lb__weight; rank 0 and no bytes = absent */
  lb_tensor *layers;                     /* [n_layers][LB__N_LAYER_WEIGHTS] */
  lb_tensor inv_freq, inv_freq_sliding;  /* [D/2] F32 */
  float rope_magnitude, rope_sliding_magnitude;
  lb_model_info info;
  lb_sampling_defaults sampling;
  lb__trainable *trainable; /* NULL: the weights are as stored */
};

enum { LB__N_LAYER_WEIGHTS = LB__N_WEIGHTS - LB__FIRST_LAYER_WEIGHT };

static inline lb_tensor *lb__model_slot(const lb_model *m, lb__weight w, int64_t layer) {
  if (w < LB__FIRST_LAYER_WEIGHT) return (lb_tensor *)&m->top[w];
  return &m->layers[layer * LB__N_LAYER_WEIGHTS + (w - LB__FIRST_LAYER_WEIGHT)];
}
/* The weight, or NULL when this model has none. */
static inline const lb_tensor *lb__model_weight(const lb_model *m, lb__weight w, int64_t layer) {
  const lb_tensor *t = lb__model_slot(m, w, layer);
  return t->size_bytes > 0 ? t : NULL;
}

void lb__trainable_free(lb__trainable *t); /* accepts NULL and half-built */
/* What a weight is called in the folders that we write. Returns text. */
const char *lb__parameter_name(char text[LB__WEIGHT_NAME_SIZE], const lb_model *m, lb__weight w,
                               int64_t layer);

/* Fills every slot from the checkpoint, checked against the config (model_weights.c). */
lb_status lb__model_load_weights(lb_model *m, lb_error *err);

/* Keeps some tokens of the vocabulary; before weights are packed (model_rows.c).
 * @error LB_E_ARG (the model has not so many rows), LB_E_NOMEM */
lb_status lb__model_take_vocabulary(lb_model *m, const lb__vocabulary_map *map, lb_error *err);

/* ---- how a stored weight becomes the model's, shared with convert.c ---- */
typedef struct lb__weight_place { /* where one weight lies and what must be done to it */
  const lb__stored_tensor *stored;
  bool transpose; /* stored [in,out] */
  bool unpermute; /* rows of q or k are in llama.cpp's order; heads = its number */
  int64_t heads;
} lb__weight_place;

/* Finds a weight in a checkpoint and checks its shape. place->stored is NULL when it is not there
 * and need not be. `prefix` from lb__model_hf_prefix.
 * @error LB_E_FORMAT (missing; dtype), LB_E_SHAPE "name: want [..], file has [..]" */
lb_status lb__weight_find(lb__weight_place *place, const lb__checkpoint *c,
                          const lb__model_config *config, const char *prefix, lb__weight w,
                          int64_t layer, lb_error *err);
/* "model.", "transformer.", "language_model.model.", "": what stands before the decoder's names. */
const char *lb__model_hf_prefix(const lb__checkpoint *c, lb__name_scheme scheme);

/* Whether a Hugging Face folder of this family stores the weight as Conv1D does, [in,out]. */
static inline bool lb__weight_is_conv1d(const lb__family *f, lb__weight w) {
  bool is_table = w == LB__W_TOKEN_EMBED || w == LB__W_POSITION_EMBED || w == LB__W_LM_HEAD;
  return f->transposed && lb__weight_is_matrix(w) && !is_table;
}

/* Heads of a weight whose rows a GGUF of this family holds in llama.cpp's order; 0: as ours. */
static inline int64_t lb__weight_permuted_heads(const lb__model_config *c, lb__weight w) {
  if (!c->family->gguf_permuted) return 0;
  if (w == LB__W_Q || w == LB__W_Q_BIAS) return c->n_heads;
  return w == LB__W_K || w == LB__W_K_BIAS ? c->n_kv_heads : 0;
}

/* Row r of a matrix in this library's order is row lb__permuted_row(r, ...) in llama.cpp's: it
 * rotates neighbours (2j, 2j+1) where everyone else rotates (j, j + D/2). */
static inline int64_t lb__permuted_row(int64_t r, int64_t head_dim) {
  int64_t head = r / head_dim, i = r % head_dim, half = head_dim / 2;
  return head * head_dim + (i < half ? 2 * i : 2 * (i - half) + 1);
}

#endif

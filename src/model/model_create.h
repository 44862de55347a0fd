/* model_create.h - models made from a description instead of a file: a shape becomes a
 * configuration, a configuration becomes a folder. Owns: what a shape leaves open. Refuses: knowing
 * recipes. */
#ifndef LB_MODEL_MODEL_CREATE_H
#define LB_MODEL_MODEL_CREATE_H

#include "model_config.h"

#include <limbeck/create.h>

/* With the names of Transformers' config.json. Zero: not given. */
typedef struct lb__model_shape {
  const char *model_type; /* must be given, as must the three after it */
  int64_t hidden_size, num_hidden_layers, num_attention_heads;
  int64_t num_key_value_heads;     /* else as many as attention heads */
  int64_t head_dim;                /* else hidden_size / num_attention_heads */
  int64_t intermediate_size;       /* else 4 * hidden_size, or two thirds of it for three matrices,
                                      rounded up to a multiple of 32 (arXiv:2302.13971, 2.2) */
  int64_t max_position_embeddings; /* must be given */
  int64_t vocab_size;              /* must be given */
  int tie_word_embeddings;         /* -1: no, 1: yes, 0: as the family does */
  double rope_theta, rms_norm_eps; /* else the family's */
  double initializer_range;        /* else 0.02 */
  int32_t bos_token_id;            /* -1: none */
  lb__token_ids eos;               /* borrowed */
} lb__model_shape;

/* The config.json of a shape. @owns *out: json_decref
 * @error LB_E_ARG: what does not go together; LB_E_UNSUPPORTED: the family; LB_E_NOMEM */
lb_status lb__model_shape_config(json_t **out, const lb__model_shape *shape, lb_error *err);

/* lb_create from a tree; `name` appears in errors. The tree is kept as it is, but for its dtype. */
lb_status lb__create(json_t *config, const char *name, const char *to,
                     const lb_create_options *options, lb_error *err);

/* How many numbers of weights lb__create would write. */
lb_status lb__create_estimate(uint64_t *elements, json_t *config, const char *name, lb_error *err);

#endif

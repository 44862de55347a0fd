/* model_config.h - what kind of decoder a model is. Owns: the families (families.def), the weights'
 * names (weights.def), and reading config.json or GGUF keys into one struct whose switches the
 * forward pass follows. Refuses: unknown families and features, by name. */
#ifndef LB_MODEL_MODEL_CONFIG_H
#define LB_MODEL_MODEL_CONFIG_H

#include "base/fail.h"
#include "formats/checkpoint.h"
#include "ops/ops.h"

#include <limbeck/model.h>

/* ---- families ---- */
typedef enum lb__name_scheme { LB__NAMES_GPT2, LB__NAMES_LLAMA, LB__NAMES_GEMMA } lb__name_scheme;
typedef enum lb__key_scheme { LB__KEYS_LLAMA, LB__KEYS_GPT2 } lb__key_scheme;
typedef enum lb__window_rule {
  LB__WINDOW_NONE,
  LB__WINDOW_ALL,    /* mistral: every layer, when sliding_window is a number */
  LB__WINDOW_QWEN,   /* layer_types, else layers from max_window_layers on; use_sliding_window */
  LB__WINDOW_PATTERN /* gemma3: layer_types, else all but every sliding_window_pattern-th layer */
} lb__window_rule;

typedef struct lb__family {
  const char *name, *model_type, *architecture, *gguf, *activation;
  lb__name_scheme names;
  lb__key_scheme keys; /* what config.json calls its numbers */
  lb__window_rule window;
  bool layer_norm;                 /* LayerNorm with bias; else RMSNorm */
  bool learned_positions;          /* position embedding; else RoPE */
  bool fused_qkv;                  /* stored as one matrix */
  bool transposed;                 /* Hugging Face stores matrices [in,out] (Conv1D) */
  bool gated;                      /* act(gate) * up; else act(up) */
  bool qk_norm;                    /* RMSNorm of each head's q and k before RoPE */
  bool sandwich_norms;             /* norms after attention and MLP too */
  bool scaled_embedding;           /* embeddings times sqrt(C) */
  bool norm_plus_one;              /* Hugging Face stores norm weights minus one */
  bool qkv_bias, o_bias, mlp_bias; /* always there; else config.json's attention_bias, mlp_bias */
  bool tied;                       /* tie_word_embeddings when the key is missing */
  bool whole_heads;                /* Transformers wants C to be a multiple of H all the same */
  bool gguf_permuted;              /* GGUF stores q and k rows for interleaved RoPE */
  int64_t head_dim;                /* when config.json has none; 0 = C / H */
  double norm_eps, rope_theta;
} lb__family;

const lb__family *lb__family_at(size_t i); /* NULL past the end */
/* What is known, for messages: "gpt2 (GPT2LMHeadModel), llama (...), ...". */
const char *lb__family_list(char *text, size_t size);

/* ---- weights ---- */
typedef enum lb__extent {
  LB__EXTENT_1,
  LB__EXTENT_V,
  LB__EXTENT_P,
  LB__EXTENT_C,
  LB__EXTENT_F,
  LB__EXTENT_Q,
  LB__EXTENT_K,
  LB__EXTENT_D,
  LB__EXTENT_A
} lb__extent;
enum { LB__N_EXTENTS = LB__EXTENT_A + 1 };

typedef enum lb__weight_when {
  LB__WHEN_ALWAYS,
  LB__WHEN_LEARNED_POSITIONS,
  LB__WHEN_LAYER_NORM,
  LB__WHEN_OWN_HEAD,
  LB__WHEN_FUSED_QKV,
  LB__WHEN_SPLIT_QKV,
  LB__WHEN_QKV_BIAS,
  LB__WHEN_O_BIAS,
  LB__WHEN_GATED,
  LB__WHEN_GATED_BIAS,
  LB__WHEN_MLP_BIAS,
  LB__WHEN_QK_NORM,
  LB__WHEN_SANDWICH
} lb__weight_when;

typedef enum lb__weight {
#define LB__WEIGHT(role, rows, cols, when, gguf, gpt2, llama, gemma) LB__W_##role,
#include "weights.def"
#undef LB__WEIGHT
  LB__N_WEIGHTS
} lb__weight;
#define LB__FIRST_LAYER_WEIGHT LB__W_ATTN_NORM

typedef struct lb__weight_row {
  const char *role;
  lb__extent rows, cols;
  lb__weight_when when;
  const char *gguf, *hf[3]; /* hf by lb__name_scheme; "" = none */
} lb__weight_row;
extern const lb__weight_row lb__weight_rows[LB__N_WEIGHTS];
static inline bool lb__weight_is_matrix(lb__weight w) {
  return lb__weight_rows[w].cols != LB__EXTENT_1;
}

/* ---- one model's numbers ---- */
typedef struct lb__model_config {
  const lb__family *family;
  int64_t vocab_size, hidden_size, intermediate_size, n_layers, n_heads, n_kv_heads, head_dim,
      max_positions, sliding_window;
  float norm_eps, norm_offset, embed_scale, attention_softcap, final_softcap;
  float attention_scale;
  float embed_dropout, residual_dropout, attention_dropout; /* of training, where asked for */
  bool scale_by_layer; /* gpt2's scale_attn_by_inverse_layer_idx */
  bool qkv_bias, o_bias, mlp_bias, tied;
  lb__act_kind activation;
  bool *is_sliding; /* [n_layers] */
  lb__hf_rope rope, rope_sliding;
  const uint8_t *rope_divisors; /* GGUF's rope_freqs.weight [D/2] F32, unaligned; NULL: none */
  int32_t bos_token_id;
  lb__token_ids eos;
} lb__model_config;

/* @owns out: lb__model_config_deinit, also after failure
 * @error LB_E_UNSUPPORTED naming what is not known, LB_E_FORMAT naming the key */
lb_status lb__model_config_read(lb__model_config *out, const lb__checkpoint *c, lb_error *err);
/* The same from a config.json alone; `name` appears in errors. */
lb_status lb__model_config_parse(lb__model_config *out, json_t *config, const char *name,
                                 lb_error *err);
void lb__model_config_deinit(lb__model_config *c);

int64_t lb__model_extent(const lb__model_config *c, lb__extent extent);
/* Whether this kind of model has the weight; *optional: it is used when it is there. */
bool lb__model_has_weight(const lb__model_config *c, lb__weight w, bool *optional);

/* The weight's name in a GGUF file, or in a Hugging Face folder whose top-level prefix is `prefix`
 * ("model.", "transformer.", ""); layer is ignored for top-level weights. Returns text. */
#define LB__WEIGHT_NAME_SIZE 160
const char *lb__weight_gguf_name(char text[LB__WEIGHT_NAME_SIZE], lb__weight w, int64_t layer);
const char *lb__weight_hf_name(char text[LB__WEIGHT_NAME_SIZE], lb__weight w, int64_t layer,
                               lb__name_scheme scheme, const char *prefix);

/* ---- rope tables (rope_table.c) ---- */
#define LB__PI 3.14159265358979323846
/* inv_freq [D/2] in float32 as Transformers computes it, and the factor on cos and sin.
 * @error LB_E_UNSUPPORTED for dynamic and longrope */
lb_status lb__rope_inv_freq(float *inv_freq, float *magnitude, const lb__hf_rope *rope,
                            int64_t head_dim, int64_t max_positions, const char *name,
                            lb_error *err);

/* The op kind for a Transformers activation name; LB_E_UNSUPPORTED with the list otherwise. */
lb_status lb__act_from_name(lb__act_kind *out, const char *activation, const char *name,
                            lb_error *err);

#endif

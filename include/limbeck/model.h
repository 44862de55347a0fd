/** limbeck/model.h - opening a language model, whatever it is stored in.
 *
 *  A path is a Hugging Face folder, a .gguf file, or a name in the local hub cache ("gpt2",
 *  "HuggingFaceTB/SmolLM2-135M"). Weights are mapped, not read, and stay as they are stored:
 *  GGUF blocks stay blocks.
 *
 *      lb_model *model;
 *      lb_status st = lb_model_open(&model, "SmolLM2-135M-Instruct.Q4_1.gguf", NULL, &err);
 *
 *  Then: <limbeck/generate.h> to write, <limbeck/score.h> to measure, <limbeck/tokenizer.h> for
 * text. */
#ifndef LIMBECK_MODEL_H
#define LIMBECK_MODEL_H

#include <limbeck/dtype.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lb_model lb_model;

typedef enum lb_precision {
  LB_PRECISION_AUTO,  /* the fastest whose measured KL to f32 is small enough */
  LB_PRECISION_F32,   /* stored weights expanded to float32 inside each product */
  LB_PRECISION_BF16,  /* products of bfloat16 rounded operands, summed in float32 */
  LB_PRECISION_INT8,  /* weights and activations as rotated 8-bit integers; frozen models only */
  LB_PRECISION_STORED /* weights stay in the file's quantised blocks, activations are rounded to 8
                         bits: the least memory. Other weights as with F32. Frozen models only */
} lb_precision;

typedef struct lb_model_options {
  lb_precision precision;    /* default F32: every number as exact as can be */
  double precision_max_kl;   /* AUTO: the most that is allowed, nats per token; default 0.02 */
  const char *vocabulary_of; /* a student whose vocabulary was trimmed from this model's
                                (limbeck/shrink.h): only those tokens, under the student's ids; no
                                change where it was not, or where both have the same. NULL: all */
} lb_model_options;
LB_API lb_model_options lb_model_options_default(void);

LB_API const char *lb_precision_name(lb_precision precision); /* "int8"; "?" */

/** Opens a model. With AUTO the precision is measured the first time, on a hundred tokens that the
 *  model writes itself: of F32, INT8, STORED where weights lie in blocks, and BF16 where the CPU
 * has such products, the one that reads 256 tokens and writes 128 in the least time with a mean
 *  KL(f32 || it) of at most precision_max_kl. That is told at level LB_LOG_NOTE, and the answer is
 *  kept in the user's cache folder, for this model, bound, CPU and version. Models below 8 million
 *  parameters are float32.
 *  @param  options  NULL for the defaults
 *  @owns   *out: release with lb_model_free. NULL on failure
 *  @error  LB_E_IO (no such file), LB_E_FORMAT (malformed), LB_E_UNSUPPORTED (architecture, with
 * the list of known ones; or a feature of it), LB_E_SHAPE (config and weights disagree),
 * LB_E_NOMEM, LB_E_ARG (precision_max_kl is not a number >= 0; vocabulary_of is of another model)
 *  @test   tests/unit/test_auto_precision.c, tests/unit/test_vocabulary_map.c
 *  @thread several models may be used at once; one model by one thread at a time            */
LB_API LB_NODISCARD lb_status lb_model_open(lb_model **out, const char *path,
                                            const lb_model_options *options, lb_error *err);
LB_API void lb_model_free(lb_model *model);

/** What a model is. Strings and lists belong to the model. */
typedef struct lb_model_info {
  const char *path;         /* as resolved: folder or file */
  const char *format;       /* "safetensors" or "GGUF" */
  const char *family;       /* "llama", "qwen2", ... : the row of families.def */
  const char *architecture; /* "LlamaForCausalLM" */
  int64_t vocab_size;       /* rows of the embedding, padding included */
  int64_t hidden_size, intermediate_size, n_layers, n_heads, n_kv_heads, head_dim;
  int64_t max_positions;        /* the longest context it was made for */
  int64_t sliding_window;       /* 0: none */
  int64_t n_parameters;         /* shared (tied) weights counted once */
  size_t weight_bytes;          /* as stored */
  bool tied;                    /* lm_head shares the embedding */
  lb_precision precision;       /* that products are computed in; never AUTO */
  double precision_kl;          /* mean KL(f32 || it), nats per token of the model's own text, when
                                   AUTO measured it; NaN: not measured */
  int32_t bos_token_id;         /* -1: none */
  const int32_t *eos_token_ids; /* union over config and generation_config */
  size_t n_eos_token_ids;
} lb_model_info;
LB_API const lb_model_info *lb_model_get_info(const lb_model *model);

/** What the model's makers recommend (generation_config.json); NaN or -1 where they say nothing.
 *  lb_generate knows nothing of it: it does what its options say. */
typedef struct lb_sampling_defaults {
  double temperature, top_p, min_p, repetition_penalty;
  int64_t top_k;
  int do_sample; /* -1, 0 or 1 */
} lb_sampling_defaults;
LB_API const lb_sampling_defaults *lb_model_get_sampling_defaults(const lb_model *model);

/** Names of all families and of the architectures each one reads, for help texts.
 *  @return the i-th family, NULL past the end */
LB_API const char *lb_model_family_name(size_t i, const char **architecture);

#ifdef __cplusplus
}
#endif
#endif

/* hf_config.h - config.json and generation_config.json of a Hugging Face folder.
 * Owns: both generations of spellings (Transformers 4 and 5), which are read alike and both
 * written; the copying of the other small files. Keeps unknown keys. Refuses: knowing what a
 * family's keys mean (model/); plain keys are read with lb__json_get_* of base/json.h. */
#ifndef LB_FORMATS_HF_CONFIG_H
#define LB_FORMATS_HF_CONFIG_H

#include "base/json.h"
#include "base/files.h"

#include <limbeck/dtype.h>

/* folder/config.json as a tree; the root is an object. @owns *out: json_decref */
lb_status lb__hf_config_read(json_t **out, const char *folder, lb_error *err);

/* The same for any other file of the folder that holds one JSON object. */
lb_status lb__hf_object_read(json_t **out, const char *folder, const char *file, lb_error *err);

/* The object that describes the text decoder: "text_config" of a multimodal config, else config
 * itself. Borrowed. */
json_t *lb__hf_text_config(json_t *config);

/* Writes folder/config.json atomically: sorted keys, 2 spaces, trailing newline. The caller has
 * set the keys; lb__hf_dtype_write and lb__hf_rope_write set both spellings. */
lb_status lb__hf_config_write(const char *folder, const json_t *config, lb_error *err);

/* ---- dtype / torch_dtype ---- */
/* Reads "bfloat16", "torch.float16", ... *found is false when neither key is there. */
lb_status lb__hf_dtype_read(lb_dtype *out, bool *found, const json_t *config, const char *name,
                            lb_error *err);
lb_status lb__hf_dtype_write(json_t *config, lb_dtype dtype,
                             lb_error *err); /* F32, F16, BF16, F64 */

/* ---- token ids: an integer or a list ---- */
typedef struct lb__token_ids {
  int32_t *ids;
  size_t n;
} lb__token_ids;
/* An integer, a list of integers, null or absent (n = 0). Negative integers are dropped (some
 * configs say -1 for none). @owns ids: lb__token_ids_deinit */
lb_status lb__hf_ids_read(lb__token_ids *out, const json_t *object, const char *key,
                          const char *name, lb_error *err);
bool lb__token_ids_add(lb__token_ids *list, int32_t id); /* unless there; false: no memory */
void lb__token_ids_deinit(lb__token_ids *list);
json_t *lb__token_ids_json(const lb__token_ids *list); /* null, integer or list; NULL: no memory */

/* ---- rotary positions ---- */
typedef enum lb__rope_type {
  LB__ROPE_DEFAULT,
  LB__ROPE_LINEAR,
  LB__ROPE_DYNAMIC,
  LB__ROPE_YARN,
  LB__ROPE_LONGROPE,
  LB__ROPE_LLAMA3
} lb__rope_type;
const char *lb__rope_type_name(lb__rope_type type); /* "default", "linear", ... */

/* An absent number is NaN, an absent integer -1. */
typedef struct lb__hf_rope {
  lb__rope_type type;
  double theta;
  double factor;                                 /* linear, dynamic, yarn, llama3 */
  double low_freq_factor, high_freq_factor;      /* llama3 */
  int64_t original_max_position_embeddings;      /* yarn, llama3 */
  double beta_fast, beta_slow, attention_factor; /* yarn */
  double mscale, mscale_all_dim;                 /* yarn, deepseek */
  bool truncate;                                 /* yarn; true unless the file says false */
  double partial_rotary_factor;
} lb__hf_rope;

/* Reads rope_theta + rope_scaling{rope_type|type} or rope_parameters, also nested per layer type.
 * layer_type: NULL for a model with one kind of layer, else "full_attention" or
 * "sliding_attention" (for the latter the old spelling is rope_local_base_freq, unscaled).
 * default_theta is used when no key gives one. A missing number that the type needs is LB_E_FORMAT;
 * a type not in the list is LB_E_UNSUPPORTED. longrope is read but its factors are not. */
lb_status lb__hf_rope_read(lb__hf_rope *out, const json_t *config, const char *layer_type,
                           double default_theta, const char *name, lb_error *err);

/* Sets rope_parameters and the old keys. sliding NULL: one kind of layer; else nested, and
 * rope_local_base_freq. Replaces what was there. longrope is LB_E_UNSUPPORTED. */
lb_status lb__hf_rope_write(json_t *config, const lb__hf_rope *full, const lb__hf_rope *sliding,
                            lb_error *err);

/* ---- generation_config.json ---- */
typedef enum lb__early_stopping {
  LB__EARLY_STOPPING_FALSE,
  LB__EARLY_STOPPING_TRUE,
  LB__EARLY_STOPPING_NEVER
} lb__early_stopping;

/* C type, reader, name: the known scalar fields */
#define LB__GENERATION_MAP(X)                                                                      \
  X(bool, bool, do_sample)                                                                         \
  X(double, real, temperature)                                                                     \
  X(int64_t, int, top_k)                                                                           \
  X(double, real, top_p)                                                                           \
  X(double, real, min_p)                                                                           \
  X(double, real, typical_p)                                                                       \
  X(double, real, repetition_penalty)                                                              \
  X(int64_t, int, no_repeat_ngram_size)                                                            \
  X(int64_t, int, max_new_tokens)                                                                  \
  X(int64_t, int, max_length)                                                                      \
  X(int64_t, int, min_new_tokens)                                                                  \
  X(int64_t, int, min_length)                                                                      \
  X(int64_t, int, num_beams)                                                                       \
  X(int64_t, int, num_return_sequences)                                                            \
  X(double, real, length_penalty)                                                                  \
  X(int64_t, int, bos_token_id)                                                                    \
  X(int64_t, int, pad_token_id)                                                                    \
  X(int64_t, int, decoder_start_token_id)

typedef struct lb__hf_generation {
#define LB__GENERATION_FIELD(c_type, reader, field)                                                \
  c_type field;                                                                                    \
  bool has_##field;
  LB__GENERATION_MAP(LB__GENERATION_FIELD)
#undef LB__GENERATION_FIELD
  lb__early_stopping early_stopping;
  bool has_early_stopping;
  lb__token_ids eos; /* n = 0 when absent */
  json_t *tree;      /* the whole file, unknown keys too; NULL when there was no file */
} lb__hf_generation;

/* folder/generation_config.json; no such file is LB_OK with nothing set.
 * @owns *out: lb__hf_generation_deinit */
lb_status lb__hf_generation_read(lb__hf_generation *out, const char *folder, lb_error *err);
/* The same from a tree (kept: its reference count goes up); `name` appears in errors. */
lb_status lb__hf_generation_parse(lb__hf_generation *out, json_t *tree, const char *name,
                                  lb_error *err);
void lb__hf_generation_deinit(lb__hf_generation *g);
/* Writes folder/generation_config.json from a tree, as lb__hf_config_write does. */
lb_status lb__hf_generation_write(const char *folder, const json_t *tree, lb_error *err);

/* ---- the other files ---- */
/* Copies, byte for byte and each atomically, the tokenizer's files, chat templates, licence files
 * and generation_config.json from one folder to another, as far as they exist. Never config.json,
 * never weights, never README.md. */
lb_status lb__hf_folder_copy_files(const char *to, const char *from, lb_error *err);
/* Removes the files of that list that make text (not the licences): before another model's files
 * come into a folder, so that a template or a token of the old model does not outlive it. */
lb_status lb__hf_folder_remove_text_files(const char *folder, lb_error *err);

#endif

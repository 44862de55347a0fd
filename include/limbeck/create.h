/** limbeck/create.h - a model that has learned nothing yet: random weights of a given shape.
 *
 *      lb_create_options options = lb_create_options_default();
 *      options.tokenizer = "gpt2-medium";
 *      options.seed = 42;
 *      lb_status st = lb_create("small/config.json", "student_folder", &options, &err);
 *
 *  The result is a Hugging Face folder. A recipe does the same with `student: {config: {...}}`
 *  (limbeck/distill.h).                                                                          */
#ifndef LIMBECK_CREATE_H
#define LIMBECK_CREATE_H

#include <limbeck/dtype.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lb_create_options {
  const char *tokenizer; /* a model whose tokenizer, chat template and generation settings go along:
                            a folder, a .gguf file or a hub name; NULL: none */
  uint64_t seed;
  bool has_dtype;          /* false: F32 */
  lb_dtype dtype;          /* F32, F16 or BF16 */
  uint64_t max_shard_size; /* bytes per safetensors file; 0 = 50 GB */
  bool overwrite;          /* false: an existing output is LB_E_ARG */
  /* called after each tensor with how many of how many are done; may be NULL */
  void (*on_progress)(void *ctx, size_t done, size_t total, const char *tensor);
  void *on_progress_ctx;
  const volatile int *cancel; /* non-zero there ends it with LB_E_CANCELLED; or NULL */
} lb_create_options;
LB_API lb_create_options lb_create_options_default(void);

/** Writes `to` from the config.json of a known family. Weights begin as Transformers begins them:
 *  matrices normal with mean 0 and deviation initializer_range (0.02 when the file does not say),
 *  GPT-2's projections into the residual stream divided by sqrt(2 * layers), biases 0, norms 1
 *  (stored as 0 where a family stores them minus one). A number is a function of the seed, its
 *  tensor's name and its place there: the same on every machine, for any number of threads.
 *  @param config  a config.json, or a folder that holds one
 *  @error LB_E_ARG (the output, a vocabulary larger than the model's), LB_E_IO, LB_E_FORMAT,
 *         LB_E_UNSUPPORTED (a family or a feature, by name), LB_E_LIMIT (more than the disk has
 *         room for), LB_E_NOMEM, LB_E_CANCELLED; no folder that looks whole is left
 *  @test tests/unit/test_create.c */
LB_API LB_NODISCARD lb_status lb_create(const char *config, const char *to,
                                        const lb_create_options *options, lb_error *err);

#ifdef __cplusplus
}
#endif
#endif

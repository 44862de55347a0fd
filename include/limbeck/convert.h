/** limbeck/convert.h - Hugging Face folder to GGUF and back.
 *
 *      lb_convert_options options = {.dtype = LB_DTYPE_Q8_0, .has_dtype = true};
 *      lb_status st = lb_convert("model_folder", "model.gguf", &options, &err);
 *
 *  The kind of output follows its name: ".gguf" is GGUF, anything else a folder. What llama.cpp
 *  cannot express is refused by name. Writes are atomic.                                      */
#ifndef LIMBECK_CONVERT_H
#define LIMBECK_CONVERT_H

#include <limbeck/dtype.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lb_convert_options {
  bool has_dtype;          /* false: GGUF keeps F32/F16/BF16 sources and writes F16 for others;
                              a folder gets BF16 for BF16 sources, F16 for F16 ones, else F32 */
  lb_dtype dtype;          /* to GGUF: F32 F16 BF16 Q8_0 Q4_0; to a folder: F32 F16 BF16 */
  uint64_t max_shard_size; /* bytes per safetensors file; 0 = 50 GB, as Transformers 5 */
  bool overwrite;          /* false: an existing output is LB_E_ARG */
  /* called after each tensor with how many of how many are done; may be NULL */
  void (*on_progress)(void *ctx, size_t done, size_t total, const char *tensor);
  void *on_progress_ctx;
  const volatile int *cancel; /* non-zero there ends the conversion with LB_E_CANCELLED; or NULL */
} lb_convert_options;
LB_API lb_convert_options lb_convert_options_default(void);

/** @error LB_E_ARG, LB_E_IO, LB_E_FORMAT, LB_E_UNSUPPORTED (family, dtype, or a feature that the
 *  target cannot express), LB_E_NOMEM, LB_E_CANCELLED; no half-written file is left */
LB_API LB_NODISCARD lb_status lb_convert(const char *from, const char *to,
                                         const lb_convert_options *options, lb_error *err);

/** Whether lb_convert would refuse, before anything is written or a long training run begins.
 *  @error as lb_convert, but for what only writing shows  @test tests/cli/test_made_student.sh */
LB_API LB_NODISCARD lb_status lb_convert_check(const char *from, const char *to,
                                               const lb_convert_options *options, lb_error *err);

#ifdef __cplusplus
}
#endif
#endif

/** limbeck/shrink.h - a student that begins as a part of its teacher.
 *
 *      lb_shrink_options options = lb_shrink_options_default();
 *      options.n_layers = 6;
 *      lb_status st = lb_shrink("gpt2", "student_folder", &options, &err);
 *
 *  The result is a Hugging Face folder: chosen layers of the teacher, renumbered from 0, with its
 *  embeddings, head, tokenizer and settings. It is worse than the teacher at first; training it on
 *  the teacher's predictions (limbeck/distill.h) is what makes a student of it.                 */
#ifndef LIMBECK_SHRINK_H
#define LIMBECK_SHRINK_H

#include <limbeck/dtype.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lb_shrink_options {
  int64_t n_layers;      /* how many to keep, chosen as lb_shrink_choose does; 0: `layers` says */
  const int64_t *layers; /* [n_chosen] which to keep: from 0, rising; NULL: n_layers says */
  size_t n_chosen;
  bool
      has_dtype; /* false: BF16 and F16 teachers keep their type; others, quantised ones too, F32 */
  lb_dtype dtype;          /* F32, F16 or BF16 */
  uint64_t max_shard_size; /* bytes per safetensors file; 0 = 50 GB */
  bool overwrite;          /* false: an existing output is LB_E_ARG */
  /* called after each tensor with how many of how many are done; may be NULL */
  void (*on_progress)(void *ctx, size_t done, size_t total, const char *tensor);
  void *on_progress_ctx;
  const volatile int *cancel; /* non-zero there ends it with LB_E_CANCELLED; or NULL */
} lb_shrink_options;
LB_API lb_shrink_options lb_shrink_options_default(void);

/** Writes `to` from a teacher: a folder, a .gguf file or a hub name.
 *  @error LB_E_ARG (the choice of layers, the output), LB_E_IO, LB_E_FORMAT, LB_E_UNSUPPORTED (a
 *         family, or a feature that ties a layer to its number), LB_E_NOMEM, LB_E_CANCELLED; no
 *         folder that looks whole is left                     @test tests/cli/test_shrink.sh */
LB_API LB_NODISCARD lb_status lb_shrink(const char *teacher, const char *to,
                                        const lb_shrink_options *options, lb_error *err);

/** Which layers to keep when only their number is given: evenly spread, the first and the last
 * among them. Layer i of the student is layer round(i * (n_layers - 1) / (n_keep - 1)) of the
 * teacher. Of 12 layers 6 are 0 2 4 7 9 11, as in DistilBERT and DistilGPT-2 (arXiv:1910.01108;
 * their script extract.py). One layer alone is the first.
 *  @param chosen  [n_keep]; 1 <= n_keep <= n_layers, else nothing is written and the result is
 * false
 */
LB_API bool lb_shrink_choose(int64_t *chosen, int64_t n_keep, int64_t n_layers);

#ifdef __cplusplus
}
#endif
#endif

/** limbeck/shrink.h - a student that begins as a part of its teacher.
 *
 *      lb_shrink_options options = lb_shrink_options_default();
 *      options.n_layers = 6;
 *      lb_status st = lb_shrink("gpt2", "student_folder", &options, &err);
 *
 *  The result is a Hugging Face folder: chosen layers of the teacher, renumbered from 0, and of
 *  their weights the rows and columns of chosen channels, heads and neurons, with its embeddings,
 *  head, tokenizer and settings. It is worse than the teacher at first; training it on the
 * teacher's predictions (limbeck/distill.h) is what makes a student of it.
 *
 *  Choosing by importance wants it measured first (limbeck/importance.h):
 *
 *      options.hidden_size = 432;
 *      options.intermediate_size = 1024;
 *      options.importance = importance;                                                         */
#ifndef LIMBECK_SHRINK_H
#define LIMBECK_SHRINK_H

#include <limbeck/dtype.h>
#include <limbeck/importance.h>
#include <limbeck/token_counts.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lb_layer_selection {                      /* how n_layers are chosen */
                                  LB_LAYERS_UNIFORM,   /* evenly spread: lb_shrink_choose */
                                  LB_LAYERS_INFLUENCE, /* those of the largest block influence */
                                  LB_LAYERS_RANDOM     /* drawn */
} lb_layer_selection;

typedef enum lb_width_selection { /* how channels, heads and neurons are chosen */
                                  LB_WIDTH_ACTIVATION, /* those of the largest importance */
                                  LB_WIDTH_RANDOM /* drawn: the control that a measure must beat */
} lb_width_selection;

typedef struct lb_shrink_options {
  int64_t n_layers;      /* how many to keep, chosen as layer_selection says; 0: `layers` says */
  const int64_t *layers; /* [n_chosen] which to keep: from 0, rising; NULL: n_layers says, and where
                            that is 0 too, all are kept */
  size_t n_chosen;
  lb_layer_selection layer_selection;
  /* Widths to keep; 0: the teacher's. Head size never changes. Of equal importance, the lower
   * number is kept; what is kept keeps its order. */
  int64_t hidden_size;       /* channels of the residual stream, the same in every layer */
  int64_t n_heads;           /* query heads, in each layer its own; 0 with n_kv_heads: as many as
                                leaves the groups whole */
  int64_t n_kv_heads;        /* groups; each keeps n_heads / n_kv_heads of its query heads. 0 with
                                n_heads: all, or where each has one query head, as many as those */
  int64_t intermediate_size; /* neurons of the MLP, in each layer its own */
  lb_width_selection width_selection;
  uint64_t seed;                     /* of what is drawn */
  const lb_importance *importance;   /* of the teacher; NULL: nothing may need it. Where it is given
                                        and hidden_size shrinks, every norm's gain makes up for the
                                        mean square that it no longer sees; borrowed */
  const lb_token_counts *vocabulary; /* tokens that are kept, with those that lead to them, special
                                        ones and what any text may need; under new ids, in their
                                        order. Of the teacher's tokenizer; NULL: all; borrowed */
  int64_t vocab_size;                /* the most used of them, so many in all; 0: as many as are */
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

/** Writes `to` from a teacher: a folder, a .gguf file or a hub name. Keeping everything gives the
 *  teacher's weights, bit for bit unless another dtype is asked for.
 *  @error LB_E_ARG (a choice that the teacher cannot give or its configuration cannot say,
 *         importance that is missing or another model's, the output), LB_E_IO, LB_E_FORMAT,
 *         LB_E_UNSUPPORTED (a family, a feature that ties a layer to its number), LB_E_NUMERIC
 *         (importance not finite), LB_E_NOMEM, LB_E_CANCELLED; no folder that looks whole is left
 *  @test tests/unit/test_shrink.c, tests/unit/test_shrink_width.c, tests/cli/test_shrink.sh */
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

/** Which layers lb_shrink will keep of a teacher of n_layers, rising: for those who want to say so.
 *  @param chosen  [n_layers]   @param n  how many they are
 *  @error LB_E_ARG, LB_E_NUMERIC, LB_E_NOMEM, as lb_shrink   @test tests/unit/test_shrink.c */
LB_API LB_NODISCARD lb_status lb_shrink_layers(int64_t *chosen, int64_t *n,
                                               const lb_shrink_options *options, int64_t n_layers,
                                               lb_error *err);

#ifdef __cplusplus
}
#endif
#endif

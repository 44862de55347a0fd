/** limbeck/importance.h - which layers, channels, heads and neurons of a model its activations on
 *  given text say matter. What a smaller model keeps is chosen by it (limbeck/shrink.h).
 *
 *      lb_importance *importance;
 *      lb_status st = lb_importance_measure(&importance, model, documents, n, NULL, &err);
 *      importance->layers[3] ...
 *      lb_importance_free(importance);
 *
 *  The measures are those of Minitron (arXiv:2407.14679) and ShortGPT (arXiv:2403.03853). With
 *  |x| the absolute value of an activation, one number per document is its mean over the
 *  document's tokens, and the documents' numbers are joined as the root of their mean square.   */
#ifndef LIMBECK_IMPORTANCE_H
#define LIMBECK_IMPORTANCE_H

#include <limbeck/generate.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The norms of a layer that reads or writes the residual stream, in order; not all families have
 *  all of them. */
#define LB_IMPORTANCE_LAYER_NORMS 4

typedef struct lb_importance {
  int64_t n_layers, hidden_size, n_heads, intermediate_size; /* of the model: L, C, H, F */
  int64_t n_documents, n_tokens;                             /* that were read */
  const double *layers;  /* [L] block influence: 1 - mean over tokens of cos(what enters the layer,
                            what leaves it); 0 changes no direction */
  const double *hidden;  /* [C] |output| of the norms before attention and MLP and of the last one,
                            summed over them */
  const double *heads;   /* [L, H] Euclidean norm of a head's output */
  const double *neurons; /* [L, F] |what the down projection reads| */
  const double *shares;  /* [4 L + 1, C] of each norm (before attention, after it, before the MLP,
                            after it; the last one): the mean over tokens of the share that a channel
                            has of the sum of squares that the norm divides by; 0 where there is no
                            such norm */
} lb_importance;

typedef struct lb_importance_options {
  /* called after each pass of the model with how many tokens of how many were read; may be NULL */
  void (*on_progress)(void *ctx, size_t done, size_t total);
  void *on_progress_ctx;
  const volatile int *cancel; /* non-zero there ends it with LB_E_CANCELLED; or NULL */
} lb_importance_options;
LB_API lb_importance_options lb_importance_options_default(void);

/** Reads the documents once. Memory: one pass of at most 2048 tokens, and 16 bytes for each number
 *  above. The same bits for any number of threads.
 *  @owns   *out: lb_importance_free
 *  @error  LB_E_ARG (no document, an empty one, one longer than the context, an id outside the
 *          vocabulary), LB_E_NUMERIC (activations not finite: which layer), LB_E_NOMEM,
 *          LB_E_CANCELLED   @test tests/unit/test_importance.c */
LB_API LB_NODISCARD lb_status lb_importance_measure(lb_importance **out, lb_model *model,
                                                    const lb_prompt *documents, size_t n_documents,
                                                    const lb_importance_options *options,
                                                    lb_error *err);
LB_API void lb_importance_free(lb_importance *importance);

#ifdef __cplusplus
}
#endif
#endif

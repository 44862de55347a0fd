/* convert_internal.h - what the files of the converter share. Private to src/model/convert*.c and
 * shrink.c, and create*.c, which write folders too. */
#ifndef LB_MODEL_CONVERT_INTERNAL_H
#define LB_MODEL_CONVERT_INTERNAL_H

#include "model_internal.h"
#include "text/vocabulary_cut.h"

#include <limbeck/convert.h>
#include <limbeck/shrink.h>
#include <limbeck/tokenizer.h>

/* Which of a weight's rows or columns go on: [n] rising places in the source; NULL: all of them. */
typedef struct lb__kept {
  int64_t *at, n;
} lb__kept;

/* What is kept of widths (shrink_width.c). Lists are by lb__extent: what all layers share, and what
 * each target layer has for itself. */
typedef struct lb__cut {
  int64_t hidden_size, n_heads, n_kv_heads, intermediate_size; /* of the target */
  lb__kept shared[LB__N_EXTENTS];
  lb__kept *own;   /* [n_chosen][LB__N_EXTENTS]; NULL: none */
  double *gains;   /* [n_gains] factors of norms: of layers, then of the last; NULL: all 1 */
  int64_t n_gains; /* n_chosen * LB_IMPORTANCE_LAYER_NORMS + 1 */
  int64_t *memory; /* of the lists */
} lb__cut;

/* One weight on its way from a checkpoint to a file. */
typedef struct lb__moved_weight {
  lb__weight weight;
  int64_t layer; /* in the target */
  lb__weight_place from;
  lb_dtype dtype; /* to be written */
  bool transpose; /* between [out,in] and Conv1D's [in,out] */
  bool permute;   /* into llama.cpp's row order */
  int64_t heads;
  lb__kept picks[2];  /* of the stored tensor's two extents */
  float gain, offset; /* every element times one, plus the other: norms */
  char name[LB__WEIGHT_NAME_SIZE];
} lb__moved_weight;

/* The vocabulary that is left (shrink_vocabulary.c). */
typedef struct lb__trim {
  lb__vocabulary_cut cut;           /* n = 0: all of it */
  lb_tokenizer *source, *tokenizer; /* of the source; what is left of it */
  int64_t *rows;                    /* [cut.n] as lb__kept wants them */
} lb__trim;

typedef struct lb__conversion {
  const lb_convert_options *options;
  const char *to;
  bool to_gguf;
  lb__checkpoint *source;
  lb__model_config config;
  int64_t *layers, n_chosen; /* layer i of the target is layers[i] of the source; NULL: layer i */
  const lb__cut *cut;        /* NULL: whole weights */
  const lb__trim *trim;      /* NULL: the whole vocabulary */
  const lb_model *live;      /* weights come from this model's memory; NULL: from the source */
  lb__moved_weight *weights;
  lb__tensor_decl *decls; /* of weights, and of rope_freqs.weight after them */
  size_t n, done;
} lb__conversion;

/* Checks what is asked for and opens the source; then writes the target.
 * @owns *c: lb__conversion_deinit, also after a failure */
lb_status lb__conversion_open(lb__conversion *c, const char *from, lb_error *err);
lb_status lb__conversion_write(lb__conversion *c, lb_error *err);
void lb__conversion_deinit(lb__conversion *c);

/* Makes a source's configuration that of its chosen layers and widths (shrink.c). */
lb_status lb__conversion_cut_config(json_t *config, const lb__conversion *c, lb_error *err);
/* Chooses what is kept of widths, the layers being chosen.
 * @owns *cut: lb__cut_deinit, also after a failure */
lb_status lb__cut_choose(lb__cut *cut, const lb__conversion *c, const lb_shrink_options *o,
                         lb_error *err);
void lb__cut_deinit(lb__cut *cut);
lb__kept lb__cut_list(const lb__cut *cut, lb__weight w, lb__extent extent, int64_t layer);
double lb__cut_gain(const lb__cut *cut, lb__weight w, int64_t layer);
/* Writes the target's widths. */
lb_status lb__cut_config(json_t *config, const lb__cut *cut, const lb__model_config *source,
                         lb_error *err);
/* The `n_keep` largest of scores [n], of equal ones the first, rising.
 * @error LB_E_NUMERIC (`what`: a score that is not finite), LB_E_NOMEM */
lb_status lb__keep_largest(int64_t *chosen, int64_t n_keep, const double *scores, int64_t n,
                           const char *what, lb_error *err);
/* Scores that choose at random. */
typedef enum lb__draw {
  LB__DRAW_LAYERS,
  LB__DRAW_CHANNELS,
  LB__DRAW_HEADS,
  LB__DRAW_NEURONS
} lb__draw;
void lb__draw_scores(double *scores, int64_t n, uint64_t seed, lb__draw what, int64_t layer);

/* Chooses what is kept of the vocabulary; then writes that into config.json, and into the text
 * files that the converter has copied or made.
 * @owns *t: lb__trim_deinit, also after a failure */
lb_status lb__trim_choose(lb__trim *t, const lb__conversion *c, const lb_shrink_options *o,
                          lb_error *err);
void lb__trim_deinit(lb__trim *t);
lb_status lb__trim_config(json_t *config, const lb__trim *t, lb_error *err);
lb_status lb__trim_write_text(const lb__conversion *c, lb_error *err);

/* Lists every weight of the source with its target name, dtype and form (convert_weights.c). */
lb_status lb__conversion_plan(lb__conversion *c, lb_error *err);
/* lb__fill_fn: the bytes of weight `index`, a few rows at a time. ctx is the conversion. */
lb_status lb__conversion_fill(void *ctx, size_t index, lb__sink *sink, lb_error *err);
/* `wide` [n, cols] F32 times m->gain plus m->offset, cast to m->dtype, into the sink. */
lb_status lb__pour_wide(const lb__moved_weight *m, lb_tensor *wide, lb__sink *sink, lb_error *err);
/* The same of a weight of c->live, as its folder stores it (convert_live.c). */
lb_status lb__pour_live(const lb__conversion *c, const lb__moved_weight *m, lb__sink *sink,
                        lb_error *err);
/* The dtype most of the source's matrices have. */
lb_dtype lb__conversion_source_dtype(const lb__conversion *c);

/* config.json of a configuration that came from no folder: sets every key of c->config. */
lb_status lb__conversion_make_config(json_t *j, const lb__conversion *c, lb_error *err);
/* Tokenizer, template, generation settings; what was there before goes. `t`: the tokenizer of a
 * GGUF source; NULL when the source is a folder. */
lb_status lb__conversion_write_text(const lb__conversion *c, const lb_tokenizer *t, lb_error *err);

/* What llama.cpp cannot express is refused; c is planned (convert_gguf.c). */
lb_status lb__convert_check_gguf(const lb__conversion *c, lb_error *err);
lb_status lb__convert_to_gguf(lb__conversion *c, lb_error *err);   /* convert_gguf.c */
lb_status lb__convert_to_folder(lb__conversion *c, lb_error *err); /* convert_folder.c */

#endif

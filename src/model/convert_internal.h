/* convert_internal.h - what the files of the converter share. Private to src/model/convert*.c and
 * shrink.c, and create*.c, which write folders too. */
#ifndef LB_MODEL_CONVERT_INTERNAL_H
#define LB_MODEL_CONVERT_INTERNAL_H

#include "model_internal.h"

#include <limbeck/convert.h>
#include <limbeck/tokenizer.h>

/* One weight on its way from a checkpoint to a file. */
typedef struct lb__moved_weight {
  lb__weight weight;
  int64_t layer; /* in the target */
  lb__weight_place from;
  lb_dtype dtype; /* to be written */
  bool transpose; /* between [out,in] and Conv1D's [in,out] */
  bool permute;   /* into llama.cpp's row order */
  int64_t heads;
  float offset; /* added to every element: Gemma's norms */
  char name[LB__WEIGHT_NAME_SIZE];
} lb__moved_weight;

typedef struct lb__conversion {
  const lb_convert_options *options;
  const char *to;
  bool to_gguf;
  lb__checkpoint *source;
  lb__model_config config;
  int64_t *layers, n_chosen; /* layer i of the target is layers[i] of the source; NULL: layer i */
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

/* Makes a source's configuration that of its chosen layers (shrink.c). */
lb_status lb__conversion_cut_config(json_t *config, const lb__conversion *c, lb_error *err);
/* Lists every weight of the source with its target name, dtype and form (convert_weights.c). */
lb_status lb__conversion_plan(lb__conversion *c, lb_error *err);
/* lb__fill_fn: the bytes of weight `index`, a few rows at a time. ctx is the conversion. */
lb_status lb__conversion_fill(void *ctx, size_t index, lb__sink *sink, lb_error *err);
/* `wide` [n, cols] F32 plus m->offset, cast to m->dtype, into the sink. */
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

lb_status lb__convert_to_gguf(lb__conversion *c, lb_error *err);   /* convert_gguf.c */
lb_status lb__convert_to_folder(lb__conversion *c, lb_error *err); /* convert_folder.c */

#endif

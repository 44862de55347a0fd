/* trainable.h - a model whose weights can change: float parameters in one buffer, their gradients
 * in another, each with its Hugging Face name. The forward pass is forward.h's, the same code.
 * Owns: making a model trainable, naming parameters, writing it as a Hugging Face folder. */
#ifndef LB_MODEL_TRAINABLE_H
#define LB_MODEL_TRAINABLE_H

#include "forward.h"

/* One stretch of numbers that the optimizer changes: a weight of the student, or of a projector. */
typedef struct lb__parameter {
  char *name;        /* "model.layers.0.mlp.up_proj.weight", unique */
  lb_tensor *tensor; /* has a gradient */
  bool decay;        /* weight decay applies: not to biases, norms and other 1-D tensors */
} lb__parameter;

typedef struct lb__trainable_options {
  lb_dtype real;          /* F32; F64 for verifying */
  lb_precision precision; /* compute: F32 or BF16 products; AUTO: BF16 where those are faster */
  const lb__vocabulary_map *rows; /* as for lb__model_open_rows: of a model that is never saved */
} lb__trainable_options;

/* Opens a student: as lb_model_open, then every weight becomes a float parameter.
 * @owns *out: lb_model_free
 * @error as lb_model_open; LB_E_UNSUPPORTED: INT8 and STORED have no backward */
lb_status lb__model_open_trainable(lb_model **out, const char *path,
                                   const lb__trainable_options *options, lb_error *err);
/* The parameters, in a fixed order; tied weights once. Borrowed. */
const lb__parameter *lb__model_parameters(const lb_model *m, size_t *n);
void lb__model_zero_gradients(lb_model *m);

/* Writes config.json, weights (F32, BF16 or F16), tokenizer files and generation_config.json as the
 * student's source has them; from a GGUF they are made. Each file atomically, config.json last.
 * @error LB_E_IO, LB_E_NOMEM, LB_E_CANCELLED */
lb_status lb__model_save_folder(lb_model *m, const char *folder, lb_dtype dtype, lb_error *err);
/* The number format the student came in: BF16 or F16 when most of its matrices are, else F32. */
lb_dtype lb__model_source_dtype(const lb_model *m);
/* A number that another model of the same shape does not share: of every stored tensor's name, size
 * and some of its bytes. Same on every machine. */
uint64_t lb__model_fingerprint(const lb_model *m);
/* Reads the weights of such a folder back into an open trainable model (resume).
 * @error LB_E_SHAPE, LB_E_FORMAT when it is another model */
lb_status lb__model_load_parameters(lb_model *m, const char *folder, lb_error *err);

#endif

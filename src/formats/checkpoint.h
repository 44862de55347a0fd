/* checkpoint.h - one view of a model's tensors, wherever they are: a Hugging Face folder
 * (safetensors), a GGUF file, or a name in the hub cache.
 * Owns: opening and looking up. Refuses: knowing families; names are the file's own. */
#ifndef LB_FORMATS_CHECKPOINT_H
#define LB_FORMATS_CHECKPOINT_H

#include "gguf.h"
#include "hf_config.h"
#include "hub_cache.h"
#include "safetensors.h"

typedef struct lb__checkpoint lb__checkpoint;

/* path as in lb__model_place_find. Weights are mapped, not read. @owns *out: lb__checkpoint_close
 * @error LB_E_IO, LB_E_FORMAT, LB_E_LIMIT, LB_E_UNSUPPORTED, LB_E_ARG, LB_E_NOMEM */
lb_status lb__checkpoint_open(lb__checkpoint **out, const char *path, lb_error *err);
void lb__checkpoint_close(lb__checkpoint *c); /* accepts NULL and half-built */

const lb__model_place *lb__checkpoint_place(const lb__checkpoint *c); /* kind, folder, file */
const char *lb__checkpoint_name(const lb__checkpoint *c); /* folder or .gguf file, for messages */
json_t *lb__checkpoint_config(const lb__checkpoint *c);   /* config.json; NULL for GGUF; borrowed */
const lb__gguf *lb__checkpoint_gguf(const lb__checkpoint *c); /* NULL for a folder */

size_t lb__checkpoint_count(const lb__checkpoint *c);
const lb__stored_tensor *lb__checkpoint_tensor(const lb__checkpoint *c, size_t i);
const lb__stored_tensor *lb__checkpoint_find(const lb__checkpoint *c, const char *name);
/* As find, but a missing tensor is LB_E_FORMAT naming the model, the tensor and a close name. */
lb_status lb__checkpoint_need(const lb__stored_tensor **out, const lb__checkpoint *c,
                              const char *name, lb_error *err);

#endif

/** limbeck/inspect.h - what is in a model file or folder, without loading it as a model: works for
 *  any GGUF or safetensors file, also of families that Limbeck does not run.                  */
#ifndef LIMBECK_INSPECT_H
#define LIMBECK_INSPECT_H

#include <limbeck/dtype.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LB_STORED_INFO_RANK 8

typedef struct lb_stored_info { /* one tensor */
  const char *name;
  lb_dtype dtype;
  int rank;
  int64_t shape[LB_STORED_INFO_RANK]; /* PyTorch order */
  size_t size_bytes;
} lb_stored_info;

typedef struct lb_fact {   /* one line of metadata: a GGUF key, a config.json key */
  const char *key, *value; /* value as text; long arrays are abbreviated "[49152 strings]" */
} lb_fact;

typedef struct lb_inspection lb_inspection;

/** @owns *out: lb_inspection_free   @error as lb_model_open, without the family's checks */
LB_API LB_NODISCARD lb_status lb_inspect(lb_inspection **out, const char *path, lb_error *err);
LB_API void lb_inspection_free(lb_inspection *i);
LB_API const char *lb_inspection_path(const lb_inspection *i);   /* as resolved */
LB_API const char *lb_inspection_format(const lb_inspection *i); /* "GGUF v3", "safetensors" */
LB_API const char *lb_inspection_architecture(const lb_inspection *i);
LB_API bool lb_inspection_is_known(const lb_inspection *i); /* a family that Limbeck runs */
LB_API size_t lb_inspection_n_tensors(const lb_inspection *i);
LB_API const lb_stored_info *lb_inspection_tensor(const lb_inspection *i, size_t k);
LB_API size_t lb_inspection_n_facts(const lb_inspection *i);
LB_API const lb_fact *lb_inspection_fact(const lb_inspection *i, size_t k);

#ifdef __cplusplus
}
#endif
#endif

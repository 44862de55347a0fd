/* safetensors_save.h - what safetensors_save.c (one file) and safetensors_shards.c share; nobody
 * else includes it. */
#ifndef LB_FORMATS_SAFETENSORS_SAVE_H
#define LB_FORMATS_SAFETENSORS_SAVE_H

#include "safetensors.h"

typedef struct lb__planned_tensor {
  const lb__tensor_decl *decl;
  size_t index; /* in the caller's list: what fill is called with */
  size_t size;
  size_t shard;
} lb__planned_tensor;

/* Checks every declaration; *out (n entries, in the caller's order) is freed with lb__free. */
lb_status lb__safetensors_check(lb__planned_tensor **out, const lb__tensor_decl *tensors, size_t n,
                                lb_error *err);

/* Sorts the plan into file order and writes header and tensors into an open save. */
lb_status lb__safetensors_write(lb__save *save, lb__planned_tensor *plan, size_t n,
                                const lb__text_pair *metadata, size_t n_metadata, lb__fill_fn *fill,
                                void *ctx, lb_error *err);

#endif

/* reference.h - the readable kernels, one for each op. They are the definition: every other kernel
 * is tested against them. Plain loops, double accumulation, no tricks. Read ref_attention.c for the
 * hardest one, ref_norm.c for an easy one. */
#ifndef LB_KERNELS_REFERENCE_H
#define LB_KERNELS_REFERENCE_H

#include "ops/kernel_table.h"
#include "tensor/tensor_data.h"

#define LB__OP(name, differentiable, text)                                                         \
  lb_status lb__ref_##name(const lb__##name##_args *args, void *workspace);
#include "ops/ops.def"
#undef LB__OP

size_t lb__ref_linear_workspace(const lb__linear_args *args);
size_t lb__ref_attention_workspace(const lb__attention_args *args);
size_t lb__ref_relation_workspace(const lb__relation_args *args);
size_t lb__ref_cast_workspace(const lb__cast_args *args);

/* ---- activations, gradients and float weights are F32, or F64 when a model is verified ---- */

/* Element i of t. */
static inline double lb__ref_get(const lb_tensor *t, int64_t i) {
  const void *data = lb__tensor_data(t);
  return t->dtype == LB_DTYPE_F64 ? ((const double *)data)[i] : (double)((const float *)data)[i];
}

static inline void lb__ref_set(lb_tensor *t, int64_t i, double value) {
  void *data = lb__tensor_data(t);
  if (t->dtype == LB_DTYPE_F64)
    ((double *)data)[i] = value;
  else
    ((float *)data)[i] = (float)value;
}

/* What backward does to gradients. */
static inline void lb__ref_add_at(lb_tensor *t, int64_t i, double value) {
  lb__ref_set(t, i, lb__ref_get(t, i) + value);
}

/* Puts all of them into a table. */
void lb__ref_fill(lb__kernel_table *table);

/* The activation of one number; also the odd cases of tuned kernels. */
double lb__ref_act_value(double x, lb__act_kind kind);

#endif

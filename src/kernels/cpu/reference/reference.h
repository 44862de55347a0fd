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
size_t lb__ref_embed_workspace(const lb__embed_args *args);
size_t lb__ref_attention_workspace(const lb__attention_args *args);
size_t lb__ref_relation_workspace(const lb__relation_args *args);
size_t lb__ref_cast_workspace(const lb__cast_args *args);
size_t lb__ref_divergence_workspace(const lb__divergence_args *args);
size_t lb__ref_linear_bwd_workspace(const lb__linear_bwd_args *args);
size_t lb__ref_rms_norm_bwd_workspace(const lb__rms_norm_bwd_args *args);
size_t lb__ref_layer_norm_bwd_workspace(const lb__layer_norm_bwd_args *args);

/* Element i, counted through all extents, of an F32 or F64 tensor: the same loops serve a stream in
 * float and one in double. */
static inline double lb__ref_get(const lb_tensor *t, int64_t i) {
  return t->dtype == LB_DTYPE_F64 ? ((const double *)lb__tensor_data(t))[i]
                                  : (double)lb__tensor_f32(t)[i];
}
static inline void lb__ref_put(lb_tensor *t, int64_t i, double x) {
  if (t->dtype == LB_DTYPE_F64)
    ((double *)lb__tensor_data(t))[i] = x;
  else
    lb__tensor_f32(t)[i] = (float)x;
}
static inline void lb__ref_add_to(lb_tensor *t, int64_t i, double x) {
  lb__ref_put(t, i, lb__ref_get(t, i) + x);
}

/* Row `row` of a weight [.,C] of any dtype. `real` is the type of the op's activations: a weight in
 * double keeps its digits only among such. scratch holds C floats. */
void lb__ref_weight_row(double *out, const lb_tensor *weight, int64_t row, lb_dtype real,
                        float *scratch);

/* A factor of a product of linear layers: rounded when they compute in bfloat16. */
double lb__ref_factor(double x, lb__compute compute);

/* What norms need of row n: scale = 1 / sqrt(mean((x - mean)^2) + eps); mean is 0 when the row is
 * not to be centred. */
typedef struct lb__row_moments {
  double mean, scale;
} lb__row_moments;
lb__row_moments lb__ref_row_moments(const lb_tensor *x, int64_t n, bool centred, double eps);

/* Puts all of them into a table. */
void lb__ref_fill(lb__kernel_table *table);

/* The activation of one number; also the odd cases of tuned kernels. */
double lb__ref_act_value(double x, lb__act_kind kind);
double lb__ref_act_slope(double x, lb__act_kind kind); /* its derivative */

#endif

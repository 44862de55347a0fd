/* reference.h - the readable kernels: plain loops in the order of the formula, sums in double.
 * They are the meaning of each op; every tuned kernel is tested against them. Contracts: ops.h. */
#ifndef LB_KERNELS_REFERENCE_H
#define LB_KERNELS_REFERENCE_H

#include "ops/kernel_table.h"

#define LB__OP(name, differentiable, text)                                                         \
  lb_status lb__reference_##name(const lb__##name##_args *args, void *workspace);
#include "ops/ops.def"
#undef LB__OP

/* Scratch of the three that need some. */
size_t lb__reference_linear_workspace(const lb__linear_args *args);
size_t lb__reference_attention_workspace(const lb__attention_args *args);
size_t lb__reference_cast_workspace(const lb__cast_args *args);

/* Fills every entry of the table. */
void lb__reference_fill(lb__kernel_table *table);

#endif

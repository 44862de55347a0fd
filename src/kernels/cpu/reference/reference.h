/* reference.h - the readable kernels, one for each op. They are the definition: every other kernel
 * is tested against them. Plain loops, double accumulation, no tricks. Read ref_attention.c for the
 * hardest one, ref_norm.c for an easy one. */
#ifndef LB_KERNELS_REFERENCE_H
#define LB_KERNELS_REFERENCE_H

#include "ops/kernel_table.h"

#define LB__OP(name, differentiable, text)                                                         \
  lb_status lb__ref_##name(const lb__##name##_args *args, void *workspace);
#include "ops/ops.def"
#undef LB__OP

size_t lb__ref_linear_workspace(const lb__linear_args *args);
size_t lb__ref_attention_workspace(const lb__attention_args *args);
size_t lb__ref_cast_workspace(const lb__cast_args *args);

/* Puts all of them into a table. */
void lb__ref_fill(lb__kernel_table *table);

/* The activation of one number; also the odd cases of tuned kernels. */
double lb__ref_act_value(double x, lb__act_kind kind);

#endif

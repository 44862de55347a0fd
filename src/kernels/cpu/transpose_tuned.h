/* transpose_tuned.h - table entry. */
#ifndef LB_KERNELS_TRANSPOSE_TUNED_H
#define LB_KERNELS_TRANSPOSE_TUNED_H

#include "ops/kernel_table.h"

lb_status lb__tuned_transpose(const lb__transpose_args *args, void *workspace);

#endif

/* cast_tuned.h - table entry; rounding for the products of bfloat16. */
#ifndef LB_KERNELS_CAST_TUNED_H
#define LB_KERNELS_CAST_TUNED_H

#include "ops/kernel_table.h"

lb_status lb__tuned_cast(const lb__cast_args *args, void *workspace);
size_t lb__tuned_cast_workspace(const lb__cast_args *args);

/* out [n_rows,length] as bfloat16, by all threads. */
void lb__rows_to_bf16(uint16_t *out, const float *x, int64_t n_rows, int64_t length);

#endif

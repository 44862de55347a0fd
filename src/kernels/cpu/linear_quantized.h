/* linear_quantized.h - the door to all products of 8-bit integers: which kind a product wants, what
 * it prepares of its activations. */
#ifndef LB_KERNELS_LINEAR_QUANTIZED_H
#define LB_KERNELS_LINEAR_QUANTIZED_H

#include "ops/kernel_table.h"

/* Whether these arguments ask for such products; else they are another kernel's work. */
bool lb__quantized_wanted(const lb__linear_args *args);

/* Table entries: see kernel_table.h. */
size_t lb__quantized_prepared_bytes(const lb__linear_args *args);
void lb__quantized_prepare(const lb__linear_args *args, void *memory);

lb_status lb__quantized_linear(const lb__linear_args *args, void *workspace);
size_t lb__quantized_linear_workspace(const lb__linear_args *args);

#endif

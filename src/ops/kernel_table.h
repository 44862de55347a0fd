/* kernel_table.h - which function runs an op. Owns: the table and its registry. Kernel sets
 * register themselves (kernels/cpu_select.c); ops know none of them.
 *
 * A kernel gets arguments that ops/ has checked. It returns LB_OK, or the status of a library that
 * failed (oneDNN, a device); the op names itself and the kernel in the error. It allocates nothing:
 * scratch of the size its <op>_workspace asks for comes from the stream's arena, 64-byte aligned.
 */
#ifndef LB_OPS_KERNEL_TABLE_H
#define LB_OPS_KERNEL_TABLE_H

#include "ops.h"

/* Rates are measured on noisy machines: only what is faster by so much is said to be faster. */
#define LB__RATE_MARGIN 1.25

typedef struct lb__kernel_table {
#define LB__OP(name, differentiable, text)                                                         \
  lb_status (*name)(const lb__##name##_args *args, void *workspace);                               \
  size_t (*name##_workspace)(const lb__##name##_args *args); /* NULL: needs none */
#include "ops.def"
#undef LB__OP
  /* What a linear does to x whatever the weight (rounding it to integers), for several weights at
   * once: the size it takes, 0 when there is no such step, which must be the same for all weights
   * with which the result is used. NULL: no kernel of this set has one. */
  size_t (*linear_prepared_bytes)(const lb__linear_args *args);
  void (*linear_prepare)(const lb__linear_args *args, void *memory);
  /* See lb__op_pack_weight. NULL: this set of kernels has no packed products. */
  lb_status (*pack_weight)(lb__packed **out, const lb_tensor *weight, lb__compute compute,
                           bool drop_pages);
  bool bf16_products; /* LB__COMPUTE_BF16 is computed by the CPU, not as F32 */
  /* GFLOP/s of one thread and many rows; 0: not measured, or not computed in a way of its own */
  double product_rates[LB__COMPUTE_COUNT];
  const char *int8; /* name of the kernels of LB__COMPUTE_INT8 */
  int int8_version; /* of the numbers they make */
  /* name of the chosen kernel of each op, e.g. "reference", "avx512", "onednn f32"; for doctor */
  const char *chosen[LB__OP_COUNT];
} lb__kernel_table;

/* The table in use. Selected on first use by the function the kernels room registered; a program
 * that links no kernels gets an empty one. */
const lb__kernel_table *lb__kernels(void);
/* The table for tensors in double: the reference kernels, whatever else is selected. */
const lb__kernel_table *lb__kernels_exact(void);

/* Called once, before any op, by kernels/: each fills its table. */
typedef void lb__kernel_select_fn(lb__kernel_table *table);
void lb__kernels_register(lb__kernel_select_fn *select);
void lb__kernels_register_exact(lb__kernel_select_fn *select);

#endif

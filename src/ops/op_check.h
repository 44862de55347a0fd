/* op_check.h - what every op says when tensors do not fit, so that all ops say it the same way:
 *   linear: x [4,576] F32 and weight [1536,512] Q4_1: weight has 512 input features, x has 576
 * Private to src/ops and to the fused head, which runs kernels on parts of tensors. Also:
 * lb__run_<op>, the one way from an op to its kernel. */
#ifndef LB_OPS_OP_CHECK_H
#define LB_OPS_OP_CHECK_H

#include "kernel_table.h"

#include "base/fail.h"

/* "<op>: <name> [..] F32: <why>" */
lb_status lb__op_fail(lb_error *err, lb_status status, lb__op op, const char *name,
                      const lb_tensor *t, const char *format, ...) LB_PRINTF(6, 7);

/* Two tensors that should agree; `a` and `b` are named as in the contract in ops.h. */
typedef struct lb__named {
  const char *name;
  const lb_tensor *tensor;
} lb__named;
lb_status lb__op_fail_pair(lb_error *err, lb__op op, lb__named a, lb__named b, const char *format,
                           ...) LB_PRINTF(5, 6);

lb_status lb__op_check_dtype(lb__op op, const char *name, const lb_tensor *t, lb_dtype want,
                             lb_error *err);
lb_status lb__op_check_rank(lb__op op, const char *name, const lb_tensor *t, int want,
                            lb_error *err);
/* Both of the above. */
lb_status lb__op_check(lb__op op, const char *name, const lb_tensor *t, lb_dtype dtype, int rank,
                       lb_error *err);
lb_status lb__op_check_same(lb__op op, lb__named a, lb__named b, lb_error *err);
/* A vector [want] of dtype `real` that goes with `x`: a bias, a norm's weight. NULL passes. */
lb_status lb__op_check_vector(lb__op op, lb__named vector, lb__named x, lb_dtype real, int64_t want,
                              lb_error *err);
/* A weight may be any float or block type, never an integer. */
lb_status lb__op_check_weight(lb__op op, const char *name, const lb_tensor *weight, lb_error *err);

/* 0 <= p < 1, and a site that leaves room for every element (LB_E_ARG). */
lb_status lb__op_check_draw(lb__op op, const lb__dropout *draw, lb_error *err);
/* *sum += losses [n] F64, one after the other. */
lb_status lb__op_add_losses(double *sum, const lb_tensor *losses, lb_error *err);

/* Runs the kernel in the table (the exact one when the tensors are F64) with scratch from `arena`,
 * given back afterwards; from the heap when `arena` is NULL. A failure names the op and the kernel.
 */
#define LB__OP(name, differentiable, text)                                                         \
  lb_status lb__run_##name(lb__arena *arena, const lb__##name##_args *args, lb_error *err);
#include "ops.def"
#undef LB__OP

#endif

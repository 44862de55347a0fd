/* op_record.h - what the backward functions of ops share. Private to src/ops; the tape itself is
 * tensor/tape.h. An op that a gradient flows through saves descriptors, not pointers (a caller's
 * view may be gone when backward runs), and its backward asks here for the gradients it adds to:
 * op_elementwise.c has the shortest examples. */
#ifndef LB_OPS_OP_RECORD_H
#define LB_OPS_OP_RECORD_H

#include "op_check.h"

#include "tensor/tape.h"

/* *gradient = the gradient of saved input `t`, described in *view; NULL when none is wanted, which
 * is how the backward kernels take it. An optional input that was absent is saved zeroed. */
lb_status lb__op_gradient(lb_tensor **gradient, lb_tensor *view, lb__stream *s, const lb_tensor *t,
                          lb_error *err);

/* Gradients have the dtype of what they belong to, and kernels add in the stream's real type: a
 * weight that wants one must have that too. */
lb_status lb__op_check_trainable(lb__stream *s, lb__op op, const char *name,
                                 const lb_tensor *weight, lb_error *err);

#endif

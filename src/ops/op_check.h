/* op_check.h - what every op does before and after its kernel: compare shapes, find scratch, name
 * itself in errors. Private to src/ops. */
#ifndef LB_OPS_OP_CHECK_H
#define LB_OPS_OP_CHECK_H

#include "base/fail.h"
#include "kernel_table.h"

/* LB_E_SHAPE "linear: x [4,576] F32 and weight [1536,512] Q4_1: <wanted>" */
lb_status lb__op_shape_error(lb__op op, const char *a_name, const lb_tensor *a, const char *b_name,
                             const lb_tensor *b, const char *wanted, lb_error *err);
/* LB_OK when t has this dtype, else LB_E_DTYPE naming op and tensor. NULL tensors pass. */
lb_status lb__op_want(lb__op op, const char *name, const lb_tensor *t, lb_dtype dtype,
                      lb_error *err);
/* LB_OK when t is a vector [n] F32 (or NULL). */
lb_status lb__op_want_vector(lb__op op, const char *name, const lb_tensor *t, int64_t n,
                             lb_error *err);
/* A dtype that linear and embed can read. */
lb_status lb__op_want_weight(lb__op op, const lb_tensor *weight, lb_error *err);
/* A status from a kernel, with op and kernel named. */
lb_status lb__op_result(lb__op op, lb_status st, lb_error *err);
lb_status lb__op_no_kernel(lb__op op, lb_error *err);

/* lb__run_<op>(stream, args, err): runs the table entry with scratch from the arena, given back. */
#define LB__OP(name, differentiable, text)                                                         \
  static inline lb_status lb__run_##name(lb__stream *s, const lb__##name##_args *args,             \
                                         lb_error *err) {                                          \
    const lb__kernel_table *k = lb__kernels();                                                     \
    if (k->name == NULL) return lb__op_no_kernel(LB__OP_##name, err);                              \
    size_t size = k->name##_workspace != NULL ? k->name##_workspace(args) : 0;                     \
    lb__arena_mark mark = lb__arena_get_mark(&s->arena);                                           \
    void *workspace = size > 0 ? lb__arena_alloc_tensor(&s->arena, size) : NULL;                   \
    if (size > 0 && workspace == NULL) return lb__fail_nomem(err, "scratch of " #name);            \
    lb_status st = lb__op_result(LB__OP_##name, k->name(args, workspace), err);                    \
    lb__arena_release(&s->arena, mark);                                                            \
    return st;                                                                                     \
  }
#include "ops.def"
#undef LB__OP

#endif

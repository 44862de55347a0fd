/* op_check.c - the messages and checks that all ops share. See op_check.h. */
#include "op_check.h"

lb_status lb__op_shape_error(lb__op op, const char *a_name, const lb_tensor *a, const char *b_name,
                             const lb_tensor *b, const char *wanted, lb_error *err) {
  char x[96], y[96];
  return lb__fail(err, LB_E_SHAPE, "%s: %s %s and %s %s: %s", lb__op_name(op), a_name,
                  lb__tensor_describe(x, a), b_name, lb__tensor_describe(y, b), wanted);
}

lb_status lb__op_want(lb__op op, const char *name, const lb_tensor *t, lb_dtype dtype,
                      lb_error *err) {
  if (t == NULL || t->dtype == dtype) return LB_OK;
  char text[96];
  return lb__fail(err, LB_E_DTYPE, "%s: %s is %s, want %s", lb__op_name(op), name,
                  lb__tensor_describe(text, t), lb_dtype_name(dtype));
}

lb_status lb__op_want_vector(lb__op op, const char *name, const lb_tensor *t, int64_t n,
                             lb_error *err) {
  if (t == NULL) return LB_OK;
  char text[96];
  if (t->rank == 1 && t->shape[0] == n) return lb__op_want(op, name, t, LB_DTYPE_F32, err);
  return lb__fail(err, LB_E_SHAPE, "%s: %s is %s, want [%lld] F32", lb__op_name(op), name,
                  lb__tensor_describe(text, t), (long long)n);
}

lb_status lb__op_want_weight(lb__op op, const lb_tensor *weight, lb_error *err) {
  switch (weight->dtype) {
  case LB_DTYPE_F32:
  case LB_DTYPE_F16:
  case LB_DTYPE_BF16:
  case LB_DTYPE_F8_E4M3:
  case LB_DTYPE_F8_E5M2: return LB_OK;
  default:
    if (lb_dtype_is_block(weight->dtype)) return LB_OK;
    char text[96];
    return lb__fail(err, LB_E_DTYPE, "%s: weight is %s, want a floating point or block type",
                    lb__op_name(op), lb__tensor_describe(text, weight));
  }
}

lb_status lb__op_result(lb__op op, lb_status st, lb_error *err) {
  if (st == LB_OK) return LB_OK;
  return lb__fail(err, st, "%s: kernel '%s' failed: %s", lb__op_name(op), lb__kernels()->chosen[op],
                  lb_status_text(st));
}

lb_status lb__op_no_kernel(lb__op op, lb_error *err) {
  return lb__fail(err, LB_E_UNSUPPORTED, "%s: no kernel on this device", lb__op_name(op));
}

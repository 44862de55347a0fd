/* op_cast.c - changing how numbers are stored: dtype and orientation. Contracts: ops.h. */
#include "op_check.h"

static bool can_make(lb_dtype dtype) {
  switch (dtype) {
  case LB_DTYPE_F32:
  case LB_DTYPE_F16:
  case LB_DTYPE_BF16:
  case LB_DTYPE_F64:
  case LB_DTYPE_Q8_0:
  case LB_DTYPE_Q4_0: return true;
  default: return false;
  }
}

lb_status lb__op_cast(lb_tensor *out, const lb_tensor *x, lb_error *err) {
  lb__named out_named = {"out", out}, x_named = {"x", x};
  lb_status st = lb__op_check_same(LB__OP_cast, x_named, out_named, err);
  if (st != LB_OK) return st;
  if (!can_make(out->dtype) && out->dtype != x->dtype)
    return lb__op_fail(err, LB_E_DTYPE, LB__OP_cast, "out", out,
                       "from %s, want F32, F16, BF16, F64, Q8_0 or Q4_0", lb_dtype_name(x->dtype));
  lb__cast_args args = {.out = out, .x = x};
  return lb__run_cast(NULL, &args, err);
}

lb_status lb__op_transpose(lb_tensor *out, const lb_tensor *x, lb_error *err) {
  static const lb__op OP = LB__OP_transpose;
  if (lb_dtype_is_block(x->dtype))
    return lb__op_fail(err, LB_E_DTYPE, OP, "x", x, "want a plain dtype, not blocks");
  lb_status st = lb__op_check_rank(OP, "x", x, 2, err);
  if (st != LB_OK) return st;
  st = lb__op_check(OP, "out", out, x->dtype, 2, err);
  if (st != LB_OK) return st;
  if (out->shape[0] != x->shape[1] || out->shape[1] != x->shape[0])
    return lb__op_fail_pair(err, OP, (lb__named){"x", x}, (lb__named){"out", out},
                            "want out [%lld,%lld]", (long long)x->shape[1], (long long)x->shape[0]);
  lb__transpose_args args = {.out = out, .x = x};
  return lb__run_transpose(NULL, &args, err);
}

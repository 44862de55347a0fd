/* op_norm.c - rms_norm and layer_norm: rows are the last extent. Contracts: ops.h. */
#include "op_check.h"

static lb_status prepare(lb__stream *s, lb_tensor **out, lb__op op, const lb_tensor *x,
                         const lb_tensor *weight, const lb_tensor *bias, lb_error *err) {
  *out = NULL;
  int64_t n = lb__tensor_row_length(x);
  lb_status st = lb__op_want(op, "x", x, LB_DTYPE_F32, err);
  if (st == LB_OK) st = lb__op_want_vector(op, "weight", weight, n, err);
  if (st == LB_OK) st = lb__op_want_vector(op, "bias", bias, n, err);
  return st == LB_OK ? lb__stream_tensor(out, s, LB_DTYPE_F32, x->rank, x->shape, err) : st;
}

lb_status lb__op_rms_norm(lb__stream *s, lb_tensor **out, const lb_tensor *x,
                          const lb_tensor *weight, float eps, float weight_offset, lb_error *err) {
  lb_tensor *y;
  lb_status st = prepare(s, &y, LB__OP_rms_norm, x, weight, NULL, err);
  if (st != LB_OK) return st;
  lb__rms_norm_args args = {
      .out = y, .x = x, .weight = weight, .eps = eps, .weight_offset = weight_offset};
  *out = y;
  return lb__run_rms_norm(s, &args, err);
}

lb_status lb__op_layer_norm(lb__stream *s, lb_tensor **out, const lb_tensor *x,
                            const lb_tensor *weight, const lb_tensor *bias, float eps,
                            lb_error *err) {
  lb_tensor *y;
  lb_status st = prepare(s, &y, LB__OP_layer_norm, x, weight, bias, err);
  if (st != LB_OK) return st;
  lb__layer_norm_args args = {.out = y, .x = x, .weight = weight, .bias = bias, .eps = eps};
  *out = y;
  return lb__run_layer_norm(s, &args, err);
}

/* op_linear.c - embed and linear: the ops that read stored weights. Contracts: ops.h. */
#include "op_check.h"

lb_status lb__op_embed(lb__stream *s, lb_tensor **out, const lb_tensor *ids,
                       const lb_tensor *weight, float scale, lb_error *err) {
  *out = NULL;
  lb_status st = lb__op_want(LB__OP_embed, "ids", ids, LB_DTYPE_I32, err);
  if (st == LB_OK) st = lb__op_want_weight(LB__OP_embed, weight, err);
  if (st != LB_OK) return st;
  if (ids->rank != 1 || weight->rank != 2)
    return lb__op_shape_error(LB__OP_embed, "ids", ids, "weight", weight, "want [N] and [V,C]",
                              err);
  int64_t shape[2] = {ids->shape[0], weight->shape[1]};
  st = lb__stream_tensor(out, s, LB_DTYPE_F32, 2, shape, err);
  if (st != LB_OK) return st;
  lb__embed_args args = {.out = *out, .ids = ids, .weight = weight, .scale = scale};
  return lb__run_embed(s, &args, err);
}

lb_status lb__op_linear(lb__stream *s, lb_tensor **out, const lb_tensor *x, const lb_tensor *weight,
                        const lb_tensor *bias, lb_error *err) {
  *out = NULL;
  lb_status st = lb__op_want(LB__OP_linear, "x", x, LB_DTYPE_F32, err);
  if (st == LB_OK) st = lb__op_want_weight(LB__OP_linear, weight, err);
  if (st != LB_OK) return st;
  if (x->rank != 2 || weight->rank != 2 || x->shape[1] != weight->shape[1])
    return lb__op_shape_error(LB__OP_linear, "x", x, "weight", weight,
                              "want [N,I] and [O,I] with the same I", err);
  st = lb__op_want_vector(LB__OP_linear, "bias", bias, weight->shape[0], err);
  int64_t shape[2] = {x->shape[0], weight->shape[0]};
  if (st == LB_OK) st = lb__stream_tensor(out, s, LB_DTYPE_F32, 2, shape, err);
  if (st != LB_OK) return st;
  lb__linear_args args = {
      .out = *out, .x = x, .weight = weight, .bias = bias, .compute = s->compute};
  return lb__run_linear(s, &args, err);
}

/* op_linear.c - products with a weight matrix, and picking its rows. Contracts: ops.h. */
#include "op_check.h"

lb_status lb__op_embed(lb__stream *s, lb_tensor **out, const lb_tensor *ids,
                       const lb_tensor *weight, float scale, lb_error *err) {
  *out = NULL;
  lb_status st = lb__op_check(LB__OP_embed, "ids", ids, LB_DTYPE_I32, 1, err);
  if (st != LB_OK) return st;
  st = lb__op_check_weight(LB__OP_embed, "weight", weight, err);
  if (st != LB_OK) return st;
  lb_tensor *y;
  st = lb__stream_tensor(&y, s, s->real, 2, (int64_t[]){ids->shape[0], weight->shape[1]}, err);
  if (st != LB_OK) return st;
  lb__embed_args args = {.out = y, .ids = ids, .weight = weight, .scale = scale};
  st = lb__run_embed(&s->arena, &args, err);
  if (st == LB_OK) *out = y;
  return st;
}

static lb_status check_linear(lb__stream *s, const lb_tensor *x, const lb_tensor *weight,
                              const lb_tensor *bias, lb_error *err) {
  lb__named x_named = {"x", x}, weight_named = {"weight", weight}, bias_named = {"bias", bias};
  lb_status st = lb__op_check(LB__OP_linear, "x", x, s->real, 2, err);
  if (st != LB_OK) return st;
  st = lb__op_check_weight(LB__OP_linear, "weight", weight, err);
  if (st != LB_OK) return st;
  if (x->shape[1] != weight->shape[1])
    return lb__op_fail_pair(err, LB__OP_linear, x_named, weight_named,
                            "x has %lld input features, weight has %lld", (long long)x->shape[1],
                            (long long)weight->shape[1]);
  return lb__op_check_vector(LB__OP_linear, bias_named, weight_named, s->real, weight->shape[0],
                             err);
}

lb_status lb__op_linear(lb__stream *s, lb_tensor **out, const lb_tensor *x, const lb_tensor *weight,
                        const lb_tensor *bias, lb_error *err) {
  *out = NULL;
  lb_status st = check_linear(s, x, weight, bias, err);
  if (st != LB_OK) return st;
  lb_tensor *y;
  st = lb__stream_tensor(&y, s, s->real, 2, (int64_t[]){x->shape[0], weight->shape[0]}, err);
  if (st != LB_OK) return st;
  lb__linear_args args = {.out = y, .x = x, .weight = weight, .bias = bias, .compute = s->compute};
  st = lb__run_linear(&s->arena, &args, err);
  if (st == LB_OK) *out = y;
  return st;
}

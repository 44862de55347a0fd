/* op_elementwise.c - ops whose result has the shape of their input: act, act_mul, add, scale,
 * softcap. Contracts: ops.h. */
#include "op_check.h"

static lb_status out_like(lb__stream *s, lb_tensor **out, const lb_tensor *x, lb__op op,
                          lb_error *err) {
  *out = NULL;
  lb_status st = lb__op_want(op, "x", x, LB_DTYPE_F32, err);
  return st == LB_OK ? lb__stream_tensor(out, s, LB_DTYPE_F32, x->rank, x->shape, err) : st;
}

static lb_status check_pair(lb__op op, const char *a_name, const lb_tensor *a, const char *b_name,
                            const lb_tensor *b, lb_error *err) {
  if (!lb__tensor_same_shape(a, b))
    return lb__op_shape_error(op, a_name, a, b_name, b, "want the same shape", err);
  lb_status st = lb__op_want(op, a_name, a, LB_DTYPE_F32, err);
  return st == LB_OK ? lb__op_want(op, b_name, b, LB_DTYPE_F32, err) : st;
}

lb_status lb__op_act(lb__stream *s, lb_tensor **out, const lb_tensor *x, lb__act_kind kind,
                     lb_error *err) {
  lb_status st = out_like(s, out, x, LB__OP_act, err);
  if (st != LB_OK) return st;
  return lb__run_act(s, &(lb__act_args){.out = *out, .x = x, .kind = kind}, err);
}

lb_status lb__op_act_mul(lb__stream *s, lb_tensor **out, const lb_tensor *gate, const lb_tensor *up,
                         lb__act_kind kind, lb_error *err) {
  lb_status st = check_pair(LB__OP_act_mul, "gate", gate, "up", up, err);
  if (st == LB_OK) st = out_like(s, out, gate, LB__OP_act_mul, err);
  if (st != LB_OK) return st;
  return lb__run_act_mul(s, &(lb__act_mul_args){.out = *out, .gate = gate, .up = up, .kind = kind},
                         err);
}

lb_status lb__op_add(lb__stream *s, lb_tensor **out, const lb_tensor *a, const lb_tensor *b,
                     lb_error *err) {
  lb_status st = check_pair(LB__OP_add, "a", a, "b", b, err);
  if (st == LB_OK) st = out_like(s, out, a, LB__OP_add, err);
  if (st != LB_OK) return st;
  return lb__run_add(s, &(lb__add_args){.out = *out, .a = a, .b = b}, err);
}

lb_status lb__op_add_to(lb__stream *s, lb_tensor *x, const lb_tensor *delta, lb_error *err) {
  lb_status st = check_pair(LB__OP_add, "x", x, "delta", delta, err);
  if (st != LB_OK) return st;
  return lb__run_add(s, &(lb__add_args){.out = x, .a = x, .b = delta}, err);
}

lb_status lb__op_scale(lb__stream *s, lb_tensor **out, const lb_tensor *x, float factor,
                       lb_error *err) {
  lb_status st = out_like(s, out, x, LB__OP_scale, err);
  if (st != LB_OK) return st;
  return lb__run_scale(s, &(lb__scale_args){.out = *out, .x = x, .factor = factor}, err);
}

lb_status lb__op_softcap(lb__stream *s, lb_tensor **out, const lb_tensor *x, float cap,
                         lb_error *err) {
  if (!(cap > 0.0f))
    return lb__fail(err, LB_E_ARG, "softcap: cap is %g, want a positive number", (double)cap);
  lb_status st = out_like(s, out, x, LB__OP_softcap, err);
  if (st != LB_OK) return st;
  return lb__run_softcap(s, &(lb__softcap_args){.out = *out, .x = x, .cap = cap}, err);
}

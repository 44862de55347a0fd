/* op_elementwise.c - ops that look at one element at a time. Contracts: ops.h. */
#include "op_check.h"

/* Checks x and makes a result of its shape. */
static lb_status result_like(lb_tensor **y, lb__stream *s, lb__op op, const char *name,
                             const lb_tensor *x, lb_error *err) {
  lb_status st = lb__op_check_dtype(op, name, x, s->real, err);
  return st != LB_OK ? st : lb__stream_tensor(y, s, s->real, x->rank, x->shape, err);
}

static lb_status check_two(lb__stream *s, lb__op op, lb__named a, lb__named b, lb_error *err) {
  lb_status st = lb__op_check_dtype(op, a.name, a.tensor, s->real, err);
  if (st != LB_OK) return st;
  st = lb__op_check_dtype(op, b.name, b.tensor, s->real, err);
  return st != LB_OK ? st : lb__op_check_same(op, a, b, err);
}

lb_status lb__op_act(lb__stream *s, lb_tensor **out, const lb_tensor *x, lb__act_kind kind,
                     lb_error *err) {
  *out = NULL;
  lb_tensor *y;
  lb_status st = result_like(&y, s, LB__OP_act, "x", x, err);
  if (st != LB_OK) return st;
  lb__act_args args = {.out = y, .x = x, .kind = kind};
  st = lb__run_act(&s->arena, &args, err);
  if (st == LB_OK) *out = y;
  return st;
}

lb_status lb__op_act_mul(lb__stream *s, lb_tensor **out, const lb_tensor *gate, const lb_tensor *up,
                         lb__act_kind kind, lb_error *err) {
  *out = NULL;
  lb_status st =
      check_two(s, LB__OP_act_mul, (lb__named){"gate", gate}, (lb__named){"up", up}, err);
  if (st != LB_OK) return st;
  lb_tensor *y;
  st = result_like(&y, s, LB__OP_act_mul, "gate", gate, err);
  if (st != LB_OK) return st;
  lb__act_mul_args args = {.out = y, .gate = gate, .up = up, .kind = kind};
  st = lb__run_act_mul(&s->arena, &args, err);
  if (st == LB_OK) *out = y;
  return st;
}

lb_status lb__op_add(lb__stream *s, lb_tensor **out, const lb_tensor *a, const lb_tensor *b,
                     lb_error *err) {
  *out = NULL;
  lb_status st = check_two(s, LB__OP_add, (lb__named){"a", a}, (lb__named){"b", b}, err);
  if (st != LB_OK) return st;
  lb_tensor *y;
  st = result_like(&y, s, LB__OP_add, "a", a, err);
  if (st != LB_OK) return st;
  lb__add_args args = {.out = y, .a = a, .b = b};
  st = lb__run_add(&s->arena, &args, err);
  if (st == LB_OK) *out = y;
  return st;
}

lb_status lb__op_add_to(lb__stream *s, lb_tensor *x, const lb_tensor *delta, lb_error *err) {
  lb_status st = check_two(s, LB__OP_add, (lb__named){"x", x}, (lb__named){"delta", delta}, err);
  if (st != LB_OK) return st;
  lb__add_args args = {.out = x, .a = x, .b = delta};
  return lb__run_add(&s->arena, &args, err);
}

lb_status lb__op_scale(lb__stream *s, lb_tensor **out, const lb_tensor *x, float factor,
                       lb_error *err) {
  *out = NULL;
  lb_tensor *y;
  lb_status st = result_like(&y, s, LB__OP_scale, "x", x, err);
  if (st != LB_OK) return st;
  lb__scale_args args = {.out = y, .x = x, .factor = factor};
  st = lb__run_scale(&s->arena, &args, err);
  if (st == LB_OK) *out = y;
  return st;
}

lb_status lb__op_softcap(lb__stream *s, lb_tensor **out, const lb_tensor *x, float cap,
                         lb_error *err) {
  *out = NULL;
  if (!(cap > 0)) return lb__fail(err, LB_E_ARG, "softcap: cap %g: want more than 0", (double)cap);
  lb_tensor *y;
  lb_status st = result_like(&y, s, LB__OP_softcap, "x", x, err);
  if (st != LB_OK) return st;
  lb__softcap_args args = {.out = y, .x = x, .cap = cap};
  st = lb__run_softcap(&s->arena, &args, err);
  if (st == LB_OK) *out = y;
  return st;
}

/* op_elementwise.c - ops that look at one element at a time. Contracts: ops.h. */
#include "op_record.h"

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

/* ---- act ---- */

typedef struct act_saved {
  lb_tensor x;
  lb__act_kind kind;
} act_saved;

static lb_status act_backward(lb__stream *s, const lb_tensor *dout, void *saved, lb_error *err) {
  const act_saved *k = saved;
  lb_tensor view;
  lb__act_bwd_args args = {.dout = dout, .x = &k->x, .kind = k->kind};
  lb_status st = lb__op_gradient(&args.dx, &view, s, &k->x, err);
  if (st != LB_OK || args.dx == NULL) return st;
  return lb__run_act_bwd(&s->arena, &args, err);
}

lb_status lb__op_act(lb__stream *s, lb_tensor **out, const lb_tensor *x, lb__act_kind kind,
                     lb_error *err) {
  *out = NULL;
  lb_tensor *y;
  lb_status st = result_like(&y, s, LB__OP_act, "x", x, err);
  if (st != LB_OK) return st;
  lb__act_args args = {.out = y, .x = x, .kind = kind};
  st = lb__run_act(&s->arena, &args, err);
  act_saved saved = {.x = *x, .kind = kind};
  if (st == LB_OK && lb__tape_wants(s, x))
    st = lb__tape_record(s, y, false, act_backward, &saved, sizeof saved, err);
  if (st == LB_OK) *out = y;
  return st;
}

/* ---- act_mul ---- */

typedef struct act_mul_saved {
  lb_tensor gate, up;
  lb__act_kind kind;
} act_mul_saved;

static lb_status act_mul_backward(lb__stream *s, const lb_tensor *dout, void *saved,
                                  lb_error *err) {
  const act_mul_saved *k = saved;
  lb_tensor gate_view, up_view;
  lb__act_mul_bwd_args args = {.dout = dout, .gate = &k->gate, .up = &k->up, .kind = k->kind};
  lb_status st = lb__op_gradient(&args.dgate, &gate_view, s, &k->gate, err);
  if (st == LB_OK) st = lb__op_gradient(&args.dup, &up_view, s, &k->up, err);
  return st == LB_OK ? lb__run_act_mul_bwd(&s->arena, &args, err) : st;
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
  act_mul_saved saved = {.gate = *gate, .up = *up, .kind = kind};
  if (st == LB_OK && (lb__tape_wants(s, gate) || lb__tape_wants(s, up)))
    st = lb__tape_record(s, y, false, act_mul_backward, &saved, sizeof saved, err);
  if (st == LB_OK) *out = y;
  return st;
}

/* ---- add, scale ---- */

/* Gradient of `x` += factor * dout. */
static lb_status add_gradient(lb__stream *s, const lb_tensor *x, const lb_tensor *dout,
                              float factor, lb_error *err) {
  lb_tensor view;
  lb__add_scaled_args args = {.x = dout, .factor = factor};
  lb_status st = lb__op_gradient(&args.out, &view, s, x, err);
  if (st != LB_OK || args.out == NULL) return st;
  return lb__run_add_scaled(&s->arena, &args, err);
}

static lb_status add_to_backward(lb__stream *s, const lb_tensor *dout, void *saved, lb_error *err) {
  const lb_tensor *delta = saved;
  return add_gradient(s, delta, dout, 1.0f, err); /* x's gradient is dout itself */
}

lb_status lb__op_add_to(lb__stream *s, lb_tensor *x, const lb_tensor *delta, lb_error *err) {
  lb_status st = check_two(s, LB__OP_add, (lb__named){"x", x}, (lb__named){"delta", delta}, err);
  if (st != LB_OK) return st;
  lb__add_args args = {.out = x, .a = x, .b = delta};
  st = lb__run_add(&s->arena, &args, err);
  if (st != LB_OK || !lb__tape_wants(s, delta)) return st;
  return lb__tape_record(s, x, lb__tape_wants(s, x), add_to_backward, delta, sizeof *delta, err);
}

typedef struct scale_saved {
  lb_tensor x;
  float factor;
} scale_saved;

static lb_status scale_backward(lb__stream *s, const lb_tensor *dout, void *saved, lb_error *err) {
  const scale_saved *k = saved;
  return add_gradient(s, &k->x, dout, k->factor, err);
}

lb_status lb__op_scale(lb__stream *s, lb_tensor **out, const lb_tensor *x, float factor,
                       lb_error *err) {
  *out = NULL;
  lb_tensor *y;
  lb_status st = result_like(&y, s, LB__OP_scale, "x", x, err);
  if (st != LB_OK) return st;
  lb__scale_args args = {.out = y, .x = x, .factor = factor};
  st = lb__run_scale(&s->arena, &args, err);
  scale_saved saved = {.x = *x, .factor = factor};
  if (st == LB_OK && lb__tape_wants(s, x))
    st = lb__tape_record(s, y, false, scale_backward, &saved, sizeof saved, err);
  if (st == LB_OK) *out = y;
  return st;
}

/* ---- softcap ---- */

typedef struct softcap_saved {
  lb_tensor x, out; /* of x only the gradient */
  float cap;
} softcap_saved;

static lb_status softcap_backward(lb__stream *s, const lb_tensor *dout, void *saved,
                                  lb_error *err) {
  const softcap_saved *k = saved;
  lb_tensor view;
  lb__softcap_bwd_args args = {.dout = dout, .out = &k->out, .cap = k->cap};
  lb_status st = lb__op_gradient(&args.dx, &view, s, &k->x, err);
  if (st != LB_OK || args.dx == NULL) return st;
  return lb__run_softcap_bwd(&s->arena, &args, err);
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
  softcap_saved saved = {.x = *x, .out = *y, .cap = cap};
  if (st == LB_OK && lb__tape_wants(s, x))
    st = lb__tape_record(s, y, false, softcap_backward, &saved, sizeof saved, err);
  if (st == LB_OK) *out = y;
  return st;
}

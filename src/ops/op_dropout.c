/* op_dropout.c - dropout: the same draw forward and backward. Contract: ops.h. */
#include "op_record.h"

typedef struct saved_dropout {
  lb_tensor x;
  lb__dropout draw;
} saved_dropout;

static lb_status dropout_backward(lb__stream *s, const lb_tensor *dout, void *saved,
                                  lb_error *err) {
  const saved_dropout *d = saved;
  lb_tensor *dx, view;
  lb_status st = lb__op_gradient(&dx, &view, s, &d->x, err);
  if (st != LB_OK || dx == NULL) return st;
  lb__dropout_args args = {.out = dx, .x = dout, .draw = d->draw, .add = true};
  return lb__run_dropout(&s->arena, &args, err);
}

/* Another descriptor of the same bytes, with the same gradient. */
static lb_status same(lb_tensor **out, lb__stream *s, const lb_tensor *x, lb_error *err) {
  lb_tensor *copy = lb__arena_new(&s->arena, 1, sizeof *copy);
  if (copy == NULL) return lb__fail_nomem(err, "a tensor");
  *copy = lb__tensor_reshape(x, x->rank, x->shape);
  *out = copy;
  return LB_OK;
}

lb_status lb__op_dropout(lb__stream *s, lb_tensor **out, const lb_tensor *x, lb__dropout draw,
                         lb_error *err) {
  static const lb__op OP = LB__OP_dropout;
  *out = NULL;
  lb_status st = lb__op_check_dtype(OP, "x", x, s->real, err);
  if (st == LB_OK) st = lb__op_check_draw(OP, &draw, err);
  if (st != LB_OK) return st;
  if (!(draw.p > 0.0f)) return same(out, s, x, err);
  lb_tensor *y;
  st = lb__stream_tensor(&y, s, s->real, x->rank, x->shape, err);
  if (st != LB_OK) return st;
  lb__dropout_args args = {.out = y, .x = x, .draw = draw};
  st = lb__run_dropout(&s->arena, &args, err);
  saved_dropout saved = {.x = *x, .draw = draw};
  if (st == LB_OK && lb__tape_wants(s, x))
    st = lb__tape_record(s, y, false, dropout_backward, &saved, sizeof saved, err);
  if (st == LB_OK) *out = y;
  return st;
}

/* op_relation.c - the relation loss of MiniLMv2 (arXiv:2012.15828). Contract: ops.h. The kernel
 * makes value and gradient in one pass, so the gradient waits beside x's until backward adds it. */
#include "op_record.h"

#include <math.h>

typedef struct saved_relation {
  lb_tensor x, dx;
} saved_relation;

static lb_status relation_backward(lb__stream *s, const lb_tensor *dout, void *saved,
                                   lb_error *err) {
  (void)dout; /* a loss: 1 */
  const saved_relation *r = saved;
  lb_tensor *dx, view;
  lb_status st = lb__op_gradient(&dx, &view, s, &r->x, err);
  if (st != LB_OK || dx == NULL) return st;
  lb__add_scaled_args args = {.out = dx, .x = &r->dx, .factor = 1.0f};
  return lb__run_add_scaled(&s->arena, &args, err);
}

static lb_status check_widths(lb__named x, lb__named target, int64_t heads, lb_error *err) {
  static const lb__op OP = LB__OP_relation;
  if (x.tensor->shape[0] != target.tensor->shape[0])
    return lb__op_fail_pair(err, OP, x, target, "want as many rows");
  if (heads >= 1 && x.tensor->shape[1] % heads == 0 && target.tensor->shape[1] % heads == 0 &&
      x.tensor->shape[1] > 0 && target.tensor->shape[1] > 0)
    return LB_OK;
  return lb__op_fail_pair(err, OP, x, target,
                          "want a number of relation heads that divides both widths, not %lld",
                          (long long)heads);
}

static lb_status check_relation(const lb__relation_args *a, lb_dtype real, lb_error *err) {
  static const lb__op OP = LB__OP_relation;
  lb_status st = lb__op_check(OP, "x", a->x, real, 2, err);
  if (st != LB_OK) return st;
  st = lb__op_check(OP, "target", a->target, real, 2, err);
  if (st != LB_OK) return st;
  st = check_widths((lb__named){"x", a->x}, (lb__named){"target", a->target}, a->heads, err);
  if (st != LB_OK) return st;
  st = lb__op_check(OP, "cu_seqlens", a->cu_seqlens, LB_DTYPE_I32, 1, err);
  if (st != LB_OK) return st;
  if (a->cu_seqlens->shape[0] < 1)
    return lb__op_fail(err, LB_E_SHAPE, OP, "cu_seqlens", a->cu_seqlens,
                       "want one number more than documents");
  if (isfinite(a->scale)) return LB_OK;
  return lb__fail(err, LB_E_ARG, "relation: scale %g: want a finite number", a->scale);
}

lb_status lb__op_relation(lb__stream *s, double *sum, const lb_tensor *x, const lb_tensor *target,
                          const lb_tensor *cu_seqlens, int64_t heads, double scale, lb_error *err) {
  lb__relation_args a = {
      .x = x, .target = target, .cu_seqlens = cu_seqlens, .heads = heads, .scale = scale};
  lb_status st = check_relation(&a, s->real, err);
  if (st != LB_OK) return st;
  bool recording = lb__tape_wants(s, x);
  st = lb__stream_tensor(&a.losses, s, LB_DTYPE_F64, 1, x->shape, err);
  if (st == LB_OK && recording) st = lb__stream_tensor(&a.dx, s, s->real, 2, x->shape, err);
  if (st == LB_OK && recording) lb__tensor_zero(a.dx);
  if (st == LB_OK) st = lb__run_relation(&s->arena, &a, err);
  if (st == LB_OK) st = lb__op_add_losses(sum, a.losses, err);
  if (st != LB_OK || !recording) return st;
  saved_relation saved = {.x = *x, .dx = *a.dx};
  return lb__tape_record(s, NULL, false, relation_backward, &saved, sizeof saved, err);
}

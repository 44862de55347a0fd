/* op_norm.c - the two normalisations of rows. Contracts: ops.h. */
#include "op_record.h"

/* Checks that both norms share; allocates the result. */
static lb_status begin_norm(lb_tensor **y, lb__stream *s, lb__op op, const lb_tensor *x,
                            const lb_tensor *weight, const lb_tensor *bias, lb_error *err) {
  lb__named x_named = {"x", x}, weight_named = {"weight", weight}, bias_named = {"bias", bias};
  lb_status st = lb__op_check_dtype(op, "x", x, s->real, err);
  if (st != LB_OK) return st;
  if (x->rank == 0) return lb__op_fail(err, LB_E_SHAPE, op, "x", x, "want at least one extent");
  int64_t C = lb__tensor_row_length(x);
  st = lb__op_check_vector(op, weight_named, x_named, s->real, C, err);
  if (st != LB_OK) return st;
  st = lb__op_check_vector(op, bias_named, x_named, s->real, C, err);
  if (st != LB_OK) return st;
  return lb__stream_tensor(y, s, s->real, x->rank, x->shape, err);
}

/* ---- backward ---- */

typedef struct norm_saved {
  lb_tensor x, weight, bias; /* of the bias only the gradient; zeroed without one */
  float eps, weight_offset;
} norm_saved;

static lb_status rms_norm_backward(lb__stream *s, const lb_tensor *dout, void *saved,
                                   lb_error *err) {
  const norm_saved *k = saved;
  lb_tensor x_view, weight_view;
  lb__rms_norm_bwd_args args = {.dout = dout,
                                .x = &k->x,
                                .weight = &k->weight,
                                .eps = k->eps,
                                .weight_offset = k->weight_offset};
  lb_status st = lb__op_gradient(&args.dx, &x_view, s, &k->x, err);
  if (st == LB_OK) st = lb__op_gradient(&args.dweight, &weight_view, s, &k->weight, err);
  return st == LB_OK ? lb__run_rms_norm_bwd(&s->arena, &args, err) : st;
}

static lb_status layer_norm_backward(lb__stream *s, const lb_tensor *dout, void *saved,
                                     lb_error *err) {
  const norm_saved *k = saved;
  lb_tensor x_view, weight_view, bias_view;
  lb__layer_norm_bwd_args args = {.dout = dout, .x = &k->x, .weight = &k->weight, .eps = k->eps};
  lb_status st = lb__op_gradient(&args.dx, &x_view, s, &k->x, err);
  if (st == LB_OK) st = lb__op_gradient(&args.dweight, &weight_view, s, &k->weight, err);
  if (st == LB_OK) st = lb__op_gradient(&args.dbias, &bias_view, s, &k->bias, err);
  return st == LB_OK ? lb__run_layer_norm_bwd(&s->arena, &args, err) : st;
}

static lb_status record_norm(lb__stream *s, lb_tensor *out, const norm_saved *saved,
                             lb__backward_fn *backward, lb_error *err) {
  if (!lb__tape_wants(s, &saved->x) && !lb__tape_wants(s, &saved->weight) &&
      !lb__tape_wants(s, &saved->bias))
    return LB_OK;
  return lb__tape_record(s, out, false, backward, saved, sizeof *saved, err);
}

/* ---- the ops ---- */

lb_status lb__op_rms_norm(lb__stream *s, lb_tensor **out, const lb_tensor *x,
                          const lb_tensor *weight, float eps, float weight_offset, lb_error *err) {
  *out = NULL;
  lb_tensor *y;
  lb_status st = begin_norm(&y, s, LB__OP_rms_norm, x, weight, NULL, err);
  if (st != LB_OK) return st;
  lb__rms_norm_args args = {
      .out = y, .x = x, .weight = weight, .eps = eps, .weight_offset = weight_offset};
  st = lb__run_rms_norm(&s->arena, &args, err);
  norm_saved saved = {.x = *x, .weight = *weight, .eps = eps, .weight_offset = weight_offset};
  if (st == LB_OK) st = record_norm(s, y, &saved, rms_norm_backward, err);
  if (st == LB_OK) *out = y;
  return st;
}

lb_status lb__op_layer_norm(lb__stream *s, lb_tensor **out, const lb_tensor *x,
                            const lb_tensor *weight, const lb_tensor *bias, float eps,
                            lb_error *err) {
  *out = NULL;
  lb_tensor *y;
  lb_status st = begin_norm(&y, s, LB__OP_layer_norm, x, weight, bias, err);
  if (st != LB_OK) return st;
  lb__layer_norm_args args = {.out = y, .x = x, .weight = weight, .bias = bias, .eps = eps};
  st = lb__run_layer_norm(&s->arena, &args, err);
  norm_saved saved = {.x = *x, .weight = *weight, .eps = eps};
  if (bias != NULL) saved.bias = *bias;
  if (st == LB_OK) st = record_norm(s, y, &saved, layer_norm_backward, err);
  if (st == LB_OK) *out = y;
  return st;
}

/* op_linear.c - products with a weight matrix, and picking its rows. Contracts: ops.h. */
#include "op_record.h"

/* ---- embed ---- */

typedef struct embed_saved {
  lb_tensor ids, weight; /* of the weight only the gradient */
  float scale;
} embed_saved;

static lb_status embed_backward(lb__stream *s, const lb_tensor *dout, void *saved, lb_error *err) {
  const embed_saved *k = saved;
  lb_tensor view;
  lb__embed_bwd_args args = {.dout = dout, .ids = &k->ids, .scale = k->scale};
  lb_status st = lb__op_gradient(&args.dweight, &view, s, &k->weight, err);
  if (st != LB_OK || args.dweight == NULL) return st;
  return lb__run_embed_bwd(&s->arena, &args, err);
}

lb_status lb__op_embed(lb__stream *s, lb_tensor **out, const lb_tensor *ids,
                       const lb_tensor *weight, float scale, lb_error *err) {
  *out = NULL;
  lb_status st = lb__op_check(LB__OP_embed, "ids", ids, LB_DTYPE_I32, 1, err);
  if (st != LB_OK) return st;
  st = lb__op_check_weight(LB__OP_embed, "weight", weight, err);
  if (st != LB_OK) return st;
  st = lb__op_check_trainable(s, LB__OP_embed, "weight", weight, err);
  if (st != LB_OK) return st;
  lb_tensor *y;
  st = lb__stream_tensor(&y, s, s->real, 2, (int64_t[]){ids->shape[0], weight->shape[1]}, err);
  if (st != LB_OK) return st;
  lb__embed_args args = {.out = y, .ids = ids, .weight = weight, .scale = scale};
  st = lb__run_embed(&s->arena, &args, err);
  embed_saved saved = {.ids = *ids, .weight = *weight, .scale = scale};
  if (st == LB_OK && lb__tape_wants(s, weight))
    st = lb__tape_record(s, y, false, embed_backward, &saved, sizeof saved, err);
  if (st == LB_OK) *out = y;
  return st;
}

/* ---- linear ---- */

static lb_status check_linear(lb__stream *s, const lb_tensor *x, const lb_tensor *weight,
                              const lb_tensor *bias, lb_error *err) {
  lb__named x_named = {"x", x}, weight_named = {"weight", weight}, bias_named = {"bias", bias};
  lb_status st = lb__op_check(LB__OP_linear, "x", x, s->real, 2, err);
  if (st != LB_OK) return st;
  st = lb__op_check_weight(LB__OP_linear, "weight", weight, err);
  if (st != LB_OK) return st;
  st = lb__op_check_trainable(s, LB__OP_linear, "weight", weight, err);
  if (st != LB_OK) return st;
  bool packed = s->compute == LB__COMPUTE_INT8 && weight->packed != NULL;
  if (!packed && !lb__tensor_has_elements(weight))
    return lb__fail(err, LB_E_ARG,
                    "linear: the weight was packed for int8 and its elements released; open the "
                    "model anew for another precision");
  if (x->shape[1] != weight->shape[1])
    return lb__op_fail_pair(err, LB__OP_linear, x_named, weight_named,
                            "x has %lld input features, weight has %lld", (long long)x->shape[1],
                            (long long)weight->shape[1]);
  return lb__op_check_vector(LB__OP_linear, bias_named, weight_named, s->real, weight->shape[0],
                             err);
}

typedef struct linear_saved {
  lb_tensor x, weight, bias; /* of the bias only the gradient; zeroed without one */
  lb__compute compute;
} linear_saved;

static lb_status linear_backward(lb__stream *s, const lb_tensor *dout, void *saved, lb_error *err) {
  const linear_saved *k = saved;
  lb_tensor x_view, weight_view, bias_view;
  lb__linear_bwd_args args = {
      .dout = dout, .x = &k->x, .weight = &k->weight, .compute = k->compute};
  lb_status st = lb__op_gradient(&args.dx, &x_view, s, &k->x, err);
  if (st == LB_OK) st = lb__op_gradient(&args.dweight, &weight_view, s, &k->weight, err);
  if (st == LB_OK) st = lb__op_gradient(&args.dbias, &bias_view, s, &k->bias, err);
  return st == LB_OK ? lb__run_linear_bwd(&s->arena, &args, err) : st;
}

static linear_saved saved_of(const lb__linear_args *a) {
  linear_saved saved = {.x = *a->x, .weight = *a->weight, .compute = a->compute};
  if (a->bias != NULL) saved.bias = *a->bias;
  return saved;
}

static lb_status record_linear(lb__stream *s, const lb__linear_args *a, lb_error *err) {
  if (!lb__tape_wants(s, a->x) && !lb__tape_wants(s, a->weight) && !lb__tape_wants(s, a->bias))
    return LB_OK;
  linear_saved saved = saved_of(a);
  return lb__tape_record(s, a->out, false, linear_backward, &saved, sizeof saved, err);
}

/* The arguments for one weight, its result allocated. */
static lb_status describe_linear(lb__linear_args *args, lb__stream *s, const lb_tensor *x,
                                 const lb__projection *p, lb_error *err) {
  lb_status st = check_linear(s, x, p->weight, p->bias, err);
  if (st != LB_OK) return st;
  *args = (lb__linear_args){.x = x, .weight = p->weight, .bias = p->bias};
  /* in double nothing is rounded: it is there for verifying */
  args->compute = s->real == LB_DTYPE_F64 ? LB__COMPUTE_F32 : s->compute;
  int64_t shape[2] = {x->shape[0], p->weight->shape[0]};
  return lb__stream_tensor(&args->out, s, s->real, 2, shape, err);
}

/* What the kernels make of x before they look at a weight, once for all of them. */
static lb_status prepare(lb__stream *s, lb__linear_args *args, int n, lb_error *err) {
  const lb__kernel_table *table = lb__kernels();
  if (n < 2 || table->linear_prepared_bytes == NULL) return LB_OK;
  size_t bytes = 0;
  for (int i = 0; i < n && bytes == 0; i++) {
    bytes = table->linear_prepared_bytes(&args[i]);
    if (bytes == 0) continue;
    void *memory = lb__arena_alloc(&s->arena, bytes);
    if (memory == NULL) return lb__fail_nomem(err, "a step's rounded activations");
    table->linear_prepare(&args[i], memory);
    for (int k = 0; k < n; k++) args[k].prepared = memory;
  }
  return LB_OK;
}

lb_status lb__op_linear_group(lb__stream *s, lb_tensor **const outs[], const lb_tensor *x,
                              const lb__projection *projections, int n, lb_error *err) {
  lb__linear_args args[LB__MOST_PROJECTIONS];
  LB_ASSERT(n >= 1 && n <= LB__MOST_PROJECTIONS);
  lb_status st = LB_OK;
  for (int i = 0; i < n; i++) *outs[i] = NULL;
  for (int i = 0; i < n && st == LB_OK; i++)
    st = describe_linear(&args[i], s, x, &projections[i], err);
  lb__arena_mark mark = lb__arena_get_mark(&s->arena);
  if (st == LB_OK) st = prepare(s, args, n, err);
  for (int i = 0; i < n && st == LB_OK; i++) {
    st = lb__run_linear(&s->arena, &args[i], err);
    if (st == LB_OK) st = record_linear(s, &args[i], err);
    if (st == LB_OK) *outs[i] = args[i].out;
  }
  if (s->tape == NULL) lb__arena_release(&s->arena, mark); /* a record lies behind it */
  return st;
}

lb_status lb__op_linear(lb__stream *s, lb_tensor **out, const lb_tensor *x, const lb_tensor *weight,
                        const lb_tensor *bias, lb_error *err) {
  lb__projection one = {weight, bias};
  return lb__op_linear_group(s, &out, x, &one, 1, err);
}

/* ---- an activation and the linear after it ---- */

typedef struct act_linear_saved {
  lb_tensor gate, up;  /* gate: its gradient too is zeroed without one */
  linear_saved linear; /* x: the shape of the activation's result, which is made anew */
  lb__act_kind kind;
  bool gated;
} act_linear_saved;

/* The activation's result in the arena, not recorded. */
static lb_status activate(lb__stream *s, lb_tensor **out, const act_linear_saved *k,
                          lb_error *err) {
  lb__tape *tape = s->tape;
  s->tape = NULL;
  lb_status st = k->gated ? lb__op_act_mul(s, out, &k->gate, &k->up, k->kind, err)
                          : lb__op_act(s, out, &k->up, k->kind, err);
  s->tape = tape;
  return st;
}

/* dinner is the gradient of the activation's result. */
static lb_status activation_backward(lb__stream *s, const act_linear_saved *k, lb_tensor *dgate,
                                     lb_tensor *dup, const lb_tensor *dinner, lb_error *err) {
  if (!k->gated) {
    lb__act_bwd_args args = {.dx = dup, .dout = dinner, .x = &k->up, .kind = k->kind};
    return lb__run_act_bwd(&s->arena, &args, err);
  }
  lb__act_mul_bwd_args args = {
      .dgate = dgate, .dup = dup, .dout = dinner, .gate = &k->gate, .up = &k->up, .kind = k->kind};
  return lb__run_act_mul_bwd(&s->arena, &args, err);
}

static lb_status act_linear_backward(lb__stream *s, const lb_tensor *dout, void *saved,
                                     lb_error *err) {
  const act_linear_saved *k = saved;
  lb_tensor gate_view, up_view, weight_view, bias_view, *dgate = NULL, *dup = NULL, *inner;
  lb__linear_bwd_args args = {
      .dout = dout, .weight = &k->linear.weight, .compute = k->linear.compute};
  lb_status st = lb__op_gradient(&dgate, &gate_view, s, &k->gate, err);
  if (st == LB_OK) st = lb__op_gradient(&dup, &up_view, s, &k->up, err);
  if (st == LB_OK) st = lb__op_gradient(&args.dweight, &weight_view, s, &k->linear.weight, err);
  if (st == LB_OK) st = lb__op_gradient(&args.dbias, &bias_view, s, &k->linear.bias, err);
  lb__arena_mark mark = lb__arena_get_mark(&s->arena);
  if (st == LB_OK) st = activate(s, &inner, k, err);
  if (st == LB_OK && (dgate != NULL || dup != NULL))
    st = lb__stream_tensor(&args.dx, s, s->real, 2, inner->shape, err);
  if (st == LB_OK) {
    if (args.dx != NULL) lb__tensor_zero(args.dx);
    args.x = inner;
    st = lb__run_linear_bwd(&s->arena, &args, err);
  }
  if (st == LB_OK && args.dx != NULL) st = activation_backward(s, k, dgate, dup, args.dx, err);
  lb__arena_release(&s->arena, mark);
  return st;
}

lb_status lb__op_act_linear(lb__stream *s, lb_tensor **out, const lb_tensor *gate,
                            const lb_tensor *up, lb__act_kind kind, const lb__projection *p,
                            lb_error *err) {
  act_linear_saved k = {.up = *up, .kind = kind, .gated = gate != NULL};
  if (gate != NULL) k.gate = *gate;
  lb__linear_args args;
  lb_tensor *inner;
  *out = NULL;
  lb_status st = describe_linear(&args, s, up, p, err);
  if (st != LB_OK) return st;
  lb__arena_mark mark = lb__arena_get_mark(&s->arena);
  st = activate(s, &inner, &k, err);
  if (st == LB_OK) {
    args.x = inner;
    st = lb__run_linear(&s->arena, &args, err);
  }
  lb__arena_release(&s->arena, mark);
  if (st != LB_OK) return st;
  *out = args.out;
  if (!lb__tape_wants(s, gate) && !lb__tape_wants(s, up) && !lb__tape_wants(s, p->weight) &&
      !lb__tape_wants(s, p->bias))
    return LB_OK;
  args.x = up; /* what was multiplied is gone; it had this shape */
  k.linear = saved_of(&args);
  return lb__tape_record(s, *out, false, act_linear_backward, &k, sizeof k, err);
}

/* ---- packing ---- */

lb_status lb__op_pack_weight(lb_tensor *weight, lb__compute compute, bool drop_pages,
                             lb_error *err) {
  lb_status st = lb__op_check_weight(LB__OP_linear, "weight", weight, err);
  if (st != LB_OK) return st;
  const lb__kernel_table *table = lb__kernels();
  lb__packed *packed = NULL;
  st = table->pack_weight != NULL ? table->pack_weight(&packed, weight, compute, drop_pages)
                                  : LB_E_UNSUPPORTED;
  if (st == LB_E_NOMEM) return lb__fail_nomem(err, "a packed weight");
  if (st != LB_OK)
    return lb__fail(err, st, "linear: no packed products of this precision (kernel %s)",
                    table->chosen[LB__OP_linear]);
  lb__tensor_unpack(weight);
  weight->packed = packed;
  return LB_OK;
}

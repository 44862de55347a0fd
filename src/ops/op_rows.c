/* op_rows.c - picking rows, and what a row of logits says. Contracts: ops.h. */
#include "op_record.h"

/* ---- gather_rows ---- */

typedef struct gather_saved {
  lb_tensor x, rows; /* of x only the gradient */
} gather_saved;

static lb_status gather_backward(lb__stream *s, const lb_tensor *dout, void *saved, lb_error *err) {
  const gather_saved *k = saved;
  lb_tensor view;
  lb__embed_bwd_args args = {.dout = dout, .ids = &k->rows, .scale = 1.0f};
  lb_status st = lb__op_gradient(&args.dweight, &view, s, &k->x, err);
  if (st != LB_OK || args.dweight == NULL) return st;
  return lb__run_embed_bwd(&s->arena, &args, err);
}

lb_status lb__op_gather_rows(lb__stream *s, lb_tensor **out, const lb_tensor *x,
                             const lb_tensor *rows, lb_error *err) {
  *out = NULL;
  lb_status st = lb__op_check(LB__OP_gather_rows, "x", x, s->real, 2, err);
  if (st != LB_OK) return st;
  st = lb__op_check(LB__OP_gather_rows, "rows", rows, LB_DTYPE_I32, 1, err);
  if (st != LB_OK) return st;
  lb_tensor *y;
  st = lb__stream_tensor(&y, s, s->real, 2, (int64_t[]){rows->shape[0], x->shape[1]}, err);
  if (st != LB_OK) return st;
  lb__gather_rows_args args = {.out = y, .x = x, .rows = rows};
  st = lb__run_gather_rows(&s->arena, &args, err);
  gather_saved saved = {.x = *x, .rows = *rows};
  if (st == LB_OK && lb__tape_wants(s, x))
    st = lb__tape_record(s, y, false, gather_backward, &saved, sizeof saved, err);
  if (st == LB_OK) *out = y;
  return st;
}

/* ---- reshape ---- */

static bool has_elements(const lb_tensor *x, int rank, const int64_t *shape) {
  int64_t n = 1;
  if (rank < 0 || rank > LB__MAX_RANK) return false;
  for (int i = 0; i < rank; i++)
    if (shape[i] < 0 || __builtin_mul_overflow(n, shape[i], &n)) return false;
  return n == lb__tensor_elements(x);
}

lb_status lb__op_reshape(lb__stream *s, lb_tensor **out, const lb_tensor *x, int rank,
                         const int64_t *shape, lb_error *err) {
  char text[96];
  *out = NULL;
  if (lb_dtype_is_block(x->dtype))
    return lb__fail(err, LB_E_DTYPE, "reshape: x %s: want a plain dtype, not blocks",
                    lb__tensor_describe(text, x));
  if (!has_elements(x, rank, shape))
    return lb__fail(err, LB_E_SHAPE,
                    "reshape: x %s: want a shape of at most 4 extents with as many elements",
                    lb__tensor_describe(text, x));
  lb_tensor *view = lb__arena_alloc(&s->arena, sizeof *view);
  if (view == NULL) return lb__fail_nomem(err, "a view of a tensor");
  *view = lb__tensor_reshape(x, rank, shape);
  *out = view;
  return LB_OK;
}

/* ---- logits_stats ---- */

static lb_status check_logits(const lb_tensor *logits, const lb_tensor *targets, int64_t top_k,
                              lb_error *err) {
  static const lb__op OP = LB__OP_logits_stats;
  lb_status st = lb__op_check(OP, "logits", logits, LB_DTYPE_F32, 2, err);
  if (st != LB_OK) return st;
  if (top_k < 1 || top_k > logits->shape[1])
    return lb__op_fail(err, LB_E_ARG, OP, "logits", logits, "top_k %lld: want 1 to %lld",
                       (long long)top_k, (long long)logits->shape[1]);
  if (targets == NULL) return LB_OK;
  st = lb__op_check(OP, "targets", targets, LB_DTYPE_I32, 1, err);
  if (st != LB_OK || targets->shape[0] == logits->shape[0]) return st;
  return lb__op_fail_pair(err, OP, (lb__named){"logits", logits}, (lb__named){"targets", targets},
                          "want one target for each row");
}

/* The results that every row has; target_logits only where targets were given. */
static lb_status make_results(lb__logits_stats_args *a, lb__stream *s, int64_t N, int64_t K,
                              lb_error *err) {
  const int64_t rows[] = {N, K};
  lb_status st = lb__stream_tensor(&a->logsumexp, s, LB_DTYPE_F32, 1, rows, err);
  if (st != LB_OK) return st;
  st = lb__stream_tensor(&a->top_ids, s, LB_DTYPE_I32, 2, rows, err);
  if (st != LB_OK) return st;
  st = lb__stream_tensor(&a->top_logits, s, LB_DTYPE_F32, 2, rows, err);
  if (st != LB_OK || a->targets == NULL) return st;
  return lb__stream_tensor(&a->target_logits, s, LB_DTYPE_F32, 1, rows, err);
}

lb_status lb__op_logits_stats(lb__stream *s, lb__logits_stats_args *results,
                              const lb_tensor *logits, const lb_tensor *targets, int64_t top_k,
                              lb_error *err) {
  *results = (lb__logits_stats_args){0};
  lb_status st = check_logits(logits, targets, top_k, err);
  if (st != LB_OK) return st;
  lb__logits_stats_args a = {.logits = logits, .targets = targets};
  st = make_results(&a, s, logits->shape[0], top_k, err);
  if (st != LB_OK) return st;
  st = lb__run_logits_stats(&s->arena, &a, err);
  if (st == LB_OK) *results = a;
  return st;
}

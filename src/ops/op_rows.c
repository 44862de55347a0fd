/* op_rows.c - gather_rows, logits_stats, cast, transpose. Contracts: ops.h. */
#include "op_check.h"

lb_status lb__op_gather_rows(lb__stream *s, lb_tensor **out, const lb_tensor *x,
                             const lb_tensor *rows, lb_error *err) {
  *out = NULL;
  if (x->rank != 2 || rows->rank != 1 || rows->dtype != LB_DTYPE_I32)
    return lb__op_shape_error(LB__OP_gather_rows, "x", x, "rows", rows, "want [N,C] and [M] I32",
                              err);
  lb_status st = lb__op_want(LB__OP_gather_rows, "x", x, LB_DTYPE_F32, err);
  int64_t shape[2] = {rows->shape[0], x->shape[1]};
  if (st == LB_OK) st = lb__stream_tensor(out, s, LB_DTYPE_F32, 2, shape, err);
  if (st != LB_OK) return st;
  return lb__run_gather_rows(s, &(lb__gather_rows_args){.out = *out, .x = x, .rows = rows}, err);
}

lb_status lb__op_logits_stats(lb__stream *s, lb__logits_stats_args *results,
                              const lb_tensor *logits, const lb_tensor *targets, int64_t top_k,
                              lb_error *err) {
  *results = (lb__logits_stats_args){.logits = logits, .targets = targets};
  lb_status st = lb__op_want(LB__OP_logits_stats, "logits", logits, LB_DTYPE_F32, err);
  if (st != LB_OK) return st;
  if (logits->rank != 2 || top_k < 1 || top_k > logits->shape[1])
    return lb__fail(err, LB_E_ARG, "logits_stats: top_k is %lld, want 1 to %lld", (long long)top_k,
                    (long long)lb__tensor_row_length(logits));
  if (targets != NULL && (targets->rank != 1 || targets->dtype != LB_DTYPE_I32 ||
                          targets->shape[0] != logits->shape[0]))
    return lb__op_shape_error(LB__OP_logits_stats, "logits", logits, "targets", targets,
                              "want a target per row, I32", err);
  int64_t shape[2] = {logits->shape[0], top_k};
  st = lb__stream_tensor(&results->logsumexp, s, LB_DTYPE_F32, 1, shape, err);
  if (st == LB_OK) st = lb__stream_tensor(&results->top_ids, s, LB_DTYPE_I32, 2, shape, err);
  if (st == LB_OK) st = lb__stream_tensor(&results->top_logits, s, LB_DTYPE_F32, 2, shape, err);
  if (st == LB_OK && targets != NULL)
    st = lb__stream_tensor(&results->target_logits, s, LB_DTYPE_F32, 1, shape, err);
  return st == LB_OK ? lb__run_logits_stats(s, results, err) : st;
}

/* cast and transpose run outside steps: their scratch comes from a stream of their own. */
lb_status lb__op_cast(lb_tensor *out, const lb_tensor *x, lb_error *err) {
  if (!lb__tensor_same_shape(out, x))
    return lb__op_shape_error(LB__OP_cast, "out", out, "x", x, "want the same shape", err);
  bool writable = !lb_dtype_is_block(out->dtype) || out->dtype == LB_DTYPE_Q8_0 ||
                  out->dtype == LB_DTYPE_Q4_0 || out->dtype == x->dtype;
  if (!writable)
    return lb__fail(err, LB_E_DTYPE,
                    "cast: cannot make %s; block types that can be made: Q8_0, Q4_0",
                    lb_dtype_name(out->dtype));
  lb__stream s;
  lb__stream_init(&s, out->device);
  lb_status st = lb__run_cast(&s, &(lb__cast_args){.out = out, .x = x}, err);
  lb__stream_deinit(&s);
  return st;
}

lb_status lb__op_transpose(lb_tensor *out, const lb_tensor *x, lb_error *err) {
  if (x->rank != 2 || out->rank != 2 || out->shape[0] != x->shape[1] ||
      out->shape[1] != x->shape[0] || out->dtype != x->dtype || lb_dtype_is_block(x->dtype))
    return lb__op_shape_error(LB__OP_transpose, "out", out, "x", x,
                              "want [C,N] and [N,C] of one plain dtype", err);
  lb__stream s;
  lb__stream_init(&s, out->device);
  lb_status st = lb__run_transpose(&s, &(lb__transpose_args){.out = out, .x = x}, err);
  lb__stream_deinit(&s);
  return st;
}

/* op_pending.c - calls that are being written; each goes when its own comes. */
#include "ops.h"

#define PENDING __attribute__((weak))

PENDING lb_status lb__op_dropout(lb__stream *s, lb_tensor **out, const lb_tensor *x,
                                 lb__dropout draw, lb_error *err) {
  (void)s, (void)out, (void)x, (void)draw, (void)err;
  return LB_E_UNSUPPORTED;
}
PENDING lb_status lb__op_mse(lb__stream *s, double *sum, const lb_tensor *x,
                             const lb_tensor *target, double scale, lb_error *err) {
  (void)s, (void)sum, (void)x, (void)target, (void)scale, (void)err;
  return LB_E_UNSUPPORTED;
}
PENDING lb_status lb__op_relation(lb__stream *s, double *sum, const lb_tensor *x,
                                  const lb_tensor *target, const lb_tensor *cu_seqlens,
                                  int64_t heads, double scale, lb_error *err) {
  (void)s, (void)sum, (void)x, (void)target, (void)cu_seqlens, (void)heads, (void)scale, (void)err;
  return LB_E_UNSUPPORTED;
}

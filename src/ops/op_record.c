/* op_record.c - see op_record.h. */
#include "op_record.h"

lb_status lb__op_gradient(lb_tensor **gradient, lb_tensor *view, lb__stream *s, const lb_tensor *t,
                          lb_error *err) {
  bool wanted;
  lb_status st = lb__gradient_view(view, &wanted, s, t, err);
  *gradient = st == LB_OK && wanted ? view : NULL;
  return st;
}

lb_status lb__op_check_trainable(lb__stream *s, lb__op op, const char *name,
                                 const lb_tensor *weight, lb_error *err) {
  if (!lb__tape_wants(s, weight) || weight->dtype == s->real) return LB_OK;
  return lb__op_fail(err, LB_E_DTYPE, op, name, weight, "want %s, since it is trained",
                     lb_dtype_name(s->real));
}

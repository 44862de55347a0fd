/* pending.c - calls of limbeck/distill.h whose files are on their way: they say so. */
#include "base/fail.h"

#include <limbeck/distill.h>

lb_status lb_distill(lb_distill_result *result, lb_recipe *recipe,
                     const lb_distill_options *options, lb_error *err) {
  (void)recipe, (void)options;
  *result = (lb_distill_result){0};
  return lb__fail(err, LB_E_UNSUPPORTED, "lb_distill is not there yet");
}
void lb_distill_result_deinit(lb_distill_result *result) {
  (void)result;
}
lb_status lb_plan_make(lb_plan *plan, lb_recipe *recipe, bool probe,
                       const lb_distill_options *options, lb_error *err) {
  (void)recipe, (void)probe, (void)options;
  *plan = (lb_plan){0};
  return lb__fail(err, LB_E_UNSUPPORTED, "lb_plan_make is not there yet");
}
lb_status lb_example_open(lb_example **out, lb_recipe *recipe, int64_t document, lb_error *err) {
  (void)recipe, (void)document;
  *out = NULL;
  return lb__fail(err, LB_E_UNSUPPORTED, "lb_example_open is not there yet");
}
const lb_example_piece *lb_example_pieces(const lb_example *example, size_t *n) {
  (void)example;
  *n = 0;
  return NULL;
}
void lb_example_free(lb_example *example) {
  (void)example;
}
lb_status lb_verify(size_t *n_failed, lb_recipe *recipe,
                    void (*on_check)(void *ctx, const lb_check *check), void *ctx,
                    const volatile int *cancel, lb_error *err) {
  (void)recipe, (void)on_check, (void)ctx, (void)cancel;
  *n_failed = 0;
  return lb__fail(err, LB_E_UNSUPPORTED, "lb_verify is not there yet");
}

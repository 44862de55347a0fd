/* ref_dropout.c - out = x, every element zeroed or scaled up as its draw says; with `add`, out +=
 * that: backward is the same draw applied to dout. */
#include "reference.h"

#include "base/threads.h"
#include "kernels/cpu/dropout_draw.h"

static void elements(void *ctx, int64_t begin, int64_t end) {
  const lb__dropout_args *a = ctx;
  for (int64_t i = begin; i < end; i++) {
    double kept = lb__ref_get(a->x, i) * lb__dropout_factor(&a->draw, (uint64_t)i);
    lb__ref_put(a->out, i, a->add ? lb__ref_get(a->out, i) + kept : kept);
  }
}

lb_status lb__ref_dropout(const lb__dropout_args *a, void *workspace) {
  (void)workspace;
  lb__dropout_args args = *a;
  lb__parallel_for(lb__tensor_elements(a->x), 4096, elements, &args);
  return LB_OK;
}

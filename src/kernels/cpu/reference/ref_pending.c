/* ref_pending.c - kernels that are being written; each line goes when its kernel comes. */
#include "reference.h"

#define PENDING(op)                                                                                \
  __attribute__((weak)) lb_status lb__ref_##op(const lb__##op##_args *a, void *workspace) {        \
    (void)a;                                                                                       \
    (void)workspace;                                                                               \
    return LB_E_UNSUPPORTED;                                                                       \
  }
PENDING(divergence)
PENDING(mse)

/* ref_pending.c - kernels that are being written; each line goes when its kernel comes. */
#include "reference.h"

#define PENDING(op)                                                                                \
  __attribute__((weak)) lb_status lb__ref_##op(const lb__##op##_args *a, void *workspace) {        \
    (void)a;                                                                                       \
    (void)workspace;                                                                               \
    return LB_E_UNSUPPORTED;                                                                       \
  }
PENDING(embed_bwd)
PENDING(linear_bwd)
PENDING(rms_norm_bwd)
PENDING(layer_norm_bwd)
PENDING(attention_bwd)
PENDING(act_bwd)
PENDING(act_mul_bwd)
PENDING(softcap_bwd)
PENDING(add_scaled)
PENDING(dropout)
PENDING(relation)
PENDING(sum_squares)
PENDING(adamw)

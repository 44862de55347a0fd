/* ref_table.c - fills a kernel table with the reference kernels. */
#include "reference.h"

void lb__ref_fill(lb__kernel_table *table) {
#define LB__OP(op, differentiable, text)                                                           \
  table->op = lb__ref_##op;                                                                        \
  table->op##_workspace = NULL;                                                                    \
  table->chosen[LB__OP_##op] = "reference";
#include "ops/ops.def"
#undef LB__OP
  table->linear_workspace = lb__ref_linear_workspace;
  table->embed_workspace = lb__ref_embed_workspace;
  table->attention_workspace = lb__ref_attention_workspace;
  table->relation_workspace = lb__ref_relation_workspace;
  table->cast_workspace = lb__ref_cast_workspace;
  table->divergence_workspace = lb__ref_divergence_workspace;
  table->linear_bwd_workspace = lb__ref_linear_bwd_workspace;
  table->rms_norm_bwd_workspace = lb__ref_rms_norm_bwd_workspace;
  table->layer_norm_bwd_workspace = lb__ref_layer_norm_bwd_workspace;
}

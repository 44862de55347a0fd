/* linear_quantized.c - see linear_quantized.h. Owns: choosing between the kinds. */
#include "linear_quantized.h"

#include "packed.h"
#include "sizes.h"
#include "stored.h"

typedef enum kind {
  OTHER,  /* not ours */
  PACKED, /* a weight that was packed once */
  PANELS, /* a stored weight, packed a panel at a time: many rows */
  BLOCKS  /* a stored weight, used where it lies: few rows */
} kind;

static kind kind_of(const lb__linear_args *a) {
  const lb_tensor *w = a->weight;
  if (a->x->dtype != LB_DTYPE_F32 || w->shape[0] == 0 || w->shape[1] == 0 || a->x->shape[0] == 0)
    return OTHER;
  if (a->compute == LB__COMPUTE_INT8) return w->packed != NULL ? PACKED : OTHER;
  if (a->compute != LB__COMPUTE_STORED || !lb__stored_has(w->dtype)) return OTHER;
  bool few = a->x->shape[0] <= LB__STORED_MOST_ROWS || w->shape[1] > LB__INT8_MOST_INPUTS;
  return few ? BLOCKS : PANELS;
}

bool lb__quantized_wanted(const lb__linear_args *args) {
  return kind_of(args) != OTHER;
}

size_t lb__quantized_prepared_bytes(const lb__linear_args *args) {
  int64_t N = args->x->shape[0], I = args->x->shape[1];
  lb__int8_cut cut = lb__int8_cut_of(I);
  switch (kind_of(args)) {
  case PACKED:
  case PANELS: return padded(lb__int8_rows_bytes(N, &cut));
  case BLOCKS: return padded(lb__stored_rows_bytes(N, I));
  case OTHER: break;
  }
  return 0;
}

void lb__quantized_prepare(const lb__linear_args *args, void *memory) {
  switch (kind_of(args)) {
  case PACKED:
  case PANELS: lb__int8_round_rows(memory, args->x); break;
  case BLOCKS: lb__stored_round_rows(memory, args->x); break;
  case OTHER: break;
  }
}

/* Rows that nobody prepared come first in the workspace. */
static size_t own_prepared_bytes(const lb__linear_args *args) {
  return args->prepared == NULL ? lb__quantized_prepared_bytes(args) : 0;
}

size_t lb__quantized_linear_workspace(const lb__linear_args *args) {
  size_t rest = kind_of(args) == BLOCKS ? 0 : lb__int8_linear_workspace(args);
  return own_prepared_bytes(args) + rest;
}

lb_status lb__quantized_linear(const lb__linear_args *args, void *workspace) {
  lb__linear_args with = *args;
  if (args->prepared == NULL) {
    with.prepared = workspace;
    lb__quantized_prepare(args, workspace);
  }
  if (kind_of(args) == BLOCKS) return lb__stored_linear(&with);
  return lb__int8_linear(&with, (char *)workspace + own_prepared_bytes(args));
}

/* profile.c - see profile.h. */
#include "profile.h"

#include "base/clock.h"
#include "base/fail.h"
#include "kernel_table.h"

static lb__profile *current;

void lb__profile_use(lb__profile *p) {
  current = p;
}

int lb__profile_enter(int part) {
  if (current == NULL) return 0;
  int before = current->part;
  LB_ASSERT(part >= 0 && part < LB__PROFILE_PARTS);
  current->part = part;
  return before;
}

int64_t lb__profile_begin(void) {
  return current != NULL ? lb__clock_ns() : 0;
}

/* ---- multiplications ---- */

static lb__compute computed_in(lb__compute wanted, const lb_tensor *weight) {
  if (wanted == LB__COMPUTE_INT8 && weight->packed != NULL) return LB__COMPUTE_INT8;
  if (wanted == LB__COMPUTE_STORED && lb_dtype_is_block(weight->dtype)) return LB__COMPUTE_INT8;
  if (wanted == LB__COMPUTE_BF16 && lb__kernels()->bf16_products) return LB__COMPUTE_BF16;
  return LB__COMPUTE_F32;
}

/* Pairs of a query and a key that it sees. Rows of a cache are counted by those that are new. */
static double visible_pairs(const lb_tensor *cu_seqlens, int64_t window) {
  int32_t at[2]; /* where a document begins and ends */
  double pairs = 0.0;
  for (int64_t doc = 0; doc + 1 < cu_seqlens->shape[0]; doc++) {
    if (lb__tensor_read(cu_seqlens, (size_t)doc * sizeof *at, at, sizeof at, NULL) != LB_OK) break;
    double n = at[1] - at[0], w = window > 0 && (double)window < n ? (double)window : n;
    pairs += n * w - w * (w - 1.0) / 2.0;
  }
  return pairs;
}

static double attention_flop(const lb_tensor *q, const lb_tensor *cu_seqlens, int64_t window) {
  return 2.0 * (double)(q->shape[1] * q->shape[2]) * visible_pairs(cu_seqlens, window);
}

static void add_flop(lb__profile_cell *cell, lb__op op, const void *args) {
  switch (op) {
  case LB__OP_linear: {
    const lb__linear_args *a = args;
    cell->flop[computed_in(a->compute, a->weight)] +=
        2.0 * (double)a->x->shape[0] * (double)(a->weight->shape[0] * a->weight->shape[1]);
    break;
  }
  case LB__OP_linear_bwd: {
    const lb__linear_bwd_args *a = args;
    double one = 2.0 * (double)a->x->shape[0] * (double)(a->weight->shape[0] * a->weight->shape[1]);
    cell->flop[computed_in(a->compute, a->weight)] +=
        one * ((a->dx != NULL) + (a->dweight != NULL));
    break;
  }
  case LB__OP_attention: { /* scores; weighted sum */
    const lb__attention_args *a = args;
    cell->flop[LB__COMPUTE_F32] += 2.0 * attention_flop(a->q, a->cu_seqlens, a->window);
    break;
  }
  case LB__OP_attention_bwd: { /* scores again, dscores, dq, dk, dv */
    const lb__attention_bwd_args *a = args;
    cell->flop[LB__COMPUTE_F32] += 5.0 * attention_flop(a->q, a->cu_seqlens, a->window);
    break;
  }
  default: break;
  }
}

void lb__profile_end(int64_t begin, lb__op op, const void *args) {
  if (current == NULL) return;
  lb__profile_cell *cell = &current->cells[current->part][op];
  cell->ns += lb__clock_ns() - begin;
  cell->n_calls++;
  add_flop(cell, op, args);
}

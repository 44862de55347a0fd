/* cast_tuned.c - rows from dtype to dtype, by all threads. */
#include "cast_tuned.h"

#include "base/threads.h"
#include "blocks.h"
#include "sizes.h"
#include "tensor/tensor_data.h"

#include <stdatomic.h>

typedef struct job {
  const lb__cast_args *args;
  const char *x;
  char *out;
  int64_t C;
  size_t x_bytes, out_bytes; /* of a row */
  char *scratch;             /* a row of floats for each thread */
  size_t scratch_each;
  atomic_bool does_not_fit;
} job;

static size_t row_bytes(const lb_tensor *t) {
  return t->size_bytes / (size_t)lb__tensor_n_rows(t);
}

static size_t scratch_bytes(const lb__cast_args *a) {
  return padded((size_t)lb__tensor_row_length(a->x) * sizeof(float));
}

size_t lb__tuned_cast_workspace(const lb__cast_args *a) {
  return scratch_bytes(a) * (size_t)lb_threads_get();
}

static void cast_rows(void *ctx, int64_t begin, int64_t end) {
  job *j = ctx;
  lb_dtype from = j->args->x->dtype, to = j->args->out->dtype;
  float *scratch = (float *)(void *)(j->scratch + (size_t)lb__thread_index() * j->scratch_each);
  for (int64_t r = begin; r < end; r++) {
    const float *row = lb__row_floats(from, j->x + (size_t)r * j->x_bytes, j->C, scratch);
    if (!lb__row_fits(to, row, j->C)) {
      atomic_store(&j->does_not_fit, true);
      return;
    }
    lb__row_from_f32(to)(j->out + (size_t)r * j->out_bytes, row, j->C);
  }
}

lb_status lb__tuned_cast(const lb__cast_args *a, void *workspace) {
  job j = {.args = a,
           .x = lb__tensor_data(a->x),
           .out = lb__tensor_data(a->out),
           .C = lb__tensor_row_length(a->x),
           .scratch = workspace,
           .scratch_each = scratch_bytes(a)};
  int64_t n_rows = lb__tensor_n_rows(a->x);
  if (n_rows == 0) return LB_OK;
  if (a->x->dtype == a->out->dtype) {
    memmove(j.out, j.x, a->x->size_bytes);
    return LB_OK;
  }
  j.x_bytes = row_bytes(a->x);
  j.out_bytes = row_bytes(a->out);
  lb__parallel_for(n_rows, 1 + 16384 / (j.C + 1), cast_rows, &j);
  return j.does_not_fit ? LB_E_NUMERIC : LB_OK;
}

/* ---- rounding ---- */

typedef struct rounding {
  uint16_t *out;
  const float *x;
  int64_t length;
} rounding;

static void round_rows(void *ctx, int64_t begin, int64_t end) {
  const rounding *r = ctx;
  lb__row_from_f32(LB_DTYPE_BF16)(r->out + begin * r->length, r->x + begin * r->length,
                                  (end - begin) * r->length);
}

void lb__rows_to_bf16(uint16_t *out, const float *x, int64_t n_rows, int64_t length) {
  rounding r = {out, x, length};
  lb__parallel_for(n_rows, 1 + 16384 / (length + 1), round_rows, &r);
}

/* ref_rows.c - gather_rows, logits_stats, cast, transpose; and the table of all reference kernels.
 */
#include "reference.h"

#include "base/threads.h"
#include "kernels/cpu/blocks.h"
#include "tensor/tensor_data.h"

#include <math.h>
#include <string.h>

lb_status lb__reference_gather_rows(const lb__gather_rows_args *a, void *workspace) {
  (void)workspace;
  int64_t C = a->x->shape[1];
  for (int64_t m = 0; m < a->rows->shape[0]; m++)
    memcpy(lb__tensor_f32(a->out) + m * C, lb__tensor_f32(a->x) + lb__tensor_i32(a->rows)[m] * C,
           (size_t)C * sizeof(float));
  return LB_OK;
}

/* The K largest of a row, largest first, ties to the smaller id: insertion, as K is small. */
static void top_of_row(int32_t *ids, float *values, int64_t K, const float *row, int64_t V) {
  int64_t n = 0;
  for (int64_t v = 0; v < V; v++) {
    if (n == K && !(row[v] > values[K - 1])) continue;
    int64_t place = n < K ? n++ : K - 1;
    for (; place > 0 && row[v] > values[place - 1]; place--) {
      values[place] = values[place - 1];
      ids[place] = ids[place - 1];
    }
    values[place] = row[v];
    ids[place] = (int32_t)v;
  }
}

static void stats_rows(void *ctx, int64_t begin, int64_t end) {
  const lb__logits_stats_args *a = ctx;
  int64_t V = a->logits->shape[1], K = a->top_ids->shape[1];
  for (int64_t n = begin; n < end; n++) {
    const float *row = lb__tensor_f32(a->logits) + n * V;
    float most = -INFINITY;
    double sum = 0.0;
    for (int64_t v = 0; v < V; v++) most = row[v] > most || isnan(row[v]) ? row[v] : most;
    for (int64_t v = 0; v < V; v++) sum += exp((double)row[v] - (double)most);
    lb__tensor_f32(a->logsumexp)[n] = (float)((double)most + log(sum));
    top_of_row(lb__tensor_i32(a->top_ids) + n * K, lb__tensor_f32(a->top_logits) + n * K, K, row,
               V);
    if (a->targets == NULL) continue;
    int32_t target = lb__tensor_i32(a->targets)[n];
    lb__tensor_f32(a->target_logits)[n] = target < 0 ? NAN : row[target];
  }
}

lb_status lb__reference_logits_stats(const lb__logits_stats_args *a, void *workspace) {
  (void)workspace;
  lb__parallel_for(a->logits->shape[0], 1, stats_rows, (void *)(uintptr_t)a);
  return LB_OK;
}

size_t lb__reference_cast_workspace(const lb__cast_args *a) {
  return (size_t)lb__tensor_row_length(a->x) * sizeof(float);
}

lb_status lb__reference_cast(const lb__cast_args *a, void *workspace) {
  int64_t n = lb__tensor_row_length(a->x), n_rows = lb__tensor_n_rows(a->x);
  if (a->x->dtype == a->out->dtype) {
    if (a->x->size_bytes > 0)
      memcpy(lb__tensor_data(a->out), lb__tensor_data(a->x), a->x->size_bytes);
    return LB_OK;
  }
  lb__row_to_f32_fn *to_f32 = lb__row_to_f32(a->x->dtype);
  lb__row_from_f32_fn *from_f32 = lb__row_from_f32(a->out->dtype);
  if (from_f32 == NULL) return LB_E_UNSUPPORTED;
  for (int64_t r = 0; r < n_rows; r++) {
    size_t in = a->x->size_bytes / (size_t)n_rows, out = a->out->size_bytes / (size_t)n_rows;
    to_f32(workspace, (const char *)lb__tensor_data(a->x) + in * (size_t)r, n);
    from_f32((char *)lb__tensor_data(a->out) + out * (size_t)r, workspace, n);
  }
  return LB_OK;
}

lb_status lb__reference_transpose(const lb__transpose_args *a, void *workspace) {
  (void)workspace;
  int64_t N = a->x->shape[0], C = a->x->shape[1];
  size_t size = lb_dtype_block_bytes(a->x->dtype);
  const char *from = lb__tensor_data(a->x);
  char *to = lb__tensor_data(a->out);
  for (int64_t n = 0; n < N; n++)
    for (int64_t c = 0; c < C; c++)
      memcpy(to + (size_t)(c * N + n) * size, from + (size_t)(n * C + c) * size, size);
  return LB_OK;
}

void lb__reference_fill(lb__kernel_table *table) {
#define LB__OP(name, differentiable, text)                                                         \
  table->name = lb__reference_##name;                                                              \
  table->chosen[LB__OP_##name] = "reference";
#include "ops/ops.def"
#undef LB__OP
  table->linear_workspace = lb__reference_linear_workspace;
  table->attention_workspace = lb__reference_attention_workspace;
  table->cast_workspace = lb__reference_cast_workspace;
}

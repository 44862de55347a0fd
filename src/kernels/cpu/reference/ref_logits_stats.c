/* ref_logits_stats.c - what scoring and sampling need of a row of logits. */
#include "reference.h"

#include "kernels/cpu/top_k.h"
#include "tensor/tensor_data.h"

/* log sum_v exp(x[v]); the largest is taken out so that nothing overflows. A row that holds NaN
 * gives NaN; +inf gives +inf; all -inf gives -inf. */
static double logsumexp(const float *x, int64_t V) {
  double largest = -INFINITY, sum = 0.0;
  for (int64_t v = 0; v < V; v++) {
    if (isnan(x[v])) return (double)x[v];
    largest = fmax(largest, (double)x[v]);
  }
  if (isinf(largest)) return largest;
  for (int64_t v = 0; v < V; v++) sum += exp((double)x[v] - largest);
  return largest + log(sum);
}

lb_status lb__ref_logits_stats(const lb__logits_stats_args *a, void *workspace) {
  (void)workspace;
  int64_t N = a->logits->shape[0], V = a->logits->shape[1], K = a->top_ids->shape[1];
  const float *logits = lb__tensor_f32(a->logits); /* [N,V] */
  for (int64_t n = 0; n < N; n++, logits += V) {
    lb__tensor_f32(a->logsumexp)[n] = (float)logsumexp(logits, V);
    lb__top_k top = {.ids = lb__tensor_i32(a->top_ids) + n * K,
                     .logits = lb__tensor_f32(a->top_logits) + n * K,
                     .K = K};
    for (int64_t v = 0; v < V; v++) lb__top_k_offer(&top, (int32_t)v, logits[v]);
    if (a->targets == NULL) continue;
    int32_t target = lb__tensor_i32(a->targets)[n];
    lb__tensor_f32(a->target_logits)[n] = target >= 0 ? logits[target] : NAN;
  }
  return LB_OK;
}

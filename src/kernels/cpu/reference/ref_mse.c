/* ref_mse.c - mean squared difference of rows, and its gradient. */
#include "reference.h"

lb_status lb__ref_mse(const lb__mse_args *a, void *workspace) {
  (void)workspace;
  int64_t N = a->x->shape[0], C = a->x->shape[1];
  for (int64_t n = 0; n < N; n++) {
    double sum = 0.0;
    for (int64_t i = n * C; i < (n + 1) * C; i++) {
      double difference = lb__ref_get(a->x, i) - lb__ref_get(a->target, i);
      sum += difference * difference;
      if (a->dx != NULL) lb__ref_add_to(a->dx, i, a->scale * 2.0 * difference / (double)C);
    }
    if (a->losses != NULL) lb__ref_put(a->losses, n, C > 0 ? sum / (double)C : 0.0);
  }
  return LB_OK;
}

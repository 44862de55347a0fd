/* ref_optimizer.c - the norm of a gradient and AdamW, one element at a time. */
#include "reference.h"

#include "tensor/tensor_data.h"

#include <math.h>

lb_status lb__ref_sum_squares(const lb__sum_squares_args *a, void *workspace) {
  (void)workspace;
  const float *x = lb__tensor_f32(a->x);
  int64_t n = lb__tensor_elements(a->x);
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
  *a->sum += sum;
  return LB_OK;
}

/* Decoupled weight decay (arXiv:1711.05101): the parameter itself shrinks, not its gradient. The
 * moments start at 0 and are too small at first; dividing by 1 - beta^step makes up for it. */
lb_status lb__ref_adamw(const lb__adamw_args *a, void *workspace) {
  (void)workspace;
  float *p = lb__tensor_f32(a->parameter), *gradient = lb__tensor_f32(a->gradient);
  float *m = lb__tensor_f32(a->exp_avg), *v = lb__tensor_f32(a->exp_avg_sq);
  int64_t n = lb__tensor_elements(a->parameter);
  double correction1 = 1.0 - pow(a->beta1, (double)a->step);
  double correction2 = 1.0 - pow(a->beta2, (double)a->step);
  double keep = 1.0 - a->learning_rate * a->weight_decay;
  for (int64_t i = 0; i < n; i++) {
    double g = (double)gradient[i] * a->gradient_scale;
    m[i] = (float)(a->beta1 * (double)m[i] + (1.0 - a->beta1) * g);
    v[i] = (float)(a->beta2 * (double)v[i] + (1.0 - a->beta2) * g * g);
    double root = sqrt((double)v[i] / correction2) + a->eps;
    double change = a->learning_rate / correction1 * (double)m[i] / root;
    p[i] = (float)((double)p[i] * keep - change);
    gradient[i] = 0.0f;
  }
  return LB_OK;
}

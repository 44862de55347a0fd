/* ref_rope.c - rotary position embedding: each pair (x[j], x[j + R/2]) of a head is a point in the
 * plane, turned by the angle position * inv_freq[j]. A dot product of two such points depends on
 * the difference of their positions only (arXiv:2104.09864). */
#include "reference.h"

#include "tensor/tensor_data.h"

#include <math.h>

static void rotate_head(float *x, const float *inv_freq, int64_t half, float position,
                        double magnitude) {
  for (int64_t j = 0; j < half; j++) {
    float angle = position * inv_freq[j]; /* rounded to float32, as Transformers does */
    double c = cos((double)angle) * magnitude, s = sin((double)angle) * magnitude;
    double a = (double)x[j], b = (double)x[j + half];
    x[j] = (float)(a * c - b * s);
    x[j + half] = (float)(b * c + a * s);
  }
}

lb_status lb__ref_rope(const lb__rope_args *a, void *workspace) {
  (void)workspace;
  int64_t N = a->x->shape[0], heads = a->x->shape[1], D = a->x->shape[2];
  const int32_t *positions = lb__tensor_i32(a->positions);
  const float *inv_freq = lb__tensor_f32(a->inv_freq);
  float *x = lb__tensor_f32(a->x);
  for (int64_t n = 0; n < N; n++)
    for (int64_t h = 0; h < heads; h++)
      rotate_head(x + (n * heads + h) * D, inv_freq, a->inv_freq->shape[0], (float)positions[n],
                  (double)a->magnitude);
  return LB_OK;
}

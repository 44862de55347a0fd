/* ref_rope.c - rotary position embedding: each pair (x[j], x[j + R/2]) of a head is a point in the
 * plane, turned by the angle position * inv_freq[j]. A dot product of two such points depends on
 * the difference of their positions only (arXiv:2104.09864). The gradient of what was turned is
 * turned back: a rotation's transpose is its inverse. */
#include "reference.h"

#include <math.h>

/* The head whose first element is x[first]. */
static void rotate_head(const lb__rope_args *a, int64_t first, float position) {
  const float *inv_freq = lb__tensor_f32(a->inv_freq);
  int64_t half = a->inv_freq->shape[0];
  for (int64_t j = 0; j < half; j++) {
    float angle = position * inv_freq[j]; /* rounded to float32, as Transformers does */
    double turn = a->inverse ? -(double)angle : (double)angle;
    double c = cos(turn) * (double)a->magnitude, s = sin(turn) * (double)a->magnitude;
    double p = lb__ref_get(a->x, first + j), q = lb__ref_get(a->x, first + j + half);
    lb__ref_put(a->x, first + j, p * c - q * s);
    lb__ref_put(a->x, first + j + half, q * c + p * s);
  }
}

lb_status lb__ref_rope(const lb__rope_args *a, void *workspace) {
  (void)workspace;
  int64_t N = a->x->shape[0], heads = a->x->shape[1], D = a->x->shape[2];
  const int32_t *positions = lb__tensor_i32(a->positions);
  for (int64_t n = 0; n < N; n++)
    for (int64_t h = 0; h < heads; h++) rotate_head(a, (n * heads + h) * D, (float)positions[n]);
  return LB_OK;
}

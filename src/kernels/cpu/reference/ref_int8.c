/* ref_int8.c - the definition of rotated 8-bit products: see kernels/cpu/packed.h. Every number is
 * made by the same operations in the same order in all kernels, so results are equal bit for bit.
 */
#include "kernels/cpu/packed.h"

#include <math.h>

/* Walsh-Hadamard: at distance h = 1, 2, 4 .. block / 2, (a, b) becomes (a + b, a - b). */
static void rotate(float *out, const float *x, int64_t n, int64_t block) {
  memmove(out, x, (size_t)n * sizeof *x);
  for (int64_t h = 1; h < block; h *= 2)
    for (int64_t i = 0; i < n; i += 2 * h)
      for (int64_t k = i; k < i + h; k++) {
        float a = out[k], b = out[k + h];
        out[k] = a + b;
        out[k + h] = a - b;
      }
}

/* Step = largest magnitude / 127, so the integers are -127 .. 127. What is smaller than 2^-100
 * counts as zero: its step could not be inverted. */
static void quantize(int8_t *values, float *scale, const float *x, int64_t n) {
  float largest = 0.0f;
  bool finite = true;
  for (int64_t i = 0; i < n; i++) {
    finite &= isfinite(x[i]) != 0;
    largest = fmaxf(largest, fabsf(x[i]));
  }
  bool zero = !finite || largest < 0x1p-100f;
  float inverse = zero ? 0.0f : 127.0f / largest;
  *scale = !finite ? NAN : zero ? 0.0f : largest / 127.0f;
  for (int64_t i = 0; i < n; i++) values[i] = zero ? 0 : (int8_t)rintf(x[i] * inverse);
}

static float dot(const lb__int8_part *p, int64_t row, int64_t o) {
  const lb__int8_weight *w = p->weight;
  int64_t first = row / LB__INT8_ROWS * LB__INT8_ROWS, r = row - first;
  int64_t R = lb__int8_block_rows(p->x, first), quads = w->cut.quads, n_groups = w->cut.n_groups;
  const int8_t *x = p->x->values + (first * n_groups * quads + r) * LB__INT8_DEPTH;
  int64_t panel = o / LB__INT8_PANEL, lane = o % LB__INT8_PANEL;
  const uint8_t *values =
      w->values + (panel * n_groups * quads * LB__INT8_PANEL + lane) * LB__INT8_DEPTH;
  float y = 0.0f;
  for (int64_t g = 0; g < n_groups; g++) {
    int32_t sum = p->x->sums[first * n_groups + g * R + r];
    for (int64_t q = g * quads; q < (g + 1) * quads; q++)
      for (int64_t k = 0; k < LB__INT8_DEPTH; k++)
        sum += x[q * R * LB__INT8_DEPTH + k] * values[q * LB__INT8_PANEL * LB__INT8_DEPTH + k];
    float scaled = (float)sum * w->scales[(panel * n_groups + g) * LB__INT8_PANEL + lane];
    y = fmaf(scaled, p->x->scales[first * n_groups + g * R + r], y);
  }
  return y;
}

static void product(const lb__int8_part *p) {
  const lb__int8_weight *w = p->weight;
  int64_t first = p->panel * LB__INT8_PANEL, end = first + p->n_panels * LB__INT8_PANEL;
  if (end > w->O) end = w->O;
  for (int64_t r = p->row; r < p->row + p->n_rows; r++)
    for (int64_t o = first; o < end; o++) {
      float y = dot(p, r, o);
      p->out[r * p->ldo + o] = p->bias != NULL ? y + p->bias[o] : y;
    }
}

const lb__int8_kernels lb__int8_reference = {.name = "reference",
                                             .rotate = rotate,
                                             .quantize = quantize,
                                             .product = product,
                                             .rows = LB__INT8_ROWS,
                                             .depth = LB__INT8_DEPTH};

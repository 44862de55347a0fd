/* stored_avx2.c - products with stored blocks by VPMADDUBSW: its 16-bit sums of two products do not
 * saturate, because integers of at most 7 bits meet integers of 7 bits and a sign. */
#include "simd.h"

/* Eight sums of four products of unsigned and signed bytes. */
LB__INLINE veci dot(veci weights, veci inputs) {
  return _mm256_madd_epi16(_mm256_maddubs_epi16(weights, inputs), _mm256_set1_epi16(1));
}

#include "stored.inc"

void lb__stored_select_avx2(void) {
  static const lb__stored_kernels kernels = {.name = "avx2", .dots = {TYPES(NAME)}};
  lb__stored_select(&kernels);
}

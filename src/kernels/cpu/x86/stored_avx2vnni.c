/* stored_avx2vnni.c - products with stored blocks by the 256-bit VPDPBUSD of AVX-512 VNNI. */
#include "simd.h"

/* Eight sums of four products of unsigned and signed bytes. */
LB__INLINE veci dot(veci weights, veci inputs) {
  return _mm256_dpbusd_epi32(_mm256_setzero_si256(), weights, inputs);
}

#include "stored.inc"

void lb__stored_select_avx2vnni(void) {
  static const lb__stored_kernels kernels = {.name = "avx512vnni", .dots = {TYPES(NAME)}};
  lb__stored_select(&kernels);
}

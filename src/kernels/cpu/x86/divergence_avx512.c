/* divergence_avx512.c - divergence.inc compiled for avx512. */
#include "divergence.inc"

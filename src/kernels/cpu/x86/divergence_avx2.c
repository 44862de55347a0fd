/* divergence_avx2.c - divergence.inc compiled for avx2. */
#include "divergence.inc"

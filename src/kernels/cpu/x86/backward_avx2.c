/* backward_avx2.c - backward.inc compiled for avx2. */
#include "backward.inc"

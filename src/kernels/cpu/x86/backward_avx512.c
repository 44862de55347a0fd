/* backward_avx512.c - backward.inc compiled for avx512. */
#include "backward.inc"

/* elementwise_avx512.c - elementwise.inc compiled for avx512. */
#include "elementwise.inc"

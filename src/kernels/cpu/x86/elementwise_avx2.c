/* elementwise_avx2.c - elementwise.inc compiled for avx2. */
#include "elementwise.inc"

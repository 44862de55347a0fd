/* linear_avx512.c - rows.inc compiled for avx512. */
#include "rows.inc"

/* optimizer_avx512.c - optimizer.inc compiled for avx512. */
#include "optimizer.inc"

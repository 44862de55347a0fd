/* optimizer_avx2.c - optimizer.inc compiled for avx2. */
#include "optimizer.inc"

/* dropout_avx2.c - dropout.inc compiled for avx2. */
#include "dropout.inc"

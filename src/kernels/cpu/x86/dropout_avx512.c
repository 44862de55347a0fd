/* dropout_avx512.c - dropout.inc compiled for avx512. */
#include "dropout.inc"

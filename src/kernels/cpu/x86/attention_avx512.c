/* attention_avx512.c - attention.inc compiled for avx512. */
#include "attention.inc"

/* attention_avx2.c - attention.inc compiled for avx2. */
#include "attention.inc"

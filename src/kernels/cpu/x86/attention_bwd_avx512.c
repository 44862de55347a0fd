/* attention_bwd_avx512.c - attention_bwd.inc compiled for avx512. */
#include "attention_bwd.inc"

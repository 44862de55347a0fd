/* attention_bwd_avx2.c - attention_bwd.inc compiled for avx2. */
#include "attention_bwd.inc"

/* relation_avx512.c - relation.inc compiled for avx512. */
#include "relation.inc"

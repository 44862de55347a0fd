/* relation_avx2.c - relation.inc compiled for avx2. */
#include "relation.inc"

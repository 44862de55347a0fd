/* fetch.h - asking for memory before it is needed. */
#ifndef LB_KERNELS_FETCH_H
#define LB_KERNELS_FETCH_H

#include <stddef.h>

/* While a row of n bytes is worked on: what lies two pages behind it. A mapped file lies in small
 * pages, at whose ends the processor's own prefetching stops; this made a thin product with Q4_1
 * blocks 1.6 times as fast. Asking beyond the end of memory is harmless. */
static inline void lb__fetch_ahead(const char *row, size_t n) {
  enum { AHEAD = 8192, LINE = 64 };
  for (size_t k = 0; k < n; k += LINE) __builtin_prefetch(row + AHEAD + k);
}

#endif

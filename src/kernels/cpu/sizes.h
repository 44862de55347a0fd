/* sizes.h - small sums about pieces of work, for the files that cut it. */
#ifndef LB_KERNELS_SIZES_H
#define LB_KERNELS_SIZES_H

#include <stddef.h>
#include <stdint.h>

static inline int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}
/* Of at most `size` each. */
static inline int64_t pieces(int64_t n, int64_t size) {
  return (n + size - 1) / size;
}
/* To whole cache lines. */
static inline size_t padded(size_t bytes) {
  return (bytes + 63) & ~(size_t)63;
}

#endif

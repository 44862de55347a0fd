/* ref_stored.c - the definition of products with stored blocks: rounded activations times decoded
 * weights. See kernels/cpu/stored.h. */
#include "kernels/cpu/blocks.h"
#include "kernels/cpu/stored.h"

enum { PIECE = 256 };

static void dots(float *sums, const lb__stored_row *x, int64_t n_rows, int64_t I, const char *row,
                 lb_dtype dtype) {
  size_t piece_bytes =
      (size_t)(PIECE / lb_dtype_block_elements(dtype)) * lb_dtype_block_bytes(dtype);
  double total[LB__STORED_MOST_DOTS] = {0};
  for (int64_t i = 0; i < I; i += PIECE, row += piece_bytes) {
    float w[PIECE];
    int64_t n = I - i < PIECE ? I - i : PIECE;
    lb__row_to_f32(dtype)(w, row, n);
    for (int64_t t = 0; t < n_rows; t++)
      for (int64_t k = 0; k < n; k++)
        total[t] += (double)w[k] * (double)x[t].values[i + k] *
                    (double)x[t].scales[1][(i + k) / LB__STORED_GROUP];
  }
  for (int64_t t = 0; t < n_rows; t++) sums[t] = (float)total[t];
}

#define TYPES(X) X(Q4_0) X(Q4_1) X(Q5_0) X(Q5_1) X(Q8_0) X(Q2_K) X(Q3_K) X(Q4_K) X(Q5_K) X(Q6_K)
#define DEFINE(type)                                                                               \
  static void dots_##type(float *sums, const lb__stored_row *x, int64_t n_rows, int64_t I,         \
                          const void *row) {                                                       \
    dots(sums, x, n_rows, I, row, LB_DTYPE_##type);                                                \
  }
TYPES(DEFINE)

#define NAME(type) [LB_DTYPE_##type] = dots_##type,
const lb__stored_kernels lb__stored_reference = {.name = "reference", .dots = {TYPES(NAME)}};

/* transpose_tuned.c - transpose by squares that fit the first-level cache, by all threads. */
#include "base/threads.h"
#include "sizes.h"
#include "tensor/tensor_data.h"
#include "transpose_tuned.h"

enum { SQUARE = 32 };

typedef struct job {
  const char *x;
  char *out;
  int64_t N, C;
  size_t size; /* of an element */
} job;

/* Rows n .., columns c .. of x; `size` is constant after inlining. */
static inline __attribute__((always_inline)) void square(const job *j, int64_t n, int64_t c,
                                                         size_t size) {
  int64_t n_end = smaller(n + SQUARE, j->N), c_end = smaller(c + SQUARE, j->C);
  for (; c < c_end; c++)
    for (int64_t i = n; i < n_end; i++)
      memcpy(j->out + (size_t)(c * j->N + i) * size, j->x + (size_t)(i * j->C + c) * size, size);
}

static void stripes(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  for (int64_t c = begin * SQUARE; c < smaller(end * SQUARE, j->C); c += SQUARE)
    for (int64_t n = 0; n < j->N; n += SQUARE) switch (j->size) {
      case 2: square(j, n, c, 2); break;
      case 4: square(j, n, c, 4); break;
      default: square(j, n, c, j->size); break;
      }
}

lb_status lb__tuned_transpose(const lb__transpose_args *args, void *workspace) {
  (void)workspace;
  job j = {.x = lb__tensor_data(args->x),
           .out = lb__tensor_data(args->out),
           .N = args->x->shape[0],
           .C = args->x->shape[1],
           .size = lb_dtype_block_bytes(args->x->dtype)};
  lb__parallel_for(pieces(j.C, SQUARE), 1, stripes, &j);
  return LB_OK;
}

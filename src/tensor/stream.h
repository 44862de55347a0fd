/* stream.h - the order in which work happens on one device, and the memory of one step.
 *
 * An op allocates its result in the stream's arena; lb__stream_reset gives all of it back. The next
 * step then allocates nothing new. While `tape` is set, ops also note how to walk back (tape.h). */
#ifndef LB_TENSOR_STREAM_H
#define LB_TENSOR_STREAM_H

#include "tensor.h"

/* How linear layers compute. A model's backward knows the first two only. */
typedef enum lb__compute {
  LB__COMPUTE_F32,  /* float32, whatever the stored type: what the others are measured against */
  LB__COMPUTE_BF16, /* kernels may round both factors to bfloat16 where that is faster (many tokens,
                       a CPU that has such products); sums in float32 */
  LB__COMPUTE_INT8, /* weights that lb__op_pack_weight laid out, activations rounded likewise: 8-bit
                       integers, rotated so that outliers do not hurt (docs/decisions/0007) */
  LB__COMPUTE_STORED /* the integers of stored blocks, activations rounded to 8 bits; with many
                        tokens as INT8. Weights that are not in blocks: as F32 */
} lb__compute;
enum { LB__COMPUTE_COUNT = LB__COMPUTE_STORED + 1 };

typedef struct lb__tape lb__tape;

typedef struct lb__stream {
  lb__device *device;
  lb__compute compute;
  lb_dtype real;  /* of activations: F32; F64 runs the reference kernels in double, for verifying */
  lb__tape *tape; /* NULL: nothing is recorded */
  lb__arena arena;
} lb__stream;

void lb__stream_init(lb__stream *s, lb__device *device);
void lb__stream_reset(lb__stream *s); /* every tensor it allocated is gone */
void lb__stream_deinit(lb__stream *s);

/* Shorthand for lb__tensor_alloc in the stream's arena. */
lb_status lb__stream_tensor(lb_tensor **out, lb__stream *s, lb_dtype dtype, int rank,
                            const int64_t *shape, lb_error *err);
/* An I32 tensor [n] holding a copy of `values`. */
lb_status lb__stream_i32(lb_tensor **out, lb__stream *s, const int32_t *values, int64_t n,
                         lb_error *err);

#endif

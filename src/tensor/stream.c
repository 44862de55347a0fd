/* stream.c - step memory of one device. See stream.h. */
#include "stream.h"

void lb__stream_init(lb__stream *s, lb__device *device) {
  *s = (lb__stream){.device = device, .real = LB_DTYPE_F32};
  lb__arena_init(&s->arena, 0);
}

void lb__stream_reset(lb__stream *s) {
  lb__arena_reset(&s->arena);
}

void lb__stream_deinit(lb__stream *s) {
  if (s == NULL) return;
  lb__arena_deinit(&s->arena);
}

lb_status lb__stream_tensor(lb_tensor **out, lb__stream *s, lb_dtype dtype, int rank,
                            const int64_t *shape, lb_error *err) {
  return lb__tensor_alloc(out, &s->arena, dtype, rank, shape, err);
}

lb_status lb__stream_i32(lb_tensor **out, lb__stream *s, const int32_t *values, int64_t n,
                         lb_error *err) {
  lb_status st = lb__stream_tensor(out, s, LB_DTYPE_I32, 1, &n, err);
  if (st != LB_OK) return st;
  return lb__tensor_write(*out, 0, values, (*out)->size_bytes, err);
}

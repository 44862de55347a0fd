/* stored_tensor.c - byte counts and sinks; the contracts are in stored_tensor.h. */
#include "stored_tensor.h"

#include "base/fail.h"

#include <inttypes.h>

bool lb__stored_elements(int64_t *out, int rank, const int64_t *shape) {
  int64_t n = 1;
  bool is_empty = false;
  for (int i = 0; i < rank; i++) {
    if (shape[i] < 0) return false;
    if (shape[i] == 0)
      is_empty = true;
    else if (__builtin_mul_overflow(n, shape[i], &n))
      return false;
  }
  *out = is_empty ? 0 : n;
  return true;
}

bool lb__stored_size(size_t *out, lb_dtype dtype, int rank, const int64_t *shape) {
  int64_t n_elements, n_rows;
  size_t row;
  if (rank < 0 || rank > LB__STORED_RANK_MAX) return false;
  if (!lb__stored_elements(&n_elements, rank, shape)) return false;
  if (!lb__stored_elements(&n_rows, rank - 1, shape)) return false;
  if (!lb_dtype_row_bytes(&row, dtype, rank > 0 ? shape[rank - 1] : 1)) return false;
  return lb__ck_mul(out, row, (size_t)n_rows) && *out <= INT64_MAX;
}

bool lb__stored_is_aligned(const lb__stored_tensor *tensor) {
  /* blocks begin with a half and are read as bytes and halves */
  size_t need = lb_dtype_is_block(tensor->dtype) ? 2 : lb_dtype_block_bytes(tensor->dtype);
  return need == 0 || (uintptr_t)tensor->bytes % need == 0;
}

const char *lb__shape_text(char text[LB__SHAPE_TEXT_SIZE], int rank, const int64_t *shape) {
  size_t used = 0;
  text[used++] = '[';
  for (int i = 0; i < rank; i++)
    used += (size_t)snprintf(text + used, LB__SHAPE_TEXT_SIZE - used, "%s%" PRId64,
                             i > 0 ? "," : "", shape[i]);
  text[used++] = ']';
  text[used] = '\0';
  return text;
}

lb_status lb__sink_write(lb__sink *sink, const void *bytes, size_t size, lb_error *err) {
  if (size > sink->wanted - sink->written)
    return lb__fail(err, LB_E_ARG, "tensor '%.120s': %zu bytes given, want %zu", sink->name,
                    sink->written + size, sink->wanted);
  sink->written += size;
  return lb__save_write(sink->save, bytes, size, err);
}

lb_status lb__sink_fill(lb__save *save, const lb__tensor_decl *decl, size_t index, size_t size,
                        lb__fill_fn *fill, void *ctx, lb_error *err) {
  lb__sink sink = {.save = save, .name = decl->name, .wanted = size};
  lb_status st = fill(ctx, index, &sink, err);
  if (st != LB_OK) return st;
  if (sink.written != size)
    return lb__fail(err, LB_E_ARG, "tensor '%.120s': %zu bytes given, want %zu", decl->name,
                    sink.written, size);
  return LB_OK;
}

/* tensor.c - descriptors, views, and bytes in and out. See tensor.h. */
#include "tensor.h"
#include "tensor_data.h"

#include "base/fail.h"
#include "base/files.h"

#include <stdio.h>

lb__device *lb__device_cpu(void) {
  static lb__device cpu = {LB__DEVICE_CPU, 0, "cpu"};
  return &cpu;
}

/* Bytes of a tensor of this shape; rows must be whole blocks, no extent negative. */
static bool shape_bytes(size_t *out, lb_dtype dtype, int rank, const int64_t *shape) {
  if (rank < 0 || rank > LB__MAX_RANK) return false;
  size_t bytes;
  if (!lb_dtype_row_bytes(&bytes, dtype, rank > 0 ? shape[rank - 1] : 1)) return false;
  for (int i = 0; i + 1 < rank; i++)
    if (shape[i] < 0 || !lb__ck_mul(&bytes, bytes, (size_t)shape[i])) return false;
  *out = bytes;
  return bytes <= PTRDIFF_MAX;
}

static void describe_shape(char text[96], lb_dtype dtype, int rank, const int64_t *shape) {
  size_t used = (size_t)snprintf(text, 96, "[");
  for (int i = 0; i < rank && i < LB__MAX_RANK && used < 80; i++)
    used +=
        (size_t)snprintf(text + used, 96 - used, "%s%lld", i > 0 ? "," : "", (long long)shape[i]);
  if (used < 84) snprintf(text + used, 96 - used, "] %s", lb_dtype_name(dtype));
}

static lb_status describe(lb_tensor *t, lb_dtype dtype, int rank, const int64_t *shape,
                          lb_error *err) {
  *t = (lb_tensor){.dtype = dtype, .rank = rank, .shape = {1, 1, 1, 1}};
  if (!shape_bytes(&t->size_bytes, dtype, rank, shape)) {
    char text[96];
    describe_shape(text, dtype, rank, shape);
    return lb__fail(err, LB_E_SHAPE,
                    "tensor %s: want rank 0..4, extents >= 0, rows of whole blocks of %lld", text,
                    (long long)lb_dtype_block_elements(dtype));
  }
  for (int i = 0; i < rank; i++) t->shape[i] = shape[i];
  t->device = lb__device_cpu();
  return LB_OK;
}

lb_status lb__tensor_view_bytes(lb_tensor *out, lb_dtype dtype, int rank, const int64_t *shape,
                                const void *bytes, size_t size, lb_error *err) {
  lb_status st = describe(out, dtype, rank, shape, err);
  if (st != LB_OK) return st;
  if (out->size_bytes != size) {
    char text[96];
    describe_shape(text, dtype, rank, shape);
    return lb__fail(err, LB_E_SHAPE, "tensor %s needs %zu bytes, there are %zu", text,
                    out->size_bytes, size);
  }
  out->memory_ = (void *)(uintptr_t)bytes;
  return LB_OK;
}

lb_status lb__tensor_init(lb_tensor *out, lb_dtype dtype, int rank, const int64_t *shape,
                          lb_error *err) {
  lb_status st = describe(out, dtype, rank, shape, err);
  if (st != LB_OK) return st;
  out->memory_ = lb__alloc_aligned(out->size_bytes);
  if (out->memory_ == NULL) return lb__fail_nomem(err, "a tensor");
  out->owns_memory_ = true;
  return LB_OK;
}

void lb__tensor_deinit(lb_tensor *t) {
  if (t == NULL) return;
  if (t->owns_memory_) lb__free_aligned(t->memory_);
  lb__tensor_unpack(t);
  *t = (lb_tensor){0};
}

lb_status lb__tensor_alloc(lb_tensor **out, lb__arena *arena, lb_dtype dtype, int rank,
                           const int64_t *shape, lb_error *err) {
  *out = NULL;
  lb_tensor described;
  lb_status st = describe(&described, dtype, rank, shape, err);
  if (st != LB_OK) return st;
  lb_tensor *t = lb__arena_alloc(arena, sizeof *t);
  if (t == NULL) return lb__fail_nomem(err, "a step's tensor");
  *t = described;
  t->memory_ = lb__arena_alloc_tensor(arena, t->size_bytes);
  if (t->memory_ == NULL) return lb__fail_nomem(err, "a step's tensor");
  *out = t;
  return LB_OK;
}

lb_tensor lb__tensor_rows(const lb_tensor *t, int64_t begin, int64_t n) {
  LB_ASSERT(t->rank >= 1 && begin >= 0 && n >= 0 && begin + n <= t->shape[0]);
  LB_ASSERT(t->rank > 1 || !lb_dtype_is_block(t->dtype));
  lb_tensor view = *t;
  size_t row = t->shape[0] > 0 ? t->size_bytes / (size_t)t->shape[0] : 0;
  view.owns_memory_ = false;
  view.gradient = NULL;
  view.packed = NULL;
  view.shape[0] = n;
  view.size_bytes = row * (size_t)n;
  view.memory_ = (char *)t->memory_ + row * (size_t)begin;
  return view;
}

lb_tensor lb__tensor_reshape(const lb_tensor *t, int rank, const int64_t *shape) {
  lb_tensor view = *t;
  view.owns_memory_ = false;
  view.packed = NULL;
  view.rank = rank;
  for (int i = 0; i < LB__MAX_RANK; i++) view.shape[i] = i < rank ? shape[i] : 1;
  LB_ASSERT(lb__tensor_elements(&view) == lb__tensor_elements(t));
  return view;
}

lb_tensor lb__tensor_slice(const lb_tensor *flat, int64_t begin, int rank, const int64_t *shape) {
  lb_tensor part = lb__tensor_rows(flat, begin, 0);
  size_t element = lb_dtype_block_bytes(flat->dtype);
  part.rank = rank;
  for (int i = 0; i < LB__MAX_RANK; i++) part.shape[i] = i < rank ? shape[i] : 1;
  part.size_bytes = (size_t)lb__tensor_elements(&part) * element;
  LB_ASSERT(flat->rank == 1 && begin + lb__tensor_elements(&part) <= flat->shape[0]);
  return part;
}

void lb__tensor_bind_gradient(lb_tensor *t, lb__gradient *slot, const lb_tensor *gradient) {
  LB_ASSERT(t->size_bytes == gradient->size_bytes && t->dtype == gradient->dtype);
  *slot = (lb__gradient){.memory_ = gradient->memory_, .size_bytes = gradient->size_bytes};
  t->gradient = slot;
}

lb_tensor lb__tensor_gradient(const lb_tensor *t) {
  LB_ASSERT(t->gradient != NULL && t->gradient->memory_ != NULL);
  lb_tensor view = *t;
  view.memory_ = t->gradient->memory_;
  view.gradient = NULL;
  view.packed = NULL;
  view.owns_memory_ = false;
  return view;
}

void lb__tensor_zero(lb_tensor *t) {
  if (t->size_bytes > 0) memset(lb__tensor_data(t), 0, t->size_bytes);
}

void lb__tensor_forget_pages(const lb_tensor *t) {
  if (!t->owns_memory_) lb__mapped_forget(t->memory_, t->size_bytes);
}

void lb__tensor_release_elements(lb_tensor *t) {
  if (!t->owns_memory_) {
    lb__mapped_forget(t->memory_, t->size_bytes);
    return;
  }
  lb__free_aligned(t->memory_);
  t->memory_ = NULL;
  t->owns_memory_ = false;
}

void lb__tensor_forget_elements(lb_tensor *view) {
  LB_ASSERT(!view->owns_memory_);
  view->memory_ = NULL;
}

void lb__tensor_unpack(lb_tensor *t) {
  if (t->packed != NULL) t->packed->free(t->packed);
  t->packed = NULL;
}

bool lb__tensor_has_elements(const lb_tensor *t) {
  return t->memory_ != NULL || t->size_bytes == 0;
}

int64_t lb__tensor_elements(const lb_tensor *t) {
  return t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3];
}

int64_t lb__tensor_row_length(const lb_tensor *t) {
  return t->rank > 0 ? t->shape[t->rank - 1] : 1;
}

int64_t lb__tensor_n_rows(const lb_tensor *t) {
  int64_t length = lb__tensor_row_length(t);
  return length > 0 ? lb__tensor_elements(t) / length : 0;
}

bool lb__tensor_same_shape(const lb_tensor *a, const lb_tensor *b) {
  return a->rank == b->rank && memcmp(a->shape, b->shape, sizeof a->shape) == 0;
}

const char *lb__tensor_describe(char text[96], const lb_tensor *t) {
  describe_shape(text, t->dtype, t->rank, t->shape);
  return text;
}

static lb_status check_range(const lb_tensor *t, size_t offset, size_t size, lb_error *err) {
  if (offset <= t->size_bytes && size <= t->size_bytes - offset) return LB_OK;
  return lb__fail(err, LB_E_ARG, "tensor of %zu bytes: bytes %zu to %zu are outside it",
                  t->size_bytes, offset, offset + size);
}

lb_status lb__tensor_write(lb_tensor *t, size_t offset, const void *bytes, size_t size,
                           lb_error *err) {
  lb_status st = check_range(t, offset, size, err);
  if (st == LB_OK && size > 0) memcpy((char *)lb__tensor_data(t) + offset, bytes, size);
  return st;
}

lb_status lb__tensor_read(const lb_tensor *t, size_t offset, void *bytes, size_t size,
                          lb_error *err) {
  lb_status st = check_range(t, offset, size, err);
  if (st == LB_OK && size > 0) memcpy(bytes, (const char *)lb__tensor_data(t) + offset, size);
  return st;
}

/* tensor.h - what a tensor is: dtype, shape, device, and memory that only kernels look into.
 *
 * Owns: descriptors, views, and moving bytes in and out (lb__tensor_read / lb__tensor_write).
 * Refuses: arithmetic (ops/), strides, rank above 4. Row-major, contiguous, always.
 * Shapes are written as PyTorch writes them: shape[rank - 1] is contiguous.                    */
#ifndef LB_TENSOR_TENSOR_H
#define LB_TENSOR_TENSOR_H

#include <limbeck/dtype.h>

#include "base/memory.h"

#define LB__MAX_RANK 4

typedef enum lb__device_kind { LB__DEVICE_CPU } lb__device_kind;

/* Where memory lives and kernels run. One per physical device; today there is the CPU. */
typedef struct lb__device {
  lb__device_kind kind;
  int index;
  const char *name;
} lb__device;
lb__device *lb__device_cpu(void);

/* The gradient of a tensor's bytes, shared by every view of them. Backward adds to it; its memory
 * is made, zeroed, when the first addition comes (tape.h), or belongs to a model's parameters. */
typedef struct lb__gradient {
  void *memory_; /* NULL: nothing was added yet. Same dtype and order as the tensor */
  size_t size_bytes;
} lb__gradient;

/* A weight matrix laid out once for fast products. What follows this header is the kernels' own
 * business (kernels/cpu/packed.h). */
typedef struct lb__packed {
  void (*free)(struct lb__packed *p);
  size_t size_bytes; /* of everything it holds */
} lb__packed;

typedef struct lb_tensor {
  lb_dtype dtype;
  int rank;                    /* 0..4; rank 0 is one element */
  int64_t shape[LB__MAX_RANK]; /* entries from rank on are 1 */
  lb__device *device;
  size_t size_bytes;
  void *memory_; /* only src/tensor and src/kernels: lb__tensor_data() */
  bool owns_memory_;
  lb__gradient *gradient; /* NULL: none is wanted */
  lb__packed *packed;     /* NULL: none; owned (lb__tensor_deinit). Views do not inherit it */
} lb_tensor;

/* ---- making: all check that the shape is sane and its bytes fit ---- */

/* A tensor over borrowed memory (a mapped file, a caller's array), which must outlive it.
 * `size` is what is really there; LB_E_SHAPE when the shape needs another number of bytes. */
lb_status lb__tensor_view_bytes(lb_tensor *out, lb_dtype dtype, int rank, const int64_t *shape,
                                const void *bytes, size_t size, lb_error *err);
/* Heap memory, uninitialised; release with lb__tensor_deinit. */
lb_status lb__tensor_init(lb_tensor *out, lb_dtype dtype, int rank, const int64_t *shape,
                          lb_error *err);
void lb__tensor_deinit(lb_tensor *t); /* accepts NULL, zeroed, views */
/* Descriptor and memory from a step arena, uninitialised; gone at its reset. */
lb_status lb__tensor_alloc(lb_tensor **out, lb__arena *arena, lb_dtype dtype, int rank,
                           const int64_t *shape, lb_error *err);

/* ---- views: borrow, never copy, never freed ---- */
/* Of the first extent. A part has no gradient of its own: the view's is NULL. */
lb_tensor lb__tensor_rows(const lb_tensor *t, int64_t begin, int64_t n);
/* The same bytes, and the same gradient, as another shape with as many elements. LB_ASSERTs that
 * they agree. */
lb_tensor lb__tensor_reshape(const lb_tensor *t, int rank, const int64_t *shape);

/* ---- many tensors in one buffer: a model's parameters and their gradients ---- */
/* Elements from `begin` of a flat tensor, as a tensor of this shape; must fit (LB_ASSERT). */
lb_tensor lb__tensor_slice(const lb_tensor *flat, int64_t begin, int rank, const int64_t *shape);
/* From now on `gradient`'s memory is t's gradient; *slot is filled and must outlive t. */
void lb__tensor_bind_gradient(lb_tensor *t, lb__gradient *slot, const lb_tensor *gradient);
/* t's gradient as a tensor; t must have one with memory (LB_ASSERT). */
lb_tensor lb__tensor_gradient(const lb_tensor *t);
void lb__tensor_zero(lb_tensor *t);
/* A view of a mapped file has been copied elsewhere: its pages may go. Nothing for other tensors'
 * own memory. */
void lb__tensor_forget_pages(const lb_tensor *t);
/* A packed weight's elements are not needed any more: own memory is freed, a mapped file's pages
 * are given back (and read again if somebody looks). */
void lb__tensor_release_elements(lb_tensor *t);
/* The same for a view of memory that was freed: it has none any more. */
void lb__tensor_forget_elements(lb_tensor *view);
void lb__tensor_unpack(lb_tensor *t); /* gives the packed layout back */
bool lb__tensor_has_elements(const lb_tensor *t);

/* ---- facts ---- */
int64_t lb__tensor_elements(const lb_tensor *t);
int64_t lb__tensor_row_length(const lb_tensor *t); /* shape[rank-1]; 1 for rank 0 */
int64_t lb__tensor_n_rows(const lb_tensor *t);     /* elements / row_length; 0 if empty */
bool lb__tensor_same_shape(const lb_tensor *a, const lb_tensor *b);
/* "[4864,896] bf16" into text, for messages. */
const char *lb__tensor_describe(char text[96], const lb_tensor *t);

/* ---- moving bytes between a tensor and the host; offset and size in bytes ---- */
lb_status lb__tensor_write(lb_tensor *t, size_t offset, const void *bytes, size_t size,
                           lb_error *err);
lb_status lb__tensor_read(const lb_tensor *t, size_t offset, void *bytes, size_t size,
                          lb_error *err);

#endif

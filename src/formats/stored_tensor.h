/* stored_tensor.h - what a tensor is while it lies in a file, whatever the file's format.
 * Owns: the description of a stored tensor, its checked byte count, and the sink through which a
 * writer receives a tensor's bytes piece by piece (so that a model larger than memory can be
 * written). Refuses: interpreting the bytes; that is for kernels/ and model/. */
#ifndef LB_FORMATS_STORED_TENSOR_H
#define LB_FORMATS_STORED_TENSOR_H

#include <limbeck/dtype.h>

#include "base/files.h"

#define LB__STORED_RANK_MAX 8

/* A tensor inside an open file. Everything is borrowed from the handle that gave it out.
 * `shape` is in PyTorch order in every format: the last extent is contiguous. `bytes` may have any
 * alignment: safetensors promises 1 byte, GGUF only general.alignment. `bytes` is NULL only when
 * size is 0. */
typedef struct lb__stored_tensor {
  const char *name; /* NUL-terminated, valid UTF-8, no NUL inside */
  lb_dtype dtype;
  int rank;
  int64_t shape[LB__STORED_RANK_MAX];
  const uint8_t *bytes;
  size_t size; /* of bytes; already checked to be what dtype and shape need */
} lb__stored_tensor;

/* A tensor that is going to be written. */
typedef struct lb__tensor_decl {
  const char *name;
  lb_dtype dtype;
  int rank;
  int64_t shape[LB__STORED_RANK_MAX]; /* PyTorch order */
} lb__tensor_decl;

/* The product of the extents. False when one is negative, or when the others' product does not fit
 * although one is 0: readers disagree about files where only a part of the shape fits. */
bool lb__stored_elements(int64_t *out, int rank, const int64_t *shape);

/* Bytes of a tensor; rank 0 holds one element. False: negative extent, a row that is not a whole
 * number of blocks, or a size that does not fit (also not in int64). */
bool lb__stored_size(size_t *out, lb_dtype dtype, int rank, const int64_t *shape);

/* Whether `bytes` may be read as the dtype's own C type. Files promise nothing (safetensors packs
 * tensors back to back, GGUF may declare alignment 1), so whoever wants to use mapped bytes in
 * place asks here and copies when the answer is no. We neither reject nor copy here: rejecting
 * would refuse valid files, and copying would hide a model-sized allocation in an open. */
bool lb__stored_is_aligned(const lb__stored_tensor *tensor);

/* "[2,3,4]" into text, for messages. Returns text. */
#define LB__SHAPE_TEXT_SIZE (LB__STORED_RANK_MAX * 21 + 3)
const char *lb__shape_text(char text[LB__SHAPE_TEXT_SIZE], int rank, const int64_t *shape);

/* ---- writing: the writer asks, the caller pours ---- */
typedef struct lb__sink {
  lb__save *save;
  const char *name; /* of the tensor being written, for messages */
  size_t wanted, written;
} lb__sink;

/* Appends the next bytes of the tensor. LB_E_ARG when more come than the tensor holds. */
lb_status lb__sink_write(lb__sink *sink, const void *bytes, size_t size, lb_error *err);

/* Produces the bytes of the tensor with this index in the list of declarations, in one or more
 * lb__sink_write calls that together give exactly its size; too few or too many is LB_E_ARG.
 * Called once for each tensor, in the order of the file (which is not the order of the list). */
typedef lb_status lb__fill_fn(void *ctx, size_t index, lb__sink *sink, lb_error *err);

/* Runs fill for one tensor into an open save and checks the byte count. */
lb_status lb__sink_fill(lb__save *save, const lb__tensor_decl *decl, size_t index, size_t size,
                        lb__fill_fn *fill, void *ctx, lb_error *err);

#endif

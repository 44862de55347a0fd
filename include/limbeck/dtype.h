/** limbeck/dtype.h - the element types of tensors, in files and in memory.
 *
 *  Plain types hold one element per block. Block types (GGUF quantisation) hold a fixed number of
 *  consecutive elements of a row in a fixed number of bytes; a row is always a whole number of
 *  blocks. Layouts: docs/formats.md and ggml-common.h (ggml-org/ggml). */
#ifndef LIMBECK_DTYPE_H
#define LIMBECK_DTYPE_H

#include <limbeck/status.h>

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* name, text, elements per block, bytes per block */
#define LB_DTYPE_MAP(X)                                                                            \
  X(F32, "F32", 1, 4)                                                                              \
  X(F16, "F16", 1, 2)                                                                              \
  X(BF16, "BF16", 1, 2)                                                                            \
  X(F64, "F64", 1, 8)                                                                              \
  X(F8_E4M3, "F8_E4M3", 1, 1)                                                                      \
  X(F8_E5M2, "F8_E5M2", 1, 1)                                                                      \
  X(I64, "I64", 1, 8)                                                                              \
  X(I32, "I32", 1, 4)                                                                              \
  X(I16, "I16", 1, 2)                                                                              \
  X(I8, "I8", 1, 1)                                                                                \
  X(U64, "U64", 1, 8)                                                                              \
  X(U32, "U32", 1, 4)                                                                              \
  X(U16, "U16", 1, 2)                                                                              \
  X(U8, "U8", 1, 1)                                                                                \
  X(BOOL, "BOOL", 1, 1)                                                                            \
  X(Q4_0, "Q4_0", 32, 18)                                                                          \
  X(Q4_1, "Q4_1", 32, 20)                                                                          \
  X(Q5_0, "Q5_0", 32, 22)                                                                          \
  X(Q5_1, "Q5_1", 32, 24)                                                                          \
  X(Q8_0, "Q8_0", 32, 34)                                                                          \
  X(Q2_K, "Q2_K", 256, 84)                                                                         \
  X(Q3_K, "Q3_K", 256, 110)                                                                        \
  X(Q4_K, "Q4_K", 256, 144)                                                                        \
  X(Q5_K, "Q5_K", 256, 176)                                                                        \
  X(Q6_K, "Q6_K", 256, 210)

typedef enum lb_dtype {
#define LB_DTYPE_ENUM(name, text, block_elements, block_bytes) LB_DTYPE_##name,
  LB_DTYPE_MAP(LB_DTYPE_ENUM)
#undef LB_DTYPE_ENUM
      LB_DTYPE_COUNT
} lb_dtype;

/** "BF16", "Q4_K", ...; "?" for a value outside the map. */
LB_API const char *lb_dtype_name(lb_dtype dtype);

/** Finds a dtype by its name, ignoring case ("bf16" is BF16).
 *  @return false when there is none; *out is then unchanged */
LB_API bool lb_dtype_from_name(lb_dtype *out, const char *name);

/** Elements per block (1 for plain types, 32 or 256 for block types). */
LB_API int64_t lb_dtype_block_elements(lb_dtype dtype);

/** Bytes per block. */
LB_API size_t lb_dtype_block_bytes(lb_dtype dtype);

/** Bytes of a row of n elements.
 *  @error false when n is negative, not a whole number of blocks, or the size does not fit */
LB_API LB_NODISCARD bool lb_dtype_row_bytes(size_t *out, lb_dtype dtype, int64_t n);

/** True for Q4_0 ... Q6_K. */
LB_API bool lb_dtype_is_block(lb_dtype dtype);

#ifdef __cplusplus
}
#endif
#endif

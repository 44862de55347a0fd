/* onednn_gemm.h - matrix products by oneDNN. Everything that includes oneDNN's headers is in
 * onednn_gemm.c, which knows the APIs of 2.6 and 3. */
#ifndef LB_KERNELS_ONEDNN_GEMM_H
#define LB_KERNELS_ONEDNN_GEMM_H

#include "kernels/cpu/linear_parts.h"

lb__gemm_fn lb__onednn_gemm;
lb__gemm_bf16_fn lb__onednn_gemm_bf16;
lb__gemm_add_fn lb__onednn_gemm_add, lb__onednn_gemm_add_bf16;

/* out [M,N] = x [M,K] * w [N,K] transposed, by all threads: what the machine can do in 8 bits. */
lb_status lb__onednn_gemm_u8s8(int32_t *out, const uint8_t *x, const int8_t *w, int64_t M,
                               int64_t N, int64_t K);

/* The library found at run time, "2.6.3"; the size of `text` is at least 16. */
const char *lb__onednn_version(char text[16]);

#endif

/* onednn_gemm.h - matrix products by oneDNN. Everything that includes oneDNN's headers is in
 * onednn_gemm.c, written for the API of 2.6; a file for 3.x can stand beside it. */
#ifndef LB_KERNELS_ONEDNN_GEMM_H
#define LB_KERNELS_ONEDNN_GEMM_H

#include "kernels/cpu/linear_parts.h"

lb__gemm_fn lb__onednn_gemm;
lb__gemm_bf16_fn lb__onednn_gemm_bf16;
lb__gemm_add_fn lb__onednn_gemm_add, lb__onednn_gemm_add_bf16;

/* The library found at run time, "2.6.3"; the size of `text` is at least 16. */
const char *lb__onednn_version(char text[16]);

#endif

/* x86.h - the doors of the x86 kernel sets. Call only after a look at the CPU (cpu_select.c). */
#ifndef LB_KERNELS_X86_H
#define LB_KERNELS_X86_H

#include "ops/kernel_table.h"

/* Row decoders and dot products for the tuned linear. */
void lb__rows_select_avx2(void);
void lb__rows_select_avx512(void);

/* Products of integers. */
void lb__int8_select_avx2(void);
void lb__int8_select_avx512vnni(void);
void lb__int8_select_avx512amx(void);
void lb__stored_select_avx2(void);
void lb__stored_select_avx2vnni(void);

/* Everything else: these overwrite entries of the table. */
void lb__elementwise_select_avx2(lb__kernel_table *table);
void lb__elementwise_select_avx512(lb__kernel_table *table);
void lb__backward_select_avx2(lb__kernel_table *table);
void lb__backward_select_avx512(lb__kernel_table *table);
void lb__attention_select_avx2(lb__kernel_table *table);
void lb__attention_select_avx512(lb__kernel_table *table);
void lb__attention_bwd_select_avx2(lb__kernel_table *table);
void lb__attention_bwd_select_avx512(lb__kernel_table *table);
void lb__dropout_select_avx2(lb__kernel_table *table);
void lb__dropout_select_avx512(lb__kernel_table *table);
void lb__relation_select_avx2(lb__kernel_table *table);
void lb__relation_select_avx512(lb__kernel_table *table);
void lb__divergence_select_avx2(lb__kernel_table *table);
void lb__divergence_select_avx512(lb__kernel_table *table);
void lb__optimizer_select_avx2(lb__kernel_table *table);
void lb__optimizer_select_avx512(lb__kernel_table *table);

#endif

/* op_case_parts.h - what the files of op cases share: making inputs, keeping results, the macros.
 */
#ifndef LB_TESTS_OP_CASE_PARTS_H
#define LB_TESTS_OP_CASE_PARTS_H

#include "op_cases.h"

#include "tensor/tensor_data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

/* ---- inputs: always the same for one case ---- */
uint32_t random_bits(void);
float random_float(void);
lb_tensor make(lb_dtype dtype, int rank, int64_t a, int64_t b, int64_t c);
lb_tensor floats(int rank, int64_t a, int64_t b, int64_t c);
lb_tensor ints(int64_t n, const int32_t *values);
lb_tensor random_ints(int64_t n, int64_t below);
lb_tensor random_weight(lb_dtype dtype, int64_t rows, int64_t columns);
void keep(op_result *r, double value);
void keep_floats(op_result *r, const lb_tensor *t);
void keep_doubles(op_result *r, const lb_tensor *t); /* F64 */
void keep_ints(op_result *r, const lb_tensor *t);
void keep_bytes(op_result *r, const lb_tensor *t);

/* ---- running ---- */

typedef void op_case_run_fn(const op_case *c, const lb__kernel_table *table, op_result *result);
void op_case_run_seeded(const op_case *c, const lb__kernel_table *table, op_result *result,
                        op_case_run_fn *run);

/* Scratch exactly as large as asked for, filled with NaN. */
#define RUN(op, args)                                                                              \
  do {                                                                                             \
    size_t scratch_size = table->op##_workspace != NULL ? table->op##_workspace(&(args)) : 0;      \
    void *scratch = NULL;                                                                          \
    if (scratch_size > 0) {                                                                        \
      scratch = aligned_alloc(64, (scratch_size + 63) / 64 * 64);                                  \
      assert_non_null(scratch);                                                                    \
      memset(scratch, 0xFF, scratch_size);                                                         \
    }                                                                                              \
    result->status = table->op(&(args), scratch);                                                  \
    free(scratch);                                                                                 \
  } while (0)

#define SEEDED(op)                                                                                 \
  static void seeded_##op(const op_case *c, const lb__kernel_table *table, op_result *result) {    \
    op_case_run_seeded(c, table, result, run_##op);                                                \
  }

#define CASE(op, tolerance, name, ...)                                                             \
  {                                                                                                \
    LB__OP_##op, name, seeded_##op, tolerance, {                                                   \
      __VA_ARGS__                                                                                  \
    }                                                                                              \
  }

#endif

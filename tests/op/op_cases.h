/* op_cases.h - the one table of op cases. Each case makes its inputs (always the same), runs its op
 * through a kernel table and keeps the results; tests run it through different tables and compare.
 */
#ifndef LB_TESTS_OP_CASES_H
#define LB_TESTS_OP_CASES_H

#include "ops/kernel_table.h"
#include "../tolerances.h"

typedef struct op_case op_case;

/* Results as numbers, in the order of the op's outputs. */
typedef struct op_result {
  double *values;
  size_t n, capacity;
  lb_status status;
} op_result;
void op_result_deinit(op_result *r);

struct op_case {
  lb__op op;
  const char *name;
  void (*run)(const op_case *c, const lb__kernel_table *table, op_result *result);
  lb_tolerance tolerance;
  int64_t p[8]; /* sizes and switches; their meaning is written at the runner */
};

/* One file of cases, one list; op_case_parts.c puts them together. */
typedef struct op_case_list {
  const op_case *cases;
  size_t n;
} op_case_list;
extern const op_case_list op_cases_forward,                                   /* op_cases.c */
    op_cases_backward, op_cases_attention, op_cases_loss, op_cases_optimizer; /* op_cases_<...>.c */

size_t op_case_count(void);
const op_case *op_case_at(size_t i);

/* True when `got` meets `wanted`; otherwise says where it does not in `why`. */
bool op_results_agree(const op_result *got, const op_result *wanted, lb_tolerance tolerance,
                      char why[256]);

/* The worst error as a multiple of what the tolerance allows; for setting tolerances. */
double op_results_error(const op_result *got, const op_result *wanted, lb_tolerance tolerance);

#endif

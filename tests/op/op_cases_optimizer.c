/* op_cases_optimizer.c - the optimizer. See op_cases.h. */
#include "op_case_parts.h"

const op_case_list op_cases_optimizer = {NULL, 0};

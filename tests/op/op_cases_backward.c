/* op_cases_backward.c - backward of everything but attention. See op_cases.h. */
#include "op_case_parts.h"

const op_case_list op_cases_backward = {NULL, 0};

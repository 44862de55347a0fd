/* op_cases_attention.c - backward of attention, and attention relations. See op_cases.h. */
#include "op_case_parts.h"

const op_case_list op_cases_attention = {NULL, 0};

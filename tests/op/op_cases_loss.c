/* op_cases_loss.c - losses. See op_cases.h. */
#include "op_case_parts.h"

const op_case_list op_cases_loss = {NULL, 0};

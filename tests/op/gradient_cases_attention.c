/* gradient_cases_attention.c - attention and its relations. See gradient_probe.h. */
#include "gradient_probe.h"

const gradient_case_list gradient_cases_attention = {NULL, 0, NULL, 0};

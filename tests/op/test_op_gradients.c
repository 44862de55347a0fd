/* test_op_gradients.c - the gradient of every differentiable op against central differences in
 * double; and the same check sees each planted bug. The cases: gradient_probe.h. */
#include "gradient_probe.h"

#include "../tolerances.h"
#include "kernels/kernels.h"

#include <stdio.h>
#include <string.h>

static const gradient_case_list *const lists[] = {&gradient_cases_basic, &gradient_cases_attention,
                                                  &gradient_cases_loss};
enum { N_LISTS = sizeof lists / sizeof *lists };

static void test_gradients(void **state) {
  (void)state;
  for (int k = 0; k < N_LISTS; k++)
    for (size_t i = 0; i < lists[k]->n_cases; i++) {
      double error = gradient_case_error(&lists[k]->cases[i]);
      if (getenv("LIMBECK_SHOW_ERRORS") != NULL)
        printf("%-28s relative error %.2g\n", lists[k]->cases[i].name, error);
      if (!(error <= LB_TOL_GRADIENT))
        fail_msg("%s: relative error %.3g, allowed %.3g", lists[k]->cases[i].name, error,
                 LB_TOL_GRADIENT);
    }
}

static const gradient_case *find_case(const gradient_case_list *list, const char *name) {
  for (size_t i = 0; i < list->n_cases; i++)
    if (strcmp(list->cases[i].name, name) == 0) return &list->cases[i];
  fail_msg("no gradient case '%s'", name);
  return NULL;
}

/* Ops run through the one exact table of the process, so the bug is put in there and taken out. */
static void test_planted_bugs(void **state) {
  (void)state;
  lb__kernel_table *table = (lb__kernel_table *)(uintptr_t)lb__kernels_exact();
  probe_right = *table;
  for (int k = 0; k < N_LISTS; k++)
    for (size_t i = 0; i < lists[k]->n_bugs; i++) {
      const gradient_bug *bug = &lists[k]->bugs[i];
      bug->plant(table);
      double error = gradient_case_error(find_case(lists[k], bug->case_name));
      *table = probe_right;
      if (!(error > 2 * LB_TOL_GRADIENT))
        fail_msg("%s does not notice: %s (error %.3g)", bug->case_name, bug->what, error);
    }
}

/* "act gelu" and "act, twice" are cases of act; "act_mul" is not. */
static bool is_case_of(const char *name, const char *op) {
  size_t length = strlen(op);
  return strncmp(name, op, length) == 0 && strchr(" ,", name[length]) != NULL; /* or its end */
}

/* A new differentiable op without a gradient case is noticed: its name begins one. */
static void test_every_op_has_a_case(void **state) {
  (void)state;
  static const struct {
    const char *name;
    bool differentiable;
  } ops[] = {
#define LB__OP(name, differentiable, text) {#name, differentiable},
#include "ops/ops.def"
#undef LB__OP
  };
  for (size_t op = 0; op < sizeof ops / sizeof *ops; op++) {
    bool found = !ops[op].differentiable;
    for (int k = 0; k < N_LISTS; k++)
      for (size_t i = 0; i < lists[k]->n_cases; i++)
        found |= is_case_of(lists[k]->cases[i].name, ops[op].name);
    if (!found) fail_msg("%s is differentiable and has no gradient case", ops[op].name);
  }
}

static int begin(void **state) {
  (void)state;
  return lb__kernels_install(NULL) == LB_OK ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_op_has_a_case),
      cmocka_unit_test(test_gradients),
      cmocka_unit_test(test_planted_bugs),
  };
  return cmocka_run_group_tests(tests, begin, NULL);
}

/* kernel_table.c - the one kernel table, filled on first use by whoever registered. */
#include "kernel_table.h"

#include <pthread.h>

static lb__kernel_table table;
static lb__kernel_select_fn *selector;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const struct {
  const char *name, *text;
} ops[LB__OP_COUNT] = {
#define LB__OP(name, differentiable, text) {#name, text},
#include "ops.def"
#undef LB__OP
};

const char *lb__op_name(lb__op op) {
  return ops[op].name;
}

const char *lb__op_text(lb__op op) {
  return ops[op].text;
}

void lb__kernels_register(lb__kernel_select_fn *select) {
  selector = select;
}

static void fill(void) {
  if (selector != NULL) selector(&table);
}

const lb__kernel_table *lb__kernels(void) {
  pthread_once(&once, fill);
  return &table;
}

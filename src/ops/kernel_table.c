/* kernel_table.c - the table that ops run through, and the names of ops. See kernel_table.h. */
#include "kernel_table.h"

#include <pthread.h>

static const struct {
  const char *name, *text;
} ops[LB__OP_COUNT] = {
#define LB__OP(name, differentiable, text) {#name, text},
#include "ops.def"
#undef LB__OP
};

static bool known(lb__op op) {
  return (unsigned)op < LB__OP_COUNT;
}

const char *lb__op_name(lb__op op) {
  return known(op) ? ops[op].name : "?";
}

const char *lb__op_text(lb__op op) {
  return known(op) ? ops[op].text : "?";
}

static lb__kernel_table table, exact;
static lb__kernel_select_fn *registered, *registered_exact;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void select_kernels(void) {
  if (registered != NULL) registered(&table);
  if (registered_exact != NULL) registered_exact(&exact);
}

const lb__kernel_table *lb__kernels(void) {
  pthread_once(&once, select_kernels);
  return &table;
}

const lb__kernel_table *lb__kernels_exact(void) {
  pthread_once(&once, select_kernels);
  return &exact;
}

void lb__kernels_register(lb__kernel_select_fn *select) {
  registered = select;
}

void lb__kernels_register_exact(lb__kernel_select_fn *select) {
  registered_exact = select;
}

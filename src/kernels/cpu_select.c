/* cpu_select.c - which kernel runs each op on this machine. Owns: the only look at CPU features,
 * and LIMBECK_KERNELS. The table starts full of reference kernels; better sets overwrite entries.
 */
#include "kernels.h"

#include "base/fail.h"
#include "cpu/reference/reference.h"

#include <pthread.h>

static void select_kernels(lb__kernel_table *table) {
  lb__ref_fill(table);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void register_selection(void) {
  lb__kernels_register(select_kernels);
}

lb_status lb__kernels_install(lb_error *err) {
  (void)err;
  pthread_once(&once, register_selection);
  return LB_OK;
}

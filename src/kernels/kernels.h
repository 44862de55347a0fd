/* kernels.h - the door to this room: fill the kernel table for this machine, once. */
#ifndef LB_KERNELS_KERNELS_H
#define LB_KERNELS_KERNELS_H

#include "ops/kernel_table.h"
#include "tune.h"

/* Registers the selection of cpu_select.c with ops/. Call before the first op; later calls do
 * nothing but give the same answer.
 * @error LB_E_ARG when LIMBECK_KERNELS names a set that does not exist, with the list */
lb_status lb__kernels_install(lb_error *err);

/* ---- for doctor, bench and tests ---- */

/* The sets that LIMBECK_KERNELS knows, in order of preference, "reference" first. */
typedef struct lb__kernel_set {
  const char *name, *text;
  bool runs_here;
} lb__kernel_set;
const lb__kernel_set *lb__kernel_sets(size_t *n);

/* What the CPU has, as far as a kernel could use it. */
typedef struct lb__cpu_feature {
  const char *name, *text;
  bool present;
} lb__cpu_feature;
const lb__cpu_feature *lb__cpu_features(size_t *n);

/* What the system calls the CPU ("unknown" where it does not say), and how many cores it has (0:
 * unknown; n_cores may be NULL). */
void lb__cpu_read(char name[128], int *n_cores);

/* How products are computed: the candidates, what was chosen, and how fast each was measured. */
const lb__product_class *lb__kernel_classes(size_t *n);

/* Fills a table with the kernels that `allowed` (a comma list as in LIMBECK_KERNELS; NULL: all)
 * gives on this machine. The parts of the tuned linear are process-wide: a table is valid until
 * the next call, so only tests and benchmarks call this, one table at a time.
 * @error LB_E_ARG naming an unknown set and the choices */
lb_status lb__kernels_fill(lb__kernel_table *table, const char *allowed, lb_error *err);

#endif

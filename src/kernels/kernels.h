/* kernels.h - the door to this room: fill the kernel table for this machine, once. */
#ifndef LB_KERNELS_KERNELS_H
#define LB_KERNELS_KERNELS_H

#include "ops/kernel_table.h"

/* Registers the selection of cpu_select.c with ops/. Call before the first op; later calls do
 * nothing. @error LB_E_ARG when LIMBECK_KERNELS names a set that does not exist, with the list */
lb_status lb__kernels_install(lb_error *err);

#endif

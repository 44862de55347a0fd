/* profile.h - what ops cost: calls, time and multiplications of each kind of op, kept apart by the
 * part of the work that runs them. Off until somebody measures; then one thread may run ops.
 *
 *     lb__profile p = {0};
 *     lb__profile_use(&p);
 *     int before = lb__profile_enter(FORWARD);   // ... ops ...
 *     lb__profile_enter(before);
 *     lb__profile_use(NULL);                                                                    */
#ifndef LB_OPS_PROFILE_H
#define LB_OPS_PROFILE_H

#include "ops.h"

enum { LB__PROFILE_PARTS = 8 };

typedef struct lb__profile_cell {
  int64_t n_calls, ns;
  double flop[LB__COMPUTE_COUNT]; /* of matrix products, attention's among them, 2 for each
                                     multiplication, by the precision that computes them */
} lb__profile_cell;

typedef struct lb__profile {
  int part; /* that ops belong to now */
  lb__profile_cell cells[LB__PROFILE_PARTS][LB__OP_COUNT];
} lb__profile;

void lb__profile_use(lb__profile *p); /* NULL: off */
/* Ops that follow belong to `part`. Returns the part before; 0 while off. */
int lb__profile_enter(int part);

/* Around a kernel (op_check.c): what begin returned, and the op's lb__<op>_args. */
int64_t lb__profile_begin(void);
void lb__profile_end(int64_t begin, lb__op op, const void *args);

#endif

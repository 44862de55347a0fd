/* run_identity.h - what makes a run this run: what must be the same when it is resumed; and its
 * loss in words. */
#ifndef LB_DISTILL_RUN_IDENTITY_H
#define LB_DISTILL_RUN_IDENTITY_H

#include "setup.h"

/* Lines "key=value" of everything that changes the numbers; lb__free. NULL: no memory. */
char *lb__run_identity(const lb__setup *s);
/* "0.7 * 4 * KL(teacher || student) at temperature 2 + 0.3 * cross entropy"; lb__free */
char *lb__run_loss_text(const lb__setup *s);

#endif

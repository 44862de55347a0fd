/* teacher_precision.h - how a teacher computes, when the recipe leaves it to us: the fastest of
 * this machine's products whose KL to float32, measured on the user's data, is within the recipe's
 * bound. Owns: that choice. Which products are fastest was measured before (kernels/tune.h), so a
 * run that resumes chooses the same again. */
#ifndef LB_DISTILL_TEACHER_PRECISION_H
#define LB_DISTILL_TEACHER_PRECISION_H

#include "setup.h"

/* Teachers of fewer parameters and runs on fewer tokens stay with F32: a teacher is fast then, or
 * the measurement is not won back. */
typedef struct lb__teacher_least {
  int64_t parameters, tokens;
} lb__teacher_least;
extern const lb__teacher_least lb__teacher_least_default;

/* s is open, its teacher in F32. Says in one line what was measured.
 * @error LB_E_CANCELLED, LB_E_NOMEM, as lb_model_open, LB_E_NUMERIC (predictions are not finite) */
lb_status lb__teacher_choose_precision(lb__setup *s, const lb__teacher_least *least, lb_error *err);

#endif

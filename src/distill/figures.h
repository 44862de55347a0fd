/* figures.h - how good the models of a run are, on the held-out documents; where there are none, on
 * the first training documents, which the result says. Owns: what is measured on what. */
#ifndef LB_DISTILL_FIGURES_H
#define LB_DISTILL_FIGURES_H

#include "setup.h"

typedef struct lb__figures {
  const lb__setup *setup;
  const lb__corpus *documents; /* that measure */
  lb__corpus *own;             /* a few training documents, when nothing is held out */
} lb__figures;

/* @owns *f: lb__figures_deinit, also after a failure */
lb_status lb__figures_init(lb__figures *f, const lb__setup *s, lb_error *err);
void lb__figures_deinit(lb__figures *f);

/* Of `model` in the student's role; of the teacher too when `teacher` is not NULL. */
lb_status lb__figures_measure(lb_model_figures *student, lb_model_figures *teacher,
                              const lb__figures *f, lb_model *model, lb_error *err);
/* The eval_* fields of an event; eval_loss is the cross entropy. */
lb_status lb__figures_event(lb_event *event, const lb__figures *f, lb_error *err);

#endif

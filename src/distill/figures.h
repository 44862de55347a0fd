/* figures.h - how good the models of a run are, on held-out documents (or, where there are none, on
 * the first training documents, which the result says). Owns: what is measured on what. */
#ifndef LB_DISTILL_FIGURES_H
#define LB_DISTILL_FIGURES_H

#include "setup.h"

/* The documents that measure: the held-out ones, or the training ones. */
const lb__corpus *lb__figures_corpus(const lb__setup *s, bool *is_held_out);
/* Of a model that is `student` in its role: the one in memory, or one that was saved. teacher may
 * be NULL (not wanted). */
lb_status lb__figures_measure(lb_model_figures *student, lb_model_figures *teacher,
                              const lb__setup *s, lb_model *model, lb_error *err);

#endif

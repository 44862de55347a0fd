/* student_shrink.h - a student that a recipe takes out of its teacher.
 * Owns: lb_shrink's options from a recipe's student.shrink, and the text that their choice is
 * measured on. Refuses: where the folder goes (student.c), what is cut (limbeck/shrink.h). */
#ifndef LB_DISTILL_STUDENT_SHRINK_H
#define LB_DISTILL_STUDENT_SHRINK_H

#include "recipe.h"

/* Writes the folder `to`, over what is there. Where something is chosen by importance, the teacher
 * first reads the calibration text: student.shrink.calibration, else the first documents of
 * data.train. @error as lb_shrink, lb_importance_measure and lb__corpus_open */
lb_status lb__student_shrink(lb_recipe *r, const char *to, const volatile int *cancel,
                             lb_error *err);

#endif

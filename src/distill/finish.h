/* finish.h - after the last step: the student's folder, read back and compared before anybody is
 * told of success; GGUF; the answers to the test prompt. */
#ifndef LB_DISTILL_FINISH_H
#define LB_DISTILL_FINISH_H

#include "setup.h"

/* Writes output_dir as a model folder, opens it again and compares its predictions with those of
 * the student in memory. @error LB_E_NUMERIC when they differ by more than the number format
 * explains */
lb_status lb__finish_folder(const lb__setup *s, lb_error *err);
/* Before training: whether the GGUF that the recipe wants can be made of such a student. */
lb_status lb__finish_check(const lb__setup *s, lb_error *err);
/* output_dir/model-<TYPE>.gguf, compared likewise. *path: lb__free; NULL when the recipe wants
 * none. */
lb_status lb__finish_gguf(char **path, const lb__setup *s, lb_error *err);
/* What student (as saved) and teacher say to test.prompt; NULL without one. lb__free */
lb_status lb__finish_answers(char **student, char **teacher, const lb__setup *s, lb_error *err);

#endif

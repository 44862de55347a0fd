/* student.h - where the student of a run comes from: a path, or a folder made for it.
 * Owns: making that folder whole or not at all, and knowing it again when a run goes on. Refuses:
 * opening the student (setup.c), drawing weights (model/model_create.h) and cutting
 * (limbeck/shrink.h).
 */
#ifndef LB_DISTILL_STUDENT_H
#define LB_DISTILL_STUDENT_H

#include "recipe.h"

/* The folder in output_dir that a made student begins as. */
#define LB__STUDENT_FOLDER "student-init"

typedef struct lb__student {
  char *path; /* what to open */
  bool is_temporary;
} lb__student;

typedef struct lb__student_options {
  bool keep; /* below output_dir; false: in a temporary folder that lb__student_close removes */
  bool
      will_train; /* what cannot be trained in this machine's memory is refused before it is made */
  const volatile int *cancel; /* or NULL */
} lb__student_options;

/* The recipe's student as something that can be opened. A kept one is made anew when a run begins;
 * when it goes on, the folder that is there must be the one that would be made.
 * @owns *s: lb__student_close, also after a failure
 * @error LB_E_ARG (a shape that does not go together; another student than that of the run that is
 *        resumed), LB_E_LIMIT, LB_E_UNSUPPORTED, LB_E_IO, LB_E_FORMAT, LB_E_NOMEM, LB_E_CANCELLED
 */
lb_status lb__student_open(lb__student *s, lb_recipe *r, const lb__student_options *how,
                           lb_error *err);
void lb__student_close(lb__student *s); /* accepts zeroed */

/* The recipe's words for it, for the model card: "gpt2", "random weights". Never NULL. */
const char *lb__student_name(const lb_recipe *r);
/* Of random weights, not a part of the teacher. */
bool lb__student_is_new(const lb_recipe *r);
static inline bool lb__student_is_made(const lb_recipe *r) {
  return r->student.path == NULL;
}

#endif

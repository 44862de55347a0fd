/* method.h - what a distillation run minimises, as an objective of the trainer.
 *
 *   logits      (1 - alpha) * CE + alpha * T^2 * KL(teacher || student at temperature T)
 *   hidden      + beta * mean squared difference of hidden states, through a trained projector
 * where the widths differ attention   + beta * KL of causal self-attention relations (MiniLMv2) of
 * queries, keys, values no teacher  CE alone
 *
 * CE, KL and the hidden term are sums over the trained tokens of the whole optimizer batch divided
 * by their number; the attention term over all its tokens (every token's row is a distribution).
 * Owns: which signals are wanted, how terms are put together, projectors. Refuses: order of steps.
 */
#ifndef LB_DISTILL_METHOD_H
#define LB_DISTILL_METHOD_H

#include "figures.h"
#include "recipe.h"
#include "teacher.h"

#include "model/trainable.h"
#include "train/trainer.h"

typedef struct lb__method lb__method;

/* Parts of a step, as ops/profile.h keeps them apart. What the objective does not run is the
 * optimizer's. */
typedef enum lb__step_part {
  LB__PART_OPTIMIZER,
  LB__PART_TEACHER,
  LB__PART_STUDENT,
  LB__PART_HEAD,
  LB__PART_LOSSES, /* of hidden states and attention */
  LB__PART_BACKWARD,
  LB__N_STEP_PARTS
} lb__step_part;

/* Borrows student and teacher (NULL: none). vocab: the true common vocabulary. real: as the
 * student's.
 * @owns *out: lb__method_free
 * @error LB_E_ARG (layers, relation heads: with what is possible), LB_E_NOMEM */
lb_status lb__method_new(lb__method **out, const lb_recipe *recipe, lb_model *student,
                         lb__teacher *teacher, int64_t vocab, lb_dtype real, lb_error *err);
/* Whether a term of the loss looks at the teacher: not with alpha 0 alone. */
bool lb__learns_from_teacher(const lb__setup *s);
/* Of what was opened, in F32. A teacher that no term looks at is left out: it costs
 * nothing but its memory, and the figures still measure against it. */
lb_status lb__method_of(lb__method **out, const lb__setup *s, lb_error *err);
void lb__method_free(lb__method *m);

/* Held-out figures of the objective's evaluate; borrowed. */
void lb__method_set_figures(lb__method *m, const lb__figures *figures);
/* ctx is the method; evaluate is NULL without figures. */
lb__objective lb__method_objective(lb__method *m);
/* The student's parameters and the projectors'. Borrowed. */
const lb__parameter *lb__method_parameters(const lb__method *m, size_t *n);
lb__stream *lb__method_stream(lb__method *m); /* the student's */

/* Forward only: the loss sums of a batch, for checks. */
lb_status lb__method_loss(lb__method *m, const lb__micro_batch *batch, const lb__step_context *step,
                          lb__loss_sums *sums, lb_error *err);

#endif

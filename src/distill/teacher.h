/* teacher.h - whoever the student learns from. observe() says what it thinks of a batch, as far as
 * the losses want to know: final hidden states and head (from which exact distributions are
 * computed in chunks), hidden states and attention of chosen layers. Today a teacher is a live
 * model. Owns: the teacher's model and the memory of what it said. Refuses: knowing losses. */
#ifndef LB_DISTILL_TEACHER_H
#define LB_DISTILL_TEACHER_H

#include "data/batch.h"
#include "loss/fused_head.h"
#include "model/forward.h"

typedef struct lb__teacher lb__teacher;

/* student: where the student's vocabulary was trimmed from the teacher's, the teacher is cut to it;
 * NULL: it is opened as it is. real: F32, or F64 for verifying.
 * @owns *out: lb__teacher_free   @error as lb_model_open, LB_E_ARG also for a student that was
 *       trimmed from another teacher */
lb_status lb__teacher_open(lb__teacher **out, const char *path, const char *student,
                           lb_precision precision, lb_dtype real, lb_error *err);
/* The same model once more, in another precision, cut alike. @owns *out: lb_model_free */
lb_status lb__teacher_open_again(lb_model **out, const lb__teacher *t, lb_precision precision,
                                 lb_error *err);
/* What it was cut to; NULL: nothing. Borrowed. */
const lb__vocabulary_map *lb__teacher_rows(const lb__teacher *t);
void lb__teacher_free(lb__teacher *t); /* accepts NULL and half-built */
lb_model *lb__teacher_model(const lb__teacher *t);
/* The same weights, open in another precision, take the place of the teacher's. @owns model: now
 * the teacher's */
void lb__teacher_set_model(lb__teacher *t, lb_model *model);
lb__stream *lb__teacher_stream(lb__teacher *t); /* for gathering rows of what it said */

/* *head: final hidden states of all N tokens and the head. `taps` (may be NULL) is filled as in
 * lb__model_pass. Everything is valid until the next call. */
lb_status lb__teacher_observe(lb__head_side *head, lb__teacher *t, const lb__micro_batch *batch,
                              lb__taps *taps, lb_error *err);

#endif

/* toy_training.h - the smallest thing a trainer can train: y = w[id] + b learns a number for each
 * id, by mean squared error with hand-written gradients. Documents are ragged, so that means over
 * tokens and means over micro-batches differ. */
#ifndef LB_TESTS_TOY_TRAINING_H
#define LB_TESTS_TOY_TRAINING_H

#include "train/trainer.h"

enum { TOY_IDS = 11 };
typedef enum toy_format { TOY_F32, TOY_BF16, TOY_NOTHING } toy_format; /* what save writes */

typedef struct toy {
  lb_tensor w, b, dw, db; /* [TOY_IDS], [1] */
  lb__gradient slots[2];
  lb__parameter parameters[2];
  lb__objective objective;
  lb__corpus *corpus;
  lb__loader *loader;
  toy_format format;
  /* faults: the micro-batch's answer is not finite when this says so */
  bool (*is_bad)(const struct toy *t, const lb__step_context *step);
  int64_t n_runs;     /* micro-batches seen, of this process */
  uint64_t seen_hash; /* of all ids seen, in order */
  int n_saves, n_loads;
} toy;

/* accumulation: micro-batches in a step. 7 documents, one for each micro-batch. */
void toy_init(toy *t, int64_t accumulation);
lb_status toy_try_init(toy *t, int64_t accumulation, lb_error *err); /* toy_deinit in any case */
void toy_deinit(toy *t);
void toy_weights(const toy *t, float values[TOY_IDS + 1]);

#endif

/* schedule.h - the learning rate at every step, exactly as Transformers' get_scheduler gives it. */
#ifndef LB_TRAIN_SCHEDULE_H
#define LB_TRAIN_SCHEDULE_H

#include <stdint.h>

typedef enum lb__scheduler {
  LB__SCHEDULER_LINEAR,
  LB__SCHEDULER_COSINE,
  LB__SCHEDULER_CONSTANT,
  LB__SCHEDULER_CONSTANT_WITH_WARMUP,
  LB__SCHEDULER_COSINE_WITH_MIN_LR
} lb__scheduler;
const char *lb__scheduler_name(int s); /* "linear", ...; NULL past the end */

typedef struct lb__schedule {
  lb__scheduler type;
  double learning_rate; /* the peak */
  int64_t warmup_steps, max_steps;
  double min_lr; /* cosine_with_min_lr; absolute */
} lb__schedule;

/* The rate that optimizer step `step` (from 0) uses: the first of a warm-up is 0. */
double lb__schedule_rate(const lb__schedule *s, int64_t step);

/* warmup_steps of a recipe: from 1 on a number of steps, below 1 a share of all steps, rounded up
 * (Transformers 5's TrainingArguments.get_warmup_steps). */
int64_t lb__schedule_warmup_steps(double warmup_steps, int64_t max_steps);

#endif

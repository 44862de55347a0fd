/* schedule.c - see schedule.h. Operations in the order of transformers/optimization.py, so that the
 * numbers are the same to the last bit (tests/golden/test_golden_schedule.c). */
#include "schedule.h"

#include <math.h>
#include <stddef.h>

const char *lb__scheduler_name(int s) {
  static const char *const names[] = {[LB__SCHEDULER_LINEAR] = "linear",
                                      [LB__SCHEDULER_COSINE] = "cosine",
                                      [LB__SCHEDULER_CONSTANT] = "constant",
                                      [LB__SCHEDULER_CONSTANT_WITH_WARMUP] = "constant_with_warmup",
                                      [LB__SCHEDULER_COSINE_WITH_MIN_LR] = "cosine_with_min_lr"};
  return s >= 0 && (size_t)s < sizeof names / sizeof *names ? names[s] : NULL;
}

int64_t lb__schedule_warmup_steps(double warmup_steps, int64_t max_steps) {
  if (warmup_steps >= 1.0) return (int64_t)warmup_steps;
  return (int64_t)ceil((double)max_steps * warmup_steps);
}

static double at_least_one(int64_t n) {
  return n > 1 ? (double)n : 1.0;
}

/* The share of the peak, without a warm-up, after `done` of `all` steps. */
static double linear(int64_t done, int64_t all) {
  return fmax(0.0, (double)(all - done) / at_least_one(all));
}
static double cosine(int64_t done, int64_t all) {
  double progress = (double)done / at_least_one(all);
  return 0.5 * (1.0 + cos(3.14159265358979323846 * 0.5 * 2.0 * progress));
}

double lb__schedule_rate(const lb__schedule *s, int64_t step) {
  if (s->type == LB__SCHEDULER_CONSTANT) return s->learning_rate;
  if (step < s->warmup_steps)
    return s->learning_rate * ((double)step / at_least_one(s->warmup_steps));
  int64_t done = step - s->warmup_steps, all = s->max_steps - s->warmup_steps;
  double share = 1.0, least;
  switch (s->type) {
  case LB__SCHEDULER_LINEAR: share = linear(done, all); break;
  case LB__SCHEDULER_COSINE: share = fmax(0.0, cosine(done, all)); break;
  case LB__SCHEDULER_COSINE_WITH_MIN_LR:
    least = s->min_lr / s->learning_rate;
    share = fmax(0.0, cosine(done, all) * (1.0 - least) + least);
    break;
  case LB__SCHEDULER_CONSTANT:
  case LB__SCHEDULER_CONSTANT_WITH_WARMUP: break;
  }
  return s->learning_rate * share;
}

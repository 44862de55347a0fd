/* trainer.c - the order of a step and of a run. Owns: the policy for bad steps, clipping, when to
 * log, evaluate, save and stop. See trainer.h, and trainer_parts.h for the other files. */
#include "trainer_parts.h"

#include "base/clock.h"
#include "base/fail.h"
#include "ops/ops.h"

#include <math.h>

/* ---- options ---- */

lb__trainer_options lb__trainer_options_default(void) {
  return (lb__trainer_options){.num_train_epochs = 3,
                               .max_steps = -1,
                               .learning_rate = 5e-5,
                               .adam_beta1 = 0.9,
                               .adam_beta2 = 0.999,
                               .adam_epsilon = 1e-8,
                               .max_grad_norm = 1.0,
                               .lr_scheduler_type = LB__SCHEDULER_LINEAR,
                               .logging_steps = 500,
                               .save_steps = 500,
                               .max_bad_steps = 5};
}

static lb_status check_at_least(double value, double least, const char *name, lb_error *err) {
  if (value >= least && isfinite(value)) return LB_OK;
  return lb__fail(err, LB_E_ARG, "%s: want a number >= %g, found %g", name, least, value);
}

static lb_status check_options(const lb__trainer_options *o, lb_error *err) {
  const struct {
    double value, least;
    const char *name;
  } numbers[] = {{o->num_train_epochs, 0, "num_train_epochs"},
                 {o->learning_rate, 0, "learning_rate"},
                 {o->weight_decay, 0, "weight_decay"},
                 {o->adam_beta1, 0, "adam_beta1"},
                 {o->adam_beta2, 0, "adam_beta2"},
                 {o->adam_epsilon, 0, "adam_epsilon"},
                 {o->max_grad_norm, 0, "max_grad_norm"},
                 {o->min_lr, 0, "min_lr"},
                 {o->warmup_steps, 0, "warmup_steps"},
                 {(double)o->logging_steps, 0, "logging_steps"},
                 {(double)o->eval_steps, 0, "eval_steps"},
                 {(double)o->save_steps, 0, "save_steps"},
                 {(double)o->save_total_limit, 0, "save_total_limit"},
                 {(double)o->max_bad_steps, 1, "max_bad_steps"}};
  lb_status st = LB_OK;
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers && st == LB_OK; i++)
    st = check_at_least(numbers[i].value, numbers[i].least, numbers[i].name, err);
  if (st == LB_OK && (o->adam_beta1 >= 1 || o->adam_beta2 >= 1))
    st = lb__fail(err, LB_E_ARG, "adam_beta1 %g and adam_beta2 %g: want less than 1", o->adam_beta1,
                  o->adam_beta2);
  return st;
}

/* ceil(epochs * steps of an epoch), as Transformers counts. */
static lb_status count_steps(int64_t *max_steps, const lb__trainer_options *o,
                             const lb__loader *loader, lb_error *err) {
  *max_steps = o->max_steps;
  if (o->max_steps > 0) return LB_OK;
  double steps = ceil(o->num_train_epochs * (double)lb__loader_steps_per_epoch(loader));
  if (steps > 9007199254740992.0)
    return lb__fail(err, LB_E_ARG, "num_train_epochs %g: too many steps", o->num_train_epochs);
  *max_steps = (int64_t)steps;
  return LB_OK;
}

/* ---- making ---- */

size_t lb__trainer_estimate(int64_t n_elements) {
  return (size_t)n_elements * 2 * sizeof(float);
}

static lb_status check_parameters(const lb__parameter *parameters, size_t n, lb_error *err) {
  char text[96];
  if (n == 0) return lb__fail(err, LB_E_ARG, "there is no parameter to train");
  for (size_t i = 0; i < n; i++) {
    const lb_tensor *p = parameters[i].tensor;
    if (p->dtype != LB_DTYPE_F32)
      return lb__fail(err, LB_E_DTYPE, "%s: want F32 to train, found %s", parameters[i].name,
                      lb__tensor_describe(text, p));
    if (p->gradient == NULL)
      return lb__fail(err, LB_E_ARG, "%s: the parameter has no gradient", parameters[i].name);
  }
  return LB_OK;
}

/* Each parameter's moments begin at a multiple of 64 bytes. */
static lb_status make_moments(lb__trainer *t, lb_error *err) {
  enum { ALIGNMENT = 16 };
  int64_t n = 0;
  t->offsets = lb__alloc_array(t->n_parameters, sizeof *t->offsets);
  if (t->offsets == NULL) return lb__fail_nomem(err, "a trainer");
  for (size_t i = 0; i < t->n_parameters; i++) {
    t->offsets[i] = n;
    n += (lb__tensor_elements(t->parameters[i].tensor) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }
  lb_status st = lb__tensor_init(&t->exp_avg, LB_DTYPE_F32, 1, &n, err);
  if (st == LB_OK) st = lb__tensor_init(&t->exp_avg_sq, LB_DTYPE_F32, 1, &n, err);
  if (st != LB_OK) return lb__fail_prefix(err, st, "optimizer state of %lld numbers", (long long)n);
  lb__tensor_zero(&t->exp_avg);
  lb__tensor_zero(&t->exp_avg_sq);
  return LB_OK;
}

static lb_status make_schedule(lb__trainer *t, lb_error *err) {
  const lb__trainer_options *o = &t->options;
  t->schedule = (lb__schedule){
      .type = o->lr_scheduler_type, .learning_rate = o->learning_rate, .min_lr = o->min_lr};
  lb_status st = count_steps(&t->schedule.max_steps, o, t->loader, err);
  if (st == LB_OK)
    t->schedule.warmup_steps = lb__schedule_warmup_steps(o->warmup_steps, t->schedule.max_steps);
  return st;
}

lb_status lb__trainer_new(lb__trainer **out, const lb__objective *objective,
                          const lb__parameter *parameters, size_t n_parameters, lb__loader *loader,
                          const lb__listeners *listeners, const lb__trainer_options *options,
                          lb_error *err) {
  *out = NULL;
  lb_status st = check_options(options, err);
  if (st == LB_OK) st = check_parameters(parameters, n_parameters, err);
  if (st != LB_OK) return st;
  lb__trainer *t = lb__new(sizeof *t);
  if (t == NULL) return lb__fail_nomem(err, "a trainer");
  t->objective = objective;
  t->parameters = parameters;
  t->n_parameters = n_parameters;
  t->loader = loader;
  t->listeners = listeners;
  t->options = *options;
  t->progress = (lb__progress){.first_loss = NAN, .last_loss = NAN};
  t->last_saved_step = t->went_back_to = -1;
  t->history = json_array();
  st = t->history != NULL ? make_schedule(t, err) : lb__fail_nomem(err, "a trainer");
  if (st == LB_OK) st = make_moments(t, err);
  if (st != LB_OK) {
    lb__trainer_free(t);
    return st;
  }
  *out = t;
  return LB_OK;
}

void lb__trainer_free(lb__trainer *t) {
  if (t == NULL) return;
  lb__tensor_deinit(&t->exp_avg);
  lb__tensor_deinit(&t->exp_avg_sq);
  lb__free(t->offsets);
  lb__free(t->last_checkpoint);
  json_decref(t->history);
  lb__free(t);
}

/* ---- a step ---- */

static void zero_gradients(const lb__trainer *t) {
  for (size_t i = 0; i < t->n_parameters; i++) {
    lb_tensor gradient = lb__tensor_gradient(t->parameters[i].tensor);
    lb__tensor_zero(&gradient);
  }
}

/* Forward and backward of every micro-batch: gradients, and t->loss and its terms. */
static lb_status run_objective(lb__trainer *t, const lb__optimizer_batch *batch, lb_error *err) {
  lb__loss_sums sums = {0};
  lb__step_context context = {
      .step = t->progress.step, .n_tokens = batch->n_tokens, .n_trained = batch->n_trained};
  lb_status st = LB_OK;
  for (; context.micro < batch->n_micro && st == LB_OK; context.micro++)
    st = t->objective->run(t->objective->ctx, &batch->micro[context.micro], &context, &sums, err);
  t->loss = sums.loss;
  memcpy(t->terms, sums.terms, sizeof t->terms);
  return st;
}

/* Over all parameters, in double, in their order. */
static lb_status measure_gradient(lb__trainer *t, lb_error *err) {
  double sum = 0.0;
  lb_status st = LB_OK;
  for (size_t i = 0; i < t->n_parameters && st == LB_OK; i++) {
    lb_tensor gradient = lb__tensor_gradient(t->parameters[i].tensor);
    st = lb__op_sum_squares(&sum, &gradient, err);
  }
  t->grad_norm = fabs(sqrt(sum)); /* also a NaN has no sign: it is shown */
  return st;
}

/* As torch.nn.utils.clip_grad_norm_ multiplies. */
static double clip_factor(const lb__trainer *t) {
  double most = t->options.max_grad_norm;
  return most > 0 ? fmin(1.0, most / (t->grad_norm + 1e-6)) : 1.0;
}

static lb_status update(lb__trainer *t, lb_error *err) {
  const lb__trainer_options *o = &t->options;
  lb__adamw_args a = {.learning_rate = t->learning_rate,
                      .beta1 = o->adam_beta1,
                      .beta2 = o->adam_beta2,
                      .eps = o->adam_epsilon,
                      .gradient_scale = clip_factor(t),
                      .step = ++t->progress.optimizer_step};
  lb_status st = LB_OK;
  for (size_t i = 0; i < t->n_parameters && st == LB_OK; i++) {
    const lb__parameter *p = &t->parameters[i];
    lb_tensor gradient = lb__tensor_gradient(p->tensor);
    lb_tensor m = lb__trainer_moment(&t->exp_avg, t, i);
    lb_tensor v = lb__trainer_moment(&t->exp_avg_sq, t, i);
    a.parameter = p->tensor;
    a.gradient = &gradient;
    a.exp_avg = &m;
    a.exp_avg_sq = &v;
    a.weight_decay = p->decay ? o->weight_decay : 0.0;
    st = lb__op_adamw(&a, err);
  }
  return st;
}

/* A good step: parameters move. */
static lb_status take_step(lb__trainer *t, const lb__optimizer_batch *batch, lb_error *err) {
  lb__progress *p = &t->progress;
  lb_status st = update(t, err);
  if (st != LB_OK) return st;
  p->bad_in_row = 0;
  p->last_loss = t->loss;
  if (isnan(p->first_loss)) p->first_loss = t->loss;
  lb__trainer_add_to_window(t, batch->n_trained);
  return LB_OK;
}

/* Nothing moves; the schedule and the data go on. */
static lb_status skip_step(lb__trainer *t, lb_error *err) {
  lb__progress *p = &t->progress;
  zero_gradients(t);
  p->skipped_steps++;
  p->bad_in_row++;
  return lb__trainer_warn(t, err, "step %lld is skipped: loss %g, gradient norm %g (%lld in a row)",
                          (long long)p->step + 1, t->loss, t->grad_norm, (long long)p->bad_in_row);
}

static lb_status run_step(lb__trainer *t, lb_error *err) {
  lb__optimizer_batch batch;
  lb_status st = lb__loader_next(t->loader, &batch, err);
  if (st != LB_OK) return st;
  t->learning_rate = lb__schedule_rate(&t->schedule, t->progress.step);
  st = run_objective(t, &batch, err);
  if (st == LB_OK) st = measure_gradient(t, err);
  if (st != LB_OK) return st;
  t->progress.tokens += batch.n_tokens;
  t->progress.trained_tokens += batch.n_trained;
  bool is_good = isfinite(t->loss) && isfinite(t->grad_norm);
  st = is_good ? take_step(t, &batch, err) : skip_step(t, err);
  t->progress.step++;
  return st != LB_OK ? st : lb__trainer_tell(t, LB_EVENT_STEP, err);
}

/* ---- a run ---- */

static bool is_due(int64_t step, int64_t every) {
  return every > 0 && step % every == 0;
}

static bool is_at_end(const lb__trainer *t) {
  return t->progress.step >= t->schedule.max_steps;
}

static bool is_cancelled(const lb__trainer *t) {
  return t->options.cancel != NULL && *t->options.cancel != 0;
}

/* What follows a step, in Transformers' order. The last step logs what is left, and is saved. In
 * the middle of bad steps nothing is saved: that would be no good checkpoint to go back to. */
static lb_status after_step(lb__trainer *t, lb_error *err) {
  const lb__trainer_options *o = &t->options;
  int64_t step = t->progress.step;
  bool logs = is_due(step, o->logging_steps) || (o->logging_first_step && step == 1) ||
              (o->logging_steps > 0 && is_at_end(t));
  lb_status st = logs ? lb__trainer_log(t, err) : LB_OK;
  if (st == LB_OK && is_due(step, o->eval_steps)) st = lb__trainer_evaluate(t, err);
  bool is_good = t->progress.bad_in_row == 0;
  bool saves = (is_due(step, o->save_steps) && is_good) || is_at_end(t) || is_cancelled(t);
  if (st == LB_OK && saves) st = lb__trainer_save(t, err);
  return st;
}

static lb_status run_steps(lb__trainer *t, bool *is_interrupted, lb_error *err) {
  lb_status st = LB_OK;
  while (st == LB_OK && !is_at_end(t) && !is_cancelled(t)) {
    st = run_step(t, err);
    if (st == LB_OK && t->progress.bad_in_row >= t->options.max_bad_steps)
      st = lb__trainer_go_back(t, err);
    else if (st == LB_OK)
      st = after_step(t, err);
  }
  *is_interrupted = st == LB_OK && !is_at_end(t);
  return st;
}

static bool wants_to_resume(const lb__trainer *t) {
  const char *resume = t->options.resume_from_checkpoint;
  return resume != NULL && strcmp(resume, "true") == 0;
}

static lb_status begin_run(lb__trainer *t, lb_error *err) {
  bool found;
  zero_gradients(t);
  lb_status st = lb__trainer_resume(&found, t, err);
  t->began_ns = t->logged_ns = lb__clock_ns();
  t->began_step = t->progress.step;
  t->logged_tokens = t->progress.tokens;
  t->loss = t->grad_norm = t->learning_rate = NAN;
  for (int i = 0; i < LB_LOSS_TERMS_MAX; i++) t->terms[i] = NAN;
  if (st == LB_OK) st = lb__trainer_tell(t, LB_EVENT_BEGIN, err);
  if (st == LB_OK && wants_to_resume(t) && !found)
    st = lb__trainer_warn(t, err,
                          "'%s' holds no checkpoint that verifies: starting from the beginning",
                          t->options.output_dir);
  return st;
}

static void fill_result(lb__train_result *r, lb__trainer *t, bool is_interrupted) {
  const lb__progress *p = &t->progress;
  *r = (lb__train_result){.steps = p->step,
                          .skipped_steps = p->skipped_steps,
                          .rollbacks = p->rollbacks,
                          .tokens = p->tokens,
                          .trained_tokens = p->trained_tokens,
                          .seconds = (double)(lb__clock_ns() - t->began_ns) * 1e-9,
                          .first_loss = p->first_loss,
                          .last_loss = p->last_loss,
                          .is_interrupted = is_interrupted,
                          .last_checkpoint = t->last_checkpoint};
  t->last_checkpoint = NULL; /* moved */
}

lb_status lb__trainer_run(lb__train_result *result, lb__trainer *t, lb_error *err) {
  bool is_interrupted = false;
  *result = (lb__train_result){0};
  lb_status st = begin_run(t, err);
  if (st == LB_OK) st = run_steps(t, &is_interrupted, err);
  if (st == LB_OK) st = lb__trainer_tell_end(t, is_interrupted, err);
  if (st == LB_OK) fill_result(result, t, is_interrupted);
  return st;
}

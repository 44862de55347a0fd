/* trainer_report.c - what the trainer tells: events, means over logging_steps, and log_history as
 * Transformers keeps it. */
#include "trainer_parts.h"

#include "base/clock.h"
#include "base/fail.h"

#include <math.h>
#include <stdio.h>

/* ---- events ---- */

/* 1.5: in the middle of the second; counted in micro-batches, as Transformers does. */
double lb__trainer_epoch(const lb__trainer *t) {
  lb__cursor c = lb__loader_cursor(t->loader);
  return (double)c.epoch + (double)c.micro / (double)lb__loader_micro_per_epoch(t->loader);
}

static double num_epochs(const lb__trainer *t) {
  if (t->options.max_steps <= 0) return t->options.num_train_epochs;
  return (double)t->schedule.max_steps / (double)lb__loader_steps_per_epoch(t->loader);
}

static void forget_figures(lb_event *e) {
  e->loss = e->grad_norm = e->learning_rate = e->tokens_per_second = NAN;
  e->eval_loss = e->eval_ce = e->eval_perplexity = e->eval_kl = NAN;
  e->eval_reverse_kl = e->eval_agreement = e->eval_accuracy = NAN;
  for (int i = 0; i < LB_LOSS_TERMS_MAX; i++) e->terms[i] = NAN;
}

/* Everything but figures of losses. */
static lb_event event_of(const lb__trainer *t, lb_event_kind kind) {
  const lb__progress *p = &t->progress;
  lb_event e = {.kind = kind,
                .step = p->step,
                .max_steps = t->schedule.max_steps,
                .epoch = lb__trainer_epoch(t),
                .num_epochs = num_epochs(t),
                .n_terms = t->objective->n_terms,
                .tokens = p->tokens,
                .trained_tokens = p->trained_tokens,
                .skipped_steps = p->skipped_steps,
                .path = t->last_checkpoint};
  memcpy(e.term_names, t->objective->term_names, sizeof e.term_names);
  forget_figures(&e);
  int64_t now = lb__clock_ns(), done = p->step - t->began_step;
  e.seconds = (double)(now - t->began_ns) * 1e-9;
  e.seconds_left = done > 0 ? e.seconds / (double)done * (double)(e.max_steps - p->step) : NAN;
  if (now > t->logged_ns)
    e.tokens_per_second =
        (double)(p->tokens - t->logged_tokens) / ((double)(now - t->logged_ns) * 1e-9);
  return e;
}

lb_status lb__trainer_tell(lb__trainer *t, lb_event_kind kind, lb_error *err) {
  lb_event e = event_of(t, kind);
  e.grad_norm = t->grad_norm;
  e.learning_rate = t->learning_rate;
  e.loss = t->loss;
  memcpy(e.terms, t->terms, sizeof e.terms);
  return lb__listeners_tell(t->listeners, &e, err);
}

lb_status lb__trainer_warn(lb__trainer *t, lb_error *err, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  lb_event e = event_of(t, LB_EVENT_WARNING);
  e.text = text;
  return lb__listeners_tell(t->listeners, &e, err);
}

lb_status lb__trainer_tell_end(lb__trainer *t, bool is_interrupted, lb_error *err) {
  lb_event e = event_of(t, LB_EVENT_END);
  e.is_interrupted = is_interrupted;
  e.loss = t->progress.last_loss;
  return lb__listeners_tell(t->listeners, &e, err);
}

/* ---- log_history ---- */

/* NaN and infinities are left out. */
static bool put_real(json_t *entry, const char *key, double value) {
  return !isfinite(value) || json_object_set_new(entry, key, json_real(value)) == 0;
}

static bool put_terms(json_t *entry, const lb_event *e) {
  bool ok = true;
  for (size_t i = 0; i < e->n_terms; i++) {
    char key[64];
    snprintf(key, sizeof key, "loss_%s", e->term_names[i]);
    ok = ok && put_real(entry, key, e->terms[i]);
  }
  return ok;
}

static bool put_eval(json_t *entry, const lb_event *e) {
  return put_real(entry, "eval_loss", e->eval_loss) && put_real(entry, "eval_ce", e->eval_ce) &&
         put_real(entry, "eval_perplexity", e->eval_perplexity) &&
         put_real(entry, "eval_kl", e->eval_kl) &&
         put_real(entry, "eval_reverse_kl", e->eval_reverse_kl) &&
         put_real(entry, "eval_agreement", e->eval_agreement) &&
         put_real(entry, "eval_accuracy", e->eval_accuracy);
}

static lb_status remember(lb__trainer *t, const lb_event *e, lb_error *err) {
  json_t *entry = json_object();
  bool ok = entry != NULL && put_real(entry, "epoch", e->epoch) &&
            json_object_set_new(entry, "step", json_integer(e->step)) == 0;
  if (ok && e->kind == LB_EVENT_LOG)
    ok = put_real(entry, "loss", e->loss) && put_real(entry, "grad_norm", e->grad_norm) &&
         put_real(entry, "learning_rate", e->learning_rate) && put_terms(entry, e);
  if (ok && e->kind == LB_EVENT_EVAL) ok = put_eval(entry, e);
  if (ok) ok = json_array_append(t->history, entry) == 0;
  json_decref(entry);
  return ok ? LB_OK : lb__fail_nomem(err, "the history of losses");
}

/* ---- logging ---- */

void lb__trainer_add_to_window(lb__trainer *t, int64_t trained_tokens) {
  lb__loss_window *w = &t->progress.window;
  w->trained_tokens += trained_tokens;
  w->loss += t->loss * (double)trained_tokens;
  for (size_t i = 0; i < t->objective->n_terms; i++)
    w->terms[i] += t->terms[i] * (double)trained_tokens;
}

lb_status lb__trainer_log(lb__trainer *t, lb_error *err) {
  lb__loss_window *w = &t->progress.window;
  lb_event e = event_of(t, LB_EVENT_LOG);
  e.grad_norm = t->grad_norm;
  e.learning_rate = t->learning_rate;
  if (w->trained_tokens > 0) {
    e.loss = w->loss / (double)w->trained_tokens;
    for (size_t i = 0; i < e.n_terms; i++) e.terms[i] = w->terms[i] / (double)w->trained_tokens;
  }
  *w = (lb__loss_window){0};
  lb_status st = remember(t, &e, err);
  if (st == LB_OK) st = lb__listeners_tell(t->listeners, &e, err);
  t->logged_ns = lb__clock_ns();
  t->logged_tokens = t->progress.tokens;
  return st;
}

/* Time spent here is no time spent training. */
lb_status lb__trainer_evaluate(lb__trainer *t, lb_error *err) {
  if (t->objective->evaluate == NULL) return LB_OK;
  lb_event e = event_of(t, LB_EVENT_EVAL);
  int64_t began = lb__clock_ns();
  lb_status st = t->objective->evaluate(t->objective->ctx, &e, err);
  t->logged_ns += lb__clock_ns() - began;
  if (st == LB_OK) st = remember(t, &e, err);
  return st != LB_OK ? st : lb__listeners_tell(t->listeners, &e, err);
}

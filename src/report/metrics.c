/* metrics.c - see metrics.h. */
#include "metrics.h"

#include <math.h>
#include <stdio.h>

static void add(lb__metrics *m, const char *prefix, const char *name, double value) {
  if (!isfinite(value) || m->n == LB__METRICS_MAX) return;
  struct lb__metric *metric = &m->list[m->n++];
  snprintf(metric->name, sizeof metric->name, "%s%s", prefix, name);
  metric->value = value;
  metric->is_whole = false;
}

static void add_count(lb__metrics *m, const char *name, int64_t value) {
  add(m, "", name, (double)value);
  m->list[m->n - 1].is_whole = true;
}

static void add_training(lb__metrics *m, const lb_event *e) {
  add(m, "", "loss", e->loss);
  for (size_t i = 0; i < e->n_terms && i < LB_LOSS_TERMS_MAX; i++)
    add(m, "loss_", e->term_names[i], e->terms[i]);
  add(m, "", "grad_norm", e->grad_norm);
  add(m, "", "learning_rate", e->learning_rate);
  add_count(m, "tokens", e->tokens);
  add_count(m, "trained_tokens", e->trained_tokens);
  add(m, "", "tokens_per_second", e->tokens_per_second);
  add_count(m, "skipped_steps", e->skipped_steps);
}

static void add_evaluation(lb__metrics *m, const lb_event *e) {
  const struct {
    const char *name;
    double value;
  } figures[] = {{"loss", e->eval_loss},
                 {"ce", e->eval_ce},
                 {"perplexity", e->eval_perplexity},
                 {"kl", e->eval_kl},
                 {"reverse_kl", e->eval_reverse_kl},
                 {"agreement", e->eval_agreement},
                 {"accuracy", e->eval_accuracy}};
  for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
    add(m, "eval_", figures[i].name, figures[i].value);
}

void lb__metrics_of(lb__metrics *out, const lb_event *event) {
  out->n = 0;
  if (event->kind != LB_EVENT_LOG && event->kind != LB_EVENT_EVAL) return;
  add(out, "", "epoch", event->epoch);
  if (event->kind == LB_EVENT_LOG)
    add_training(out, event);
  else
    add_evaluation(out, event);
}

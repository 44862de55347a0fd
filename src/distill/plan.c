/* plan.c - lb_plan_make: what a run will need and how long it will take; lb_example: how a document
 * is seen. Owns: counting steps, the probe, the advice. Read next: plan_memory.c, plan_sizing.c. */
#include "method.h"
#include "plan_memory.h"
#include "plan_sizing.h"

#include "base/clock.h"
#include "base/fail.h"
#include "base/files.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { PROBE_MICRO_BATCHES = 3 };
#define MOST_STEPS 9007199254740992.0 /* the trainer refuses more */

/* ---- counts ---- */

static void count_documents(lb_plan *p, const lb__setup *s) {
  static const char *const train_on[] = {"auto", "all", "completion", "assistant"};
  const lb__corpus_facts *f = lb__corpus_get_facts(s->corpus);
  p->documents = f->n_documents;
  p->tokens = f->n_tokens;
  p->trained_tokens = f->n_trained;
  p->untrained_documents = f->n_untrained;
  p->truncated_documents = f->n_truncated;
  snprintf(p->data_format, sizeof p->data_format, "%s", lb__data_format_name(f->format));
  snprintf(p->train_on, sizeof p->train_on, "%s",
           f->format == LB__DATA_TOKENS ? "labels" : train_on[f->train_on]);
  if (s->held_out == NULL) return;
  const lb__corpus_facts *e = lb__corpus_get_facts(s->held_out);
  p->eval_documents = e->n_documents;
  p->eval_tokens = e->n_tokens;
}

static void count_steps(lb_plan *p, const lb__setup *s) {
  const lb_recipe *r = s->recipe;
  p->steps_per_epoch = lb__loader_steps_per_epoch(s->loader);
  double steps = ceil(r->train.num_train_epochs * (double)p->steps_per_epoch);
  p->total_steps = r->train.max_steps > 0 ? r->train.max_steps : (int64_t)fmin(steps, MOST_STEPS);
  p->tokens_per_step = p->steps_per_epoch > 0 ? p->tokens / p->steps_per_epoch : 0;
}

/* A model that was only looked at computes in nothing yet. */
static const char *precision_of(const lb__setup *s, const lb_model *m, int wanted) {
  lb_precision p = s->only_look ? (lb_precision)wanted : lb_model_get_info(m)->precision;
  return lb_precision_name(p);
}

static void count_parameters(lb_plan *p, const lb__setup *s) {
  p->student_parameters = lb_model_get_info(s->student)->n_parameters;
  p->student_precision = precision_of(s, s->student, s->recipe->train.precision);
  if (s->teacher == NULL) return;
  p->teacher_precision =
      precision_of(s, lb__teacher_model(s->teacher), s->recipe->distill.teacher_precision);
  p->teacher_parameters = lb_model_get_info(lb__teacher_model(s->teacher))->n_parameters;
  p->teacher_student_ratio = (double)p->teacher_parameters / (double)p->student_parameters;
}

/* ---- the probe ---- */

/* Times forward and backward of a few micro-batches; the first warms up and does not count unless
 * it is the only one. */
static lb_status probe_speed(lb_plan *p, lb__setup *s, lb_error *err) {
  lb__method *method;
  lb__optimizer_batch batch;
  int64_t tokens = 0, ns = 0;
  lb_status st = lb__method_of(&method, s, err);
  if (st != LB_OK) return st;
  lb__objective objective = lb__method_objective(method);
  lb__setup_phase(s, "measuring speed", 0, 0);
  for (int i = 0; i < PROBE_MICRO_BATCHES && st == LB_OK; i++) {
    if (lb__setup_is_cancelled(s)) st = lb__fail(err, LB_E_CANCELLED, "plan: stopped");
    if (st == LB_OK) st = lb__loader_next(s->loader, &batch, err);
    if (st != LB_OK) break;
    lb__loss_sums sums = {0};
    lb__step_context step = {.n_tokens = batch.n_tokens, .n_trained = batch.n_trained};
    int64_t start = lb__clock_ns();
    st = objective.run(objective.ctx, &batch.micro[0], &step, &sums, err);
    if (i == 1) tokens = ns = 0;
    tokens += batch.micro[0].n_tokens;
    ns += lb__clock_ns() - start;
  }
  lb__model_zero_gradients(s->student);
  lb__method_free(method);
  if (st != LB_OK || ns <= 0) return st;
  p->tokens_per_second = (double)tokens * 1e9 / (double)ns;
  p->seconds = (double)p->total_steps * (double)p->tokens_per_step / p->tokens_per_second;
  return LB_OK;
}

/* ---- advice ---- */

static void give_advice(lb_plan *p, const lb__setup *s) {
  const lb_recipe *r = s->recipe;
  if (r->train.warmup_steps >= 1.0 && r->train.warmup_steps >= (double)p->total_steps)
    lb__plan_advise(
        p,
        "warmup_steps %.0f is longer than the whole run of %lld steps: the learning rate never "
        "reaches %g; 0.1 would mean a tenth of the run",
        r->train.warmup_steps, (long long)p->total_steps, r->train.learning_rate);
  if (s->held_out == NULL)
    lb__plan_advise(
        p, "nothing is held out: eval_fraction=0.05 would measure the student on documents it has "
           "not seen");
  if (p->tokens > 0 && p->truncated_documents * 5 > p->documents)
    lb__plan_advise(p, "%lld of %lld documents are longer than max_length %lld and lose their end",
                    (long long)p->truncated_documents, (long long)p->documents,
                    (long long)r->data.max_length);
  if (p->untrained_documents > 0)
    lb__plan_advise(p, "%lld documents have no token to learn and are left out",
                    (long long)p->untrained_documents);
  const lb__corpus_facts *f = lb__corpus_get_facts(s->corpus);
  if (f->n_bad_lines > 0)
    lb__plan_advise(p, "%lld lines could not be read; the first: %.180s", (long long)f->n_bad_lines,
                    f->first_bad);
}

void lb__plan_fill(lb_plan *plan, const lb__setup *s) {
  *plan = (lb_plan){.tokens_per_second = NAN, .seconds = NAN};
  count_parameters(plan, s);
  count_documents(plan, s);
  count_steps(plan, s);
  lb__plan_estimate(plan, s);
  lb__plan_size(plan, s);
  give_advice(plan, s);
}

lb_status lb_plan_make(lb_plan *plan, lb_recipe *recipe, bool probe,
                       const lb_distill_options *options, lb_error *err) {
  lb__setup s;
  char *tokens = lb__temporary_path("limbeck-plan");
  *plan = (lb_plan){.tokens_per_second = NAN, .seconds = NAN};
  if (tokens == NULL) return lb__fail_nomem(err, "a path");
  lb__setup_options how = {.real = LB_DTYPE_F32, .only_look = !probe, .token_file = tokens};
  lb_status st = lb__setup_open(&s, recipe, options, &how, err);
  if (st == LB_OK) lb__plan_fill(plan, &s);
  if (st == LB_OK && probe && plan->fits) st = probe_speed(plan, &s, err);
  lb__setup_close(&s);
  lb__free(tokens);
  return st;
}

/* ---- one example ---- */

struct lb_example {
  lb__shown_piece *shown;
  lb_example_piece *pieces;
  size_t n;
};

enum { EXAMPLE_DOCUMENTS = 1000 };

static lb_status show(lb_example *e, const lb__setup *s, int64_t document, lb_error *err) {
  int64_t n_documents = lb__corpus_n_documents(s->corpus);
  if (document < 0 || document >= n_documents)
    return lb__fail(err, LB_E_ARG, "document %lld: want 0 to %lld", (long long)document,
                    (long long)n_documents - 1);
  lb_status st = lb__corpus_show(&e->shown, &e->n, s->corpus, document, s->tokenizer, err);
  if (st != LB_OK) return st;
  e->pieces = lb__new_array(e->n, sizeof *e->pieces);
  if (e->pieces == NULL) return lb__fail_nomem(err, "an example");
  for (size_t i = 0; i < e->n; i++)
    e->pieces[i] = (lb_example_piece){e->shown[i].text, e->shown[i].size, e->shown[i].is_trained};
  return LB_OK;
}

lb_status lb_example_open(lb_example **out, lb_recipe *recipe, int64_t document, lb_error *err) {
  lb__setup s;
  lb__setup_options how = {
      .real = LB_DTYPE_F32, .max_documents = EXAMPLE_DOCUMENTS, .only_look = true};
  if (document >= EXAMPLE_DOCUMENTS) how.max_documents = document + 1;
  *out = NULL;
  lb_status st = lb__setup_open(&s, recipe, NULL, &how, err);
  lb_example *e = st == LB_OK ? lb__new(sizeof *e) : NULL;
  if (st == LB_OK && e == NULL) st = lb__fail_nomem(err, "an example");
  if (st == LB_OK) st = show(e, &s, document, err);
  lb__setup_close(&s);
  if (st == LB_OK)
    *out = e;
  else
    lb_example_free(e);
  return st;
}

const lb_example_piece *lb_example_pieces(const lb_example *example, size_t *n) {
  *n = example->n;
  return example->pieces;
}

void lb_example_free(lb_example *e) {
  if (e == NULL) return;
  lb__shown_pieces_free(e->shown, e->n);
  lb__free(e->pieces);
  lb__free(e);
}

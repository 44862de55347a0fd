/* figures.c - see figures.h. */
#include "figures.h"

#include "base/fail.h"
#include "evaluate/compare.h"

#include <math.h>

enum { FEW_TOKENS = 16384 }; /* of the training documents that stand in for held-out ones */

/* The first training documents, as a corpus of their own. */
static lb_status take_few(lb__corpus **out, const lb__corpus *from, lb_error *err) {
  int64_t n_docs = 0, n_tokens = 0, all = lb__corpus_n_documents(from);
  while (n_docs < all && (n_docs == 0 || n_tokens < FEW_TOKENS))
    n_tokens += lb__corpus_document(from, n_docs++).n;
  int32_t *ids = lb__alloc_array((size_t)n_tokens, sizeof *ids);
  int32_t *targets = lb__alloc_array((size_t)n_tokens, sizeof *targets);
  int64_t *start = lb__new_array((size_t)n_docs + 1, sizeof *start);
  lb_status st = ids != NULL && targets != NULL && start != NULL
                     ? LB_OK
                     : lb__fail_nomem(err, "documents that measure");
  for (int64_t i = 0; i < n_docs && st == LB_OK; i++) {
    lb__document_view d = lb__corpus_document(from, i);
    memcpy(ids + start[i], d.ids, (size_t)d.n * sizeof *ids);
    memcpy(targets + start[i], d.targets, (size_t)d.n * sizeof *targets);
    start[i + 1] = start[i] + d.n;
  }
  if (st == LB_OK) st = lb__corpus_from_arrays(out, ids, targets, start, n_docs, err);
  lb__free(ids);
  lb__free(targets);
  lb__free(start);
  return st;
}

lb_status lb__figures_init(lb__figures *f, const lb__setup *s, lb_error *err) {
  *f = (lb__figures){.setup = s, .documents = s->held_out};
  if (f->documents != NULL) return LB_OK;
  lb_status st = take_few(&f->own, s->corpus, err);
  f->documents = f->own;
  return st;
}

void lb__figures_deinit(lb__figures *f) {
  lb__corpus_free(f->own);
  *f = (lb__figures){0};
}

static lb_status compare(lb__comparison *c, const lb__figures *f, lb_model *model, bool teacher,
                         lb_error *err) {
  const lb__setup *s = f->setup;
  lb_model *reference = teacher && s->teacher != NULL ? lb__teacher_model(s->teacher) : NULL;
  return lb__compare_models(c, NULL, reference, model, f->documents, s->vocab, s->options->cancel,
                            err);
}

static void fill_side(lb_model_figures *out, const lb__side_figures *side, const lb_model *m) {
  const lb_model_info *i = lb_model_get_info(m);
  *out = (lb_model_figures){.perplexity = side->perplexity,
                            .kl_to_teacher = NAN,
                            .agreement = NAN,
                            .n_parameters = i->n_parameters,
                            .size_bytes = i->weight_bytes,
                            .tokens_per_second = side->tokens_per_second};
}

lb_status lb__figures_measure(lb_model_figures *student, lb_model_figures *teacher,
                              const lb__figures *f, lb_model *model, lb_error *err) {
  lb__comparison c;
  lb_status st = compare(&c, f, model, true, err);
  if (st != LB_OK) return st;
  fill_side(student, &c.student, model);
  student->kl_to_teacher = c.forward_kl;
  student->agreement = c.agreement;
  if (teacher == NULL || f->setup->teacher == NULL) return LB_OK;
  fill_side(teacher, &c.teacher, lb__teacher_model(f->setup->teacher));
  teacher->kl_to_teacher = 0.0;
  teacher->agreement = 1.0;
  return LB_OK;
}

lb_status lb__figures_event(lb_event *event, const lb__figures *f, lb_error *err) {
  lb__comparison c;
  lb_status st = compare(&c, f, f->setup->student, true, err);
  if (st != LB_OK) return st;
  event->eval_loss = event->eval_ce = c.student.ce;
  event->eval_perplexity = c.student.perplexity;
  event->eval_kl = c.forward_kl;
  event->eval_reverse_kl = c.reverse_kl;
  event->eval_agreement = c.agreement;
  event->eval_accuracy = c.accuracy;
  return LB_OK;
}

/* compare.c - see compare.h. Documents lie end to end, up to PASS_TOKENS in a pass; both models
 * read the same passes, and the fused head turns their hidden states into sums. Read next:
 * lb__compare_models at the end, then run_pass. */
#include "compare.h"

#include "base/clock.h"
#include "base/fail.h"
#include "data/batch.h"
#include "loss/fused_head.h"

#include <math.h>

enum { PASS_TOKENS = 2048, SPEED_ROWS = 256, SPEED_TRIES = 2 };

/* One of the two models. */
typedef struct reader {
  const char *name;
  lb_model *model; /* NULL: no teacher */
  lb__stream stream;
  lb_tensor *hidden, *measured; /* of this pass: all rows; those with a target */
  int64_t hidden_ns;
  double head_ns_per_token; /* NaN: not yet measured */
} reader;

typedef struct comparer {
  reader student, teacher;
  int64_t context, vocab;
  const volatile int *cancel;
  int32_t *ids, *positions; /* [capacity] of this pass */
  int32_t *doc_start;       /* [capacity + 1] */
  int32_t *rows, *targets;  /* [n_rows] where there is something to predict, and what */
  int64_t *row_document;    /* [n_rows] of the corpus */
  double *row_facts;        /* [n_rows, LB__N_ROW_FACTS] */
  int64_t n_tokens, n_docs, n_rows;
  lb__fused_head_sums sums;
  lb__comparison *out;
  const lb__document_kl *documents; /* of the corpus; NULL: not wanted */
} comparer;

/* ---- one model, one pass ---- */

static lb_status read_pass(reader *r, const lb__batch *batch, const comparer *c, lb_error *err) {
  if (r->model == NULL) return LB_OK;
  lb__stream_reset(&r->stream);
  int64_t begin = lb__clock_ns();
  lb_status st = lb__model_hidden(&r->hidden, r->model, &r->stream, batch, err);
  r->hidden_ns += lb__clock_ns() - begin;
  if (st == LB_OK)
    st = lb__model_pick(&r->measured, &r->stream, r->hidden, c->rows, c->n_rows, err);
  return st == LB_OK ? LB_OK : lb__fail_prefix(err, st, "held-out documents, %s", r->name);
}

/* The fused head runs both heads at once, so the time of each is taken aside, on some rows of the
 * first pass; the best of two tries, for the first may meet cold memory. */
static lb_status time_head(reader *r, lb_error *err) {
  lb_status st = LB_OK;
  if (r->model == NULL || !isnan(r->head_ns_per_token)) return LB_OK;
  int64_t n = r->hidden->shape[0] < SPEED_ROWS ? r->hidden->shape[0] : SPEED_ROWS;
  for (int i = 0; i < SPEED_TRIES && st == LB_OK; i++) {
    lb__arena_mark mark = lb__arena_get_mark(&r->stream.arena);
    lb_tensor rows = lb__tensor_rows(r->hidden, 0, n), *logits;
    int64_t begin = lb__clock_ns();
    st = lb__model_logits(&logits, r->model, &r->stream, &rows, err);
    r->head_ns_per_token = fmin(r->head_ns_per_token, (double)(lb__clock_ns() - begin) / (double)n);
    lb__arena_release(&r->stream.arena, mark);
  }
  return st;
}

static lb__head_side side_of(const reader *r) {
  lb__head_side side = {.hidden = r->measured, .compute = r->stream.compute};
  side.weight = lb__model_head(r->model, &side.softcap);
  return side;
}

/* ---- a pass ---- */

static lb_status add_facts(comparer *c, lb_error *err) {
  /* A term must be there; its loss is the same number as the fact. */
  static const lb__divergence_term ce = {
      .kind = LB__DIVERGENCE_cross_entropy, .coefficient = 1.0, .temperature = 1.0, .factor = 1.0};
  lb__head_side teacher = {0};
  if (c->teacher.model != NULL) teacher = side_of(&c->teacher);
  lb_tensor *targets;
  lb_status st = lb__stream_i32(&targets, &c->student.stream, c->targets, c->n_rows, err);
  lb__fused_head_args args = {.student = side_of(&c->student),
                              .teacher = c->teacher.model != NULL ? &teacher : NULL,
                              .targets = targets,
                              .vocab = c->vocab,
                              .terms = &ce,
                              .n_terms = 1,
                              .scale = 1.0,
                              .want_facts = true,
                              .row_facts = c->documents != NULL ? c->row_facts : NULL};
  return st == LB_OK ? lb__fused_head(&c->student.stream, &c->sums, &args, err) : st;
}

static void add_to_documents(const comparer *c) {
  for (int64_t i = 0; c->documents != NULL && i < c->n_rows; i++) {
    const double *facts = c->row_facts + i * LB__N_ROW_FACTS;
    c->documents->forward[c->row_document[i]] += facts[LB__FACT_FORWARD_KL];
    c->documents->reverse[c->row_document[i]] += facts[LB__FACT_REVERSE_KL];
  }
}

/* Runs what was added, and forgets it. */
static lb_status run_pass(comparer *c, lb_error *err) {
  lb__batch batch = {.n_tokens = c->n_tokens,
                     .n_docs = c->n_docs,
                     .ids = c->ids,
                     .positions = c->positions,
                     .doc_start = c->doc_start};
  if (c->n_tokens == 0) return LB_OK;
  if (c->cancel != NULL && *c->cancel != 0)
    return lb__fail(err, LB_E_CANCELLED, "held-out documents: stopped");
  lb_status st = read_pass(&c->student, &batch, c, err);
  if (st == LB_OK) st = read_pass(&c->teacher, &batch, c, err);
  if (st == LB_OK) st = add_facts(c, err);
  if (st == LB_OK) add_to_documents(c);
  if (st == LB_OK) st = time_head(&c->student, err);
  if (st == LB_OK) st = time_head(&c->teacher, err);
  c->out->n_documents += c->n_docs;
  c->out->n_tokens += c->n_tokens;
  c->n_tokens = c->n_docs = c->n_rows = 0;
  return st;
}

static void add_document(comparer *c, int64_t document, const lb__document_view *d, int64_t n) {
  for (int64_t t = 0; t < n; t++, c->n_tokens++) {
    c->ids[c->n_tokens] = d->ids[t];
    c->positions[c->n_tokens] = (int32_t)t;
    if (d->targets[t] == LB__NOT_TRAINED) continue;
    c->rows[c->n_rows] = (int32_t)c->n_tokens;
    c->row_document[c->n_rows] = document;
    c->targets[c->n_rows++] = d->targets[t];
  }
  c->doc_start[++c->n_docs] = (int32_t)c->n_tokens;
}

static bool has_target(const lb__document_view *d, int64_t n) {
  for (int64_t t = 0; t < n; t++)
    if (d->targets[t] != LB__NOT_TRAINED) return true;
  return false;
}

static lb_status read_all(comparer *c, const lb__corpus *held_out, lb_error *err) {
  lb_status st = LB_OK;
  for (int64_t i = 0; i < lb__corpus_n_documents(held_out) && st == LB_OK; i++) {
    lb__document_view d = lb__corpus_document(held_out, i);
    int64_t n = d.n < c->context ? d.n : c->context;
    c->out->n_cut += n < d.n;
    if (!has_target(&d, n)) continue;
    if (c->n_tokens > 0 && c->n_tokens + n > PASS_TOKENS) st = run_pass(c, err);
    if (st == LB_OK) add_document(c, i, &d, n);
  }
  return st == LB_OK ? run_pass(c, err) : st;
}

/* ---- beginning and end ---- */

/* A pass holds PASS_TOKENS, or one document that is longer. */
static int64_t pass_capacity(const comparer *c, const lb__corpus *held_out) {
  int64_t longest = PASS_TOKENS;
  for (int64_t i = 0; i < lb__corpus_n_documents(held_out); i++) {
    int64_t n = lb__corpus_document(held_out, i).n;
    if (n > c->context) n = c->context;
    if (n > longest) longest = n;
  }
  return longest;
}

static lb_status make_arrays(comparer *c, int64_t capacity, lb_error *err) {
  size_t n = (size_t)capacity;
  c->ids = lb__new_array(n, sizeof *c->ids);
  c->positions = lb__new_array(n, sizeof *c->positions);
  c->doc_start = lb__new_array(n + 1, sizeof *c->doc_start);
  c->rows = lb__new_array(n, sizeof *c->rows);
  c->targets = lb__new_array(n, sizeof *c->targets);
  c->row_document = lb__new_array(n, sizeof *c->row_document);
  c->row_facts = lb__new_array(n, LB__N_ROW_FACTS * sizeof *c->row_facts);
  if (c->ids == NULL || c->positions == NULL || c->doc_start == NULL || c->rows == NULL ||
      c->targets == NULL || c->row_document == NULL || c->row_facts == NULL)
    return lb__fail_nomem(err, "held-out documents");
  return LB_OK;
}

static void reader_begin(reader *r, const char *name, lb_model *model) {
  *r = (reader){.name = name, .model = model, .head_ns_per_token = NAN};
  if (model != NULL) lb__model_stream_init(&r->stream, model);
}

static void comparer_deinit(comparer *c) {
  lb__stream_deinit(&c->student.stream);
  if (c->teacher.model != NULL) lb__stream_deinit(&c->teacher.stream);
  lb__free(c->ids);
  lb__free(c->positions);
  lb__free(c->doc_start);
  lb__free(c->rows);
  lb__free(c->targets);
  lb__free(c->row_document);
  lb__free(c->row_facts);
}

static int64_t context_of(lb_model *model) {
  return model != NULL ? lb_model_get_info(model)->max_positions : INT64_MAX;
}

static lb_status fill_side(lb__side_figures *f, const comparer *c, const reader *r, int fact,
                           lb_error *err) {
  *f = (lb__side_figures){NAN, NAN, NAN};
  if (r->model == NULL) return LB_OK;
  f->ce = c->sums.facts[fact] / (double)c->sums.n_rows;
  f->perplexity = exp(f->ce);
  double tokens = (double)c->out->n_tokens;
  f->tokens_per_second = 1e9 * tokens / ((double)r->hidden_ns + r->head_ns_per_token * tokens);
  if (isfinite(f->ce)) return LB_OK;
  return lb__fail(
      err, LB_E_NUMERIC,
      "held-out documents: the %s's predictions are not finite; are its weights damaged?", r->name);
}

static lb_status fill_figures(const comparer *c, lb_error *err) {
  lb__comparison *out = c->out;
  double n = (double)c->sums.n_rows;
  const double *facts = c->sums.facts;
  bool has_teacher = c->teacher.model != NULL;
  out->n_measured = c->sums.n_rows;
  if (out->n_measured == 0)
    return lb__fail(err, LB_E_ARG, "held-out documents: none has a token to predict");
  lb_status st = fill_side(&out->student, c, &c->student, LB__FACT_CE, err);
  if (st == LB_OK) st = fill_side(&out->teacher, c, &c->teacher, LB__FACT_TEACHER_CE, err);
  out->accuracy = facts[LB__FACT_CORRECT] / n;
  out->forward_kl = has_teacher ? facts[LB__FACT_FORWARD_KL] / n : NAN;
  out->reverse_kl = has_teacher ? facts[LB__FACT_REVERSE_KL] / n : NAN;
  out->agreement = has_teacher ? facts[LB__FACT_AGREES] / n : NAN;
  return st;
}

lb_status lb__compare_models(lb__comparison *out, const lb__document_kl *documents,
                             lb_model *teacher, lb_model *student, const lb__corpus *held_out,
                             int64_t vocab, const volatile int *cancel, lb_error *err) {
  comparer c = {.vocab = vocab, .cancel = cancel, .out = out, .documents = documents};
  *out = (lb__comparison){0};
  for (int64_t i = 0; documents != NULL && i < lb__corpus_n_documents(held_out); i++)
    documents->forward[i] = documents->reverse[i] = 0.0;
  c.context = context_of(student) < context_of(teacher) ? context_of(student) : context_of(teacher);
  reader_begin(&c.student, "student", student);
  reader_begin(&c.teacher, "teacher", teacher);
  lb_status st = make_arrays(&c, pass_capacity(&c, held_out), err);
  if (st == LB_OK) st = read_all(&c, held_out, err);
  if (st == LB_OK) st = fill_figures(&c, err);
  comparer_deinit(&c);
  return st;
}

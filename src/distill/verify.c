/* verify.c - lb_verify: the important checks, repeated on the user's own models and documents.
 *
 * A check is a row of `checks` and a function that says what it found. They share one setup in
 * float32; the gradients get one in double, where only the reference kernels compute. Owns: what is
 * checked and how closely. Refuses: training. */
#include "method.h"
#include "setup.h"

#include "base/fail.h"
#include "base/random.h"
#include "base/system_memory.h"

#include <limbeck/score.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum {
  DOCUMENTS = 64,        /* read */
  GRADIENT_TOKENS = 24,  /* of the pass that is differentiated; double on plain loops is slow */
  GRADIENT_SAMPLES = 16, /* parameters whose derivative is taken by differences */
  LARGE_TOKENS = 6,      /* the same for models of more than LARGE_MODEL parameters */
  LARGE_SAMPLES = 4,
  LARGE_MODEL = 20000000,
  BATCH_DOCUMENTS = 4,
  BATCH_TOKENS = 1024
};

typedef struct bench {
  lb_recipe *recipe;
  lb__setup *setup; /* float32 */
  const volatile int *cancel;
  lb_check *check;
  lb_error *err;
} bench;

static void found(bench *b, bool passed, const char *format, ...) LB_PRINTF(3, 4);
static void found(bench *b, bool passed, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(b->check->found, sizeof b->check->found, format, args);
  va_end(args);
  b->check->outcome = passed ? LB_CHECK_PASSED : LB_CHECK_FAILED;
}

static void skip(bench *b, const char *why) {
  snprintf(b->check->found, sizeof b->check->found, "%s", why);
  b->check->outcome = LB_CHECK_SKIPPED;
}

/* ---- a micro-batch of the first documents, each cut to a length ---- */

typedef struct small_batch {
  lb__micro_batch micro;
  int32_t ids[BATCH_TOKENS], positions[BATCH_TOKENS], targets[BATCH_TOKENS];
  int32_t doc_start[BATCH_DOCUMENTS + 1];
} small_batch;

static void add_document(small_batch *s, lb__document_view d, int64_t most) {
  int64_t n = d.n < most ? d.n : most;
  lb__micro_batch *m = &s->micro;
  for (int64_t i = 0; i < n; i++) {
    int64_t at = m->n_tokens + i;
    s->ids[at] = d.ids[i];
    s->positions[at] = (int32_t)i;
    s->targets[at] = i + 1 < n ? d.targets[i] : LB__NOT_TRAINED;
    m->n_trained += s->targets[at] != LB__NOT_TRAINED;
  }
  m->n_tokens += n;
  s->doc_start[++m->n_docs] = (int32_t)m->n_tokens;
}

/* Documents first .. first + n - 1 with at most `most` tokens each. */
static void fill_batch(small_batch *s, const lb__corpus *c, int64_t first, int64_t n,
                       int64_t most) {
  s->micro = (lb__micro_batch){
      .ids = s->ids, .positions = s->positions, .doc_start = s->doc_start, .targets = s->targets};
  s->doc_start[0] = 0;
  for (int64_t i = first; i < first + n && i < lb__corpus_n_documents(c); i++)
    add_document(s, lb__corpus_document(c, i), most);
}

/* The first trained target of a document may come late: so many tokens are needed to see some. */
static int64_t tokens_to_see(const lb__corpus *c, int64_t document, int64_t at_least) {
  lb__document_view d = lb__corpus_document(c, document);
  int64_t i = 0;
  while (i < d.n && d.targets[i] == LB__NOT_TRAINED) i++;
  return i + at_least;
}

static lb_status run_once(lb__method *m, const small_batch *s, int64_t n_tokens, int64_t n_trained,
                          lb__loss_sums *sums, lb_error *err) {
  lb__objective o = lb__method_objective(m);
  lb__step_context step = {.n_tokens = n_tokens, .n_trained = n_trained};
  return o.run(o.ctx, &s->micro, &step, sums, err);
}

/* ---- numbers in parameters ---- */

static lb_status read_real(double *out, const lb_tensor *t, int64_t i, lb_error *err) {
  float x;
  if (t->dtype == LB_DTYPE_F64) return lb__tensor_read(t, (size_t)i * sizeof *out, out, 8, err);
  lb_status st = lb__tensor_read(t, (size_t)i * sizeof x, &x, sizeof x, err);
  *out = (double)x;
  return st;
}

static lb_status write_double(lb_tensor *t, int64_t i, double x, lb_error *err) {
  return lb__tensor_write(t, (size_t)i * sizeof x, &x, sizeof x, err);
}

/* Euclidean norm of all gradients, and the largest component. */
static lb_status gradient_size(double *norm, double *largest, const lb__method *m, lb_error *err) {
  size_t n;
  const lb__parameter *parameters = lb__method_parameters(m, &n);
  double sum = 0.0;
  *largest = 0.0;
  for (size_t k = 0; k < n; k++) {
    lb_tensor g = lb__tensor_gradient(parameters[k].tensor);
    for (int64_t i = 0; i < lb__tensor_elements(&g); i++) {
      double x;
      lb_status st = read_real(&x, &g, i, err);
      if (st != LB_OK) return st;
      sum += x * x;
      *largest = fmax(*largest, fabs(x));
    }
  }
  *norm = sqrt(sum);
  return LB_OK;
}

static void zero_gradients(lb__method *m) {
  size_t n;
  const lb__parameter *parameters = lb__method_parameters(m, &n);
  for (size_t k = 0; k < n; k++) {
    lb_tensor g = lb__tensor_gradient(parameters[k].tensor);
    lb__tensor_zero(&g);
  }
}

/* ---- 1: gradients by differences ---- */

typedef struct differences {
  lb__method *method;
  small_batch batch;
  int n_samples;
  bench *b;
} differences;

static lb_status loss_at(double *out, differences *d, lb_tensor *t, int64_t i, double x) {
  lb__loss_sums sums = {0};
  lb__step_context step = {.n_tokens = d->batch.micro.n_tokens,
                           .n_trained = d->batch.micro.n_trained};
  if (d->b->cancel != NULL && *d->b->cancel != 0)
    return lb__fail(d->b->err, LB_E_CANCELLED, "verify: stopped");
  lb_status st = write_double(t, i, x, d->b->err);
  if (st == LB_OK) st = lb__method_loss(d->method, &d->batch.micro, &step, &sums, d->b->err);
  *out = sums.loss;
  return st;
}

/* The five-point formula: its error falls with the fourth power of the step. */
static lb_status derivative(double *out, differences *d, lb_tensor *t, int64_t i) {
  static const double at[4] = {-2.0, -1.0, 1.0, 2.0}, factor[4] = {1.0, -8.0, 8.0, -1.0};
  double x, loss = 0.0;
  lb_status st = read_real(&x, t, i, d->b->err);
  double h = 1e-3 * fmax(fabs(x), 0.1);
  *out = 0.0;
  for (int k = 0; k < 4 && st == LB_OK; k++) {
    st = loss_at(&loss, d, t, i, x + at[k] * h);
    *out += factor[k] * loss / (12.0 * h);
  }
  lb_status restored = write_double(t, i, x, d->b->err);
  return st != LB_OK ? st : restored;
}

/* A component that is not negligible: drawn, then the largest of a few. */
static lb_status choose(size_t *k, int64_t *i, const lb__method *m, uint64_t draw, lb_error *err) {
  size_t n;
  const lb__parameter *parameters = lb__method_parameters(m, &n);
  lb__random_key key = {1, LB__PURPOSE_TEST};
  double best = -1.0;
  *k = (size_t)(lb__random_uniform(key, draw, 0) * (double)n);
  lb_tensor g = lb__tensor_gradient(parameters[*k].tensor);
  *i = 0;
  for (uint64_t try = 1; try <= 64; try++) {
    int64_t at = (int64_t)(lb__random_uniform(key, draw, try) * (double)lb__tensor_elements(&g));
    double x;
    lb_status st = read_real(&x, &g, at, err);
    if (st != LB_OK) return st;
    if (fabs(x) > best) best = fabs(x), *i = at;
  }
  return LB_OK;
}

static lb_status compare_samples(differences *d, double largest) {
  size_t n;
  const lb__parameter *parameters = lb__method_parameters(d->method, &n);
  double worst = 0.0;
  const char *where = "";
  int compared = 0;
  lb_status st = LB_OK;
  for (uint64_t draw = 0; draw < 4 * GRADIENT_SAMPLES && compared < d->n_samples; draw++) {
    size_t k;
    int64_t i;
    double analytic, numeric;
    st = choose(&k, &i, d->method, draw, d->b->err);
    if (st != LB_OK) return st;
    lb_tensor g = lb__tensor_gradient(parameters[k].tensor);
    st = read_real(&analytic, &g, i, d->b->err);
    if (st != LB_OK) return st;
    if (fabs(analytic) < 1e-6 * largest) continue; /* rounding of the loss would drown it */
    st = derivative(&numeric, d, parameters[k].tensor, i);
    if (st != LB_OK) return st;
    double error = fabs(numeric - analytic) / fmax(fabs(numeric), fabs(analytic));
    compared++;
    if (error > worst) worst = error, where = parameters[k].name;
  }
  found(d->b, compared > 0 && worst <= 1e-6,
        "worst relative error %.1e of %d parameters (want <= 1e-6)%s%s", worst, compared,
        worst > 0.0 ? ", at " : "", where);
  return LB_OK;
}

static lb_status differentiate(bench *b, lb__setup *s) {
  differences d = {.b = b};
  double norm, largest;
  lb__loss_sums sums = {0};
  bool large = lb_model_get_info(s->student)->n_parameters > LARGE_MODEL;
  int64_t tokens = large ? LARGE_TOKENS : GRADIENT_TOKENS;
  int64_t most = tokens_to_see(s->corpus, 0, tokens);
  if (most > 4 * tokens) most = 4 * tokens;
  d.n_samples = large ? LARGE_SAMPLES : GRADIENT_SAMPLES;
  fill_batch(&d.batch, s->corpus, 0, 1, most);
  if (d.batch.micro.n_trained == 0) {
    skip(b, "the first document's trained tokens come too late for a pass in double");
    return LB_OK;
  }
  lb_status st =
      lb__method_new(&d.method, b->recipe, s->student, s->teacher, s->vocab, LB_DTYPE_F64, b->err);
  if (st == LB_OK)
    st = run_once(d.method, &d.batch, d.batch.micro.n_tokens, d.batch.micro.n_trained, &sums,
                  b->err);
  if (st == LB_OK) st = gradient_size(&norm, &largest, d.method, b->err);
  if (st == LB_OK) st = compare_samples(&d, largest);
  lb__method_free(d.method);
  return st;
}

/* Weights and gradients of both models, 8 bytes each. */
static bool has_room_for_double(const lb__setup *s) {
  uint64_t n = (uint64_t)lb_model_get_info(s->student)->n_parameters;
  if (s->teacher != NULL)
    n += (uint64_t)lb_model_get_info(lb__teacher_model(s->teacher))->n_parameters;
  return n * 16 < lb__system_memory_available() / 10 * 9;
}

static lb_status check_gradients(bench *b) {
  if (!has_room_for_double(b->setup)) {
    skip(b, "there is not enough memory for both models in double");
    return LB_OK;
  }
  lb_recipe plain = *b->recipe; /* dropout draws, and differences of noise say nothing */
  lb_recipe *whole = b->recipe;
  lb__setup s;
  lb__setup_options how = {.real = LB_DTYPE_F64, .max_documents = DOCUMENTS};
  lb_distill_options options = {.cancel = b->cancel};
  plain.distill.dropout = 0;
  plain.data.eval_fraction = 0.0;
  b->recipe = &plain;
  lb_status st = lb__setup_open(&s, &plain, &options, &how, b->err);
  if (st == LB_OK) st = differentiate(b, &s);
  lb__setup_close(&s);
  b->recipe = whole;
  return st;
}

/* ---- 2: a student that is its own teacher has nothing to learn ---- */

static lb_status check_self(bench *b) {
  lb__setup *s = b->setup;
  lb_recipe r = *b->recipe;
  lb__teacher *self;
  lb__method *m = NULL;
  small_batch batch;
  lb__loss_sums sums = {0};
  double norm = NAN, largest;
  r.distill.alpha = 1.0;
  r.distill.dropout = 0;
  r.distill.teacher_layers.n = 0;
  fill_batch(&batch, s->corpus, 0, BATCH_DOCUMENTS, BATCH_TOKENS / BATCH_DOCUMENTS);
  lb_status st = lb__teacher_open(&self, s->source.path, NULL, (lb_precision)r.train.precision,
                                  LB_DTYPE_F32, b->err);
  if (st == LB_OK) st = lb__method_new(&m, &r, s->student, self, s->vocab, LB_DTYPE_F32, b->err);
  if (st == LB_OK)
    st = run_once(m, &batch, batch.micro.n_tokens, batch.micro.n_trained, &sums, b->err);
  if (st == LB_OK) st = gradient_size(&norm, &largest, m, b->err);
  if (st == LB_OK) {
    zero_gradients(m);
    bool hidden = r.distill.type == LB__DISTILL_HIDDEN;
    found(b, fabs(sums.loss) <= 1e-6 && norm <= 1e-4,
          "%sloss %.1e (want <= 1e-6), gradient norm %.1e (want <= 1e-4)",
          hidden ? "hidden states compared without a projector: " : "", sums.loss, norm);
  }
  lb__method_free(m);
  lb__teacher_free(self);
  return st;
}

/* ---- 3: how documents are grouped does not matter ---- */

static lb_status sum_apart(lb__method *m, bench *b, const small_batch *together, int64_t n_docs,
                           lb__loss_sums *sums) {
  lb_status st = LB_OK;
  for (int64_t i = 0; i < n_docs && st == LB_OK; i++) {
    small_batch one;
    fill_batch(&one, b->setup->corpus, i, 1, BATCH_TOKENS / BATCH_DOCUMENTS);
    st = run_once(m, &one, together->micro.n_tokens, together->micro.n_trained, sums, b->err);
  }
  return st;
}

static lb_status check_grouping(bench *b) {
  lb__setup *s = b->setup;
  lb_recipe r = *b->recipe;
  lb__method *m;
  small_batch together;
  lb__loss_sums all = {0}, apart = {0};
  double norm_all = 0.0, norm_apart = 0.0, largest;
  r.distill.dropout = 0;
  fill_batch(&together, s->corpus, 0, BATCH_DOCUMENTS, BATCH_TOKENS / BATCH_DOCUMENTS);
  if (together.micro.n_docs < 2) {
    skip(b, "there is only one document");
    return LB_OK;
  }
  lb_status st = lb__method_new(&m, &r, s->student, s->teacher, s->vocab, LB_DTYPE_F32, b->err);
  if (st == LB_OK)
    st = run_once(m, &together, together.micro.n_tokens, together.micro.n_trained, &all, b->err);
  if (st == LB_OK) st = gradient_size(&norm_all, &largest, m, b->err);
  if (st == LB_OK) zero_gradients(m);
  if (st == LB_OK) st = sum_apart(m, b, &together, together.micro.n_docs, &apart);
  if (st == LB_OK) st = gradient_size(&norm_apart, &largest, m, b->err);
  if (st == LB_OK) {
    zero_gradients(m);
    double loss = fabs(all.loss - apart.loss) / fmax(fabs(all.loss), 1e-9);
    double norm = fabs(norm_all - norm_apart) / fmax(norm_all, 1e-9);
    found(b, loss <= 1e-5 && norm <= 1e-4,
          "%lld documents together and one by one: loss differs by %.1e (want <= 1e-5), gradient "
          "norm "
          "by %.1e (want <= 1e-4), relative",
          (long long)together.micro.n_docs, loss, norm);
  }
  lb__method_free(m);
  return st;
}

/* ---- 4: labels ---- */

static lb_status check_labels(bench *b) {
  const lb__corpus *c = b->setup->corpus;
  int64_t n = lb__corpus_n_documents(c), wrong = 0, trained = 0, first = -1;
  if (lb__corpus_get_facts(c)->format == LB__DATA_TOKENS) {
    skip(b, "the data bring their own labels");
    return LB_OK;
  }
  for (int64_t k = 0; k < n; k++) {
    lb__document_view d = lb__corpus_document(c, k);
    for (int64_t i = 0; i < d.n; i++) {
      int32_t next = i + 1 < d.n ? d.ids[i + 1] : LB__NOT_TRAINED;
      bool good = d.targets[i] == LB__NOT_TRAINED || d.targets[i] == next;
      trained += d.targets[i] != LB__NOT_TRAINED;
      wrong += !good;
      if (!good && first < 0) first = k;
    }
  }
  if (wrong == 0)
    found(b, trained > 0, "%lld labels of %lld documents are each the token that follows",
          (long long)trained, (long long)n);
  else
    found(b, false, "%lld labels are not the token that follows; the first in document %lld",
          (long long)wrong, (long long)first);
  return LB_OK;
}

/* The cross entropy that training sees, computed again by `score`, which shares no code with it. */
static lb_status check_score(bench *b) {
  lb__setup *s = b->setup;
  lb__document_view d = lb__corpus_document(s->corpus, 0);
  small_batch batch;
  lb_scores *scores = NULL;
  lb_model *stored = NULL;
  lb__method *m = NULL;
  lb_recipe r = *b->recipe;
  lb__loss_sums sums = {0};
  double nll = 0.0;
  r.distill.dropout = 0;
  fill_batch(&batch, s->corpus, 0, 1, BATCH_TOKENS);
  lb__step_context step = {.n_tokens = batch.micro.n_tokens, .n_trained = batch.micro.n_trained};
  lb_prompt document = {.ids = d.ids, .n_ids = (size_t)batch.micro.n_tokens};
  if (s->vocab != lb_model_get_info(s->student)->vocab_size) {
    skip(b, "the student's vocabulary is padded: score counts the padding, training does not");
    return LB_OK;
  }
  lb_status st = lb_model_open(&stored, s->source.path, NULL, b->err);
  if (st == LB_OK) st = lb_score(&scores, stored, &document, 1, NULL, b->err);
  if (st == LB_OK)
    st = lb__method_new(&m, &r, s->student, s->teacher, s->vocab, LB_DTYPE_F32, b->err);
  if (st == LB_OK) st = lb__method_loss(m, &batch.micro, &step, &sums, b->err);
  for (int64_t i = 0; st == LB_OK && i + 1 < batch.micro.n_tokens; i++)
    if (batch.targets[i] != LB__NOT_TRAINED)
      nll -= (double)lb_scores_get(scores, 0)->logprobs[i + 1] / (double)batch.micro.n_trained;
  if (st == LB_OK)
    found(b, fabs(nll - sums.terms[0]) <= 1e-4 * fmax(1.0, nll),
          "cross entropy of the first document: %.6f in training, %.6f by score (want within 1e-4)",
          sums.terms[0], nll);
  lb__method_free(m);
  lb_scores_free(scores);
  lb_model_free(stored);
  return st;
}

/* ---- 5: conversations ---- */

static bool is_special(const lb__setup *s, int32_t id, lb_error *err) {
  char *text = NULL;
  size_t size = 1;
  lb_status st = lb_tokenizer_decode(s->tokenizer, &id, 1, true, &text, &size, err);
  lb_text_free(text);
  return st == LB_OK && size == 0;
}

/* A trained turn must teach the model to stop: its last label is an end token. */
static lb_status check_turns(bench *b) {
  const lb__setup *s = b->setup;
  const lb__corpus_facts *f = lb__corpus_get_facts(s->corpus);
  int64_t turns = 0, ended = 0, n = lb__corpus_n_documents(s->corpus);
  bool talks = f->format == LB__DATA_MESSAGES || f->format == LB__DATA_SHAREGPT;
  if (!talks || s->tokenizer == NULL) {
    skip(b, "the data are no conversations");
    return LB_OK;
  }
  for (int64_t k = 0; k < n; k++) {
    lb__document_view d = lb__corpus_document(s->corpus, k);
    for (int64_t i = 0; i + 2 < d.n; i++) {
      bool ends = d.targets[i] != LB__NOT_TRAINED && d.targets[i + 1] == LB__NOT_TRAINED;
      if (!ends) continue;
      turns++;
      ended += is_special(s, d.targets[i], NULL) ||
               (i > 0 && is_special(s, d.targets[i - 1], NULL)); /* "<|im_end|>\n" */
    }
  }
  if (turns == 0)
    skip(b, "every conversation ends with its only trained turn cut");
  else
    found(b, ended == turns, "%lld of %lld trained turns end with an end token", (long long)ended,
          (long long)turns);
  return LB_OK;
}

/* ---- 6: the teacher's precision ---- */

static lb_status check_teacher(bench *b) {
  lb__setup *s = b->setup;
  lb__teacher *exact = NULL;
  small_batch batch;
  lb__head_side fast, full;
  lb_tensor *targets;
  lb__fused_head_sums sums = {0};
  lb_precision precision = LB_PRECISION_F32;
  if (s->teacher != NULL) precision = lb_model_get_info(lb__teacher_model(s->teacher))->precision;
  if (precision == LB_PRECISION_F32) {
    skip(b, s->teacher == NULL
                ? "there is no teacher"
                : "the teacher computes in f32: stored weights are expanded exactly");
    return LB_OK;
  }
  fill_batch(&batch, s->corpus, 0, BATCH_DOCUMENTS, BATCH_TOKENS / BATCH_DOCUMENTS);
  lb_status st = lb__teacher_open(&exact, b->recipe->teacher, s->source.path, LB_PRECISION_F32,
                                  LB_DTYPE_F32, b->err);
  if (st == LB_OK) st = lb__teacher_observe(&full, exact, &batch.micro, NULL, b->err);
  if (st == LB_OK) st = lb__teacher_observe(&fast, s->teacher, &batch.micro, NULL, b->err);
  lb__stream *stream = lb__teacher_stream(s->teacher);
  if (st == LB_OK)
    st = lb__stream_i32(&targets, stream, batch.targets, batch.micro.n_tokens, b->err);
  if (st == LB_OK) {
    lb__fused_head_args args = {.student = fast,
                                .teacher = &full,
                                .targets = targets,
                                .vocab = s->vocab,
                                .scale = 1.0,
                                .want_facts = true};
    st = lb__fused_head(stream, &sums, &args, b->err);
  }
  double kl = sums.facts[LB__FACT_FORWARD_KL] / (double)batch.micro.n_tokens;
  double most = b->recipe->distill.teacher_precision_max_kl;
  if (st == LB_OK)
    found(b, kl <= most, "KL(f32 || %s) %.5f nats a token (want <= %g)",
          lb_precision_name(precision), kl, most);
  lb__teacher_free(exact);
  return st;
}

/* ---- all of them ---- */

static const struct {
  const char *name;
  lb_status (*run)(bench *b);
} checks[] = {
    {"labels are the next token", check_labels},
    {"turns teach the model to stop", check_turns},
    {"cross entropy equals score's", check_score},
    {"a student that is its teacher has nothing to learn", check_self},
    {"grouping of documents does not matter", check_grouping},
    {"the teacher's precision", check_teacher},
    {"gradients by differences, in double", check_gradients},
};

lb_status lb_verify(size_t *n_failed, lb_recipe *recipe,
                    void (*on_check)(void *ctx, const lb_check *check), void *ctx,
                    const volatile int *cancel, lb_error *err) {
  lb__setup s;
  lb_recipe small = *recipe; /* nothing is held out of the few documents that are read */
  lb__setup_options how = {.real = LB_DTYPE_F32, .max_documents = DOCUMENTS};
  lb_distill_options options = {.cancel = cancel};
  small.data.eval_fraction = 0.0;
  *n_failed = 0;
  lb_status st = lb__setup_open(&s, &small, &options, &how, err);
  for (size_t i = 0; i < sizeof checks / sizeof *checks && st == LB_OK; i++) {
    lb_check check = {.name = checks[i].name, .outcome = LB_CHECK_FAILED};
    bench b = {.recipe = &small, .setup = &s, .cancel = cancel, .check = &check, .err = err};
    if (cancel != NULL && *cancel != 0) st = lb__fail(err, LB_E_CANCELLED, "verify: stopped");
    if (st == LB_OK) st = checks[i].run(&b);
    if (st != LB_OK) break;
    *n_failed += check.outcome == LB_CHECK_FAILED;
    if (on_check != NULL) on_check(ctx, &check);
  }
  lb__setup_close(&s);
  return st;
}

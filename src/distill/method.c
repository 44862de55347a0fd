/* method.c - see method.h. One micro-batch: the teacher looks at it, the student runs on the tape,
 * the trained rows of both go through the fused head, the other terms are added, the tape is
 * walked. */
#include "method.h"

#include "projector.h"

#include "base/fail.h"
#include "ops/profile.h"

#include <math.h>

enum { TERM_CE, TERM_KD, TERM_EXTRA, RELATIONS = 3, HEADS_AT_MOST = 48 };

struct lb__method {
  const lb_recipe *recipe;
  lb_model *student;
  lb__teacher *teacher; /* NULL: none */
  int64_t vocab, relation_heads;
  lb__divergence_term terms[2]; /* of the head */
  size_t n_head_terms;
  size_t n_pairs; /* of compared layers */
  lb__taps student_taps, teacher_taps;
  lb__projectors projectors;
  const lb__figures *figures; /* NULL: nothing is evaluated */
  bool recomputes;
  lb__parameter *parameters;
  size_t n_parameters;
  lb__stream stream;
  lb__tape tape;
};

static bool has_extra(const lb__method *m) {
  return m->teacher != NULL && m->recipe->distill.type != LB__DISTILL_LOGITS;
}

/* ---- which layers ---- */

/* A layer as people write it (-1 is the last) among low .. n. */
static lb_status resolve_layer(int64_t *out, int64_t layer, int64_t low, int64_t n, const char *key,
                               const char *path, lb_error *err) {
  *out = layer < 0 ? layer + n + 1 : layer;
  if (*out >= low && *out <= n) return LB_OK;
  return lb__fail(err, LB_E_ARG, "distill.%s: %lld: %s has layers %lld to %lld (-1 is the last)",
                  key, (long long)layer, path, (long long)low, (long long)n);
}

static int64_t at_same_depth(int64_t layer, int64_t n, int64_t of) {
  return llround((double)layer * (double)of / (double)n);
}

static lb_status resolve_pair(lb__method *m, size_t i, int64_t student_layer,
                              const int64_t *teacher_layer, lb_error *err) {
  const lb_model_info *s = lb_model_get_info(m->student);
  const lb_model_info *t = lb_model_get_info(lb__teacher_model(m->teacher));
  bool attention = m->recipe->distill.type == LB__DISTILL_ATTENTION;
  int64_t low = attention ? 1 : 0, from, to;
  lb_status st =
      resolve_layer(&from, student_layer, low, s->n_layers, "hidden_layers", s->path, err);
  if (st != LB_OK) return st;
  to = at_same_depth(from, s->n_layers, t->n_layers);
  if (teacher_layer != NULL)
    st = resolve_layer(&to, *teacher_layer, low, t->n_layers, "teacher_layers", t->path, err);
  if (to < low) to = low;
  if (attention) { /* the attention of layer n, counted from 1 */
    m->student_taps.attention_layers[i] = from - 1;
    m->teacher_taps.attention_layers[i] = to - 1;
  } else {
    m->student_taps.hidden_layers[i] = from;
    m->teacher_taps.hidden_layers[i] = to;
  }
  return st;
}

static lb_status resolve_layers(lb__method *m, lb_error *err) {
  static const int64_t last = -1;
  const lb__int_list *mine = &m->recipe->distill.hidden_layers;
  const lb__int_list *theirs = &m->recipe->distill.teacher_layers;
  size_t n = mine->n > 0 ? mine->n : 1;
  if (!has_extra(m)) return LB_OK;
  if (n > LB__TAPS_MAX)
    return lb__fail(err, LB_E_ARG, "distill.hidden_layers: %zu layers, at most %d are compared", n,
                    LB__TAPS_MAX);
  if (theirs->n > 0 && theirs->n != n)
    return lb__fail(err, LB_E_ARG,
                    "distill.teacher_layers: %zu layers for %zu of the student; want as many",
                    theirs->n, n);
  m->n_pairs = n;
  lb_status st = LB_OK;
  for (size_t i = 0; i < n && st == LB_OK; i++)
    st = resolve_pair(m, i, mine->n > 0 ? mine->items[i] : last,
                      theirs->n > 0 ? &theirs->items[i] : NULL, err);
  bool attention = m->recipe->distill.type == LB__DISTILL_ATTENTION;
  m->student_taps.n_attention = m->teacher_taps.n_attention = attention ? n : 0;
  m->student_taps.n_hidden = m->teacher_taps.n_hidden = attention ? 0 : n;
  return st;
}

/* ---- relation heads ---- */

static bool divides_all(int64_t heads, const int64_t widths[4]) {
  for (int i = 0; i < 4; i++)
    if (widths[i] % heads != 0) return false;
  return true;
}

/* Queries and keys of both models are cut into the same number of heads. */
static lb_status choose_relation_heads(lb__method *m, lb_error *err) {
  const lb_model_info *s = lb_model_get_info(m->student);
  const lb_model_info *t = lb_model_get_info(lb__teacher_model(m->teacher));
  const int64_t widths[4] = {s->n_heads * s->head_dim, s->n_kv_heads * s->head_dim,
                             t->n_heads * t->head_dim, t->n_kv_heads * t->head_dim};
  int64_t wanted = m->recipe->distill.relation_heads, best = 1;
  for (int64_t heads = 1; heads <= HEADS_AT_MOST; heads++)
    if (divides_all(heads, widths)) best = heads;
  m->relation_heads = wanted > 0 ? wanted : best;
  if (divides_all(m->relation_heads, widths)) return LB_OK;
  return lb__fail(
      err, LB_E_ARG,
      "distill.relation_heads: %lld does not divide the widths of queries and keys, %lld "
      "and %lld of the student, %lld and %lld of the teacher; %lld does",
      (long long)wanted, (long long)widths[0], (long long)widths[1], (long long)widths[2],
      (long long)widths[3], (long long)best);
}

/* ---- making it ---- */

static void set_head_terms(lb__method *m) {
  const lb_recipe *r = m->recipe;
  double T = r->distill.temperature;
  double alpha = m->teacher != NULL ? r->distill.alpha : 0.0;
  m->terms[TERM_CE] = (lb__divergence_term){.kind = LB__DIVERGENCE_cross_entropy,
                                            .coefficient = 1.0 - alpha,
                                            .temperature = 1.0,
                                            .factor = 1.0};
  m->terms[TERM_KD] = (lb__divergence_term){.kind = LB__DIVERGENCE_forward_kl,
                                            .coefficient = alpha,
                                            .temperature = T,
                                            .factor = r->distill.t_squared ? T * T : 1.0};
  m->n_head_terms = m->teacher != NULL ? 2 : 1;
}

static lb_status make_projectors(lb__method *m, lb_dtype real, lb_error *err) {
  if (!has_extra(m) || m->recipe->distill.type != LB__DISTILL_HIDDEN) return LB_OK;
  int64_t from = lb_model_get_info(m->student)->hidden_size;
  int64_t to = lb_model_get_info(lb__teacher_model(m->teacher))->hidden_size;
  if (from == to) return LB_OK;
  return lb__projectors_init(&m->projectors, m->n_pairs, from, to, real,
                             (uint64_t)m->recipe->train.seed, err);
}

static lb_status list_parameters(lb__method *m, lb_error *err) {
  size_t n;
  const lb__parameter *own = lb__model_parameters(m->student, &n);
  m->n_parameters = n + 2 * m->projectors.n;
  m->parameters = lb__new_array(m->n_parameters, sizeof *m->parameters);
  if (m->parameters == NULL) return lb__fail_nomem(err, "the list of parameters");
  memcpy(m->parameters, own, n * sizeof *own);
  if (m->projectors.n > 0)
    memcpy(m->parameters + n, m->projectors.parameters, 2 * m->projectors.n * sizeof *own);
  return LB_OK;
}

lb_status lb__method_new(lb__method **out, const lb_recipe *recipe, lb_model *student,
                         lb__teacher *teacher, int64_t vocab, lb_dtype real, lb_error *err) {
  *out = NULL;
  lb__method *m = lb__new(sizeof *m);
  if (m == NULL) return lb__fail_nomem(err, "an objective");
  m->recipe = recipe;
  m->student = student;
  m->teacher = teacher;
  m->vocab = vocab;
  m->recomputes = recipe->train.gradient_checkpointing == LB__CHECKPOINTING_ON;
  lb__model_stream_init(&m->stream, student);
  set_head_terms(m);
  lb_status st = resolve_layers(m, err);
  if (st == LB_OK && has_extra(m) && recipe->distill.type == LB__DISTILL_ATTENTION)
    st = choose_relation_heads(m, err);
  if (st == LB_OK) st = make_projectors(m, real, err);
  if (st == LB_OK) st = list_parameters(m, err);
  if (st != LB_OK) {
    lb__method_free(m);
    return st;
  }
  *out = m;
  return LB_OK;
}

bool lb__learns_from_teacher(const lb__setup *s) {
  const lb_recipe *r = s->recipe;
  return s->teacher != NULL && (r->distill.alpha > 0.0 || r->distill.type != LB__DISTILL_LOGITS);
}

lb_status lb__method_of(lb__method **out, const lb__setup *s, lb_error *err) {
  lb__teacher *teacher = lb__learns_from_teacher(s) ? s->teacher : NULL;
  lb_status st = lb__method_new(out, s->recipe, s->student, teacher, s->vocab, LB_DTYPE_F32, err);
  if (st == LB_OK) (*out)->recomputes = s->recomputes;
  return st;
}

void lb__method_free(lb__method *m) {
  if (m == NULL) return;
  lb__stream_deinit(&m->stream);
  lb__projectors_deinit(&m->projectors);
  lb__free(m->parameters);
  lb__free(m);
}

const lb__parameter *lb__method_parameters(const lb__method *m, size_t *n) {
  *n = m->n_parameters;
  return m->parameters;
}

void lb__method_set_figures(lb__method *m, const lb__figures *figures) {
  m->figures = figures;
}

lb__stream *lb__method_stream(lb__method *m) {
  return &m->stream;
}

/* ---- one micro-batch ---- */

/* The trained rows of a batch. */
typedef struct rows {
  int64_t n;
  int32_t *index, *targets; /* [n], in the student's arena */
  float *weights;           /* [n] or NULL */
} rows;

static lb_status find_rows(rows *r, lb__method *m, const lb__micro_batch *b, lb_error *err) {
  lb__arena *a = &m->stream.arena;
  *r = (rows){0};
  r->index = lb__arena_new(a, (size_t)b->n_trained, sizeof *r->index);
  r->targets = lb__arena_new(a, (size_t)b->n_trained, sizeof *r->targets);
  if (b->weights != NULL) r->weights = lb__arena_new(a, (size_t)b->n_trained, sizeof *r->weights);
  if (r->index == NULL || r->targets == NULL || (b->weights != NULL && r->weights == NULL))
    return lb__fail_nomem(err, "the rows of a step");
  for (int64_t i = 0; i < b->n_tokens; i++) {
    if (b->targets[i] == LB__NOT_TRAINED) continue;
    LB_ASSERT(r->n < b->n_trained);
    r->index[r->n] = (int32_t)i;
    r->targets[r->n] = b->targets[i];
    if (r->weights != NULL) r->weights[r->n] = b->weights[i];
    r->n++;
  }
  return LB_OK;
}

static lb_status stream_weights(lb_tensor **out, lb__stream *s, const rows *r, lb_error *err) {
  *out = NULL;
  if (r->weights == NULL) return LB_OK;
  lb_status st = lb__stream_tensor(out, s, LB_DTYPE_F32, 1, &r->n, err);
  return st == LB_OK ? lb__tensor_write(*out, 0, r->weights, (*out)->size_bytes, err) : st;
}

typedef struct micro { /* everything one pass needs */
  lb__method *m;
  const lb__micro_batch *batch;
  const lb__step_context *step;
  lb__loss_sums *sums;
  lb__batch tokens; /* recomputed layers look at it again in backward */
  rows rows;
  lb__head_side teacher; /* of all tokens */
  lb_error *err;
} micro;

static lb_status run_head(micro *u, const lb_tensor *hidden) {
  lb__method *m = u->m;
  lb__stream *s = &m->stream;
  lb_tensor *mine, *theirs, *targets, *weights;
  lb__head_side student = {.compute = s->compute}, teacher = u->teacher;
  student.weight = lb__model_head(m->student, &student.softcap);
  lb_status st = lb__model_pick(&mine, s, hidden, u->rows.index, u->rows.n, u->err);
  if (st == LB_OK) st = lb__stream_i32(&targets, s, u->rows.targets, u->rows.n, u->err);
  if (st == LB_OK) st = stream_weights(&weights, s, &u->rows, u->err);
  if (st == LB_OK && m->teacher != NULL)
    st = lb__model_pick(&theirs, lb__teacher_stream(m->teacher), teacher.hidden, u->rows.index,
                        u->rows.n, u->err);
  if (st != LB_OK) return st;
  student.hidden = mine;
  if (m->teacher != NULL) teacher.hidden = theirs;
  lb__fused_head_sums sums = {0};
  lb__fused_head_args args = {.student = student,
                              .teacher = m->teacher != NULL ? &teacher : NULL,
                              .targets = targets,
                              .weights = weights,
                              .vocab = m->vocab,
                              .terms = m->terms,
                              .n_terms = m->n_head_terms,
                              .scale = 1.0 / (double)u->step->n_trained};
  st = lb__fused_head(s, &sums, &args, u->err);
  for (size_t i = 0; i < m->n_head_terms && st == LB_OK; i++) {
    double term = sums.terms[i] / (double)u->step->n_trained;
    u->sums->terms[i] += term;
    u->sums->loss += m->terms[i].coefficient * term;
  }
  return st;
}

static void add_extra(micro *u, double sum, double normaliser) {
  double term = sum / normaliser;
  u->sums->terms[TERM_EXTRA] += term;
  u->sums->loss += u->m->recipe->distill.beta * term;
}

/* Mean squared difference of the trained rows of one pair of hidden states. */
static lb_status run_hidden(micro *u, size_t pair) {
  lb__method *m = u->m;
  lb__stream *s = &m->stream;
  lb_tensor *x, *target;
  double sum = 0.0, normaliser = (double)u->step->n_trained * (double)m->n_pairs;
  lb_status st =
      lb__model_pick(&x, s, m->student_taps.hidden[pair], u->rows.index, u->rows.n, u->err);
  if (st == LB_OK)
    st = lb__model_pick(&target, lb__teacher_stream(m->teacher), m->teacher_taps.hidden[pair],
                        u->rows.index, u->rows.n, u->err);
  if (st == LB_OK && m->projectors.n > 0)
    st = lb__op_linear(s, &x, x, &m->projectors.weights[pair], &m->projectors.biases[pair], u->err);
  if (st == LB_OK)
    st = lb__op_mse(s, &sum, x, target, m->recipe->distill.beta / normaliser, u->err);
  add_extra(u, sum, normaliser);
  return st;
}

static lb_status join_heads(lb_tensor **out, lb__stream *s, const lb_tensor *x, lb_error *err) {
  return lb__op_reshape(s, out, x, 2, (int64_t[]){x->shape[0], x->shape[1] * x->shape[2]}, err);
}

/* Relations of queries, keys and values of one pair of layers, a third each. */
static lb_status run_attention(micro *u, size_t pair) {
  lb__method *m = u->m;
  lb__stream *s = &m->stream;
  const lb__taps *a = &m->student_taps, *b = &m->teacher_taps;
  const lb_tensor *mine[RELATIONS] = {a->q[pair], a->k[pair], a->v[pair]};
  const lb_tensor *theirs[RELATIONS] = {b->q[pair], b->k[pair], b->v[pair]};
  double normaliser = (double)u->step->n_tokens * (double)m->n_pairs * RELATIONS;
  lb_tensor *cu_seqlens;
  lb_status st = lb__stream_i32(&cu_seqlens, s, u->batch->doc_start, u->batch->n_docs + 1, u->err);
  for (int i = 0; i < RELATIONS && st == LB_OK; i++) {
    lb_tensor *x, *target;
    double sum = 0.0;
    st = join_heads(&x, s, mine[i], u->err);
    if (st == LB_OK) st = join_heads(&target, lb__teacher_stream(m->teacher), theirs[i], u->err);
    if (st == LB_OK)
      st = lb__op_relation(s, &sum, x, target, cu_seqlens, m->relation_heads,
                           m->recipe->distill.beta / normaliser, u->err);
    add_extra(u, sum, normaliser);
  }
  return st;
}

static lb_status run_extra(micro *u) {
  bool attention = u->m->recipe->distill.type == LB__DISTILL_ATTENTION;
  lb_status st = LB_OK;
  for (size_t i = 0; i < u->m->n_pairs && st == LB_OK; i++)
    st = attention ? run_attention(u, i) : run_hidden(u, i);
  return st;
}

static lb_status forward(micro *u, const lb__pass_options *options) {
  lb__method *m = u->m;
  lb_tensor *hidden;
  u->tokens = (lb__batch){.n_tokens = u->batch->n_tokens,
                          .n_docs = u->batch->n_docs,
                          .ids = u->batch->ids,
                          .positions = u->batch->positions,
                          .doc_start = u->batch->doc_start};
  lb__profile_enter(LB__PART_TEACHER);
  lb_status st = m->teacher == NULL ? LB_OK
                                    : lb__teacher_observe(&u->teacher, m->teacher, u->batch,
                                                          &m->teacher_taps, u->err);
  lb__profile_enter(LB__PART_STUDENT);
  if (st == LB_OK) st = find_rows(&u->rows, m, u->batch, u->err);
  if (st == LB_OK)
    st = lb__model_pass(&hidden, m->student, &m->stream, &u->tokens, options, u->err);
  lb__profile_enter(LB__PART_HEAD);
  if (st == LB_OK) st = run_head(u, hidden);
  lb__profile_enter(LB__PART_LOSSES);
  return st == LB_OK ? run_extra(u) : st;
}

/* A pass on a fresh arena; with `learn`, the tape is recorded and walked. */
static lb_status run_micro(lb__method *m, const lb__micro_batch *batch,
                           const lb__step_context *step, lb__loss_sums *sums, bool learn,
                           lb_error *err) {
  const lb_recipe *r = m->recipe;
  micro u = {.m = m, .batch = batch, .step = step, .sums = sums, .err = err};
  lb__pass_options options = {.taps = &m->student_taps,
                              .use_dropout = learn && r->distill.dropout != 0,
                              .dropout_seed = (uint64_t)r->train.seed,
                              .dropout_step = (uint64_t)step->step *
                                                  (uint64_t)r->train.gradient_accumulation_steps +
                                              (uint64_t)step->micro,
                              .gradient_checkpointing = learn && m->recomputes};
  if (batch->n_trained == 0) return LB_OK;
  lb__stream_reset(&m->stream);
  if (learn) lb__tape_begin(&m->tape, &m->stream);
  int part = lb__profile_enter(LB__PART_STUDENT);
  lb_status st = forward(&u, &options);
  lb__profile_enter(LB__PART_BACKWARD);
  if (learn && st == LB_OK) st = lb__tape_backward(&m->stream, err);
  lb__profile_enter(part);
  lb__tape_end(&m->stream);
  return st;
}

lb_status lb__method_loss(lb__method *m, const lb__micro_batch *batch, const lb__step_context *step,
                          lb__loss_sums *sums, lb_error *err) {
  return run_micro(m, batch, step, sums, false, err);
}

/* ---- the objective ---- */

static lb_status run(void *ctx, const lb__micro_batch *batch, const lb__step_context *step,
                     lb__loss_sums *sums, lb_error *err) {
  return run_micro(ctx, batch, step, sums, true, err);
}

static lb_status evaluate(void *ctx, lb_event *event, lb_error *err) {
  const lb__method *m = ctx;
  return lb__figures_event(event, m->figures, err);
}

static lb_status save(void *ctx, const char *folder, lb_error *err) {
  lb__method *m = ctx;
  lb_status st = lb__model_save_folder(m->student, folder, LB_DTYPE_F32, err);
  return st == LB_OK ? lb__projectors_save(&m->projectors, folder, err) : st;
}

static lb_status load(void *ctx, const char *folder, lb_error *err) {
  lb__method *m = ctx;
  lb_status st = lb__model_load_parameters(m->student, folder, err);
  return st == LB_OK ? lb__projectors_load(&m->projectors, folder, err) : st;
}

lb__objective lb__method_objective(lb__method *m) {
  static const char *const extra[] = {
      [LB__DISTILL_HIDDEN] = "hidden", [LB__DISTILL_ATTENTION] = "attention"};
  lb__objective o = {.ctx = m, .run = run, .save = save, .load = load};
  if (m->figures != NULL) o.evaluate = evaluate;
  o.term_names[o.n_terms++] = "ce";
  if (m->teacher != NULL) o.term_names[o.n_terms++] = "kd";
  if (has_extra(m)) o.term_names[o.n_terms++] = extra[m->recipe->distill.type];
  return o;
}

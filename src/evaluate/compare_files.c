/* compare_files.c - lb_compare: models given by their paths, on documents given by theirs.
 * Owns: opening them, calibration, the uncertainty of the difference, answers. What two models
 * think of each other's predictions is compare.c's. Read next: lb_compare at the end, then
 * measure_model. */
#include "auto_precision.h"
#include "compare.h"

#include "base/fail.h"
#include "data/batch.h"
#include "text/vocabulary_common.h"

#include <limbeck/comparison.h>
#include <limbeck/score.h>

#include <math.h>
#include <stdio.h>

enum { BINS = 15, GROUP_TOKENS = 2048, GROUP_DOCUMENTS = 64, SPEED_PROMPT = 16, SPEED_TOKENS = 32 };

const char *lb_compared_role_name(lb_compared_role role) {
  static const char *const names[] = {"teacher", "student", "baseline"};
  return role >= 0 && role < LB_N_COMPARED ? names[role] : "?";
}

lb_compare_options lb_compare_options_default(void) {
  return (lb_compare_options){
      .max_length = 1024, .max_new_tokens = 50, .how = lb_model_options_default()};
}

/* Of one model: what its own predictions say. */
typedef struct opinion {
  double *document_nll;        /* [n_documents] sums over measured tokens, nats */
  lb__document_kl document_kl; /* likewise; none of the teacher */
  int64_t bin_tokens[BINS], bin_right[BINS];
  double bin_probability[BINS];
} opinion;

/* The result, and what it owns. */
typedef struct box {
  lb_model_comparison found; /* the first member */
  char **answers[LB_N_COMPARED];
  size_t n_prompts;
} box;

typedef struct work {
  const lb_compare_options *o;
  lb_model *models[LB_N_COMPARED];
  lb_tokenizer *tokenizers[LB_N_COMPARED]; /* NULL: it has none */
  lb_chat_template *chat;
  lb__corpus *documents;
  int64_t *measured; /* [n_documents] tokens with a target */
  int64_t vocab;     /* true common size of all */
  opinion opinions[LB_N_COMPARED];
  uint64_t done, total; /* readings of a document by a model */
  box *out;
} work;

static lb_status phase(const work *w, const char *what, lb_compared_role role, lb_error *err) {
  char text[64];
  snprintf(text, sizeof text, "%s, %s", what, lb_compared_role_name(role));
  if (w->o->on_phase != NULL) w->o->on_phase(w->o->on_phase_ctx, text, w->done, w->total);
  return w->o->cancel != NULL && *w->o->cancel != 0
             ? lb__fail(err, LB_E_CANCELLED, "comparison: stopped")
             : LB_OK;
}

/* ---- opening ---- */

static lb_status open_model(work *w, lb_compared_role role, lb_error *err) {
  const char *path = w->o->models[role];
  const char *student = w->o->models[LB_COMPARED_STUDENT];
  lb__vocabulary_map *rows =
      NULL; /* of a student with a trimmed vocabulary, whose ids all then use */
  if (path == NULL) return LB_OK;
  lb_status st = phase(w, "opening", role, err);
  if (st == LB_OK && role != LB_COMPARED_STUDENT)
    st = lb__vocabulary_map_between(&rows, path, student, err);
  if (st == LB_OK) st = lb__model_open_with(&w->models[role], path, &w->o->how, rows, err);
  if (st == LB_OK) {
    const char *text = rows != NULL ? student : lb_model_get_info(w->models[role])->path;
    st = lb_tokenizer_open(&w->tokenizers[role], text, err);
    if (st == LB_E_IO) st = LB_OK; /* ids need none */
  }
  lb__vocabulary_map_free(rows);
  return st == LB_OK ? LB_OK : lb__fail_prefix(err, st, "%s", lb_compared_role_name(role));
}

/* The first ids that mean the same to all. */
static lb_status find_vocabulary(work *w, lb_error *err) {
  const lb_model *student = w->models[LB_COMPARED_STUDENT];
  int64_t rows = lb_model_get_info(student)->vocab_size;
  w->vocab = rows;
  for (lb_compared_role r = 0; r < LB_N_COMPARED; r++) {
    int64_t common;
    if (w->models[r] == NULL || r == LB_COMPARED_STUDENT) continue;
    lb_status st =
        lb__vocabulary_common(&common, w->tokenizers[r], w->tokenizers[LB_COMPARED_STUDENT],
                              lb_model_get_info(w->models[r])->vocab_size, rows, err);
    if (st != LB_OK) return lb__fail_prefix(err, st, "%s", lb_compared_role_name(r));
    if (common < w->vocab) w->vocab = common;
  }
  return LB_OK;
}

static int64_t shortest_context(const work *w) {
  int64_t least = w->o->max_length;
  for (lb_compared_role r = 0; r < LB_N_COMPARED; r++)
    if (w->models[r] != NULL && lb_model_get_info(w->models[r])->max_positions < least)
      least = lb_model_get_info(w->models[r])->max_positions;
  return least;
}

static lb_status open_documents(work *w, lb_error *err) {
  const char *student = lb_model_get_info(w->models[LB_COMPARED_STUDENT])->path;
  lb_error no_template = {0};
  lb__corpus_options o = lb__corpus_options_default();
  lb_status st = w->tokenizers[LB_COMPARED_STUDENT] != NULL
                     ? lb_chat_template_open(&w->chat, student, NULL, &no_template)
                     : LB_OK;
  if (st == LB_E_NOMEM) return lb__fail_nomem(err, "a chat template");
  o.paths = (const char **)w->o->data;
  o.n_paths = w->o->n_data;
  o.max_length = shortest_context(w);
  o.max_documents = w->o->max_documents;
  o.vocab_size = w->vocab;
  o.tokenizer = w->tokenizers[LB_COMPARED_STUDENT];
  o.chat_template = w->chat;
  o.cancel = w->o->cancel;
  st = lb__corpus_open(&w->documents, &o, err);
  if (st != LB_OK) return st;
  int64_t n = lb__corpus_n_documents(w->documents);
  w->measured = lb__new_array((size_t)n, sizeof *w->measured);
  if (w->measured == NULL) return lb__fail_nomem(err, "documents");
  for (int64_t i = 0; i < n; i++) w->measured[i] = lb__corpus_document(w->documents, i).n_trained;
  for (lb_compared_role r = 0; r < LB_N_COMPARED; r++) /* by itself, and beside the teacher */
    if (w->models[r] != NULL) w->total += (uint64_t)n * (r == LB_COMPARED_TEACHER ? 1 : 2);
  w->out->found.cut = lb__corpus_get_facts(w->documents)->n_truncated;
  return LB_OK;
}

/* ---- what a model thinks by itself ---- */

static void add_row(opinion *o, int64_t document, const lb__document_view *d,
                    const lb_score_row *row) {
  for (int64_t t = 0; t < d->n; t++) {
    if (d->targets[t] == LB__NOT_TRAINED || t + 1 >= d->n) continue;
    double p = exp((double)row->top_logprobs[t * row->top_k]);
    int bin = (int)(p * BINS);
    if (bin >= BINS) bin = BINS - 1;
    o->document_nll[document] -= (double)row->logprobs[t + 1];
    o->bin_tokens[bin]++;
    o->bin_right[bin] += row->argmax[t] == d->targets[t];
    o->bin_probability[bin] += p;
  }
}

/* Documents from `first` on, as many as make a group; *first moves behind them. */
static lb_status read_group(work *w, lb_compared_role role, int64_t *first, lb_error *err) {
  lb_prompt prompts[GROUP_DOCUMENTS];
  lb_score_options o = {.top_k = 1};
  lb_scores *scores;
  size_t n = 0, n_tokens = 0;
  int64_t all = lb__corpus_n_documents(w->documents), begin = *first;
  while (*first < all && n < GROUP_DOCUMENTS && n_tokens < GROUP_TOKENS) {
    lb__document_view d = lb__corpus_document(w->documents, (*first)++);
    prompts[n++] = (lb_prompt){d.ids, (size_t)d.n};
    n_tokens += (size_t)d.n;
  }
  lb_status st = lb_score(&scores, w->models[role], prompts, n, &o, err);
  if (st != LB_OK) return lb__fail_prefix(err, st, "%s", lb_compared_role_name(role));
  for (size_t i = 0; i < n; i++) {
    lb__document_view d = lb__corpus_document(w->documents, begin + (int64_t)i);
    add_row(&w->opinions[role], begin + (int64_t)i, &d, lb_scores_get(scores, i));
  }
  lb_scores_free(scores);
  w->done += n;
  return LB_OK;
}

static void fill_calibration(lb_compared *out, const opinion *o) {
  double error = 0.0, right = 0.0, all = 0.0;
  for (int b = 0; b < BINS; b++) {
    error += fabs((double)o->bin_right[b] - o->bin_probability[b]);
    right += (double)o->bin_right[b];
    all += (double)o->bin_tokens[b];
  }
  out->calibration_error = all > 0 ? error / all : NAN;
  out->accuracy = all > 0 ? right / all : NAN;
}

static lb_status ask_opinion(work *w, lb_compared_role role, lb_error *err) {
  int64_t all = lb__corpus_n_documents(w->documents);
  opinion *o = &w->opinions[role];
  o->document_nll = lb__new_array((size_t)all, sizeof *o->document_nll);
  if (o->document_nll == NULL) return lb__fail_nomem(err, "figures of documents");
  lb_status st = LB_OK;
  for (int64_t first = 0; first < all && st == LB_OK;) {
    st = phase(w, "reading documents", role, err);
    if (st == LB_OK) st = read_group(w, role, &first, err);
  }
  if (st == LB_OK) fill_calibration(&w->out->found.models[role], o);
  return st;
}

/* ---- beside the teacher ---- */

static void fill_from(lb_compared *out, const lb__side_figures *side) {
  out->perplexity = side->perplexity;
  out->read_rate = side->tokens_per_second;
}

static lb_status beside_teacher(work *w, lb_compared_role role, lb_error *err) {
  lb__comparison c;
  lb_model_comparison *found = &w->out->found;
  lb_compared *it = &found->models[role];
  lb_status st = phase(w, "comparing", role, err);
  if (st != LB_OK) return st;
  size_t n = (size_t)lb__corpus_n_documents(w->documents);
  lb__document_kl *kl = &w->opinions[role].document_kl;
  kl->forward = lb__new_array(n, sizeof *kl->forward);
  kl->reverse = lb__new_array(n, sizeof *kl->reverse);
  if (kl->forward == NULL || kl->reverse == NULL)
    return lb__fail_nomem(err, "figures of documents");
  st = lb__compare_models(&c, kl, w->models[LB_COMPARED_TEACHER], w->models[role], w->documents,
                          w->vocab, w->o->cancel, err);
  if (st != LB_OK) return st;
  w->done += (uint64_t)lb__corpus_n_documents(w->documents);
  fill_from(it, &c.student);
  it->forward_kl = c.forward_kl;
  it->reverse_kl = c.reverse_kl;
  it->agreement = c.agreement;
  found->documents = c.n_documents;
  found->tokens = c.n_tokens;
  found->measured = c.n_measured;
  if (role == LB_COMPARED_STUDENT && w->models[LB_COMPARED_TEACHER] != NULL)
    fill_from(&found->models[LB_COMPARED_TEACHER], &c.teacher);
  return LB_OK;
}

/* ---- writing ---- */

static lb_status generate(lb_generation **g, const work *w, lb_compared_role role,
                          const lb_prompt *prompt, int64_t n_tokens, lb_error *err) {
  lb_generate_options o = lb_generate_options_default();
  o.max_new_tokens = n_tokens;
  o.cancel = w->o->cancel;
  return lb_generate(g, w->models[role], w->tokenizers[role], prompt, 1, &o, err);
}

static lb_status measure_writing(work *w, lb_compared_role role, lb_error *err) {
  lb__document_view d = lb__corpus_document(w->documents, 0);
  int64_t room = lb_model_get_info(w->models[role])->max_positions - SPEED_TOKENS;
  int64_t n = d.n < SPEED_PROMPT ? d.n : SPEED_PROMPT;
  w->out->found.models[role].write_rate = NAN;
  if (n > room) return LB_OK; /* its context is too short to be timed */
  lb_generate_options o = lb_generate_options_default();
  lb_generation *g;
  lb_prompt prompt = {d.ids, (size_t)n};
  o.max_new_tokens = SPEED_TOKENS;
  o.ignore_eos = true;
  o.cancel = w->o->cancel;
  lb_status st = lb_generate(&g, w->models[role], NULL, &prompt, 1, &o, err);
  if (st != LB_OK) return st;
  lb_generation_times t = lb_generation_get_times(g);
  if (t.generate_ns > 0)
    w->out->found.models[role].write_rate = 1e9 * (double)t.new_tokens / (double)t.generate_ns;
  lb_generation_free(g);
  return LB_OK;
}

static lb_status answer(char **out, work *w, lb_compared_role role, const char *text,
                        lb_error *err) {
  int32_t *ids;
  size_t n;
  lb_generation *g = NULL;
  lb_status st = lb_tokenizer_encode(w->tokenizers[role], text, strlen(text), NULL, &ids, &n, err);
  if (st != LB_OK) return lb__fail_prefix(err, st, "prompt");
  lb_prompt prompt = {ids, n};
  st = generate(&g, w, role, &prompt, w->o->max_new_tokens, err);
  lb_ids_free(ids);
  if (st != LB_OK) return lb__fail_prefix(err, st, "prompt, %s", lb_compared_role_name(role));
  const lb_sequence *s = lb_generation_sequence(g, 0, 0);
  *out = lb__strndup(s->text, s->text_size);
  lb_generation_free(g);
  return *out != NULL ? LB_OK : lb__fail_nomem(err, "an answer");
}

static lb_status answer_all(work *w, lb_compared_role role, lb_error *err) {
  size_t n = w->o->n_prompts;
  if (n == 0) return LB_OK;
  if (w->tokenizers[role] == NULL)
    return lb__fail(err, LB_E_ARG, "%s: prompts need a tokenizer, and it has none",
                    lb_compared_role_name(role));
  char **answers = w->out->answers[role] = lb__new_array(n, sizeof *answers);
  if (answers == NULL) return lb__fail_nomem(err, "answers");
  lb_status st = LB_OK;
  for (size_t i = 0; i < n && st == LB_OK; i++) {
    st = phase(w, "answering", role, err);
    if (st == LB_OK) st = answer(&answers[i], w, role, w->o->prompts[i], err);
  }
  w->out->found.models[role].answers = (const char *const *)answers;
  return st;
}

/* ---- all of it ---- */

static lb_status measure_model(work *w, lb_compared_role role, lb_error *err) {
  lb_compared *it = &w->out->found.models[role];
  *it = (lb_compared){.perplexity = NAN,
                      .forward_kl = NAN,
                      .reverse_kl = NAN,
                      .forward_kl_error = NAN,
                      .reverse_kl_error = NAN,
                      .agreement = NAN,
                      .accuracy = NAN,
                      .calibration_error = NAN,
                      .read_rate = NAN,
                      .write_rate = NAN};
  if (w->models[role] == NULL) return LB_OK;
  const lb_model_info *info = lb_model_get_info(w->models[role]);
  it->is_there = true;
  it->parameters = info->n_parameters;
  it->size_bytes = info->weight_bytes;
  lb_status st = ask_opinion(w, role, err);
  if (st == LB_OK && role != LB_COMPARED_TEACHER) st = beside_teacher(w, role, err);
  if (st == LB_OK) st = measure_writing(w, role, err);
  return st == LB_OK ? answer_all(w, role, err) : st;
}

/* ---- uncertainty ---- */

typedef struct ratio {
  double mean, error; /* of a token; the error NaN with fewer than two documents */
} ratio;

/* Documents are the sample, tokens their sizes: R = sum d / sum n, var = K/(K-1) sum (d - R n)^2 /
 * (sum n)^2. Of each document d is `of`, less `minus` where that is not NULL. */
static ratio ratio_of(const work *w, const double *of, const double *minus) {
  int64_t documents = lb__corpus_n_documents(w->documents);
  double tokens = 0.0, sum = 0.0, squares = 0.0, k = (double)documents;
  for (int64_t i = 0; i < documents; i++) {
    tokens += (double)w->measured[i];
    sum += of[i] - (minus != NULL ? minus[i] : 0.0);
  }
  double mean = sum / tokens;
  for (int64_t i = 0; i < documents; i++) {
    double rest = of[i] - (minus != NULL ? minus[i] : 0.0) - mean * (double)w->measured[i];
    squares += rest * rest;
  }
  return (ratio){mean, documents > 1 ? sqrt(squares * k / (k - 1.0)) / tokens : NAN};
}

static void fill_kl_errors(work *w) {
  for (lb_compared_role r = LB_COMPARED_STUDENT; r < LB_N_COMPARED; r++) {
    lb_compared *it = &w->out->found.models[r];
    if (!it->is_there) continue;
    it->forward_kl_error = ratio_of(w, w->opinions[r].document_kl.forward, NULL).error;
    it->reverse_kl_error = ratio_of(w, w->opinions[r].document_kl.reverse, NULL).error;
  }
}

static void fill_gains(work *w) {
  lb_model_comparison *found = &w->out->found;
  const opinion *student = &w->opinions[LB_COMPARED_STUDENT],
                *baseline = &w->opinions[LB_COMPARED_BASELINE];
  ratio ce = {NAN, NAN}, forward = ce, reverse = ce;
  if (w->models[LB_COMPARED_BASELINE] != NULL) {
    ce = ratio_of(w, baseline->document_nll, student->document_nll);
    forward = ratio_of(w, baseline->document_kl.forward, student->document_kl.forward);
    reverse = ratio_of(w, baseline->document_kl.reverse, student->document_kl.reverse);
  }
  found->gain = ce.mean;
  found->gain_error = ce.error;
  found->forward_kl_gain = forward.mean;
  found->forward_kl_gain_error = forward.error;
  found->reverse_kl_gain = reverse.mean;
  found->reverse_kl_gain_error = reverse.error;
}

static lb_status check_options(const lb_compare_options *o, lb_error *err) {
  const char *const *m = o->models;
  if (m[LB_COMPARED_STUDENT] == NULL) return lb__fail(err, LB_E_ARG, "compare: want a student");
  if (m[LB_COMPARED_TEACHER] == NULL && m[LB_COMPARED_BASELINE] == NULL)
    return lb__fail(err, LB_E_ARG, "compare: want a teacher or a baseline beside the student");
  if (o->n_data == 0)
    return lb__fail(err, LB_E_ARG, "compare: want documents to measure on: files or folders");
  if (o->max_length < 2)
    return lb__fail(err, LB_E_ARG, "max_length: want 2 or more, found %lld",
                    (long long)o->max_length);
  return LB_OK;
}

static void work_deinit(work *w) {
  for (lb_compared_role r = 0; r < LB_N_COMPARED; r++) {
    lb__free(w->opinions[r].document_nll);
    lb__free(w->opinions[r].document_kl.forward);
    lb__free(w->opinions[r].document_kl.reverse);
    lb_tokenizer_free(w->tokenizers[r]);
    lb_model_free(w->models[r]);
  }
  lb_chat_template_free(w->chat);
  lb__corpus_free(w->documents);
  lb__free(w->measured);
}

lb_status lb_compare(lb_model_comparison **out, const lb_compare_options *options, lb_error *err) {
  /* The teacher's figures come with the student's: student first, then what it may overwrite. */
  static const lb_compared_role order[] = {LB_COMPARED_TEACHER, LB_COMPARED_STUDENT,
                                           LB_COMPARED_BASELINE};
  work w = {.o = options};
  *out = NULL;
  lb_status st = check_options(options, err);
  if (st != LB_OK) return st;
  w.out = lb__new(sizeof *w.out);
  if (w.out == NULL) return lb__fail_nomem(err, "a comparison");
  w.out->n_prompts = options->n_prompts;
  for (size_t i = 0; i < LB_N_COMPARED && st == LB_OK; i++) st = open_model(&w, order[i], err);
  if (st == LB_OK) st = find_vocabulary(&w, err);
  if (st == LB_OK) st = open_documents(&w, err);
  for (size_t i = 0; i < LB_N_COMPARED && st == LB_OK; i++) st = measure_model(&w, order[i], err);
  if (st == LB_OK) fill_kl_errors(&w);
  if (st == LB_OK) fill_gains(&w);
  work_deinit(&w);
  if (st == LB_OK)
    *out = &w.out->found;
  else
    lb_model_comparison_free(&w.out->found);
  return st;
}

void lb_model_comparison_free(lb_model_comparison *comparison) {
  box *b = (box *)comparison;
  if (b == NULL) return;
  for (size_t r = 0; r < LB_N_COMPARED; r++) {
    for (size_t i = 0; b->answers[r] != NULL && i < b->n_prompts; i++) lb__free(b->answers[r][i]);
    lb__free(b->answers[r]);
  }
  lb__free(b);
}

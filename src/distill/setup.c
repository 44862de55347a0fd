/* setup.c - see setup.h. */
#include "setup.h"
#include "plan_memory.h"
#include "teacher_precision.h"

#include "base/fail.h"
#include "base/log.h"
#include "base/system_memory.h"
#include "text/vocabulary_common.h"

static const lb_distill_options no_options = {0};

bool lb__recipe_has_teacher(const lb_recipe *r) {
  return r->teacher != NULL && strcmp(r->teacher, "none") != 0;
}

void lb__setup_phase(const lb__setup *s, const char *what, uint64_t done, uint64_t total) {
  if (s->options->on_phase != NULL)
    s->options->on_phase(s->options->on_phase_ctx, what, done, total);
}

bool lb__setup_is_cancelled(const lb__setup *s) {
  return s->options->cancel != NULL && *s->options->cancel != 0;
}

void lb__setup_close(lb__setup *s) {
  lb__loader_free(s->loader);
  lb__corpus_free(s->held_out);
  lb__corpus_free(s->corpus);
  lb_chat_template_free(s->chat);
  lb_tokenizer_free(s->tokenizer);
  lb_model_free(s->student);
  lb__student_close(&s->source);
  lb__teacher_free(s->teacher);
  *s = (lb__setup){0};
}

/* ---- models ---- */

static lb_status open_models(lb__setup *s, const lb__setup_options *how, lb_error *err) {
  const lb_recipe *r = s->recipe;
  lb__trainable_options student = {.real = how->real,
                                   .precision = (lb_precision)r->train.precision};
  lb__student_options making = {
      .keep = how->keep_student, .will_train = !how->only_look, .cancel = s->options->cancel};
  if (lb__student_is_made(r)) lb__setup_phase(s, "making the student", 0, 0);
  lb_status st = lb__student_open(&s->source, s->recipe, &making, err);
  if (st == LB_OK && lb__recipe_has_teacher(r)) {
    lb__setup_phase(s, "opening the teacher", 0, 0);
    st = lb__teacher_open(&s->teacher, r->teacher, s->source.path,
                          (lb_precision)r->distill.teacher_precision, how->real, err);
  }
  if (st != LB_OK) return st;
  lb__setup_phase(s, "opening the student", 0, 0);
  st = how->only_look ? lb_model_open(&s->student, s->source.path, NULL, err)
                      : lb__model_open_trainable(&s->student, s->source.path, &student, err);
  return st == LB_OK ? LB_OK : lb__fail_prefix(err, st, "student");
}

/* ---- text ---- */

static const char *path_of(const lb_model *m) {
  return lb_model_get_info(m)->path;
}

/* A model without a tokenizer is fine as long as nobody needs one. */
static lb_status open_tokenizer(lb_tokenizer **out, const lb_model *m, lb_error *err) {
  lb_status st = lb_tokenizer_open(out, path_of(m), err);
  return st == LB_E_IO ? LB_OK : st;
}

/* The teacher was cut to the student's tokens: both have those, and the ids are the student's. */
static lb_status take_students(lb__setup *s, int64_t rows, lb_error *err) {
  const lb__vocabulary_map *cut = lb__teacher_rows(s->teacher);
  lb__log(LB_LOG_NOTE,
          "the teacher's vocabulary is cut to the student's: %lld of %lld tokens "
          "(" LB__VOCABULARY_MAP_FILE ")",
          (long long)cut->n, (long long)cut->source_tokens);
  return lb__vocabulary_common(&s->vocab, s->tokenizer, s->tokenizer, cut->n, rows, err);
}

static lb_status find_vocabulary(lb__setup *s, lb_error *err) {
  lb_tokenizer *teachers = NULL;
  int64_t rows = lb_model_get_info(s->student)->vocab_size, teacher_rows = rows;
  lb_status st = open_tokenizer(&s->tokenizer, s->student, err);
  if (st != LB_OK) return lb__fail_prefix(err, st, "student");
  if (s->teacher != NULL && lb__teacher_rows(s->teacher) != NULL)
    return take_students(s, rows, err);
  if (s->teacher != NULL) {
    lb_model *teacher = lb__teacher_model(s->teacher);
    teacher_rows = lb_model_get_info(teacher)->vocab_size;
    st = open_tokenizer(&teachers, teacher, err);
    if (st != LB_OK) return lb__fail_prefix(err, st, "teacher");
  }
  st = lb__vocabulary_common(&s->vocab, teachers, s->tokenizer, teacher_rows, rows, err);
  s->is_teachers_tokenizer = s->tokenizer == NULL && teachers != NULL;
  if (s->is_teachers_tokenizer)
    s->tokenizer = teachers;
  else
    lb_tokenizer_free(teachers);
  return st;
}

/* Whose tokenizer it is. */
static const lb_model *with_text(const lb__setup *s) {
  return s->is_teachers_tokenizer ? lb__teacher_model(s->teacher) : s->student;
}

/* The model's own template, unless the recipe names one; that none is there shows later, when a
 * conversation needs it. */
lb_status lb__setup_open_template(lb__setup *s, const char *model, lb_error *err) {
  const char *name = s->recipe->data.chat_template;
  lb_error why = {0};
  if (s->tokenizer == NULL) return LB_OK;
  lb_status st = lb_chat_template_open(&s->chat, model, name, name != NULL ? err : &why);
  if (st == LB_OK || name != NULL) return st;
  if (st == LB_E_NOMEM) return lb__fail_nomem(err, "a chat template");
  lb__log(LB_LOG_DEBUG, "no chat template: %s", why.message);
  return LB_OK;
}

/* ---- documents ---- */

static void on_read(void *ctx, uint64_t done, uint64_t total, int64_t n_documents) {
  (void)n_documents;
  lb__setup_phase(ctx, "reading data", done, total);
}

lb__corpus_options lb__setup_corpus_options(lb__setup *s, const lb__text_list *paths) {
  const lb_recipe *r = s->recipe;
  lb__corpus_options o = lb__corpus_options_default();
  o.paths = paths->items;
  o.n_paths = paths->n;
  o.format = (lb__data_format)r->data.format;
  o.train_on = (lb__train_on)r->data.train_on;
  o.text_field = r->data.text_field;
  o.messages_field = r->data.messages_field;
  o.append_eos = r->data.append_eos;
  o.max_length = r->data.max_length;
  o.vocab_size = s->vocab;
  o.tokenizer = s->tokenizer;
  o.chat_template = s->chat;
  o.cancel = s->options->cancel;
  o.on_progress = on_read;
  o.on_progress_ctx = s;
  return o;
}

/* Both contexts bound a document; more than the model has seen is refused rather than cut in
 * silence. */
static lb_status check_lengths(const lb__setup *s, lb_error *err) {
  const lb_model *models[2] = {s->student, s->teacher ? lb__teacher_model(s->teacher) : NULL};
  for (int i = 0; i < 2 && models[i] != NULL; i++) {
    int64_t context = lb_model_get_info(models[i])->max_positions;
    if (s->recipe->data.max_length > context)
      return lb__fail(
          err, LB_E_ARG,
          "data.max_length is %lld, but the %s has %lld positions; set max_length to at "
          "most that",
          (long long)s->recipe->data.max_length, i == 0 ? "student" : "teacher",
          (long long)context);
  }
  return LB_OK;
}

static lb_status open_corpora(lb__setup *s, const lb__setup_options *how, lb_error *err) {
  const lb_recipe *r = s->recipe;
  if (r->data.train.n == 0)
    return lb__fail(err, LB_E_ARG,
                    "%s: data.train names no file; want a .jsonl or .txt file, or a "
                    "folder of them",
                    r->source);
  lb_status st = check_lengths(s, err);
  if (st != LB_OK) return st;
  lb__corpus_options o = lb__setup_corpus_options(s, &r->data.train);
  o.max_documents = how->max_documents > 0 ? how->max_documents : r->data.max_documents;
  o.cache_path = how->token_file;
  st = lb__corpus_open(&s->corpus, &o, err);
  if (st != LB_OK) return st;
  if (r->data.eval.n > 0) {
    o = lb__setup_corpus_options(s, &r->data.eval);
    o.max_documents = how->max_documents;
    o.cache_path = how->token_file; /* the other one's name is free again: it is mapped */
    return lb__corpus_open(&s->held_out, &o, err);
  }
  if (r->data.eval_fraction > 0.0)
    return lb__corpus_split(&s->held_out, s->corpus, r->data.eval_fraction, (uint64_t)r->train.seed,
                            err);
  return LB_OK;
}

static lb_status open_loader(lb__setup *s, lb_error *err) {
  const lb_recipe *r = s->recipe;
  lb__loader_options o = {
      .max_length = r->data.max_length,
      .per_device_train_batch_size = r->train.per_device_train_batch_size,
      .gradient_accumulation_steps = r->train.gradient_accumulation_steps,
      .packing = r->data.packing,
      .shuffle = r->data.shuffle,
      .seed = (uint64_t)r->train.seed,
  };
  return lb__loader_new(&s->loader, s->corpus, &o, err);
}

double lb__setup_run_tokens(const lb__setup *s) {
  const lb_recipe *r = s->recipe;
  double tokens = (double)lb__corpus_get_facts(s->corpus)->n_tokens;
  double epochs = r->train.num_train_epochs;
  if (r->train.max_steps > 0)
    epochs = (double)r->train.max_steps / (double)lb__loader_steps_per_epoch(s->loader);
  return tokens * epochs;
}

lb__trainer_options lb__setup_trainer_options(const lb__setup *s) {
  const lb_recipe *r = s->recipe;
  lb__trainer_options o = lb__trainer_options_default();
  o.num_train_epochs = r->train.num_train_epochs;
  o.max_steps = r->train.max_steps;
  o.learning_rate = r->train.learning_rate;
  o.weight_decay = r->train.weight_decay;
  o.adam_beta1 = r->train.adam_beta1;
  o.adam_beta2 = r->train.adam_beta2;
  o.adam_epsilon = r->train.adam_epsilon;
  o.max_grad_norm = r->train.max_grad_norm;
  o.min_lr = r->train.min_lr;
  o.lr_scheduler_type = (lb__scheduler)r->train.lr_scheduler_type;
  o.warmup_steps = r->train.warmup_steps;
  o.logging_steps = r->train.logging_steps;
  o.logging_first_step = r->train.logging_first_step;
  o.eval_steps = s->held_out != NULL ? r->train.eval_steps : 0;
  o.save_steps = r->train.save_steps;
  o.save_total_limit = r->train.save_total_limit;
  o.max_bad_steps = r->train.max_bad_steps;
  o.cancel = s->options->cancel;
  return o;
}

lb_status lb__setup_open(lb__setup *s, lb_recipe *recipe, const lb_distill_options *options,
                         const lb__setup_options *how, lb_error *err) {
  *s = (lb__setup){.recipe = recipe,
                   .options = options != NULL ? options : &no_options,
                   .only_look = how->only_look};
  lb_status st = open_models(s, how, err);
  if (st == LB_OK) st = find_vocabulary(s, err);
  if (st == LB_OK) st = lb__setup_open_template(s, path_of(with_text(s)), err);
  if (st == LB_OK) st = open_corpora(s, how, err);
  if (st == LB_OK) st = open_loader(s, err);
  if (st == LB_OK && s->teacher != NULL && how->real == LB_DTYPE_F32 && !how->only_look &&
      recipe->distill.teacher_precision == LB_PRECISION_AUTO) {
    lb__setup_phase(s, "choosing the teacher's precision", 0, 0);
    st = lb__teacher_choose_precision(s, &lb__teacher_least_default, err);
  }
  if (st == LB_OK) s->recomputes = lb__plan_recomputes(s, lb__system_memory_available());
  return st;
}

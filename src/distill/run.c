/* run.c - lb_distill: one run from recipe to student.
 *
 *   output folder claimed -> models, vocabulary, data (setup.c) -> what cannot fit is refused
 * (plan.c)
 *   -> figures before -> training (train/trainer.c with the objective of method.c) -> the student's
 *   folder, read back (finish.c) -> figures after, answers, model card
 *
 * Owns: that order. Refuses: knowing losses, formats or how to print. */
#include "figures.h"
#include "finish.h"
#include "method.h"
#include "plan_memory.h"
#include "run_identity.h"

#include "base/fail.h"
#include "base/files.h"
#include "report/run_facts.h"
#include "report/run_log.h"
#include "report/tensorboard_log.h"
#include "train/checkpoint_folder.h"

#include <limbeck/report.h>

#include <math.h>
#include <stdio.h>

typedef struct run {
  lb_recipe *recipe;
  const lb_distill_options *options;
  lb_distill_result *result;
  lb__setup setup;
  lb__figures figures;
  char *token_file;
  lb__method *method;
  lb__run_log *log;
  lb__tensorboard_log *tensorboard; /* NULL: not wanted */
  lb__listeners listeners;
  lb_error *err;
} run;

/* ---- the output folder ---- */

static bool is_resumed(const lb_recipe *r) {
  const char *from = r->train.resume_from_checkpoint;
  return from != NULL && strcmp(from, "false") != 0;
}

static bool is_checkpoint_name(const char *name) {
  return strncmp(name, "checkpoint-", 11) == 0 && name[11] >= '0' && name[11] <= '9';
}

/* Checkpoints or a finished student of an earlier run. */
static lb_status find_earlier(bool *found, const char *folder, lb_error *err) {
  char **names = NULL;
  size_t n = 0;
  *found = false;
  if (!lb__path_is_folder(folder)) return LB_OK;
  lb_status st = lb__folder_list(&names, &n, folder, err);
  for (size_t i = 0; i < n && st == LB_OK; i++)
    *found |= is_checkpoint_name(names[i]) || strcmp(names[i], "config.json") == 0;
  lb__name_list_free(names, n);
  return st;
}

static lb_status check_not_a_source(const lb_recipe *r, const char *path, lb_error *err) {
  if (path == NULL || !lb__path_same(path, r->output_dir)) return LB_OK;
  return lb__fail(err, LB_E_ARG,
                  "output_dir: '%s' is also where a model is read from; choose another folder",
                  r->output_dir);
}

static lb_status claim_output(run *u) {
  const lb_recipe *r = u->recipe;
  bool earlier;
  if (lb__path_is_file(r->output_dir))
    return lb__fail(u->err, LB_E_ARG, "output_dir: '%s' is a file; want a folder", r->output_dir);
  lb_status st = check_not_a_source(r, r->student.path, u->err);
  if (st == LB_OK) st = check_not_a_source(r, r->teacher, u->err);
  if (st == LB_OK) st = find_earlier(&earlier, r->output_dir, u->err);
  if (st != LB_OK) return st;
  if (earlier && !is_resumed(r) && !r->overwrite_output_dir)
    return lb__fail(
        u->err, LB_E_ARG,
        "output_dir: '%s' holds an earlier run; resume_from_checkpoint=true goes on with "
        "it, overwrite_output_dir=true starts anew",
        r->output_dir);
  st = lb__folder_make(r->output_dir, u->err);
  if (st == LB_OK) st = lb__checkpoint_clean(r->output_dir, u->err);
  if (st == LB_OK && earlier && !is_resumed(r))
    st = lb__checkpoint_remove_all(r->output_dir, u->err);
  return st;
}

/* ---- opening ---- */

static lb_status check_plan(run *u) {
  lb_plan plan;
  lb__plan_fill(&plan, &u->setup);
  if (u->options->on_plan != NULL) u->options->on_plan(u->options->on_plan_ctx, &plan);
  return lb__plan_refuse(&plan, u->err);
}

static lb_status open_everything(run *u) {
  u->token_file = lb__path_join(u->recipe->output_dir, ".tokens.tmp");
  if (u->token_file == NULL) return lb__fail_nomem(u->err, "a path");
  lb__setup_options how = {.real = LB_DTYPE_F32, .token_file = u->token_file, .keep_student = true};
  lb_status st = lb__setup_open(&u->setup, u->recipe, u->options, &how, u->err);
  if (st == LB_OK) st = check_plan(u);
  if (st == LB_OK) st = lb__finish_check(&u->setup, u->err);
  if (st == LB_OK) st = lb__method_of(&u->method, &u->setup, u->err);
  if (st == LB_OK) st = lb__figures_init(&u->figures, &u->setup, u->err);
  if (st == LB_OK) lb__method_set_figures(u->method, &u->figures);
  u->result->is_measured_on_training_data = u->setup.held_out == NULL;
  return st;
}

static lb_status measure_before(run *u) {
  lb__setup_phase(&u->setup, "measuring teacher and student", 0, 0);
  return lb__figures_measure(&u->result->before, &u->result->teacher, &u->figures, u->setup.student,
                             u->err);
}

/* ---- listening ---- */

static bool wants_report(const lb_recipe *r, const char *name) {
  for (size_t i = 0; i < r->train.report_to.n; i++) {
    const char *item = r->train.report_to.items[i];
    if (strcmp(item, name) == 0 || strcmp(item, "all") == 0) return true;
  }
  return false;
}

static lb_status add_listeners(run *u) {
  const lb_distill_options *o = u->options;
  lb__tensorboard_options tensorboard = {.output_dir = u->recipe->output_dir};
  lb_status st = lb__run_log_new(&u->log, u->recipe->output_dir, u->err);
  if (st == LB_OK) st = lb__listeners_add(&u->listeners, lb__run_log_event, u->log, u->err);
  if (st == LB_OK && wants_report(u->recipe, "tensorboard")) {
    st = lb__tensorboard_log_new(&u->tensorboard, &tensorboard, u->err);
    if (st == LB_OK)
      st = lb__listeners_add(&u->listeners, lb__tensorboard_log_event, u->tensorboard, u->err);
  }
  if (st == LB_OK && o->on_event != NULL)
    st = lb__listeners_add(&u->listeners, o->on_event, o->on_event_ctx, u->err);
  return st;
}

/* ---- training ---- */

static lb__trainer_options trainer_options(const run *u, const char *identity) {
  const lb_recipe *r = u->recipe;
  lb__trainer_options o = lb__setup_trainer_options(&u->setup);
  o.output_dir = r->output_dir;
  o.resume_from_checkpoint = is_resumed(r) ? r->train.resume_from_checkpoint : NULL;
  o.resume_with_other_kernels = r->train.resume_with_other_kernels;
  o.run_hash = identity;
  return o;
}

static void keep_result(run *u, const lb__train_result *t) {
  lb_distill_result *r = u->result;
  r->is_interrupted = t->is_interrupted;
  r->steps = t->steps;
  r->skipped_steps = t->skipped_steps;
  r->rollbacks = t->rollbacks;
  r->tokens = t->tokens;
  r->trained_tokens = t->trained_tokens;
  r->seconds = t->seconds;
  r->first_loss = t->first_loss;
  r->last_loss = t->last_loss;
  if (t->last_checkpoint != NULL)
    snprintf(r->last_checkpoint, sizeof r->last_checkpoint, "%s", t->last_checkpoint);
}

static lb_status train(run *u) {
  size_t n;
  lb__trainer *trainer = NULL;
  lb__train_result result = {0};
  const lb__parameter *parameters = lb__method_parameters(u->method, &n);
  lb__objective objective = lb__method_objective(u->method);
  char *identity = lb__run_identity(&u->setup);
  if (identity == NULL) return lb__fail_nomem(u->err, "the run's identity");
  lb__trainer_options options = trainer_options(u, identity);
  lb__setup_phase(&u->setup, "training", 0, 0);
  lb_status st = lb__trainer_new(&trainer, &objective, parameters, n, u->setup.loader,
                                 &u->listeners, &options, u->err);
  if (st == LB_OK) st = lb__trainer_run(&result, trainer, u->err);
  lb__trainer_free(trainer);
  lb__free(identity);
  if (st == LB_OK) keep_result(u, &result);
  lb__free(result.last_checkpoint);
  return st;
}

/* ---- the end ---- */

static lb_status measure_after(run *u) {
  lb_model *saved;
  lb__setup_phase(&u->setup, "measuring the student", 0, 0);
  lb_status st = lb_model_open(&saved, u->recipe->output_dir, NULL, u->err);
  if (st == LB_OK) st = lb__figures_measure(&u->result->after, NULL, &u->figures, saved, u->err);
  lb_model_free(saved);
  return st;
}

/* What the run is, in one place: for run.json, and for the model card when it is finished.
 * error: NULL: none. */
static lb_status tell_run(run *u, const char *name, const char *error) {
  const lb_recipe *r = u->recipe;
  lb__run_state state = {.name = name, .error = error, .test_prompt = r->test.prompt};
  const lb__corpus_facts *facts = lb__corpus_get_facts(u->setup.corpus);
  char *loss = lb__run_loss_text(&u->setup);
  if (loss == NULL) return lb__fail_nomem(u->err, "the model card");
  lb__model_card card = {
      .student = lb__student_name(r),
      .student_path = lb_model_get_info(u->setup.student)->path,
      .teacher = u->setup.teacher != NULL ? r->teacher : NULL,
      .only_measured = u->setup.teacher != NULL && !lb__learns_from_teacher(&u->setup),
      .loss = loss,
      .data = r->data.train.items,
      .n_data = r->data.train.n,
      .n_documents = facts->n_documents,
      .n_tokens = facts->n_tokens,
      .n_held_out = u->setup.held_out != NULL ? lb__corpus_n_documents(u->setup.held_out) : -1,
      .settings = lb_recipe_text(u->recipe),
      .result = u->result,
  };
  lb_status st = lb__run_facts_save(r->output_dir, &card, &state, u->err);
  if (st == LB_OK && strcmp(name, "finished") == 0)
    st = lb__model_card_write(r->output_dir, &card, u->err);
  lb__free(loss);
  return st;
}

/* The page. The student is whole without it, so what is wrong with it says that. */
static lb_status write_report(run *u) {
  lb_report_options options = {.run = u->recipe->output_dir};
  lb_report_facts facts;
  lb_status st = lb_report_write(&facts, &options, u->err);
  if (st == LB_OK) {
    snprintf(u->result->report, sizeof u->result->report, "%s", facts.path);
    return LB_OK;
  }
  return lb__fail_prefix(u->err, st, "'%s' is whole, but not its report", options.run);
}

static lb_status finish(run *u) {
  char *gguf = NULL;
  lb_status st = lb__finish_folder(&u->setup, u->err);
  if (st == LB_OK) st = lb__finish_gguf(&gguf, &u->setup, u->err);
  if (st == LB_OK && gguf != NULL) snprintf(u->result->gguf, sizeof u->result->gguf, "%s", gguf);
  lb__free(gguf);
  if (st == LB_OK)
    st = lb__finish_answers(&u->result->test_student, &u->result->test_teacher, &u->setup, u->err);
  if (st == LB_OK) st = measure_after(u);
  return st == LB_OK ? tell_run(u, "finished", NULL) : st;
}

/* What went wrong stands in run.json, and the curves up to there are on the page. The error stays
 * the one that the run ended with, whatever else cannot be written now. */
static void tell_failure(run *u) {
  lb_error *err = u->err, later = {0};
  u->err = &later;
  if (tell_run(u, "failed", err->message) == LB_OK) (void)write_report(u);
  u->err = err;
}

static lb_status save_recipe(run *u) {
  const char *text = lb_recipe_text(u->recipe);
  char *path = lb__path_join(u->recipe->output_dir, "recipe.resolved.yaml");
  lb_status st = text != NULL && path != NULL ? lb__file_save(path, text, strlen(text), u->err)
                                              : lb__fail_nomem(u->err, "the resolved recipe");
  lb__free(path);
  return st;
}

static lb_status prepare(run *u) {
  lb_status st = claim_output(u);
  if (st == LB_OK) st = open_everything(u);
  if (st == LB_OK) st = save_recipe(u);
  if (st == LB_OK) st = measure_before(u);
  return st == LB_OK ? tell_run(u, "running", NULL) : st;
}

static lb_status learn(run *u) {
  lb_status st = add_listeners(u);
  if (st == LB_OK) st = train(u);
  if (st != LB_OK) return st;
  return u->result->is_interrupted ? tell_run(u, "interrupted", NULL) : finish(u);
}

static lb_status run_all(run *u) {
  lb_status st = prepare(u);
  if (st != LB_OK) return st;
  st = learn(u);
  if (st == LB_OK) return write_report(u);
  tell_failure(u);
  return st;
}

static void clean_up(run *u) {
  if (u->token_file != NULL) (void)lb__file_remove(u->token_file, NULL);
  lb__free(u->token_file);
  lb__method_free(u->method);
  lb__figures_deinit(&u->figures);
  lb__run_log_free(u->log);
  lb__tensorboard_log_free(u->tensorboard);
  lb__setup_close(&u->setup);
}

static const lb_model_figures unknown = {NAN, NAN, NAN, 0, 0, NAN};

lb_status lb_distill(lb_distill_result *result, lb_recipe *recipe,
                     const lb_distill_options *options, lb_error *err) {
  static const lb_distill_options none = {0};
  lb_error own = {0};
  run u = {.recipe = recipe,
           .options = options != NULL ? options : &none,
           .result = result,
           .err = err != NULL ? err : &own};
  *result = (lb_distill_result){.teacher = unknown, .before = unknown, .after = unknown};
  snprintf(result->output_dir, sizeof result->output_dir, "%s", recipe->output_dir);
  lb_status st = run_all(&u);
  clean_up(&u);
  return st;
}

void lb_distill_result_deinit(lb_distill_result *result) {
  if (result == NULL) return;
  lb__free(result->test_student);
  lb__free(result->test_teacher);
  result->test_student = result->test_teacher = NULL;
}

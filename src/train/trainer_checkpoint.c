/* trainer_checkpoint.c - saving, resuming and going back. A checkpoint is what the objective writes
 * (a Hugging Face folder) and beside it optimizer.safetensors, trainer_state.json and
 * limbeck_state.json, all in one folder that appears whole or not at all (checkpoint_folder.h). */
#include "trainer_parts.h"

#include "base/fail.h"
#include "base/files.h"
#include "checkpoint_folder.h"
#include "ops/ops.h"

#include <math.h>

/* Going back again and again to the same checkpoint does not help. */
enum { MOST_TIMES_BACK = 3 };

/* ---- no checkpoint has a NaN ---- */

lb_status lb__trainer_check_finite(bool *is_finite, const char **name, const lb__trainer *t,
                                   lb_error *err) {
  *is_finite = true;
  lb_status st = LB_OK;
  for (size_t i = 0; i < t->n_parameters && *is_finite && st == LB_OK; i++) {
    lb_tensor m = lb__trainer_moment(&t->exp_avg, t, i);
    lb_tensor v = lb__trainer_moment(&t->exp_avg_sq, t, i);
    double sum = 0.0;
    st = lb__op_sum_squares(&sum, t->parameters[i].tensor, err);
    if (st == LB_OK) st = lb__op_sum_squares(&sum, &m, err);
    if (st == LB_OK) st = lb__op_sum_squares(&sum, &v, err);
    *is_finite = isfinite(sum);
    *name = t->parameters[i].name;
  }
  return st;
}

/* ---- saving ---- */

static lb_status write_folder(lb__trainer *t, const char *folder, lb_error *err) {
  lb_status st = LB_OK;
  if (t->objective->save != NULL) st = t->objective->save(t->objective->ctx, folder, err);
  if (st == LB_OK) st = lb__moments_save(t, folder, err);
  if (st == LB_OK) st = lb__state_save(t, folder, err);
  return st;
}

/* Takes `path`. */
static void remember(lb__trainer *t, char *path) {
  lb__free(t->last_checkpoint);
  t->last_checkpoint = path;
}

static lb_status save_now(lb__trainer *t, lb_error *err) {
  lb__folder_save s;
  lb_status st = lb__checkpoint_begin(&s, t->options.output_dir, t->progress.step, err);
  if (st != LB_OK) return st;
  st = write_folder(t, s.folder, err);
  if (st == LB_OK) st = lb__checkpoint_commit(&s, t->options.save_total_limit, err);
  if (st == LB_OK) {
    t->last_saved_step = t->progress.step;
    remember(t, s.final);
    s.final = NULL;
  }
  lb__checkpoint_abort(&s);
  return st != LB_OK ? st : lb__trainer_tell(t, LB_EVENT_CHECKPOINT, err);
}

lb_status lb__trainer_save(lb__trainer *t, lb_error *err) {
  if (t->options.output_dir == NULL || t->last_saved_step == t->progress.step) return LB_OK;
  bool is_finite;
  const char *name;
  lb_status st = lb__trainer_check_finite(&is_finite, &name, t, err);
  if (st != LB_OK) return st;
  if (is_finite) return save_now(t, err);
  st = lb__trainer_warn(t, err, "step %lld: %s is not finite; it is not saved",
                        (long long)t->progress.step, name);
  return st != LB_OK ? st : lb__trainer_go_back(t, err);
}

/* ---- loading ---- */

/* Parameters, moments and counters; the loader stays where it is. */
static lb_status load_state(lb__trainer *t, const char *folder, lb__saved_state *s, lb_error *err) {
  lb_status st = lb__state_load(s, folder, err);
  if (st == LB_OK) st = lb__state_check(s, t, err);
  if (st == LB_OK && t->objective->load != NULL)
    st = t->objective->load(t->objective->ctx, folder, err);
  if (st == LB_OK) st = lb__moments_load(t, folder, err);
  bool is_finite = true;
  const char *name = NULL;
  if (st == LB_OK) st = lb__trainer_check_finite(&is_finite, &name, t, err);
  if (st == LB_OK && !is_finite)
    st = lb__fail(err, LB_E_NUMERIC, "'%s': %s is not finite", folder, name);
  if (st != LB_OK) return st;
  t->progress = s->progress;
  json_decref(t->history);
  t->history = json_incref(s->history);
  return LB_OK;
}

/* ---- resuming ---- */

/* Where a run may have written them, or a folder that holds them. */
static lb_status find_newest(char **path, const char *folder, lb_error *err) {
  int64_t step;
  lb_status st = lb__checkpoint_clean(folder, err);
  return st != LB_OK ? st : lb__checkpoint_newest(path, &step, folder, err);
}

static bool wants_newest(const char *resume) {
  return strcmp(resume, "true") == 0;
}

/* *path NULL: from the beginning. */
static lb_status find_checkpoint(char **path, const lb__trainer *t, lb_error *err) {
  const char *resume = t->options.resume_from_checkpoint, *output_dir = t->options.output_dir;
  *path = NULL;
  if (wants_newest(resume) && output_dir == NULL)
    return lb__fail(err, LB_E_ARG, "resume_from_checkpoint: true needs an output_dir");
  if (wants_newest(resume)) return find_newest(path, output_dir, err);
  lb_status st = lb__checkpoint_verify(resume, err);
  if (st != LB_OK) return st;
  *path = lb__strdup(resume);
  return *path != NULL ? LB_OK : lb__fail_nomem(err, resume);
}

/* Takes `path`. */
static lb_status resume_from(lb__trainer *t, char *path, lb_error *err) {
  lb__saved_state s = {0};
  lb_status st = load_state(t, path, &s, err);
  if (st == LB_OK) {
    st = lb__loader_seek(t->loader, s.cursor, err);
    if (st != LB_OK) lb__fail_prefix(err, st, "%s", s.name);
  }
  if (st == LB_OK && t->options.output_dir != NULL) {
    char *own = lb__format("%s/checkpoint-%lld", t->options.output_dir, (long long)s.progress.step);
    if (own == NULL) st = lb__fail_nomem(err, path);
    if (own != NULL && lb__path_same(own, path)) t->last_saved_step = s.progress.step;
    lb__free(own);
  }
  lb__saved_state_deinit(&s);
  remember(t, path);
  return st;
}

/* A new run among the checkpoints of an old one would one day resume the old one. */
static lb_status check_fresh(const lb__trainer *t, lb_error *err) {
  char *path;
  lb_status st = find_newest(&path, t->options.output_dir, err);
  if (st == LB_OK && path != NULL)
    st =
        lb__fail(err, LB_E_ARG,
                 "'%s': an earlier run's checkpoint; resume_from_checkpoint: true goes on with it, "
                 "or choose another output_dir",
                 path);
  lb__free(path);
  return st;
}

lb_status lb__trainer_resume(bool *found, lb__trainer *t, lb_error *err) {
  const char *resume = t->options.resume_from_checkpoint;
  *found = false;
  if (resume == NULL || resume[0] == '\0' || strcmp(resume, "false") == 0)
    return t->options.output_dir != NULL ? check_fresh(t, err) : LB_OK;
  char *path;
  lb_status st = find_checkpoint(&path, t, err);
  *found = path != NULL;
  return st == LB_OK && path != NULL ? resume_from(t, path, err) : st;
}

/* ---- going back ---- */

static lb_status fail_no_way_back(const lb__trainer *t, const char *why, lb_error *err) {
  return lb__fail(
      err, LB_E_NUMERIC,
      "step %lld: the loss (%g) or the gradient (norm %g) is not finite, %lld steps in a "
      "row, and %s; a lower learning_rate, more warmup_steps or a smaller max_grad_norm "
      "may help",
      (long long)t->progress.step, t->loss, t->grad_norm, (long long)t->progress.bad_in_row, why);
}

/* The last one this run wrote or came from; an older one when that is damaged. */
static lb_status find_good(char **path, const lb__trainer *t, lb_error *err) {
  lb_error reason = {0};
  *path = NULL;
  if (t->last_checkpoint == NULL) return fail_no_way_back(t, "there is no checkpoint yet", err);
  if (lb__checkpoint_verify(t->last_checkpoint, &reason) == LB_OK) {
    *path = lb__strdup(t->last_checkpoint);
    return *path != NULL ? LB_OK : lb__fail_nomem(err, t->last_checkpoint);
  }
  lb_status st =
      t->options.output_dir != NULL ? find_newest(path, t->options.output_dir, err) : LB_OK;
  if (st == LB_OK && *path == NULL) st = fail_no_way_back(t, reason.message, err);
  return st;
}

/* Counts of the whole run go on; only the model, its optimizer and the schedule return. */
static lb_status go_back_to(lb__trainer *t, const char *path, lb_error *err) {
  lb__progress before = t->progress;
  lb__saved_state s = {0};
  lb_status st = load_state(t, path, &s, err);
  lb__saved_state_deinit(&s);
  if (st != LB_OK) return st;
  lb__progress *p = &t->progress;
  p->tokens = before.tokens;
  p->trained_tokens = before.trained_tokens;
  p->skipped_steps = before.skipped_steps;
  p->rollbacks = before.rollbacks + 1;
  p->bad_in_row = 0;
  t->times_back = p->step == t->went_back_to ? t->times_back + 1 : 1;
  t->went_back_to = t->last_saved_step = p->step;
  if (t->times_back > MOST_TIMES_BACK)
    return fail_no_way_back(t, "going back to the last checkpoint three times did not help", err);
  return lb__trainer_warn(t, err, "after step %lld: back to %s; the data in between is left out",
                          (long long)before.step, path);
}

lb_status lb__trainer_go_back(lb__trainer *t, lb_error *err) {
  char *path;
  lb_status st = find_good(&path, t, err);
  if (st == LB_OK) st = go_back_to(t, path, err);
  lb__free(path);
  return st;
}

/* checkpoint_folder.c - see checkpoint_folder.h. Owns: the order of renames and syncs that leaves,
 * whenever it is cut off, an old checkpoint or the new one. Read next: checkpoint_manifest.c.
 *
 *   .checkpoint-N.tmp-PID   being written
 *   .checkpoint-N.old       was checkpoint-N until a new one of the same step takes its place
 *   .checkpoint-N.gone      being removed */
#include "checkpoint_folder.h"

#include "base/fail.h"
#include "base/files.h"
#include "base/log.h"
#include "checkpoint_manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- names ---- */

static const char PREFIX[] = "checkpoint-";

/* N of "checkpoint-N" followed by `*rest`; -1 when it is another name. */
static int64_t step_in(const char *name, const char **rest) {
  size_t n = sizeof PREFIX - 1;
  if (strncmp(name, PREFIX, n) != 0 || name[n] < '0' || name[n] > '9') return -1;
  char *end;
  errno = 0;
  long long step = strtoll(name + n, &end, 10);
  *rest = end;
  return errno == 0 ? step : -1;
}

static int64_t step_of_checkpoint(const char *name) {
  const char *rest;
  int64_t step = step_in(name, &rest);
  return step >= 0 && *rest == '\0' ? step : -1;
}

/* "output_dir/.checkpoint-N<ending>" */
static char *hidden_name(const char *output_dir, int64_t step, const char *ending) {
  return lb__format("%s/.%s%lld%s", output_dir, PREFIX, (long long)step, ending);
}

static char *visible_name(const char *output_dir, int64_t step) {
  return lb__format("%s/%s%lld", output_dir, PREFIX, (long long)step);
}

static void warn(const char *what, const lb_error *err) {
  lb__log(LB_LOG_WARN, "%s: %s", what, err->message);
}

/* ---- beginning ---- */

lb_status lb__checkpoint_begin(lb__folder_save *s, const char *output_dir, int64_t step,
                               lb_error *err) {
  *s = (lb__folder_save){.step = step};
  char ending[32];
  snprintf(ending, sizeof ending, ".tmp-%ld", (long)getpid());
  s->output_dir = lb__strdup(output_dir);
  s->folder = hidden_name(output_dir, step, ending);
  s->final = visible_name(output_dir, step);
  lb_status st = LB_OK;
  if (s->output_dir == NULL || s->folder == NULL || s->final == NULL)
    st = lb__fail_nomem(err, "a checkpoint's name");
  if (st == LB_OK) st = lb__folder_make(output_dir, err);
  if (st == LB_OK) st = lb__folder_remove(s->folder, err); /* of an earlier try */
  if (st == LB_OK) st = lb__folder_make(s->folder, err);
  if (st != LB_OK) lb__checkpoint_abort(s);
  return st;
}

void lb__checkpoint_abort(lb__folder_save *s) {
  lb_error err = {0};
  if (s->folder != NULL && lb__path_is_folder(s->folder) &&
      lb__folder_remove(s->folder, &err) != LB_OK)
    warn("a checkpoint that failed could not be removed", &err);
  lb__free(s->folder);
  lb__free(s->final);
  lb__free(s->output_dir);
  *s = (lb__folder_save){0};
}

/* ---- removing ---- */

/* Renamed first: cut off at any moment, there is no half checkpoint under a checkpoint's name. */
static lb_status remove_checkpoint(const char *output_dir, int64_t step, lb_error *err) {
  char *path = visible_name(output_dir, step), *gone = hidden_name(output_dir, step, ".gone");
  lb_status st = path != NULL && gone != NULL ? LB_OK : lb__fail_nomem(err, output_dir);
  if (st == LB_OK) st = lb__folder_remove(gone, err); /* of an earlier try */
  if (st == LB_OK) st = lb__path_rename(path, gone, err);
  if (st == LB_OK) st = lb__folder_remove(gone, err);
  lb__free(gone);
  lb__free(path);
  return st;
}

static int compare_steps(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* Steps of the checkpoints in a folder, smallest first. */
static lb_status list_steps(int64_t **steps, size_t *n, const char *output_dir, lb_error *err) {
  char **names;
  size_t n_names;
  *steps = NULL;
  *n = 0;
  lb_status st = lb__folder_list(&names, &n_names, output_dir, err);
  if (st != LB_OK) return st;
  *steps = lb__alloc_array(n_names, sizeof **steps);
  if (*steps == NULL) st = lb__fail_nomem(err, output_dir);
  for (size_t i = 0; i < n_names && st == LB_OK; i++) {
    int64_t step = step_of_checkpoint(names[i]);
    if (step >= 0) (*steps)[(*n)++] = step;
  }
  lb__name_list_free(names, n_names);
  if (*n > 1) qsort(*steps, *n, sizeof **steps, compare_steps);
  return st;
}

/* Oldest first, never `keep`, which has just been verified. */
static lb_status remove_old(const char *output_dir, int64_t keep, int64_t limit, lb_error *err) {
  int64_t *steps;
  size_t n;
  lb_status st = list_steps(&steps, &n, output_dir, err);
  size_t left = n;
  for (size_t i = 0; i < n && st == LB_OK && (int64_t)left > limit; i++) {
    if (steps[i] == keep) continue;
    st = remove_checkpoint(output_dir, steps[i], err);
    left--;
  }
  lb__free(steps);
  return st;
}

/* ---- committing ---- */

/* The new folder under its name. One that has this name already steps aside, and comes back when
 * the new one cannot have it; lb__checkpoint_clean does so after a crash in between. */
static lb_status put_in_place(const lb__folder_save *s, lb_error *err) {
  if (!lb__path_is_folder(s->final)) return lb__path_rename(s->folder, s->final, err);
  char *old = hidden_name(s->output_dir, s->step, ".old");
  lb_status st = old != NULL ? lb__folder_remove(old, err) : lb__fail_nomem(err, s->final);
  if (st == LB_OK) st = lb__path_rename(s->final, old, err);
  if (st == LB_OK) {
    st = lb__path_rename(s->folder, s->final, err);
    if (st != LB_OK) (void)lb__path_rename(old, s->final, NULL);
  }
  lb__free(old);
  return st;
}

static void remove_replaced(const lb__folder_save *s) {
  lb_error err = {0};
  char *old = hidden_name(s->output_dir, s->step, ".old");
  if (old == NULL || lb__folder_remove(old, &err) != LB_OK)
    warn("a replaced checkpoint could not be removed", &err);
  lb__free(old);
}

/* What cannot be removed is a pity, not a reason to stop training. */
static lb_status rotate(const lb__folder_save *s, int64_t limit, lb_error *err) {
  lb_error reason = {0};
  if (limit <= 0) return LB_OK;
  lb_status st = lb__checkpoint_verify(s->final, err);
  if (st != LB_OK)
    return lb__fail_prefix(err, st, "the new checkpoint does not read back; older ones are kept");
  if (remove_old(s->output_dir, s->step, limit, &reason) != LB_OK)
    warn("an old checkpoint could not be removed", &reason);
  return LB_OK;
}

lb_status lb__checkpoint_commit(lb__folder_save *s, int64_t save_total_limit, lb_error *err) {
  lb_status st = lb__manifest_write(s->folder, s->step, err);
  if (st == LB_OK) st = put_in_place(s, err);
  if (st != LB_OK) {
    lb__checkpoint_abort(s);
    return st;
  }
  lb__free(s->folder);
  s->folder = NULL;
  st = lb__path_sync(s->output_dir, err);
  if (st == LB_OK) remove_replaced(s);
  if (st == LB_OK) st = rotate(s, save_total_limit, err);
  return st;
}

/* ---- finding ---- */

lb_status lb__checkpoint_verify(const char *folder, lb_error *err) {
  int64_t step;
  return lb__manifest_verify(&step, folder, err);
}

static lb_status verify_step(const char *folder, int64_t step, lb_error *err) {
  int64_t found;
  lb_status st = lb__manifest_verify(&found, folder, err);
  if (st == LB_OK && found != step)
    st = lb__fail(err, LB_E_FORMAT, "'%s': its manifest is of step %lld", folder, (long long)found);
  return st;
}

lb_status lb__checkpoint_newest(char **out, int64_t *step, const char *output_dir, lb_error *err) {
  *out = NULL;
  *step = 0;
  if (!lb__path_is_folder(output_dir)) return LB_OK;
  int64_t *steps;
  size_t n;
  lb_status st = list_steps(&steps, &n, output_dir, err);
  for (size_t i = n; i-- > 0 && st == LB_OK && *out == NULL;) {
    lb_error reason = {0};
    char *path = visible_name(output_dir, steps[i]);
    lb_status found = path != NULL ? verify_step(path, steps[i], &reason) : LB_E_NOMEM;
    if (found == LB_E_NOMEM) {
      st = lb__fail_nomem(err, output_dir);
    } else if (found != LB_OK) {
      warn("a checkpoint is passed over", &reason);
    } else {
      *step = steps[i];
      *out = path;
      path = NULL;
    }
    lb__free(path);
  }
  lb__free(steps);
  return st;
}

/* ---- what killed runs left ---- */

static lb_status clean_one(const char *output_dir, const char *name, lb_error *err) {
  const char *ending;
  if (name[0] != '.') return LB_OK;
  int64_t step = step_in(name + 1, &ending);
  bool is_old = step >= 0 && strcmp(ending, ".old") == 0;
  bool is_ours =
      is_old || (step >= 0 && (strncmp(ending, ".tmp-", 5) == 0 || strcmp(ending, ".gone") == 0));
  if (!is_ours) return LB_OK;
  char *path = lb__path_join(output_dir, name), *visible = visible_name(output_dir, step);
  lb_status st = path != NULL && visible != NULL ? LB_OK : lb__fail_nomem(err, output_dir);
  if (st == LB_OK) {
    bool is_needed = is_old && !lb__path_is_folder(visible);
    st = is_needed ? lb__path_rename(path, visible, err) : lb__folder_remove(path, err);
  }
  lb__free(visible);
  lb__free(path);
  return st;
}

lb_status lb__checkpoint_clean(const char *output_dir, lb_error *err) {
  char **names;
  size_t n;
  if (!lb__path_is_folder(output_dir)) return LB_OK;
  lb_status st = lb__folder_list(&names, &n, output_dir, err);
  for (size_t i = 0; i < n && st == LB_OK; i++) {
    lb_error reason = {0};
    lb_status removed = clean_one(output_dir, names[i], &reason);
    if (removed == LB_E_NOMEM)
      st = lb__fail_nomem(err, output_dir);
    else if (removed != LB_OK)
      warn("what a killed run left could not be removed", &reason);
  }
  lb__name_list_free(names, n);
  return st;
}

lb_status lb__checkpoint_remove_all(const char *output_dir, lb_error *err) {
  int64_t *steps = NULL;
  size_t n = 0;
  lb_status st = list_steps(&steps, &n, output_dir, err);
  for (size_t i = 0; i < n && st == LB_OK; i++) st = remove_checkpoint(output_dir, steps[i], err);
  lb__free(steps);
  return st;
}

/* trainer_state.c - the two JSON files of a checkpoint.
 *
 * trainer_state.json has the keys that Transformers writes, because plotting scripts read its
 * log_history. limbeck_state.json has what resuming needs: doubles are written so that they read
 * back as the same bits. */
#include "trainer_parts.h"

#include "base/fail.h"
#include "base/files.h"
#include "base/log.h"
#include "kernels/kernels.h"

#include <math.h>

enum { STATE_MAX = 64 << 20, VERSION = 1 };
static const int64_t COUNT_MAX = (int64_t)1 << 53;
static const char STATE_FILE[] = "limbeck_state.json", HISTORY_FILE[] = "trainer_state.json";

/* ---- building objects: after a failure everything is skipped, checked once at the end ---- */

typedef struct builder {
  json_t *object;
  bool failed;
} builder;

static builder new_object(void) {
  json_t *object = json_object();
  return (builder){object, object == NULL};
}

/* Takes `value`. */
static void put(builder *b, const char *key, json_t *value) {
  if (b->failed)
    json_decref(value);
  else
    b->failed = value == NULL || json_object_set_new(b->object, key, value) != 0;
}

static void put_int(builder *b, const char *key, int64_t value) {
  put(b, key, json_integer(value));
}

/* What is not known is left out. */
static void put_real(builder *b, const char *key, double value) {
  if (isfinite(value)) put(b, key, json_real(value));
}

/* Moves one object into another. */
static void put_object(builder *b, const char *key, builder *inner) {
  b->failed = b->failed || inner->failed;
  put(b, key, inner->object);
}

static lb_status save(builder *b, const char *folder, const char *file, lb_error *err) {
  char *path = lb__path_join(folder, file);
  lb_status st = LB_OK;
  if (b->failed || path == NULL)
    st = lb__fail_nomem(err, file);
  else
    st = lb__json_save(path, b->object, err);
  json_decref(b->object);
  lb__free(path);
  return st;
}

/* ---- trainer_state.json ---- */

/* Transformers counts begun epochs. */
static int64_t whole_epochs(const lb__trainer *t) {
  int64_t each = lb__loader_steps_per_epoch(t->loader);
  if (t->options.max_steps <= 0) return (int64_t)ceil(t->options.num_train_epochs);
  return t->schedule.max_steps / each + (t->schedule.max_steps % each > 0);
}

/* What its callbacks would find. */
static builder callbacks(const lb__trainer *t) {
  builder flags = new_object(), none = new_object(), control = new_object(), all = new_object();
  put(&flags, "should_epoch_stop", json_false());
  put(&flags, "should_evaluate", json_false());
  put(&flags, "should_log", json_false());
  put(&flags, "should_save", json_true());
  put(&flags, "should_training_stop", json_boolean(t->progress.step >= t->schedule.max_steps));
  put_object(&control, "args", &flags);
  put_object(&control, "attributes", &none);
  put_object(&all, "TrainerControl", &control);
  return all;
}

static lb_status save_history(const lb__trainer *t, const char *folder, lb_error *err) {
  const lb__trainer_options *o = &t->options;
  builder b = new_object(), c = callbacks(t);
  put(&b, "best_global_step", json_null());
  put(&b, "best_metric", json_null());
  put(&b, "best_model_checkpoint", json_null());
  put_real(&b, "epoch", lb__trainer_epoch(t));
  put_int(&b, "eval_steps", o->eval_steps);
  put_int(&b, "global_step", t->progress.step);
  put(&b, "is_hyper_param_search", json_false());
  put(&b, "is_local_process_zero", json_true());
  put(&b, "is_world_process_zero", json_true());
  put(&b, "log_history", json_incref(t->history));
  put_int(&b, "logging_steps", o->logging_steps);
  put_int(&b, "max_steps", t->schedule.max_steps);
  put_int(&b, "num_input_tokens_seen", t->progress.tokens);
  put_int(&b, "num_train_epochs", whole_epochs(t));
  put_int(&b, "save_steps", o->save_steps);
  put_object(&b, "stateful_callbacks", &c);
  put_real(&b, "total_flos", 0.0);
  put(&b, "train_batch_size", json_null());
  put(&b, "trial_name", json_null());
  put(&b, "trial_params", json_null());
  return save(&b, folder, HISTORY_FILE, err);
}

/* ---- limbeck_state.json ---- */

/* Every whole number of a progress, for writing and reading. */
typedef struct counter {
  const char *key;
  size_t offset;
} counter;
static const counter counters[] = {
    {"step", offsetof(lb__progress, step)},
    {"optimizer_step", offsetof(lb__progress, optimizer_step)},
    {"tokens", offsetof(lb__progress, tokens)},
    {"trained_tokens", offsetof(lb__progress, trained_tokens)},
    {"skipped_steps", offsetof(lb__progress, skipped_steps)},
    {"rollbacks", offsetof(lb__progress, rollbacks)},
    {"bad_in_row", offsetof(lb__progress, bad_in_row)},
};
enum { N_COUNTERS = sizeof counters / sizeof *counters };

static builder window_object(const lb__loss_window *w) {
  builder b = new_object();
  put_real(&b, "loss", w->loss);
  put_int(&b, "trained_tokens", w->trained_tokens);
  put(&b, "terms", json_array());
  json_t *terms = json_object_get(b.object, "terms");
  for (int i = 0; i < LB_LOSS_TERMS_MAX && !b.failed; i++)
    b.failed =
        json_array_append_new(terms, json_real(isfinite(w->terms[i]) ? w->terms[i] : 0)) != 0;
  return b;
}

static builder cursor_object(const lb__trainer *t) {
  lb__cursor c = lb__loader_cursor(t->loader);
  builder b = new_object();
  put_int(&b, "epoch", c.epoch);
  put_int(&b, "micro", c.micro);
  put_int(&b, "step", c.step);
  return b;
}

static builder kernels_object(void) {
  const lb__kernel_table *table = lb__kernels();
  builder b = new_object();
  for (int op = 0; op < LB__OP_COUNT; op++)
    put(&b, lb__op_name((lb__op)op),
        json_string(table->chosen[op] != NULL ? table->chosen[op] : "none"));
  return b;
}

static lb_status save_state(const lb__trainer *t, const char *folder, lb_error *err) {
  const lb__progress *p = &t->progress;
  builder b = new_object(), window = window_object(&p->window), cursor = cursor_object(t);
  builder kernels = kernels_object();
  put_int(&b, "version", VERSION);
  for (int i = 0; i < N_COUNTERS; i++)
    put_int(&b, counters[i].key, *(const int64_t *)((const char *)p + counters[i].offset));
  put_real(&b, "first_loss", p->first_loss);
  put_real(&b, "last_loss", p->last_loss);
  put_object(&b, "window", &window);
  put_object(&b, "cursor", &cursor);
  put_object(&b, "kernels", &kernels);
  put_int(&b, "threads", lb_threads_get());
  put(&b, "limbeck", json_string(lb_version()));
  put(&b, "run_hash", json_string(t->options.run_hash != NULL ? t->options.run_hash : ""));
  return save(&b, folder, STATE_FILE, err);
}

lb_status lb__state_save(const lb__trainer *t, const char *folder, lb_error *err) {
  lb_status st = save_state(t, folder, err);
  return st != LB_OK ? st : save_history(t, folder, err);
}

/* ---- reading ---- */

static lb_status get_count(int64_t *out, const json_t *object, const char *key, const char *name,
                           lb_error *err) {
  lb_status st = lb__json_get_int(out, object, key, true, name, err);
  if (st == LB_OK && (*out < 0 || *out > COUNT_MAX))
    st = lb__fail(err, LB_E_FORMAT, "%s: key '%s': want a number from 0 to 2^53, found %lld", name,
                  key, (long long)*out);
  return st;
}

static lb_status get_window(lb__loss_window *w, const json_t *root, const char *name,
                            lb_error *err) {
  const json_t *object = json_object_get(root, "window");
  lb_status st = lb__json_get_real(&w->loss, object, "loss", true, name, err);
  if (st == LB_OK) st = get_count(&w->trained_tokens, object, "trained_tokens", name, err);
  if (st != LB_OK) return st;
  const json_t *terms = json_object_get(object, "terms");
  if (json_array_size(terms) != LB_LOSS_TERMS_MAX)
    return lb__fail(err, LB_E_FORMAT, "%s: key 'window.terms': want a list of %d numbers", name,
                    LB_LOSS_TERMS_MAX);
  for (size_t i = 0; i < LB_LOSS_TERMS_MAX; i++)
    w->terms[i] = json_number_value(json_array_get(terms, i));
  return LB_OK;
}

static lb_status get_cursor(lb__cursor *c, const json_t *root, const char *name, lb_error *err) {
  const json_t *object = json_object_get(root, "cursor");
  lb_status st = get_count(&c->epoch, object, "epoch", name, err);
  if (st == LB_OK) st = get_count(&c->micro, object, "micro", name, err);
  if (st == LB_OK) st = get_count(&c->step, object, "step", name, err);
  return st;
}

static lb_status read_state(lb__saved_state *s, lb_error *err) {
  lb__progress *p = &s->progress;
  int64_t version;
  lb_status st = lb__json_read(&s->root, s->name, STATE_MAX, err);
  if (st == LB_OK) st = lb__json_get_int(&version, s->root, "version", true, s->name, err);
  if (st != LB_OK) return st;
  if (version != VERSION)
    return lb__fail(err, LB_E_FORMAT, "%s: version %lld; this program reads version %d", s->name,
                    (long long)version, VERSION);
  *p = (lb__progress){.first_loss = NAN, .last_loss = NAN};
  for (int i = 0; i < N_COUNTERS && st == LB_OK; i++)
    st = get_count((int64_t *)(void *)((char *)p + counters[i].offset), s->root, counters[i].key,
                   s->name, err);
  if (st == LB_OK)
    st = lb__json_get_real(&p->first_loss, s->root, "first_loss", false, s->name, err);
  if (st == LB_OK) st = lb__json_get_real(&p->last_loss, s->root, "last_loss", false, s->name, err);
  if (st == LB_OK) st = get_window(&p->window, s->root, s->name, err);
  if (st == LB_OK) st = get_cursor(&s->cursor, s->root, s->name, err);
  return st;
}

static lb_status read_history(lb__saved_state *s, const char *folder, lb_error *err) {
  json_t *root = NULL;
  char *path = lb__path_join(folder, HISTORY_FILE);
  lb_status st =
      path != NULL ? lb__json_read(&root, path, STATE_MAX, err) : lb__fail_nomem(err, HISTORY_FILE);
  if (st == LB_OK) {
    s->history = json_incref(json_object_get(root, "log_history"));
    if (!json_is_array(s->history))
      st = lb__fail(err, LB_E_FORMAT, "%s: key 'log_history': want a list, found %s", path,
                    lb__json_type_name(s->history));
  }
  json_decref(root);
  lb__free(path);
  return st;
}

lb_status lb__state_load(lb__saved_state *s, const char *folder, lb_error *err) {
  *s = (lb__saved_state){.name = lb__path_join(folder, STATE_FILE)};
  lb_status st = s->name != NULL ? read_state(s, err) : lb__fail_nomem(err, STATE_FILE);
  return st != LB_OK ? st : read_history(s, folder, err);
}

void lb__saved_state_deinit(lb__saved_state *s) {
  json_decref(s->history);
  json_decref(s->root);
  lb__free(s->name);
  *s = (lb__saved_state){0};
}

/* ---- is it this run? ---- */

/* The first line in which they differ, into *a and *b with its lengths. */
static void differing_line(const char **a, int *a_size, const char **b, int *b_size) {
  for (;;) {
    size_t n = strcspn(*a, "\n"), m = strcspn(*b, "\n");
    if (n != m || memcmp(*a, *b, n) != 0 || (*a)[n] == '\0' || (*b)[m] == '\0') {
      *a_size = n < 80 ? (int)n : 80;
      *b_size = m < 80 ? (int)m : 80;
      return;
    }
    *a += n + 1;
    *b += m + 1;
  }
}

static lb_status check_run(const lb__saved_state *s, const lb__trainer *t, lb_error *err) {
  const char *saved, *now = t->options.run_hash != NULL ? t->options.run_hash : "";
  lb_status st = lb__json_get_string(&saved, s->root, "run_hash", true, s->name, err);
  if (st != LB_OK || strcmp(saved, now) == 0) return st;
  int saved_size, now_size;
  differing_line(&saved, &saved_size, &now, &now_size);
  return lb__fail(err, LB_E_ARG,
                  "%s: the checkpoint is of another run: it has '%.*s', this run '%.*s'; undo the "
                  "change, or start anew in another output_dir",
                  s->name, saved_size, saved, now_size, now);
}

/* "avx2,onednn": the sets whose names are in the kernels' names, as LIMBECK_KERNELS takes them. */
static void name_sets(char text[128], const char **missing, json_t *kernels) {
  size_t n;
  const lb__kernel_set *sets = lb__kernel_sets(&n);
  const char *op;
  json_t *kernel;
  text[0] = '\0';
  *missing = NULL;
  for (size_t i = 0; i < n; i++) {
    bool used = false;
    json_object_foreach(kernels, op, kernel) {
      const char *name = json_string_value(kernel);
      used = used || (name != NULL && strstr(name, sets[i].name) != NULL);
    }
    if (used && !sets[i].runs_here) *missing = sets[i].name;
    if (!used || strcmp(sets[i].name, "reference") == 0) continue;
    size_t length = strlen(text);
    snprintf(text + length, 128 - length, "%s%s", length > 0 ? "," : "", sets[i].name);
  }
  if (text[0] == '\0') snprintf(text, 128, "reference");
}

static lb_status fail_kernels(const lb__saved_state *s, json_t *kernels, int op, lb_error *err) {
  char sets[128], how[160];
  const char *missing, *name = lb__op_name((lb__op)op);
  const char *saved = json_string_value(json_object_get(kernels, name));
  name_sets(sets, &missing, kernels);
  if (missing != NULL)
    snprintf(how, sizeof how, "this machine has no %s", missing);
  else
    snprintf(how, sizeof how, "set LIMBECK_KERNELS=%s", sets);
  return lb__fail(
      err, LB_E_UNSUPPORTED,
      "%s: '%s' was computed by kernel '%.40s', here it would be '%s', and the results "
      "would differ in their last digits; %s, or allow it: resume_with_other_kernels=true",
      s->name, name, saved != NULL ? saved : "none", lb__kernels()->chosen[op], how);
}

static lb_status check_kernels(const lb__saved_state *s, const lb__trainer *t, lb_error *err) {
  json_t *kernels = json_object_get(s->root, "kernels");
  if (!json_is_object(kernels))
    return lb__fail(err, LB_E_FORMAT, "%s: key 'kernels': want an object, found %s", s->name,
                    lb__json_type_name(kernels));
  const lb__kernel_table *table = lb__kernels();
  for (int op = 0; op < LB__OP_COUNT; op++) {
    const char *saved = json_string_value(json_object_get(kernels, lb__op_name((lb__op)op)));
    const char *here = table->chosen[op] != NULL ? table->chosen[op] : "none";
    if (saved != NULL && strcmp(saved, here) == 0) continue;
    if (!t->options.resume_with_other_kernels) return fail_kernels(s, kernels, op, err);
    lb__log(LB_LOG_WARN, "%s: '%s' was computed by kernel '%s', goes on with '%s'", s->name,
            lb__op_name((lb__op)op), saved != NULL ? saved : "none", here);
  }
  return LB_OK;
}

static void compare_versions(const lb__saved_state *s) {
  const char *version = json_string_value(json_object_get(s->root, "limbeck"));
  if (version != NULL && strcmp(version, lb_version()) != 0)
    lb__log(LB_LOG_WARN,
            "%s: saved by limbeck %s, this is %s: results may differ in their last "
            "digits",
            s->name, version, lb_version());
}

lb_status lb__state_check(const lb__saved_state *s, const lb__trainer *t, lb_error *err) {
  lb_status st = check_run(s, t, err);
  if (st == LB_OK) st = check_kernels(s, t, err);
  if (st == LB_OK) compare_versions(s);
  return st;
}

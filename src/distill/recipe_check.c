/* recipe_check.c - see recipe_check.h. One rule, one function; rules[] is the list. */
#include "recipe_check.h"
#include "recipe_values.h"

#include "base/fail.h"

#include <math.h>

static lb_status check_config(const lb_recipe *r, const char **key, lb_error *err) {
  bool has_shape = lb__recipe_has_below(r, "student.config"),
       has_file = r->student.config.path != NULL;
  const struct {
    const char *key;
    int64_t value;
  } needed[] = {
      {"student.config.hidden_size", r->student.config.hidden_size},
      {"student.config.num_hidden_layers", r->student.config.num_hidden_layers},
      {"student.config.num_attention_heads", r->student.config.num_attention_heads},
  };
  *key = "student.config";
  if (has_shape && has_file)
    return lb__fail(err, LB_E_ARG, "student.config: want a config.json or keys below it, not both");
  for (size_t i = 0; i < 3 && has_shape; i++) {
    *key = needed[i].key;
    if (needed[i].value == 0)
      return lb__fail(err, LB_E_ARG, "%s is missing: a student of random weights needs it",
                      needed[i].key);
  }
  *key = "student.tokenizer";
  bool has_vocabulary =
      r->student.tokenizer != NULL || r->student.config.vocab_size > 0 || has_file;
  if ((has_shape || has_file) && strcmp(r->teacher, "none") == 0 && !has_vocabulary)
    return lb__fail(err, LB_E_ARG,
                    "student.tokenizer is missing: without a teacher there is none to take it "
                    "from; the student of a run with a teacher is in its output_dir/student-init");
  if (r->student.tokenizer != NULL && !has_shape && !has_file)
    return lb__fail(err, LB_E_ARG,
                    "student.tokenizer: only with student.config; other students "
                    "come with their own");
  return LB_OK;
}

static lb_status check_shrink(const lb_recipe *r, const char **key, lb_error *err) {
  size_t n_layers = r->student.shrink.layers.n;
  bool is_narrower =
      r->student.shrink.hidden_size > 0 || r->student.shrink.num_attention_heads > 0 ||
      r->student.shrink.num_key_value_heads > 0 || r->student.shrink.intermediate_size > 0;
  bool has_fewer_tokens = r->student.shrink.vocab_from.n > 0 || r->student.shrink.vocab_size > 0;
  *key = "student";
  if (strcmp(r->teacher, "none") == 0)
    return lb__fail(err, LB_E_ARG, "student.shrink: there is no teacher to take a part of");
  if (n_layers == 0 && !is_narrower && !has_fewer_tokens)
    return lb__fail(err, LB_E_ARG,
                    "student.shrink: want what to keep: layers, hidden_size, num_attention_heads, "
                    "num_key_value_heads, intermediate_size, vocab_from or vocab_size");
  *key = "student.shrink.layer_selection";
  if (r->student.shrink.layer_selection != 0 && n_layers != 1)
    return lb__fail(err, LB_E_ARG, "student.shrink.layer_selection: %s",
                    n_layers == 0 ? "all layers are kept; give student.shrink.layers"
                                  : "student.shrink.layers says which; want how many");
  return LB_OK;
}

static lb_status check_student(const lb_recipe *r, const char **key, lb_error *err) {
  bool has_config = r->student.config.path != NULL || lb__recipe_has_below(r, "student.config");
  bool has_shrink = lb__recipe_has_below(r, "student.shrink"), has_path = r->student.path != NULL;
  *key = "student";
  if (has_path + has_config + has_shrink != 1 && !(r->student.tokenizer != NULL && has_path))
    return lb__fail(err, LB_E_ARG,
                    "student: want one of: a model, student.config, student.shrink; found %s%s%s%s",
                    has_path ? "a model " : "", has_config ? "student.config " : "",
                    has_shrink ? "student.shrink" : "",
                    has_path + has_config + has_shrink == 0 ? "none" : "");
  lb_status st = has_shrink ? check_shrink(r, key, err) : LB_OK;
  return st == LB_OK ? check_config(r, key, err) : st;
}

static lb_status check_data(const lb_recipe *r, const char **key, lb_error *err) {
  *key = "data.train";
  if (r->data.train.n == 0)
    return lb__fail(err, LB_E_ARG, "data.train: want a file or folder, found an empty list");
  *key = "data.eval_fraction";
  if (r->data.eval.n > 0 && r->data.eval_fraction > 0)
    return lb__fail(err, LB_E_ARG,
                    "data.eval_fraction: held-out documents come from data.eval already; give only "
                    "one of the two");
  *key = "train.eval_steps";
  if (r->train.eval_steps > 0 && r->data.eval.n == 0 && r->data.eval_fraction == 0)
    return lb__fail(err, LB_E_ARG,
                    "train.eval_steps: there is nothing to measure on; give data.eval or "
                    "data.eval_fraction");
  return LB_OK;
}

static lb_status check_beta(const lb_recipe *r, const char **key, lb_error *err) {
  *key = "distill.beta";
  if (r->distill.type != LB__DISTILL_LOGITS && r->distill.beta == 0)
    return lb__fail(err, LB_E_ARG,
                    "distill.beta: want a number > 0 with distill.type %s, found 0; with type "
                    "logits no other term is computed",
                    r->distill.type == LB__DISTILL_HIDDEN ? "hidden" : "attention");
  return LB_OK;
}

static lb_status check_layers(const lb_recipe *r, const char **key, lb_error *err) {
  size_t students = r->distill.hidden_layers.n, teachers = r->distill.teacher_layers.n;
  *key = "distill.teacher_layers";
  if (students == 0) students = 1; /* the last one */
  if (teachers > 0 && teachers != students)
    return lb__fail(err, LB_E_ARG,
                    "distill.teacher_layers: want as many as distill.hidden_layers, %zu, found %zu",
                    students, teachers);
  return LB_OK;
}

static lb_status check_schedule(const lb_recipe *r, const char **key, lb_error *err) {
  double warmup = r->train.warmup_steps;
  *key = "train.warmup_steps";
  if (warmup >= 1 && warmup != floor(warmup))
    return lb__fail(err, LB_E_ARG,
                    "train.warmup_steps: want a whole number of steps, or a share of all steps "
                    "below 1, found %g",
                    warmup);
  *key = "train.min_lr";
  if (r->train.lr_scheduler_type == LB__SCHEDULER_COSINE_WITH_MIN_LR && r->train.min_lr == 0)
    return lb__fail(err, LB_E_ARG,
                    "train.min_lr: want a number > 0 with lr_scheduler_type cosine_with_min_lr, "
                    "found 0; cosine ends at 0");
  if (r->train.min_lr > r->train.learning_rate)
    return lb__fail(err, LB_E_ARG, "train.min_lr: want at most train.learning_rate, %g, found %g",
                    r->train.learning_rate, r->train.min_lr);
  return LB_OK;
}

static lb_status check_length(const lb_recipe *r, const char **key, lb_error *err) {
  *key = "train.num_train_epochs";
  if (r->train.max_steps <= 0 && r->train.num_train_epochs == 0)
    return lb__fail(err, LB_E_ARG,
                    "train.num_train_epochs: want a number > 0 when train.max_steps is not given, "
                    "found 0");
  return LB_OK;
}

static lb_status check_reports(const lb_recipe *r, const char **key, lb_error *err) {
  *key = "train.report_to";
  for (size_t i = 0; i < r->train.report_to.n; i++)
    if (r->train.report_to.n > 1 && strcmp(r->train.report_to.items[i], "none") == 0)
      return lb__fail(err, LB_E_ARG, "train.report_to: none stands alone");
  return LB_OK;
}

lb_status lb__recipe_check(const lb_recipe *r, const char **key, lb_error *err) {
  static lb_status (*const rules[])(const lb_recipe *, const char **, lb_error *) = {
      check_student,  check_data,   check_beta,   check_layers,
      check_schedule, check_length, check_reports};
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    lb_status st = rules[i](r, key, err);
    if (st != LB_OK) return st;
  }
  return LB_OK;
}

/* run_facts.c - see run_facts.h. */
#include "run_facts.h"

#include "outside_text.h"

#include "base/fail.h"
#include "base/files.h"
#include "base/json.h"

#include <limbeck/doctor.h>
#include <limbeck/environment.h>

#include <math.h>

/* ---- members; a value that is not known is left out; failures show in the saved text ---- */

typedef struct members {
  json_t *object;
  bool *failed;
} members;

static void set(members m, const char *key, json_t *value) {
  if (value == NULL || json_object_set_new(m.object, key, value) != 0) *m.failed = true;
}

static void set_text(members m, const char *key, const char *text) {
  if (text != NULL && *text != '\0') set(m, key, lb__outside_json(text));
}

static void set_real(members m, const char *key, double x) {
  if (isfinite(x)) set(m, key, json_real(x));
}

static void set_count(members m, const char *key, int64_t n) {
  if (n >= 0) set(m, key, json_integer(n));
}

static members open_object(members m, const char *key) {
  json_t *object = json_object();
  set(m, key, object);
  return (members){object, m.failed};
}

/* ---- parts ---- */

static void set_environment(members top) {
  lb_doctor doctor;
  if (lb_doctor_report(&doctor, NULL) != LB_OK) return;
  members m = open_object(top, "environment");
  set_text(m, "limbeck", doctor.limbeck_version);
  set_text(m, "build", doctor.build);
  set_text(m, "cpu", doctor.cpu);
  set_count(m, "threads", doctor.threads);
  set_count(m, "memory_bytes", (int64_t)doctor.memory_total);
  members libraries = open_object(m, "libraries"), kernels = open_object(m, "kernels");
  for (int i = 0; i < doctor.n_libraries; i++)
    set_text(libraries, doctor.libraries[i].name, doctor.libraries[i].version);
  for (int i = 0; i < doctor.n_products; i++)
    if (doctor.products[i].chosen)
      set_text(kernels, doctor.products[i].product, doctor.products[i].kernel);
}

static void set_model(members top, const char *key, const lb_model_figures *f) {
  if (f->n_parameters == 0 && !isfinite(f->perplexity)) return;
  members m = open_object(top, key);
  set_real(m, "perplexity", f->perplexity);
  set_real(m, "kl_to_teacher", f->kl_to_teacher);
  set_real(m, "agreement", f->agreement);
  set_count(m, "parameters", f->n_parameters);
  set_count(m, "bytes", (int64_t)f->size_bytes);
  set_real(m, "tokens_per_second", f->tokens_per_second);
}

static void set_result(members top, const lb_distill_result *r) {
  members m = open_object(top, "result");
  set_count(m, "steps", r->steps);
  set_count(m, "skipped_steps", r->skipped_steps);
  set_count(m, "rollbacks", r->rollbacks);
  set_count(m, "tokens", r->tokens);
  set_count(m, "trained_tokens", r->trained_tokens);
  set_real(m, "seconds", r->seconds);
  set(m, "measured_on_training_data", json_boolean(r->is_measured_on_training_data));
  set_model(m, "teacher", &r->teacher);
  set_model(m, "before", &r->before);
  set_model(m, "after", &r->after);
  set_text(m, "teacher_answer", r->test_teacher);
  set_text(m, "student_answer", r->test_student);
}

static void set_data(members m, const lb__model_card *card) {
  json_t *data = json_array();
  set(m, "data", data);
  for (size_t i = 0; i < card->n_data; i++)
    if (json_array_append_new(data, lb__outside_json(card->data[i])) != 0) *m.failed = true;
  set_count(m, "documents", card->n_documents);
  set_count(m, "tokens", card->n_tokens);
  set_count(m, "held_out_documents", card->n_held_out);
}

/* ---- all of it ---- */

static void set_all(members m, const lb__model_card *card, const lb__run_state *state) {
  set_text(m, "format", LB__RUN_FACTS_FORMAT);
  set_count(m, "version", LB__RUN_FACTS_VERSION);
  set_text(m, "state", state->name);
  set_text(m, "error", state->error);
  set_text(m, "teacher", card->teacher);
  set_text(m, "student", card->student);
  set_text(m, "loss", card->loss);
  set_data(m, card);
  set_text(m, "settings", card->settings);
  set_text(m, "test_prompt", state->test_prompt);
  set_environment(m);
  set_result(m, card->result);
}

lb_status lb__run_facts_save(const char *folder, const lb__model_card *card,
                             const lb__run_state *state, lb_error *err) {
  bool failed = false;
  members m = {json_object(), &failed};
  char *path = lb__path_join(folder, LB__RUN_FACTS_FILE);
  if (m.object != NULL) set_all(m, card, state);
  lb_status st = m.object != NULL && path != NULL && !failed
                     ? lb__json_save(path, m.object, err)
                     : lb__fail_nomem(err, "the facts of a run");
  json_decref(m.object);
  lb__free(path);
  return st;
}

/* student.c - see student.h. Read next: student_config.c, the shape of a new one.
 *
 *   output_dir/.student-init.tmp   being made
 *   output_dir/.student-init.old   of an earlier run, being removed
 *   output_dir/student-init        whole; student.txt in it says what it was made from */
#include "student.h"
#include "recipe_values.h"
#include "student_config.h"
#include "student_shrink.h"

#include "base/fail.h"
#include "base/files.h"
#include "base/json.h"
#include "base/system_memory.h"
#include "model/model_create.h"

enum { RECORD_SIZE_MAX = 1 << 20, TRAINING_BYTES = 16 /* weight, gradient and two moments, f32 */ };
#define RECORD_FILE "student.txt"

bool lb__student_is_new(const lb_recipe *r) {
  return r->student.config.path != NULL || lb__recipe_has_below(r, "student.config");
}

const char *lb__student_name(const lb_recipe *r) {
  return !lb__student_is_made(r) ? r->student.path
         : lb__student_is_new(r) ? "random weights"
                                 : "a part of the teacher";
}

/* ---- folders ---- */

/* Also the one folder that a model's folder may hold. */
static lb_status remove_folder(const char *path, lb_error *err) {
  char *templates = lb__path_join(path, "chat_templates");
  if (templates == NULL) return lb__fail_nomem(err, "a path");
  lb_status st = lb__path_is_folder(templates) ? lb__folder_remove(templates, err) : LB_OK;
  if (st == LB_OK) st = lb__folder_remove(path, err);
  lb__free(templates);
  return st;
}

void lb__student_close(lb__student *s) {
  if (s->is_temporary && s->path != NULL) (void)remove_folder(s->path, NULL);
  lb__free(s->path);
  *s = (lb__student){0};
}

/* ---- making it ---- */

typedef struct making {
  lb_recipe *r;
  const lb__student_options *how;
  lb__student_config config; /* of a new one */
  lb_error *err;
} making;

/* A shape with a nought too many is told before it fills the disk. */
static lb_status check_memory(const making *m) {
  uint64_t elements, room = lb__system_memory_available();
  lb_status st = lb__create_estimate(&elements, m->config.json, m->config.name, m->err);
  if (st != LB_OK || !m->how->will_train || elements <= room / TRAINING_BYTES) return st;
  return lb__fail(m->err, LB_E_LIMIT,
                  "student.config: a model of %.1f million parameters takes %.2f GB to train and "
                  "%.2f GB of memory are free; choose a smaller one",
                  1e-6 * (double)elements, 1e-9 * (double)elements * TRAINING_BYTES,
                  1e-9 * (double)room);
}

static lb_status make_new(const making *m, const char *to) {
  lb_create_options o = lb_create_options_default();
  o.tokenizer = m->config.tokenizer;
  o.seed = (uint64_t)m->r->train.seed;
  o.overwrite = true;
  o.cancel = m->how->cancel;
  return lb__create(m->config.json, m->config.name, to, &o, m->err);
}

static lb_status make(const making *m, const char *to) {
  bool is_new = m->config.json != NULL;
  lb_status st = is_new ? make_new(m, to) : lb__student_shrink(m->r, to, m->how->cancel, m->err);
  if (st == LB_OK) return LB_OK;
  return lb__fail_prefix(m->err, st, is_new ? "student.config" : "student.shrink");
}

/* ---- what it was made from ---- */

static char *record_of(const making *m) {
  const lb__recipe_row *row;
  lb__buf b;
  char *config = m->config.json != NULL ? lb__json_text(m->config.json, 2) : NULL;
  lb__buf_init(&b, RECORD_SIZE_MAX);
  if (m->config.json != NULL)
    lb__buf_printf(&b, "random weights, seed %lld\ntokenizer %016llx\n%s\n",
                   (long long)m->r->train.seed, (unsigned long long)m->config.tokenizer_hash,
                   config != NULL ? config : "");
  for (size_t i = 0; m->config.json == NULL && (row = lb__recipe_row_at(i)) != NULL; i++) {
    if (!lb__recipe_is_below(row, "student.shrink")) continue;
    lb__buf_printf(&b, "%s: ", row->key.path);
    lb__recipe_write(&b, m->r, row);
    lb__buf_add_char(&b, '\n');
  }
  if (m->config.json != NULL && config == NULL) b.failed = true;
  lb__free(config);
  char *text = lb__buf_take(&b);
  lb__buf_deinit(&b);
  return text;
}

static lb_status write_record(const char *folder, const char *record, lb_error *err) {
  char *path = lb__path_join(folder, RECORD_FILE);
  lb_status st = path != NULL ? lb__file_save(path, record, strlen(record), err)
                              : lb__fail_nomem(err, "a path");
  lb__free(path);
  return st;
}

/* Whether the folder is whole and was made from the same. */
static lb_status check_record(const char *folder, const char *record, lb_error *err) {
  char *found = NULL, *path = lb__path_join(folder, RECORD_FILE);
  size_t size = 0;
  lb_status st = path != NULL ? lb__file_read(&found, &size, path, RECORD_SIZE_MAX, err)
                              : lb__fail_nomem(err, "a path");
  bool is_same = st == LB_OK && size == strlen(record) && memcmp(found, record, size) == 0;
  lb__free(found);
  lb__free(path);
  if (st != LB_OK || is_same) return st;
  return lb__fail(err, LB_E_ARG,
                  "'%s' was made from another seed, shape or tokenizer than the recipe names, and "
                  "this run began with it; put the recipe back, or start anew with "
                  "overwrite_output_dir=true and without resume_from_checkpoint",
                  folder);
}

/* ---- where ---- */

static lb_status make_temporary(lb__student *s, const making *m) {
  lb_status st = lb__temporary_folder(&s->path, "limbeck-student", m->err);
  s->is_temporary = st == LB_OK;
  return st == LB_OK ? make(m, s->path) : st;
}

/* "output_dir/.student-init<ending>" */
static char *hidden_name(const making *m, const char *ending) {
  return lb__format("%s/." LB__STUDENT_FOLDER "%s", m->r->output_dir, ending);
}

/* A folder of that name without a record is somebody else's. */
static lb_status check_ours(const char *path, lb_error *err) {
  if (!lb__path_is_folder(path)) return LB_OK;
  char *record = lb__path_join(path, RECORD_FILE);
  if (record == NULL) return lb__fail_nomem(err, "a path");
  bool is_ours = lb__path_is_file(record);
  lb__free(record);
  if (is_ours) return LB_OK;
  return lb__fail(err, LB_E_ARG,
                  "'%s' is where the student would be made, but it holds something else; move it "
                  "away, or choose another output_dir",
                  path);
}

/* Under its name only when it is whole; what had the name before goes once it is free. */
static lb_status put_in_place(const char *draft, const char *path, const char *old, lb_error *err) {
  lb_status st = LB_OK;
  if (lb__path_is_folder(path)) st = lb__path_rename(path, old, err);
  if (st == LB_OK) st = lb__path_rename(draft, path, err);
  return st == LB_OK ? remove_folder(old, err) : st;
}

static lb_status make_kept(const making *m, const char *path, const char *record) {
  char *draft = hidden_name(m, ".tmp"), *old = hidden_name(m, ".old");
  lb_status st = draft != NULL && old != NULL ? LB_OK : lb__fail_nomem(m->err, "a path");
  if (st == LB_OK) st = check_ours(path, m->err);
  if (st == LB_OK) st = remove_folder(draft, m->err); /* of a run that was killed */
  if (st == LB_OK) st = remove_folder(old, m->err);
  if (st == LB_OK) st = lb__folder_make(m->r->output_dir, m->err);
  if (st == LB_OK) st = make(m, draft);
  if (st == LB_OK) st = write_record(draft, record, m->err);
  if (st == LB_OK) st = put_in_place(draft, path, old, m->err);
  if (st == LB_OK) st = lb__path_sync(m->r->output_dir, m->err);
  if (st != LB_OK && draft != NULL) (void)remove_folder(draft, NULL);
  lb__free(draft);
  lb__free(old);
  return st;
}

static lb_status find_or_make(lb__student *s, const making *m) {
  bool goes_on = m->r->train.resume_from_checkpoint != NULL;
  char *record = record_of(m);
  s->path = lb__path_join(m->r->output_dir, LB__STUDENT_FOLDER);
  lb_status st = LB_OK;
  if (record == NULL || s->path == NULL)
    st = lb__fail_nomem(m->err, "a path");
  else if (goes_on && lb__path_is_folder(s->path))
    st = check_record(s->path, record, m->err);
  else
    st = make_kept(m, s->path, record);
  lb__free(record);
  return st;
}

lb_status lb__student_open(lb__student *s, lb_recipe *r, const lb__student_options *how,
                           lb_error *err) {
  making m = {.r = r, .how = how, .err = err};
  *s = (lb__student){0};
  if (!lb__student_is_made(r)) {
    s->path = lb__strdup(r->student.path);
    return s->path != NULL ? LB_OK : lb__fail_nomem(err, "a path");
  }
  lb_status st = lb__student_is_new(r) ? lb__student_config_make(&m.config, r, err) : LB_OK;
  if (st == LB_OK && m.config.json != NULL) st = check_memory(&m);
  if (st == LB_OK) st = how->keep ? find_or_make(s, &m) : make_temporary(s, &m);
  lb__student_config_deinit(&m.config);
  return st;
}

/* run_log.c - see run_log.h. Read next: begin (what a resumed run keeps), then
 * lb__run_log_event at the end. */
#include "run_log.h"

#include "metrics.h"
#include "outside_text.h"

#include "base/append.h"
#include "base/fail.h"
#include "base/json.h"

struct lb__run_log {
  char *folder, *path;
  lb__append file;
  /* The last steps of either kind that a resumed run found written already; -1: none. */
  int64_t logged, evaluated;
};

lb_status lb__run_log_new(lb__run_log **out, const char *output_dir, lb_error *err) {
  lb__run_log *log = lb__new(sizeof *log);
  *out = log;
  if (log == NULL) return lb__fail_nomem(err, "the run log");
  log->folder = lb__strdup(output_dir);
  log->path = lb__path_join(output_dir, "metrics.jsonl");
  if (log->folder != NULL && log->path != NULL) return LB_OK;
  lb__run_log_free(log);
  *out = NULL;
  return lb__fail_nomem(err, "the run log");
}

void lb__run_log_free(lb__run_log *log) {
  if (log == NULL) return;
  (void)lb__append_close(&log->file, NULL);
  lb__free(log->folder);
  lb__free(log->path);
  lb__free(log);
}

/* ---- what a resumed run keeps ---- */

/* Notes a line that is kept. Not kept: one of a later step, and one that cannot be read. */
static lb_status read_line(lb__run_log *log, bool *is_kept, const char *line, size_t size,
                           int64_t resumed_step, lb_error *err) {
  json_t *object;
  int64_t step = INT64_MAX;
  *is_kept = false;
  lb_status st = lb__json_parse(&object, line, size, log->path, err);
  if (st == LB_OK && json_is_object(object))
    st = lb__json_get_int(&step, object, "step", true, log->path, err);
  if (st == LB_OK && step <= resumed_step) {
    *is_kept = true;
    if (json_object_get(object, "tokens") != NULL)
      log->logged = step;
    else if (json_object_get(object, "warning") == NULL)
      log->evaluated = step;
  }
  json_decref(object);
  return st == LB_E_NOMEM ? st : LB_OK;
}

/* How many bytes of the file to keep. */
static lb_status find_end(lb__run_log *log, uint64_t *keep, const lb__mapping *file,
                          int64_t resumed_step, lb_error *err) {
  const char *text = (const char *)file->bytes, *end = text + file->size, *newline;
  lb_status st = LB_OK;
  for (const char *line = text; line < end && st == LB_OK; line = newline + 1) {
    bool is_kept;
    newline = memchr(line, '\n', (size_t)(end - line));
    if (newline == NULL) break; /* torn: not whole, not kept */
    st = read_line(log, &is_kept, line, (size_t)(newline - line), resumed_step, err);
    if (is_kept) *keep = (uint64_t)(newline + 1 - text);
  }
  return st;
}

static lb_status begin(lb__run_log *log, int64_t resumed_step, lb_error *err) {
  lb__mapping old = {0};
  uint64_t keep = 0;
  lb_status st = lb__append_close(&log->file, err);
  log->logged = log->evaluated = -1;
  if (st == LB_OK) st = lb__folder_make(log->folder, err);
  if (st == LB_OK && resumed_step > 0 && lb__path_is_file(log->path)) {
    st = lb__file_map(&old, log->path, err);
    if (st == LB_OK) st = find_end(log, &keep, &old, resumed_step, err);
    lb__file_unmap(&old);
  }
  return st == LB_OK ? lb__append_open(&log->file, log->path, keep, err) : st;
}

/* ---- lines ---- */

static lb_status write_line(lb__run_log *log, const json_t *object, lb_error *err) {
  char *text = lb__json_text(object, 0);
  char *line = text != NULL ? lb__format("%s\n", text) : NULL;
  lb_status st = line != NULL ? lb__append_write(&log->file, line, strlen(line), err)
                              : lb__fail_nomem(err, log->path);
  lb__free(line);
  lb__free(text);
  return st;
}

static json_t *metrics_object(const lb_event *event) {
  lb__metrics metrics;
  lb__metrics_of(&metrics, event);
  json_t *object = json_object();
  int failed = json_object_set_new(object, "step", json_integer(event->step));
  for (size_t i = 0; i < metrics.n; i++) {
    const struct lb__metric *m = &metrics.list[i];
    failed |= json_object_set_new(
        object, m->name, m->is_whole ? json_integer((json_int_t)m->value) : json_real(m->value));
  }
  if (failed == 0) return object;
  json_decref(object);
  return NULL;
}

static json_t *warning_object(const lb_event *event) {
  json_t *object = json_object();
  int failed = json_object_set_new(object, "step", json_integer(event->step));
  failed |= json_object_set_new(object, "warning",
                                lb__outside_json(event->text != NULL ? event->text : ""));
  if (failed == 0) return object;
  json_decref(object);
  return NULL;
}

static lb_status write_event(lb__run_log *log, const lb_event *event, lb_error *err) {
  json_t *object = event->kind == LB_EVENT_WARNING ? warning_object(event) : metrics_object(event);
  if (object == NULL) return lb__fail_nomem(err, log->path);
  lb_status st = write_line(log, object, err);
  json_decref(object);
  return st;
}

static lb_status finish(lb__run_log *log, lb_error *err) {
  lb_status st = lb__append_sync(&log->file, err);
  lb_status closed = lb__append_close(&log->file, st == LB_OK ? err : NULL);
  return st == LB_OK ? closed : st;
}

lb_status lb__run_log_event(void *ctx, const lb_event *event, lb_error *err) {
  lb__run_log *log = ctx;
  if (event->kind == LB_EVENT_BEGIN) return begin(log, event->step, err);
  if (event->kind == LB_EVENT_STEP) return LB_OK;
  if (log->file.path == NULL)
    return lb__fail(err, LB_E_ARG, "'%s': an event came before the run began", log->path);
  switch (event->kind) {
  case LB_EVENT_LOG: return event->step > log->logged ? write_event(log, event, err) : LB_OK;
  case LB_EVENT_EVAL: return event->step > log->evaluated ? write_event(log, event, err) : LB_OK;
  case LB_EVENT_WARNING: return write_event(log, event, err);
  case LB_EVENT_CHECKPOINT: return lb__append_sync(&log->file, err);
  default: return finish(log, err);
  }
}

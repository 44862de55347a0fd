/* tensorboard_log.c - see tensorboard_log.h. Read next: begin, then write_metrics. */
#include "tensorboard_log.h"

#include "metrics.h"
#include "tf_record.h"

#include "base/clock.h"
#include "base/fail.h"

#include <stdlib.h>

/* Numbers of fields in TensorFlow's event.proto and summary.proto. */
enum {
  EVENT_WALL_TIME = 1,
  EVENT_STEP = 2,
  EVENT_FILE_VERSION = 3,
  EVENT_SUMMARY = 5,
  EVENT_SESSION_LOG = 7,
  SESSION_STATUS = 1,
  SESSION_START = 1,
  SUMMARY_VALUE = 1,
  VALUE_TAG = 1,
  VALUE_SIMPLE_VALUE = 2,
  MAX_MESSAGE = 65536
};

static const char name_prefix[] = "events.out.tfevents.";

struct lb__tensorboard_log {
  char *folder;
  double (*now)(void);
  lb__append file;
  int64_t logged, evaluated; /* the last steps of either kind; -1: none */
};

lb_status lb__tensorboard_log_new(lb__tensorboard_log **out, const lb__tensorboard_options *options,
                                  lb_error *err) {
  const char *name = options->run_name != NULL ? options->run_name : "limbeck";
  *out = NULL;
  if (!lb__path_is_plain_name(name))
    return lb__fail(err, LB_E_ARG, "run name '%s': want a plain file name", name);
  lb__tensorboard_log *log = lb__new(sizeof *log);
  char *runs = lb__path_join(options->output_dir, "runs");
  if (log != NULL && runs != NULL) log->folder = lb__path_join(runs, name);
  lb__free(runs);
  if (log == NULL || log->folder == NULL) {
    lb__tensorboard_log_free(log);
    return lb__fail_nomem(err, "the TensorBoard log");
  }
  log->now = options->now != NULL ? options->now : lb__clock_unix;
  *out = log;
  return LB_OK;
}

void lb__tensorboard_log_free(lb__tensorboard_log *log) {
  if (log == NULL) return;
  (void)lb__append_close(&log->file, NULL);
  lb__free(log->folder);
  lb__free(log);
}

/* ---- event files ---- */

static lb_status remove_file(const lb__tensorboard_log *log, const char *name, lb_error *err) {
  char *path = lb__path_join(log->folder, name);
  lb_status st = path != NULL ? lb__file_remove(path, err) : lb__fail_nomem(err, name);
  lb__free(path);
  return st;
}

/* The latest second that an event file's name says; -1 without one. A fresh run removes them. */
static lb_status look_at_earlier(const lb__tensorboard_log *log, int64_t *latest, bool is_fresh,
                                 lb_error *err) {
  char **names;
  size_t n, prefix = sizeof name_prefix - 1;
  *latest = -1;
  lb_status st = lb__folder_list(&names, &n, log->folder, err);
  for (size_t i = 0; i < n && st == LB_OK; i++) {
    if (strncmp(names[i], name_prefix, prefix) != 0) continue;
    int64_t second = strtoll(names[i] + prefix, NULL, 10);
    if (is_fresh)
      st = remove_file(log, names[i], err);
    else if (second > *latest && second < INT64_MAX)
      *latest = second;
  }
  lb__name_list_free(names, n);
  return st;
}

/* TensorBoard reads a folder's files in the order of their names, so a later one must sort later,
 * also within a second and when the clock was set back. */
static lb_status open_file(lb__tensorboard_log *log, int64_t latest, lb_error *err) {
  int64_t second = (int64_t)log->now();
  if (second <= latest) second = latest + 1;
  char *name = lb__format("%s%010lld.limbeck", name_prefix, (long long)second);
  char *path = name != NULL ? lb__path_join(log->folder, name) : NULL;
  lb_status st = path != NULL ? lb__append_open(&log->file, path, 0, err)
                              : lb__fail_nomem(err, "the TensorBoard log");
  lb__free(path);
  lb__free(name);
  return st;
}

/* ---- events ---- */

static lb_status write_message(lb__tensorboard_log *log, lb__buf *message, lb_error *err) {
  lb_status st = lb__buf_check(message, "a TensorBoard event", err);
  if (st == LB_OK) st = lb__tf_record_write(&log->file, message->bytes, message->size, err);
  lb__buf_deinit(message);
  return st;
}

static void begin_event(lb__buf *message, const lb__tensorboard_log *log, int64_t step) {
  lb__buf_init(message, MAX_MESSAGE);
  lb__proto_double(message, EVENT_WALL_TIME, log->now());
  lb__proto_int(message, EVENT_STEP, step);
}

static lb_status write_version(lb__tensorboard_log *log, lb_error *err) {
  static const char version[] = "brain.Event:2";
  lb__buf message;
  begin_event(&message, log, 0);
  lb__proto_bytes(&message, EVENT_FILE_VERSION, version, sizeof version - 1);
  return write_message(log, &message, err);
}

/* Makes readers drop what was said before of this step and later ones. */
static lb_status write_session_start(lb__tensorboard_log *log, int64_t step, lb_error *err) {
  static const uint8_t start[] = {SESSION_STATUS << 3, SESSION_START};
  lb__buf message;
  begin_event(&message, log, step);
  lb__proto_bytes(&message, EVENT_SESSION_LOG, start, sizeof start);
  return write_message(log, &message, err);
}

static lb_status begin(lb__tensorboard_log *log, int64_t resumed_step, lb_error *err) {
  int64_t latest;
  lb_status st = lb__append_close(&log->file, err);
  log->logged = log->evaluated = -1;
  if (st == LB_OK) st = lb__folder_make(log->folder, err);
  if (st == LB_OK) st = look_at_earlier(log, &latest, resumed_step == 0, err);
  if (st == LB_OK) st = open_file(log, latest, err);
  if (st == LB_OK) st = write_version(log, err);
  if (st == LB_OK && resumed_step > 0) st = write_session_start(log, resumed_step + 1, err);
  return st;
}

/* "eval_loss" is eval/loss, "grad_norm" is train/grad_norm: Transformers' rewrite_logs. */
static void add_value(lb__buf *summary, const struct lb__metric *m) {
  bool is_eval = strncmp(m->name, "eval_", 5) == 0;
  lb__buf tag, value;
  lb__buf_init(&tag, MAX_MESSAGE);
  lb__buf_init(&value, MAX_MESSAGE);
  lb__buf_add_text(&tag, is_eval ? "eval/" : "train/");
  lb__buf_add_text(&tag, is_eval ? m->name + 5 : m->name);
  lb__proto_bytes(&value, VALUE_TAG, tag.bytes, tag.size);
  lb__proto_float(&value, VALUE_SIMPLE_VALUE, (float)m->value);
  lb__proto_bytes(summary, SUMMARY_VALUE, value.bytes, value.size);
  summary->failed |= tag.failed || value.failed;
  lb__buf_deinit(&tag);
  lb__buf_deinit(&value);
}

static lb_status write_metrics(lb__tensorboard_log *log, const lb_event *event, lb_error *err) {
  lb__metrics metrics;
  lb__buf message, summary;
  lb__metrics_of(&metrics, event);
  lb__buf_init(&summary, MAX_MESSAGE);
  for (size_t i = 0; i < metrics.n; i++) add_value(&summary, &metrics.list[i]);
  begin_event(&message, log, event->step);
  lb__proto_bytes(&message, EVENT_SUMMARY, summary.bytes, summary.size);
  message.failed |= summary.failed;
  lb__buf_deinit(&summary);
  return write_message(log, &message, err);
}

/* After a rollback steps come again: what is known of them by then is void. */
static lb_status note_step(lb__tensorboard_log *log, const lb_event *event, lb_error *err) {
  int64_t *last = event->kind == LB_EVENT_LOG ? &log->logged : &log->evaluated;
  bool came_before = event->step <= *last;
  if (came_before) log->logged = log->evaluated = event->step - 1;
  *last = event->step;
  return came_before ? write_session_start(log, event->step, err) : LB_OK;
}

static lb_status add_point(lb__tensorboard_log *log, const lb_event *event, lb_error *err) {
  lb_status st = note_step(log, event, err);
  return st == LB_OK ? write_metrics(log, event, err) : st;
}

static lb_status finish(lb__tensorboard_log *log, lb_error *err) {
  lb_status st = lb__append_sync(&log->file, err);
  lb_status closed = lb__append_close(&log->file, st == LB_OK ? err : NULL);
  return st == LB_OK ? closed : st;
}

lb_status lb__tensorboard_log_event(void *ctx, const lb_event *event, lb_error *err) {
  lb__tensorboard_log *log = ctx;
  if (event->kind == LB_EVENT_BEGIN) return begin(log, event->step, err);
  if (event->kind == LB_EVENT_STEP || event->kind == LB_EVENT_WARNING) return LB_OK;
  if (log->file.path == NULL)
    return lb__fail(err, LB_E_ARG, "'%s': an event came before the run began", log->folder);
  switch (event->kind) {
  case LB_EVENT_LOG:
  case LB_EVENT_EVAL: return add_point(log, event, err);
  case LB_EVENT_CHECKPOINT: return lb__append_sync(&log->file, err);
  default: return finish(log, err);
  }
}

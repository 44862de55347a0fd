/* run_curves.c - see run_curves.h. */
#include "run_curves.h"

#include "base/fail.h"
#include "base/files.h"
#include "base/json.h"

#include <math.h>

#define LARGEST_LOG   ((size_t)1 << 30)
#define LARGEST_STEP  9007199254740992.0 /* 2^53: every whole number below is a double */
#define LARGEST_VALUE 1e300              /* so that differences of two values are finite */

/* ---- curves ---- */

const lb__curve *lb__run_curves_find(const lb__run_curves *curves, const char *name) {
  for (size_t i = 0; i < curves->n; i++)
    if (strcmp(curves->list[i].name, name) == 0) return &curves->list[i];
  return NULL;
}

/* NULL: a name that is none of ours, or too many of them. */
static lb__curve *curve_named(lb__run_curves *curves, const char *name) {
  lb__curve *known = (lb__curve *)lb__run_curves_find(curves, name);
  if (known != NULL) return known;
  size_t length = strlen(name);
  if (length == 0 || length >= LB__METRIC_NAME_SIZE || curves->n == LB__CURVES_MAX) return NULL;
  lb__curve *c = &curves->list[curves->n++];
  memcpy(c->name, name, length + 1);
  return c;
}

static bool add_point(lb__curve *c, double step, double value) {
  while (c->n > 0 && c->steps[c->n - 1] >= step) c->n--;
  if (!lb__grow(&c->steps, &c->step_capacity, c->n + 1, sizeof *c->steps)) return false;
  if (!lb__grow(&c->values, &c->value_capacity, c->n + 1, sizeof *c->values)) return false;
  c->steps[c->n] = step;
  c->values[c->n++] = value;
  return true;
}

/* ---- lines ---- */

static bool add_warning(lb__run_curves *curves, const char *text) {
  size_t i = curves->n_warnings++;
  if (i >= LB__CURVE_WARNINGS_MAX) return true;
  curves->warnings[i] = lb__strdup(text);
  if (curves->warnings[i] != NULL) return true;
  curves->n_warnings = i;
  return false;
}

static bool add_numbers(lb__run_curves *curves, const json_t *object, double step) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)object, key, value) {
    double x = json_is_number(value) ? json_number_value(value) : NAN;
    if (strcmp(key, "step") == 0 || !(fabs(x) <= LARGEST_VALUE)) continue;
    lb__curve *c = curve_named(curves, key);
    if (c != NULL && !add_point(c, step, x)) return false;
  }
  return true;
}

static bool add_object(lb__run_curves *curves, const json_t *object) {
  const json_t *step_value = json_object_get(object, "step");
  double step = json_is_number(step_value) ? json_number_value(step_value) : NAN;
  const json_t *warning = json_object_get(object, "warning");
  if (!(step >= 0.0 && step <= LARGEST_STEP)) {
    curves->n_unread++;
    return true;
  }
  if (json_is_string(warning) && !add_warning(curves, json_string_value(warning))) return false;
  return add_numbers(curves, object, step);
}

static lb_status add_line(lb__run_curves *curves, const char *line, size_t size, lb_error *err) {
  json_t *object = NULL;
  lb_error unread = {0};
  curves->n_lines++;
  lb_status st = lb__json_parse(&object, line, size, "a line", &unread);
  if (st == LB_E_NOMEM) return lb__fail_nomem(err, "a log");
  bool has_memory = true;
  if (st == LB_OK)
    has_memory = add_object(curves, object);
  else
    curves->n_unread++;
  json_decref(object);
  return has_memory ? LB_OK : lb__fail_nomem(err, "a log");
}

/* ---- all of it ---- */

lb_status lb__run_curves_parse(lb__run_curves *out, const char *text, size_t size, lb_error *err) {
  const char *end = text + size;
  lb_status st = LB_OK;
  *out = (lb__run_curves){0};
  while (text < end && st == LB_OK) {
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    const char *line_end = newline != NULL ? newline : end;
    if (line_end > text) st = add_line(out, text, (size_t)(line_end - text), err);
    text = line_end + 1;
  }
  return st;
}

lb_status lb__run_curves_read(lb__run_curves *out, const char *path, lb_error *err) {
  char *text;
  size_t size;
  *out = (lb__run_curves){0};
  lb_status st = lb__file_read(&text, &size, path, LARGEST_LOG, err);
  if (st != LB_OK) return st;
  st = lb__run_curves_parse(out, text, size, err);
  lb__free(text);
  return st;
}

void lb__run_curves_deinit(lb__run_curves *curves) {
  for (size_t i = 0; i < curves->n; i++) {
    lb__free(curves->list[i].steps);
    lb__free(curves->list[i].values);
  }
  for (size_t i = 0; i < LB__CURVE_WARNINGS_MAX; i++) lb__free(curves->warnings[i]);
  *curves = (lb__run_curves){0};
}

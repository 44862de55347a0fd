/* jinja_format.c - text from patterns: "%s" % x, "{}".format(x), strftime_now. Only what the
 * patterns of chat templates use; the rest is refused by name. Read first: jinja_builtin.h. */
#include "jinja_builtin.h"
#include "jinja_string.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- % ---- */

typedef struct percent_spec {
  char flags[8];
  int width, precision; /* -1: none */
  char type;
  const char *key;
  size_t key_size;
  size_t end; /* offset behind it */
} percent_spec;

static int read_number(const lb__jstr *s, size_t *at) {
  int n = -1;
  while (*at < s->size && s->bytes[*at] >= '0' && s->bytes[*at] <= '9' && n < 1000)
    n = (n < 0 ? 0 : n) * 10 + (s->bytes[(*at)++] - '0');
  return n;
}

/* Behind the '%'. */
static bool read_spec(const lb__jstr *s, size_t at, percent_spec *spec) {
  size_t n = 0;
  *spec = (percent_spec){.width = -1, .precision = -1};
  if (at < s->size && s->bytes[at] == '(') {
    const char *close = memchr(s->bytes + at, ')', s->size - at);
    if (close == NULL) return false;
    spec->key = s->bytes + at + 1;
    spec->key_size = (size_t)(close - spec->key);
    at = (size_t)(close - s->bytes) + 1;
  }
  while (at < s->size && n < 5 && s->bytes[at] != '\0' && strchr("-+ 0#", s->bytes[at]) != NULL)
    spec->flags[n++] = s->bytes[at++];
  spec->width = read_number(s, &at);
  if (at < s->size && s->bytes[at] == '.') {
    at++;
    spec->precision = read_number(s, &at);
    if (spec->precision < 0) spec->precision = 0;
  }
  if (at >= s->size || s->bytes[at] == '\0' || spec->width >= 1000 || spec->precision >= 1000)
    return false;
  spec->type = s->bytes[at];
  spec->end = at + 1;
  return true;
}

static void print_padded(lb__jrun *r, lb__jout *out, const lb__jstr *s, const percent_spec *spec) {
  size_t chars = s->n_chars;
  if (spec->precision >= 0 && (size_t)spec->precision < chars) chars = (size_t)spec->precision;
  size_t width = spec->width < 0 ? 0 : (size_t)spec->width, pad = width > chars ? width - chars : 0;
  bool left = strchr(spec->flags, '-') != NULL;
  for (size_t i = 0; i < pad && !left; i++) lb__jout_text(r, out, " ");
  lb__jout_str(r, out, s, 0, lb__jstr_offset(s, chars));
  for (size_t i = 0; i < pad && left; i++) lb__jout_text(r, out, " ");
}

/* snprintf with a pattern that is rebuilt from the checked parts. */
static void print_number(lb__jrun *r, lb__jout *out, lb__jval v, const percent_spec *spec) {
  char text[2400], pattern[48], width[16] = "", precision[16] = "";
  if (!lb__jis_number(v)) {
    lb__jfail(r, LB_E_ARG, "%%%c format: a real number is required, not %s", spec->type,
              lb__jtype_name(v));
    return;
  }
  if (spec->width >= 0) snprintf(width, sizeof width, "%d", spec->width);
  if (spec->precision >= 0) snprintf(precision, sizeof precision, ".%d", spec->precision);
  bool integer = strchr("dixXo", spec->type) != NULL;
  snprintf(pattern, sizeof pattern, "%%%s%s%s%s%c", spec->flags, width, precision,
           integer ? "ll" : "", spec->type);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  if (integer) {
    long long i = v.kind == LB__J_FLOAT ? (long long)v.d : v.kind == LB__J_BOOL ? v.b : v.i;
    snprintf(text, sizeof text, pattern, i);
  } else {
    snprintf(text, sizeof text, pattern, lb__jto_double(v));
  }
#pragma GCC diagnostic pop
  lb__jout_text(r, out, text);
}

static void print_spec(lb__jrun *r, lb__jout *out, lb__jval v, const percent_spec *spec) {
  lb__jout text = {0};
  bool too_big = v.kind == LB__J_FLOAT && !(v.d > -9e18 && v.d < 9e18);
  if (spec->type == 's' || spec->type == 'r') {
    if (spec->type == 's')
      lb__jprint(r, &text, v);
    else
      lb__jprint_repr(r, &text, v);
    print_padded(r, out, lb__jout_take(r, &text).s, spec);
  } else if (strchr("di", spec->type) != NULL && !too_big) {
    print_number(r, out, v, spec);
  } else if (strchr("xXo", spec->type) != NULL && v.kind == LB__J_INT && v.i >= 0) {
    print_number(r, out, v, spec);
  } else if (strchr("fFeEgG", spec->type) != NULL) {
    print_number(r, out, v, spec);
  } else {
    lb__jfail(r, LB_E_UNSUPPORTED, "format '%%%c' of a %s is not supported", spec->type,
              lb__jtype_name(v));
  }
}

static lb__jval format_value(lb__jrun *r, const percent_spec *spec, const lb__jval *values,
                             size_t n, lb__jval mapping, size_t *used) {
  if (spec->key != NULL) {
    lb__jval key = lb__jstring(r, spec->key, spec->key_size, 0);
    const lb__jval *hit = mapping.kind == LB__J_DICT ? lb__jdict_get(mapping.dict, key) : NULL;
    if (hit != NULL) return *hit;
    return lb__jfail(r, LB_E_ARG, "format: no value named '%.*s'",
                     spec->key_size > 60 ? 60 : (int)spec->key_size, spec->key);
  }
  if (*used >= n) return lb__jfail(r, LB_E_ARG, "not enough arguments for format string");
  return values[(*used)++];
}

lb__jval lb__jpercent_format(lb__jrun *r, const lb__jstr *format, const lb__jval *values, size_t n,
                             lb__jval mapping) {
  lb__jout out = {0};
  percent_spec spec;
  size_t used = 0;
  for (size_t at = 0; at < format->size && lb__jcharge(r, 1);) {
    const char *hit = memchr(format->bytes + at, '%', format->size - at);
    size_t end = hit == NULL ? format->size : (size_t)(hit - format->bytes);
    lb__jout_str(r, &out, format, at, end);
    if (hit == NULL) break;
    if (!read_spec(format, end + 1, &spec)) return lb__jfail(r, LB_E_ARG, "incomplete format");
    at = spec.end;
    if (spec.type == '%')
      lb__jout_text(r, &out, "%");
    else
      print_spec(r, &out, format_value(r, &spec, values, n, mapping, &used), &spec);
  }
  if (used < n && !lb__jgiven(mapping))
    return lb__jfail(r, LB_E_ARG, "not all arguments converted during string formatting");
  return lb__jout_take(r, &out);
}

/* ---- {} ---- */

static lb__jval brace_value(lb__jrun *r, const lb__jargs *args, const char *name, size_t size,
                            size_t *next) {
  size_t index = 0;
  bool digits = true;
  for (size_t i = 0; i < size; i++) digits = digits && name[i] >= '0' && name[i] <= '9';
  for (size_t i = 0; i < args->n_named; i++)
    if (strlen(args->names[i]) == size && memcmp(args->names[i], name, size) == 0)
      return args->named[i];
  if (!digits || size > 6)
    return lb__jfail(r, LB_E_UNSUPPORTED, "format field '%.*s' is not supported",
                     size > 60 ? 60 : (int)size, name);
  if (size == 0)
    index = (*next)++;
  else
    index = (size_t)strtoul(name, NULL, 10);
  if (index < args->n) return args->values[index];
  return lb__jfail(r, LB_E_ARG, "format: replacement index %zu out of range", index);
}

/* The field behind '{': name, "!r", no ":spec". Returns the offset behind '}'. */
static size_t brace_field(lb__jrun *r, lb__jout *out, const lb__jstr *s, size_t at,
                          const lb__jargs *args, size_t *next) {
  const char *close = memchr(s->bytes + at, '}', s->size - at);
  if (close == NULL) return lb__jfail(r, LB_E_ARG, "expected '}' before end of string"), s->size;
  size_t end = (size_t)(close - s->bytes), size = end - at;
  bool repr = size >= 2 && s->bytes[end - 2] == '!' && s->bytes[end - 1] == 'r';
  if (size >= 2 && s->bytes[end - 2] == '!') size -= 2;
  lb__jval v = brace_value(r, args, s->bytes + at, size, next);
  if (repr)
    lb__jprint_repr(r, out, v);
  else
    lb__jprint(r, out, v);
  return end + 1;
}

lb__jval lb__jbrace_format(lb__jrun *r, const lb__jstr *format, const lb__jargs *args) {
  lb__jout out = {0};
  size_t next = 0;
  for (size_t at = 0; at < format->size && lb__jcharge(r, 1);) {
    char c = format->bytes[at];
    bool twice = at + 1 < format->size && format->bytes[at + 1] == c;
    if ((c == '{' || c == '}') && twice) {
      lb__jout_str(r, &out, format, at, at + 1);
      at += 2;
    } else if (c == '{') {
      at = brace_field(r, &out, format, at + 1, args, &next);
    } else if (c == '}') {
      return lb__jfail(r, LB_E_ARG, "Single '}' encountered in format string");
    } else {
      lb__jout_str(r, &out, format, at, at + 1);
      at++;
    }
  }
  return lb__jout_take(r, &out);
}

/* ---- strftime_now ---- */

lb__jval lb__jstrftime(lb__jrun *r, const lb__jstr *format) {
  char pattern[256], text[1024];
  struct tm tm;
  time_t now = r->has_now ? (time_t)r->now : time(NULL);
  if (format->size >= sizeof pattern || memchr(format->bytes, '\0', format->size) != NULL)
    return lb__jfail(r, LB_E_ARG, "strftime_now: a format of %zu bytes is too long or holds a NUL",
                     format->size);
  memcpy(pattern, format->bytes, format->size);
  pattern[format->size] = '\0';
  if (localtime_r(&now, &tm) == NULL) return lb__jfail(r, LB_E_ARG, "strftime_now: no such time");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  size_t n = strftime(text, sizeof text, pattern, &tm);
#pragma GCC diagnostic pop
  char *kept = lb__jalloc(r, n + 1, 1);
  if (kept == NULL) return lb__jundefined(NULL);
  memcpy(kept, text, n);
  return lb__jstring(r, kept, n, 0);
}

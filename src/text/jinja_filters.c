/* jinja_filters.c - the table of filters, and the filters on one value: text, numbers, tojson.
 * Filters on sequences are in jinja_filters_list.c. Read first: jinja_builtin.h. */
#include "jinja_filters.h"
#include "jinja_string.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const lb__jstr *lb__jarg_str(lb__jrun *r, lb__jval v, const char *what) {
  static const lb__jstr empty = {.bytes = ""};
  if (v.kind == LB__J_STRING) return v.s;
  if (v.kind == LB__J_UNDEFINED)
    lb__jfail_undefined(r, v);
  else
    lb__jfail(r, LB_E_ARG, "%s: want a str, found %s", what, lb__jtype_name(v));
  return &empty;
}

int64_t lb__jarg_int(lb__jrun *r, lb__jval v, int64_t otherwise, const char *what) {
  int64_t i = otherwise;
  if (lb__jgiven(v) && v.kind != LB__J_NONE) lb__jto_int(r, v, &i, what);
  return i;
}

/* ---- text ---- */

static lb__jval as_string(lb__jval v, const lb__jstr *s) {
  return v.kind == LB__J_STRING ? v : (lb__jval){.kind = LB__J_STRING, .s = s};
}

static lb__jval f_string(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a, (void)raw;
  return as_string(v, lb__jto_str(r, v));
}

/* Jinja's Markup: what it is added to gets escaped. Transformers renders without autoescape. */
static lb__jval f_safe(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a, (void)raw;
  const lb__jstr *s = lb__jto_str(r, v);
  lb__jstr *safe = lb__jalloc(r, 1, sizeof *safe);
  if (safe == NULL) return lb__jundefined(NULL);
  *safe = *s;
  safe->is_markup = true;
  return (lb__jval){.kind = LB__J_STRING, .s = safe};
}

static lb__jval f_escape(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a, (void)raw;
  if (v.kind == LB__J_STRING && v.s->is_markup) return v;
  return lb__jstr_escape(r, lb__jto_str(r, v));
}

static lb__jval f_forceescape(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a, (void)raw;
  return lb__jstr_escape(r, lb__jto_str(r, v));
}

static lb__jval f_trim(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  bool set = lb__jgiven(a[0]) && a[0].kind != LB__J_NONE;
  const lb__jstr *chars = set ? lb__jarg_str(r, a[0], "trim") : NULL;
  return lb__jstr_strip(r, lb__jto_str(r, v), chars, LB__JSTRIP_BOTH);
}

static lb__jval cased(lb__jrun *r, lb__jval v, lb__jcase to) {
  return lb__jstr_case(r, lb__jto_str(r, v), to);
}
static lb__jval f_upper(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a, (void)raw;
  return cased(r, v, LB__JCASE_UPPER);
}
static lb__jval f_lower(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a, (void)raw;
  return cased(r, v, LB__JCASE_LOWER);
}
static lb__jval f_capitalize(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a, (void)raw;
  return cased(r, v, LB__JCASE_CAPITALIZE);
}
static lb__jval f_title(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a, (void)raw;
  return cased(r, v, LB__JCASE_TITLE_WORDS);
}

static lb__jval f_replace(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  return lb__jstr_replace(r, lb__jto_str(r, v), lb__jto_str(r, a[0]), lb__jto_str(r, a[1]),
                          lb__jarg_int(r, a[2], -1, "replace"));
}

static lb__jval f_format(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a;
  lb__jval names = lb__jabsent();
  if (raw->n_named > 0) {
    names = lb__jnew_dict(r);
    for (size_t i = 0; i < raw->n_named && names.kind == LB__J_DICT; i++)
      lb__jdict_put(r, names.dict, lb__jtext(r, raw->names[i]), raw->named[i]);
  }
  return lb__jpercent_format(r, lb__jto_str(r, v), raw->values, raw->n, names);
}

static const lb__jstr *indentation(lb__jrun *r, lb__jval width) {
  if (width.kind == LB__J_STRING) return width.s;
  return lb__jstr_repeat(r, lb__jtext(r, " ").s, lb__jarg_int(r, width, 4, "indent")).s;
}

static lb__jval f_indent(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  static const lb__jstr newline = {.bytes = "\n", .size = 1, .n_chars = 1};
  bool first = lb__jgiven(a[1]) && lb__jtruth(a[1]), blank = lb__jgiven(a[2]) && lb__jtruth(a[2]);
  const lb__jstr *in = indentation(r, a[0]);
  lb__jout out = {0};
  lb__jval text =
      lb__jstr_concat(r, lb__jarg_str(r, v, "indent"), &newline); /* Jinja adds one as well */
  if (r->status != LB_OK) return text;
  lb__jval lines = lb__jstr_splitlines(r, text.s, false);
  for (size_t i = 0; r->status == LB_OK && i < lines.list->n; i++) {
    const lb__jstr *line = lines.list->values[i].s;
    if (i > 0) lb__jout_text(r, &out, "\n");
    if (i == 0 ? first : blank || line->size > 0) lb__jout_str(r, &out, in, 0, in->size);
    lb__jout_str(r, &out, line, 0, line->size);
  }
  return lb__jout_take(r, &out);
}

static lb__jval f_center(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  return lb__jpad(r, lb__jto_str(r, v), lb__jarg_int(r, a[0], 80, "center"), lb__jabsent(), 0);
}

static bool is_word_char(uint32_t c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         c >= 0xAA;
}

static lb__jval f_wordcount(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a, (void)raw;
  const lb__jstr *s = lb__jto_str(r, v);
  int64_t n = 0;
  bool inside = false;
  for (size_t at = 0; at < s->size && lb__jcharge(r, 1); at = lb__jstr_next(s, at)) {
    bool word = is_word_char(lb__jstr_char(s, at));
    n += word && !inside;
    inside = word;
  }
  return lb__jint(n);
}

/* ---- numbers ---- */

static bool string_to_int(const lb__jstr *s, int64_t base, int64_t *out) {
  char text[80], *end;
  size_t n = 0;
  bool digit = false;
  for (size_t i = 0; i < s->size; i++) {
    char c = s->bytes[i];
    if (c == '_' && digit && i + 1 < s->size) continue;
    digit = c > ' ';
    if (c == '\0' || n + 1 >= sizeof text) return false;
    text[n++] = c;
  }
  while (n > 0 && lb__jis_space((unsigned char)text[n - 1])) n--;
  text[n] = '\0';
  if (n == 0 || base < 0 || base > 36 || base == 1) return false;
  *out = strtoll(text, &end, (int)base);
  return *end == '\0' && end != text && *out != INT64_MAX && *out != INT64_MIN;
}

static bool string_to_float(const lb__jstr *s, double *out) {
  char text[80], *end;
  if (s->size == 0 || s->size >= sizeof text) return false;
  memcpy(text, s->bytes, s->size);
  text[s->size] = '\0';
  if (strlen(text) != s->size || strpbrk(text, "xXpP(") != NULL) return false;
  *out = strtod(text, &end);
  while (*end != '\0' && lb__jis_space((unsigned char)*end)) end++;
  return *end == '\0' && end != text;
}

static lb__jval f_int(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  int64_t i, base = lb__jarg_int(r, a[1], 10, "int");
  double d = 0;
  lb__jval otherwise = lb__jgiven(a[0]) ? a[0] : lb__jint(0);
  if (v.kind == LB__J_UNDEFINED) return lb__jfail_undefined(r, v);
  if (v.kind == LB__J_INT) return v;
  if (v.kind == LB__J_BOOL) return lb__jint(v.b);
  if (v.kind == LB__J_STRING && string_to_int(v.s, base, &i)) return lb__jint(i);
  if (v.kind == LB__J_FLOAT)
    d = v.d;
  else if (v.kind != LB__J_STRING || !string_to_float(v.s, &d))
    return otherwise;
  if (isnan(d) || isinf(d)) return otherwise;
  if (!(d > -9.2e18 && d < 9.2e18)) return lb__jfail(r, LB_E_LIMIT, "integer beyond 64 bits");
  return lb__jint((int64_t)d);
}

static lb__jval f_float(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  double d;
  if (v.kind == LB__J_UNDEFINED) return lb__jfail_undefined(r, v);
  if (lb__jis_number(v)) return lb__jfloat(lb__jto_double(v));
  if (v.kind == LB__J_STRING && string_to_float(v.s, &d)) return lb__jfloat(d);
  return lb__jgiven(a[0]) ? a[0] : lb__jfloat(0);
}

static lb__jval f_abs(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a, (void)raw;
  if (v.kind == LB__J_FLOAT) return lb__jfloat(fabs(v.d));
  if (v.kind == LB__J_BOOL) return lb__jint(v.b);
  if (v.kind == LB__J_INT && v.i != INT64_MIN) return lb__jint(v.i < 0 ? -v.i : v.i);
  if (v.kind == LB__J_UNDEFINED) return lb__jfail_undefined(r, v);
  return lb__jfail(r, LB_E_ARG, "bad operand type for abs(): '%s'", lb__jtype_name(v));
}

/* round(x, n) of Python: exact decimal digits, ties to even. printf does precisely that. */
static double round_digits(double d, int64_t digits) {
  char text[400];
  if (!isfinite(d) || digits > 300) return d;
  if (digits >= 0) {
    snprintf(text, sizeof text, "%.*f", (int)digits, d);
    return strtod(text, NULL);
  }
  if (digits < -300) return copysign(0.0, d);
  double scale = pow(10, (double)-digits);
  return nearbyint(d / scale) * scale;
}

static lb__jval f_round(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  int64_t digits = lb__jarg_int(r, a[0], 0, "round");
  const lb__jstr *how = lb__jgiven(a[1]) ? lb__jarg_str(r, a[1], "round") : NULL;
  bool common = how == NULL || lb__jstr_is(how, "common");
  if (!lb__jis_number(v))
    return lb__jfail(r, LB_E_ARG, "round: want a number, found %s", lb__jtype_name(v));
  if (common && v.kind != LB__J_FLOAT && digits >= 0)
    return lb__jint(v.kind == LB__J_BOOL ? v.b : v.i);
  if (common && v.kind == LB__J_FLOAT) return lb__jfloat(round_digits(v.d, digits));
  bool up = how != NULL && lb__jstr_is(how, "ceil");
  if (common || (!up && !lb__jstr_is(how, "floor")))
    return lb__jfail(r, LB_E_ARG, "method must be common, ceil or floor");
  double scale = pow(10, (double)digits), d = lb__jto_double(v) * scale;
  return lb__jfloat((up ? ceil(d) : floor(d)) / scale);
}

/* ---- the rest ---- */

static lb__jval f_length(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a, (void)raw;
  int64_t n;
  lb__jlength(r, v, &n);
  return lb__jint(n);
}

static lb__jval f_default(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  bool falsy = lb__jgiven(a[1]) && lb__jtruth(a[1]) && !lb__jtruth(v);
  if (v.kind != LB__J_UNDEFINED && !falsy) return v;
  return lb__jgiven(a[0]) ? a[0] : lb__jtext(r, "");
}

static lb__jval f_attr(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  char name[64];
  const lb__jstr *s = lb__jto_str(r, a[0]);
  if (v.kind == LB__J_UNDEFINED || s->size >= sizeof name || v.kind == LB__J_DICT)
    return v.kind == LB__J_UNDEFINED ? lb__jfail_undefined(r, v)
                                     : lb__jundefined("no such attribute");
  memcpy(name, s->bytes, s->size);
  name[s->size] = '\0';
  return lb__jget_attribute(r, v, name);
}

static bool json_separators(lb__jrun *r, lb__jval v, lb__jjson *style) {
  const lb__jlist *pair = lb__jiterate(r, v);
  if (pair == NULL) return false;
  if (pair->n != 2) {
    lb__jfail(r, LB_E_ARG, "tojson: separators wants a pair, found %zu item(s)", pair->n);
    return false;
  }
  style->item_separator = lb__jarg_str(r, pair->values[0], "separators");
  style->key_separator = lb__jarg_str(r, pair->values[1], "separators");
  return r->status == LB_OK;
}

static lb__jval f_tojson(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  lb__jjson style = {.ensure_ascii = lb__jgiven(a[0]) && lb__jtruth(a[0]),
                     .sort_keys = lb__jgiven(a[3]) && lb__jtruth(a[3])};
  if (lb__jgiven(a[1]) && a[1].kind != LB__J_NONE) style.indent = indentation(r, a[1]);
  style.item_separator = lb__jtext(r, style.indent == NULL ? ", " : ",").s;
  style.key_separator = lb__jtext(r, ": ").s;
  if (lb__jgiven(a[2]) && a[2].kind != LB__J_NONE && !json_separators(r, a[2], &style))
    return lb__jundefined(NULL);
  if (r->status != LB_OK) return lb__jundefined(NULL);
  return lb__jto_json(r, v, &style);
}

const lb__jbuiltin lb__jfilters[] = {
    {"abs", f_abs, "", 0},
    {"attr", f_attr, "name", 1},
    {"batch", lb__jfilter_batch, "linecount,fill_with", 1},
    {"capitalize", f_capitalize, "", 0},
    {"center", f_center, "width", 0},
    {"count", f_length, "", 0},
    {"d", f_default, "default_value,boolean", 0},
    {"default", f_default, "default_value,boolean", 0},
    {"dictsort", lb__jfilter_dictsort, "case_sensitive,by,reverse", 0},
    {"e", f_escape, "", 0},
    {"escape", f_escape, "", 0},
    {"first", lb__jfilter_first, "", 0},
    {"float", f_float, "default", 0},
    {"forceescape", f_forceescape, "", 0},
    {"format", f_format, "*", 0},
    {"indent", f_indent, "width,first,blank", 0},
    {"int", f_int, "default,base", 0},
    {"items", lb__jfilter_items, "", 0},
    {"join", lb__jfilter_join, "d,attribute", 0},
    {"last", lb__jfilter_last, "", 0},
    {"length", f_length, "", 0},
    {"list", lb__jfilter_list, "", 0},
    {"lower", f_lower, "", 0},
    {"map", lb__jfilter_map, "*", 0},
    {"max", lb__jfilter_max, "case_sensitive,attribute", 0},
    {"min", lb__jfilter_min, "case_sensitive,attribute", 0},
    {"reject", lb__jfilter_reject, "*", 0},
    {"rejectattr", lb__jfilter_rejectattr, "*", 0},
    {"replace", f_replace, "old,new,count", 2},
    {"reverse", lb__jfilter_reverse, "", 0},
    {"round", f_round, "precision,method", 0},
    {"safe", f_safe, "", 0},
    {"select", lb__jfilter_select, "*", 0},
    {"selectattr", lb__jfilter_selectattr, "*", 0},
    {"sort", lb__jfilter_sort, "reverse,case_sensitive,attribute", 0},
    {"string", f_string, "", 0},
    {"sum", lb__jfilter_sum, "attribute,start", 0},
    {"title", f_title, "", 0},
    {"tojson", f_tojson, "ensure_ascii,indent,separators,sort_keys", 0},
    {"trim", f_trim, "chars", 0},
    {"unique", lb__jfilter_unique, "case_sensitive,attribute", 0},
    {"upper", f_upper, "", 0},
    {"wordcount", f_wordcount, "", 0},
    {0},
};

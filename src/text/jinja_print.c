/* jinja_print.c - values as text: Python's str(), repr() and json.dumps(), to the byte.
 * Read first: jinja_string.h. */
#include "jinja_string.h"

#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

/* repr(float) */
void lb__jfloat_text(char text[LB__REAL_TEXT_SIZE], double d) {
  if (isnan(d) || isinf(d))
    snprintf(text, LB__REAL_TEXT_SIZE, "%s", isnan(d) ? "nan" : d < 0 ? "-inf" : "inf");
  else
    lb__real_text(text, d);
}

static bool print_int(lb__jrun *r, lb__jout *out, int64_t i) {
  char text[24];
  snprintf(text, sizeof text, "%lld", (long long)i);
  return lb__jout_text(r, out, text);
}

static bool print_float(lb__jrun *r, lb__jout *out, double d) {
  char text[LB__REAL_TEXT_SIZE];
  lb__jfloat_text(text, d);
  return lb__jout_text(r, out, text);
}

/* str.isprintable, as repr() uses it. */
static bool is_printable(uint32_t c) {
  if (c == ' ') return true;
  switch (utf8proc_category((int32_t)c)) {
  case UTF8PROC_CATEGORY_CC:
  case UTF8PROC_CATEGORY_CF:
  case UTF8PROC_CATEGORY_CS:
  case UTF8PROC_CATEGORY_CO:
  case UTF8PROC_CATEGORY_CN:
  case UTF8PROC_CATEGORY_ZL:
  case UTF8PROC_CATEGORY_ZP:
  case UTF8PROC_CATEGORY_ZS: return false;
  default: return true;
  }
}

static void repr_char(lb__jrun *r, lb__jout *out, uint32_t c, char quote, uint8_t mark) {
  char text[16];
  if (c == '\n')
    snprintf(text, sizeof text, "\\n");
  else if (c == '\r')
    snprintf(text, sizeof text, "\\r");
  else if (c == '\t')
    snprintf(text, sizeof text, "\\t");
  else if (c == '\\' || c == (uint32_t)quote)
    snprintf(text, sizeof text, "\\%c", (int)c);
  else if (is_printable(c)) {
    lb__jout_char(r, out, c, mark);
    return;
  } else if (c < 0x100)
    snprintf(text, sizeof text, "\\x%02x", c);
  else if (c < 0x10000)
    snprintf(text, sizeof text, "\\u%04x", c);
  else
    snprintf(text, sizeof text, "\\U%08x", c);
  lb__jout_add(r, out, text, strlen(text), mark);
}

static void repr_string(lb__jrun *r, lb__jout *out, const lb__jstr *s) {
  bool single = memchr(s->bytes, '\'', s->size) != NULL;
  char quote = single && memchr(s->bytes, '"', s->size) == NULL ? '"' : '\'';
  if (s->is_markup) lb__jout_text(r, out, "Markup(");
  lb__jout_add(r, out, &quote, 1, 0);
  for (size_t at = 0; at < s->size && lb__jcharge(r, 1); at = lb__jstr_next(s, at))
    repr_char(r, out, lb__jstr_char(s, at), quote, lb__jstr_mark(s, at));
  lb__jout_add(r, out, &quote, 1, 0);
  if (s->is_markup) lb__jout_text(r, out, ")");
}

static bool repr_at(lb__jrun *r, lb__jout *out, lb__jval v, int depth);

static void repr_list(lb__jrun *r, lb__jout *out, const lb__jlist *list, int depth) {
  static const char *const begin[] = {
      "[", "(", "range(", "dict_keys([", "dict_values([", "dict_items([", "<generator of ["};
  static const char *const end[] = {"]", ")", ")", "])", "])", "])", "]>"};
  lb__jout_text(r, out, begin[list->flavor]);
  for (size_t i = 0; i < list->n && lb__jcharge(r, 1); i++) {
    if (i > 0) lb__jout_text(r, out, ", ");
    repr_at(r, out, list->values[i], depth + 1);
  }
  if (list->flavor == LB__J_TUPLE && list->n == 1) lb__jout_text(r, out, ",");
  lb__jout_text(r, out, end[list->flavor]);
}

static void repr_range(lb__jrun *r, lb__jout *out, const lb__jlist *list) {
  int64_t first = list->n > 0 ? list->values[0].i : 0;
  int64_t step = list->n > 1 ? list->values[1].i - first : 1;
  lb__jout_text(r, out, "range(");
  print_int(r, out, first);
  lb__jout_text(r, out, ", ");
  print_int(r, out, first + step * (int64_t)list->n);
  if (step != 1) lb__jout_text(r, out, ", "), print_int(r, out, step);
  lb__jout_text(r, out, ")");
}

static void repr_dict(lb__jrun *r, lb__jout *out, const lb__jdict *d, int depth) {
  lb__jout_text(r, out, "{");
  for (size_t i = 0; i < d->n && lb__jcharge(r, 1); i++) {
    if (i > 0) lb__jout_text(r, out, ", ");
    repr_at(r, out, d->pairs[i].key, depth + 1);
    lb__jout_text(r, out, ": ");
    repr_at(r, out, d->pairs[i].value, depth + 1);
  }
  lb__jout_text(r, out, "}");
}

static bool repr_at(lb__jrun *r, lb__jout *out, lb__jval v, int depth) {
  if (!lb__jcharge(r, 1)) return false;
  if (depth > LB__JMAX_VALUE_DEPTH)
    return lb__jfail(r, LB_E_LIMIT, "values nested too deeply to print"), false;
  switch (v.kind) {
  case LB__J_UNDEFINED: return lb__jout_text(r, out, "Undefined");
  case LB__J_NONE: return lb__jout_text(r, out, "None");
  case LB__J_BOOL: return lb__jout_text(r, out, v.b ? "True" : "False");
  case LB__J_INT: return print_int(r, out, v.i);
  case LB__J_FLOAT: return print_float(r, out, v.d);
  case LB__J_STRING: repr_string(r, out, v.s); break;
  case LB__J_LIST:
    if (v.list->flavor == LB__J_RANGE)
      repr_range(r, out, v.list);
    else
      repr_list(r, out, v.list, depth);
    break;
  case LB__J_DICT: repr_dict(r, out, v.dict, depth); break;
  case LB__J_NAMESPACE:
    lb__jout_text(r, out, "<Namespace ");
    repr_dict(r, out, v.dict, depth);
    lb__jout_text(r, out, ">");
    break;
  default:
    lb__jout_text(r, out, "<");
    lb__jout_text(r, out, lb__jtype_name(v));
    lb__jout_text(r, out, ">");
  }
  return r->status == LB_OK;
}

bool lb__jprint_repr(lb__jrun *r, lb__jout *out, lb__jval v) {
  return repr_at(r, out, v, 0);
}

bool lb__jprint(lb__jrun *r, lb__jout *out, lb__jval v) {
  if (v.kind == LB__J_STRING) return lb__jout_str(r, out, v.s, 0, v.s->size);
  if (v.kind == LB__J_UNDEFINED) return r->status == LB_OK;
  return repr_at(r, out, v, 0);
}

const lb__jstr *lb__jto_str(lb__jrun *r, lb__jval v) {
  lb__jout out = {0};
  if (v.kind == LB__J_STRING) return v.s;
  lb__jprint(r, &out, v);
  return lb__jout_take(r, &out).s;
}

/* ---- json.dumps ---- */

static void json_char(lb__jrun *r, lb__jout *out, uint32_t c, bool ensure_ascii, uint8_t mark) {
  static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
  char text[16];
  const char *hit = c != 0 && c < 128 ? strchr(from, (int)c) : NULL;
  if (hit != NULL) {
    snprintf(text, sizeof text, "\\%c", to[hit - from]);
  } else if (c < 0x20 || (ensure_ascii && c > 0x7E && c < 0x10000)) {
    snprintf(text, sizeof text, "\\u%04x", c);
  } else if (ensure_ascii && c >= 0x10000) {
    snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10),
             0xDC00 + (c & 0x3FF));
  } else {
    lb__jout_char(r, out, c, mark);
    return;
  }
  lb__jout_add(r, out, text, strlen(text), mark);
}

static void json_string(lb__jrun *r, lb__jout *out, const lb__jstr *s, const lb__jjson *style) {
  lb__jout_text(r, out, "\"");
  for (size_t at = 0; at < s->size && lb__jcharge(r, 1); at = lb__jstr_next(s, at)) {
    json_char(r, out, lb__jstr_char(s, at), style->ensure_ascii, lb__jstr_mark(s, at));
  }
  lb__jout_text(r, out, "\"");
}

static void json_newline(lb__jrun *r, lb__jout *out, const lb__jjson *style, int depth) {
  if (style->indent == NULL) return;
  lb__jout_text(r, out, "\n");
  for (int i = 0; i < depth && lb__jcharge(r, 1); i++)
    lb__jout_str(r, out, style->indent, 0, style->indent->size);
}

static bool json_at(lb__jrun *r, lb__jout *out, lb__jval v, const lb__jjson *style, int depth);

static void json_list(lb__jrun *r, lb__jout *out, const lb__jlist *list, const lb__jjson *style,
                      int depth) {
  const lb__jstr *comma = style->item_separator;
  lb__jout_text(r, out, "[");
  for (size_t i = 0; i < list->n && lb__jcharge(r, 1); i++) {
    if (i > 0) lb__jout_str(r, out, comma, 0, comma->size);
    json_newline(r, out, style, depth + 1);
    json_at(r, out, list->values[i], style, depth + 1);
  }
  if (list->n > 0) json_newline(r, out, style, depth);
  lb__jout_text(r, out, "]");
}

/* A key is text in JSON, whatever it was. */
static void json_key(lb__jrun *r, lb__jout *out, lb__jval key, const lb__jjson *style) {
  if (key.kind == LB__J_STRING) {
    json_string(r, out, key.s, style);
  } else if (key.kind == LB__J_NONE || lb__jis_number(key)) {
    lb__jout_text(r, out, "\"");
    json_at(r, out, key, style, 0);
    lb__jout_text(r, out, "\"");
  } else {
    lb__jfail(r, LB_E_ARG, "keys must be str, int, float, bool or None, not %s",
              lb__jtype_name(key));
  }
}

static int by_key(lb__jrun *r, const lb__jpair *a, const lb__jpair *b) {
  return lb__jcompare(r, a->key, b->key, "<");
}

/* Insertion sort would be quadratic; a bottom-up merge is short enough. */
static lb__jpair *sorted_pairs(lb__jrun *r, const lb__jdict *d) {
  lb__jpair *from = lb__jalloc(r, d->n, sizeof *from), *to = lb__jalloc(r, d->n, sizeof *to);
  if (from == NULL || to == NULL) return NULL;
  memcpy(from, d->pairs, d->n * sizeof *from);
  for (size_t width = 1; width < d->n; width *= 2) {
    for (size_t at = 0; at < d->n; at += 2 * width) {
      size_t i = at, middle = at + width < d->n ? at + width : d->n, j = middle;
      size_t end = middle + width < d->n ? middle + width : d->n;
      for (size_t k = at; k < end; k++) {
        bool left = i < middle && (j >= end || by_key(r, &from[i], &from[j]) <= 0);
        to[k] = left ? from[i++] : from[j++];
      }
    }
    lb__jpair *swap = from;
    from = to;
    to = swap;
  }
  return from;
}

static void json_dict(lb__jrun *r, lb__jout *out, const lb__jdict *d, const lb__jjson *style,
                      int depth) {
  const lb__jstr *comma = style->item_separator, *colon = style->key_separator;
  const lb__jpair *pairs = style->sort_keys && d->n > 1 ? sorted_pairs(r, d) : d->pairs;
  lb__jout_text(r, out, "{");
  for (size_t i = 0; pairs != NULL && i < d->n && lb__jcharge(r, 1); i++) {
    if (i > 0) lb__jout_str(r, out, comma, 0, comma->size);
    json_newline(r, out, style, depth + 1);
    json_key(r, out, pairs[i].key, style);
    lb__jout_str(r, out, colon, 0, colon->size);
    json_at(r, out, pairs[i].value, style, depth + 1);
  }
  if (d->n > 0) json_newline(r, out, style, depth);
  lb__jout_text(r, out, "}");
}

static bool json_float(lb__jrun *r, lb__jout *out, double d) {
  if (isnan(d)) return lb__jout_text(r, out, "NaN");
  if (isinf(d)) return lb__jout_text(r, out, d < 0 ? "-Infinity" : "Infinity");
  return print_float(r, out, d);
}

static bool json_at(lb__jrun *r, lb__jout *out, lb__jval v, const lb__jjson *style, int depth) {
  if (!lb__jcharge(r, 1)) return false;
  if (depth > LB__JMAX_VALUE_DEPTH)
    return lb__jfail(r, LB_E_LIMIT, "values nested too deeply for tojson"), false;
  switch (v.kind) {
  case LB__J_NONE: return lb__jout_text(r, out, "null");
  case LB__J_BOOL: return lb__jout_text(r, out, v.b ? "true" : "false");
  case LB__J_INT: return print_int(r, out, v.i);
  case LB__J_FLOAT: return json_float(r, out, v.d);
  case LB__J_STRING: json_string(r, out, v.s, style); return true;
  case LB__J_DICT: json_dict(r, out, v.dict, style, depth); return true;
  case LB__J_LIST:
    if (v.list->flavor > LB__J_TUPLE) break;
    json_list(r, out, v.list, style, depth);
    return true;
  default: break;
  }
  lb__jfail(r, LB_E_ARG, "Object of type %s is not JSON serializable", lb__jtype_name(v));
  return false;
}

lb__jval lb__jto_json(lb__jrun *r, lb__jval v, const lb__jjson *style) {
  lb__jout out = {0};
  json_at(r, &out, v, style, 0);
  return lb__jout_take(r, &out);
}

lb__jval lb__jfail_undefined(lb__jrun *r, lb__jval v) {
  return lb__jfail(r, LB_E_ARG, "%s", v.hint != NULL ? v.hint : "a value is undefined");
}

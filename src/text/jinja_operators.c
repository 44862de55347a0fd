/* jinja_operators.c - + - * / // % ** and slices, with Python's meaning for each type. An integer
 * that leaves 64 bits is an error: Python would go on, and no chat template needs it.
 * Read first: jinja_builtin.h. */
#include "jinja_builtin.h"
#include "jinja_parse.h"
#include "jinja_string.h"

#include <math.h>

static lb__jval refuse(lb__jrun *r, const char *op, lb__jval a, lb__jval b) {
  if (a.kind == LB__J_UNDEFINED) return lb__jfail_undefined(r, a);
  if (b.kind == LB__J_UNDEFINED) return lb__jfail_undefined(r, b);
  if (strcmp(op, "+") == 0 && a.kind == LB__J_STRING)
    return lb__jfail(r, LB_E_ARG, "can only concatenate str (not \"%s\") to str",
                     lb__jtype_name(b));
  return lb__jfail(r, LB_E_ARG, "unsupported operand type(s) for %s: '%s' and '%s'", op,
                   lb__jtype_name(a), lb__jtype_name(b));
}

static lb__jval add_strings(lb__jrun *r, const lb__jstr *a, const lb__jstr *b) {
  bool markup = a->is_markup || b->is_markup;
  if (markup && !a->is_markup) a = lb__jstr_escape(r, a).s;
  if (markup && !b->is_markup) b = lb__jstr_escape(r, b).s;
  return lb__jstr_concat(r, a, b);
}

static lb__jval add_lists(lb__jrun *r, const lb__jlist *a, const lb__jlist *b) {
  lb__jval sum = lb__jnew_list(r, a->flavor, a->n + b->n);
  for (size_t i = 0; i < a->n && sum.kind == LB__J_LIST; i++)
    if (!lb__jlist_add(r, sum.list, a->values[i])) break;
  for (size_t i = 0; i < b->n && sum.kind == LB__J_LIST; i++)
    if (!lb__jlist_add(r, sum.list, b->values[i])) break;
  return sum;
}

lb__jval lb__jadd(lb__jrun *r, lb__jval a, lb__jval b) {
  if (a.kind == LB__J_STRING && b.kind == LB__J_STRING) return add_strings(r, a.s, b.s);
  if (a.kind == LB__J_LIST && b.kind == LB__J_LIST && a.list->flavor == b.list->flavor &&
      a.list->flavor <= LB__J_TUPLE)
    return add_lists(r, a.list, b.list);
  if (!lb__jis_number(a) || !lb__jis_number(b)) return refuse(r, "+", a, b);
  return lb__jarithmetic(r, LB__JOP_ADD, a, b);
}

static lb__jval repeat_list(lb__jrun *r, const lb__jlist *list, int64_t n) {
  lb__jval all = lb__jnew_list(r, list->flavor, 0);
  for (int64_t k = 0; k < n && list->n > 0 && r->status == LB_OK; k++)
    for (size_t i = 0; i < list->n; i++)
      if (!lb__jlist_add(r, all.list, list->values[i])) return all;
  return all;
}

static lb__jval repeat(lb__jrun *r, lb__jval what, lb__jval times) {
  int64_t n = 0;
  if (!lb__jto_int(r, times, &n, "repetition")) return lb__jundefined(NULL);
  if (what.kind == LB__J_STRING) return lb__jstr_repeat(r, what.s, n);
  return repeat_list(r, what.list, n);
}

static bool repeats(lb__jval what, lb__jval times) {
  bool sequence =
      what.kind == LB__J_STRING || (what.kind == LB__J_LIST && what.list->flavor <= LB__J_TUPLE);
  return sequence && (times.kind == LB__J_INT || times.kind == LB__J_BOOL);
}

static lb__jval overflow(lb__jrun *r) {
  return lb__jfail(r, LB_E_LIMIT, "integer beyond 64 bits");
}

static lb__jval floor_divide(lb__jrun *r, int64_t a, int64_t b, bool want_rest) {
  if (b == 0)
    return lb__jfail(r, LB_E_ARG,
                     want_rest ? "integer modulo by zero" : "integer division or modulo by zero");
  if (b == -1) { /* INT64_MIN / -1 traps */
    if (want_rest) return lb__jint(0);
    return a == INT64_MIN ? overflow(r) : lb__jint(-a);
  }
  int64_t quotient = a / b, rest = a % b;
  if (rest != 0 && (rest < 0) != (b < 0)) {
    quotient--;
    rest += b;
  }
  return lb__jint(want_rest ? rest : quotient);
}

static lb__jval power(lb__jrun *r, int64_t base, int64_t exponent) {
  int64_t result = 1;
  if (exponent < 0) {
    if (base == 0) return lb__jfail(r, LB_E_ARG, "0.0 cannot be raised to a negative power");
    return lb__jfloat(pow((double)base, (double)exponent));
  }
  while (exponent > 0) {
    if ((exponent & 1) && __builtin_mul_overflow(result, base, &result)) return overflow(r);
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) return overflow(r);
  }
  return lb__jint(result);
}

static lb__jval integer_arithmetic(lb__jrun *r, lb__jop op, int64_t a, int64_t b) {
  int64_t result;
  switch (op) {
  case LB__JOP_ADD: return __builtin_add_overflow(a, b, &result) ? overflow(r) : lb__jint(result);
  case LB__JOP_SUB: return __builtin_sub_overflow(a, b, &result) ? overflow(r) : lb__jint(result);
  case LB__JOP_MUL: return __builtin_mul_overflow(a, b, &result) ? overflow(r) : lb__jint(result);
  case LB__JOP_DIV:
    if (b == 0) return lb__jfail(r, LB_E_ARG, "division by zero");
    return lb__jfloat((double)a / (double)b);
  case LB__JOP_FLOORDIV: return floor_divide(r, a, b, false);
  case LB__JOP_MOD: return floor_divide(r, a, b, true);
  default: return power(r, a, b);
  }
}

static lb__jval float_arithmetic(lb__jrun *r, lb__jop op, double a, double b) {
  if (b == 0 && (op == LB__JOP_DIV || op == LB__JOP_FLOORDIV || op == LB__JOP_MOD))
    return lb__jfail(r, LB_E_ARG, "float division by zero");
  double rest;
  switch (op) {
  case LB__JOP_ADD: return lb__jfloat(a + b);
  case LB__JOP_SUB: return lb__jfloat(a - b);
  case LB__JOP_MUL: return lb__jfloat(a * b);
  case LB__JOP_DIV: return lb__jfloat(a / b);
  case LB__JOP_POW: return lb__jfloat(pow(a, b));
  default: break;
  }
  rest = fmod(a, b);
  if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
  if (rest == 0) rest = copysign(0.0, b);
  return lb__jfloat(op == LB__JOP_MOD ? rest : round((a - rest) / b));
}

static lb__jval percent(lb__jrun *r, lb__jval a, lb__jval b) {
  if (lb__jis_list(b, LB__J_TUPLE))
    return lb__jpercent_format(r, a.s, b.list->values, b.list->n, lb__jabsent());
  if (b.kind == LB__J_DICT || b.kind == LB__J_LIST) /* either may be left unused, says Python */
    return lb__jpercent_format(r, a.s, &b, 1, b);
  return lb__jpercent_format(r, a.s, &b, 1, lb__jabsent());
}

lb__jval lb__jarithmetic(lb__jrun *r, int op, lb__jval a, lb__jval b) {
  static const char *const names[] = {"+", "-", "*", "/", "//", "%", "** or pow()"};
  if (op == LB__JOP_MUL && repeats(a, b)) return repeat(r, a, b);
  if (op == LB__JOP_MUL && repeats(b, a)) return repeat(r, b, a);
  if (op == LB__JOP_MOD && a.kind == LB__J_STRING) return percent(r, a, b);
  if (!lb__jis_number(a) || !lb__jis_number(b)) return refuse(r, names[op], a, b);
  if (a.kind == LB__J_FLOAT || b.kind == LB__J_FLOAT)
    return float_arithmetic(r, (lb__jop)op, lb__jto_double(a), lb__jto_double(b));
  int64_t x = a.kind == LB__J_BOOL ? a.b : a.i, y = b.kind == LB__J_BOOL ? b.b : b.i;
  return integer_arithmetic(r, (lb__jop)op, x, y);
}

/* ---- slices ---- */

static bool slice_bound(lb__jrun *r, lb__jval v, int64_t otherwise, int64_t low, int64_t n,
                        int64_t high, int64_t *out) {
  *out = otherwise;
  if (v.kind == LB__J_NONE) return true;
  if (v.kind == LB__J_UNDEFINED) return lb__jfail_undefined(r, v), false;
  if (!lb__jto_int(r, v, out, "slice")) return false;
  if (*out < 0) *out += n;
  if (*out < low) *out = low;
  if (*out > high) *out = high;
  return true;
}

static lb__jval slice_string(lb__jrun *r, const lb__jstr *s, int64_t at, int64_t end,
                             int64_t step) {
  lb__jout out = {0};
  if (!lb__jcharge(r, s->size / 16)) return lb__jundefined(NULL);
  if (step == 1)
    return at >= end ? lb__jstring(r, "", 0, 0)
                     : lb__jstr_slice(r, s, lb__jstr_offset(s, (size_t)at),
                                      lb__jstr_offset(s, (size_t)end));
  if (step == -1 && at == (int64_t)s->n_chars - 1 && end < 0) return lb__jstr_reverse(r, s);
  while ((step > 0 ? at < end : at > end) && lb__jcharge(r, 1)) {
    size_t offset = lb__jstr_offset(s, (size_t)at);
    if (s->n_chars != s->size) lb__jcharge(r, s->size / 16);
    lb__jout_str(r, &out, s, offset, lb__jstr_next(s, offset));
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return lb__jout_take(r, &out);
}

static lb__jval slice_list(lb__jrun *r, const lb__jlist *list, int64_t at, int64_t end,
                           int64_t step) {
  lb__jval part = lb__jnew_list(r, list->flavor, 0);
  while ((step > 0 ? at < end : at > end) && part.kind == LB__J_LIST) {
    if (!lb__jlist_add(r, part.list, list->values[at])) break;
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return part;
}

lb__jval lb__jslice(lb__jrun *r, lb__jval v, lb__jval from, lb__jval to, lb__jval step) {
  int64_t n = 0, stride = 1, at, end;
  if (v.kind == LB__J_UNDEFINED) return lb__jfail_undefined(r, v);
  bool sliceable =
      v.kind == LB__J_STRING || (v.kind == LB__J_LIST && v.list->flavor <= LB__J_RANGE);
  if (!sliceable)
    return lb__jfail(r, LB_E_ARG, "'%s' object is not subscriptable", lb__jtype_name(v));
  if (!lb__jlength(r, v, &n)) return lb__jundefined(NULL);
  if (step.kind != LB__J_NONE && !lb__jto_int(r, step, &stride, "slice step"))
    return lb__jundefined(NULL);
  if (stride == 0) return lb__jfail(r, LB_E_ARG, "slice step cannot be zero");
  int64_t low = stride > 0 ? 0 : -1, high = stride > 0 ? n : n - 1;
  if (!slice_bound(r, from, stride > 0 ? 0 : n - 1, low, n, high, &at) ||
      !slice_bound(r, to, stride > 0 ? n : -1, low, n, high, &end))
    return lb__jundefined(NULL);
  return v.kind == LB__J_STRING ? slice_string(r, v.s, at, end, stride)
                                : slice_list(r, v.list, at, end, stride);
}

/* jinja_tests.c - what follows `is`. Each returns a bool. Read first: jinja_builtin.h. */
#include "jinja_builtin.h"
#include "jinja_string.h"

#include <utf8proc.h>

#define TEST(name, condition)                                                                      \
  static lb__jval name(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {         \
    (void)r, (void)a, (void)raw;                                                                   \
    return lb__jbool(condition);                                                                   \
  }

static bool is_sequence(lb__jval v) {
  return v.kind == LB__J_STRING || v.kind == LB__J_DICT || v.kind == LB__J_UNDEFINED ||
         (v.kind == LB__J_LIST && v.list->flavor <= LB__J_RANGE);
}

static bool is_callable(lb__jval v) {
  return v.kind == LB__J_MACRO || v.kind == LB__J_FUNCTION || v.kind == LB__J_METHOD ||
         v.kind == LB__J_LOOP || v.kind == LB__J_UNDEFINED;
}

static int64_t rest_of(lb__jrun *r, lb__jval v, int64_t by) {
  lb__jval rest = lb__jarithmetic(r, 5 /* LB__JOP_MOD */, v, lb__jint(by));
  return rest.kind == LB__J_FLOAT ? (rest.d == 0   ? 0
                                     : rest.d == 1 ? 1
                                                   : 2)
         : rest.kind == LB__J_INT ? rest.i
                                  : -1;
}

TEST(is_defined, v.kind != LB__J_UNDEFINED)
TEST(is_undefined, v.kind == LB__J_UNDEFINED)
TEST(is_none, v.kind == LB__J_NONE)
TEST(is_string, v.kind == LB__J_STRING)
TEST(is_mapping, v.kind == LB__J_DICT)
TEST(is_number, lb__jis_number(v))
TEST(is_integer, v.kind == LB__J_INT)
TEST(is_float, v.kind == LB__J_FLOAT)
TEST(is_boolean, v.kind == LB__J_BOOL)
TEST(is_true, v.kind == LB__J_BOOL && v.b)
TEST(is_false, v.kind == LB__J_BOOL && !v.b)
TEST(is_sequence_test, is_sequence(v))
TEST(is_iterable, v.kind == LB__J_LIST || v.kind == LB__J_LOOP || is_sequence(v))
TEST(is_callable_test, is_callable(v))
TEST(is_escaped, v.kind == LB__J_STRING && v.s->is_markup)
TEST(is_even, rest_of(r, v, 2) == 0)
TEST(is_odd, rest_of(r, v, 2) == 1)
TEST(is_equal, lb__jequal(r, v, a[0]))
TEST(is_unequal, !lb__jequal(r, v, a[0]))
TEST(is_less, lb__jcompare(r, v, a[0], "<") == -1)
TEST(is_greater, lb__jcompare(r, v, a[0], ">") == 1)
TEST(is_in, lb__jcontains(r, a[0], v))

/* 2 is "unordered" (a NaN): neither holds */
static lb__jval is_at_most(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  return lb__jbool(lb__jcompare(r, v, a[0], "<=") <= 0);
}
static lb__jval is_at_least(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  int order = lb__jcompare(r, v, a[0], ">=");
  return lb__jbool(order == 0 || order == 1);
}

static lb__jval is_divisible(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  lb__jval rest = lb__jarithmetic(r, 5 /* LB__JOP_MOD */, v, a[0]);
  return lb__jbool(lb__jis_number(rest) && lb__jto_double(rest) == 0);
}

/* The same object: for values without identity here, the same value of the same type. */
static lb__jval is_same(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  if (v.kind != a[0].kind) return lb__jbool(false);
  if (v.kind == LB__J_LIST || v.kind == LB__J_DICT) return lb__jbool(v.dict == a[0].dict);
  return lb__jbool(lb__jequal(r, v, a[0]));
}

static lb__jval all_cased(lb__jrun *r, lb__jval v, utf8proc_category_t wanted,
                          utf8proc_category_t other) {
  const lb__jstr *s = lb__jto_str(r, v);
  bool any = false;
  for (size_t at = 0; at < s->size && lb__jcharge(r, 1); at = lb__jstr_next(s, at)) {
    utf8proc_category_t category = utf8proc_category((int32_t)lb__jstr_char(s, at));
    if (category == other || category == UTF8PROC_CATEGORY_LT) return lb__jbool(false);
    any = any || category == wanted;
  }
  return lb__jbool(any);
}

static lb__jval is_lower(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a, (void)raw;
  return all_cased(r, v, UTF8PROC_CATEGORY_LL, UTF8PROC_CATEGORY_LU);
}
static lb__jval is_upper(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a, (void)raw;
  return all_cased(r, v, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LL);
}

static bool has_row(const lb__jbuiltin *table, lb__jval name) {
  for (; name.kind == LB__J_STRING && table->name != NULL; table++)
    if (lb__jstr_is(name.s, table->name)) return true;
  return false;
}
TEST(is_filter, has_row(lb__jfilters, v))
TEST(is_test, has_row(lb__jtests, v))

const lb__jbuiltin lb__jtests[] = {
    {"!=", is_unequal, "other", 1},
    {"<", is_less, "other", 1},
    {"<=", is_at_most, "other", 1},
    {"==", is_equal, "other", 1},
    {">", is_greater, "other", 1},
    {">=", is_at_least, "other", 1},
    {"boolean", is_boolean, "", 0},
    {"callable", is_callable_test, "", 0},
    {"defined", is_defined, "", 0},
    {"divisibleby", is_divisible, "num", 1},
    {"eq", is_equal, "other", 1},
    {"equalto", is_equal, "other", 1},
    {"escaped", is_escaped, "", 0},
    {"even", is_even, "", 0},
    {"false", is_false, "", 0},
    {"filter", is_filter, "", 0},
    {"float", is_float, "", 0},
    {"ge", is_at_least, "other", 1},
    {"greaterthan", is_greater, "other", 1},
    {"gt", is_greater, "other", 1},
    {"in", is_in, "seq", 1},
    {"integer", is_integer, "", 0},
    {"iterable", is_iterable, "", 0},
    {"le", is_at_most, "other", 1},
    {"lessthan", is_less, "other", 1},
    {"lower", is_lower, "", 0},
    {"lt", is_less, "other", 1},
    {"mapping", is_mapping, "", 0},
    {"ne", is_unequal, "other", 1},
    {"none", is_none, "", 0},
    {"number", is_number, "", 0},
    {"odd", is_odd, "", 0},
    {"sameas", is_same, "other", 1},
    {"sequence", is_sequence_test, "", 0},
    {"string", is_string, "", 0},
    {"test", is_test, "", 0},
    {"true", is_true, "", 0},
    {"undefined", is_undefined, "", 0},
    {"upper", is_upper, "", 0},
    {0},
};

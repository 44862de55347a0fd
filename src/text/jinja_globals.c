/* jinja_globals.c - the functions every template sees, as Transformers offers them.
 * Read first: jinja_builtin.h. */
#include "jinja_builtin.h"
#include "jinja_string.h"

#define MAX_RANGE 100000 /* Jinja's sandbox */

static lb__jval g_raise(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)v, (void)raw;
  const lb__jstr *text = lb__jto_str(r, a[0]);
  int shown = text->size > 400 ? 400 : (int)text->size;
  return lb__jfail(r, LB_E_ARG, "%.*s", shown, text->bytes);
}

static lb__jval g_strftime(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)v, (void)raw;
  return lb__jstrftime(r, lb__jarg_str(r, a[0], "strftime_now"));
}

static lb__jval g_range(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)v, (void)raw;
  int64_t from = 0, to = 0, step = 1;
  bool two = lb__jgiven(a[1]);
  if (!lb__jto_int(r, a[0], two ? &from : &to, "range") ||
      (two && !lb__jto_int(r, a[1], &to, "range")) ||
      (lb__jgiven(a[2]) && !lb__jto_int(r, a[2], &step, "range")))
    return lb__jundefined(NULL);
  if (step == 0) return lb__jfail(r, LB_E_ARG, "range() arg 3 must not be zero");
  lb__jval list = lb__jnew_list(r, LB__J_RANGE, 0);
  while ((step > 0 ? from < to : from > to) && list.kind == LB__J_LIST) {
    if (list.list->n == MAX_RANGE)
      return lb__jfail(r, LB_E_LIMIT, "range too big: at most %d items", MAX_RANGE);
    if (!lb__jlist_add(r, list.list, lb__jint(from))) break;
    if (__builtin_add_overflow(from, step, &from)) break;
  }
  return list;
}

static void put_all(lb__jrun *r, lb__jdict *d, lb__jval from) {
  if (from.kind == LB__J_DICT || from.kind == LB__J_NAMESPACE) {
    for (size_t i = 0; i < from.dict->n && r->status == LB_OK; i++)
      lb__jdict_put(r, d, from.dict->pairs[i].key, from.dict->pairs[i].value);
    return;
  }
  const lb__jlist *pairs = lb__jiterate(r, from);
  for (size_t i = 0; pairs != NULL && i < pairs->n && r->status == LB_OK; i++) {
    const lb__jlist *pair = lb__jiterate(r, pairs->values[i]);
    if (pair != NULL && pair->n == 2)
      lb__jdict_put(r, d, pair->values[0], pair->values[1]);
    else
      lb__jfail(r, LB_E_ARG, "dict: element %zu is not a pair", i);
  }
}

static lb__jval g_dict(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)v, (void)a;
  lb__jval dict = lb__jnew_dict(r);
  if (dict.kind != LB__J_DICT) return dict;
  if (raw->n > 1)
    return lb__jfail(r, LB_E_ARG, "dict expected at most 1 argument, got %zu", raw->n);
  if (raw->n == 1) put_all(r, dict.dict, raw->values[0]);
  for (size_t i = 0; i < raw->n_named && r->status == LB_OK; i++)
    lb__jdict_put(r, dict.dict, lb__jtext(r, raw->names[i]), raw->named[i]);
  return dict;
}

static lb__jval g_namespace(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  lb__jval ns = g_dict(r, v, a, raw);
  if (ns.kind != LB__J_DICT) return ns;
  for (size_t i = 0; i < ns.dict->n; i++) {
    lb__jval key = ns.dict->pairs[i].key;
    if (key.kind == LB__J_STRING && key.s->size > 0 && key.s->bytes[0] == '_')
      return lb__jfail(r, LB_E_UNSUPPORTED, "a namespace cannot hold names that begin with '_'");
  }
  ns.kind = LB__J_NAMESPACE;
  return ns;
}

const lb__jbuiltin lb__jglobals[] = {
    {"dict", g_dict, "*", 0},
    {"namespace", g_namespace, "*", 0},
    {"raise_exception", g_raise, "message", 1},
    {"range", g_range, "start,stop,step", 1},
    {"strftime_now", g_strftime, "format", 1},
    {"cycler", NULL, "*", 0},
    {"joiner", NULL, "*", 0},
    {"lipsum", NULL, "*", 0},
    {0},
};

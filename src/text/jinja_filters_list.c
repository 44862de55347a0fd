/* jinja_filters_list.c - filters on sequences. As in Jinja, map, select, reject, unique, batch and
 * items give generators: always true, no length, walked once. Read first: jinja_builtin.h. */
#include "jinja_filters.h"
#include "jinja_string.h"

static bool flag(lb__jval v, bool otherwise) {
  return lb__jgiven(v) ? lb__jtruth(v) : otherwise;
}

static lb__jval empty_sequence(const char *hint) {
  return lb__jundefined(hint);
}

static lb__jval new_generator(lb__jrun *r) {
  return lb__jnew_list(r, LB__J_GENERATOR, 0);
}

/* ---- picking ---- */

lb__jval lb__jfilter_first(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a, (void)raw;
  if (v.kind == LB__J_STRING && v.s->size > 0)
    return lb__jstr_slice(r, v.s, 0, lb__jstr_next(v.s, 0));
  const lb__jlist *list = lb__jiterate(r, v);
  if (list == NULL || list->n == 0) return empty_sequence("No first item, sequence was empty.");
  return list->values[0];
}

/* What reversed() accepts. */
static lb__jlist *reversible(lb__jrun *r, lb__jval v) {
  if (lb__jis_list(v, LB__J_GENERATOR)) {
    lb__jfail(r, LB_E_ARG, "'generator' object is not reversible");
    return NULL;
  }
  return lb__jiterate(r, v);
}

lb__jval lb__jfilter_last(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a, (void)raw;
  const lb__jlist *list = reversible(r, v);
  if (list == NULL || list->n == 0) return empty_sequence("No last item, sequence was empty.");
  return list->values[list->n - 1];
}

lb__jval lb__jfilter_list(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a, (void)raw;
  const lb__jlist *list = lb__jiterate(r, v);
  lb__jval copy = lb__jnew_list(r, LB__J_PLAIN_LIST, list == NULL ? 0 : list->n);
  for (size_t i = 0; list != NULL && copy.kind == LB__J_LIST && i < list->n; i++)
    if (!lb__jlist_add(r, copy.list, list->values[i])) break;
  return copy;
}

lb__jval lb__jfilter_reverse(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a, (void)raw;
  if (v.kind == LB__J_STRING) return lb__jstr_reverse(r, v.s);
  const lb__jlist *list = lb__jiterate(r, v); /* a generator is listed first */
  lb__jval reversed = new_generator(r);
  for (size_t i = list == NULL ? 0 : list->n; i > 0 && reversed.kind == LB__J_LIST; i--)
    if (!lb__jlist_add(r, reversed.list, list->values[i - 1])) break;
  return reversed;
}

lb__jval lb__jfilter_items(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a, (void)raw;
  if (v.kind == LB__J_UNDEFINED) return new_generator(r);
  if (v.kind != LB__J_DICT)
    return lb__jfail(r, LB_E_ARG, "Can only get item pairs from a mapping.");
  return lb__jdict_list(r, v.dict, LB__J_GENERATOR);
}

lb__jval lb__jfilter_batch(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  const lb__jlist *list = lb__jiterate(r, v);
  int64_t size = lb__jarg_int(r, a[0], 1, "batch");
  lb__jval rows = new_generator(r), row = lb__jundefined(NULL);
  if (list == NULL || rows.kind != LB__J_LIST) return rows;
  for (size_t i = 0; i < list->n && r->status == LB_OK; i++) {
    if (row.kind != LB__J_LIST || (int64_t)row.list->n == size) {
      row = lb__jnew_list(r, LB__J_PLAIN_LIST, 0);
      if (row.kind != LB__J_LIST || !lb__jlist_add(r, rows.list, row)) break;
    }
    lb__jlist_add(r, row.list, list->values[i]);
  }
  bool fills = lb__jgiven(a[1]) && a[1].kind != LB__J_NONE && row.kind == LB__J_LIST;
  while (fills && (int64_t)row.list->n < size)
    if (!lb__jlist_add(r, row.list, a[1])) break;
  return rows;
}

/* ---- map, select, reject ---- */

static const lb__jval *named(const lb__jargs *raw, const char *name) {
  for (size_t i = 0; i < raw->n_named; i++)
    if (strcmp(raw->names[i], name) == 0) return &raw->named[i];
  return NULL;
}

/* map and select take anything false for an empty list. */
static lb__jlist *iterate_if_true(lb__jrun *r, lb__jval v) {
  return lb__jiterate(r, lb__jtruth(v) ? v : lb__jundefined(NULL));
}

/* The row that the first of the remaining positional arguments names. */
static const lb__jbuiltin *named_row(lb__jrun *r, const lb__jbuiltin *table, lb__jval name,
                                     const char *what) {
  const lb__jstr *s = lb__jarg_str(r, name, what);
  for (; table->name != NULL && r->status == LB_OK; table++)
    if (lb__jstr_is(s, table->name)) return table;
  lb__jfail(r, LB_E_UNSUPPORTED, "%s '%.*s' is not supported", what,
            s->size > 40 ? 40 : (int)s->size, s->bytes);
  return NULL;
}

static lb__jval map_attribute(lb__jrun *r, const lb__jlist *list, lb__jval path,
                              const lb__jval *otherwise) {
  lb__jval result = new_generator(r);
  for (size_t i = 0; i < list->n && result.kind == LB__J_LIST; i++) {
    lb__jval item = lb__jget_path(r, list->values[i], path);
    if (item.kind == LB__J_UNDEFINED && otherwise != NULL && otherwise->kind != LB__J_NONE)
      item = *otherwise;
    if (!lb__jlist_add(r, result.list, item)) break;
  }
  return result;
}

lb__jval lb__jfilter_map(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a;
  const lb__jlist *list = iterate_if_true(r, v);
  const lb__jval *attribute = named(raw, "attribute");
  if (list == NULL) return lb__jundefined(NULL);
  if (raw->n == 0 && attribute != NULL)
    return map_attribute(r, list, *attribute, named(raw, "default"));
  if (raw->n == 0) return lb__jfail(r, LB_E_ARG, "map requires a filter argument");
  const lb__jbuiltin *row = named_row(r, lb__jfilters, raw->values[0], "filter");
  lb__jargs rest = *raw;
  rest.values++;
  rest.n--;
  lb__jval result = new_generator(r);
  for (size_t i = 0; row != NULL && result.kind == LB__J_LIST && i < list->n; i++)
    if (!lb__jlist_add(r, result.list, lb__jbuiltin_call(r, row, list->values[i], &rest))) break;
  return result;
}

/* select, reject and their -attr forms differ in what is tested and what is kept. */
static lb__jval choose(lb__jrun *r, lb__jval v, const lb__jargs *raw, bool by_attribute,
                       bool keep) {
  const lb__jlist *list = iterate_if_true(r, v);
  lb__jargs rest = *raw;
  lb__jval path = lb__jabsent(), result = new_generator(r);
  const lb__jbuiltin *test = NULL;
  if (by_attribute) {
    if (raw->n == 0) return lb__jfail(r, LB_E_ARG, "missing parameter for attribute name");
    path = *rest.values++;
    rest.n--;
  }
  if (rest.n > 0) {
    test = named_row(r, lb__jtests, *rest.values++, "test");
    rest.n--;
  }
  for (size_t i = 0; list != NULL && r->status == LB_OK && i < list->n; i++) {
    lb__jval item = list->values[i];
    lb__jval tested = by_attribute ? lb__jget_path(r, item, path) : item;
    if (test != NULL) tested = lb__jbuiltin_call(r, test, tested, &rest);
    if (lb__jtruth(tested) == keep) lb__jlist_add(r, result.list, item);
  }
  return result;
}

lb__jval lb__jfilter_select(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a;
  return choose(r, v, raw, false, true);
}
lb__jval lb__jfilter_reject(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a;
  return choose(r, v, raw, false, false);
}
lb__jval lb__jfilter_selectattr(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a;
  return choose(r, v, raw, true, true);
}
lb__jval lb__jfilter_rejectattr(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)a;
  return choose(r, v, raw, true, false);
}

/* ---- join and sum ---- */

lb__jval lb__jfilter_join(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  lb__jlist *list = lb__jiterate(r, v);
  if (list == NULL) return lb__jundefined(NULL);
  if (lb__jgiven(a[1]) && a[1].kind != LB__J_NONE) {
    lb__jval mapped = map_attribute(r, list, a[1], NULL);
    if (mapped.kind != LB__J_LIST) return mapped;
    list = mapped.list;
  }
  const lb__jstr *glue = lb__jgiven(a[0]) ? lb__jto_str(r, a[0]) : lb__jtext(r, "").s;
  return lb__jstr_join(r, glue, list, false);
}

lb__jval lb__jfilter_sum(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  const lb__jlist *list = lb__jiterate(r, v);
  lb__jval sum = lb__jgiven(a[1]) ? a[1] : lb__jint(0);
  if (sum.kind == LB__J_STRING) return lb__jfail(r, LB_E_ARG, "sum() can't sum strings");
  bool by_attribute = lb__jgiven(a[0]) && a[0].kind != LB__J_NONE;
  for (size_t i = 0; list != NULL && i < list->n && r->status == LB_OK; i++) {
    lb__jval item = list->values[i];
    sum = lb__jadd(r, sum, by_attribute ? lb__jget_path(r, item, a[0]) : item);
  }
  return sum;
}

/* ---- order ---- */

typedef struct keyed {
  lb__jval key, item;
} keyed;

static lb__jval fold(lb__jrun *r, lb__jval v, bool case_sensitive) {
  if (case_sensitive || v.kind != LB__J_STRING) return v;
  return lb__jstr_case(r, v.s, LB__JCASE_LOWER);
}

/* The sort key of one item: itself, an attribute, or several ("a,b"). */
static lb__jval sort_key(lb__jrun *r, lb__jval item, lb__jval attribute, bool case_sensitive) {
  static const lb__jstr comma = {.bytes = ",", .size = 1, .n_chars = 1};
  if (!lb__jgiven(attribute) || attribute.kind == LB__J_NONE) return fold(r, item, case_sensitive);
  if (attribute.kind != LB__J_STRING || memchr(attribute.s->bytes, ',', attribute.s->size) == NULL)
    return fold(r, lb__jget_path(r, item, attribute), case_sensitive);
  lb__jval paths = lb__jstr_split(r, attribute.s, &comma, -1);
  lb__jval keys = lb__jnew_list(r, LB__J_PLAIN_LIST, 0);
  for (size_t i = 0; r->status == LB_OK && i < paths.list->n; i++)
    lb__jlist_add(r, keys.list,
                  fold(r, lb__jget_path(r, item, paths.list->values[i]), case_sensitive));
  return keys;
}

/* Stable merge sort, bottom up: no recursion, n log n comparisons whatever the input. */
static keyed *merge_sort(lb__jrun *r, keyed *from, size_t n, bool reverse) {
  keyed *to = lb__jalloc(r, n + 1, sizeof *to);
  for (size_t width = 1; to != NULL && width < n && r->status == LB_OK; width *= 2) {
    for (size_t at = 0; at < n; at += 2 * width) {
      size_t middle = at + width < n ? at + width : n, i = at, j = middle;
      size_t end = middle + width < n ? middle + width : n;
      for (size_t k = at; k < end; k++) {
        bool left = j >= end;
        if (i < middle && j < end) { /* Python asks only whether one is less than the other */
          int order = reverse ? lb__jcompare(r, from[i].key, from[j].key, "<")
                              : lb__jcompare(r, from[j].key, from[i].key, "<");
          left = order != -1;
        }
        to[k] = left ? from[i++] : from[j++];
      }
    }
    keyed *swap = from;
    from = to;
    to = swap;
  }
  return from;
}

static keyed *keys_of(lb__jrun *r, const lb__jlist *list, lb__jval attribute, bool case_sensitive) {
  keyed *all = list == NULL ? NULL : lb__jalloc(r, list->n + 1, sizeof *all);
  for (size_t i = 0; all != NULL && i < list->n; i++)
    all[i] = (keyed){sort_key(r, list->values[i], attribute, case_sensitive), list->values[i]};
  return r->status == LB_OK ? all : NULL;
}

static lb__jval sorted(lb__jrun *r, keyed *all, size_t n, bool reverse) {
  lb__jval result = lb__jnew_list(r, LB__J_PLAIN_LIST, n);
  if (all == NULL || result.kind != LB__J_LIST) return lb__jundefined(NULL);
  all = merge_sort(r, all, n, reverse);
  for (size_t i = 0; i < n && r->status == LB_OK; i++) lb__jlist_add(r, result.list, all[i].item);
  return result;
}

lb__jval lb__jfilter_sort(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  const lb__jlist *list = lb__jiterate(r, v);
  keyed *all = keys_of(r, list, a[2], flag(a[1], false));
  return sorted(r, all, list == NULL ? 0 : list->n, flag(a[0], false));
}

lb__jval lb__jfilter_dictsort(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  const lb__jstr *by = lb__jgiven(a[1]) ? lb__jarg_str(r, a[1], "dictsort") : NULL;
  bool by_value = by != NULL && lb__jstr_is(by, "value");
  if (by != NULL && !by_value && !lb__jstr_is(by, "key"))
    return lb__jfail(r, LB_E_ARG, "You can only sort by either \"key\" or \"value\"");
  if (v.kind == LB__J_UNDEFINED) return lb__jfail_undefined(r, v);
  if (v.kind != LB__J_DICT)
    return lb__jfail(r, LB_E_ARG, "dictsort: want a dict, found %s", lb__jtype_name(v));
  lb__jval items = lb__jdict_list(r, v.dict, LB__J_ITEMS);
  if (items.kind != LB__J_LIST) return items;
  keyed *all = keys_of(r, items.list, lb__jint(by_value), flag(a[0], false));
  return sorted(r, all, items.list->n, flag(a[2], false));
}

lb__jval lb__jfilter_unique(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  const lb__jlist *list = lb__jiterate(r, v);
  const keyed *all = keys_of(r, list, a[1], flag(a[0], false));
  lb__jval seen = lb__jnew_dict(r), result = new_generator(r);
  for (size_t i = 0; all != NULL && r->status == LB_OK && i < list->n; i++) {
    size_t before = seen.dict->n;
    if (!lb__jdict_put(r, seen.dict, all[i].key, lb__jnone())) break;
    if (seen.dict->n > before) lb__jlist_add(r, result.list, all[i].item);
  }
  return result;
}

static lb__jval extreme(lb__jrun *r, lb__jval v, const lb__jval *a, int wanted) {
  const lb__jlist *list = lb__jiterate(r, v);
  const keyed *all = keys_of(r, list, a[1], flag(a[0], false));
  if (all == NULL) return lb__jundefined(NULL);
  if (list->n == 0) return empty_sequence("No aggregated item, sequence was empty.");
  size_t best = 0;
  for (size_t i = 1; i < list->n && r->status == LB_OK; i++)
    if (lb__jcompare(r, all[i].key, all[best].key, wanted < 0 ? "<" : ">") == wanted) best = i;
  return all[best].item;
}

lb__jval lb__jfilter_min(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  return extreme(r, v, a, -1);
}
lb__jval lb__jfilter_max(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw) {
  (void)raw;
  return extreme(r, v, a, 1);
}

/* jinja_value.c - the value type: truth, equality, order, iteration, dicts. Text is in
 * jinja_string.c. Behaviour is Python's, type by type. Read first: jinja_value.h. */
#include "jinja_value.h"
#include "jinja_string.h"

#include "base/map.h"

#include <math.h>

/* ---- the job ---- */

lb__jval lb__jfail(lb__jrun *r, lb_status status, const char *format, ...) {
  if (r->status != LB_OK) return lb__jundefined(NULL);
  va_list args;
  va_start(args, format);
  (void)lb__fail_v(r->err, status, format, args);
  va_end(args);
  r->status = lb__fail_prefix(r->err, status, "chat template '%s', line %d", r->name, r->line);
  return lb__jundefined(NULL);
}

bool lb__jcharge(lb__jrun *r, size_t n) {
  if (r->status != LB_OK) return false;
  if (n > (size_t)r->steps_left) {
    lb__jfail(r, LB_E_LIMIT, "stopped after %d steps; does a loop never end?", LB__JMAX_STEPS);
    return false;
  }
  r->steps_left -= (int64_t)n;
  return true;
}

/* An arena that is full and a machine that is full look the same; the budget tells them apart. */
static bool is_above_budget(const lb__arena *a, size_t n, size_t size) {
  size_t bytes;
  if (!lb__ck_mul(&bytes, n, size)) return true;
  return a->held >= a->budget || bytes > a->budget - a->held;
}

void *lb__jalloc(lb__jrun *r, size_t n, size_t size) {
  if (r->status != LB_OK) return NULL;
  void *p = lb__arena_new(r->arena, n, size);
  if (p != NULL) return p;
  if (is_above_budget(r->arena, n, size))
    lb__jfail(r, LB_E_LIMIT, "wants more than %zu MiB of memory", r->arena->budget >> 20);
  else
    lb__jfail(r, LB_E_NOMEM, "out of memory");
  return NULL;
}

/* ---- lists ---- */

lb__jval lb__jnew_list(lb__jrun *r, lb__jflavor flavor, size_t capacity) {
  lb__jlist *list = lb__jalloc(r, 1, sizeof *list);
  if (list == NULL) return lb__jundefined(NULL);
  list->flavor = flavor;
  if (capacity > 0) {
    list->values = lb__jalloc(r, capacity, sizeof *list->values);
    if (list->values == NULL) return lb__jundefined(NULL);
    list->capacity = capacity;
  }
  return (lb__jval){.kind = LB__J_LIST, .list = list};
}

bool lb__jlist_add(lb__jrun *r, lb__jlist *list, lb__jval v) {
  if (!lb__jcharge(r, 1)) return false;
  if (list->n == list->capacity) {
    size_t wanted = list->capacity < 4 ? 8 : list->capacity * 2;
    lb__jval *grown = lb__jalloc(r, wanted, sizeof *grown);
    if (grown == NULL) return false;
    if (list->n > 0) memcpy(grown, list->values, list->n * sizeof *grown);
    list->values = grown;
    list->capacity = wanted;
  }
  list->values[list->n++] = v;
  return true;
}

/* ---- looking at values ---- */

const char *lb__jtype_name(lb__jval v) {
  static const char *const flavors[] = {"list",        "tuple",      "range",    "dict_keys",
                                        "dict_values", "dict_items", "generator"};
  switch (v.kind) {
  case LB__J_NONE: return "NoneType";
  case LB__J_BOOL: return "bool";
  case LB__J_INT: return "int";
  case LB__J_FLOAT: return "float";
  case LB__J_STRING: return v.s->is_markup ? "Markup" : "str";
  case LB__J_LIST: return flavors[v.list->flavor];
  case LB__J_DICT: return "dict";
  case LB__J_NAMESPACE: return "Namespace";
  case LB__J_MACRO: return "Macro";
  case LB__J_FUNCTION: return "function";
  case LB__J_METHOD: return "builtin_function_or_method";
  case LB__J_LOOP: return "LoopContext";
  case LB__J_UNDEFINED:
  case LB__J_ABSENT: break;
  }
  return "Undefined";
}

bool lb__jtruth(lb__jval v) {
  switch (v.kind) {
  case LB__J_UNDEFINED:
  case LB__J_ABSENT:
  case LB__J_NONE: return false;
  case LB__J_BOOL: return v.b;
  case LB__J_INT: return v.i != 0;
  case LB__J_FLOAT: return v.d != 0;
  case LB__J_STRING: return v.s->size > 0;
  case LB__J_LIST: return v.list->n > 0 || v.list->flavor == LB__J_GENERATOR;
  case LB__J_DICT: return v.dict->n > 0;
  default: return true;
  }
}

bool lb__jis_number(lb__jval v) {
  return v.kind == LB__J_INT || v.kind == LB__J_FLOAT || v.kind == LB__J_BOOL;
}

double lb__jto_double(lb__jval v) {
  if (v.kind == LB__J_FLOAT) return v.d;
  return v.kind == LB__J_BOOL ? (double)v.b : (double)v.i;
}

bool lb__jto_int(lb__jrun *r, lb__jval v, int64_t *out, const char *what) {
  if (v.kind == LB__J_INT) {
    *out = v.i;
  } else if (v.kind == LB__J_BOOL) {
    *out = v.b;
  } else {
    lb__jfail(r, LB_E_ARG, "%s: want an integer, found %s", what, lb__jtype_name(v));
    return false;
  }
  return true;
}

bool lb__jis_list(lb__jval v, lb__jflavor flavor) {
  return v.kind == LB__J_LIST && v.list->flavor == flavor;
}

/* Exact comparison of numbers: an int64 beyond 2^53 must not be rounded first. */
static int compare_numbers(lb__jval a, lb__jval b) {
  if (a.kind != LB__J_FLOAT && b.kind != LB__J_FLOAT) {
    int64_t x = a.kind == LB__J_BOOL ? a.b : a.i, y = b.kind == LB__J_BOOL ? b.b : b.i;
    return (x > y) - (x < y);
  }
  long double x =
      a.kind == LB__J_FLOAT ? (long double)a.d : (long double)(a.kind == LB__J_BOOL ? a.b : a.i);
  long double y =
      b.kind == LB__J_FLOAT ? (long double)b.d : (long double)(b.kind == LB__J_BOOL ? b.b : b.i);
  if (isnan(x) || isnan(y)) return 2; /* unordered, unequal */
  return (x > y) - (x < y);
}

/* Comparing and hashing long strings costs what it reads. */
static bool charge_text(lb__jrun *r, lb__jval v) {
  return v.kind != LB__J_STRING || lb__jcharge(r, v.s->size / 16);
}

static bool equal_at(lb__jrun *r, lb__jval a, lb__jval b, int depth);

static bool equal_lists(lb__jrun *r, const lb__jlist *a, const lb__jlist *b, int depth) {
  bool is_view = a->flavor == LB__J_VALUES || a->flavor == LB__J_GENERATOR;
  if (a->flavor != b->flavor || is_view) return a == b;
  if (a->n != b->n) return false;
  for (size_t i = 0; i < a->n; i++)
    if (!equal_at(r, a->values[i], b->values[i], depth + 1)) return false;
  return true;
}

static bool equal_dicts(lb__jrun *r, const lb__jdict *a, const lb__jdict *b, int depth) {
  if (a->n != b->n) return false;
  for (size_t i = 0; i < a->n; i++) {
    const lb__jval *other = lb__jdict_get(b, a->pairs[i].key);
    if (other == NULL || !equal_at(r, a->pairs[i].value, *other, depth + 1)) return false;
  }
  return true;
}

static bool equal_at(lb__jrun *r, lb__jval a, lb__jval b, int depth) {
  if (!lb__jcharge(r, 1) || !charge_text(r, a)) return false;
  if (depth > LB__JMAX_VALUE_DEPTH) {
    lb__jfail(r, LB_E_LIMIT, "values nested too deeply to compare");
    return false;
  }
  if (lb__jis_number(a) && lb__jis_number(b)) return compare_numbers(a, b) == 0;
  if (a.kind != b.kind) return false;
  switch (a.kind) {
  case LB__J_UNDEFINED:
  case LB__J_NONE: return true;
  case LB__J_STRING: return lb__jstr_compare(a.s, b.s) == 0;
  case LB__J_LIST: return equal_lists(r, a.list, b.list, depth);
  case LB__J_DICT: return equal_dicts(r, a.dict, b.dict, depth);
  default: return a.dict == b.dict; /* identity: all remaining kinds hold a pointer */
  }
}

bool lb__jequal(lb__jrun *r, lb__jval a, lb__jval b) {
  return equal_at(r, a, b, 0);
}

static int compare_at(lb__jrun *r, lb__jval a, lb__jval b, const char *op, int depth) {
  if (!lb__jcharge(r, 1) || !charge_text(r, a)) return 0;
  if (lb__jis_number(a) && lb__jis_number(b)) return compare_numbers(a, b);
  if (a.kind == LB__J_STRING && b.kind == LB__J_STRING) return lb__jstr_compare(a.s, b.s);
  bool lists = a.kind == LB__J_LIST && b.kind == LB__J_LIST && a.list->flavor == b.list->flavor &&
               a.list->flavor <= LB__J_TUPLE && depth < LB__JMAX_VALUE_DEPTH;
  if (!lists) {
    if (a.kind == LB__J_UNDEFINED || b.kind == LB__J_UNDEFINED)
      lb__jfail_undefined(r, a.kind == LB__J_UNDEFINED ? a : b);
    else
      lb__jfail(r, LB_E_ARG, "'%s' not supported between instances of '%s' and '%s'", op,
                lb__jtype_name(a), lb__jtype_name(b));
    return 0;
  }
  for (size_t i = 0; i < a.list->n && i < b.list->n; i++)
    if (!equal_at(r, a.list->values[i], b.list->values[i], depth))
      return compare_at(r, a.list->values[i], b.list->values[i], op, depth + 1);
  return (a.list->n > b.list->n) - (a.list->n < b.list->n);
}

int lb__jcompare(lb__jrun *r, lb__jval a, lb__jval b, const char *op) {
  return compare_at(r, a, b, op, 0);
}

static bool string_contains(lb__jrun *r, lb__jval container, lb__jval item) {
  if (item.kind == LB__J_STRING)
    return lb__jstr_find(r, container.s, item.s, 0, container.s->size) != SIZE_MAX;
  if (item.kind == LB__J_UNDEFINED) lb__jfail_undefined(r, item);
  lb__jfail(r, LB_E_ARG, "'in <string>' requires string as left operand, not %s",
            lb__jtype_name(item));
  return false;
}

bool lb__jcontains(lb__jrun *r, lb__jval container, lb__jval item) {
  uint64_t hash;
  if (container.kind == LB__J_STRING) return string_contains(r, container, item);
  if (container.kind == LB__J_DICT) {
    if (!charge_text(r, item)) return false;
    if (!lb__jhash(item, &hash))
      lb__jfail(r, LB_E_ARG, "unhashable type: '%s'", lb__jtype_name(item));
    return lb__jdict_get(container.dict, item) != NULL;
  }
  lb__jlist *list = lb__jiterate(r, container);
  for (size_t i = 0; list != NULL && i < list->n; i++)
    if (lb__jequal(r, list->values[i], item)) return true;
  return false;
}

/* The characters of a Markup are plain strings. */
static lb__jlist *iterate_string(lb__jrun *r, const lb__jstr *text) {
  lb__jstr plain = *text;
  const lb__jstr *s = &plain;
  plain.is_markup = false;
  lb__jval list = lb__jnew_list(r, LB__J_PLAIN_LIST, s->n_chars);
  if (list.kind != LB__J_LIST) return NULL;
  for (size_t at = 0; at < s->size;) {
    size_t next = lb__jstr_next(s, at);
    if (!lb__jlist_add(r, list.list, lb__jstr_slice(r, s, at, next))) return NULL;
    at = next;
  }
  return list.list;
}

lb__jlist *lb__jiterate(lb__jrun *r, lb__jval v) {
  if (v.kind == LB__J_STRING) return iterate_string(r, v.s);
  if (v.kind == LB__J_DICT) return lb__jdict_list(r, v.dict, LB__J_KEYS).list;
  if (v.kind == LB__J_UNDEFINED) return lb__jnew_list(r, LB__J_PLAIN_LIST, 0).list;
  if (v.kind != LB__J_LIST) {
    lb__jfail(r, LB_E_ARG, "'%s' object is not iterable", lb__jtype_name(v));
    return NULL;
  }
  if (v.list->flavor != LB__J_GENERATOR) return v.list;
  lb__jval rest = lb__jnew_list(r, LB__J_PLAIN_LIST, 0);
  if (rest.kind != LB__J_LIST) return NULL;
  rest.list->values = v.list->values;
  rest.list->n = rest.list->capacity = v.list->n;
  v.list->n = 0; /* walked once */
  return rest.list;
}

bool lb__jlength(lb__jrun *r, lb__jval v, int64_t *out) {
  *out = 0;
  if (v.kind == LB__J_STRING)
    *out = (int64_t)v.s->n_chars;
  else if (v.kind == LB__J_DICT)
    *out = (int64_t)v.dict->n;
  else if (v.kind == LB__J_LIST && v.list->flavor != LB__J_GENERATOR)
    *out = (int64_t)v.list->n;
  else if (v.kind != LB__J_UNDEFINED) {
    lb__jfail(r, LB_E_ARG, "object of type '%s' has no len()", lb__jtype_name(v));
    return false;
  }
  return true;
}

/* ---- dict ---- */

static bool hash_at(lb__jval v, uint64_t *hash, int depth) {
  double whole;
  if (v.kind == LB__J_STRING) {
    *hash = lb__hash_bytes(v.s->bytes, v.s->size);
  } else if (lb__jis_number(v)) { /* 1, 1.0 and True are one key */
    double d = lb__jto_double(v);
    int64_t i = v.kind == LB__J_BOOL ? v.b : v.kind == LB__J_INT ? v.i : 0;
    bool integral = v.kind != LB__J_FLOAT;
    if (!integral && modf(d, &whole) == 0 && fabs(d) < 9e18) i = (int64_t)d, integral = true;
    *hash = integral ? lb__hash_bytes(&i, sizeof i) : lb__hash_bytes(&d, sizeof d);
  } else if (lb__jis_list(v, LB__J_TUPLE)) {
    uint64_t mixed = v.list->n, one;
    for (size_t i = 0; i < v.list->n; i++) {
      if (depth > 16 || !hash_at(v.list->values[i], &one, depth + 1)) return false;
      mixed = mixed * 0x9E3779B97F4A7C15u + one;
    }
    *hash = mixed;
  } else if (v.kind == LB__J_NONE || v.kind == LB__J_UNDEFINED) {
    *hash = 77 + (v.kind == LB__J_NONE);
  } else {
    return false;
  }
  return true;
}

bool lb__jhash(lb__jval v, uint64_t *hash) {
  return hash_at(v, hash, 0);
}

/* Keys are hashable, hence shallow; this needs no job. */
static bool same_key(lb__jval a, lb__jval b) {
  if (a.kind == LB__J_STRING && b.kind == LB__J_STRING) return lb__jstr_compare(a.s, b.s) == 0;
  if (lb__jis_number(a) && lb__jis_number(b)) return compare_numbers(a, b) == 0;
  if (a.kind != b.kind) return false;
  if (a.kind != LB__J_LIST) return a.kind == LB__J_NONE || a.kind == LB__J_UNDEFINED;
  if (a.list->n != b.list->n) return false;
  for (size_t i = 0; i < a.list->n; i++)
    if (!same_key(a.list->values[i], b.list->values[i])) return false;
  return true;
}

static lb__jpair *find_pair(const lb__jdict *d, lb__jval key, uint64_t hash) {
  if (d->slots == NULL) {
    for (size_t i = 0; i < d->n; i++)
      if (d->pairs[i].hash == hash && same_key(d->pairs[i].key, key)) return &d->pairs[i];
    return NULL;
  }
  for (size_t at = hash & (d->n_slots - 1);; at = (at + 1) & (d->n_slots - 1)) {
    if (d->slots[at] == 0) return NULL;
    lb__jpair *p = &d->pairs[d->slots[at] - 1];
    if (p->hash == hash && same_key(p->key, key)) return p;
  }
}

static void add_slot(lb__jdict *d, size_t index) {
  size_t at = d->pairs[index].hash & (d->n_slots - 1);
  while (d->slots[at] != 0) at = (at + 1) & (d->n_slots - 1);
  d->slots[at] = (uint32_t)(index + 1);
}

static bool grow_dict(lb__jrun *r, lb__jdict *d) {
  size_t capacity = d->capacity == 0 ? 8 : d->capacity * 2;
  if (capacity > UINT32_MAX / 4) return lb__jfail(r, LB_E_LIMIT, "dict too large"), false;
  lb__jpair *pairs = lb__jalloc(r, capacity, sizeof *pairs);
  if (pairs == NULL) return false;
  if (d->n > 0) memcpy(pairs, d->pairs, d->n * sizeof *pairs);
  d->pairs = pairs;
  d->capacity = capacity;
  if (capacity <= 8) return true;
  uint32_t *slots = lb__jalloc(r, capacity * 2, sizeof *slots);
  if (slots == NULL) return false;
  d->slots = slots;
  d->n_slots = capacity * 2;
  for (size_t i = 0; i < d->n; i++) add_slot(d, i);
  return true;
}

lb__jval lb__jnew_dict(lb__jrun *r) {
  lb__jdict *d = lb__jalloc(r, 1, sizeof *d);
  return d == NULL ? lb__jundefined(NULL) : (lb__jval){.kind = LB__J_DICT, .dict = d};
}

bool lb__jdict_put(lb__jrun *r, lb__jdict *d, lb__jval key, lb__jval value) {
  uint64_t hash;
  if (!lb__jcharge(r, 1) || !charge_text(r, key)) return false;
  if (!lb__jhash(key, &hash)) {
    lb__jfail(r, LB_E_ARG, "unhashable type: '%s'", lb__jtype_name(key));
    return false;
  }
  lb__jpair *p = find_pair(d, key, hash);
  if (p != NULL) {
    p->value = value;
    return true;
  }
  if (d->n == d->capacity && !grow_dict(r, d)) return false;
  d->pairs[d->n] = (lb__jpair){.key = key, .value = value, .hash = hash};
  d->n++;
  if (d->slots != NULL) add_slot(d, d->n - 1);
  return true;
}

lb__jval *lb__jdict_get(const lb__jdict *d, lb__jval key) {
  uint64_t hash;
  if (!lb__jhash(key, &hash)) return NULL;
  lb__jpair *p = find_pair(d, key, hash);
  return p == NULL ? NULL : &p->value;
}

lb__jval *lb__jdict_get_text(const lb__jdict *d, const char *key) {
  lb__jstr s = {.bytes = key, .size = strlen(key)};
  return lb__jdict_get(d, (lb__jval){.kind = LB__J_STRING, .s = &s});
}

lb__jval lb__jdict_list(lb__jrun *r, const lb__jdict *d, lb__jflavor flavor) {
  lb__jval list = lb__jnew_list(r, flavor, d->n);
  if (list.kind != LB__J_LIST) return (lb__jval){.kind = LB__J_UNDEFINED};
  for (size_t i = 0; i < d->n; i++) {
    lb__jval item = flavor == LB__J_VALUES ? d->pairs[i].value : d->pairs[i].key;
    if (flavor == LB__J_ITEMS || flavor == LB__J_GENERATOR) {
      item = lb__jnew_list(r, LB__J_TUPLE, 2);
      if (item.kind != LB__J_LIST) return item;
      lb__jlist_add(r, item.list, d->pairs[i].key);
      lb__jlist_add(r, item.list, d->pairs[i].value);
    }
    if (!lb__jlist_add(r, list.list, item)) break;
  }
  return list;
}

/* jinja_eval.c - expressions: one short function per node kind. Read first: jinja_eval.h. */
#include "jinja_eval.h"
#include "jinja_string.h"

#include <stdio.h>

lb__jval lb__jundefined_hint(lb__jrun *r, const char *format, ...) {
  char text[200];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (!lb__jcharge(r, 4)) return lb__jundefined(NULL);
  return lb__jundefined(lb__arena_strndup(r->arena, text, strlen(text)));
}

/* ---- variables ---- */

bool lb__jscope_put(lb__jrun *r, lb__jscope *scope, const char *name, lb__jval value) {
  for (size_t i = 0; i < scope->n; i++)
    if (scope->variables[i].name == name) {
      scope->variables[i].value = value;
      return lb__jcharge(r, 1 + i / 16);
    }
  if (!lb__jcharge(r, 1 + scope->n / 16)) return false;
  if (scope->n == scope->capacity) {
    size_t capacity = scope->capacity == 0 ? 4 : scope->capacity * 2;
    lb__jvariable *grown = lb__jalloc(r, capacity, sizeof *grown);
    if (grown == NULL) return false;
    if (scope->n > 0) memcpy(grown, scope->variables, scope->n * sizeof *grown);
    scope->variables = grown;
    scope->capacity = capacity;
  }
  scope->variables[scope->n++] = (lb__jvariable){name, value};
  return true;
}

lb__jval lb__jscope_get(lb__jrun *r, const char *name) {
  for (const lb__jscope *s = r->scope; s != NULL; s = s->parent) {
    for (size_t i = 0; i < s->n; i++)
      if (s->variables[i].name == name) return s->variables[i].value;
    if (!lb__jcharge(r, 1 + s->n / 16)) return lb__jundefined(NULL);
  }
  const lb__jval *given = lb__jdict_get_text(r->context, name);
  if (given != NULL) return *given;
  const lb__jbuiltin *global = lb__jbuiltin_find(lb__jglobals, name);
  if (global != NULL) return (lb__jval){.kind = LB__J_FUNCTION, .function = global};
  return lb__jundefined_hint(r, "'%.150s' is undefined", name);
}

/* ---- attributes and items ---- */

static const char *object_name(lb__jval v) {
  return v.kind == LB__J_NONE ? "None" : lb__jtype_name(v);
}

static lb__jval no_attribute(lb__jrun *r, lb__jval object, const char *name) {
  return lb__jundefined_hint(r, "'%s%s' has no attribute '%.120s'", object_name(object),
                             object.kind == LB__J_NONE ? "" : " object", name);
}

static lb__jval no_element(lb__jrun *r, lb__jval object, lb__jval key) {
  lb__jout out = {0};
  lb__jprint_repr(r, &out, key);
  int shown = out.size > 100 ? 100 : (int)out.size;
  return lb__jundefined_hint(r, "%s%s has no element %.*s", object_name(object),
                             object.kind == LB__J_NONE ? "" : " object", shown,
                             shown > 0 ? out.bytes : "");
}

static lb__jval loop_attribute(lb__jrun *r, lb__jval v, const char *name) {
  const lb__jloop *loop = v.loop;
  size_t i = loop->index, n = loop->items->n;
  const struct {
    const char *name;
    int64_t value;
  } numbers[] = {{"index0", (int64_t)i},
                 {"index", (int64_t)i + 1},
                 {"revindex", (int64_t)(n - i)},
                 {"revindex0", (int64_t)(n - i) - 1},
                 {"length", (int64_t)n},
                 {"depth", 1},
                 {"depth0", 0}}; /* depth counts recursion */
  for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
    if (strcmp(name, numbers[k].name) == 0) return lb__jint(numbers[k].value);
  if (strcmp(name, "first") == 0) return lb__jbool(i == 0);
  if (strcmp(name, "last") == 0) return lb__jbool(i + 1 == n);
  if (strcmp(name, "previtem") == 0)
    return i > 0 ? loop->items->values[i - 1] : lb__jundefined("there is no previous item");
  if (strcmp(name, "nextitem") == 0)
    return i + 1 < n ? loop->items->values[i + 1] : lb__jundefined("there is no next item");
  return no_attribute(r, v, name);
}

/* A method of the value's type, or absent. */
static lb__jval find_method(lb__jrun *r, lb__jval object, const char *name) {
  const lb__jbuiltin *table = lb__jmethods_of(object);
  const lb__jbuiltin *builtin = table == NULL ? NULL : lb__jbuiltin_find(table, name);
  if (builtin == NULL) return lb__jabsent();
  lb__jmethod *method = lb__jalloc(r, 1, sizeof *method);
  if (method == NULL) return lb__jundefined(NULL);
  *method = (lb__jmethod){object, builtin};
  return (lb__jval){.kind = LB__J_METHOD, .method = method};
}

/* Jinja tries the attribute first: on a dict, x.items is the method even when there is a key of
 * that name. */
lb__jval lb__jget_attribute(lb__jrun *r, lb__jval object, const char *name) {
  if (object.kind == LB__J_UNDEFINED) return lb__jfail_undefined(r, object);
  lb__jval method = find_method(r, object, name);
  if (lb__jgiven(method)) return method;
  if (object.kind == LB__J_LOOP) return loop_attribute(r, object, name);
  if (object.kind == LB__J_DICT || object.kind == LB__J_NAMESPACE) {
    const lb__jval *value = lb__jdict_get_text(object.dict, name);
    if (value != NULL) return *value;
  }
  if (object.kind == LB__J_MACRO && strcmp(name, "name") == 0)
    return lb__jtext(r, object.macro->node->name);
  return no_attribute(r, object, name);
}

static lb__jval list_item(lb__jrun *r, lb__jval object, int64_t i) {
  const lb__jlist *list = object.list;
  if (i < 0) i += (int64_t)list->n;
  if (i < 0 || (size_t)i >= list->n || list->flavor > LB__J_RANGE)
    return lb__jundefined_hint(r, "%s object has no element %lld", lb__jtype_name(object),
                               (long long)i);
  return list->values[i];
}

static lb__jval string_item(lb__jrun *r, lb__jval object, int64_t i) {
  const lb__jstr *s = object.s;
  if (i < 0) i += (int64_t)s->n_chars;
  if (i < 0 || (size_t)i >= s->n_chars)
    return lb__jundefined_hint(r, "str object has no element %lld", (long long)i);
  if (s->n_chars != s->size) lb__jcharge(r, s->size / 16);
  size_t at = lb__jstr_offset(s, (size_t)i);
  return lb__jstr_slice(r, s, at, lb__jstr_next(s, at));
}

lb__jval lb__jget_item(lb__jrun *r, lb__jval object, lb__jval key) {
  if (key.kind == LB__J_STRING) lb__jcharge(r, key.s->size / 16);
  if (object.kind == LB__J_UNDEFINED) return lb__jfail_undefined(r, object);
  if (object.kind == LB__J_DICT || object.kind == LB__J_NAMESPACE) {
    const lb__jval *value = lb__jdict_get(object.dict, key);
    if (value != NULL) return *value;
  }
  if (key.kind == LB__J_INT || key.kind == LB__J_BOOL) {
    int64_t i = key.kind == LB__J_INT ? key.i : key.b;
    if (object.kind == LB__J_LIST) return list_item(r, object, i);
    if (object.kind == LB__J_STRING) return string_item(r, object, i);
  }
  if (key.kind != LB__J_STRING) return no_element(r, object, key);
  char name[64];
  if (key.s->size >= sizeof name || memchr(key.s->bytes, '\0', key.s->size) != NULL)
    return no_attribute(r, object, "...");
  memcpy(name, key.s->bytes, key.s->size);
  name[key.s->size] = '\0';
  if (object.kind == LB__J_DICT) {
    lb__jval method = find_method(r, object, name);
    return lb__jgiven(method) ? method : no_attribute(r, object, name);
  }
  return lb__jget_attribute(r, object, name);
}

/* One step of a path: digits are an index. */
static lb__jval path_key(lb__jrun *r, const lb__jstr *part) {
  int64_t i = 0;
  if (part->size == 0 || part->size > 9) return (lb__jval){.kind = LB__J_STRING, .s = part};
  for (size_t k = 0; k < part->size; k++) {
    if (part->bytes[k] < '0' || part->bytes[k] > '9')
      return (lb__jval){.kind = LB__J_STRING, .s = part};
    i = i * 10 + (part->bytes[k] - '0');
  }
  (void)r;
  return lb__jint(i);
}

lb__jval lb__jget_path(lb__jrun *r, lb__jval object, lb__jval path) {
  static const lb__jstr dot = {.bytes = ".", .size = 1, .n_chars = 1};
  if (path.kind != LB__J_STRING) return lb__jget_item(r, object, path);
  lb__jval parts = lb__jstr_split(r, path.s, &dot, -1);
  if (parts.kind != LB__J_LIST) return parts;
  for (size_t i = 0; i < parts.list->n && r->status == LB_OK; i++)
    object = lb__jget_item(r, object, path_key(r, parts.list->values[i].s));
  return object;
}

/* ---- node kinds ---- */

static lb__jval eval_list(lb__jrun *r, const lb__jnode *node) {
  bool is_tuple = node->kind == LB__JN_TUPLE;
  lb__jval list = lb__jnew_list(r, is_tuple ? LB__J_TUPLE : LB__J_PLAIN_LIST, node->items.n);
  for (size_t i = 0; i < node->items.n && list.kind == LB__J_LIST; i++)
    if (!lb__jlist_add(r, list.list, lb__jeval(r, node->items.at[i]))) break;
  return list;
}

static lb__jval eval_dict(lb__jrun *r, const lb__jnode *node) {
  lb__jval dict = lb__jnew_dict(r);
  for (size_t i = 0; i + 1 < node->items.n && dict.kind == LB__J_DICT; i += 2) {
    lb__jval key = lb__jeval(r, node->items.at[i]);
    if (!lb__jdict_put(r, dict.dict, key, lb__jeval(r, node->items.at[i + 1]))) break;
  }
  return dict;
}

static lb__jval eval_slice(lb__jrun *r, const lb__jnode *node) {
  lb__jval object = lb__jeval(r, node->a), parts[3];
  for (int i = 0; i < 3; i++)
    parts[i] = node->items.at[i] == NULL ? lb__jnone() : lb__jeval(r, node->items.at[i]);
  return lb__jslice(r, object, parts[0], parts[1], parts[2]);
}

static lb__jval eval_call(lb__jrun *r, const lb__jnode *node) {
  lb__jargs args;
  lb__jval callee = lb__jeval(r, node->a);
  if (!lb__jeval_arguments(r, &args, node->arguments)) return lb__jundefined(NULL);
  r->line = node->line;
  return lb__jcall(r, callee, &args);
}

lb__jval lb__jeval_call_with(lb__jrun *r, const lb__jnode *call, const char *name, lb__jval value) {
  lb__jargs args, more;
  lb__jval callee = lb__jeval(r, call->a);
  if (!lb__jeval_arguments(r, &args, call->arguments)) return lb__jundefined(NULL);
  more = args;
  more.names = lb__jalloc(r, args.n_named + 1, sizeof *more.names);
  more.named = lb__jalloc(r, args.n_named + 1, sizeof *more.named);
  if (more.names == NULL || more.named == NULL) return lb__jundefined(NULL);
  for (size_t i = 0; i < args.n_named; i++) {
    more.names[i] = args.names[i];
    more.named[i] = args.named[i];
  }
  more.names[args.n_named] = name;
  more.named[args.n_named] = value;
  more.n_named = args.n_named + 1;
  r->line = call->line;
  return lb__jcall(r, callee, &more);
}

/* Filters and tests: both call a row of a table on the value of `a`. */
static lb__jval eval_builtin(lb__jrun *r, const lb__jnode *node, lb__jval self) {
  lb__jargs args;
  if (!lb__jeval_arguments(r, &args, node->arguments)) return lb__jundefined(NULL);
  r->line = node->line;
  return lb__jbuiltin_call(r, node->builtin, self, &args);
}

lb__jval lb__jeval_captured(lb__jrun *r, const lb__jnode *node, lb__jval captured) {
  if (node->kind == LB__JN_CAPTURED) return captured;
  return eval_builtin(r, node, lb__jeval_captured(r, node->a, captured));
}

static lb__jval eval_negate(lb__jrun *r, const lb__jnode *node) {
  lb__jval v = lb__jeval(r, node->a);
  int64_t i = 0;
  if (v.kind == LB__J_FLOAT) return lb__jfloat(node->kind == LB__JN_NEGATE ? -v.d : v.d);
  if (v.kind == LB__J_UNDEFINED) return lb__jfail_undefined(r, v);
  if (!lb__jto_int(r, v, &i, "unary sign")) return lb__jundefined(NULL);
  if (node->kind == LB__JN_POSITIVE) return lb__jint(i);
  if (i == INT64_MIN) return lb__jfail(r, LB_E_LIMIT, "integer beyond 64 bits");
  return lb__jint(-i);
}

static lb__jval eval_binary(lb__jrun *r, const lb__jnode *node) {
  lb__jval a = lb__jeval(r, node->a), b = lb__jeval(r, node->b);
  if (r->status != LB_OK) return lb__jundefined(NULL);
  r->line = node->line;
  return node->op == LB__JOP_ADD ? lb__jadd(r, a, b) : lb__jarithmetic(r, (int)node->op, a, b);
}

static lb__jval eval_concat(lb__jrun *r, const lb__jnode *node) {
  lb__jout out = {0};
  for (size_t i = 0; i < node->items.n; i++)
    if (!lb__jprint(r, &out, lb__jeval(r, node->items.at[i]))) break;
  return lb__jout_take(r, &out);
}

static bool compare_one(lb__jrun *r, lb__jop op, lb__jval a, lb__jval b) {
  if (op == LB__JOP_EQ) return lb__jequal(r, a, b);
  if (op == LB__JOP_NE) return !lb__jequal(r, a, b);
  if (op == LB__JOP_IN) return lb__jcontains(r, b, a);
  if (op == LB__JOP_NOT_IN) return !lb__jcontains(r, b, a);
  static const char *const names[] = {"<", "<=", ">", ">="};
  int order = lb__jcompare(r, a, b, names[op - LB__JOP_LT]);
  if (order == 2) return false; /* a NaN */
  return op == LB__JOP_LT   ? order < 0
         : op == LB__JOP_LE ? order <= 0
         : op == LB__JOP_GT ? order > 0
                            : order >= 0;
}

static lb__jval eval_compare(lb__jrun *r, const lb__jnode *node) {
  lb__jval left = lb__jeval(r, node->a);
  for (size_t i = 0; i < node->items.n && r->status == LB_OK; i++) {
    lb__jval right = lb__jeval(r, node->items.at[i]);
    r->line = node->line;
    if (r->status == LB_OK && !compare_one(r, node->ops[i], left, right)) return lb__jbool(false);
    left = right;
  }
  return lb__jbool(true);
}

/* and, or give one of their operands, as Python's do */
static lb__jval eval_logic(lb__jrun *r, const lb__jnode *node) {
  lb__jval a = lb__jeval(r, node->a);
  return lb__jtruth(a) == (node->kind == LB__JN_OR) ? a : lb__jeval(r, node->b);
}

static lb__jval eval_choose(lb__jrun *r, const lb__jnode *node) {
  if (lb__jtruth(lb__jeval(r, node->a))) return lb__jeval(r, node->b);
  if (node->c != NULL) return lb__jeval(r, node->c);
  return lb__jundefined("the inline if-expression evaluated to false and no else section was "
                        "defined.");
}

static lb__jval eval_node(lb__jrun *r, const lb__jnode *node) {
  switch (node->kind) {
  case LB__JN_CONST: return node->constant;
  case LB__JN_NAME: return lb__jscope_get(r, node->name);
  case LB__JN_LIST:
  case LB__JN_TUPLE: return eval_list(r, node);
  case LB__JN_DICT: return eval_dict(r, node);
  case LB__JN_ATTRIBUTE: return lb__jget_attribute(r, lb__jeval(r, node->a), node->name);
  case LB__JN_ITEM: {
    lb__jval object = lb__jeval(r, node->a);
    return lb__jget_item(r, object, lb__jeval(r, node->b));
  }
  case LB__JN_SLICE: return eval_slice(r, node);
  case LB__JN_CALL: return eval_call(r, node);
  case LB__JN_FILTER:
  case LB__JN_TEST: return eval_builtin(r, node, lb__jeval(r, node->a));
  case LB__JN_NOT: return lb__jbool(!lb__jtruth(lb__jeval(r, node->a)));
  case LB__JN_NEGATE:
  case LB__JN_POSITIVE: return eval_negate(r, node);
  case LB__JN_AND:
  case LB__JN_OR: return eval_logic(r, node);
  case LB__JN_BINARY: return eval_binary(r, node);
  case LB__JN_CONCAT: return eval_concat(r, node);
  case LB__JN_COMPARE: return eval_compare(r, node);
  case LB__JN_CHOOSE: return eval_choose(r, node);
  default: return lb__jfail(r, LB_E_FORMAT, "a statement where an expression belongs");
  }
}

lb__jval lb__jeval(lb__jrun *r, const lb__jnode *node) {
  if (!lb__jcharge(r, 1)) return lb__jundefined(NULL);
  if (r->depth >= LB__JMAX_DEPTH)
    return lb__jfail(r, LB_E_LIMIT, "evaluation nested more than %d deep", LB__JMAX_DEPTH);
  r->line = node->line;
  r->depth++;
  lb__jval v = eval_node(r, node);
  r->depth--;
  return r->status == LB_OK ? v : lb__jundefined(NULL);
}

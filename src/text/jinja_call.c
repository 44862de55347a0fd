/* jinja_call.c - arguments, calls of table rows, calls of macros. Read first: jinja_builtin.h. */
#include "jinja_eval.h"
#include "jinja_string.h"

const lb__jbuiltin *lb__jbuiltin_find(const lb__jbuiltin *table, const char *name) {
  for (; table->name != NULL; table++)
    if (strcmp(table->name, name) == 0) return table;
  return NULL;
}

/* ---- evaluating arguments ---- */

static bool add_star(lb__jrun *r, lb__jargs *out, lb__jval v) {
  const lb__jlist *more = lb__jiterate(r, v);
  if (more == NULL) return false;
  lb__jval *values = lb__jalloc(r, out->n + more->n + 1, sizeof *values);
  if (values == NULL) return false;
  if (out->n > 0) memcpy(values, out->values, out->n * sizeof *values);
  if (more->n > 0) memcpy(values + out->n, more->values, more->n * sizeof *values);
  out->values = values;
  out->n += more->n;
  return true;
}

static bool add_star_star(lb__jrun *r, lb__jargs *out, lb__jval v) {
  if (v.kind != LB__J_DICT) {
    lb__jfail(r, LB_E_ARG, "argument after ** must be a mapping, not %s", lb__jtype_name(v));
    return false;
  }
  size_t total = out->n_named + v.dict->n;
  const char **names = lb__jalloc(r, total + 1, sizeof *names);
  lb__jval *named = lb__jalloc(r, total + 1, sizeof *named);
  if (names == NULL || named == NULL) return false;
  for (size_t i = 0; i < out->n_named; i++) {
    names[i] = out->names[i];
    named[i] = out->named[i];
  }
  for (size_t i = 0; i < v.dict->n; i++) {
    const lb__jstr *key = lb__jto_str(r, v.dict->pairs[i].key);
    char *name = lb__jalloc(r, key->size + 1, 1);
    if (name == NULL) return false;
    memcpy(name, key->bytes, key->size);
    names[out->n_named + i] = name;
    named[out->n_named + i] = v.dict->pairs[i].value;
  }
  out->names = names;
  out->named = named;
  out->n_named = total;
  return true;
}

static lb__jval *eval_all(lb__jrun *r, const lb__jnodes *nodes) {
  if (nodes->n == 0) return NULL;
  lb__jval *values = lb__jalloc(r, nodes->n, sizeof *values);
  for (size_t i = 0; values != NULL && i < nodes->n; i++) values[i] = lb__jeval(r, nodes->at[i]);
  return values;
}

bool lb__jeval_arguments(lb__jrun *r, lb__jargs *out, const lb__jarguments *arguments) {
  *out = (lb__jargs){0};
  if (arguments == NULL) return r->status == LB_OK;
  out->values = eval_all(r, &arguments->positional);
  out->n = arguments->positional.n;
  out->named = eval_all(r, &arguments->named);
  out->names = arguments->names;
  out->n_named = arguments->named.n;
  if (r->status == LB_OK && arguments->star != NULL)
    add_star(r, out, lb__jeval(r, arguments->star));
  if (r->status == LB_OK && arguments->star_star != NULL)
    add_star_star(r, out, lb__jeval(r, arguments->star_star));
  return r->status == LB_OK;
}

/* ---- table rows ---- */

/* Index of `name` in "a,b,c", or -1; *n is how many there are. */
static int parameter_index(const char *parameters, const char *name, int *n) {
  int found = -1;
  *n = 0;
  for (const char *p = parameters; *p != '\0'; (*n)++) {
    size_t size = strcspn(p, ",");
    if (name != NULL && strlen(name) == size && memcmp(p, name, size) == 0) found = *n;
    p += size;
    if (*p == ',') p++;
  }
  return found;
}

static bool bind(lb__jrun *r, const lb__jbuiltin *b, lb__jval *bound, const lb__jargs *args) {
  int n;
  parameter_index(b->parameters, NULL, &n);
  for (int i = 0; i < LB__JMAX_PARAMETERS; i++) bound[i] = lb__jabsent();
  if (args->n > (size_t)n) {
    lb__jfail(r, LB_E_ARG, "%s() takes at most %d argument(s), got %zu", b->name, n, args->n);
    return false;
  }
  for (size_t i = 0; i < args->n; i++) bound[i] = args->values[i];
  for (size_t i = 0; i < args->n_named; i++) {
    int at = parameter_index(b->parameters, args->names[i], &n);
    if (at < 0 || lb__jgiven(bound[at])) {
      lb__jfail(r, LB_E_ARG, "%s() does not take the argument '%s' %s", b->name, args->names[i],
                at < 0 ? "" : "twice");
      return false;
    }
    bound[at] = args->named[i];
  }
  for (int i = 0; i < b->n_required; i++) {
    if (lb__jgiven(bound[i])) continue;
    lb__jfail(r, LB_E_ARG, "%s() misses its argument number %d", b->name, i + 1);
    return false;
  }
  return true;
}

lb__jval lb__jbuiltin_call(lb__jrun *r, const lb__jbuiltin *b, lb__jval self,
                           const lb__jargs *args) {
  lb__jval bound[LB__JMAX_PARAMETERS];
  if (!lb__jcharge(r, 2)) return lb__jundefined(NULL);
  if (b->fn == NULL)
    return lb__jfail(
        r, LB_E_UNSUPPORTED, "'%s' is not supported in chat templates%s", b->name,
        self.kind == LB__J_LIST || self.kind == LB__J_DICT ? " (they may not change values)" : "");
  if (strcmp(b->parameters, "*") == 0) return b->fn(r, self, NULL, args);
  if (!bind(r, b, bound, args)) return lb__jundefined(NULL);
  return b->fn(r, self, bound, args);
}

const lb__jbuiltin *lb__jmethods_of(lb__jval v) {
  switch (v.kind) {
  case LB__J_STRING: return lb__jstr_methods;
  case LB__J_DICT: return lb__jdict_methods;
  case LB__J_LIST: return v.list->flavor <= LB__J_RANGE ? lb__jlist_methods : NULL;
  case LB__J_LOOP: return lb__jloop_methods;
  default: return NULL;
  }
}

lb__jval lb__jcall(lb__jrun *r, lb__jval callee, const lb__jargs *args) {
  if (r->status != LB_OK) return lb__jundefined(NULL);
  switch (callee.kind) {
  case LB__J_FUNCTION: return lb__jbuiltin_call(r, callee.function, lb__jabsent(), args);
  case LB__J_METHOD:
    return lb__jbuiltin_call(r, callee.method->builtin, callee.method->receiver, args);
  case LB__J_MACRO: return lb__jmacro_call(r, callee.macro, args);
  case LB__J_UNDEFINED: return lb__jfail_undefined(r, callee);
  case LB__J_LOOP: return lb__jfail(r, LB_E_UNSUPPORTED, "recursive loops are not supported");
  default: return lb__jfail(r, LB_E_ARG, "'%s' object is not callable", lb__jtype_name(callee));
  }
}

/* ---- macros ---- */

static const lb__jval *named_argument(const lb__jargs *args, const char *name) {
  for (size_t i = 0; i < args->n_named; i++)
    if (strcmp(args->names[i], name) == 0) return &args->named[i];
  return NULL;
}

static void bind_parameter(lb__jrun *r, lb__jscope *scope, const lb__jarguments *signature,
                           size_t i, const lb__jargs *args) {
  const char *name = signature->names[i];
  size_t first_default = signature->n_names - signature->named.n;
  const lb__jval *named = named_argument(args, name);
  lb__jval value;
  if (i < args->n && named != NULL)
    value = lb__jfail(r, LB_E_ARG, "macro got multiple values for argument '%s'", name);
  else if (i < args->n)
    value = args->values[i];
  else if (named != NULL)
    value = *named;
  else if (i >= first_default)
    value = lb__jeval(r, signature->named.at[i - first_default]);
  else
    value = lb__jundefined_hint(r, "parameter '%.100s' was not provided", name);
  lb__jscope_put(r, scope, name, value);
}

/* What is left over goes to varargs and kwargs when the body reads them, else it is an error. */
static void bind_extra(lb__jrun *r, lb__jscope *scope, const lb__jmacro *macro,
                       const lb__jargs *args) {
  const lb__jarguments *signature = macro->node->arguments;
  lb__jval varargs = lb__jnew_list(r, LB__J_TUPLE, 0), kwargs = lb__jnew_dict(r);
  if (r->status != LB_OK) return;
  for (size_t i = signature->n_names; i < args->n; i++)
    lb__jlist_add(r, varargs.list, args->values[i]);
  for (size_t i = 0; i < args->n_named; i++) {
    bool is_parameter = false;
    for (size_t k = 0; k < signature->n_names; k++)
      is_parameter = is_parameter || strcmp(signature->names[k], args->names[i]) == 0;
    if (is_parameter) continue;
    if (strcmp(args->names[i], lb__jname_caller) == 0) {
      lb__jscope_put(r, scope, lb__jname_caller, args->named[i]);
      continue;
    }
    lb__jdict_put(r, kwargs.dict, lb__jtext(r, args->names[i]), args->named[i]);
    if (!macro->node->uses_kwargs)
      lb__jfail(r, LB_E_ARG, "macro '%s' takes no keyword argument '%s'", macro->node->name,
                args->names[i]);
  }
  if (varargs.list->n > 0 && !macro->node->uses_varargs)
    lb__jfail(r, LB_E_ARG, "macro '%s' takes not more than %zu argument(s)", macro->node->name,
              signature->n_names);
  if (macro->node->uses_varargs) lb__jscope_put(r, scope, lb__jname_varargs, varargs);
  if (macro->node->uses_kwargs) lb__jscope_put(r, scope, lb__jname_kwargs, kwargs);
}

lb__jval lb__jmacro_call(lb__jrun *r, const lb__jmacro *macro, const lb__jargs *args) {
  const lb__jarguments *signature = macro->node->arguments;
  lb__jscope *outer = r->scope;
  lb__jout text = {0}, *out = r->out;
  if (r->depth >= LB__JMAX_DEPTH)
    return lb__jfail(r, LB_E_LIMIT, "evaluation nested more than %d deep", LB__JMAX_DEPTH);
  lb__jscope *scope = lb__jalloc(r, 1, sizeof *scope);
  if (scope == NULL) return lb__jundefined(NULL);
  scope->parent = macro->scope;
  r->scope = scope;
  r->out = &text;
  r->depth += 4; /* a call costs more stack than an operator */
  for (size_t i = 0; i < signature->n_names; i++) bind_parameter(r, scope, signature, i, args);
  bind_extra(r, scope, macro, args);
  lb__jexec(r, macro->node->b);
  r->depth -= 4;
  r->scope = outer;
  r->out = out;
  return lb__jout_take(r, &text);
}

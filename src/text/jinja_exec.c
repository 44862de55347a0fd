/* jinja_exec.c - statements: output, if, for, set, macro, call, filter, with, generation.
 * Read first: jinja_eval.h. */
#include "jinja_eval.h"
#include "jinja_string.h"

/* ---- scopes ---- */

static lb__jscope *push_scope(lb__jrun *r) {
  lb__jscope *scope = lb__jalloc(r, 1, sizeof *scope);
  if (scope == NULL) return NULL;
  scope->parent = r->scope;
  r->scope = scope;
  return scope;
}

static lb__jflow exec_scoped(lb__jrun *r, const lb__jnode *body) {
  lb__jscope *outer = r->scope;
  if (push_scope(r) == NULL) return LB__JFLOW_NEXT;
  lb__jflow flow = lb__jexec(r, body);
  r->scope = outer;
  return flow;
}

/* Runs a body in its own scope and returns what it wrote. */
static lb__jval capture(lb__jrun *r, const lb__jnode *body) {
  lb__jout text = {0}, *out = r->out;
  r->out = &text;
  exec_scoped(r, body);
  r->out = out;
  return lb__jout_take(r, &text);
}

/* ---- assignment ---- */

static void assign(lb__jrun *r, const lb__jnode *target, lb__jval value);

static void assign_tuple(lb__jrun *r, const lb__jnode *target, lb__jval value) {
  const lb__jlist *parts = lb__jiterate(r, value);
  if (parts == NULL) return;
  if (parts->n != target->items.n) {
    lb__jfail(r, LB_E_ARG, "cannot unpack %zu value(s) into %zu name(s)", parts->n,
              target->items.n);
    return;
  }
  for (size_t i = 0; i < parts->n; i++) assign(r, target->items.at[i], parts->values[i]);
}

static void assign_namespace(lb__jrun *r, const lb__jnode *target, lb__jval value) {
  lb__jval ns = lb__jscope_get(r, target->a->name);
  if (ns.kind == LB__J_UNDEFINED)
    lb__jfail_undefined(r, ns);
  else if (ns.kind != LB__J_NAMESPACE)
    lb__jfail(r, LB_E_ARG, "cannot assign attribute on non-namespace object");
  else if (target->name[0] == '_')
    lb__jfail(r, LB_E_UNSUPPORTED, "a namespace cannot hold '%s': names may not begin with '_'",
              target->name);
  else
    lb__jdict_put(r, ns.dict, lb__jtext(r, target->name), value);
}

static void assign(lb__jrun *r, const lb__jnode *target, lb__jval value) {
  if (r->status != LB_OK) return;
  if (target->kind == LB__JN_TUPLE)
    assign_tuple(r, target, value);
  else if (target->kind == LB__JN_ATTRIBUTE)
    assign_namespace(r, target, value);
  else
    lb__jscope_put(r, r->scope, target->name, value);
}

/* ---- for ---- */

/* The items that pass `for x in list if test`. */
static lb__jlist *filtered(lb__jrun *r, const lb__jnode *node, const lb__jlist *items) {
  lb__jscope *outer = r->scope;
  lb__jval kept = lb__jnew_list(r, LB__J_PLAIN_LIST, 0);
  lb__jscope *scope = push_scope(r);
  if (scope == NULL || kept.kind != LB__J_LIST) return NULL;
  for (size_t i = 0; i < items->n && r->status == LB_OK; i++) {
    scope->n = 0;
    assign(r, node->items.at[0], items->values[i]);
    if (lb__jtruth(lb__jeval(r, node->items.at[1]))) lb__jlist_add(r, kept.list, items->values[i]);
  }
  r->scope = outer;
  return kept.list;
}

/* One scope serves all rounds, unless a macro remembers it. */
static void run_rounds(lb__jrun *r, const lb__jnode *node, lb__jlist *items) {
  lb__jscope *outer = r->scope;
  lb__jloop *loop = lb__jalloc(r, 1, sizeof *loop);
  if (loop == NULL) return;
  *loop = (lb__jloop){.items = items, .changed = lb__jabsent()};
  lb__jscope *scope = push_scope(r);
  for (; scope != NULL && loop->index < items->n && r->status == LB_OK; loop->index++) {
    if (scope->kept) {
      r->scope = outer;
      scope = push_scope(r);
      if (scope == NULL) break;
    }
    scope->n = 0;
    lb__jscope_put(r, scope, lb__jname_loop, (lb__jval){.kind = LB__J_LOOP, .loop = loop});
    assign(r, node->items.at[0], items->values[loop->index]);
    if (lb__jexec(r, node->b) == LB__JFLOW_BREAK) break;
  }
  r->scope = outer;
}

static void exec_for(lb__jrun *r, const lb__jnode *node) {
  lb__jlist *items = lb__jiterate(r, lb__jeval(r, node->a));
  if (items != NULL && node->items.at[1] != NULL) items = filtered(r, node, items);
  if (items == NULL || r->status != LB_OK) return;
  if (items->n > 0)
    run_rounds(r, node, items);
  else if (node->c != NULL)
    exec_scoped(r, node->c);
}

/* ---- the other statements ---- */

static lb__jflow exec_body(lb__jrun *r, const lb__jnode *node) {
  for (size_t i = 0; i < node->items.n && r->status == LB_OK; i++) {
    lb__jflow flow = lb__jexec(r, node->items.at[i]);
    if (flow != LB__JFLOW_NEXT) return flow;
  }
  return LB__JFLOW_NEXT;
}

static void exec_output(lb__jrun *r, const lb__jnode *node) {
  for (size_t i = 0; i < node->items.n; i++) {
    lb__jval v = lb__jeval(r, node->items.at[i]);
    if (!lb__jprint(r, r->out, v)) break;
  }
}

static lb__jflow exec_if(lb__jrun *r, const lb__jnode *node) {
  for (size_t i = 0; i + 1 < node->items.n; i += 2) {
    bool chosen = lb__jtruth(lb__jeval(r, node->items.at[i]));
    if (r->status != LB_OK) return LB__JFLOW_NEXT;
    if (chosen) return lb__jexec(r, node->items.at[i + 1]);
  }
  return node->b == NULL ? LB__JFLOW_NEXT : lb__jexec(r, node->b);
}

static lb__jval make_macro(lb__jrun *r, const lb__jnode *node) {
  lb__jmacro *macro = lb__jalloc(r, 1, sizeof *macro);
  if (macro == NULL) return lb__jundefined(NULL);
  *macro = (lb__jmacro){node, r->scope};
  for (lb__jscope *s = r->scope; s != NULL && !s->kept; s = s->parent) s->kept = true;
  return (lb__jval){.kind = LB__J_MACRO, .macro = macro};
}

static void exec_call_block(lb__jrun *r, const lb__jnode *node) {
  lb__jval caller = make_macro(r, node->b);
  lb__jprint(r, r->out, lb__jeval_call_with(r, node->a, lb__jname_caller, caller));
}

static lb__jflow exec_with(lb__jrun *r, const lb__jnode *node) {
  lb__jscope *outer = r->scope, *scope = lb__jalloc(r, 1, sizeof *scope);
  if (scope == NULL) return LB__JFLOW_NEXT;
  scope->parent = outer;
  for (size_t i = 0; i + 1 < node->items.n; i += 2) /* values see the outer scope */
    lb__jscope_put(r, scope, node->items.at[i]->name, lb__jeval(r, node->items.at[i + 1]));
  r->scope = scope;
  lb__jflow flow = lb__jexec(r, node->b);
  r->scope = outer;
  return flow;
}

/* The mark is part of the text, so it also survives macros and set blocks. */
static void exec_generation(lb__jrun *r, const lb__jnode *node) {
  size_t begin = r->out->size;
  exec_scoped(r, node->b);
  for (size_t i = begin; i < r->out->size; i++) r->out->marks[i] |= LB__MARK_GENERATION;
}

static lb__jflow exec_node(lb__jrun *r, const lb__jnode *node) {
  switch (node->kind) {
  case LB__JN_BODY: return exec_body(r, node);
  case LB__JN_OUTPUT: exec_output(r, node); break;
  case LB__JN_IF: return exec_if(r, node);
  case LB__JN_FOR: exec_for(r, node); break;
  case LB__JN_SET: assign(r, node->a, lb__jeval(r, node->b)); break;
  case LB__JN_SET_BLOCK:
    assign(r, node->a, lb__jeval_captured(r, node->b, capture(r, node->c)));
    break;
  case LB__JN_MACRO: lb__jscope_put(r, r->scope, node->name, make_macro(r, node)); break;
  case LB__JN_CALL_BLOCK: exec_call_block(r, node); break;
  case LB__JN_FILTER_BLOCK:
    lb__jprint(r, r->out, lb__jeval_captured(r, node->a, capture(r, node->b)));
    break;
  case LB__JN_WITH: return exec_with(r, node);
  case LB__JN_BREAK: return LB__JFLOW_BREAK;
  case LB__JN_CONTINUE: return LB__JFLOW_CONTINUE;
  case LB__JN_GENERATION: exec_generation(r, node); break;
  default: lb__jfail(r, LB_E_FORMAT, "an expression where a statement belongs");
  }
  return LB__JFLOW_NEXT;
}

lb__jflow lb__jexec(lb__jrun *r, const lb__jnode *node) {
  if (!lb__jcharge(r, 1)) return LB__JFLOW_NEXT;
  if (r->depth >= LB__JMAX_DEPTH) {
    lb__jfail(r, LB_E_LIMIT, "evaluation nested more than %d deep", LB__JMAX_DEPTH);
    return LB__JFLOW_NEXT;
  }
  r->line = node->line;
  r->depth++;
  lb__jflow flow = exec_node(r, node);
  r->depth--;
  return flow;
}

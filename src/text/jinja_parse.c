/* jinja_parse.c - expressions, by recursive descent in Jinja's own order of precedence (weakest
 * first): a if b else c, or, and, not, comparison, + -, ~, * / // %, **, unary, filters and tests.
 * Depth is capped. Read first: jinja_parse.h. */
#include "jinja_parse.h"

#include "jinja_builtin.h"
#include "jinja_string.h"

#include "base/map.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_NESTING 200

/* ---- tokens and nodes ---- */

lb__jnode *lb__jnode_new(lb__jparser *p, lb__jnode_kind kind) {
  p->r->line = p->token->line;
  lb__jnode *node = lb__jalloc(p->r, 1, sizeof *node);
  if (node == NULL) return &p->spare; /* parsing stops at the next check */
  node->kind = kind;
  node->line = p->token->line;
  return node;
}

bool lb__jnodes_add(lb__jparser *p, lb__jnodes *list, lb__jnode *node) {
  if (p->r->status != LB_OK) return false;
  if (list->n == list->capacity) {
    size_t capacity = list->capacity == 0 ? 4 : list->capacity * 2;
    lb__jnode **grown = lb__jalloc(p->r, capacity, sizeof *grown);
    if (grown == NULL) return false;
    if (list->n > 0) memcpy(grown, list->at, list->n * sizeof *grown);
    list->at = grown;
    list->capacity = capacity;
  }
  list->at[list->n++] = node;
  return true;
}

const char lb__jname_loop[] = "loop", lb__jname_caller[] = "caller",
           lb__jname_varargs[] = "varargs", lb__jname_kwargs[] = "kwargs";

static const char *well_known(const char *text, size_t size) {
  static const char *const names[] = {lb__jname_loop, lb__jname_caller, lb__jname_varargs,
                                      lb__jname_kwargs};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strlen(names[i]) == size && memcmp(names[i], text, size) == 0) return names[i];
  return NULL;
}

const char *lb__jintern(lb__jparser *p, const char *text, size_t size) {
  const char *known = well_known(text, size);
  int64_t index;
  if (known != NULL) return known;
  if (lb__map_get(p->names, text, size, &index)) return p->name_list[index];
  if (p->n_names == p->names_capacity) {
    size_t capacity = p->names_capacity == 0 ? 64 : p->names_capacity * 2;
    const char **grown = lb__jalloc(p->r, capacity, sizeof *grown);
    if (grown == NULL) return "";
    if (p->n_names > 0) memcpy(grown, p->name_list, p->n_names * sizeof *grown);
    p->name_list = grown;
    p->names_capacity = capacity;
  }
  char *name = lb__arena_strndup(p->r->arena, text, size);
  if (name == NULL || !lb__map_put(p->names, name, size, (int64_t)p->n_names, NULL)) {
    lb__jfail(p->r, LB_E_NOMEM, "out of memory");
    return "";
  }
  p->name_list[p->n_names++] = name;
  return name;
}

static bool text_is(const lb__jtoken *t, const char *text) {
  return t->size == strlen(text) && memcmp(t->text, text, t->size) == 0;
}

bool lb__jtoken_is(const lb__jtoken *t, const char *operator_text) {
  return t->kind == LB__JT_OPERATOR && text_is(t, operator_text);
}

bool lb__jtoken_is_name(const lb__jtoken *t, const char *name) {
  return t->kind == LB__JT_NAME && text_is(t, name);
}

bool lb__jskip(lb__jparser *p, const char *operator_text) {
  if (p->r->status != LB_OK || !lb__jtoken_is(p->token, operator_text)) return false;
  p->token++;
  return true;
}

bool lb__jskip_name(lb__jparser *p, const char *name) {
  if (p->r->status != LB_OK || !lb__jtoken_is_name(p->token, name)) return false;
  p->token++;
  return true;
}

lb__jval lb__jfail_token(lb__jparser *p, const char *wanted) {
  static const char *const kinds[] = {"the end of the template", "text", "{{", "}}", "{%", "%}"};
  const lb__jtoken *t = p->token;
  p->r->line = t->line;
  if (t->kind <= LB__JT_BLOCK_END)
    return lb__jfail(p->r, LB_E_FORMAT, "want %s, found %s", wanted, kinds[t->kind]);
  int shown = t->size > 40 ? 40 : (int)t->size;
  return lb__jfail(p->r, LB_E_FORMAT, "want %s, found '%.*s'", wanted, shown, t->text);
}

bool lb__jexpect(lb__jparser *p, const char *operator_text) {
  char wanted[16];
  if (lb__jskip(p, operator_text)) return true;
  snprintf(wanted, sizeof wanted, "'%.4s'", operator_text);
  lb__jfail_token(p, wanted);
  return false;
}

const char *lb__jexpect_name(lb__jparser *p) {
  if (p->token->kind != LB__JT_NAME) {
    lb__jfail_token(p, "a name");
    return "";
  }
  const char *name = lb__jintern(p, p->token->text, p->token->size);
  p->token++;
  return name;
}

static bool enter(lb__jparser *p) {
  if (p->depth >= MAX_NESTING) {
    p->r->line = p->token->line;
    lb__jfail(p->r, LB_E_LIMIT, "nested more than %d deep", MAX_NESTING);
    return false;
  }
  p->depth++;
  return p->r->status == LB_OK;
}

/* ---- literals ---- */

static bool hex_escape(const char *s, size_t size, size_t n, uint32_t *code) {
  *code = 0;
  if (size < n) return false;
  for (size_t i = 0; i < n; i++) {
    const char *all = "0123456789abcdef", lower = (char)(s[i] | 0x20);
    const char *hit = s[i] == '\0' ? NULL : strchr(all, s[i] >= 'A' ? lower : s[i]);
    if (hit == NULL) return false;
    *code = *code * 16 + (uint32_t)(hit - all);
  }
  return true;
}

/* One escape, s at the character after the backslash: how many bytes of it were read. */
static size_t unescape(lb__jparser *p, lb__jout *out, const char *s, size_t size) {
  static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
  const char *hit = *s == '\0' ? NULL : strchr(from, *s);
  uint32_t code = 0;
  size_t n = 0;
  if (hit != NULL) return lb__jout_add(p->r, out, &to[hit - from], 1, 0), 1;
  if (*s == '\n') return 1;
  if (*s >= '0' && *s <= '7') {
    while (n < 3 && n < size && s[n] >= '0' && s[n] <= '7')
      code = code * 8 + (uint32_t)(s[n++] - '0');
    return lb__jout_char(p->r, out, code, 0), n;
  }
  if (*s == 'x' || *s == 'u' || *s == 'U') {
    n = *s == 'x' ? 2 : *s == 'u' ? 4 : 8;
    if (hex_escape(s + 1, size - 1, n, &code) && code < 0x110000 &&
        (code < 0xD800 || code > 0xDFFF))
      return lb__jout_char(p->r, out, code, 0), n + 1;
  }
  if (*s == 'x' || *s == 'u' || *s == 'U' || *s == 'N') {
    p->r->line = p->token->line;
    lb__jfail(p->r, LB_E_UNSUPPORTED, "escape '\\%c' in a string cannot be read", *s);
    return 1;
  }
  lb__jout_add(p->r, out, "\\", 1, 0); /* Python keeps unknown escapes */
  return 0;
}

static lb__jval string_literal(lb__jparser *p) {
  lb__jout out = {0};
  for (; p->token->kind == LB__JT_STRING && p->r->status == LB_OK; p->token++) {
    const char *s = p->token->text + 1;
    for (size_t size = p->token->size - 2, at = 0, n; at < size && p->r->status == LB_OK; at += n) {
      const char *slash = memchr(s + at, '\\', size - at);
      n = slash == NULL ? size - at : (size_t)(slash - (s + at));
      lb__jout_add(p->r, &out, s + at, n, 0);
      if (slash != NULL) n += 1 + unescape(p, &out, slash + 1, size - at - n - 1);
    }
  }
  return lb__jout_take(p->r, &out);
}

static lb__jval number_literal(lb__jparser *p) {
  char text[64];
  size_t n = 0;
  const lb__jtoken *t = p->token;
  for (size_t i = 0; i < t->size && n + 1 < sizeof text; i++)
    if (t->text[i] != '_') text[n++] = t->text[i];
  text[n] = '\0';
  p->r->line = t->line;
  p->token++;
  errno = 0;
  if (t->size >= sizeof text) return lb__jfail(p->r, LB_E_FORMAT, "a number is too long");
  if (t->kind == LB__JT_FLOAT) return lb__jfloat(strtod(text, NULL));
  long long i = strtoll(text, NULL, 10);
  if (errno != 0) return lb__jfail(p->r, LB_E_FORMAT, "integer %s does not fit 64 bits", text);
  return lb__jint(i);
}

static lb__jnode *constant(lb__jparser *p, lb__jval v) {
  lb__jnode *node = lb__jnode_new(p, LB__JN_CONST);
  node->constant = v;
  return node;
}

static lb__jnode *parse_name(lb__jparser *p) {
  static const struct {
    const char *name;
    lb__jval value;
  } words[] = {{"true", {.kind = LB__J_BOOL, .b = true}},
               {"True", {.kind = LB__J_BOOL, .b = true}},
               {"false", {.kind = LB__J_BOOL}},
               {"False", {.kind = LB__J_BOOL}},
               {"none", {.kind = LB__J_NONE}},
               {"None", {.kind = LB__J_NONE}}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (lb__jskip_name(p, words[i].name)) return constant(p, words[i].value);
  lb__jnode *node = lb__jnode_new(p, LB__JN_NAME);
  node->name = lb__jexpect_name(p);
  if (p->macro != NULL && node->name == lb__jname_varargs) p->macro->uses_varargs = true;
  if (p->macro != NULL && node->name == lb__jname_kwargs) p->macro->uses_kwargs = true;
  return node;
}

/* [a, b], {k: v} after the opening bracket */
static lb__jnode *parse_items(lb__jparser *p, lb__jnode_kind kind, const char *close) {
  lb__jnode *node = lb__jnode_new(p, kind);
  while (p->r->status == LB_OK && !lb__jtoken_is(p->token, close)) {
    if (node->items.n > 0 && !lb__jexpect(p, ",")) break;
    if (lb__jtoken_is(p->token, close)) break;
    lb__jnodes_add(p, &node->items, lb__jparse_expression(p, true));
    if (kind != LB__JN_DICT) continue;
    lb__jexpect(p, ":");
    lb__jnodes_add(p, &node->items, lb__jparse_expression(p, true));
  }
  lb__jexpect(p, close);
  return node;
}

static bool is_tuple_end(lb__jparser *p, const char *end_name) {
  const lb__jtoken *t = p->token;
  if (t->kind == LB__JT_VARIABLE_END || t->kind == LB__JT_BLOCK_END || lb__jtoken_is(t, ")"))
    return true;
  return end_name != NULL && lb__jtoken_is_name(t, end_name);
}

typedef lb__jnode *element_fn(lb__jparser *p, bool flag);

static lb__jnode *parse_tuple_of(lb__jparser *p, element_fn *element, bool flag,
                                 const char *end_name, bool in_brackets) {
  lb__jnode *tuple = lb__jnode_new(p, LB__JN_TUPLE);
  bool is_tuple = false;
  while (p->r->status == LB_OK) {
    if (tuple->items.n > 0) lb__jexpect(p, ",");
    if (is_tuple_end(p, end_name)) break;
    lb__jnodes_add(p, &tuple->items, element(p, flag));
    if (!lb__jtoken_is(p->token, ",")) break;
    is_tuple = true;
  }
  if (p->r->status != LB_OK || is_tuple) return tuple;
  if (tuple->items.n == 1) return tuple->items.at[0];
  if (!in_brackets) lb__jfail_token(p, "an expression");
  return tuple;
}

lb__jnode *lb__jparse_tuple(lb__jparser *p, bool with_choice, const char *end_name) {
  return parse_tuple_of(p, lb__jparse_expression, with_choice, end_name, false);
}

static lb__jnode *parse_primary(lb__jparser *p) {
  const lb__jtoken *t = p->token;
  lb__jnode *node;
  if (t->kind == LB__JT_NAME) return parse_name(p);
  if (t->kind == LB__JT_STRING) return constant(p, string_literal(p));
  if (t->kind == LB__JT_INTEGER || t->kind == LB__JT_FLOAT) return constant(p, number_literal(p));
  if (lb__jskip(p, "[")) return parse_items(p, LB__JN_LIST, "]");
  if (lb__jskip(p, "{")) return parse_items(p, LB__JN_DICT, "}");
  if (lb__jskip(p, "(")) {
    node = parse_tuple_of(p, lb__jparse_expression, true, NULL, true);
    lb__jexpect(p, ")");
    return node;
  }
  lb__jfail_token(p, "an expression");
  return lb__jnode_new(p, LB__JN_CONST);
}

/* ---- assignment targets: names, tuples of targets, ns.name ---- */

static lb__jnode *parse_target_one(lb__jparser *p, bool with_namespace) {
  lb__jnode *node;
  if (!enter(p)) return lb__jnode_new(p, LB__JN_NAME);
  if (lb__jskip(p, "(")) {
    node = parse_tuple_of(p, parse_target_one, false, NULL, true);
    lb__jexpect(p, ")");
  } else {
    node = parse_primary(p);
    if (node->kind != LB__JN_NAME && p->r->status == LB_OK) {
      p->r->line = node->line;
      lb__jfail(p->r, LB_E_FORMAT, "cannot assign to this");
    }
    if (with_namespace && lb__jskip(p, ".")) {
      lb__jnode *attribute = lb__jnode_new(p, LB__JN_ATTRIBUTE);
      attribute->a = node;
      attribute->name = lb__jexpect_name(p);
      node = attribute;
    }
  }
  p->depth--;
  return node;
}

lb__jnode *lb__jparse_target(lb__jparser *p, const char *end_name, bool with_namespace) {
  return parse_tuple_of(p, parse_target_one, with_namespace, end_name, false);
}

/* ---- calls, subscripts, filters, tests ---- */

static void add_name(lb__jparser *p, lb__jarguments *a, const char *name) {
  if (a->n_names == a->names_capacity) {
    size_t capacity = a->names_capacity == 0 ? 4 : a->names_capacity * 2;
    const char **grown = lb__jalloc(p->r, capacity, sizeof *grown);
    if (grown == NULL) return;
    if (a->n_names > 0) memcpy(grown, a->names, a->n_names * sizeof *grown);
    a->names = grown;
    a->names_capacity = capacity;
  }
  a->names[a->n_names++] = name;
}

static void parse_argument(lb__jparser *p, lb__jarguments *a) {
  if (lb__jskip(p, "*")) {
    a->star = lb__jparse_expression(p, true);
  } else if (lb__jskip(p, "**")) {
    a->star_star = lb__jparse_expression(p, true);
  } else if (p->token->kind == LB__JT_NAME && lb__jtoken_is(p->token + 1, "=")) {
    add_name(p, a, lb__jexpect_name(p));
    p->token++;
    lb__jnodes_add(p, &a->named, lb__jparse_expression(p, true));
  } else {
    if (a->n_names > 0 || a->star != NULL || a->star_star != NULL)
      lb__jfail_token(p, "a named argument (positional ones come first)");
    lb__jnodes_add(p, &a->positional, lb__jparse_expression(p, true));
  }
}

/* After "(". */
static lb__jarguments *parse_arguments(lb__jparser *p) {
  lb__jarguments *a = lb__jalloc(p->r, 1, sizeof *a);
  bool comma = false;
  while (a != NULL && p->r->status == LB_OK && !lb__jtoken_is(p->token, ")")) {
    if (comma && !lb__jexpect(p, ",")) break;
    if (lb__jtoken_is(p->token, ")")) break;
    parse_argument(p, a);
    comma = true;
  }
  lb__jexpect(p, ")");
  return a;
}

void lb__jparse_signature(lb__jparser *p, lb__jarguments *signature) {
  lb__jexpect(p, "(");
  while (p->r->status == LB_OK && !lb__jtoken_is(p->token, ")")) {
    if (signature->n_names > 0 && !lb__jexpect(p, ",")) break;
    add_name(p, signature, lb__jexpect_name(p));
    if (lb__jskip(p, "="))
      lb__jnodes_add(p, &signature->named, lb__jparse_expression(p, true));
    else if (signature->named.n > 0)
      lb__jfail_token(p, "'=' (a default follows a default)");
  }
  lb__jexpect(p, ")");
}

static lb__jnode *parse_call(lb__jparser *p, lb__jnode *callee) {
  lb__jnode *node = lb__jnode_new(p, LB__JN_CALL);
  node->a = callee;
  node->arguments = parse_arguments(p);
  return node;
}

static lb__jnode *slice_part(lb__jparser *p) {
  const lb__jtoken *t = p->token;
  if (lb__jtoken_is(t, ":") || lb__jtoken_is(t, "]") || lb__jtoken_is(t, ",")) return NULL;
  return lb__jparse_expression(p, true);
}

/* After "[": x[i] or x[from:to:step]. */
static lb__jnode *parse_subscript(lb__jparser *p, lb__jnode *object) {
  lb__jnode *node = lb__jnode_new(p, LB__JN_ITEM), *parts[3] = {NULL, NULL, NULL};
  parts[0] = slice_part(p);
  if (lb__jskip(p, ":")) {
    node->kind = LB__JN_SLICE;
    parts[1] = slice_part(p);
    if (lb__jskip(p, ":")) parts[2] = slice_part(p);
    for (int i = 0; i < 3; i++) lb__jnodes_add(p, &node->items, parts[i]);
  } else if (parts[0] == NULL) {
    lb__jfail_token(p, "an expression");
  }
  node->a = object;
  node->b = parts[0];
  if (lb__jtoken_is(p->token, ",") && p->r->status == LB_OK) {
    p->r->line = p->token->line;
    lb__jfail(p->r, LB_E_UNSUPPORTED, "a subscript with a comma is not supported");
  }
  lb__jexpect(p, "]");
  return node;
}

static lb__jnode *parse_dot(lb__jparser *p, lb__jnode *object) {
  lb__jnode *node = lb__jnode_new(p, LB__JN_ATTRIBUTE);
  node->a = object;
  if (p->token->kind == LB__JT_INTEGER) {
    node->kind = LB__JN_ITEM;
    node->b = constant(p, number_literal(p));
  } else {
    node->name = lb__jexpect_name(p);
  }
  return node;
}

static lb__jnode *parse_postfix(lb__jparser *p, lb__jnode *node) {
  while (p->r->status == LB_OK) {
    if (lb__jskip(p, "."))
      node = parse_dot(p, node);
    else if (lb__jskip(p, "["))
      node = parse_subscript(p, node);
    else if (lb__jskip(p, "("))
      node = parse_call(p, node);
    else
      break;
  }
  return node;
}

static const lb__jbuiltin *builtin_by_name(lb__jparser *p, const lb__jbuiltin *table,
                                           const char *what) {
  int line = p->token->line;
  const char *name = lb__jexpect_name(p);
  const lb__jbuiltin *builtin = lb__jbuiltin_find(table, name);
  if (builtin == NULL && p->r->status == LB_OK) {
    p->r->line = line;
    lb__jfail(p->r, LB_E_UNSUPPORTED, "%s '%s' is not supported", what, name);
  }
  return builtin;
}

lb__jnode *lb__jparse_filters(lb__jparser *p, lb__jnode *input, bool start_inline) {
  while (p->r->status == LB_OK && (start_inline || lb__jskip(p, "|"))) {
    lb__jnode *node = lb__jnode_new(p, LB__JN_FILTER);
    node->a = input;
    node->builtin = builtin_by_name(p, lb__jfilters, "filter");
    if (lb__jskip(p, "(")) node->arguments = parse_arguments(p);
    input = node;
    start_inline = false;
  }
  return input;
}

static void parse_test_arguments(lb__jparser *p, lb__jnode *node) {
  const lb__jtoken *t = p->token;
  if (lb__jskip(p, "(")) {
    node->arguments = parse_arguments(p);
    return;
  }
  bool starts = (t->kind >= LB__JT_NAME && t->kind <= LB__JT_FLOAT) || lb__jtoken_is(t, "[") ||
                lb__jtoken_is(t, "{");
  if (!starts || lb__jtoken_is_name(t, "else") || lb__jtoken_is_name(t, "or") ||
      lb__jtoken_is_name(t, "and"))
    return;
  if (lb__jtoken_is_name(t, "is")) lb__jfail_token(p, "no second 'is'");
  node->arguments = lb__jalloc(p->r, 1, sizeof *node->arguments);
  if (node->arguments == NULL) return;
  lb__jnodes_add(p, &node->arguments->positional, parse_postfix(p, parse_primary(p)));
}

/* After "is". */
static lb__jnode *parse_test(lb__jparser *p, lb__jnode *input) {
  lb__jnode *node = lb__jnode_new(p, LB__JN_TEST);
  bool negated = lb__jskip_name(p, "not");
  node->a = input;
  node->builtin = builtin_by_name(p, lb__jtests, "test");
  parse_test_arguments(p, node);
  if (!negated) return node;
  lb__jnode *not_node = lb__jnode_new(p, LB__JN_NOT);
  not_node->a = node;
  return not_node;
}

/* ---- operators, strongest first ---- */

static lb__jnode *parse_unary(lb__jparser *p, bool with_filters) {
  lb__jnode *node;
  if (!enter(p)) return lb__jnode_new(p, LB__JN_CONST);
  if (lb__jtoken_is(p->token, "-") || lb__jtoken_is(p->token, "+")) {
    node = lb__jnode_new(p, lb__jtoken_is(p->token, "-") ? LB__JN_NEGATE : LB__JN_POSITIVE);
    p->token++;
    node->a = parse_unary(p, false);
  } else {
    node = parse_primary(p);
  }
  node = parse_postfix(p, node);
  while (with_filters && p->r->status == LB_OK) {
    if (lb__jtoken_is(p->token, "|"))
      node = lb__jparse_filters(p, node, false);
    else if (lb__jskip_name(p, "is"))
      node = parse_test(p, node);
    else if (lb__jskip(p, "("))
      node = parse_call(p, node);
    else
      break;
  }
  p->depth--;
  return node;
}

static lb__jnode *binary(lb__jparser *p, lb__jnode_kind kind, lb__jnode *a, lb__jnode *b) {
  lb__jnode *node = lb__jnode_new(p, kind);
  node->line = a->line;
  node->a = a;
  node->b = b;
  return node;
}

typedef struct operator_row {
  const char *text;
  lb__jop op;
} operator_row;

static bool take_operator(lb__jparser *p, const operator_row *rows, lb__jop *op) {
  for (; rows->text != NULL; rows++) {
    if (!lb__jskip(p, rows->text)) continue;
    *op = rows->op;
    return true;
  }
  return false;
}

static lb__jnode *parse_power(lb__jparser *p) {
  lb__jnode *node = parse_unary(p, true);
  while (lb__jskip(p, "**")) {
    node = binary(p, LB__JN_BINARY, node, parse_unary(p, true));
    node->op = LB__JOP_POW;
  }
  return node;
}

static lb__jnode *parse_product(lb__jparser *p) {
  static const operator_row rows[] = {
      {"*", LB__JOP_MUL}, {"/", LB__JOP_DIV}, {"//", LB__JOP_FLOORDIV}, {"%", LB__JOP_MOD}, {0}};
  lb__jnode *node = parse_power(p);
  lb__jop op;
  while (take_operator(p, rows, &op)) {
    node = binary(p, LB__JN_BINARY, node, parse_power(p));
    node->op = op;
  }
  return node;
}

static lb__jnode *parse_concat(lb__jparser *p) {
  lb__jnode *first = parse_product(p);
  if (!lb__jtoken_is(p->token, "~")) return first;
  lb__jnode *node = lb__jnode_new(p, LB__JN_CONCAT);
  lb__jnodes_add(p, &node->items, first);
  while (lb__jskip(p, "~")) lb__jnodes_add(p, &node->items, parse_product(p));
  return node;
}

static lb__jnode *parse_sum(lb__jparser *p) {
  static const operator_row rows[] = {{"+", LB__JOP_ADD}, {"-", LB__JOP_SUB}, {0}};
  lb__jnode *node = parse_concat(p);
  lb__jop op;
  while (take_operator(p, rows, &op)) {
    node = binary(p, LB__JN_BINARY, node, parse_concat(p));
    node->op = op;
  }
  return node;
}

static bool take_comparison(lb__jparser *p, lb__jop *op) {
  static const operator_row rows[] = {{"==", LB__JOP_EQ},
                                      {"!=", LB__JOP_NE},
                                      {"<", LB__JOP_LT},
                                      {"<=", LB__JOP_LE},
                                      {">", LB__JOP_GT},
                                      {">=", LB__JOP_GE},
                                      {0}};
  if (take_operator(p, rows, op)) return true;
  *op = LB__JOP_IN;
  if (lb__jskip_name(p, "in")) return true;
  if (!lb__jtoken_is_name(p->token, "not") || !lb__jtoken_is_name(p->token + 1, "in")) return false;
  p->token += 2;
  *op = LB__JOP_NOT_IN;
  return p->r->status == LB_OK;
}

static lb__jnode *parse_comparison(lb__jparser *p) {
  lb__jnode *first = parse_sum(p), *node = NULL;
  lb__jop op;
  size_t capacity = 0;
  while (take_comparison(p, &op)) {
    if (node == NULL) {
      node = lb__jnode_new(p, LB__JN_COMPARE);
      node->a = first;
    }
    if (node->items.n == capacity) {
      lb__jop *grown = lb__jalloc(p->r, capacity * 2 + 2, sizeof *grown);
      if (grown == NULL) break;
      if (capacity > 0) memcpy(grown, node->ops, capacity * sizeof *grown);
      node->ops = grown;
      capacity = capacity * 2 + 2;
    }
    node->ops[node->items.n] = op;
    if (!lb__jnodes_add(p, &node->items, parse_sum(p))) break;
  }
  return node != NULL ? node : first;
}

static lb__jnode *parse_not(lb__jparser *p) {
  if (!lb__jtoken_is_name(p->token, "not")) return parse_comparison(p);
  lb__jnode *node = lb__jnode_new(p, LB__JN_NOT);
  if (!enter(p)) return node;
  p->token++;
  node->a = parse_not(p);
  p->depth--;
  return node;
}

static lb__jnode *parse_and(lb__jparser *p) {
  lb__jnode *node = parse_not(p);
  while (lb__jskip_name(p, "and")) node = binary(p, LB__JN_AND, node, parse_not(p));
  return node;
}

static lb__jnode *parse_or(lb__jparser *p) {
  lb__jnode *node = parse_and(p);
  while (lb__jskip_name(p, "or")) node = binary(p, LB__JN_OR, node, parse_and(p));
  return node;
}

lb__jnode *lb__jparse_expression(lb__jparser *p, bool with_choice) {
  if (!enter(p)) return lb__jnode_new(p, LB__JN_CONST);
  lb__jnode *node = parse_or(p);
  while (with_choice && lb__jskip_name(p, "if")) {
    lb__jnode *choice = lb__jnode_new(p, LB__JN_CHOOSE);
    choice->b = node;
    choice->a = parse_or(p);
    if (lb__jskip_name(p, "else")) choice->c = lb__jparse_expression(p, true);
    node = choice;
  }
  p->depth--;
  return node;
}

/* jinja_parse_tags.c - statements: text, {{ }}, and one function per {% tag %}.
 * Read first: jinja_parse.h. */
#include "jinja_parse.h"
#include "jinja_string.h"

#include "base/map.h"

#define MAX_TAG_NESTING 100

static lb__jnode *parse_body(lb__jparser *p, const char *const *ends);

static bool is_any_name(const lb__jtoken *t, const char *const *names) {
  for (; *names != NULL; names++)
    if (lb__jtoken_is_name(t, *names)) return true;
  return false;
}

static void expect_block_end(lb__jparser *p) {
  if (p->r->status != LB_OK) return;
  if (p->token->kind == LB__JT_BLOCK_END)
    p->token++;
  else
    lb__jfail_token(p, "'%}'");
}

/* "%}" body "{% end": the end word is the current token afterwards. */
static lb__jnode *parse_block(lb__jparser *p, const char *const *ends) {
  lb__jskip(p, ":");
  expect_block_end(p);
  return parse_body(p, ends);
}

static lb__jnode *parse_block_to(lb__jparser *p, const char *end) {
  const char *const ends[] = {end, NULL};
  lb__jnode *body = parse_block(p, ends);
  lb__jskip_name(p, end);
  return body;
}

/* items: test, body, test, body, ...; b: else */
static lb__jnode *parse_if(lb__jparser *p) {
  static const char *const ends[] = {"elif", "else", "endif", NULL};
  lb__jnode *node = lb__jnode_new(p, LB__JN_IF);
  do {
    lb__jnodes_add(p, &node->items, lb__jparse_tuple(p, false, NULL));
    lb__jnodes_add(p, &node->items, parse_block(p, ends));
  } while (lb__jskip_name(p, "elif"));
  if (lb__jskip_name(p, "else"))
    node->b = parse_block_to(p, "endif");
  else
    lb__jskip_name(p, "endif");
  return node;
}

/* items: target, filter or NULL; a: what is walked; b: body; c: else */
static lb__jnode *parse_for(lb__jparser *p) {
  static const char *const ends[] = {"else", "endfor", NULL};
  lb__jnode *node = lb__jnode_new(p, LB__JN_FOR);
  lb__jnodes_add(p, &node->items, lb__jparse_target(p, "in", false));
  if (!lb__jskip_name(p, "in")) lb__jfail_token(p, "'in'");
  node->a = lb__jparse_tuple(p, false, "recursive");
  lb__jnodes_add(p, &node->items, lb__jskip_name(p, "if") ? lb__jparse_expression(p, true) : NULL);
  if (lb__jtoken_is_name(p->token, "recursive") && p->r->status == LB_OK) {
    p->r->line = p->token->line;
    lb__jfail(p->r, LB_E_UNSUPPORTED, "'recursive' loops are not supported");
  }
  p->loops++;
  node->b = parse_block(p, ends);
  p->loops--;
  if (lb__jskip_name(p, "else"))
    node->c = parse_block_to(p, "endfor");
  else
    lb__jskip_name(p, "endfor");
  return node;
}

/* a: target; b: value, or the filters around CAPTURED (NULL: none); c: body of a set block */
static lb__jnode *parse_set(lb__jparser *p) {
  lb__jnode *node = lb__jnode_new(p, LB__JN_SET);
  node->a = lb__jparse_target(p, NULL, true);
  if (lb__jskip(p, "=")) {
    node->b = lb__jparse_tuple(p, true, NULL);
    return node;
  }
  node->kind = LB__JN_SET_BLOCK;
  node->b = lb__jparse_filters(p, lb__jnode_new(p, LB__JN_CAPTURED), false);
  node->c = parse_block_to(p, "endset");
  return node;
}

/* A macro's body is its own function: an outer loop cannot be left from it. */
static lb__jnode *parse_macro_body(lb__jparser *p, lb__jnode *macro, const char *end) {
  lb__jnode *outer = p->macro;
  int loops = p->loops;
  p->macro = macro;
  p->loops = 0;
  lb__jnode *body = parse_block_to(p, end);
  p->macro = outer;
  p->loops = loops;
  return body;
}

/* name, arguments: the signature; b: body */
static lb__jnode *parse_macro(lb__jparser *p) {
  lb__jnode *node = lb__jnode_new(p, LB__JN_MACRO);
  node->name = lb__jexpect_name(p);
  node->arguments = lb__jalloc(p->r, 1, sizeof *node->arguments);
  if (node->arguments == NULL) return node;
  lb__jparse_signature(p, node->arguments);
  node->b = parse_macro_body(p, node, "endmacro");
  return node;
}

/* a: the call; b: a MACRO node named caller */
static lb__jnode *parse_call_block(lb__jparser *p) {
  lb__jnode *node = lb__jnode_new(p, LB__JN_CALL_BLOCK), *caller = lb__jnode_new(p, LB__JN_MACRO);
  caller->name = lb__jintern(p, "caller", 6);
  caller->arguments = lb__jalloc(p->r, 1, sizeof *caller->arguments);
  if (caller->arguments == NULL) return node;
  if (lb__jtoken_is(p->token, "(")) lb__jparse_signature(p, caller->arguments);
  node->a = lb__jparse_expression(p, true);
  node->b = caller;
  if (node->a->kind != LB__JN_CALL && p->r->status == LB_OK)
    lb__jfail(p->r, LB_E_FORMAT, "{%% call %%} wants a call");
  caller->b = parse_macro_body(p, caller, "endcall");
  return node;
}

/* a: filters around CAPTURED; b: body */
static lb__jnode *parse_filter_block(lb__jparser *p) {
  lb__jnode *node = lb__jnode_new(p, LB__JN_FILTER_BLOCK);
  node->a = lb__jparse_filters(p, lb__jnode_new(p, LB__JN_CAPTURED), true);
  node->b = parse_block_to(p, "endfilter");
  return node;
}

/* items: target, value, target, value, ...; b: body */
static lb__jnode *parse_with(lb__jparser *p) {
  lb__jnode *node = lb__jnode_new(p, LB__JN_WITH);
  while (p->r->status == LB_OK && p->token->kind != LB__JT_BLOCK_END) {
    if (node->items.n > 0 && !lb__jexpect(p, ",")) break;
    lb__jnode *target = lb__jnode_new(p, LB__JN_NAME);
    target->name = lb__jexpect_name(p);
    lb__jnodes_add(p, &node->items, target);
    lb__jexpect(p, "=");
    lb__jnodes_add(p, &node->items, lb__jparse_expression(p, true));
  }
  node->b = parse_block_to(p, "endwith");
  return node;
}

static lb__jnode *parse_generation(lb__jparser *p) {
  lb__jnode *node = lb__jnode_new(p, LB__JN_GENERATION);
  int loops = p->loops;
  p->loops = 0; /* as in Jinja, where the block is a function */
  node->b = parse_block_to(p, "endgeneration");
  p->loops = loops;
  return node;
}

static lb__jnode *parse_loop_control(lb__jparser *p, lb__jnode_kind kind, const char *name) {
  lb__jnode *node = lb__jnode_new(p, kind);
  if (p->loops == 0 && p->r->status == LB_OK)
    lb__jfail(p->r, LB_E_FORMAT, "'%s' outside of a loop", name);
  return node;
}

static lb__jnode *parse_break(lb__jparser *p) {
  return parse_loop_control(p, LB__JN_BREAK, "break");
}

static lb__jnode *parse_continue(lb__jparser *p) {
  return parse_loop_control(p, LB__JN_CONTINUE, "continue");
}

static lb__jnode *parse_print(lb__jparser *p) {
  lb__jnode *node = lb__jnode_new(p, LB__JN_OUTPUT);
  while (p->r->status == LB_OK && p->token->kind != LB__JT_BLOCK_END) {
    if (node->items.n > 0 && !lb__jexpect(p, ",")) break;
    lb__jnodes_add(p, &node->items, lb__jparse_expression(p, true));
  }
  return node;
}

static const struct {
  const char *name;
  lb__jnode *(*parse)(lb__jparser *p);
} tags[] = {{"if", parse_if},           {"for", parse_for},
            {"set", parse_set},         {"macro", parse_macro},
            {"call", parse_call_block}, {"filter", parse_filter_block},
            {"with", parse_with},       {"generation", parse_generation},
            {"break", parse_break},     {"continue", parse_continue},
            {"print", parse_print}};

static lb__jnode *parse_tag(lb__jparser *p) {
  p->r->line = p->token->line;
  for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
    if (!lb__jskip_name(p, tags[i].name)) continue;
    lb__jnode *node = tags[i].parse(p);
    expect_block_end(p);
    return node;
  }
  if (p->token->kind != LB__JT_NAME) lb__jfail_token(p, "the name of a tag");
  const char *name = lb__jexpect_name(p);
  lb__jfail(p->r, LB_E_UNSUPPORTED, "tag '%s' is not supported here", name);
  return NULL;
}

/* Raw template text is shown as it stands: an output of one constant. */
static lb__jnode *data_node(lb__jparser *p) {
  lb__jnode *node = lb__jnode_new(p, LB__JN_OUTPUT), *text = lb__jnode_new(p, LB__JN_CONST);
  text->constant = lb__jstring(p->r, p->token->text, p->token->size, 0);
  lb__jnodes_add(p, &node->items, text);
  p->token++;
  return node;
}

static lb__jnode *variable_node(lb__jparser *p) {
  lb__jnode *node = lb__jnode_new(p, LB__JN_OUTPUT);
  p->token++;
  lb__jnodes_add(p, &node->items, lb__jparse_tuple(p, true, NULL));
  if (p->token->kind == LB__JT_VARIABLE_END)
    p->token++;
  else
    lb__jfail_token(p, "'}}'");
  return node;
}

/* Until one of the end words stands behind "{%" (that word is then the current token), or until
 * the end of the template when `ends` is NULL. */
static lb__jnode *parse_body(lb__jparser *p, const char *const *ends) {
  lb__jnode *body = lb__jnode_new(p, LB__JN_BODY);
  if (p->depth >= MAX_TAG_NESTING) {
    lb__jfail(p->r, LB_E_LIMIT, "tags nested more than %d deep", MAX_TAG_NESTING);
    return body;
  }
  p->depth++;
  while (p->r->status == LB_OK) {
    lb__jtoken_kind kind = p->token->kind;
    if (kind == LB__JT_END) {
      if (ends != NULL) {
        p->r->line = body->line;
        lb__jfail(p->r, LB_E_FORMAT, "the tag opened here never ends; want '%s'",
                  ends[1] != NULL ? ends[1] : ends[0]);
      }
      break;
    }
    if (kind == LB__JT_DATA) {
      lb__jnodes_add(p, &body->items, data_node(p));
    } else if (kind == LB__JT_VARIABLE_BEGIN) {
      lb__jnodes_add(p, &body->items, variable_node(p));
    } else {
      p->token++;
      if (ends != NULL && is_any_name(p->token, ends)) break;
      lb__jnodes_add(p, &body->items, parse_tag(p));
    }
  }
  p->depth--;
  return body;
}

/* Jinja reads "\r\n" and "\r" as "\n" and drops one newline at the end of the file. */
static char *normalise(lb__jrun *r, const char *source, size_t *size) {
  size_t n = 0;
  char *text = lb__jalloc(r, *size + 1, 1);
  for (size_t i = 0; text != NULL && i < *size; i++) {
    char c = source[i];
    if (c == '\r' && i + 1 < *size && source[i + 1] == '\n') continue;
    text[n++] = c == '\r' ? '\n' : c;
  }
  if (n > 0 && text[n - 1] == '\n') n--;
  *size = n;
  return text;
}

lb__jnode *lb__jparse(lb__jrun *r, const char *source, size_t size) {
  lb__map names;
  size_t n_tokens;
  lb__jnode *body = NULL;
  const char *text = normalise(r, source, &size);
  const lb__jtoken *tokens = text == NULL ? NULL : lb__jlex(r, text, size, &n_tokens);
  if (tokens == NULL) return NULL;
  lb__map_init(&names, false);
  lb__jparser p = {.r = r, .token = tokens, .names = &names};
  body = parse_body(&p, NULL);
  lb__map_deinit(&names);
  return r->status == LB_OK ? body : NULL;
}

/* jinja_parse.h - from template source to a tree. Owns: tokens, nodes, the grammar. Refuses what
 * a chat template never needs (include, extends, import, block, recursive loops), by name and
 * line, before anything is rendered. jinja_lex.c makes tokens, jinja_parse.c reads expressions,
 * jinja_parse_tags.c reads {% %} tags. */
#ifndef LB_TEXT_JINJA_PARSE_H
#define LB_TEXT_JINJA_PARSE_H

#include "jinja_value.h"

typedef enum lb__jtoken_kind {
  LB__JT_END,
  LB__JT_DATA,
  LB__JT_VARIABLE_BEGIN,
  LB__JT_VARIABLE_END,
  LB__JT_BLOCK_BEGIN,
  LB__JT_BLOCK_END,
  LB__JT_NAME,
  LB__JT_STRING, /* text with its quotes */
  LB__JT_INTEGER,
  LB__JT_FLOAT,
  LB__JT_OPERATOR
} lb__jtoken_kind;

typedef struct lb__jtoken {
  lb__jtoken_kind kind;
  int line;
  const char *text; /* not NUL-terminated */
  size_t size;
} lb__jtoken;

/* Tokens of normalised source, closed by LB__JT_END; NULL when the job failed. */
lb__jtoken *lb__jlex(lb__jrun *r, const char *source, size_t size, size_t *n_tokens);

typedef enum lb__jnode_kind {
  /* expressions */
  LB__JN_CONST,
  LB__JN_NAME,
  LB__JN_LIST,
  LB__JN_TUPLE,
  LB__JN_DICT,
  LB__JN_ATTRIBUTE,
  LB__JN_ITEM,
  LB__JN_SLICE,
  LB__JN_CALL,
  LB__JN_FILTER,
  LB__JN_TEST,
  LB__JN_NOT,
  LB__JN_NEGATE,
  LB__JN_POSITIVE,
  LB__JN_AND,
  LB__JN_OR,
  LB__JN_BINARY,
  LB__JN_CONCAT,
  LB__JN_COMPARE,
  LB__JN_CHOOSE,
  LB__JN_CAPTURED, /* the text of a {% set %} or {% filter %} block, as a filter's input */
  /* statements */
  LB__JN_BODY,
  LB__JN_OUTPUT,
  LB__JN_IF,
  LB__JN_FOR,
  LB__JN_SET,
  LB__JN_SET_BLOCK,
  LB__JN_MACRO,
  LB__JN_CALL_BLOCK,
  LB__JN_FILTER_BLOCK,
  LB__JN_WITH,
  LB__JN_BREAK,
  LB__JN_CONTINUE,
  LB__JN_GENERATION
} lb__jnode_kind;

typedef enum lb__jop {
  LB__JOP_ADD,
  LB__JOP_SUB,
  LB__JOP_MUL,
  LB__JOP_DIV,
  LB__JOP_FLOORDIV,
  LB__JOP_MOD,
  LB__JOP_POW,
  LB__JOP_EQ,
  LB__JOP_NE,
  LB__JOP_LT,
  LB__JOP_LE,
  LB__JOP_GT,
  LB__JOP_GE,
  LB__JOP_IN,
  LB__JOP_NOT_IN
} lb__jop;

typedef struct lb__jnode lb__jnode;

typedef struct lb__jnodes {
  lb__jnode **at;
  size_t n, capacity;
} lb__jnodes;

/* Arguments of a call, parameters of a macro. Names are interned: equal means same pointer. */
typedef struct lb__jarguments {
  lb__jnodes positional;
  lb__jnodes named;   /* values; of a macro: the defaults of its last parameters */
  const char **names; /* of `named`; of a macro: all parameters */
  size_t n_names, names_capacity;
  lb__jnode *star, *star_star; /* *args, **kwargs; NULL: none */
} lb__jarguments;

/* Which fields a kind uses is written beside its reader in jinja_eval.c and jinja_exec.c. */
struct lb__jnode {
  lb__jnode_kind kind;
  lb__jop op;
  int line;
  bool uses_varargs, uses_kwargs; /* macro: its body reads these names */
  const char *name;
  lb__jval constant;
  lb__jnode *a, *b, *c;
  lb__jnodes items;
  lb__jop *ops; /* comparison: one per item */
  const lb__jbuiltin *builtin;
  lb__jarguments *arguments;
};

/* Names the evaluator itself gives values to; interning yields these very pointers. */
extern const char lb__jname_loop[], lb__jname_caller[], lb__jname_varargs[], lb__jname_kwargs[];

struct lb__map;
typedef struct lb__jparser {
  lb__jrun *r;
  const lb__jtoken *token; /* the current one */
  struct lb__map *names;   /* interned names -> index in name_list */
  const char **name_list;
  size_t n_names, names_capacity;
  int depth, loops;
  lb__jnode *macro; /* the macro whose body is being read, or NULL */
  lb__jnode spare;  /* what a failed job gets instead of a new node */
} lb__jparser;

/* The whole template; NULL when the job failed. The tree lives in the job's arena. */
lb__jnode *lb__jparse(lb__jrun *r, const char *source, size_t size);

/* ---- shared by the two parser files ---- */
lb__jnode *lb__jnode_new(lb__jparser *p, lb__jnode_kind kind);
bool lb__jnodes_add(lb__jparser *p, lb__jnodes *list, lb__jnode *node);
const char *lb__jintern(lb__jparser *p, const char *text, size_t size);
bool lb__jtoken_is(const lb__jtoken *t, const char *operator_text);
bool lb__jtoken_is_name(const lb__jtoken *t, const char *name);
bool lb__jskip(lb__jparser *p, const char *operator_text); /* takes it when it is there */
bool lb__jskip_name(lb__jparser *p, const char *name);
bool lb__jexpect(lb__jparser *p, const char *operator_text); /* takes it or fails */
const char *lb__jexpect_name(lb__jparser *p);                /* an interned name, or fails */
lb__jnode *lb__jparse_expression(lb__jparser *p, bool with_choice);
/* a, b, c; `end_name` (may be NULL) is a word that ends it */
lb__jnode *lb__jparse_tuple(lb__jparser *p, bool with_choice, const char *end_name);
lb__jnode *lb__jparse_target(lb__jparser *p, const char *end_name, bool with_namespace);
lb__jnode *lb__jparse_filters(lb__jparser *p, lb__jnode *input, bool start_inline);
void lb__jparse_signature(lb__jparser *p, lb__jarguments *signature);
lb__jval lb__jfail_token(lb__jparser *p, const char *wanted);

#endif

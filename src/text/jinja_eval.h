/* jinja_eval.h - running a parsed template. jinja_exec.c runs statements, jinja_eval.c computes
 * expressions, jinja_call.c binds arguments and calls. */
#ifndef LB_TEXT_JINJA_EVAL_H
#define LB_TEXT_JINJA_EVAL_H

#include "jinja_builtin.h"
#include "jinja_parse.h"

/* Variables of one body. A name is found in the innermost scope that has it, then among the
 * caller's variables, then among the globals. Scopes form a tree by text, as in Jinja: a macro
 * sees the place where it was written. */
typedef struct lb__jvariable {
  const char *name; /* interned: compare pointers */
  lb__jval value;
} lb__jvariable;

struct lb__jscope {
  lb__jscope *parent;
  lb__jvariable *variables;
  size_t n, capacity;
  bool kept; /* a macro remembers it: do not recycle */
};

struct lb__jmacro {
  const lb__jnode *node;
  lb__jscope *scope; /* where it was defined */
};

struct lb__jloop {
  lb__jlist *items;
  size_t index;
  lb__jval changed; /* the last arguments of loop.changed() */
};

bool lb__jscope_put(lb__jrun *r, lb__jscope *scope, const char *name, lb__jval value);
lb__jval lb__jscope_get(lb__jrun *r, const char *name);

lb__jval lb__jeval(lb__jrun *r, const lb__jnode *node);
/* The filters around a captured text: `captured` stands for LB__JN_CAPTURED. */
lb__jval lb__jeval_captured(lb__jrun *r, const lb__jnode *node, lb__jval captured);
bool lb__jeval_arguments(lb__jrun *r, lb__jargs *out, const lb__jarguments *arguments);
lb__jval lb__jmacro_call(lb__jrun *r, const lb__jmacro *macro, const lb__jargs *args);

/* Calls an expression with one more named argument (caller of a call block). */
lb__jval lb__jeval_call_with(lb__jrun *r, const lb__jnode *call, const char *name, lb__jval value);

typedef enum lb__jflow { LB__JFLOW_NEXT, LB__JFLOW_BREAK, LB__JFLOW_CONTINUE } lb__jflow;
lb__jflow lb__jexec(lb__jrun *r, const lb__jnode *node);

/* An undefined value with its sentence. */
lb__jval lb__jundefined_hint(lb__jrun *r, const char *format, ...) LB_PRINTF(2, 3);

#endif

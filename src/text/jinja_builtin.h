/* jinja_builtin.h - what templates can call by name: filters, tests, methods, global functions.
 * One table row each: name, function, parameter names. Calling a row binds positional and named
 * arguments to the parameters as Python does, so the functions only read an array.
 * Tables: jinja_filters.c, jinja_filters_list.c, jinja_tests.c, jinja_methods.c, jinja_globals.c */
#ifndef LB_TEXT_JINJA_BUILTIN_H
#define LB_TEXT_JINJA_BUILTIN_H

#include "jinja_value.h"

#define LB__JMAX_PARAMETERS 6

/* The arguments of one call, evaluated. */
typedef struct lb__jargs {
  lb__jval *values; /* positional */
  size_t n;
  const char **names; /* named */
  lb__jval *named;
  size_t n_named;
} lb__jargs;

/* `self` is the piped value, the tested value or the receiver; a[i] is the i-th parameter, of
 * kind LB__J_ABSENT when not given; `raw` is for rows whose parameters are "*". */
typedef lb__jval lb__jbuiltin_fn(lb__jrun *r, lb__jval self, const lb__jval *a,
                                 const lb__jargs *raw);

struct lb__jbuiltin {
  const char *name;
  lb__jbuiltin_fn *fn;    /* NULL: known to Python, refused here by name */
  const char *parameters; /* "a,b,c"; "" none; "*" any */
  int n_required;
};

extern const lb__jbuiltin lb__jfilters[], lb__jtests[], lb__jglobals[]; /* end: name NULL */
extern const lb__jbuiltin lb__jstr_methods[], lb__jdict_methods[], lb__jlist_methods[];
extern const lb__jbuiltin lb__jloop_methods[];

const lb__jbuiltin *lb__jbuiltin_find(const lb__jbuiltin *table, const char *name); /* or NULL */
lb__jval lb__jbuiltin_call(lb__jrun *r, const lb__jbuiltin *b, lb__jval self,
                           const lb__jargs *args);

/* The method table of a value's type, or NULL. */
const lb__jbuiltin *lb__jmethods_of(lb__jval v);

/* a.b and a[b], as Jinja looks them up; undefined (with a hint) when there is none. */
lb__jval lb__jget_attribute(lb__jrun *r, lb__jval object, const char *name);
lb__jval lb__jget_item(lb__jrun *r, lb__jval object, lb__jval key);
/* "a.b.0" from a string, or an item by a number: the attribute= of map, sort, ... */
lb__jval lb__jget_path(lb__jrun *r, lb__jval object, lb__jval path);
lb__jval lb__jcall(lb__jrun *r, lb__jval callee, const lb__jargs *args);

/* Operators (jinja_operators.c). */
lb__jval lb__jadd(lb__jrun *r, lb__jval a, lb__jval b);
lb__jval lb__jarithmetic(lb__jrun *r, int op, lb__jval a, lb__jval b); /* an lb__jop */
lb__jval lb__jslice(lb__jrun *r, lb__jval v, lb__jval from, lb__jval to, lb__jval step);
lb__jval lb__jpercent_format(lb__jrun *r, const lb__jstr *format, const lb__jval *values, size_t n,
                             lb__jval mapping); /* mapping absent: positional */
lb__jval lb__jbrace_format(lb__jrun *r, const lb__jstr *format, const lb__jargs *args);
lb__jval lb__jstrftime(lb__jrun *r, const lb__jstr *format); /* of the job's now, local time */

/* Typed arguments; fail with the parameter's name. */
const lb__jstr *lb__jarg_str(lb__jrun *r, lb__jval v, const char *what); /* never NULL */
int64_t lb__jarg_int(lb__jrun *r, lb__jval v, int64_t otherwise, const char *what);

#endif

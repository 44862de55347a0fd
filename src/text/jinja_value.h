/* jinja_value.h - the values a chat template computes with, and the job they live in.
 *
 * Owns: the value type (Python's None, bool, int, float, str, list, tuple, dict and Jinja's own
 * Undefined, namespace, macro, loop), the marked string, and lb__jrun, the job that owns the arena,
 * the limits and the first failure. Refuses: memory outside the arena, integers beyond 64 bits.
 * Read next: jinja_string.c (text), jinja_eval.c (expressions).
 *
 * Two ideas run through all files named jinja_*:
 *
 * Marks. Every byte of every string carries a mark: LB__MARK_USER when it came from the caller's
 * JSON, LB__MARK_GENERATION when it was written inside {% generation %}. Marks survive slicing,
 * joining, stripping, replacing and printing, so the rendered text knows which bytes a user wrote
 * and the tokenizer never reads a control token there. (llama.cpp's "input marking".)
 *
 * Sticky failure. The first lb__jfail() of a job is kept, later ones are ignored; functions then
 * return an undefined value and loops stop because lb__jcharge() says no. Code stays short, and
 * nothing unwinds. */
#ifndef LB_TEXT_JINJA_VALUE_H
#define LB_TEXT_JINJA_VALUE_H

#include "base/fail.h"
#include "base/memory.h"

enum { LB__MARK_USER = 1, LB__MARK_GENERATION = 2 };

#define LB__JMAX_STEPS       10000000            /* evaluation steps of one render */
#define LB__JMAX_TEXT        ((size_t)64 << 20)  /* bytes of one string, and of the output */
#define LB__JMAX_MEMORY      ((size_t)512 << 20) /* arena of one render */
#define LB__JMAX_DEPTH       800                 /* nested evaluations; bounds the C stack */
#define LB__JMAX_VALUE_DEPTH 150                 /* nested lists and dicts when walked */

typedef enum lb__jkind {
  LB__J_UNDEFINED,
  LB__J_NONE,
  LB__J_BOOL,
  LB__J_INT,
  LB__J_FLOAT,
  LB__J_STRING,
  LB__J_LIST, /* and tuple, range, dict views, generators: see lb__jflavor */
  LB__J_DICT,
  LB__J_NAMESPACE,
  LB__J_MACRO,
  LB__J_FUNCTION,
  LB__J_METHOD,
  LB__J_LOOP,
  LB__J_ABSENT /* an argument that was not given; never visible to a template */
} lb__jkind;

typedef struct lb__jstr lb__jstr;
typedef struct lb__jlist lb__jlist;
typedef struct lb__jdict lb__jdict;
typedef struct lb__jmacro lb__jmacro;
typedef struct lb__jmethod lb__jmethod;
typedef struct lb__jloop lb__jloop;
typedef struct lb__jbuiltin lb__jbuiltin;

typedef struct lb__jval {
  lb__jkind kind;
  union {
    bool b;
    int64_t i;
    double d;
    const lb__jstr *s;
    lb__jlist *list;
    lb__jdict *dict; /* of a namespace too */
    const lb__jmacro *macro;
    const lb__jbuiltin *function;
    const lb__jmethod *method;
    lb__jloop *loop;
    const char *hint; /* undefined: the sentence an error shows, or NULL */
  };
} lb__jval;

/* A growing marked text. */
typedef struct lb__jout {
  char *bytes;
  uint8_t *marks;
  size_t size, capacity;
} lb__jout;

/* Immutable UTF-8. `marks` NULL means that every byte carries `mark`. When the text ends where
 * `home` ends, a concatenation may grow home in place: a + b + c stays linear. */
struct lb__jstr {
  const char *bytes;
  const uint8_t *marks;
  lb__jout *home;
  size_t size, n_chars;
  uint8_t mark;
  bool is_markup; /* Jinja's Markup: `+` escapes the other side */
};

typedef enum lb__jflavor {
  LB__J_PLAIN_LIST,
  LB__J_TUPLE,
  LB__J_RANGE,
  LB__J_KEYS,
  LB__J_VALUES,
  LB__J_ITEMS,
  LB__J_GENERATOR /* true when empty, no length, can be walked once */
} lb__jflavor;

struct lb__jlist {
  lb__jval *values;
  size_t n, capacity;
  lb__jflavor flavor;
};

typedef struct lb__jpair {
  lb__jval key, value;
  uint64_t hash;
} lb__jpair;

/* Insertion-ordered, as Python's; `slots` (open addressing, index + 1) appears with the 9th key. */
struct lb__jdict {
  lb__jpair *pairs;
  size_t n, capacity;
  uint32_t *slots;
  size_t n_slots;
};

struct lb__jmethod { /* receiver.name, not yet called */
  lb__jval receiver;
  const lb__jbuiltin *builtin;
};

typedef struct lb__jscope lb__jscope;

/* One parse or one render. */
typedef struct lb__jrun {
  lb__arena *arena;
  lb_error *err;
  lb_status status; /* sticky */
  const char *name; /* of the template, for errors */
  int line;
  int64_t steps_left;
  int depth;
  lb__jdict *context; /* the variables given by the caller */
  lb__jscope *scope;
  lb__jout *out; /* where {{ }} writes */
  int64_t now;   /* seconds since 1970 for strftime_now */
  bool has_now;
} lb__jrun;

/* Keeps the first failure: "chat template 'NAME', line N: ...". Returns undefined. */
lb__jval lb__jfail(lb__jrun *r, lb_status status, const char *format, ...) LB_PRINTF(3, 4);
/* Pays n steps. False when the job has failed or the limit is reached (which fails it). */
bool lb__jcharge(lb__jrun *r, size_t n);
void *lb__jalloc(lb__jrun *r, size_t n, size_t size); /* zeroed; NULL fails the job */

/* ---- making values ---- */
static inline lb__jval lb__jundefined(const char *hint) {
  return (lb__jval){.kind = LB__J_UNDEFINED, .hint = hint};
}
static inline lb__jval lb__jnone(void) {
  return (lb__jval){.kind = LB__J_NONE};
}
static inline lb__jval lb__jbool(bool b) {
  return (lb__jval){.kind = LB__J_BOOL, .b = b};
}
static inline lb__jval lb__jint(int64_t i) {
  return (lb__jval){.kind = LB__J_INT, .i = i};
}
static inline lb__jval lb__jfloat(double d) {
  return (lb__jval){.kind = LB__J_FLOAT, .d = d};
}
static inline lb__jval lb__jabsent(void) {
  return (lb__jval){.kind = LB__J_ABSENT};
}
static inline bool lb__jgiven(lb__jval v) {
  return v.kind != LB__J_ABSENT;
}
lb__jval lb__jnew_list(lb__jrun *r, lb__jflavor flavor, size_t capacity);
lb__jval lb__jnew_dict(lb__jrun *r);
bool lb__jlist_add(lb__jrun *r, lb__jlist *list, lb__jval v);

/* ---- looking at values ---- */
const char *lb__jtype_name(lb__jval v); /* Python's: "str", "dict", "Undefined" */
bool lb__jtruth(lb__jval v);
bool lb__jis_number(lb__jval v);   /* int, float, bool */
double lb__jto_double(lb__jval v); /* of a number */
bool lb__jto_int(lb__jrun *r, lb__jval v, int64_t *out,
                 const char *what); /* int or bool, or fails */
bool lb__jis_list(lb__jval v, lb__jflavor flavor);
bool lb__jequal(lb__jrun *r, lb__jval a, lb__jval b);
/* -1, 0, 1; fails for types without an order. `op` ("<") appears in the error. */
int lb__jcompare(lb__jrun *r, lb__jval a, lb__jval b, const char *op);
bool lb__jcontains(lb__jrun *r, lb__jval container, lb__jval item); /* item in container */
/* The items a loop sees; consumes a generator. NULL: not iterable (the job has failed). */
lb__jlist *lb__jiterate(lb__jrun *r, lb__jval v);
bool lb__jlength(lb__jrun *r, lb__jval v, int64_t *out);

/* ---- dict ---- */
bool lb__jdict_put(lb__jrun *r, lb__jdict *d, lb__jval key, lb__jval value);
/* NULL when absent or when the key cannot be hashed. */
lb__jval *lb__jdict_get(const lb__jdict *d, lb__jval key);
lb__jval *lb__jdict_get_text(const lb__jdict *d, const char *key);
bool lb__jhash(lb__jval v, uint64_t *hash); /* false: unhashable */
lb__jval lb__jdict_list(lb__jrun *r, const lb__jdict *d, lb__jflavor flavor);

#endif

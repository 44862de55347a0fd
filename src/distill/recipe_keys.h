/* recipe_keys.h - the rows of recipe.def as a table, and the names by which they are found.
 * Owns: no state. Refuses: knowing values (recipe_values.h). */
#ifndef LB_DISTILL_RECIPE_KEYS_H
#define LB_DISTILL_RECIPE_KEYS_H

#include "recipe.h"

typedef enum lb__recipe_kind {
  LB__RECIPE_NUMBER,     /* double */
  LB__RECIPE_INTEGER,    /* int64_t */
  LB__RECIPE_BOOL,       /* bool */
  LB__RECIPE_TEXT,       /* const char * */
  LB__RECIPE_CHOICE,     /* int: which of the choices, from 0 */
  LB__RECIPE_SAVE_DTYPE, /* int: the same, from -1, so that what follows auto is an lb_dtype */
  LB__RECIPE_TEXTS,      /* lb__text_list */
  LB__RECIPE_INTEGERS    /* lb__int_list */
} lb__recipe_kind;

typedef struct lb__recipe_row {
  lb_recipe_key key;
  lb__recipe_kind kind;
  size_t offset;       /* in struct lb_recipe */
  const char *choices; /* "a|b|c"; NULL: any */
} lb__recipe_row;

enum { LB__RECIPE_KEYS_MAX = 160, LB__NO_KEY = -1 };
const lb__recipe_row *lb__recipe_row_at(size_t i); /* NULL past the end */
static inline void *lb__recipe_field(lb_recipe *r, const lb__recipe_row *row) {
  return (char *)r + row->offset;
}

/* The row called `name` (its last word, or an alias) in `section`; NULL: in any, but for bound
 * rows. A name with a dot brings its own section. `-` and `_` are equal.
 * @return the row's index, or LB__NO_KEY */
int lb__recipe_find(const char *section, const char *name);
/* Below a path that is itself a key ("student.config.hidden_size"): always written with its
 * section, and zero when it is not given. */
bool lb__recipe_is_bound(const lb__recipe_row *row);
/* Whether a row lies below `section`, at any depth. */
bool lb__recipe_is_below(const lb__recipe_row *row, const char *section);
/* "data", "distill", "student.config", ...: every section, NULL past the end */
const char *lb__recipe_section_at(size_t i);
bool lb__recipe_is_section(const char *name);
/* Whether this very path is a key. */
bool lb__recipe_is_key(const char *path);

/* "; did you mean 'learning_rate'?", "; write precision: bf16", or "": what to do about an unknown
 * name in a section. */
void lb__recipe_advise(char *text, size_t size, const char *section, const char *name);

/* The k-th of "a|b|c": its size, 0 past the end. */
size_t lb__choice_at(const char **out, const char *choices, size_t k);
/* Which choice `word` is, also by another program's word for it (row may be NULL: none of those);
 * -1: none. Case, `-` and `_` do not matter. */
int lb__choice_find(const lb__recipe_row *row, const char *choices, const char *word);

#endif

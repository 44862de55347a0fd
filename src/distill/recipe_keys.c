/* recipe_keys.c - see recipe_keys.h. Read next: recipe_values.c, which reads what belongs to a key.
 */
#include "recipe_keys.h"

#include "base/fail.h"

#include <stdio.h>

/* What people call each kind; NULL: its choices are its type. */
#define TYPE_NUMBER     "number"
#define TYPE_INTEGER    "integer"
#define TYPE_BOOL       "true or false"
#define TYPE_TEXT       NULL /* "text" without choices */
#define TYPE_CHOICE     NULL
#define TYPE_SAVE_DTYPE NULL
#define TYPE_TEXTS      "list of texts"
#define TYPE_INTEGERS   "list of integers"

#define TYPE_OF(name, choices) ((name) != NULL ? (name) : (choices) != NULL ? (choices) : "text")

#define LB__KEY(path, kind, fallback, range, choices, aliases, help)                               \
  {{#path, aliases, TYPE_OF(TYPE_##kind, choices), fallback, range, help},                         \
   LB__RECIPE_##kind,                                                                              \
   offsetof(struct lb_recipe, path),                                                               \
   choices},
#define LB__SYNONYM(path, word, choice)
#define LB__FOREIGN(name, advice)
static const lb__recipe_row rows[] = {
#include "recipe.def"
};
#undef LB__KEY
#undef LB__SYNONYM
#undef LB__FOREIGN
enum { N_ROWS = sizeof rows / sizeof rows[0] };
_Static_assert((int)N_ROWS <= (int)LB__RECIPE_KEYS_MAX, "make LB__RECIPE_KEYS_MAX larger");
_Static_assert(LB_DTYPE_F32 == 0 && LB_DTYPE_F16 == 1 && LB_DTYPE_BF16 == 2,
               "the choices of save_dtype are auto and then lb_dtype");

static const struct {
  const char *path, *word, *choice;
} synonyms[] = {
#define LB__KEY(...)
#define LB__SYNONYM(path, word, choice) {#path, word, choice},
#define LB__FOREIGN(name, advice)
#include "recipe.def"
#undef LB__SYNONYM
#undef LB__FOREIGN
};

static const struct {
  const char *name, *advice;
} foreign[] = {
#define LB__SYNONYM(path, word, choice)
#define LB__FOREIGN(name, advice) {name, advice},
#include "recipe.def"
#undef LB__KEY
#undef LB__SYNONYM
#undef LB__FOREIGN
};

static const char *const sections[] = {"student", "student.config", "student.shrink", "data",
                                       "distill", "train",          "test",           NULL};
enum { N_SECTIONS = sizeof sections / sizeof sections[0] - 1 };

const lb__recipe_row *lb__recipe_row_at(size_t i) {
  return i < N_ROWS ? &rows[i] : NULL;
}

const lb_recipe_key *lb_recipe_key_at(size_t i) {
  return i < N_ROWS ? &rows[i].key : NULL;
}

const char *lb__recipe_section_at(size_t i) {
  return i < N_SECTIONS ? sections[i] : NULL;
}

/* ---- comparing ---- */

static char folded(char c) {
  return c == '-' ? '_' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_same(const char *a, size_t a_size, const char *b, size_t b_size) {
  if (a_size != b_size) return false;
  for (size_t i = 0; i < a_size; i++)
    if (folded(a[i]) != folded(b[i])) return false;
  return true;
}

size_t lb__choice_at(const char **out, const char *choices, size_t k) {
  const char *at = choices;
  for (; k > 0 && at != NULL; k--) {
    at = strchr(at, '|');
    if (at != NULL) at++;
  }
  *out = at;
  return at == NULL ? 0 : strcspn(at, "|");
}

static int find_choice(const char *choices, const char *word) {
  const char *choice;
  size_t size;
  for (size_t k = 0; (size = lb__choice_at(&choice, choices, k)) > 0; k++)
    if (is_same(choice, size, word, strlen(word))) return (int)k;
  return -1;
}

int lb__choice_find(const lb__recipe_row *row, const char *choices, const char *word) {
  for (size_t i = 0; row != NULL && i < sizeof synonyms / sizeof synonyms[0]; i++)
    if (strcmp(synonyms[i].path, row->key.path) == 0 &&
        is_same(synonyms[i].word, strlen(synonyms[i].word), word, strlen(word)))
      return find_choice(choices, synonyms[i].choice);
  return find_choice(choices, word);
}

/* ---- finding a key ---- */

/* "train.learning_rate" is learning_rate in train; "teacher" is in no section. */
static const char *last_word(const char *path) {
  const char *dot = strrchr(path, '.');
  return dot == NULL ? path : dot + 1;
}

static bool is_in_section(const lb__recipe_row *row, const char *section, size_t size) {
  const char *path = row->key.path;
  size_t own = last_word(path) == path ? 0 : (size_t)(last_word(path) - path) - 1;
  return is_same(path, own, section, size);
}

static bool is_called(const lb__recipe_row *row, const char *name) {
  const char *word = last_word(row->key.path);
  return is_same(word, strlen(word), name, strlen(name)) ||
         find_choice(row->key.aliases, name) >= 0;
}

bool lb__recipe_is_below(const lb__recipe_row *row, const char *section) {
  size_t size = strlen(section);
  return strlen(row->key.path) > size && row->key.path[size] == '.' &&
         is_same(row->key.path, size, section, size);
}

bool lb__recipe_is_key(const char *path) {
  for (size_t i = 0; i < N_ROWS; i++)
    if (is_same(rows[i].key.path, strlen(rows[i].key.path), path, strlen(path))) return true;
  return false;
}

bool lb__recipe_is_bound(const lb__recipe_row *row) {
  for (size_t i = 0; i < N_ROWS; i++)
    if (lb__recipe_is_below(row, rows[i].key.path)) return true;
  return false;
}

/* As lb__recipe_find, bound rows too: for advice. */
static int find_anywhere(const char *word) {
  int k = lb__recipe_find(NULL, word);
  for (int i = 0; k == LB__NO_KEY && i < (int)N_ROWS; i++)
    if (is_called(&rows[i], word)) k = i;
  return k;
}

int lb__recipe_find(const char *section, const char *name) {
  const char *word = last_word(name);
  size_t section_size = section != NULL ? strlen(section) : 0;
  if (word != name && section == NULL) {
    section = name;
    section_size = (size_t)(word - name) - 1;
    name = word;
  }
  for (int i = 0; i < (int)N_ROWS; i++)
    if ((section == NULL ? !lb__recipe_is_bound(&rows[i])
                         : is_in_section(&rows[i], section, section_size)) &&
        is_called(&rows[i], name))
      return i;
  return LB__NO_KEY;
}

bool lb__recipe_is_section(const char *name) {
  for (size_t i = 0; i < N_SECTIONS; i++)
    if (is_same(sections[i], strlen(sections[i]), name, strlen(name))) return true;
  return false;
}

/* ---- "did you mean" ---- */

/* Every word by which a key of a section (NULL: of any) may be called, each as a string of its own
 * in `text`. */
enum { CANDIDATES_MAX = 320, CANDIDATES_SIZE = 8192 };
typedef struct candidates {
  const char *names[CANDIDATES_MAX + 1];
  size_t n, used;
  char text[CANDIDATES_SIZE];
} candidates;

static void add_candidate(candidates *c, const char *name, size_t size) {
  if (c->n == CANDIDATES_MAX || size >= sizeof c->text - c->used) return;
  char *copy = c->text + c->used;
  memcpy(copy, name, size);
  copy[size] = '\0';
  c->used += size + 1;
  c->names[c->n++] = copy;
  c->names[c->n] = NULL;
}

static void add_row(candidates *c, const lb__recipe_row *row) {
  const char *word = last_word(row->key.path), *alias;
  size_t size;
  add_candidate(c, word, strlen(word));
  for (size_t k = 0; (size = lb__choice_at(&alias, row->key.aliases, k)) > 0; k++)
    add_candidate(c, alias, size);
}

static const char *closest(candidates *c, const char *section, const char *name) {
  *c = (candidates){0};
  for (size_t i = 0; i < N_ROWS; i++)
    if (section == NULL || is_in_section(&rows[i], section, strlen(section))) add_row(c, &rows[i]);
  for (size_t i = 0; section == NULL && i < N_SECTIONS; i++)
    add_candidate(c, sections[i], strlen(sections[i]));
  return lb__did_you_mean(name, c->names);
}

static const char *foreign_advice(const char *name) {
  for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
    if (is_same(foreign[i].name, strlen(foreign[i].name), name, strlen(name)))
      return foreign[i].advice;
  return NULL;
}

void lb__recipe_advise(char *text, size_t size, const char *section, const char *name) {
  candidates c;
  const char *word = last_word(name), *advice = foreign_advice(word);
  int elsewhere = find_anywhere(word);
  text[0] = '\0';
  if (advice != NULL) {
    snprintf(text, size, "; %s", advice);
    return;
  }
  if (elsewhere != LB__NO_KEY) {
    snprintf(text, size, "; did you mean '%s'?", rows[elsewhere].key.path);
    return;
  }
  const char *near = section != NULL ? closest(&c, section, word) : NULL;
  if (near == NULL) {
    near = closest(&c, NULL, word);
    elsewhere = near != NULL && !lb__recipe_is_section(near) ? find_anywhere(near) : LB__NO_KEY;
    if (elsewhere != LB__NO_KEY && (section != NULL || lb__recipe_is_bound(&rows[elsewhere])))
      near = rows[elsewhere].key.path;
  }
  if (near != NULL) snprintf(text, size, "; did you mean '%s'?", near);
}

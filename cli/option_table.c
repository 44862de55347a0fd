/* option_table.c - the one parser of all options. See option_table.h for the rules.
 * Values are read by read_<kind>; each says what it wanted when it refuses. */
#include "option_table.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

size_t choice_part(const char **out, const char *choices, size_t k) {
  const char *at = choices;
  for (; k > 0 && at != NULL; k--) {
    at = strchr(at, '|');
    if (at != NULL) at++;
  }
  *out = at;
  return at == NULL ? 0 : strcspn(at, "|");
}

static bool is_same_name(const char *a, size_t a_size, const char *b, size_t b_size) {
  if (a_size != b_size) return false;
  for (size_t i = 0; i < a_size; i++)
    if ((a[i] == '_' ? '-' : a[i]) != (b[i] == '_' ? '-' : b[i])) return false;
  return true;
}

bool option_is_called(const option *o, const char *name, size_t size) {
  if (is_same_name(o->name, strlen(o->name), name, size)) return true;
  const char *alias;
  size_t alias_size;
  for (size_t k = 0; (alias_size = choice_part(&alias, o->aliases, k)) > 0; k++)
    if (is_same_name(alias, alias_size, name, size)) return true;
  return false;
}

void option_print_environment(text *out, const option *o) {
  text_put(out, "LIMBECK_");
  for (const char *c = o->name; *c != '\0'; c++) {
    char upper = *c == '-' || *c == '.' ? '_' : (char)toupper((unsigned char)*c);
    text_add(out, &upper, 1);
  }
}

/* ---- values ---- */

/* Is x inside "> 0", ">= 1" or "0..1"? */
static bool is_in_range(double x, const char *range) {
  char *end;
  if (range == NULL) return true;
  if (range[0] == '>') {
    bool open = range[1] != '=';
    double low = strtod(range + (open ? 1 : 2), NULL);
    return open ? x > low : x >= low;
  }
  double low = strtod(range, &end);
  double high = strtod(end + strspn(end, "."), NULL);
  return x >= low && x <= high;
}

static bool read_flag(bool *out, const char *value) {
  static const char *const words[][2] = {
      {"false", "true"}, {"0", "1"}, {"no", "yes"}, {"off", "on"}};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    for (int k = 0; k < 2; k++)
      if (strcmp(value, words[i][k]) == 0) {
        *out = k == 1;
        return true;
      }
  return false;
}

static bool read_int(int64_t *out, const char *value) {
  char *end;
  errno = 0;
  long long x = strtoll(value, &end, 10);
  if (end == value || *end != '\0' || errno != 0) return false;
  *out = x;
  return true;
}

static bool read_uint(uint64_t *out, const char *value, const char **end_of_number) {
  char *end;
  errno = 0;
  if (!isdigit((unsigned char)value[0])) return false;
  unsigned long long x = strtoull(value, &end, 10);
  if (errno != 0) return false;
  *out = x;
  *end_of_number = end;
  return true;
}

/* 5GB and 5G are decimal, 5GiB is binary, as disks are sold and as Transformers counts shards. */
static bool read_size(uint64_t *out, const char *value) {
  static const char letters[] = "KMGT";
  const char *end;
  if (!read_uint(out, value, &end)) return false;
  uint64_t unit = 1;
  const char *letter = *end == '\0' ? NULL : strchr(letters, toupper((unsigned char)*end));
  if (letter != NULL) {
    end++;
    uint64_t base = *end == 'i' ? 1024 : 1000;
    if (*end == 'i') end++;
    for (const char *l = letters; l <= letter; l++) unit *= base;
  }
  if (*end == 'B' || *end == 'b') end++;
  if (*end != '\0' || *out > UINT64_MAX / unit) return false;
  *out *= unit;
  return true;
}

static bool read_real(double *out, const char *value) {
  char *end;
  double x = strtod(value, &end);
  if (end == value || *end != '\0' || !isfinite(x)) return false;
  *out = x;
  return true;
}

static bool read_choice(int *out, const char *value, const char *choices) {
  const char *part;
  size_t size;
  for (size_t k = 0; (size = choice_part(&part, choices, k)) > 0; k++)
    if (is_same_name(value, strlen(value), part, size)) {
      *out = (int)k;
      return true;
    }
  return false;
}

bool ids_from_text(id_list *out, const char *value) {
  size_t n = 1;
  for (const char *c = value; *c != '\0'; c++) n += *c == ',';
  int32_t *ids = cli_alloc(n * sizeof *ids);
  const char *at = value;
  for (size_t i = 0; i < n; i++) {
    char *end;
    errno = 0;
    long id = strtol(at, &end, 10);
    if (end == at || (*end != ',' && *end != '\0') || errno != 0 || id < 0 || id > INT32_MAX) {
      free(ids);
      return false;
    }
    ids[i] = (int32_t)id;
    at = end + 1;
  }
  free(out->ids);
  *out = (id_list){ids, n};
  return true;
}

static void add_text(text_list *out, const char *value, bool first) {
  if (first) out->n = 0;
  out->items = cli_resize(out->items, (out->n + 1) * sizeof *out->items);
  out->items[out->n++] = value;
}

/* `first`: no value from this source yet, so a list starts anew. */
static bool read_value(const option *o, void *field, const char *value, bool first) {
  const char *end;
  switch (o->kind) {
  case OPTION_FLAG: return read_flag(field, value);
  case OPTION_INT:
    return read_int(field, value) && is_in_range((double)*(int64_t *)field, o->range);
  case OPTION_UINT: return read_uint(field, value, &end) && *end == '\0';
  case OPTION_SIZE: return read_size(field, value);
  case OPTION_REAL: return read_real(field, value) && is_in_range(*(double *)field, o->range);
  case OPTION_CHOICE: return read_choice(field, value, o->choices);
  case OPTION_IDS: return ids_from_text(field, value);
  case OPTION_TEXT: *(const char **)field = value; return true;
  case OPTION_TEXTS: add_text(field, value, first); return true;
  }
  return false;
}

static const char *wanted_text(const option *o) {
  switch (o->kind) {
  case OPTION_FLAG: return "true or false";
  case OPTION_INT: return "a whole number";
  case OPTION_UINT: return "a whole number >= 0";
  case OPTION_SIZE: return "a size such as 500MB or 5GB";
  case OPTION_REAL: return "a number";
  case OPTION_IDS: return "token ids such as 1,2,3";
  case OPTION_CHOICE: return "one of";
  case OPTION_TEXT:
  case OPTION_TEXTS: break;
  }
  return "text";
}

/* "--temperature: want a number > 0, found '-1'" */
static void complain_value(option_complaint *complaint, const char *spelling, const option *o,
                           const char *found) {
  text *m = &complaint->message;
  text_putf(m, "%s: want %s", spelling, wanted_text(o));
  if (o->range != NULL) text_putf(m, " %s%s", o->range[0] == '>' ? "" : "in ", o->range);
  const char *part;
  size_t size;
  for (size_t k = 0; (size = choice_part(&part, o->choices, k)) > 0; k++)
    text_putf(m, "%s%.*s", k == 0 ? " " : ", ", (int)size, part);
  if (found == NULL)
    text_put(m, ", found nothing after it");
  else
    text_putf(m, ", found '%s'", found);
}

/* ---- sources ---- */

typedef struct parser {
  const option_target *targets;
  option_sources *sources;
  option_complaint *complaint;
} parser;

/* A row, and where its value goes; `index` counts through both tables. */
typedef struct found_option {
  const option *row; /* NULL: there is none */
  void *field;
  size_t index;
} found_option;

static found_option find_option(const parser *p, const char *name, size_t size) {
  size_t index = 0;
  for (int t = 0; t < 2; t++) {
    const option *o = p->targets[t].table;
    for (; o != NULL && o->name != NULL; o++, index++)
      if (option_is_called(o, name, size))
        return (found_option){o, (char *)p->targets[t].args + o->offset, index};
  }
  return (found_option){NULL, NULL, 0};
}

/* --no-check is check=false, unless there is an option of that name (--no-special). */
static found_option find_negated(const parser *p, const char *name, size_t size) {
  bool starts = size > 3 && strncmp(name, "no", 2) == 0 && (name[2] == '-' || name[2] == '_');
  found_option found = {NULL, NULL, 0};
  if (starts) found = find_option(p, name + 3, size - 3);
  if (found.row != NULL && found.row->kind != OPTION_FLAG) found.row = NULL;
  return found;
}

/* ---- keys beyond the tables ---- */

static extra_key find_extra(const parser *p, const char *name, size_t size) {
  extra_key key = {0};
  if (p->targets[0].extra_key == NULL) return key;
  for (size_t i = 0; (key = p->targets[0].extra_key(i)).name != NULL; i++)
    if (is_same_name(key.name, strlen(key.name), name, size)) break;
  return key;
}

static void add_extra(const parser *p, const char *name, const char *value) {
  extra_values *v = p->targets[0].extra;
  text item = {0};
  text_putf(&item, "%s=%s", name, value);
  v->items = cli_resize(v->items, (v->n + 1) * sizeof *v->items);
  v->items[v->n++] = item.data;
}

static void read_extra_environment(const parser *p) {
  text name = {0};
  extra_key key;
  for (size_t i = 0; p->targets[0].extra_key != NULL; i++) {
    key = p->targets[0].extra_key(i);
    if (key.name == NULL) break;
    if (key.is_alias || key.is_whole) continue;
    text_clear(&name);
    option_print_environment(&name, &(option){.name = key.name});
    const char *value = getenv(text_get(&name));
    if (value != NULL && value[0] != '\0') add_extra(p, key.name, value);
  }
  text_free(&name);
}

/* --learning_rate 1e-4; @return how many further words it took, or -1 when there is no such key or
 * no value (complained of) */
static int read_extra(const parser *p, const char *word, const char *name, size_t size,
                      const char *value, const char *next) {
  extra_key key = find_extra(p, name, size);
  int taken = 0;
  if (key.name == NULL && value == NULL && size > 3 && is_same_name("no-", 3, name, 3)) {
    key = find_extra(p, name + 3, size - 3);
    if (!key.is_flag) key.name = NULL;
    value = "false";
  }
  if (key.name == NULL) return -1;
  if (value == NULL && key.is_flag) {
    bool follows = next != NULL && (strcmp(next, "true") == 0 || strcmp(next, "false") == 0);
    value = follows ? next : "true";
    taken = follows;
  } else if (value == NULL) {
    value = next;
    taken = 1;
  }
  if (value == NULL) {
    text_putf(&p->complaint->message, "%s: want a value, found nothing after it", word);
    return -1;
  }
  add_extra(p, key.name, value);
  p->targets[0].extra->n_typed++;
  return taken;
}

void extra_values_free(extra_values *v) {
  for (size_t i = 0; i < v->n; i++) free(v->items[i]);
  free(v->items);
  *v = (extra_values){0};
}

static void suggest_extra(suggestion *s, const parser *p) {
  extra_key key;
  for (size_t i = 0; p->targets[0].extra_key != NULL; i++) {
    key = p->targets[0].extra_key(i);
    if (key.name == NULL) break;
    suggestion_consider(s, key.name);
  }
}

static void set_defaults(const parser *p) {
  for (int t = 0; t < 2; t++) {
    const option *o = p->targets[t].table;
    for (; o != NULL && o->name != NULL; o++)
      if (o->fallback != NULL)
        (void)read_value(o, (char *)p->targets[t].args + o->offset, o->fallback, true);
  }
}

static bool read_environment(const parser *p) {
  text name = {0};
  bool ok = true;
  size_t index = 0;
  for (int t = 0; t < 2 && ok; t++) {
    const option *o = p->targets[t].table;
    for (; ok && o != NULL && o->name != NULL; o++, index++) {
      text_clear(&name);
      option_print_environment(&name, o);
      const char *value = getenv(text_get(&name));
      if (value == NULL || value[0] == '\0' || o->only_typed) continue;
      ok = read_value(o, (char *)p->targets[t].args + o->offset, value, true);
      if (!ok) complain_value(p->complaint, text_get(&name), o, value);
      p->sources->of[index] = FROM_ENVIRONMENT;
    }
  }
  text_free(&name);
  return ok;
}

static void complain_unknown(const parser *p, const char *spelling, const char *name, size_t size) {
  suggestion s = suggestion_for(name, size);
  for (int t = 0; t < 2; t++)
    for (const option *o = p->targets[t].table; o != NULL && o->name != NULL; o++)
      suggestion_consider(&s, o->name);
  suggest_extra(&s, p);
  text_putf(&p->complaint->message, "unknown option '%s'", spelling);
  if (s.best != NULL)
    text_putf(&p->complaint->hint, "did you mean '--%s'?", s.best);
  else if (spelling[0] != '-')
    text_put(&p->complaint->hint, "key=value is an option; put text and file names after '--'");
}

/* A word that is an option: its name and, when there is a "=", its value. "-" (standard input) is
 * none, nor is a word whose part before "=" could not be a key ("./a=b"). Only keys beyond the
 * table may have a dot. */
static bool split_option(const parser *p, const char *word, const char **name, size_t *size,
                         const char **value) {
  static const char letters[] = ".abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  size_t dashes = strspn(word, "-");
  const char *start = word + dashes;
  size_t n = strspn(start, letters + (p->targets[0].extra_key == NULL));
  bool has_value = start[n] == '=';
  if (dashes == 0 && (!has_value || n == 0 || isdigit((unsigned char)start[0]))) return false;
  if (dashes > 0 && start[0] == '\0') return false;
  *name = start;
  *size = dashes == 0 || has_value || start[n] == '\0' ? n : strlen(start);
  *value = has_value ? start + n + 1 : NULL;
  return true;
}

/* Reads one option; @return how many further words it took, or -1 */
static int read_option(const parser *p, const char *word, const char *next) {
  const char *name, *value;
  size_t size;
  if (!split_option(p, word, &name, &size, &value)) return -1;
  found_option o = find_option(p, name, size);
  int taken = 0;
  if (o.row == NULL) {
    taken = read_extra(p, word, name, size, value, next);
    if (taken >= 0 || p->complaint->message.size > 0) return taken;
    taken = 0;
  }
  if (o.row == NULL && value == NULL) {
    o = find_negated(p, name, size);
    value = "false";
  }
  if (o.row == NULL) {
    complain_unknown(p, word, name, size);
    return -1;
  }
  if (value == NULL && o.row->kind == OPTION_FLAG) {
    bool follows = next != NULL && (strcmp(next, "true") == 0 || strcmp(next, "false") == 0);
    value = follows ? next : "true";
    taken = follows;
  } else if (value == NULL) {
    value = next;
    taken = 1;
  }
  bool first = p->sources->of[o.index] != FROM_COMMAND_LINE;
  if (value == NULL || !read_value(o.row, o.field, value, first)) {
    text spelling = {0};
    text_putf(&spelling, "--%s", o.row->name);
    complain_value(p->complaint, text_get(&spelling), o.row, value);
    text_free(&spelling);
    return -1;
  }
  p->sources->of[o.index] = FROM_COMMAND_LINE;
  return taken;
}

static bool is_option(const parser *p, const char *word) {
  const char *name, *value;
  size_t size;
  return split_option(p, word, &name, &size, &value);
}

bool options_parse(const option_target targets[2], option_sources *sources, int argc, char **argv,
                   const char **positional, size_t max_positional, option_complaint *complaint) {
  parser p = {targets, sources, complaint};
  size_t n_positional = 0;
  bool only_words = false;
  set_defaults(&p);
  if (!read_environment(&p)) return false;
  read_extra_environment(&p);
  for (int i = 0; i < argc; i++) {
    if (!only_words && strcmp(argv[i], "--") == 0) {
      only_words = true;
    } else if (!only_words && is_option(&p, argv[i])) {
      int taken = read_option(&p, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
      if (taken < 0) return false;
      i += taken;
    } else if (n_positional < max_positional) {
      positional[n_positional++] = argv[i];
    } else {
      text_putf(&complaint->message, "one word too many: '%s'", argv[i]);
      return false;
    }
  }
  return true;
}

void options_free(option_target target) {
  if (target.args == NULL) return;
  for (const option *o = target.table; o != NULL && o->name != NULL; o++) {
    void *field = (char *)target.args + o->offset;
    if (o->kind == OPTION_IDS) free(((id_list *)field)->ids);
    if (o->kind == OPTION_TEXTS) free(((text_list *)field)->items);
  }
}

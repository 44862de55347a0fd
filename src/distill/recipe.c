/* recipe.c - reading a recipe: defaults, the file, overrides, checks. See recipe.h.
 * Read next: recipe.def (the keys), recipe_values.c (a value), recipe_check.c (rules between keys).
 */
#include "recipe_check.h"
#include "recipe_values.h"

#include "base/fail.h"
#include "base/files.h"
#include "base/utf8.h"

#include <stdio.h>

enum { ADVICE_SIZE = 256, TEXT_SIZE_MAX = 4 << 20, OVERRIDE_SIZE_MAX = 1 << 16 };
enum { GIVEN_NOWHERE = 0, GIVEN_AS_OVERRIDE = -1 }; /* else the line in the file */

/* What is read at the moment, and where each key was given: for messages. */
typedef struct reader {
  lb_recipe *recipe;
  const char *override; /* NULL: the file is read */
  int given[LB__RECIPE_KEYS_MAX];
  const char *override_of[LB__RECIPE_KEYS_MAX];
  lb_error *err;
} reader;

/* ---- messages ---- */

/* Puts "recipe.yaml:7: " or "'lr=x': " before the message. A wrong file is LB_E_FORMAT, a wrong
 * override or combination LB_E_ARG. */
static lb_status place(const reader *rd, lb_status st, int line, const char *override) {
  if (st == LB_E_NOMEM) return st;
  if (override != NULL)
    return lb__fail_prefix(rd->err, st == LB_E_FORMAT ? LB_E_ARG : st, "'%.120s'", override);
  if (line > 0) return lb__fail_prefix(rd->err, st, "%s:%d", rd->recipe->source, line);
  if (rd->recipe->source != NULL) return lb__fail_prefix(rd->err, st, "%s", rd->recipe->source);
  return st;
}

static lb_status fail_unknown(const reader *rd, const char *section, const lb__yaml_node *node) {
  char advice[ADVICE_SIZE];
  bool is_root = section == NULL || section[0] == '\0';
  lb__recipe_advise(advice, sizeof advice, is_root ? NULL : section, node->key);
  lb_status st = lb__fail(rd->err, LB_E_FORMAT, "unknown key '%s%s%.80s'%s", is_root ? "" : section,
                          is_root ? "" : ".", node->key, advice);
  return place(rd, st, node->line, rd->override);
}

/* ---- keys ---- */

static lb_status check_new(const reader *rd, int k, int line) {
  if (rd->override != NULL || rd->given[k] == GIVEN_NOWHERE) return LB_OK;
  return place(rd,
               lb__fail(rd->err, LB_E_FORMAT, "%s was already given in line %d",
                        lb__recipe_row_at((size_t)k)->key.path, rd->given[k]),
               line, NULL);
}

/* warmup_ratio is warmup_steps, but only as a share: warmup_ratio: 1 would be one step. */
static bool is_wrong_ratio(const lb__yaml_node *node) {
  static const char ratio[] = "warmup_ratio";
  size_t size = strlen(node->key), i = 0;
  if (size < sizeof ratio - 1) return false;
  for (const char *c = node->key + size - (sizeof ratio - 1); *c != '\0'; c++, i++)
    if ((*c == '-' ? '_' : *c) != ratio[i]) return false;
  const char *digit = node->text + strspn(node->text, "+0");
  return node->kind == LB__YAML_SCALAR && *digit >= '1' && *digit <= '9';
}

/* `student=gpt2` takes the place of the recipe's `student: {config: ...}`. */
static void forget_below(reader *rd, int k) {
  const lb__recipe_row *row, *above = lb__recipe_row_at((size_t)k);
  for (size_t i = 0; (row = lb__recipe_row_at(i)) != NULL; i++) {
    if (!lb__recipe_is_below(row, above->key.path)) continue;
    lb__recipe_unset(rd->recipe, row);
    rd->given[i] = GIVEN_NOWHERE;
  }
}

static lb_status read_key(reader *rd, int k, const lb__yaml_node *node) {
  const lb__recipe_row *row = lb__recipe_row_at((size_t)k);
  lb_status st = check_new(rd, k, node->line);
  if (st != LB_OK) return st;
  if (lb__recipe_is_null(node)) return LB_OK;
  if (is_wrong_ratio(node))
    st = lb__fail(rd->err, LB_E_FORMAT, "warmup_ratio: want a share below 1, found '%.40s'",
                  node->text);
  else
    st = lb__recipe_set(rd->recipe, row, node, rd->err);
  if (st != LB_OK) return place(rd, st, node->line, rd->override);
  if (rd->override != NULL) forget_below(rd, k);
  rd->given[k] = rd->override != NULL ? GIVEN_AS_OVERRIDE : node->line;
  rd->override_of[k] = rd->override;
  return LB_OK;
}

/* A section, or a key that is given as one: `student: {config: ...}`, not `student: gpt2`. */
static bool is_section(const char *path, const lb__yaml_node *node) {
  return lb__recipe_is_section(path) && (node->kind == LB__YAML_MAP || !lb__recipe_is_key(path));
}

static lb_status fail_section(const reader *rd, const char *path, const lb__yaml_node *node) {
  lb_status st = lb__fail(rd->err, LB_E_FORMAT,
                          "%s is a section: want keys below it, found %s; limbeck help recipe "
                          "lists them",
                          path, node->kind == LB__YAML_LIST ? "a list" : "a value");
  return place(rd, st, node->line, NULL);
}

/* The keys of one section, and those of the sections in it. */
static lb_status read_section(reader *rd, const char *path, const lb__yaml_node *section) {
  if (lb__recipe_is_null(section)) return LB_OK; /* "test:" with everything commented out */
  if (section->kind != LB__YAML_MAP) return fail_section(rd, path, section);
  for (const lb__yaml_node *node = section->first; node != NULL; node = node->next) {
    int k = lb__recipe_find(path, node->key);
    char *inner = lb__format("%s.%s", path, node->key);
    lb_status st = inner == NULL             ? lb__fail_nomem(rd->err, "recipe")
                   : is_section(inner, node) ? read_section(rd, inner, node)
                   : k != LB__NO_KEY         ? read_key(rd, k, node)
                                             : fail_unknown(rd, path, node);
    lb__free(inner);
    if (st != LB_OK) return st;
  }
  return LB_OK;
}

static lb_status read_root(reader *rd, const lb__yaml_node *root) {
  if (lb__recipe_is_null(root)) return LB_OK; /* an empty file: all may be overrides */
  if (root->kind != LB__YAML_MAP)
    return place(rd,
                 lb__fail(rd->err, LB_E_FORMAT,
                          "want keys such as 'teacher: gpt2-medium', found %s",
                          root->kind == LB__YAML_LIST ? "a list" : "a single value"),
                 root->line, NULL);
  for (const lb__yaml_node *node = root->first; node != NULL; node = node->next) {
    int k = lb__recipe_find(NULL, node->key);
    lb_status st = is_section(node->key, node) ? read_section(rd, node->key, node)
                   : k != LB__NO_KEY           ? read_key(rd, k, node)
                                               : fail_unknown(rd, NULL, node);
    if (st != LB_OK) return st;
  }
  return LB_OK;
}

static lb_status read_file(reader *rd, const char *path) {
  lb__yaml *yaml;
  lb_status st = lb__yaml_read(&yaml, path, rd->err);
  if (st == LB_OK) st = read_root(rd, lb__yaml_root(yaml));
  lb__yaml_free(yaml);
  return st;
}

/* ---- overrides ---- */

/* "[a, b]" is YAML; everything else is one value, as it stands. */
static lb_status read_override_value(reader *rd, int k, const char *key, const char *value) {
  lb__yaml_node node = {.kind = LB__YAML_SCALAR, .text = value, .key = key};
  lb__recipe_kind kind = lb__recipe_row_at((size_t)k)->kind;
  bool is_list = kind == LB__RECIPE_TEXTS || kind == LB__RECIPE_INTEGERS;
  if (!is_list || value[0] != '[') return read_key(rd, k, &node);
  lb__yaml *yaml;
  lb_status st = lb__yaml_parse(&yaml, value, strlen(value), key, rd->err);
  if (st != LB_OK) return place(rd, st, 0, rd->override);
  lb__yaml_node list = *lb__yaml_root(yaml);
  list.key = key;
  st = read_key(rd, k, &list);
  lb__yaml_free(yaml);
  return st;
}

static lb_status read_override(reader *rd, const char *override) {
  const char *equals = strchr(override, '=');
  size_t size = strlen(override);
  rd->override = NULL;
  if (size > OVERRIDE_SIZE_MAX || !lb__utf8_valid(override, size))
    return lb__fail(rd->err, LB_E_ARG, "an override is %s",
                    size > OVERRIDE_SIZE_MAX ? "longer than 64 KiB" : "not UTF-8");
  if (equals == NULL || equals == override)
    return lb__fail(rd->err, LB_E_ARG, "'%.120s': want key=value", override);
  rd->override = override;
  char *key = lb__arena_strndup(&rd->recipe->arena, override, (size_t)(equals - override));
  if (key == NULL) return lb__fail_nomem(rd->err, "recipe");
  int k = lb__recipe_find(NULL, key);
  if (k != LB__NO_KEY) return read_override_value(rd, k, key, equals + 1);
  if (lb__recipe_is_section(key))
    return place(rd, lb__fail(rd->err, LB_E_ARG, "%s is a section: want %s.key=value", key, key), 0,
                 override);
  return fail_unknown(rd, NULL, &(lb__yaml_node){.key = key});
}

/* ---- all of it ---- */

static lb_status set_defaults(reader *rd) {
  const lb__recipe_row *row;
  for (size_t i = 0; (row = lb__recipe_row_at(i)) != NULL; i++) {
    const char *fallback = row->key.fallback;
    if (fallback == NULL || strcmp(fallback, "required") == 0) continue;
    lb__yaml_node value = {.kind = LB__YAML_SCALAR, .text = fallback};
    lb_status st = lb__recipe_set(rd->recipe, row, &value, rd->err);
    if (st != LB_OK) return st;
  }
  return LB_OK;
}

/* A key, or anything below it. */
static bool is_given(const reader *rd, size_t k) {
  const lb__recipe_row *row, *above = lb__recipe_row_at(k);
  bool found = rd->given[k] != GIVEN_NOWHERE;
  for (size_t i = 0; !found && (row = lb__recipe_row_at(i)) != NULL; i++)
    found = rd->given[i] != GIVEN_NOWHERE && lb__recipe_is_below(row, above->key.path);
  return found;
}

static lb_status check_required(const reader *rd) {
  const lb__recipe_row *row;
  for (size_t i = 0; (row = lb__recipe_row_at(i)) != NULL; i++) {
    const char *fallback = row->key.fallback;
    if (fallback == NULL || strcmp(fallback, "required") != 0) continue;
    if (is_given(rd, i)) continue;
    lb_status st = lb__fail(rd->err, LB_E_ARG, "%s is missing: %s", row->key.path, row->key.help);
    return place(rd, st, 0, NULL);
  }
  return LB_OK;
}

static lb_status check_together(const reader *rd) {
  const char *key = NULL;
  lb_status st = lb__recipe_check(rd->recipe, &key, rd->err);
  if (st == LB_OK) return LB_OK;
  int k = lb__recipe_find(NULL, key);
  LB_ASSERT(k != LB__NO_KEY);
  return place(rd, st, rd->given[k], rd->override_of[k]);
}

/* "resume_from_checkpoint: false" is how Transformers' users say no. */
static void settle(lb_recipe *r) {
  const char *resume = r->train.resume_from_checkpoint;
  if (resume != NULL && lb__choice_find(NULL, "false|no|off", resume) >= 0)
    r->train.resume_from_checkpoint = NULL;
  else if (resume != NULL && lb__choice_find(NULL, "yes|on|true", resume) >= 0)
    r->train.resume_from_checkpoint = "true";
}

lb_status lb_recipe_load(lb_recipe **out, const char *path, const char *const *overrides,
                         size_t n_overrides, lb_error *err) {
  *out = NULL;
  lb_recipe *r = lb__new(sizeof *r);
  if (r == NULL) return lb__fail_nomem(err, "recipe");
  lb__arena_init(&r->arena, 0);
  reader rd = {.recipe = r, .err = err};
  lb_status st = set_defaults(&rd);
  if (st == LB_OK && path != NULL) {
    r->source = lb__arena_strndup(&r->arena, path, strlen(path));
    st = r->source != NULL ? read_file(&rd, path) : lb__fail_nomem(err, "recipe");
  }
  for (size_t i = 0; st == LB_OK && i < n_overrides; i++) st = read_override(&rd, overrides[i]);
  if (st == LB_OK) st = check_required(&rd);
  if (st == LB_OK) st = check_together(&rd);
  if (st == LB_OK) {
    settle(r);
    *out = r;
  } else {
    lb_recipe_free(r);
  }
  return st;
}

void lb_recipe_free(lb_recipe *r) {
  if (r == NULL) return;
  lb__arena_deinit(&r->arena);
  lb__free(r);
}

/* ---- the resolved recipe ---- */

/* A bound row has a line when its section has something to say; a key that is given as a section
 * is that section's heading. */
static bool is_shown(lb_recipe *r, const lb__recipe_row *row, const char *section) {
  bool is_heading = lb__recipe_is_section(row->key.path) && lb__recipe_has_below(r, row->key.path);
  return !is_heading && (!lb__recipe_is_bound(row) || lb__recipe_has_below(r, section));
}

static void put_indent(lb__buf *b, const char *path) {
  for (const char *c = path; *c != '\0'; c++)
    if (*c == '.') lb__buf_add_text(b, "  ");
}

/* "train:", "student:" and "  config:": what of `section` is not open already. */
static void open_section(lb__buf *b, const char *open, const char *section) {
  char part[128];
  for (const char *end = section; *section != '\0' && end != NULL; end = strchr(end, '.')) {
    end += *end == '.';
    size_t size = strcspn(end, ".") + (size_t)(end - section);
    bool is_open = strncmp(open, section, size) == 0 && (open[size] == '\0' || open[size] == '.');
    if (is_open || size >= sizeof part) continue;
    snprintf(part, sizeof part, "%.*s", (int)size, section);
    put_indent(b, part);
    lb__buf_printf(b, "%s:\n", part + (end - section));
  }
}

const char *lb_recipe_text(lb_recipe *r) {
  const lb__recipe_row *row;
  char open[128] = "", section[128];
  lb__buf b;
  lb__buf_init(&b, TEXT_SIZE_MAX);
  for (size_t i = 0; (row = lb__recipe_row_at(i)) != NULL; i++) {
    const char *path = row->key.path, *dot = strrchr(path, '.');
    snprintf(section, sizeof section, "%.*s", dot != NULL ? (int)(dot - path) : 0, path);
    if (!is_shown(r, row, section)) continue;
    open_section(&b, open, section);
    memcpy(open, section, sizeof open);
    put_indent(&b, path);
    lb__buf_printf(&b, "%s: ", dot != NULL ? dot + 1 : path);
    lb__recipe_write(&b, r, row);
    lb__buf_add_char(&b, '\n');
  }
  const char *text = b.failed ? NULL : lb__arena_strndup(&r->arena, b.bytes, b.size);
  lb__buf_deinit(&b);
  return text;
}

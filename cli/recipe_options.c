/* recipe_options.c - see recipe_options.h. What is known about keys comes from lb_recipe_key_at. */
#include "recipe_options.h"

#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

typedef struct name_list {
  extra_key *names;
  size_t n;
} name_list;

static void add_name(name_list *list, const char *name, size_t size, extra_key kind) {
  list->names = cli_resize(list->names, (list->n + 1) * sizeof *list->names);
  kind.name = cli_copy(name, size);
  list->names[list->n++] = kind;
}

static const char *last_word(const char *path) {
  const char *dot = strrchr(path, '.');
  return dot == NULL ? path : dot + 1;
}

/* "student.config.head_dim": below a path that is itself a key, names are written whole. */
static bool is_bound(const char *path) {
  const lb_recipe_key *key;
  for (size_t i = 0; (key = lb_recipe_key_at(i)) != NULL; i++) {
    size_t size = strlen(key->path);
    if (strncmp(path, key->path, size) == 0 && path[size] == '.') return true;
  }
  return false;
}

/* "lr", and with its section "train.lr" */
static void add_names(name_list *list, const char *path, const char *name, size_t size,
                      extra_key kind) {
  text whole = {0};
  if (!is_bound(path)) add_name(list, name, size, kind);
  if (last_word(path) == path) return;
  kind.is_whole = !is_bound(path);
  text_putf(&whole, "%.*s%.*s", (int)(last_word(path) - path), path, (int)size, name);
  add_name(list, text_get(&whole), whole.size, kind);
  text_free(&whole);
}

/* Made once, and kept: the names are handed out. */
static const name_list *all_names(void) {
  static name_list list;
  const lb_recipe_key *key;
  if (list.n > 0) return &list;
  for (size_t i = 0; (key = lb_recipe_key_at(i)) != NULL; i++) {
    extra_key kind = {.is_flag = strcmp(key->type, "true or false") == 0};
    const char *alias;
    size_t size;
    add_names(&list, key->path, last_word(key->path), strlen(last_word(key->path)), kind);
    kind.is_alias = true;
    for (size_t k = 0; (size = choice_part(&alias, key->aliases, k)) > 0; k++)
      add_names(&list, key->path, alias, size, kind);
  }
  return &list;
}

extra_key recipe_extra_key(size_t i) {
  const name_list *list = all_names();
  return i < list->n ? list->names[i] : (extra_key){0};
}

static option option_row(const lb_recipe_key *key) {
  const char *shortest = is_bound(key->path) ? key->path : last_word(key->path);
  char *name = cli_copy(shortest, strlen(shortest));
  for (char *c = name; *c != '\0'; c++)
    if (*c == '_') *c = '-';
  bool is_flag = strcmp(key->type, "true or false") == 0,
       is_choice = strchr(key->type, '|') != NULL;
  return (option){.name = name,
                  .kind = is_flag     ? OPTION_FLAG
                          : is_choice ? OPTION_CHOICE
                                      : OPTION_TEXT,
                  .choices = is_choice ? key->type : NULL,
                  .value = "VALUE",
                  .help = key->help};
}

const option *recipe_option_rows(void) {
  static option *rows;
  const lb_recipe_key *key;
  size_t n = 0;
  if (rows != NULL) return rows;
  while (lb_recipe_key_at(n) != NULL) n++;
  rows = cli_alloc((n + 1) * sizeof *rows);
  for (size_t i = 0; (key = lb_recipe_key_at(i)) != NULL; i++) rows[i] = option_row(key);
  return rows;
}

/* ---- opening ---- */

int recipe_open(lb_recipe **out, const cli *c, const char *path) {
  lb_error err = {0};
  *out = NULL;
  if (path == NULL && c->extra.n_typed == 0)
    return cli_usage(c, "give a file, or teacher=..., student=... and train=...",
                     "RECIPE is missing");
  lb_status st = lb_recipe_load(out, path, (const char *const *)c->extra.items, c->extra.n, &err);
  return st == LB_OK ? CLI_DONE : cli_error(c, &err);
}

static void put_word(text *out, const char *word) {
  text_put(out, " ");
  text_put_shell_word(out, word);
}

void recipe_put_command(text *out, const cli *c, const char *path, const char *more) {
  text_putf(out, "limbeck %s", c->verb->name);
  if (path != NULL) put_word(out, path);
  for (size_t i = c->extra.n - c->extra.n_typed; i < c->extra.n; i++)
    if (strncmp(c->extra.items[i], more, strcspn(more, "=") + 1) != 0)
      put_word(out, c->extra.items[i]);
  put_word(out, more);
}

/* ---- explaining ---- */

static const struct {
  const char *name, *meaning;
} sections[] = {
    {"", "The models, and where the result goes"},
    {"student", "A student that is made for the run"},
    {"student.config", "A student of random weights, with the names of Transformers"},
    {"student.shrink", "A student that begins as a part of its teacher"},
    {"data", "What is learned from"},
    {"distill", "How student and teacher are compared"},
    {"train", "The training itself, with the names and meanings of Transformers"},
    {"test", "A prompt that both answer at the end"},
};
enum { N_SECTIONS = sizeof sections / sizeof sections[0] };

static bool is_in(const lb_recipe_key *key, const char *section) {
  size_t size = strlen(section);
  const char *word = last_word(key->path);
  if (size == 0) return word == key->path;
  return word == key->path + size + 1 && strncmp(key->path, section, size) == 0;
}

/* "(required)", "(default: 5e-5; also lr)" */
static void put_default(text *out, const lb_recipe_key *key) {
  bool is_required = key->fallback != NULL && strcmp(key->fallback, "required") == 0;
  const char *alias;
  size_t size, n = 0;
  if (key->fallback == NULL && key->aliases == NULL) return;
  text_put(out, " (");
  if (key->fallback != NULL) text_putf(out, "%s%s", is_required ? "" : "default: ", key->fallback);
  for (size_t k = 0; (size = choice_part(&alias, key->aliases, k)) > 0; k++, n++)
    text_putf(out, "%s%.*s",
              n > 0                   ? ", "
              : key->fallback != NULL ? "; also "
                                      : "also ",
              (int)size, alias);
  text_put(out, ")");
}

/* "learning_rate  number > 0" */
static void put_spelling(text *out, const lb_recipe_key *key) {
  text_putf(out, "%s %s%s%s", last_word(key->path), key->type, key->range != NULL ? " " : "",
            key->range != NULL ? key->range : "");
}

void recipe_print_keys(const cli *c, FILE *file) {
  const lb_recipe_key *key;
  text left = {0}, prose = {0}, heading = {0};
  for (size_t s = 0; s < N_SECTIONS; s++) {
    text_clear(&heading);
    text_putf(&heading, "%s%s%s", sections[s].name, s > 0 ? ": " : "", sections[s].meaning);
    help_print_heading(c, file, text_get(&heading));
    for (size_t i = 0; (key = lb_recipe_key_at(i)) != NULL; i++) {
      if (!is_in(key, sections[s].name)) continue;
      text_clear(&left);
      text_clear(&prose);
      put_spelling(&left, key);
      text_put(&prose, key->help);
      put_default(&prose, key);
      help_print_entry(file, text_get(&left), text_get(&prose));
    }
  }
  text_free(&left);
  text_free(&prose);
  text_free(&heading);
}

void recipe_print_man(FILE *file) {
  const lb_recipe_key *key;
  text left = {0}, prose = {0};
  for (size_t i = 0; (key = lb_recipe_key_at(i)) != NULL; i++) {
    text_clear(&left);
    text_clear(&prose);
    text_putf(&left, "%.*s", (int)(last_word(key->path) - key->path), key->path);
    put_spelling(&left, key);
    text_put(&prose, key->help);
    put_default(&prose, key);
    fputs(".TP\n.B ", file);
    man_page_put(file, text_get(&left));
    fputc('\n', file);
    man_page_put(file, text_get(&prose));
    fputc('\n', file);
  }
  text_free(&left);
  text_free(&prose);
}

/* ---- docs/recipe.md ---- */

static const char markdown_top[] =
    "<!-- Made by `limbeck help --recipe-markdown`; do not edit. -->\n"
    "# The recipe: every key\n\n"
    "A recipe is a YAML file that says what to distil into what:\n\n"
    "```yaml\n"
    "teacher: gpt2-medium\n"
    "student: gpt2\n"
    "data: {train: texts.jsonl}\n"
    "```\n\n"
    "Everything else has a default. [examples/recipes](../examples/recipes) has commented "
    "recipes,\n"
    "[how-to/distil.md](how-to/distil.md) goes from nothing to a student.\n\n"
    "- **Names** are those of Transformers and TRL. A key may stand in its section or, as in a "
    "TRL\n"
    "  configuration, at the top by its own name: `learning_rate: 1e-4` is\n"
    "  `train: {learning_rate: 1e-4}`. Other programs' names for the same thing are accepted too.\n"
    "- **Overrides** on the command line: `limbeck distill recipe.yaml learning_rate=1e-4`,\n"
    "  `train.learning_rate=1e-4` and `--learning-rate 1e-4` are the same. The command line beats\n"
    "  the environment (`LIMBECK_LEARNING_RATE`), which beats the recipe, which beats the "
    "default.\n"
    "- **Numbers** are written without quotes: `5e-5`, `5.0e-5`, `0.00005`. **Truths** are "
    "`true`,\n"
    "  `false`, `yes`, `no`, `on`, `off`. A **list** may be one value. `null` is as if the line "
    "were\n"
    "  not there.\n"
    "- **Files** are looked for from where `limbeck` is started.\n"
    "- An unknown key, a wrong type or a bad value is an error that names the line.\n"
    "- The resolved recipe, with every key, is saved with the run.\n";

/* "one of `a`, `b`", "number > 0" */
static void put_markdown_type(text *out, const lb_recipe_key *key) {
  const char *choice;
  size_t size;
  if (strchr(key->type, '|') == NULL)
    text_putf(out, "%s%s%s", key->type, key->range != NULL ? " " : "",
              key->range != NULL ? key->range : "");
  else
    for (size_t k = 0; (size = choice_part(&choice, key->type, k)) > 0; k++)
      text_putf(out, "%s`%.*s`", k == 0 ? "" : ", ", (int)size, choice);
}

static void print_markdown_row(FILE *file, const lb_recipe_key *key) {
  text row = {0};
  const char *alias;
  size_t size;
  bool is_required = key->fallback != NULL && strcmp(key->fallback, "required") == 0;
  text_putf(&row, "| `%s` | ", last_word(key->path));
  put_markdown_type(&row, key);
  if (key->fallback == NULL)
    text_put(&row, " | | ");
  else if (is_required)
    text_put(&row, " | **required** | ");
  else
    text_putf(&row, " | `%s` | ", key->fallback);
  text_put(&row, key->help);
  for (size_t k = 0; (size = choice_part(&alias, key->aliases, k)) > 0; k++)
    text_putf(&row, "%s`%.*s`", k == 0 ? ". Also called " : ", ", (int)size, alias);
  fprintf(file, "%s |\n", text_get(&row));
  text_free(&row);
}

void recipe_print_markdown(FILE *file) {
  const lb_recipe_key *key;
  fputs(markdown_top, file);
  for (size_t s = 0; s < N_SECTIONS; s++) {
    if (s == 0)
      fprintf(file, "\n## Top level\n\n%s.\n\n", sections[s].meaning);
    else
      fprintf(file, "\n## %s\n\n%s.\n\n", sections[s].name, sections[s].meaning);
    fputs("| key | value | default | meaning |\n|---|---|---|---|\n", file);
    for (size_t i = 0; (key = lb_recipe_key_at(i)) != NULL; i++)
      if (is_in(key, sections[s].name)) print_markdown_row(file, key);
  }
}

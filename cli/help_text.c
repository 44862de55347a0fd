/* help_text.c - `limbeck help`, `limbeck help VERB`: the rows of verbs and options, laid out for a
 * terminal. man_page.c and completion.c lay out the same rows for man and for shells. */
#include "recipe_options.h"
#include "terminal.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_COLUMNS = 92, OPTION_COLUMN = 30 };

void option_print_spelling(text *out, const option *o) {
  text_putf(out, "--%s", o->name);
  if (o->kind == OPTION_CHOICE)
    text_putf(out, " %s", o->choices);
  else if (o->kind != OPTION_FLAG)
    text_putf(out, " %s", o->value);
  const char *alias;
  size_t size;
  for (size_t k = 0; (size = choice_part(&alias, o->aliases, k)) > 0; k++)
    text_putf(out, ", %s%.*s", size == 1 ? "-" : "--", (int)size, alias);
}

void verb_print_arguments(text *out, const verb *v) {
  for (const positional *p = v->positionals; p->name != NULL; p++)
    text_putf(out, p->optional ? " [%s]" : " %s", p->name);
}

/* Words of `prose`, broken so that no line passes TEXT_COLUMNS; `column` is where the cursor is. */
static void print_wrapped(FILE *file, const char *prose, size_t indent, size_t column) {
  for (const char *at = prose; *at != '\0';) {
    if (*at == '\n' && at[1] == '\n') {
      fprintf(file, "\n\n%*s", (int)indent, "");
      column = indent;
      at += 2;
      continue;
    }
    size_t gap = strspn(at, " "), word = strcspn(at + gap, " \n");
    if (column + gap + word > TEXT_COLUMNS && column > indent) {
      fprintf(file, "\n%*s", (int)indent, "");
      column = indent;
      gap = 0;
      at += strspn(at, " ");
    }
    fprintf(file, "%.*s", (int)(gap + word), at);
    column += gap + word;
    at += gap + word;
  }
  fputc('\n', file);
}

void help_print_heading(const cli *c, FILE *file, const char *heading) {
  fprintf(file, "\n%s%s%s\n", terminal_bold(c, file), heading, terminal_plain(c, file));
}

void help_print_entry(FILE *file, const char *left, const char *prose) {
  size_t width = strlen(left) + 2;
  fprintf(file, "  %s", left);
  if (width + 2 > OPTION_COLUMN) {
    fputc('\n', file);
    width = 0;
  }
  fprintf(file, "%*s", (int)(OPTION_COLUMN - width), "");
  print_wrapped(file, prose, OPTION_COLUMN, OPTION_COLUMN);
}

static void print_options(FILE *file, const option *rows) {
  text left = {0}, prose = {0};
  for (const option *o = rows; o != NULL && o->name != NULL; o++) {
    text_clear(&left);
    text_clear(&prose);
    option_print_spelling(&left, o);
    text_put(&prose, o->help);
    if (o->fallback != NULL) text_putf(&prose, " (default: %s)", o->fallback);
    help_print_entry(file, text_get(&left), text_get(&prose));
  }
  text_free(&left);
  text_free(&prose);
}

void help_overview(const cli *c, FILE *file) {
  fputs("limbeck: distils large language models into small ones, and runs them, natively\n", file);
  help_print_heading(c, file, "usage");
  fputs("  limbeck VERB [arguments] [options]\n", file);
  help_print_heading(c, file, "verbs");
  for (size_t i = 0; verb_at(i) != NULL; i++)
    fprintf(file, "  %-12s%s\n", verb_at(i)->name, verb_at(i)->summary);
  help_print_heading(c, file, "first steps");
  fputs("  limbeck distill recipe.yaml\n"
        "  limbeck generate model.gguf --prompt \"Once upon a time\"\n"
        "  limbeck chat model.gguf\n"
        "  limbeck help generate\n",
        file);
}

void help_verb(const cli *c, const verb *v, FILE *file) {
  text arguments = {0};
  verb_print_arguments(&arguments, v);
  fprintf(file, "limbeck %s: %s\n", v->name, v->summary);
  help_print_heading(c, file, "usage");
  fprintf(file, "  limbeck %s%s%s\n\n  ", v->name, text_get(&arguments),
          v->extra_key != NULL ? " [key=value ...] [options]"
          : v->options == NULL ? ""
                               : " [options]");
  print_wrapped(file, v->description, 2, 2);
  if (v->positionals[0].name != NULL) help_print_heading(c, file, "arguments");
  for (const positional *p = v->positionals; p->name != NULL; p++)
    help_print_entry(file, p->name, p->help);
  if (v->options != NULL) {
    help_print_heading(c, file, "options");
    print_options(file, v->options);
  }
  if (v->extra_key != NULL && !v->explains_keys) {
    help_print_heading(c, file, "recipe keys");
    fputs("  every key of a recipe is an option too; limbeck help recipe explains them\n", file);
  }
  help_print_heading(c, file, "options of every verb");
  print_options(file, global_options);
  if (v->examples[0].command != NULL) help_print_heading(c, file, "examples");
  for (const example *e = v->examples; e->command != NULL; e++) {
    fprintf(file, "  %s\n      ", e->command);
    print_wrapped(file, e->meaning, 6, 6);
  }
  if (v->explains_keys) {
    fputs("\nRecipe keys, in YAML or as options (learning_rate=1e-4, --learning-rate 1e-4):\n",
          file);
    recipe_print_keys(c, file);
  }
  text_free(&arguments);
}

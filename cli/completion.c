/* completion.c - shell completion for bash, zsh and fish, written from the rows of verbs. */
#include "recipe_options.h"

#include <string.h>

static void put_words(FILE *file, const option *table) {
  for (const option *o = table; o != NULL && o->name != NULL; o++) fprintf(file, " --%s", o->name);
}

static void put_verb_names(FILE *file) {
  for (size_t i = 0; verb_at(i) != NULL; i++)
    fprintf(file, "%s%s", i == 0 ? "" : " ", verb_at(i)->name);
}

/* "a|b" as "a b" */
static void put_choices(FILE *file, const char *choices) {
  for (const char *c = choices; *c != '\0'; c++) fputc(*c == '|' ? ' ' : *c, file);
}

/* The keys of a recipe, for the verbs that take them. */
static const option *extra_options(const verb *v) {
  return v->extra_key != NULL ? recipe_option_rows() : NULL;
}

static const char *first_choices(const verb *v) {
  return v->positionals[0].name == NULL ? NULL : v->positionals[0].choices;
}

/* ---- bash: a case per verb for the words, a case per option for its values ---- */

static void put_bash_values(FILE *file, const option *table) {
  for (const option *o = table; o != NULL && o->name != NULL; o++) {
    if (o->choices == NULL) continue;
    fprintf(file, "      [ \"$before\" != --%s ] || values=\"", o->name);
    put_choices(file, o->choices);
    fputs("\"\n", file);
  }
}

static void print_bash(FILE *file) {
  fputs("# bash completion for limbeck; made by `limbeck completion bash`\n"
        "_limbeck() {\n"
        "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
        "  local verb=${COMP_WORDS[1]} words= values=\n"
        "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
        "    COMPREPLY=($(compgen -W \"",
        file);
  put_verb_names(file);
  fputs("\" -- \"$word\"))\n    return\n  fi\n  case $verb in\n", file);
  for (size_t i = 0; verb_at(i) != NULL; i++) {
    const verb *v = verb_at(i);
    fprintf(file, "    %s)\n      words=\"", v->name);
    put_words(file, v->options);
    put_words(file, extra_options(v));
    put_words(file, global_options);
    fputs("\"\n", file);
    if (first_choices(v) != NULL) {
      fputs("      [ \"$COMP_CWORD\" -ne 2 ] || values=\"", file);
      put_choices(file, first_choices(v));
      fputs("\"\n", file);
    }
    put_bash_values(file, v->options);
    put_bash_values(file, extra_options(v));
    fputs("      ;;\n", file);
  }
  fputs("    *) return ;;\n  esac\n"
        "  if [ -n \"$values\" ]; then COMPREPLY=($(compgen -W \"$values\" -- \"$word\"))\n"
        "  elif [ \"${word#-}\" != \"$word\" ]; then COMPREPLY=($(compgen -W \"$words\" -- "
        "\"$word\"))\n"
        "  else COMPREPLY=($(compgen -f -- \"$word\")); fi\n"
        "}\n"
        "complete -o filenames -F _limbeck limbeck\n",
        file);
}

/* ---- zsh and fish show the help beside each word ---- */

/* Text inside single quotes; `special` characters get a backslash as well. */
static void put_quoted(FILE *file, const char *prose, const char *special) {
  for (const char *c = prose; *c != '\0'; c++) {
    if (*c == '\'')
      fputs("'\\''", file);
    else {
      if (strchr(special, *c) != NULL) fputc('\\', file);
      fputc(*c, file);
    }
  }
}

static void put_zsh_options(FILE *file, const option *table) {
  for (const option *o = table; o != NULL && o->name != NULL; o++) {
    fprintf(file, " \\\n        '%s--%s%s[", o->kind == OPTION_TEXTS ? "*" : "", o->name,
            o->kind == OPTION_FLAG ? "" : "=");
    put_quoted(file, o->help, "[]:\\");
    fputc(']', file);
    if (o->choices != NULL) {
      fprintf(file, ":%s:(", o->name);
      put_choices(file, o->choices);
      fputc(')', file);
    } else if (o->kind != OPTION_FLAG) {
      fprintf(file, ":%s:_files", o->value);
    }
    fputc('\'', file);
  }
}

static void print_zsh(FILE *file) {
  fputs("#compdef limbeck\n# zsh completion; made by `limbeck completion zsh`\n"
        "_limbeck() {\n  local -a verbs\n  verbs=(\n",
        file);
  for (size_t i = 0; verb_at(i) != NULL; i++) {
    fprintf(file, "    '%s:", verb_at(i)->name);
    put_quoted(file, verb_at(i)->summary, ":\\");
    fputs("'\n", file);
  }
  fputs("  )\n  if (( CURRENT == 2 )); then _describe verb verbs; return; fi\n"
        "  local verb=$words[2]\n  shift words; (( CURRENT-- ))\n  case $verb in\n",
        file);
  for (size_t i = 0; verb_at(i) != NULL; i++) {
    const verb *v = verb_at(i);
    fprintf(file, "    %s)\n      _arguments", v->name);
    put_zsh_options(file, v->options);
    put_zsh_options(file, extra_options(v));
    put_zsh_options(file, global_options);
    if (first_choices(v) != NULL) {
      fprintf(file, " \\\n        '1:%s:(", v->positionals[0].name);
      put_choices(file, first_choices(v));
      fputs(")'", file);
    }
    fputs(" \\\n        '*:file:_files' ;;\n", file);
  }
  fputs("  esac\n}\n_limbeck \"$@\"\n", file);
}

static void put_fish_options(FILE *file, const char *condition, const option *table) {
  for (const option *o = table; o != NULL && o->name != NULL; o++) {
    fprintf(file, "complete -c limbeck %s -l %s%s", condition, o->name,
            o->kind == OPTION_FLAG ? "" : " -r");
    if (o->choices != NULL) {
      fputs(" -f -a '", file);
      put_choices(file, o->choices);
      fputc('\'', file);
    }
    fputs(" -d '", file);
    for (const char *c = o->help; *c != '\0'; c++)
      fprintf(file, strchr("'\\", *c) != NULL ? "\\%c" : "%c", *c);
    fputs("'\n", file);
  }
}

static void print_fish(FILE *file) {
  char condition[80];
  fputs("# fish completion for limbeck; made by `limbeck completion fish`\n", file);
  for (size_t i = 0; verb_at(i) != NULL; i++)
    fprintf(file, "complete -c limbeck -n __fish_use_subcommand -f -a %s -d '%s'\n",
            verb_at(i)->name, verb_at(i)->summary);
  for (size_t i = 0; verb_at(i) != NULL; i++) {
    const verb *v = verb_at(i);
    snprintf(condition, sizeof condition, "-n '__fish_seen_subcommand_from %s'", v->name);
    if (first_choices(v) != NULL) {
      fprintf(file, "complete -c limbeck %s -a '", condition);
      put_choices(file, first_choices(v));
      fputs("'\n", file);
    }
    put_fish_options(file, condition, v->options);
    put_fish_options(file, condition, extra_options(v));
  }
  put_fish_options(file, "", global_options);
}

void completion_print(FILE *file, const char *shell) {
  if (strcmp(shell, "zsh") == 0)
    print_zsh(file);
  else if (strcmp(shell, "fish") == 0)
    print_fish(file);
  else
    print_bash(file);
}

/* verb_help.c - `limbeck help`, `version` and `completion`: what the binary says about itself. */
#include "cli.h"
#include "json_writer.h"
#include "recipe_options.h"

#include <limbeck/environment.h>

#include <string.h>

typedef struct help_args {
  verb_args words;
  bool man, recipe_markdown;
} help_args;

static const option help_options[] = {{.name = "man",
                                       .kind = OPTION_FLAG,
                                       .offset = offsetof(help_args, man),
                                       .help = "print the manual page, for man"},
                                      {.name = "recipe-markdown",
                                       .kind = OPTION_FLAG,
                                       .offset = offsetof(help_args, recipe_markdown),
                                       .help = "print the keys of a recipe as docs/recipe.md"},
                                      {0}};

/* What `limbeck help` explains that is no verb. */
static bool explain_topic(const cli *c, const char *name) {
  if (strcmp(name, "recipe") != 0) return false;
  puts("A recipe is a YAML file. Every key may also be an option of distill, plan, verify and\n"
       "inspect: learning_rate=1e-4, train.learning_rate=1e-4, --learning-rate 1e-4.");
  recipe_print_keys(c, stdout);
  return true;
}

static int run_help(cli *c, void *opaque) {
  const help_args *args = opaque;
  const char *name = args->words.positional[0];
  if (args->man) {
    man_page_print(stdout);
    return CLI_DONE;
  }
  if (args->recipe_markdown) {
    recipe_print_markdown(stdout);
    return CLI_DONE;
  }
  if (name == NULL) {
    help_overview(c, stdout);
    return CLI_DONE;
  }
  const verb *v = verb_find(name);
  if (v != NULL) {
    help_verb(c, v, stdout);
    return CLI_DONE;
  }
  if (explain_topic(c, name)) return CLI_DONE;
  suggestion s = suggestion_for(name, strlen(name));
  for (size_t i = 0; verb_at(i) != NULL; i++) suggestion_consider(&s, verb_at(i)->name);
  suggestion_consider(&s, "recipe");
  text hint = {0};
  if (s.best != NULL) text_putf(&hint, "did you mean '%s'?", s.best);
  int code = cli_usage(c, text_get(&hint), "unknown verb '%s'", name);
  text_free(&hint);
  return code;
}

const verb verb_help = {.name = "help",
                        .summary = "explain a verb",
                        .description =
                            "Lists the verbs, or explains one with its options and examples. "
                            "limbeck help recipe explains the keys of a recipe.",
                        .positionals = {{.name = "VERB",
                                         .help = "which one, or recipe; without it, all verbs are "
                                                 "listed",
                                         .optional = true}},
                        .options = help_options,
                        .examples = {{"limbeck help generate", "the options of generate"},
                                     {"limbeck help recipe", "every key of a recipe"},
                                     {"limbeck help --man > limbeck.1", "the manual page"}},
                        .args_size = sizeof(help_args),
                        .run = run_help};

static int run_version(cli *c, void *opaque) {
  (void)opaque;
  if (!c->global.json) {
    printf("limbeck %s\n", lb_version());
    return CLI_DONE;
  }
  writer w = {0};
  writer_open_object(&w, NULL);
  writer_string(&w, "version", lb_version());
  writer_close_object(&w);
  writer_end_line(&w);
  writer_free(&w);
  return CLI_DONE;
}

const verb verb_version = {.name = "version",
                           .summary = "print the version",
                           .description = "Prints the version of Limbeck.",
                           .run = run_version};

static int run_completion(cli *c, void *opaque) {
  const verb_args *words = opaque;
  (void)c;
  completion_print(stdout, words->positional[0]);
  return CLI_DONE;
}

const verb verb_completion = {
    .name = "completion",
    .summary = "shell completion for bash, zsh or fish",
    .description = "Prints a completion script made from the same tables as the help.",
    .positionals = {{.name = "SHELL", .help = "bash, zsh or fish", .choices = "bash|zsh|fish"}},
    .examples = {{"eval \"$(limbeck completion bash)\"", "in ~/.bashrc"},
                 {"limbeck completion zsh > ~/.zfunc/_limbeck", "zsh, with ~/.zfunc in fpath"},
                 {"limbeck completion fish > ~/.config/fish/completions/limbeck.fish", "fish"}},
    .run = run_completion};

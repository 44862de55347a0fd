/* verb_help.c - `limbeck help`, `version` and `completion`: what the binary says about itself. */
#include "cli.h"
#include "json_writer.h"

#include <limbeck/environment.h>

#include <string.h>

typedef struct help_args {
  verb_args words;
  bool man;
} help_args;

static const option help_options[] = {{.name = "man",
                                       .kind = OPTION_FLAG,
                                       .offset = offsetof(help_args, man),
                                       .help = "print the manual page, for man"},
                                      {0}};

static int run_help(cli *c, void *opaque) {
  const help_args *args = opaque;
  const char *name = args->words.positional[0];
  if (args->man) {
    man_page_print(stdout);
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
  suggestion s = suggestion_for(name, strlen(name));
  for (size_t i = 0; verb_at(i) != NULL; i++) suggestion_consider(&s, verb_at(i)->name);
  text hint = {0};
  if (s.best != NULL) text_putf(&hint, "did you mean '%s'?", s.best);
  int code = cli_usage(c, text_get(&hint), "unknown verb '%s'", name);
  text_free(&hint);
  return code;
}

const verb verb_help = {.name = "help",
                        .summary = "explain a verb",
                        .description =
                            "Lists the verbs, or explains one with its options and examples.",
                        .positionals = {{.name = "VERB",
                                         .help = "which one; without it, all are listed",
                                         .optional = true}},
                        .options = help_options,
                        .examples = {{"limbeck help generate", "the options of generate"},
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

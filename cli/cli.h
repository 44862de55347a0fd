/* cli.h - what every verb of the binary shares.
 *
 * Owns: the shape of a verb (a row of data: name, arguments, options, examples, one function), the
 * context that a running verb receives, exit codes, and how errors are told. Help, the man page,
 * shell completion, parsing and "did you mean" all read the same rows, so they cannot disagree.
 * Refuses: anything that is not <limbeck/...>, jansson or libc (tools/check_layers).
 * Read next: verbs.c (the list), main.c (the life of one call), verb_generate.c (the main verb). */
#ifndef CLI_H
#define CLI_H

#include "option_table.h"

#include <limbeck/status.h>

#include <signal.h>
#include <stdio.h>

/* Exit codes are part of the contract (docs/limbeck.1). */
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_INTERRUPTED = 3 };

typedef struct cli cli;

typedef struct positional {
  const char *name; /* "MODEL"; NULL ends the list */
  const char *help;
  bool optional;
  const char *choices; /* "bash|zsh|fish", or NULL: anything */
} positional;

typedef struct example {
  const char *command; /* NULL ends the list */
  const char *meaning;
} example;

enum { POSITIONALS_MAX = 3 };

typedef struct verb {
  const char *name;
  const char *summary;     /* one line, for the overview */
  const char *description; /* paragraphs, separated by an empty line */
  positional positionals[POSITIONALS_MAX + 1];
  const option *options;   /* ends with a row without a name; NULL: none */
  example examples[6];     /* ends with an empty one */
  size_t args_size;        /* of the struct that the options fill; it begins with verb_args */
  extra_key_fn *extra_key; /* keys beyond the options: those of a recipe; NULL: none */
  bool explains_keys;      /* the help of this verb is where they are explained */
  int (*run)(cli *c, void *args);
} verb;

/* The first member of every verb's struct: the words that are not options, in order. */
typedef struct verb_args {
  const char *positional[POSITIONALS_MAX];
} verb_args;

/* One running verb. */
struct cli {
  const verb *verb;
  struct global_args { /* filled from global_options, main.c */
    bool json, quiet, verbose, no_color, help, version;
    int64_t threads;
  } global;
  option_sources sources;
  extra_values extra; /* "key=value" of keys beyond the options */
  bool out_is_terminal, err_is_terminal;
};

extern const option global_options[];

/* verbs.c: every verb, in the order of the overview; NULL past the end. */
const verb *verb_at(size_t i);
const verb *verb_find(const char *name);

/* True when the command line or the environment set the option (its default did not). */
bool cli_is_given(const cli *c, const char *option_name);

/* ---- telling ---- */

/* "error: ..." and, when hint is not NULL, "hint: ..." on stderr.
 * @return CLI_USAGE, so that a verb can `return cli_usage(...)`. */
int cli_usage(const cli *c, const char *hint, const char *format, ...) LB_PRINTF(3, 4);
/* The same for things that went wrong although the call was right. @return CLI_FAILED */
int cli_failure(const cli *c, const char *hint, const char *format, ...) LB_PRINTF(3, 4);
/* Tells the library's error. @return CLI_USAGE for a refused argument, CLI_INTERRUPTED after
 * Ctrl-C, else CLI_FAILED */
int cli_error(const cli *c, const lb_error *err);
/* A remark for people: stderr, unless --quiet. */
void cli_note(const cli *c, const char *format, ...) LB_PRINTF(2, 3);
/* Flushes stdout; a full disk must not look like success. @return `code`, or CLI_FAILED */
int cli_finish(const cli *c, int code);

/* ---- Ctrl-C ---- */

/* Non-zero after SIGINT or SIGTERM. A second signal, of either kind, ends the process at once. */
extern volatile sig_atomic_t cli_cancelled;
/* Forgets a Ctrl-C (chat: it stopped only the answer) and listens for the next one. */
void cli_listen_for_cancel(void);

/* ---- help_text.c, man_page.c, completion.c ---- */

void help_overview(const cli *c, FILE *file);
void help_verb(const cli *c, const verb *v, FILE *file);
void help_print_heading(const cli *c, FILE *file, const char *heading);
/* Two columns: a short left side, and wrapped prose. */
void help_print_entry(FILE *file, const char *left, const char *prose);
void man_page_print(FILE *file);
void man_page_put(FILE *file, const char *prose); /* as roff */
void completion_print(FILE *file, const char *shell);
/* "--max-new-tokens N", "--json", "--early-stopping true|false|never" */
void option_print_spelling(text *out, const option *o);
/* "MODEL [TEXT]" */
void verb_print_arguments(text *out, const verb *v);

#endif

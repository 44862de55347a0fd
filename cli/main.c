/* main.c - the life of one call: find the verb, read its options, run it, tell what happened.
 * Read next: verbs.c for the list of verbs, option_table.c for how options are read. */
#define _GNU_SOURCE /* vasprintf */
#include "terminal.h"

#include <limbeck/environment.h>

#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GLOBAL(field) offsetof(struct global_args, field)
const option global_options[] = {
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = GLOBAL(json),
     .help = "print results as JSON on stdout, and nothing else there"},
    {.name = "threads",
     .kind = OPTION_INT,
     .offset = GLOBAL(threads),
     .value = "N",
     .range = "0..4096",
     .help = "compute with N threads; 0 means OMP_NUM_THREADS, else every core"},
    {.name = "quiet",
     .aliases = "q",
     .kind = OPTION_FLAG,
     .offset = GLOBAL(quiet),
     .help = "no remarks on stderr; errors are still told"},
    {.name = "verbose",
     .aliases = "v",
     .kind = OPTION_FLAG,
     .offset = GLOBAL(verbose),
     .help = "tell on stderr what the library does"},
    {.name = "no-color",
     .aliases = "no-colour",
     .kind = OPTION_FLAG,
     .offset = GLOBAL(no_color),
     .help = "no colours; NO_COLOR in the environment means the same"},
    {.name = "help",
     .aliases = "h",
     .kind = OPTION_FLAG,
     .offset = GLOBAL(help),
     .only_typed = true,
     .help = "explain the verb and stop"},
    {.name = "version",
     .kind = OPTION_FLAG,
     .offset = GLOBAL(version),
     .only_typed = true,
     .help = "print the version and stop"},
    {0}};

/* ---- before anything else ---- */

/* Idle threads of libgomp spin for a third of a million turns by default. When other programs want
 * the cores too, everyone then waits for everyone: a busy 2-core machine made 0.8 tokens/s instead
 * of 37 (docs/decisions/0003). libgomp reads its environment before main runs, so the program
 * starts itself again with a short spin, unless the user has chosen. */
static void shorten_spin(char **argv) {
  if (getenv("GOMP_SPINCOUNT") != NULL || getenv("OMP_WAIT_POLICY") != NULL) return;
  if (setenv("GOMP_SPINCOUNT", "1000", 1) != 0) return;
  execv("/proc/self/exe", argv); /* where that does not work we go on as we are */
}

/* ---- telling ---- */

/* One line whatever is in it: messages quote file names and file contents. */
static void tell(const cli *c, const char *label, const char *message) {
  text line = {0};
  text_put_visible(&line, message, strlen(message));
  fflush(stdout); /* keep the order when both go to one place */
  fprintf(stderr, "%s%s:%s %s\n", terminal_bold(c, stderr), label, terminal_plain(c, stderr),
          text_get(&line));
  text_free(&line);
}

static void tell_format(const cli *c, const char *hint, const char *format, va_list args) {
  char *message = NULL;
  if (vasprintf(&message, format, args) < 0) message = NULL;
  tell(c, "error", message == NULL ? "out of memory" : message);
  if (hint != NULL && hint[0] != '\0') tell(c, "hint", hint);
  free(message);
}

int cli_usage(const cli *c, const char *hint, const char *format, ...) {
  va_list args;
  va_start(args, format);
  tell_format(c, hint, format, args);
  va_end(args);
  return CLI_USAGE;
}

int cli_failure(const cli *c, const char *hint, const char *format, ...) {
  va_list args;
  va_start(args, format);
  tell_format(c, hint, format, args);
  va_end(args);
  return CLI_FAILED;
}

int cli_error(const cli *c, const lb_error *err) {
  if (err->status == LB_E_CANCELLED) {
    cli_note(c, "interrupted");
    return CLI_INTERRUPTED;
  }
  tell(c, "error", err->message[0] != '\0' ? err->message : lb_status_text(err->status));
  return err->status == LB_E_ARG ? CLI_USAGE : CLI_FAILED;
}

void cli_note(const cli *c, const char *format, ...) {
  if (c->global.quiet) return;
  va_list args;
  va_start(args, format);
  fflush(stdout);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
}

int cli_finish(const cli *c, int code) {
  bool bad = fflush(stdout) != 0 || ferror(stdout);
  if (!bad) return code;
  return cli_failure(c, NULL, "standard output: %s", strerror(errno));
}

bool cli_is_given(const cli *c, const char *name) {
  size_t index = 0;
  const option *tables[] = {c->verb->options, global_options};
  for (int t = 0; t < 2; t++)
    for (const option *o = tables[t]; o != NULL && o->name != NULL; o++, index++)
      if (strcmp(o->name, name) == 0) return c->sources.of[index] != FROM_DEFAULT;
  return false;
}

static void log_line(void *ctx, lb_log_level level, const char *line) {
  const cli *c = ctx;
  if (level == LB_LOG_WARN && !c->global.quiet)
    tell(c, "warning", line);
  else if (level == LB_LOG_NOTE && !c->global.quiet)
    tell(c, "limbeck", line);
  else if (c->global.verbose)
    tell(c, level == LB_LOG_DEBUG ? "debug" : "info", line);
}

/* ---- Ctrl-C ---- */

volatile sig_atomic_t cli_cancelled;

/* One shot for both signals: a second one, also of the other kind, ends a process that is slow to
 * notice the first. */
static void on_signal(int number) {
  (void)number;
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  cli_cancelled = 1;
}

void cli_listen_for_cancel(void) {
  /* No SA_RESTART: a read that waits for a line must wake up. */
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
  cli_cancelled = 0;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

/* ---- one call ---- */

static const char *missing_positional(const verb *v, const verb_args *args) {
  for (size_t i = 0; v->positionals[i].name != NULL; i++)
    if (!v->positionals[i].optional && args->positional[i] == NULL) return v->positionals[i].name;
  return NULL;
}

static int check_choice(const cli *c, const positional *p, const char *word) {
  const char *part;
  size_t size;
  suggestion s = suggestion_for(word, strlen(word));
  for (size_t k = 0; (size = choice_part(&part, p->choices, k)) > 0; k++)
    if (strlen(word) == size && memcmp(part, word, size) == 0) return CLI_DONE;
  text hint = {0};
  char *names = cli_copy(p->choices, strlen(p->choices));
  for (char *name = strtok(names, "|"); name != NULL; name = strtok(NULL, "|"))
    suggestion_consider(&s, name);
  if (s.best != NULL) text_putf(&hint, "did you mean '%s'?", s.best);
  int code =
      cli_usage(c, text_get(&hint), "%s: want one of %s, found '%s'", p->name, p->choices, word);
  free(names);
  text_free(&hint);
  return code;
}

static int run_verb(cli *c, verb_args *args) {
  const verb *v = c->verb;
  text hint = {0}, usage = {0};
  verb_print_arguments(&usage, v);
  text_putf(&hint, "usage: limbeck %s%s; more: limbeck help %s", v->name, text_get(&usage),
            v->name);
  const char *missing = missing_positional(v, args);
  int code = CLI_DONE;
  if (missing != NULL) code = cli_usage(c, text_get(&hint), "%s is missing", missing);
  for (size_t i = 0; code == CLI_DONE && v->positionals[i].name != NULL; i++)
    if (v->positionals[i].choices != NULL && args->positional[i] != NULL)
      code = check_choice(c, &v->positionals[i], args->positional[i]);
  text_free(&hint);
  text_free(&usage);
  if (code != CLI_DONE) return code;
  lb_log_set(log_line, c);
  lb_threads_set((int)c->global.threads);
  cli_listen_for_cancel();
  return v->run(c, args);
}

static size_t count_positionals(const verb *v) {
  size_t n = 0;
  while (v->positionals[n].name != NULL) n++;
  return n;
}

static int print_version(void) {
  printf("limbeck %s\n", lb_version());
  return CLI_DONE;
}

static int call_verb(cli *c, int argc, char **argv) {
  const verb *v = c->verb;
  void *args = cli_alloc(v->args_size > sizeof(verb_args) ? v->args_size : sizeof(verb_args));
  option_target targets[2] = {{v->options, args, v->extra_key, &c->extra},
                              {global_options, &c->global, NULL, NULL}};
  option_complaint complaint = {0};
  int code;
  bool ok = options_parse(targets, &c->sources, argc, argv, ((verb_args *)args)->positional,
                          count_positionals(v), &complaint);
  if (getenv("NO_COLOR") != NULL && getenv("NO_COLOR")[0] != '\0') c->global.no_color = true;
  if (!ok) {
    if (complaint.hint.size == 0) text_putf(&complaint.hint, "see 'limbeck help %s'", v->name);
    code = cli_usage(c, text_get(&complaint.hint), "%s", text_get(&complaint.message));
  } else if (c->global.help) {
    help_verb(c, v, stdout);
    code = CLI_DONE;
  } else if (c->global.version) {
    code = print_version();
  } else {
    code = run_verb(c, args);
  }
  options_free(targets[0]);
  extra_values_free(&c->extra);
  text_free(&complaint.message);
  text_free(&complaint.hint);
  free(args);
  return cli_finish(c, code);
}

static int unknown_verb(const cli *c, const char *name) {
  suggestion s = suggestion_for(name, strlen(name));
  for (size_t i = 0; verb_at(i) != NULL; i++) suggestion_consider(&s, verb_at(i)->name);
  text hint = {0};
  if (s.best != NULL)
    text_putf(&hint, "did you mean 'limbeck %s'?", s.best);
  else
    text_put(&hint, "limbeck help lists the verbs");
  int code = cli_usage(c, text_get(&hint), "unknown verb '%s'", name);
  text_free(&hint);
  return code;
}

/* Options of every verb may stand before it: `limbeck --threads 1 generate ...`. The verb moves to
 * the front; what stood before it follows. */
static void move_verb_to_front(int argc, char **argv) {
  int at = 1;
  while (at < argc && (argv[at][0] == '-' || verb_find(argv[at]) == NULL)) at++;
  if (at == argc || argv[1][0] != '-') return;
  char *word = argv[at];
  memmove(&argv[2], &argv[1], (size_t)(at - 1) * sizeof *argv);
  argv[1] = word;
}

int main(int argc, char **argv) {
  cli c = {.out_is_terminal = isatty(STDOUT_FILENO), .err_is_terminal = isatty(STDERR_FILENO)};
  shorten_spin(argv);
  setlocale(LC_CTYPE, "C.UTF-8"); /* for wcwidth; numbers stay in the C locale */
  if (argc < 2) {
    help_overview(&c, stderr);
    return CLI_USAGE;
  }
  move_verb_to_front(argc, argv);
  const char *word = argv[1];
  if (strcmp(word, "--version") == 0) return cli_finish(&c, print_version());
  if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) word = "help";
  c.verb = verb_find(word);
  if (c.verb == NULL) return unknown_verb(&c, word);
  return call_verb(&c, argc - 2, argv + 2);
}

/* man_page.c - docs/limbeck.1, from the same rows as the help. `limbeck help --man` prints it;
 * tests/cli/test_man_page.sh keeps the file in docs/ equal to it. */
#include "recipe_options.h"

#include <limbeck/environment.h>

#include <string.h>

/* roff reads '\' as an escape and '.' or '\'' at the start of a line as a request. */
void man_page_put(FILE *file, const char *prose) {
  bool at_start = true;
  for (const char *c = prose; *c != '\0'; c++) {
    if (at_start && (*c == '.' || *c == '\'')) fputs("\\&", file);
    at_start = *c == '\n';
    if (*c == '\\')
      fputs("\\e", file);
    else if (*c == '-')
      fputs("\\-", file);
    else if (*c == '\n' && c[1] == '\n') {
      fputs("\n.PP\n", file);
      c++;
    } else
      fputc(*c, file);
  }
}

static void print_options(FILE *file, const option *table) {
  text left = {0};
  for (const option *o = table; o != NULL && o->name != NULL; o++) {
    text_clear(&left);
    option_print_spelling(&left, o);
    fputs(".TP\n.B ", file);
    man_page_put(file, text_get(&left));
    fputc('\n', file);
    man_page_put(file, o->help);
    if (o->fallback != NULL) fprintf(file, " (default: %s)", o->fallback);
    fputc('\n', file);
  }
  text_free(&left);
}

static void print_verb(FILE *file, const verb *v) {
  text arguments = {0};
  verb_print_arguments(&arguments, v);
  fprintf(file, ".SS limbeck %s%s\n", v->name, text_get(&arguments));
  text_free(&arguments);
  man_page_put(file, v->description);
  fputc('\n', file);
  for (const positional *p = v->positionals; p->name != NULL; p++) {
    fprintf(file, ".TP\n.I %s\n", p->name);
    man_page_put(file, p->help);
    fputc('\n', file);
  }
  print_options(file, v->options);
  for (const example *e = v->examples; e->command != NULL; e++) {
    fputs(".PP\n", file);
    man_page_put(file, e->meaning);
    fputs(":\n.PP\n.RS\n.nf\n", file);
    man_page_put(file, e->command);
    fputs("\n.fi\n.RE\n", file);
  }
}

void man_page_print(FILE *file) {
  fprintf(file,
          ".\\\" Made by `limbeck help --man`; do not edit.\n"
          ".TH LIMBECK 1 \"\" \"limbeck %s\" \"User Commands\"\n"
          ".SH NAME\nlimbeck \\- distil and run language models natively\n"
          ".SH SYNOPSIS\n.B limbeck\n.I VERB\n[arguments] [options]\n"
          ".SH DESCRIPTION\n",
          lb_version());
  man_page_put(
      file, "Limbeck distils large language models into small ones, and runs them, on the CPU: "
            "Hugging Face folders and GGUF files, without Python.\n\n"
            "--key value, --key=value and key=value mean the same, and so do - and _ inside a key. "
            "The command line beats the environment (LIMBECK_KEY, as in LIMBECK_THREADS), which "
            "beats the default.\n\n"
            "With --json, stdout carries JSON and nothing else; remarks go to stderr.\n");
  fputs(".SH VERBS\n", file);
  for (size_t i = 0; verb_at(i) != NULL; i++) print_verb(file, verb_at(i));
  fputs(".SH OPTIONS OF EVERY VERB\n", file);
  print_options(file, global_options);
  fputs(".SH RECIPE\n", file);
  man_page_put(file, "The keys of a recipe, in YAML or as options of the verbs that take one.\n");
  recipe_print_man(file);
  fputs(".SH EXIT STATUS\n"
        ".TP\n0\ndone\n.TP\n1\nfailed; stderr says why\n"
        ".TP\n2\nthe command line was wrong\n.TP\n3\ninterrupted; a run that saved a checkpoint "
        "can go on\n"
        ".SH ENVIRONMENT\n"
        ".TP\nLIMBECK_\\fIKEY\\fR\nthe value of option \\-\\-\\fIkey\\fR, for every option\n"
        ".TP\nLIMBECK_KERNELS\nwhich kernels compute: \\fBreference\\fR forces the plain ones\n"
        ".TP\nNO_COLOR\nno colours, when set to anything\n"
        ".TP\nHF_HOME, HF_HUB_CACHE\nwhere the local hub cache is\n",
        file);
}

/* verb_verify.c - `limbeck verify`: the important checks again, on the user's own models and data.
 */
#include "json_writer.h"
#include "recipe_options.h"
#include "terminal.h"

#include <string.h>

typedef struct verification {
  const cli *c;
  size_t n_passed, n_failed, n_skipped;
} verification;

static const char *const outcome_names[] = {"PASS", "FAIL", "SKIP"};
static const char *const outcome_colors[] = {"\033[32m", "\033[31m", "\033[33m"};

static void print_check(const verification *v, const lb_check *check) {
  bool is_colored = terminal_bold(v->c, stdout)[0] != '\0';
  text found = {0};
  text_put_visible(&found, check->found, strlen(check->found));
  printf("%s%s%s  %s%s%s\n", is_colored ? outcome_colors[check->outcome] : "",
         outcome_names[check->outcome], terminal_plain(v->c, stdout), check->name,
         found.size > 0 ? ": " : "", text_get(&found));
  text_free(&found);
}

static void write_check(const lb_check *check) {
  static const char *const names[] = {"passed", "failed", "skipped"};
  writer w = {0};
  writer_open_object(&w, NULL);
  writer_string(&w, "check", check->name);
  writer_string(&w, "outcome", names[check->outcome]);
  writer_string(&w, "found", check->found);
  writer_close_object(&w);
  writer_end_line(&w);
  writer_free(&w);
}

static void on_check(void *ctx, const lb_check *check) {
  verification *v = ctx;
  if (check->outcome == LB_CHECK_PASSED) v->n_passed++;
  if (check->outcome == LB_CHECK_FAILED) v->n_failed++;
  if (check->outcome == LB_CHECK_SKIPPED) v->n_skipped++;
  if (v->c->global.json)
    write_check(check);
  else
    print_check(v, check);
  fflush(stdout); /* each as it ends: some take a while */
}

static int tell_summary(const verification *v, size_t n_failed) {
  cli_note(v->c, "%zu passed, %zu failed, %zu skipped", v->n_passed, n_failed, v->n_skipped);
  if (n_failed == 0) return CLI_DONE;
  return cli_failure(v->c, "please report what the checks printed, with the model's name",
                     "%zu of the checks failed", n_failed);
}

static int run_verify(cli *c, void *opaque) {
  const verb_args *words = opaque;
  verification v = {.c = c};
  lb_recipe *recipe;
  lb_error err = {0};
  size_t n_failed = 0;
  int code = recipe_open(&recipe, c, words->positional[0]);
  if (code != CLI_DONE) return code;
  lb_status st = lb_verify(&n_failed, recipe, on_check, &v, &cli_cancelled, &err);
  code = st == LB_OK ? tell_summary(&v, n_failed) : cli_error(c, &err);
  lb_recipe_free(recipe);
  return code;
}

const verb verb_verify = {
    .name = "verify",
    .summary = "check gradients, losses and data on a recipe's own models",
    .description = "Repeats the checks that Limbeck's own tests make, on your models and your "
                   "texts: gradients against differences, no loss when the student is the teacher, "
                   "the same result however a batch is cut, labels in their places, a quantised "
                   "teacher against its full precision. Trains nothing. Exit code 1 when one "
                   "fails.\n\nWith --json: an object per check.",
    .positionals = {{.name = "RECIPE",
                     .help = "a YAML file; without it the keys on the command line say all",
                     .optional = true}},
    .examples = {{"limbeck verify recipe.yaml", "a line per check"}},
    .extra_key = recipe_extra_key,
    .run = run_verify};

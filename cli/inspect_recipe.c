/* inspect_recipe.c - see inspect_recipe.h. Trained tokens are green on a terminal, and stand
 * between the brackets U+27E6 and U+27E7 elsewhere. */
#include "inspect_recipe.h"
#include "plan_view.h"
#include "recipe_options.h"
#include "run_display.h"

#include <string.h>

bool inspect_is_recipe(const char *path) {
  size_t size = strlen(path);
  return (size > 5 && strcmp(path + size - 5, ".yaml") == 0) ||
         (size > 4 && strcmp(path + size - 4, ".yml") == 0);
}

/* ---- for people ---- */

static void print_counts(const lb_plan *p, const cli *c) {
  table t = {.align = "ll"};
  const struct {
    const char *name;
    int64_t n;
  } counts[] = {
      {"documents", p->documents},           {"tokens", p->tokens},
      {"trained tokens", p->trained_tokens}, {"left out, no trained token", p->untrained_documents},
      {"cut short", p->truncated_documents}, {"held-out documents", p->eval_documents},
  };
  table_add(&t, "format");
  table_add(&t, "%s", p->data_format);
  table_add(&t, "trained on");
  table_add(&t, "%s", p->train_on);
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    if (i > 2 && counts[i].n == 0) continue;
    table_add(&t, "%s", counts[i].name);
    table_add(&t, "%lld", (long long)counts[i].n);
  }
  table_print(&t, c, stdout);
  table_free(&t);
}

static void print_example(const lb_example *shown, const cli *c, int64_t document) {
  bool is_colored = terminal_bold(c, stdout)[0] != '\0';
  const char *begin = is_colored ? "\033[32m" : "⟦", *end = is_colored ? "\033[0m" : "⟧";
  size_t n;
  const lb_example_piece *pieces = lb_example_pieces(shown, &n);
  printf("\n%sexample %lld%s (trained: %s%s%s)\n", terminal_bold(c, stdout), (long long)document,
         terminal_plain(c, stdout), begin, is_colored ? "green" : "in brackets", end);
  for (size_t i = 0; i < n; i++) {
    if (pieces[i].is_trained) fputs(begin, stdout);
    terminal_print_text(stdout, c->out_is_terminal, pieces[i].text, pieces[i].size);
    if (pieces[i].is_trained) fputs(end, stdout);
  }
  putchar('\n');
}

/* ---- for programs ---- */

static void write_all(const lb_plan *plan, const lb_example *shown, int64_t document) {
  writer w = {0};
  size_t n;
  const lb_example_piece *pieces = lb_example_pieces(shown, &n);
  writer_open_object(&w, NULL);
  writer_string(&w, "data_format", plan->data_format);
  writer_string(&w, "train_on", plan->train_on);
  writer_int(&w, "documents", plan->documents);
  writer_int(&w, "tokens", plan->tokens);
  writer_int(&w, "trained_tokens", plan->trained_tokens);
  writer_int(&w, "untrained_documents", plan->untrained_documents);
  writer_int(&w, "truncated_documents", plan->truncated_documents);
  writer_int(&w, "eval_documents", plan->eval_documents);
  writer_int(&w, "example", document);
  writer_open_array(&w, "pieces");
  for (size_t i = 0; i < n; i++) {
    writer_open_object(&w, NULL);
    writer_text(&w, "text", pieces[i].text, pieces[i].size);
    writer_bool(&w, "trained", pieces[i].is_trained);
    writer_close_object(&w);
  }
  writer_close_array(&w);
  writer_close_object(&w);
  writer_end_line(&w);
  writer_free(&w);
}

/* ---- all of it ---- */

int inspect_recipe(const cli *c, const char *path, int64_t document) {
  lb_recipe *recipe;
  lb_example *shown = NULL;
  lb_plan plan;
  lb_error err = {0};
  run_display display;
  int code = recipe_open(&recipe, c, path);
  if (code != CLI_DONE) return code;
  run_display_init(&display, c);
  lb_distill_options options = run_display_options(&display);
  options.on_event = NULL;
  if (c->global.json) options.on_phase = NULL;
  lb_status st = lb_plan_make(&plan, recipe, false, &options, &err);
  if (st == LB_OK) st = lb_example_open(&shown, recipe, document, &err);
  run_display_deinit(&display);
  if (st != LB_OK) {
    code = cli_error(c, &err);
  } else if (c->global.json) {
    write_all(&plan, shown, document);
  } else {
    print_counts(&plan, c);
    print_example(shown, c, document);
  }
  lb_example_free(shown);
  lb_recipe_free(recipe);
  return code;
}

/* verb_distill.c - `limbeck distill`: the main job. The plan is shown first, and a run that cannot
 * fit is refused; then the run with its progress; then what came of it.
 * Read next: run_display.c (while it runs), result_view.c (at the end). */
#include "plan_view.h"
#include "recipe_options.h"
#include "result_view.h"
#include "run_display.h"

typedef struct distill_args {
  verb_args words;
  bool no_plan;
} distill_args;

static const option distill_options[] = {
    {.name = "no-plan",
     .kind = OPTION_FLAG,
     .offset = offsetof(distill_args, no_plan),
     .help = "do not show the plan; what does not fit is refused all the same"},
    {0}};

static void write_plan_event(const lb_plan *plan) {
  writer w = {0};
  writer_open_object(&w, NULL);
  writer_string(&w, "event", "plan");
  plan_write(plan, &w);
  writer_close_object(&w);
  writer_end_line(&w);
  fflush(stdout);
  writer_free(&w);
}

static void on_plan(void *ctx, const lb_plan *plan) {
  run_display *d = ctx;
  run_display_end(d);
  if (d->c->global.json) write_plan_event(plan);
  if (!d->c->global.quiet) plan_print(plan, d->c, stderr);
}

static int tell_interrupted(const lb_distill_result *r, const cli *c, const char *path) {
  text command = {0}, visible = {0};
  if (r->last_checkpoint[0] != '\0') {
    recipe_put_command(&command, c, path, "resume_from_checkpoint=true");
    text_put_visible(&visible, text_get(&command), command.size);
    cli_note(c, "interrupted after step %lld; go on with:\n  %s", (long long)r->steps,
             text_get(&visible));
  } else {
    cli_note(c, "interrupted before the first checkpoint; nothing is kept");
  }
  text_free(&command);
  text_free(&visible);
  return CLI_INTERRUPTED;
}

static int run_recipe(run_display *d, lb_recipe *recipe, const cli *c, const char *path,
                      bool shows_plan) {
  lb_distill_result result;
  lb_error err = {0};
  lb_distill_options options = run_display_options(d);
  if (shows_plan) options.on_plan = on_plan, options.on_plan_ctx = d;
  lb_status st = lb_distill(&result, recipe, &options, &err);
  int code = CLI_DONE;
  run_display_end(d);
  if (st == LB_OK && c->global.json) result_write(&result);
  if (st != LB_OK) {
    code = cli_error(c, &err);
    if (result.report[0] != '\0') cli_note(c, "the run until then is in %s", result.report);
  } else if (result.is_interrupted) {
    code = tell_interrupted(&result, c, path);
  } else if (!c->global.json) {
    result_print(&result, c);
  }
  lb_distill_result_deinit(&result);
  return code;
}

static int run_distill(cli *c, void *opaque) {
  const distill_args *args = opaque;
  const char *path = args->words.positional[0];
  lb_recipe *recipe;
  run_display display;
  int code = recipe_open(&recipe, c, path);
  if (code != CLI_DONE) return code;
  run_display_init(&display, c);
  code = run_recipe(&display, recipe, c, path, !args->no_plan);
  run_display_deinit(&display);
  lb_recipe_free(recipe);
  return code;
}

const verb verb_distill = {
    .name = "distill",
    .summary = "distil a large model into a small one: the main job",
    .description =
        "Runs a recipe: reads the texts, loads teacher and student, trains, saves checkpoints that "
        "survive anything, and ends with a student that Transformers, vLLM and llama.cpp load, "
        "with "
        "figures that say how good it is. The plan is shown first; what cannot fit is refused.\n\n"
        "Ctrl-C finishes the step, saves and exits with 3; the command that goes on is printed. A "
        "second Ctrl-C leaves at once, with the last checkpoint whole.\n\n"
        "With --json: an object per line for the plan, each event and the result.",
    .positionals = {{.name = "RECIPE",
                     .help = "a YAML file; without it the keys on the command line say all",
                     .optional = true}},
    .options = distill_options,
    .examples = {{"limbeck distill recipe.yaml", "the job"},
                 {"limbeck distill recipe.yaml learning_rate=1e-4 num_train_epochs=3",
                  "with other settings"},
                 {"limbeck distill recipe.yaml resume_from_checkpoint=true",
                  "go on after an interruption"},
                 {"limbeck distill recipe.yaml alpha=0 output_dir=baseline",
                  "the same training on the text alone, to compare with"}},
    .args_size = sizeof(distill_args),
    .extra_key = recipe_extra_key,
    .explains_keys = true,
    .run = run_distill};

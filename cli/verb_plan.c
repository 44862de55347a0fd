/* verb_plan.c - `limbeck plan`: what a run will need, before anything is trained. */
#include "plan_view.h"
#include "recipe_options.h"
#include "run_display.h"

typedef struct plan_args {
  verb_args words;
  bool no_probe;
} plan_args;

static const option plan_options[] = {{.name = "no-probe",
                                       .kind = OPTION_FLAG,
                                       .offset = offsetof(plan_args, no_probe),
                                       .help = "do not run a few steps to estimate the time"},
                                      {0}};

static int tell_plan(const lb_plan *plan, const cli *c) {
  if (c->global.json) {
    writer w = {0};
    writer_open_object(&w, NULL);
    plan_write(plan, &w);
    writer_close_object(&w);
    writer_end_line(&w);
    writer_free(&w);
  } else {
    plan_print(plan, c, stdout);
  }
  return plan->fits ? CLI_DONE : plan_refuse(plan, c);
}

static int run_plan(cli *c, void *opaque) {
  const plan_args *args = opaque;
  lb_recipe *recipe;
  lb_plan plan;
  lb_error err = {0};
  run_display display;
  int code = recipe_open(&recipe, c, args->words.positional[0]);
  if (code != CLI_DONE) return code;
  run_display_init(&display, c);
  lb_distill_options options = run_display_options(&display);
  options.on_event = NULL;                     /* the probe's steps are nobody's news */
  if (c->global.json) options.on_phase = NULL; /* one object is promised */
  lb_status st = lb_plan_make(&plan, recipe, !args->no_probe, &options, &err);
  run_display_end(&display);
  code = st == LB_OK ? tell_plan(&plan, c) : cli_error(c, &err);
  run_display_deinit(&display);
  lb_recipe_free(recipe);
  return code;
}

const verb verb_plan = {
    .name = "plan",
    .summary = "memory, disk, tokens and time that a recipe will need",
    .description = "Reads the data, opens the models, trains a few steps to see how fast they are, "
                   "and throws them away. Says whether the run fits, and what would help when it "
                   "does not; the exit code is then 1.",
    .positionals = {{.name = "RECIPE",
                     .help = "a YAML file; without it the keys on the command line say all",
                     .optional = true}},
    .options = plan_options,
    .examples = {{"limbeck plan recipe.yaml", "the tables"},
                 {"limbeck plan recipe.yaml max_length=512 --json",
                  "what another setting changes"}},
    .args_size = sizeof(plan_args),
    .extra_key = recipe_extra_key,
    .run = run_plan};

/* test_golden_plan.c - what a plan says a step will hold is what a step holds: the estimate of
 * activations and heads beside the high water of the student's step arena, for every family, with
 * and without gradient checkpointing. */
#include "golden.h"

#include "faults.h"
#include "scratch.h"

#include "distill/method.h"
#include "distill/plan_memory.h"

#include <stdio.h>
#include <string.h>

static lb_recipe *make_recipe(const char *model, const char *data, const char *kind,
                              const char *checkpointing) {
  char teacher[512], student[512], train[512];
  lb_error err;
  lb_recipe *r;
  snprintf(teacher, sizeof teacher, "teacher=%s", model);
  snprintf(student, sizeof student, "student=%s", model);
  snprintf(train, sizeof train, "data.train=%s", data);
  const char *overrides[] = {teacher,
                             student,
                             train,
                             kind,
                             checkpointing,
                             "max_length=64",
                             "shuffle=false",
                             "dropout=config",
                             "per_device_train_batch_size=8"};
  if (lb_recipe_load(&r, NULL, overrides, sizeof overrides / sizeof *overrides, &err) != LB_OK)
    fail_msg("%s", err.message);
  return r;
}

static uint64_t line(const lb_plan *p, const char *what, bool is_always_there) {
  for (size_t i = 0; i < p->n_memory; i++)
    if (strcmp(p->memory[i].what, what) == 0) return p->memory[i].bytes;
  if (is_always_there) fail_msg("the plan has no line '%s'", what);
  return 0;
}

/* What a step of a run held in the student's arena, and how often a later one allocates. */
static void run_steps(lb_plan *plan, double *held, int *allocations, lb_recipe *r) {
  lb__setup s;
  lb__method *m;
  lb_error err;
  lb__optimizer_batch batch;
  lb__setup_options how = {.real = LB_DTYPE_F32};
  if (lb__setup_open(&s, r, NULL, &how, &err) != LB_OK) fail_msg("%s", err.message);
  lb__plan_fill(plan, &s);
  if (lb__method_of(&m, &s, &err) != LB_OK) fail_msg("%s", err.message);
  lb__objective o = lb__method_objective(m);
  for (int i = 0; i < 4; i++) {
    if (i == 3) fault_allocations_begin(0, false);
    assert_int_equal(lb__loader_next(s.loader, &batch, &err), LB_OK);
    lb__loss_sums sums = {0};
    lb__step_context step = {.step = i, .n_tokens = batch.n_tokens, .n_trained = batch.n_trained};
    if (o.run(o.ctx, &batch.micro[0], &step, &sums, &err) != LB_OK) fail_msg("%s", err.message);
    if (i == 0) *held = (double)lb__method_stream(m)->arena.high_water;
  }
  long leaked;
  fault_allocations_end(allocations, &leaked);
  lb__method_free(m);
  lb__setup_close(&s);
}

static void check_plan(const char *model, const char *data, const char *checkpointing) {
  lb_recipe *r = make_recipe(model, data, "type=logits", checkpointing);
  lb_plan plan;
  double held;
  int allocations;
  run_steps(&plan, &held, &allocations, r);
  double planned = (double)(line(&plan, "student: activations", true) +
                            line(&plan, "heads: a chunk of logits", true) +
                            line(&plan, "student: gradients of activations", false));
  print_message("           %s: planned %.0f kB, held %.0f kB\n", checkpointing, planned / 1e3,
                held / 1e3);
  if (held > planned || held < 0.6 * planned)
    fail_msg("%s: a step held %.0f bytes, the plan said %.0f", model, held, planned);
  assert_int_equal(allocations, 0);
  lb_recipe_free(r);
}

static void check_steady(const char *model, const char *data, const char *kind) {
  lb_recipe *r = make_recipe(model, data, kind, "gradient_checkpointing=false");
  lb_plan plan;
  double held;
  int allocations;
  run_steps(&plan, &held, &allocations, r);
  if (allocations != 0) fail_msg("%s, %s: a step allocates %d times", model, kind, allocations);
  lb_recipe_free(r);
}

/* auto: where the run would not fit otherwise; the plan then says so. */
static void check_auto(const char *model, const char *data) {
  lb_recipe *r = make_recipe(model, data, "type=logits", "gradient_checkpointing=auto");
  lb__setup s;
  lb__setup_options how = {.real = LB_DTYPE_F32};
  lb_plan kept, twice;
  lb_error err;
  if (lb__setup_open(&s, r, NULL, &how, &err) != LB_OK) fail_msg("%s", err.message);
  assert_false(s.recomputes);
  lb__plan_fill(&kept, &s);
  assert_false(lb__plan_recomputes(&s, kept.memory_total));
  assert_true(lb__plan_recomputes(&s, kept.memory_total - 1));
  s.recomputes = true;
  lb__plan_fill(&twice, &s);
  assert_true(twice.memory_total < kept.memory_total);
  assert_non_null(strstr(twice.advice[0], "gradient_checkpointing: auto"));
  lb__setup_close(&s);
  lb_recipe_free(r);
}

static void test_model(void **state) {
  golden_model m;
  char *scratch = scratch_new();
  char row[512] = "{\"input_ids\":[1";
  for (int i = 0; i < 63; i++) strcat(row, ",2");
  strcat(row, "]}\n");
  char data[512];
  snprintf(data, sizeof data, "%s/data.jsonl", scratch);
  FILE *f = fopen(data, "w");
  assert_non_null(f);
  for (int i = 0; i < 16; i++) fputs(row, f);
  fclose(f);
  golden_model_load(&m, *state);
  check_plan(m.folder, data, "gradient_checkpointing=false");
  check_plan(m.folder, data, "gradient_checkpointing=true");
  check_auto(m.folder, data);
  check_steady(m.folder, data, "type=hidden");
  check_steady(m.folder, data, "type=attention");
  golden_model_unload(&m);
  scratch_remove(scratch);
}

int main(void) {
  return golden_run_models("plan", test_model);
}

/* test_replay.c - a run repeats plain PyTorch training: 40 steps of lb_distill against
 * data/train/replay-*.json. Loss, every term, gradient norm before clipping, learning rate and
 * trained tokens at every step, in float32: ragged documents, masks, accumulation over two
 * micro-batches (one at the end of an epoch), warm-up, decay, clipping that bites.
 * Read next: ../golden/generate/train.py, which trained in PyTorch. */
#include "golden.h"
#include "scratch.h"
#include "tolerances.h"

#include <limbeck/distill.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct replay {
  const char *name;
  const json_t *steps;
  size_t n_seen;
  double worst; /* relative */
} replay;

/* ---- the recipe, from what the fixture says was done ---- */

static const char *text(const json_t *recipe, const char *key) {
  return json_string_value(json_object_get(recipe, key));
}

static int whole(const json_t *recipe, const char *key) {
  return (int)golden_int(recipe, key, -1);
}

static void write_models(FILE *f, const json_t *r) {
  const char *root = LIMBECK_SOURCE_DIR "/tests/golden/data/train";
  bool alone = strcmp(text(r, "teacher"), "none") == 0;
  fprintf(f, "teacher: %s%s%s\n", alone ? "" : root, alone ? "" : "/", text(r, "teacher"));
  fprintf(f, "student: %s/%s\n", root, text(r, "student"));
  fprintf(f, "data: {train: %s/%s, max_length: %d, packing: false, shuffle: false}\n", root,
          text(r, "data"), whole(r, "max_length"));
  if (alone) return;
  fprintf(f, "distill:\n  type: %s\n  temperature: 2\n  alpha: 0.7\n  beta: 0.3\n",
          text(r, "type"));
  fprintf(f, "  relation_heads: %d\n  teacher_precision: f32\n", whole(r, "relation_heads"));
}

static void write_training(FILE *f, const json_t *r) {
  fprintf(f, "train:\n  per_device_train_batch_size: %d\n  gradient_accumulation_steps: %d\n",
          whole(r, "batch"), whole(r, "accumulation"));
  fprintf(f, "  max_steps: %d\n  warmup_steps: %d\n  lr_scheduler_type: linear\n",
          whole(r, "steps"), whole(r, "warmup_steps"));
  fprintf(f, "  learning_rate: %g\n  weight_decay: %g\n  max_grad_norm: %g\n",
          golden_real(r, "learning_rate", 0), golden_real(r, "weight_decay", 0),
          golden_real(r, "max_grad_norm", 0));
  fprintf(f, "  precision: f32\n  logging_steps: 1\n  save_steps: 0\n  report_to: none\n");
}

static void write_recipe(const char *folder, const json_t *recipe) {
  FILE *f = fopen(scratch_path(folder, "recipe.yaml"), "w");
  assert_non_null(f);
  write_models(f, recipe);
  write_training(f, recipe);
  fprintf(f, "output_dir: %s\n", scratch_path(folder, "out"));
  assert_int_equal(fclose(f), 0);
}

/* ---- comparing each step as it is told ---- */

static double told(const lb_event *e, const char *term) {
  for (size_t i = 0; i < e->n_terms; i++)
    if (strcmp(e->term_names[i], term) == 0) return e->terms[i];
  return NAN;
}

static void compare(replay *r, const lb_event *e, const json_t *want, const char *key, double got) {
  if (json_object_get(want, key) == NULL) return;
  double wanted = golden_real(want, key, NAN), off = fabs(got - wanted) / fabs(wanted);
  if (!(off <= LB_TOL_REPLAY_F32) && got != wanted)
    fail_msg("%s, step %lld: %s is %.8g, PyTorch has %.8g (off by %.1e, tolerance %g)", r->name,
             (long long)e->step, key, got, wanted, off, LB_TOL_REPLAY_F32);
  if (wanted != 0) r->worst = fmax(r->worst, off);
}

static lb_status on_event(void *ctx, const lb_event *e, lb_error *err) {
  replay *r = ctx;
  (void)err;
  if (e->kind != LB_EVENT_LOG) return LB_OK;
  assert_int_equal(e->step, r->n_seen + 1);
  const json_t *want = json_array_get(r->steps, r->n_seen++);
  if (want == NULL) fail_msg("%s: more steps than PyTorch made", r->name);
  compare(r, e, want, "loss", e->loss);
  compare(r, e, want, "loss_ce", told(e, "ce"));
  compare(r, e, want, "loss_kd", told(e, "kd"));
  compare(r, e, want, "loss_hidden", told(e, "hidden"));
  compare(r, e, want, "loss_attention", told(e, "attention"));
  compare(r, e, want, "grad_norm", e->grad_norm);
  compare(r, e, want, "learning_rate", e->learning_rate);
  assert_int_equal(e->trained_tokens, golden_int(want, "trained_tokens", -1));
  return LB_OK;
}

static void run(replay *r, const char *folder) {
  lb_error err;
  lb_recipe *recipe;
  lb_distill_result result;
  lb_distill_options options = {.on_event = on_event, .on_event_ctx = r};
  if (lb_recipe_load(&recipe, scratch_path(folder, "recipe.yaml"), NULL, 0, &err) != LB_OK)
    fail_msg("%s", err.message);
  if (lb_distill(&result, recipe, &options, &err) != LB_OK) fail_msg("%s", err.message);
  assert_int_equal(result.steps, json_array_size(r->steps));
  assert_int_equal(result.skipped_steps, 0);
  lb_distill_result_deinit(&result);
  lb_recipe_free(recipe);
}

static void repeats_pytorch(void **state) {
  replay r = {.name = *state};
  char *path = golden_path("train/replay-%s.json", r.name), *folder = scratch_new();
  json_t *fixture = golden_json(path);
  r.steps = json_object_get(fixture, "steps");
  write_recipe(folder, json_object_get(fixture, "recipe"));
  run(&r, folder);
  assert_int_equal(r.n_seen, json_array_size(r.steps));
  print_message("           %s: off by at most %.1e\n", r.name, r.worst);
  json_decref(fixture);
  scratch_remove(folder);
  free(path);
}

#define REPLAY(name)                                                                               \
  { name, repeats_pytorch, NULL, NULL, (void *)(uintptr_t)(const char *)name }

int main(void) {
  const struct CMUnitTest tests[] = {REPLAY("llama-logits"), REPLAY("gpt2-logits"),
                                     REPLAY("llama-attention"), REPLAY("gpt2-hidden"),
                                     REPLAY("gpt2-none")};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* bench_step.c - lb_bench_step: a recipe's own steps, timed op by op. The trainer runs them as it
 * always does, but has nowhere to save to.
 *
 * Owns: which ops are which sort of work, the bound. The counting is ops/profile.c's; which part of
 * a step an op belongs to, method.c says. */
#include "method.h"
#include "plan_memory.h"

#include "base/clock.h"
#include "base/fail.h"
#include "base/files.h"
#include "ops/kernel_table.h"
#include "ops/profile.h"

#include <limbeck/bench.h>
#include <limbeck/environment.h>

#include <stdio.h>
#include <stdlib.h>

/* ---- sorts of work ---- */

typedef enum sort { REST, PRODUCTS, ATTENTION, LOSSES, UPDATE, N_SORTS } sort;
static const char *const sort_names[N_SORTS] = {
    [PRODUCTS] = "products", [ATTENTION] = "attention",           [LOSSES] = "losses",
    [UPDATE] = "update",     [REST] = "norms, activations, sums",
};
static const sort sorts[LB__OP_COUNT] = {
    [LB__OP_linear] = PRODUCTS,     [LB__OP_linear_bwd] = PRODUCTS,
    [LB__OP_attention] = ATTENTION, [LB__OP_attention_bwd] = ATTENTION,
    [LB__OP_divergence] = LOSSES,   [LB__OP_mse] = LOSSES,
    [LB__OP_relation] = LOSSES,     [LB__OP_adamw] = UPDATE,
    [LB__OP_sum_squares] = UPDATE,
};
static const char *const part_names[LB__N_STEP_PARTS] = {
    [LB__PART_OPTIMIZER] = "optimizer", [LB__PART_TEACHER] = "teacher",
    [LB__PART_STUDENT] = "student",     [LB__PART_HEAD] = "head",
    [LB__PART_LOSSES] = "other losses", [LB__PART_BACKWARD] = "backward",
};
/* In which order a step runs them. */
static const lb__step_part order[LB__N_STEP_PARTS] = {
    LB__PART_TEACHER, LB__PART_STUDENT,  LB__PART_HEAD,
    LB__PART_LOSSES,  LB__PART_BACKWARD, LB__PART_OPTIMIZER,
};

/* ---- measuring ---- */

typedef struct measurement {
  lb__setup setup;
  lb__method *method;
  lb__profile profile;
  int64_t n_steps, done; /* wanted; ended, the one that warms up not among them */
  int64_t *ns;           /* [n_steps] */
  int64_t before_ns;     /* when the last step ended */
  int64_t tokens;        /* when the first step had ended, then of all others */
} measurement;

static lb_status note_step(void *ctx, const lb_event *event, lb_error *err) {
  measurement *m = ctx;
  int64_t now = lb__clock_ns();
  (void)err;
  if (event->kind != LB_EVENT_STEP) return LB_OK;
  if (event->step == 1) { /* it warmed up */
    memset(m->profile.cells, 0, sizeof m->profile.cells);
    m->tokens = -event->tokens;
  } else if (m->done < m->n_steps) {
    m->ns[m->done++] = now - m->before_ns;
  }
  if (m->done == m->n_steps) m->tokens += event->tokens;
  m->before_ns = lb__clock_ns();
  return LB_OK;
}

static lb_status train(measurement *m, lb_error *err) {
  size_t n;
  lb__trainer *trainer = NULL;
  lb__train_result result = {0};
  lb__listeners listeners = {0};
  const lb__parameter *parameters = lb__method_parameters(m->method, &n);
  lb__objective objective = lb__method_objective(m->method);
  lb__trainer_options options = lb__setup_trainer_options(&m->setup);
  options.max_steps = m->n_steps + 1;
  options.logging_steps = options.eval_steps = options.save_steps = 0;
  lb__setup_phase(&m->setup, "training a few steps", 0, 0);
  lb_status st = lb__listeners_add(&listeners, note_step, m, err);
  if (st == LB_OK)
    st = lb__trainer_new(&trainer, &objective, parameters, n, m->setup.loader, &listeners, &options,
                         err);
  if (st == LB_OK) {
    lb__profile_use(&m->profile);
    st = lb__trainer_run(&result, trainer, err);
    lb__profile_use(NULL);
  }
  lb__trainer_free(trainer);
  lb__free(result.last_checkpoint);
  return st == LB_OK && (result.is_interrupted || m->done == 0)
             ? lb__fail(err, LB_E_CANCELLED, "bench: stopped")
             : st;
}

/* ---- peaks ---- */

enum { N_PEAKS = LB__COMPUTE_INT8 + 1 }; /* stored blocks compute as int8 */
static const struct {
  const char *precision, *kernel; /* the row of lb_bench_ops' machine */
} peak_names[N_PEAKS] = {
    [LB__COMPUTE_F32] = {"f32", "oneDNN sgemm"},
    [LB__COMPUTE_BF16] = {"bf16", "oneDNN bf16"},
    [LB__COMPUTE_INT8] = {"int8", "oneDNN u8s8"},
};

/* oneDNN's product alone, or our own kernel's where that is faster. */
static lb_status measure_peaks(lb_step_bench *out, lb_error *err) {
  static const lb_bench_options machine = {.op = "machine"};
  lb_bench_result *all;
  size_t n;
  lb_status st = lb_bench_ops(&all, &n, &machine, err);
  if (st != LB_OK) return st;
  for (int c = 0; c < N_PEAKS; c++) {
    struct lb_step_peak *peak = &out->peaks[c];
    double own = lb__kernels()->product_rates[c] * lb_threads_get();
    if (peak->gflop > 0.0) peak->gflop_per_s = own;
    for (size_t i = 0; i < n && peak->gflop > 0.0; i++)
      if (strcmp(all[i].kernel, peak_names[c].kernel) == 0 && all[i].gflop_per_s > own)
        peak->gflop_per_s = all[i].gflop_per_s;
  }
  lb_bench_results_free(all);
  return LB_OK;
}

static double seconds_at_peak(const lb_step_bench *b, const double flop[LB__COMPUTE_COUNT]) {
  double seconds = 0.0;
  for (int c = 0; c < N_PEAKS; c++)
    if (flop[c] > 0.0) seconds += 1e-9 * flop[c] / b->peaks[c].gflop_per_s;
  return seconds;
}

/* ---- results ---- */

/* Work of one sort in one part, of all steps. */
static lb__profile_cell sum_of(const lb__profile *p, lb__step_part part, sort s) {
  lb__profile_cell sum = {0};
  for (int op = 0; op < LB__OP_COUNT; op++) {
    const lb__profile_cell *cell = &p->cells[part][op];
    if (sorts[op] != s) continue;
    sum.n_calls += cell->n_calls;
    sum.ns += cell->ns;
    for (int c = 0; c < N_PEAKS; c++) sum.flop[c] += cell->flop[c];
  }
  return sum;
}

static double all_flop(const lb__profile_cell *cell, int64_t n_steps) {
  double flop = 0.0;
  for (int c = 0; c < N_PEAKS; c++) flop += cell->flop[c];
  return 1e-9 * flop / (double)n_steps;
}

static void add_work(lb_step_bench *b, const char *part, const char *work, lb__profile_cell cell) {
  if (cell.ns == 0) return;
  double n = (double)b->steps;
  b->work[b->n_work++] = (lb_step_work){.part = part,
                                        .work = work,
                                        .calls = cell.n_calls / b->steps,
                                        .seconds = 1e-9 * (double)cell.ns / n,
                                        .gflop = all_flop(&cell, b->steps),
                                        .least_seconds = seconds_at_peak(b, cell.flop) / n};
}

static void fill_work(lb_step_bench *b, const measurement *m) {
  lb__profile_cell between = {0};
  for (int64_t i = 0; i < b->steps; i++) between.ns += m->ns[i];
  for (int i = 0; i < LB__N_STEP_PARTS; i++)
    for (int k = 1; k <= N_SORTS; k++) { /* the rest comes last */
      lb__profile_cell cell = sum_of(&m->profile, order[i], (sort)(k % N_SORTS));
      between.ns -= cell.ns;
      add_work(b, part_names[order[i]], sort_names[k % N_SORTS], cell);
    }
  add_work(b, "between", "loading, zeroing, the tape", between);
  for (size_t i = 0; i < b->n_work; i++) b->least_seconds += b->work[i].least_seconds;
  b->share_of_bound = b->least_seconds / b->mean;
}

static void fill_flop(lb_step_bench *b, const lb__profile *p) {
  for (int c = 0; c < N_PEAKS; c++) {
    b->peaks[c].precision = peak_names[c].precision;
    for (int part = 0; part < LB__N_STEP_PARTS; part++)
      for (int op = 0; op < LB__OP_COUNT; op++)
        b->peaks[c].gflop += 1e-9 * p->cells[part][op].flop[c] / (double)b->steps;
  }
}

static int by_value(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static void fill_times(lb_step_bench *b, measurement *m) {
  size_t n = (size_t)m->done;
  int64_t total = 0;
  for (size_t i = 0; i < n; i++) total += m->ns[i];
  qsort(m->ns, n, sizeof *m->ns, by_value);
  b->steps = m->done;
  b->mean = 1e-9 * (double)total / (double)n;
  b->tokens_per_step = m->tokens / m->done;
  b->fastest = 1e-9 * (double)m->ns[0];
  b->slowest = 1e-9 * (double)m->ns[n - 1];
  b->median = 0.5e-9 * (double)(m->ns[n / 2] + m->ns[(n - 1) / 2]);
  b->tokens_per_second = 1e9 * (double)m->tokens / (double)total;
}

static void add_memory(lb_step_bench *b, const char *what, uint64_t bytes) {
  lb_plan_line *line = &b->memory[b->n_memory++];
  snprintf(line->what, sizeof line->what, "%s", what);
  line->bytes = bytes;
}

static void fill_memory(lb_step_bench *b, const measurement *m) {
  size_t n;
  int64_t elements = 0;
  const lb__parameter *parameters = lb__method_parameters(m->method, &n);
  for (size_t i = 0; i < n; i++) elements += lb__tensor_elements(parameters[i].tensor);
  uint64_t bytes = (uint64_t)elements * sizeof(float);
  add_memory(b, "student: weights", bytes);
  add_memory(b, "student: gradients", bytes);
  add_memory(b, "student: optimizer (AdamW)", lb__trainer_estimate(elements));
  add_memory(b, "student: activations, a chunk of logits",
             lb__method_stream(m->method)->arena.high_water);
  if (m->setup.teacher == NULL) return;
  add_memory(b, "teacher: weights", lb__model_held_bytes(lb__teacher_model(m->setup.teacher)));
  add_memory(b, "teacher: activations", lb__teacher_stream(m->setup.teacher)->arena.high_water);
}

static lb_status fill(lb_step_bench *b, measurement *m, lb_error *err) {
  if (m->setup.teacher != NULL)
    b->teacher_precision =
        lb_precision_name(lb_model_get_info(lb__teacher_model(m->setup.teacher))->precision);
  b->student_precision = lb_precision_name(lb_model_get_info(m->setup.student)->precision);
  fill_times(b, m);
  fill_flop(b, &m->profile);
  fill_memory(b, m);
  b->peak_memory_bytes = lb_memory_peak();
  lb_status st = measure_peaks(b, err);
  if (st == LB_OK) fill_work(b, m);
  return st;
}

/* ---- all of it ---- */

static lb_status check_memory(const lb__setup *s, lb_error *err) {
  lb_plan plan;
  lb__plan_fill(&plan, s);
  return plan.memory_total > plan.memory_available ? lb__plan_refuse(&plan, err) : LB_OK;
}

static lb_status open_and_train(measurement *m, lb_recipe *recipe,
                                const lb_distill_options *options, const char *token_file,
                                lb_error *err) {
  lb__setup_options how = {.real = LB_DTYPE_F32, .token_file = token_file};
  lb_status st = lb__setup_open(&m->setup, recipe, options, &how, err);
  if (st == LB_OK) st = check_memory(&m->setup, err);
  if (st == LB_OK) st = lb__method_of(&m->method, &m->setup, err);
  return st == LB_OK ? train(m, err) : st;
}

lb_status lb_bench_step(lb_step_bench *out, lb_recipe *recipe, int64_t steps,
                        const lb_distill_options *options, lb_error *err) {
  *out = (lb_step_bench){0};
  if (steps < 1 || steps > 1000000)
    return lb__fail(err, LB_E_ARG, "steps: want 1 to 1000000, found %lld", (long long)steps);
  char *tokens = lb__temporary_path("limbeck-bench");
  measurement *m = lb__new(sizeof *m);
  if (m != NULL) m->ns = lb__new_array((size_t)steps, sizeof *m->ns);
  lb_status st = LB_OK;
  if (tokens == NULL || m == NULL || m->ns == NULL) st = lb__fail_nomem(err, "a measurement");
  if (st == LB_OK) {
    m->n_steps = steps;
    st = open_and_train(m, recipe, options, tokens, err);
    if (st == LB_OK) st = fill(out, m, err);
    lb__method_free(m->method);
    lb__setup_close(&m->setup);
  }
  if (m != NULL) lb__free(m->ns);
  lb__free(m);
  lb__free(tokens);
  return st;
}

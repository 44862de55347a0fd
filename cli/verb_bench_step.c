/* verb_bench_step.c - see verb_bench_step.h. */
#include "verb_bench_step.h"
#include "json_writer.h"
#include "recipe_options.h"
#include "run_display.h"
#include "terminal.h"

#include <limbeck/environment.h>

#include <string.h>

static double spread(const lb_step_bench *b) {
  return (b->slowest - b->fastest) / b->median;
}

/* ---- JSON ---- */

static void write_work(writer *w, const lb_step_work *k) {
  writer_open_object(w, NULL);
  writer_string(w, "part", k->part);
  writer_string(w, "work", k->work);
  writer_int(w, "calls", k->calls);
  writer_real(w, "seconds", k->seconds);
  writer_real(w, "gflop", k->gflop);
  writer_real(w, "least_seconds", k->least_seconds);
  writer_close_object(w);
}

static void write_peaks(writer *w, const lb_step_bench *b) {
  writer_open_object(w, "products");
  for (size_t i = 0; i < sizeof b->peaks / sizeof *b->peaks; i++) {
    if (b->peaks[i].gflop <= 0.0) continue;
    writer_open_object(w, b->peaks[i].precision);
    writer_real(w, "gflop", b->peaks[i].gflop);
    writer_real(w, "peak_gflops", b->peaks[i].gflop_per_s);
    writer_close_object(w);
  }
  writer_close_object(w);
}

static void print_json(const lb_step_bench *b) {
  writer w = {0};
  writer_open_object(&w, NULL);
  writer_string(&w, "bench", "step");
  writer_real(&w, "tokens_per_second", b->tokens_per_second);
  writer_uint(&w, "peak_memory_bytes", b->peak_memory_bytes);
  writer_string(&w, "precision", b->student_precision);
  writer_string(&w, "teacher_precision", b->teacher_precision);
  writer_int(&w, "threads", lb_threads_get());
  writer_int(&w, "tokens", b->tokens_per_step);
  writer_int(&w, "repeats", b->steps);
  writer_real(&w, "mean", b->mean);
  writer_real(&w, "median", b->median);
  writer_real(&w, "spread", spread(b));
  writer_real(&w, "least_seconds", b->least_seconds);
  writer_real(&w, "share_of_bound", b->share_of_bound);
  write_peaks(&w, b);
  writer_open_array(&w, "parts");
  for (size_t i = 0; i < b->n_work; i++) write_work(&w, &b->work[i]);
  writer_close_array(&w);
  writer_open_object(&w, "bytes");
  for (size_t i = 0; i < b->n_memory; i++) writer_uint(&w, b->memory[i].what, b->memory[i].bytes);
  writer_close_object(&w);
  writer_close_object(&w);
  writer_end_line(&w);
  writer_free(&w);
}

/* ---- CSV ---- */

static void print_csv(const lb_step_bench *b) {
  puts("part,work,threads,calls,seconds,gflop,least_seconds,share_of_step");
  for (size_t i = 0; i < b->n_work; i++) {
    const lb_step_work *k = &b->work[i];
    printf("%s,\"%s\",%d,%lld,%.6g,%.6g,%.6g,%.4f\n", k->part, k->work, lb_threads_get(),
           (long long)k->calls, k->seconds, k->gflop, k->least_seconds, k->seconds / b->mean);
  }
  printf("step,all,%d,,%.6g,,%.6g,1\n", lb_threads_get(), b->mean, b->least_seconds);
}

/* ---- a table ---- */

static void add_number(table *t, int decimals, double x) {
  if (x > 0.0)
    table_add_number(t, decimals, x);
  else
    table_add(t, "-");
}

/* seconds, GFLOP and the least time of one line, and what follows from them */
static void add_figures(table *t, const lb_step_bench *b, const lb_step_work *k) {
  table_add_number(t, 1, 1e3 * k->seconds);
  table_add(t, "%.1f %%", 100 * k->seconds / b->mean);
  add_number(t, 1, k->gflop);
  add_number(t, 1, k->gflop / k->seconds);
  if (k->least_seconds > 0.0)
    table_add(t, "%.0f %%", 100 * k->least_seconds / k->seconds);
  else
    table_add(t, "-");
}

static void print_work(const lb_step_bench *b, const cli *c) {
  table t = {.header = {"part", "work", "ms", "of the step", "GFLOP", "GFLOP/s", "of the peak"},
             .align = "llrrrrr"};
  const char *before = "";
  for (size_t i = 0; i < b->n_work; i++) {
    const lb_step_work *k = &b->work[i];
    table_add(&t, "%s", strcmp(k->part, before) == 0 ? "" : k->part);
    table_add(&t, "%s", k->work);
    add_figures(&t, b, k);
    before = k->part;
  }
  lb_step_work all = {.seconds = b->mean, .least_seconds = b->least_seconds};
  for (size_t i = 0; i < b->n_work; i++) all.gflop += b->work[i].gflop;
  table_add(&t, "step");
  table_add(&t, "mean of %lld", (long long)b->steps);
  add_figures(&t, b, &all);
  table_print(&t, c, stdout);
  table_free(&t);
}

static void print_memory(const lb_step_bench *b, const cli *c) {
  table t = {.header = {"memory", "bytes"}, .align = "lr"};
  for (size_t i = 0; i < b->n_memory; i++) {
    text bytes = {0};
    format_bytes(&bytes, b->memory[i].bytes);
    table_add(&t, "%s", b->memory[i].what);
    table_add(&t, "%s", text_get(&bytes));
    text_free(&bytes);
  }
  text bytes = {0};
  format_bytes(&bytes, b->peak_memory_bytes);
  table_add(&t, "most that the process held");
  table_add(&t, "%s", text_get(&bytes));
  table_print(&t, c, stdout);
  text_free(&bytes);
  table_free(&t);
}

static void print_tables(const lb_step_bench *b, const cli *c) {
  print_work(b, c);
  printf("\n%.1f tokens/s, %lld tokens a step, spread %.1f %%; student %s%s%s, %d threads\n",
         b->tokens_per_second, (long long)b->tokens_per_step, 100 * spread(b), b->student_precision,
         b->teacher_precision != NULL ? ", teacher " : "",
         b->teacher_precision != NULL ? b->teacher_precision : "", lb_threads_get());
  printf("products alone, at the peak of their precision: %.1f ms, %.0f %% of the step (",
         1e3 * b->least_seconds, 100 * b->share_of_bound);
  const char *comma = "";
  for (size_t i = 0; i < sizeof b->peaks / sizeof *b->peaks; i++) {
    if (b->peaks[i].gflop <= 0.0) continue;
    printf("%s%s %.0f GFLOP/s", comma, b->peaks[i].precision, b->peaks[i].gflop_per_s);
    comma = ", ";
  }
  printf(")\n\n");
  print_memory(b, c);
}

/* ---- all of it ---- */

int bench_step(cli *c, const char *recipe_path, int64_t steps, bool csv) {
  lb_recipe *recipe;
  lb_step_bench b;
  lb_error err = {0};
  run_display display;
  int code = recipe_open(&recipe, c, recipe_path);
  if (code != CLI_DONE) return code;
  run_display_init(&display, c);
  lb_distill_options options = run_display_options(&display);
  options.on_event = NULL;
  if (c->global.json || csv) options.on_phase = NULL; /* nothing else on stdout is promised */
  lb_status st = lb_bench_step(&b, recipe, steps, &options, &err);
  run_display_end(&display);
  if (st != LB_OK)
    code = st == LB_E_CANCELLED ? CLI_INTERRUPTED : cli_error(c, &err);
  else if (c->global.json)
    print_json(&b);
  else if (csv)
    print_csv(&b);
  else
    print_tables(&b, c);
  run_display_deinit(&display);
  lb_recipe_free(recipe);
  return code;
}

/* verb_bench_ops.c - see verb_bench_ops.h. */
#include "verb_bench_ops.h"
#include "json_writer.h"
#include "terminal.h"

#include <limbeck/bench.h>
#include <limbeck/environment.h>

#include <math.h>

static double spread(const lb_bench_result *r) {
  return r->median_ns > 0 ? (r->slowest_ns - r->fastest_ns) / r->median_ns : 0;
}

static void write_result(writer *w, const lb_bench_result *r) {
  writer_open_object(w, NULL);
  writer_string(w, "op", r->op);
  writer_string(w, "model", r->model);
  writer_string(w, "shape", r->shape);
  writer_string(w, "kernel", r->kernel);
  writer_int(w, "repetitions", r->repetitions);
  writer_real(w, "median", r->median_ns / 1e9);
  writer_real(w, "spread", spread(r));
  writer_real(w, "reference", r->reference_ns > 0 ? r->reference_ns / 1e9 : (double)NAN);
  writer_real(w, "gflop_per_s", r->gflop_per_s);
  writer_real(w, "gbyte_per_s", r->gbyte_per_s);
  writer_close_object(w);
}

static void print_json(const lb_bench_result *results, size_t n) {
  writer w = {0};
  writer_open_object(&w, NULL);
  writer_string(&w, "bench", "ops");
  writer_int(&w, "threads", lb_threads_get());
  writer_open_array(&w, "results");
  for (size_t i = 0; i < n; i++) write_result(&w, &results[i]);
  writer_close_array(&w);
  writer_close_object(&w);
  writer_end_line(&w);
  writer_free(&w);
}

static void print_csv(const lb_bench_result *results, size_t n) {
  puts("op,model,shape,kernel,threads,repetitions,median_ns,spread,reference_ns,gflop_per_s,"
       "gbyte_per_s");
  for (size_t i = 0; i < n; i++) {
    const lb_bench_result *r = &results[i];
    printf("%s,%s,\"%s\",%s,%d,%d,%.0f,%.4f,%.0f,%.2f,%.2f\n", r->op, r->model, r->shape, r->kernel,
           lb_threads_get(), r->repetitions, r->median_ns, spread(r), r->reference_ns,
           r->gflop_per_s, r->gbyte_per_s);
  }
}

static void add_time(table *t, double ns) {
  if (ns < 1e3)
    table_add(t, "%.0f ns", ns);
  else if (ns < 1e6)
    table_add(t, "%.1f us", ns / 1e3);
  else
    table_add(t, "%.2f ms", ns / 1e6);
}

static void print_table(const cli *c, const lb_bench_result *results, size_t n) {
  table t = {.header = {"op", "shape", "model", "kernel", "median", "spread", "GFLOP/s", "GB/s",
                        "reference"},
             .align = "llllrrrrr"};
  for (size_t i = 0; i < n; i++) {
    const lb_bench_result *r = &results[i];
    table_add(&t, "%s", r->op);
    table_add(&t, "%s", r->shape);
    table_add(&t, "%s", r->model);
    table_add(&t, "%s", r->kernel);
    add_time(&t, r->median_ns);
    table_add(&t, "%.0f %%", 100 * spread(r));
    if (r->gflop_per_s > 0)
      table_add(&t, "%.1f", r->gflop_per_s);
    else
      table_add(&t, "-");
    table_add(&t, "%.1f", r->gbyte_per_s);
    if (r->reference_ns > 0)
      table_add(&t, "%.1fx", r->reference_ns / r->median_ns);
    else
      table_add(&t, "-");
  }
  table_print(&t, c, stdout);
  table_free(&t);
}

int bench_ops(cli *c, const char *op, bool csv) {
  lb_bench_options options = {.op = op};
  lb_bench_result *results;
  size_t n;
  lb_error err = {0};
  if (lb_bench_ops(&results, &n, &options, &err) != LB_OK) return cli_error(c, &err);
  if (c->global.json)
    print_json(results, n);
  else if (csv)
    print_csv(results, n);
  else
    print_table(c, results, n);
  lb_bench_results_free(results);
  return CLI_DONE;
}

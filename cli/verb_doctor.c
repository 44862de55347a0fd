/* verb_doctor.c - `limbeck doctor`: what this machine has, what was chosen to run on it, and what
 * is amiss. The first thing to paste into a report. */
#include "json_writer.h"
#include "terminal.h"

#include <limbeck/doctor.h>

static void add_row(table *t, const char *name, const char *value) {
  table_add(t, "%s", name);
  table_add(t, "%s", value[0] == '\0' ? "unknown" : value);
}

static void put_bytes(text *out, uint64_t bytes) {
  if (bytes == 0)
    text_put(out, "unknown");
  else
    format_bytes(out, bytes);
}

static void print_machine(const lb_doctor *d, const cli *c) {
  table t = {.align = "ll"};
  text value = {0};
  text_putf(&value, "%s (%s)", d->limbeck_version, d->build);
  add_row(&t, "limbeck", text_get(&value));
  add_row(&t, "cpu", d->cpu);
  text_clear(&value);
  text_putf(&value, "%d logical, %d physical, %d usable here; %d threads", d->logical_cores,
            d->physical_cores, d->usable_cores, d->threads);
  add_row(&t, "cores", text_get(&value));
  text_clear(&value);
  put_bytes(&value, d->memory_total);
  text_put(&value, ", available ");
  put_bytes(&value, d->memory_available);
  add_row(&t, "memory", text_get(&value));
  text_clear(&value);
  text_put(&value, "L2 ");
  put_bytes(&value, d->l2_bytes);
  text_put(&value, ", L3 ");
  put_bytes(&value, d->l3_bytes);
  add_row(&t, "caches", text_get(&value));
  for (int i = 0; i < d->n_libraries; i++)
    add_row(&t, d->libraries[i].name, d->libraries[i].version);
  table_print(&t, c, stdout);
  text_free(&value);
  table_free(&t);
}

static void print_features(const cli *c, const char *title, const lb_doctor_feature *features,
                           int n) {
  table t = {.header = {title, "here", "meaning"}, .align = "lll"};
  for (int i = 0; i < n; i++) {
    table_add(&t, "%s", features[i].name);
    table_add(&t, "%s", features[i].present ? "yes" : "no");
    table_add(&t, "%s", features[i].meaning);
  }
  putchar('\n');
  table_print(&t, c, stdout);
  table_free(&t);
}

static void print_kernels(const lb_doctor *d, const cli *c) {
  table t = {.header = {"op", "kernel", "meaning"}, .align = "lll"};
  for (int i = 0; i < d->n_kernels; i++) {
    table_add(&t, "%s", d->kernels[i].op);
    table_add(&t, "%s", d->kernels[i].kernel);
    table_add(&t, "%s", d->kernels[i].meaning);
  }
  putchar('\n');
  table_print(&t, c, stdout);
  table_free(&t);
}

static void print_products(const lb_doctor *d, const cli *c) {
  table t = {.header = {"product", "kernel", "GFLOP/s", "chosen", "used for"}, .align = "llrll"};
  for (int i = 0; i < d->n_products; i++) {
    const lb_doctor_product *p = &d->products[i];
    table_add(&t, "%s", p->product);
    table_add(&t, "%s", p->kernel);
    if (p->gflops > 0.0)
      table_add(&t, "%.1f", p->gflops);
    else
      table_add(&t, "not measured");
    table_add(&t, "%s", p->chosen ? "yes" : "");
    table_add(&t, "%s", p->meaning);
  }
  putchar('\n');
  table_print(&t, c, stdout);
  table_free(&t);
}

static void print_tables(const lb_doctor *d, const cli *c) {
  print_machine(d, c);
  print_features(c, "cpu feature", d->features, d->n_features);
  print_features(c, "kernel set", d->kernel_sets, d->n_kernel_sets);
  if (d->n_kernels > 0) print_kernels(d, c);
  if (d->n_products > 0) print_products(d, c);
  putchar('\n');
  for (int i = 0; i < d->n_warnings; i++) printf("warning: %s\n", d->warnings[i]);
  if (d->n_warnings == 0) puts("nothing is missing");
}

/* ---- for programs ---- */

static void write_features(writer *w, const char *key, const lb_doctor_feature *features, int n) {
  writer_open_object(w, key);
  for (int i = 0; i < n; i++) writer_bool(w, features[i].name, features[i].present);
  writer_close_object(w);
}

static void write_product(writer *w, const lb_doctor_product *p) {
  writer_open_object(w, NULL);
  writer_string(w, "product", p->product);
  writer_string(w, "kernel", p->kernel);
  writer_real(w, "gflops", p->gflops);
  writer_bool(w, "chosen", p->chosen);
  writer_close_object(w);
}

static void print_json(const lb_doctor *d) {
  writer w = {0};
  writer_open_object(&w, NULL);
  writer_string(&w, "version", d->limbeck_version);
  writer_string(&w, "build", d->build);
  writer_string(&w, "cpu", d->cpu);
  writer_int(&w, "logical_cores", d->logical_cores);
  writer_int(&w, "physical_cores", d->physical_cores);
  writer_int(&w, "usable_cores", d->usable_cores);
  writer_int(&w, "threads", d->threads);
  writer_uint(&w, "memory_bytes", d->memory_total);
  writer_uint(&w, "memory_available_bytes", d->memory_available);
  writer_uint(&w, "l2_bytes", d->l2_bytes);
  writer_uint(&w, "l3_bytes", d->l3_bytes);
  writer_open_object(&w, "libraries");
  for (int i = 0; i < d->n_libraries; i++)
    writer_string(&w, d->libraries[i].name, d->libraries[i].version);
  writer_close_object(&w);
  write_features(&w, "cpu_features", d->features, d->n_features);
  write_features(&w, "kernel_sets", d->kernel_sets, d->n_kernel_sets);
  writer_open_object(&w, "kernels");
  for (int i = 0; i < d->n_kernels; i++) writer_string(&w, d->kernels[i].op, d->kernels[i].kernel);
  writer_close_object(&w);
  writer_open_array(&w, "products");
  for (int i = 0; i < d->n_products; i++) write_product(&w, &d->products[i]);
  writer_close_array(&w);
  writer_open_array(&w, "warnings");
  for (int i = 0; i < d->n_warnings; i++) writer_string(&w, NULL, d->warnings[i]);
  writer_close_array(&w);
  writer_close_object(&w);
  writer_end_line(&w);
  writer_free(&w);
}

/* The report comes first even when something is wrong with the settings: it is what one looks at
 * to find out. */
static int run_doctor(cli *c, void *opaque) {
  lb_doctor d;
  lb_error err = {0};
  (void)opaque;
  lb_status st = lb_doctor_report(&d, &err);
  if (c->global.json)
    print_json(&d);
  else
    print_tables(&d, c);
  return st == LB_OK ? CLI_DONE : cli_error(c, &err);
}

const verb verb_doctor = {
    .name = "doctor",
    .summary = "what this machine has, which kernels were chosen, what is missing",
    .description =
        "Prints CPU, caches, memory, libraries and the kernel chosen for each operation, "
        "with a warning for what is missing or slow. LIMBECK_KERNELS=reference (or a "
        "list of kernel sets) changes the choice.",
    .examples = {{"limbeck doctor", "the report"},
                 {"LIMBECK_KERNELS=reference limbeck doctor", "with the readable kernels only"}},
    .run = run_doctor};

/* precision_view.c - see precision_view.h. */
#include "precision_view.h"

#include "json_writer.h"
#include "terminal.h"

static void print_json(const lb_precision_comparison *found) {
  writer w = {0};
  writer_open_object(&w, NULL);
  writer_int(&w, "documents", found->n_tokens - found->n_predicted);
  writer_int(&w, "tokens", found->n_tokens);
  writer_open_array(&w, "precisions");
  for (size_t i = 0; i < found->n; i++) {
    const lb_precision_figures *f = &found->precisions[i];
    writer_open_object(&w, NULL);
    writer_string(&w, "precision", lb_precision_name(f->precision));
    writer_real(&w, "mean_kl", f->mean_kl);
    writer_real(&w, "p99_kl", f->p99_kl);
    writer_real(&w, "worst_kl", f->worst_kl);
    writer_real(&w, "agreement", f->agreement);
    writer_real(&w, "nll", f->nll);
    writer_real(&w, "perplexity", f->perplexity);
    writer_real(&w, "read_tokens_per_second", f->read_rate);
    writer_real(&w, "write_tokens_per_second", f->write_rate);
    writer_uint(&w, "resident_bytes", f->resident_bytes);
    writer_close_object(&w);
  }
  writer_close_array(&w);
  writer_close_object(&w);
  writer_end_line(&w);
  writer_free(&w);
}

static void add_row(table *t, const lb_precision_figures *f) {
  text memory = {0};
  format_bytes(&memory, f->resident_bytes);
  table_add(t, "%s", lb_precision_name(f->precision));
  table_add_number(t, 5, f->mean_kl);
  table_add_number(t, 5, f->p99_kl);
  table_add_number(t, 5, f->worst_kl);
  table_add(t, "%.2f %%", 100 * f->agreement);
  table_add_number(t, 3, f->perplexity);
  table_add_number(t, 1, f->read_rate);
  table_add_number(t, 1, f->write_rate);
  table_add(t, "%s", text_get(&memory));
  text_free(&memory);
}

void precision_view_print(const cli *c, const lb_precision_comparison *found) {
  table t = {.header = {"precision", "mean KL", "p99 KL", "worst KL", "top-1", "perplexity",
                        "read tok/s", "write tok/s", "memory"},
             .align = "lrrrrrrrr"};
  if (c->global.json) {
    print_json(found);
    return;
  }
  for (size_t i = 0; i < found->n; i++) add_row(&t, &found->precisions[i]);
  table_print(&t, c, stdout);
  printf("\n%lld tokens; KL(f32 || it) in nats per token\n", (long long)found->n_tokens);
  table_free(&t);
}

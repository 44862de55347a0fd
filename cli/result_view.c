/* result_view.c - see result_view.h. */
#include "json_writer.h"
#include "result_view.h"
#include "run_display.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMN_CELLS = 44 }; /* of each answer */

/* ---- figures ---- */

static void add_number(table *t, double x) {
  if (isfinite(x))
    table_add(t, "%.4g", x);
  else
    table_add(t, "-");
}

static void add_large(table *t, double x) {
  text cell = {0};
  if (isfinite(x)) format_thousands(&cell, x);
  table_add(t, "%s", cell.size > 0 ? text_get(&cell) : "-");
  text_free(&cell);
}

static void add_share(table *t, double x) {
  if (isfinite(x))
    table_add(t, "%.1f %%", 100 * x);
  else
    table_add(t, "-");
}

static void add_model(table *t, const char *name, const lb_model_figures *f) {
  text cell = {0};
  table_add(t, "%s", name);
  if (f->perplexity < 1000)
    add_number(t, f->perplexity);
  else
    add_large(t, f->perplexity);
  add_number(t, f->kl_to_teacher);
  add_share(t, f->agreement);
  format_count(&cell, f->n_parameters);
  table_add(t, "%s", f->n_parameters > 0 ? text_get(&cell) : "-");
  text_clear(&cell);
  format_bytes(&cell, f->size_bytes);
  table_add(t, "%s", f->size_bytes > 0 ? text_get(&cell) : "-");
  add_large(t, f->tokens_per_second);
  text_free(&cell);
}

static bool has_figures(const lb_model_figures *f) {
  return f->n_parameters > 0 || isfinite(f->perplexity);
}

static void print_figures(const lb_distill_result *r, const cli *c) {
  table t = {
      .header = {"", "perplexity", "KL to teacher", "agreement", "parameters", "size", "tok/s"},
      .align = "lrrrrrr"};
  if (has_figures(&r->teacher)) add_model(&t, "teacher", &r->teacher);
  add_model(&t, "student before", &r->before);
  add_model(&t, "student after", &r->after);
  table_print(&t, c, stdout);
  table_free(&t);
  if (r->is_measured_on_training_data)
    puts("(measured on training documents: nothing was held out)");
}

/* ---- two answers side by side ---- */

/* The next line of at most COLUMN_CELLS cells: broken at a blank when there is one. @return the
 * bytes it took; *shown of them are to be printed. */
static size_t take_line(size_t *shown, const char *at) {
  size_t size = strlen(at), taken = 0, blank = 0, cells = 0;
  while (taken < size && at[taken] != '\n') {
    int32_t c;
    size_t n = text_character(&c, at + taken, size - taken);
    char one[8] = {0};
    memcpy(one, at + taken, n);
    cells += display_width(one);
    if (cells > COLUMN_CELLS) break;
    if (c == ' ') blank = taken;
    taken += n;
  }
  *shown = taken;
  if (taken == size) return taken;
  if (at[taken] == '\n' || at[taken] == ' ') return taken + 1;
  if (blank == 0) return taken;
  *shown = blank;
  return blank + 1;
}

static void print_cell(const cli *c, const char *bytes, size_t size, bool fill) {
  char *copy = cli_copy(bytes, size);
  size_t width = display_width(copy);
  terminal_print_text(stdout, c->out_is_terminal, bytes, size);
  if (fill) printf("%*s", width < COLUMN_CELLS ? (int)(COLUMN_CELLS - width) : 0, "");
  free(copy);
}

static void print_answers(const lb_distill_result *r, const cli *c) {
  const char *left = r->test_teacher != NULL ? r->test_teacher : "";
  const char *right = r->test_student;
  const char *bold = terminal_bold(c, stdout), *plain = terminal_plain(c, stdout);
  if (r->test_teacher == NULL) {
    printf("\n%sthe student's answer%s\n", bold, plain);
    terminal_print_text(stdout, c->out_is_terminal, right, strlen(right));
    putchar('\n');
    return;
  }
  printf("\n%s%-*s   %s%s\n", bold, COLUMN_CELLS, "teacher's answer", "student's answer", plain);
  while (*left != '\0' || *right != '\0') {
    size_t left_shown, right_shown;
    size_t left_taken = take_line(&left_shown, left), right_taken = take_line(&right_shown, right);
    print_cell(c, left, left_shown, right_shown > 0);
    if (right_shown > 0) fputs("   ", stdout);
    print_cell(c, right, right_shown, false);
    putchar('\n');
    left += left_taken;
    right += right_taken;
  }
}

/* ---- all of it ---- */

static void print_summary(const lb_distill_result *r) {
  text line = {0};
  text_putf(&line, "%lld steps, %lld tokens in ", (long long)r->steps, (long long)r->tokens);
  format_duration(&line, r->seconds);
  if (isfinite(r->first_loss) && isfinite(r->last_loss))
    text_putf(&line, "; loss %.4g to %.4g", r->first_loss, r->last_loss);
  if (r->skipped_steps > 0)
    text_putf(&line, "; %lld steps skipped, %lld times back to a checkpoint",
              (long long)r->skipped_steps, (long long)r->rollbacks);
  printf("%s\n\n", text_get(&line));
  text_free(&line);
}

/* A line that can be copied into a shell. */
static void print_command(const char *before, const char *path, const char *after) {
  text line = {0}, visible = {0};
  text_putf(&line, "%s", before);
  text_put_shell_word(&line, path);
  text_put_visible(&visible, text_get(&line), line.size);
  printf("  %s%s\n", text_get(&visible), after);
  text_free(&line);
  text_free(&visible);
}

void result_print(const lb_distill_result *r, const cli *c) {
  print_summary(r);
  print_figures(r, c);
  if (r->test_student != NULL) print_answers(r, c);
  printf("\n%sthe student is in%s\n", terminal_bold(c, stdout), terminal_plain(c, stdout));
  print_command("", r->output_dir, "");
  if (r->gguf[0] != '\0') print_command("", r->gguf, "");
  if (r->report[0] != '\0') {
    printf("%sits report%s\n", terminal_bold(c, stdout), terminal_plain(c, stdout));
    print_command("", r->report, "");
  }
  printf("%stry it%s\n", terminal_bold(c, stdout), terminal_plain(c, stdout));
  print_command("limbeck generate ", r->output_dir, " --prompt \"...\"");
  if (r->gguf[0] != '\0')
    print_command("llama-server -m ", r->gguf, "");
  else
    print_command("vllm serve ", r->output_dir, "");
}

/* ---- for programs ---- */

static void write_model(writer *w, const char *key, const lb_model_figures *f) {
  writer_open_object(w, key);
  writer_real(w, "perplexity", f->perplexity);
  writer_real(w, "kl_to_teacher", f->kl_to_teacher);
  writer_real(w, "agreement", f->agreement);
  writer_int(w, "parameters", f->n_parameters);
  writer_uint(w, "bytes", f->size_bytes);
  writer_real(w, "tokens_per_second", f->tokens_per_second);
  writer_close_object(w);
}

static void write_path(writer *w, const char *key, const char *path) {
  writer_string(w, key, path[0] != '\0' ? path : NULL);
}

void result_write(const lb_distill_result *r) {
  writer w = {0};
  writer_open_object(&w, NULL);
  writer_string(&w, "event", "result");
  writer_bool(&w, "interrupted", r->is_interrupted);
  write_path(&w, "output_dir", r->output_dir);
  write_path(&w, "last_checkpoint", r->last_checkpoint);
  write_path(&w, "gguf", r->gguf);
  write_path(&w, "report", r->report);
  writer_int(&w, "steps", r->steps);
  writer_int(&w, "skipped_steps", r->skipped_steps);
  writer_int(&w, "rollbacks", r->rollbacks);
  writer_int(&w, "tokens", r->tokens);
  writer_int(&w, "trained_tokens", r->trained_tokens);
  writer_real(&w, "seconds", r->seconds);
  writer_real(&w, "first_loss", r->first_loss);
  writer_real(&w, "last_loss", r->last_loss);
  if (has_figures(&r->teacher)) write_model(&w, "teacher", &r->teacher);
  write_model(&w, "before", &r->before);
  write_model(&w, "after", &r->after);
  writer_bool(&w, "measured_on_training_data", r->is_measured_on_training_data);
  writer_string(&w, "teacher_answer", r->test_teacher);
  writer_string(&w, "student_answer", r->test_student);
  writer_close_object(&w);
  writer_end_line(&w);
  writer_free(&w);
}

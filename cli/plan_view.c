/* plan_view.c - see plan_view.h. */
#include "plan_view.h"
#include "run_display.h"

#include <math.h>
#include <string.h>

/* The first remarks on a run that does not fit say what would help; plan_refuse tells them. */
enum { HELPFUL_SETTINGS = 3 };

static void add_count(table *t, const char *name, int64_t n) {
  text value = {0};
  format_count(&value, n);
  table_add(t, "%s", name);
  table_add(t, "%s", text_get(&value));
  text_free(&value);
}

static void add_bytes(table *t, const char *name, uint64_t n) {
  text value = {0};
  format_bytes(&value, n);
  table_add(t, "%s", name);
  table_add(t, "%s", text_get(&value));
  text_free(&value);
}

static void add_text(table *t, const char *name, const char *value) {
  if (value[0] == '\0') return;
  table_add(t, "%s", name);
  table_add(t, "%s", value);
}

static void print_part(table *t, const char *heading, const cli *c, FILE *file) {
  if (t->n_cells > 0) {
    fprintf(file, "%s%s%s\n", terminal_bold(c, file), heading, terminal_plain(c, file));
    table_print(t, c, file);
    fputc('\n', file);
  }
  table_free(t);
}

/* ---- for people ---- */

static void print_models(const lb_plan *p, const cli *c, FILE *file) {
  table t = {.align = "lr"};
  if (p->teacher_parameters > 0) add_count(&t, "  teacher parameters", p->teacher_parameters);
  add_count(&t, "  student parameters", p->student_parameters);
  if (p->trained_parameters != p->student_parameters)
    add_count(&t, "  trained parameters", p->trained_parameters);
  if (p->teacher_precision != NULL) add_text(&t, "  teacher computes in", p->teacher_precision);
  add_text(&t, "  student computes in", p->student_precision);
  print_part(&t, "models", c, file);
}

static void print_data(const lb_plan *p, const cli *c, FILE *file) {
  table t = {.align = "lr"};
  add_text(&t, "  format", p->data_format);
  add_text(&t, "  trained on", p->train_on);
  add_count(&t, "  documents", p->documents);
  add_count(&t, "  tokens", p->tokens);
  add_count(&t, "  trained tokens", p->trained_tokens);
  if (p->untrained_documents > 0)
    add_count(&t, "  documents without a trained token, left out", p->untrained_documents);
  if (p->truncated_documents > 0) add_count(&t, "  documents cut short", p->truncated_documents);
  if (p->eval_documents > 0) {
    add_count(&t, "  held-out documents", p->eval_documents);
    add_count(&t, "  held-out tokens", p->eval_tokens);
  }
  print_part(&t, "data", c, file);
}

static void print_run(const lb_plan *p, const cli *c, FILE *file) {
  table t = {.align = "lr"};
  text value = {0};
  add_count(&t, "  steps an epoch", p->steps_per_epoch);
  add_count(&t, "  steps", p->total_steps);
  add_count(&t, "  tokens a step", p->tokens_per_step);
  if (isfinite(p->tokens_per_second)) {
    add_count(&t, "  tokens a second, by a short probe", (int64_t)p->tokens_per_second);
    format_duration(&value, p->seconds);
    add_text(&t, "  estimated time", text_get(&value));
  }
  print_part(&t, "run", c, file);
  text_free(&value);
}

static void print_sizing(const lb_plan *p, const cli *c, FILE *file) {
  table t = {.align = "lr"};
  text duration = {0};
  double usual = p->usual_tokens_per_parameter;
  double seconds = usual * (double)p->student_parameters / p->tokens_per_second;
  if (p->teacher_student_ratio > 0) {
    table_add(&t, "  the teacher is");
    table_add(&t, "%.1f x the student", p->teacher_student_ratio);
  }
  add_count(&t, "  tokens of the run", p->run_tokens);
  table_add(&t, "  tokens a student parameter");
  table_add(&t, "%.3g", p->tokens_per_parameter);
  if (usual > 0) {
    table_add(&t, "  usual from random weights");
    table_add(&t, "%.3g", usual);
  }
  if (usual > 0 && isfinite(seconds)) {
    format_duration(&duration, seconds);
    add_text(&t, "  so many would take", text_get(&duration));
  }
  print_part(&t, "sizing", c, file);
  text_free(&duration);
}

static void print_space(const lb_plan *p, const cli *c, FILE *file) {
  table memory = {.align = "lr"}, disk = {.align = "lr"};
  text name = {0};
  for (size_t i = 0; i < p->n_memory; i++) {
    text_clear(&name);
    text_putf(&name, "  %s", p->memory[i].what);
    add_bytes(&memory, text_get(&name), p->memory[i].bytes);
  }
  add_bytes(&memory, "  together", p->memory_total);
  if (p->memory_available > 0) add_bytes(&memory, "  free", p->memory_available);
  print_part(&memory, "memory", c, file);
  add_bytes(&disk, "  needed", p->disk_needed);
  if (p->disk_available > 0) add_bytes(&disk, "  free", p->disk_available);
  print_part(&disk, "disk", c, file);
  text_free(&name);
}

void plan_print(const lb_plan *p, const cli *c, FILE *file) {
  print_models(p, c, file);
  print_data(p, c, file);
  print_run(p, c, file);
  print_sizing(p, c, file);
  print_space(p, c, file);
  for (size_t i = p->fits ? 0 : HELPFUL_SETTINGS; i < p->n_advice; i++)
    fprintf(file, "advice: %s\n", p->advice[i]);
}

int plan_refuse(const lb_plan *p, const cli *c) {
  text needed = {0}, found = {0}, help = {0};
  bool is_memory = p->memory_total > p->memory_available;
  format_bytes(&needed, is_memory ? p->memory_total : p->disk_needed);
  format_bytes(&found, is_memory ? p->memory_available : p->disk_available);
  for (size_t i = 0; i < p->n_advice && i < HELPFUL_SETTINGS; i++)
    text_putf(&help, "%s%s", i > 0 ? "; " : "", p->advice[i]);
  int code =
      cli_failure(c, text_get(&help), "this run does not fit: it needs %s of %s, %s are free",
                  text_get(&needed), is_memory ? "memory" : "disk", text_get(&found));
  text_free(&needed);
  text_free(&found);
  text_free(&help);
  return code;
}

/* ---- for programs ---- */

static void write_space(const lb_plan *p, writer *w) {
  writer_open_array(w, "memory");
  for (size_t i = 0; i < p->n_memory; i++) {
    writer_open_object(w, NULL);
    writer_string(w, "what", p->memory[i].what);
    writer_uint(w, "bytes", p->memory[i].bytes);
    writer_close_object(w);
  }
  writer_close_array(w);
  writer_uint(w, "memory_bytes", p->memory_total);
  writer_uint(w, "memory_available_bytes", p->memory_available);
  writer_uint(w, "disk_bytes", p->disk_needed);
  writer_uint(w, "disk_available_bytes", p->disk_available);
}

void plan_write(const lb_plan *p, writer *w) {
  writer_int(w, "teacher_parameters", p->teacher_parameters);
  writer_int(w, "student_parameters", p->student_parameters);
  writer_int(w, "trained_parameters", p->trained_parameters);
  writer_real(w, "teacher_student_ratio", p->teacher_student_ratio);
  writer_int(w, "run_tokens", p->run_tokens);
  writer_real(w, "tokens_per_parameter", p->tokens_per_parameter);
  writer_real(w, "usual_tokens_per_parameter", p->usual_tokens_per_parameter);
  writer_string(w, "teacher_precision", p->teacher_precision);
  writer_string(w, "student_precision", p->student_precision);
  writer_string(w, "data_format", p->data_format);
  writer_string(w, "train_on", p->train_on);
  writer_int(w, "documents", p->documents);
  writer_int(w, "tokens", p->tokens);
  writer_int(w, "trained_tokens", p->trained_tokens);
  writer_int(w, "untrained_documents", p->untrained_documents);
  writer_int(w, "truncated_documents", p->truncated_documents);
  writer_int(w, "eval_documents", p->eval_documents);
  writer_int(w, "eval_tokens", p->eval_tokens);
  writer_int(w, "steps_per_epoch", p->steps_per_epoch);
  writer_int(w, "steps", p->total_steps);
  writer_int(w, "tokens_per_step", p->tokens_per_step);
  writer_real(w, "tokens_per_second", p->tokens_per_second);
  writer_real(w, "seconds", p->seconds);
  write_space(p, w);
  writer_open_array(w, "advice");
  for (size_t i = 0; i < p->n_advice; i++) writer_string(w, NULL, p->advice[i]);
  writer_close_array(w);
  writer_bool(w, "fits", p->fits);
}

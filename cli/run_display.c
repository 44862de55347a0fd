/* run_display.c - see run_display.h. */
#include "run_display.h"

#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR_CELLS = 10, COLUMNS_DEFAULT = 80 };

/* ---- pieces ---- */

void format_duration(text *out, double seconds) {
  if (!isfinite(seconds) || seconds < 0 || seconds > 1e9) {
    text_put(out, "?");
    return;
  }
  long long s = (long long)seconds;
  if (s >= 3600) text_putf(out, "%lld:", s / 3600);
  text_putf(out, "%02lld:%02lld", s / 60 % 60, s % 60);
}

/* "█████▎    ": eighths of a cell, as tqdm draws */
static void put_bar(text *out, double share) {
  static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  int filled = (int)(share * BAR_CELLS * 8);
  for (int cell = 0; cell < BAR_CELLS; cell++, filled -= 8)
    text_put(out, filled >= 8 ? "█" : filled > 0 ? eighths[filled] : " ");
}

void format_thousands(text *out, double x) {
  char digits[32];
  int n = snprintf(digits, sizeof digits, "%.0f", x);
  for (int i = 0; i < n; i++)
    text_putf(out, "%s%c", i > 0 && (n - i) % 3 == 0 ? "," : "", digits[i]);
}

static void put_number(text *out, const char *name, double x) {
  if (isfinite(x)) text_putf(out, " %s %.4g", name, x);
}

static void put_losses(text *out, const lb_event *e) {
  put_number(out, "loss", e->loss);
  for (size_t i = 0; i < e->n_terms; i++) put_number(out, e->term_names[i], e->terms[i]);
}

static void put_rate(text *out, const lb_event *e) {
  if (isfinite(e->learning_rate)) text_putf(out, " lr %.1e", e->learning_rate);
  if (!isfinite(e->tokens_per_second) || e->tokens_per_second <= 0) return;
  text_put(out, " ");
  format_thousands(out, e->tokens_per_second);
  text_put(out, " tok/s");
}

/* ---- the line that moves ---- */

static size_t terminal_columns(void) {
  struct winsize size;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return COLUMNS_DEFAULT;
  return size.ws_col;
}

static bool moves(const run_display *d) {
  return d->c->err_is_terminal && !d->c->global.quiet;
}

/* A line that is too long would wrap, and then leave a trail. */
static void show_line(run_display *d, const text *line) {
  size_t width = terminal_columns(), at = 0, cells = 0;
  while (at < line->size) {
    int32_t c;
    size_t n = text_character(&c, line->data + at, line->size - at);
    char one[8] = {0};
    memcpy(one, line->data + at, n);
    cells += display_width(one);
    if (cells >= width) break;
    at += n;
  }
  fprintf(stderr, "\r%.*s\033[K", (int)at, text_get(line));
  fflush(stderr);
  d->is_line_open = true;
  clock_gettime(CLOCK_MONOTONIC, &d->shown);
}

static bool is_too_soon(const run_display *d) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  double since =
      (double)(now.tv_sec - d->shown.tv_sec) + 1e-9 * (double)(now.tv_nsec - d->shown.tv_nsec);
  return since < 0.1;
}

void run_display_end(run_display *d) {
  if (d->is_line_open) fputs("\r\033[K", stderr);
  d->is_line_open = false;
}

/* Above the moving line, to stay. */
static void print_above(run_display *d, const text *line) {
  text visible = {0};
  run_display_end(d);
  text_put_visible(&visible, text_get(line), line->size);
  cli_note(d->c, "%s", text_get(&visible));
  text_free(&visible);
}

/* ---- phases: "reading data 42 %" ---- */

static void write_phase(run_display *d, const char *what, uint64_t done, uint64_t total) {
  writer *w = &d->json;
  writer_open_object(w, NULL);
  writer_string(w, "event", "phase");
  writer_string(w, "what", what);
  writer_uint(w, "done", done);
  writer_uint(w, "total", total);
  writer_close_object(w);
  writer_end_line(w);
  fflush(stdout);
}

static void on_phase(void *ctx, const char *what, uint64_t done, uint64_t total) {
  run_display *d = ctx;
  text line = {0};
  bool is_new = strncmp(d->phase, what, sizeof d->phase - 1) != 0;
  snprintf(d->phase, sizeof d->phase, "%s", what);
  if (is_new && d->c->global.json) write_phase(d, what, done, total);
  text_putf(&line, "%s", what);
  if (moves(d)) {
    if (total > 0) text_putf(&line, " %3.0f %%", 100 * (double)done / (double)total);
    if (is_new || done == total || !is_too_soon(d)) show_line(d, &line);
  } else if (is_new && !d->c->global.json) {
    cli_note(d->c, "%s", what);
  }
  text_free(&line);
}

/* ---- events, for people ---- */

/* distil  42%|████▏     | 420/1000 [01:02<01:25, loss 2.113 kd 1.90 ce 2.61 lr 4.2e-05 1,234 tok/s]
 */
static void show_step(run_display *d, const lb_event *e) {
  text line = {0};
  double share = e->max_steps > 0 ? (double)e->step / (double)e->max_steps : 0;
  if (e->step < e->max_steps && is_too_soon(d)) return;
  text_putf(&line, "distil %3.0f%%|", 100 * share);
  put_bar(&line, share);
  text_putf(&line, "| %lld/%lld [", (long long)e->step, (long long)e->max_steps);
  format_duration(&line, e->seconds);
  text_put(&line, "<");
  format_duration(&line, e->seconds_left);
  const lb_event *losses = isfinite(e->loss) || !d->has_losses ? e : &d->last;
  text_put(&line, ",");
  put_losses(&line, losses);
  put_rate(&line, isfinite(e->tokens_per_second) && e->tokens_per_second > 0 ? e : losses);
  text_put(&line, "]");
  show_line(d, &line);
  text_free(&line);
}

/* step 420/1000 epoch 1.05 loss 2.113 kd 1.90 ce 2.61 grad_norm 0.93 lr 4.2e-05 1,234 tok/s 01:25
 * left
 */
static void print_log(run_display *d, const lb_event *e) {
  text line = {0};
  text_putf(&line, "step %lld/%lld epoch %.2f", (long long)e->step, (long long)e->max_steps,
            e->epoch);
  put_losses(&line, e);
  put_number(&line, "grad_norm", e->grad_norm);
  put_rate(&line, e);
  text_put(&line, " ");
  format_duration(&line, e->seconds_left);
  text_put(&line, " left");
  print_above(d, &line);
  text_free(&line);
}

static void print_eval(run_display *d, const lb_event *e) {
  text line = {0};
  text_putf(&line, "step %lld held-out:", (long long)e->step);
  put_number(&line, "loss", e->eval_loss);
  put_number(&line, "perplexity", e->eval_perplexity);
  put_number(&line, "KL", e->eval_kl);
  put_number(&line, "agreement", e->eval_agreement);
  print_above(d, &line);
  text_free(&line);
}

static void print_text_event(run_display *d, const char *label, const char *message) {
  text line = {0};
  text_putf(&line, "%s%s", label, message != NULL ? message : "");
  print_above(d, &line);
  text_free(&line);
}

static void tell_event(run_display *d, const lb_event *e) {
  switch (e->kind) {
  case LB_EVENT_BEGIN:
    if (e->step > 0) {
      text line = {0};
      text_putf(&line, "going on after step %lld", (long long)e->step);
      print_above(d, &line);
      text_free(&line);
    }
    break;
  case LB_EVENT_STEP:
    if (moves(d)) show_step(d, e);
    break;
  case LB_EVENT_LOG:
    if (!moves(d)) print_log(d, e);
    break;
  case LB_EVENT_EVAL: print_eval(d, e); break;
  case LB_EVENT_CHECKPOINT: print_text_event(d, "saved ", e->path); break;
  case LB_EVENT_WARNING: print_text_event(d, "warning: ", e->text); break;
  case LB_EVENT_END: run_display_end(d); break;
  }
}

/* ---- events, for programs ---- */

static void write_known(writer *w, const char *key, double x) {
  if (isfinite(x)) writer_real(w, key, x);
}

static void write_losses(writer *w, const lb_event *e) {
  text name = {0};
  write_known(w, "loss", e->loss);
  for (size_t i = 0; i < e->n_terms; i++) {
    text_clear(&name);
    text_putf(&name, "loss_%s", e->term_names[i]);
    write_known(w, text_get(&name), e->terms[i]);
  }
  write_known(w, "grad_norm", e->grad_norm);
  write_known(w, "learning_rate", e->learning_rate);
  text_free(&name);
}

static void write_figures(writer *w, const lb_event *e) {
  write_known(w, "eval_loss", e->eval_loss);
  write_known(w, "eval_ce", e->eval_ce);
  write_known(w, "eval_perplexity", e->eval_perplexity);
  write_known(w, "eval_kl", e->eval_kl);
  write_known(w, "eval_reverse_kl", e->eval_reverse_kl);
  write_known(w, "eval_agreement", e->eval_agreement);
  write_known(w, "eval_accuracy", e->eval_accuracy);
}

static void write_event(writer *w, const lb_event *e) {
  static const char *const names[] = {"begin",      "step",    "log", "eval",
                                      "checkpoint", "warning", "end"};
  bool has_losses = e->kind == LB_EVENT_STEP || e->kind == LB_EVENT_LOG;
  writer_open_object(w, NULL);
  writer_string(w, "event", names[e->kind]);
  writer_int(w, "step", e->step);
  writer_int(w, "max_steps", e->max_steps);
  writer_real(w, "epoch", e->epoch);
  if (has_losses) write_losses(w, e);
  if (e->kind == LB_EVENT_EVAL) write_figures(w, e);
  if (has_losses || e->kind == LB_EVENT_END) {
    writer_int(w, "tokens", e->tokens);
    writer_int(w, "trained_tokens", e->trained_tokens);
    write_known(w, "tokens_per_second", e->tokens_per_second);
    write_known(w, "seconds", e->seconds);
    write_known(w, "seconds_left", e->seconds_left);
    writer_int(w, "skipped_steps", e->skipped_steps);
  }
  if (e->path != NULL) writer_string(w, "path", e->path);
  if (e->text != NULL) writer_string(w, "text", e->text);
  if (e->kind == LB_EVENT_END) writer_bool(w, "interrupted", e->is_interrupted);
  writer_close_object(w);
  writer_end_line(w);
  fflush(stdout); /* whoever follows the run sees it now */
}

static lb_status on_event(void *ctx, const lb_event *e, lb_error *err) {
  run_display *d = ctx;
  (void)err;
  if (isfinite(e->loss) && (e->kind == LB_EVENT_LOG || e->kind == LB_EVENT_STEP)) {
    d->last = *e;
    d->has_losses = true;
  }
  if (d->c->global.json) write_event(&d->json, e);
  tell_event(d, e);
  return LB_OK;
}

/* ---- life ---- */

void run_display_init(run_display *d, const cli *c) {
  *d = (run_display){.c = c};
}

void run_display_deinit(run_display *d) {
  run_display_end(d);
  writer_free(&d->json);
}

lb_distill_options run_display_options(run_display *d) {
  return (lb_distill_options){.on_event = on_event,
                              .on_event_ctx = d,
                              .on_phase = on_phase,
                              .on_phase_ctx = d,
                              .cancel = &cli_cancelled};
}

/* html_report.c - lb_report_write: a run's log and facts as one page (limbeck/report.h).
 *
 * Everything that comes from outside goes through lb__outside_add_html; the page forbids itself
 * scripts and the network (Content-Security-Policy). The parts follow in the order of the page;
 * read next: add_page, near the end. */
#include "outside_text.h"
#include "page_style.h"
#include "run_facts.h"
#include "svg_chart.h"

#include "base/fail.h"
#include "base/files.h"
#include "base/json.h"

#include <limbeck/environment.h>
#include <limbeck/report.h>

#include <math.h>
#include <stdio.h>

enum { LARGEST_PAGE = 64 << 20, LARGEST_FACTS = 16 << 20, LARGEST_COMPARISON = 64 << 20 };

/* ---- what a page is made of ---- */

typedef struct source {
  const char *folder;
  lb__run_curves curves;
  json_t *facts; /* run.json; NULL: there is none */
} source;

typedef struct page {
  lb__buf html;
  source run, baseline; /* baseline.folder NULL: none */
  json_t *comparison;   /* NULL: none */
  char *name;           /* of the run */
} page;

static double real_of(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

static const char *text_of(const json_t *object, const char *key) { /* NULL: none */
  return json_string_value(json_object_get(object, key));
}

static const json_t *result_of(const source *s) {
  return json_object_get(s->facts, "result");
}

/* ---- small pieces of HTML ---- */

static void add(page *p, const char *html) {
  lb__buf_add_text(&p->html, html);
}

static void add_outside(page *p, const char *text) {
  lb__outside_add_html(&p->html, text);
}

typedef enum figure_kind { PLAIN, SHARE, COUNT, BYTES, SECONDS } figure_kind;

/* 1234567 as "1,234,567": groups of three. */
static void add_whole(lb__buf *b, double value) {
  char digits[32];
  int n = snprintf(digits, sizeof digits, "%.0f", value);
  int first = n > 0 && digits[0] == '-';
  for (int i = 0; i < n && i < (int)sizeof digits - 1; i++) {
    lb__buf_add_char(b, digits[i]);
    if (i >= first && i + 1 < n && (n - i - 1) % 3 == 0) lb__buf_add_char(b, ',');
  }
}

static void add_scaled(lb__buf *b, double value, const char *unit) {
  static const char *const prefixes[] = {"", "k", "M", "G", "T"};
  size_t i = 0;
  for (; value >= 999.5 && i < 4; i++) value /= 1000.0;
  lb__buf_printf(b, "%.4g %s%s", value, prefixes[i], unit);
}

static void add_duration(lb__buf *b, double seconds) {
  double minutes = floor(seconds / 60.0), hours = floor(minutes / 60.0);
  if (hours >= 1.0)
    lb__buf_printf(b, "%.0f h %02.0f min", hours, minutes - 60.0 * hours);
  else if (minutes >= 1.0)
    lb__buf_printf(b, "%.0f min %02.0f s", minutes, floor(seconds - 60.0 * minutes));
  else
    lb__buf_printf(b, "%.1f s", seconds);
}

static void add_figure(lb__buf *b, figure_kind kind, double value) {
  if (!isfinite(value) || fabs(value) > 1e300) {
    lb__buf_add_text(b, "-");
    return;
  }
  switch (kind) {
  case SHARE: lb__buf_printf(b, "%.1f %%", 100.0 * value); break;
  case COUNT: value < 1e7 ? add_whole(b, value) : add_scaled(b, value, ""); break;
  case BYTES: add_scaled(b, value, "B"); break;
  case SECONDS: add_duration(b, value); break;
  default:
    fabs(value) >= 1000.0 && fabs(value) < 1e15 ? add_whole(b, value)
                                                : (void)lb__buf_printf(b, "%.4g", value);
  }
}

/* ---- the top: what was done, and what came of it ---- */

static const char *state_of(const page *p) {
  const char *state = text_of(p->run.facts, "state");
  return state != NULL ? state : "unknown";
}

static void add_heading(page *p) {
  const char *teacher = text_of(p->run.facts, "teacher"), *loss = text_of(p->run.facts, "loss");
  add(p, "<h1>");
  add_outside(p, p->name);
  add(p, "</h1>\n<p class=\"sub\">");
  add_outside(p, teacher != NULL ? teacher : "no teacher");
  add(p, " &rarr; ");
  const char *student = text_of(p->run.facts, "student");
  add_outside(p, student != NULL ? student : "a student");
  if (loss != NULL) add(p, "<br>loss: "), add_outside(p, loss);
  if (strcmp(state_of(p), "finished") != 0) {
    add(p, "<br>this run is not finished; its state: ");
    add_outside(p, state_of(p));
    const char *error = text_of(p->run.facts, "error");
    if (error != NULL) add(p, ": "), add_outside(p, error);
  }
  add(p, "</p>\n");
}

static void add_tile(page *p, const char *label, figure_kind kind, double value) {
  if (!isfinite(value)) return;
  add(p, "<div><b>");
  add_figure(&p->html, kind, value);
  add(p, "</b><span>");
  add(p, label);
  add(p, "</span></div>");
}

static double last_of(const page *p, const char *curve) {
  const lb__curve *c = lb__run_curves_find(&p->run.curves, curve);
  return c != NULL && c->n > 0 ? c->values[c->n - 1] : NAN;
}

static double mean_of(const page *p, const char *curve) {
  const lb__curve *c = lb__run_curves_find(&p->run.curves, curve);
  double sum = 0.0;
  for (size_t i = 0; c != NULL && i < c->n; i++) sum += c->values[i] / (double)c->n;
  return c != NULL && c->n > 0 ? sum : NAN;
}

static double known_or(double value, double otherwise) {
  return isfinite(value) ? value : otherwise;
}

static void add_tiles(page *p) {
  const json_t *result = result_of(&p->run), *after = json_object_get(result, "after");
  add(p, "<div class=\"tiles\">");
  add_tile(p, "perplexity of the student", PLAIN,
           known_or(real_of(after, "perplexity"), last_of(p, "eval_perplexity")));
  add_tile(p, "KL to the teacher, nats a token", PLAIN,
           known_or(real_of(after, "kl_to_teacher"), last_of(p, "eval_kl")));
  add_tile(p, "parameters", COUNT, real_of(after, "parameters"));
  add_tile(p, "tokens seen", COUNT, last_of(p, "tokens"));
  add_tile(p, "tokens a second, mean", COUNT, mean_of(p, "tokens_per_second"));
  double seconds = real_of(result, "seconds");
  add_tile(p, "training time", SECONDS, seconds > 0.0 ? seconds : NAN);
  add(p, "</div>\n");
}

static void add_warnings(page *p) {
  const lb__run_curves *c = &p->run.curves;
  if (c->n_unread > 0)
    lb__buf_printf(&p->html,
                   "<p class=\"warn\">%lld of %lld lines of metrics.jsonl could not be "
                   "read and are not shown.</p>\n",
                   (long long)c->n_unread, (long long)c->n_lines);
  for (size_t i = 0; i < c->n_warnings && i < LB__CURVE_WARNINGS_MAX; i++) {
    add(p, "<p class=\"warn\">");
    add_outside(p, c->warnings[i]);
    add(p, "</p>\n");
  }
  if (c->n_warnings > LB__CURVE_WARNINGS_MAX)
    lb__buf_printf(&p->html, "<p class=\"warn\">and %zu more warnings in metrics.jsonl</p>\n",
                   c->n_warnings - LB__CURVE_WARNINGS_MAX);
}

/* ---- tables: a row of data says what a figure is ---- */

typedef struct measure {
  const char *key, *label;
  figure_kind kind;
  int better;       /* -1: less is better, 1: more, 0: neither */
  const char *gain; /* of a comparison, "gain_error" with it: the difference; NULL: not known */
} measure;

static const measure run_measures[] = {
    {"perplexity", "perplexity", PLAIN, 0, NULL}, /* without errors nothing is called better */
    {"kl_to_teacher", "KL(teacher || it), nats a token", PLAIN, 0, NULL},
    {"agreement", "same best token as the teacher", SHARE, 0, NULL},
    {"parameters", "parameters", COUNT, 0, NULL},
    {"bytes", "size of the weights", BYTES, 0, NULL},
    {"tokens_per_second", "tokens a second, reading", COUNT, 0, NULL},
    {0}};

static const measure compared_measures[] = {
    {"perplexity", "perplexity", PLAIN, -1, "log_perplexity_gain"},
    {"forward_kl", "KL(teacher || it), nats a token", PLAIN, -1, "forward_kl_gain"},
    {"forward_kl_error", "its standard error", PLAIN, 0, NULL},
    {"reverse_kl", "KL(it || teacher), nats a token", PLAIN, -1, "reverse_kl_gain"},
    {"reverse_kl_error", "its standard error", PLAIN, 0, NULL},
    {"agreement", "same best token as the teacher", SHARE, 1, NULL},
    {"accuracy", "best token is the text's", SHARE, 1, NULL},
    {"calibration_error", "calibration error", SHARE, -1, NULL},
    {"parameters", "parameters", COUNT, 0, NULL},
    {"size_bytes", "size of the weights", BYTES, 0, NULL},
    {"read_tokens_per_second", "tokens a second, reading", COUNT, 0, NULL},
    {"write_tokens_per_second", "tokens a second, writing", COUNT, 0, NULL},
    {0}};

enum { TABLE_COLUMNS = 4 };
typedef struct figures_table {
  const char *headers[TABLE_COLUMNS];
  const json_t *models[TABLE_COLUMNS]; /* the teacher's first; NULL: no such column */
} figures_table;

/* As `limbeck compare` has it: a difference below twice its standard error is none. */
static bool is_told_apart(const json_t *comparison, const measure *m) {
  char error[64];
  if (m->gain == NULL) return true;
  snprintf(error, sizeof error, "%s_error", m->gain);
  return fabs(real_of(comparison, m->gain)) >= 2.0 * real_of(comparison, error);
}

/* The column with the best value but for the teacher's; -1: fewer than two of them have one, or
 * chance alone may have made the difference. */
static int best_column(const json_t *comparison, const figures_table *t, const measure *m) {
  int best = -1, n = 0;
  if (m->better == 0 || !is_told_apart(comparison, m)) return -1;
  for (int i = 1; i < TABLE_COLUMNS; i++) {
    double value = real_of(t->models[i], m->key);
    if (!isfinite(value)) continue;
    n++;
    if (best < 0 || m->better * (value - real_of(t->models[best], m->key)) > 0.0) best = i;
  }
  return n >= 2 ? best : -1;
}

static void add_measure(page *p, const figures_table *t, const measure *m) {
  int best = best_column(p->comparison, t, m);
  bool is_known = false;
  for (int i = 0; i < TABLE_COLUMNS; i++) is_known |= isfinite(real_of(t->models[i], m->key));
  if (!is_known) return;
  lb__buf_printf(&p->html, "<tr><td>%s</td>", m->label);
  for (int i = 0; i < TABLE_COLUMNS; i++) {
    if (t->models[i] == NULL) continue;
    add(p, i == best ? "<td class=\"best\">" : "<td>");
    add_figure(&p->html, m->kind, real_of(t->models[i], m->key));
    add(p, "</td>");
  }
  add(p, "</tr>\n");
}

static void add_table(page *p, const figures_table *t, const measure *measures) {
  add(p, "<div class=\"wide\"><table><thead><tr><th></th>");
  for (int i = 0; i < TABLE_COLUMNS; i++)
    if (t->models[i] != NULL) lb__buf_printf(&p->html, "<th>%s</th>", t->headers[i]);
  add(p, "</tr></thead><tbody>\n");
  for (const measure *m = measures; m->key != NULL; m++) add_measure(p, t, m);
  add(p, "</tbody></table></div>\n");
}

static void add_figures(page *p) {
  const json_t *result = result_of(&p->run);
  figures_table t = {.headers = {"teacher", "student before", "student after", "baseline"},
                     .models = {json_object_get(result, "teacher"),
                                json_object_get(result, "before"), json_object_get(result, "after"),
                                json_object_get(result_of(&p->baseline), "after")}};
  if (t.models[0] == NULL && t.models[1] == NULL && t.models[2] == NULL) return;
  add(p, "<h2>Figures</h2>\n");
  add_table(p, &t, run_measures);
  add(p, json_is_true(json_object_get(result, "measured_on_training_data"))
             ? "<p class=\"sub\">Measured on training documents: nothing was held out.</p>\n"
             : "<p class=\"sub\">Measured on held-out documents.</p>\n");
}

/* ---- curves ---- */

static const struct chart_plan {
  const char *title;
  const char *curves[LB__CHART_LINES_MAX]; /* one that ends in _ : all that begin so */
  bool is_linear;
} chart_plans[] = {{.title = "loss while training", .curves = {"loss", "loss_"}},
                   {.title = "held-out perplexity", .curves = {"eval_perplexity"}},
                   {.title = "held-out KL, nats a token", .curves = {"eval_kl", "eval_reverse_kl"}},
                   {.title = "held-out loss", .curves = {"eval_loss"}},
                   {.title = "held-out: best token is the teacher's, the text's",
                    .curves = {"eval_agreement", "eval_accuracy"}},
                   {.title = "learning rate", .curves = {"learning_rate"}, .is_linear = true},
                   {.title = "norm of the gradient, before clipping", .curves = {"grad_norm"}},
                   {.title = "tokens a second", .curves = {"tokens_per_second"}}};

static bool is_of(const char *pattern, const char *name) {
  size_t length = strlen(pattern);
  if (length == 0 || pattern[length - 1] != '_') return strcmp(pattern, name) == 0;
  return strncmp(pattern, name, length) == 0;
}

enum { SHOWN_NAME = LB__METRIC_NAME_SIZE + 16 };

/* A baseline's line has the colour of the run's own of that name. */
static size_t colour_of(const lb__chart *chart, const lb__curve *curve) {
  for (size_t i = 0; i < chart->n; i++)
    if (strcmp(chart->lines[i].curve->name, curve->name) == 0) return chart->lines[i].colour;
  return chart->n;
}

static void collect(lb__chart *chart, char names[][SHOWN_NAME], const source *s,
                    const char *pattern, bool is_baseline) {
  for (size_t i = 0; i < s->curves.n && chart->n < LB__CHART_LINES_MAX; i++) {
    const lb__curve *c = &s->curves.list[i];
    if (c->n == 0 || !is_of(pattern, c->name)) continue;
    snprintf(names[chart->n], SHOWN_NAME, "%s%s", is_baseline ? "baseline: " : "", c->name);
    chart->lines[chart->n] =
        (struct lb__chart_line){names[chart->n], c, colour_of(chart, c), is_baseline};
    chart->n++;
  }
}

static void add_chart(page *p, const struct chart_plan *plan) {
  char names[LB__CHART_LINES_MAX][SHOWN_NAME];
  lb__chart chart = {.title = plan->title, .is_linear = plan->is_linear};
  for (size_t i = 0; i < LB__CHART_LINES_MAX && plan->curves[i] != NULL; i++)
    collect(&chart, names, &p->run, plan->curves[i], false);
  for (size_t i = 0; i < LB__CHART_LINES_MAX && plan->curves[i] != NULL; i++)
    collect(&chart, names, &p->baseline, plan->curves[i], true);
  lb__chart_add(&p->html, &chart);
}

static void add_charts(page *p) {
  add(p, "<h2>Curves, over optimizer steps</h2>\n<div class=\"charts\">\n");
  for (size_t i = 0; i < sizeof chart_plans / sizeof *chart_plans; i++)
    add_chart(p, &chart_plans[i]);
  add(p, "</div>\n");
}

/* ---- comparison and answers ---- */

static void add_answer(page *p, const char *who, const char *answer) {
  if (answer == NULL) return;
  lb__buf_printf(&p->html, "<div><h3>%s</h3>", who);
  add_outside(p, answer);
  add(p, "</div>");
}

static void add_prompt(page *p, const char *prompt) {
  add(p, "<p class=\"prompt\"><b>");
  add_outside(p, prompt != NULL ? prompt : "");
  add(p, "</b></p>\n");
}

static void add_samples(page *p) {
  const json_t *result = result_of(&p->run);
  if (text_of(result, "student_answer") == NULL) return;
  add(p, "<h2>Samples</h2>\n");
  add_prompt(p, text_of(p->run.facts, "test_prompt"));
  add(p, "<div class=\"answers\">");
  add_answer(p, "teacher", text_of(result, "teacher_answer"));
  add_answer(p, "student", text_of(result, "student_answer"));
  add_answer(p, "baseline", text_of(result_of(&p->baseline), "student_answer"));
  add(p, "</div>\n");
}

static const char *const roles[] = {"teacher", "student", "baseline"};
enum { N_ROLES = sizeof roles / sizeof *roles };

static void add_compared_answers(page *p) {
  size_t i;
  json_t *prompt;
  json_array_foreach(json_object_get(p->comparison, "prompts"), i, prompt) {
    add_prompt(p, json_string_value(prompt));
    add(p, "<div class=\"answers\">");
    for (int r = 0; r < N_ROLES; r++) {
      const json_t *model = json_object_get(p->comparison, roles[r]);
      const json_t *answer = json_array_get(json_object_get(model, "answers"), i);
      add_answer(p, roles[r], json_string_value(answer));
    }
    add(p, "</div>\n");
  }
}

static void add_comparison(page *p) {
  figures_table t = {0};
  double gain = real_of(p->comparison, "log_perplexity_gain");
  double error = real_of(p->comparison, "log_perplexity_gain_error");
  if (p->comparison == NULL) return;
  for (int r = 0; r < N_ROLES; r++) {
    t.headers[r] = roles[r];
    t.models[r] = json_object_get(p->comparison, roles[r]);
  }
  add(p, "<h2>Comparison</h2>\n");
  add_table(p, &t, compared_measures);
  add(p, "<p class=\"sub\">");
  add_figure(&p->html, COUNT, real_of(p->comparison, "documents"));
  add(p, " documents, ");
  add_figure(&p->html, COUNT, real_of(p->comparison, "measured_tokens"));
  add(p, " tokens predicted");
  if (isfinite(gain) && isfinite(error))
    lb__buf_printf(&p->html,
                   "; ln perplexity of the baseline minus the student's: %.4g, standard "
                   "error %.2g",
                   gain, error);
  add(p, "</p>\n");
  add_compared_answers(p);
}

/* ---- what makes it possible to do it again ---- */

static void open_fact(page *p, const char *label) {
  add(p, "<tr><td>");
  add_outside(p, label);
  add(p, "</td><td>");
}

static void add_fact(page *p, const char *label, const char *value) {
  open_fact(p, label);
  add_outside(p, value);
  add(p, "</td></tr>\n");
}

static void add_fact_number(page *p, const char *label, figure_kind kind, double value) {
  if (!isfinite(value)) return;
  open_fact(p, label);
  add_figure(&p->html, kind, value);
  add(p, "</td></tr>\n");
}

static void add_fact_object(page *p, const json_t *object) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)object, key, value) {
    if (json_is_string(value)) add_fact(p, key, json_string_value(value));
  }
}

static void add_data(page *p) {
  size_t i;
  json_t *file;
  const json_t *facts = p->run.facts, *result = result_of(&p->run);
  add(p, "<h2>Data</h2>\n<div class=\"wide\"><table class=\"facts\"><tbody>\n");
  json_array_foreach(json_object_get(facts, "data"), i, file) {
    if (json_is_string(file)) add_fact(p, "file", json_string_value(file));
  }
  add_fact_number(p, "documents", COUNT, real_of(facts, "documents"));
  add_fact_number(p, "tokens of these", COUNT, real_of(facts, "tokens"));
  add_fact_number(p, "held-out documents", COUNT, real_of(facts, "held_out_documents"));
  add_fact_number(p, "tokens trained on", COUNT, real_of(result, "trained_tokens"));
  add_fact_number(p, "steps", COUNT, real_of(result, "steps"));
  add_fact_number(p, "skipped steps", COUNT, real_of(result, "skipped_steps"));
  add(p, "</tbody></table></div>\n");
}

static void add_environment(page *p) {
  const json_t *e = json_object_get(p->run.facts, "environment");
  if (e == NULL) return;
  add(p, "<h2>Environment</h2>\n<div class=\"wide\"><table class=\"facts\"><tbody>\n");
  add_fact_object(p, e);
  add_fact_number(p, "threads", COUNT, real_of(e, "threads"));
  add_fact_number(p, "memory of the machine", BYTES, real_of(e, "memory_bytes"));
  add_fact_object(p, json_object_get(e, "libraries"));
  add_fact_object(p, json_object_get(e, "kernels"));
  add(p, "</tbody></table></div>\n");
}

static void add_settings(page *p, const source *s, const char *heading) {
  const char *settings = text_of(s->facts, "settings");
  if (settings == NULL) return;
  lb__buf_printf(&p->html,
                 "<h2>%s</h2>\n<details><summary>every key, as it was in force</summary>"
                 "<pre>",
                 heading);
  add_outside(p, settings);
  add(p, "</pre></details>\n");
}

/* ---- all of it ---- */

static void add_page(page *p) {
  add(p, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
         "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
         "style-src 'unsafe-inline'\">\n"
         "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>");
  add_outside(p, p->name);
  add(p, " - Limbeck</title>\n<style>");
  add(p, page_style);
  add(p, "</style></head><body>\n");
  add_heading(p);
  add_tiles(p);
  add_warnings(p);
  add_figures(p);
  add_charts(p);
  add_comparison(p);
  add_samples(p);
  add_data(p);
  add_settings(p, &p->run, "Recipe");
  add_settings(p, &p->baseline, "Recipe of the baseline");
  add_environment(p);
  lb__buf_printf(&p->html,
                 "<footer>Limbeck %s. This page loads nothing.</footer>\n</body></html>\n",
                 lb_version());
}

static lb_status read_facts(json_t **out, const char *folder, lb_error *err) {
  char *path = lb__path_join(folder, LB__RUN_FACTS_FILE);
  const char *format = NULL;
  int64_t version = 0;
  if (path == NULL) return lb__fail_nomem(err, "a path");
  lb_status st = LB_OK;
  if (lb__path_is_file(path)) {
    st = lb__json_read(out, path, LARGEST_FACTS, err);
    if (st == LB_OK) st = lb__json_get_string(&format, *out, "format", true, path, err);
    if (st == LB_OK) st = lb__json_get_int(&version, *out, "version", true, path, err);
    if (st == LB_OK && (strcmp(format, LB__RUN_FACTS_FORMAT) != 0 || version < 1 ||
                        version > LB__RUN_FACTS_VERSION))
      st = lb__fail(err, LB_E_FORMAT,
                    "%s: want format '%s' of version 1 to %d, found '%s' of "
                    "version %lld; a newer Limbeck may have written it",
                    path, LB__RUN_FACTS_FORMAT, (int)LB__RUN_FACTS_VERSION, format,
                    (long long)version);
  }
  lb__free(path);
  return st;
}

static lb_status read_source(source *s, const char *folder, lb_error *err) {
  s->folder = folder;
  char *path = lb__path_join(folder, "metrics.jsonl");
  if (path == NULL) return lb__fail_nomem(err, "a path");
  lb_status st = LB_OK;
  if (!lb__path_is_file(path))
    st = lb__fail(err, LB_E_IO,
                  "%s: want the output_dir of a run, which has a metrics.jsonl; "
                  "there is none",
                  folder);
  if (st == LB_OK) st = lb__run_curves_read(&s->curves, path, err);
  lb__free(path);
  return st == LB_OK ? read_facts(&s->facts, folder, err) : st;
}

static lb_status read_comparison(page *p, const char *path, lb_error *err) {
  lb_status st = lb__json_read(&p->comparison, path, LARGEST_COMPARISON, err);
  if (st == LB_OK && !json_is_object(json_object_get(p->comparison, "student")))
    st = lb__fail(err, LB_E_FORMAT,
                  "%s: want what `limbeck compare --json` prints, an object with "
                  "the key 'student'; there is none",
                  path);
  return st;
}

static lb_status save_page(lb_report_facts *facts, page *p, const lb_report_options *o,
                           lb_error *err) {
  int n = o->output != NULL ? snprintf(facts->path, sizeof facts->path, "%s", o->output)
                            : snprintf(facts->path, sizeof facts->path, "%s/report.html", o->run);
  if (n < 0 || (size_t)n >= sizeof facts->path)
    return lb__fail(err, LB_E_ARG, "the path of the report has more than %zu bytes",
                    sizeof facts->path - 1);
  facts->lines = p->run.curves.n_lines;
  facts->unread = p->run.curves.n_unread;
  lb_status st = lb__buf_check(&p->html, "a report", err);
  return st == LB_OK ? lb__file_save(facts->path, p->html.bytes, p->html.size, err) : st;
}

static void close_source(source *s) {
  lb__run_curves_deinit(&s->curves);
  json_decref(s->facts);
}

lb_status lb_report_write(lb_report_facts *facts, const lb_report_options *options, lb_error *err) {
  page p = {0};
  *facts = (lb_report_facts){0};
  if (options->run == NULL) return lb__fail(err, LB_E_ARG, "a report needs the folder of a run");
  lb__buf_init(&p.html, LARGEST_PAGE);
  p.name = lb__path_name(options->run);
  lb_status st =
      p.name != NULL ? read_source(&p.run, options->run, err) : lb__fail_nomem(err, "a report");
  if (st == LB_OK && options->baseline != NULL)
    st = read_source(&p.baseline, options->baseline, err);
  if (st == LB_OK && options->comparison != NULL)
    st = read_comparison(&p, options->comparison, err);
  if (st == LB_OK) {
    add_page(&p);
    st = save_page(facts, &p, options, err);
  }
  close_source(&p.run);
  close_source(&p.baseline);
  json_decref(p.comparison);
  lb__buf_deinit(&p.html);
  lb__free(p.name);
  return st;
}

/* test_report.c - a log read back, its charts, the page: torn and foreign logs, names that try to
 * break out of their places, long runs, and every call failing. */
#include "report/outside_text.h"
#include "report/run_curves.h"
#include "report/run_facts.h"
#include "report/svg_chart.h"

#include <limbeck/report.h>

#include "faults.h"
#include "scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char *folder;
static lb_error err;

static int setup(void **state) {
  (void)state;
  folder = scratch_new();
  return 0;
}

static int teardown(void **state) {
  (void)state;
  scratch_remove(folder);
  return 0;
}

/* ---- curves ---- */

static lb__run_curves curves_of(const char *text) {
  lb__run_curves c;
  assert_int_equal(lb__run_curves_parse(&c, text, strlen(text), &err), LB_OK);
  return c;
}

static void test_log_after_rollback(void **state) {
  (void)state;
  lb__run_curves c = curves_of("{\"step\": 1, \"loss\": 4.0}\n{\"step\": 2, \"loss\": 3.0}\n"
                               "{\"step\": 3, \"loss\": 1e9}\n"
                               "{\"step\": 3, \"warning\": \"back to step 1\"}\n"
                               "{\"step\": 2, \"loss\": 2.5}\n{\"step\": 3, \"loss\": 2.0}\n");
  const lb__curve *loss = lb__run_curves_find(&c, "loss");
  assert_non_null(loss);
  assert_int_equal(loss->n, 3);
  assert_true(loss->steps[1] == 2.0 && loss->values[1] == 2.5 && loss->values[2] == 2.0);
  assert_int_equal(c.n_warnings, 1);
  assert_string_equal(c.warnings[0], "back to step 1");
  assert_null(lb__run_curves_find(&c, "warning"));
  lb__run_curves_deinit(&c);
}

static void test_log_of_strangers(void **state) {
  (void)state;
  lb__run_curves c = curves_of("\n[1]\n{\"loss\": 1}\n{\"step\": -1, \"loss\": 1}\n"
                               "{\"step\": \"2\", \"loss\": 1}\nnonsense\n"
                               "{\"step\": 5, \"loss\": \"low\", \"x\": 1e305, \"ok\": 3}\n"
                               "{\"step\": 6, \"loss\": 1.5"); /* torn */
  assert_int_equal(c.n_lines, 7);
  assert_int_equal(c.n_unread, 6);
  assert_int_equal(c.n, 1);
  assert_string_equal(c.list[0].name, "ok");
  lb__run_curves_deinit(&c);
}

static void test_log_of_many_names(void **state) {
  (void)state;
  lb__buf b;
  lb__buf_init(&b, 1 << 20);
  lb__buf_add_text(&b, "{\"step\": 1");
  for (int i = 0; i < 200; i++) lb__buf_printf(&b, ", \"name_%d\": %d", i, i);
  for (int i = 0; i < 200; i++) lb__buf_add_text(&b, i == 0 ? ", \"" : "long");
  lb__buf_add_text(&b, "\": 1}\n");
  for (int i = 0; i < 200; i++) lb__buf_printf(&b, "{\"step\": %d, \"warning\": \"w%d\"}\n", i, i);
  lb__run_curves c = curves_of(lb__buf_text(&b));
  assert_int_equal(c.n, LB__CURVES_MAX);
  assert_int_equal(c.n_warnings, 200);
  lb__run_curves_deinit(&c);
  lb__buf_deinit(&b);
}

/* ---- charts ---- */

static size_t count_of(const char *text, const char *part) {
  size_t n = 0;
  for (; (text = strstr(text, part)) != NULL; text += strlen(part)) n++;
  return n;
}

static void draw(lb__buf *b, double *values, size_t n, bool is_linear) {
  double *steps = calloc(n, sizeof *steps);
  assert_non_null(steps);
  for (size_t i = 0; i < n; i++) steps[i] = (double)(i + 1);
  lb__curve curve = {.name = "loss", .n = n, .steps = steps, .values = values};
  lb__chart chart = {
      .title = "a < b", .lines = {{"loss", &curve, 0, false}}, .n = 1, .is_linear = is_linear};
  lb__buf_init(b, 1 << 20);
  lb__chart_add(b, &chart);
  assert_false(b->failed);
  assert_null(strstr(lb__buf_text(b), "nan"));
  assert_null(strstr(lb__buf_text(b), "inf"));
  free(steps);
}

static void test_chart_of_a_long_run(void **state) {
  (void)state;
  enum { N = 200000 };
  double *values = malloc(N * sizeof *values);
  assert_non_null(values);
  for (size_t i = 0; i < N; i++) values[i] = 2.0 + sin((double)i);
  values[123456] = 9.0; /* a peak of one step stays */
  lb__buf b;
  draw(&b, values, N, false);
  assert_true(b.size < 30000);
  assert_non_null(strstr(lb__buf_text(&b), " 21.5")); /* of 220 to 12, for 0.6 to 9.4 */
  lb__buf_deinit(&b);
  free(values);
}

static void test_axes(void **state) {
  (void)state;
  double far_apart[] = {1.5e6, 2000.0, 79.0}, same[] = {3.0}, zero[] = {0.0, 0.0},
         mixed[] = {-1e300, 1e300}, tiny[] = {1e-7, 5e-4};
  lb__buf b;
  draw(&b, far_apart, 3, false);
  assert_non_null(strstr(lb__buf_text(&b), ">100</text>"));
  assert_non_null(strstr(lb__buf_text(&b), ">1000</text>"));
  assert_non_null(strstr(lb__buf_text(&b), "step 3: 79<"));
  assert_non_null(strstr(lb__buf_text(&b), "a &lt; b"));
  lb__buf_deinit(&b);
  draw(&b, far_apart, 3, true);
  assert_null(strstr(lb__buf_text(&b), ">100</text>"));
  lb__buf_deinit(&b);
  draw(&b, same, 1, false);
  assert_non_null(strstr(lb__buf_text(&b), ">3</text>"));
  assert_int_equal(count_of(lb__buf_text(&b), "<circle"), 1);
  lb__buf_deinit(&b);
  draw(&b, zero, 2, false);
  lb__buf_deinit(&b);
  draw(&b, mixed, 2, false);
  lb__buf_deinit(&b);
  draw(&b, tiny, 2, true);
  assert_non_null(strstr(lb__buf_text(&b), ">0.0005</text>"));
  lb__buf_deinit(&b);
}

/* ---- the page ---- */

static const lb_model_figures unknown = {
    .perplexity = NAN, .kl_to_teacher = NAN, .agreement = NAN, .tokens_per_second = NAN};
static const char hostile[] = "</script><script>alert(1)</script>\"'&\xFF\xE2\x80\xAE";

static void write_run(const char *state_name) {
  static const char *const data[] = {hostile};
  static char answer[sizeof hostile];
  lb_distill_result result = {.steps = 30, .seconds = 61.5, .teacher = unknown};
  memcpy(answer, hostile, sizeof hostile);
  snprintf(result.output_dir, sizeof result.output_dir, "%s", folder);
  result.before = (lb_model_figures){1500000.0, 2.5, 0.1, 124439808, 248879616, 2300.0};
  result.after = (lb_model_figures){25.0, 0.125, 0.75, 124439808, 248879616, 2300.0};
  result.test_student = answer;
  lb__model_card card = {.student = hostile,
                         .loss = "cross entropy",
                         .data = data,
                         .n_data = 1,
                         .n_documents = 8,
                         .n_tokens = 2950,
                         .n_held_out = -1,
                         .settings = hostile,
                         .result = &result};
  lb__run_state state = {.name = state_name, .error = hostile, .test_prompt = hostile};
  if (lb__run_facts_save(folder, &card, &state, &err) != LB_OK) fail_msg("%s", err.message);
  scratch_write_text(folder, "metrics.jsonl",
                     "{\"step\": 10, \"loss\": 3.5, \"loss_<b>\": 2, \"eval_kl\": 0.5}\n"
                     "{\"step\": 20, \"loss\": 2.5, \"warning\": \"<img src=x onerror=y>\"}\n");
}

static char *write_page(const lb_report_options *options) {
  lb_report_facts facts;
  if (lb_report_write(&facts, options, &err) != LB_OK) fail_msg("%s", err.message);
  return scratch_read(folder, "report.html", NULL);
}

static void test_page(void **state) {
  (void)state;
  write_run("finished");
  lb_report_options options = {.run = folder, .baseline = folder};
  char *text = write_page(&options);
  assert_null(strstr(text, "<script"));
  assert_null(strstr(text, "<img"));
  assert_null(strstr(text, "<b>\""));
  assert_null(strstr(text, "not finished"));
  assert_null(strstr(text, "http:"));
  assert_null(strstr(text, "https:"));
  assert_non_null(strstr(text, "default-src 'none'"));
  assert_non_null(strstr(text, "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;"
                               "&amp;\xEF\xBF\xBD\xEF\xBF\xBD"));
  assert_non_null(strstr(text, "<td>1,500,000</td><td>25</td><td>25</td>"));
  assert_non_null(strstr(text, "<td>124.4 M</td>"));
  assert_non_null(strstr(text, "1 min 01 s"));
  assert_int_equal(count_of(text, "<figure>"), 2);         /* loss and KL are all that is known */
  assert_int_equal(count_of(text, "<g class=\"line "), 6); /* of both runs */
  free(text);
}

static void test_page_of_a_run_that_goes_on(void **state) {
  (void)state;
  lb_report_options options = {.run = folder};
  write_run("running");
  char *text = write_page(&options);
  assert_non_null(strstr(text, "its state: running"));
  free(text);
  scratch_write_text(folder, "metrics.jsonl", "");
  free(write_page(&options));
  remove(scratch_path(folder, "run.json"));
  free(write_page(&options));
}

static void test_page_with_a_comparison(void **state) {
  (void)state;
  char path[512];
  lb_report_options options = {.run = folder};
  write_run("finished");
  snprintf(path, sizeof path, "%s/comparison.json", folder);
  options.comparison = path;
  scratch_write_text(folder, "comparison.json",
                     "{\"documents\":3,\"measured_tokens\":900,\"prompts\":[\"<i>\"],"
                     "\"student\":{\"perplexity\":9.5,\"answers\":[\"<u>yes\"]},"
                     "\"baseline\":{\"perplexity\":8.5,\"answers\":[\"no\",4]},"
                     "\"log_perplexity_gain\":-0.1,\"log_perplexity_gain_error\":0.02}");
  char *text = write_page(&options);
  assert_non_null(strstr(text, "<td>9.5</td><td class=\"best\">8.5</td>"));
  assert_non_null(strstr(text, "&lt;u&gt;yes"));
  assert_non_null(strstr(text, "-0.1, standard error 0.02"));
  free(text);
  scratch_write_text(folder, "comparison.json", /* not more than chance may do */
                     "{\"student\":{\"perplexity\":9.5},\"baseline\":{\"perplexity\":8.5},"
                     "\"log_perplexity_gain\":-0.1,\"log_perplexity_gain_error\":0.06}");
  text = write_page(&options);
  assert_non_null(strstr(text, "<td>9.5</td><td>8.5</td>"));
  free(text);
  options.comparison = NULL; /* what lies there may be of an earlier run */
  text = write_page(&options);
  assert_null(strstr(text, "<h2>Comparison"));
  free(text);
}

static void refuses(const lb_report_options *options, lb_status want, const char *part) {
  lb_report_facts facts;
  err = (lb_error){0};
  assert_int_equal(lb_report_write(&facts, options, &err), want);
  if (strstr(err.message, part) == NULL) fail_msg("'%s' is not in: %s", part, err.message);
}

static void test_what_is_no_run(void **state) {
  (void)state;
  char path[512];
  lb_report_options options = {.run = NULL};
  refuses(&options, LB_E_ARG, "the folder of a run");
  options.run = folder;
  refuses(&options, LB_E_IO, "metrics.jsonl; there is none");
  scratch_write_text(folder, "metrics.jsonl", "{\"step\": 10, \"loss\": 3.5}\n");
  scratch_write_text(folder, "run.json", "{\"format\": \"limbeck-run\", \"version\": 2}");
  refuses(&options, LB_E_FORMAT, "version 2");
  scratch_write_text(folder, "run.json", "{\"format\": \"other\", \"version\": 1}");
  refuses(&options, LB_E_FORMAT, "found 'other'");
  scratch_write_text(folder, "run.json", "[]");
  refuses(&options, LB_E_FORMAT, "run.json");
  scratch_write_text(folder, "run.json",
                     "{\"format\": \"limbeck-run\", \"version\": 1, \"data\": "
                     "4, \"result\": [], \"environment\": \"x\"}");
  free(write_page(&options)); /* of a strange one what can be read is shown */
  scratch_write_text(folder, "comparison.json", "{\"student\": 3}");
  snprintf(path, sizeof path, "%s/comparison.json", folder);
  options.comparison = path;
  refuses(&options, LB_E_FORMAT, "limbeck compare --json");
  options.comparison = "/nowhere/c.json";
  refuses(&options, LB_E_IO, "/nowhere/c.json");
}

/* ---- faults ---- */

static void prepare(void *ctx) {
  (void)ctx;
  write_run("finished");
  scratch_write_text(folder, "report.html", "old\n");
}

static lb_status run(void *ctx, lb_error *error) {
  (void)ctx;
  lb_report_facts facts;
  lb_report_options options = {.run = folder, .baseline = folder};
  return lb_report_write(&facts, &options, error);
}

static void check(void *ctx, lb_status st, bool left_behind) {
  (void)ctx, (void)left_behind;
  char *text = scratch_read(folder, "report.html", NULL); /* the old one or the new one, whole */
  bool is_old = strcmp(text, "old\n") == 0;
  assert_true(is_old || strstr(text, "</html>\n") != NULL);
  if (st == LB_OK) assert_false(is_old);
  free(text);
}

static void test_every_call_may_fail(void **state) {
  (void)state;
  fault_case c = {.run = run, .prepare = prepare, .check = check};
  assert_true(fault_each_allocation(&c) > 10);
  assert_true(fault_each_io(&c) > 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_log_after_rollback),
      cmocka_unit_test(test_log_of_strangers),
      cmocka_unit_test(test_log_of_many_names),
      cmocka_unit_test(test_chart_of_a_long_run),
      cmocka_unit_test(test_axes),
      cmocka_unit_test_setup_teardown(test_page, setup, teardown),
      cmocka_unit_test_setup_teardown(test_page_of_a_run_that_goes_on, setup, teardown),
      cmocka_unit_test_setup_teardown(test_page_with_a_comparison, setup, teardown),
      cmocka_unit_test_setup_teardown(test_what_is_no_run, setup, teardown),
      cmocka_unit_test_setup_teardown(test_every_call_may_fail, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

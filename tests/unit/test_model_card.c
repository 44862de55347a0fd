/* test_model_card.c - the student's README.md: all of it, names that try to break out of their
 * places, licenses found and not found, and every call failing. */
#include "report/model_card.h"
#include "report/source_license.h"

#include "base/yaml.h"
#include "formats/gguf.h"

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
#include <unistd.h>
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

static const lb_model_figures unknown = {
    .perplexity = NAN, .kl_to_teacher = NAN, .agreement = NAN, .tokens_per_second = NAN};

/* ---- the whole text ---- */

static const char *const data_files[] = {"texts.jsonl", "more_texts/"};
static lb_distill_result result = {.output_dir = "runs/distilled_model",
                                   .steps = 30,
                                   .tokens = 2950,
                                   .trained_tokens = 2910,
                                   .skipped_steps = 1};

static lb__model_card make_card(void) {
  result.teacher = (lb_model_figures){20.5, NAN, NAN, 354823168, 709646336, 812.4};
  result.before = (lb_model_figures){31.25, 0.5, 0.625, 124439808, 248879616, 2300};
  result.after = (lb_model_figures){25.0, 0.125, 0.75, 124439808, 248879616, 2300};
  return (lb__model_card){.student = "openai-community/gpt2",
                          .student_path = folder,
                          .teacher = "gpt2-medium",
                          .loss = "0.7 * KL(teacher || student) + 0.3 * cross entropy",
                          .data = data_files,
                          .n_data = 2,
                          .n_documents = 8,
                          .n_tokens = 590,
                          .n_held_out = 2,
                          .settings = "teacher: gpt2-medium\ntrain:\n  learning_rate: 5e-05\n",
                          .result = &result};
}

static void expect_part(const char *text, const char *part) {
  if (strstr(text, part) == NULL) fail_msg("missing:\n%s\nin:\n%s", part, text);
}

static char *write_card(const lb__model_card *card) {
  if (lb__model_card_write(folder, card, &err) != LB_OK) fail_msg("%s", err.message);
  return scratch_read(folder, "README.md", NULL);
}

static void test_whole_card(void **state) {
  (void)state;
  scratch_write_text(folder, "README.md", "---\nlicense: mit\n---\n# GPT-2\n");
  lb__model_card card = make_card();
  char *text = write_card(&card);
  assert_int_equal(
      strncmp(text,
              "---\nbase_model: \"openai-community/gpt2\"\nbase_model_relation: finetune\n"
              "library_name: transformers\npipeline_tag: text-generation\nlicense: \"mit\"\n"
              "tags:\n- distillation\n- knowledge-distillation\n- limbeck\n---\n\n"
              "# distilled\\_model\n\nA language model, distilled with Limbeck.\n\n"
              "- teacher: gpt2-medium\n- student: openai-community/gpt2\n"
              "- loss: 0.7 \\* KL(teacher \\|\\| student) + 0.3 \\* cross entropy\n"
              "- data: texts.jsonl\n- data: more\\_texts/\n- documents: 8\n",
              200),
      0);
  expect_part(text, "- data: more\\_texts/\n- documents: 8\n- tokens of these: 590\n"
                    "- held-out documents: 2\n- optimizer steps: 30\n"
                    "- tokens seen in training: 2950\n- tokens trained on: 2910\n"
                    "- steps skipped for numbers not finite: 1\n\n## Figures\n");
  expect_part(text, "| perplexity | 20.5 | 31.25 | 25 |\n"
                    "| KL from the teacher, nats per token | - | 0.5 | 0.125 |\n"
                    "| same most likely token as the teacher | - | 62.5 % | 75.0 % |\n"
                    "| parameters | 354823168 | 124439808 | 124439808 |\n"
                    "| weights, MB | 709.6 | 248.9 | 248.9 |\n"
                    "| tokens read per second | 812 | 2300 | 2300 |\n");
  expect_part(text, "```yaml\nteacher: gpt2-medium\ntrain:\n  learning_rate: 5e-05\n```\n");
  free(text);
}

static void test_figures_say_what_they_were_measured_on(void **state) {
  (void)state;
  lb__model_card card = make_card();
  char *text = write_card(&card);
  expect_part(text, "\n## Figures\n\nOn held-out documents.\n");
  free(text);
  card = make_card();
  result.is_measured_on_training_data = true;
  text = write_card(&card);
  expect_part(text, "\n## Figures\n\nOn documents that it was trained on: nothing was held out.\n");
  free(text);
  result.is_measured_on_training_data = false;
}

static void test_what_is_not_known_is_left_out(void **state) {
  (void)state;
  lb__model_card card = make_card();
  result.teacher = result.before = result.after = unknown;
  card.student = "./a/local/folder"; /* no hub has that */
  card.teacher = card.loss = card.settings = NULL;
  card.student_path = NULL;
  card.n_data = 0;
  card.n_documents = card.n_tokens = card.n_held_out = -1;
  char *text = write_card(&card);
  static const char *const absent[] = {"base_model", "license", "distillation", "data:",
                                       "documents:", "yaml",    "perplexity",   "parameters",
                                       "nan",        "(null)"};
  for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
    if (strstr(text, absent[i]) != NULL) fail_msg("'%s' in:\n%s", absent[i], text);
  expect_part(text, "- teacher: none\n- student: ./a/local/folder\n");
  free(text);
  card.teacher = "gpt2-medium"; /* alpha 0 */
  card.only_measured = true;
  text = write_card(&card);
  expect_part(text, "A language model, trained with Limbeck.\n\n- teacher: none\n"
                    "- measured against: gpt2-medium\n");
  assert_null(strstr(text, "distillation"));
  free(text);
}

/* A folder beside us is called like a model of a hub. */
static void test_a_local_folder_is_no_base_model(void **state) {
  (void)state;
  lb__model_card card = make_card();
  char parent[512];
  const char *name = strrchr(folder, '/') + 1;
  snprintf(parent, sizeof parent, "%.*s", (int)(name - folder), folder);
  assert_int_equal(chdir(parent), 0);
  card.student = name;
  char *text = write_card(&card);
  if (strstr(text, "base_model") != NULL) fail_msg("base_model in:\n%s", text);
  free(text);
}

/* ---- names that try to break out ---- */

static void test_hostile_text(void **state) {
  (void)state;
  static const char *const data[] = {"x | y |\n# Title\n<script>[a](javascript:b)\xFF"};
  lb__model_card card = make_card();
  card.student = "x\"\n---\nlicense: mit";
  card.data = data;
  card.n_data = 1;
  card.settings = "a: |\n  ````\n  # not a title\n```\n\x1B[31m";
  scratch_write_text(folder, "README.md", "---\nlicense: \"a\\\"b\\\\c\\nd: e\"\n---\n");
  char *text = write_card(&card);
  expect_part(text, "license: \"a\\\"b\\\\c\\u000Ad: e\"\n");
  expect_part(text, "- student: x\" --- license: mit\n");
  expect_part(text,
              "- data: x \\| y \\| \\# Title \\<script\\>\\[a\\](javascript:b)\xEF\xBF\xBD\n");
  expect_part(text, "`````yaml\na: |\n  ````\n  # not a title\n```\n[31m\n`````\n");
  const char *end = strstr(text, "\n---\n");
  lb__yaml *yaml;
  assert_int_equal(lb__yaml_parse(&yaml, text + 4, (size_t)(end - text - 3), "card", &err), LB_OK);
  assert_string_equal(lb__yaml_get(lb__yaml_root(yaml), "license")->text, "a\"b\\c\nd: e");
  assert_null(lb__yaml_get(lb__yaml_root(yaml), "base_model"));
  lb__yaml_free(yaml);
  free(text);
}

/* ---- licenses ---- */

static void expect_license(const char *card, const char *license, const char *name) {
  lb__source_license found;
  scratch_write_text(folder, "README.md", card);
  assert_int_equal(lb__source_license_read(&found, folder, &err), LB_OK);
  assert_string_equal(found.license != NULL ? found.license : "none", license);
  assert_string_equal(found.name != NULL ? found.name : "none", name);
  lb__source_license_deinit(&found);
}

static void test_licenses_of_folders(void **state) {
  (void)state;
  expect_license("---\nlicense: apache-2.0  # yes\n---\n", "apache-2.0", "none");
  expect_license("---\r\ntags: [a]\r\nlicense: 'mit'\r\n---\r\n", "mit", "none");
  expect_license("---\nlicense: other\nlicense_name: gemma\nlicense_link: LICENSE\n---\n", "other",
                 "gemma");
  expect_license("---\n&anchor {broken: [\nlicense: mit\n---\n", "mit", "none");
  expect_license("---\nlicense:\n- a\n- b\n---\n", "none", "none");
  expect_license("---\nlicense: [a, b]\nlicenses: c\n  license: d\n---\n", "none", "none");
  expect_license("---\ntags: x\n---\nlicense: mit\n", "none", "none"); /* prose */
  expect_license("# Title\n---\nlicense: mit\n---\n", "none", "none");
  expect_license("", "none", "none");
  expect_license("---", "none", "none");
}

static void write_gguf(const char *license) {
  lb__gguf_writer *w;
  assert_int_equal(lb__gguf_writer_new(&w, &err), LB_OK);
  lb__gguf_set_string(w, "general.architecture", "llama");
  if (license != NULL) lb__gguf_set_string(w, "general.license", license);
  if (lb__gguf_writer_save(w, scratch_path(folder, "m.gguf"), NULL, NULL, &err) != LB_OK)
    fail_msg("%s", err.message);
  lb__gguf_writer_free(w);
}

static void test_licenses_of_gguf(void **state) {
  (void)state;
  lb__source_license found;
  write_gguf("apache-2.0");
  assert_int_equal(lb__source_license_read(&found, scratch_path(folder, "m.gguf"), &err), LB_OK);
  assert_string_equal(found.license, "apache-2.0");
  lb__source_license_deinit(&found);
  write_gguf(NULL);
  assert_int_equal(lb__source_license_read(&found, scratch_path(folder, "m.gguf"), &err), LB_OK);
  assert_null(found.license);
  lb__source_license_deinit(&found);
  scratch_write_text(folder, "bad.gguf", "GGUF");
  assert_int_equal(lb__source_license_read(&found, scratch_path(folder, "bad.gguf"), &err),
                   LB_E_FORMAT);
}

/* ---- faults ---- */

static void prepare(void *ctx) {
  (void)ctx;
  scratch_write_text(folder, "README.md", "---\nlicense: mit\n---\nold\n");
}

static lb_status run(void *ctx, lb_error *error) {
  (void)ctx;
  lb__model_card card = make_card();
  return lb__model_card_write(folder, &card, error);
}

static void check(void *ctx, lb_status st, bool left_behind) {
  (void)ctx, (void)left_behind;
  char *text = scratch_read(folder, "README.md", NULL); /* the old one or the new one, whole */
  bool is_old = strcmp(text, "---\nlicense: mit\n---\nold\n") == 0;
  assert_true(is_old || strstr(text, "learning_rate: 5e-05\n```\n") != NULL);
  if (st == LB_OK) assert_false(is_old);
  free(text);
}

static void test_every_call_may_fail(void **state) {
  (void)state;
  fault_case c = {.run = run, .prepare = prepare, .check = check};
  c.may_survive = true; /* an arena takes a smaller block */
  assert_true(fault_each_allocation(&c) > 10);
  assert_true(fault_each_io(&c) > 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_whole_card, setup, teardown),
      cmocka_unit_test_setup_teardown(test_figures_say_what_they_were_measured_on, setup, teardown),
      cmocka_unit_test_setup_teardown(test_what_is_not_known_is_left_out, setup, teardown),
      cmocka_unit_test_setup_teardown(test_a_local_folder_is_no_base_model, setup, teardown),
      cmocka_unit_test_setup_teardown(test_hostile_text, setup, teardown),
      cmocka_unit_test_setup_teardown(test_licenses_of_folders, setup, teardown),
      cmocka_unit_test_setup_teardown(test_licenses_of_gguf, setup, teardown),
      cmocka_unit_test_setup_teardown(test_every_call_may_fail, setup, teardown)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

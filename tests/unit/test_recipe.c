/* test_recipe.c - recipes: every key of recipe.def (good, wrong type, out of range, alias,
 * override, there and back), messages, rules between keys, hostile YAML, failing memory and disk.
 */
#include "distill/recipe_values.h"

#include "faults.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static lb_error err;
static char *folder;

#define NEEDED "teacher: t\nstudent: s\ndata: {train: x.jsonl}\n"
#define MADE   "teacher: t\ndata: {train: x.jsonl}\nstudent:\n"
#define SHAPE                                                                                      \
  "  config:\n    hidden_size: 64\n    num_hidden_layers: 2\n    num_attention_heads: 4\n"

static lb_status load_with(lb_recipe **r, const char *text, const char *const *overrides,
                           size_t n) {
  const char *path = NULL;
  if (text != NULL) {
    scratch_write_text(folder, "r.yaml", text);
    path = scratch_path(folder, "r.yaml");
  }
  err = (lb_error){0};
  *r = (lb_recipe *)&err;
  lb_status st = lb_recipe_load(r, path, overrides, n, &err);
  assert_true((st == LB_OK) == (*r != NULL));
  assert_true((st == LB_OK) == (err.message[0] == '\0'));
  return st;
}

static lb_recipe *good_with(const char *text, const char *override) {
  lb_recipe *r;
  if (load_with(&r, text, &override, override != NULL) != LB_OK) fail_msg("%s", err.message);
  return r;
}

static lb_recipe *good(const char *text) {
  return good_with(text, NULL);
}

static void refused_with(const char *text, const char *override, lb_status wanted,
                         const char *message) {
  lb_recipe *r;
  lb_status st = load_with(&r, text, &override, override != NULL);
  lb_recipe_free(r);
  if (st != wanted) fail_msg("status %d, not %d; '%s'", (int)st, (int)wanted, err.message);
  if (strstr(err.message, message) == NULL) fail_msg("'%s' is not in '%s'", message, err.message);
}

static void refused(const char *text, const char *message) {
  refused_with(text, NULL, LB_E_FORMAT, message);
}

static void refused_override(const char *override, const char *message) {
  refused_with(NEEDED, override, LB_E_ARG, message);
}

/* ---- the reference job, as the design prints it ---- */

static void test_reference_job(void **state) {
  (void)state;
  lb_recipe *r =
      good("teacher: gpt2-medium            # folder, .gguf file or hub name\n"
           "student: gpt2\n"
           "data: {train: texts.jsonl, max_length: 512}\n"
           "distill:\n"
           "  type: logits                  # logits | hidden | attention, or a list of terms\n"
           "  temperature: 2.0              # usual range 2-5\n"
           "  alpha: 0.7                    # loss = alpha * KD + (1 - alpha) * CE\n"
           "  beta: 0.3                     # weight of the hidden or attention term\n"
           "train:\n"
           "  num_train_epochs: 5\n"
           "  per_device_train_batch_size: 4\n"
           "  gradient_accumulation_steps: 2\n"
           "  learning_rate: 5.0e-5\n"
           "  warmup_steps: 100\n"
           "  logging_steps: 10\n"
           "  save_steps: 500\n"
           "  save_total_limit: 2\n"
           "output_dir: distilled_model\n"
           "test: {prompt: \"...\", max_new_tokens: 50, num_beams: 4, early_stopping: true}\n");
  assert_string_equal(r->teacher, "gpt2-medium");
  assert_string_equal(r->student.path, "gpt2");
  assert_int_equal(r->data.train.n, 1);
  assert_string_equal(r->data.train.items[0], "texts.jsonl");
  assert_int_equal(r->data.max_length, 512);
  assert_int_equal(r->distill.type, LB__DISTILL_LOGITS);
  assert_true(r->distill.temperature == 2.0 && r->distill.alpha == 0.7 && r->distill.beta == 0.3);
  assert_true(r->train.num_train_epochs == 5 && r->train.learning_rate == 5e-5);
  assert_int_equal(r->train.per_device_train_batch_size, 4);
  assert_int_equal(r->train.gradient_accumulation_steps, 2);
  assert_true(r->train.warmup_steps == 100);
  assert_int_equal(r->train.logging_steps, 10);
  assert_int_equal(r->train.save_steps, 500);
  assert_int_equal(r->train.save_total_limit, 2);
  assert_string_equal(r->output_dir, "distilled_model");
  assert_string_equal(r->test.prompt, "...");
  assert_int_equal(r->test.max_new_tokens, 50);
  assert_int_equal(r->test.num_beams, 4);
  assert_true(r->test.early_stopping);
  lb_recipe_free(r);
}

/* What the repository shows to newcomers loads. */
static void test_examples(void **state) {
  (void)state;
  static const char *const names[] = {"reference-job", "half-smollm2", "baseline", "new-student"};
  for (int i = 0; i < 4; i++) {
    char path[512];
    lb_recipe *r;
    snprintf(path, sizeof path, LIMBECK_SOURCE_DIR "/examples/recipes/%s.yaml", names[i]);
    if (lb_recipe_load(&r, path, NULL, 0, &err) != LB_OK) fail_msg("%s", err.message);
    assert_string_equal(r->source, path);
    assert_non_null(r->test.prompt);
    lb_recipe_free(r);
  }
}

static void test_defaults(void **state) {
  (void)state;
  lb_recipe *r = good(NEEDED);
  assert_int_equal(r->data.max_length, 1024);
  assert_int_equal(r->data.eval.n, 0);
  assert_int_equal(r->data.format, LB__DATA_AUTO);
  assert_int_equal(r->data.train_on, LB__TRAIN_ON_AUTO);
  assert_true(r->data.packing && r->data.shuffle && r->data.append_eos);
  assert_null(r->data.text_field);
  assert_true(r->distill.t_squared);
  assert_int_equal(r->distill.dropout, 0);
  assert_int_equal(r->train.seed, 42);
  assert_int_equal(r->train.max_steps, -1);
  assert_int_equal(r->train.lr_scheduler_type, LB__SCHEDULER_LINEAR);
  assert_int_equal(r->train.precision, LB_PRECISION_AUTO);
  assert_true(r->train.adam_beta2 == 0.999 && r->train.adam_epsilon == 1e-8);
  assert_null(r->train.resume_from_checkpoint);
  assert_int_equal(r->save_dtype, -1);
  assert_null(r->gguf);
  assert_null(r->test.prompt);
  lb_recipe_free(r);
}

/* ---- every key ---- */

static const char *last_word(const char *path) {
  const char *dot = strrchr(path, '.');
  return dot != NULL ? dot + 1 : path;
}

/* A value that each kind takes and that is not the default. */
static const char *some_value(const lb__recipe_row *row) {
  static char word[32];
  const char *choice;
  size_t size;
  switch (row->kind) {
  case LB__RECIPE_NUMBER: return strstr(row->key.path, "warmup") ? "7" : "0.25";
  case LB__RECIPE_INTEGER: return "3";
  case LB__RECIPE_BOOL: return strcmp(row->key.fallback, "true") == 0 ? "false" : "true";
  case LB__RECIPE_TEXTS:
    if (row->choices == NULL) return "[a.txt, 'b c']";
    break;
  case LB__RECIPE_INTEGERS: return "[2]";
  case LB__RECIPE_TEXT:
    if (row->choices == NULL) return "some where";
    break;
  default: break;
  }
  size = lb__choice_at(&choice, row->choices, 1);
  snprintf(word, sizeof word, "%.*s", (int)size, choice);
  return word;
}

/* Two spaces for each section a key lies in. */
static const char *indent_of(const char *path) {
  static const char *const indents[] = {"", "  ", "    "};
  int n = 0;
  for (const char *c = path; *c != '\0'; c++) n += *c == '.';
  assert_true(n < 3);
  return indents[n];
}

/* The resolved text's line of a key: what came of it. */
static void shows_value(lb_recipe *r, const lb__recipe_row *row, const char *value) {
  char wanted[160];
  const char *text = lb_recipe_text(r);
  bool is_text = strcmp(value, "some where") == 0;
  if (strcmp(value, "[a.txt, 'b c']") == 0) value = "[a.txt, \"b c\"]";
  if (row->kind == LB__RECIPE_NUMBER && strcmp(value, "7") == 0) value = "7.0";
  bool is_list = row->kind == LB__RECIPE_TEXTS && value[0] != '[';
  snprintf(wanted, sizeof wanted, "\n%s%s: %s%s%s%s%s\n", indent_of(row->key.path),
           last_word(row->key.path), is_list ? "[" : "", is_text ? "\"" : "", value,
           is_text ? "\"" : "", is_list ? "]" : "");
  if (strstr(text, wanted + 1) != text && strstr(text, wanted) == NULL)
    fail_msg("no '%s' in\n%s", wanted, text);
}

/* A student's shape is whole, but for this row. */
static const char *shape_without(const lb__recipe_row *row) {
  static const char *const needed[] = {"hidden_size", "num_hidden_layers", "num_attention_heads"};
  static char text[256];
  text[0] = '\0';
  for (size_t i = 0; i < 3; i++) {
    if (strcmp(last_word(row->key.path), needed[i]) == 0) continue;
    size_t used = strlen(text);
    snprintf(text + used, sizeof text - used, "student.config.%s: 6\n", needed[i]);
  }
  return text;
}

static bool makes_student(const lb__recipe_row *row) {
  return strncmp(row->key.path, "student.", 8) == 0;
}

/* What `value` of this key needs beside it to be a whole recipe. */
static const char *companions(const lb__recipe_row *row) {
  const char *path = row->key.path;
  if (strncmp(path, "student.shrink.", 15) == 0 && strcmp(path, "student.shrink.layers") != 0)
    return "student.shrink.layers: 2\n";
  if (strcmp(path, "student.tokenizer") == 0 || strncmp(path, "student.config.", 15) == 0)
    return shape_without(row);
  return strcmp(row->key.path, "train.eval_steps") == 0 ? "eval: e.jsonl\n"
         : strcmp(row->key.path, "train.min_lr") == 0   ? "learning_rate: 1\n"
                                                        : "";
}

static void check_spelling(const lb__recipe_row *row, const char *line) {
  static const char *const needed[][2] = {
      {"teacher", "teacher: t\n"}, {"student", "student: s\n"}, {"data.train", "dataset: x\n"}};
  char text[512] = "";
  for (size_t i = 0; i < 3; i++)
    if (strcmp(row->key.path, needed[i][0]) != 0 && !(i == 1 && makes_student(row)))
      strcat(text, needed[i][1]);
  strcat(text, companions(row));
  strcat(text, line);
  lb_recipe *r = good(text);
  shows_value(r, row, some_value(row));
  lb_recipe_free(r);
}

/* In its section, and at the top by its last word and by every alias. */
static void test_every_key_and_alias(void **state) {
  (void)state;
  const lb__recipe_row *row;
  for (size_t i = 0; (row = lb__recipe_row_at(i)) != NULL; i++) {
    char line[256];
    const char *path = row->key.path, *alias, *value = some_value(row);
    size_t size;
    snprintf(line, sizeof line, "%s: %s\n", path, value); /* dotted */
    check_spelling(row, line);
    if (last_word(path) != path)
      snprintf(line, sizeof line, "%.*s:\n  %s: %s\n", (int)(last_word(path) - path - 1), path,
               last_word(path), value);
    check_spelling(row, line);
    if (strcmp(path, "data.train") != 0 && /* its last word is a section's name */
        !lb__recipe_is_bound(row)) {
      snprintf(line, sizeof line, "%s: %s\n", last_word(path), value);
      check_spelling(row, line);
    }
    for (size_t k = 0; (size = lb__choice_at(&alias, row->key.aliases, k)) > 0; k++) {
      bool is_ratio = size == 12 && strncmp(alias, "warmup_ratio", 12) == 0;
      if (is_ratio) continue; /* takes another value: test_warmup */
      snprintf(line, sizeof line, "%.*s: %s\n", (int)size, alias, value);
      check_spelling(row, line);
    }
  }
}

static void test_every_override(void **state) {
  (void)state;
  const lb__recipe_row *row;
  for (size_t i = 0; (row = lb__recipe_row_at(i)) != NULL; i++) {
    char override[128];
    const char *names[] = {row->key.path, last_word(row->key.path)};
    for (int n = 0; n < (lb__recipe_is_bound(row) ? 1 : 2); n++) {
      snprintf(override, sizeof override, "%s=%s", names[n], some_value(row));
      for (char *c = override; *c != '='; c++)
        if (*c == '_') *c = '-';
      char text[256];
      snprintf(text, sizeof text, "teacher: t\n%sdata: {train: x.jsonl}\n%s",
               makes_student(row) ? "" : "student: s\n", companions(row));
      lb_recipe *r = good_with(text, override);
      shows_value(r, row, some_value(row));
      lb_recipe_free(r);
    }
  }
}

static void test_every_wrong_type(void **state) {
  (void)state;
  const lb__recipe_row *row;
  for (size_t i = 0; (row = lb__recipe_row_at(i)) != NULL; i++) {
    char text[256], message[160];
    snprintf(text, sizeof text, "\n\n%s: {a: b}\n", row->key.path);
    snprintf(message, sizeof message, "r.yaml:3: %s: want ", row->key.path);
    if (lb__recipe_is_section(row->key.path)) { /* student: {...} is one */
      snprintf(text, sizeof text, "\n%s:\n  a: b\n", row->key.path);
      snprintf(message, sizeof message, "r.yaml:3: unknown key '%s.a'", row->key.path);
      refused(text, message);
      snprintf(message, sizeof message, "r.yaml:3: %s: want ", row->key.path);
    } else {
      refused(text, message);
      assert_non_null(strstr(err.message, "found a map of keys"));
    }
    if (row->kind != LB__RECIPE_TEXTS && row->kind != LB__RECIPE_INTEGERS) {
      snprintf(text, sizeof text, "\n\n%s: [1, 2]\n", row->key.path);
      refused(text, "found a list");
    }
    if (row->kind == LB__RECIPE_TEXT && row->choices == NULL) continue;
    if (row->kind == LB__RECIPE_TEXTS && row->choices == NULL) continue;
    snprintf(text, sizeof text, "\n\n%s: zebra\n", row->key.path);
    refused(text, message);
    assert_non_null(strstr(err.message, "found 'zebra'"));
    if (row->kind > LB__RECIPE_BOOL) continue;
    snprintf(text, sizeof text, "\n\n%s: '%s'\n", row->key.path, some_value(row));
    refused(text, "write it without quotes");
  }
}

/* Just outside each range, by what its text says. */
static void test_every_range(void **state) {
  (void)state;
  const lb__recipe_row *row;
  int n_checked = 0;
  for (size_t i = 0; (row = lb__recipe_row_at(i)) != NULL; i++) {
    const char *range = row->key.range;
    char text[160], message[160];
    if (range == NULL) continue;
    for (const char *at = range; at != NULL && *at != '\0'; n_checked++) {
      bool is_low = at[0] == '>', is_closed = at[1] == '=';
      double limit = strtod(at + (is_closed ? 2 : 1), NULL);
      double outside = !is_closed ? limit : is_low ? limit - 1 : limit + 1;
      snprintf(text, sizeof text, "%s: %g\n", row->key.path, outside);
      snprintf(message, sizeof message, " %s, found '%g'", range, outside);
      refused(text, message);
      at = strchr(at, ',');
      if (at != NULL) at += 2;
    }
  }
  assert_true(n_checked > 20);
}

static void test_names_are_unambiguous(void **state) {
  (void)state;
  const lb__recipe_row *row;
  char name[64];
  const char *alias;
  size_t size;
  for (size_t i = 0; (row = lb__recipe_row_at(i)) != NULL; i++) {
    assert_int_equal(lb__recipe_find(NULL, row->key.path), (int)i);
    if (lb__recipe_is_bound(row))
      assert_null(row->key.aliases);
    else
      assert_int_equal(lb__recipe_find(NULL, last_word(row->key.path)), (int)i);
    assert_non_null(row->key.type);
    assert_true(strlen(row->key.help) > 5);
    assert_ptr_equal(lb_recipe_key_at(i), &row->key);
    for (size_t k = 0; (size = lb__choice_at(&alias, row->key.aliases, k)) > 0; k++) {
      snprintf(name, sizeof name, "%.*s", (int)size, alias);
      if (lb__recipe_find(NULL, name) != (int)i) fail_msg("two keys are called %s", name);
      assert_false(lb__recipe_is_section(name));
    }
  }
  assert_null(lb_recipe_key_at(1000));
}

/* So that what was not given needs no line, and can be told from what was. */
static void test_bound_keys_begin_at_zero(void **state) {
  (void)state;
  const lb__recipe_row *row;
  lb_recipe *r = good(NEEDED);
  for (size_t i = 0; (row = lb__recipe_row_at(i)) != NULL; i++)
    if (lb__recipe_is_bound(row)) assert_false(lb__recipe_is_given(r, row));
  assert_null(strstr(lb_recipe_text(r), "hidden_size"));
  lb_recipe_free(r);
}

/* ---- students that are made ---- */

static void test_student_of_random_weights(void **state) {
  (void)state;
  lb_recipe *r = good(MADE SHAPE "    tie_word_embeddings: false\n    rope_theta: 5e5\n"
                                 "  tokenizer: some where\n");
  assert_null(r->student.path);
  assert_int_equal(r->student.config.hidden_size, 64);
  assert_int_equal(r->student.config.tie_word_embeddings, 2);
  assert_true(r->student.config.rope_theta == 5e5);
  assert_int_equal(r->student.config.head_dim, 0);
  assert_string_equal(r->student.tokenizer, "some where");
  assert_non_null(strstr(lb_recipe_text(r), "\nstudent:\n  tokenizer: \"some where\"\n  config:\n"
                                            "    model_type: null\n    hidden_size: 64\n"));
  assert_null(strstr(lb_recipe_text(r), "shrink"));
  lb_recipe_free(r);
  r = good_with(MADE SHAPE, "student.config.hidden-size=32");
  assert_int_equal(r->student.config.hidden_size, 32);
  assert_int_equal(r->student.config.num_hidden_layers, 2);
  lb_recipe_free(r);
  r = good_with(MADE SHAPE, "student=gpt2"); /* the command line wins */
  assert_string_equal(r->student.path, "gpt2");
  assert_int_equal(r->student.config.hidden_size, 0);
  lb_recipe_free(r);
  r = good_with(MADE SHAPE, "student.config=c.json");
  assert_string_equal(r->student.config.path, "c.json");
  assert_int_equal(r->student.config.hidden_size, 0);
  lb_recipe_free(r);
}

static void test_student_that_is_a_part(void **state) {
  (void)state;
  lb_recipe *r = good(MADE "  shrink: {layers: 4, dtype: bfloat16}\n");
  assert_int_equal(r->student.shrink.layers.n, 1);
  assert_int_equal(r->student.shrink.layers.items[0], 4);
  assert_int_equal(r->student.shrink.dtype, 1 + LB_DTYPE_BF16);
  assert_non_null(strstr(lb_recipe_text(r), "\n  shrink:\n    layers: [4]\n"));
  assert_non_null(strstr(lb_recipe_text(r), "\n    dtype: bf16\n"));
  lb_recipe_free(r);
  r = good(MADE "  shrink: {hidden_size: 64, calibration: c.txt}\n");
  assert_int_equal(r->student.shrink.hidden_size, 64);
  assert_string_equal(r->student.shrink.calibration.items[0], "c.txt");
  lb_recipe_free(r);
  r = good_with("teacher: t\ndata: {train: x}\n", "student.shrink.layers=[0, 3]");
  assert_int_equal(r->student.shrink.layers.n, 2);
  lb_recipe_free(r);
}

static void test_student_errors(void **state) {
  (void)state;
  refused(MADE "  config:\n    hidden_siz: 3\n",
          "r.yaml:5: unknown key 'student.config.hidden_siz'; did you mean 'hidden_size'?");
  refused(NEEDED "hidden_size: 3\n", "did you mean 'student.config.hidden_size'?");
  refused(NEEDED "hiden_size: 3\n", "did you mean 'student.config.hidden_size'?");
  refused(NEEDED "layers: 3\n", "did you mean 'student.shrink.layers'?");
  refused(MADE "  shrink: 4\n", "student.shrink is a section");
  refused(MADE "  confg: {}\n", "unknown key 'student.confg'; did you mean 'config'?");
  refused(MADE SHAPE "    head_dim: 0\n", "r.yaml:8: student.config.head_dim: want a whole number");
  refused(MADE SHAPE "student.config.hidden_size: 3\n", "already given in line 5");
  static const struct {
    const char *text, *message;
  } wrong[] = {
      {MADE, "student is missing"},
      {MADE "  config: {}\n", "student is missing"},
      {MADE "  config: {hidden_size: 64}\n",
       "student.config.num_hidden_layers is missing: a student of random weights needs it"},
      {MADE SHAPE "  shrink: {layers: 2}\n",
       "want one of: a model, student.config, student.shrink; found student.config student.shrink"},
      {MADE "  shrink: {dtype: f32}\n", "student.shrink: want what to keep"},
      {MADE "  shrink: {hidden_size: 8, layer_selection: influence}\n", "all layers are kept"},
      {MADE "  shrink: {layers: [0, 1], layer_selection: influence}\n", "want how many"},
      {MADE "  config: c.json\n  shrink: {layers: 2}\n", "want one of"},
      {MADE "  tokenizer: x\n", "found none"},
      {NEEDED "student.tokenizer: x\n", "student.tokenizer: only with student.config"},
      {NEEDED "student.shrink.layers: 2\n", "found a model student.shrink"},
      {MADE "  config: c.json\nstudent.config.head_dim: 3\n", "not both"},
      {"teacher: none\ndata: {train: x}\nstudent:\n" SHAPE, "student.tokenizer is missing"},
      {"teacher: none\ndata: {train: x}\nstudent: {shrink: {layers: 2}}\n", "there is no teacher"},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    refused_with(wrong[i].text, NULL, LB_E_ARG, wrong[i].message);
  refused_override("student.shrink=4",
                   "student.shrink is a section: want student.shrink.key=value");
  refused_override("hidden_size=4", "did you mean 'student.config.hidden_size'?");
}

/* A choice is stored as its number, so the order must be that of the enum. */
static void check_order(const char *path, const char *(*name)(int)) {
  const lb__recipe_row *row = lb__recipe_row_at((size_t)lb__recipe_find(NULL, path));
  const char *choice;
  size_t size;
  int k = 0;
  for (; (size = lb__choice_at(&choice, row->choices, (size_t)k)) > 0; k++) {
    assert_non_null(name(k));
    assert_int_equal(strlen(name(k)), size);
    assert_memory_equal(name(k), choice, size);
  }
  assert_null(name(k));
}

static const char *data_format_name(int k) {
  return lb__data_format_name((lb__data_format)k);
}

static void test_choices_are_enums(void **state) {
  (void)state;
  check_order("data.format", data_format_name);
  check_order("train.lr_scheduler_type", lb__scheduler_name);
}

/* ---- there and back ---- */

static void check_round_trip(lb_recipe *r) {
  char *first = strdup(lb_recipe_text(r));
  lb_recipe_free(r);
  r = good(first);
  assert_string_equal(lb_recipe_text(r), first);
  lb_recipe_free(r);
  free(first);
}

static void test_round_trip(void **state) {
  (void)state;
  check_round_trip(good(NEEDED));
  check_round_trip(good(
      "teacher: none\nstudent: '123'\noutput_dir: \"null\"\ngguf: Q8-0\nsave_dtype: bfloat16\n"
      "data: {train: ['-a', \"b, c\", 'true', 1e5, '#x', 'a: b', '[x]', '{', '~', ' s ', '*a', "
      "'!b',"
      " '&c', '%d', '@e', '`f', '> g', '? h', '.5', \"it's\", \"\\\"\\\\\", "
      "\"\\x01\\x7f\\x85\\u2028\","
      " 'été 蒸馏 \xF0\x9F\x98\x80']}\n"
      "test:\n  prompt: |\n    two\n    lines\t\n\n"
      "train: {learning_rate: 3.3333333333333335e-5, resume_from_checkpoint: true, report_to: []}\n"
      "distill: {type: hidden, hidden_layers: [-1, 3], teacher_layers: [-1, 6]}\n"));
  check_round_trip(good(MADE SHAPE "    rms_norm_eps: 1e-6\n"));
  check_round_trip(good(MADE "  config: c.json\n  tokenizer: x\n"));
  check_round_trip(good(MADE "  shrink: {layers: [0, 2]}\n"));
  lb_recipe *r = good(NEEDED "test: {prompt: \"\\xE9 a\\nb\"}\nsave_dtype: f16\n");
  assert_string_equal(r->test.prompt, "\xC3\xA9 a\nb");
  assert_int_equal(r->save_dtype, LB_DTYPE_F16);
  check_round_trip(r);
}

/* ---- values ---- */

static double number_of(const char *value) {
  char text[160];
  snprintf(text, sizeof text, NEEDED "learning_rate: %s\n", value);
  lb_recipe *r = good(text);
  double x = r->train.learning_rate;
  lb_recipe_free(r);
  return x;
}

static void test_numbers(void **state) {
  (void)state;
  assert_true(number_of("5.0e-5") == 5e-5 && number_of("5e-5") == 5e-5);
  assert_true(number_of("5E-5") == 5e-5 && number_of("+.5") == 0.5 && number_of("1.") == 1);
  assert_true(number_of("0.00005") == 5e-5 && number_of("1e+0") == 1);
  static const char *const bad[] = {"1_000", "0x10", "nan", ".inf", "inf", "1e400", "5e",
                                    "e5",    "1 2",  "--1", "1,5",  "'1'", ".",     "1e5x"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    char text[64];
    snprintf(text, sizeof text, "lr: %s\n", bad[i]);
    refused(text, "train.learning_rate: want a number > 0");
  }
  static const char *const no_integers[] = {"1.0", "1e3", "1_000", "0x10", "99999999999999999999"};
  for (size_t i = 0; i < sizeof no_integers / sizeof no_integers[0]; i++) {
    char text[64];
    snprintf(text, sizeof text, "seed: %s\n", no_integers[i]);
    refused(text, "train.seed: want a whole number >= 0, found '");
  }
}

static void test_truths(void **state) {
  (void)state;
  static const char *const words[] = {"true",  "yes", "on",  "True",  "YES",
                                      "false", "no",  "off", "False", "Off"};
  for (int i = 0; i < 10; i++) {
    char text[160];
    snprintf(text, sizeof text, NEEDED "packing: %s\n", words[i]);
    lb_recipe *r = good(text);
    assert_true(r->data.packing == (i < 5));
    lb_recipe_free(r);
  }
  refused("packing: 1\n", "data.packing: want true or false, found '1'");
  refused("packing: y\n", "found 'y'");
}

static void test_null_is_as_if_absent(void **state) {
  (void)state;
  lb_recipe *r = good(NEEDED "test:\nseed: null\nprompt: ~\noutput_dir:\n");
  assert_int_equal(r->train.seed, 42);
  assert_null(r->test.prompt);
  assert_string_equal(r->output_dir, "distilled_model");
  lb_recipe_free(r);
  refused_with("teacher: null\nstudent: s\ndata: {train: x}\n", NULL, LB_E_ARG,
               "r.yaml: teacher is missing: the model to learn from");
}

static void test_warmup(void **state) {
  (void)state;
  lb_recipe *r = good(NEEDED "warmup_ratio: 0.1\n");
  assert_true(r->train.warmup_steps == 0.1);
  lb_recipe_free(r);
  refused(NEEDED "train:\n  warmup-ratio: 1\n", "r.yaml:5: warmup_ratio: want a share below 1");
  refused_override("train.warmup_ratio=10", "warmup_ratio: want a share below 1, found '10'");
  refused(NEEDED "warmup_ratio: -0.1\n", "train.warmup_steps: want a number >= 0");
  refused_with(NEEDED "warmup_steps: 1.5\n", NULL, LB_E_ARG, "want a whole number of steps");
}

static void test_resume(void **state) {
  (void)state;
  static const char *const values[][2] = {
      {"true", "true"}, {"yes", "true"}, {"false", NULL}, {"out/checkpoint-5", "out/checkpoint-5"}};
  for (int i = 0; i < 4; i++) {
    char text[160];
    snprintf(text, sizeof text, NEEDED "resume_from_checkpoint: %s\n", values[i][0]);
    lb_recipe *r = good(text);
    if (values[i][1] == NULL)
      assert_null(r->train.resume_from_checkpoint);
    else
      assert_string_equal(r->train.resume_from_checkpoint, values[i][1]);
    lb_recipe_free(r);
  }
}

/* ---- overrides ---- */

static void test_overrides(void **state) {
  (void)state;
  static const char *const all[] = {"teacher=t", "student=s", "train=[a, b]", "lr=1e-4",
                                    "lr=2e-4",   "gguf=q8_0", "gguf=",        "prompt=a=b: {c}"};
  lb_recipe *r;
  assert_int_equal(load_with(&r, NULL, all, 8), LB_OK);
  assert_int_equal(r->data.train.n, 2);
  assert_string_equal(r->data.train.items[1], "b");
  assert_true(r->train.learning_rate == 2e-4);
  assert_string_equal(r->gguf, "q8_0"); /* nothing: as if it were not there */
  assert_string_equal(r->test.prompt, "a=b: {c}");
  lb_recipe_free(r);
  r = good_with(NEEDED "learning_rate: 1e-3\n", "train.learning-rate=1e-4");
  assert_true(r->train.learning_rate == 1e-4);
  lb_recipe_free(r);
  refused_override("lr=abc", "'lr=abc': train.learning_rate: want a number > 0, found 'abc'");
  refused_override("learning_rte=1", "unknown key 'learning_rte'; did you mean 'learning_rate'?");
  refused_override("optim.lr=1", "did you mean 'train.learning_rate'?");
  refused_override("data=x", "data is a section: want data.key=value");
  refused_override("lr", "want key=value");
  refused_override("=1", "want key=value");
  refused_override("teacher=\xff", "not UTF-8");
  refused_override("train=[a", "'train=[a': train");
  refused_override("train=[a, {b: c}]", "found a map of keys");
  refused_override("report_to=wandb",
                   "train.report_to: want one or more of tensorboard, none, found 'wandb'");
  refused_override("gguf=q3", "gguf: want one of f32, f16, bf16, q8_0, q4_0, found 'q3'");
}

/* ---- unknown keys ---- */

static void test_unknown_keys(void **state) {
  (void)state;
  refused("a: 1\n", "r.yaml:1: unknown key 'a'");
  refused("train:\n  learning_rat: 1\n",
          "r.yaml:2: unknown key 'train.learning_rat'; did you mean 'learning_rate'?");
  refused("data:\n  learning_rate: 1\n",
          "unknown key 'data.learning_rate'; did you mean 'train.learning_rate'?");
  refused("data:\n  lr: 1\n", "did you mean 'train.learning_rate'?");
  refused("data:\n  temprature: 1\n", "did you mean 'distill.temperature'?");
  refused("trian: {lr: 1}\n", "unknown key 'trian'; did you mean 'train'?");
  refused("gradient_acumulation_steps: 1\n", "did you mean 'gradient_accumulation_steps'?");
  refused("zzzzzzzzzzzz: 1\n", "unknown key 'zzzzzzzzzzzz'");
  assert_null(strstr(err.message, "did you mean"));
  refused("train: {bf16: true}\n", "unknown key 'train.bf16'; write precision: bf16");
  refused("load_best_model_at_end: true\n", "leave it out");
  refused("type: logit\n", "found 'logit'; did you mean 'logits'?");
  refused("scheduler: cosin\n", "did you mean 'cosine'?");
  refused("train: {train.lr: 1}\n", "did you mean 'train.learning_rate'?");
}

static void test_twice(void **state) {
  (void)state;
  refused("lr: 1\ntrain:\n  learning_rate: 1\n",
          "r.yaml:3: train.learning_rate was already given in line 1");
  refused("train: {lr: 1, learning-rate: 1}\n", "already given in line 1");
}

/* ---- rules between keys ---- */

static void test_rules(void **state) {
  (void)state;
  static const struct {
    const char *text, *message;
  } wrong[] = {
      {"distill:\n  type: hidden\n  beta: 0\n", "r.yaml:6: distill.beta: want a number > 0"},
      {"distill: {type: attention, beta: 0}\n", "distill.type attention"},
      {"distill: {hidden_layers: [1, 2], teacher_layers: [3]}\n", "as many as"},
      {"distill: {teacher_layers: [1, 2]}\n", "hidden_layers, 1, found 2"},
      {"eval: e\neval_fraction: 0.1\n", "give only one"},
      {"eval_steps: 5\n", "r.yaml:4: train.eval_steps: there is nothing to measure on"},
      {"lr_scheduler_type: cosine_with_min_lr\n", "r.yaml: train.min_lr: want a number > 0"},
      {"min_lr: 1\n", "want at most train.learning_rate, 5e-05, found 1"},
      {"epochs: 0\n", "num_train_epochs: want a number > 0"},
      {"report_to: [none, tensorboard]\n", "none stands alone"},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    char text[256];
    snprintf(text, sizeof text, NEEDED "%s", wrong[i].text);
    refused_with(text, NULL, LB_E_ARG, wrong[i].message);
  }
  refused_with("teacher: t\nstudent: s\ndata: {train: []}\n", NULL, LB_E_ARG,
               "r.yaml:3: data.train: want a file or folder, found an empty list");
  refused_override("eval-steps=5", "'eval-steps=5': train.eval_steps: there is nothing");
  lb_recipe_free(good(NEEDED "epochs: 0\nmax_steps: 5\n"));
  lb_recipe_free(good(NEEDED "lr_scheduler_type: cosine_with_min_lr\nmin_lr: 1e-6\n"));
  lb_recipe_free(good_with(NEEDED "distill: {type: hidden, beta: 0}\n", "beta=0.1"));
}

static void test_missing(void **state) {
  (void)state;
  refused_with("", NULL, LB_E_ARG, "r.yaml: teacher is missing");
  refused_with("teacher: t\n", NULL, LB_E_ARG, "student is missing");
  refused_with("teacher: t\nstudent: s\n", NULL, LB_E_ARG, "data.train is missing");
  lb_recipe *r;
  assert_int_equal(lb_recipe_load(&r, "/no/such/recipe.yaml", NULL, 0, &err), LB_E_IO);
  assert_non_null(strstr(err.message, "/no/such/recipe.yaml"));
  lb_recipe_free(NULL);
}

/* ---- hostile ---- */

static void test_hostile(void **state) {
  (void)state;
  refused("- a\n- b\n", "r.yaml:1: want keys such as 'teacher: gpt2-medium', found a list");
  refused("hello\n", "found a single value");
  refused("train: [1]\n", "r.yaml:1: train is a section: want keys below it, found a list");
  refused("train: x.jsonl\n", "found a value");
  refused("teacher: &a x\nstudent: *a\n", "anchors");
  refused("teacher: !!python/object x\n", "tags");
  refused("teacher: {", "r.yaml:");
  refused("teacher: t\nteacher: u\n", "already given");
  refused("? [a]\n: b\n", "a key must be a plain word");
  refused("\xff\xfe", "");
  refused("'': 1\n", "unknown key ''");
  refused(".: 1\n", "unknown key '.'");
  refused("train.: 1\n", "unknown key 'train.'");
  refused("test: {prompt: ''}\n", "test.prompt: want text, found the text ''");
  refused("data: {train: [a, '']}\n", "data.train: want text");
  refused("hidden_layers: [1, x]\n", "found 'x'");
  char *many = malloc(200000);
  memset(many, 'k', 1000);
  strcpy(many + 1000, ": 1\n");
  refused(many, "unknown key 'kkkk");
  memset(many, 'k', 100000);
  strcpy(many + 100000, "\n");
  memcpy(many, "lr: ", 4);
  refused(many, "...'");
  free(many);
}

/* ---- memory and disk ---- */

static lb_status load_and_write(void *ctx, lb_error *e) {
  static const char *const overrides[] = {"train=[a, b]", "seed=7"};
  lb_recipe *r;
  lb_status st = lb_recipe_load(&r, ctx, overrides, 2, e);
  if (st == LB_OK && lb_recipe_text(r) == NULL) {
    st = LB_E_NOMEM;
    snprintf(e->message, sizeof e->message, "out of memory");
  }
  lb_recipe_free(r);
  return st;
}

static void test_faults(void **state) {
  (void)state;
  scratch_write_text(folder, "r.yaml", NEEDED "test: {prompt: hello, num_beams: 2}\n");
  char path[512];
  snprintf(path, sizeof path, "%s", scratch_path(folder, "r.yaml"));
  fault_case c = {.run = load_and_write, .ctx = path, .may_survive = true};
  assert_true(fault_each_allocation(&c) > 0);
  assert_true(fault_each_io(&c) > 0);
}

static int set_up(void **state) {
  (void)state;
  folder = scratch_new();
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  scratch_remove(folder);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reference_job),
      cmocka_unit_test(test_examples),
      cmocka_unit_test(test_defaults),
      cmocka_unit_test(test_every_key_and_alias),
      cmocka_unit_test(test_every_override),
      cmocka_unit_test(test_every_wrong_type),
      cmocka_unit_test(test_every_range),
      cmocka_unit_test(test_names_are_unambiguous),
      cmocka_unit_test(test_bound_keys_begin_at_zero),
      cmocka_unit_test(test_student_of_random_weights),
      cmocka_unit_test(test_student_that_is_a_part),
      cmocka_unit_test(test_student_errors),
      cmocka_unit_test(test_choices_are_enums),
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_numbers),
      cmocka_unit_test(test_truths),
      cmocka_unit_test(test_null_is_as_if_absent),
      cmocka_unit_test(test_warmup),
      cmocka_unit_test(test_resume),
      cmocka_unit_test(test_overrides),
      cmocka_unit_test(test_unknown_keys),
      cmocka_unit_test(test_twice),
      cmocka_unit_test(test_rules),
      cmocka_unit_test(test_missing),
      cmocka_unit_test(test_hostile),
      cmocka_unit_test(test_faults),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}

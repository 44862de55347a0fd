/* test_golden_chat.c - chat templates render what jinja2, set up by Transformers, renders: one
 * snippet per language feature, and real templates on many conversations. Data and its generator:
 * tests/golden/chat, tests/golden/generate/chat_templates.py. Templates that may not be copied
 * here are read from ../shared (or $LIMBECK_SHARED); without it their cases are counted as
 * skipped, visibly. */
#include <limbeck/chat.h>

#include "base/json.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#define GOLDEN LIMBECK_SOURCE_DIR "/tests/golden/chat/"

static lb_error err;

static json_t *load(const char *path) {
  json_t *json;
  if (lb__json_read(&json, path, (size_t)64 << 20, &err) != LB_OK) fail_msg("%s", err.message);
  return json;
}

static const char *text_of(const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

/* The spans of generated text, neighbours joined, are those of the case. */
static bool same_generation(const lb_chat_text *text, const json_t *wanted) {
  size_t n = 0, end = SIZE_MAX;
  for (size_t i = 0; i < text->n_spans; i++) {
    const lb_chat_span *span = &text->spans[i];
    if (!span->is_generation) continue;
    if (span->begin != end) {
      const json_t *row = json_array_get(wanted, n++);
      if (row == NULL || (size_t)json_integer_value(json_array_get(row, 0)) != span->begin)
        return false;
    }
    end = span->end;
    bool ends = i + 1 == text->n_spans || !text->spans[i + 1].is_generation;
    const json_t *row = json_array_get(wanted, n - 1);
    if (ends && (size_t)json_integer_value(json_array_get(row, 1)) != end) return false;
  }
  return n == json_array_size(wanted);
}

static bool render_as_wanted(const char *source, size_t size, const char *variables,
                             const lb_chat_render_options *options, const json_t *c) {
  const char *wanted_error = text_of(c, "error");
  lb_chat_template *t = NULL;
  lb_chat_text *text = NULL;
  bool same;
  lb_status status = lb_chat_template_parse(&t, source, size, "golden", &err);
  if (status == LB_OK)
    status = lb_chat_render(&text, t, variables, strlen(variables), options, &err);
  if (wanted_error != NULL) {
    same = status != LB_OK && strstr(err.message, wanted_error) != NULL;
  } else {
    const json_t *wanted = json_object_get(c, "text");
    same = status == LB_OK && text->size == json_string_length(wanted) &&
           memcmp(text->text, json_string_value(wanted), text->size) == 0 &&
           (json_object_get(c, "generation") == NULL ||
            same_generation(text, json_object_get(c, "generation")));
  }
  if (!same)
    fprintf(stderr, "%.300s\n  want: %s\n  got:  %s\n", source,
            wanted_error ? "an error" : text_of(c, "text"),
            status != LB_OK ? err.message : text->text);
  lb_chat_text_free(text);
  lb_chat_template_free(t);
  return same;
}

static void snippets_render_as_jinja2(void **state) {
  (void)state;
  json_t *file = load(GOLDEN "chat_snippets.json"), *c;
  size_t i, failures = 0, n = json_array_size(json_object_get(file, "cases"));
  lb_chat_render_options options = lb_chat_render_options_default();
  options.bos_token = text_of(file, "bos");
  options.has_now = true;
  options.now = json_integer_value(json_object_get(file, "now"));
  json_array_foreach(json_object_get(file, "cases"), i, c) {
    const json_t *source = json_object_get(c, "source");
    failures += !render_as_wanted(json_string_value(source), json_string_length(source),
                                  text_of(file, "variables"), &options, c);
  }
  json_decref(file);
  assert_true(n > 250);
  assert_int_equal(failures, 0);
}

/* The template's source, malloc'ed; NULL when it lies in ../shared and that is absent. */
static char *load_template(const json_t *t, size_t *size) {
  char path[4096];
  const char *root = getenv("LIMBECK_SHARED");
  if (text_of(t, "file") != NULL) {
    snprintf(path, sizeof path, GOLDEN "templates/%s", text_of(t, "file"));
    FILE *f = fopen(path, "rb");
    char *source = calloc(1, 1 << 20);
    assert_non_null(f);
    *size = fread(source, 1, 1 << 20, f);
    fclose(f);
    return source;
  }
  snprintf(path, sizeof path, "%s/tokenizers/%s/tokenizer_config.json",
           root != NULL ? root : LIMBECK_SOURCE_DIR "/../shared", text_of(t, "shared"));
  FILE *f = fopen(path, "rb");
  if (f == NULL) return NULL;
  fclose(f);
  json_t *config = load(path);
  char *source = strdup(text_of(config, "chat_template"));
  *size = strlen(source);
  json_decref(config);
  return source;
}

static void real_templates_render_as_jinja2(void **state) {
  (void)state;
  json_t *file = load(GOLDEN "chat_cases.json"), *c;
  const json_t *conversations = json_object_get(file, "conversations");
  size_t i, failures = 0, skipped = 0, n = json_array_size(json_object_get(file, "cases"));
  json_array_foreach(json_object_get(file, "cases"), i, c) {
    const json_t *t = json_object_get(json_object_get(file, "templates"), text_of(c, "template"));
    size_t size, index = (size_t)json_integer_value(json_object_get(c, "conversation"));
    char *source = load_template(t, &size);
    skipped += source == NULL;
    if (source == NULL) continue;
    lb_chat_render_options options = lb_chat_render_options_default();
    options.bos_token = text_of(t, "bos");
    options.eos_token = text_of(t, "eos");
    options.has_now = true;
    options.now = json_integer_value(json_object_get(file, "now"));
    failures += !render_as_wanted(
        source, size, text_of(json_array_get(conversations, index), "json"), &options, c);
    free(source);
  }
  json_decref(file);
  if (skipped > 0) printf("[  SKIPPED ] %zu of %zu cases: no ../shared/tokenizers\n", skipped, n);
  assert_true(n > 500 && skipped < n);
  assert_int_equal(failures, 0);
}

int main(void) {
  setenv("TZ", "UTC", 1);
  tzset();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(snippets_render_as_jinja2),
      cmocka_unit_test(real_templates_render_as_jinja2),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

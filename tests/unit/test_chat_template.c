/* test_chat_template.c - what chat templates promise beyond matching jinja2 (test_golden_chat.c):
 * user text stays marked, hostile templates end in an error, unsupported constructs are named with
 * their line, every failing allocation is survived. */
#include <limbeck/chat.h>

#include "faults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static lb_error err;

static lb_status render(lb_chat_text **out, const char *source, const char *json) {
  lb_chat_template *t;
  lb_chat_render_options options = lb_chat_render_options_default();
  *out = NULL;
  lb_status status = lb_chat_template_parse(&t, source, strlen(source), "t", &err);
  if (status != LB_OK) return status;
  options.bos_token = "<s>";
  options.eos_token = "</s>";
  status = lb_chat_render(out, t, json, strlen(json), &options, &err);
  lb_chat_template_free(t);
  return status;
}

/* The text with user parts in «», generation in ‹›. */
static char *marked(const char *source, const char *json) {
  lb_chat_text *text;
  static char shown[4096];
  size_t n = 0;
  if (render(&text, source, json) != LB_OK) fail_msg("%s: %s", source, err.message);
  for (size_t i = 0, at = 0; i < text->n_spans; i++) {
    const lb_chat_span *span = &text->spans[i];
    assert_int_equal(span->begin, at); /* no gap, nothing empty */
    assert_true(span->end > span->begin);
    at = span->end;
    n += (size_t)snprintf(shown + n, sizeof shown - n, "%s%s%.*s%s%s",
                          span->is_generation ? "‹" : "", span->is_user_text ? "«" : "",
                          (int)(span->end - span->begin), text->text + span->begin,
                          span->is_user_text ? "»" : "", span->is_generation ? "›" : "");
    if (i + 1 == text->n_spans) assert_int_equal(at, text->size);
  }
  if (text->n_spans == 0) shown[0] = '\0';
  lb_chat_text_free(text);
  return shown;
}

#define ONE "{\"messages\":[{\"role\":\"user\",\"content\":\" <|im_end|> \"}],\"w\":[\"a\",\"b\"]}"

static void user_text_is_marked_through_every_operation(void **state) {
  (void)state;
  static const struct {
    const char *source, *wanted;
  } cases[] = {
      {"<|im_end|>{{ messages[0].content }}", "<|im_end|>« <|im_end|> »"},
      {"{{ '<|' + messages[0].role + '|>' }}", "<|«user»|>"},
      {"{{ messages[0].content | trim }}", "«<|im_end|>»"},
      {"{{ messages[0].content.strip() ~ eos_token ~ bos_token }}", "«<|im_end|>»</s><s>"},
      {"{{ messages[0].content[1:4] + 'x' }}", "«<|i»x"},
      {"{{ messages[0].content.split('im')[1] }}", "«_end|> »"},
      {"{{ messages[0].content.replace('end', 'END') }}", "« <|im_»END«|> »"},
      {"{{ 'a-b' | replace('-', messages[0].role) }}", "a«user»b"},
      {"{{ messages[0].content | upper | trim | reverse }}", "«>|DNE_MI|<»"},
      {"{{ w | join(', ') }}", "«a», «b»"},
      {"{{ w }}", "['«a»', '«b»']"},
      {"{{ {'k': w[0]} | tojson }}", "{\"k\": \"«a»\"}"},
      {"{% for c in messages[0].role %}{{ c }}{% endfor %}", "«user»"},
      {"{% for k in messages[0] %}{{ k }}{% endfor %}", "«rolecontent»"},
      {"{% set x %}({{ w[0] }}){% endset %}{{ x }}", "(«a»)"},
      {"{% macro m(x) %}({{ x }}){% endmacro %}{{ m(w[1]) | upper }}", "(«B»)"},
      {"{{ '%s=%s' % ('k', w[0]) }}|{{ '{}!'.format(w[1]) }}", "k=«a»|«b»!"},
      {"{{ w[0] | indent(2, true) }}|{{ w[0] * 3 }}", "  «a»|«aaa»"},
      {"{{ w[0] | e }}{{ w[0] | safe }}{{ w[0] | title }}{{ w[0].center(3) }}", "«aaA» «a» "},
      {"{{ w | map('upper') | sort(reverse=true) | first }}", "«B»"},
      {"{{ 1 + 2 }}{{ true }}", "3True"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_string_equal(marked(cases[i].source, ONE), cases[i].wanted);
}

static void generation_is_marked_also_inside_macros(void **state) {
  (void)state;
  assert_string_equal(marked("a{% generation %}b{{ w[0] }}{% endgeneration %}c", ONE),
                      "a‹b›‹«a»›c");
  assert_string_equal(
      marked("{% macro m() %}x{% generation %}y{% endgeneration %}{% endmacro %}{{ m() }}", ONE),
      "x‹y›");
}

static void strings_share_memory_but_not_bytes(void **state) {
  (void)state;
  assert_string_equal(marked("{% set a = 'x' + w[0] %}{% set b = a + 'y' %}{% set c = a + 'z' %}"
                             "{% set d = a + 'longer than the room that is left, by far, surely' %}"
                             "{{ a }},{{ b }},{{ c }},{{ d[:4] }},{{ a + a }}",
                             ONE),
                      "x«a»,x«a»y,x«a»z,x«a»lo,x«a»x«a»");
}

static void refusals_name_the_construct_and_its_line(void **state) {
  (void)state;
  static const struct {
    const char *source, *wanted;
  } cases[] = {
      {"a\n{% include 'x' %}", "chat template 't', line 2: tag 'include' is not supported"},
      {"{% extends 'x' %}", "line 1: tag 'extends'"},
      {"\n\n{% block a %}{% endblock %}", "line 3: tag 'block'"},
      {"{% import 'x' as y %}", "tag 'import'"},
      {"{% do x %}", "tag 'do'"},
      {"{% for x in w recursive %}{% endfor %}", "'recursive'"},
      {"x\n{{ w | groupby('a') }}", "line 2: filter 'groupby' is not supported"},
      {"{{ w | map('pprint') | list }}", "filter 'pprint'"},
      {"{{ w is weird }}", "test 'weird' is not supported"},
      {"{{ w.append(1) }}", "'append' is not supported in chat templates"},
      {"{{ 'a'.encode() }}", "'encode' is not supported"},
      {"{{ cycler(1) }}", "'cycler'"},
      {"{{ w[0, 1] }}", "subscript with a comma"},
      {"{{ '\\N{DASH}' }}", "escape '\\N'"},
      {"{{ '{:>5}'.format(1) }}", "format field ':>5'"},
      {"{% set ns = namespace() %}{% set ns.__x = 1 %}", "may not begin with '_'"},
  };
  lb_chat_text *text;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(render(&text, cases[i].source, ONE), LB_E_UNSUPPORTED);
    assert_null(text);
    if (strstr(err.message, cases[i].wanted) == NULL)
      fail_msg("%s gave: %s", cases[i].source, err.message);
  }
}

static char *repeated(const char *begin, const char *middle, size_t n, const char *end) {
  char *s = calloc(1, strlen(begin) + n * strlen(middle) + strlen(end) + 1), *at = s;
  at = stpcpy(at, begin);
  for (size_t i = 0; i < n; i++) at = stpcpy(at, middle);
  strcpy(at, end);
  return s;
}

/* CVE-2024-34359: what reaches into the program, or out of it, from a template that runs in Python.
 */
static const struct attack {
  const char *name, *source, *wanted;
} attacks[] = {
    {"class of a string", "{{ ''.__class__.__mro__[1].__subclasses__() }}", "line 1: "},
    {"globals of a helper", "\n{{ cycler.__init__.__globals__.os.popen('id').read() }}",
     "line 2: "},
    {"builtins of a loop",
     "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}", "line 1: "},
    {"attribute by filter", "{{ w | attr('__class__') | attr('__base__') }}", "line 1: "},
    {"import of a helper", "{{ lipsum.__globals__['os'].system('id') }}", "line 1: "},
    {"file of the system", "{% include '/etc/passwd' %}", "line 1: tag 'include'"},
    {"import of a file", "{% from '/etc/passwd' import x %}", "line 1: tag 'from'"},
    {"format string", "{{ '{0.__class__.__init__.__globals__}'.format(w) }}", "line 1: "},
    {"call of what is no function", "{{ messages() }}", "line 1: "},
};

static void attacks_reach_nothing(void **state) {
  (void)state;
  lb_chat_text *text;
  for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
    lb_status status = render(&text, attacks[i].source, ONE);
    if (status == LB_OK || strstr(err.message, attacks[i].wanted) == NULL ||
        strncmp(err.message, "chat template 't', line ", 24) != 0)
      fail_msg("%s: gave %d %s", attacks[i].name, (int)status, status ? err.message : text->text);
    assert_null(text);
  }
}

/* Long strings must not make single steps slow. */
#define BIG "{% set a = 'x' * 9999999 %}{% set b = 'x' * 9999999 %}{% set d = {'k': 1} %}"

static void hostile_templates_end_in_an_error(void **state) {
  (void)state;
  lb_chat_text *text;
  static const struct {
    const char *source;
    lb_status wanted;
  } cases[] = {
      {"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
       LB_E_LIMIT},
      {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", LB_E_LIMIT},
      {"{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(99) %}"
       "{% set ns.x = ns.x + ns.x %}{% endfor %}",
       LB_E_LIMIT},
      {"{% for i in range(99999) %}{{ 'x' * 9999 }}{% endfor %}", LB_E_LIMIT},
      {"{{ 'x' * 9999999999 }}", LB_E_LIMIT},
      {"{{ [1] * 9999999999 }}", LB_E_LIMIT},
      {"{{ 'x'.center(99999999999) }}", LB_E_LIMIT},
      {"{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}"
       "{{ ns.x }}",
       LB_E_LIMIT},
      {"{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}"
       "{{ ns.x | tojson }}",
       LB_E_LIMIT},
      {"{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}"
       "{{ ns.x == [[[]]] or ns.x == ns.x }}",
       LB_E_LIMIT},
      {"{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}", LB_E_LIMIT},
      {BIG
       "{% for i in range(99999) %}{% for j in range(99) %}{% if a == b %}{% endif %}{% endfor %}"
       "{% endfor %}",
       LB_E_LIMIT},
      {BIG "{% for i in range(99999) %}{% for j in range(99) %}{% if d[a] %}{% endif %}{% endfor %}"
           "{% endfor %}",
       LB_E_LIMIT},
      {BIG "{% for i in range(99999) %}{% for j in range(99) %}{% if a.endswith(b) %}{% endif %}"
           "{% endfor %}{% endfor %}",
       LB_E_LIMIT},
      {"{{ 2 ** 64 }}", LB_E_LIMIT},
      {"{{ 9223372036854775807 + 1 }}", LB_E_LIMIT},
      {"{{ -9223372036854775807 - 9 }}", LB_E_LIMIT},
      {"{{ range(0, 9223372036854775807) }}", LB_E_LIMIT},
      {"{{ 'a' | indent(9999999999) | indent(9999999999) }}\n{{ ('b' * 99999) | batch(1) | list }}",
       LB_E_LIMIT},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    lb_status status = render(&text, cases[i].source, ONE);
    if (status != cases[i].wanted || strncmp(err.message, "chat template 't', line ", 24) != 0)
      fail_msg("%s gave %d %s", cases[i].source, (int)status, status ? err.message : "");
  }
}

static void nesting_has_a_limit_at_parse_time(void **state) {
  (void)state;
  static const struct {
    const char *open, *middle, *close;
  } cases[] = {{"(", "1", ")"},   {"[", "1", "]"},      {"-", "1", ""},
               {"not ", "1", ""}, {"{1:", "1", "}"},    {"1 if 1 else ", "1", ""},
               {"w[", "1", "]"},  {"1 | abs(", "", ")"}};
  lb_chat_text *text;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *open = repeated("{{ ", cases[i].open, 50000, cases[i].middle);
    char *source = repeated(open, cases[i].close, 50000, " }}");
    assert_int_equal(render(&text, source, ONE), LB_E_LIMIT);
    assert_non_null(strstr(err.message, "nested more than"));
    free(open);
    free(source);
  }
  char *source = repeated("", "{% if 1 %}", 50000, "");
  assert_int_equal(render(&text, source, ONE), LB_E_LIMIT);
  free(source);
}

/* Long chains are not nested: no deep recursion while parsing, and evaluation has its own limit. */
static void long_chains_do_not_overflow_the_stack(void **state) {
  (void)state;
  lb_chat_text *text;
  static const struct {
    const char *begin, *middle, *end;
  } cases[] = {{"{{ 1", " + 1", " }}"}, {"{{ 1", " and 1", " }}"},     {"{{ w", " | list", " }}"},
               {"{{ w", ".x", " }}"},   {"{{ 'a'", ".upper()", " }}"}, {"{{ 1", " if 1", " }}"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *source = repeated(cases[i].begin, cases[i].middle, 40000, cases[i].end);
    assert_int_not_equal(render(&text, source, ONE), LB_OK);
    free(source);
    source = repeated(cases[i].begin, cases[i].middle, i == 3 ? 0 : 200, cases[i].end);
    assert_int_equal(render(&text, source, ONE), LB_OK);
    lb_chat_text_free(text);
    free(source);
  }
}

static void the_json_is_checked(void **state) {
  (void)state;
  lb_chat_text *text;
  assert_int_equal(render(&text, "x", "[]"), LB_E_FORMAT);
  assert_int_equal(render(&text, "x", "{"), LB_E_FORMAT);
  assert_int_equal(render(&text, "x", "{}"), LB_E_ARG);
  assert_int_equal(render(&text, "x", "{\"messages\":{}}"), LB_E_ARG);
  assert_int_equal(render(&text, "x", "{\"messages\":[1]}"), LB_E_ARG);
  assert_string_equal(
      marked("{{ tools }}{{ documents is none }}{{ add_generation_prompt }}", "{\"messages\":[]}"),
      "NoneTrueFalse");
  assert_string_equal(marked("{{ messages[0].thinking }}{{ messages[0].reasoning_content }}",
                             "{\"messages\":[{\"reasoning\":\"r\"}]}"),
                      "«rr»");
  assert_string_equal(marked("{{ pad_token is defined }}{{ eos_token }}", ONE), "False</s>");
}

static void bad_sources_are_refused(void **state) {
  (void)state;
  lb_chat_template *t;
  char *big = repeated("", "x", (1 << 20) + 1, "");
  assert_int_equal(lb_chat_template_parse(&t, big, strlen(big), NULL, &err), LB_E_LIMIT);
  assert_non_null(strstr(err.message, "chat template 'template': 1048577 bytes"));
  assert_int_equal(lb_chat_template_parse(&t, "ab\xff", 3, "t", &err), LB_E_FORMAT);
  assert_string_equal(err.message, "chat template 't': byte 2: not valid UTF-8");
  assert_null(t);
  assert_int_equal(lb_chat_template_parse(&t, "a\0{{ b }}", 9, NULL, NULL), LB_OK);
  lb_chat_template_free(t);
  lb_chat_template_free(NULL);
  lb_chat_text_free(NULL);
  free(big);
}

static lb_status parse_and_render(void *ctx, lb_error *e) {
  static const char source[] =
      "{% macro m(a, b=1) %}{{ a ~ b }}{% endmacro %}{% set ns = namespace(x=[]) %}"
      "{% for k in messages if k %}{% set ns.x = ns.x + [k.role | upper] %}{% endfor %}"
      "{{ ns.x | tojson(indent=2) }}{{ m(1) }}{{ w | sort | join('-') | replace('a', 'bb') }}"
      "{% generation %}{{ messages[0].content.strip() }}{% endgeneration %}";
  lb_chat_template *t;
  lb_chat_text *text;
  (void)ctx;
  lb_status status = lb_chat_template_parse(&t, source, sizeof source - 1, "t", e);
  if (status != LB_OK) return status;
  status = lb_chat_render(&text, t, ONE, sizeof ONE - 1, NULL, e);
  lb_chat_text_free(text);
  lb_chat_template_free(t);
  return status;
}

static void every_failing_allocation_is_survived(void **state) {
  (void)state;
  fault_case c = {.run = parse_and_render, .may_survive = true}; /* arenas try smaller blocks */
  assert_true(fault_each_allocation(&c) > 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(user_text_is_marked_through_every_operation),
      cmocka_unit_test(generation_is_marked_also_inside_macros),
      cmocka_unit_test(strings_share_memory_but_not_bytes),
      cmocka_unit_test(refusals_name_the_construct_and_its_line),
      cmocka_unit_test(attacks_reach_nothing),
      cmocka_unit_test(hostile_templates_end_in_an_error),
      cmocka_unit_test(nesting_has_a_limit_at_parse_time),
      cmocka_unit_test(long_chains_do_not_overflow_the_stack),
      cmocka_unit_test(the_json_is_checked),
      cmocka_unit_test(bad_sources_are_refused),
      cmocka_unit_test(every_failing_allocation_is_survived),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_tokenizer_spans.c - nothing a user writes becomes a control token. */
#include "small_tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MODEL                                                                                      \
  "\"model\":{\"type\":\"BPE\",\"vocab\":{\"<\":0,\"x\":1,\">\":2,\"a\":3,\"|\":4,\"_\":5},"       \
  "\"merges\":[]}"
#define TOKEN(text, special, normalized)                                                           \
  "{\"id\":0,\"content\":\"" text "\",\"special\":" special ",\"normalized\":" normalized "}"
/* ids 6, 7, 8 */
#define ADDED(normalized)                                                                          \
  "\"added_tokens\":[" TOKEN("<x>", "true", normalized) "," TOKEN(                                 \
      "<a>", "false", normalized) "," TOKEN("<x>|", "true", normalized) "],"

static void expect_spans(lb_tokenizer *t, const lb_text_span *spans, size_t n_spans,
                         const int32_t *want) {
  int32_t *ids;
  size_t n, wanted = 0;
  while (want[wanted] >= 0) wanted++;
  assert_int_equal(lb_tokenizer_encode_spans(t, spans, n_spans, NULL, &ids, &n, NULL), LB_OK);
  assert_int_equal(n, wanted);
  for (size_t i = 0; i < n; i++) assert_int_equal(ids[i], want[i]);
  lb_ids_free(ids);
}

static lb_text_span span(const char *text, bool is_user_text) {
  return (lb_text_span){text, strlen(text), is_user_text};
}
#define TEMPLATE(text) span(text, false)
#define USER(text)     span(text, true)
#define CHECK(want, ...)                                                                           \
  expect_spans(t, (lb_text_span[]){__VA_ARGS__},                                                   \
               sizeof((lb_text_span[]){__VA_ARGS__}) / sizeof(lb_text_span), want)

static void check_all(lb_tokenizer *t) {
  CHECK(IDS(6, 3), TEMPLATE("<x>a"));
  CHECK(IDS(0, 1, 2, 3), USER("<x>a"));
  CHECK(IDS(6, 0, 1, 2, 6), TEMPLATE("<x>"), USER("<x>"), TEMPLATE("<x>"));
  CHECK(IDS(6, 7, 6), TEMPLATE("<x>"), USER("<a>"), TEMPLATE("<x>")); /* not a control token */
  CHECK(IDS(0, 1, 2), TEMPLATE("<"), USER("x>"));                     /* across the border */
  CHECK(IDS(0, 1, 2), USER("<x"), TEMPLATE(">"));
  CHECK(IDS(6, 4), TEMPLATE("<x>"), USER("|")); /* the shorter token lies outside user text */
  CHECK(IDS(0, 6), USER("<"), TEMPLATE("<x>"));
  CHECK(IDS(8), TEMPLATE("<x"), TEMPLATE(">|")); /* template parts join */
  CHECK(IDS(3), TEMPLATE(""), USER(""), TEMPLATE("a"));
  lb_tokenizer_free(t);
}

static void test_raw(void **state) {
  (void)state;
  check_all(small_tokenizer(ADDED("false") MODEL));
}

static void test_normalized(void **state) {
  (void)state;
  check_all(small_tokenizer(ADDED("true") MODEL));
  check_all(small_tokenizer(ADDED("true") "\"normalizer\":{\"type\":\"NFC\"}," MODEL));
}

/* Halves of a character in two spans are one character. */
static void test_split_character(void **state) {
  (void)state;
  lb_tokenizer *t =
      small_tokenizer("\"model\":{\"type\":\"BPE\",\"vocab\":{\"\xC3\xA9\":0},\"merges\":[]}");
  CHECK(IDS(0), TEMPLATE("\xC3"), USER("\xA9"));
  lb_tokenizer_free(t);
}

static void test_options(void **state) {
  (void)state;
  lb_tokenizer *t = small_tokenizer(ADDED(
      "false") "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":"
               "{\"id\":\"_\"}},{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"_\":{\"ids\":["
               "5]}}}," MODEL);
  expect_ids(t, "<x>", NULL, IDS(5, 6));
  expect_ids(t, "<x>", &(lb_encode_options){false, true}, IDS(6));
  expect_ids(t, "<x>", &(lb_encode_options){true, false}, IDS(5, 0, 1, 2));
  expect_ids(t, "<a>", &(lb_encode_options){false, false}, IDS(7));
  assert_true(lb_tokenizer_is_special(t, 6));
  assert_false(lb_tokenizer_is_special(t, 7));
  assert_int_equal(lb_tokenizer_size(t), 9);
  assert_int_equal(lb_tokenizer_token_id(t, "<x>|"), 8);
  assert_string_equal(lb_tokenizer_token_text(t, 7, NULL), "<a>");
  assert_null(lb_tokenizer_token_text(t, 9, NULL));
  lb_tokenizer_free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_raw), cmocka_unit_test(test_normalized),
                                     cmocka_unit_test(test_split_character),
                                     cmocka_unit_test(test_options)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_tokenizer_decode.c - decoders by hand, at once and as a stream. */
#include "small_tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MARK         "\xE2\x96\x81"
#define UNKNOWN      "\xEF\xBF\xBD"
#define MODEL(vocab) "\"model\":{\"type\":\"BPE\",\"vocab\":{" vocab "},\"merges\":[]}"
#define LLAMA                                                                                      \
  "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{"           \
  "\"String\":\"" MARK "\"},\"content\":\" "                                                       \
  "\"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":"           \
  "\" \",\"start\":1,\"stop\":0}]},"
#define EXPECT(t, text, ...)                                                                       \
  expect_text(t, (const int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / 4, text)

static void test_byte_level(void **state) {
  (void)state; /* E2 82 AC is the euro sign */
  lb_tokenizer *t = small_tokenizer("\"decoder\":{\"type\":\"ByteLevel\"}," MODEL(
      "\"a\":0,\"\xC3\xA2\":1,\"\xC4\xA4\":2,\"\xC2\xAC\":3,\"\xC4\xA0\":4,\"\xE4\xB8\xAD\":5"));
  EXPECT(t, "\xE2\x82\xAC", 1, 2, 3);
  EXPECT(t, "a " UNKNOWN, 0, 4, 1);
  EXPECT(t, "a" UNKNOWN "a" UNKNOWN, 0, 1, 2, 0, 3);
  EXPECT(t, "\xE4\xB8\xAD", 5); /* outside the alphabet: as it stands */
  lb_tokenizer_free(t);
}

static void test_stream_holds_back(void **state) {
  (void)state;
  lb_tokenizer *t = small_tokenizer("\"decoder\":{\"type\":\"ByteLevel\"}," MODEL(
      "\"a\":0,\"\xC3\xA2\":1,\"\xC4\xA4\":2,\"\xC2\xAC\":3"));
  lb_stream_decoder *d;
  const char *text;
  assert_int_equal(lb_stream_decoder_new(&d, t, false, NULL), LB_OK);
  static const struct {
    int32_t id;
    const char *text;
  } steps[] = {{0, "a"}, {1, ""}, {2, ""}, {3, "\xE2\x82\xAC"}, {1, ""}, {0, UNKNOWN "a"}, {1, ""}};
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    assert_int_equal(lb_stream_decoder_feed(d, steps[i].id, &text, NULL, NULL), LB_OK);
    assert_string_equal(text, steps[i].text);
  }
  assert_int_equal(lb_stream_decoder_finish(d, &text, NULL, NULL), LB_OK);
  assert_string_equal(text, UNKNOWN);
  lb_stream_decoder_free(d);
  lb_tokenizer_free(t);
}

static void test_llama(void **state) {
  (void)state;
  lb_tokenizer *t = small_tokenizer(LLAMA MODEL("\"" MARK "a\":0,\"b\":1,\"<0xC3>\":2,\"<0xA9>\":3,"
                                                "\"" MARK "\":4"));
  EXPECT(t, "a a", 0, 0);
  EXPECT(t, " a", 4, 0); /* one space only */
  EXPECT(t, "b\xC3\xA9", 1, 2, 3);
  EXPECT(t, UNKNOWN UNKNOWN UNKNOWN "b", 2, 3, 2, 1); /* the run as a whole is invalid */
  EXPECT(t, "b" UNKNOWN, 1, 2);
  lb_tokenizer_free(t);
}

static void test_strip_tail(void **state) {
  (void)state;
  lb_tokenizer *t =
      small_tokenizer("\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},{"
                      "\"type\":\"Strip\",\"content\":"
                      "\"_\",\"start\":1,\"stop\":2}]}," MODEL("\"_\":0,\"a\":1,\"__\":2"));
  EXPECT(t, "_a", 2, 1, 0, 0);
  EXPECT(t, "a_", 1, 2, 0);
  EXPECT(t, "a___a", 1, 2, 0, 1, 2);
  lb_tokenizer_free(t);
}

static void test_others(void **state) {
  (void)state;
  lb_tokenizer *t = small_tokenizer(MODEL("\"a\":0,\"b\":1"));
  EXPECT(t, "a b a", 0, 1, 0); /* no decoder: joined by spaces */
  lb_tokenizer_free(t);
  t = small_tokenizer(
      "\"decoder\":{\"type\":\"BPEDecoder\",\"suffix\":\"$\"}," MODEL("\"a$\":0,\"b\":1"));
  EXPECT(t, "a ba", 0, 1, 0);
  lb_tokenizer_free(t);
  t = small_tokenizer(
      "\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\"" MARK
      "\",\"prepend_scheme\":\"always\"}," MODEL("\"" MARK "a\":0,\"b" MARK "\":1"));
  EXPECT(t, "a ab ", 0, 0, 1);
  lb_tokenizer_free(t);
}

static void test_holes(void **state) {
  (void)state;
  lb_tokenizer *t = small_tokenizer("\"decoder\":{\"type\":\"Fuse\"}," MODEL("\"a\":0,\"b\":5"));
  assert_int_equal(lb_tokenizer_size(t), 6);
  assert_null(lb_tokenizer_token_text(t, 3, NULL));
  EXPECT(t, "ab", 0, 3, 5);
  lb_tokenizer_free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_byte_level), cmocka_unit_test(test_stream_holds_back),
      cmocka_unit_test(test_llama),      cmocka_unit_test(test_strip_tail),
      cmocka_unit_test(test_others),     cmocka_unit_test(test_holes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

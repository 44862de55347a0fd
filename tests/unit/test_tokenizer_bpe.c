/* test_tokenizer_bpe.c - merging against the plainest possible program, on pieces of every length;
 * unknown characters; very long pieces. */
#include "base/memory.h"
#include "base/random.h"
#include "small_tokenizer.h"
#include "text/bpe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t random_below(uint64_t index, uint32_t n) {
  uint32_t r[4];
  lb__random_u32x4(r, (lb__random_key){3, LB__PURPOSE_TEST}, 1, index);
  return r[0] % n;
}

/* Letters a to d and random merges of what is there. */
static void make_model(lb__vocabulary *v, lb__bpe *bpe, uint64_t seed) {
  for (int i = 0; i < 4; i++) {
    char letter = (char)('a' + i);
    assert_int_equal(lb__vocabulary_add(v, &letter, 1, i, NULL), LB_OK);
  }
  bpe->vocabulary = v;
  for (uint64_t i = 0; i < 60; i++) {
    size_t n = v->n_ids, left_size, right_size;
    const char *l =
        lb__vocabulary_text(v, random_below(seed * 1000 + i * 2, (uint32_t)n), &left_size);
    const char *r =
        lb__vocabulary_text(v, random_below(seed * 1000 + i * 2 + 1, (uint32_t)n), &right_size);
    char left[64], right[64], joined[128];
    if (left_size + right_size > 12) continue;
    memcpy(left, l, left_size);
    memcpy(right, r, right_size);
    memcpy(joined, left, left_size);
    memcpy(joined + left_size, right, right_size);
    if (lb__vocabulary_find(v, joined, left_size + right_size) < 0)
      assert_int_equal(lb__vocabulary_add(v, joined, left_size + right_size, (int64_t)n, NULL),
                       LB_OK);
    assert_int_equal(lb__bpe_add_merge(bpe, left, left_size, right, right_size, NULL), LB_OK);
  }
  assert_int_equal(lb__bpe_finish(bpe, NULL), LB_OK);
}

/* Of two merges of one pair the later counts. */
static int rank_of(const lb__bpe *bpe, int32_t left, int32_t right) {
  for (size_t i = bpe->n_merges; i-- > 0;)
    if (bpe->merges[i].left == left && bpe->merges[i].right == right) return (int)i;
  return -1;
}

static size_t merge_plainly(const lb__bpe *bpe, int32_t *ids, size_t n) {
  for (;;) {
    int best = -1;
    size_t at = 0;
    for (size_t i = 0; i + 1 < n; i++) {
      int rank = rank_of(bpe, ids[i], ids[i + 1]);
      if (rank >= 0 && (best < 0 || rank < best)) best = rank, at = i;
    }
    if (best < 0) return n;
    ids[at] = bpe->merges[best].result;
    for (size_t i = at + 1; i + 1 < n; i++) ids[i] = ids[i + 1];
    n--;
  }
}

static void test_against_plain(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 8; seed++) {
    lb__vocabulary v = {0};
    lb__bpe bpe = {0};
    make_model(&v, &bpe, seed);
    lb__bpe_scratch *scratch = lb__bpe_scratch_new();
    for (uint64_t k = 0; k < 150; k++) {
      char text[128];
      int32_t want[128];
      size_t n = k < 128 ? k : random_below(k, 128);
      for (size_t i = 0; i < n; i++) {
        want[i] = (int32_t)random_below(1000000 + seed * 100000 + k * 200 + i, 4);
        text[i] = (char)('a' + want[i]);
      }
      size_t wanted = merge_plainly(&bpe, want, n);
      for (int again = 0; again < 2; again++) { /* the second time from the cache */
        lb__ids ids = {0};
        assert_int_equal(lb__bpe_encode(&bpe, scratch, text, n, &ids, NULL), LB_OK);
        assert_int_equal(ids.n, wanted);
        if (wanted > 0) assert_memory_equal(ids.items, want, wanted * sizeof *want);
        lb__free(ids.items);
      }
    }
    lb__bpe_scratch_free(scratch);
    lb__bpe_deinit(&bpe);
    lb__vocabulary_deinit(&v);
  }
}

#define MODEL(options, vocab, merges)                                                              \
  "\"model\":{\"type\":\"BPE\"," options "\"vocab\":{" vocab "},\"merges\":[" merges "]}"

static void test_unknown(void **state) {
  (void)state;
#define VOCAB "\"a\":0,\"?\":1,\"<0xC3>\":2,\"<0xA9>\":3"
  lb_tokenizer *t = small_tokenizer(MODEL("", VOCAB, ""));
  expect_ids(t, "azza", NULL, IDS(0, 0)); /* no unknown token: dropped */
  lb_tokenizer_free(t);
  t = small_tokenizer(MODEL("\"unk_token\":\"?\",", VOCAB, ""));
  expect_ids(t, "azza", NULL, IDS(0, 1, 1, 0));
  assert_int_equal(lb_tokenizer_unk(t), 1);
  lb_tokenizer_free(t);
  t = small_tokenizer(MODEL("\"unk_token\":\"?\",\"fuse_unk\":true,", VOCAB, ""));
  expect_ids(t, "azzazz", NULL, IDS(0, 1, 0, 1));
  lb_tokenizer_free(t);
  t = small_tokenizer(MODEL("\"unk_token\":\"?\",\"byte_fallback\":true,", VOCAB, ""));
  expect_ids(t, "a\xC3\xA9z", NULL, IDS(0, 2, 3, 1));
  lb_tokenizer_free(t);
  t = small_tokenizer(MODEL("\"unk_token\":\"no\",", VOCAB, ""));
  int32_t *ids;
  size_t n;
  lb_error err;
  assert_int_equal(lb_tokenizer_encode(t, "z", 1, NULL, &ids, &n, &err), LB_E_FORMAT);
  assert_non_null(strstr(err.message, "'no'"));
  lb_tokenizer_free(t);
}

static void test_ignore_merges(void **state) {
  (void)state;
#define ABC "\"a\":0,\"b\":1,\"ab\":2,\"aba\":3"
  lb_tokenizer *t = small_tokenizer(MODEL("", ABC, "\"a b\""));
  expect_ids(t, "aba", NULL, IDS(2, 0));
  lb_tokenizer_free(t);
  t = small_tokenizer(MODEL("\"ignore_merges\":true,", ABC, "\"a b\""));
  expect_ids(t, "aba", NULL, IDS(3));
  expect_ids(t, "abab", NULL, IDS(2, 2));
  lb_tokenizer_free(t);
}

/* A million equal letters: finishes soon only if merging is not quadratic. */
static void test_long_piece(void **state) {
  (void)state;
  lb_tokenizer *t = small_tokenizer(MODEL("", "\"a\":0,\"aa\":1,\"aaaa\":2", "\"a a\",\"aa aa\""));
  size_t size = 1000000, n;
  char *text = malloc(size);
  memset(text, 'a', size);
  int32_t *ids;
  assert_int_equal(lb_tokenizer_encode(t, text, size, NULL, &ids, &n, NULL), LB_OK);
  assert_int_equal(n, size / 4);
  for (size_t i = 0; i < n; i++) assert_int_equal(ids[i], 2);
  lb_ids_free(ids);
  free(text);
  lb_tokenizer_free(t);
}

/* Parts between spaces are merged on their own, but not where a token spans the border. */
static void test_boundaries(void **state) {
  (void)state;
#define MARK "\xE2\x96\x81"
  lb_tokenizer *t = small_tokenizer(
      "\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" MARK
      "\"}," MODEL(
          "", "\"a\":0,\"b\":1,\"" MARK "\":2,\"" MARK "a\":3,\"b" MARK "\":4,\"" MARK MARK "\":5",
          "\"b " MARK "\",\"" MARK " " MARK "\",\"" MARK " a\""));
  expect_ids(t, "a a", NULL, IDS(0, 3));
  expect_ids(t, "b a", NULL, IDS(4, 0));
  expect_ids(t, "a  a   a", NULL, IDS(0, 5, 0, 5, 3));
  expect_ids(t, " ", NULL, IDS(2));
  lb_tokenizer_free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_against_plain), cmocka_unit_test(test_unknown),
      cmocka_unit_test(test_ignore_merges), cmocka_unit_test(test_long_piece),
      cmocka_unit_test(test_boundaries)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

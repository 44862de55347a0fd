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

#define MARK "\xE2\x96\x81"
static const char *const letters[] = {"a", "b", "c", "d"}, *const signs[] = {"a", ".", "9", MARK};

/* Four characters and random merges of what is there; with every byte when it falls back to them.
 */
static void make_model(lb__vocabulary *v, lb__bpe *bpe, const char *const *first, uint64_t seed) {
  for (int i = 0; i < 4; i++)
    assert_int_equal(lb__vocabulary_add(v, first[i], strlen(first[i]), i, NULL), LB_OK);
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
  for (int byte = 0; bpe->byte_fallback && byte < 256; byte++) {
    char text[8];
    snprintf(text, sizeof text, "<0x%02X>", (unsigned)byte);
    assert_int_equal(lb__vocabulary_add(v, text, 6, (int64_t)v->n_ids, NULL), LB_OK);
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
  static int ranks[64][64];
  for (int32_t left = 0; left < 64; left++)
    for (int32_t right = 0; right < 64; right++) ranks[left][right] = rank_of(bpe, left, right);
  for (;;) {
    int best = -1;
    size_t at = 0;
    for (size_t i = 0; i + 1 < n; i++) {
      int rank = ranks[ids[i]][ids[i + 1]];
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
    make_model(&v, &bpe, letters, seed);
    lb__bpe_scratch *scratch = lb__bpe_scratch_new();
    for (uint64_t k = 0; k < 153; k++) {
      static char text[5000];
      static int32_t want[5000];
      size_t n = k < 128 ? k : k < 150 ? random_below(k, 128) : 4090 + random_below(k, 900);
      for (size_t i = 0; i < n; i++) {
        want[i] = (int32_t)random_below(1000000 + seed * 1000000 + k * 5000 + i, 4);
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

static void expect_same(const lb__bpe *a, const lb__bpe *b, const char *text, size_t size) {
  lb__ids want = {0}, found = {0};
  lb__bpe_scratch *one = lb__bpe_scratch_new(), *other = lb__bpe_scratch_new();
  assert_int_equal(lb__bpe_encode(a, one, text, size, &want, NULL), LB_OK);
  assert_int_equal(lb__bpe_encode(b, other, text, size, &found, NULL), LB_OK);
  assert_int_equal(found.n, want.n);
  if (want.n > 0) assert_memory_equal(found.items, want.items, want.n * sizeof *want.items);
  lb__bpe_scratch_free(one);
  lb__bpe_scratch_free(other);
  lb__free(want.items);
  lb__free(found.items);
}

/* A piece in parts gives the ids of the whole, also around characters without a token. */
static void test_parts(void **state) {
  (void)state;
  static const char *const others[] = {" ", "\xC3\xA9", "\xE2\x96\x82", "<0x2E>"};
  size_t joined = 0;
  for (uint64_t seed = 1; seed <= 8; seed++) {
    lb__vocabulary v = {0};
    lb__bpe bpe = {.byte_fallback = true};
    make_model(&v, &bpe, signs, seed);
    assert_true(bpe.may_cut);
    for (const char *c = "a.9 "; *c != '\0'; c++)
      joined += (bpe.joined[(unsigned char)*c]['.' >> 6] >> ('.' & 63)) & 1;
    lb__bpe whole = bpe;
    whole.may_cut = false;
    for (uint64_t k = 0; k < 200; k++) {
      char text[512];
      size_t size = 0;
      for (uint64_t i = 0; i < 40; i++) {
        uint32_t r = random_below(seed * 100000 + k * 40 + i, 20);
        const char *c = r < 4 ? others[r] : signs[r % 4];
        memcpy(text + size, c, strlen(c));
        size += strlen(c);
      }
      expect_same(&whole, &bpe, text, size);
    }
    lb__bpe_deinit(&bpe);
    lb__vocabulary_deinit(&v);
  }
  assert_in_range(joined, 1, 8 * 4 - 1); /* some merge joins to a point, some do not */
}

/* A merge of a fallback byte joins what its spelling does not tell. */
static void test_no_parts(void **state) {
  (void)state;
  lb__vocabulary v = {0};
  lb__bpe bpe = {.byte_fallback = true};
  make_model(&v, &bpe, signs, 1);
  lb__bpe_deinit(&bpe);
  bpe = (lb__bpe){.byte_fallback = true, .vocabulary = &v};
  assert_int_equal(lb__vocabulary_add(&v, "<0x41>a", 7, (int64_t)v.n_ids, NULL), LB_OK);
  assert_int_equal(lb__bpe_add_merge(&bpe, "<0x41>", 6, "a", 1, NULL), LB_OK);
  assert_int_equal(lb__bpe_finish(&bpe, NULL), LB_OK);
  assert_false(bpe.may_cut);
  lb__bpe_deinit(&bpe);
  lb__vocabulary_deinit(&v);
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

/* A token that two ways lead to is made out of order: the leftmost pair still comes first. */
static void test_two_ways(void **state) {
  (void)state;
  lb_tokenizer *t = small_tokenizer(MODEL(
      "\"byte_fallback\":true,",
      "\"<\":0,\"0\":1,\"x\":2,\"4\":3,\"1\":4,\">\":5,\"<0\":6,\"<0x\":7,\"<0x4\":8,\"<0x41\":9,"
      "\"<0x41>\":10,\"<0x41><0x41>\":11,\"b\":12",
      "\"< 0\",\"<0 x\",\"<0x 4\",\"<0x4 1\",\"<0x41 >\",\"<0x41> <0x41>\""));
  expect_ids(t, "<0x41>AA", NULL, IDS(11, 10));
  char text[5000 + 8 + 1];
  memset(text, 'b', 5000);
  memcpy(text + 5000, "<0x41>AA", 9);
  int32_t *ids;
  size_t n;
  assert_int_equal(lb_tokenizer_encode(t, text, strlen(text), NULL, &ids, &n, NULL), LB_OK);
  assert_int_equal(n, 5002);
  assert_int_equal(ids[5000], 11);
  assert_int_equal(ids[5001], 10);
  lb_ids_free(ids);
  lb_tokenizer_free(t);
}

/* Spaces that the model reads itself, and spaces that the normalizer writes as marks first, because
 * an added token wants to see them so. */
static void test_spaces(void **state) {
  (void)state;
#define SPACES(added)                                                                              \
  "\"added_tokens\":[" added                                                                       \
  "],\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},"                         \
  "\"content\":\"" MARK                                                                            \
  "\"},\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},"                      \
  "\"behavior\":\"MergedWithPrevious\",\"invert\":false}," MODEL(                                  \
      "",                                                                                          \
      "\"a\":0,\"b\":1,\"" MARK "\":2,\"" MARK "a\":3,\"b" MARK "\":4,\"" MARK MARK                \
      "\":5,\"zz\":6",                                                                             \
      "\"b " MARK "\",\"" MARK " " MARK "\",\"" MARK " a\"")
  lb_tokenizer *both[] = {
      small_tokenizer(SPACES("")),
      small_tokenizer(SPACES("{\"id\":6,\"content\":\"zz\",\"normalized\":true,\"special\":false,"
                             "\"lstrip\":false,\"rstrip\":false,\"single_word\":false}"))};
  for (int i = 0; i < 2; i++) {
    lb_tokenizer *t = both[i];
    expect_ids(t, "a a", NULL, IDS(0, 3));
    expect_ids(t, "b a", NULL, IDS(4, 0));
    expect_ids(t, "a  a   a", NULL, IDS(0, 5, 0, 5, 3));
    expect_ids(t, "a" MARK " " MARK "a" MARK "a", NULL, IDS(0, 5, 3, 3));
    expect_ids(t, " ", NULL, IDS(2));
    lb_tokenizer_free(t);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_against_plain), cmocka_unit_test(test_unknown),
      cmocka_unit_test(test_ignore_merges), cmocka_unit_test(test_long_piece),
      cmocka_unit_test(test_parts),         cmocka_unit_test(test_no_parts),
      cmocka_unit_test(test_two_ways),      cmocka_unit_test(test_spaces)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_random.c - Philox4x32-10 against the known answers of its authors, and that the streams
 * built on it are what the header promises. */
#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* tests/kat_vectors of Random123 (DEShawResearch/random123), the lines "philox4x32 10". */
static void test_known_answers(void **state) {
  (void)state;
  static const struct {
    uint32_t counter[4], key[2], answer[4];
  } cases[] = {{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
               {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                {0xffffffff, 0xffffffff},
                {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
               {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                {0xa4093822, 0x299f31d0},
                {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
  for (size_t i = 0; i < 3; i++) {
    uint32_t out[4];
    lb__philox4x32(out, cases[i].counter, cases[i].key);
    assert_memory_equal(out, cases[i].answer, sizeof out);
  }
}

/* Checkpoints rely on these: a change here makes resumed runs differ from uninterrupted ones. */
static void test_streams_never_change(void **state) {
  (void)state;
  uint32_t out[4];
  lb__random_key key = {42, LB__PURPOSE_SHUFFLE};
  lb__random_u32x4(out, key, 0x100000007, 0x200000003);
  static const uint32_t pinned[4] = {0x119e4136, 0xe6fd6306, 0xa4590842, 0xcf4b33e5};
  assert_memory_equal(out, pinned, sizeof out);
}

static void test_every_argument_matters(void **state) {
  (void)state;
  lb__random_key key = {1, LB__PURPOSE_TEST};
  double base = lb__random_uniform(key, 5, 6);
  assert_true(base == lb__random_uniform(key, 5, 6));
  assert_true(base != lb__random_uniform(key, 6, 6));
  assert_true(base != lb__random_uniform(key, 5, 7));
  assert_true(base != lb__random_uniform(key, 5, 6 + (1ULL << 32)));
  assert_true(base != lb__random_uniform(key, 5 + (1ULL << 32), 6));
  assert_true(base != lb__random_uniform((lb__random_key){2, LB__PURPOSE_TEST}, 5, 6));
  assert_true(base !=
              lb__random_uniform((lb__random_key){1 + (1ULL << 32), LB__PURPOSE_TEST}, 5, 6));
  assert_true(base != lb__random_uniform((lb__random_key){1, LB__PURPOSE_INIT}, 5, 6));
}

enum { DRAWS = 200000 };

/* Bounds are five standard errors of the sample moments; the draws are fixed, so this either
 * always passes or never. */
static void test_uniform_moments(void **state) {
  (void)state;
  lb__random_key key = {7, LB__PURPOSE_TEST};
  double sum = 0, sum_squares = 0;
  for (uint64_t i = 0; i < DRAWS; i++) {
    double u = lb__random_uniform(key, 1, i);
    assert_true(u >= 0 && u < 1);
    sum += u;
    sum_squares += u * u;
  }
  assert_true(fabs(sum / DRAWS - 1.0 / 2) < 5 * sqrt(1.0 / 12 / DRAWS));
  assert_true(fabs(sum_squares / DRAWS - 1.0 / 3) < 5 * sqrt(4.0 / 45 / DRAWS));
}

static void test_normal_moments(void **state) {
  (void)state;
  lb__random_key key = {8, LB__PURPOSE_TEST};
  double sum[5] = {0};
  for (uint64_t i = 0; i < DRAWS; i++) {
    double x = lb__random_normal(key, 1, i), power = 1;
    assert_true(isfinite(x));
    for (int k = 1; k <= 4; k++) sum[k] += power *= x;
  }
  assert_true(fabs(sum[1] / DRAWS) < 5 * sqrt(1.0 / DRAWS));
  assert_true(fabs(sum[2] / DRAWS - 1) < 5 * sqrt(2.0 / DRAWS));
  assert_true(fabs(sum[3] / DRAWS) < 5 * sqrt(15.0 / DRAWS));
  assert_true(fabs(sum[4] / DRAWS - 3) < 5 * sqrt(96.0 / DRAWS));
}

/* Within a few units in the last place of what libm gives, and to the bit what
 * the same formulas give in Python: machines, compilers and C libraries must agree. */
static void test_normal_is_box_muller(void **state) {
  (void)state;
  const double two_pi = 6.283185307179586476925286766559;
  lb__random_key key = {9, LB__PURPOSE_TEST};
  uint64_t hash = 0xCBF29CE484222325U;
  for (uint64_t i = 0; i < DRAWS; i++) {
    uint32_t b[4];
    lb__random_u32x4(b, key, 3, i);
    double u = (double)(((uint64_t)b[1] << 32 | b[0]) >> 11) * 0x1p-53,
           v = (double)(((uint64_t)b[3] << 32 | b[2]) >> 11) * 0x1p-53,
           radius = sqrt(-2.0 * log(1.0 - u)), x = lb__random_normal(key, 3, i);
    assert_true(fabs(x - radius * cos(two_pi * v)) < 4e-15 * radius);
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    hash = (hash ^ bits) * 0x100000001B3U;
  }
  if (hash != 0xEF291223E3411622U) fail_msg("%016llx", (unsigned long long)hash);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known_answers),          cmocka_unit_test(test_streams_never_change),
      cmocka_unit_test(test_every_argument_matters), cmocka_unit_test(test_uniform_moments),
      cmocka_unit_test(test_normal_moments),         cmocka_unit_test(test_normal_is_box_muller),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* random.c - Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2,
 * 3", SC11). Owns: how (seed, purpose, step, index) becomes a key and a counter; checkpoints depend
 * on it, so it never changes. */
#include "random.h"

#include <math.h>

static void philox_round(uint32_t c[4], uint32_t key0, uint32_t key1) {
  uint64_t p0 = (uint64_t)0xD2511F53U * c[0], p1 = (uint64_t)0xCD9E8D57U * c[2];
  uint32_t c1 = c[1], c3 = c[3];
  c[0] = (uint32_t)(p1 >> 32) ^ c1 ^ key0;
  c[1] = (uint32_t)p1;
  c[2] = (uint32_t)(p0 >> 32) ^ c3 ^ key1;
  c[3] = (uint32_t)p0;
}

void lb__philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]) {
  uint32_t key0 = key[0], key1 = key[1];
  for (int i = 0; i < 4; i++) out[i] = counter[i];
  for (int round = 0; round < 10; round++) {
    philox_round(out, key0, key1);
    key0 += 0x9E3779B9U; /* the golden ratio */
    key1 += 0xBB67AE85U; /* sqrt(3) - 1 */
  }
}

/* Spreads the purpose over the whole seed (SplitMix64's finaliser, a bijection), so that seed 2 of
 * one purpose is not seed 1 of the next. */
uint64_t lb__random_mixed(lb__random_key key) {
  uint64_t z = key.seed + (uint64_t)key.purpose * 0x9E3779B97F4A7C15U;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
  z = (z ^ z >> 27) * 0x94D049BB133111EBU;
  return z ^ z >> 31;
}

void lb__random_u32x4(uint32_t out[4], lb__random_key key, uint64_t step, uint64_t index) {
  uint64_t mixed = lb__random_mixed(key);
  const uint32_t philox_key[2] = {(uint32_t)mixed, (uint32_t)(mixed >> 32)};
  const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)step,
                               (uint32_t)(step >> 32)};
  lb__philox4x32(out, counter, philox_key);
}

/* The upper 53 bits as a multiple of 2^-53 in [0, 1). */
static double unit_interval(uint32_t low, uint32_t high) {
  return (double)(((uint64_t)high << 32 | low) >> 11) * 0x1p-53;
}

double lb__random_uniform(lb__random_key key, uint64_t step, uint64_t index) {
  uint32_t bits[4];
  lb__random_u32x4(bits, key, step, index);
  return unit_interval(bits[0], bits[1]);
}

/* ---- normal numbers ----
 * A C library's log and cos differ in their last bit from one to the next, and within one between
 * CPUs with and without fused products; a model made of such numbers would differ too. So both are
 * computed here from +, -, * and / alone, which IEEE 754 defines to the bit (this file is compiled
 * with -ffp-contract=off). Errors stay below 2e-15, tests/unit/test_random.c. */

/* ln x of a normal x > 0: x = m * 2^e with m around 1, ln m = 2 artanh((m - 1) / (m + 1)). */
static double ln(double x) {
  const double ln2_high = 0x1.62e42fefa38p-1, ln2_low = 0x1.ef35793c7673p-45; /* e * high: exact */
  int e;
  double m = frexp(x, &e);
  if (m < 0.70710678118654752) {
    m *= 2.0;
    e--;
  }
  double s = (m - 1.0) / (m + 1.0), z = s * s, sum = 0.0; /* z < 0.0295 */
  for (int k = 21; k >= 1; k -= 2) sum = sum * z + 1.0 / k;
  return e * ln2_high + (e * ln2_low + 2.0 * s * sum);
}

/* 1 - t/a(a+1) (1 - t/(a+2)(a+3) (1 - ...)): cos of sqrt(t) for a = 1, sin / sqrt(t) for a = 2 */
static double series(double t, int a) {
  double sum = 1.0;
  for (int k = a + 16; k >= a; k -= 2) sum = 1.0 - t / (k * (k + 1)) * sum;
  return sum;
}

/* cos(2 pi u) for u in [0, 1): the nearest quarter turn, and an angle of at most pi / 4. */
static double cos_of_turn(double u) {
  const double two_pi = 6.283185307179586476925286766559;
  int quarter = (int)(4.0 * u + 0.5);
  double angle = two_pi * (u - 0.25 * quarter), t = angle * angle;
  double x = quarter % 2 == 0 ? series(t, 1) : angle * series(t, 2);
  return quarter == 1 || quarter == 2 ? -x : x;
}

/* Box and Muller 1958; 1 - u lies in (0, 1], so the logarithm is finite. sqrt is exactly rounded
 * everywhere. */
double lb__random_normal(lb__random_key key, uint64_t step, uint64_t index) {
  uint32_t bits[4];
  lb__random_u32x4(bits, key, step, index);
  double radius = sqrt(-2.0 * ln(1.0 - unit_interval(bits[0], bits[1])));
  return radius * cos_of_turn(unit_interval(bits[2], bits[3]));
}

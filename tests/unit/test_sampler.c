/* test_sampler.c - processors and warpers on hand-computed rows, and draws against their
 * probabilities (fixed seeds: the same numbers on every run and machine). */
#include "generate/sampler.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static lb__sampler sampler_of(const float *row, int64_t n) {
  lb__sampler s;
  assert_int_equal(lb__sampler_init(&s, n, NULL), LB_OK);
  memcpy(s.row, row, (size_t)n * sizeof *row);
  return s;
}

/* 'x' where a token was removed, '.' where it stayed */
static void assert_removed(const lb__sampler *s, const char *want) {
  char got[64] = {0};
  for (int64_t i = 0; i < s->vocab_size; i++) got[i] = s->row[i] == -INFINITY ? 'x' : '.';
  assert_string_equal(got, want);
}

static lb_generate_options sampling(void) {
  lb_generate_options o = lb_generate_options_default();
  o.do_sample = true;
  return o;
}

#define LOGITS(...) (const float[]){__VA_ARGS__}, sizeof((float[]){__VA_ARGS__}) / sizeof(float)

static void test_repetition_penalty(void **state) {
  (void)state;
  lb__sampler s = sampler_of(LOGITS(2, -2, 4, 1, 0));
  lb_generate_options o = sampling();
  o.repetition_penalty = 2.0;
  const int32_t prompt[] = {0, 1, 0, 0}, fresh[] = {1, 4};
  assert_true(lb__row_is_processed(&o, 5));
  for (int round = 1; round <= 2; round++) { /* a second row starts afresh */
    lb__row_process(&s, &o, NULL, 0, (lb__history){prompt, fresh, 4, 2});
    assert_true(s.row[0] == 2.0f / (float)(1 << round)); /* once, though it came three times */
    assert_true(s.row[1] == -2.0f * (float)(1 << round));
    assert_true(s.row[2] == 4.0f && s.row[3] == 1.0f && s.row[4] == 0.0f);
  }
  lb__sampler_deinit(&s);
}

static void test_min_new_tokens(void **state) {
  (void)state;
  const float row[] = {3, 9, 1};
  const int32_t eos[] = {1};
  lb_generate_options o = sampling();
  o.min_new_tokens = 2;
  lb__sampler s = sampler_of(row, 3);
  lb__row_process(&s, &o, eos, 1, (lb__history){.n_fresh = 2});
  assert_removed(&s, "...");
  assert_false(lb__row_is_processed(&o, 2));
  assert_true(lb__row_is_processed(&o, 1));
  lb__row_process(&s, &o, eos, 1, (lb__history){.n_fresh = 1});
  assert_removed(&s, ".x.");
  assert_int_equal(lb__row_argmax(&s), 0);
  lb__sampler_deinit(&s);
}

static void test_top_k_keeps_ties(void **state) {
  (void)state;
  lb_generate_options o = sampling();
  lb__sampler s = sampler_of(LOGITS(1, 5, 3, 3, 2, 4, 3));
  o.top_k = 3;
  lb__row_warp(&s, &o);
  assert_removed(&s, "x...x..");
  lb__sampler_deinit(&s);
  s = sampler_of(LOGITS(1, 5, 3));
  o.top_k = 7; /* more than there are */
  lb__row_warp(&s, &o);
  assert_removed(&s, "...");
  o.top_k = 1;
  lb__row_warp(&s, &o);
  assert_removed(&s, "x.x");
  lb__sampler_deinit(&s);
}

/* probabilities 0.4 0.3 0.2 0.1: a token stays while those above it carry less than top_p */
static void test_top_p(void **state) {
  (void)state;
  static const struct {
    double top_p;
    const char *want;
  } cases[] = {{1e-9, ".xxx"}, {0.39, ".xxx"}, {0.41, "..xx"}, {0.69, "..xx"},
               {0.71, "...x"}, {0.91, "...."}, {0.999, "...."}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    lb_generate_options o = sampling();
    lb__sampler s = sampler_of(LOGITS(logf(0.4f), logf(0.3f), logf(0.2f), logf(0.1f)));
    o.top_p = cases[i].top_p;
    lb__row_warp(&s, &o);
    assert_removed(&s, cases[i].want);
    lb__sampler_deinit(&s);
  }
}

static void test_top_p_of_equals_removes_the_first(void **state) {
  (void)state;
  lb_generate_options o = sampling();
  lb__sampler s = sampler_of(LOGITS(0, 0, 0, 0));
  o.top_p = 0.5; /* an ascending stable sort, cut from its beginning */
  lb__row_warp(&s, &o);
  assert_removed(&s, "xx..");
  lb__sampler_deinit(&s);
}

/* A wide row: most of the mass is far below the maximum, so candidates must be widened. */
static void test_top_p_wide(void **state) {
  (void)state;
  enum { V = 60000 };
  float *row = malloc(V * sizeof *row);
  for (int i = 0; i < V; i++) row[i] = i == 0 ? 0.0f : -9.0f - (float)(i % 7) * 0.01f;
  lb_generate_options o = sampling();
  lb__sampler s = sampler_of(row, V);
  o.top_p = 0.9;
  lb__row_warp(&s, &o);
  double total = 0.0, kept = 0.0;
  float least_kept = 0.0f, best_removed = -100.0f;
  for (int i = 0; i < V; i++) {
    total += exp((double)row[i]);
    if (s.row[i] == -INFINITY) {
      best_removed = fmaxf(best_removed, row[i]);
    } else {
      kept += exp((double)row[i]);
      least_kept = fminf(least_kept, row[i]);
    }
  }
  assert_true(kept >= 0.9 * total * (1 - 1e-12) && kept - exp((double)least_kept) < 0.9 * total);
  assert_true(best_removed <= least_kept);
  lb__sampler_deinit(&s);
  free(row);
}

static void test_min_p_and_temperature(void **state) {
  (void)state;
  lb_generate_options o = sampling();
  lb__sampler s = sampler_of(LOGITS(logf(0.5f), logf(0.25f), logf(0.15f), logf(0.1f)));
  o.min_p = 0.4; /* at least 0.2 of 0.5 */
  lb__row_warp(&s, &o);
  assert_removed(&s, "..xx");
  lb__sampler_deinit(&s);
  s = sampler_of(LOGITS(4, 2, 1));
  o.min_p = 0.3; /* after temperature 2 the ratios are exp(-1) = 0.37 and exp(-1.5) = 0.22 */
  o.temperature = 2.0;
  lb__row_warp(&s, &o);
  assert_removed(&s, "..x");
  assert_true(s.row[0] == 2.0f);
  lb__sampler_deinit(&s);
}

static void test_nothing_possible(void **state) {
  (void)state;
  lb__sampler s = sampler_of(LOGITS(-INFINITY, -INFINITY));
  lb_generate_options o = sampling();
  o.top_k = 1, o.top_p = 0.5, o.min_p = 0.5;
  lb__row_warp(&s, &o);
  assert_int_equal(lb__row_draw(&s, 0.5), -1);
  assert_int_equal(lb__row_argmax(&s), -1);
  assert_true(isinf(lb__row_logsumexp(s.row, 2)));
  lb__sampler_deinit(&s);
}

static void test_draw_is_the_inverse_cdf(void **state) {
  (void)state;
  lb__sampler s = sampler_of(LOGITS(logf(0.25f), -INFINITY, logf(0.5f), logf(0.25f)));
  assert_int_equal(lb__row_draw(&s, 0.0), 0);
  assert_int_equal(lb__row_draw(&s, 0.24), 0);
  assert_int_equal(lb__row_draw(&s, 0.26), 2);
  assert_int_equal(lb__row_draw(&s, 0.74), 2);
  assert_int_equal(lb__row_draw(&s, 0.76), 3);
  assert_int_equal(lb__row_draw(&s, 0x1.fffffffffffffp-1), 3);
  lb__sampler_deinit(&s);
}

/* Chi-square of 10^6 draws against the probabilities; 5 degrees of freedom, so 20.5 would be one
 * run in a thousand, and the seed is fixed. */
static void test_draws_have_their_probabilities(void **state) {
  (void)state;
  enum { N = 1000000, V = 6 };
  static const float p[V] = {0.02f, 0.4f, 0.1f, 0.25f, 0.03f, 0.2f};
  float row[V];
  double chi_square = 0.0;
  int64_t counts[V] = {0};
  for (int i = 0; i < V; i++) row[i] = logf(p[i]) + 3.0f;
  lb__sampler s = sampler_of(row, V);
  for (size_t i = 0; i < N; i++)
    counts[lb__row_draw(&s, lb__sample_uniform(1, i % 10, i / 10 % 10, i / 100))]++;
  for (int i = 0; i < V; i++) {
    double want = (double)p[i] * N, off = (double)counts[i] - want;
    chi_square += off * off / want;
  }
  assert_true(chi_square < 20.5);
  lb__sampler_deinit(&s);
}

static void test_uniform_depends_on_everything(void **state) {
  (void)state;
  double base = lb__sample_uniform(1, 2, 3, 4);
  assert_true(base == lb__sample_uniform(1, 2, 3, 4));
  assert_true(base != lb__sample_uniform(2, 2, 3, 4));
  assert_true(base != lb__sample_uniform(1, 3, 3, 4));
  assert_true(base != lb__sample_uniform(1, 2, 4, 4));
  assert_true(base != lb__sample_uniform(1, 2, 3, 5));
}

static void test_logsumexp(void **state) {
  (void)state;
  const float row[] = {1000.0f, 1000.0f, -INFINITY};
  assert_true(fabs(lb__row_logsumexp(row, 3) - (1000.0 + log(2.0))) < 1e-12);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_repetition_penalty),
      cmocka_unit_test(test_min_new_tokens),
      cmocka_unit_test(test_top_k_keeps_ties),
      cmocka_unit_test(test_top_p),
      cmocka_unit_test(test_top_p_of_equals_removes_the_first),
      cmocka_unit_test(test_top_p_wide),
      cmocka_unit_test(test_min_p_and_temperature),
      cmocka_unit_test(test_nothing_possible),
      cmocka_unit_test(test_draw_is_the_inverse_cdf),
      cmocka_unit_test(test_draws_have_their_probabilities),
      cmocka_unit_test(test_uniform_depends_on_everything),
      cmocka_unit_test(test_logsumexp),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_kv_cache.c - the paged cache against a naive one that copies everything: random appends,
 * forks, drops and truncations; every key found through the page table is the one written there. */
#include "generate/kv_cache.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { L = 2, G = 2, D = 3, ROW = G * D, MAX_SEQUENCES = 12, MAX_LENGTH = 200 };

static const lb__kv_shape shape = {L, G, D};

/* What a naive cache would hold: one number per token, from which its rows are made. */
typedef struct model_sequence {
  int32_t number;
  int64_t n;
  int tokens[MAX_LENGTH];
} model_sequence;

static float value_of(int token, int layer, bool is_value, int i) {
  return (float)(token * 100 + layer * 20 + (is_value ? 10 : 0) + i);
}

static void write_row(lb_tensor *t, int32_t slot, int token, int layer, bool is_value) {
  float row[ROW];
  for (int i = 0; i < ROW; i++) row[i] = value_of(token, layer, is_value, i);
  assert_int_equal(lb__tensor_write(t, (size_t)slot * sizeof row, row, sizeof row, NULL), LB_OK);
}

static void check_row(const lb_tensor *t, int32_t slot, int token, int layer, bool is_value) {
  float row[ROW];
  assert_int_equal(lb__tensor_read(t, (size_t)slot * sizeof row, row, sizeof row, NULL), LB_OK);
  for (int i = 0; i < ROW; i++)
    if (row[i] != value_of(token, layer, is_value, i))
      fail_msg("slot %d holds %g, want token %d", slot, (double)row[i], token);
}

/* Writes the new tokens where the view says and reads all of the document through its table. */
static void run_batch(lb__kv_cache *c, model_sequence *sequences[], const lb__kv_append *appends,
                      int64_t n, int *next_token) {
  lb__kv_view view;
  lb_error err;
  int64_t at = 0;
  if (lb__kv_prepare(c, appends, n, &view, &err) != LB_OK) fail_msg("%s", err.message);
  for (int64_t d = 0; d < n; d++) {
    model_sequence *m = sequences[d];
    for (int64_t i = 0; i < appends[d].n_new; i++, at++) {
      int token = m->tokens[m->n++] = (*next_token)++;
      for (int l = 0; l < L; l++) {
        write_row(&view.keys[l], view.slots[at], token, l, false);
        write_row(&view.values[l], view.slots[at], token, l, true);
      }
    }
  }
  for (int64_t d = 0; d < n; d++) {
    const model_sequence *m = sequences[d];
    assert_int_equal(view.kv_lens[d], m->n);
    for (int64_t t = 0; t < m->n; t++) {
      int32_t page = view.page_table[d * view.max_pages + t / view.page_size];
      int32_t slot = page * (int32_t)view.page_size + (int32_t)(t % view.page_size);
      for (int l = 0; l < L; l++) {
        check_row(&view.keys[l], slot, m->tokens[t], l, false);
        check_row(&view.values[l], slot, m->tokens[t], l, true);
      }
    }
  }
  lb__kv_commit(c, appends, n);
}

static uint32_t pick(uint64_t step, uint64_t index, uint32_t n) {
  lb__random_key key = {5, LB__PURPOSE_TEST};
  return (uint32_t)(lb__random_uniform(key, step, index) * n);
}

static void append_to_some(lb__kv_cache *c, model_sequence *s, int n, uint64_t step, int *next) {
  model_sequence *chosen[MAX_SEQUENCES];
  lb__kv_append appends[MAX_SEQUENCES];
  int64_t n_chosen = 0;
  for (int i = 0; i < n; i++) {
    int64_t n_new = 1 + pick(step, 10 + (uint64_t)i, step % 3 == 0 ? 40 : 3);
    if (pick(step, 40 + (uint64_t)i, 3) == 0 || s[i].n + n_new > MAX_LENGTH) continue;
    chosen[n_chosen] = &s[i];
    appends[n_chosen++] = (lb__kv_append){s[i].number, n_new};
  }
  if (n_chosen > 0) run_batch(c, chosen, appends, n_chosen, next);
}

static void test_against_copies(void **state) {
  (void)state;
  lb__kv_cache *c;
  static model_sequence s[MAX_SEQUENCES];
  int n = 0, next_token = 1;
  assert_int_equal(lb__kv_cache_new(&c, shape, NULL), LB_OK);
  for (uint64_t step = 0; step < 3000; step++) {
    uint32_t what = pick(step, 0, 10), i = n > 0 ? pick(step, 1, (uint32_t)n) : 0;
    if (n == 0 || (what == 0 && n < MAX_SEQUENCES)) {
      s[n].n = 0;
      assert_int_equal(lb__kv_sequence_new(c, &s[n++].number, NULL), LB_OK);
    } else if (what <= 2 && n < MAX_SEQUENCES) {
      s[n] = s[i];
      assert_int_equal(lb__kv_fork(c, &s[n].number, s[i].number, NULL), LB_OK);
      n++;
    } else if (what == 3) {
      s[i].n = pick(step, 2, (uint32_t)s[i].n + 1);
      lb__kv_truncate(c, s[i].number, s[i].n);
    } else if (what == 4 && n > 3) {
      lb__kv_drop(c, s[i].number);
      s[i] = s[--n];
    } else {
      append_to_some(c, s, n, step, &next_token);
    }
    for (int j = 0; j < n; j++) assert_int_equal(lb__kv_length(c, s[j].number), s[j].n);
  }
  while (n > 0) lb__kv_drop(c, s[--n].number);
  assert_int_equal(lb__kv_pages_used(c), 0);
  lb__kv_cache_free(c);
}

static void append(lb__kv_cache *c, int32_t sequence, int64_t n) {
  lb__kv_append a = {sequence, n};
  lb__kv_view view;
  assert_int_equal(lb__kv_prepare(c, &a, 1, &view, NULL), LB_OK);
  lb__kv_commit(c, &a, 1);
}

static void test_forks_share_pages(void **state) {
  (void)state;
  lb__kv_cache *c;
  int32_t a, b;
  assert_int_equal(lb__kv_cache_new(&c, shape, NULL), LB_OK);
  assert_int_equal(lb__kv_sequence_new(c, &a, NULL), LB_OK);
  append(c, a, 2 * LB__KV_PAGE_SIZE + 5);
  assert_int_equal(lb__kv_pages_used(c), 3);
  assert_int_equal(lb__kv_fork(c, &b, a, NULL), LB_OK);
  assert_int_equal(lb__kv_pages_used(c), 3);
  assert_int_equal(lb__kv_page_holders(c, a, 2), 2);
  append(c, b, 1); /* the partial page is copied, the full ones stay shared */
  assert_int_equal(lb__kv_pages_used(c), 4);
  assert_int_equal(lb__kv_page_holders(c, a, 2), 1);
  assert_int_equal(lb__kv_page_holders(c, b, 2), 1);
  assert_int_equal(lb__kv_page_holders(c, b, 1), 2);
  append(c, a, 1); /* its own again: nothing to copy */
  assert_int_equal(lb__kv_pages_used(c), 4);
  lb__kv_drop(c, a);
  assert_int_equal(lb__kv_page_holders(c, b, 0), 1);
  assert_int_equal(lb__kv_pages_used(c), 3);
  lb__kv_cache_free(c);
}

static void test_full_page_is_not_copied(void **state) {
  (void)state;
  lb__kv_cache *c;
  int32_t a, b;
  assert_int_equal(lb__kv_cache_new(&c, shape, NULL), LB_OK);
  assert_int_equal(lb__kv_sequence_new(c, &a, NULL), LB_OK);
  append(c, a, LB__KV_PAGE_SIZE);
  assert_int_equal(lb__kv_fork(c, &b, a, NULL), LB_OK);
  append(c, b, 1);
  assert_int_equal(lb__kv_page_holders(c, a, 0), 2);
  assert_int_equal(lb__kv_pages_used(c), 2);
  lb__kv_cache_free(c);
}

/* All pages are taken when a fork wants to write: its copy needs a page that nobody announced. */
static void test_copy_when_all_pages_are_taken(void **state) {
  (void)state;
  lb__kv_cache *c;
  for (int64_t n_pages = 1; n_pages <= 20; n_pages++) {
    int32_t a, b;
    assert_int_equal(lb__kv_cache_new(&c, shape, NULL), LB_OK);
    assert_int_equal(lb__kv_sequence_new(c, &a, NULL), LB_OK);
    append(c, a, n_pages * LB__KV_PAGE_SIZE - 3);
    assert_int_equal(lb__kv_fork(c, &b, a, NULL), LB_OK);
    append(c, b, 1);
    assert_int_equal(lb__kv_pages_used(c), n_pages + 1);
    lb__kv_cache_free(c);
  }
}

static void test_prepare_without_commit_changes_nothing(void **state) {
  (void)state;
  lb__kv_cache *c;
  lb__kv_view view;
  int32_t a;
  assert_int_equal(lb__kv_cache_new(&c, shape, NULL), LB_OK);
  assert_int_equal(lb__kv_sequence_new(c, &a, NULL), LB_OK);
  append(c, a, 5);
  assert_int_equal(lb__kv_prepare(c, &(lb__kv_append){a, 100}, 1, &view, NULL), LB_OK);
  assert_int_equal(lb__kv_length(c, a), 5);
  assert_int_equal(lb__kv_prepare(c, &(lb__kv_append){a, 1}, 1, &view, NULL), LB_OK);
  assert_int_equal(view.kv_lens[0], 6);
  assert_int_equal(view.slots[0] % LB__KV_PAGE_SIZE, 5);
  lb__kv_truncate(c, a, 5);
  assert_int_equal(lb__kv_pages_used(c), 1);
  lb__kv_cache_free(c);
}

static void test_estimate(void **state) {
  (void)state;
  size_t bytes;
  assert_true(lb__kv_estimate(&bytes, shape, 17));
  assert_int_equal(bytes, 2 * L * 2 * LB__KV_PAGE_SIZE * ROW * sizeof(float));
  assert_false(lb__kv_estimate(&bytes, (lb__kv_shape){1 << 20, 1 << 20, 1 << 20}, 1 << 20));
}

/* Allocations of a long steady run: growth is geometric, so a few dozen for 5000 steps. */
static int n_allocations;
static void *count_alloc(void *ctx, size_t size) {
  (void)ctx;
  n_allocations++;
  return malloc(size);
}
static void *count_resize(void *ctx, void *p, size_t old_size, size_t size) {
  (void)ctx, (void)old_size;
  n_allocations++;
  return realloc(p, size);
}
static void count_release(void *ctx, void *p) {
  (void)ctx;
  free(p);
}

static void test_steady_state_allocates_nothing(void **state) {
  (void)state;
  static const lb_allocator counting = {count_alloc, count_resize, count_release, NULL};
  lb__kv_cache *c;
  int32_t a, b;
  lb_allocator_set(&counting);
  assert_int_equal(lb__kv_cache_new(&c, shape, NULL), LB_OK);
  assert_int_equal(lb__kv_sequence_new(c, &a, NULL), LB_OK);
  append(c, a, 100);
  for (int i = 0; i < 50; i++) { /* as beams do: fork, drop, append */
    assert_int_equal(lb__kv_fork(c, &b, a, NULL), LB_OK);
    append(c, b, 1);
    lb__kv_drop(c, b);
  }
  n_allocations = 0;
  for (int i = 0; i < 50; i++) {
    assert_int_equal(lb__kv_fork(c, &b, a, NULL), LB_OK);
    append(c, b, 1);
    lb__kv_drop(c, b);
  }
  assert_int_equal(n_allocations, 0);
  for (int i = 0; i < 5000; i++) append(c, a, 1);
  assert_true(n_allocations < 200);
  lb__kv_cache_free(c);
  lb_allocator_set(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_against_copies),
      cmocka_unit_test(test_forks_share_pages),
      cmocka_unit_test(test_full_page_is_not_copied),
      cmocka_unit_test(test_copy_when_all_pages_are_taken),
      cmocka_unit_test(test_prepare_without_commit_changes_nothing),
      cmocka_unit_test(test_estimate),
      cmocka_unit_test(test_steady_state_allocates_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

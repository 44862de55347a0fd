/* test_loader.c - every document exactly once an epoch, an order that is a function of (seed,
 * epoch), a cursor that resumes anywhere, borders that nothing crosses, rows that are full. */
#include "data/loader.h"
#include "data/packing.h"

#include "base/random.h"
#include "faults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static lb_error err;

/* ---- a corpus: token 0 of document i is i; the next id is learned except every third ---- */

static int64_t length_of_document(int64_t i, int64_t longest) {
  uint32_t bits[4];
  lb__random_u32x4(bits, (lb__random_key){7, LB__PURPOSE_TEST}, 0, (uint64_t)i);
  return 2 + bits[0] % (longest - 1);
}

static lb_status make_corpus(lb__corpus **out, int64_t n_docs, int64_t longest, lb_error *e) {
  int64_t *start = calloc((size_t)n_docs + 1, sizeof *start), n = 0;
  int32_t *ids = calloc((size_t)(n_docs * longest), sizeof *ids);
  int32_t *targets = calloc((size_t)(n_docs * longest), sizeof *targets);
  for (int64_t i = 0; i < n_docs; i++) {
    int64_t length = length_of_document(i, longest);
    for (int64_t k = 0; k < length; k++) ids[n + k] = (int32_t)(k == 0 ? i : (i * 31 + k) % 1000);
    for (int64_t k = 0; k < length; k++)
      targets[n + k] = k + 1 == length || (k % 3 == 2 && k > 0) ? LB__NOT_TRAINED : ids[n + k + 1];
    n += length;
    start[i + 1] = n;
  }
  lb_status st = lb__corpus_from_arrays(out, ids, targets, start, n_docs, e);
  free(start);
  free(ids);
  free(targets);
  return st;
}

static lb__corpus *corpus_of(int64_t n_docs, int64_t longest) {
  lb__corpus *c;
  if (make_corpus(&c, n_docs, longest, &err) != LB_OK) fail_msg("%s", err.message);
  return c;
}

static lb__loader *loader_of(const lb__corpus *c, lb__loader_options o) {
  lb__loader *l;
  if (lb__loader_new(&l, c, &o, &err) != LB_OK) fail_msg("%s", err.message);
  return l;
}

static lb__optimizer_batch next(lb__loader *l) {
  lb__optimizer_batch b;
  if (lb__loader_next(l, &b, &err) != LB_OK) fail_msg("%s", err.message);
  return b;
}

/* ---- what every batch promises ---- */

static void check_document(const lb__corpus *c, const lb__micro_batch *m, int64_t begin,
                           int64_t end, int *seen) {
  int32_t i = m->ids[begin];
  assert_true(i >= 0 && i < lb__corpus_n_documents(c));
  lb__document_view d = lb__corpus_document(c, i);
  assert_int_equal(d.n, end - begin);
  assert_memory_equal(d.ids, m->ids + begin, (size_t)d.n * sizeof *d.ids);
  assert_memory_equal(d.targets, m->targets + begin, (size_t)d.n * sizeof *d.targets);
  for (int64_t k = 0; k < d.n; k++) assert_int_equal(m->positions[begin + k], k);
  assert_int_equal(m->targets[end - 1], LB__NOT_TRAINED); /* nothing learns across a border */
  seen[i]++;
}

static void check_micro(const lb__corpus *c, const lb__micro_batch *m, int *seen) {
  int64_t n_trained = 0;
  assert_true(m->n_docs > 0);
  assert_int_equal(m->doc_start[0], 0);
  assert_int_equal(m->doc_start[m->n_docs], m->n_tokens);
  assert_null(m->weights);
  for (int64_t d = 0; d < m->n_docs; d++)
    check_document(c, m, m->doc_start[d], m->doc_start[d + 1], seen);
  for (int64_t i = 0; i < m->n_tokens; i++) n_trained += m->targets[i] != LB__NOT_TRAINED;
  assert_int_equal(n_trained, m->n_trained);
}

/* One epoch; order[] gets the documents as they come. Returns the number of micro-batches. */
static int64_t check_epoch(const lb__corpus *c, lb__loader *l, lb__loader_options o, int64_t epoch,
                           int32_t *order) {
  int64_t n = lb__corpus_n_documents(c), n_micro = 0, n_steps = 0, at = 0;
  int *seen = calloc((size_t)n, sizeof *seen);
  for (bool ends = false; !ends; n_steps++) {
    lb__optimizer_batch b = next(l);
    int64_t tokens = 0, trained = 0;
    assert_int_equal(b.epoch, epoch);
    assert_true(b.n_micro <= o.gradient_accumulation_steps);
    if (!b.ends_epoch) assert_int_equal(b.n_micro, o.gradient_accumulation_steps);
    for (int64_t i = 0; i < b.n_micro; i++) {
      const lb__micro_batch *m = &b.micro[i];
      check_micro(c, m, seen);
      assert_true(m->n_tokens <= lb__loader_most_tokens(l));
      if (o.packing) assert_true(m->n_tokens <= o.max_length * o.per_device_train_batch_size);
      if (!o.packing) assert_true(m->n_docs <= o.per_device_train_batch_size);
      for (int64_t d = 0; d < m->n_docs; d++) order[at++] = m->ids[m->doc_start[d]];
      tokens += m->n_tokens;
      trained += m->n_trained;
    }
    n_micro += b.n_micro;
    assert_int_equal(tokens, b.n_tokens);
    assert_int_equal(trained, b.n_trained);
    ends = b.ends_epoch;
  }
  for (int64_t i = 0; i < n; i++) assert_int_equal(seen[i], 1);
  assert_int_equal(n_micro, lb__loader_micro_per_epoch(l));
  assert_int_equal(n_steps, lb__loader_steps_per_epoch(l));
  free(seen);
  return n_micro;
}

static void every_document_once(void **state) {
  (void)state;
  enum { N = 157 };
  lb__corpus *c = corpus_of(N, 40);
  for (int k = 0; k < 24; k++) {
    lb__loader_options o = {.max_length = 64,
                            .per_device_train_batch_size = 1 + k % 3 * 3,
                            .gradient_accumulation_steps = 1 + k % 4,
                            .packing = k / 12 == 0,
                            .shuffle = k / 6 % 2 == 0,
                            .seed = (uint64_t)k};
    lb__loader *l = loader_of(c, o);
    int32_t orders[3][N];
    int64_t n_micro = check_epoch(c, l, o, 0, orders[0]);
    assert_int_equal(check_epoch(c, l, o, 1, orders[1]), n_micro);
    assert_int_equal(check_epoch(c, l, o, 2, orders[2]), n_micro);
    bool same = memcmp(orders[0], orders[1], sizeof orders[0]) == 0 ||
                memcmp(orders[1], orders[2], sizeof orders[0]) == 0;
    assert_true(same == !o.shuffle);
    for (int32_t i = 0; !o.shuffle && !o.packing && i < N; i++) assert_int_equal(orders[0][i], i);
    lb__loader_free(l);
  }
  lb__corpus_free(c);
}

/* A resumed run that draws a new permutation, replays epoch 0, or mixes steps with micro-batches
 * are bugs that others shipped (transformers #17032, accelerate #2016, sd-scripts #2425). */
static void resume_is_exact(void **state) {
  (void)state;
  lb__corpus *c = corpus_of(61, 30);
  for (int k = 0; k < 4; k++) {
    lb__loader_options o = {32, 2, 3, k % 2 == 0, k < 2, 42};
    lb__loader *whole = loader_of(c, o), *resumed = loader_of(c, o);
    int64_t steps = 3 * lb__loader_steps_per_epoch(whole);
    for (int64_t s = 0; s < steps; s++) {
      lb__cursor cursor = lb__loader_cursor(whole);
      assert_int_equal(cursor.step, s);
      assert_int_equal(lb__loader_seek(resumed, cursor, &err), LB_OK);
      lb__optimizer_batch a = next(whole), b = next(resumed);
      assert_int_equal(a.n_micro, b.n_micro);
      assert_int_equal(a.n_tokens, b.n_tokens);
      assert_int_equal(a.epoch, b.epoch);
      assert_int_equal(a.ends_epoch, b.ends_epoch);
      for (int64_t i = 0; i < a.n_micro; i++) {
        size_t size = (size_t)a.micro[i].n_tokens * sizeof(int32_t);
        assert_int_equal(a.micro[i].n_tokens, b.micro[i].n_tokens);
        assert_memory_equal(a.micro[i].ids, b.micro[i].ids, size);
        assert_memory_equal(a.micro[i].targets, b.micro[i].targets, size);
      }
      lb__cursor after = lb__loader_cursor(whole), again = lb__loader_cursor(resumed);
      assert_memory_equal(&after, &again, sizeof after);
    }
    lb__loader_free(whole);
    lb__loader_free(resumed);
  }
  lb__corpus_free(c);
}

/* At every single micro-batch, also between two optimizer batches. */
static void seek_reaches_every_micro_batch(void **state) {
  (void)state;
  lb__corpus *c = corpus_of(50, 20);
  lb__loader_options one = {24, 2, 1, true, true, 9}, four = one;
  four.gradient_accumulation_steps = 4;
  lb__loader *a = loader_of(c, one), *b = loader_of(c, four);
  int64_t n = lb__loader_micro_per_epoch(a);
  assert_int_equal(lb__loader_micro_per_epoch(b), n);
  for (int64_t m = 0; m < n; m++) {
    assert_int_equal(lb__loader_seek(b, (lb__cursor){0, m, 5}, &err), LB_OK);
    lb__optimizer_batch x = next(a), y = next(b);
    assert_int_equal(y.n_micro, n - m < 4 ? n - m : 4);
    assert_int_equal(x.micro[0].n_tokens, y.micro[0].n_tokens);
    assert_memory_equal(x.micro[0].ids, y.micro[0].ids,
                        (size_t)x.micro[0].n_tokens * sizeof(int32_t));
  }
  lb__loader_free(a);
  lb__loader_free(b);
  lb__corpus_free(c);
}

/* The order is pinned: a checkpoint of today must resume with a build of next year. */
static void the_order_never_changes(void **state) {
  (void)state;
  static const int32_t epochs[2][8] = {{2, 4, 6, 5, 7, 0, 3, 1}, {4, 3, 5, 7, 1, 0, 2, 6}};
  lb__corpus *c = corpus_of(8, 10);
  lb__loader *l = loader_of(c, (lb__loader_options){16, 8, 1, false, true, 42});
  for (int e = 0; e < 2; e++) {
    lb__optimizer_batch b = next(l);
    for (int i = 0; i < 8; i++)
      if (b.micro[0].ids[b.micro[0].doc_start[i]] != epochs[e][i])
        fail_msg("epoch %d, document %d: found %d", e, i, b.micro[0].ids[b.micro[0].doc_start[i]]);
  }
  lb__loader_free(l);
  lb__corpus_free(c);
}

static void a_wrong_cursor_is_refused(void **state) {
  (void)state;
  lb__corpus *c = corpus_of(10, 10);
  lb__loader *l = loader_of(c, (lb__loader_options){16, 2, 2, false, true, 1});
  const lb__cursor wrong[] = {{-1, 0, 0}, {0, -1, 0}, {0, 0, -1}, {0, 5, 0}, {3, 1000, 7}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_int_equal(lb__loader_seek(l, wrong[i], &err), LB_E_ARG);
    assert_non_null(strstr(err.message, "5 micro-batches"));
    assert_int_equal(lb__loader_cursor(l).step, 0);
  }
  lb__loader_free(l);
  lb__corpus_free(c);
}

static void wrong_options_are_refused(void **state) {
  (void)state;
  lb__corpus *c = corpus_of(10, 10);
  lb__loader *l;
  const lb__loader_options wrong[] = {{0, 1, 1, true, true, 0},
                                      {16, 0, 1, true, true, 0},
                                      {16, 1, 0, true, true, 0},
                                      {3, 1, 1, true, true, 0}}; /* a longer document */
  static const char *const named[] = {"max_length", "per_device_train_batch_size",
                                      "gradient_accumulation_steps", "max_length = 3"};
  for (size_t i = 0; i < 4; i++) {
    assert_int_equal(lb__loader_new(&l, c, &wrong[i], &err), LB_E_ARG);
    assert_null(l);
    if (strstr(err.message, named[i]) == NULL) fail_msg("%s", err.message);
  }
  lb__corpus_free(c);
}

static void untrained_documents_stay_out(void **state) {
  (void)state;
  const int32_t ids[] = {0, 5, 1, 6, 2, 7}, none = LB__NOT_TRAINED;
  const int32_t targets[] = {5, none, none, none, 7, none};
  const int64_t start[] = {0, 2, 4, 6};
  lb__corpus *c;
  lb__loader *l;
  const lb__loader_options o = {8, 1, 1, true, false, 0};
  assert_int_equal(lb__corpus_from_arrays(&c, ids, targets, start, 3, &err), LB_OK);
  l = loader_of(c, o);
  lb__optimizer_batch b = next(l);
  assert_true(b.ends_epoch);
  assert_int_equal(b.micro[0].n_docs, 2);
  assert_int_equal(b.n_tokens, 4);
  lb__loader_free(l);
  lb__corpus_free(c);
  assert_int_equal(lb__corpus_from_arrays(&c, ids, targets + 2, start, 1, &err), LB_OK);
  assert_int_equal(lb__loader_new(&l, c, &o, &err), LB_E_ARG);
  assert_non_null(strstr(err.message, "trained"));
  lb__corpus_free(c);
}

/* ---- packing ---- */

/* The textbook way, quadratic: among the rows with room the fullest, the latest of equals. */
static int64_t pack_slowly(const int64_t *lengths, int64_t n, int64_t max, int64_t *row_sizes) {
  int64_t n_rows = 0;
  for (int64_t length = max; length > 0; length--)
    for (int64_t i = 0; i < n; i++) {
      if (lengths[i] != length) continue;
      int64_t best = -1;
      for (int64_t r = 0; r < n_rows; r++)
        if (row_sizes[r] + length <= max && (best < 0 || row_sizes[r] > row_sizes[best])) best = r;
      if (best < 0) row_sizes[best = n_rows++] = 0;
      row_sizes[best] += length;
    }
  return n_rows;
}

static int compare_sizes(const void *a, const void *b) {
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static void packing_is_best_fit_decreasing(void **state) {
  (void)state;
  enum { MOST = 300 };
  static int64_t lengths[MOST], want[MOST], got[MOST];
  for (int round = 0; round < 200; round++) {
    int64_t n = 1 + round * 7 % MOST, max = 2 + round * 13 % 90;
    for (int64_t i = 0; i < n; i++) {
      uint32_t bits[4];
      lb__random_u32x4(bits, (lb__random_key){1, LB__PURPOSE_TEST}, (uint64_t)round, (uint64_t)i);
      lengths[i] = 1 + bits[0] % max;
    }
    lb__packing p;
    assert_int_equal(lb__pack(&p, lengths, n, max, &err), LB_OK);
    assert_int_equal(p.n_rows, pack_slowly(lengths, n, max, want));
    int64_t previous_lowest = -1;
    for (int64_t r = 0; r < p.n_rows; r++) {
      int64_t lowest = n;
      got[r] = 0;
      for (int64_t i = p.row_start[r]; i < p.row_start[r + 1]; i++) {
        int64_t document = p.slot_document[p.row_slots[i]];
        got[r] += lengths[document];
        if (document < lowest) lowest = document;
      }
      assert_true(got[r] <= max && got[r] > 0);
      assert_true(lowest > previous_lowest); /* unshuffled rows follow the data */
      previous_lowest = lowest;
    }
    qsort(want, (size_t)p.n_rows, sizeof *want, compare_sizes);
    qsort(got, (size_t)p.n_rows, sizeof *got, compare_sizes);
    assert_memory_equal(want, got, (size_t)p.n_rows * sizeof *got);
    lb__packing_deinit(&p);
  }
}

/* The point of packing: rows of real-looking lengths are full. */
static void rows_are_full(void **state) {
  (void)state;
  lb__corpus *c = corpus_of(3000, 200);
  lb__loader *l = loader_of(c, (lb__loader_options){512, 1, 1, true, true, 3});
  double tokens = (double)lb__corpus_get_facts(c)->n_tokens;
  double fill = tokens / (512.0 * (double)lb__loader_micro_per_epoch(l));
  if (fill < 0.99) fail_msg("rows are %.3f full", fill);
  lb__loader_free(l);
  lb__corpus_free(c);
}

/* Who shares a row with whom changes from epoch to epoch where lengths allow it. */
static void neighbours_change(void **state) {
  (void)state;
  enum { N = 64 };
  int32_t ids[N * 4], targets[N * 4], neighbour[2][N];
  int64_t start[N + 1];
  for (int i = 0; i < N * 4; i++) {
    ids[i] = i / 4;
    targets[i] = i % 4 == 3 ? LB__NOT_TRAINED : i / 4;
  }
  for (int i = 0; i <= N; i++) start[i] = 4 * i;
  lb__corpus *c;
  assert_int_equal(lb__corpus_from_arrays(&c, ids, targets, start, N, &err), LB_OK);
  lb__loader *l = loader_of(c, (lb__loader_options){8, 1, 1, true, true, 3});
  assert_int_equal(lb__loader_micro_per_epoch(l), N / 2);
  for (int e = 0; e < 2; e++)
    for (int i = 0; i < N / 2; i++) {
      lb__optimizer_batch b = next(l);
      int32_t x = b.micro[0].ids[0], y = b.micro[0].ids[4];
      neighbour[e][x] = y;
      neighbour[e][y] = x;
    }
  int same = 0;
  for (int i = 0; i < N; i++) same += neighbour[0][i] == neighbour[1][i];
  assert_true(same < N / 4);
  lb__loader_free(l);
  lb__corpus_free(c);
}

/* Each of the 24 orders of four documents about equally often: chi-square with 23 degrees of
 * freedom is below 60 with a probability of 0.99997, and the numbers are fixed. */
static void shuffles_are_fair(void **state) {
  (void)state;
  enum { EPOCHS = 4800 };
  int counts[256] = {0}, orders = 0;
  double chi2 = 0;
  lb__corpus *c = corpus_of(4, 5);
  lb__loader *l = loader_of(c, (lb__loader_options){8, 4, 1, false, true, 11});
  for (int e = 0; e < EPOCHS; e++) {
    lb__optimizer_batch b = next(l);
    int code = 0;
    for (int i = 0; i < 4; i++) code = code * 4 + b.micro[0].ids[b.micro[0].doc_start[i]];
    counts[code]++;
  }
  for (int i = 0; i < 256; i++) {
    if (counts[i] == 0) continue;
    orders++;
    chi2 += (counts[i] - 200.0) * (counts[i] - 200.0) / 200.0;
  }
  assert_int_equal(orders, 24);
  if (chi2 > 60) fail_msg("chi-square %.1f", chi2);
  lb__loader_free(l);
  lb__corpus_free(c);
}

/* ---- memory ---- */

static lb_status make_and_step(void *ctx, lb_error *e) {
  (void)ctx;
  lb__corpus *c;
  lb__loader *l = NULL;
  lb__optimizer_batch b;
  const lb__loader_options o = {32, 2, 2, true, true, 1};
  lb_status st = make_corpus(&c, 20, 30, e);
  if (st == LB_OK) st = lb__loader_new(&l, c, &o, e);
  for (int i = 0; i < 20 && st == LB_OK; i++) st = lb__loader_next(l, &b, e);
  lb__loader_free(l);
  lb__corpus_free(c);
  return st;
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  fault_case c = {.run = make_and_step};
  assert_true(fault_each_allocation(&c) > 20);
}

static void a_step_allocates_nothing(void **state) {
  (void)state;
  int calls;
  long leaked;
  lb__corpus *c = corpus_of(20, 30);
  lb__loader *l = loader_of(c, (lb__loader_options){32, 2, 2, true, true, 1});
  fault_allocations_begin(0, false);
  for (int i = 0; i < 50; i++) next(l);
  fault_allocations_end(&calls, &leaked);
  assert_int_equal(calls, 0);
  lb__loader_free(l);
  lb__corpus_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_document_once),
      cmocka_unit_test(resume_is_exact),
      cmocka_unit_test(seek_reaches_every_micro_batch),
      cmocka_unit_test(the_order_never_changes),
      cmocka_unit_test(a_wrong_cursor_is_refused),
      cmocka_unit_test(wrong_options_are_refused),
      cmocka_unit_test(untrained_documents_stay_out),
      cmocka_unit_test(packing_is_best_fit_decreasing),
      cmocka_unit_test(rows_are_full),
      cmocka_unit_test(neighbours_change),
      cmocka_unit_test(shuffles_are_fair),
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(a_step_allocates_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

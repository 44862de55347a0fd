/* test_tensor.c - descriptors, views, element types, and streams. */
#include "tensor/stream.h"
#include "tensor/tensor_data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_dtypes(void **state) {
  (void)state;
  assert_string_equal(lb_dtype_name(LB_DTYPE_Q4_K), "Q4_K");
  assert_string_equal(lb_dtype_name((lb_dtype)1000), "?");
  assert_string_equal(lb_dtype_name((lb_dtype)-1), "?");
  lb_dtype dtype = LB_DTYPE_F64;
  assert_true(lb_dtype_from_name(&dtype, "bf16") && dtype == LB_DTYPE_BF16);
  assert_false(lb_dtype_from_name(&dtype, "bf1"));
  assert_int_equal(dtype, LB_DTYPE_BF16);
  for (int i = 0; i < LB_DTYPE_COUNT; i++) {
    assert_true(lb_dtype_from_name(&dtype, lb_dtype_name((lb_dtype)i)));
    assert_int_equal(dtype, i);
  }
}

static void test_row_bytes(void **state) {
  (void)state;
  size_t bytes;
  assert_true(lb_dtype_row_bytes(&bytes, LB_DTYPE_Q4_1, 576) && bytes == 18 * 20);
  assert_true(lb_dtype_row_bytes(&bytes, LB_DTYPE_Q6_K, 0) && bytes == 0);
  assert_true(lb_dtype_row_bytes(&bytes, LB_DTYPE_F64, 3) && bytes == 24);
  assert_false(lb_dtype_row_bytes(&bytes, LB_DTYPE_Q4_1, 577));
  assert_false(lb_dtype_row_bytes(&bytes, LB_DTYPE_F32, -1));
  assert_false(lb_dtype_row_bytes(&bytes, LB_DTYPE_F64, INT64_MAX));
  assert_false(lb_dtype_row_bytes(&bytes, LB_DTYPE_COUNT, 4));
}

static void test_view(void **state) {
  (void)state;
  float numbers[6] = {1, 2, 3, 4, 5, 6};
  lb_tensor t;
  lb_error err;
  const int64_t shape[] = {2, 3};
  assert_int_equal(lb__tensor_view_bytes(&t, LB_DTYPE_F32, 2, shape, numbers, sizeof numbers, &err),
                   LB_OK);
  assert_true(lb__tensor_f32(&t) == numbers && !t.owns_memory_);
  assert_int_equal(lb__tensor_elements(&t), 6);
  assert_int_equal(lb__tensor_row_length(&t), 3);
  assert_int_equal(lb__tensor_n_rows(&t), 2);
  char text[96];
  assert_string_equal(lb__tensor_describe(text, &t), "[2,3] F32");
  assert_int_equal(lb__tensor_view_bytes(&t, LB_DTYPE_F32, 2, shape, numbers, 23, &err),
                   LB_E_SHAPE);
  assert_non_null(strstr(err.message, "[2,3] F32 needs 24 bytes, there are 23"));
}

static void test_impossible_shapes(void **state) {
  (void)state;
  static const struct {
    lb_dtype dtype;
    int rank;
    int64_t shape[5];
  } bad[] = {{LB_DTYPE_F32, 2, {-1, 3}},
             {LB_DTYPE_F32, 2, {3, -1}},
             {LB_DTYPE_F32, 5, {1, 1, 1, 1, 1}},
             {LB_DTYPE_F32, -1, {1}},
             {LB_DTYPE_Q8_0, 2, {4, 33}},
             {LB_DTYPE_F32, 3, {INT64_MAX, INT64_MAX, 4}},
             {LB_DTYPE_F32, 2, {(int64_t)1 << 62, 4}},
             {LB_DTYPE_COUNT, 1, {4}}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    lb_tensor t;
    assert_int_equal(lb__tensor_init(&t, bad[i].dtype, bad[i].rank, bad[i].shape, NULL),
                     LB_E_SHAPE);
    lb__tensor_deinit(&t); /* harmless after a failure */
  }
  lb__tensor_deinit(NULL);
}

static void test_rank_0_and_empty(void **state) {
  (void)state;
  lb_tensor t;
  assert_int_equal(lb__tensor_init(&t, LB_DTYPE_F32, 0, NULL, NULL), LB_OK);
  assert_int_equal(lb__tensor_elements(&t), 1);
  assert_int_equal(lb__tensor_row_length(&t), 1);
  lb__tensor_deinit(&t);
  const int64_t empty[] = {4, 0};
  assert_int_equal(lb__tensor_init(&t, LB_DTYPE_F32, 2, empty, NULL), LB_OK);
  assert_int_equal(lb__tensor_elements(&t), 0);
  assert_int_equal(lb__tensor_n_rows(&t), 0);
  lb__tensor_deinit(&t);
  assert_null(t.memory_);
}

static void test_rows_and_reshape(void **state) {
  (void)state;
  lb_tensor t;
  const int64_t shape[] = {4, 2, 32}, flat[] = {4, 64};
  assert_int_equal(lb__tensor_init(&t, LB_DTYPE_Q8_0, 3, shape, NULL), LB_OK);
  lb_tensor rows = lb__tensor_rows(&t, 1, 2);
  assert_int_equal(rows.shape[0], 2);
  assert_int_equal(rows.size_bytes, 2 * 2 * 34);
  assert_ptr_equal(lb__tensor_data(&rows), (char *)lb__tensor_data(&t) + 2 * 34);
  lb_tensor wide = lb__tensor_reshape(&t, 2, flat);
  assert_int_equal(wide.rank, 2);
  assert_int_equal(wide.shape[2], 1);
  assert_false(wide.owns_memory_ || rows.owns_memory_);
  assert_false(lb__tensor_same_shape(&t, &wide));
  lb__tensor_deinit(&wide); /* a view frees nothing */
  lb__tensor_deinit(&t);
}

static void test_read_and_write(void **state) {
  (void)state;
  lb_tensor t;
  const int64_t shape[] = {3};
  int32_t values[] = {7, 8, 9}, back[2];
  assert_int_equal(lb__tensor_init(&t, LB_DTYPE_I32, 1, shape, NULL), LB_OK);
  assert_int_equal(lb__tensor_write(&t, 0, values, sizeof values, NULL), LB_OK);
  assert_int_equal(lb__tensor_read(&t, 4, back, sizeof back, NULL), LB_OK);
  assert_true(back[0] == 8 && back[1] == 9);
  assert_int_equal(lb__tensor_read(&t, 8, back, 8, NULL), LB_E_ARG);
  assert_int_equal(lb__tensor_read(&t, SIZE_MAX, back, 8, NULL), LB_E_ARG);
  assert_int_equal(lb__tensor_write(&t, 12, values, 0, NULL), LB_OK);
  lb__tensor_deinit(&t);
}

static void test_stream(void **state) {
  (void)state;
  lb__stream s;
  lb__stream_init(&s, lb__device_cpu());
  const int64_t shape[] = {5, 7};
  const int32_t ids[] = {3, 1, 4};
  for (int step = 0; step < 3; step++) {
    lb_tensor *a, *b;
    assert_int_equal(lb__stream_tensor(&a, &s, LB_DTYPE_F32, 2, shape, NULL), LB_OK);
    assert_int_equal(lb__stream_i32(&b, &s, ids, 3, NULL), LB_OK);
    assert_int_equal((uintptr_t)lb__tensor_data(a) % 64, 0);
    assert_memory_equal(lb__tensor_i32(b), ids, sizeof ids);
    assert_true(s.arena.in_use > 0);
    lb__stream_reset(&s);
    assert_int_equal(s.arena.in_use, 0);
  }
  lb__stream_deinit(&s);
  lb__stream_deinit(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_dtypes),
      cmocka_unit_test(test_row_bytes),
      cmocka_unit_test(test_view),
      cmocka_unit_test(test_impossible_shapes),
      cmocka_unit_test(test_rank_0_and_empty),
      cmocka_unit_test(test_rows_and_reshape),
      cmocka_unit_test(test_read_and_write),
      cmocka_unit_test(test_stream),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

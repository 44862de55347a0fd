/* test_map.c - the hash map, and SipHash-1-3 against CPython's. */
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* hash(bytes) of CPython 3.11 under PYTHONHASHSEED=0 (SipHash-1-3, key 0). */
static void test_siphash(void **state) {
  (void)state;
  static const uint64_t key[2] = {0, 0};
  unsigned char counting[64];
  for (unsigned i = 0; i < 64; i++) counting[i] = (unsigned char)i;
  assert_int_equal(lb__hash_sip13("a", 1, key), 0x407448d2b89b1813);
  assert_int_equal(lb__hash_sip13("limbeck", 7, key), 0x80454a7a5b7a549);
  assert_int_equal(lb__hash_sip13("12345678", 8, key), 0x3489982430560a87);
  assert_int_equal(lb__hash_sip13("0123456789abcdef0", 17, key), 0xf738bb4f30801228);
  assert_int_equal(lb__hash_sip13(counting, 64, key), 0x75e05fd5bbc870c6);
}

static void test_hash_is_seeded(void **state) {
  (void)state;
  static const uint64_t key[2] = {0, 0};
  assert_int_equal(lb__hash_bytes("limbeck", 7), lb__hash_bytes("limbeck", 7));
  assert_int_not_equal(lb__hash_bytes("limbeck", 7), lb__hash_sip13("limbeck", 7, key));
}

static void test_many_keys(void **state) {
  (void)state;
  enum { N = 50000 };
  lb__map m;
  lb__map_init(&m, true);
  char key[32];
  for (int i = 0; i < N; i++) {
    bool existed = true;
    int size = snprintf(key, sizeof key, "token-%d", i);
    assert_true(lb__map_put(&m, key, (size_t)size, i, &existed));
    assert_false(existed);
  }
  assert_int_equal(m.n_used, N);
  for (int i = 0; i < N; i++) {
    int64_t value = -1;
    int size = snprintf(key, sizeof key, "token-%d", i);
    assert_true(lb__map_get(&m, key, (size_t)size, &value));
    assert_int_equal(value, i);
    assert_false(lb__map_get(&m, key, (size_t)size - 1, &value) && value == i);
  }
  lb__map_deinit(&m);
  assert_int_equal(m.n_used, 0);
}

static void test_overwrite(void **state) {
  (void)state;
  lb__map m;
  lb__map_init(&m, true);
  bool existed = true;
  int64_t value = 0;
  assert_true(lb__map_put(&m, "k", 1, 1, &existed));
  assert_false(existed);
  assert_true(lb__map_put(&m, "k", 1, 2, &existed));
  assert_true(existed);
  assert_true(lb__map_put(&m, "k", 1, 3, NULL));
  assert_true(lb__map_get(&m, "k", 1, &value));
  assert_int_equal(value, 3);
  assert_int_equal(m.n_used, 1);
  lb__map_deinit(&m);
}

/* Keys are bytes: NULs count, and the empty key, even as NULL, is a key. */
static void test_odd_keys(void **state) {
  (void)state;
  for (int owns = 0; owns < 2; owns++) {
    lb__map m;
    lb__map_init(&m, owns != 0);
    int64_t value = 0;
    assert_false(lb__map_get(&m, "", 0, &value));
    assert_true(lb__map_put(&m, "a\0b", 3, 1, NULL));
    assert_true(lb__map_put(&m, "a\0c", 3, 2, NULL));
    assert_true(lb__map_put(&m, NULL, 0, 3, NULL));
    assert_true(lb__map_get(&m, "a\0b", 3, &value) && value == 1);
    assert_true(lb__map_get(&m, "a\0c", 3, &value) && value == 2);
    assert_true(lb__map_get(&m, "", 0, &value) && value == 3);
    assert_false(lb__map_get(&m, "a", 1, &value));
    assert_int_equal(m.n_used, 3);
    lb__map_deinit(&m);
  }
}

static void test_owned_keys_are_copies(void **state) {
  (void)state;
  lb__map m;
  lb__map_init(&m, true);
  char key[] = "abc";
  int64_t value = 0;
  assert_true(lb__map_put(&m, key, 3, 9, NULL));
  memset(key, 'x', 3);
  assert_true(lb__map_get(&m, "abc", 3, &value) && value == 9);
  lb__map_deinit(&m);
}

static void test_reserve(void **state) {
  (void)state;
  lb__map m;
  lb__map_init(&m, false);
  assert_true(lb__map_reserve(&m, 1000));
  size_t n_slots = m.n_slots;
  static char keys[1000][8];
  for (int i = 0; i < 1000; i++) {
    int size = snprintf(keys[i], sizeof keys[i], "%d", i);
    assert_true(lb__map_put(&m, keys[i], (size_t)size, i, NULL));
  }
  assert_int_equal(m.n_slots, n_slots);
  assert_false(lb__map_reserve(&m, SIZE_MAX / 2)); /* does not wrap, and changes nothing */
  assert_int_equal(m.n_used, 1000);
  lb__map_deinit(&m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_siphash),   cmocka_unit_test(test_hash_is_seeded),
      cmocka_unit_test(test_many_keys), cmocka_unit_test(test_overwrite),
      cmocka_unit_test(test_odd_keys),  cmocka_unit_test(test_owned_keys_are_copies),
      cmocka_unit_test(test_reserve),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* fuzz_gguf.c - any bytes as a GGUF file: no crash, what is accepted is sound, every getter is safe
 * on every key. */
#include "fuzz.h"

#include "formats/gguf.h"

#include <string.h>

static void read_arrays(const lb__gguf *g, const char *key) {
  volatile uint64_t used = 0;
  lb__gguf_array a;
  if (lb__gguf_get_array(&a, g, key, LB__GGUF_ARRAY_OF_INTS, true, NULL) == LB_OK)
    for (size_t i = 0; i < a.n; i++) used ^= (uint64_t)lb__gguf_array_int(&a, i);
  if (lb__gguf_get_array(&a, g, key, LB__GGUF_ARRAY_OF_REALS, true, NULL) == LB_OK)
    for (size_t i = 0; i < a.n; i++) used ^= lb__gguf_array_real(&a, i) > 0;
  if (lb__gguf_get_array(&a, g, key, LB__GGUF_ARRAY_OF_STRINGS, true, NULL) == LB_OK)
    for (size_t i = 0; i < a.n; i++) {
      lb__gguf_string s = lb__gguf_array_string(&a, i);
      if (s.size > 0) used ^= (uint8_t)(s.bytes[0] ^ s.bytes[s.size - 1]);
    }
  (void)used;
}

static void read_scalars(const lb__gguf *g, const char *key) {
  int64_t x;
  uint32_t u;
  double real;
  bool flag;
  const char *text = "";
  lb_error err;
  (void)lb__gguf_get_int(&x, g, key, true, &err);
  (void)lb__gguf_get_u32(&u, g, key, true, &err);
  (void)lb__gguf_get_real(&real, g, key, true, &err);
  (void)lb__gguf_get_bool(&flag, g, key, true, &err);
  if (lb__gguf_get_string(&text, g, key, true, &err) == LB_OK) FUZZ_CHECK(strlen(text) < SIZE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lb__gguf *g;
  lb_error err = {0};
  lb_status st = lb__gguf_parse(&g, data, size, "fuzz", &err);
  FUZZ_CHECK((st == LB_OK) == (g != NULL) && (st == LB_OK) == (err.message[0] == '\0'));
  if (st != LB_OK) return 0;
  for (size_t i = 0; i < lb__gguf_n_keys(g); i++) {
    FUZZ_CHECK(lb__gguf_has(g, lb__gguf_key(g, i)));
    read_scalars(g, lb__gguf_key(g, i));
    read_arrays(g, lb__gguf_key(g, i));
  }
  size_t total = 0;
  for (size_t i = 0; i < lb__gguf_count(g); i++) {
    const lb__stored_tensor *t = lb__gguf_tensor(g, i);
    size_t want;
    FUZZ_CHECK(lb__stored_size(&want, t->dtype, t->rank, t->shape) && want == t->size);
    FUZZ_CHECK(t->size == 0 || (t->bytes >= data && t->bytes + t->size <= data + size));
    FUZZ_CHECK(lb__gguf_find(g, t->name) == t);
    total += t->size;
  }
  FUZZ_CHECK(total <= size);
  lb__gguf_close(g);
  return 0;
}

/* fuzz_safetensors.c - any bytes as a safetensors file: no crash, and what is accepted is sound. */
#include "fuzz.h"

#include "formats/safetensors.h"

#include <string.h>

static void check_tensor(const lb__stored_tensor *t, const uint8_t *data, size_t size) {
  size_t want;
  FUZZ_CHECK(lb__stored_size(&want, t->dtype, t->rank, t->shape) && want == t->size);
  if (t->size == 0) return;
  FUZZ_CHECK(t->bytes >= data + 8 && t->bytes + t->size <= data + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lb__safetensors *s;
  lb_error err = {0};
  lb_status st = lb__safetensors_parse(&s, data, size, "fuzz", &err);
  FUZZ_CHECK((st == LB_OK) == (s != NULL) && (st == LB_OK) == (err.message[0] == '\0'));
  if (st != LB_OK) return 0;
  size_t total = 0;
  for (size_t i = 0; i < lb__safetensors_count(s); i++) {
    const lb__stored_tensor *t = lb__safetensors_tensor(s, i);
    check_tensor(t, data, size);
    FUZZ_CHECK(lb__safetensors_find(s, t->name) == t);
    FUZZ_CHECK(i == 0 || strcmp(lb__safetensors_tensor(s, i - 1)->name, t->name) < 0);
    total += t->size;
  }
  FUZZ_CHECK(total <= size); /* no byte belongs to two tensors */
  lb__safetensors_close(s);
  return 0;
}

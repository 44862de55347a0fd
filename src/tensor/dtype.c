/* dtype.c - facts about element types, all from LB_DTYPE_MAP. See include/limbeck/dtype.h. */
#include <limbeck/dtype.h>

#include "base/memory.h"

#include <strings.h>

static const struct {
  const char *name;
  int64_t block_elements;
  size_t block_bytes;
} dtypes[LB_DTYPE_COUNT] = {
#define ROW(name, text, block_elements, block_bytes) {text, block_elements, block_bytes},
    LB_DTYPE_MAP(ROW)
#undef ROW
};

static bool known(lb_dtype dtype) {
  return (unsigned)dtype < LB_DTYPE_COUNT;
}

const char *lb_dtype_name(lb_dtype dtype) {
  return known(dtype) ? dtypes[dtype].name : "?";
}

bool lb_dtype_from_name(lb_dtype *out, const char *name) {
  for (int i = 0; i < LB_DTYPE_COUNT; i++) {
    if (strcasecmp(dtypes[i].name, name) != 0) continue;
    *out = (lb_dtype)i;
    return true;
  }
  return false;
}

int64_t lb_dtype_block_elements(lb_dtype dtype) {
  return known(dtype) ? dtypes[dtype].block_elements : 1;
}

size_t lb_dtype_block_bytes(lb_dtype dtype) {
  return known(dtype) ? dtypes[dtype].block_bytes : 0;
}

bool lb_dtype_row_bytes(size_t *out, lb_dtype dtype, int64_t n) {
  if (!known(dtype) || n < 0 || n % dtypes[dtype].block_elements != 0) return false;
  return lb__ck_mul(out, (size_t)(n / dtypes[dtype].block_elements), dtypes[dtype].block_bytes);
}

bool lb_dtype_is_block(lb_dtype dtype) {
  return lb_dtype_block_elements(dtype) > 1;
}

/* fuzz.h - the entry point of a target, and its way to say that something is wrong. A target takes
 * any bytes, never exits, is deterministic, and needs well under a millisecond for small input. */
#ifndef LB_TESTS_FUZZ_H
#define LB_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken promise is a crash, so that every engine keeps the input. */
#define FUZZ_CHECK(condition)                                                                      \
  do {                                                                                             \
    if (!(condition)) __builtin_trap();                                                            \
  } while (0)

#endif

/* mutate_json.h - changes to JSON text that leave most of it well formed, so that a fuzzer gets
 * past the parser to what reads the values. */
#ifndef LB_TESTS_MUTATE_JSON_H
#define LB_TESTS_MUTATE_JSON_H

#include <stddef.h>
#include <stdint.h>

/* Changes one value of `text` [size], which may grow to `most` bytes: it becomes a limit of its
 * type, another value of the text, deeper, longer, twice or nothing. Deterministic in `seed`.
 * Returns the new size; text without a value stays as it is. */
size_t fuzz_mutate_json(uint8_t *text, size_t size, size_t most, uint32_t seed);

#endif

/* engine_json.c - for engines only: targets whose input is JSON change it value by value in three
 * of four steps, byte by byte in the others. A safetensors file is JSON after eight bytes that say
 * how long it is; FUZZ_HEADER says so. */
#include "fuzz.h"
#include "mutate_json.h"

#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most); /* the engine's own */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

#if defined(FUZZ_HEADER)
static size_t mutate(uint8_t *data, size_t size, size_t most, unsigned seed) {
  uint64_t length;
  if (size < sizeof length) return LLVMFuzzerMutate(data, size, most);
  memcpy(&length, data, sizeof length);
  size_t rest = size - sizeof length;
  if (length > rest) return LLVMFuzzerMutate(data, size, most);
  static uint8_t header[1 << 16];
  size_t tail = rest - (size_t)length;
  if (length > sizeof header / 2 || sizeof length + tail + sizeof header > most)
    return LLVMFuzzerMutate(data, size, most);
  memcpy(header, data + sizeof length, (size_t)length);
  size_t now = fuzz_mutate_json(header, (size_t)length, sizeof header, seed);
  memmove(data + sizeof length + now, data + size - tail, tail);
  memcpy(data + sizeof length, header, now);
  length = now;
  memcpy(data, &length, sizeof length);
  return sizeof length + now + tail;
}
#else
static size_t mutate(uint8_t *data, size_t size, size_t most, unsigned seed) {
  return fuzz_mutate_json(data, size, most, seed);
}
#endif

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
  if (seed % 4 == 0) return LLVMFuzzerMutate(data, size, most);
  return mutate(data, size, most, seed / 4);
}

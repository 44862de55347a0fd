/* map.h - a hash map from byte strings to int64, open addressing. Keys are copied or borrowed.
 * Hash seed is per process, so that a file cannot choose collisions. Refuses: removal. */
#ifndef LB_BASE_MAP_H
#define LB_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lb__map_entry {
  const char *key; /* NULL = empty */
  size_t key_size;
  uint64_t hash;
  int64_t value;
} lb__map_entry;

typedef struct lb__map {
  lb__map_entry *entries;
  size_t n_slots, n_used;
  bool owns_keys;
} lb__map;

void lb__map_init(lb__map *m, bool owns_keys); /* owns_keys: keys are copied on insert */
void lb__map_deinit(lb__map *m);
bool lb__map_reserve(lb__map *m, size_t n); /* false: no memory */
/* Inserts or overwrites. *existed (may be NULL) tells which. False: no memory. */
bool lb__map_put(lb__map *m, const char *key, size_t key_size, int64_t value, bool *existed);
bool lb__map_get(const lb__map *m, const char *key, size_t key_size, int64_t *value);
/* The map's hash: seeded anew in every process, so never store it. */
uint64_t lb__hash_bytes(const void *bytes, size_t size);
uint64_t lb__hash_sip13(const void *bytes, size_t size, const uint64_t key[2]); /* SipHash-1-3 */
/* The key now also depends on the text: for names of what is kept from run to run. */
void lb__hash_add(uint64_t key[2], const char *text);

#endif

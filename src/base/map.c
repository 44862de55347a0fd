/* map.c - see map.h. Owns: the process's hash seed. Nobody may walk the slots: their order differs
 * from one run of the program to the next. */
#include "map.h"

#include "memory.h"

#include <pthread.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* ---- SipHash-1-3 (Aumasson and Bernstein 2012; one round per word, three at the end). Without the
 * seed nobody can write a vocabulary whose tokens all collide; a plain fast hash does not stop
 * that. Short keys cost about 15 ns. ---- */

static uint64_t hash_seed[2];
static pthread_once_t hash_seed_once = PTHREAD_ONCE_INIT;

/* Without the kernel's random bytes (a sandbox) a guessable seed is still better than none. */
static void make_hash_seed(void) {
  if (getrandom(hash_seed, sizeof hash_seed, GRND_NONBLOCK) == (ssize_t)sizeof hash_seed) return;
  struct timespec now = {0};
  clock_gettime(CLOCK_REALTIME, &now);
  hash_seed[0] = (uint64_t)now.tv_nsec * 0x9E3779B97F4A7C15U ^ (uint64_t)now.tv_sec;
  hash_seed[1] = (uint64_t)getpid() * 0xD1B54A32D192ED03U ^ (uint64_t)(uintptr_t)&now;
}

static inline uint64_t rotate_left(uint64_t x, int n) {
  return x << n | x >> (64 - n);
}

static inline void sip_round(uint64_t v[4]) {
  v[0] += v[1], v[2] += v[3];
  v[1] = rotate_left(v[1], 13) ^ v[0];
  v[3] = rotate_left(v[3], 16) ^ v[2];
  v[0] = rotate_left(v[0], 32);
  v[2] += v[1], v[0] += v[3];
  v[1] = rotate_left(v[1], 17) ^ v[2];
  v[3] = rotate_left(v[3], 21) ^ v[0];
  v[2] = rotate_left(v[2], 32);
}

/* Written out: compilers turn this into one load. */
static inline uint64_t load_word(const unsigned char *p) {
  return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
         (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

uint64_t lb__hash_sip13(const void *bytes, size_t size, const uint64_t key[2]) {
  const unsigned char *p = bytes;
  uint64_t v[4] = {key[0] ^ 0x736F6D6570736575U, key[1] ^ 0x646F72616E646F6DU,
                   key[0] ^ 0x6C7967656E657261U, key[1] ^ 0x7465646279746573U};
  size_t left = size;
  for (; left >= 8; left -= 8, p += 8) {
    uint64_t word = load_word(p);
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
  }
  uint64_t last = (uint64_t)size << 56;
  for (size_t i = 0; i < left; i++) last |= (uint64_t)p[i] << (8 * i);
  v[3] ^= last;
  sip_round(v);
  v[0] ^= last;
  v[2] ^= 0xFF;
  for (int i = 0; i < 3; i++) sip_round(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t lb__hash_bytes(const void *bytes, size_t size) {
  pthread_once(&hash_seed_once, make_hash_seed);
  return lb__hash_sip13(bytes, size, hash_seed);
}

/* ---- the table: a power of two of slots, linear probing, at most two thirds full ---- */

void lb__map_init(lb__map *m, bool owns_keys) {
  *m = (lb__map){.owns_keys = owns_keys};
}

void lb__map_deinit(lb__map *m) {
  for (size_t i = 0; m->owns_keys && i < m->n_slots; i++) lb__free((char *)m->entries[i].key);
  lb__free(m->entries);
  lb__map_init(m, m->owns_keys);
}

/* The slot of the key, or the empty slot where it belongs. Needs one empty slot to end. */
static size_t find_slot(const lb__map *m, const char *key, size_t key_size, uint64_t hash) {
  size_t mask = m->n_slots - 1, i = (size_t)hash & mask;
  for (;; i = (i + 1) & mask) {
    const lb__map_entry *e = &m->entries[i];
    if (e->key == NULL) return i;
    if (e->hash == hash && e->key_size == key_size && memcmp(e->key, key, key_size) == 0) return i;
  }
}

static bool rebuild(lb__map *m, size_t n_slots) {
  lb__map_entry *entries = lb__new_array(n_slots, sizeof *entries);
  if (entries == NULL) return false;
  for (size_t i = 0; i < m->n_slots; i++) {
    if (m->entries[i].key == NULL) continue;
    size_t slot = (size_t)m->entries[i].hash & (n_slots - 1);
    while (entries[slot].key != NULL) slot = (slot + 1) & (n_slots - 1);
    entries[slot] = m->entries[i];
  }
  lb__free(m->entries);
  m->entries = entries;
  m->n_slots = n_slots;
  return true;
}

bool lb__map_reserve(lb__map *m, size_t n) {
  size_t wanted, n_slots = m->n_slots != 0 ? m->n_slots : 16;
  if (!lb__ck_mul(&wanted, n, 3)) return false;
  wanted /= 2;
  while (n_slots <= wanted)
    if (!lb__ck_mul(&n_slots, n_slots, 2)) return false;
  return n_slots == m->n_slots || rebuild(m, n_slots);
}

bool lb__map_put(lb__map *m, const char *key, size_t key_size, int64_t value, bool *existed) {
  if (existed != NULL) *existed = false;
  if (key == NULL) key = ""; /* NULL marks an empty slot */
  if (!lb__map_reserve(m, m->n_used + 1)) return false;
  uint64_t hash = lb__hash_bytes(key, key_size);
  lb__map_entry *e = &m->entries[find_slot(m, key, key_size, hash)];
  if (e->key != NULL) {
    e->value = value;
    if (existed != NULL) *existed = true;
    return true;
  }
  const char *kept = m->owns_keys ? lb__strndup(key, key_size) : key;
  if (kept == NULL) return false;
  *e = (lb__map_entry){kept, key_size, hash, value};
  m->n_used++;
  return true;
}

bool lb__map_get(const lb__map *m, const char *key, size_t key_size, int64_t *value) {
  if (m->n_used == 0) return false;
  if (key == NULL) key = "";
  const lb__map_entry *e = &m->entries[find_slot(m, key, key_size, lb__hash_bytes(key, key_size))];
  if (e->key == NULL) return false;
  *value = e->value;
  return true;
}

void lb__hash_add(uint64_t key[2], const char *text) {
  key[1] = lb__hash_sip13(text, strlen(text) + 1, key);
}

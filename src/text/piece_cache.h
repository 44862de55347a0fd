/* piece_cache.h - the ids of pieces of text seen before. Owns: a table of 2 MB that never grows; a
 * piece takes the place of the one that stood there. Refuses: pieces longer than a key, and those
 * of too many ids; they are rare. One cache line is one piece. */
#ifndef LB_TEXT_PIECE_CACHE_H
#define LB_TEXT_PIECE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { LB__CACHED_BYTES = 32, LB__CACHED_IDS = 7, LB__CACHE_BITS = 15 };

typedef struct lb__cached_piece {
  uint64_t words[4]; /* with `size` they tell one text from all others */
  uint8_t size, n;   /* size 0: empty */
  int32_t ids[LB__CACHED_IDS];
} lb__cached_piece;

static inline uint64_t lb__load_u64(const char *p) {
  uint64_t word;
  memcpy(&word, p, sizeof word);
  return word;
}

static inline uint64_t lb__load_u32(const char *p) {
  uint32_t word;
  memcpy(&word, p, sizeof word);
  return word;
}

/* The piece as an empty entry. Loads overlap rather than reach over the end; 0 < size <= 32. */
static inline lb__cached_piece lb__cached_piece_of(const char *p, size_t size) {
  lb__cached_piece c = {.size = (uint8_t)size};
  if (size > 16) {
    c.words[2] = lb__load_u64(p + 8);
    c.words[3] = lb__load_u64(p + size - 16);
  }
  if (size >= 8) {
    c.words[0] = lb__load_u64(p);
    c.words[1] = lb__load_u64(p + size - 8);
  } else if (size >= 4) {
    c.words[0] = lb__load_u32(p) | lb__load_u32(p + size - 4) << 32;
  } else {
    const unsigned char *u = (const unsigned char *)p;
    c.words[0] = u[0] | (uint64_t)u[size / 2] << 8 | (uint64_t)u[size - 1] << 16;
  }
  return c;
}

static inline bool lb__cached_piece_is(const lb__cached_piece *a, const lb__cached_piece *b) {
  uint64_t other = (a->words[0] ^ b->words[0]) | (a->words[1] ^ b->words[1]) |
                   (a->words[2] ^ b->words[2]) | (a->words[3] ^ b->words[3]);
  return (other | (uint64_t)(a->size ^ b->size)) == 0;
}

/* Its place in the table. A bad hash costs speed only: keys are compared. */
static inline size_t lb__cached_piece_slot(const lb__cached_piece *c) {
  uint64_t hash = c->words[0] * 0x9E3779B97F4A7C15u + c->words[1] * 0xC2B2AE3D27D4EB4Fu +
                  c->words[2] * 0x165667B19E3779F9u + c->words[3] * 0xD6E8FEB86659FD93u + c->size;
  hash = (hash ^ hash >> 32) * 0x9E3779B97F4A7C15u;
  return (size_t)(hash >> (64 - LB__CACHE_BITS)) & ~(size_t)1;
}

#endif

/* arena.c - many small things freed together (declared in memory.h). Owns: the blocks. After a
 * reset the blocks are merged into one as large as their sum, so a loop that resets once per step
 * asks the allocator for nothing from its second or third step on. */
#include "memory.h"

#if defined(__SANITIZE_ADDRESS__) /* gcc */
#define WATCHED
#elif defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer)
#define WATCHED
#endif
#endif

/* Under AddressSanitizer whatever is not handed out is poisoned: use after a reset is reported. */
#ifdef WATCHED
#include <sanitizer/asan_interface.h>
#define HIDE(address, size)   ASAN_POISON_MEMORY_REGION(address, size)
#define REVEAL(address, size) ASAN_UNPOISON_MEMORY_REGION(address, size)
#else
#define HIDE(address, size)   ((void)(address), (void)(size))
#define REVEAL(address, size) ((void)(address), (void)(size))
#endif

enum { BLOCK_ALIGNMENT = 64, SMALLEST_BLOCK = 64 * 1024 };

struct lb__arena_block {
  lb__arena_block *next; /* older and, but for its unused end, full */
  char *bytes;           /* aligned to BLOCK_ALIGNMENT */
  size_t size, used;     /* size is a multiple of BLOCK_ALIGNMENT */
};

void lb__arena_init(lb__arena *a, size_t budget) {
  *a = (lb__arena){.budget = budget};
}

static void block_free(lb__arena_block *b) {
  REVEAL(b->bytes, b->size);
  lb__free_aligned(b->bytes);
  lb__free(b);
}

static void list_free(lb__arena_block **list) {
  while (*list != NULL) {
    lb__arena_block *next = (*list)->next;
    block_free(*list);
    *list = next;
  }
}

static void blocks_free(lb__arena *a) {
  list_free(&a->blocks);
  list_free(&a->spare);
  a->held = 0;
}

static bool block_push(lb__arena *a, size_t size) {
  lb__arena_block *b = lb__new(sizeof *b);
  if (b == NULL) return false;
  b->bytes = lb__alloc_aligned(size);
  if (b->bytes == NULL) {
    lb__free(b);
    return false;
  }
  HIDE(b->bytes, size);
  b->size = size;
  b->next = a->blocks;
  a->blocks = b;
  a->held += size;
  return true;
}

void lb__arena_reset(lb__arena *a) {
  size_t held = a->held;
  a->in_use = 0;
  if (a->blocks == NULL) return;
  if (a->blocks->next == NULL && a->spare == NULL) {
    HIDE(a->blocks->bytes, a->blocks->size);
    a->blocks->used = 0;
    return;
  }
  /* One block of the same total fits the same requests again: every offset can only move down. If
   * there is no memory for it now, the next request tries again. */
  blocks_free(a);
  (void)block_push(a, held);
}

void lb__arena_deinit(lb__arena *a) {
  blocks_free(a);
  lb__arena_init(a, a->budget);
}

lb__arena_mark lb__arena_get_mark(const lb__arena *a) {
  return (lb__arena_mark){a->blocks, a->blocks != NULL ? a->blocks->used : 0, a->in_use};
}

/* Blocks made since the mark become spare: the next layer or chunk finds them there. */
void lb__arena_release(lb__arena *a, lb__arena_mark mark) {
  while (a->blocks != mark.block) {
    lb__arena_block *b = a->blocks;
    a->blocks = b->next;
    HIDE(b->bytes, b->size);
    b->used = 0;
    b->next = a->spare;
    a->spare = b;
  }
  a->in_use = mark.in_use;
  if (mark.block == NULL) return;
  HIDE(mark.block->bytes + mark.used, mark.block->size - mark.used);
  mark.block->used = mark.used;
}

/* Moves a spare block of at least `size` bytes to the front of the blocks in use. */
static bool reuse_spare(lb__arena *a, size_t size) {
  for (lb__arena_block **link = &a->spare; *link != NULL; link = &(*link)->next) {
    lb__arena_block *b = *link;
    if (b->size < size) continue;
    *link = b->next;
    b->next = a->blocks;
    a->blocks = b;
    return true;
  }
  return false;
}

static void spare_free(lb__arena *a) {
  for (const lb__arena_block *b = a->spare; b != NULL; b = b->next) a->held -= b->size;
  list_free(&a->spare);
}

static size_t budget_left(const lb__arena *a) {
  return a->budget > a->held ? a->budget - a->held : 0;
}

/* A new block with room for `size`: as large as all so far together, less when the budget says. */
static bool add_block(lb__arena *a, size_t size) {
  size_t least;
  if (!lb__ck_pad(&least, size, BLOCK_ALIGNMENT)) return false;
  if (reuse_spare(a, least)) return true;
  size_t wanted = a->held > SMALLEST_BLOCK ? a->held : SMALLEST_BLOCK;
  if (wanted < least) wanted = least;
  if (a->budget != 0) {
    if (least > budget_left(a)) spare_free(a); /* too small, each of them */
    size_t left = budget_left(a);
    if (least > left) return false;
    if (wanted > left) wanted = left & ~(size_t)(BLOCK_ALIGNMENT - 1);
  }
  return block_push(a, wanted) || (wanted > least && block_push(a, least));
}

/* The place of the next `size` bytes in block b; false when they do not fit. */
static bool place_in(size_t *offset, const lb__arena_block *b, size_t size, size_t alignment) {
  return b != NULL && lb__ck_pad(offset, b->used, alignment) && *offset <= b->size &&
         size <= b->size - *offset;
}

static void *arena_take(lb__arena *a, size_t size, size_t alignment) {
  size_t offset;
  if (size == 0) size = 1;
  if (!place_in(&offset, a->blocks, size, alignment)) {
    if (!add_block(a, size)) return NULL;
    offset = 0;
  }
  lb__arena_block *b = a->blocks;
  a->in_use += offset + size - b->used;
  if (a->in_use > a->high_water) a->high_water = a->in_use;
  b->used = offset + size;
  REVEAL(b->bytes + offset, size);
  return b->bytes + offset;
}

void *lb__arena_alloc(lb__arena *a, size_t size) {
  return arena_take(a, size, 16);
}

void *lb__arena_alloc_tensor(lb__arena *a, size_t size) {
  return arena_take(a, size, 64);
}

void *lb__arena_new(lb__arena *a, size_t n, size_t size) {
  size_t total;
  if (!lb__ck_mul(&total, n, size)) return NULL;
  void *p = lb__arena_alloc(a, total);
  if (p != NULL) memset(p, 0, total);
  return p;
}

char *lb__arena_strndup(lb__arena *a, const char *s, size_t n) {
  size_t total;
  if (!lb__ck_add(&total, n, 1)) return NULL;
  char *copy = lb__arena_alloc(a, total);
  if (copy == NULL) return NULL;
  if (n != 0) memcpy(copy, s, n);
  copy[n] = '\0';
  return copy;
}

/* memory.h - the one way to get memory: checked sizes, the replaceable allocator, growing buffers,
 * arenas. Refuses: size arithmetic that could wrap. */
#ifndef LB_BASE_MEMORY_H
#define LB_BASE_MEMORY_H

#include <limbeck/environment.h>

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

/* ---- checked size arithmetic: false when it does not fit; *out is then unspecified ---- */
static inline bool lb__ck_add(size_t *out, size_t a, size_t b) {
  return !__builtin_add_overflow(a, b, out);
}
static inline bool lb__ck_mul(size_t *out, size_t a, size_t b) {
  return !__builtin_mul_overflow(a, b, out);
}
/* rounds up to a multiple of alignment, a power of two */
static inline bool lb__ck_pad(size_t *out, size_t a, size_t alignment) {
  if (__builtin_add_overflow(a, alignment - 1, out)) return false;
  *out &= ~(alignment - 1);
  return true;
}

/* ---- the allocator; all return NULL when memory is short or the size wraps ---- */
void *lb__alloc(size_t size);                 /* uninitialised; size 0 gives a pointer too */
void *lb__new(size_t size);                   /* zeroed */
void *lb__alloc_array(size_t n, size_t size); /* uninitialised */
void *lb__new_array(size_t n, size_t size);   /* zeroed */
void *lb__resize(void *p, size_t old_size, size_t new_size);
void *lb__alloc_aligned(size_t size); /* 64-byte aligned; free with lb__free_aligned */
void lb__free_aligned(void *p);
void lb__free(void *p); /* accepts NULL */
char *lb__strdup(const char *s);
char *lb__strndup(const char *s, size_t n); /* copies exactly n bytes and adds a NUL */
char *lb__format(const char *format, ...) LB_PRINTF(1, 2); /* a new string; NULL: no memory */

/* Grows *array (of *capacity elements of `size` bytes) to hold at least `wanted` elements;
 * amortised doubling. False, and nothing changed, when memory is short. */
bool lb__grow(void *array, size_t *capacity, size_t wanted, size_t size);

/* ---- a growing byte buffer with a stated maximum; `bytes` is always NUL-terminated ---- */
typedef struct lb__buf {
  char *bytes; /* NULL until the first append; use lb__buf_text */
  size_t size, capacity, max;
  bool failed;   /* sticky: memory was short or the maximum was reached; check once at the end */
  bool over_max; /* failed because of the maximum */
} lb__buf;
void lb__buf_init(lb__buf *b, size_t max); /* at most max bytes, the NUL not counted */
void lb__buf_deinit(lb__buf *b);
void lb__buf_clear(lb__buf *b);
bool lb__buf_add(lb__buf *b, const void *bytes, size_t size);
bool lb__buf_add_text(lb__buf *b, const char *text);
bool lb__buf_add_char(lb__buf *b, char c);
bool lb__buf_printf(lb__buf *b, const char *format, ...) LB_PRINTF(2, 3);
const char *lb__buf_text(const lb__buf *b); /* "" when empty */
char *lb__buf_take(lb__buf *b);             /* moves the string out; NULL if failed */
/* LB_OK, or E_LIMIT / E_NOMEM naming `what` when an append failed. */
lb_status lb__buf_check(const lb__buf *b, const char *what, lb_error *err);

/* ---- arena: many small things freed together; memory is 64-byte aligned for tensors ---- */
typedef struct lb__arena_block lb__arena_block;
typedef struct lb__arena {
  lb__arena_block *blocks, *spare; /* in use, newest first; emptied by a release */
  size_t budget;                   /* bytes it may hold at once; 0 = no limit */
  size_t in_use, high_water, held;
} lb__arena;
void lb__arena_init(lb__arena *a, size_t budget);
void lb__arena_reset(lb__arena *a); /* everything free again, blocks kept and merged into one */
void lb__arena_deinit(lb__arena *a);
/* Everything allocated after a mark can be given back at once, last mark first: a layer's
 * temporaries. What was allocated before stays. */
typedef struct lb__arena_mark {
  lb__arena_block *block;
  size_t used, in_use;
} lb__arena_mark;
lb__arena_mark lb__arena_get_mark(const lb__arena *a);
void lb__arena_release(lb__arena *a, lb__arena_mark mark);
void *lb__arena_alloc(lb__arena *a, size_t size);         /* 16-byte aligned, uninitialised */
void *lb__arena_alloc_tensor(lb__arena *a, size_t size);  /* 64-byte aligned, uninitialised */
void *lb__arena_new(lb__arena *a, size_t n, size_t size); /* zeroed array */
char *lb__arena_strndup(lb__arena *a, const char *s, size_t n);

#endif

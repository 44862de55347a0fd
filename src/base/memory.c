/* memory.c - see memory.h. Owns: the process's allocator, and the growing buffers on top of it.
 * Arenas are in arena.c. */
#include "memory.h"

#include "fail.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- the allocator ---- */

static void *system_alloc(void *ctx, size_t size) {
  (void)ctx;
  return malloc(size);
}

static void *system_resize(void *ctx, void *pointer, size_t old_size, size_t new_size) {
  (void)ctx;
  (void)old_size;
  return realloc(pointer, new_size);
}

static void system_release(void *ctx, void *pointer) {
  (void)ctx;
  free(pointer);
}

static const lb_allocator system_allocator = {system_alloc, system_resize, system_release, NULL};
static lb_allocator allocator = {system_alloc, system_resize, system_release, NULL};

void lb_allocator_set(const lb_allocator *replacement) {
  allocator = replacement != NULL ? *replacement : system_allocator;
}

/* PTRDIFF_MAX: beyond it, subtracting two pointers into the block would be undefined. */
static bool sane_size(size_t size) {
  return size <= PTRDIFF_MAX;
}

void *lb__alloc(size_t size) {
  if (!sane_size(size)) return NULL;
  return allocator.alloc(allocator.ctx, size != 0 ? size : 1);
}

void *lb__new(size_t size) {
  void *p = lb__alloc(size);
  if (p != NULL) memset(p, 0, size);
  return p;
}

void *lb__alloc_array(size_t n, size_t size) {
  size_t total;
  return lb__ck_mul(&total, n, size) ? lb__alloc(total) : NULL;
}

void *lb__new_array(size_t n, size_t size) {
  size_t total;
  return lb__ck_mul(&total, n, size) ? lb__new(total) : NULL;
}

void *lb__resize(void *p, size_t old_size, size_t new_size) {
  if (p == NULL) return lb__alloc(new_size);
  if (!sane_size(new_size)) return NULL;
  return allocator.resize(allocator.ctx, p, old_size, new_size != 0 ? new_size : 1);
}

void lb__free(void *p) {
  allocator.release(allocator.ctx, p);
}

/* The allocator promises no more than malloc's alignment, so the block is larger than asked for
 * and the pointer to give back lies just before the aligned address. */
void *lb__alloc_aligned(size_t size) {
  enum { ALIGNMENT = 64 };
  size_t total;
  if (!lb__ck_add(&total, size, ALIGNMENT + sizeof(void *))) return NULL;
  char *block = lb__alloc(total);
  if (block == NULL) return NULL;
  uintptr_t after_pointer = (uintptr_t)block + sizeof(void *);
  size_t gap = (size_t)(-after_pointer & (ALIGNMENT - 1));
  char *aligned = block + sizeof(void *) + gap;
  memcpy(aligned - sizeof(void *), &block, sizeof block);
  return aligned;
}

void lb__free_aligned(void *p) {
  if (p == NULL) return;
  void *block;
  memcpy(&block, (char *)p - sizeof(void *), sizeof block);
  lb__free(block);
}

/* ---- strings ---- */

char *lb__strndup(const char *s, size_t n) {
  size_t total;
  if (!lb__ck_add(&total, n, 1)) return NULL;
  char *copy = lb__alloc(total);
  if (copy == NULL) return NULL;
  if (n != 0) memcpy(copy, s, n);
  copy[n] = '\0';
  return copy;
}

char *lb__strdup(const char *s) {
  return lb__strndup(s, strlen(s));
}

char *lb__format(const char *format, ...) {
  va_list args;
  va_start(args, format);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (length < 0) return NULL;
  char *text = lb__alloc((size_t)length + 1);
  if (text == NULL) return NULL;
  va_start(args, format);
  vsnprintf(text, (size_t)length + 1, format, args);
  va_end(args);
  return text;
}

/* ---- growing arrays and buffers ---- */

bool lb__grow(void *array, size_t *capacity, size_t wanted, size_t size) {
  if (wanted <= *capacity) return true;
  size_t doubled, bytes, old_bytes = *capacity * size; /* fits: it was allocated */
  if (!lb__ck_mul(&doubled, *capacity, 2) || doubled < wanted) doubled = wanted;
  if (doubled < 8) doubled = 8;
  if (!lb__ck_mul(&bytes, doubled, size)) return false;
  void *old, *grown; /* `array` is the address of a pointer of the caller's own type */
  memcpy(&old, array, sizeof old);
  grown = lb__resize(old, old_bytes, bytes);
  if (grown == NULL) return false;
  memcpy(array, &grown, sizeof grown);
  *capacity = doubled;
  return true;
}

void lb__buf_init(lb__buf *b, size_t max) {
  *b = (lb__buf){.max = max};
}

void lb__buf_deinit(lb__buf *b) {
  lb__free(b->bytes);
  lb__buf_init(b, b->max);
}

void lb__buf_clear(lb__buf *b) {
  b->size = 0;
  b->failed = b->over_max = false;
  if (b->bytes != NULL) b->bytes[0] = '\0';
}

/* Makes room for `more` bytes and the NUL. */
static bool buf_reserve(lb__buf *b, size_t more) {
  if (b->failed) return false;
  if (more > b->max - b->size) {
    b->failed = b->over_max = true;
    return false;
  }
  size_t wanted;
  if (!lb__ck_add(&wanted, b->size, more) || !lb__ck_add(&wanted, wanted, 1) ||
      !lb__grow(&b->bytes, &b->capacity, wanted, 1))
    b->failed = true;
  return !b->failed;
}

bool lb__buf_add(lb__buf *b, const void *bytes, size_t size) {
  if (!buf_reserve(b, size)) return false;
  if (size != 0) memcpy(b->bytes + b->size, bytes, size);
  b->size += size;
  b->bytes[b->size] = '\0';
  return true;
}

bool lb__buf_add_text(lb__buf *b, const char *text) {
  return lb__buf_add(b, text, strlen(text));
}

bool lb__buf_add_char(lb__buf *b, char c) {
  return lb__buf_add(b, &c, 1);
}

bool lb__buf_printf(lb__buf *b, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (length < 0) b->failed = true;
  if (length < 0 || !buf_reserve(b, (size_t)length)) return false;
  va_start(args, format);
  vsnprintf(b->bytes + b->size, (size_t)length + 1, format, args);
  va_end(args);
  b->size += (size_t)length;
  return true;
}

const char *lb__buf_text(const lb__buf *b) {
  return b->bytes != NULL ? b->bytes : "";
}

char *lb__buf_take(lb__buf *b) {
  if (b->bytes == NULL) lb__buf_add(b, "", 0);
  if (b->failed) return NULL;
  char *text = b->bytes;
  lb__buf_init(b, b->max);
  return text;
}

lb_status lb__buf_check(const lb__buf *b, const char *what, lb_error *err) {
  if (!b->failed) return LB_OK;
  if (b->over_max)
    return lb__fail(err, LB_E_LIMIT, "%s: longer than the limit of %zu bytes", what, b->max);
  return lb__fail_nomem(err, what);
}

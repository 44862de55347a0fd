/* replay.c - runs a fuzz target without an engine: every file of the folders given, and with
 * --mutate N also N deterministic mutations of each; with --small BYTES every prefix and every
 * change of one byte of the files up to that size. So plain `make test` keeps the corpus
 * alive and a sanitizer build finds what it can. Exits 1 when there was nothing to run, or when a
 * small input cost more than it may: memory of the library, processor time. */
#include "fuzz.h"

#include <limbeck/environment.h>

#include <dirent.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static size_t n_files, n_runs, most_small;

/* ---- what an input costs ---- */

enum { SMALL_INPUT = 1024, SMALL_COST = 16 << 20 };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
enum { SMALL_SECONDS = 10 };
#else
enum { SMALL_SECONDS = 1 };
#endif

static atomic_size_t in_use, peak;
static size_t worst_memory;
static double worst_seconds;

static void count(size_t less, size_t more) {
  size_t now = atomic_fetch_add(&in_use, more - less) + more - less;
  size_t most = atomic_load(&peak);
  while (now > most && !atomic_compare_exchange_weak(&peak, &most, now))
    ;
}

static void *counted_alloc(void *ctx, size_t size) {
  (void)ctx;
  void *p = malloc(size);
  count(0, malloc_usable_size(p));
  return p;
}
static void *counted_resize(void *ctx, void *pointer, size_t old_size, size_t new_size) {
  (void)ctx, (void)old_size;
  size_t before = malloc_usable_size(pointer);
  void *p = realloc(pointer, new_size);
  if (p != NULL) count(before, malloc_usable_size(p));
  return p;
}
static void counted_release(void *ctx, void *pointer) {
  (void)ctx;
  count(malloc_usable_size(pointer), 0);
  free(pointer);
}

static double cpu_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check_cost(size_t size, size_t memory, double seconds) {
  if (size > SMALL_INPUT) return;
  if (memory > worst_memory) worst_memory = memory;
  if (seconds > worst_seconds) worst_seconds = seconds;
  if (memory <= SMALL_COST && seconds <= SMALL_SECONDS) return;
  printf("an input of %zu bytes took %zu bytes of memory and %.2f s; want at most %d and %d\n",
         size, memory, seconds, SMALL_COST, SMALL_SECONDS);
  exit(1);
}

/* ---- running ---- */

/* The input lies in a block of exactly its size: ASan then sees any read beyond it. */
static void run(const uint8_t *bytes, size_t size) {
  uint8_t *copy = malloc(size > 0 ? size : 1);
  if (copy == NULL) return;
  memcpy(copy, bytes, size);
  size_t before = atomic_load(&in_use);
  atomic_store(&peak, before);
  double begin = cpu_seconds();
  LLVMFuzzerTestOneInput(copy, size);
  check_cost(size, peak - before, cpu_seconds() - begin);
  free(copy);
  n_runs++;
}

static uint64_t next_random(uint64_t *state) { /* splitmix64 */
  uint64_t x = *state += 0x9E3779B97F4A7C15U;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9U;
  x = (x ^ x >> 27) * 0x94D049BB133111EBU;
  return x ^ x >> 31;
}

/* One to four bytes changed, bits flipped, runs copied over one another, or the end cut off. */
static size_t mutate(uint8_t *bytes, size_t size, uint64_t *state) {
  static const uint8_t interesting[] = {0, 1, 0x7f, 0x80, 0xff, '{', '"', '[', '\\', '0', '-'};
  for (uint64_t n = 1 + next_random(state) % 4; n > 0 && size > 0; n--) {
    uint64_t r = next_random(state);
    size_t at = (size_t)(r >> 8) % size, from = (size_t)(r >> 24) % size;
    size_t room = size - (at > from ? at : from), length = 1 + (size_t)(r >> 40) % 16;
    switch (r % 8) {
    case 0: bytes[at] = (uint8_t)(r >> 56); break;
    case 1: bytes[at] ^= (uint8_t)(1u << (r >> 56 & 7)); break;
    case 2: memmove(bytes + at, bytes + from, length < room ? length : room); break;
    case 3: size = at; break;
    default: bytes[at] = interesting[(r >> 56) % sizeof interesting]; break;
    }
  }
  return size;
}

/* Every prefix of a small input, and every byte of it changed in three ways. */
static void run_all_small(uint8_t *scratch, const uint8_t *bytes, size_t size) {
  static const uint8_t changes[] = {0x01, 0x80, 0xff};
  memcpy(scratch, bytes, size);
  for (size_t n = 0; n < size; n++) run(scratch, n);
  for (size_t i = 0; i < size; i++)
    for (size_t k = 0; k < sizeof changes; k++) {
      scratch[i] = bytes[i] ^ changes[k];
      run(scratch, size);
      scratch[i] = bytes[i];
    }
}

static void run_with_mutations(const uint8_t *bytes, size_t size, int n_mutations) {
  uint64_t state = size;
  uint8_t *scratch = malloc(size > 0 ? size : 1);
  run(bytes, size);
  if (scratch != NULL && size > 0 && size <= most_small) run_all_small(scratch, bytes, size);
  for (int i = 0; scratch != NULL && i < n_mutations; i++) {
    memcpy(scratch, bytes, size);
    run(scratch, mutate(scratch, size, &state));
  }
  free(scratch);
}

static void run_file(const char *path, int n_mutations) {
  FILE *f = fopen(path, "rb");
  if (f == NULL) return;
  fseek(f, 0, SEEK_END);
  long size = ftell(f);
  uint8_t *bytes = malloc(size > 0 ? (size_t)size : 1);
  rewind(f);
  if (bytes != NULL && size >= 0 && fread(bytes, 1, (size_t)size, f) == (size_t)size) {
    n_files++;
    run_with_mutations(bytes, (size_t)size, n_mutations);
  }
  free(bytes);
  fclose(f);
}

static void run_path(const char *path, int n_mutations) {
  struct dirent **entries;
  int n = scandir(path, &entries, NULL, alphasort);
  if (n < 0) {
    run_file(path, n_mutations);
    return;
  }
  for (int i = 0; i < n; i++) {
    char below[4096];
    struct stat s;
    snprintf(below, sizeof below, "%s/%s", path, entries[i]->d_name);
    if (stat(below, &s) == 0 && S_ISREG(s.st_mode)) run_file(below, n_mutations);
    free(entries[i]);
  }
  free(entries);
}

int main(int argc, char **argv) {
  static const lb_allocator counted = {counted_alloc, counted_resize, counted_release, NULL};
  int n_mutations = 0, i = 1;
  lb_allocator_set(&counted);
  for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2)
    if (strcmp(argv[i], "--mutate") == 0)
      n_mutations = atoi(argv[i + 1]);
    else
      most_small = (size_t)atoi(argv[i + 1]);
  for (; i < argc; i++) run_path(argv[i], n_mutations);
  printf("%zu files, %zu runs; an input of up to %d bytes took at most %zu kB and %.3f s\n",
         n_files, n_runs, SMALL_INPUT, worst_memory >> 10, worst_seconds);
  return n_files > 0 ? 0 : 1;
}

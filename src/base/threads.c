/* threads.c - see threads.h. Owns: every OpenMP directive of the program, and the thread count. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "threads.h"

#include <omp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- how many ---- */

enum { MOST_THREADS = 1024 };

static atomic_int chosen_threads; /* 0: the default */

static int at_most(long n, int most) {
  return n < 1 ? 1 : n > most ? most : (int)n;
}

/* OMP_NUM_THREADS may be a list, one number per nesting level; the first is ours. */
static int default_threads(void) {
  const char *wanted = getenv("OMP_NUM_THREADS");
  long n = wanted != NULL ? strtol(wanted, NULL, 10) : 0;
  if (n > 0) return at_most(n, MOST_THREADS);
  cpu_set_t cores; /* the cores this process may run on: a container's share, not the machine */
  if (sched_getaffinity(0, sizeof cores, &cores) == 0)
    return at_most(CPU_COUNT(&cores), MOST_THREADS);
  return at_most(sysconf(_SC_NPROCESSORS_ONLN), MOST_THREADS); /* more than 1024 cores */
}

/* Also tells OpenMP, so that oneDNN, called from this thread, uses as many. */
void lb_threads_set(int n_threads) {
  int n = n_threads > 0 ? at_most(n_threads, MOST_THREADS) : default_threads();
  atomic_store(&chosen_threads, n);
  omp_set_num_threads(n);
}

int lb_threads_get(void) {
  int n = atomic_load(&chosen_threads);
  if (n != 0) return n;
  n = default_threads();
  atomic_store(&chosen_threads, n);
  return n;
}

/* ---- ThreadSanitizer does not see libgomp's barriers: tell it about fork and join ---- */

#if defined(__SANITIZE_THREAD__) /* gcc */
#define WATCHED
#elif defined(__has_feature) /* clang */
#if __has_feature(thread_sanitizer)
#define WATCHED
#endif
#endif

#ifdef WATCHED
void __tsan_acquire(void *);
void __tsan_release(void *);
#define JOIN_UNSEEN       __attribute__((no_sanitize("thread")))
#define HAPPENS_BEFORE(p) __tsan_release(p)
#define HAPPENS_AFTER(p)  __tsan_acquire(p)
#else
#define JOIN_UNSEEN
#define HAPPENS_BEFORE(p) ((void)0)
#define HAPPENS_AFTER(p)  ((void)0)
#endif

/* ---- loops ---- */

/* Our own, because omp_get_thread_num() inside somebody else's parallel region may exceed
 * lb_threads_get(), and callers size their scratch by that. */
static _Thread_local int thread_index;

int lb__thread_index(void) {
  return thread_index;
}

static bool runs_inline(int n_threads) {
  return n_threads == 1 || omp_in_parallel();
}

typedef struct loop {
  lb__range_fn *fn;
  void *ctx;
  int64_t n, grain, n_ranges;
  bool dynamic;
  _Atomic int64_t next; /* dynamic: the next range to hand out */
} loop;

/* Range i of the fixed cut: lengths differ by at most one. */
static void run_fixed(const loop *l, int64_t i) {
  int64_t length = l->n / l->n_ranges, longer = l->n % l->n_ranges;
  int64_t begin = i * length + (i < longer ? i : longer);
  l->fn(l->ctx, begin, begin + length + (i < longer));
}

static void run_dynamic(loop *l) {
  int64_t i;
  while ((i = atomic_fetch_add(&l->next, 1)) < l->n_ranges) {
    int64_t begin = i * l->grain, left = l->n - begin;
    l->fn(l->ctx, begin, begin + (left < l->grain ? left : l->grain));
  }
}

/* OpenMP may grant fewer threads than asked for; every range still runs. */
static void run_share(loop *l, int index, int n_threads) {
  thread_index = index;
  if (l->dynamic)
    run_dynamic(l);
  else
    for (int64_t i = index; i < l->n_ranges; i += n_threads) run_fixed(l, i);
  thread_index = 0;
}

JOIN_UNSEEN static void run_parallel(loop *l, int n_threads) {
  HAPPENS_BEFORE(l);
#pragma omp parallel num_threads(n_threads)
  {
    HAPPENS_AFTER(l);
    run_share(l, omp_get_thread_num(), omp_get_num_threads());
    HAPPENS_BEFORE(l);
  }
  HAPPENS_AFTER(l);
}

static int64_t at_least_one(int64_t x) {
  return x > 1 ? x : 1;
}

void lb__parallel_for(int64_t n, int64_t grain, lb__range_fn *fn, void *ctx) {
  if (n <= 0) return;
  int n_threads = lb_threads_get();
  int64_t n_ranges = at_least_one(n / at_least_one(grain));
  if (n_ranges > n_threads) n_ranges = n_threads;
  loop l = {.fn = fn, .ctx = ctx, .n = n, .n_ranges = n_ranges};
  if (!runs_inline((int)n_ranges)) {
    run_parallel(&l, (int)n_ranges);
    return;
  }
  for (int64_t i = 0; i < n_ranges; i++) run_fixed(&l, i); /* the same cut as in parallel */
}

void lb__parallel_for_dynamic(int64_t n, int64_t grain, lb__range_fn *fn, void *ctx) {
  if (n <= 0) return;
  int n_threads = lb_threads_get();
  grain = at_least_one(grain);
  loop l = {.fn = fn, .ctx = ctx, .n = n, .grain = grain, .dynamic = true};
  l.n_ranges = n / grain + (n % grain != 0);
  if (l.n_ranges < n_threads) n_threads = (int)l.n_ranges;
  if (runs_inline(n_threads))
    run_dynamic(&l);
  else
    run_parallel(&l, n_threads);
}

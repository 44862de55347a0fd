/* threads.h - parallel loops on OpenMP, the runtime that oneDNN uses too, so that the two share
 * one pool and never fight for cores. Refuses: nested parallelism (an inner loop runs serially). */
#ifndef LB_BASE_THREADS_H
#define LB_BASE_THREADS_H

#include <limbeck/environment.h>

typedef void lb__range_fn(void *ctx, int64_t begin, int64_t end);

/* Calls fn over [0, n) cut into contiguous ranges of at least `grain` items, at most one per
 * thread. The cut depends on n, grain and lb_threads_get() only. Runs inline when one suffices. */
void lb__parallel_for(int64_t n, int64_t grain, lb__range_fn *fn, void *ctx);

/* As above, ranges of exactly `grain` items handed out as threads become free: for uneven work. */
void lb__parallel_for_dynamic(int64_t n, int64_t grain, lb__range_fn *fn, void *ctx);

/* Index of the calling thread inside a parallel loop, 0 outside. */
int lb__thread_index(void);

#endif

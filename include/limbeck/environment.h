/** limbeck/environment.h - what the whole process shares: memory, log, threads.
 *
 *  Everything here has a sensible default. Replace it before the first other call, or never.    */
#ifndef LIMBECK_ENVIRONMENT_H
#define LIMBECK_ENVIRONMENT_H

#include <limbeck/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Where the library's memory comes from. `alloc` returns memory aligned for any type or NULL;
 *  `resize` behaves as realloc and receives the old size; `release` accepts NULL. */
typedef struct lb_allocator {
  void *(*alloc)(void *ctx, size_t size);
  void *(*resize)(void *ctx, void *pointer, size_t old_size, size_t new_size);
  void (*release)(void *ctx, void *pointer);
  void *ctx;
} lb_allocator;

/** Replaces the allocator of the whole process; NULL restores malloc.
 *  @thread call it while nothing else of the library runs or is alive */
LB_API void lb_allocator_set(const lb_allocator *allocator);

typedef enum lb_log_level {
  LB_LOG_DEBUG,
  LB_LOG_INFO,
  LB_LOG_NOTE, /* rare, and worth telling everybody: what took long, and was done for the user */
  LB_LOG_WARN
} lb_log_level;

/** Receives one line, without a newline. The text is valid during the call only.
 *  @thread may be called from several threads at once */
typedef void lb_log_fn(void *ctx, lb_log_level level, const char *text);

/** Sets the receiver of log lines; NULL (the default) drops them. */
LB_API void lb_log_set(lb_log_fn *fn, void *ctx);

/** Number of threads that compute. 0 restores the default: OMP_NUM_THREADS, else every core that
 *  this process may run on. */
LB_API void lb_threads_set(int n_threads);
LB_API int lb_threads_get(void);

/** The most memory that this process has taken up so far, in bytes; 0: unknown. */
LB_API uint64_t lb_memory_peak(void);

/** "0.1.0". */
LB_API const char *lb_version(void);

#ifdef __cplusplus
}
#endif
#endif

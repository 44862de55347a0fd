/* faults.h - makes the n-th allocation or the n-th system call fail, for n = 1, 2, ... until the
 * operation no longer meets the fault: every failure path is walked, none is guessed (SQLite's and
 * curl's method). After each run it checks that the status says failure, that every allocation and
 * file descriptor is given back, and whatever else the test wants checked.
 *
 *   static lb_status run(void *ctx, lb_error *err) { ... open, use, close ...; return st; }
 *   fault_case c = {.run = run, .ctx = path};
 *   assert_true(fault_each_allocation(&c) > 0);
 *   assert_true(fault_each_io(&c) > 0);                                                       */
#ifndef LB_TESTS_FAULTS_H
#define LB_TESTS_FAULTS_H

#include <limbeck/status.h>

#include <stdbool.h>

typedef struct fault_case {
  /* The operation. Must release all it got, whatever its status. */
  lb_status (*run)(void *ctx, lb_error *err);
  /* Runs before and after each run, without faults; either may be NULL. `check` looks at what is
   * left on disk; `left_behind` is true when later calls failed too, so that cleaning up could not
   * work and temporary files may remain. */
  void (*prepare)(void *ctx);
  void (*check)(void *ctx, lb_status status, bool left_behind);
  void *ctx;
  bool may_survive; /* the operation has a legitimate way around a failed allocation or call */
} fault_case;

/* Each returns how many faults were injected. Both modes: only the n-th fails; all from the n-th.
 */
int fault_each_allocation(const fault_case *c);
/* The calls of lb__io with EIO and ENOSPC. Then once with EINTR at every open, read and write, and
 * once with every read and write cut short: those must succeed. close, unlink, rmdir and mkdir
 * may be survived. */
int fault_each_io(const fault_case *c);

/* ---- the pieces, for tests that need something else ---- */
void fault_allocations_begin(int fail_at, bool forever); /* 0: only count */
/* Restores malloc. Tells what happened in between. */
void fault_allocations_end(int *n_calls, long *n_leaked);
/* The same for the calls of lb__io, with EIO. */
void fault_io_begin(int fail_at, bool forever);
void fault_io_end(int *n_calls, long *n_open);

#endif

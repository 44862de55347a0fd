/* faulty_start.c - linked with the sources of the command line into `limbeck_faulty`, on which
 * tests/cli/test_faults.sh walks the failure paths of every verb.
 *   LIMBECK_FAULT_ALLOCATION=N  the N-th allocation of the library fails, and all after it
 *   LIMBECK_FAULT_CALL=N        the N-th system call on files fails, and only that one, so that
 * what was begun can be cleared away LIMBECK_FAULT_REPORT=FILE   gets "calls N left M": how many
 * there were; allocations or files that were not given back N is 0 to count only. */
#include "faults.h"

#include <stdio.h>
#include <stdlib.h>

static void (*end)(int *n_calls, long *n_left);

__attribute__((constructor)) static void start(void) {
  const char *allocation = getenv("LIMBECK_FAULT_ALLOCATION"), *call = getenv("LIMBECK_FAULT_CALL");
  if (allocation != NULL) {
    fault_allocations_begin(atoi(allocation), true);
    end = fault_allocations_end;
  } else if (call != NULL) {
    fault_io_begin(atoi(call), false);
    end = fault_io_end;
  }
}

__attribute__((destructor)) static void report(void) {
  const char *path = getenv("LIMBECK_FAULT_REPORT");
  int n_calls;
  long n_left;
  if (end == NULL || path == NULL) return;
  end(&n_calls, &n_left);
  FILE *f = fopen(path, "w");
  if (f == NULL) return;
  fprintf(f, "calls %d left %ld\n", n_calls, n_left);
  fclose(f);
}

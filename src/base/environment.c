/* environment.c - the process's log receiver and the version (limbeck/environment.h). The
 * allocator lives in memory.c, the thread count in threads.c. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

const char *lb_version(void) {
  return LIMBECK_VERSION;
}

static lb_log_fn *log_fn;
static void *log_ctx;

void lb_log_set(lb_log_fn *fn, void *ctx) {
  log_fn = fn;
  log_ctx = ctx;
}

void lb__log(lb_log_level level, const char *format, ...) {
  if (log_fn == NULL) return;
  char line[1024]; /* a longer line is cut */
  va_list args;
  va_start(args, format);
  int length = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (length < 0) return;
  for (char *c = line; *c != '\0'; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7F) *c = ' '; /* one line, and no terminal escapes */
  log_fn(log_ctx, level, line);
}

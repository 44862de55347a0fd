/* fail.h - making an lb_error. Owns: the text of errors. See include/limbeck/status.h. */
#ifndef LB_BASE_FAIL_H
#define LB_BASE_FAIL_H

#include <limbeck/status.h>

#include <stdarg.h>

/* Fills *err (which may be NULL) and returns status, so that `return lb__fail(...)` reads well. */
lb_status lb__fail(lb_error *err, lb_status status, const char *format, ...) LB_PRINTF(3, 4);
lb_status lb__fail_v(lb_error *err, lb_status status, const char *format, va_list args)
    LB_PRINTF(3, 0);

/* Puts "prefix: " before the message of a failed call; used when an outer layer knows the file. */
lb_status lb__fail_prefix(lb_error *err, lb_status status, const char *format, ...) LB_PRINTF(3, 4);

/* "out of memory: <what>"; the commonest failure. */
lb_status lb__fail_nomem(lb_error *err, const char *what);

/* clang's analyzer looks at one file at a time: it is told that the status is the one given. */
#if defined(__clang_analyzer__) && !defined(LB__FAIL_C)
#define lb__fail(err, status, ...)        (lb__fail(err, status, __VA_ARGS__), (status))
#define lb__fail_prefix(err, status, ...) (lb__fail_prefix(err, status, __VA_ARGS__), (status))
#define lb__fail_nomem(err, what)         (lb__fail_nomem(err, what), LB_E_NOMEM)
#endif

/* The closest of `names` (NULL-terminated) to `wrong`, or NULL when none is close: for
 * "did you mean". Edit distance at most a third of the length. */
const char *lb__did_you_mean(const char *wrong, const char *const *names);

/* Our own broken invariants; debug builds only. Never for input. */
#ifdef NDEBUG
#define LB_ASSERT(condition) ((void)0)
#else
#include <assert.h>
#define LB_ASSERT(condition) assert(condition)
#endif

#endif

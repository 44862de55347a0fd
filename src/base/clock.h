/* clock.h - how long things take. Never an input to a result. */
#ifndef LB_BASE_CLOCK_H
#define LB_BASE_CLOCK_H

#include <stdint.h>

int64_t lb__clock_ns(void);  /* nanoseconds since some fixed moment; never goes back */
double lb__clock_unix(void); /* seconds since 1970, by the wall clock: for stamps in logs */

#endif

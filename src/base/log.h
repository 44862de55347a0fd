/* log.h - one line to whoever listens (lb_log_set). No room prints. */
#ifndef LB_BASE_LOG_H
#define LB_BASE_LOG_H

#include <limbeck/environment.h>

void lb__log(lb_log_level level, const char *format, ...) LB_PRINTF(2, 3);

#endif

/* auto_precision.h - lb_model_open with precision AUTO; a seam for its test. */
#ifndef LB_EVALUATE_AUTO_PRECISION_H
#define LB_EVALUATE_AUTO_PRECISION_H

#include "model/vocabulary_map.h"

#include <limbeck/score.h>

/* lb_model_open with AUTO. */
lb_status lb__model_open_auto(lb_model **out, const char *path, double max_kl,
                              int64_t least_parameters, lb_error *err);
/* lb_model_open with the rows of vocabulary_of found already; NULL: all of them. */
lb_status lb__model_open_with(lb_model **out, const char *path, const lb_model_options *o,
                              const lb__vocabulary_map *rows, lb_error *err);
/* Which of the precisions takes the least time for the mix that lb_model_open names, of those whose
 * mean KL is at most max_kl; the first (F32) always is. */
size_t lb__precision_best(const lb_precision_comparison *found, double max_kl);

#endif

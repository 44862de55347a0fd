/* convert_check.h - no export is a success before it was reloaded and compared. */
#ifndef CONVERT_CHECK_H
#define CONVERT_CHECK_H

#include "cli.h"

#include <limbeck/dtype.h>

typedef struct agreement {
  lb_dtype dtype; /* the coarsest number format among the matrices of the copy */
  bool has_tokenizer, same_ids;
  size_t n_positions;
  double mean_kl;   /* KL(original || copy), nats per token */
  double max_diff;  /* largest difference of a log-probability of a given token */
  double same_best; /* share of positions where both find the same token best */
  double tolerated; /* largest mean_kl that rounding to dtype explains */
} agreement;

/* Opens both, tokenises and scores the same text with both. */
lb_status agreement_measure(agreement *out, const char *original, const char *copy, lb_error *err);
bool agreement_is_good(const agreement *a);

#endif

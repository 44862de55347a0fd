/* calibration.h - the text that a choice is measured on: documents as `limbeck score` takes them,
 * no more of them than a number of tokens, and what the model's activations on them say. */
#ifndef CALIBRATION_H
#define CALIBRATION_H

#include "cli.h"

#include <limbeck/importance.h>

/* Opens the model in float32 and reads `path`, "-" for standard input.
 * @param max_tokens  documents are read until there are so many; the last one is whole
 * @owns *out: lb_importance_free
 * @return CLI_DONE, or another code after telling why */
int calibration_measure(lb_importance **out, cli *c, const char *model, const char *path,
                        int64_t max_tokens);

#endif

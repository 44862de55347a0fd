/* verb_bench_step.h - `limbeck bench step`: where a recipe's training step spends its time. */
#ifndef VERB_BENCH_STEP_H
#define VERB_BENCH_STEP_H

#include "cli.h"

/* @param recipe  a path; NULL: the command line's keys say all. @return the exit code */
int bench_step(cli *c, const char *recipe, int64_t steps, bool csv);

#endif

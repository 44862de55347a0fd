/* verb_bench_ops.h - `limbeck bench ops`: each operation on shapes of real models. */
#ifndef VERB_BENCH_OPS_H
#define VERB_BENCH_OPS_H

#include "cli.h"

/* @param op  only this one; NULL: all. @return the exit code */
int bench_ops(cli *c, const char *op, bool csv);

#endif

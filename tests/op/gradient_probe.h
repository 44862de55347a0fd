/* gradient_probe.h - gradients of ops against central differences, in double, through the calls of
 * ops.h and the tape. To add one: write a function that makes its inputs here, calls the op and
 * returns a loss, and give it a row in a list below; plant a bug that it must see.
 *
 *     static double softcap(gradient_probe *p) {
 *       lb_tensor *y, *x = probe_input(p, 2, 3, 7, 1);
 *       PROBE_OK(lb__op_softcap(&p->stream, &y, x, 2.0f, &p->err));
 *       return probe_sum(p, y);
 *     } */
#ifndef LB_TESTS_GRADIENT_PROBE_H
#define LB_TESTS_GRADIENT_PROBE_H

#include "ops/kernel_table.h"
#include "tensor/tape.h"
#include "tensor/tensor_data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum { PROBE_MOST_TENSORS = 32 };

typedef struct gradient_probe {
  lb__stream stream; /* real is F64 */
  lb_error err;
  /* tensors in the order in which the loss function asks for them; the same in every run */
  lb_tensor tensors[PROBE_MOST_TENSORS];
  lb__gradient gradients[PROBE_MOST_TENSORS];
  int n_tensors, next;
  uint64_t seed;
} gradient_probe;

/* Random numbers of about 1, F64: the first run draws them, later runs get them again. An input is
 * what gradients are checked for; a constant wants none. Unused extents are 1. */
lb_tensor *probe_input(gradient_probe *p, int rank, int64_t a, int64_t b, int64_t c);
lb_tensor *probe_constant(gradient_probe *p, int rank, int64_t a, int64_t b, int64_t c);
/* As a constant, but of another dtype: frozen weights. */
lb_tensor *probe_weight(gradient_probe *p, lb_dtype dtype, int64_t rows, int64_t columns);
lb_tensor *probe_f32(gradient_probe *p, int64_t n, const float *values);
lb_tensor *probe_i32(gradient_probe *p, int64_t n, const int32_t *values);

/* A weighted sum of y's elements, recorded as a loss; every weight is another one. */
double probe_sum(gradient_probe *p, lb_tensor *y);

#define PROBE_OK(call)                                                                             \
  do {                                                                                             \
    if ((call) != LB_OK) fail_msg("%s", p->err.message);                                           \
  } while (0)

typedef struct gradient_case {
  const char *name;
  double (*loss)(gradient_probe *p);
} gradient_case;

/* A bug in a kernel that the case of that name must see. plant() changes the table of reference
 * kernels; `probe_right` has those that are right. */
typedef struct gradient_bug {
  const char *case_name, *what;
  void (*plant)(lb__kernel_table *table);
} gradient_bug;
extern lb__kernel_table probe_right;

typedef struct gradient_case_list {
  const gradient_case *cases;
  size_t n_cases;
  const gradient_bug *bugs;
  size_t n_bugs;
} gradient_case_list;
extern const gradient_case_list gradient_cases_basic, gradient_cases_attention,
    gradient_cases_loss; /* gradient_cases_<...>.c */

/* The largest |gradient - difference| of all elements of all inputs, as a part of the larger of the
 * two (where both are next to nothing: of 1/100 of the input's largest gradient, of 1e-4). */
double gradient_case_error(const gradient_case *c);

#endif

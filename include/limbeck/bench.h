/** limbeck/bench.h - how fast each op runs on this machine, on shapes of real models, beside the
 *  reference kernel and beside what the machine could do.
 *
 *      lb_bench_result *results;
 *      size_t n;
 *      if (lb_bench_ops(&results, &n, NULL, &err) == LB_OK)
 *        for (size_t i = 0; i < n; i++) print(results[i]);
 *      lb_bench_results_free(results);                                                          */
#ifndef LIMBECK_BENCH_H
#define LIMBECK_BENCH_H

#include <limbeck/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lb_bench_result {
  const char *op;     /* "linear"; "machine" for what the hardware and oneDNN alone reach */
  const char *model;  /* whose shape it is */
  const char *kernel; /* the kernel chosen for this op */
  char shape[64];     /* "512 x 576 -> 1536, Q4_1" */
  int repetitions;
  double median_ns, fastest_ns, slowest_ns;
  double reference_ns; /* of the reference kernel; 0: not run, it would take seconds */
  double gflop_per_s;  /* 0 where the op does not multiply and add */
  double gbyte_per_s;  /* bytes that must be read and written, once each */
} lb_bench_result;

typedef struct lb_bench_options {
  double seconds; /* for each case; 0: 0.2 */
  const char *op; /* only this op; NULL: all */
} lb_bench_options;

/** Measures. Takes some seconds; uses lb_threads_get() threads.
 *  @param  options  NULL for the defaults
 *  @owns   *results belongs to the caller, lb_bench_results_free
 *  @error  LB_E_ARG (no such op; LIMBECK_KERNELS names an unknown set), LB_E_NOMEM
 *  @test   tests/unit/test_doctor.c */
LB_API LB_NODISCARD lb_status lb_bench_ops(lb_bench_result **results, size_t *n,
                                           const lb_bench_options *options, lb_error *err);
LB_API void lb_bench_results_free(lb_bench_result *results);

#ifdef __cplusplus
}
#endif
#endif

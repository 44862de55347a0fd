/** limbeck/doctor.h - what this machine has, what Limbeck chose to run on it, and what is amiss.
 *
 *      lb_doctor doctor;
 *      if (lb_doctor_report(&doctor, &err) == LB_OK)
 *        for (int i = 0; i < doctor.n_kernels; i++) print(doctor.kernels[i]);                   */
#ifndef LIMBECK_DOCTOR_H
#define LIMBECK_DOCTOR_H

#include <limbeck/status.h>

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LB_DOCTOR_MOST 32

typedef struct lb_doctor_kernel {
  const char *op;      /* "linear" */
  const char *kernel;  /* "avx512 + onednn" */
  const char *meaning; /* what the op does */
} lb_doctor_kernel;

typedef struct lb_doctor_library {
  const char *name; /* "oneDNN" */
  char version[32]; /* as the library itself says it at run time */
} lb_doctor_library;

/** A CPU feature that some kernel can use, or a kernel set. */
typedef struct lb_doctor_feature {
  const char *name, *meaning;
  bool present;
} lb_doctor_feature;

/** A way to compute a kind of product, and its speed when it was measured: once for each machine,
 *  or not at all where LIMBECK_KERNELS chooses. */
typedef struct lb_doctor_product {
  const char *product; /* "many rows, bf16" */
  const char *meaning;
  const char *kernel; /* "onednn" */
  double gflops;      /* thousand million operations per second, one thread; 0: not measured */
  bool chosen;
} lb_doctor_product;

typedef struct lb_doctor {
  char limbeck_version[32], build[96]; /* "release, gcc 12.2.0" */
  char cpu[128];                       /* "unknown" where the system does not say */
  int logical_cores, physical_cores;   /* of the machine; 0: unknown */
  int usable_cores, threads;           /* this process may use; this process will use */
  uint64_t memory_total, memory_available, l2_bytes, l3_bytes; /* 0: unknown */

  lb_doctor_feature features[LB_DOCTOR_MOST], kernel_sets[LB_DOCTOR_MOST];
  lb_doctor_library libraries[LB_DOCTOR_MOST];
  lb_doctor_kernel kernels[LB_DOCTOR_MOST];
  lb_doctor_product products[LB_DOCTOR_MOST];
  char warnings[LB_DOCTOR_MOST][160]; /* each a sentence that says what to do */
  int n_features, n_kernel_sets, n_libraries, n_kernels, n_products, n_warnings;
} lb_doctor;

/** Fills in everything; never fails because something is missing: that becomes a warning.
 *  @owns   nothing; strings are static or inside the struct
 *  @error  LB_E_ARG when LIMBECK_KERNELS names an unknown kernel set; *out is filled all the same
 *  @test   tests/unit/test_doctor.c */
LB_API LB_NODISCARD lb_status lb_doctor_report(lb_doctor *out, lb_error *err);

#ifdef __cplusplus
}
#endif
#endif

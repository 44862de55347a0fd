/* ref_linear_bwd.c - gradients of out[n,o] = sum_i x[n,i] weight[o,i] + bias[o]:
 *     dx[n,i]      += sum_o dout[n,o] weight[o,i]
 *     dweight[o,i] += sum_n dout[n,o] x[n,i]
 *     dbias[o]     += sum_n dout[n,o]
 * With LB__COMPUTE_BF16 both factors of the products are rounded, as in the forward. */
#include "reference.h"

#include "base/threads.h"

typedef struct job {
  const lb__linear_bwd_args *args;
  double *sums; /* [N,I]: dx */
  double *rows; /* [threads, I + I / 2 + 1]: a row of the weight and floats, or one of dweight */
} job;

static int64_t row_doubles(int64_t I) {
  return I + I / 2 + 1;
}

static double dout_factor(const lb__linear_bwd_args *a, int64_t n, int64_t o) {
  return lb__ref_factor(lb__ref_get(a->dout, n * a->dout->shape[1] + o), a->compute);
}

/* dx of tokens begin .. end-1. Each row of the weight is decoded once for all of them. */
static void add_dx(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  const lb__linear_bwd_args *a = j->args;
  int64_t O = a->weight->shape[0], I = a->weight->shape[1];
  double *row = j->rows + lb__thread_index() * row_doubles(I);
  for (int64_t k = begin * I; k < end * I; k++) j->sums[k] = 0.0;
  for (int64_t o = 0; o < O; o++) {
    lb__ref_weight_row(row, a->weight, o, a->dout->dtype, (float *)(row + I));
    for (int64_t i = 0; i < I; i++) row[i] = lb__ref_factor(row[i], a->compute);
    for (int64_t n = begin; n < end; n++) {
      double dout = dout_factor(a, n, o);
      for (int64_t i = 0; i < I; i++) j->sums[n * I + i] += dout * row[i];
    }
  }
  for (int64_t k = begin * I; k < end * I; k++) lb__ref_add_to(a->dx, k, j->sums[k]);
}

/* Rows begin .. end-1 of dweight. */
static void add_dweight(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  const lb__linear_bwd_args *a = j->args;
  int64_t N = a->x->shape[0], I = a->x->shape[1];
  double *sums = j->rows + lb__thread_index() * row_doubles(I);
  for (int64_t o = begin; o < end; o++) {
    for (int64_t i = 0; i < I; i++) sums[i] = 0.0;
    for (int64_t n = 0; n < N; n++) {
      double dout = dout_factor(a, n, o);
      for (int64_t i = 0; i < I; i++)
        sums[i] += dout * lb__ref_factor(lb__ref_get(a->x, n * I + i), a->compute);
    }
    for (int64_t i = 0; i < I; i++) lb__ref_add_to(a->dweight, o * I + i, sums[i]);
  }
}

static void add_dbias(const lb__linear_bwd_args *a) {
  int64_t N = a->dout->shape[0], O = a->dout->shape[1];
  for (int64_t o = 0; o < O; o++) {
    double sum = 0.0;
    for (int64_t n = 0; n < N; n++) sum += lb__ref_get(a->dout, n * O + o);
    lb__ref_add_to(a->dbias, o, sum);
  }
}

static size_t sums_size(const lb__linear_bwd_args *a) {
  return a->dx != NULL ? (size_t)(a->x->shape[0] * a->x->shape[1]) * sizeof(double) : 0;
}

size_t lb__ref_linear_bwd_workspace(const lb__linear_bwd_args *a) {
  size_t row = (size_t)row_doubles(a->x->shape[1]) * sizeof(double);
  return sums_size(a) + row * (size_t)lb_threads_get();
}

lb_status lb__ref_linear_bwd(const lb__linear_bwd_args *a, void *workspace) {
  job j = {.args = a, .sums = workspace};
  j.rows = j.sums + sums_size(a) / sizeof(double);
  if (a->dx != NULL) lb__parallel_for(a->dx->shape[0], 1, add_dx, &j);
  if (a->dweight != NULL) lb__parallel_for(a->dweight->shape[0], 1, add_dweight, &j);
  if (a->dbias != NULL) add_dbias(a);
  return LB_OK;
}

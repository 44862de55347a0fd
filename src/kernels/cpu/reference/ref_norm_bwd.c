/* ref_norm_bwd.c - gradients of the norms. With h = (x - mean) * scale, the normal form of a row,
 * and g = dout * weight, the gradient of h:
 *     dx = scale * (g - mean(g) - h * mean(g * h))      (arXiv:1607.06450, differentiated)
 *     dweight = sum over rows of dout * h;   dbias = sum over rows of dout
 * The two means are what changing x does through mean and scale; rms_norm has no mean, so the first
 * one is missing there. */
#include "reference.h"

/* Both norms. weight_offset 0 and centred for layer_norm. */
typedef struct norm_bwd {
  lb_tensor *dx, *dweight, *dbias;
  const lb_tensor *dout, *x, *weight;
  double eps, weight_offset;
  bool centred;
} norm_bwd;

static void add_dx(const norm_bwd *a, int64_t n, lb__row_moments row) {
  int64_t C = lb__tensor_row_length(a->x);
  double mean_g = 0.0, mean_gh = 0.0;
  for (int64_t c = 0; c < C; c++) {
    double g = lb__ref_get(a->dout, n * C + c) * (lb__ref_get(a->weight, c) + a->weight_offset);
    if (a->centred) mean_g += g / (double)C;
    mean_gh += g * (lb__ref_get(a->x, n * C + c) - row.mean) * row.scale / (double)C;
  }
  for (int64_t c = 0; c < C; c++) {
    double g = lb__ref_get(a->dout, n * C + c) * (lb__ref_get(a->weight, c) + a->weight_offset);
    double h = (lb__ref_get(a->x, n * C + c) - row.mean) * row.scale;
    lb__ref_add_to(a->dx, n * C + c, row.scale * (g - mean_g - h * mean_gh));
  }
}

/* Element c of dweight and dbias. */
static void add_column(const norm_bwd *a, int64_t c, const lb__row_moments *rows) {
  int64_t N = lb__tensor_n_rows(a->x), C = lb__tensor_row_length(a->x);
  double dweight = 0.0, dbias = 0.0;
  for (int64_t n = 0; n < N; n++) {
    double dout = lb__ref_get(a->dout, n * C + c);
    dweight += dout * (lb__ref_get(a->x, n * C + c) - rows[n].mean) * rows[n].scale;
    dbias += dout;
  }
  if (a->dweight != NULL) lb__ref_add_to(a->dweight, c, dweight);
  if (a->dbias != NULL) lb__ref_add_to(a->dbias, c, dbias);
}

static void add_all(const norm_bwd *a, lb__row_moments *rows) {
  int64_t N = lb__tensor_n_rows(a->x), C = lb__tensor_row_length(a->x);
  for (int64_t n = 0; n < N; n++) {
    rows[n] = lb__ref_row_moments(a->x, n, a->centred, a->eps);
    if (a->dx != NULL) add_dx(a, n, rows[n]);
  }
  for (int64_t c = 0; c < C; c++) add_column(a, c, rows);
}

lb_status lb__ref_rms_norm_bwd(const lb__rms_norm_bwd_args *a, void *workspace) {
  const norm_bwd all = {.dx = a->dx,
                        .dweight = a->dweight,
                        .dout = a->dout,
                        .x = a->x,
                        .weight = a->weight,
                        .eps = (double)a->eps,
                        .weight_offset = (double)a->weight_offset};
  add_all(&all, workspace);
  return LB_OK;
}

lb_status lb__ref_layer_norm_bwd(const lb__layer_norm_bwd_args *a, void *workspace) {
  const norm_bwd all = {.dx = a->dx,
                        .dweight = a->dweight,
                        .dbias = a->dbias,
                        .dout = a->dout,
                        .x = a->x,
                        .weight = a->weight,
                        .eps = (double)a->eps,
                        .centred = true};
  add_all(&all, workspace);
  return LB_OK;
}

size_t lb__ref_rms_norm_bwd_workspace(const lb__rms_norm_bwd_args *a) {
  return (size_t)lb__tensor_n_rows(a->x) * sizeof(lb__row_moments);
}

size_t lb__ref_layer_norm_bwd_workspace(const lb__layer_norm_bwd_args *a) {
  return (size_t)lb__tensor_n_rows(a->x) * sizeof(lb__row_moments);
}

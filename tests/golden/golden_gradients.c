/* golden_gradients.c - see golden_gradients.h. */
#include "golden_gradients.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void golden_must(lb_status st, const lb_error *err) {
  if (st != LB_OK) fail_msg("%s", err->message);
}

/* ---- numbers ---- */

double golden_get(const lb_tensor *t, size_t i) {
  lb_error err;
  double wide;
  float narrow;
  if (t->dtype == LB_DTYPE_F64) {
    golden_must(lb__tensor_read(t, i * sizeof wide, &wide, sizeof wide, &err), &err);
    return wide;
  }
  golden_must(lb__tensor_read(t, i * sizeof narrow, &narrow, sizeof narrow, &err), &err);
  return (double)narrow;
}

void golden_set(lb_tensor *t, size_t i, double value) {
  lb_error err;
  float narrow = (float)value;
  if (t->dtype == LB_DTYPE_F64)
    golden_must(lb__tensor_write(t, i * sizeof value, &value, sizeof value, &err), &err);
  else
    golden_must(lb__tensor_write(t, i * sizeof narrow, &narrow, sizeof narrow, &err), &err);
}

/* ---- batches ---- */

/* Places count from 0 in each document. */
static int32_t *positions_of(const golden_tensor *doc_start) {
  size_t n = (size_t)doc_start->i32[doc_start->n - 1];
  int32_t *positions = malloc((n + 1) * sizeof *positions);
  assert_non_null(positions);
  for (size_t d = 0; d + 1 < doc_start->n; d++)
    for (int32_t i = doc_start->i32[d]; i < doc_start->i32[d + 1]; i++)
      positions[i] = i - doc_start->i32[d];
  return positions;
}

void golden_batch_load(golden_batch *b, const golden_file *f) {
  golden_tensor ids = golden_file_tensor(f, "I32", "ids");
  golden_tensor doc_start = golden_file_tensor(f, "I32", "doc_start");
  *b = (golden_batch){.positions = positions_of(&doc_start)};
  b->batch = (lb__batch){.n_tokens = (int64_t)ids.n,
                         .n_docs = (int64_t)doc_start.n - 1,
                         .ids = ids.i32,
                         .positions = b->positions,
                         .doc_start = doc_start.i32};
  b->targets = golden_file_tensor(f, "I32", "targets");
  for (size_t i = 0; i < b->targets.n; i++) b->n_trained += b->targets.i32[i] >= 0;
}

void golden_batch_unload(golden_batch *b) {
  free(b->positions);
}

lb_model *golden_open_trainable(lb_dtype real, const char *folder, ...) {
  lb_error err;
  lb_model *model;
  char name[128];
  va_list args;
  va_start(args, folder);
  vsnprintf(name, sizeof name, folder, args);
  va_end(args);
  lb__trainable_options options = {.real = real, .precision = LB_PRECISION_F32};
  char *path = golden_path("%s", name);
  golden_must(lb__model_open_trainable(&model, path, &options, &err), &err);
  free(path);
  return model;
}

/* ---- comparing ---- */

static bool same_shape(const golden_tensor *want, const lb_tensor *got) {
  if (want->rank != got->rank) return false;
  for (int i = 0; i < got->rank; i++)
    if ((int64_t)want->shape[i] != got->shape[i]) return false;
  return true;
}

/* GPT-2's Conv1D stores [in,out]; here every matrix is [out,in]. */
static bool is_conv1d(const char *name) {
  return strstr(name, ".c_") != NULL && strstr(name, ".weight") != NULL;
}

static size_t place(const golden_tensor *want, size_t i, bool transposed) {
  if (!transposed) return i;
  size_t row = i / want->shape[1], column = i % want->shape[1];
  return column * want->shape[0] + row;
}

static double largest(const golden_tensor *t) {
  double most = 0;
  for (size_t i = 0; i < t->n; i++) most = fmax(most, fabs((double)t->f32[i]));
  return most;
}

double golden_compare_gradient(const golden_tensor *want, const lb__parameter *p, double least) {
  lb_tensor got = lb__tensor_gradient(p->tensor);
  bool transposed = is_conv1d(p->name);
  golden_tensor turned = *want;
  if (transposed) turned.shape[0] = want->shape[1], turned.shape[1] = want->shape[0];
  if (!same_shape(&turned, &got)) fail_msg("%s has another shape than Transformers'", p->name);
  double worst = 0;
  for (size_t i = 0; i < want->n; i++) {
    double g = golden_get(&got, place(want, i, transposed));
    if (!isfinite(g)) fail_msg("%s: gradient %zu is %g", p->name, i, g);
    worst = fmax(worst, fabs(g - (double)want->f32[i]));
  }
  return worst / fmax(largest(want), least);
}

static golden_tensor expected(const golden_file *f, const char *prefix, const lb__parameter *p) {
  return golden_file_tensor(f, "F32", "%s.%s", prefix, p->name);
}

/* The bias of keys has no gradient (softmax cannot see it), only rounding: such a one is measured
 * against a millionth of the largest of all. */
static double least_scale(const golden_file *f, const char *prefix, const lb__parameter *list,
                          size_t n) {
  double most = 0;
  for (size_t k = 0; k < n; k++) {
    golden_tensor t = expected(f, prefix, &list[k]);
    most = fmax(most, largest(&t));
  }
  return 1e-6 * most;
}

double golden_compare_gradients(const golden_file *f, const char *prefix, const lb_model *model,
                                double tolerance) {
  size_t n;
  double worst = 0;
  const lb__parameter *list = lb__model_parameters(model, &n);
  double least = least_scale(f, prefix, list, n);
  for (size_t k = 0; k < n; k++) {
    golden_tensor want = expected(f, prefix, &list[k]);
    double off = golden_compare_gradient(&want, &list[k], least);
    if (!(off <= tolerance))
      fail_msg("gradient of %s: off by %g of its largest (tolerance %g)", list[k].name, off,
               tolerance);
    worst = fmax(worst, off);
  }
  return worst;
}

/* projector.c - see projector.h. */
#include "projector.h"

#include "base/fail.h"
#include "base/random.h"
#include "formats/safetensors.h"
#include "ops/ops.h"

#include <math.h>

static const char FILE_NAME[] = "projectors.safetensors";

void lb__projectors_deinit(lb__projectors *p) {
  for (size_t i = 0; i < p->n; i++) {
    if (p->weights != NULL) lb__tensor_deinit(&p->weights[i]);
    if (p->biases != NULL) lb__tensor_deinit(&p->biases[i]);
  }
  for (size_t i = 0; i < 2 * p->n; i++) {
    if (p->gradients != NULL) lb__tensor_deinit(&p->gradients[i]);
    if (p->parameters != NULL) lb__free(p->parameters[i].name);
  }
  lb__free(p->weights);
  lb__free(p->biases);
  lb__free(p->gradients);
  lb__free(p->slots);
  lb__free(p->parameters);
  *p = (lb__projectors){0};
}

/* Parameter k: weight k / 2 or its bias. */
static lb_tensor *tensor_of(const lb__projectors *p, size_t k) {
  return k % 2 == 0 ? &p->weights[k / 2] : &p->biases[k / 2];
}

static lb_status draw(lb_tensor *t, size_t k, double bound, uint64_t seed, lb_error *err) {
  lb__random_key key = {seed, LB__PURPOSE_INIT};
  lb_status st = LB_OK;
  for (int64_t i = 0; i < lb__tensor_elements(t) && st == LB_OK; i++) {
    double wide = bound * (2.0 * lb__random_uniform(key, k, (uint64_t)i) - 1.0);
    float x = (float)wide;
    wide = (double)x; /* the same start in both types */
    st = t->dtype == LB_DTYPE_F64
             ? lb__tensor_write(t, (size_t)i * sizeof wide, &wide, sizeof wide, err)
             : lb__tensor_write(t, (size_t)i * sizeof x, &x, sizeof x, err);
  }
  return st;
}

static lb_status make_one(lb__projectors *p, size_t k, lb_dtype real, uint64_t seed,
                          lb_error *err) {
  lb_tensor *t = tensor_of(p, k), *gradient = &p->gradients[k];
  int64_t shape[2] = {p->to, p->from};
  int rank = k % 2 == 0 ? 2 : 1;
  lb_status st = lb__tensor_init(t, real, rank, shape, err);
  if (st == LB_OK) st = lb__tensor_init(gradient, real, rank, shape, err);
  if (st == LB_OK) st = draw(t, k, 1.0 / sqrt((double)p->from), seed, err);
  if (st != LB_OK) return st;
  lb__tensor_zero(gradient);
  lb__tensor_bind_gradient(t, &p->slots[k], gradient);
  char *name = lb__format("projectors.%zu.%s", k / 2, rank == 2 ? "weight" : "bias");
  p->parameters[k] = (lb__parameter){.name = name, .tensor = t, .decay = rank == 2};
  return name != NULL ? LB_OK : lb__fail_nomem(err, "a projector");
}

lb_status lb__projectors_init(lb__projectors *p, size_t n, int64_t from, int64_t to, lb_dtype real,
                              uint64_t seed, lb_error *err) {
  *p = (lb__projectors){.n = n, .from = from, .to = to};
  p->weights = lb__new_array(n, sizeof *p->weights);
  p->biases = lb__new_array(n, sizeof *p->biases);
  p->gradients = lb__new_array(2 * n, sizeof *p->gradients);
  p->slots = lb__new_array(2 * n, sizeof *p->slots);
  p->parameters = lb__new_array(2 * n, sizeof *p->parameters);
  lb_status st = LB_OK;
  if (p->weights == NULL || p->biases == NULL || p->gradients == NULL || p->slots == NULL ||
      p->parameters == NULL)
    st = lb__fail_nomem(err, "projectors");
  for (size_t k = 0; k < 2 * n && st == LB_OK; k++) st = make_one(p, k, real, seed, err);
  if (st != LB_OK) lb__projectors_deinit(p);
  return st;
}

/* ---- on disk ---- */

static lb_status fill(void *ctx, size_t index, lb__sink *sink, lb_error *err) {
  const lb__projectors *p = ctx;
  const lb_tensor *t = tensor_of(p, index);
  void *bytes = lb__alloc(t->size_bytes);
  if (bytes == NULL) return lb__fail_nomem(err, "a projector");
  lb_status st = lb__tensor_read(t, 0, bytes, t->size_bytes, err);
  if (st == LB_OK) st = lb__sink_write(sink, bytes, t->size_bytes, err);
  lb__free(bytes);
  return st;
}

lb_status lb__projectors_save(const lb__projectors *p, const char *folder, lb_error *err) {
  if (p->n == 0) return LB_OK;
  lb__tensor_decl *decls = lb__new_array(2 * p->n, sizeof *decls);
  char *path = lb__path_join(folder, FILE_NAME);
  lb_status st = decls != NULL && path != NULL ? LB_OK : lb__fail_nomem(err, "projectors");
  for (size_t k = 0; k < 2 * p->n && st == LB_OK; k++) {
    const lb_tensor *t = tensor_of(p, k);
    decls[k] = (lb__tensor_decl){.name = p->parameters[k].name,
                                 .dtype = t->dtype,
                                 .rank = t->rank,
                                 .shape = {t->shape[0], t->shape[1]}};
  }
  if (st == LB_OK)
    st = lb__safetensors_save(path, decls, 2 * p->n, NULL, 0, fill, (void *)(uintptr_t)p, err);
  lb__free(path);
  lb__free(decls);
  return st;
}

static lb_status load_one(const lb__projectors *p, size_t k, const lb__safetensors *s,
                          const char *path, lb_error *err) {
  lb_tensor *t = tensor_of(p, k);
  const lb__stored_tensor *stored = lb__safetensors_find(s, p->parameters[k].name);
  if (stored == NULL)
    return lb__fail(err, LB_E_FORMAT, "%s: has no %s", path, p->parameters[k].name);
  bool same = stored->dtype == t->dtype && stored->rank == t->rank &&
              stored->size == t->size_bytes && stored->shape[0] == t->shape[0];
  if (!same)
    return lb__fail(err, LB_E_SHAPE, "%s: %s has another shape than this run's projector", path,
                    p->parameters[k].name);
  return lb__tensor_write(t, 0, stored->bytes, stored->size, err);
}

lb_status lb__projectors_load(lb__projectors *p, const char *folder, lb_error *err) {
  if (p->n == 0) return LB_OK;
  lb__safetensors *s = NULL;
  char *path = lb__path_join(folder, FILE_NAME);
  if (path == NULL) return lb__fail_nomem(err, "a path");
  lb_status st = lb__safetensors_open(&s, path, err);
  for (size_t k = 0; k < 2 * p->n && st == LB_OK; k++) st = load_one(p, k, s, path, err);
  lb__safetensors_close(s);
  lb__free(path);
  return st;
}

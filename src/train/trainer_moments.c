/* trainer_moments.c - optimizer.safetensors: both moments of every parameter, and the float32
 * masters of those that the checkpoint's model files hold in fewer bits or not at all. */
#include "trainer_parts.h"

#include "base/fail.h"
#include "formats/safetensors.h"

static const char FILE_NAME[] = "optimizer.safetensors";

lb_tensor lb__trainer_moment(const lb_tensor *flat, const lb__trainer *t, size_t parameter) {
  return lb__tensor_rows(flat, t->offsets[parameter],
                         lb__tensor_elements(t->parameters[parameter].tensor));
}

/* ---- the list of tensors ---- */

enum { EXP_AVG, EXP_AVG_SQ, MASTER, N_KINDS };
static const char *const prefixes[N_KINDS] = {"exp_avg.", "exp_avg_sq.", "master."};

static lb_tensor tensor_of(const lb__trainer *t, int kind, size_t parameter) {
  if (kind == MASTER) {
    lb_tensor p = *t->parameters[parameter].tensor;
    p.owns_memory_ = false;
    return p;
  }
  return lb__trainer_moment(kind == EXP_AVG ? &t->exp_avg : &t->exp_avg_sq, t, parameter);
}

typedef struct moments_file {
  const lb__trainer *t;
  lb__tensor_decl *decls; /* names are owned */
  int *kinds;             /* of each declaration, and its parameter */
  size_t *parameters;
  size_t n;
} moments_file;

static void moments_file_deinit(moments_file *f) {
  for (size_t i = 0; i < f->n; i++) lb__free((void *)(uintptr_t)f->decls[i].name);
  lb__free(f->decls);
  lb__free(f->kinds);
  lb__free(f->parameters);
}

static lb_status declare(moments_file *f, int kind, size_t parameter, lb_error *err) {
  const lb__parameter *p = &f->t->parameters[parameter];
  lb__tensor_decl *d = &f->decls[f->n];
  *d = (lb__tensor_decl){.name = lb__format("%s%s", prefixes[kind], p->name),
                         .dtype = LB_DTYPE_F32,
                         .rank = p->tensor->rank};
  if (d->name == NULL) return lb__fail_nomem(err, FILE_NAME);
  for (int i = 0; i < d->rank; i++) d->shape[i] = p->tensor->shape[i];
  f->kinds[f->n] = kind;
  f->parameters[f->n++] = parameter;
  return LB_OK;
}

/* Whether `weights` (NULL: there are none) hold this parameter as it is. */
static bool is_stored(const lb__safetensors *weights, const lb__parameter *p) {
  const lb__stored_tensor *s = weights != NULL ? lb__safetensors_find(weights, p->name) : NULL;
  return s != NULL && s->dtype == LB_DTYPE_F32 && s->size == p->tensor->size_bytes;
}

static lb_status list_tensors(moments_file *f, const lb__trainer *t, const lb__safetensors *weights,
                              lb_error *err) {
  size_t most = t->n_parameters * N_KINDS;
  *f = (moments_file){.t = t};
  f->decls = lb__new_array(most, sizeof *f->decls);
  f->kinds = lb__new_array(most, sizeof *f->kinds);
  f->parameters = lb__new_array(most, sizeof *f->parameters);
  if (f->decls == NULL || f->kinds == NULL || f->parameters == NULL)
    return lb__fail_nomem(err, FILE_NAME);
  lb_status st = LB_OK;
  for (size_t i = 0; i < t->n_parameters && st == LB_OK; i++) {
    st = declare(f, EXP_AVG, i, err);
    if (st == LB_OK) st = declare(f, EXP_AVG_SQ, i, err);
    if (st == LB_OK && !is_stored(weights, &t->parameters[i])) st = declare(f, MASTER, i, err);
  }
  return st;
}

/* The model files of a checkpoint, when it has some; NULL otherwise. */
static lb_status open_weights(lb__safetensors **weights, const char *folder, lb_error *err) {
  *weights = NULL;
  char *file = lb__path_join(folder, "model.safetensors");
  char *index = lb__path_join(folder, "model.safetensors.index.json");
  lb_status st = file != NULL && index != NULL ? LB_OK : lb__fail_nomem(err, folder);
  if (st == LB_OK && (lb__path_is_file(file) || lb__path_is_file(index)))
    st = lb__safetensors_open_folder(weights, folder, err);
  lb__free(index);
  lb__free(file);
  return st;
}

/* ---- saving ---- */

enum { PIECE = 1 << 16 };

static lb_status fill(void *ctx, size_t index, lb__sink *sink, lb_error *err) {
  const moments_file *f = ctx;
  lb_tensor x = tensor_of(f->t, f->kinds[index], f->parameters[index]);
  char piece[PIECE];
  lb_status st = LB_OK;
  for (size_t at = 0; at < x.size_bytes && st == LB_OK; at += PIECE) {
    size_t n = x.size_bytes - at < PIECE ? x.size_bytes - at : PIECE;
    st = lb__tensor_read(&x, at, piece, n, err);
    if (st == LB_OK) st = lb__sink_write(sink, piece, n, err);
  }
  return st;
}

lb_status lb__moments_save(const lb__trainer *t, const char *folder, lb_error *err) {
  lb__safetensors *weights = NULL;
  moments_file f = {0};
  char *path = lb__path_join(folder, FILE_NAME);
  lb_status st = path != NULL ? open_weights(&weights, folder, err) : lb__fail_nomem(err, folder);
  if (st == LB_OK) st = list_tensors(&f, t, weights, err);
  if (st == LB_OK) st = lb__safetensors_save(path, f.decls, f.n, NULL, 0, fill, &f, err);
  moments_file_deinit(&f);
  lb__safetensors_close(weights);
  lb__free(path);
  return st;
}

/* ---- loading ---- */

/* Copies one stored tensor over x. */
static lb_status read_into(lb_tensor *x, const lb__safetensors *file, const char *name,
                           const char *path, lb_error *err) {
  const lb__stored_tensor *s = lb__safetensors_find(file, name);
  if (s == NULL)
    return lb__fail(err, LB_E_FORMAT, "%s: no tensor '%s': the checkpoint is of another model",
                    path, name);
  if (s->dtype != LB_DTYPE_F32 || s->size != x->size_bytes)
    return lb__fail(err, LB_E_SHAPE, "%s: '%s': want %zu bytes of F32, found %zu of %s", path, name,
                    x->size_bytes, s->size, lb_dtype_name(s->dtype));
  return lb__tensor_write(x, 0, s->bytes, s->size, err);
}

/* The tensors that saving this run would write must be there, and no others. */
static lb_status read_all(const moments_file *f, const lb__safetensors *file, const char *path,
                          lb_error *err) {
  if (lb__safetensors_count(file) != f->n)
    return lb__fail(err, LB_E_FORMAT,
                    "%s: want %zu tensors, found %zu: the checkpoint is of another model", path,
                    f->n, lb__safetensors_count(file));
  lb_status st = LB_OK;
  for (size_t i = 0; i < f->n && st == LB_OK; i++) {
    lb_tensor x = tensor_of(f->t, f->kinds[i], f->parameters[i]);
    st = read_into(&x, file, f->decls[i].name, path, err);
  }
  return st;
}

lb_status lb__moments_load(lb__trainer *t, const char *folder, lb_error *err) {
  lb__safetensors *weights = NULL, *file = NULL;
  moments_file f = {0};
  char *path = lb__path_join(folder, FILE_NAME);
  lb_status st = path != NULL ? open_weights(&weights, folder, err) : lb__fail_nomem(err, folder);
  if (st == LB_OK) st = lb__safetensors_open(&file, path, err);
  if (st == LB_OK) st = list_tensors(&f, t, weights, err);
  if (st == LB_OK) st = read_all(&f, file, path, err);
  moments_file_deinit(&f);
  lb__safetensors_close(file);
  lb__safetensors_close(weights);
  lb__free(path);
  return st;
}

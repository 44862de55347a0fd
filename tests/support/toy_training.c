/* toy_training.c - see toy_training.h. */
#include "toy_training.h"

#include "base/fail.h"
#include "formats/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* ---- data ---- */

enum { N_DOCS = 7 };
static const int64_t lengths[N_DOCS] = {3, 9, 2, 5, 14, 4, 6};

static lb_status make_loader(toy *t, int64_t accumulation, lb_error *err) {
  int32_t ids[64], targets[64];
  int64_t starts[N_DOCS + 1] = {0}, n = 0;
  for (int d = 0; d < N_DOCS; d++) {
    for (int64_t i = 0; i < lengths[d]; i++, n++) ids[n] = (int32_t)((n * n + 3 * n + d) % TOY_IDS);
    starts[d + 1] = n;
  }
  for (int64_t i = 0; i < n; i++) targets[i] = i % 4 == 1 ? -100 : ids[i + 1 < n ? i + 1 : 0];
  for (int d = 0; d < N_DOCS; d++) targets[starts[d + 1] - 1] = -100;
  lb_status st = lb__corpus_from_arrays(&t->corpus, ids, targets, starts, N_DOCS, err);
  const lb__loader_options options = {.max_length = 16,
                                      .per_device_train_batch_size = 1,
                                      .gradient_accumulation_steps = accumulation,
                                      .shuffle = true,
                                      .seed = 42};
  return st != LB_OK ? st : lb__loader_new(&t->loader, t->corpus, &options, err);
}

/* ---- the objective ---- */

static float get(const lb_tensor *x, int64_t i) {
  float value;
  assert_int_equal(lb__tensor_read(x, (size_t)i * 4, &value, 4, NULL), LB_OK);
  return value;
}

static void add(lb_tensor *x, int64_t i, double value) {
  float sum = (float)((double)get(x, i) + value);
  assert_int_equal(lb__tensor_write(x, (size_t)i * 4, &sum, 4, NULL), LB_OK);
}

/* loss = mean over trained tokens of (w[id] + b - target / 10)^2 */
static lb_status toy_run(void *ctx, const lb__micro_batch *batch, const lb__step_context *step,
                         lb__loss_sums *sums, lb_error *err) {
  toy *t = ctx;
  (void)err;
  t->n_runs++;
  for (int64_t i = 0; i < batch->n_tokens; i++) {
    t->seen_hash = (t->seen_hash ^ (uint64_t)batch->ids[i]) * 1099511628211u;
    if (batch->targets[i] < 0) continue;
    double y = (double)get(&t->w, batch->ids[i]) + (double)get(&t->b, 0);
    double e = y - batch->targets[i] / 10.0;
    sums->loss += e * e / (double)step->n_trained;
    sums->terms[0] += e * e / (double)step->n_trained;
    sums->terms[1] += fabs(e) / (double)step->n_trained;
    add(&t->dw, batch->ids[i], 2 * e / (double)step->n_trained);
    add(&t->db, 0, 2 * e / (double)step->n_trained);
  }
  if (t->is_bad != NULL && t->is_bad(t, step)) {
    sums->loss = (double)NAN;
    add(&t->dw, 0, (double)INFINITY);
  }
  return LB_OK;
}

static lb_status fill(void *ctx, size_t index, lb__sink *sink, lb_error *err) {
  const toy *t = ctx;
  const lb_tensor *x = index == 0 ? &t->w : &t->b;
  lb_status st = LB_OK;
  for (int64_t i = 0; i < lb__tensor_elements(x) && st == LB_OK; i++) {
    float value = get(x, i);
    const char *bytes = (const char *)&value;
    st = t->format == TOY_F32 ? lb__sink_write(sink, bytes, 4, err)
                              : lb__sink_write(sink, bytes + 2, 2, err); /* cut to bfloat16 */
  }
  return st;
}

static lb_status toy_save(void *ctx, const char *folder, lb_error *err) {
  toy *t = ctx;
  lb_dtype dtype = t->format == TOY_F32 ? LB_DTYPE_F32 : LB_DTYPE_BF16;
  const lb__tensor_decl decls[] = {{.name = "w", .dtype = dtype, .rank = 1, .shape = {TOY_IDS}},
                                   {.name = "b", .dtype = dtype, .rank = 1, .shape = {1}}};
  t->n_saves++;
  if (t->format == TOY_NOTHING) return LB_OK;
  return lb__safetensors_save_folder(folder, decls, 2, 0, fill, t, err);
}

static lb_status read_back(lb_tensor *x, const lb__stored_tensor *s) {
  lb_status st = LB_OK;
  for (int64_t i = 0; i < lb__tensor_elements(x) && st == LB_OK; i++) {
    float value = 0;
    if (s->dtype == LB_DTYPE_F32)
      memcpy(&value, s->bytes + 4 * i, 4);
    else
      memcpy((char *)&value + 2, s->bytes + 2 * i, 2);
    st = lb__tensor_write(x, (size_t)i * 4, &value, 4, NULL);
  }
  return st;
}

static lb_status toy_load(void *ctx, const char *folder, lb_error *err) {
  toy *t = ctx;
  lb__safetensors *file;
  t->n_loads++;
  if (t->format == TOY_NOTHING) return LB_OK;
  lb_status st = lb__safetensors_open_folder(&file, folder, err);
  if (st == LB_OK) st = read_back(&t->w, lb__safetensors_find(file, "w"));
  if (st == LB_OK) st = read_back(&t->b, lb__safetensors_find(file, "b"));
  lb__safetensors_close(file);
  return st;
}

static lb_status toy_evaluate(void *ctx, lb_event *event, lb_error *err) {
  const toy *t = ctx;
  (void)err;
  event->eval_loss = (double)get(&t->w, 0);
  return LB_OK;
}

/* ---- making ---- */

static lb_status make_tensor(lb_tensor *x, lb_tensor *dx, lb__gradient *slot, int64_t n,
                             lb_error *err) {
  lb_status st = lb__tensor_init(x, LB_DTYPE_F32, 1, &n, err);
  if (st == LB_OK) st = lb__tensor_init(dx, LB_DTYPE_F32, 1, &n, err);
  if (st != LB_OK) return st;
  for (int64_t i = 0; i < n; i++) {
    float value = 0.25f * (float)(i % 5) - 0.4f;
    st = lb__tensor_write(x, (size_t)i * 4, &value, 4, err);
  }
  lb__tensor_zero(dx);
  lb__tensor_bind_gradient(x, slot, dx);
  return st;
}

lb_status toy_try_init(toy *t, int64_t accumulation, lb_error *err) {
  static char w_name[] = "w", b_name[] = "b";
  *t = (toy){0};
  lb_status st = make_tensor(&t->w, &t->dw, &t->slots[0], TOY_IDS, err);
  if (st == LB_OK) st = make_tensor(&t->b, &t->db, &t->slots[1], 1, err);
  if (st == LB_OK) st = make_loader(t, accumulation, err);
  t->parameters[0] = (lb__parameter){w_name, &t->w, true};
  t->parameters[1] = (lb__parameter){b_name, &t->b, false};
  t->objective = (lb__objective){.ctx = t,
                                 .n_terms = 2,
                                 .term_names = {"square", "absolute"},
                                 .run = toy_run,
                                 .evaluate = toy_evaluate,
                                 .save = toy_save,
                                 .load = toy_load};
  return st;
}

void toy_init(toy *t, int64_t accumulation) {
  lb_error err = {0};
  if (toy_try_init(t, accumulation, &err) != LB_OK) fail_msg("%s", err.message);
}

void toy_deinit(toy *t) {
  lb__loader_free(t->loader);
  lb__corpus_free(t->corpus);
  lb__tensor_deinit(&t->w);
  lb__tensor_deinit(&t->b);
  lb__tensor_deinit(&t->dw);
  lb__tensor_deinit(&t->db);
  *t = (toy){0};
}

void toy_weights(const toy *t, float values[TOY_IDS + 1]) {
  for (int i = 0; i < TOY_IDS; i++) values[i] = get(&t->w, i);
  values[TOY_IDS] = get(&t->b, 0);
}

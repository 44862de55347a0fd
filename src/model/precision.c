/* precision.c - how the products of a frozen model are computed, and the memory its weights take
 * for it. Owns: packing all weights, releasing what is not needed afterwards. Refuses: choosing
 * (evaluate/auto_precision.c), trainable models, which have F32 and BF16 only. */
#include "model_internal.h"

#include "ops/kernel_table.h"

#include <math.h>

static const struct {
  const char *name;
  lb__compute compute;
} precisions[] = {
    [LB_PRECISION_AUTO] = {"auto", LB__COMPUTE_F32},
    [LB_PRECISION_F32] = {"f32", LB__COMPUTE_F32},
    [LB_PRECISION_BF16] = {"bf16", LB__COMPUTE_BF16},
    [LB_PRECISION_INT8] = {"int8", LB__COMPUTE_INT8},
    [LB_PRECISION_STORED] = {"stored", LB__COMPUTE_STORED},
};
enum { N_PRECISIONS = sizeof precisions / sizeof *precisions };

const char *lb_precision_name(lb_precision precision) {
  return (size_t)precision < N_PRECISIONS ? precisions[precision].name : "?";
}

lb__compute lb__model_compute(lb_precision precision) {
  return precisions[precision].compute;
}

/* ---- the weights ---- */

static bool is_linear(lb__weight w) {
  return lb__weight_is_matrix(w) && w != LB__W_TOKEN_EMBED && w != LB__W_POSITION_EMBED &&
         w != LB__W_LM_HEAD && w != LB__W_QKV; /* whose three parts are weights of their own */
}

static lb__weight head_of(const lb_model *m) {
  return lb__model_weight(m, LB__W_LM_HEAD, 0) != NULL ? LB__W_LM_HEAD : LB__W_TOKEN_EMBED;
}

/* Every weight that linear layers multiply with, the head last. */
typedef lb_status visit_fn(lb_model *m, lb__weight w, int64_t layer, lb_error *err);

static lb_status each_linear_weight(lb_model *m, visit_fn *visit, lb_error *err) {
  lb_status st = LB_OK;
  for (int64_t layer = 0; layer < m->config.n_layers && st == LB_OK; layer++)
    for (lb__weight w = LB__FIRST_LAYER_WEIGHT; w < LB__N_WEIGHTS && st == LB_OK; w++)
      if (is_linear(w) && lb__model_weight(m, w, layer) != NULL) st = visit(m, w, layer, err);
  return st == LB_OK ? visit(m, head_of(m), 0, err) : st;
}

/* ---- packing ---- */

static const lb__weight parts_of_qkv[] = {LB__W_Q, LB__W_K, LB__W_V};
enum { N_PARTS = sizeof parts_of_qkv / sizeof *parts_of_qkv };

/* Query, key and value of one matrix are views of it: it goes once all three are packed. */
static bool is_part(const lb_model *m, lb__weight w, int64_t layer) {
  if (lb__model_weight(m, LB__W_QKV, layer) == NULL) return false;
  for (int i = 0; i < N_PARTS; i++)
    if (parts_of_qkv[i] == w) return true;
  return false;
}

static void release_fused(lb_model *m, int64_t layer) {
  lb__tensor_release_elements(lb__model_slot(m, LB__W_QKV, layer));
  for (int i = 0; i < N_PARTS; i++)
    lb__tensor_forget_elements(lb__model_slot(m, parts_of_qkv[i], layer));
}

static lb_status release(lb_model *m, lb__weight w, int64_t layer, lb_error *err) {
  (void)err;
  lb_tensor *weight = lb__model_slot(m, w, layer);
  if (w == LB__W_TOKEN_EMBED) /* its rows are looked up as well */
    lb__tensor_forget_pages(weight);
  else if (!is_part(m, w, layer))
    lb__tensor_release_elements(weight);
  else if (w == LB__W_V)
    release_fused(m, layer);
  return LB_OK;
}

/* One weight after the other, so that what was read of the file is gone when the next comes. */
static lb_status pack_and_release(lb_model *m, lb__weight w, int64_t layer, lb_error *err) {
  lb_tensor *weight = lb__model_slot(m, w, layer);
  bool is_mapped = !weight->owns_memory_ && !is_part(m, w, layer); /* parts may be of own memory */
  lb_status st = lb__op_pack_weight(weight, LB__COMPUTE_INT8, is_mapped, err);
  return st == LB_OK ? release(m, w, layer, err) : st;
}

/* ---- rounding ---- */

static bool is_rounded_at_once(const lb_tensor *weight) {
  return weight->dtype == LB_DTYPE_F32 || weight->dtype == LB_DTYPE_F16;
}

/* The weight as bfloat16, in memory of its own. An embedding table stays: its rows are not
 * products.
 */
static lb_status round_and_release(lb_model *m, lb__weight w, int64_t layer, lb_error *err) {
  lb_tensor *weight = lb__model_slot(m, w, layer), rounded;
  if (w == LB__W_TOKEN_EMBED || !is_rounded_at_once(weight)) return LB_OK;
  lb_status st = lb__tensor_init(&rounded, LB_DTYPE_BF16, weight->rank, weight->shape, err);
  if (st == LB_OK) st = lb__op_cast(&rounded, weight, err);
  if (st != LB_OK) {
    lb__tensor_deinit(&rounded);
    return st;
  }
  if (!is_part(m, w, layer)) lb__tensor_forget_pages(weight);
  lb__tensor_deinit(weight);
  *weight = rounded;
  if (w == LB__W_V && is_part(m, w, layer))
    lb__tensor_release_elements(lb__model_slot(m, LB__W_QKV, layer));
  return LB_OK;
}

lb_status lb__model_settle(lb_model *m, lb_error *err) {
  if (m->info.precision != LB_PRECISION_BF16 || !lb__kernels()->bf16_products) return LB_OK;
  lb_status st = each_linear_weight(m, round_and_release, err);
  return st == LB_OK ? LB_OK : lb__fail_prefix(err, st, "%s: bf16", m->info.path);
}

uint64_t lb__model_held_bytes(const lb_model *m) {
  uint64_t bytes = 0;
  for (int64_t layer = 0; layer < m->config.n_layers; layer++)
    for (lb__weight w = 0; w < LB__N_WEIGHTS; w++) {
      const lb_tensor *weight = lb__model_weight(m, w, layer);
      bool counted = w < LB__FIRST_LAYER_WEIGHT && layer > 0;
      const lb_tensor *q = lb__model_slot(m, LB__W_Q, layer);
      bool gone = w == LB__W_QKV && (q->packed != NULL || q->owns_memory_);
      if (weight == NULL || counted || gone) continue;
      if (weight->packed != NULL) bytes += weight->packed->size_bytes;
      bool is_view = is_part(m, w, layer) && !weight->owns_memory_;
      if (weight->packed == NULL ? !is_view : w == LB__W_TOKEN_EMBED) bytes += weight->size_bytes;
    }
  return bytes;
}

static bool is_in_blocks(const lb_model *m) {
  for (int64_t layer = 0; layer < m->config.n_layers; layer++)
    for (lb__weight w = LB__FIRST_LAYER_WEIGHT; w < LB__N_WEIGHTS; w++)
      if (lb_dtype_is_block(lb__model_slot(m, w, layer)->dtype)) return true;
  return lb_dtype_is_block(lb__model_slot(m, head_of(m), 0)->dtype);
}

/* ---- the precision of a model ---- */

bool lb__precision_is_faster(lb_precision precision) {
  const double *rates = lb__kernels()->product_rates;
  return rates[lb__model_compute(precision)] > LB__RATE_MARGIN * rates[LB__COMPUTE_F32] &&
         rates[LB__COMPUTE_F32] > 0.0;
}

bool lb__model_knows_precision(const lb_model *m, lb_precision precision) {
  if (precision == LB_PRECISION_BF16) return lb__kernels()->bf16_products;
  return precision != LB_PRECISION_STORED || is_in_blocks(m);
}

void lb__model_set_kl(lb_model *m, double kl) {
  m->info.precision_kl = kl;
}

lb_status lb__model_set_precision(lb_model *m, lb_precision precision, lb_error *err) {
  m->info.precision = precision;
  m->info.precision_kl = NAN;
  switch (precision) {
  case LB_PRECISION_F32:
  case LB_PRECISION_BF16:
  case LB_PRECISION_STORED: return LB_OK;
  case LB_PRECISION_INT8: {
    lb_status st = each_linear_weight(m, pack_and_release, err);
    return st == LB_OK ? LB_OK : lb__fail_prefix(err, st, "%s: int8", m->info.path);
  }
  case LB_PRECISION_AUTO: break;
  }
  return lb__fail(err, LB_E_ARG, "precision %d: there are auto, f32, bf16, int8 and stored",
                  (int)precision);
}

/* model_weights.c - from stored tensors to the model's weights.
 * Owns: finding each weight by its format's name, checking shapes against the config, and the few
 * changes of form: Conv1D transposed, llama.cpp's row order undone, vectors as F32.
 * Refuses: expanding matrices; what is stored in blocks stays in blocks. */
#include "model_internal.h"

#include "base/log.h"

#include <stdio.h>

static const char *const prefixes[][4] = {
    [LB__NAMES_GPT2] = {"transformer.", "", NULL},
    [LB__NAMES_LLAMA] = {"model.", "", NULL},
    [LB__NAMES_GEMMA] = {"model.", "language_model.model.", "model.language_model.", NULL},
};

const char *lb__model_hf_prefix(const lb__checkpoint *c, lb__name_scheme scheme) {
  for (size_t i = 0; prefixes[scheme][i] != NULL; i++) {
    char name[LB__WEIGHT_NAME_SIZE];
    lb__weight_hf_name(name, LB__W_TOKEN_EMBED, 0, scheme, prefixes[scheme][i]);
    if (lb__checkpoint_find(c, name) != NULL) return prefixes[scheme][i];
  }
  return prefixes[scheme][0];
}

/* ---- finding ---- */

static lb_status check_dtype(const lb__stored_tensor *t, bool is_matrix, lb_error *err) {
  switch (t->dtype) {
  case LB_DTYPE_I64:
  case LB_DTYPE_I32:
  case LB_DTYPE_I16:
  case LB_DTYPE_I8:
  case LB_DTYPE_U64:
  case LB_DTYPE_U32:
  case LB_DTYPE_U16:
  case LB_DTYPE_U8:
  case LB_DTYPE_BOOL:
    return lb__fail(err, LB_E_UNSUPPORTED,
                    "%s: stored as %s; want a floating point or GGUF block type", t->name,
                    lb_dtype_name(t->dtype));
  default:
    if (is_matrix || !lb_dtype_is_block(t->dtype)) return LB_OK;
    return lb__fail(err, LB_E_DTYPE, "%s: a vector stored as %s; want a plain floating point type",
                    t->name, lb_dtype_name(t->dtype));
  }
}

static lb_status check_shape(const lb__stored_tensor *t, int rank, const int64_t *shape,
                             lb_error *err) {
  bool same = t->rank == rank;
  for (int i = 0; i < rank && same; i++) same = t->shape[i] == shape[i];
  if (same) return LB_OK;
  char want[LB__SHAPE_TEXT_SIZE], found[LB__SHAPE_TEXT_SIZE];
  return lb__fail(err, LB_E_SHAPE, "%s: want %s, file has %s; is the config from another model?",
                  t->name, lb__shape_text(want, rank, shape),
                  lb__shape_text(found, t->rank, t->shape));
}

lb_status lb__weight_find(lb__weight_place *place, const lb__checkpoint *c,
                          const lb__model_config *config, const char *prefix, lb__weight w,
                          int64_t layer, lb_error *err) {
  bool optional, is_gguf = lb__checkpoint_gguf(c) != NULL;
  const lb__weight_row *row = &lb__weight_rows[w];
  *place = (lb__weight_place){0};
  if (!lb__model_has_weight(config, w, &optional)) return LB_OK;
  char name[LB__WEIGHT_NAME_SIZE];
  if (is_gguf)
    lb__weight_gguf_name(name, w, layer);
  else
    lb__weight_hf_name(name, w, layer, config->family->names, prefix);
  const lb__stored_tensor *t = lb__checkpoint_find(c, name);
  if (t == NULL) {
    const lb__stored_tensor *unused;
    return optional ? LB_OK : lb__checkpoint_need(&unused, c, name, err);
  }
  bool is_matrix = lb__weight_is_matrix(w);
  place->transpose = !is_gguf && lb__weight_is_conv1d(config->family, w);
  place->heads = is_gguf ? lb__weight_permuted_heads(config, w) : 0;
  place->unpermute = place->heads > 0;
  int64_t rows = lb__model_extent(config, row->rows), cols = lb__model_extent(config, row->cols);
  int64_t shape[2] = {place->transpose ? cols : rows, place->transpose ? rows : cols};
  lb_status st = check_shape(t, is_matrix ? 2 : 1, shape, err);
  if (st == LB_OK) st = check_dtype(t, is_matrix, err);
  if (st != LB_OK) return lb__fail_prefix(err, st, "%.160s", lb__checkpoint_name(c));
  place->stored = t;
  return LB_OK;
}

/* ---- changing form ---- */

/* A view of the mapped bytes, or a copy of them when the file does not align them. */
static lb_status take_stored(lb_tensor *out, const lb__stored_tensor *t, lb_error *err) {
  if (lb__stored_is_aligned(t))
    return lb__tensor_view_bytes(out, t->dtype, t->rank, t->shape, t->bytes, t->size, err);
  lb_status st = lb__tensor_init(out, t->dtype, t->rank, t->shape, err);
  return st == LB_OK ? lb__tensor_write(out, 0, t->bytes, t->size, err) : st;
}

static lb_status take_transposed(lb_tensor *out, const lb__stored_tensor *t, lb_error *err) {
  lb_tensor stored = {0};
  int64_t shape[2] = {t->shape[1], t->shape[0]};
  lb_status st = take_stored(&stored, t, err);
  if (st == LB_OK) st = lb__tensor_init(out, t->dtype, 2, shape, err);
  if (st == LB_OK) st = lb__op_transpose(out, &stored, err);
  lb__tensor_deinit(&stored);
  return st;
}

static lb_status take_unpermuted(lb_tensor *out, const lb__weight_place *p, lb_error *err) {
  const lb__stored_tensor *t = p->stored;
  int64_t head_dim = t->shape[0] / p->heads;
  size_t row = t->size / (size_t)t->shape[0];
  lb_status st = lb__tensor_init(out, t->dtype, t->rank, t->shape, err);
  for (int64_t r = 0; r < t->shape[0] && st == LB_OK; r++) {
    const uint8_t *from = t->bytes + row * (size_t)lb__permuted_row(r, head_dim);
    st = lb__tensor_write(out, row * (size_t)r, from, row, err);
  }
  return st;
}

/* Replaces t by an F32 copy unless it is F32: vectors, and F64 matrices, which no product takes. */
static lb_status make_f32(lb_tensor *t, lb_error *err) {
  if (t->dtype == LB_DTYPE_F32) return LB_OK;
  lb_tensor wide = {0};
  lb_status st = lb__tensor_init(&wide, LB_DTYPE_F32, t->rank, t->shape, err);
  if (st == LB_OK) st = lb__op_cast(&wide, t, err);
  if (st != LB_OK) {
    lb__tensor_deinit(&wide);
    return st;
  }
  lb__tensor_deinit(t);
  *t = wide;
  return LB_OK;
}

static lb_status load_weight(lb_model *m, const char *prefix, lb__weight w, int64_t layer,
                             lb_error *err) {
  lb__weight_place place;
  lb_status st = lb__weight_find(&place, m->checkpoint, &m->config, prefix, w, layer, err);
  if (st != LB_OK || place.stored == NULL) return st;
  lb_tensor *slot = lb__model_slot(m, w, layer);
  if (place.transpose)
    st = take_transposed(slot, place.stored, err);
  else if (place.unpermute)
    st = take_unpermuted(slot, &place, err);
  else
    st = take_stored(slot, place.stored, err);
  if (st == LB_OK && (!lb__weight_is_matrix(w) || slot->dtype == LB_DTYPE_F64))
    st = make_f32(slot, err);
  if (st != LB_OK) return st;
  if (place.transpose || place.unpermute) /* copied */
    lb__mapped_forget(place.stored->bytes, place.stored->size);
  m->info.n_parameters += lb__tensor_elements(slot);
  m->info.weight_bytes += place.stored->size;
  return LB_OK;
}

/* Query, key and value as three views of one stored matrix. */
static void split_qkv(lb_model *m, int64_t layer, lb__weight fused, const lb__weight parts[3]) {
  const lb_tensor *t = lb__model_weight(m, fused, layer);
  int64_t q = m->config.n_heads * m->config.head_dim,
          kv = m->config.n_kv_heads * m->config.head_dim;
  if (t == NULL) return;
  *lb__model_slot(m, parts[0], layer) = lb__tensor_rows(t, 0, q);
  *lb__model_slot(m, parts[1], layer) = lb__tensor_rows(t, q, kv);
  *lb__model_slot(m, parts[2], layer) = lb__tensor_rows(t, q + kv, kv);
}

/* A weight that is stored but not used is worth a word: it may be the reason for bad output. */
static void report_unused(const lb_model *m, size_t n_used) {
  size_t n = lb__checkpoint_count(m->checkpoint);
  if (n > n_used)
    lb__log(LB_LOG_DEBUG, "%s: %zu of %zu stored tensors are not weights of a %s decoder",
            m->info.path, n - n_used, n, m->config.family->name);
}

lb_status lb__model_load_weights(lb_model *m, lb_error *err) {
  static const lb__weight weights[3] = {LB__W_Q, LB__W_K, LB__W_V};
  static const lb__weight biases[3] = {LB__W_Q_BIAS, LB__W_K_BIAS, LB__W_V_BIAS};
  const char *prefix = lb__model_hf_prefix(m->checkpoint, m->config.family->names);
  int64_t n_layers = m->config.n_layers;
  m->layers = lb__new_array((size_t)n_layers, LB__N_LAYER_WEIGHTS * sizeof *m->layers);
  if (m->layers == NULL) return lb__fail_nomem(err, "the list of layers");
  lb_status st = LB_OK;
  size_t n_used = 0;
  for (lb__weight w = 0; w < LB__N_WEIGHTS && st == LB_OK; w++) {
    int64_t n = w < LB__FIRST_LAYER_WEIGHT ? 1 : n_layers;
    for (int64_t layer = 0; layer < n && st == LB_OK; layer++) {
      st = load_weight(m, prefix, w, layer, err);
      n_used += st == LB_OK && lb__model_weight(m, w, layer) != NULL;
    }
  }
  for (int64_t layer = 0; layer < n_layers && st == LB_OK; layer++) {
    split_qkv(m, layer, LB__W_QKV, weights);
    split_qkv(m, layer, LB__W_QKV_BIAS, biases);
  }
  if (st == LB_OK) report_unused(m, n_used);
  return st;
}

/* convert_weights.c - every weight on its way from one file to another.
 * Owns: the plan (names, dtypes, changes of form) and pouring the bytes, a few rows at a time, so
 * that a model larger than memory converts. Only Conv1D matrices are held whole, to transpose.
 * Refuses: knowing metadata; that is convert_gguf.c and convert_folder.c. */
#include "convert_internal.h"

lb_dtype lb__conversion_source_dtype(const lb__conversion *c) {
  size_t bytes[LB_DTYPE_COUNT] = {0};
  lb_dtype most = LB_DTYPE_F32;
  for (size_t i = 0; i < c->n; i++)
    if (c->weights[i].from.stored != NULL)
      bytes[c->weights[i].from.stored->dtype] += c->weights[i].from.stored->size;
  for (int d = 0; d < LB_DTYPE_COUNT; d++)
    if (bytes[d] > bytes[most]) most = (lb_dtype)d;
  return most;
}

/* ---- the plan ---- */

static bool is_norm(lb__weight w) {
  return strstr(lb__weight_rows[w].gguf, "norm.weight") != NULL;
}

/* llama.cpp wants vectors and positions in F32; rows that are not whole blocks become F16. */
static lb_dtype gguf_dtype(lb__weight w, lb_dtype wanted, int64_t row_length) {
  if (!lb__weight_is_matrix(w) || w == LB__W_POSITION_EMBED) return LB_DTYPE_F32;
  return row_length % lb_dtype_block_elements(wanted) == 0 ? wanted : LB_DTYPE_F16;
}

static lb_dtype target_dtype(const lb__conversion *c, const lb__moved_weight *m,
                             lb_dtype source_dtype) {
  const lb__stored_tensor *t = m->from.stored;
  bool plain = source_dtype == LB_DTYPE_BF16 || source_dtype == LB_DTYPE_F16;
  if (!c->to_gguf)
    return c->options->has_dtype ? c->options->dtype : plain ? source_dtype : LB_DTYPE_F32;
  if (!c->options->has_dtype && lb__checkpoint_gguf(c->source) != NULL) return t->dtype;
  lb_dtype wanted = c->options->has_dtype                   ? c->options->dtype
                    : plain || source_dtype == LB_DTYPE_F32 ? source_dtype
                                                            : LB_DTYPE_F16;
  int64_t row_length = lb__model_extent(&c->config, lb__weight_rows[m->weight].cols);
  return gguf_dtype(m->weight, wanted, row_length);
}

static float norm_offset(const lb__conversion *c, lb__weight w) {
  bool from_gguf = lb__checkpoint_gguf(c->source) != NULL;
  if (!c->config.family->norm_plus_one || !is_norm(w) || from_gguf == c->to_gguf) return 0.0f;
  return c->to_gguf ? 1.0f : -1.0f;
}

/* A norm's gain is of the whole weight, and Hugging Face may store it minus one:
 * gain * (stored + 1) - 1 = gain * stored + (gain - 1). */
static void set_factors(const lb__conversion *c, lb__moved_weight *m) {
  bool from_gguf = lb__checkpoint_gguf(c->source) != NULL;
  bool lacks_one = c->config.family->norm_plus_one && is_norm(m->weight) && !from_gguf;
  double gain = c->cut != NULL ? lb__cut_gain(c->cut, m->weight, m->layer) : 1.0;
  m->gain = (float)gain;
  m->offset = norm_offset(c, m->weight);
  if (lacks_one) m->offset += (float)(gain - 1.0);
}

static void set_picks(const lb__conversion *c, lb__moved_weight *m) {
  const lb__weight_row *row = &lb__weight_rows[m->weight];
  if (c->cut == NULL) return;
  m->picks[m->from.transpose ? 1 : 0] = lb__cut_list(c->cut, m->weight, row->rows, m->layer);
  m->picks[m->from.transpose ? 0 : 1] = lb__cut_list(c->cut, m->weight, row->cols, m->layer);
}

static void set_form(const lb__conversion *c, lb__moved_weight *m) {
  bool to_conv1d = !c->to_gguf && lb__weight_is_conv1d(c->config.family, m->weight);
  m->transpose = m->from.transpose != to_conv1d;
  m->heads = lb__weight_permuted_heads(&c->config, m->weight);
  m->permute = c->to_gguf && m->heads > 0;
  set_factors(c, m);
  set_picks(c, m);
}

static void set_name(const lb__conversion *c, lb__moved_weight *m) {
  lb__name_scheme scheme = c->config.family->names;
  const char *prefix = scheme == LB__NAMES_GPT2 ? "transformer." : "model.";
  if (c->to_gguf)
    lb__weight_gguf_name(m->name, m->weight, m->layer);
  else
    lb__weight_hf_name(m->name, m->weight, m->layer, scheme, prefix);
}

static lb_status add_weight(lb__conversion *c, const char *prefix, lb__weight w, int64_t layer,
                            lb_error *err) {
  lb__moved_weight *m = &c->weights[c->n];
  *m = (lb__moved_weight){.weight = w, .layer = layer};
  int64_t from = c->layers != NULL && w >= LB__FIRST_LAYER_WEIGHT ? c->layers[layer] : layer;
  lb_status st = lb__weight_find(&m->from, c->source, &c->config, prefix, w, from, err);
  if (st != LB_OK || m->from.stored == NULL) return st;
  set_form(c, m);
  set_name(c, m);
  c->n++;
  return LB_OK;
}

/* Of what is kept of the stored tensor. */
static int64_t extent(const lb__moved_weight *m, int k) {
  const lb__stored_tensor *t = m->from.stored;
  if (k >= t->rank) return 1;
  return m->picks[k].at != NULL ? m->picks[k].n : t->shape[k];
}

static void declare(lb__conversion *c, size_t i, lb_dtype source_dtype) {
  lb__moved_weight *m = &c->weights[i];
  const lb__stored_tensor *t = m->from.stored;
  m->dtype = target_dtype(c, m, source_dtype);
  lb__tensor_decl *d = &c->decls[i];
  *d = (lb__tensor_decl){.name = m->name, .dtype = m->dtype, .rank = t->rank};
  for (int k = 0; k < t->rank; k++) d->shape[k] = extent(m, m->transpose ? t->rank - 1 - k : k);
}

lb_status lb__conversion_plan(lb__conversion *c, lb_error *err) {
  const char *prefix = lb__model_hf_prefix(c->source, c->config.family->names);
  int64_t n_layers = c->layers != NULL ? c->n_chosen : c->config.n_layers;
  size_t most = LB__FIRST_LAYER_WEIGHT + (size_t)n_layers * LB__N_LAYER_WEIGHTS;
  c->weights = lb__alloc_array(most, sizeof *c->weights);
  c->decls = lb__alloc_array(most + 1, sizeof *c->decls);
  if (c->weights == NULL || c->decls == NULL) return lb__fail_nomem(err, "the list of weights");
  lb_status st = LB_OK;
  for (lb__weight w = 0; w < LB__FIRST_LAYER_WEIGHT && st == LB_OK; w++)
    st = add_weight(c, prefix, w, 0, err);
  for (int64_t layer = 0; layer < n_layers; layer++)
    for (lb__weight w = LB__FIRST_LAYER_WEIGHT; w < LB__N_WEIGHTS && st == LB_OK; w++)
      st = add_weight(c, prefix, w, layer, err);
  lb_dtype source_dtype = lb__conversion_source_dtype(c);
  for (size_t i = 0; i < c->n && st == LB_OK; i++) declare(c, i, source_dtype);
  return st;
}

/* ---- pouring ---- */

/* The stored row that becomes row r of the target. */
static int64_t source_row(const lb__moved_weight *m, int64_t r) {
  if (m->picks[0].at != NULL) r = m->picks[0].at[r];
  if (m->permute == m->from.unpermute) return r;
  int64_t head_dim = m->from.stored->shape[0] / m->heads;
  if (m->from.unpermute) return lb__permuted_row(r, head_dim);
  int64_t head = r / head_dim, i = r % head_dim;
  return head * head_dim + (i % 2 == 0 ? i / 2 : head_dim / 2 + i / 2);
}

static lb_status pour_raw(const lb__moved_weight *m, lb__sink *sink, lb_error *err) {
  const lb__stored_tensor *t = m->from.stored;
  if (m->permute == m->from.unpermute) return lb__sink_write(sink, t->bytes, t->size, err);
  size_t row = t->shape[0] > 0 ? t->size / (size_t)t->shape[0] : 0;
  lb_status st = LB_OK;
  for (int64_t r = 0; r < t->shape[0] && st == LB_OK; r++)
    st = lb__sink_write(sink, t->bytes + row * (size_t)source_row(m, r), row, err);
  return st;
}

lb_status lb__pour_wide(const lb__moved_weight *m, lb_tensor *wide, lb__sink *sink, lb_error *err) {
  size_t n = (size_t)lb__tensor_elements(wide);
  float *values = lb__alloc_array(n, sizeof *values);
  lb_tensor narrow = {0};
  lb_status st = values != NULL ? LB_OK : lb__fail_nomem(err, "rows of a weight");
  if (st == LB_OK && (m->gain != 1.0f || m->offset != 0.0f)) {
    st = lb__tensor_read(wide, 0, values, wide->size_bytes, err);
    for (size_t i = 0; i < n; i++) values[i] = values[i] * m->gain + m->offset;
    if (st == LB_OK) st = lb__tensor_write(wide, 0, values, wide->size_bytes, err);
  }
  if (st == LB_OK) st = lb__tensor_init(&narrow, m->dtype, wide->rank, wide->shape, err);
  if (st == LB_OK) st = lb__op_cast(&narrow, wide, err);
  void *bytes = st == LB_OK ? lb__alloc(narrow.size_bytes) : NULL;
  if (st == LB_OK && bytes == NULL) st = lb__fail_nomem(err, "rows of a weight");
  if (st == LB_OK) st = lb__tensor_read(&narrow, 0, bytes, narrow.size_bytes, err);
  if (st == LB_OK) st = lb__sink_write(sink, bytes, narrow.size_bytes, err);
  lb__free(bytes);
  lb__free(values);
  lb__tensor_deinit(&narrow);
  return st;
}

/* Replaces wide [n, cols] by [n, k.n]. */
static lb_status pick_columns(lb_tensor *wide, lb__kept k, lb_error *err) {
  int64_t n = wide->shape[0], cols = wide->shape[1], shape[2] = {n, k.n};
  float *row = lb__alloc_array((size_t)cols, sizeof *row);
  float *kept = lb__alloc_array((size_t)k.n, sizeof *kept);
  size_t from = (size_t)cols * sizeof *row, to = (size_t)k.n * sizeof *kept;
  lb_tensor narrow = {0};
  lb_status st = row != NULL && kept != NULL ? LB_OK : lb__fail_nomem(err, "rows of a weight");
  if (st == LB_OK) st = lb__tensor_init(&narrow, LB_DTYPE_F32, 2, shape, err);
  for (int64_t r = 0; r < n && st == LB_OK; r++) {
    st = lb__tensor_read(wide, (size_t)r * from, row, from, err);
    for (int64_t i = 0; i < k.n; i++) kept[i] = row[k.at[i]];
    if (st == LB_OK) st = lb__tensor_write(&narrow, (size_t)r * to, kept, to, err);
  }
  lb__free(row);
  lb__free(kept);
  lb__tensor_deinit(wide);
  *wide = narrow;
  return st;
}

/* Rows [begin, begin + n) of the target as F32, in the stored orientation. */
static lb_status widen_rows(lb_tensor *wide, const lb__moved_weight *m, int64_t begin, int64_t n,
                            lb_error *err) {
  const lb__stored_tensor *t = m->from.stored;
  int64_t cols = t->rank == 2 ? t->shape[1] : 1;
  int64_t shape[2] = {n, cols};
  size_t row = t->size / (size_t)t->shape[0];
  lb_tensor rows = {0};
  lb_status st = lb__tensor_init(&rows, t->dtype, t->rank, shape, err);
  for (int64_t r = 0; r < n && st == LB_OK; r++)
    st = lb__tensor_write(&rows, row * (size_t)r, t->bytes + row * (size_t)source_row(m, begin + r),
                          row, err);
  if (st == LB_OK) st = lb__tensor_init(wide, LB_DTYPE_F32, t->rank, shape, err);
  if (st == LB_OK) st = lb__op_cast(wide, &rows, err);
  lb__tensor_deinit(&rows);
  return st == LB_OK && m->picks[1].at != NULL ? pick_columns(wide, m->picks[1], err) : st;
}

static lb_status pour_rows(const lb__moved_weight *m, lb__sink *sink, lb_error *err) {
  const lb__stored_tensor *t = m->from.stored;
  int64_t n_rows = extent(m, 0), cols = t->rank == 2 ? t->shape[1] : 1;
  int64_t step = cols > 0 ? (1 << 20) / cols + 1 : n_rows;
  lb_status st = LB_OK;
  for (int64_t begin = 0; begin < n_rows && st == LB_OK; begin += step) {
    lb_tensor wide = {0};
    st = widen_rows(&wide, m, begin, n_rows - begin < step ? n_rows - begin : step, err);
    if (st == LB_OK) st = lb__pour_wide(m, &wide, sink, err);
    lb__tensor_deinit(&wide);
  }
  return st;
}

static lb_status pour_transposed(const lb__moved_weight *m, lb__sink *sink, lb_error *err) {
  int64_t shape[2] = {extent(m, 1), extent(m, 0)};
  lb_tensor wide = {0}, turned = {0};
  lb_status st = widen_rows(&wide, m, 0, extent(m, 0), err);
  if (st == LB_OK) st = lb__tensor_init(&turned, LB_DTYPE_F32, 2, shape, err);
  if (st == LB_OK) st = lb__op_transpose(&turned, &wide, err);
  if (st == LB_OK) st = lb__pour_wide(m, &turned, sink, err);
  lb__tensor_deinit(&wide);
  lb__tensor_deinit(&turned);
  return st;
}

/* Whether the target's bytes are the stored ones, rows in whatever order. */
static bool is_whole(const lb__moved_weight *m) {
  return m->dtype == m->from.stored->dtype && m->gain == 1.0f && m->offset == 0.0f &&
         m->picks[0].at == NULL && m->picks[1].at == NULL;
}

lb_status lb__conversion_fill(void *ctx, size_t index, lb__sink *sink, lb_error *err) {
  lb__conversion *c = ctx;
  const lb__moved_weight *m = &c->weights[index];
  lb_status st;
  if (c->options->cancel != NULL && *c->options->cancel != 0)
    return lb__fail(err, LB_E_CANCELLED, "%s: stopped", c->to);
  if (c->live != NULL)
    st = lb__pour_live(c, m, sink, err);
  else if (m->transpose)
    st = pour_transposed(m, sink, err);
  else if (is_whole(m))
    st = pour_raw(m, sink, err);
  else
    st = pour_rows(m, sink, err);
  c->done++;
  if (st == LB_OK && c->options->on_progress != NULL)
    c->options->on_progress(c->options->on_progress_ctx, c->done, c->n, m->name);
  return st;
}

/* trainable.c - from an open model to one that can learn.
 *
 * All parameters lie in one flat buffer and all gradients in another, in the order of weights.def,
 * layer by layer; the model's weights become views of them. Everything is in Hugging Face's
 * convention (Gemma's norms hold weights minus one), so that what is saved is what was trained, bit
 * for bit.
 * Owns: that layout, names, decay. Read next: convert_live.c, which writes it out. */
#include "trainable.h"

#include "model_internal.h"

#include "base/map.h"

enum { ALIGNMENT = 16 /* elements between parameters: 64 bytes of float */ };

struct lb__trainable {
  lb_tensor values, gradients; /* flat */
  lb__parameter *parameters;   /* [n] */
  size_t n;
  lb__gradient *slots; /* [most]: of the parameters, then of q, k, v views */
  size_t n_slots;
};

void lb__trainable_free(lb__trainable *t) {
  if (t == NULL) return;
  for (size_t i = 0; t->parameters != NULL && i < t->n; i++) lb__free(t->parameters[i].name);
  lb__free(t->parameters);
  lb__free(t->slots);
  lb__tensor_deinit(&t->values);
  lb__tensor_deinit(&t->gradients);
  lb__free(t);
}

/* ---- every weight, in order ---- */

static bool is_view(const lb_model *m, lb__weight w, int64_t layer) {
  bool is_part = w == LB__W_Q || w == LB__W_K || w == LB__W_V;
  bool is_bias_part = w == LB__W_Q_BIAS || w == LB__W_K_BIAS || w == LB__W_V_BIAS;
  return (is_part && lb__model_weight(m, LB__W_QKV, layer) != NULL) ||
         (is_bias_part && lb__model_weight(m, LB__W_QKV_BIAS, layer) != NULL);
}

typedef lb_status visit_fn(void *ctx, lb_model *m, lb__weight w, int64_t layer, lb_error *err);

/* Calls fn for every weight that has bytes of its own: top ones first, then layer by layer. */
static lb_status each_weight(lb_model *m, visit_fn *fn, void *ctx, lb_error *err) {
  lb_status st = LB_OK;
  for (int64_t layer = -1; layer < m->config.n_layers; layer++) {
    lb__weight begin = layer < 0 ? 0 : LB__FIRST_LAYER_WEIGHT;
    lb__weight end = layer < 0 ? LB__FIRST_LAYER_WEIGHT : LB__N_WEIGHTS;
    for (lb__weight w = begin; w < end && st == LB_OK; w++) {
      int64_t l = layer < 0 ? 0 : layer;
      if (lb__model_weight(m, w, l) != NULL && !is_view(m, w, l)) st = fn(ctx, m, w, l, err);
    }
  }
  return st;
}

static int64_t padded(int64_t n) {
  return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

typedef struct count {
  int64_t elements;
  size_t parameters;
} count;

static lb_status count_weight(void *ctx, lb_model *m, lb__weight w, int64_t layer, lb_error *err) {
  (void)err;
  count *c = ctx;
  c->elements += padded(lb__tensor_elements(lb__model_weight(m, w, layer)));
  c->parameters++;
  return LB_OK;
}

/* ---- making it ---- */

static bool is_norm(lb__weight w) {
  return strstr(lb__weight_rows[w].gguf, "norm.weight") != NULL;
}

static const char *hf_prefix(const lb_model *m) {
  return m->config.family->names == LB__NAMES_GPT2 ? "transformer." : "model.";
}

const char *lb__parameter_name(char text[LB__WEIGHT_NAME_SIZE], const lb_model *m, lb__weight w,
                               int64_t layer) {
  return lb__weight_hf_name(text, w, layer, m->config.family->names, hf_prefix(m));
}

/* Subtracts one from each element of an F32 vector: GGUF's Gemma norms into Hugging Face's. */
static lb_status minus_one(lb_tensor *t, lb_error *err) {
  lb_status st = LB_OK;
  for (int64_t i = 0; i < lb__tensor_elements(t) && st == LB_OK; i++) {
    float x;
    st = lb__tensor_read(t, (size_t)i * sizeof x, &x, sizeof x, err);
    x -= 1.0f;
    if (st == LB_OK) st = lb__tensor_write(t, (size_t)i * sizeof x, &x, sizeof x, err);
  }
  return st;
}

static lb_status undo_plus_one(void *ctx, lb_model *m, lb__weight w, int64_t layer, lb_error *err) {
  (void)ctx;
  lb_tensor *slot = lb__model_slot(m, w, layer), own = {0};
  if (!is_norm(w)) return LB_OK;
  lb_status st = lb__tensor_init(&own, LB_DTYPE_F32, slot->rank, slot->shape, err);
  if (st == LB_OK) st = lb__op_cast(&own, slot, err);
  if (st == LB_OK) st = minus_one(&own, err);
  if (st != LB_OK) {
    lb__tensor_deinit(&own);
    return st;
  }
  lb__tensor_deinit(slot);
  *slot = own;
  return LB_OK;
}

typedef struct layout {
  lb__trainable *t;
  int64_t next; /* element */
} layout;

/* Moves one weight into the flat buffers. */
static lb_status take_weight(void *ctx, lb_model *m, lb__weight w, int64_t layer, lb_error *err) {
  layout *at = ctx;
  lb__trainable *t = at->t;
  lb_tensor *slot = lb__model_slot(m, w, layer);
  lb_tensor value = lb__tensor_slice(&t->values, at->next, slot->rank, slot->shape);
  lb_tensor gradient = lb__tensor_slice(&t->gradients, at->next, slot->rank, slot->shape);
  lb_status st = lb__op_cast(&value, slot, err);
  if (st != LB_OK) return st;
  at->next += padded(lb__tensor_elements(slot));
  lb__tensor_forget_pages(slot);
  lb__tensor_deinit(slot);
  *slot = value;
  lb__tensor_bind_gradient(slot, &t->slots[t->n_slots++], &gradient);
  char name[LB__WEIGHT_NAME_SIZE];
  lb__parameter *p = &t->parameters[t->n++];
  *p = (lb__parameter){.name = lb__strdup(lb__parameter_name(name, m, w, layer)),
                       .tensor = slot,
                       .decay = lb__weight_is_matrix(w)};
  return p->name != NULL ? LB_OK : lb__fail_nomem(err, "a parameter's name");
}

static void view_part(lb_model *m, lb__weight part, const lb_tensor *whole, int64_t layer,
                      int64_t begin, int64_t n) {
  lb__trainable *t = m->trainable;
  lb_tensor *slot = lb__model_slot(m, part, layer), all = lb__tensor_gradient(whole);
  lb_tensor gradient = lb__tensor_rows(&all, begin, n);
  *slot = lb__tensor_rows(whole, begin, n);
  lb__tensor_bind_gradient(slot, &t->slots[t->n_slots++], &gradient);
}

/* q, k and v of a fused matrix are views of the moved one, and of its gradient. */
static void split_fused(lb_model *m, int64_t layer, lb__weight fused, const lb__weight parts[3]) {
  const lb_tensor *whole = lb__model_weight(m, fused, layer);
  int64_t q = m->config.n_heads * m->config.head_dim;
  int64_t kv = m->config.n_kv_heads * m->config.head_dim;
  if (whole == NULL) return;
  view_part(m, parts[0], whole, layer, 0, q);
  view_part(m, parts[1], whole, layer, q, kv);
  view_part(m, parts[2], whole, layer, q + kv, kv);
}

static void split_all_fused(lb_model *m) {
  static const lb__weight weights[3] = {LB__W_Q, LB__W_K, LB__W_V};
  static const lb__weight biases[3] = {LB__W_Q_BIAS, LB__W_K_BIAS, LB__W_V_BIAS};
  for (int64_t layer = 0; layer < m->config.n_layers; layer++) {
    split_fused(m, layer, LB__W_QKV, weights);
    split_fused(m, layer, LB__W_QKV_BIAS, biases);
  }
}

static lb_status make_trainable(lb_model *m, lb_dtype real, lb_error *err) {
  count n = {0};
  lb_status st = each_weight(m, count_weight, &n, err);
  lb__trainable *t = lb__new(sizeof *t);
  if (st != LB_OK || t == NULL) return st != LB_OK ? st : lb__fail_nomem(err, "parameters");
  m->trainable = t;
  t->parameters = lb__new_array(n.parameters, sizeof *t->parameters);
  t->slots = lb__new_array(n.parameters + 6 * (size_t)m->config.n_layers, sizeof *t->slots);
  if (t->parameters == NULL || t->slots == NULL) return lb__fail_nomem(err, "parameters");
  st = lb__tensor_init(&t->values, real, 1, &n.elements, err);
  if (st == LB_OK) st = lb__tensor_init(&t->gradients, real, 1, &n.elements, err);
  if (st != LB_OK) return st;
  lb__tensor_zero(&t->values);
  lb__tensor_zero(&t->gradients);
  bool plus_one = m->config.family->norm_plus_one && m->config.norm_offset == 0.0f;
  if (plus_one) st = each_weight(m, undo_plus_one, NULL, err);
  if (plus_one) m->config.norm_offset = 1.0f;
  layout at = {.t = t};
  if (st == LB_OK) st = each_weight(m, take_weight, &at, err);
  if (st == LB_OK) split_all_fused(m);
  return st;
}

lb_status lb__model_open_trainable(lb_model **out, const char *path,
                                   const lb__trainable_options *options, lb_error *err) {
  lb_precision precision = options->precision;
  *out = NULL;
  if (precision == LB_PRECISION_AUTO) precision = LB_PRECISION_F32;
  if (precision != LB_PRECISION_F32 && precision != LB_PRECISION_BF16)
    return lb__fail(err, LB_E_UNSUPPORTED,
                    "%s: %s products have no backward; a model is trained in f32 or bf16", path,
                    lb_precision_name(precision));
  lb_status st = lb__model_open_rows(out, path, precision, options->rows, err);
  if (st == LB_OK && options->precision == LB_PRECISION_AUTO && options->real == LB_DTYPE_F32 &&
      (*out)->info.n_parameters >= LB__AUTO_LEAST_PARAMETERS &&
      lb__precision_is_faster(LB_PRECISION_BF16))
    st = lb__model_set_precision(*out, LB_PRECISION_BF16, err);
  if (st == LB_OK) st = make_trainable(*out, options->real, err);
  if (st == LB_OK) return LB_OK;
  lb_model_free(*out);
  *out = NULL;
  return st;
}

/* ---- using it ---- */

const lb__parameter *lb__model_parameters(const lb_model *m, size_t *n) {
  *n = m->trainable != NULL ? m->trainable->n : 0;
  return m->trainable != NULL ? m->trainable->parameters : NULL;
}

void lb__model_zero_gradients(lb_model *m) {
  if (m->trainable != NULL) lb__tensor_zero(&m->trainable->gradients);
}

static lb_status check_same(const lb_model *m, const lb_model *from, lb_error *err) {
  const lb_model_info *a = &m->info, *b = &from->info;
  if (strcmp(a->family, b->family) == 0 && a->n_layers == b->n_layers &&
      a->hidden_size == b->hidden_size && a->vocab_size == b->vocab_size)
    return LB_OK;
  return lb__fail(
      err, LB_E_SHAPE,
      "%s: holds a %s of %lld layers, width %lld, vocabulary %lld; the run's student is a "
      "%s of %lld, %lld, %lld",
      b->path, b->family, (long long)b->n_layers, (long long)b->hidden_size,
      (long long)b->vocab_size, a->family, (long long)a->n_layers, (long long)a->hidden_size,
      (long long)a->vocab_size);
}

static lb_status copy_weight(void *ctx, lb_model *m, lb__weight w, int64_t layer, lb_error *err) {
  const lb_model *from = ctx;
  const lb_tensor *source = lb__model_weight(from, w, layer);
  lb_tensor *slot = lb__model_slot(m, w, layer);
  char name[LB__WEIGHT_NAME_SIZE];
  if (source == NULL)
    return lb__fail(err, LB_E_FORMAT, "%s: has no %s", from->info.path,
                    lb__parameter_name(name, m, w, layer));
  if (!lb__tensor_same_shape(slot, source))
    return lb__fail(err, LB_E_SHAPE, "%s: %s has another shape than the run's student",
                    from->info.path, lb__parameter_name(name, m, w, layer));
  return lb__op_cast(slot, source, err);
}

lb_status lb__model_load_parameters(lb_model *m, const char *folder, lb_error *err) {
  lb_model *from;
  lb_status st = lb__model_open(&from, folder, LB_PRECISION_F32, err);
  if (st == LB_OK) st = check_same(m, from, err);
  if (st == LB_OK) st = each_weight(m, copy_weight, from, err);
  lb_model_free(from);
  return st;
}

uint64_t lb__model_fingerprint(const lb_model *m) {
  enum { SAMPLE = 256 };
  uint64_t key[2] = {0x6c696d6265636b31, 0x66696e6765727072}; /* any, but always the same */
  for (size_t i = 0; i < lb__checkpoint_count(m->checkpoint); i++) {
    const lb__stored_tensor *t = lb__checkpoint_tensor(m->checkpoint, i);
    size_t size = t->size < SAMPLE ? t->size : SAMPLE;
    key[0] = lb__hash_sip13(t->name, strlen(t->name), key);
    key[1] ^= (uint64_t)t->size;
    if (size == 0) continue;
    key[0] = lb__hash_sip13(t->bytes, size, key);
    key[1] = lb__hash_sip13(t->bytes + t->size - size, size, key);
  }
  return key[0] ^ key[1];
}

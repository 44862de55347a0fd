/* model_open.c - lb__model_open: checkpoint, config, weights, tables, facts.
 * Owns: the order of opening and what a caller may ask about a model. Read next: forward.c. */
#include "model_internal.h"

#include "kernels/kernels.h"

#include <math.h>

void lb_model_free(lb_model *m) {
  if (m == NULL) return;
  for (int i = 0; i < LB__FIRST_LAYER_WEIGHT; i++) lb__tensor_deinit(&m->top[i]);
  for (int64_t i = 0; m->layers != NULL && i < m->config.n_layers * LB__N_LAYER_WEIGHTS; i++)
    lb__tensor_deinit(&m->layers[i]);
  lb__free(m->layers);
  lb__tensor_deinit(&m->inv_freq);
  lb__tensor_deinit(&m->inv_freq_sliding);
  lb__trainable_free(m->trainable);
  lb__model_config_deinit(&m->config);
  lb__checkpoint_close(m->checkpoint);
  lb__free(m);
}

/* ---- rotary tables ---- */

static lb_status make_table(lb_tensor *out, float *magnitude, const lb_model *m,
                            const lb__hf_rope *rope, const uint8_t *divisors, lb_error *err) {
  int64_t half = m->config.head_dim / 2;
  float *values = lb__alloc_array((size_t)half, sizeof *values);
  if (values == NULL) return lb__fail_nomem(err, "rotary frequencies");
  lb_status st = lb__rope_inv_freq(values, magnitude, rope, m->config.head_dim,
                                   m->config.max_positions, m->info.path, err);
  for (int64_t j = 0; j < half && divisors != NULL && st == LB_OK; j++) {
    float divisor;
    memcpy(&divisor, divisors + (size_t)j * sizeof divisor, sizeof divisor);
    values[j] /= divisor;
  }
  for (int64_t j = 0; j < half && st == LB_OK; j++)
    if (!isfinite(values[j]) || !isfinite(*magnitude))
      st = lb__fail(err, LB_E_FORMAT, "%s: rotary frequency %lld is not a finite number",
                    m->info.path, (long long)j);
  if (st == LB_OK) st = lb__tensor_init(out, LB_DTYPE_F32, 1, &half, err);
  if (st == LB_OK) st = lb__tensor_write(out, 0, values, out->size_bytes, err);
  lb__free(values);
  return st;
}

static lb_status make_tables(lb_model *m, lb_error *err) {
  if (m->config.family->learned_positions) return LB_OK;
  lb_status st = make_table(&m->inv_freq, &m->rope_magnitude, m, &m->config.rope,
                            m->config.rope_divisors, err);
  if (st != LB_OK) return st;
  /* only Gemma's sliding layers turn differently; elsewhere both kinds share one scaling */
  bool own = m->config.family->window == LB__WINDOW_PATTERN;
  return make_table(&m->inv_freq_sliding, &m->rope_sliding_magnitude, m, &m->config.rope_sliding,
                    own ? NULL : m->config.rope_divisors, err);
}

/* ---- generation_config.json ---- */

static lb_status read_generation(lb_model *m, lb_error *err) {
  lb_sampling_defaults *s = &m->sampling;
  *s = (lb_sampling_defaults){NAN, NAN, NAN, NAN, -1, -1};
  if (lb__checkpoint_gguf(m->checkpoint) != NULL) return LB_OK;
  lb__hf_generation g = {0};
  lb_status st = lb__hf_generation_read(&g, lb__checkpoint_name(m->checkpoint), err);
  if (st == LB_OK) {
    if (g.has_temperature) s->temperature = g.temperature;
    if (g.has_top_p) s->top_p = g.top_p;
    if (g.has_min_p) s->min_p = g.min_p;
    if (g.has_repetition_penalty) s->repetition_penalty = g.repetition_penalty;
    if (g.has_top_k) s->top_k = g.top_k;
    if (g.has_do_sample) s->do_sample = g.do_sample;
    for (size_t i = 0; i < g.eos.n && st == LB_OK; i++)
      if (!lb__token_ids_add(&m->config.eos, g.eos.ids[i])) st = lb__fail_nomem(err, "end tokens");
  }
  lb__hf_generation_deinit(&g);
  return st;
}

static void fill_info(lb_model *m) {
  const lb__model_config *c = &m->config;
  lb_model_info *i = &m->info;
  i->format = lb__checkpoint_gguf(m->checkpoint) != NULL ? "GGUF" : "safetensors";
  i->family = c->family->name;
  i->architecture = c->family->architecture;
  i->vocab_size = c->vocab_size;
  i->hidden_size = c->hidden_size;
  i->intermediate_size = c->intermediate_size;
  i->n_layers = c->n_layers;
  i->n_heads = c->n_heads;
  i->n_kv_heads = c->n_kv_heads;
  i->head_dim = c->head_dim;
  i->max_positions = c->max_positions;
  for (int64_t l = 0; l < c->n_layers; l++)
    if (c->is_sliding[l]) i->sliding_window = c->sliding_window;
  i->tied = lb__model_weight(m, LB__W_LM_HEAD, 0) == NULL;
  i->bos_token_id = c->bos_token_id;
  i->eos_token_ids = c->eos.ids;
  i->n_eos_token_ids = c->eos.n;
}

static lb_status open_parts(lb_model *m, const char *path, lb_error *err) {
  lb_status st = lb__kernels_install(err);
  if (st != LB_OK) return st;
  st = lb__checkpoint_open(&m->checkpoint, path, err);
  if (st != LB_OK) return st;
  m->info.path = lb__checkpoint_name(m->checkpoint);
  st = lb__model_config_read(&m->config, m->checkpoint, err);
  if (st == LB_OK) st = read_generation(m, err);
  if (st == LB_OK) st = lb__model_load_weights(m, err);
  if (st == LB_OK) st = make_tables(m, err);
  if (st == LB_OK) fill_info(m);
  return st;
}

lb_status lb__model_open(lb_model **out, const char *path, lb_precision precision, lb_error *err) {
  return lb__model_open_rows(out, path, precision, NULL, err);
}

lb_status lb__model_open_rows(lb_model **out, const char *path, lb_precision precision,
                              const lb__vocabulary_map *rows, lb_error *err) {
  *out = NULL;
  lb_model *m = lb__new(sizeof *m);
  if (m == NULL) return lb__fail_nomem(err, "a model");
  lb_status st = open_parts(m, path, err);
  if (st == LB_OK && rows != NULL) st = lb__model_take_vocabulary(m, rows, err);
  if (st == LB_OK) st = lb__model_set_precision(m, precision, err);
  if (st != LB_OK) {
    lb_model_free(m);
    return st;
  }
  *out = m;
  return LB_OK;
}

const lb_model_info *lb_model_get_info(const lb_model *model) {
  return &model->info;
}

const lb_sampling_defaults *lb_model_get_sampling_defaults(const lb_model *model) {
  return &model->sampling;
}

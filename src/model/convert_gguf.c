/* convert_gguf.c - the metadata of a GGUF file, and what llama.cpp cannot express.
 * Owns: keys and refusals. A model that llama.cpp would load and compute differently is refused
 * here by name; better no file than a wrong one. Sources: llama.cpp's conversion scripts and model
 * files, as listed in docs/formats.md. */
#include "convert_internal.h"

#include "text/chat_source.h"
#include "text/tokenizer_convert.h"
#include "vocabulary_map.h"

#include <math.h>
#include <stdio.h>

/* ---- refusals ---- */

static lb_status refuse(const lb__conversion *c, lb_error *err, const char *why) {
  return lb__fail(err, LB_E_UNSUPPORTED, "%s: cannot become GGUF: llama.cpp's %s %s",
                  lb__checkpoint_name(c->source), c->config.family->gguf, why);
}

static bool any_window(const lb__model_config *m) {
  for (int64_t i = 0; i < m->n_layers; i++)
    if (m->is_sliding[i] && m->sliding_window < m->max_positions) return true;
  return false;
}

/* The n for which every n-th layer is global and all others slide, or 0: what GGUF can say.
 * llama.cpp reads it (measured with llama-cpp-python 0.3.36 for n = 2 and 3). */
static int64_t window_period(const lb__model_config *m) {
  int64_t period = 0;
  for (int64_t i = 0; i < m->n_layers && period == 0; i++)
    if (!m->is_sliding[i]) period = i + 1;
  if (period == 0) period = m->n_layers + 1; /* all slide */
  for (int64_t i = 0; i < m->n_layers; i++)
    if (m->is_sliding[i] != ((i + 1) % period != 0)) return 0;
  return period;
}

static bool has_stored(const lb__conversion *c, lb__weight w) {
  for (size_t i = 0; i < c->n; i++)
    if (c->weights[i].weight == w) return true;
  return false;
}

lb_status lb__convert_check_gguf(const lb__conversion *c, lb_error *err) {
  const lb__model_config *m = &c->config;
  const lb__family *f = m->family;
  lb__act_kind usual;
  if (lb__checkpoint_gguf(c->source) != NULL) return LB_OK; /* it is one already */
  lb_status st = lb__act_from_name(&usual, f->activation, f->name, err);
  if (st != LB_OK) return st;
  if (m->activation != usual) return refuse(c, err, "always uses its family's activation");
  if (f->window != LB__WINDOW_PATTERN && any_window(m))
    return refuse(c, err, "has no sliding window");
  if (f->window == LB__WINDOW_PATTERN && window_period(m) == 0)
    return refuse(c, err,
                  "wants every n-th layer global and all others sliding, and here they alternate "
                  "otherwise; a shrunk model: choose its layers by a list (docs/how-to/shrink.md)");
  if (f->fused_qkv && (m->n_kv_heads != m->n_heads || m->scale_by_layer))
    return refuse(c, err, "has neither grouped heads nor scaling by layer");
  if ((f->fused_qkv || f->qkv_bias) && m->n_heads * m->head_dim != m->hidden_size)
    return refuse(c, err, "wants heads times head size equal to the hidden size");
  float scale = 1.0f / sqrtf((float)m->head_dim);
  if (fabsf(m->attention_scale - scale) > 1e-6f * scale)
    return refuse(c, err, "scales attention by 1/sqrt(head size) only (query_pre_attn_scalar)");
  if (m->attention_softcap != 0.0f) return refuse(c, err, "has no attention soft cap");
  if (m->final_softcap != 0.0f && f->window != LB__WINDOW_PATTERN)
    return refuse(c, err, "has no final soft cap");
  if (!f->o_bias && f->qkv_bias && has_stored(c, LB__W_O_BIAS))
    return refuse(c, err, "has no bias on the attention output");
  if (strcmp(f->gguf, "llama") != 0 && !f->mlp_bias && has_stored(c, LB__W_UP_BIAS))
    return refuse(c, err, "has no biases in the MLP");
  return LB_OK;
}

/* ---- keys ---- */

static const char *key(char text[128], const lb__conversion *c, const char *suffix) {
  snprintf(text, 128, "%s.%s", c->config.family->gguf, suffix);
  return text;
}

static void set_u32(lb__gguf_writer *w, const lb__conversion *c, const char *suffix,
                    int64_t value) {
  char name[128];
  lb__gguf_set_u32(w, key(name, c, suffix), (uint32_t)value);
}

static void set_f32(lb__gguf_writer *w, const lb__conversion *c, const char *suffix, double value) {
  char name[128];
  lb__gguf_set_f32(w, key(name, c, suffix), (float)value);
}

/* general.file_type: the type most weights have (llama.cpp's LLAMA_FTYPE numbers). */
static uint32_t file_type(const lb__conversion *c) {
  static const struct {
    lb_dtype dtype;
    uint32_t number;
  } types[] = {{LB_DTYPE_F32, 0},   {LB_DTYPE_F16, 1},   {LB_DTYPE_Q4_0, 2},  {LB_DTYPE_Q4_1, 3},
               {LB_DTYPE_Q8_0, 7},  {LB_DTYPE_Q5_0, 8},  {LB_DTYPE_Q5_1, 9},  {LB_DTYPE_Q2_K, 10},
               {LB_DTYPE_Q3_K, 12}, {LB_DTYPE_Q4_K, 15}, {LB_DTYPE_Q5_K, 17}, {LB_DTYPE_Q6_K, 18},
               {LB_DTYPE_BF16, 32}};
  size_t counts[LB_DTYPE_COUNT] = {0};
  lb_dtype most = LB_DTYPE_F32;
  for (size_t i = 0; i < c->n; i++)
    if (lb__weight_is_matrix(c->weights[i].weight)) counts[c->weights[i].dtype]++;
  for (int d = 0; d < LB_DTYPE_COUNT; d++)
    if (counts[d] > counts[most]) most = (lb_dtype)d;
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
    if (types[i].dtype == most) return types[i].number;
  return 0;
}

static void set_general(lb__gguf_writer *w, const lb__conversion *c) {
  char *name = lb__strdup(lb__path_base(lb__checkpoint_name(c->source)));
  lb__gguf_set_string(w, "general.architecture", c->config.family->gguf);
  lb__gguf_set_string(w, "general.type", "model");
  lb__gguf_set_string(w, "general.name", name != NULL && name[0] != '\0' ? name : "model");
  lb__gguf_set_u32(w, "general.file_type", file_type(c));
  lb__gguf_set_u32(w, "general.quantization_version", 2);
  lb__free(name);
}

static void set_sizes(lb__gguf_writer *w, const lb__conversion *c) {
  const lb__model_config *m = &c->config;
  set_u32(w, c, "vocab_size", m->vocab_size);
  set_u32(w, c, "context_length", m->max_positions);
  set_u32(w, c, "embedding_length", m->hidden_size);
  set_u32(w, c, "block_count", m->n_layers);
  set_u32(w, c, "feed_forward_length", m->intermediate_size);
  set_u32(w, c, "attention.head_count", m->n_heads);
  set_u32(w, c, "attention.head_count_kv", m->n_kv_heads);
  set_f32(w, c,
          m->family->layer_norm ? "attention.layer_norm_epsilon"
                                : "attention.layer_norm_rms_epsilon",
          (double)m->norm_eps);
  if (m->family->fused_qkv) return;
  set_u32(w, c, "attention.key_length", m->head_dim);
  set_u32(w, c, "attention.value_length", m->head_dim);
}

static void set_rope(lb__gguf_writer *w, const lb__conversion *c) {
  const lb__model_config *m = &c->config;
  const lb__hf_rope *r = &m->rope;
  char name[128];
  if (m->family->learned_positions) return;
  set_u32(w, c, "rope.dimension_count", m->head_dim);
  set_f32(w, c, "rope.freq_base", r->theta);
  if (m->family->window == LB__WINDOW_PATTERN) {
    set_f32(w, c, "rope.freq_base_swa", m->rope_sliding.theta);
    set_u32(w, c, "attention.sliding_window", m->sliding_window);
    set_u32(w, c, "attention.sliding_window_pattern", window_period(m));
    if (m->final_softcap != 0.0f)
      set_f32(w, c, "final_logit_softcapping", (double)m->final_softcap);
  }
  if (r->type != LB__ROPE_LINEAR && r->type != LB__ROPE_YARN) return;
  bool yarn = r->type == LB__ROPE_YARN;
  lb__gguf_set_string(w, key(name, c, "rope.scaling.type"), yarn ? "yarn" : "linear");
  set_f32(w, c, "rope.scaling.factor", r->factor);
  if (!yarn) return;
  set_u32(w, c, "rope.scaling.original_context_length", r->original_max_position_embeddings);
  if (!isnan(r->beta_fast)) set_f32(w, c, "rope.scaling.yarn_beta_fast", r->beta_fast);
  if (!isnan(r->beta_slow)) set_f32(w, c, "rope.scaling.yarn_beta_slow", r->beta_slow);
  if (!isnan(r->attention_factor)) /* llama.cpp multiplies, Transformers replaces */
    set_f32(w, c, "rope.scaling.attn_factor", r->attention_factor / (1.0 + 0.1 * log(r->factor)));
}

/* A GGUF source keeps every key it has, but for those that describe the old file. */
static void copy_keys(lb__gguf_writer *w, const lb__conversion *c, const lb__gguf *g) {
  static const char *const own[] = {"general.file_type", "general.quantization_version",
                                    "general.alignment"};
  for (size_t i = 0; i < lb__gguf_n_keys(g); i++) {
    const char *name = lb__gguf_key(g, i);
    bool skip = strncmp(name, "split.", 6) == 0;
    for (size_t k = 0; k < sizeof own / sizeof own[0]; k++) skip |= strcmp(name, own[k]) == 0;
    if (!skip) lb__gguf_set_from(w, g, name);
  }
  lb__gguf_set_u32(w, "general.file_type", file_type(c));
  lb__gguf_set_u32(w, "general.quantization_version", 2);
}

static lb_status set_map(lb__gguf_writer *w, const lb__conversion *c, lb_error *err) {
  lb__vocabulary_map *map;
  lb_status st = lb__vocabulary_map_of(&map, c->source, err);
  if (st == LB_OK && map != NULL) st = lb__vocabulary_map_set_gguf(w, map, err);
  lb__vocabulary_map_free(map);
  return st;
}

/* The vocabulary, its map and the template. The template travels as it is: whether we can run it
 * does not matter here. */
static lb_status set_text(lb__gguf_writer *w, const lb__conversion *c, lb_error *err) {
  const char *folder = lb__checkpoint_name(c->source);
  lb_tokenizer *t = NULL;
  char *source = NULL;
  size_t size;
  lb_status st = lb_tokenizer_open(&t, folder, err);
  if (st == LB_OK) st = lb__tokenizer_set_gguf(w, t, (size_t)c->config.vocab_size, err);
  if (st == LB_OK) st = set_map(w, c, err);
  if (st == LB_OK) st = lb__chat_template_find(&source, &size, folder, err);
  if (st == LB_OK && source != NULL) lb__gguf_set_string(w, "tokenizer.chat_template", source);
  lb__free(source);
  lb_tokenizer_free(t);
  return st;
}

/* ---- Llama 3's rope scaling travels as a tensor of divisors ---- */

static bool needs_divisors(const lb__model_config *m) {
  return m->rope.type == LB__ROPE_LLAMA3 || m->rope_divisors != NULL;
}

static lb_status pour_divisors(const lb__conversion *c, lb__sink *sink, lb_error *err) {
  const lb__model_config *m = &c->config;
  int64_t half = m->head_dim / 2;
  size_t size = (size_t)half * sizeof(float);
  if (m->rope_divisors != NULL) return lb__sink_write(sink, m->rope_divisors, size, err);
  float *scaled = lb__alloc(2 * size), magnitude;
  if (scaled == NULL) return lb__fail_nomem(err, "rotary frequencies");
  float *plain = scaled + half;
  lb__hf_rope unscaled = m->rope;
  unscaled.type = LB__ROPE_DEFAULT;
  const char *name = lb__checkpoint_name(c->source);
  lb_status st =
      lb__rope_inv_freq(scaled, &magnitude, &m->rope, m->head_dim, m->max_positions, name, err);
  if (st == LB_OK)
    st = lb__rope_inv_freq(plain, &magnitude, &unscaled, m->head_dim, m->max_positions, name, err);
  for (int64_t j = 0; j < half; j++) scaled[j] = plain[j] / scaled[j];
  if (st == LB_OK) st = lb__sink_write(sink, scaled, size, err);
  lb__free(scaled);
  return st;
}

static lb_status fill(void *ctx, size_t index, lb__sink *sink, lb_error *err) {
  lb__conversion *c = ctx;
  return index < c->n ? lb__conversion_fill(ctx, index, sink, err) : pour_divisors(c, sink, err);
}

lb_status lb__convert_to_gguf(lb__conversion *c, lb_error *err) {
  lb__gguf_writer *w = NULL;
  const lb__gguf *g = lb__checkpoint_gguf(c->source);
  lb_status st = lb__convert_check_gguf(c, err);
  if (st == LB_OK) st = lb__gguf_writer_new(&w, err);
  if (st == LB_OK && g != NULL) {
    copy_keys(w, c, g);
  } else if (st == LB_OK) {
    set_general(w, c);
    set_sizes(w, c);
    set_rope(w, c);
    st = set_text(w, c, err);
  }
  if (st == LB_OK) {
    for (size_t i = 0; i < c->n; i++) lb__gguf_add_tensor(w, &c->decls[i]);
    if (needs_divisors(&c->config))
      lb__gguf_add_tensor(w, &(lb__tensor_decl){.name = "rope_freqs.weight",
                                                .dtype = LB_DTYPE_F32,
                                                .rank = 1,
                                                .shape = {c->config.head_dim / 2}});
    st = lb__gguf_writer_save(w, c->to, fill, c, err);
  }
  lb__gguf_writer_free(w);
  return st;
}

/* convert_folder.c - a Hugging Face folder: config.json, tokenizer, template, weights last, so that
 * a folder with weights is complete.
 * From a folder, config and tokenizer travel as they are; from a GGUF they are made from its keys.
 */
#include "convert_internal.h"

#include "text/tokenizer_convert.h"
#include "vocabulary_map.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- config.json ---- */

/* The key that every configuration has: it goes when any other could not be set. */
#define WHOLE "architectures"

static void set(json_t *j, const char *k, json_t *value) {
  if (json_object_set_new(j, k, value) != 0) json_object_del(j, WHOLE);
}

static json_t *layer_types(const lb__model_config *m) {
  json_t *list = json_array();
  for (int64_t i = 0; i < m->n_layers; i++)
    json_array_append_new(list,
                          json_string(m->is_sliding[i] ? "sliding_attention" : "full_attention"));
  return list;
}

static void set_gpt2(json_t *j, const lb__model_config *m) {
  set(j, "n_embd", json_integer(m->hidden_size));
  set(j, "n_layer", json_integer(m->n_layers));
  set(j, "n_head", json_integer(m->n_heads));
  set(j, "n_positions", json_integer(m->max_positions));
  set(j, "n_ctx", json_integer(m->max_positions)); /* llama.cpp's converter reads this one */
  set(j, "n_inner",
      m->intermediate_size == 4 * m->hidden_size ? json_null()
                                                 : json_integer(m->intermediate_size));
  set(j, "layer_norm_epsilon", json_real((double)m->norm_eps));
  set(j, "activation_function", json_string(m->family->activation));
  set(j, "scale_attn_weights", json_true());
}

/* A float such as 1e-5f written as the decimal it came from, not as 9.99999974737875e-06. */
static json_t *short_real(float value) {
  char text[32];
  for (int digits = 1; digits < 10; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, (double)value);
    if (strtof(text, NULL) == value) break;
  }
  return json_real(strtod(text, NULL));
}

static void set_llama(json_t *j, const lb__model_config *m, bool attention_bias, bool mlp_bias) {
  const lb__family *f = m->family;
  set(j, "hidden_size", json_integer(m->hidden_size));
  set(j, "num_hidden_layers", json_integer(m->n_layers));
  set(j, "num_attention_heads", json_integer(m->n_heads));
  set(j, "num_key_value_heads", json_integer(m->n_kv_heads));
  set(j, "intermediate_size", json_integer(m->intermediate_size));
  set(j, "max_position_embeddings", json_integer(m->max_positions));
  set(j, "rms_norm_eps", short_real(m->norm_eps));
  set(j, "head_dim", json_integer(m->head_dim));
  set(j, f->scaled_embedding ? "hidden_activation" : "hidden_act", json_string(f->activation));
  if (!f->qkv_bias) set(j, "attention_bias", json_boolean(attention_bias));
  if (strcmp(f->name, "llama") == 0) set(j, "mlp_bias", json_boolean(mlp_bias));
  set(j, "attention_dropout", json_real(0.0));
}

/* Transformers 5 checks types: a whole number must be written as one. */
static json_t *scalar_of_scale(double attention_scale) {
  double per_head = round(1e3 / (attention_scale * attention_scale)) / 1e3;
  bool whole = per_head == floor(per_head) && per_head < 1e9;
  return whole ? json_integer((json_int_t)per_head) : json_real(per_head);
}

static void set_gemma(json_t *j, const lb__model_config *m) {
  set(j, "query_pre_attn_scalar", scalar_of_scale((double)m->attention_scale));
  set(j, "sliding_window", json_integer(m->sliding_window > 0 ? m->sliding_window : 4096));
  set(j, "layer_types", layer_types(m));
  set(j, "final_logit_softcapping",
      m->final_softcap != 0.0f ? short_real(m->final_softcap) : json_null());
  set(j, "attn_logit_softcapping",
      m->attention_softcap != 0.0f ? short_real(m->attention_softcap) : json_null());
}

/* GGUF keeps Llama 3's scaling as divisors; Transformers wants the four numbers they came from. All
 * published models have low_freq_factor 1 and high_freq_factor 4; the factor is the largest
 * divisor, and any divisor between 1 and that gives the original context length. */
static void guess_scaling(lb__hf_rope *rope, const float *divisors, int64_t half) {
  double factor = 1.0;
  rope->type = LB__ROPE_LLAMA3;
  rope->low_freq_factor = 1.0;
  rope->high_freq_factor = 4.0;
  rope->original_max_position_embeddings = 8192;
  for (int64_t j = 0; j < half; j++) factor = fmax(factor, (double)divisors[j]);
  rope->factor = round(factor * 1e4) / 1e4;
  for (int64_t j = 0; j < half; j++) {
    double divisor = (double)divisors[j];
    if (divisor < 1.001 || divisor > factor * 0.999) continue;
    double smooth = (1.0 / divisor - 1.0 / factor) / (1.0 - 1.0 / factor);
    double wavelength = 2.0 * LB__PI * pow(rope->theta, (double)j / (double)half);
    rope->original_max_position_embeddings = llround(wavelength * (1.0 + 3.0 * smooth));
  }
}

/* Whether the guess gives the divisors back. */
static lb_status check_scaling(const lb__hf_rope *rope, const lb__conversion *c,
                               const float *divisors, lb_error *err) {
  int64_t half = c->config.head_dim / 2;
  const char *name = lb__checkpoint_name(c->source);
  float magnitude, *scaled = lb__alloc_array((size_t)half, sizeof *scaled);
  if (scaled == NULL) return lb__fail_nomem(err, "rotary frequencies");
  lb_status st = lb__rope_inv_freq(scaled, &magnitude, rope, c->config.head_dim,
                                   c->config.max_positions, name, err);
  for (int64_t j = 0; j < half && st == LB_OK; j++) {
    double expected = pow(rope->theta, -(double)j / (double)half) / (double)scaled[j];
    if (fabs(expected - (double)divisors[j]) > 1e-3 * expected)
      st = lb__fail(err, LB_E_UNSUPPORTED,
                    "%s: rope_freqs.weight is not Llama 3's scaling (divisor %lld is %g, want %g)",
                    name, (long long)j, (double)divisors[j], expected);
  }
  lb__free(scaled);
  return st;
}

static lb_status name_divisors(lb__hf_rope *rope, const lb__conversion *c, lb_error *err) {
  int64_t half = c->config.head_dim / 2;
  if (c->config.rope_divisors == NULL) return LB_OK;
  float *divisors = lb__alloc_array((size_t)half, sizeof *divisors);
  if (divisors == NULL) return lb__fail_nomem(err, "rotary frequencies");
  memcpy(divisors, c->config.rope_divisors, (size_t)half * sizeof *divisors);
  guess_scaling(rope, divisors, half);
  lb_status st = check_scaling(rope, c, divisors, err);
  lb__free(divisors);
  return st;
}

static bool has_weight(const lb__conversion *c, lb__weight w) {
  for (size_t i = 0; i < c->n; i++)
    if (c->weights[i].weight == w) return true;
  return false;
}

static void set_ids(json_t *j, const lb__model_config *m) {
  set(j, "bos_token_id", m->bos_token_id >= 0 ? json_integer(m->bos_token_id) : json_null());
  set(j, "eos_token_id", lb__token_ids_json(&m->eos));
}

static lb_status make_config(json_t *j, const lb__conversion *c, lb_error *err) {
  const lb__model_config *m = &c->config;
  const lb__family *f = m->family;
  set(j, WHOLE, json_pack("[s]", f->architecture));
  set(j, "model_type", json_string(f->model_type));
  set(j, "vocab_size", json_integer(m->vocab_size));
  set(j, "tie_word_embeddings", json_boolean(!has_weight(c, LB__W_LM_HEAD)));
  set(j, "initializer_range", json_real(0.02));
  set(j, "use_cache", json_true());
  set_ids(j, m);
  if (f->keys == LB__KEYS_GPT2) {
    set_gpt2(j, m);
    return LB_OK;
  }
  set_llama(j, m, has_weight(c, LB__W_Q_BIAS), has_weight(c, LB__W_UP_BIAS));
  if (f->window == LB__WINDOW_PATTERN) set_gemma(j, m);
  if (f->window == LB__WINDOW_QWEN) set(j, "use_sliding_window", json_false());
  lb__hf_rope rope = m->rope;
  lb_status st = name_divisors(&rope, c, err);
  if (st != LB_OK) return st;
  return lb__hf_rope_write(j, &rope, f->window == LB__WINDOW_PATTERN ? &m->rope_sliding : NULL,
                           err);
}

lb_status lb__conversion_make_config(json_t *j, const lb__conversion *c, lb_error *err) {
  lb_status st = make_config(j, c, err);
  if (st != LB_OK || json_object_get(j, WHOLE) != NULL) return st;
  return lb__fail_nomem(err, "config.json");
}

/* A folder's own configuration is kept, with keys that we do not know. Of a multimodal model only
 * the text part is written, under the names of a text model; so its configuration is the text
 * part's. NULL when memory is out. */
static json_t *keep_config(const lb__conversion *c, json_t *kept) {
  json_t *text = lb__hf_text_config(kept);
  json_t *j = json_deep_copy(text);
  if (j == NULL || text == kept) return j;
  set(j, "architectures", json_pack("[s]", c->config.family->architecture));
  set(j, "model_type", json_string(c->config.family->model_type));
  set_ids(j, &c->config);
  return j;
}

static lb_status plan_config(json_t **out, const lb__conversion *c, lb_error *err) {
  json_t *kept = lb__checkpoint_config(c->source);
  json_t *j = kept != NULL ? keep_config(c, kept) : json_object();
  *out = j;
  if (j == NULL) return lb__fail_nomem(err, "config.json");
  lb_dtype dtype = c->n > 0 ? c->weights[0].dtype : LB_DTYPE_F32;
  lb_status st = kept != NULL ? LB_OK : lb__conversion_make_config(j, c, err);
  if (st == LB_OK && c->layers != NULL) st = lb__conversion_cut_config(j, c, err);
  if (st == LB_OK && c->trim != NULL) st = lb__trim_config(j, c->trim, err);
  return st != LB_OK ? st : lb__hf_dtype_write(j, dtype, err);
}

/* ---- the other files ---- */

static lb_status write_generation(const lb__conversion *c, lb_error *err) {
  json_t *j = json_object();
  if (j == NULL) return lb__fail_nomem(err, "generation_config.json");
  set(j, "_from_model_config", json_true());
  set_ids(j, &c->config);
  lb_status st = lb__hf_generation_write(c->to, j, err);
  json_decref(j);
  return st;
}

static lb_status write_template(const lb__conversion *c, lb_error *err) {
  const char *source = NULL;
  lb_status st = lb__gguf_get_string(&source, lb__checkpoint_gguf(c->source),
                                     "tokenizer.chat_template", false, err);
  if (st != LB_OK || source == NULL) return st;
  char *path = lb__path_join(c->to, "chat_template.jinja");
  if (path == NULL) return lb__fail_nomem(err, "a path");
  st = lb__file_save(path, source, strlen(source), err);
  lb__free(path);
  return st;
}

static lb_status write_map(const lb__conversion *c, lb_error *err) {
  lb__vocabulary_map *map;
  lb_status st = lb__vocabulary_map_of(&map, c->source, err);
  if (st == LB_OK && map != NULL) st = lb__vocabulary_map_write(c->to, map, err);
  lb__vocabulary_map_free(map);
  return st;
}

lb_status lb__conversion_write_text(const lb__conversion *c, const lb_tokenizer *t, lb_error *err) {
  lb_status st = lb__hf_folder_remove_text_files(c->to, err);
  if (st == LB_OK && t == NULL)
    st = lb__hf_folder_copy_files(c->to, lb__checkpoint_name(c->source), err);
  if (st == LB_OK && t != NULL)
    st = lb__tokenizer_save_json(c->trim != NULL ? c->trim->tokenizer : t, c->to, err);
  if (st == LB_OK && t != NULL) st = write_generation(c, err);
  if (st == LB_OK && t != NULL) st = write_template(c, err);
  if (st == LB_OK && t != NULL && c->trim == NULL) st = write_map(c, err);
  return st == LB_OK && c->trim != NULL ? lb__trim_write_text(c, err) : st;
}

/* What can be refused is refused before anything is written. Then the weights, which are what takes
 * long, what is cancelled and what does not fit on the disk; config.json comes last. So a folder
 * that was to be replaced and was not is still the old model, and a new one that was not finished
 * is cleared away; where even that fails, what is left has no config.json and is no model. */
lb_status lb__convert_to_folder(lb__conversion *c, lb_error *err) {
  const lb__gguf *g = lb__checkpoint_gguf(c->source);
  json_t *config = NULL;
  lb_tokenizer *t = NULL;
  bool is_new = !lb__path_is_folder(c->to);
  lb_status st = plan_config(&config, c, err);
  if (st == LB_OK && g != NULL) st = lb__tokenizer_from_gguf(&t, g, err);
  if (st == LB_OK) st = lb__folder_make(c->to, err);
  if (st == LB_OK)
    st = lb__safetensors_save_folder(c->to, c->decls, c->n, c->options->max_shard_size,
                                     lb__conversion_fill, c, err);
  if (st == LB_OK) st = lb__conversion_write_text(c, t, err);
  if (st == LB_OK) st = lb__hf_config_write(c->to, config, err);
  if (st != LB_OK && is_new) (void)lb__folder_remove(c->to, NULL);
  lb_tokenizer_free(t);
  json_decref(config);
  return st;
}

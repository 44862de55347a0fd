/* model_config.c - from config.json to one struct of numbers and switches.
 * Owns: the reading of Hugging Face configs and the checks both formats share. Refuses: features
 * that would change the arithmetic and that we do not compute. Read next: model_config_gguf.c. */
#include "model_config_parts.h"

#include <math.h>

enum { MAX_LAYERS = 4096, MAX_EXTENT = 1 << 24 };

/* ---- checks for both formats ---- */

static lb_status check_range(int64_t value, int64_t low, int64_t high, const char *what,
                             const char *name, lb_error *err) {
  if (value >= low && value <= high) return LB_OK;
  return lb__fail(err, LB_E_FORMAT, "%s: %s is %lld, want %lld to %lld", name, what,
                  (long long)value, (long long)low, (long long)high);
}

lb_status lb__model_config_check(const lb__model_config *c, const char *name, lb_error *err) {
  const struct {
    int64_t value, high;
    const char *what;
  } sizes[] = {
      {c->vocab_size, MAX_EXTENT, "the vocabulary's size"},
      {c->hidden_size, MAX_EXTENT, "the hidden size"},
      {c->intermediate_size, MAX_EXTENT, "the intermediate size"},
      {c->n_layers, MAX_LAYERS, "the number of layers"},
      {c->n_heads, 65536, "the number of attention heads"},
      {c->n_kv_heads, 65536, "the number of key-value heads"},
      {c->head_dim, 65536, "the head dimension"},
      {c->max_positions, INT32_MAX, "the number of positions"},
  };
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    lb_status st = check_range(sizes[i].value, 1, sizes[i].high, sizes[i].what, name, err);
    if (st != LB_OK) return st;
  }
  if (c->n_heads % c->n_kv_heads != 0)
    return lb__fail(err, LB_E_FORMAT, "%s: %lld attention heads cannot share %lld key-value heads",
                    name, (long long)c->n_heads, (long long)c->n_kv_heads);
  if (!c->family->learned_positions && c->head_dim % 2 != 0)
    return lb__fail(err, LB_E_FORMAT,
                    "%s: rotary positions need an even head dimension, it is %lld", name,
                    (long long)c->head_dim);
  if (!(c->norm_eps > 0.0f) || !isfinite(c->norm_eps))
    return lb__fail(err, LB_E_FORMAT, "%s: the norm's epsilon is %g, want a positive number", name,
                    (double)c->norm_eps);
  if (!isfinite(c->attention_scale) || !(c->attention_softcap >= 0.0f) ||
      !(c->final_softcap >= 0.0f))
    return lb__fail(err, LB_E_FORMAT, "%s: attention scale or soft cap is not a usable number",
                    name);
  return LB_OK;
}

lb_status lb__model_config_windows(lb__model_config *c, lb_error *err) {
  c->is_sliding = lb__new_array((size_t)c->n_layers, sizeof *c->is_sliding);
  return c->is_sliding != NULL ? LB_OK : lb__fail_nomem(err, "the list of layers");
}

void lb__model_config_deinit(lb__model_config *c) {
  if (c == NULL) return;
  lb__free(c->is_sliding);
  lb__token_ids_deinit(&c->eos);
  *c = (lb__model_config){0};
}

/* ---- config.json ---- */

/* What a scheme calls its numbers, in the order of struct fields below. */
typedef struct key_names {
  const char *hidden, *layers, *heads, *kv_heads, *inner, *positions, *eps, *activation;
} key_names;
static const key_names key_schemes[] = {
    [LB__KEYS_LLAMA] = {"hidden_size", "num_hidden_layers", "num_attention_heads",
                        "num_key_value_heads", "intermediate_size", "max_position_embeddings",
                        "rms_norm_eps", "hidden_act"},
    [LB__KEYS_GPT2] = {"n_embd", "n_layer", "n_head", NULL, "n_inner", "n_positions",
                       "layer_norm_epsilon", "activation_function"},
};

static lb_status refuse_architecture(const char *found, const char *name, lb_error *err) {
  char list[256];
  return lb__fail(err, LB_E_UNSUPPORTED, "%s: architecture '%s' is not known; known: %s", name,
                  found, lb__family_list(list, sizeof list));
}

/* model_type decides; "gemma3" is the multimodal wrapper whose text part is gemma3_text. */
static lb_status find_family(const lb__family **out, const json_t *config, const char *name,
                             lb_error *err) {
  const char *type = NULL;
  lb_status st = lb__json_get_string(&type, config, "model_type", false, name, err);
  if (st != LB_OK) return st;
  const json_t *classes = json_object_get(config, "architectures");
  const char *class_name = json_string_value(json_array_get(classes, 0));
  if (type == NULL && class_name == NULL)
    return lb__fail(err, LB_E_FORMAT,
                    "%s: neither 'model_type' nor 'architectures' says what it is", name);
  for (size_t i = 0; (*out = lb__family_at(i)) != NULL; i++)
    if (strcmp(type != NULL ? type : class_name,
               type != NULL ? (*out)->model_type : (*out)->architecture) == 0)
      break;
  if (*out == NULL) return refuse_architecture(type != NULL ? type : class_name, name, err);
  bool is_decoder = class_name == NULL || strcmp(class_name, (*out)->architecture) == 0 ||
                    strstr(class_name, "ForCausalLM") != NULL ||
                    strstr(class_name, "LMHeadModel") != NULL ||
                    strstr(class_name, "ForConditionalGeneration") != NULL;
  return is_decoder ? LB_OK : refuse_architecture(class_name, name, err);
}

static lb_status read_sizes(lb__model_config *c, const json_t *j, const char *name, lb_error *err) {
  const key_names *k = &key_schemes[c->family->keys];
  lb_status st = lb__json_get_int(&c->vocab_size, j, "vocab_size", true, name, err);
  if (st == LB_OK) st = lb__json_get_int(&c->hidden_size, j, k->hidden, true, name, err);
  if (st == LB_OK) st = lb__json_get_int(&c->n_layers, j, k->layers, true, name, err);
  if (st == LB_OK) st = lb__json_get_int(&c->n_heads, j, k->heads, true, name, err);
  if (st == LB_OK) st = lb__json_get_int(&c->max_positions, j, k->positions, true, name, err);
  if (st != LB_OK) return st;
  bool gpt2 = c->family->keys == LB__KEYS_GPT2;
  st = lb__json_get_int(&c->intermediate_size, j, k->inner, !gpt2, name, err);
  if (gpt2 && c->intermediate_size == 0 && c->hidden_size <= MAX_EXTENT)
    c->intermediate_size = 4 * c->hidden_size; /* n_inner: null */
  c->n_kv_heads = c->n_heads;
  if (st == LB_OK && k->kv_heads != NULL)
    st = lb__json_get_int(&c->n_kv_heads, j, k->kv_heads, false, name, err);
  c->head_dim = c->family->head_dim;
  if (c->head_dim == 0 && c->n_heads > 0) c->head_dim = c->hidden_size / c->n_heads;
  if (st == LB_OK) st = lb__json_get_int(&c->head_dim, j, "head_dim", false, name, err);
  double eps = c->family->norm_eps;
  if (st == LB_OK) st = lb__json_get_real(&eps, j, k->eps, false, name, err);
  c->norm_eps = (float)eps;
  return st;
}

static lb_status read_activation(lb__model_config *c, const json_t *j, const char *name,
                                 lb_error *err) {
  const char *activation = c->family->activation;
  const char *key = key_schemes[c->family->keys].activation;
  lb_status st = lb__json_get_string(&activation, j, key, false, name, err);
  if (st == LB_OK) st = lb__json_get_string(&activation, j, "hidden_activation", false, name, err);
  return st == LB_OK ? lb__act_from_name(&c->activation, activation, name, err) : st;
}

static lb_status read_switches(lb__model_config *c, const json_t *j, const char *name,
                               lb_error *err) {
  const lb__family *f = c->family;
  bool attention_bias = false, mlp_bias = f->mlp_bias, tied = f->tied;
  lb_status st = lb__json_get_bool(&attention_bias, j, "attention_bias", false, name, err);
  if (st == LB_OK) st = lb__json_get_bool(&mlp_bias, j, "mlp_bias", false, name, err);
  if (st == LB_OK) st = lb__json_get_bool(&tied, j, "tie_word_embeddings", false, name, err);
  c->qkv_bias = f->qkv_bias || attention_bias;
  c->o_bias = f->o_bias || attention_bias;
  c->mlp_bias = mlp_bias;
  c->tied = tied;
  c->norm_offset = f->norm_plus_one ? 1.0f : 0.0f;
  c->embed_scale = f->scaled_embedding ? sqrtf((float)c->hidden_size) : 1.0f;
  return st;
}

static lb_status read_attention(lb__model_config *c, const json_t *j, const char *name,
                                lb_error *err) {
  double scalar = (double)c->head_dim, attention_cap = 0.0, final_cap = 0.0;
  bool scaled = true;
  lb_status st = lb__json_get_bool(&scaled, j, "scale_attn_weights", false, name, err);
  if (st == LB_OK)
    st = lb__json_get_bool(&c->scale_by_layer, j, "scale_attn_by_inverse_layer_idx", false, name,
                           err);
  if (st == LB_OK)
    st = lb__json_get_real(&attention_cap, j, "attn_logit_softcapping", false, name, err);
  if (st == LB_OK)
    st = lb__json_get_real(&final_cap, j, "final_logit_softcapping", false, name, err);
  if (st == LB_OK && c->family->scaled_embedding) {
    scalar = 256.0; /* Gemma3TextConfig's default */
    st = lb__json_get_real(&scalar, j, "query_pre_attn_scalar", false, name, err);
  }
  c->attention_scale = scaled ? (float)pow(scalar, -0.5) : 1.0f;
  c->attention_softcap = (float)attention_cap;
  c->final_softcap = (float)final_cap;
  return st;
}

static lb_status read_dropout(lb__model_config *c, const json_t *j, const char *name,
                              lb_error *err) {
  struct {
    const char *key;
    float *into;
  } keys[] = {{"embd_pdrop", &c->embed_dropout},
              {"resid_pdrop", &c->residual_dropout},
              {c->family->keys == LB__KEYS_GPT2 ? "attn_pdrop" : "attention_dropout",
               &c->attention_dropout}};
  for (size_t i = c->family->keys == LB__KEYS_GPT2 ? 0 : 2; i < 3; i++) {
    double p = c->family->keys == LB__KEYS_GPT2 ? 0.1 : 0.0; /* Transformers' defaults */
    lb_status st = lb__json_get_real(&p, j, keys[i].key, false, name, err);
    if (st != LB_OK) return st;
    if (!(p >= 0.0 && p < 1.0))
      return lb__fail(err, LB_E_FORMAT, "%s: key '%s': want a number in [0, 1), found %g", name,
                      keys[i].key, p);
    *keys[i].into = (float)p;
  }
  return LB_OK;
}

/* layer_types: ["sliding_attention", "full_attention", ...] */
static lb_status read_layer_types(lb__model_config *c, const json_t *types, const char *name,
                                  lb_error *err) {
  if (!json_is_array(types) || json_array_size(types) != (size_t)c->n_layers)
    return lb__fail(err, LB_E_FORMAT, "%s: key 'layer_types': want a list of %lld, found %s of %zu",
                    name, (long long)c->n_layers, lb__json_type_name(types),
                    json_array_size(types));
  for (int64_t i = 0; i < c->n_layers; i++) {
    const char *type = json_string_value(json_array_get(types, (size_t)i));
    if (type != NULL && strcmp(type, "sliding_attention") == 0)
      c->is_sliding[i] = true;
    else if (type == NULL || strcmp(type, "full_attention") != 0)
      return lb__fail(err, LB_E_UNSUPPORTED,
                      "%s: layer %lld has attention '%s'; known: full_attention, sliding_attention",
                      name, (long long)i, type != NULL ? type : "?");
  }
  return LB_OK;
}

static lb_status read_windows(lb__model_config *c, const json_t *j, const char *name,
                              lb_error *err) {
  int64_t pattern = 6, first = c->n_layers;
  bool use = c->family->window != LB__WINDOW_QWEN;
  if (c->family->window == LB__WINDOW_NONE) return LB_OK;
  if (c->family->window == LB__WINDOW_PATTERN) c->sliding_window = 4096; /* Transformers' default */
  lb_status st = lb__json_get_int(&c->sliding_window, j, "sliding_window", false, name, err);
  if (st == LB_OK) st = lb__json_get_bool(&use, j, "use_sliding_window", false, name, err);
  if (st == LB_OK) st = lb__json_get_int(&first, j, "max_window_layers", false, name, err);
  if (st == LB_OK) st = lb__json_get_int(&pattern, j, "_sliding_window_pattern", false, name, err);
  if (st == LB_OK) st = lb__json_get_int(&pattern, j, "sliding_window_pattern", false, name, err);
  if (st != LB_OK) return st;
  if (!use) c->sliding_window = 0;
  if (c->sliding_window < 0 || pattern < 1)
    return lb__fail(err, LB_E_FORMAT,
                    "%s: sliding window %lld with pattern %lld, want both positive", name,
                    (long long)c->sliding_window, (long long)pattern);
  if (c->sliding_window == 0) return LB_OK;
  const json_t *types = json_object_get(j, "layer_types");
  if (types != NULL && !json_is_null(types)) return read_layer_types(c, types, name, err);
  for (int64_t i = 0; i < c->n_layers; i++)
    c->is_sliding[i] = c->family->window == LB__WINDOW_ALL ||
                       (c->family->window == LB__WINDOW_QWEN && i >= first) ||
                       (c->family->window == LB__WINDOW_PATTERN && (i + 1) % pattern != 0);
  return LB_OK;
}

static lb_status read_rope(lb__model_config *c, const json_t *j, const char *name, lb_error *err) {
  if (c->family->learned_positions) return LB_OK;
  bool two = c->family->window == LB__WINDOW_PATTERN;
  lb_status st = lb__hf_rope_read(&c->rope, j, two ? "full_attention" : NULL, c->family->rope_theta,
                                  name, err);
  c->rope_sliding = c->rope;
  if (st == LB_OK && two)
    st = lb__hf_rope_read(&c->rope_sliding, j, "sliding_attention", 1e4, name, err);
  if (st == LB_OK && !isnan(c->rope.partial_rotary_factor) && c->rope.partial_rotary_factor != 1.0)
    return lb__fail(err, LB_E_UNSUPPORTED, "%s: partial_rotary_factor %g is not supported, only 1",
                    name, c->rope.partial_rotary_factor);
  return st;
}

/* Keys that change the arithmetic in ways we do not compute. */
static lb_status refuse_features(const json_t *j, const char *name, lb_error *err) {
  static const char *const flags[] = {"add_cross_attention", "is_encoder_decoder",
                                      "use_bidirectional_attention"};
  const json_t *quantization = json_object_get(j, "quantization_config");
  if (json_is_object(quantization)) {
    const char *method = json_string_value(json_object_get(quantization, "quant_method"));
    return lb__fail(err, LB_E_UNSUPPORTED,
                    "%s: weights quantised by '%s' are not read; use the original model or a GGUF",
                    name, method != NULL ? method : "?");
  }
  for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
    if (json_is_true(json_object_get(j, flags[i])))
      return lb__fail(err, LB_E_UNSUPPORTED, "%s: '%s' is not supported", name, flags[i]);
  return LB_OK;
}

/* Gemma 3's multimodal configs name the end of a turn beside the text part, not in it. */
static lb_status read_outer_eos(lb__model_config *c, const json_t *root, const char *name,
                                lb_error *err) {
  lb__token_ids outer;
  lb_status st = lb__hf_ids_read(&outer, root, "eos_token_id", name, err);
  for (size_t i = 0; i < outer.n && st == LB_OK; i++)
    if (!lb__token_ids_add(&c->eos, outer.ids[i])) st = lb__fail_nomem(err, "end tokens");
  lb__token_ids_deinit(&outer);
  return st;
}

static lb_status read_ids(lb__model_config *c, const json_t *j, const json_t *root,
                          const char *name, lb_error *err) {
  lb__token_ids bos = {0};
  lb_status st = lb__hf_ids_read(&bos, j, "bos_token_id", name, err);
  c->bos_token_id = bos.n > 0 ? bos.ids[0] : -1;
  lb__token_ids_deinit(&bos);
  if (st == LB_OK) st = lb__hf_ids_read(&c->eos, j, "eos_token_id", name, err);
  return st == LB_OK && root != j ? read_outer_eos(c, root, name, err) : st;
}

static lb_status read_hf(lb__model_config *c, json_t *root, const char *name, lb_error *err) {
  json_t *j = lb__hf_text_config(root);
  lb_status st = refuse_features(root, name, err);
  if (st == LB_OK) st = find_family(&c->family, j, name, err);
  if (st == LB_OK) st = read_sizes(c, j, name, err);
  if (st == LB_OK) st = read_activation(c, j, name, err);
  if (st == LB_OK) st = read_switches(c, j, name, err);
  if (st == LB_OK) st = read_attention(c, j, name, err);
  if (st == LB_OK) st = read_dropout(c, j, name, err);
  if (st == LB_OK) st = lb__model_config_check(c, name, err);
  if (st == LB_OK) st = lb__model_config_windows(c, err);
  if (st == LB_OK) st = read_windows(c, j, name, err);
  if (st == LB_OK) st = read_rope(c, j, name, err);
  if (st == LB_OK) st = refuse_features(j, name, err);
  if (st == LB_OK) st = read_ids(c, j, root, name, err);
  return st;
}

lb_status lb__model_config_parse(lb__model_config *out, json_t *config, const char *name,
                                 lb_error *err) {
  *out = (lb__model_config){.bos_token_id = -1};
  if (!json_is_object(config))
    return lb__fail(err, LB_E_FORMAT, "%s: want an object, found %s", name,
                    lb__json_type_name(config));
  return read_hf(out, config, name, err);
}

lb_status lb__model_config_read(lb__model_config *out, const lb__checkpoint *c, lb_error *err) {
  *out = (lb__model_config){.bos_token_id = -1};
  const lb__gguf *gguf = lb__checkpoint_gguf(c);
  if (gguf != NULL) return lb__model_config_read_gguf(out, gguf, err);
  char *name = lb__path_join(lb__checkpoint_name(c), "config.json");
  if (name == NULL) return lb__fail_nomem(err, "a path");
  lb_status st = read_hf(out, lb__checkpoint_config(c), name, err);
  lb__free(name);
  return st;
}

/* model_config_gguf.c - from GGUF keys to the same struct that config.json gives.
 * GGUF holds weights as llama.cpp uses them: Gemma's norm weights have the one added, so the offset
 * is zero here. Keys: formats.md of ggml-org/ggml and llama.cpp's llama-arch.cpp. */
#include "model_config_parts.h"

#include <math.h>
#include <stdio.h>

typedef struct reader { /* remembers the first failure, so that a list of keys reads as a list */
  const lb__gguf *g;
  const char *arch;
  lb_status st;
  lb_error *err;
} reader;

static const char *full_key(char text[128], const reader *r, const char *suffix) {
  snprintf(text, 128, "%s.%s", r->arch, suffix);
  return text;
}

static bool has(const reader *r, const char *suffix) {
  char key[128];
  return lb__gguf_has(r->g, full_key(key, r, suffix));
}

static void get_int(reader *r, int64_t *out, const char *suffix, bool required) {
  char key[128];
  if (r->st == LB_OK)
    r->st = lb__gguf_get_int(out, r->g, full_key(key, r, suffix), required, r->err);
}

static double get_real(reader *r, const char *suffix, bool required, double otherwise) {
  char key[128];
  double value = otherwise;
  if (r->st == LB_OK)
    r->st = lb__gguf_get_real(&value, r->g, full_key(key, r, suffix), required, r->err);
  return value;
}

static lb_status find_family(const lb__family **out, const lb__gguf *g, lb_error *err) {
  const char *arch = NULL;
  lb_status st = lb__gguf_get_string(&arch, g, "general.architecture", true, err);
  if (st != LB_OK) return st;
  for (size_t i = 0; (*out = lb__family_at(i)) != NULL; i++)
    if (strcmp((*out)->gguf, arch) == 0) return LB_OK;
  char list[256];
  return lb__fail(err, LB_E_UNSUPPORTED, "%s: architecture '%s' is not known; known: %s",
                  lb__gguf_name(g), arch, lb__family_list(list, sizeof list));
}

static void read_sizes(reader *r, lb__model_config *c) {
  get_int(r, &c->hidden_size, "embedding_length", true);
  get_int(r, &c->n_layers, "block_count", true);
  get_int(r, &c->n_heads, "attention.head_count", true);
  get_int(r, &c->intermediate_size, "feed_forward_length", true);
  get_int(r, &c->max_positions, "context_length", true);
  c->n_kv_heads = c->n_heads;
  get_int(r, &c->n_kv_heads, "attention.head_count_kv", false);
  if (c->n_heads > 0) c->head_dim = c->hidden_size / c->n_heads;
  get_int(r, &c->head_dim, "rope.dimension_count", false);
  get_int(r, &c->head_dim, "attention.key_length", false);
  int64_t value_length = c->head_dim;
  get_int(r, &value_length, "attention.value_length", false);
  if (r->st == LB_OK && value_length != c->head_dim)
    r->st = lb__fail(r->err, LB_E_UNSUPPORTED,
                     "%s: keys of %lld and values of %lld a head; want them equal",
                     lb__gguf_name(r->g), (long long)c->head_dim, (long long)value_length);
  c->norm_eps = (float)get_real(r,
                                c->family->layer_norm ? "attention.layer_norm_epsilon"
                                                      : "attention.layer_norm_rms_epsilon",
                                true, 0.0);
}

/* The vocabulary's size is the embedding's number of rows: not every file has the key. */
static void read_vocab(reader *r, lb__model_config *c) {
  const lb__stored_tensor *t = lb__gguf_find(r->g, "token_embd.weight");
  if (r->st != LB_OK) return;
  if (t == NULL || t->rank != 2)
    r->st =
        lb__fail(r->err, LB_E_FORMAT, "%s: tensor 'token_embd.weight' [vocabulary, width] is %s",
                 lb__gguf_name(r->g), t == NULL ? "missing" : "not a matrix");
  else
    c->vocab_size = t->shape[0];
  c->tied = lb__gguf_find(r->g, "output.weight") == NULL;
}

static void read_switches(lb__model_config *c) {
  const lb__family *f = c->family;
  c->qkv_bias = f->qkv_bias;
  c->o_bias = f->o_bias;
  c->mlp_bias = f->mlp_bias;
  c->embed_scale = f->scaled_embedding ? sqrtf((float)c->hidden_size) : 1.0f;
  c->attention_scale = c->head_dim > 0 ? 1.0f / sqrtf((float)c->head_dim) : 1.0f;
  /* llama.cpp scales Gemma 3 27B, known by its 62 layers, by the width of a head's share */
  if (f->scaled_embedding && c->n_layers == 62 && c->n_heads > 0)
    c->attention_scale = 1.0f / sqrtf((float)c->hidden_size / (float)c->n_heads);
}

static void read_window_pattern(reader *r, lb__model_config *c) {
  char key[128];
  lb__gguf_array flags = {0};
  full_key(key, r, "attention.sliding_window_pattern");
  size_t i = 0;
  while (i < lb__gguf_n_keys(r->g) && strcmp(lb__gguf_key(r->g, i), key) != 0) i++;
  bool is_array = i < lb__gguf_n_keys(r->g) && lb__gguf_key_type(r->g, i) == LB__GGUF_ARRAY;
  int64_t pattern = 6;
  if (is_array)
    r->st = lb__gguf_get_array(&flags, r->g, key, LB__GGUF_ARRAY_OF_INTS, true, r->err);
  else
    get_int(r, &pattern, "attention.sliding_window_pattern", false);
  if (r->st != LB_OK) return;
  if ((is_array && flags.n < (size_t)c->n_layers) || pattern < 1) {
    r->st = lb__fail(r->err, LB_E_FORMAT, "%s: key '%s': want a positive number, or a flag a layer",
                     lb__gguf_name(r->g), key);
    return;
  }
  for (int64_t l = 0; l < c->n_layers; l++)
    c->is_sliding[l] =
        is_array ? lb__gguf_array_int(&flags, (size_t)l) != 0 : (l + 1) % pattern != 0;
}

static void read_windows(reader *r, lb__model_config *c) {
  get_int(r, &c->sliding_window, "attention.sliding_window", false);
  if (r->st != LB_OK || c->sliding_window == 0) return;
  if (c->sliding_window < 0) {
    r->st = lb__fail(r->err, LB_E_FORMAT, "%s: a sliding window of %lld", lb__gguf_name(r->g),
                     (long long)c->sliding_window);
    return;
  }
  if (c->family->window == LB__WINDOW_PATTERN)
    read_window_pattern(r, c);
  else if (c->family->window == LB__WINDOW_NONE)
    for (int64_t l = 0; l < c->n_layers; l++) c->is_sliding[l] = true;
}

static void read_rope_scaling(reader *r, lb__hf_rope *rope) {
  char key[128];
  const char *type = NULL;
  if (r->st == LB_OK)
    r->st = lb__gguf_get_string(&type, r->g, full_key(key, r, "rope.scaling.type"), false, r->err);
  if (r->st != LB_OK) return;
  double old_linear = get_real(r, "rope.scale_linear", false, NAN);
  if (type == NULL && !isnan(old_linear)) type = "linear";
  if (type == NULL || strcmp(type, "none") == 0) return;
  if (strcmp(type, "linear") == 0)
    rope->type = LB__ROPE_LINEAR;
  else if (strcmp(type, "yarn") == 0)
    rope->type = LB__ROPE_YARN;
  else {
    r->st = lb__fail(r->err, LB_E_UNSUPPORTED,
                     "%s: rope scaling '%s' is not supported; supported: linear, yarn",
                     lb__gguf_name(r->g), type);
    return;
  }
  rope->factor = get_real(r, "rope.scaling.factor", isnan(old_linear), old_linear);
  get_int(r, &rope->original_max_position_embeddings, "rope.scaling.original_context_length",
          rope->type == LB__ROPE_YARN);
  rope->beta_fast = get_real(r, "rope.scaling.yarn_beta_fast", false, NAN);
  rope->beta_slow = get_real(r, "rope.scaling.yarn_beta_slow", false, NAN);
  /* llama.cpp multiplies this into the usual 1 + 0.1 ln(factor); Transformers replaces it */
  double extra = get_real(r, "rope.scaling.attn_factor", false, NAN);
  rope->attention_factor = extra * (1.0 + 0.1 * log(rope->factor));
  if (r->st == LB_OK && !(rope->factor > 0.0 && isfinite(rope->factor)))
    r->st = lb__fail(r->err, LB_E_FORMAT, "%s: rope scaling factor %g, want a positive number",
                     lb__gguf_name(r->g), rope->factor);
}

/* Llama 3's scaling comes as a tensor of divisors. */
static void read_rope_divisors(reader *r, lb__model_config *c) {
  const lb__stored_tensor *t = lb__gguf_find(r->g, "rope_freqs.weight");
  if (r->st != LB_OK || t == NULL) return;
  if (t->dtype != LB_DTYPE_F32 || t->rank != 1 || t->shape[0] != c->head_dim / 2)
    r->st = lb__fail(r->err, LB_E_SHAPE, "%s: tensor 'rope_freqs.weight': want [%lld] F32",
                     lb__gguf_name(r->g), (long long)(c->head_dim / 2));
  else
    c->rope_divisors = t->bytes;
}

static void read_rope(reader *r, lb__model_config *c) {
  if (c->family->learned_positions) return;
  c->rope = (lb__hf_rope){.theta = get_real(r, "rope.freq_base", false, c->family->rope_theta),
                          .factor = NAN,
                          .low_freq_factor = NAN,
                          .high_freq_factor = NAN,
                          .original_max_position_embeddings = -1,
                          .beta_fast = NAN,
                          .beta_slow = NAN,
                          .attention_factor = NAN,
                          .mscale = NAN,
                          .mscale_all_dim = NAN,
                          .truncate = true,
                          .partial_rotary_factor = NAN};
  c->rope_sliding = c->rope;
  read_rope_scaling(r, &c->rope);
  if (r->st == LB_OK && !(c->rope.theta > 0.0 && isfinite(c->rope.theta)))
    r->st = lb__fail(r->err, LB_E_FORMAT, "%s: rope base %g, want a positive number",
                     lb__gguf_name(r->g), c->rope.theta);
  if (c->family->window == LB__WINDOW_PATTERN)
    c->rope_sliding.theta = get_real(r, "rope.freq_base_swa", false, 1e4);
  else
    c->rope_sliding = c->rope;
  read_rope_divisors(r, c);
}

/* End tokens: of text, of a turn, of a message. */
static void read_ids(reader *r, lb__model_config *c) {
  static const char *const keys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                     "tokenizer.ggml.eom_token_id"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0] && r->st == LB_OK; i++) {
    int64_t id = -1;
    r->st = lb__gguf_get_int(&id, r->g, keys[i], false, r->err);
    if (r->st == LB_OK && id >= 0 && id < c->vocab_size && !lb__token_ids_add(&c->eos, (int32_t)id))
      r->st = lb__fail_nomem(r->err, "end tokens");
  }
  int64_t bos = -1;
  if (r->st == LB_OK)
    r->st = lb__gguf_get_int(&bos, r->g, "tokenizer.ggml.bos_token_id", false, r->err);
  c->bos_token_id = bos >= 0 && bos < c->vocab_size ? (int32_t)bos : -1;
}

lb_status lb__model_config_read_gguf(lb__model_config *c, const lb__gguf *g, lb_error *err) {
  lb_status st = find_family(&c->family, g, err);
  if (st != LB_OK) return st;
  reader r = {.g = g, .arch = c->family->gguf, .err = err};
  read_sizes(&r, c);
  read_vocab(&r, c);
  read_switches(c);
  c->final_softcap = (float)get_real(&r, "final_logit_softcapping", false, 0.0);
  c->attention_softcap = (float)get_real(&r, "attn_logit_softcapping", false, 0.0);
  if (r.st == LB_OK) r.st = lb__act_from_name(&c->activation, c->family->activation, "GGUF", err);
  if (r.st == LB_OK) r.st = lb__model_config_check(c, lb__gguf_name(g), err);
  if (r.st == LB_OK) r.st = lb__model_config_windows(c, err);
  read_windows(&r, c);
  read_rope(&r, c);
  read_ids(&r, c);
  if (r.st == LB_OK && has(&r, "expert_count")) {
    int64_t experts = 0;
    get_int(&r, &experts, "expert_count", false);
    if (r.st == LB_OK && experts > 0)
      r.st = lb__fail(err, LB_E_UNSUPPORTED, "%s: mixtures of experts (%lld) are not supported",
                      lb__gguf_name(g), (long long)experts);
  }
  return r.st;
}

/* create_shape.c - from a shape, as a recipe says it, to a config.json. See model_create.h.
 * Owns: the defaults of what a shape leaves open, and saying what does not go together in the words
 * of the shape. The checks that hold for any configuration are model_config.c's. */
#include "convert_internal.h"
#include "model_create.h"
#include "model_config_parts.h"

#include <math.h>

/* The largest of each that model_config.c takes; products of two stay far from overflow. */
enum { LARGEST = 1 << 24, MOST_HEADS = 65536, MULTIPLE = 32, GEMMA_WINDOW = 512, GEMMA_PERIOD = 6 };

static lb_status find_family(const lb__family **out, const char *type, lb_error *err) {
  const char *names[32] = {0};
  char list[256];
  for (size_t i = 0; (*out = lb__family_at(i)) != NULL; i++) {
    if (strcmp((*out)->model_type, type) == 0 || strcmp((*out)->name, type) == 0) return LB_OK;
    if (i + 1 < sizeof names / sizeof names[0]) names[i] = (*out)->model_type;
  }
  const char *near = lb__did_you_mean(type, names);
  return lb__fail(err, LB_E_UNSUPPORTED, "model_type '%.40s' is not known%s%s%s; known: %s", type,
                  near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
                  near != NULL ? "'?" : "", lb__family_list(list, sizeof list));
}

/* ---- checks ---- */

static lb_status check_sizes(const lb__model_shape *s, lb_error *err) {
  const struct {
    const char *name;
    int64_t value, low, high;
  } sizes[] = {
      {"hidden_size", s->hidden_size, 1, LARGEST},
      {"num_hidden_layers", s->num_hidden_layers, 1, 4096},
      {"num_attention_heads", s->num_attention_heads, 1, MOST_HEADS},
      {"num_key_value_heads", s->num_key_value_heads, 0, MOST_HEADS},
      {"head_dim", s->head_dim, 0, MOST_HEADS},
      {"intermediate_size", s->intermediate_size, 0, LARGEST},
      {"max_position_embeddings", s->max_position_embeddings, 1, INT32_MAX},
      {"vocab_size", s->vocab_size, 1, LARGEST},
  };
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    if (sizes[i].value < sizes[i].low || sizes[i].value > sizes[i].high)
      return lb__fail(err, LB_E_ARG, "%s: want %d to %lld, found %lld", sizes[i].name, 1,
                      (long long)sizes[i].high, (long long)sizes[i].value);
  return LB_OK;
}

static lb_status check_heads(const lb__model_shape *s, lb_error *err) {
  if (s->head_dim == 0 && s->hidden_size % s->num_attention_heads != 0)
    return lb__fail(err, LB_E_ARG,
                    "hidden_size %lld cannot be split over num_attention_heads %lld; choose a "
                    "multiple, or give head_dim",
                    (long long)s->hidden_size, (long long)s->num_attention_heads);
  if (s->num_key_value_heads > 0 && s->num_attention_heads % s->num_key_value_heads != 0)
    return lb__fail(err, LB_E_ARG,
                    "num_attention_heads %lld cannot share num_key_value_heads %lld; want a number "
                    "that divides it",
                    (long long)s->num_attention_heads, (long long)s->num_key_value_heads);
  return LB_OK;
}

/* What a family has no place for is refused, not dropped. */
static lb_status check_gpt2(const lb__model_shape *s, lb_error *err) {
  if (s->num_key_value_heads != 0 && s->num_key_value_heads != s->num_attention_heads)
    return lb__fail(err, LB_E_ARG, "num_key_value_heads: gpt2 has as many as num_attention_heads");
  if (s->head_dim != 0 && s->head_dim * s->num_attention_heads != s->hidden_size)
    return lb__fail(err, LB_E_ARG,
                    "head_dim: in gpt2 it is hidden_size / num_attention_heads, found %lld",
                    (long long)s->head_dim);
  if (s->rope_theta != 0.0)
    return lb__fail(err, LB_E_ARG, "rope_theta: gpt2 learns its positions; leave it out");
  return LB_OK;
}

static lb_status check_rotary(const lb__model_shape *s, int64_t head_dim, lb_error *err) {
  if (s->rope_theta != 0.0 && !(s->rope_theta > 1.0 && isfinite(s->rope_theta)))
    return lb__fail(err, LB_E_ARG, "rope_theta: want a number > 1, found %g", s->rope_theta);
  if (head_dim % 2 != 0)
    return lb__fail(err, LB_E_ARG,
                    "head_dim: rotary positions need an even number, it is %lld; change "
                    "hidden_size, num_attention_heads or head_dim",
                    (long long)head_dim);
  return LB_OK;
}

/* ---- what was left open ---- */

static int64_t usual_width(const lb__family *f, int64_t hidden) {
  int64_t width = 4 * hidden;
  if (f->gated) width = (2 * width / 3 + MULTIPLE - 1) / MULTIPLE * MULTIPLE;
  return width < LARGEST ? width : LARGEST;
}

static void fill_sizes(lb__model_config *c, const lb__model_shape *s) {
  c->vocab_size = s->vocab_size;
  c->hidden_size = s->hidden_size;
  c->n_layers = s->num_hidden_layers;
  c->n_heads = s->num_attention_heads;
  c->n_kv_heads = s->num_key_value_heads > 0 ? s->num_key_value_heads : s->num_attention_heads;
  c->head_dim = s->head_dim > 0 ? s->head_dim : s->hidden_size / s->num_attention_heads;
  c->intermediate_size =
      s->intermediate_size > 0 ? s->intermediate_size : usual_width(c->family, s->hidden_size);
  c->max_positions = s->max_position_embeddings;
  c->norm_eps = (float)(s->rms_norm_eps > 0.0 ? s->rms_norm_eps : c->family->norm_eps);
  c->attention_scale = (float)pow((double)c->head_dim, -0.5);
  c->tied = s->tie_word_embeddings != 0 ? s->tie_word_embeddings > 0 : c->family->tied;
  c->bos_token_id = s->bos_token_id;
  c->eos = s->eos;
}

/* Gemma 3's: five layers of six see the last 512 tokens, the sixth sees all. */
static lb_status fill_windows(lb__model_config *c, lb_error *err) {
  lb_status st = lb__model_config_windows(c, err);
  if (st != LB_OK || c->family->window != LB__WINDOW_PATTERN) return st;
  c->sliding_window = GEMMA_WINDOW;
  for (int64_t i = 0; i < c->n_layers; i++) c->is_sliding[i] = (i + 1) % GEMMA_PERIOD != 0;
  return LB_OK;
}

static lb_status fill_rope(lb__model_config *c, const lb__model_shape *s, lb_error *err) {
  double theta = s->rope_theta > 0.0 ? s->rope_theta : c->family->rope_theta;
  if (c->family->learned_positions) return LB_OK;
  json_t *nothing = json_object();
  if (nothing == NULL) return lb__fail_nomem(err, "rotary positions");
  lb_status st = lb__hf_rope_read(&c->rope, nothing, NULL, theta, "config.json", err);
  c->rope_sliding = c->rope;
  c->rope_sliding.theta = 1e4;
  json_decref(nothing);
  return st;
}

/* ---- all of it ---- */

/* What the converter's writer leaves to Transformers' defaults, and those differ. */
static lb_status add_rest(json_t *j, const lb__model_config *c, const lb__model_shape *s,
                          lb_error *err) {
  double range = s->initializer_range > 0.0 ? s->initializer_range : 0.02;
  int failed = json_object_set_new(j, "tie_word_embeddings", json_boolean(c->tied));
  failed |= json_object_set_new(j, "initializer_range", json_real(range));
  if (c->family->window == LB__WINDOW_ALL)
    failed |= json_object_set_new(j, "sliding_window", json_null());
  return failed == 0 ? LB_OK : lb__fail_nomem(err, "config.json");
}

lb_status lb__model_shape_config(json_t **out, const lb__model_shape *s, lb_error *err) {
  lb__conversion as_conversion = {0};
  lb__model_config *c = &as_conversion.config;
  *out = NULL;
  lb_status st = find_family(&c->family, s->model_type, err);
  if (st == LB_OK) st = check_sizes(s, err);
  if (st == LB_OK) st = check_heads(s, err);
  if (st == LB_OK && c->family->keys == LB__KEYS_GPT2) st = check_gpt2(s, err);
  if (st != LB_OK) return st;
  fill_sizes(c, s);
  if (!c->family->learned_positions) st = check_rotary(s, c->head_dim, err);
  if (st == LB_OK) st = fill_windows(c, err);
  if (st == LB_OK) st = fill_rope(c, s, err);
  json_t *j = st == LB_OK ? json_object() : NULL;
  if (st == LB_OK && j == NULL) st = lb__fail_nomem(err, "config.json");
  if (st == LB_OK) st = lb__conversion_make_config(j, &as_conversion, err);
  if (st == LB_OK) st = add_rest(j, c, s, err);
  c->eos = (lb__token_ids){0}; /* borrowed */
  lb__model_config_deinit(c);
  if (st == LB_OK)
    *out = j;
  else
    json_decref(j);
  return st;
}

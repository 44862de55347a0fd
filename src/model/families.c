/* families.c - the tables of families.def and weights.def, and names made from them.
 * Owns: no state. Read next: model_config.c, which fills a config from a file. */
#include "model_config.h"

#include <stdio.h>

const lb__weight_row lb__weight_rows[LB__N_WEIGHTS] = {
#define LB__WEIGHT(role, rows, cols, when, gguf, gpt2, llama, gemma)                               \
  {#role, LB__EXTENT_##rows, LB__EXTENT_##cols, LB__WHEN_##when, gguf, {gpt2, llama, gemma}},
#include "weights.def"
#undef LB__WEIGHT
};

static const lb__family families[] = {
#define LB__FAMILY(...) {__VA_ARGS__},
#include "families.def"
#undef LB__FAMILY
};
enum { N_FAMILIES = sizeof families / sizeof families[0] };

const lb__family *lb__family_at(size_t i) {
  return i < N_FAMILIES ? &families[i] : NULL;
}

const char *lb_model_family_name(size_t i, const char **architecture) {
  if (i >= N_FAMILIES) return NULL;
  if (architecture != NULL) *architecture = families[i].architecture;
  return families[i].name;
}

const char *lb__family_list(char *text, size_t size) {
  size_t used = 0;
  text[0] = '\0';
  for (size_t i = 0; i < N_FAMILIES && used < size; i++)
    used += (size_t)snprintf(text + used, size - used, "%s%s", i > 0 ? ", " : "",
                             families[i].model_type);
  return text;
}

int64_t lb__model_extent(const lb__model_config *c, lb__extent extent) {
  switch (extent) {
  case LB__EXTENT_V: return c->vocab_size;
  case LB__EXTENT_P: return c->max_positions;
  case LB__EXTENT_C: return c->hidden_size;
  case LB__EXTENT_F: return c->intermediate_size;
  case LB__EXTENT_Q: return c->n_heads * c->head_dim;
  case LB__EXTENT_K: return c->n_kv_heads * c->head_dim;
  case LB__EXTENT_D: return c->head_dim;
  case LB__EXTENT_A: return (c->n_heads + 2 * c->n_kv_heads) * c->head_dim;
  case LB__EXTENT_1: break;
  }
  return 1;
}

bool lb__model_has_weight(const lb__model_config *c, lb__weight w, bool *optional) {
  const lb__family *f = c->family;
  bool certain = false, possible = false; /* possible: used when the file has it */
  switch (lb__weight_rows[w].when) {
  case LB__WHEN_ALWAYS: certain = true; break;
  case LB__WHEN_LEARNED_POSITIONS: certain = f->learned_positions; break;
  case LB__WHEN_LAYER_NORM: certain = f->layer_norm; break;
  case LB__WHEN_OWN_HEAD: certain = !c->tied, possible = true; break;
  case LB__WHEN_FUSED_QKV: certain = f->fused_qkv; break;
  case LB__WHEN_SPLIT_QKV: certain = !f->fused_qkv; break;
  case LB__WHEN_QKV_BIAS: certain = c->qkv_bias && !f->fused_qkv, possible = !f->fused_qkv; break;
  case LB__WHEN_O_BIAS: certain = c->o_bias, possible = true; break;
  case LB__WHEN_GATED: certain = f->gated; break;
  case LB__WHEN_GATED_BIAS: certain = f->gated && c->mlp_bias, possible = f->gated; break;
  case LB__WHEN_MLP_BIAS: certain = c->mlp_bias, possible = true; break;
  case LB__WHEN_QK_NORM: certain = f->qk_norm; break;
  case LB__WHEN_SANDWICH: certain = f->sandwich_norms; break;
  }
  *optional = possible && !certain;
  return certain || possible;
}

const char *lb__weight_gguf_name(char text[LB__WEIGHT_NAME_SIZE], lb__weight w, int64_t layer) {
  const char *name = lb__weight_rows[w].gguf;
  if (w < LB__FIRST_LAYER_WEIGHT)
    snprintf(text, LB__WEIGHT_NAME_SIZE, "%s", name);
  else
    snprintf(text, LB__WEIGHT_NAME_SIZE, "blk.%lld.%s", (long long)layer, name);
  return text;
}

const char *lb__weight_hf_name(char text[LB__WEIGHT_NAME_SIZE], lb__weight w, int64_t layer,
                               lb__name_scheme scheme, const char *prefix) {
  const char *name = lb__weight_rows[w].hf[scheme];
  const char *layers = scheme == LB__NAMES_GPT2 ? "h" : "layers";
  if (w == LB__W_LM_HEAD) /* beside the decoder, not inside it */
    snprintf(text, LB__WEIGHT_NAME_SIZE, "%s%s",
             strncmp(prefix, "language_model.", 15) == 0 ? "language_model." : "", name);
  else if (w < LB__FIRST_LAYER_WEIGHT)
    snprintf(text, LB__WEIGHT_NAME_SIZE, "%s%s", prefix, name);
  else
    snprintf(text, LB__WEIGHT_NAME_SIZE, "%s%s.%lld.%s", prefix, layers, (long long)layer, name);
  return text;
}

lb_status lb__act_from_name(lb__act_kind *out, const char *activation, const char *name,
                            lb_error *err) {
  static const struct {
    const char *name;
    lb__act_kind kind;
  } known[] = {
      {"gelu_new", LB__ACT_GELU_TANH},  {"gelu_pytorch_tanh", LB__ACT_GELU_TANH},
      {"gelu_fast", LB__ACT_GELU_TANH}, {"gelu", LB__ACT_GELU_ERF},
      {"silu", LB__ACT_SILU},           {"swish", LB__ACT_SILU},
      {"relu", LB__ACT_RELU},
  };
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    if (strcmp(known[i].name, activation) != 0) continue;
    *out = known[i].kind;
    return LB_OK;
  }
  return lb__fail(
      err, LB_E_UNSUPPORTED,
      "%s: activation '%s' is not known; known: gelu_new, gelu_pytorch_tanh, gelu_fast, "
      "gelu, silu, relu",
      name, activation);
}

/* tiny_model.c - see tiny_model.h. */
#include "tiny_model.h"
#include "scratch.h"

#include "base/random.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { C = 16, F = 24, Q = 16, KV = 8, L = 2, MAX_HEADER = 8192, MAX_FLOATS = 16384 };

typedef struct tiny_file {
  char header[MAX_HEADER];
  float data[MAX_FLOATS];
  size_t n;
  int seed;
} tiny_file;

/* Norms are near 1, matrices large enough that predictions are far from uniform. */
static void add(tiny_file *t, const char *name, size_t rows, size_t cols) {
  size_t n = rows * (cols > 0 ? cols : 1), used = strlen(t->header);
  char shape[32];
  lb__random_key key = {(uint64_t)t->seed, LB__PURPOSE_TEST};
  if (cols > 0)
    snprintf(shape, sizeof shape, "%zu,%zu", rows, cols);
  else
    snprintf(shape, sizeof shape, "%zu", rows);
  snprintf(t->header + used, MAX_HEADER - used,
           "%c\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
           used > 0 ? ',' : '{', name, shape, t->n * 4, (t->n + n) * 4);
  for (size_t i = 0; i < n; i++, t->n++) {
    float x = (float)lb__random_normal(key, 0, t->n);
    t->data[t->n] = cols > 0 ? x * 0.5f : 1.0f + 0.1f * x;
  }
}

static void add_layer(tiny_file *t, int layer) {
  static const struct {
    const char *name;
    size_t rows, cols;
  } weights[] = {
      {"input_layernorm", C, 0},   {"self_attn.q_proj", Q, C}, {"self_attn.k_proj", KV, C},
      {"self_attn.v_proj", KV, C}, {"self_attn.o_proj", C, Q}, {"post_attention_layernorm", C, 0},
      {"mlp.gate_proj", F, C},     {"mlp.up_proj", F, C},      {"mlp.down_proj", C, F}};
  for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
    char name[96];
    snprintf(name, sizeof name, "model.layers.%d.%s.weight", layer, weights[i].name);
    add(t, name, weights[i].rows, weights[i].cols);
  }
}

static void write_weights(const char *folder, const tiny_file *t) {
  uint64_t header = strlen(t->header);
  size_t size = 8 + header + t->n * 4;
  char *bytes = malloc(size);
  memcpy(bytes, &header, 8); /* little-endian, as the tests' machines are */
  memcpy(bytes + 8, t->header, header);
  memcpy(bytes + 8 + header, t->data, t->n * 4);
  scratch_write(folder, "model.safetensors", bytes, size);
  free(bytes);
}

static void write_tokenizer(const char *folder) {
  char text[2048] =
      "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":7,\"content\":\"h\",\"single_word\":"
      "false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}],"
      "\"normalizer\":null,\"pre_tokenizer\":null,\"post_processor\":null,"
      "\"decoder\":{\"type\":\"Fuse\"},\"model\":{\"type\":\"BPE\",\"vocab\":{";
  for (int i = 0; i < TINY_KNOWN; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s\"%c\":%d", i > 0 ? "," : "",
             i < 26 ? 'a' + i : '0' + i - 26, i);
  snprintf(text + strlen(text), sizeof text - strlen(text), "},\"merges\":[]}}");
  scratch_write_text(folder, "tokenizer.json", text);
}

void tiny_model_write(const char *folder, tiny_options options) {
  static tiny_file t;
  memset(&t, 0, sizeof t);
  t.seed = options.seed;
  add(&t, "lm_head.weight", TINY_V, C);
  if (options.is_broken) t.data[5] = NAN;
  add(&t, "model.embed_tokens.weight", TINY_V, C);
  for (int l = 0; l < L; l++) add_layer(&t, l);
  add(&t, "model.norm.weight", C, 0);
  strcat(t.header, "}");
  write_weights(folder, &t);
  write_tokenizer(folder);
  scratch_write_text(folder, "config.json",
                     "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\","
                     "\"vocab_size\":40,\"hidden_size\":16,\"intermediate_size\":24,"
                     "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2,"
                     "\"head_dim\":4,\"max_position_embeddings\":8192,\"rms_norm_eps\":1e-5,"
                     "\"rope_theta\":10000.0,\"hidden_act\":\"silu\",\"eos_token_id\":7,"
                     "\"bos_token_id\":0,\"tie_word_embeddings\":false}");
}

/* test_model.c - opening models: what config.json may say, what is refused and in which words, and
 * that weights are checked against it. Logits are pinned by tests/golden. */
#include "base/files.h"
#include "formats/safetensors.h"
#include "model/model_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- a llama with one layer, written anew for each case ---- */

static const char good_config[] =
    "{\"model_type\": \"llama\", \"architectures\": [\"LlamaForCausalLM\"], \"vocab_size\": 8,"
    " \"hidden_size\": 4, \"intermediate_size\": 6, \"num_hidden_layers\": 1,"
    " \"num_attention_heads\": 2, \"num_key_value_heads\": 1, \"max_position_embeddings\": 16,"
    " \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0, \"tie_word_embeddings\": true,"
    " \"bos_token_id\": 1, \"eos_token_id\": [2, 3]}";

#define LAYER "model.layers.0."
static const lb__tensor_decl good_weights[] = {
    {"model.embed_tokens.weight", LB_DTYPE_F32, 2, {8, 4}},
    {"model.norm.weight", LB_DTYPE_F32, 1, {4}},
    {LAYER "input_layernorm.weight", LB_DTYPE_F32, 1, {4}},
    {LAYER "post_attention_layernorm.weight", LB_DTYPE_F32, 1, {4}},
    {LAYER "self_attn.q_proj.weight", LB_DTYPE_F32, 2, {4, 4}},
    {LAYER "self_attn.k_proj.weight", LB_DTYPE_F32, 2, {2, 4}},
    {LAYER "self_attn.v_proj.weight", LB_DTYPE_F32, 2, {2, 4}},
    {LAYER "self_attn.o_proj.weight", LB_DTYPE_F32, 2, {4, 4}},
    {LAYER "mlp.gate_proj.weight", LB_DTYPE_F32, 2, {6, 4}},
    {LAYER "mlp.up_proj.weight", LB_DTYPE_F32, 2, {6, 4}},
    {LAYER "mlp.down_proj.weight", LB_DTYPE_F32, 2, {4, 6}},
};
enum { N_WEIGHTS = sizeof good_weights / sizeof good_weights[0] };

static char folder[] = "/tmp/limbeck-model-XXXXXX";

static char *in_folder(const char *name) {
  char *path = lb__path_join(folder, name);
  assert_non_null(path);
  return path;
}

static lb_status ones(void *ctx, size_t index, lb__sink *sink, lb_error *err) {
  const lb__tensor_decl *decls = ctx;
  int64_t n = decls[index].shape[0] * (decls[index].rank == 2 ? decls[index].shape[1] : 1);
  lb_status st = LB_OK;
  for (int64_t i = 0; i < n && st == LB_OK; i++)
    st = lb__sink_write(sink, &(float){1.0f / (float)(i + 1)}, sizeof(float), err);
  return st;
}

static void write_folder(const char *config, const lb__tensor_decl *weights, size_t n) {
  lb_error err;
  char *path = in_folder("config.json");
  assert_int_equal(lb__file_save(path, config, strlen(config), &err), LB_OK);
  lb__free(path);
  path = in_folder("model.safetensors");
  assert_int_equal(
      lb__safetensors_save(path, weights, n, NULL, 0, ones, (void *)(uintptr_t)weights, &err),
      LB_OK);
  lb__free(path);
}

/* good_config with the value of `key` replaced by `value` (JSON text). */
static char *config_with(const char *key, const char *value) {
  json_t *j;
  assert_int_equal(lb__json_parse(&j, good_config, strlen(good_config), "good", NULL), LB_OK);
  json_t *v = NULL;
  if (value != NULL) assert_int_equal(lb__json_parse(&v, value, strlen(value), "v", NULL), LB_OK);
  if (value != NULL)
    json_object_set_new(j, key, v);
  else
    json_object_del(j, key);
  char *text = lb__json_text(j, 0);
  json_decref(j);
  assert_non_null(text);
  return text;
}

static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    char *path = in_folder(i == 0 ? "config.json" : "model.safetensors");
    unlink(path);
    lb__free(path);
  }
  return rmdir(folder);
}

/* ---- cases ---- */

static void opens_and_tells_facts(void **state) {
  (void)state;
  lb_error err;
  lb_model *m;
  write_folder(good_config, good_weights, N_WEIGHTS);
  assert_int_equal(lb_model_open(&m, folder, NULL, &err), LB_OK);
  const lb_model_info *i = lb_model_get_info(m);
  assert_string_equal(i->family, "llama");
  assert_string_equal(i->format, "safetensors");
  assert_int_equal(i->vocab_size, 8);
  assert_int_equal(i->head_dim, 2);
  assert_int_equal(i->n_parameters, 32 + 3 * 4 + 16 + 8 + 8 + 16 + 3 * 24);
  assert_true(i->tied);
  assert_int_equal(i->bos_token_id, 1);
  assert_int_equal(i->n_eos_token_ids, 2);
  assert_int_equal(i->eos_token_ids[1], 3);
  lb_model_free(m);
}

typedef struct bad_config {
  const char *key, *value; /* NULL: the key is removed */
  lb_status status;
  const char *says;
} bad_config;

static const bad_config bad_configs[] = {
    {"model_type", "\"bert\"", LB_E_UNSUPPORTED, "'bert' is not known; known: gpt2, llama"},
    {"architectures", "[\"LlamaForSequenceClassification\"]", LB_E_UNSUPPORTED,
     "LlamaForSequenceClassification"},
    {"model_type", "7", LB_E_FORMAT, "model_type"},
    {"vocab_size", NULL, LB_E_FORMAT, "vocab_size"},
    {"vocab_size", "-3", LB_E_FORMAT, "vocabulary"},
    {"vocab_size", "9", LB_E_SHAPE, "want [9,4], file has [8,4]"},
    {"hidden_size", "0", LB_E_FORMAT, "hidden size"},
    {"hidden_size", "9000000000000000000", LB_E_FORMAT, "hidden size"},
    {"hidden_size", "\"4\"", LB_E_FORMAT, "hidden_size"},
    {"num_hidden_layers", "100000", LB_E_FORMAT, "number of layers"},
    {"num_hidden_layers", "2", LB_E_FORMAT, "model.layers.1."},
    {"num_attention_heads", "0", LB_E_FORMAT, "attention heads"},
    {"num_key_value_heads", "3", LB_E_FORMAT, "cannot share 3"},
    {"head_dim", "3", LB_E_FORMAT, "even head dimension"},
    {"rms_norm_eps", "0", LB_E_FORMAT, "epsilon"},
    {"hidden_act", "\"mish\"", LB_E_UNSUPPORTED, "'mish' is not known; known: gelu_new"},
    {"rope_scaling", "{\"rope_type\": \"dynamic\", \"factor\": 2.0}", LB_E_UNSUPPORTED, "dynamic"},
    {"rope_scaling", "{\"rope_type\": \"linear\"}", LB_E_FORMAT, "factor"},
    {"partial_rotary_factor", "0.5", LB_E_UNSUPPORTED, "partial_rotary_factor"},
    {"attention_bias", "true", LB_E_FORMAT, "q_proj.bias"},
    {"tie_word_embeddings", "false", LB_E_FORMAT, "lm_head.weight"},
    {"quantization_config", "{\"quant_method\": \"gptq\"}", LB_E_UNSUPPORTED, "'gptq'"},
    {"eos_token_id", "\"</s>\"", LB_E_FORMAT, "eos_token_id"},
};

static void refuses_bad_configs(void **state) {
  (void)state;
  for (size_t k = 0; k < sizeof bad_configs / sizeof bad_configs[0]; k++) {
    const bad_config *b = &bad_configs[k];
    char *config = config_with(b->key, b->value);
    write_folder(config, good_weights, N_WEIGHTS);
    lb_error err = {0};
    lb_model *m;
    lb_status st = lb_model_open(&m, folder, NULL, &err);
    if (st != b->status || strstr(err.message, b->says) == NULL)
      fail_msg("%s = %s: status %d '%s', want %d with '%s'", b->key, b->value ? b->value : "-", st,
               err.message, b->status, b->says);
    if (strncmp(err.message, folder, strlen(folder)) != 0)
      fail_msg("%s: no file in: %s", b->key, err.message);
    assert_null(m);
    lb__free(config);
  }
}

/* ---- the same llama as GGUF ---- */

typedef struct gguf_key {
  const char *key;
  int32_t value;
} gguf_key;

static const gguf_key good_keys[] = {
    {"llama.embedding_length", 4},       {"llama.block_count", 1},
    {"llama.attention.head_count", 2},   {"llama.feed_forward_length", 6},
    {"llama.context_length", 16},        {"llama.attention.head_count_kv", 1},
    {"llama.rope.dimension_count", 2},   {"llama.attention.key_length", 2},
    {"llama.attention.value_length", 2}, {"llama.attention.sliding_window", 0},
    {"tokenizer.ggml.bos_token_id", 1},  {"tokenizer.ggml.eos_token_id", 2},
};
enum { N_KEYS = sizeof good_keys / sizeof good_keys[0] };

static const char *const gguf_names[N_WEIGHTS] = {
    "token_embd.weight",     "output_norm.weight",       "blk.0.attn_norm.weight",
    "blk.0.ffn_norm.weight", "blk.0.attn_q.weight",      "blk.0.attn_k.weight",
    "blk.0.attn_v.weight",   "blk.0.attn_output.weight", "blk.0.ffn_gate.weight",
    "blk.0.ffn_up.weight",   "blk.0.ffn_down.weight"};

/* `other` takes the place of the good key of that name. */
static void write_gguf(const char *path, const gguf_key *other) {
  lb__gguf_writer *w;
  assert_int_equal(lb__gguf_writer_new(&w, NULL), LB_OK);
  lb__gguf_set_string(w, "general.architecture", "llama");
  lb__gguf_set_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
  for (size_t i = 0; i < N_KEYS; i++)
    if (strcmp(good_keys[i].key, other->key) != 0)
      lb__gguf_set_i32(w, good_keys[i].key, good_keys[i].value);
  lb__gguf_set_i32(w, other->key, other->value);
  lb__tensor_decl weights[N_WEIGHTS];
  for (size_t i = 0; i < N_WEIGHTS; i++) {
    weights[i] = good_weights[i];
    weights[i].name = gguf_names[i];
    lb__gguf_add_tensor(w, &weights[i]);
  }
  assert_int_equal(lb__gguf_writer_save(w, path, ones, weights, NULL), LB_OK);
  lb__gguf_writer_free(w);
}

/* Counts that others used before they looked (llama.cpp#25821: block_count beyond an array). */
static const struct bad_key {
  const char *name;
  gguf_key key;
  lb_status status;
  const char *says;
} bad_keys[] = {
    {"no layers", {"llama.block_count", 0}, LB_E_FORMAT, "the number of layers is 0"},
    {"layers beyond any array", {"llama.block_count", 100000}, LB_E_FORMAT, "of layers is 100000"},
    {"layers of 31 bits", {"llama.block_count", INT32_MAX}, LB_E_FORMAT, "of layers is 2147483647"},
    {"negative layers", {"llama.block_count", -1}, LB_E_FORMAT, "the number of layers is -1"},
    {"layers that are not there", {"llama.block_count", 2}, LB_E_FORMAT, "'blk.1."},
    {"no width", {"llama.embedding_length", 0}, LB_E_FORMAT, "the hidden size is 0"},
    {"negative width", {"llama.embedding_length", INT32_MIN}, LB_E_FORMAT, "the hidden size is -"},
    {"width of another file",
     {"llama.embedding_length", 8},
     LB_E_SHAPE,
     "token_embd.weight: want [8,8]"},
    {"no heads", {"llama.attention.head_count", 0}, LB_E_FORMAT, "attention heads is 0"},
    {"heads that do not divide",
     {"llama.attention.head_count", 3},
     LB_E_SHAPE,
     "blk.0.attn_q.weight: want ["},
    {"no key-value heads", {"llama.attention.head_count_kv", 0}, LB_E_FORMAT, "key-value heads"},
    {"negative key-value heads", {"llama.attention.head_count_kv", -2}, LB_E_FORMAT, "is -2"},
    {"odd head", {"llama.attention.key_length", 3}, LB_E_UNSUPPORTED, "want them equal"},
    {"inner width of 0", {"llama.feed_forward_length", 0}, LB_E_FORMAT, "intermediate size is 0"},
    {"no positions", {"llama.context_length", 0}, LB_E_FORMAT, "the number of positions is 0"},
    {"negative positions", {"llama.context_length", -1}, LB_E_FORMAT, "positions is -1"},
    {"negative window", {"llama.attention.sliding_window", -1}, LB_E_FORMAT, "window of -1"},
    {"experts", {"llama.expert_count", 8}, LB_E_UNSUPPORTED, "mixtures of experts (8)"},
};

static void refuses_bad_keys(void **state) {
  (void)state;
  lb_error err = {0};
  lb_model *m;
  char *path = in_folder("x.gguf");
  write_gguf(path, &good_keys[0]);
  if (lb_model_open(&m, path, NULL, &err) != LB_OK) fail_msg("%s", err.message);
  lb_model_free(m);
  for (size_t k = 0; k < sizeof bad_keys / sizeof bad_keys[0]; k++) {
    const struct bad_key *b = &bad_keys[k];
    write_gguf(path, &b->key);
    lb_status st = lb_model_open(&m, path, NULL, &err);
    if (st != b->status || strstr(err.message, b->says) == NULL ||
        strncmp(err.message, path, strlen(path)) != 0)
      fail_msg("%s: status %d '%s', want %d with '%s'", b->name, st, err.message, b->status,
               b->says);
    assert_null(m);
  }
  unlink(path);
  lb__free(path);
}

/* Each weight missing, of another shape, or of another type is an error that names it. */
static void refuses_bad_weights(void **state) {
  (void)state;
  for (size_t k = 0; k < N_WEIGHTS; k++) {
    lb__tensor_decl weights[N_WEIGHTS];
    lb_error err;
    lb_model *m;
    memcpy(weights, good_weights, sizeof weights);
    weights[k] = weights[N_WEIGHTS - 1];
    write_folder(good_config, weights, N_WEIGHTS - 1);
    assert_int_equal(lb_model_open(&m, folder, NULL, &err), LB_E_FORMAT);
    assert_non_null(strstr(err.message, good_weights[k].name));
    memcpy(weights, good_weights, sizeof weights);
    weights[k].shape[0] += 1;
    write_folder(good_config, weights, N_WEIGHTS);
    assert_int_equal(lb_model_open(&m, folder, NULL, &err), LB_E_SHAPE);
    assert_non_null(strstr(err.message, good_weights[k].name));
    memcpy(weights, good_weights, sizeof weights);
    weights[k].dtype = LB_DTYPE_I32;
    write_folder(good_config, weights, N_WEIGHTS);
    assert_int_equal(lb_model_open(&m, folder, NULL, &err), LB_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, good_weights[k].name));
  }
}

static void forward_checks_ids_and_positions(void **state) {
  (void)state;
  lb_error err;
  lb_model *m;
  write_folder(good_config, good_weights, N_WEIGHTS);
  assert_int_equal(lb_model_open(&m, folder, NULL, &err), LB_OK);
  static const struct {
    int32_t id, position;
    lb_status status;
  } cases[] = {
      {7, 15, LB_OK}, {8, 0, LB_E_ARG}, {-1, 0, LB_E_ARG}, {0, 16, LB_E_ARG}, {0, -1, LB_E_ARG}};
  for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
    lb__stream s;
    lb_tensor *hidden;
    lb__batch batch = {1, 1, &cases[k].id, &cases[k].position, (int32_t[]){0, 1}, NULL};
    lb__model_stream_init(&s, m);
    assert_int_equal(lb__model_hidden(&hidden, m, &s, &batch, &err), cases[k].status);
    lb__stream_deinit(&s);
  }
  lb_model_free(m);
}

/* Documents laid end to end see only themselves: the same hidden states as each alone. */
static void documents_do_not_mix(void **state) {
  (void)state;
  static const int32_t ids[] = {1, 5, 2, 7, 3, 3}, positions[] = {0, 1, 0, 1, 2, 3};
  static const int32_t starts[] = {0, 2, 6};
  lb_error err;
  lb_model *m;
  float together[6 * 4], alone[4 * 4];
  write_folder(good_config, good_weights, N_WEIGHTS);
  assert_int_equal(lb_model_open(&m, folder, NULL, &err), LB_OK);
  lb__stream s;
  lb_tensor *hidden;
  lb__model_stream_init(&s, m);
  lb__batch both = {6, 2, ids, positions, starts, NULL};
  assert_int_equal(lb__model_hidden(&hidden, m, &s, &both, &err), LB_OK);
  assert_int_equal(lb__tensor_read(hidden, 0, together, sizeof together, &err), LB_OK);
  lb__stream_reset(&s);
  lb__batch second = {4, 1, ids + 2, positions + 2, (int32_t[]){0, 4}, NULL};
  assert_int_equal(lb__model_hidden(&hidden, m, &s, &second, &err), LB_OK);
  assert_int_equal(lb__tensor_read(hidden, 0, alone, sizeof alone, &err), LB_OK);
  for (int i = 0; i < 16; i++) assert_float_equal(together[8 + i], alone[i], 1e-6f);
  lb__stream_deinit(&s);
  lb_model_free(m);
}

static void permutation_is_its_inverse(void **state) {
  (void)state;
  for (int64_t d = 2; d <= 16; d += 2) {
    bool seen[32] = {false};
    for (int64_t r = 0; r < 2 * d; r++) {
      int64_t p = lb__permuted_row(r, d);
      assert_in_range(p, 0, 2 * d - 1);
      assert_int_equal(p / d, r / d); /* stays in its head */
      assert_false(seen[p]);
      seen[p] = true;
    }
  }
  assert_int_equal(lb__permuted_row(0, 8), 0); /* (j, j + 4) become neighbours */
  assert_int_equal(lb__permuted_row(4, 8), 1);
  assert_int_equal(lb__permuted_row(1, 8), 2);
}

/* Every weight that a family has carries a name in both of its formats. */
static void every_weight_has_names(void **state) {
  (void)state;
  const lb__family *f;
  for (size_t i = 0; (f = lb__family_at(i)) != NULL; i++) {
    lb__model_config c = {
        .family = f, .qkv_bias = f->qkv_bias, .o_bias = f->o_bias, .mlp_bias = f->mlp_bias};
    for (lb__weight w = 0; w < LB__N_WEIGHTS; w++) {
      bool optional;
      if (!lb__model_has_weight(&c, w, &optional)) continue;
      assert_true(lb__weight_rows[w].gguf[0] != '\0');
      assert_true(lb__weight_rows[w].hf[f->names][0] != '\0');
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(opens_and_tells_facts),
      cmocka_unit_test(refuses_bad_configs),
      cmocka_unit_test(refuses_bad_keys),
      cmocka_unit_test(refuses_bad_weights),
      cmocka_unit_test(forward_checks_ids_and_positions),
      cmocka_unit_test(documents_do_not_mix),
      cmocka_unit_test(permutation_is_its_inverse),
      cmocka_unit_test(every_weight_has_names),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

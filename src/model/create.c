/* create.c - lb_create: a folder of random weights. See model_create.h.
 * Owns: how each kind of weight begins, and which random number is whose. The files around the
 * weights are the converter's (convert_folder.c). Read next: create_shape.c. */
#include "model_create.h"
#include "convert_internal.h"

#include "base/random.h"
#include "base/system_memory.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "text/tokenizer_convert.h"

#include <math.h>

enum { CHUNK = 1 << 20, GRAIN = 1 << 12, CONFIG_SIZE_MAX = 16 << 20 };

typedef struct new_weight {
  char name[LB__WEIGHT_NAME_SIZE];
  double deviation; /* 0: `constant` everywhere */
  float constant;
  uint64_t stream;
} new_weight;

typedef struct creation {
  const lb_create_options *options;
  const char *to;
  lb__model_config config;
  double range; /* initializer_range */
  new_weight *weights;
  lb__tensor_decl *decls;
  size_t n, done;
  uint64_t elements;
} creation;

lb_create_options lb_create_options_default(void) {
  return (lb_create_options){0};
}

/* ---- how a weight begins ---- */

static bool is_norm(lb__weight w) {
  return strstr(lb__weight_rows[w].gguf, "norm.weight") != NULL;
}

/* As PreTrainedModel._init_weights of Transformers 5.23 does, and GPT2PreTrainedModel's. */
static void choose_values(new_weight *n, const creation *c, lb__weight w) {
  bool is_residual = w == LB__W_O || w == LB__W_DOWN;
  if (lb__weight_is_matrix(w))
    n->deviation = c->range;
  else if (is_norm(w) && !c->config.family->norm_plus_one)
    n->constant = 1.0f;
  if (is_residual && c->config.family->keys == LB__KEYS_GPT2)
    n->deviation /= sqrt(2.0 * (double)c->config.n_layers);
}

/* FNV-1a: a stream of its own for each name. */
static uint64_t hash_of(const char *name) {
  uint64_t h = 0xCBF29CE484222325U;
  for (const char *at = name; *at != '\0'; at++) h = (h ^ (unsigned char)*at) * 0x100000001B3U;
  return h;
}

/* ---- the list ---- */

static lb_status add_weight(creation *c, lb__weight w, int64_t layer, lb_error *err) {
  const lb__family *f = c->config.family;
  const char *prefix = f->names == LB__NAMES_GPT2 ? "transformer." : "model.";
  bool optional = false;
  if (!lb__model_has_weight(&c->config, w, &optional) || optional) return LB_OK;
  new_weight *n = &c->weights[c->n];
  lb__tensor_decl *d = &c->decls[c->n];
  *n = (new_weight){0};
  lb__weight_hf_name(n->name, w, layer, f->names, prefix);
  n->stream = hash_of(n->name);
  choose_values(n, c, w);
  int64_t rows = lb__model_extent(&c->config, lb__weight_rows[w].rows),
          cols = lb__model_extent(&c->config, lb__weight_rows[w].cols), elements;
  bool is_turned = lb__weight_is_conv1d(f, w);
  *d = (lb__tensor_decl){.name = n->name,
                         .dtype = c->options->has_dtype ? c->options->dtype : LB_DTYPE_F32,
                         .rank = lb__weight_is_matrix(w) ? 2 : 1,
                         .shape = {is_turned ? cols : rows, is_turned ? rows : cols}};
  if (!lb__stored_elements(&elements, d->rank, d->shape) ||
      __builtin_add_overflow(c->elements, (uint64_t)elements, &c->elements))
    return lb__fail(err, LB_E_LIMIT, "%s: more elements than can be counted", n->name);
  c->n++;
  return LB_OK;
}

static lb_status list_weights(creation *c, lb_error *err) {
  size_t most = LB__FIRST_LAYER_WEIGHT + (size_t)c->config.n_layers * LB__N_LAYER_WEIGHTS;
  c->weights = lb__alloc_array(most, sizeof *c->weights);
  c->decls = lb__alloc_array(most, sizeof *c->decls);
  if (c->weights == NULL || c->decls == NULL) return lb__fail_nomem(err, "the list of weights");
  lb_status st = LB_OK;
  for (lb__weight w = 0; w < LB__FIRST_LAYER_WEIGHT && st == LB_OK; w++)
    st = add_weight(c, w, 0, err);
  for (int64_t layer = 0; layer < c->config.n_layers; layer++)
    for (lb__weight w = LB__FIRST_LAYER_WEIGHT; w < LB__N_WEIGHTS && st == LB_OK; w++)
      st = add_weight(c, w, layer, err);
  return st;
}

/* ---- pouring ---- */

typedef struct draw {
  const new_weight *weight;
  uint64_t seed, first; /* element of the tensor */
  float *values;
} draw;

static void draw_range(void *ctx, int64_t begin, int64_t end) {
  const draw *d = ctx;
  lb__random_key key = {d->seed, LB__PURPOSE_WEIGHTS};
  const new_weight *w = d->weight;
  for (int64_t i = begin; i < end; i++)
    d->values[i] =
        w->deviation == 0.0
            ? w->constant
            : (float)(w->deviation * lb__random_normal(key, w->stream, d->first + (uint64_t)i));
}

static lb_status pour(const creation *c, size_t index, lb_tensor *wide, float *values,
                      int64_t elements, lb__sink *sink, lb_error *err) {
  int64_t chunk = wide->shape[0];
  lb__moved_weight as_moved = {.dtype = c->decls[index].dtype, .gain = 1.0f};
  lb_status st = LB_OK;
  for (int64_t begin = 0; begin < elements && st == LB_OK; begin += chunk) {
    int64_t n = elements - begin < chunk ? elements - begin : chunk;
    draw d = {&c->weights[index], c->options->seed, (uint64_t)begin, values};
    lb_tensor part = lb__tensor_rows(wide, 0, n);
    if (c->options->cancel != NULL && *c->options->cancel != 0)
      return lb__fail(err, LB_E_CANCELLED, "%s: stopped", c->to);
    lb__parallel_for(n, GRAIN, draw_range, &d);
    st = lb__tensor_write(&part, 0, values, (size_t)n * sizeof *values, err);
    if (st == LB_OK) st = lb__pour_wide(&as_moved, &part, sink, err);
  }
  return st;
}

static lb_status fill(void *ctx, size_t index, lb__sink *sink, lb_error *err) {
  creation *c = ctx;
  const lb__tensor_decl *d = &c->decls[index];
  int64_t elements = d->shape[0] * (d->rank == 2 ? d->shape[1] : 1); /* fits: list_weights */
  int64_t chunk[1] = {elements < CHUNK ? elements : CHUNK};
  lb_tensor wide = {0};
  float *values = lb__alloc_array((size_t)chunk[0], sizeof *values);
  lb_status st = values != NULL ? LB_OK : lb__fail_nomem(err, "random numbers");
  if (st == LB_OK) st = lb__tensor_init(&wide, LB_DTYPE_F32, 1, chunk, err);
  if (st == LB_OK) st = pour(c, index, &wide, values, elements, sink, err);
  lb__tensor_deinit(&wide);
  lb__free(values);
  c->done++;
  if (st == LB_OK && c->options->on_progress != NULL)
    c->options->on_progress(c->options->on_progress_ctx, c->done, c->n, c->weights[index].name);
  return st;
}

/* ---- text ---- */

static lb_status check_tokenizer(const creation *c, lb_error *err) {
  lb_tokenizer *t;
  lb_status st = lb_tokenizer_open(&t, c->options->tokenizer, err);
  if (st != LB_OK) return lb__fail_prefix(err, st, "tokenizer");
  int32_t size = lb_tokenizer_size(t);
  lb_tokenizer_free(t);
  if (size <= c->config.vocab_size) return LB_OK;
  return lb__fail(err, LB_E_ARG,
                  "vocab_size %lld is too small: the tokenizer of '%s' has %d tokens",
                  (long long)c->config.vocab_size, c->options->tokenizer, (int)size);
}

static lb_status copy_from_gguf(const creation *c, const char *file, lb_error *err) {
  lb__conversion from = {.to = c->to};
  lb_tokenizer *t = NULL;
  lb_status st = lb__checkpoint_open(&from.source, file, err);
  if (st == LB_OK) st = lb__model_config_read(&from.config, from.source, err);
  if (st == LB_OK) st = lb__tokenizer_from_gguf(&t, lb__checkpoint_gguf(from.source), err);
  if (st == LB_OK) st = lb__conversion_write_text(&from, t, err);
  lb_tokenizer_free(t);
  lb__conversion_deinit(&from);
  return st;
}

static lb_status copy_text(const creation *c, lb_error *err) {
  lb__model_place place = {0};
  lb_status st = lb__hf_folder_remove_text_files(c->to, err);
  if (st != LB_OK || c->options->tokenizer == NULL) return st;
  st = lb__model_place_find(&place, c->options->tokenizer, err);
  if (st == LB_OK)
    st = place.kind == LB__MODEL_GGUF ? copy_from_gguf(c, place.file, err)
                                      : lb__hf_folder_copy_files(c->to, place.folder, err);
  lb__model_place_deinit(&place);
  return st;
}

/* ---- all of it ---- */

static lb_status check_dtype(const creation *c, lb_error *err) {
  const lb_create_options *o = c->options;
  if (!o->has_dtype || o->dtype == LB_DTYPE_F32 || o->dtype == LB_DTYPE_F16 ||
      o->dtype == LB_DTYPE_BF16)
    return LB_OK;
  return lb__fail(err, LB_E_ARG, "%s: cannot write %s; want F32, F16 or BF16", c->to,
                  lb_dtype_name(o->dtype));
}

static lb_status check_output(const creation *c, lb_error *err) {
  if (lb__path_is_file(c->to) || lb__path_ends_with(c->to, ".gguf"))
    return lb__fail(err, LB_E_ARG, "'%s': a folder is to be written", c->to);
  char *path = lb__path_join(c->to, "config.json");
  if (path == NULL) return lb__fail_nomem(err, "a path");
  bool exists = lb__path_is_file(path);
  lb__free(path);
  return exists && !c->options->overwrite
             ? lb__fail(err, LB_E_ARG, "'%s' exists already; choose another folder", c->to)
             : LB_OK;
}

/* Numbers that a typing error made a thousand times too large must not fill the disk first. */
static lb_status check_room(const creation *c, lb_error *err) {
  uint64_t bytes, room = lb__system_disk_available(c->to);
  if (__builtin_mul_overflow(c->elements, (uint64_t)lb_dtype_block_bytes(c->decls[0].dtype),
                             &bytes))
    bytes = UINT64_MAX;
  if (room == 0 || bytes <= room) return LB_OK;
  return lb__fail(err, LB_E_LIMIT,
                  "%s: a model of %.0f million parameters takes %.2f GB and %.2f GB are free",
                  c->to, 1e-6 * (double)c->elements, 1e-9 * (double)bytes, 1e-9 * (double)room);
}

static lb_status read_config(creation *c, json_t *config, const char *name, lb_error *err) {
  lb_status st = lb__model_config_parse(&c->config, config, name, err);
  c->range = 0.02;
  if (st == LB_OK && lb__hf_text_config(config) != config)
    st = lb__fail(err, LB_E_UNSUPPORTED, "%s: want the configuration of a text model alone", name);
  if (st == LB_OK) st = lb__json_get_real(&c->range, config, "initializer_range", false, name, err);
  if (st == LB_OK && !(c->range > 0.0 && c->range < 100.0))
    st = lb__fail(err, LB_E_FORMAT, "%s: initializer_range: want a number above 0, found %g", name,
                  c->range);
  return st == LB_OK ? list_weights(c, err) : st;
}

static void creation_deinit(creation *c) {
  lb__model_config_deinit(&c->config);
  lb__free(c->weights);
  lb__free(c->decls);
}

lb_status lb__create_estimate(uint64_t *elements, json_t *config, const char *name, lb_error *err) {
  static const lb_create_options none = {0};
  creation c = {.options = &none, .to = name};
  lb_status st = read_config(&c, config, name, err);
  *elements = c.elements;
  creation_deinit(&c);
  return st;
}

static lb_status write_all(creation *c, json_t *config, lb_error *err) {
  bool is_new = !lb__path_is_folder(c->to);
  lb_status st = lb__hf_dtype_write(config, c->decls[0].dtype, err);
  if (st == LB_OK) st = lb__folder_make(c->to, err);
  if (st == LB_OK)
    st = lb__safetensors_save_folder(c->to, c->decls, c->n, c->options->max_shard_size, fill, c,
                                     err);
  if (st == LB_OK) st = copy_text(c, err);
  if (st == LB_OK) st = lb__hf_config_write(c->to, config, err); /* last: now it is a model */
  if (st != LB_OK && is_new) (void)lb__folder_remove(c->to, NULL);
  return st;
}

lb_status lb__create(json_t *config, const char *name, const char *to,
                     const lb_create_options *options, lb_error *err) {
  static const lb_create_options none = {0};
  creation c = {.options = options != NULL ? options : &none, .to = to};
  lb_status st = lb__kernels_install(err);
  if (st == LB_OK) st = check_dtype(&c, err);
  if (st == LB_OK) st = check_output(&c, err);
  if (st == LB_OK) st = read_config(&c, config, name, err);
  if (st == LB_OK && c.options->tokenizer != NULL) st = check_tokenizer(&c, err);
  if (st == LB_OK) st = check_room(&c, err);
  if (st == LB_OK) st = write_all(&c, config, err);
  creation_deinit(&c);
  return st;
}

lb_status lb_create(const char *config, const char *to, const lb_create_options *options,
                    lb_error *err) {
  json_t *j = NULL;
  char *file =
      lb__path_is_folder(config) ? lb__path_join(config, "config.json") : lb__strdup(config);
  lb_status st =
      file != NULL ? lb__json_read(&j, file, CONFIG_SIZE_MAX, err) : lb__fail_nomem(err, "a path");
  if (st == LB_OK) st = lb__create(j, file, to, options, err);
  json_decref(j);
  lb__free(file);
  return st;
}

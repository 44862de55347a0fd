/* shrink.c - lb_shrink: a conversion to a folder in which layer i is another layer of the source,
 * and narrower. Owns: choosing layers, refusing choices, and what config.json says of single
 * layers. Widths are shrink_width.c's, the writing is the converter's (convert_folder.c). Read
 * next: lb_shrink at the end. */
#include "convert_internal.h"

lb_shrink_options lb_shrink_options_default(void) {
  return (lb_shrink_options){0};
}

/* ---- choosing ---- */

bool lb_shrink_choose(int64_t *chosen, int64_t n_keep, int64_t n_layers) {
  if (n_keep < 1 || n_keep > n_layers) return false;
  int64_t gaps = n_keep > 1 ? n_keep - 1 : 1;
  for (int64_t i = 0; i < n_keep; i++) chosen[i] = (2 * i * (n_layers - 1) + gaps) / (2 * gaps);
  return true;
}

/* What is said of a teacher whose layers are chosen. */
typedef struct layers_of {
  const char *name;
  int64_t n;
} layers_of;

static lb_status check_count(int64_t n_keep, layers_of teacher, lb_error *err) {
  if (n_keep >= 1 && n_keep <= teacher.n) return LB_OK;
  return lb__fail(err, LB_E_ARG, "layers: %s has %lld, want to keep 1 to %lld of them, not %lld",
                  teacher.name, (long long)teacher.n, (long long)teacher.n, (long long)n_keep);
}

static lb_status check_layers(const int64_t *layers, int64_t n, layers_of teacher, lb_error *err) {
  for (int64_t i = 0; i < n; i++) {
    if (layers[i] < 0 || layers[i] >= teacher.n)
      return lb__fail(err, LB_E_ARG, "layers: layer %lld: %s has layers 0 to %lld",
                      (long long)layers[i], teacher.name, (long long)teacher.n - 1);
    if (i > 0 && layers[i] <= layers[i - 1])
      return lb__fail(err, LB_E_ARG,
                      "layers: %lld comes after %lld; want them rising, each at most once",
                      (long long)layers[i], (long long)layers[i - 1]);
  }
  return LB_OK;
}

static lb_status choose_by_influence(int64_t *chosen, int64_t n, const lb_shrink_options *o,
                                     layers_of teacher, lb_error *err) {
  if (o->importance == NULL)
    return lb__fail(err, LB_E_ARG,
                    "layers: those of the largest influence are wanted, and it was not measured; "
                    "give a calibration text");
  if (o->importance->n_layers != teacher.n)
    return lb__fail(err, LB_E_ARG, "layers: %s has %lld, their influence was measured on %lld",
                    teacher.name, (long long)teacher.n, (long long)o->importance->n_layers);
  return lb__keep_largest(chosen, n, o->importance->layers, teacher.n, "influence of layers", err);
}

static lb_status choose_at_random(int64_t *chosen, int64_t n, const lb_shrink_options *o,
                                  layers_of teacher, lb_error *err) {
  double *scores = lb__alloc_array((size_t)teacher.n, sizeof *scores);
  if (scores == NULL) return lb__fail_nomem(err, "the list of layers");
  lb__draw_scores(scores, teacher.n, o->seed, LB__DRAW_LAYERS, 0);
  lb_status st = lb__keep_largest(chosen, n, scores, teacher.n, "random numbers", err);
  lb__free(scores);
  return st;
}

static lb_status choose_number(int64_t *chosen, int64_t n, const lb_shrink_options *o,
                               layers_of teacher, lb_error *err) {
  lb_status st = check_count(n, teacher, err);
  if (st != LB_OK) return st;
  switch (o->layer_selection) {
  case LB_LAYERS_INFLUENCE: return choose_by_influence(chosen, n, o, teacher, err);
  case LB_LAYERS_RANDOM: return choose_at_random(chosen, n, o, teacher, err);
  case LB_LAYERS_UNIFORM: (void)lb_shrink_choose(chosen, n, teacher.n); return LB_OK;
  }
  return lb__fail(err, LB_E_ARG, "layers: layer_selection %d is none", (int)o->layer_selection);
}

/* chosen [teacher.n] */
static lb_status choose_layers(int64_t *chosen, int64_t *n, const lb_shrink_options *o,
                               layers_of teacher, lb_error *err) {
  bool is_list = o->layers != NULL;
  if (is_list && (o->n_layers != 0 || o->layer_selection != LB_LAYERS_UNIFORM))
    return lb__fail(err, LB_E_ARG,
                    "layers: want how many to keep and how to choose them, or which ones, not "
                    "both");
  *n = is_list ? (int64_t)o->n_chosen : o->n_layers != 0 ? o->n_layers : teacher.n;
  if (!is_list) return choose_number(chosen, *n, o, teacher, err);
  lb_status st = check_count(*n, teacher, err);
  if (st != LB_OK) return st;
  memcpy(chosen, o->layers, (size_t)*n * sizeof *chosen);
  return check_layers(chosen, *n, teacher, err);
}

lb_status lb_shrink_layers(int64_t *chosen, int64_t *n, const lb_shrink_options *options,
                           int64_t n_layers, lb_error *err) {
  *n = 0;
  return choose_layers(chosen, n, options, (layers_of){"the teacher", n_layers}, err);
}

/* GPT-2's scale_attn_by_inverse_layer_idx: attention of layer i is divided by i + 1, so a layer
 * under another number would be another layer. */
static lb_status check_numbers(const int64_t *layers, int64_t n, const lb__conversion *c,
                               lb_error *err) {
  for (int64_t i = 0; i < n && c->config.scale_by_layer; i++)
    if (layers[i] != i)
      return lb__fail(err, LB_E_UNSUPPORTED,
                      "%s: scale_attn_by_inverse_layer_idx: layer %lld cannot become layer %lld; "
                      "keep the first layers only",
                      lb__checkpoint_name(c->source), (long long)layers[i], (long long)i);
  return LB_OK;
}

static lb_status choose(lb__conversion *c, const lb_shrink_options *o, lb_error *err) {
  layers_of teacher = {lb__checkpoint_name(c->source), c->config.n_layers};
  c->layers = lb__alloc_array((size_t)teacher.n, sizeof *c->layers);
  if (c->layers == NULL) return lb__fail_nomem(err, "the list of layers");
  lb_status st = choose_layers(c->layers, &c->n_chosen, o, teacher, err);
  return st == LB_OK ? check_numbers(c->layers, c->n_chosen, c, err) : st;
}

/* ---- config.json ---- */

/* A list with one element for each of the source's layers: layer_types, no_rope_layers, ... */
static bool is_per_layer(const char *key, const json_t *value, size_t n_layers) {
  return json_is_array(value) && json_array_size(value) == n_layers && strstr(key, "layer") != NULL;
}

static json_t *cut_list(const json_t *list, const lb__conversion *c) {
  json_t *cut = json_array();
  for (int64_t i = 0; i < c->n_chosen; i++)
    json_array_append(cut, json_array_get(list, (size_t)c->layers[i]));
  return cut;
}

/* Which of the kept layers slide can no longer be said by a rule over their numbers. */
static lb_status write_layer_types(json_t *config, const lb__conversion *c, lb_error *err) {
  json_t *types = json_array();
  for (int64_t i = 0; i < c->n_chosen; i++) {
    bool slides = c->config.is_sliding[c->layers[i]];
    json_array_append_new(types, json_string(slides ? "sliding_attention" : "full_attention"));
  }
  (void)json_object_del(config, "sliding_window_pattern");
  (void)json_object_del(config, "_sliding_window_pattern");
  (void)json_object_del(config, "max_window_layers");
  bool is_whole = json_array_size(types) == (size_t)c->n_chosen;
  return json_object_set_new(config, "layer_types", types) == 0 && is_whole
             ? LB_OK
             : lb__fail_nomem(err, "config.json");
}

lb_status lb__conversion_cut_config(json_t *config, const lb__conversion *c, lb_error *err) {
  bool is_gpt2 = c->config.family->keys == LB__KEYS_GPT2;
  const char *key;
  json_t *value;
  void *next;
  int failed = 0;
  json_object_foreach_safe(config, next, key, value) {
    if (!is_per_layer(key, value, (size_t)c->config.n_layers)) continue;
    json_t *cut = cut_list(value, c);
    failed |= json_array_size(cut) != (size_t)c->n_chosen || json_object_set(config, key, cut);
    json_decref(cut);
  }
  failed |= json_object_set_new(config, is_gpt2 ? "n_layer" : "num_hidden_layers",
                                json_integer(c->n_chosen));
  if (failed != 0) return lb__fail_nomem(err, "config.json");
  lb_status st = c->cut != NULL ? lb__cut_config(config, c->cut, &c->config, err) : LB_OK;
  if (st != LB_OK) return st;
  lb__window_rule rule = c->config.family->window;
  bool by_number = rule == LB__WINDOW_PATTERN || rule == LB__WINDOW_QWEN;
  bool is_cut = c->n_chosen < c->config.n_layers; /* else the rule still holds */
  return is_cut && by_number && c->config.sliding_window > 0 ? write_layer_types(config, c, err)
                                                             : LB_OK;
}

/* ---- all of it ---- */

static lb_status check_target(const char *to, const lb_shrink_options *o, lb_error *err) {
  if (lb__path_ends_with(to, ".gguf"))
    return lb__fail(err, LB_E_ARG,
                    "'%s': a folder is written, for training; limbeck convert makes a GGUF of it",
                    to);
  if (!o->has_dtype || o->dtype == LB_DTYPE_F32 || o->dtype == LB_DTYPE_F16 ||
      o->dtype == LB_DTYPE_BF16)
    return LB_OK;
  return lb__fail(err, LB_E_ARG, "%s: cannot write %s; want F32, F16 or BF16", to,
                  lb_dtype_name(o->dtype));
}

lb_status lb_shrink(const char *teacher, const char *to, const lb_shrink_options *options,
                    lb_error *err) {
  lb_shrink_options defaults = lb_shrink_options_default();
  const lb_shrink_options *o = options != NULL ? options : &defaults;
  lb_convert_options as_conversion = {.has_dtype = o->has_dtype,
                                      .dtype = o->dtype,
                                      .max_shard_size = o->max_shard_size,
                                      .overwrite = o->overwrite,
                                      .on_progress = o->on_progress,
                                      .on_progress_ctx = o->on_progress_ctx,
                                      .cancel = o->cancel};
  lb__cut cut = {0};
  lb__trim trim = {0};
  lb__conversion c = {.options = &as_conversion, .to = to, .cut = &cut};
  lb_status st = check_target(to, o, err);
  if (st == LB_OK) st = lb__conversion_open(&c, teacher, err);
  if (st == LB_OK) st = choose(&c, o, err);
  if (st == LB_OK) st = lb__cut_choose(&cut, &c, o, err);
  if (st == LB_OK) st = lb__trim_choose(&trim, &c, o, err);
  if (st == LB_OK && trim.rows != NULL) {
    cut.shared[LB__EXTENT_V] = (lb__kept){trim.rows, trim.cut.n};
    c.trim = &trim;
  }
  if (st == LB_OK) st = lb__conversion_write(&c, err);
  lb__cut_deinit(&cut);
  lb__trim_deinit(&trim);
  lb__conversion_deinit(&c);
  return st;
}

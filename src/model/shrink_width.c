/* shrink_width.c - which channels, heads and neurons a shrunk model keeps.
 *
 * Owns: the sizes that a family can have, choosing by importance or at random, and what must be
 * done to norms so that fewer channels do not change their scale. Refuses: measuring importance
 * (evaluate/importance.c) and moving weights (convert_weights.c), which follow the lists made here.
 * Read next: lb__cut_choose at the end. */
#include "convert_internal.h"

#include "base/random.h"

#include <math.h>
#include <stdlib.h>

/* ---- the largest of some scores ---- */

typedef struct ranked {
  double score;
  int64_t at;
} ranked;

static int by_score(const void *a, const void *b) {
  const ranked *x = a, *y = b;
  if (x->score != y->score) return x->score > y->score ? -1 : 1;
  return x->at < y->at ? -1 : x->at > y->at;
}

static int by_place(const void *a, const void *b) {
  const int64_t *x = a, *y = b;
  return *x < *y ? -1 : *x > *y;
}

lb_status lb__keep_largest(int64_t *chosen, int64_t n_keep, const double *scores, int64_t n,
                           const char *what, lb_error *err) {
  ranked *all = lb__alloc_array((size_t)n, sizeof *all);
  lb_status st = all != NULL ? LB_OK : lb__fail_nomem(err, what);
  for (int64_t i = 0; i < n && st == LB_OK; i++) {
    all[i] = (ranked){scores[i], i};
    if (!isfinite(scores[i]))
      st = lb__fail(err, LB_E_NUMERIC, "%s: number %lld is not finite", what, (long long)i);
  }
  if (st == LB_OK) {
    qsort(all, (size_t)n, sizeof *all, by_score);
    for (int64_t i = 0; i < n_keep; i++) chosen[i] = all[i].at;
    qsort(chosen, (size_t)n_keep, sizeof *chosen, by_place);
  }
  lb__free(all);
  return st;
}

void lb__draw_scores(double *scores, int64_t n, uint64_t seed, lb__draw what, int64_t layer) {
  lb__random_key key = {seed, LB__PURPOSE_SHRINK};
  uint64_t step = (uint64_t)what << 32 | (uint64_t)layer;
  for (int64_t i = 0; i < n; i++) scores[i] = lb__random_uniform(key, step, (uint64_t)i);
}

/* ---- sizes ---- */

static lb_status take_size(int64_t *out, int64_t wanted, int64_t has, const char *what,
                           const char *name, lb_error *err) {
  *out = wanted != 0 ? wanted : has;
  if (*out >= 1 && *out <= has) return LB_OK;
  return lb__fail(err, LB_E_ARG, "%s: %s has %lld, want to keep 1 to %lld of them, not %lld", what,
                  name, (long long)has, (long long)has, (long long)wanted);
}

/* Heads and groups where only one of them is said, or none. */
static void fill_in_heads(int64_t *heads, int64_t *groups, const lb__model_config *m) {
  int64_t per_group = m->n_heads / m->n_kv_heads;
  if (*groups == 0) *groups = per_group == 1 && *heads != 0 ? *heads : m->n_kv_heads;
  if (*heads == 0 && *groups > 0 && *groups <= m->n_kv_heads) *heads = *groups * per_group;
}

static lb_status take_heads(lb__cut *cut, const lb__model_config *m, const lb_shrink_options *o,
                            const char *name, lb_error *err) {
  int64_t heads = o->n_heads, groups = o->n_kv_heads, per_group = m->n_heads / m->n_kv_heads;
  fill_in_heads(&heads, &groups, m);
  lb_status st = take_size(&cut->n_heads, heads, m->n_heads, "heads", name, err);
  if (st == LB_OK)
    st = take_size(&cut->n_kv_heads, groups, m->n_kv_heads, "key-value heads", name, err);
  if (st != LB_OK) return st;
  if (cut->n_heads % cut->n_kv_heads != 0)
    return lb__fail(err, LB_E_ARG,
                    "heads: %lld cannot share %lld key-value heads; want a multiple of them",
                    (long long)cut->n_heads, (long long)cut->n_kv_heads);
  if (cut->n_heads / cut->n_kv_heads > per_group)
    return lb__fail(
        err, LB_E_ARG,
        "heads: in %s %lld share a key-value head, so that %lld key-value heads keep at "
        "most %lld, not %lld",
        name, (long long)per_group, (long long)cut->n_kv_heads,
        (long long)(cut->n_kv_heads * per_group), (long long)cut->n_heads);
  return LB_OK;
}

/* What the family's configuration, or who reads it, cannot have. */
static lb_status check_family(const lb__cut *cut, const lb__model_config *m, const char *name,
                              lb_error *err) {
  int64_t C = cut->hidden_size, H = cut->n_heads;
  if (C == m->hidden_size && H == m->n_heads) return LB_OK;
  if (m->family->keys == LB__KEYS_GPT2 && C != H * m->head_dim)
    return lb__fail(
        err, LB_E_ARG,
        "%s: a %s has no head size of its own: %lld heads of %lld go with a hidden size "
        "of %lld, not %lld",
        name, m->family->name, (long long)H, (long long)m->head_dim, (long long)(H * m->head_dim),
        (long long)C);
  if (m->family->whole_heads && C % H != 0)
    return lb__fail(err, LB_E_ARG,
                    "%s: Transformers wants the hidden size of a %s to be a multiple of its heads: "
                    "%lld is none of %lld; %lld is",
                    name, m->family->name, (long long)C, (long long)H, (long long)(C / H * H + H));
  if (C != m->hidden_size && m->family->scaled_embedding && !m->family->sandwich_norms)
    return lb__fail(err, LB_E_UNSUPPORTED,
                    "%s: fewer channels of a %s would scale its embeddings otherwise", name,
                    m->family->name);
  return LB_OK;
}

static lb_status check_importance(const lb__cut *cut, const lb__model_config *m,
                                  const lb_shrink_options *o, const char *name, lb_error *err) {
  const lb_importance *seen = o->importance;
  bool cuts = cut->hidden_size < m->hidden_size || cut->n_heads < m->n_heads ||
              cut->intermediate_size < m->intermediate_size;
  if (seen == NULL && cuts && o->width_selection == LB_WIDTH_ACTIVATION)
    return lb__fail(err, LB_E_ARG,
                    "which channels, heads or neurons to keep: their importance is wanted, and it "
                    "was not measured; give a calibration text, or let them be drawn at random");
  if (seen != NULL &&
      (seen->n_layers != m->n_layers || seen->hidden_size != m->hidden_size ||
       seen->n_heads != m->n_heads || seen->intermediate_size != m->intermediate_size))
    return lb__fail(err, LB_E_ARG,
                    "importance: measured on another model: %lld layers of %lld channels, %lld "
                    "heads and %lld neurons; %s has %lld, %lld, %lld and %lld",
                    (long long)seen->n_layers, (long long)seen->hidden_size,
                    (long long)seen->n_heads, (long long)seen->intermediate_size, name,
                    (long long)m->n_layers, (long long)m->hidden_size, (long long)m->n_heads,
                    (long long)m->intermediate_size);
  return LB_OK;
}

static lb_status choose_sizes(lb__cut *cut, const lb__conversion *c, const lb_shrink_options *o,
                              lb_error *err) {
  const lb__model_config *m = &c->config;
  const char *name = lb__checkpoint_name(c->source);
  if (o->width_selection != LB_WIDTH_ACTIVATION && o->width_selection != LB_WIDTH_RANDOM)
    return lb__fail(err, LB_E_ARG, "width_selection %d is none", (int)o->width_selection);
  lb_status st =
      take_size(&cut->hidden_size, o->hidden_size, m->hidden_size, "hidden size", name, err);
  if (st == LB_OK)
    st = take_size(&cut->intermediate_size, o->intermediate_size, m->intermediate_size,
                   "intermediate size", name, err);
  if (st == LB_OK) st = take_heads(cut, m, o, name, err);
  if (st == LB_OK) st = check_family(cut, m, name, err);
  return st == LB_OK ? check_importance(cut, m, o, name, err) : st;
}

/* ---- lists ---- */

typedef struct choosing {
  lb__cut *cut;
  const lb__model_config *m;
  const lb_shrink_options *o;
  int64_t *next;           /* free part of cut->memory */
  double *scores, *groups; /* [most of anything], [G] */
  int64_t *heads, *kept;   /* [H'] and [G'] that one layer keeps */
  lb_error *err;
} choosing;

/* What is known of one kind of thing in one layer. */
static const double *scores_of(const choosing *g, lb__draw what, int64_t layer, int64_t n) {
  const lb_importance *seen = g->o->importance;
  if (g->o->width_selection == LB_WIDTH_RANDOM) {
    lb__draw_scores(g->scores, n, g->o->seed, what, layer);
    return g->scores;
  }
  if (what == LB__DRAW_CHANNELS) return seen->hidden;
  return (what == LB__DRAW_HEADS ? seen->heads : seen->neurons) + layer * n;
}

static lb__kept new_list(choosing *g, int64_t n) {
  lb__kept list = {g->next, n};
  g->next += n;
  return list;
}

static lb_status keep(choosing *g, lb__kept *out, lb__draw what, int64_t layer, int64_t n_keep,
                      int64_t n) {
  static const char *const names[] = {"layers", "channels", "heads", "neurons"};
  *out = new_list(g, n_keep);
  return lb__keep_largest(out->at, n_keep, scores_of(g, what, layer, n), n, names[what], g->err);
}

/* The best heads of each group, then the groups whose best are best. */
static lb_status keep_heads(choosing *g, int64_t layer) {
  const lb__model_config *m = g->m;
  int64_t per_group = m->n_heads / m->n_kv_heads, G = g->cut->n_kv_heads;
  int64_t n_each = g->cut->n_heads / G;
  const double *scores = scores_of(g, LB__DRAW_HEADS, layer, m->n_heads);
  lb_status st = LB_OK;
  for (int64_t j = 0; j < m->n_kv_heads && st == LB_OK; j++) {
    const double *own = scores + j * per_group;
    g->groups[j] = 0.0;
    st = lb__keep_largest(g->heads, n_each, own, per_group, "heads", g->err);
    for (int64_t i = 0; i < n_each && st == LB_OK; i++) g->groups[j] += own[g->heads[i]];
  }
  if (st == LB_OK) st = lb__keep_largest(g->kept, G, g->groups, m->n_kv_heads, "heads", g->err);
  for (int64_t j = 0; j < G && st == LB_OK; j++) {
    int64_t first = g->kept[j] * per_group, *heads = g->heads + j * n_each;
    st = lb__keep_largest(heads, n_each, scores + first, per_group, "heads", g->err);
    for (int64_t i = 0; i < n_each; i++) heads[i] += first;
  }
  return st;
}

/* The rows of a projection that belong to these heads, after `offset` others. */
static lb__kept rows_of_heads(choosing *g, const int64_t *heads, int64_t n, int64_t offset) {
  int64_t D = g->m->head_dim;
  lb__kept rows = new_list(g, n * D);
  for (int64_t h = 0; h < n; h++)
    for (int64_t d = 0; d < D; d++) rows.at[h * D + d] = offset + heads[h] * D + d;
  return rows;
}

static lb_status list_heads(choosing *g, lb__kept *lists, int64_t layer) {
  int64_t H = g->m->n_heads * g->m->head_dim, G = g->m->n_kv_heads * g->m->head_dim;
  const lb__cut *cut = g->cut;
  lb_status st = keep_heads(g, layer);
  if (st != LB_OK) return st;
  lists[LB__EXTENT_Q] = rows_of_heads(g, g->heads, cut->n_heads, 0);
  lists[LB__EXTENT_K] = rows_of_heads(g, g->kept, cut->n_kv_heads, 0);
  lb__kept fused = rows_of_heads(g, g->heads, cut->n_heads, 0);
  fused.n += rows_of_heads(g, g->kept, cut->n_kv_heads, H).n;
  fused.n += rows_of_heads(g, g->kept, cut->n_kv_heads, H + G).n;
  lists[LB__EXTENT_A] = fused;
  return LB_OK;
}

static lb_status list_layer(choosing *g, int64_t target, int64_t source) {
  lb__kept *lists = &g->cut->own[target * LB__N_EXTENTS];
  lb_status st = LB_OK;
  if (g->cut->intermediate_size < g->m->intermediate_size)
    st = keep(g, &lists[LB__EXTENT_F], LB__DRAW_NEURONS, source, g->cut->intermediate_size,
              g->m->intermediate_size);
  if (st == LB_OK && g->cut->n_heads < g->m->n_heads) st = list_heads(g, lists, source);
  return st;
}

/* Numbers in all lists: channels, and of each layer neurons and rows of q, k and the fused. */
static bool count_lists(size_t *out, const lb__cut *cut, const lb__model_config *m,
                        int64_t n_layers) {
  size_t heads, rows, own, all;
  return lb__ck_add(&heads, (size_t)cut->n_heads * 2, (size_t)cut->n_kv_heads * 3) &&
         lb__ck_mul(&rows, heads, (size_t)m->head_dim) &&
         lb__ck_add(&own, rows, (size_t)cut->intermediate_size) &&
         lb__ck_mul(&all, own, (size_t)n_layers) && lb__ck_add(out, all, (size_t)cut->hidden_size);
}

static bool make_room(choosing *g, int64_t n_layers) {
  size_t n, most = (size_t)g->m->hidden_size;
  if (!count_lists(&n, g->cut, g->m, n_layers)) return false;
  if (most < (size_t)g->m->intermediate_size) most = (size_t)g->m->intermediate_size;
  if (most < (size_t)g->m->n_heads) most = (size_t)g->m->n_heads;
  g->next = g->cut->memory = lb__alloc_array(n, sizeof *g->next);
  g->cut->own = lb__new_array((size_t)n_layers, LB__N_EXTENTS * sizeof *g->cut->own);
  g->scores = lb__alloc_array(most, sizeof *g->scores);
  g->groups = lb__alloc_array((size_t)g->m->n_kv_heads, sizeof *g->groups);
  g->heads = lb__alloc_array((size_t)g->m->n_heads, sizeof *g->heads);
  g->kept = lb__alloc_array((size_t)g->m->n_kv_heads, sizeof *g->kept);
  return g->next != NULL && g->cut->own != NULL && g->scores != NULL && g->groups != NULL &&
         g->heads != NULL && g->kept != NULL;
}

static lb_status choose_lists(lb__cut *cut, const lb__conversion *c, const lb_shrink_options *o,
                              lb_error *err) {
  choosing g = {.cut = cut, .m = &c->config, .o = o, .err = err};
  lb_status st = make_room(&g, c->n_chosen) ? LB_OK : lb__fail_nomem(err, "lists of what is kept");
  if (st == LB_OK && cut->hidden_size < c->config.hidden_size)
    st = keep(&g, &cut->shared[LB__EXTENT_C], LB__DRAW_CHANNELS, 0, cut->hidden_size,
              c->config.hidden_size);
  for (int64_t i = 0; i < c->n_chosen && st == LB_OK; i++) st = list_layer(&g, i, c->layers[i]);
  lb__free(g.scores);
  lb__free(g.groups);
  lb__free(g.heads);
  lb__free(g.kept);
  return st;
}

/* ---- norms ----
 * A norm divides by the root of the mean square of its C channels. Of C' kept channels that mean is
 * another: where the dropped ones held a share 1 - s of the sum of squares, it is C s / C' times as
 * large. The norm's gain times the root of that leaves the kept channels' outputs where they were,
 * exactly so for a token of this share; s is the mean over the calibration text. */

/* The norms in the order of lb_importance's shares. */
static const lb__weight layer_norms[LB_IMPORTANCE_LAYER_NORMS] = {
    LB__W_ATTN_NORM, LB__W_POST_ATTN_NORM, LB__W_MLP_NORM, LB__W_POST_MLP_NORM};

static double kept_share(const double *shares, const lb__cut *cut, const lb__model_config *m) {
  lb__kept kept = cut->shared[LB__EXTENT_C];
  double all = 0.0, sum = 0.0;
  for (int64_t c = 0; c < m->hidden_size; c++) all += shares[c];
  for (int64_t i = 0; i < kept.n; i++) sum += shares[kept.at[i]];
  return all > 0.0 ? sum / all : 0.0; /* 0: never seen */
}

static double norm_gain(const lb_importance *seen, int64_t norm, const lb__cut *cut,
                        const lb__model_config *m) {
  if (seen == NULL) return 1.0;
  double share = kept_share(seen->shares + norm * m->hidden_size, cut, m);
  return share > 0.0 ? sqrt(share * (double)m->hidden_size / (double)cut->hidden_size) : 1.0;
}

/* Where embeddings are multiplied by sqrt(C), fewer channels make the stream smaller by this factor
 * from the start. The norms that write to the stream make what they add smaller alike; those that
 * read it do not mind, and the head, often the embeddings themselves, stays as it is. */
static double stream_factor(const lb__cut *cut, const lb__model_config *m) {
  if (!m->family->scaled_embedding) return 1.0;
  return sqrt((double)cut->hidden_size / (double)m->hidden_size);
}

static lb_status choose_gains(lb__cut *cut, const lb__conversion *c, const lb_importance *seen,
                              lb_error *err) {
  const lb__model_config *m = &c->config;
  int64_t n = LB_IMPORTANCE_LAYER_NORMS;
  if (cut->hidden_size == m->hidden_size) return LB_OK;
  cut->n_gains = c->n_chosen * n + 1;
  cut->gains = lb__alloc_array((size_t)cut->n_gains, sizeof *cut->gains);
  if (cut->gains == NULL) return lb__fail_nomem(err, "gains of norms");
  for (int64_t i = 0; i < c->n_chosen; i++)
    for (int64_t k = 0; k < n; k++) {
      double gain = norm_gain(seen, c->layers[i] * n + k, cut, m);
      bool writes = layer_norms[k] == LB__W_POST_ATTN_NORM || layer_norms[k] == LB__W_POST_MLP_NORM;
      cut->gains[i * n + k] = writes ? gain * stream_factor(cut, m) : gain;
    }
  cut->gains[cut->n_gains - 1] = norm_gain(seen, m->n_layers * n, cut, m);
  for (int64_t i = 0; i < cut->n_gains; i++)
    if (!isfinite(cut->gains[i]))
      return lb__fail(err, LB_E_NUMERIC, "importance: shares of channels are not finite");
  return LB_OK;
}

/* ---- for the converter ---- */

void lb__cut_deinit(lb__cut *cut) {
  lb__free(cut->memory);
  lb__free(cut->own);
  lb__free(cut->gains);
  *cut = (lb__cut){0};
}

lb_status lb__cut_choose(lb__cut *cut, const lb__conversion *c, const lb_shrink_options *o,
                         lb_error *err) {
  lb_status st = choose_sizes(cut, c, o, err);
  if (st == LB_OK) st = choose_lists(cut, c, o, err);
  return st == LB_OK ? choose_gains(cut, c, o->importance, err) : st;
}

lb__kept lb__cut_list(const lb__cut *cut, lb__weight w, lb__extent extent, int64_t layer) {
  if (cut->shared[extent].at != NULL) return cut->shared[extent];
  bool of_layer = w >= LB__FIRST_LAYER_WEIGHT && cut->own != NULL;
  return of_layer ? cut->own[layer * LB__N_EXTENTS + (int64_t)extent] : (lb__kept){0};
}

double lb__cut_gain(const lb__cut *cut, lb__weight w, int64_t layer) {
  if (cut->gains == NULL) return 1.0;
  for (int64_t k = 0; k < LB_IMPORTANCE_LAYER_NORMS; k++)
    if (w == layer_norms[k]) return cut->gains[layer * LB_IMPORTANCE_LAYER_NORMS + k];
  return w == LB__W_FINAL_NORM ? cut->gains[cut->n_gains - 1] : 1.0;
}

lb_status lb__cut_config(json_t *config, const lb__cut *cut, const lb__model_config *source,
                         lb_error *err) {
  bool is_gpt2 = source->family->keys == LB__KEYS_GPT2;
  bool narrower = cut->hidden_size < source->hidden_size || cut->n_heads < source->n_heads;
  const struct {
    const char *key;
    int64_t value;
    bool changes;
  } keys[] = {
      {is_gpt2 ? "n_embd" : "hidden_size", cut->hidden_size, narrower},
      {is_gpt2 ? "n_head" : "num_attention_heads", cut->n_heads, narrower},
      {is_gpt2 ? NULL : "num_key_value_heads", cut->n_kv_heads, narrower},
      {is_gpt2 ? NULL : "head_dim", source->head_dim, narrower},
      {is_gpt2 ? "n_inner" : "intermediate_size", cut->intermediate_size,
       narrower || cut->intermediate_size < source->intermediate_size},
  };
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    if (keys[i].key == NULL || !keys[i].changes) continue;
    if (json_object_set_new(config, keys[i].key, json_integer(keys[i].value)) != 0)
      return lb__fail_nomem(err, "config.json");
  }
  return LB_OK;
}

/* forward.c - the one decoder. Every family is this code with other switches set.
 *
 *   x = embed(ids)
 *   each layer:  x += attention(norm(x));  x += mlp(norm(x))
 *   hidden = norm(x);  logits = head(hidden)
 *
 * Owns: the order of ops. Refuses: touching tensor memory, keeping anything between calls.
 * Read next: ops/ops.h for what each op computes. */
#include "model_internal.h"

typedef struct pass { /* what every layer needs */
  lb_model *m;
  lb__stream *s;
  const lb__batch *batch;
  const lb__pass_options *options;
  lb_tensor *positions, *cu_seqlens;       /* [N], [n_docs+1] */
  lb_tensor *slots, *page_table, *kv_lens; /* NULL without a cache */
  int64_t layer;
  lb_error *err;
} pass;

static const lb_tensor *weight(const pass *p, lb__weight w) {
  return lb__model_weight(p->m, w, p->layer);
}

static lb_status show(const pass *p, lb__sight what, const lb_tensor *in, const lb_tensor *out) {
  const lb__watcher *w = p->options->watcher;
  return w != NULL ? w->see(w->ctx, what, p->layer, in, out, p->err) : LB_OK;
}

static lb__sight sight_of(lb__weight norm_scale) {
  switch (norm_scale) {
  case LB__W_ATTN_NORM: return LB__SEES_ATTN_NORM;
  case LB__W_POST_ATTN_NORM: return LB__SEES_POST_ATTN_NORM;
  case LB__W_MLP_NORM: return LB__SEES_MLP_NORM;
  case LB__W_POST_MLP_NORM: return LB__SEES_POST_MLP_NORM;
  default: return LB__SEES_FINAL_NORM;
  }
}

static lb_status norm(const pass *p, lb_tensor **out, const lb_tensor *x, lb__weight scale,
                      lb__weight bias) {
  const lb__model_config *c = &p->m->config;
  const lb_tensor before = *x; /* out may be where x is kept */
  lb_status st =
      c->family->layer_norm
          ? lb__op_layer_norm(p->s, out, x, weight(p, scale), weight(p, bias), c->norm_eps, p->err)
          : lb__op_rms_norm(p->s, out, x, weight(p, scale), c->norm_eps, c->norm_offset, p->err);
  return st == LB_OK ? show(p, sight_of(scale), &before, *out) : st;
}

/* Places that draw: the embedding, then three of each layer. */
typedef enum place { PLACE_ATTENTION, PLACE_ATTENTION_OUT, PLACE_MLP_OUT, N_PLACES } place;

static lb__dropout draw(const pass *p, float probability, uint32_t site) {
  const lb__pass_options *o = p->options;
  return (lb__dropout){.p = o->use_dropout ? probability : 0.0f,
                       .seed = o->dropout_seed,
                       .step = o->dropout_step,
                       .site = site};
}

static lb__dropout draw_at(const pass *p, float probability, place where) {
  return draw(p, probability, 1 + (uint32_t)p->layer * N_PLACES + (uint32_t)where);
}

static lb_status drop(const pass *p, lb_tensor **x, lb__dropout d) {
  return d.p > 0.0f ? lb__op_dropout(p->s, x, *x, d, p->err) : LB_OK;
}

static lb_status linear(const pass *p, lb_tensor **out, const lb_tensor *x, lb__weight w,
                        lb__weight bias) {
  return lb__op_linear(p->s, out, x, weight(p, w), weight(p, bias), p->err);
}

static lb__projection projection(const pass *p, lb__weight w, lb__weight bias) {
  return (lb__projection){weight(p, w), weight(p, bias)};
}

/* One of q, k, v: seen as heads [N, heads, D], normalised. */
static lb_status see_heads(const pass *p, lb_tensor **x, lb__weight head_norm, int64_t heads) {
  const lb__model_config *c = &p->m->config;
  int64_t shape[3] = {p->batch->n_tokens, heads, c->head_dim};
  lb_status st = lb__op_reshape(p->s, x, *x, 3, shape, p->err);
  if (st != LB_OK || !c->family->qk_norm || head_norm == LB__W_V) return st;
  return lb__op_rms_norm(p->s, x, *x, weight(p, head_norm), c->norm_eps, c->norm_offset, p->err);
}

static lb_status project_heads(const pass *p, lb_tensor **q, lb_tensor **k, lb_tensor **v,
                               const lb_tensor *x) {
  const lb__model_config *c = &p->m->config;
  const lb__projection qkv[] = {projection(p, LB__W_Q, LB__W_Q_BIAS),
                                projection(p, LB__W_K, LB__W_K_BIAS),
                                projection(p, LB__W_V, LB__W_V_BIAS)};
  lb_status st = lb__op_linear_group(p->s, (lb_tensor * *const[]){q, k, v}, x, qkv, 3, p->err);
  if (st == LB_OK) st = see_heads(p, q, LB__W_Q_NORM, c->n_heads);
  if (st == LB_OK) st = see_heads(p, k, LB__W_K_NORM, c->n_kv_heads);
  return st == LB_OK ? see_heads(p, v, LB__W_V, c->n_kv_heads) : st;
}

static lb_status rotate(const pass *p, lb_tensor *q, lb_tensor *k) {
  const lb_model *m = p->m;
  if (m->config.family->learned_positions) return LB_OK;
  bool sliding = m->config.is_sliding[p->layer];
  const lb_tensor *table = sliding ? &m->inv_freq_sliding : &m->inv_freq;
  float magnitude = sliding ? m->rope_sliding_magnitude : m->rope_magnitude;
  lb_status st = lb__op_rope(p->s, q, p->positions, table, magnitude, p->err);
  return st == LB_OK ? lb__op_rope(p->s, k, p->positions, table, magnitude, p->err) : st;
}

static lb_status attend(const pass *p, lb_tensor **out, const lb_tensor *q, const lb_tensor *k,
                        const lb_tensor *v) {
  const lb__model_config *c = &p->m->config;
  const lb__kv_view *cache = p->batch->cache;
  lb__attention_args a = {.q = q,
                          .k = k,
                          .v = v,
                          .cu_seqlens = p->cu_seqlens,
                          .window = c->is_sliding[p->layer] ? c->sliding_window : 0,
                          .scale = c->attention_scale,
                          .softcap = c->attention_softcap,
                          .dropout = draw_at(p, c->attention_dropout, PLACE_ATTENTION)};
  if (c->scale_by_layer) a.scale /= (float)(p->layer + 1);
  if (cache != NULL) {
    lb_tensor *keys = &cache->keys[p->layer], *values = &cache->values[p->layer];
    lb_status st = lb__op_kv_store(p->s, keys, values, k, v, p->slots, p->err);
    if (st != LB_OK) return st;
    a.k = keys, a.v = values;
    a.page_table = p->page_table, a.kv_lens = p->kv_lens, a.page_size = cache->page_size;
  }
  return lb__op_attention(p->s, out, a, p->err);
}

static void tap_attention(const pass *p, lb_tensor *q, lb_tensor *k, lb_tensor *v) {
  lb__taps *t = p->options->taps;
  for (size_t i = 0; t != NULL && i < t->n_attention; i++)
    if (t->attention_layers[i] == p->layer) t->q[i] = q, t->k[i] = k, t->v[i] = v;
}

static lb_status attention(const pass *p, lb_tensor **out, const lb_tensor *x) {
  const lb__model_config *c = &p->m->config;
  lb_tensor *h, *q, *k, *v;
  lb_status st = norm(p, &h, x, LB__W_ATTN_NORM, LB__W_ATTN_NORM_BIAS);
  if (st == LB_OK) st = project_heads(p, &q, &k, &v, h);
  if (st == LB_OK) st = rotate(p, q, k);
  if (st == LB_OK) st = attend(p, &h, q, k, v);
  if (st != LB_OK) return st;
  tap_attention(p, q, k, v);
  int64_t joined[2] = {p->batch->n_tokens, c->n_heads * c->head_dim};
  st = lb__op_reshape(p->s, &h, h, 2, joined, p->err);
  if (st == LB_OK) st = show(p, LB__SEES_HEADS, h, NULL);
  if (st == LB_OK) st = linear(p, out, h, LB__W_O, LB__W_O_BIAS);
  if (st == LB_OK) st = drop(p, out, draw_at(p, c->residual_dropout, PLACE_ATTENTION_OUT));
  if (st != LB_OK || !c->family->sandwich_norms) return st;
  return norm(p, out, *out, LB__W_POST_ATTN_NORM, LB__W_POST_ATTN_NORM);
}

static lb_status up_and_gate(const pass *p, lb_tensor **up, lb_tensor **gate, const lb_tensor *x) {
  const lb__projection both[] = {projection(p, LB__W_UP, LB__W_UP_BIAS),
                                 projection(p, LB__W_GATE, LB__W_GATE_BIAS)};
  return lb__op_linear_group(p->s, (lb_tensor * *const[]){up, gate}, x, both, 2, p->err);
}

/* The product that act_linear keeps to itself, made once more for who watches. */
static lb_status show_neurons(const pass *p, const lb_tensor *gate, const lb_tensor *up) {
  lb_tensor *neurons;
  lb__act_kind kind = p->m->config.activation;
  if (p->options->watcher == NULL) return LB_OK;
  LB_ASSERT(p->s->tape == NULL);
  lb__arena_mark mark = lb__arena_get_mark(&p->s->arena);
  lb_status st = gate != NULL ? lb__op_act_mul(p->s, &neurons, gate, up, kind, p->err)
                              : lb__op_act(p->s, &neurons, up, kind, p->err);
  if (st == LB_OK) st = show(p, LB__SEES_NEURONS, neurons, NULL);
  lb__arena_release(&p->s->arena, mark);
  return st;
}

static lb_status mlp(const pass *p, lb_tensor **out, const lb_tensor *x) {
  const lb__model_config *c = &p->m->config;
  lb_tensor *h, *up, *gate = NULL;
  const lb__projection down = projection(p, LB__W_DOWN, LB__W_DOWN_BIAS);
  lb_status st = norm(p, &h, x, LB__W_MLP_NORM, LB__W_MLP_NORM_BIAS);
  if (st == LB_OK)
    st = c->family->gated ? up_and_gate(p, &up, &gate, h)
                          : linear(p, &up, h, LB__W_UP, LB__W_UP_BIAS);
  if (st == LB_OK) st = show_neurons(p, gate, up);
  if (st == LB_OK) st = lb__op_act_linear(p->s, out, gate, up, c->activation, &down, p->err);
  if (st == LB_OK) st = drop(p, out, draw_at(p, c->residual_dropout, PLACE_MLP_OUT));
  if (st != LB_OK || !c->family->sandwich_norms) return st;
  return norm(p, out, *out, LB__W_POST_MLP_NORM, LB__W_POST_MLP_NORM);
}

static bool is_tapped(const pass *p) {
  const lb__taps *t = p->options->taps;
  for (size_t i = 0; t != NULL && i < t->n_attention; i++)
    if (t->attention_layers[i] == p->layer) return true;
  return false;
}

/* *x += delta, where the backward pass will not miss what is overwritten. */
static lb_status add_delta(const pass *p, lb_tensor **x, lb_tensor *delta) {
  if (p->s->tape == NULL) return lb__op_add_to(p->s, *x, delta, p->err);
  lb_status st = lb__op_add_to(p->s, delta, *x, p->err);
  *x = delta;
  return st;
}

/* x + part(x). Where nothing will walk back, what `part` allocated is given back. */
static lb_status residual(const pass *p, lb_tensor **x,
                          lb_status (*part)(const pass *, lb_tensor **, const lb_tensor *)) {
  lb_tensor *delta;
  lb__arena_mark mark = lb__arena_get_mark(&p->s->arena);
  lb_status st = part(p, &delta, *x);
  if (st == LB_OK) st = add_delta(p, x, delta);
  if (p->s->tape == NULL && !is_tapped(p)) lb__arena_release(&p->s->arena, mark);
  return st;
}

static lb_status run_layer(const pass *p, lb_tensor **x) {
  lb_status st = residual(p, x, attention);
  return st == LB_OK ? residual(p, x, mlp) : st;
}

/* A layer as a segment that may run twice: it must leave its input alone. */
static lb_status layer_again(lb__stream *s, lb_tensor **out, const lb_tensor *x, void *ctx,
                             lb_error *err) {
  pass p = *(const pass *)ctx;
  lb_tensor *own;
  p.err = err;
  lb_status st = s->tape != NULL ? lb__op_reshape(s, &own, x, x->rank, x->shape, err)
                                 : lb__op_scale(s, &own, x, 1.0f, err);
  if (st == LB_OK) st = run_layer(&p, &own);
  if (st == LB_OK) *out = own;
  return st;
}

static lb_status layer(const pass *p, lb_tensor **x) {
  bool twice = p->options->gradient_checkpointing && p->s->tape != NULL && !is_tapped(p);
  if (!twice) return run_layer(p, x);
  return lb__tape_checkpoint(p->s, x, *x, layer_again, p, sizeof *p, p->err);
}

/* hidden_states[n]: 0 is the embedding, n what layer n - 1 left. */
static lb_status tap_hidden(const pass *p, lb_tensor *x, int64_t n) {
  lb__taps *t = p->options->taps;
  lb_status st = LB_OK;
  for (size_t i = 0; t != NULL && i < t->n_hidden && st == LB_OK; i++) {
    if (t->hidden_layers[i] != n) continue;
    bool is_kept = p->s->tape != NULL || n == p->m->config.n_layers;
    t->hidden[i] = x;
    if (!is_kept) st = lb__op_scale(p->s, &t->hidden[i], x, 1.0f, p->err); /* x will be added to */
  }
  return st;
}

/* ---- one batch ---- */

static lb_status check_batch(const lb_model *m, const lb__batch *b, lb_error *err) {
  for (int64_t i = 0; i < b->n_tokens; i++) {
    if (b->ids[i] < 0 || b->ids[i] >= m->config.vocab_size)
      return lb__fail(err, LB_E_ARG, "token id %d: the vocabulary has ids 0 to %lld", b->ids[i],
                      (long long)m->config.vocab_size - 1);
    if (b->positions[i] < 0 || b->positions[i] >= m->config.max_positions)
      return lb__fail(err, LB_E_ARG, "position %d: the model's context has %lld", b->positions[i],
                      (long long)m->config.max_positions);
  }
  return LB_OK;
}

static lb_status check_taps(const lb_model *m, const lb__taps *t, lb_error *err) {
  int64_t n = m->config.n_layers;
  for (size_t i = 0; t != NULL && i < t->n_hidden; i++)
    if (t->hidden_layers[i] < 0 || t->hidden_layers[i] > n)
      return lb__fail(err, LB_E_ARG, "%s: hidden state %lld: the model has 0 (embeddings) to %lld",
                      m->info.path, (long long)t->hidden_layers[i], (long long)n);
  for (size_t i = 0; t != NULL && i < t->n_attention; i++)
    if (t->attention_layers[i] < 0 || t->attention_layers[i] >= n)
      return lb__fail(err, LB_E_ARG, "%s: attention of layer %lld: the model has layers 0 to %lld",
                      m->info.path, (long long)t->attention_layers[i], (long long)n - 1);
  return LB_OK;
}

static lb_status make_indices(pass *p) {
  const lb__batch *b = p->batch;
  lb_status st = lb__stream_i32(&p->positions, p->s, b->positions, b->n_tokens, p->err);
  if (st == LB_OK) st = lb__stream_i32(&p->cu_seqlens, p->s, b->doc_start, b->n_docs + 1, p->err);
  if (st != LB_OK || b->cache == NULL) return st;
  const lb__kv_view *c = b->cache;
  st = lb__stream_i32(&p->slots, p->s, c->slots, b->n_tokens, p->err);
  if (st == LB_OK) st = lb__stream_i32(&p->kv_lens, p->s, c->kv_lens, b->n_docs, p->err);
  if (st == LB_OK)
    st = lb__stream_i32(&p->page_table, p->s, c->page_table, b->n_docs * c->max_pages, p->err);
  if (st == LB_OK)
    *p->page_table = lb__tensor_reshape(p->page_table, 2, (int64_t[]){b->n_docs, c->max_pages});
  return st;
}

static lb_status embed(const pass *p, lb_tensor **x) {
  lb_tensor *ids, *places;
  lb_status st = lb__stream_i32(&ids, p->s, p->batch->ids, p->batch->n_tokens, p->err);
  if (st == LB_OK)
    st = lb__op_embed(p->s, x, ids, weight(p, LB__W_TOKEN_EMBED), p->m->config.embed_scale, p->err);
  if (st == LB_OK && p->m->config.family->learned_positions) {
    st = lb__op_embed(p->s, &places, p->positions, weight(p, LB__W_POSITION_EMBED), 1.0f, p->err);
    if (st == LB_OK) st = add_delta(p, x, places);
  }
  return st == LB_OK ? drop(p, x, draw(p, p->m->config.embed_dropout, 0)) : st;
}

void lb__model_stream_init(lb__stream *s, const lb_model *model) {
  lb__stream_init(s, lb__device_cpu());
  s->compute = lb__model_compute(model->info.precision);
  if (model->trainable != NULL) s->real = lb__model_weight(model, LB__W_FINAL_NORM, 0)->dtype;
}

lb_status lb__model_pass(lb_tensor **hidden, lb_model *model, lb__stream *s, const lb__batch *batch,
                         const lb__pass_options *options, lb_error *err) {
  lb_tensor *x;
  pass p = {.m = model, .s = s, .batch = batch, .options = options, .err = err};
  int64_t n_layers = model->config.n_layers;
  *hidden = NULL;
  lb_status st = check_batch(model, batch, err);
  if (st == LB_OK) st = check_taps(model, options->taps, err);
  if (st == LB_OK) st = make_indices(&p);
  if (st == LB_OK) st = embed(&p, &x);
  for (; p.layer < n_layers && st == LB_OK; p.layer++) {
    st = tap_hidden(&p, x, p.layer);
    if (st == LB_OK) st = layer(&p, &x);
  }
  if (st == LB_OK) st = norm(&p, hidden, x, LB__W_FINAL_NORM, LB__W_FINAL_NORM_BIAS);
  return st == LB_OK ? tap_hidden(&p, *hidden, n_layers) : st;
}

lb_status lb__model_hidden(lb_tensor **hidden, lb_model *model, lb__stream *s,
                           const lb__batch *batch, lb_error *err) {
  static const lb__pass_options plain = {0};
  return lb__model_pass(hidden, model, s, batch, &plain, err);
}

bool lb__model_has_layer_norm(const lb_model *model) {
  return model->config.family->layer_norm;
}

const lb_tensor *lb__model_head(const lb_model *model, float *softcap) {
  const lb_tensor *head = lb__model_weight(model, LB__W_LM_HEAD, 0);
  *softcap = model->config.final_softcap;
  return head != NULL ? head : lb__model_weight(model, LB__W_TOKEN_EMBED, 0);
}

lb_status lb__model_logits(lb_tensor **logits, lb_model *model, lb__stream *s,
                           const lb_tensor *hidden, lb_error *err) {
  float softcap;
  lb_status st = lb__op_linear(s, logits, hidden, lb__model_head(model, &softcap), NULL, err);
  return st == LB_OK && softcap != 0.0f ? lb__op_softcap(s, logits, *logits, softcap, err) : st;
}

lb_status lb__model_pick(lb_tensor **out, lb__stream *s, const lb_tensor *hidden,
                         const int32_t *rows, int64_t n, lb_error *err) {
  lb_tensor *index;
  lb_status st = lb__stream_i32(&index, s, rows, n, err);
  return st == LB_OK ? lb__op_gather_rows(s, out, hidden, index, err) : st;
}

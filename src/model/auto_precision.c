/* auto_precision.c - precision AUTO: the fastest that stays close enough to float32, measured once
 * for each model and machine, on text that the model itself writes.
 *
 *   write_text   a few documents, sampled from the model
 *   measure      float32 and each candidate read them; how long it takes, and
 *                KL(float32 || candidate), nats per token
 *   choose       the fastest whose KL is at most options.precision_max_kl
 *
 * Owns: the choice and its place in the user's cache. A cache that cannot be read or written is no
 * error: the answer is only measured again. Decision: docs/decisions/0008. */
#include "model_internal.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "base/random.h"
#include "ops/kernel_table.h"
#include "trainable.h"

#include <math.h>
#include <stdio.h>

enum { MOST_DOCS = 8, MOST_LENGTH = 24, TOP_K = 40, LOGIT_ROWS = 16, TRIES = 2 };
/* Of models above this size less text is read, so that it stays a matter of seconds. */
#define LARGE_MODEL 1000000000
/* Below this one nothing is measured: every precision is fast, so the exact one is right. */
#define SMALL_MODEL 8000000

typedef struct text {
  int64_t n_docs, length;
  int32_t ids[MOST_DOCS * MOST_LENGTH], positions[MOST_DOCS * MOST_LENGTH];
  int32_t doc_start[MOST_DOCS + 1];
} text;

/* ---- the model's own text ---- */

/* A cache with one page for each document. */
typedef struct pages {
  lb_tensor *keys, *values; /* [n_layers] */
  int32_t slots[MOST_DOCS], page_table[MOST_DOCS], kv_lens[MOST_DOCS];
} pages;

static void pages_deinit(pages *p, const lb_model *m) {
  for (int64_t i = 0; i < m->config.n_layers; i++) {
    if (p->keys != NULL) lb__tensor_deinit(&p->keys[i]);
    if (p->values != NULL) lb__tensor_deinit(&p->values[i]);
  }
  lb__free(p->keys);
  lb__free(p->values);
}

static lb_status pages_init(pages *p, const lb_model *m, const text *t, lb_error *err) {
  const lb__model_config *c = &m->config;
  int64_t shape[3] = {t->n_docs * t->length, c->n_kv_heads, c->head_dim};
  p->keys = lb__new_array((size_t)c->n_layers, sizeof *p->keys);
  p->values = lb__new_array((size_t)c->n_layers, sizeof *p->values);
  if (p->keys == NULL || p->values == NULL) return lb__fail_nomem(err, "a small cache");
  lb_status st = LB_OK;
  for (int64_t i = 0; i < c->n_layers && st == LB_OK; i++) {
    st = lb__tensor_init(&p->keys[i], LB_DTYPE_F32, 3, shape, err);
    if (st == LB_OK) st = lb__tensor_init(&p->values[i], LB_DTYPE_F32, 3, shape, err);
  }
  return st;
}

/* One of the best ids of a row, drawn by its probability among them. */
static int32_t draw(const float *logits, const int32_t *ids, int64_t n, double uniform) {
  double weights[TOP_K], total = 0.0;
  for (int64_t k = 0; k < n; k++) total += weights[k] = exp((double)(logits[k] - logits[0]));
  double left = uniform * total;
  for (int64_t k = 0; k + 1 < n; k++)
    if ((left -= weights[k]) < 0.0) return ids[k];
  return ids[n - 1];
}

static const lb__random_key key = {.seed = 1, .purpose = LB__PURPOSE_SAMPLE};

/* Documents begin with BOS, or with any token where there is no BOS. */
static int32_t first_token(const lb_model *m, int64_t doc) {
  if (m->config.bos_token_id >= 0 && m->config.bos_token_id < m->config.vocab_size)
    return m->config.bos_token_id;
  double u = lb__random_uniform(key, 0, (uint64_t)doc);
  return (int32_t)(u * (double)m->config.vocab_size);
}

/* Token `at` of all documents goes in, token at + 1 comes out. */
static lb_status write_step(text *t, pages *p, lb_model *m, lb__stream *s, int64_t at,
                            lb_error *err) {
  int32_t ids[MOST_DOCS], positions[MOST_DOCS], starts[MOST_DOCS + 1] = {0};
  for (int64_t d = 0; d < t->n_docs; d++) {
    ids[d] = t->ids[d * t->length + at];
    positions[d] = (int32_t)at;
    starts[d + 1] = (int32_t)d + 1;
    p->slots[d] = (int32_t)(d * t->length + at);
    p->page_table[d] = (int32_t)d;
    p->kv_lens[d] = (int32_t)at + 1;
  }
  lb__kv_view view = {.keys = p->keys,
                      .values = p->values,
                      .page_size = t->length,
                      .slots = p->slots,
                      .page_table = p->page_table,
                      .max_pages = 1,
                      .kv_lens = p->kv_lens};
  lb__batch b = {.n_tokens = t->n_docs,
                 .n_docs = t->n_docs,
                 .ids = ids,
                 .positions = positions,
                 .doc_start = starts,
                 .cache = &view};
  int64_t best = m->config.vocab_size < TOP_K ? m->config.vocab_size : TOP_K;
  int32_t top_ids[MOST_DOCS * TOP_K];
  float top_logits[MOST_DOCS * TOP_K];
  lb_tensor *hidden, *logits;
  lb__logits_stats_args stats = {0};
  lb__stream_reset(s);
  lb_status st = lb__model_hidden(&hidden, m, s, &b, err);
  if (st == LB_OK) st = lb__model_logits(&logits, m, s, hidden, err);
  if (st == LB_OK) st = lb__op_logits_stats(s, &stats, logits, NULL, best, err);
  size_t n = (size_t)(t->n_docs * best);
  if (st == LB_OK) st = lb__tensor_read(stats.top_ids, 0, top_ids, n * sizeof *top_ids, err);
  if (st == LB_OK)
    st = lb__tensor_read(stats.top_logits, 0, top_logits, n * sizeof *top_logits, err);
  for (int64_t d = 0; d < t->n_docs && st == LB_OK; d++)
    t->ids[d * t->length + at + 1] = draw(top_logits + d * best, top_ids + d * best, best,
                                          lb__random_uniform(key, 1 + (uint64_t)d, (uint64_t)at));
  return st;
}

static lb_status write_text(text *t, lb_model *m, lb__compute compute, lb_error *err) {
  bool large = m->info.n_parameters > LARGE_MODEL;
  t->n_docs = large ? MOST_DOCS / 2 : MOST_DOCS;
  t->length = large ? MOST_LENGTH / 2 : MOST_LENGTH;
  if (t->length > m->config.max_positions) t->length = m->config.max_positions;
  for (int64_t d = 0; d < t->n_docs; d++) {
    t->ids[d * t->length] = first_token(m, d);
    t->doc_start[d + 1] = (int32_t)((d + 1) * t->length);
    for (int64_t i = 0; i < t->length; i++) t->positions[d * t->length + i] = (int32_t)i;
  }
  pages p = {0};
  lb__stream s;
  lb__model_stream_init(&s, m);
  s.compute = compute;
  lb_status st = pages_init(&p, m, t, err);
  for (int64_t at = 0; at + 1 < t->length && st == LB_OK; at++)
    st = write_step(t, &p, m, &s, at, err);
  pages_deinit(&p, m);
  lb__stream_deinit(&s);
  return st;
}

/* ---- measuring ---- */

/* One way to compute, with what it made of the text. */
typedef struct side {
  lb__stream stream;
  lb_tensor *hidden;
  double seconds; /* of the faster of TRIES passes */
} side;

static lb_status read_text(side *r, lb_model *m, const text *t, lb__compute compute,
                           lb_error *err) {
  lb__batch b = {.n_tokens = t->n_docs * t->length,
                 .n_docs = t->n_docs,
                 .ids = t->ids,
                 .positions = t->positions,
                 .doc_start = t->doc_start};
  lb__model_stream_init(&r->stream, m);
  r->stream.compute = compute;
  r->seconds = INFINITY;
  lb_status st = LB_OK;
  for (int i = 0; i < TRIES && st == LB_OK; i++) {
    lb__stream_reset(&r->stream);
    int64_t begin = lb__clock_ns();
    st = lb__model_hidden(&r->hidden, m, &r->stream, &b, err);
    r->seconds = fmin(r->seconds, 1e-9 * (double)(lb__clock_ns() - begin));
  }
  return st;
}

/* Logits of rows begin .. begin+n-1 by each side's own products. */
static lb_status logits_of(lb_tensor **out, side *r, lb_model *m, int64_t begin, int64_t n,
                           lb_error *err) {
  lb_tensor rows = lb__tensor_rows(r->hidden, begin, n);
  return lb__model_logits(out, m, &r->stream, &rows, err);
}

/* Sum of KL(exact || fast) over some rows, added to *kl. */
static lb_status add_kl(double *kl, lb_model *m, side *exact, side *fast, int64_t begin, int64_t n,
                        lb_error *err) {
  static const lb__divergence_term term = {
      .kind = LB__DIVERGENCE_forward_kl, .coefficient = 1.0, .temperature = 1.0, .factor = 1.0};
  double losses[LOGIT_ROWS];
  lb__divergence_args a = {
      .terms = &term, .n_terms = 1, .scale = 1.0, .vocab = m->config.vocab_size};
  lb_tensor *theirs;
  lb__arena_mark exact_mark = lb__arena_get_mark(&exact->stream.arena);
  lb__arena_mark fast_mark = lb__arena_get_mark(&fast->stream.arena);
  lb_status st = logits_of(&theirs, exact, m, begin, n, err);
  if (st == LB_OK) st = logits_of(&a.student, fast, m, begin, n, err);
  if (st == LB_OK)
    st = lb__stream_tensor(&a.losses, &fast->stream, LB_DTYPE_F64, 2, (int64_t[]){1, n}, err);
  a.teacher = theirs;
  if (st == LB_OK) st = lb__op_divergence(&fast->stream, &a, err);
  if (st == LB_OK) st = lb__tensor_read(a.losses, 0, losses, (size_t)n * sizeof *losses, err);
  for (int64_t i = 0; i < n && st == LB_OK; i++) *kl += losses[i];
  lb__arena_release(&exact->stream.arena, exact_mark);
  lb__arena_release(&fast->stream.arena, fast_mark);
  return st;
}

static lb_status mean_kl(double *kl, lb_model *m, side *exact, side *fast, lb_error *err) {
  int64_t n = exact->hidden->shape[0];
  lb_status st = LB_OK;
  *kl = 0.0;
  for (int64_t begin = 0; begin < n && st == LB_OK; begin += LOGIT_ROWS)
    st = add_kl(kl, m, exact, fast, begin, n - begin < LOGIT_ROWS ? n - begin : LOGIT_ROWS, err);
  *kl /= (double)n;
  return st;
}

/* ---- choosing ---- */

typedef struct choice {
  lb_precision precision;
  double kl, seconds;
} choice;

static lb_status try_one(choice *best, lb_model *m, const text *t, side *exact,
                         lb_precision candidate, lb_error *err) {
  side fast = {0};
  double kl = NAN;
  lb_status st = read_text(&fast, m, t, lb__model_compute(candidate), err);
  if (st == LB_OK) st = mean_kl(&kl, m, exact, &fast, err);
  lb__log(LB_LOG_INFO, "%s: precision %s: KL %.5f nats per token to f32, %.3f s beside %.3f s",
          m->info.path, lb_precision_name(candidate), kl, fast.seconds, exact->seconds);
  if (st == LB_OK && kl <= m->options.precision_max_kl && fast.seconds < best->seconds)
    *best = (choice){candidate, kl, fast.seconds};
  lb__stream_deinit(&fast.stream);
  return st;
}

static lb_status measure(choice *best, lb_model *m, bool packed, lb_error *err) {
  static const lb_precision candidates[] = {LB_PRECISION_BF16, LB_PRECISION_INT8};
  text t = {0};
  side exact = {0};
  lb_status st = write_text(&t, m, packed ? LB__COMPUTE_INT8 : LB__COMPUTE_F32, err);
  if (st == LB_OK) st = read_text(&exact, m, &t, LB__COMPUTE_F32, err);
  *best = (choice){LB_PRECISION_F32, 0.0, exact.seconds};
  for (size_t i = 0; i < sizeof candidates / sizeof *candidates && st == LB_OK; i++)
    if (candidates[i] != LB_PRECISION_INT8 || packed)
      st = try_one(best, m, &t, &exact, candidates[i], err);
  lb__stream_deinit(&exact.stream);
  return st;
}

/* ---- what was measured before ---- */

/* The answer depends on the weights, the bound, the kernels and this program. */
static char *cache_file(const lb_model *m) {
  char name[96];
  const lb__kernel_table *table = lb__kernels();
  uint64_t sip[2] = {lb__model_fingerprint(m), 1};
  uint64_t kernels = 0;
  for (int i = 0; i < LB__OP_COUNT; i++)
    kernels ^= lb__hash_sip13(table->chosen[i], strlen(table->chosen[i]), sip) + (uint64_t)i;
  kernels ^= lb__hash_sip13(lb_version(), strlen(lb_version()), sip);
  snprintf(name, sizeof name, "precision-%016llx-%016llx.json", (unsigned long long)sip[0],
           (unsigned long long)kernels);
  return lb__cache_path(name);
}

/* The KL of every candidate is not kept: another bound is another question. */
static bool recall(choice *out, const lb_model *m, const char *path) {
  enum { CACHE_FILE_MOST = 4096 };
  json_t *j = NULL;
  const char *name = NULL;
  double bound = NAN;
  bool found = path != NULL && lb__path_is_file(path) &&
               lb__json_read(&j, path, CACHE_FILE_MOST, NULL) == LB_OK && json_is_object(j) &&
               lb__json_get_string(&name, j, "precision", true, path, NULL) == LB_OK &&
               lb__json_get_real(&bound, j, "max_kl", true, path, NULL) == LB_OK &&
               lb__json_get_real(&out->kl, j, "kl", true, path, NULL) == LB_OK &&
               bound == m->options.precision_max_kl && out->kl >= 0.0 && out->kl <= bound;
  lb_precision p = LB_PRECISION_F32;
  while (found && strcmp(lb_precision_name(p), name) != 0 && p <= LB_PRECISION_INT8) p++;
  found = found && p <= LB_PRECISION_INT8;
  if (found) out->precision = p;
  json_decref(j);
  return found;
}

static void remember(const choice *c, const lb_model *m, const char *path) {
  if (path == NULL) return;
  json_t *j = json_pack("{s:s, s:f, s:f, s:s}", "precision", lb_precision_name(c->precision), "kl",
                        c->kl, "max_kl", m->options.precision_max_kl, "model", m->info.path);
  lb_error why = {0};
  lb_status st = lb__cache_save(path, j, &why);
  if (st != LB_OK) lb__log(LB_LOG_INFO, "the choice of precision is not kept: %s", why.message);
  json_decref(j);
}

/* ---- all of it ---- */

static lb_status apply(lb_model *m, const choice *c, bool packed, lb_error *err) {
  lb_status st = LB_OK;
  if (c->precision == LB_PRECISION_INT8) {
    if (packed)
      lb__model_release_elements(m);
    else
      st = lb__model_pack_alone(m, err);
  } else if (packed) {
    lb__model_release_packed(m);
  }
  m->info.precision = c->precision;
  m->info.precision_kl = c->kl;
  return st;
}

lb_status lb__model_choose_precision(lb_model *m, lb_error *err) {
  choice best;
  m->info.precision = LB_PRECISION_F32;
  if (m->info.n_parameters < SMALL_MODEL) return LB_OK;
  char *path = cache_file(m);
  if (recall(&best, m, path)) {
    lb__free(path);
    return apply(m, &best, false, err);
  }
  lb__log(LB_LOG_INFO, "%s: measuring precisions, once for this model and machine", m->info.path);
  lb_status st = lb__model_pack(m, err);
  bool packed = st == LB_OK;
  if (st == LB_E_UNSUPPORTED) st = LB_OK; /* then int8 is no candidate */
  if (st == LB_OK) st = measure(&best, m, packed, err);
  if (st == LB_OK) remember(&best, m, path);
  lb__free(path);
  return st == LB_OK ? apply(m, &best, packed, err) : st;
}

/* importance.c - lb_importance_measure: a model reads documents, and what passes by in every layer
 * is counted. See include/limbeck/importance.h.
 *
 * Owns: the sums. They are in double and in the order of tokens, so that no number of threads
 * changes them. Refuses: choosing anything by them (model/shrink.c).
 * Read next: lb_importance_measure at the end, then `see`. */
#include <limbeck/importance.h>

#include "base/fail.h"
#include "passes.h"

#include <math.h>

enum { ROWS = 64 }; /* of a watched tensor, read at once */

/* Means of |x| over each document, and the sum of their squares over documents: [n] each. */
typedef struct tally {
  double *running, *squares;
} tally;

typedef struct importance_box {
  lb_importance seen; /* first: what callers hold */
  double *memory;     /* everything that `seen` points to */
} importance_box;

typedef struct meter {
  const lb__passes *passes;
  bool centred; /* norms subtract the mean */
  int64_t L, C, H, F, D;
  double *influence, *shares;   /* sums over tokens */
  tally hidden, heads, neurons; /* [2 L + 1, C], [L, H], [L, F] */
  double *memory;               /* of the tallies */
  float *rows, *previous; /* [ROWS, widest]; [LB__PASS_TOKENS, C] what entered the last layer */
} meter;

lb_importance_options lb_importance_options_default(void) {
  return (lb_importance_options){0};
}

/* ---- memory ---- */

static bool count(size_t *out, int64_t a, int64_t b) {
  return lb__ck_mul(out, (size_t)a, (size_t)b);
}

/* Sizes of the five results, and of what is summed up. */
static lb_status make_arrays(meter *m, importance_box *box, lb_error *err) {
  size_t hidden, heads, neurons, shares, results, sums, total;
  bool fits = count(&hidden, 2 * m->L + 1, m->C) && count(&heads, m->L, m->H) &&
              count(&neurons, m->L, m->F) &&
              count(&shares, LB_IMPORTANCE_LAYER_NORMS * m->L + 1, m->C) &&
              lb__ck_add(&sums, hidden, heads) && lb__ck_add(&sums, sums, neurons) &&
              lb__ck_add(&results, (size_t)(m->L + m->C), heads) &&
              lb__ck_add(&results, results, neurons) && lb__ck_add(&results, results, shares) &&
              lb__ck_mul(&total, sums, 2);
  if (!fits) return lb__fail_nomem(err, "sums of activations");
  double *r = box->memory = lb__new_array(results, sizeof *r);
  double *s = m->memory = lb__new_array(total, sizeof *s);
  if (r == NULL || s == NULL) return lb__fail_nomem(err, "sums of activations");
  m->influence = r;
  m->shares = r + (size_t)(m->L + m->C) + heads + neurons;
  m->hidden = (tally){s, s + hidden};
  m->heads = (tally){s + 2 * hidden, s + 2 * hidden + heads};
  m->neurons = (tally){s + 2 * (hidden + heads), s + 2 * (hidden + heads) + neurons};
  box->seen.layers = r;
  box->seen.hidden = r + m->L;
  box->seen.heads = r + m->L + m->C;
  box->seen.neurons = box->seen.heads + heads;
  box->seen.shares = m->shares;
  return LB_OK;
}

static lb_status make_rows(meter *m, lb_error *err) {
  int64_t widest = m->C > m->F ? m->C : m->F;
  size_t n;
  if (widest < m->H * m->D) widest = m->H * m->D;
  if (!count(&n, widest, ROWS)) return lb__fail_nomem(err, "rows of activations");
  m->rows = lb__alloc_array(n, sizeof *m->rows);
  m->previous = lb__alloc_array((size_t)m->C * LB__PASS_TOKENS, sizeof *m->previous);
  return m->rows != NULL && m->previous != NULL ? LB_OK
                                                : lb__fail_nomem(err, "rows of activations");
}

static void meter_deinit(meter *m) {
  lb__free(m->memory);
  lb__free(m->rows);
  lb__free(m->previous);
}

void lb_importance_free(lb_importance *importance) {
  importance_box *box = (importance_box *)importance;
  if (box == NULL) return;
  lb__free(box->memory);
  lb__free(box);
}

/* ---- rows of what passes by ---- */

static lb_status read_rows(float *out, const lb_tensor *x, int64_t first, int64_t n,
                           lb_error *err) {
  size_t row = (size_t)lb__tensor_row_length(x) * sizeof *out;
  return lb__tensor_read(x, row * (size_t)first, out, row * (size_t)n, err);
}

/* A channel that is not finite makes the sum of squares so. */
static double sum_squares(const float *x, int64_t n, double mean) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) {
    double d = (double)x[i] - mean;
    sum += d * d;
  }
  return sum;
}

static double mean_of(const float *x, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += (double)x[i];
  return sum / (double)n;
}

static lb_status not_finite(int64_t layer, lb_error *err) {
  return lb__fail(err, LB_E_NUMERIC,
                  "importance: activations at layer %lld are not finite; are the model's weights "
                  "damaged?",
                  (long long)layer);
}

/* ---- tallies ---- */

/* One row of |x| joins the document that is being read. */
typedef void add_row(double *sums, const float *x, int64_t n, int64_t group);

static void add_absolute(double *sums, const float *x, int64_t n, int64_t group) {
  (void)group;
  for (int64_t i = 0; i < n; i++) sums[i] += fabs((double)x[i]);
}

static void add_group_norms(double *sums, const float *x, int64_t n, int64_t group) {
  for (int64_t i = 0; i < n / group; i++) sums[i] += sqrt(sum_squares(x + i * group, group, 0.0));
}

/* The document has ended: its mean is one observation. */
static void end_document(tally t, int64_t n, size_t n_tokens) {
  for (int64_t i = 0; i < n; i++) {
    double mean = t.running[i] / (double)n_tokens;
    t.squares[i] += mean * mean;
    t.running[i] = 0.0;
  }
}

/* x [N, width] into the tally's numbers from `first` on, one for each `group` of channels. */
static lb_status add_rows(meter *m, tally t, int64_t first, const lb_tensor *x, int64_t group,
                          int64_t layer, lb_error *err) {
  const lb__passes *p = m->passes;
  int64_t width = lb__tensor_row_length(x), n = width / group;
  add_row *add = group > 1 ? add_group_norms : add_absolute;
  tally part = {t.running + first, t.squares + first};
  lb_status st = LB_OK;
  for (int64_t begin = 0; begin < (int64_t)p->n_tokens && st == LB_OK; begin += ROWS) {
    int64_t left = (int64_t)p->n_tokens - begin, n_rows = left < ROWS ? left : ROWS;
    st = read_rows(m->rows, x, begin, n_rows, err);
    for (int64_t r = 0; r < n_rows && st == LB_OK; r++) {
      size_t row = (size_t)(begin + r), n_tokens = p->documents[p->document[row]].n_ids;
      add(part.running, m->rows + r * width, width, group);
      if ((size_t)p->positions[row] + 1 == n_tokens) end_document(part, n, n_tokens);
    }
  }
  for (int64_t i = 0; i < n && st == LB_OK; i++)
    if (!isfinite(part.running[i]) || !isfinite(part.squares[i])) st = not_finite(layer, err);
  return st;
}

/* ---- norms ---- */

static void add_shares(double *shares, const float *x, int64_t n, bool centred) {
  double mean = centred ? mean_of(x, n) : 0.0, sum = sum_squares(x, n, mean);
  if (!(sum > 0.0)) return;
  double factor = 1.0 / sum;
  for (int64_t i = 0; i < n; i++) {
    double d = (double)x[i] - mean;
    shares[i] += d * d * factor;
  }
}

/* 1 - cos(a, b); what has no direction has not turned */
static double turn(const float *a, const float *b, int64_t n) {
  double ab = 0.0, aa = 0.0, bb = 0.0;
  for (int64_t i = 0; i < n; i++) {
    double x = (double)a[i], y = (double)b[i];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa > 0.0 && bb > 0.0 ? 1.0 - ab / (sqrt(aa) * sqrt(bb)) : 0.0;
}

/* What a layer reads is what the one before it left. */
static void add_influence(meter *m, int64_t layer, int64_t first, int64_t n_rows) {
  float *before = m->previous + first * m->C;
  for (int64_t r = 0; r < n_rows && layer > 0; r++)
    m->influence[layer - 1] += turn(before + r * m->C, m->rows + r * m->C, m->C);
  memcpy(before, m->rows, (size_t)(n_rows * m->C) * sizeof *before);
}

static lb_status see_norm_input(meter *m, lb__sight what, int64_t norm, int64_t layer,
                                const lb_tensor *x, lb_error *err) {
  double *shares = m->shares + norm * m->C;
  bool enters = what == LB__SEES_ATTN_NORM || what == LB__SEES_FINAL_NORM;
  lb_status st = LB_OK;
  for (int64_t begin = 0; begin < x->shape[0] && st == LB_OK; begin += ROWS) {
    int64_t left = x->shape[0] - begin, n_rows = left < ROWS ? left : ROWS;
    st = read_rows(m->rows, x, begin, n_rows, err);
    if (st != LB_OK) break;
    for (int64_t r = 0; r < n_rows; r++) add_shares(shares, m->rows + r * m->C, m->C, m->centred);
    if (enters) add_influence(m, layer, begin, n_rows);
  }
  return st;
}

/* ---- the watcher ---- */

/* Which norm of a layer (the order of lb_importance's shares), and which of those that read the
 * stream for attention and MLP. */
static const struct {
  bool is_norm, reads;
  int64_t norm, reader;
} sights[LB__N_SIGHTS] = {
    [LB__SEES_ATTN_NORM] = {true, true, 0, 0},  [LB__SEES_POST_ATTN_NORM] = {true, false, 1, 0},
    [LB__SEES_MLP_NORM] = {true, true, 2, 1},   [LB__SEES_POST_MLP_NORM] = {true, false, 3, 0},
    [LB__SEES_FINAL_NORM] = {true, true, 0, 0},
};

static lb_status see(void *ctx, lb__sight what, int64_t layer, const lb_tensor *in,
                     const lb_tensor *out, lb_error *err) {
  meter *m = ctx;
  if (what == LB__SEES_HEADS) return add_rows(m, m->heads, layer * m->H, in, m->D, layer, err);
  if (what == LB__SEES_NEURONS) return add_rows(m, m->neurons, layer * m->F, in, 1, layer, err);
  int64_t norm = LB_IMPORTANCE_LAYER_NORMS * layer + sights[what].norm;
  lb_status st = see_norm_input(m, what, norm, layer, in, err);
  if (st != LB_OK || !sights[what].reads) return st;
  return add_rows(m, m->hidden, (2 * layer + sights[what].reader) * m->C, out, 1, layer, err);
}

/* ---- all of it ---- */

static lb_status read_all(lb__pass_reader *reader, lb__passes *passes, size_t total,
                          const lb_importance_options *o, lb_error *err) {
  lb_tensor *hidden;
  size_t done = 0;
  lb_status st = LB_OK;
  while (st == LB_OK && lb__passes_next(passes)) {
    if (o->cancel != NULL && *o->cancel != 0)
      return lb__fail(err, LB_E_CANCELLED, "importance: stopped");
    st = lb__pass_read(&hidden, reader, passes, err);
    done += passes->n_tokens;
    if (st == LB_OK && o->on_progress != NULL) o->on_progress(o->on_progress_ctx, done, total);
  }
  return st;
}

static double root_mean(double sum, int64_t n) {
  return sqrt(sum / (double)n);
}

/* From sums to what `seen` promises. */
static lb_status finish(const meter *m, importance_box *box, lb_error *err) {
  lb_importance *seen = &box->seen;
  double *hidden = box->memory + m->L, *heads = hidden + m->C, *neurons = heads + m->L * m->H;
  for (int64_t l = 0; l < m->L; l++) {
    m->influence[l] /= (double)seen->n_tokens;
    if (!isfinite(m->influence[l])) return not_finite(l, err);
  }
  for (int64_t i = 0; i < (LB_IMPORTANCE_LAYER_NORMS * m->L + 1) * m->C; i++) {
    m->shares[i] /= (double)seen->n_tokens;
    if (!isfinite(m->shares[i])) return not_finite(i / m->C / LB_IMPORTANCE_LAYER_NORMS, err);
  }
  for (int64_t n = 0; n < 2 * m->L + 1; n++)
    for (int64_t c = 0; c < m->C; c++)
      hidden[c] += root_mean(m->hidden.squares[n * m->C + c], seen->n_documents);
  for (int64_t i = 0; i < m->L * m->H; i++)
    heads[i] = root_mean(m->heads.squares[i], seen->n_documents);
  for (int64_t i = 0; i < m->L * m->F; i++)
    neurons[i] = root_mean(m->neurons.squares[i], seen->n_documents);
  return LB_OK;
}

static lb_status measure(importance_box *box, lb_model *model, lb__passes *passes,
                         const lb_importance_options *o, lb_error *err) {
  const lb_model_info *info = lb_model_get_info(model);
  meter m = {.passes = passes,
             .centred = lb__model_has_layer_norm(model),
             .L = info->n_layers,
             .C = info->hidden_size,
             .H = info->n_heads,
             .F = info->intermediate_size,
             .D = info->head_dim};
  const lb__watcher watcher = {see, &m};
  lb__pass_reader reader;
  lb__pass_reader_init(&reader, model);
  reader.watcher = &watcher;
  lb_status st = make_arrays(&m, box, err);
  if (st == LB_OK) st = make_rows(&m, err);
  if (st == LB_OK) st = read_all(&reader, passes, (size_t)box->seen.n_tokens, o, err);
  if (st == LB_OK) st = finish(&m, box, err);
  lb__pass_reader_deinit(&reader);
  meter_deinit(&m);
  return st;
}

lb_status lb_importance_measure(lb_importance **out, lb_model *model, const lb_prompt *documents,
                                size_t n_documents, const lb_importance_options *options,
                                lb_error *err) {
  lb_importance_options defaults = lb_importance_options_default();
  const lb_model_info *info = lb_model_get_info(model);
  *out = NULL;
  if (n_documents == 0)
    return lb__fail(err, LB_E_ARG, "importance: want at least one document, there is none");
  lb_status st = lb__documents_check(documents, n_documents, info, err);
  if (st != LB_OK) return st;
  importance_box *box = lb__new(sizeof *box);
  lb__passes *passes = lb__new(sizeof *passes); /* too large for a stack */
  if (box == NULL || passes == NULL) {
    st = lb__fail_nomem(err, "sums of activations");
  } else {
    lb__passes_init(passes, documents, n_documents);
    box->seen = (lb_importance){.n_layers = info->n_layers,
                                .hidden_size = info->hidden_size,
                                .n_heads = info->n_heads,
                                .intermediate_size = info->intermediate_size,
                                .n_documents = (int64_t)n_documents};
    for (size_t i = 0; i < n_documents; i++) box->seen.n_tokens += (int64_t)documents[i].n_ids;
    st = measure(box, model, passes, options != NULL ? options : &defaults, err);
  }
  lb__free(passes);
  if (st == LB_OK)
    *out = &box->seen;
  else if (box != NULL)
    lb_importance_free(&box->seen);
  return st;
}

/* sampler.c - see sampler.h. Partial selection everywhere: V reaches 262144, and sorting a row
 * would cost more than many a model's step. */
#include "sampler.h"

#include "base/fail.h"
#include "base/memory.h"

#include <math.h>

lb_status lb__sampler_init(lb__sampler *s, int64_t vocab_size, lb_error *err) {
  size_t n = (size_t)vocab_size;
  *s = (lb__sampler){.vocab_size = vocab_size};
  s->row = lb__alloc_array(n, sizeof *s->row);
  s->weights = lb__alloc_array(n, sizeof *s->weights);
  s->heap = lb__alloc_array(n, sizeof *s->heap);
  s->seen = lb__new_array(n, sizeof *s->seen);
  if (s->row != NULL && s->weights != NULL && s->heap != NULL && s->seen != NULL) return LB_OK;
  lb__sampler_deinit(s);
  return lb__fail_nomem(err, "the sampler");
}

void lb__sampler_deinit(lb__sampler *s) {
  lb__free(s->row);
  lb__free(s->weights);
  lb__free(s->heap);
  lb__free(s->seen);
  *s = (lb__sampler){0};
}

/* ---- facts about a row ---- */

static float row_max(const float *row, int64_t n) {
  float max = -INFINITY;
  for (int64_t i = 0; i < n; i++)
    if (row[i] > max) max = row[i];
  return max;
}

double lb__row_logsumexp(const float *row, int64_t n) {
  double max = (double)row_max(row, n), sum = 0.0;
  if (isinf(max)) return max; /* +inf, or nothing above -inf; a NaN beside it is no better */
  for (int64_t i = 0; i < n; i++) sum += exp((double)row[i] - max);
  return max + log(sum);
}

int32_t lb__row_argmax(const lb__sampler *s) {
  int32_t best = -1;
  float max = -INFINITY;
  for (int64_t i = 0; i < s->vocab_size; i++)
    if (s->row[i] > max) max = s->row[i], best = (int32_t)i;
  return best;
}

/* ---- processors ---- */

bool lb__row_is_processed(const lb_generate_options *o, size_t n_fresh) {
  return o->repetition_penalty != 1.0 || (int64_t)n_fresh < o->min_new_tokens;
}

/* A token is punished once, however often it occurred (Keskar et al. 2019, arXiv:1909.05858). */
static void punish(lb__sampler *s, const int32_t *ids, size_t n, float penalty) {
  for (size_t i = 0; i < n; i++) {
    if (s->seen[ids[i]] == s->mark) continue;
    s->seen[ids[i]] = s->mark;
    float *score = &s->row[ids[i]];
    *score = *score < 0.0f ? *score * penalty : *score / penalty;
  }
}

static void next_mark(lb__sampler *s) {
  if (++s->mark != 0) return;
  memset(s->seen, 0, (size_t)s->vocab_size * sizeof *s->seen);
  s->mark = 1;
}

void lb__row_process(lb__sampler *s, const lb_generate_options *o, const int32_t *eos_ids,
                     size_t n_eos_ids, lb__history history) {
  if (o->repetition_penalty != 1.0) {
    next_mark(s);
    punish(s, history.prompt, history.n_prompt, (float)o->repetition_penalty);
    punish(s, history.fresh, history.n_fresh, (float)o->repetition_penalty);
  }
  if ((int64_t)history.n_fresh < o->min_new_tokens)
    for (size_t i = 0; i < n_eos_ids; i++) s->row[eos_ids[i]] = -INFINITY;
}

/* ---- heaps of token ids, ordered by their logits ---- */

/* Of equal logits the larger id ranks higher: so a stable ascending sort orders them, and
 * Transformers' top_p removes from its beginning. */
static bool ranks_above(const float *row, int32_t a, int32_t b) {
  return row[a] > row[b] || (row[a] == row[b] && a > b);
}

/* Moves heap[i] down until no child ranks above it (best = true) or below it (false). */
static void sift_down(const float *row, int32_t *heap, size_t n, size_t i, bool best) {
  int32_t id = heap[i];
  for (;;) {
    size_t child = 2 * i + 1;
    if (child >= n) break;
    if (child + 1 < n && ranks_above(row, heap[child + 1], heap[child]) == best) child++;
    if (ranks_above(row, heap[child], id) != best) break;
    heap[i] = heap[child];
    i = child;
  }
  heap[i] = id;
}

static void make_heap(const float *row, int32_t *heap, size_t n, bool best) {
  for (size_t i = n / 2; i-- > 0;) sift_down(row, heap, n, i, best);
}

/* ---- warpers ---- */

static void warp_temperature(lb__sampler *s, float temperature) {
  for (int64_t i = 0; i < s->vocab_size; i++) s->row[i] /= temperature;
}

static void remove_below(lb__sampler *s, float least) {
  for (int64_t i = 0; i < s->vocab_size; i++)
    if (s->row[i] < least) s->row[i] = -INFINITY;
}

/* Everything below the k-th largest goes; its equals stay. The heap holds the k best so far, the
 * worst of them on top, so most tokens cost one comparison. */
static void warp_top_k(lb__sampler *s, int64_t k) {
  if (k >= s->vocab_size) return;
  size_t n = (size_t)k;
  for (size_t i = 0; i < n; i++) s->heap[i] = (int32_t)i;
  make_heap(s->row, s->heap, n, false);
  for (int64_t i = k; i < s->vocab_size; i++) {
    if (!(s->row[i] > s->row[s->heap[0]])) continue;
    s->heap[0] = (int32_t)i;
    sift_down(s->row, s->heap, n, 0, false);
  }
  remove_below(s, s->row[s->heap[0]]);
}

static double fill_weights(lb__sampler *s, float max) {
  double sum = 0.0;
  for (int64_t i = 0; i < s->vocab_size; i++) {
    s->weights[i] = s->row[i] == -INFINITY ? 0.0 : exp((double)s->row[i] - (double)max);
    sum += s->weights[i];
  }
  return sum;
}

/* Candidates within `spread` of the maximum, and the weight they carry together. */
static size_t collect(lb__sampler *s, float max, float spread, double *weight) {
  size_t n = 0;
  *weight = 0.0;
  for (int64_t i = 0; i < s->vocab_size; i++) {
    if (!(s->row[i] >= max - spread) || s->weights[i] == 0.0) continue;
    s->heap[n++] = (int32_t)i;
    *weight += s->weights[i];
  }
  return n;
}

/* Keeps the best tokens until they carry top_p. Transformers sorts upwards and removes while the
 * cumulated probability is <= 1 - top_p; that is: a token stays while those ranked above it carry
 * less than top_p. Only tokens near the maximum are ordered; the rest can matter only when these
 * carry too little. */
static void warp_top_p(lb__sampler *s, double top_p) {
  float max = row_max(s->row, s->vocab_size);
  if (isinf(max)) return;
  double wanted = top_p * fill_weights(s, max), found = 0.0;
  size_t n = 0;
  for (int spread = 4; spread < 2048 && found < wanted; spread *= 4)
    n = collect(s, max, (float)spread, &found); /* exp(-1024) is 0: the last round has all */
  make_heap(s->row, s->heap, n, true);
  size_t end = n;
  for (found = 0.0; n > 0 && found < wanted;) { /* kept ids gather behind the shrinking heap */
    int32_t id = s->heap[0];
    found += s->weights[id];
    s->heap[0] = s->heap[--n];
    if (n > 0) sift_down(s->row, s->heap, n, 0, true);
    s->heap[n] = id;
  }
  next_mark(s);
  for (size_t i = n; i < end; i++) s->seen[s->heap[i]] = s->mark;
  for (int64_t i = 0; i < s->vocab_size; i++)
    if (s->seen[i] != s->mark) s->row[i] = -INFINITY;
}

/* p < min_p * p_max, in logarithms */
static void warp_min_p(lb__sampler *s, double min_p) {
  double least = (double)row_max(s->row, s->vocab_size) + log(min_p);
  for (int64_t i = 0; i < s->vocab_size; i++)
    if ((double)s->row[i] < least) s->row[i] = -INFINITY;
}

void lb__row_warp(lb__sampler *s, const lb_generate_options *o) {
  if (o->temperature != 1.0) warp_temperature(s, (float)o->temperature);
  if (o->top_k > 0) warp_top_k(s, o->top_k);
  if (o->top_p < 1.0) warp_top_p(s, o->top_p);
  if (o->min_p > 0.0) warp_min_p(s, o->min_p);
}

/* ---- the draw ---- */

int32_t lb__row_draw(lb__sampler *s, double u) {
  float max = row_max(s->row, s->vocab_size);
  if (isinf(max)) return -1;
  double target = u * fill_weights(s, max), sum = 0.0;
  int32_t last = -1;
  for (int64_t i = 0; i < s->vocab_size; i++) {
    if (s->weights[i] == 0.0) continue;
    last = (int32_t)i;
    sum += s->weights[i];
    if (sum > target) break;
  }
  return last;
}

double lb__sample_uniform(uint64_t seed, size_t prompt, size_t sequence, size_t step) {
  /* index: prompt in the upper half, sequence in the lower; both are far below 2^32 */
  uint64_t index = (uint64_t)prompt << 32 ^ (uint64_t)sequence;
  return lb__random_uniform((lb__random_key){seed, LB__PURPOSE_SAMPLE}, (uint64_t)step, index);
}

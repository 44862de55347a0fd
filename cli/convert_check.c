/* convert_check.c - see convert_check.h. */
#include "convert_check.h"
#include "text_side.h"

#include <limbeck/inspect.h>
#include <limbeck/score.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Plain words, digits, code, another script and an emoji: enough to notice a tokenizer whose
 * merges, digit rule or byte fallback was lost, and weights whose rows were permuted. */
static const char sample_text[] =
    "The quick brown fox jumps over the lazy dog. It's 12345 o'clock in Z\xc3\xbcrich;\n"
    "  for (int i = 0; i < n; i++) sum += x[i];\n"
    "\xe4\xbb\x8a\xe5\xa4\xa9\xe5\xa4\xa9\xe6\xb0\x94\xe5\xbe\x88\xe5\xa5\xbd "
    "\xf0\x9f\x99\x82 na\xc3\xafve caf\xc3\xa9, 3.14159 times.";
enum { CHECK_TOKENS = 64, CHECK_TOP = 1024 };

/* ---- what to score ---- */

/* Without a tokenizer: ids that jump about the vocabulary, the same on every machine. */
static id_list made_up_ids(int64_t vocab_size) {
  id_list list = {cli_alloc(CHECK_TOKENS * sizeof(int32_t)), CHECK_TOKENS};
  uint64_t x = 1;
  for (size_t i = 0; i < list.n; i++) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    list.ids[i] = (int32_t)((x >> 33) % (uint64_t)vocab_size);
  }
  return list;
}

static bool are_same(const id_list *a, const id_list *b) {
  return a->n == b->n && memcmp(a->ids, b->ids, a->n * sizeof *a->ids) == 0;
}

static lb_status sample_ids(id_list *out, agreement *a, const lb_model *original,
                            const lb_model *copy, lb_error *err) {
  text_side sides[2] = {{0}, {0}};
  id_list ids[2] = {{0}, {0}};
  lb_error ignored;
  *out = (id_list){0};
  if (text_side_open(&sides[0], lb_model_get_info(original)->path, &ignored) != LB_OK) {
    *out = made_up_ids(lb_model_get_info(original)->vocab_size);
    return LB_OK;
  }
  a->has_tokenizer = true;
  lb_status st = text_side_open(&sides[1], lb_model_get_info(copy)->path, err);
  for (int i = 0; st == LB_OK && i < 2; i++)
    st = text_side_encode(&ids[i], &sides[i], sample_text, sizeof sample_text - 1, true, err);
  a->same_ids = st == LB_OK && are_same(&ids[0], &ids[1]);
  if (st == LB_OK) {
    *out = ids[0];
    if (out->n > CHECK_TOKENS) out->n = CHECK_TOKENS;
  } else {
    free(ids[0].ids);
  }
  free(ids[1].ids);
  for (int i = 0; i < 2; i++) text_side_close(&sides[i]);
  return st;
}

/* ---- how far two distributions are apart ---- */

typedef struct entry {
  int32_t id;
  float logprob;
} entry;

static int by_id(const void *a, const void *b) {
  int32_t x = ((const entry *)a)->id, y = ((const entry *)b)->id;
  return (x > y) - (x < y);
}

static void sort_top(entry *out, const lb_score_row *row, size_t t) {
  size_t K = (size_t)row->top_k;
  for (size_t k = 0; k < K; k++)
    out[k] = (entry){row->top_ids[t * K + k], row->top_logprobs[t * K + k]};
  qsort(out, K, sizeof *out, by_id);
}

/* KL(p || q) over the tokens that are among the best of both, and one more outcome, "any other
 * token". Merging outcomes can only lower a divergence, and the best 1024 hold nearly all of the
 * probability, so this is a close lower bound; exact when the vocabulary is smaller than that. */
static double kl_of_position(const entry *p, const entry *q, size_t K) {
  double kl = 0, p_sum = 0, q_sum = 0;
  for (size_t i = 0, j = 0; i < K && j < K;) {
    if (p[i].id < q[j].id)
      i++;
    else if (p[i].id > q[j].id)
      j++;
    else {
      double pi = exp((double)p[i].logprob);
      kl += pi * ((double)p[i].logprob - (double)q[j].logprob);
      p_sum += pi;
      q_sum += exp((double)q[j].logprob);
      i++, j++;
    }
  }
  double p_rest = 1 - p_sum, q_rest = fmax(1 - q_sum, 1e-12);
  if (p_rest > 1e-6) kl += p_rest * log(p_rest / q_rest);
  return kl;
}

static void compare_rows(agreement *a, const lb_score_row *p, const lb_score_row *q) {
  size_t K = (size_t)p->top_k, same = 0;
  entry *p_top = cli_alloc(K * sizeof *p_top), *q_top = cli_alloc(K * sizeof *q_top);
  double kl = 0;
  for (size_t t = 0; t < p->n; t++) {
    sort_top(p_top, p, t);
    sort_top(q_top, q, t);
    kl += kl_of_position(p_top, q_top, K);
    same += p->argmax[t] == q->argmax[t];
    if (t > 0)
      a->max_diff = fmax(a->max_diff, fabs((double)p->logprobs[t] - (double)q->logprobs[t]));
  }
  a->n_positions = p->n;
  a->mean_kl = fmax(kl / (double)p->n, 0); /* float log-probabilities do not sum to exactly 1 */
  a->same_best = (double)same / (double)p->n;
  free(p_top);
  free(q_top);
}

static lb_status compare_scores(agreement *a, lb_model *original, lb_model *copy,
                                const id_list *ids, lb_error *err) {
  lb_score_options options = lb_score_options_default();
  lb_scores *p = NULL, *q = NULL;
  lb_prompt document = {ids->ids, ids->n};
  int64_t vocab_size = lb_model_get_info(original)->vocab_size;
  if (lb_model_get_info(copy)->vocab_size < vocab_size)
    vocab_size = lb_model_get_info(copy)->vocab_size;
  options.top_k = vocab_size < CHECK_TOP ? vocab_size : CHECK_TOP;
  lb_status st = lb_score(&p, original, &document, 1, &options, err);
  if (st == LB_OK) st = lb_score(&q, copy, &document, 1, &options, err);
  if (st == LB_OK) compare_rows(a, lb_scores_get(p, 0), lb_scores_get(q, 0));
  lb_scores_free(p);
  lb_scores_free(q);
  return st;
}

/* ---- how far they may be apart ---- */

/* Coarsest first. The bounds are generous: they separate rounding from mistakes (a transposed or
 * permuted matrix costs nats, not hundredths); the measured value is printed beside them. */
static const struct {
  lb_dtype dtype;
  double kl;
} tolerances[] = {{LB_DTYPE_Q4_0, 1.5},
                  {LB_DTYPE_Q8_0, 0.05},
                  {LB_DTYPE_BF16, 0.05},
                  {LB_DTYPE_F16, 0.01},
                  {LB_DTYPE_F32, 1e-4}};

static lb_status find_tolerance(agreement *a, const char *copy, lb_error *err) {
  enum { N = sizeof tolerances / sizeof tolerances[0] };
  lb_inspection *inside;
  size_t coarsest = N - 1;
  lb_status st = lb_inspect(&inside, copy, err);
  if (st != LB_OK) return st;
  for (size_t k = 0; k < lb_inspection_n_tensors(inside); k++)
    for (size_t i = 0; i < coarsest; i++)
      if (lb_inspection_tensor(inside, k)->dtype == tolerances[i].dtype) coarsest = i;
  lb_inspection_free(inside);
  a->dtype = tolerances[coarsest].dtype;
  a->tolerated = tolerances[coarsest].kl;
  return LB_OK;
}

lb_status agreement_measure(agreement *out, const char *original, const char *copy, lb_error *err) {
  lb_model *models[2] = {NULL, NULL};
  id_list ids = {0};
  *out = (agreement){0};
  lb_status st = lb_model_open(&models[0], original, NULL, err);
  if (st == LB_OK) st = lb_model_open(&models[1], copy, NULL, err);
  if (st == LB_OK) st = sample_ids(&ids, out, models[0], models[1], err);
  if (st == LB_OK) st = compare_scores(out, models[0], models[1], &ids, err);
  if (st == LB_OK) st = find_tolerance(out, copy, err);
  free(ids.ids);
  lb_model_free(models[0]);
  lb_model_free(models[1]);
  return st;
}

bool agreement_is_good(const agreement *a) {
  return (!a->has_tokenizer || a->same_ids) && a->mean_kl <= a->tolerated;
}

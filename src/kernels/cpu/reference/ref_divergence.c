/* ref_divergence.c - loss terms between rows of student and teacher logits, and their gradient.
 *
 * With p = softmax(teacher / T), q = softmax(student / T), and any loss L = sum_v value(p_v, q_v):
 *     dL/dstudent_v = (slope_v - q_v sum_i slope_i) / T,    slope_v = q_v dL/dq_v
 * (the softmax's chain rule), so a divergence is two functions of one token's p and q, a row of
 * ops/divergences.def. They get log p and log q as well: everything is computed in log space, where
 * logits of +-1e4 are harmless. q dL/dq, unlike dL/dq, stays finite where q is 0. */
#include "reference.h"

#include "base/threads.h"

#include <math.h>

/* ---- the divergences: value and slope of one token ---- */

typedef struct token {
  double p, q, log_p, log_q;
} token;

typedef double token_fn(token t, const double *parameter);

/* weight * log_ratio, whose limit at weight 0 is 0. */
static double weighted(double weight, double log_ratio) {
  return weight == 0.0 ? 0.0 : weight * log_ratio;
}

/* log(exp(a) + exp(b)) */
static double log_add(double a, double b) {
  double larger = fmax(a, b);
  return larger == -INFINITY ? larger : larger + log1p(exp(fmin(a, b) - larger));
}

/* Here p is 1 at the target and 0 elsewhere. */
static double cross_entropy_value(token t, const double *parameter) {
  (void)parameter;
  return weighted(t.p, -t.log_q);
}
static double cross_entropy_slope(token t, const double *parameter) {
  (void)parameter;
  return -t.p;
}

static double forward_kl_value(token t, const double *parameter) {
  (void)parameter;
  return weighted(t.p, t.log_p - t.log_q);
}
static double forward_kl_slope(token t, const double *parameter) {
  (void)parameter;
  return -t.p;
}

/* The slope's q * 1 is left out: a constant in dL/dq drops out of the chain rule. */
static double reverse_kl_value(token t, const double *parameter) {
  (void)parameter;
  return weighted(t.q, t.log_q - t.log_p);
}
static double reverse_kl_slope(token t, const double *parameter) {
  return reverse_kl_value(t, parameter);
}

/* As in TRL's GKD (arXiv:2306.13649): at beta 0 and 1, where the formula's limit is 0, the two KLs.
 */
static double generalized_jsd_value(token t, const double *parameter) {
  double beta = parameter[0];
  if (beta == 0.0) return forward_kl_value(t, parameter);
  if (beta == 1.0) return reverse_kl_value(t, parameter);
  double log_m = log_add(log(beta) + t.log_p, log1p(-beta) + t.log_q);
  return beta * weighted(t.p, t.log_p - log_m) + (1.0 - beta) * weighted(t.q, t.log_q - log_m);
}
static double generalized_jsd_slope(token t, const double *parameter) {
  double beta = parameter[0];
  if (beta == 0.0) return forward_kl_slope(t, parameter);
  if (beta == 1.0) return reverse_kl_slope(t, parameter);
  double log_m = log_add(log(beta) + t.log_p, log1p(-beta) + t.log_q);
  return (1.0 - beta) * weighted(t.q, t.log_q - log_m);
}

static double tvd_value(token t, const double *parameter) {
  (void)parameter;
  return 0.5 * fabs(t.p - t.q);
}
static double tvd_slope(token t, const double *parameter) {
  (void)parameter;
  return 0.5 * t.q * (double)((t.q > t.p) - (t.q < t.p));
}

static const struct {
  token_fn *value, *slope;
  bool needs_teacher;
} kinds[LB__N_DIVERGENCES] = {
#define LB__DIVERGENCE(name, needs_teacher, n_parameters, smallest, largest, text)                 \
  {name##_value, name##_slope, needs_teacher},
#include "ops/divergences.def"
#undef LB__DIVERGENCE
};

/* ---- one row ---- */

typedef struct row {
  double *student, *teacher, *gradient; /* [V] each; logits after soft caps */
  int64_t V;
  int32_t target; /* < 0: none */
  bool has_teacher;
} row;

/* log sum_v exp(x[v] / T) */
static double logsumexp(const double *x, int64_t V, double T) {
  double largest = -INFINITY, sum = 0.0;
  for (int64_t v = 0; v < V; v++) largest = fmax(largest, x[v]);
  for (int64_t v = 0; v < V; v++) sum += exp((x[v] - largest) / T);
  return largest / T + log(sum);
}

static token token_of_logs(double log_p, double log_q) {
  return (token){exp(log_p), exp(log_q), log_p, log_q};
}

static token token_at(const row *r, const lb__divergence_term *t, double lse_p, double lse_q,
                      int64_t v) {
  double log_p = v == r->target ? 0.0 : -INFINITY;
  if (kinds[t->kind].needs_teacher) log_p = r->teacher[v] / t->temperature - lse_p;
  return token_of_logs(log_p, r->student[v] / t->temperature - lse_q);
}

/* Returns the term's value, and adds gradient_factor times its gradient to r->gradient. */
static double add_term(const row *r, const lb__divergence_term *t, double gradient_factor) {
  if (!kinds[t->kind].needs_teacher && r->target < 0) return 0.0;
  double T = t->temperature, value = 0.0, slopes = 0.0;
  double lse_q = logsumexp(r->student, r->V, T);
  double lse_p = kinds[t->kind].needs_teacher ? logsumexp(r->teacher, r->V, T) : 0.0;
  for (int64_t v = 0; v < r->V; v++) {
    token k = token_at(r, t, lse_p, lse_q, v);
    value += kinds[t->kind].value(k, t->parameter);
    slopes += kinds[t->kind].slope(k, t->parameter);
  }
  for (int64_t v = 0; v < r->V; v++) {
    token k = token_at(r, t, lse_p, lse_q, v);
    double slope = kinds[t->kind].slope(k, t->parameter);
    r->gradient[v] += gradient_factor / T * (slope - k.q * slopes);
  }
  return value;
}

/* ---- facts ---- */

static int64_t argmax(const double *x, int64_t V) {
  int64_t best = 0;
  for (int64_t v = 1; v < V; v++)
    if (x[v] > x[best]) best = v;
  return best;
}

static void kls(const row *r, double *forward, double *reverse) {
  double lse_p = logsumexp(r->teacher, r->V, 1.0), lse_q = logsumexp(r->student, r->V, 1.0);
  *forward = *reverse = 0.0;
  for (int64_t v = 0; v < r->V; v++) {
    token k = token_of_logs(r->teacher[v] - lse_p, r->student[v] - lse_q);
    *forward += forward_kl_value(k, NULL);
    *reverse += reverse_kl_value(k, NULL);
  }
}

static void put_facts(double *facts, const row *r) {
  bool has_target = r->target >= 0;
  int64_t best = argmax(r->student, r->V);
  for (int i = 0; i < LB__N_ROW_FACTS; i++) facts[i] = r->has_teacher ? 0.0 : (double)NAN;
  facts[LB__FACT_CE] = has_target ? logsumexp(r->student, r->V, 1.0) - r->student[r->target] : 0.0;
  facts[LB__FACT_CORRECT] = has_target && best == r->target ? 1.0 : 0.0;
  if (!r->has_teacher) return;
  if (has_target)
    facts[LB__FACT_TEACHER_CE] = logsumexp(r->teacher, r->V, 1.0) - r->teacher[r->target];
  kls(r, &facts[LB__FACT_FORWARD_KL], &facts[LB__FACT_REVERSE_KL]);
  facts[LB__FACT_AGREES] = best == argmax(r->teacher, r->V) ? 1.0 : 0.0;
}

/* ---- all rows ---- */

typedef struct job {
  const lb__divergence_args *args;
  double *scratch; /* [threads, 3, V] */
} job;

static void load_logits(double *out, const lb_tensor *logits, int64_t n, int64_t V, float softcap) {
  double cap = (double)softcap;
  for (int64_t v = 0; v < V; v++) {
    double x = lb__ref_get(logits, n * logits->shape[1] + v);
    out[v] = cap > 0.0 ? cap * tanh(x / cap) : x;
  }
}

/* d cap tanh(x / cap) / dx = 1 - tanh^2 */
static void store_gradient(const lb__divergence_args *a, const row *r, int64_t n) {
  int64_t Vs = a->student->shape[1];
  double cap = (double)a->student_softcap;
  for (int64_t v = 0; v < Vs; v++) {
    double d = v < r->V ? r->gradient[v] : 0.0,
           tanh_x = cap > 0.0 && v < r->V ? r->student[v] / cap : 0.0;
    lb__ref_put(a->student, n * Vs + v, d == 0.0 ? 0.0 : d * (1.0 - tanh_x * tanh_x));
  }
}

static void one_row(const lb__divergence_args *a, row *r, int64_t n) {
  int64_t N = a->student->shape[0];
  double weight = a->weights != NULL ? lb__ref_get(a->weights, n) : 1.0;
  r->target = a->targets != NULL ? lb__tensor_i32(a->targets)[n] : -100;
  load_logits(r->student, a->student, n, r->V, a->student_softcap);
  if (r->has_teacher) load_logits(r->teacher, a->teacher, n, r->V, a->teacher_softcap);
  if (a->facts != NULL) put_facts((double *)lb__tensor_data(a->facts) + n * LB__N_ROW_FACTS, r);
  memset(r->gradient, 0, (size_t)r->V * sizeof *r->gradient);
  for (size_t t = 0; t < a->n_terms; t++) {
    const lb__divergence_term *term = &a->terms[t];
    double factor = a->scale * term->coefficient * term->factor * weight;
    double value = weight != 0.0 ? term->factor * add_term(r, term, factor) : 0.0;
    lb__ref_put(a->losses, (int64_t)t * N + n, value);
  }
  if (a->gradient) store_gradient(a, r, n);
}

static void rows(void *ctx, int64_t begin, int64_t end) {
  const job *j = ctx;
  int64_t V = j->args->vocab;
  double *scratch = j->scratch + lb__thread_index() * 3 * V;
  row r = {.student = scratch,
           .teacher = scratch + V,
           .gradient = scratch + 2 * V,
           .V = V,
           .has_teacher = j->args->teacher != NULL};
  for (int64_t n = begin; n < end; n++) one_row(j->args, &r, n);
}

size_t lb__ref_divergence_workspace(const lb__divergence_args *args) {
  return (size_t)lb_threads_get() * 3 * (size_t)args->vocab * sizeof(double);
}

lb_status lb__ref_divergence(const lb__divergence_args *args, void *workspace) {
  job j = {.args = args, .scratch = workspace};
  lb__parallel_for(args->student->shape[0], 1, rows, &j);
  return LB_OK;
}

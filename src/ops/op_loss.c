/* op_loss.c - losses: divergences of rows of logits, mean squared difference. Contracts: ops.h. */
#include "op_check.h"

#include "tensor/tape.h"

#include <math.h>
#include <stdio.h>

/* ---- the list of divergences ---- */

static const struct {
  const char *name;
  bool needs_teacher;
  int n_parameters;
  double smallest, largest;
} divergences[LB__N_DIVERGENCES] = {
#define LB__DIVERGENCE(name, needs_teacher, n_parameters, smallest, largest, text)                 \
  {#name, needs_teacher, n_parameters, smallest, largest},
#include "divergences.def"
#undef LB__DIVERGENCE
};

static bool known(int kind) {
  return (unsigned)kind < LB__N_DIVERGENCES;
}

const char *lb__divergence_name(int kind) {
  return known(kind) ? divergences[kind].name : "?";
}

bool lb__divergence_needs_teacher(int kind) {
  return known(kind) && divergences[kind].needs_teacher;
}

/* ---- checks of divergence ---- */

static lb_status fail_term(lb_error *err, const lb__divergence_term *t, const char *what,
                           double found, const char *want) {
  return lb__fail(err, LB_E_ARG, "divergence: %s: %s is %g, want %s", lb__divergence_name(t->kind),
                  what, found, want);
}

static lb_status check_parameters(const lb__divergence_term *t, lb_error *err) {
  char want[80];
  for (int i = 0; i < divergences[t->kind].n_parameters; i++) {
    double smallest = divergences[t->kind].smallest, largest = divergences[t->kind].largest;
    if (t->parameter[i] >= smallest && t->parameter[i] <= largest) continue;
    snprintf(want, sizeof want, "%g to %g", smallest, largest);
    return fail_term(err, t, "its parameter", t->parameter[i], want);
  }
  return LB_OK;
}

static lb_status check_term(const lb__divergence_args *a, const lb__divergence_term *t,
                            lb_error *err) {
  if (!known(t->kind))
    return lb__fail(err, LB_E_ARG, "divergence: no kind %d; there are 0 to %d", t->kind,
                    LB__N_DIVERGENCES - 1);
  if (!(t->temperature > 0.0) || !isfinite(t->temperature))
    return fail_term(err, t, "the temperature", t->temperature, "a number above 0");
  if (t->kind == LB__DIVERGENCE_cross_entropy && t->temperature != 1.0)
    return fail_term(err, t, "the temperature", t->temperature,
                     "1: the temperature belongs to the terms with a teacher");
  if (!isfinite(t->coefficient))
    return fail_term(err, t, "the coefficient", t->coefficient, "a number");
  if (!isfinite(t->factor)) return fail_term(err, t, "the factor", t->factor, "a number");
  if (divergences[t->kind].needs_teacher && a->teacher == NULL)
    return lb__fail(err, LB_E_ARG, "divergence: %s needs a teacher's logits; there are none",
                    divergences[t->kind].name);
  if (!divergences[t->kind].needs_teacher && a->targets == NULL)
    return lb__fail(err, LB_E_ARG, "divergence: %s needs targets; there are none",
                    divergences[t->kind].name);
  return check_parameters(t, err);
}

/* F32 or F64; every tensor of real numbers of one call has the student's. */
static lb_status check_logits(const char *name, const lb_tensor *t, const lb__divergence_args *a,
                              lb_error *err) {
  static const lb__op OP = LB__OP_divergence;
  lb_dtype real = a->student->dtype == LB_DTYPE_F64 ? LB_DTYPE_F64 : LB_DTYPE_F32;
  lb_status st = lb__op_check(OP, name, t, real, 2, err);
  if (st != LB_OK) return st;
  if (t->shape[0] != a->student->shape[0])
    return lb__op_fail_pair(err, OP, (lb__named){"student", a->student}, (lb__named){name, t},
                            "want the same rows");
  if (a->vocab >= 1 && a->vocab <= t->shape[1]) return LB_OK;
  return lb__op_fail(err, LB_E_ARG, OP, name, t, "the common vocabulary is %lld, want 1 to %lld",
                     (long long)a->vocab, (long long)t->shape[1]);
}

/* A vector with one element for each row. */
static lb_status check_rows(const char *name, const lb_tensor *t, lb_dtype dtype,
                            const lb__divergence_args *a, lb_error *err) {
  if (t == NULL) return LB_OK;
  lb_status st = lb__op_check(LB__OP_divergence, name, t, dtype, 1, err);
  if (st != LB_OK || t->shape[0] == a->student->shape[0]) return st;
  return lb__op_fail_pair(err, LB__OP_divergence, (lb__named){"student", a->student},
                          (lb__named){name, t}, "want one for each row");
}

static lb_status check_results(const lb__divergence_args *a, lb_error *err) {
  static const lb__op OP = LB__OP_divergence;
  int64_t N = a->student->shape[0];
  lb_status st = lb__op_check(OP, "losses", a->losses, LB_DTYPE_F64, 2, err);
  if (st != LB_OK) return st;
  if (a->losses->shape[0] != (int64_t)a->n_terms || a->losses->shape[1] != N)
    return lb__op_fail(err, LB_E_SHAPE, OP, "losses", a->losses, "want [%zu,%lld]", a->n_terms,
                       (long long)N);
  if (a->facts == NULL) return LB_OK;
  st = lb__op_check(OP, "facts", a->facts, LB_DTYPE_F64, 2, err);
  if (st != LB_OK || (a->facts->shape[0] == N && a->facts->shape[1] == LB__N_ROW_FACTS)) return st;
  return lb__op_fail(err, LB_E_SHAPE, OP, "facts", a->facts, "want [%lld,%d]", (long long)N,
                     LB__N_ROW_FACTS);
}

/* The kernels index with targets, so that one from a wider vocabulary must not reach them. */
static lb_status check_targets(const lb__divergence_args *a, lb_error *err) {
  int32_t some[256];
  int64_t N = a->targets != NULL ? a->targets->shape[0] : 0, n_some = sizeof some / sizeof *some;
  for (int64_t begin = 0; begin < N; begin += n_some) {
    int64_t n = N - begin < n_some ? N - begin : n_some;
    lb_status st = lb__tensor_read(a->targets, (size_t)begin * sizeof *some, some,
                                   (size_t)n * sizeof *some, err);
    if (st != LB_OK) return st;
    for (int64_t i = 0; i < n; i++)
      if (some[i] >= a->vocab)
        return lb__fail(err, LB_E_ARG,
                        "divergence: target %d of row %lld is outside the common vocabulary of "
                        "%lld tokens; -100 trains nothing there",
                        some[i], (long long)begin + i, (long long)a->vocab);
  }
  return LB_OK;
}

static lb_status check_divergence(const lb__divergence_args *a, lb_error *err) {
  if (a->n_terms > LB__DIVERGENCE_TERMS_MAX)
    return lb__fail(err, LB_E_ARG, "divergence: %zu loss terms, at most %d fit", a->n_terms,
                    LB__DIVERGENCE_TERMS_MAX);
  lb_status st = check_logits("student", a->student, a, err);
  if (st == LB_OK && a->teacher != NULL) st = check_logits("teacher", a->teacher, a, err);
  if (st == LB_OK) st = check_rows("targets", a->targets, LB_DTYPE_I32, a, err);
  if (st == LB_OK) st = check_rows("weights", a->weights, a->student->dtype, a, err);
  if (st == LB_OK) st = check_results(a, err);
  for (size_t t = 0; t < a->n_terms && st == LB_OK; t++) st = check_term(a, &a->terms[t], err);
  return st == LB_OK ? check_targets(a, err) : st;
}

lb_status lb__op_divergence(lb__stream *s, const lb__divergence_args *args, lb_error *err) {
  lb_status st = check_divergence(args, err);
  return st != LB_OK ? st : lb__run_divergence(&s->arena, args, err);
}

/* ---- mse ---- */

typedef struct mse_node {
  lb_tensor x, target;
  double scale;
} mse_node;

static lb_status mse_bwd(lb__stream *s, const lb_tensor *dout, void *saved, lb_error *err) {
  (void)dout; /* a loss: 1 */
  mse_node *node = saved;
  lb_tensor dx;
  bool wanted;
  lb_status st = lb__gradient_view(&dx, &wanted, s, &node->x, err);
  if (st != LB_OK || !wanted) return st;
  lb__mse_args args = {.dx = &dx, .x = &node->x, .target = &node->target, .scale = node->scale};
  return lb__run_mse(&s->arena, &args, err);
}

/* *sum += losses[0] + losses[1] + ..., in this order. */
static lb_status add_losses(double *sum, const lb_tensor *losses, lb_error *err) {
  double some[256], total = 0.0;
  int64_t N = losses->shape[0], n_some = sizeof some / sizeof *some;
  for (int64_t begin = 0; begin < N; begin += n_some) {
    int64_t n = N - begin < n_some ? N - begin : n_some;
    lb_status st =
        lb__tensor_read(losses, (size_t)begin * sizeof *some, some, (size_t)n * sizeof *some, err);
    if (st != LB_OK) return st;
    for (int64_t i = 0; i < n; i++) total += some[i];
  }
  *sum += total;
  return LB_OK;
}

static lb_status mse_value(lb__stream *s, double *sum, const lb_tensor *x, const lb_tensor *target,
                           lb_error *err) {
  lb__arena_mark mark = lb__arena_get_mark(&s->arena);
  lb_tensor *losses;
  lb_status st = lb__stream_tensor(&losses, s, LB_DTYPE_F64, 1, x->shape, err);
  if (st != LB_OK) return st;
  lb__mse_args args = {.losses = losses, .x = x, .target = target};
  st = lb__run_mse(&s->arena, &args, err);
  if (st == LB_OK) st = add_losses(sum, losses, err);
  lb__arena_release(&s->arena, mark);
  return st;
}

lb_status lb__op_mse(lb__stream *s, double *sum, const lb_tensor *x, const lb_tensor *target,
                     double scale, lb_error *err) {
  static const lb__op OP = LB__OP_mse;
  lb_status st = lb__op_check(OP, "x", x, s->real, 2, err);
  if (st == LB_OK) st = lb__op_check(OP, "target", target, s->real, 2, err);
  if (st == LB_OK)
    st = lb__op_check_same(OP, (lb__named){"x", x}, (lb__named){"target", target}, err);
  if (st == LB_OK) st = mse_value(s, sum, x, target, err);
  if (st != LB_OK || !lb__tape_wants(s, x)) return st;
  mse_node node = {.x = *x, .target = *target, .scale = scale};
  return lb__tape_record(s, NULL, false, mse_bwd, &node, sizeof node, err);
}

/* op_cases_loss.c - losses. See op_cases.h. */
#include "op_case_parts.h"

#include <math.h>

/* What a divergence case's rows look like. */
enum { ORDINARY, SPREAD, HUGE_LOGITS, EXCLUDED, SAME, NOT_FINITE };

/* Logits [N,V + padding] of one side. */
static lb_tensor random_logits(int64_t N, int64_t columns, int64_t kind) {
  lb_tensor t = floats(2, N, columns, 1);
  float *x = lb__tensor_f32(&t), spread = kind == SPREAD || kind == SAME ? 8.0f : 2.0f;
  for (int64_t i = 0; i < N * columns; i++) x[i] *= spread;
  for (int64_t n = 0; kind == HUGE_LOGITS && n < N; n++)
    x[n * columns + random_bits() % (uint32_t)(columns / 2 + 1)] = n % 2 ? 1e4f : -1e4f;
  return t;
}

/* Both sides exclude the same tokens with -inf: those count for nothing. */
static void exclude(lb_tensor *student, lb_tensor *teacher, int64_t V) {
  int64_t N = student->shape[0];
  for (int64_t n = 0; n < N; n++)
    for (int64_t v = n % 3; v < V - 1; v += 3) {
      lb__tensor_f32(student)[n * student->shape[1] + v] = -INFINITY;
      lb__tensor_f32(teacher)[n * teacher->shape[1] + v] = -INFINITY;
    }
}

static void poison(lb_tensor *student, lb_tensor *teacher) {
  lb__tensor_f32(student)[1] = NAN;
  lb__tensor_f32(teacher)[teacher->shape[1] + 1] = INFINITY;
  lb__tensor_f32(student)[2 * student->shape[1]] = -INFINITY; /* the teacher allows it */
}

/* What a case's terms are; the last is what distillation uses. */
static const lb__divergence_term one_term[][2] = {
    {{LB__DIVERGENCE_cross_entropy, 1.0, 1.0, 1.0, {0}}},
    {{LB__DIVERGENCE_forward_kl, 1.0, 2.0, 4.0, {0}}},
    {{LB__DIVERGENCE_reverse_kl, 1.0, 1.0, 1.0, {0}}},
    {{LB__DIVERGENCE_generalized_jsd, 1.0, 1.5, 1.0, {0.5}}},
    {{LB__DIVERGENCE_generalized_jsd, 1.0, 1.0, 1.0, {0.1}}},
    {{LB__DIVERGENCE_generalized_jsd, 1.0, 2.0, 1.0, {0.0}}},
    {{LB__DIVERGENCE_generalized_jsd, 1.0, 2.0, 1.0, {1.0}}},
    {{LB__DIVERGENCE_tvd, 1.0, 2.0, 1.0, {0}}},
};
static const lb__divergence_term many_terms[] = {
    {LB__DIVERGENCE_cross_entropy, 0.3, 1.0, 1.0, {0}},
    {LB__DIVERGENCE_forward_kl, 0.7, 2.0, 4.0, {0}},
    {LB__DIVERGENCE_reverse_kl, 0.2, 2.0, 4.0, {0}},
    {LB__DIVERGENCE_generalized_jsd, 0.4, 1.0, 1.0, {0.3}},
    {LB__DIVERGENCE_tvd, 0.1, 3.0, 1.0, {0}},
};
enum { MANY = sizeof one_term / sizeof *one_term, DISTIL };

/* p: N, V, terms, rows, student's padding, teacher's padding, switches */
enum { WEIGHTS = 1, SOFTCAPS = 2, FACTS = 4, VALUES_ONLY = 8, NO_TEACHER = 16 };
static void run_divergence(const op_case *c, const lb__kernel_table *table, op_result *result) {
  int64_t N = c->p[0], V = c->p[1], kind = c->p[3], switches = c->p[6];
  lb_tensor student = random_logits(N, V + c->p[4], kind);
  lb_tensor teacher = random_logits(N, V + c->p[5], kind);
  lb_tensor targets = random_ints(N, V), weights = floats(1, N, 1, 1);
  if (kind == EXCLUDED) exclude(&student, &teacher, V);
  if (kind == NOT_FINITE) poison(&student, &teacher);
  if (kind == SAME) memcpy(lb__tensor_f32(&teacher), lb__tensor_f32(&student), student.size_bytes);
  for (int64_t n = 0; n < N; n++) {
    if (kind == EXCLUDED) lb__tensor_i32(&targets)[n] = (int32_t)V - 1;
    if (n % 4 == 3) lb__tensor_i32(&targets)[n] = -100;
    float *w = &lb__tensor_f32(&weights)[n];
    *w = n % 5 == 1 ? 0.0f : 0.5f + fabsf(*w);
  }
  const lb__divergence_term *terms = c->p[2] < MANY ? one_term[c->p[2]] : many_terms;
  size_t n_terms = c->p[2] < MANY ? 1 : c->p[2] == DISTIL ? 2 : 5;
  lb_tensor losses = make(LB_DTYPE_F64, 2, (int64_t)n_terms, N, 1);
  lb_tensor facts = make(LB_DTYPE_F64, 2, N, LB__N_ROW_FACTS, 1);
  lb__divergence_args args = {.student = &student,
                              .losses = &losses,
                              .facts = switches & FACTS ? &facts : NULL,
                              .teacher = switches & NO_TEACHER ? NULL : &teacher,
                              .targets = &targets,
                              .weights = switches & WEIGHTS ? &weights : NULL,
                              .vocab = V,
                              .student_softcap = switches & SOFTCAPS ? 3.0f : 0.0f,
                              .teacher_softcap = switches & SOFTCAPS ? 5.0f : 0.0f,
                              .terms = terms,
                              .n_terms = n_terms,
                              .scale = 2.0,
                              .gradient = !(switches & VALUES_ONLY)};
  RUN(divergence, args);
  keep_floats(result, &student);
  keep_doubles(result, &losses);
  if (switches & FACTS) keep_doubles(result, &facts);
  lb_tensor *all[] = {&student, &teacher, &targets, &weights, &losses, &facts};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) lb__tensor_deinit(all[i]);
}

/* p: N, C, without dx, without losses */
static void run_mse(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor x = floats(2, c->p[0], c->p[1], 1), target = floats(2, c->p[0], c->p[1], 1);
  lb_tensor dx = floats(2, c->p[0], c->p[1], 1), losses = make(LB_DTYPE_F64, 1, c->p[0], 1, 1);
  lb__mse_args args = {c->p[3] ? NULL : &losses, c->p[2] ? NULL : &dx, &x, &target, 30.0};
  RUN(mse, args);
  if (!c->p[3]) keep_doubles(result, &losses);
  keep_floats(result, &dx);
  lb_tensor *all[] = {&x, &target, &dx, &losses};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) lb__tensor_deinit(all[i]);
}

SEEDED(divergence)
SEEDED(mse)

#define DIVERGENCE(name, ...) CASE(divergence, LB_TOL_DIVERGENCE, name, __VA_ARGS__)
#define EACH_KIND(terms, name)                                                                     \
  DIVERGENCE(name, 6, 77, terms, ORDINARY, 0, 0, WEIGHTS),                                         \
      DIVERGENCE(name ", soft caps", 5, 130, terms, ORDINARY, 3, 0, SOFTCAPS),                     \
      DIVERGENCE(name ", spread", 9, 1003, terms, SPREAD, 0, 5, 0),                                \
      DIVERGENCE(name ", two tokens", 8, 2, terms, SPREAD, 0, 0, 0),                               \
      DIVERGENCE(name ", +-1e4", 4, 67, terms, HUGE_LOGITS, 0, 0, FACTS),                          \
      DIVERGENCE(name ", excluded tokens", 5, 67, terms, EXCLUDED, 0, 0, FACTS),                   \
      DIVERGENCE(name ", the teacher itself", 5, 333, terms, SAME, 0, 0, FACTS)

static const op_case cases[] = {
    EACH_KIND(0, "cross_entropy"),
    EACH_KIND(1, "forward_kl"),
    EACH_KIND(2, "reverse_kl"),
    EACH_KIND(3, "jsd"),
    EACH_KIND(4, "jsd 0.1"),
    EACH_KIND(5, "jsd 0"),
    EACH_KIND(6, "jsd 1"),
    EACH_KIND(7, "tvd"),
    EACH_KIND(DISTIL, "distil"),
    DIVERGENCE("all at once", 7, 531, MANY, ORDINARY, 2, 7, WEIGHTS | SOFTCAPS | FACTS),
    DIVERGENCE("all at once, values only", 7, 531, MANY, ORDINARY, 2, 7, WEIGHTS | VALUES_ONLY),
    DIVERGENCE("no teacher", 5, 77, 0, ORDINARY, 0, 0, NO_TEACHER | FACTS),
    DIVERGENCE("large vocabulary", 1, 262144, DISTIL, SPREAD, 0, 0, FACTS),
    DIVERGENCE("padded vocabulary", 2, 50257, DISTIL, ORDINARY, 47, 0, 0),
    DIVERGENCE("one token", 3, 1, DISTIL, ORDINARY, 0, 0, FACTS),
    DIVERGENCE("no rows", 0, 9, DISTIL, ORDINARY, 0, 0, FACTS),
    DIVERGENCE("not finite", 4, 77, DISTIL, NOT_FINITE, 0, 0, 0),

    CASE(mse, LB_TOL_MSE, "odd", 5, 77, 0, 0),
    CASE(mse, LB_TOL_MSE, "wide", 70, 768, 0, 0),
    CASE(mse, LB_TOL_MSE, "values only", 9, 64, 1, 0),
    CASE(mse, LB_TOL_MSE, "gradient only", 9, 64, 0, 1),
    CASE(mse, LB_TOL_MSE, "no rows", 0, 64, 0, 0),
};
const op_case_list op_cases_loss = {cases, sizeof cases / sizeof *cases};

/* gradient_cases_loss.c - losses: every divergence through the fused head, and mse. See
 * gradient_probe.h. */
#include "gradient_probe.h"

#include "loss/fused_head.h"

/* ---- the fused head ---- */

enum { TOKENS = 5, STUDENT_ROWS = 7, TEACHER_ROWS = 9, VOCAB = 6 };

/* What a case may have besides a teacher and targets. */
typedef struct shape {
  bool weights, student_cap, teacher_cap;
  int64_t chunk_tokens;
} shape;

/* The loss that the gradients are of: scale * sum of coefficient * terms. Rows 1 and 3 have no
 * target; with weights row 2 counts for nothing. Both heads are wider than the vocabulary. */
static double head(gradient_probe *p, const lb__divergence_term *terms, size_t n_terms, shape k) {
  lb__head_side teacher = {.hidden = probe_constant(p, 2, TOKENS, 4, 1),
                           .weight = probe_constant(p, 2, TEACHER_ROWS, 4, 1),
                           .softcap = k.teacher_cap ? 1.5f : 0.0f};
  lb_tensor *weights = probe_constant(p, 1, TOKENS, 1, 1);
  ((double *)lb__tensor_data(weights))[2] = 0.0;
  lb__fused_head_args args = {
      .student = {.hidden = probe_input(p, 2, TOKENS, 3, 1),
                  .weight = probe_input(p, 2, STUDENT_ROWS, 3, 1),
                  .softcap = k.student_cap ? 2.0f : 0.0f},
      .teacher = &teacher,
      .targets = probe_i32(p, TOKENS, (int32_t[]){2, -100, 0, -100, 5}),
      .weights = k.weights ? weights : NULL,
      .vocab = VOCAB,
      .terms = terms,
      .n_terms = n_terms,
      .scale = 0.75,
      .chunk_tokens = k.chunk_tokens,
  };
  lb__fused_head_sums sums = {0};
  double loss = 0.0;
  PROBE_OK(lb__fused_head(&p->stream, &sums, &args, &p->err));
  for (size_t t = 0; t < n_terms; t++) loss += args.scale * terms[t].coefficient * sums.terms[t];
  return loss;
}

/* name, kind, temperature, factor, parameter */
#define KINDS(X)                                                                                   \
  X(cross_entropy, cross_entropy, 1.0, 1.0, 0.0)                                                   \
  X(forward_kl, forward_kl, 1.0, 1.0, 0.0)                                                         \
  X(forward_kl_warm, forward_kl, 2.0, 4.0, 0.0)                                                    \
  X(reverse_kl, reverse_kl, 1.0, 1.0, 0.0)                                                         \
  X(reverse_kl_warm, reverse_kl, 1.7, 1.0, 0.0)                                                    \
  X(jsd, generalized_jsd, 1.0, 1.0, 0.5)                                                           \
  X(jsd_small_beta, generalized_jsd, 2.0, 4.0, 0.1)                                                \
  X(jsd_large_beta, generalized_jsd, 1.0, 1.0, 0.9)                                                \
  X(jsd_0, generalized_jsd, 1.5, 1.0, 0.0)                                                         \
  X(jsd_1, generalized_jsd, 1.5, 1.0, 1.0)                                                         \
  X(tvd, tvd, 1.0, 1.0, 0.0)                                                                       \
  X(tvd_warm, tvd, 3.0, 9.0, 0.0)

#define TERM(kind, T, factor, beta)                                                                \
  &(lb__divergence_term){LB__DIVERGENCE_##kind, 0.6, T, factor, {beta}}, 1
#define PLAIN(name, kind, T, factor, beta)                                                         \
  static double name(gradient_probe *p) {                                                          \
    return head(p, TERM(kind, T, factor, beta), (shape){0});                                       \
  }                                                                                                \
  static double name##_dressed(gradient_probe *p) {                                                \
    return head(p, TERM(kind, T, factor, beta), (shape){true, true, true, 2});                     \
  }
KINDS(PLAIN)

static const lb__divergence_term distil_terms[] = {
    {LB__DIVERGENCE_forward_kl, 0.7, 2.0, 4.0, {0}},
    {LB__DIVERGENCE_cross_entropy, 0.3, 1.0, 1.0, {0}},
    {LB__DIVERGENCE_generalized_jsd, 0.2, 1.0, 1.0, {0.3}},
};
static double distil(gradient_probe *p) {
  return head(p, distil_terms, 3, (shape){.weights = true, .chunk_tokens = 3});
}

/* The head is the embedding: the fused head adds to the gradient at once, the embedding when the
 * tape is walked. */
static double tied(gradient_probe *p) {
  lb_tensor *hidden, *ids = probe_i32(p, 4, (int32_t[]){1, 4, 1, 0});
  lb_tensor *weight = probe_input(p, 2, 5, 3, 1);
  PROBE_OK(lb__op_embed(&p->stream, &hidden, ids, weight, 1.0f, &p->err));
  lb__fused_head_args args = {.student = {.hidden = hidden, .weight = weight},
                              .targets = probe_i32(p, 4, (int32_t[]){4, 1, 0, -100}),
                              .vocab = 5,
                              .terms = &distil_terms[1],
                              .n_terms = 1,
                              .scale = 1.0};
  lb__fused_head_sums sums = {0};
  PROBE_OK(lb__fused_head(&p->stream, &sums, &args, &p->err));
  return 0.3 * sums.terms[0];
}

/* A frozen, quantised head of the student (LoRA): only the hidden states learn. */
static double frozen_head(gradient_probe *p) {
  lb__fused_head_args args = {.student = {.hidden = probe_input(p, 2, 3, 32, 1),
                                          .weight = probe_weight(p, LB_DTYPE_Q8_0, 6, 32)},
                              .targets = probe_i32(p, 3, (int32_t[]){4, 1, 0}),
                              .vocab = 6,
                              .terms = &distil_terms[1],
                              .n_terms = 1,
                              .scale = 1.0};
  lb__fused_head_sums sums = {0};
  PROBE_OK(lb__fused_head(&p->stream, &sums, &args, &p->err));
  return 0.3 * sums.terms[0];
}

/* ---- mse ---- */

static double mse(gradient_probe *p) {
  double sum = 0.0;
  lb_tensor *x = probe_input(p, 2, 3, 7, 1), *target = probe_constant(p, 2, 3, 7, 1);
  PROBE_OK(lb__op_mse(&p->stream, &sum, x, target, 0.4, &p->err));
  return 0.4 * sum;
}

/* ---- planted bugs: in what runs while gradients are wanted; the differences come from values ----
 */

#define CHANGED(name, change)                                                                      \
  static lb_status broken_##name(const lb__divergence_args *args, void *workspace) {               \
    lb__divergence_args a = *args;                                                                 \
    lb__divergence_term terms[LB__HEAD_TERMS_MAX];                                                 \
    if (!a.gradient) return probe_right.divergence(args, workspace);                               \
    memcpy(terms, args->terms, args->n_terms * sizeof *terms);                                     \
    a.terms = terms;                                                                               \
    for (size_t t = 0; t < a.n_terms; t++) change;                                                 \
    return probe_right.divergence(&a, workspace);                                                  \
  }                                                                                                \
  static void plant_##name(lb__kernel_table *table) {                                              \
    table->divergence = broken_##name;                                                             \
  }
CHANGED(scale, a.scale *= 1.00001)
CHANGED(no_factor, terms[t].factor = 1.0)
CHANGED(no_temperature, terms[t].temperature = 1.0)
CHANGED(mirrored, terms[t].parameter[0] = 1.0 - terms[t].parameter[0])
CHANGED(no_coefficient, terms[t].coefficient = 1.0)
CHANGED(no_weights, a.weights = NULL)
CHANGED(no_student_cap, a.student_softcap = 0.0f)
CHANGED(no_teacher_cap, a.teacher_softcap = 0.0f)
CHANGED(other_side, a.teacher = args->student)
CHANGED(no_gradient, a.gradient = false)

/* Only the last addition to a gradient is kept. */
static lb_status replaces(const lb__linear_bwd_args *args, void *workspace) {
  if (args->dweight != NULL) lb__tensor_zero(args->dweight);
  return probe_right.linear_bwd(args, workspace);
}
static void plant_replaces(lb__kernel_table *table) {
  table->linear_bwd = replaces;
}

static lb_status mse_half(const lb__mse_args *args, void *workspace) {
  lb__mse_args a = *args;
  a.scale *= 0.5;
  return probe_right.mse(&a, workspace);
}
static void plant_mse_half(lb__kernel_table *table) {
  table->mse = mse_half;
}

/* ---- the lists ---- */

#define ROWS(name, kind, T, factor, beta)                                                          \
  {"divergence " #name, name}, {"divergence " #name ", dressed", name##_dressed},
static const gradient_case cases[] = {
    KINDS(ROWS){"fused head, three terms", distil},
    {"fused head, tied", tied},
    {"fused head, frozen q8_0 head", frozen_head},
    {"mse", mse},
};

static const gradient_bug bugs[] = {
    {"divergence cross_entropy", "scale", plant_scale},
    {"divergence cross_entropy", "no gradient", plant_no_gradient},
    {"divergence forward_kl_warm", "no T^2", plant_no_factor},
    {"divergence forward_kl_warm", "no temperature", plant_no_temperature},
    {"divergence reverse_kl", "coefficient", plant_no_coefficient},
    {"divergence reverse_kl", "the student for both sides", plant_other_side},
    {"divergence reverse_kl, dressed", "weights", plant_no_weights},
    {"divergence jsd_small_beta", "beta on the wrong side", plant_mirrored},
    {"divergence jsd_0", "beta on the wrong side", plant_mirrored},
    {"divergence jsd, dressed", "teacher's soft cap", plant_no_teacher_cap},
    {"divergence forward_kl, dressed", "student's soft cap", plant_no_student_cap},
    {"divergence tvd_warm", "no temperature", plant_no_temperature},
    {"divergence tvd, dressed", "student's soft cap", plant_no_student_cap},
    {"fused head, three terms", "chunks replace", plant_replaces},
    {"fused head, frozen q8_0 head", "scale", plant_scale},
    {"mse", "half", plant_mse_half},
};

const gradient_case_list gradient_cases_loss = {cases, sizeof cases / sizeof *cases, bugs,
                                                sizeof bugs / sizeof *bugs};

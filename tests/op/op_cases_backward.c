/* op_cases_backward.c - backward of everything but attention. Gradients start out as random
 * numbers, since kernels add to them. See op_cases.h. */
#include "op_case_parts.h"

#include <math.h>

/* Bits of `wanted`, where an op has gradients that may be NULL. */
enum { DX = 1, DWEIGHT = 2, DBIAS = 4, ALL = 7 };

static lb_tensor *if_wanted(lb_tensor *t, int64_t wanted, int bit) {
  return wanted & bit ? t : NULL;
}

static void deinit(lb_tensor *const *all, size_t n) {
  for (size_t i = 0; i < n; i++) lb__tensor_deinit(all[i]);
}

/* p: N, V, C, scaled */
static void run_embed_bwd(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor ids = random_ints(c->p[0], c->p[1]), dout = floats(2, c->p[0], c->p[2], 1);
  lb_tensor dweight = floats(2, c->p[1], c->p[2], 1);
  lb__embed_bwd_args args = {&dweight, &ids, &dout, c->p[3] ? 0.37f : 1.0f};
  RUN(embed_bwd, args);
  keep_floats(result, &dweight);
  deinit((lb_tensor *[]){&ids, &dout, &dweight}, 3);
}

/* p: N, I, O, dtype, wanted, compute, poison */
static void run_linear_bwd(const op_case *c, const lb__kernel_table *table, op_result *result) {
  int64_t N = c->p[0], I = c->p[1], O = c->p[2], wanted = c->p[4];
  lb_tensor dout = floats(2, N, O, 1), x = floats(2, N, I, 1);
  lb_tensor weight = random_weight((lb_dtype)c->p[3], O, I);
  lb_tensor dx = floats(2, N, I, 1), dweight = floats(2, O, I, 1), dbias = floats(1, O, 1, 1);
  if (c->p[6]) lb__tensor_f32(&dout)[O + O / 2] = NAN;
  lb__linear_bwd_args args = {.dx = if_wanted(&dx, wanted, DX),
                              .dweight = if_wanted(&dweight, wanted, DWEIGHT),
                              .dbias = if_wanted(&dbias, wanted, DBIAS),
                              .dout = &dout,
                              .x = &x,
                              .weight = &weight,
                              .compute = (lb__compute)c->p[5]};
  RUN(linear_bwd, args);
  keep_floats(result, &dx);
  keep_floats(result, &dweight);
  keep_floats(result, &dbias);
  deinit((lb_tensor *[]){&dout, &x, &weight, &dx, &dweight, &dbias}, 6);
}

/* p: N, C, wanted, offset */
static void run_rms_norm_bwd(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor dout = floats(2, c->p[0], c->p[1], 1), x = floats(2, c->p[0], c->p[1], 1);
  lb_tensor weight = floats(1, c->p[1], 1, 1);
  lb_tensor dx = floats(2, c->p[0], c->p[1], 1), dweight = floats(1, c->p[1], 1, 1);
  lb__rms_norm_bwd_args args = {.dx = if_wanted(&dx, c->p[2], DX),
                                .dweight = if_wanted(&dweight, c->p[2], DWEIGHT),
                                .dout = &dout,
                                .x = &x,
                                .weight = &weight,
                                .eps = 1e-5f,
                                .weight_offset = (float)c->p[3]};
  RUN(rms_norm_bwd, args);
  keep_floats(result, &dx);
  keep_floats(result, &dweight);
  deinit((lb_tensor *[]){&dout, &x, &weight, &dx, &dweight}, 5);
}

/* p: N, C, wanted */
static void run_layer_norm_bwd(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor dout = floats(2, c->p[0], c->p[1], 1), x = floats(2, c->p[0], c->p[1], 1);
  lb_tensor weight = floats(1, c->p[1], 1, 1), dx = floats(2, c->p[0], c->p[1], 1);
  lb_tensor dweight = floats(1, c->p[1], 1, 1), dbias = floats(1, c->p[1], 1, 1);
  for (int64_t i = 0; i < lb__tensor_elements(&x); i++) lb__tensor_f32(&x)[i] += 3.0f;
  lb__layer_norm_bwd_args args = {.dx = if_wanted(&dx, c->p[2], DX),
                                  .dweight = if_wanted(&dweight, c->p[2], DWEIGHT),
                                  .dbias = if_wanted(&dbias, c->p[2], DBIAS),
                                  .dout = &dout,
                                  .x = &x,
                                  .weight = &weight,
                                  .eps = 1e-5f};
  RUN(layer_norm_bwd, args);
  keep_floats(result, &dx);
  keep_floats(result, &dweight);
  keep_floats(result, &dbias);
  deinit((lb_tensor *[]){&dout, &x, &weight, &dx, &dweight, &dbias}, 6);
}

/* Around zero, far out, not a number; gradients at infinity are nobody's business. */
static void spread(lb_tensor *t) {
  static const float corners[] = {0.0f,   -0.0f, 1e-30f, -1e-6f, 0.6f,   -5.0f,
                                  -20.0f, 20.0f, 90.0f,  -90.0f, 700.0f, NAN};
  int64_t n = lb__tensor_elements(t), n_corners = sizeof corners / sizeof *corners;
  for (int64_t i = 0; i < n; i++) lb__tensor_f32(t)[i] *= 3.0f;
  for (int64_t i = 0; i < n_corners && i < n; i++) lb__tensor_f32(t)[n - 1 - i] = corners[i];
}

/* p: n, kind */
static void run_act_bwd(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor x = floats(1, c->p[0], 1, 1), dout = floats(1, c->p[0], 1, 1);
  lb_tensor dx = floats(1, c->p[0], 1, 1);
  spread(&x);
  lb__act_bwd_args args = {&dx, &dout, &x, (lb__act_kind)c->p[1]};
  RUN(act_bwd, args);
  keep_floats(result, &dx);
  deinit((lb_tensor *[]){&x, &dout, &dx}, 3);
}

/* p: n, kind, wanted (1: dgate, 2: dup), 1: both gradients are one tensor */
static void run_act_mul_bwd(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor gate = floats(1, c->p[0], 1, 1), up = floats(1, c->p[0], 1, 1);
  lb_tensor dout = floats(1, c->p[0], 1, 1);
  lb_tensor dgate = floats(1, c->p[0], 1, 1), dup = floats(1, c->p[0], 1, 1);
  spread(&gate);
  lb__act_mul_bwd_args args = {.dgate = if_wanted(&dgate, c->p[2], 1),
                               .dup = if_wanted(c->p[3] ? &dgate : &dup, c->p[2], 2),
                               .dout = &dout,
                               .gate = &gate,
                               .up = &up,
                               .kind = (lb__act_kind)c->p[1]};
  RUN(act_mul_bwd, args);
  keep_floats(result, &dgate);
  keep_floats(result, &dup);
  deinit((lb_tensor *[]){&gate, &up, &dout, &dgate, &dup}, 5);
}

/* p: n */
static void run_softcap_bwd(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor out = floats(1, c->p[0], 1, 1), dout = floats(1, c->p[0], 1, 1);
  lb_tensor dx = floats(1, c->p[0], 1, 1);
  lb__softcap_bwd_args args = {&dx, &dout, &out, 5.0f};
  RUN(softcap_bwd, args);
  keep_floats(result, &dx);
  deinit((lb_tensor *[]){&out, &dout, &dx}, 3);
}

/* p: n, factor in thousandths */
static void run_add_scaled(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor out = floats(1, c->p[0], 1, 1), x = floats(1, c->p[0], 1, 1);
  lb__add_scaled_args args = {&out, &x, (float)c->p[1] / 1000.0f};
  RUN(add_scaled, args);
  keep_floats(result, &out);
  deinit((lb_tensor *[]){&out, &x}, 2);
}

/* p: N, heads, D, frequencies, magnitude * 100, largest position; the gradient of rope */
static void run_rope(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor x = floats(3, c->p[0], c->p[1], c->p[2]), freq = floats(1, c->p[3], 1, 1);
  lb_tensor positions = random_ints(c->p[0], c->p[5]);
  for (int64_t j = 0; j < c->p[3]; j++)
    lb__tensor_f32(&freq)[j] = (float)pow(10000.0, -(double)j / (double)c->p[3]);
  lb__rope_args args = {.x = &x,
                        .positions = &positions,
                        .inv_freq = &freq,
                        .magnitude = (float)c->p[4] / 100.0f,
                        .inverse = true};
  RUN(rope, args);
  keep_floats(result, &x);
  deinit((lb_tensor *[]){&x, &freq, &positions}, 3);
}

/* ---- the table ---- */

/* clang-format off */
SEEDED(embed_bwd) SEEDED(linear_bwd) SEEDED(rms_norm_bwd) SEEDED(layer_norm_bwd) SEEDED(act_bwd)
SEEDED(act_mul_bwd) SEEDED(softcap_bwd) SEEDED(add_scaled) SEEDED(rope)

#define LINEAR(N, I, O, type, wanted)                                                              \
  CASE(linear_bwd, LB_TOL_LINEAR_BWD, #N "x" #I "x" #O " " #type " " #wanted, N, I, O,             \
       LB_DTYPE_##type, wanted)
#define BF16(N, I, O, type, wanted)                                                                \
  CASE(linear_bwd, LB_TOL_LINEAR_BF16, "bf16 " #N "x" #I "x" #O " " #type, N, I, O,                \
       LB_DTYPE_##type, wanted, LB__COMPUTE_BF16)
#define ACTS(n)                                                                                    \
  CASE(act_bwd, LB_TOL_ACT_BWD, "gelu_tanh " #n, n, LB__ACT_GELU_TANH),                            \
  CASE(act_bwd, LB_TOL_ACT_BWD, "gelu_erf " #n, n, LB__ACT_GELU_ERF),                              \
  CASE(act_bwd, LB_TOL_ACT_BWD, "silu " #n, n, LB__ACT_SILU),                                      \
  CASE(act_bwd, LB_TOL_ACT_BWD, "relu " #n, n, LB__ACT_RELU),                                      \
  CASE(act_mul_bwd, LB_TOL_ACT_BWD, "gelu_tanh " #n, n, LB__ACT_GELU_TANH, 3),                     \
  CASE(act_mul_bwd, LB_TOL_ACT_BWD, "gelu_erf " #n, n, LB__ACT_GELU_ERF, 3),                       \
  CASE(act_mul_bwd, LB_TOL_ACT_BWD, "silu " #n, n, LB__ACT_SILU, 3),                               \
  CASE(act_mul_bwd, LB_TOL_ACT_BWD, "relu " #n, n, LB__ACT_RELU, 3)

static const op_case cases[] = {
    CASE(embed_bwd, LB_TOL_EMBED_BWD, "no rows", 0, 5, 7, 1),
    CASE(embed_bwd, LB_TOL_EMBED_BWD, "one", 1, 1, 1, 0),
    CASE(embed_bwd, LB_TOL_EMBED_BWD, "rows that repeat", 200, 9, 77, 1),
    CASE(embed_bwd, LB_TOL_EMBED_BWD, "wide", 65, 300, 640, 0),
    CASE(embed_bwd, LB_TOL_EMBED_BWD, "narrow", 1000, 40, 3, 1),

    LINEAR(0, 64, 5, F32, ALL), LINEAR(4, 0, 5, F32, ALL), LINEAR(9, 64, 0, F32, ALL),
    LINEAR(1, 1, 1, F32, ALL), LINEAR(3, 77, 50, F32, ALL), LINEAR(67, 77, 101, F32, ALL),
    LINEAR(67, 77, 101, F32, 0), LINEAR(67, 77, 101, F32, DX), LINEAR(67, 77, 101, F32, DWEIGHT),
    LINEAR(67, 77, 101, F32, DBIAS), LINEAR(300, 200, 1, F32, ALL), LINEAR(300, 1, 200, F32, ALL),
    LINEAR(515, 96, 40, F32, ALL), LINEAR(130, 700, 400, F32, ALL), LINEAR(1, 300, 700, F32, ALL),
    LINEAR(33, 77, 50, F16, DX), LINEAR(33, 77, 50, BF16, DX), LINEAR(5, 77, 50, F8_E4M3, DX),
    LINEAR(33, 608, 101, Q4_0, DX), LINEAR(4, 608, 101, Q4_1, DX), LINEAR(33, 608, 350, Q8_0, DX),
    LINEAR(33, 768, 101, Q4_K, DX), LINEAR(33, 768, 101, Q6_K, DX),
    BF16(65, 129, 131, F32, ALL), BF16(2, 64, 31, F32, ALL), BF16(65, 96, 131, Q4_1, DX),
    BF16(65, 129, 131, BF16, DX),
    CASE(linear_bwd, LB_TOL_LINEAR_BWD, "not a number", 20, 40, 90, LB_DTYPE_F32, ALL, 0, 1),

    CASE(rms_norm_bwd, LB_TOL_NORM_BWD, "no rows", 0, 64, ALL),
    CASE(rms_norm_bwd, LB_TOL_NORM_BWD, "one", 1, 1, ALL),
    CASE(rms_norm_bwd, LB_TOL_NORM_BWD, "odd", 5, 77, ALL),
    CASE(rms_norm_bwd, LB_TOL_NORM_BWD, "gemma", 270, 640, ALL, 1),
    CASE(rms_norm_bwd, LB_TOL_NORM_BWD, "heads", 1100, 64, ALL),
    CASE(rms_norm_bwd, LB_TOL_NORM_BWD, "dx only", 70, 96, DX, 1),
    CASE(rms_norm_bwd, LB_TOL_NORM_BWD, "dweight only", 70, 96, DWEIGHT),
    CASE(layer_norm_bwd, LB_TOL_NORM_BWD, "no rows", 0, 64, ALL),
    CASE(layer_norm_bwd, LB_TOL_NORM_BWD, "one", 1, 2, ALL),
    CASE(layer_norm_bwd, LB_TOL_NORM_BWD, "odd", 5, 77, ALL),
    CASE(layer_norm_bwd, LB_TOL_NORM_BWD, "gpt2", 270, 768, ALL),
    CASE(layer_norm_bwd, LB_TOL_NORM_BWD, "dx only", 70, 96, DX),
    CASE(layer_norm_bwd, LB_TOL_NORM_BWD, "no dx", 70, 96, DWEIGHT | DBIAS),
    CASE(layer_norm_bwd, LB_TOL_NORM_BWD, "no bias", 70, 97, DX | DWEIGHT),

    ACTS(0), ACTS(33), ACTS(20011),
    CASE(act_mul_bwd, LB_TOL_ACT_BWD, "dgate only", 41, LB__ACT_SILU, 1),
    CASE(act_mul_bwd, LB_TOL_ACT_BWD, "dup only", 41, LB__ACT_SILU, 2),
    CASE(act_mul_bwd, LB_TOL_ACT_BWD, "one gradient", 41, LB__ACT_GELU_TANH, 3, 1),
    CASE(act_mul_bwd, LB_TOL_ACT_BWD, "one gradient, erf", 41, LB__ACT_GELU_ERF, 3, 1),

    CASE(softcap_bwd, LB_TOL_ADD, "none", 0), CASE(softcap_bwd, LB_TOL_ADD, "odd", 41),
    CASE(softcap_bwd, LB_TOL_ADD, "many", 20011),
    CASE(add_scaled, LB_TOL_ADD, "none", 0, 1000), CASE(add_scaled, LB_TOL_ADD, "sum", 41, 1000),
    CASE(add_scaled, LB_TOL_ADD, "many", 20011, -370),

    CASE(rope, LB_TOL_ROPE, "back, llama", 9, 3, 64, 32, 100, 8192),
    CASE(rope, LB_TOL_ROPE, "back, odd, part of the head, far", 5, 2, 22, 9, 113, 2000000),
};
/* clang-format on */

const op_case_list op_cases_backward = {cases, sizeof cases / sizeof *cases};

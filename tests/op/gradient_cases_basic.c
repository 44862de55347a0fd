/* gradient_cases_basic.c - every differentiable op but attention, dropout and losses; and some of
 * them together. See gradient_probe.h. */
#include "gradient_probe.h"

#include "kernels/cpu/reference/reference.h"

/* ---- rows and products ---- */

static double embed(gradient_probe *p) {
  lb_tensor *y, *ids = probe_i32(p, 5, (int32_t[]){2, 0, 2, 3, 2});
  PROBE_OK(lb__op_embed(&p->stream, &y, ids, probe_input(p, 2, 4, 3, 1), 1.5f, &p->err));
  return probe_sum(p, y);
}

static double gather_rows(gradient_probe *p) {
  lb_tensor *y, *rows = probe_i32(p, 4, (int32_t[]){1, 5, 1, 0});
  PROBE_OK(lb__op_gather_rows(&p->stream, &y, probe_input(p, 2, 6, 3, 1), rows, &p->err));
  return probe_sum(p, y);
}

static double linear(gradient_probe *p) {
  lb_tensor *y, *x = probe_input(p, 2, 4, 5, 1), *weight = probe_input(p, 2, 3, 5, 1);
  PROBE_OK(lb__op_linear(&p->stream, &y, x, weight, probe_input(p, 1, 3, 1, 1), &p->err));
  return probe_sum(p, y);
}

/* Only the weight is trained: the first layer above a frozen embedding. */
static double linear_constant_x(gradient_probe *p) {
  lb_tensor *y, *x = probe_constant(p, 2, 4, 5, 1), *weight = probe_input(p, 2, 3, 5, 1);
  PROBE_OK(lb__op_linear(&p->stream, &y, x, weight, NULL, &p->err));
  return probe_sum(p, y);
}

static double linear_frozen(gradient_probe *p) {
  lb_tensor *y, *x = probe_input(p, 2, 2, 64, 1);
  lb_tensor *weight = probe_weight(p, LB_DTYPE_Q8_0, 3, 64);
  PROBE_OK(lb__op_linear(&p->stream, &y, x, weight, NULL, &p->err));
  return probe_sum(p, y);
}

/* One weight for the first layer and the last: tied embeddings. */
static double linear_tied(gradient_probe *p) {
  lb_tensor *x, *y, *ids = probe_i32(p, 3, (int32_t[]){1, 4, 1});
  lb_tensor *weight = probe_input(p, 2, 5, 3, 1);
  PROBE_OK(lb__op_embed(&p->stream, &x, ids, weight, 1.0f, &p->err));
  PROBE_OK(lb__op_linear(&p->stream, &y, x, weight, NULL, &p->err));
  return probe_sum(p, y);
}

/* ---- norms ---- */

static double rms_norm(gradient_probe *p) {
  lb_tensor *y, *x = probe_input(p, 3, 2, 3, 7), *weight = probe_input(p, 1, 7, 1, 1);
  PROBE_OK(lb__op_rms_norm(&p->stream, &y, x, weight, 1e-2f, 1.0f, &p->err));
  return probe_sum(p, y);
}

static double layer_norm(gradient_probe *p) {
  lb_tensor *y, *x = probe_input(p, 2, 4, 7, 1), *weight = probe_input(p, 1, 7, 1, 1);
  lb_tensor *bias = probe_input(p, 1, 7, 1, 1);
  PROBE_OK(lb__op_layer_norm(&p->stream, &y, x, weight, bias, 1e-2f, &p->err));
  return probe_sum(p, y);
}

static double layer_norm_frozen(gradient_probe *p) {
  lb_tensor *y, *x = probe_input(p, 2, 4, 7, 1), *weight = probe_constant(p, 1, 7, 1, 1);
  PROBE_OK(lb__op_layer_norm(&p->stream, &y, x, weight, NULL, 1e-2f, &p->err));
  return probe_sum(p, y);
}

/* ---- rope ---- */

/* In place, so on a copy; that is used before and after it is turned. */
static double rope(gradient_probe *p) {
  lb_tensor *y, *z, *x = probe_input(p, 3, 3, 2, 6);
  lb_tensor *positions = probe_i32(p, 3, (int32_t[]){0, 1, 17});
  lb_tensor *inv_freq = probe_f32(p, 2, (float[]){1.0f, 0.1f}); /* the last two pass through */
  PROBE_OK(lb__op_scale(&p->stream, &y, x, 1.0f, &p->err));
  PROBE_OK(lb__op_scale(&p->stream, &z, y, 0.6f, &p->err));
  double before = probe_sum(p, z);
  PROBE_OK(lb__op_rope(&p->stream, y, positions, inv_freq, 1.25f, &p->err));
  return before + probe_sum(p, y);
}

static double rope_alone(gradient_probe *p) {
  lb_tensor *y, *x = probe_input(p, 3, 3, 2, 4);
  lb_tensor *positions = probe_i32(p, 3, (int32_t[]){3, 0, 8});
  lb_tensor *inv_freq = probe_f32(p, 2, (float[]){1.0f, 0.3f});
  PROBE_OK(lb__op_scale(&p->stream, &y, x, 1.0f, &p->err));
  PROBE_OK(lb__op_rope(&p->stream, y, positions, inv_freq, 1.25f, &p->err));
  return probe_sum(p, y);
}

/* ---- one element at a time ---- */

static double act(gradient_probe *p, lb__act_kind kind) {
  lb_tensor *y, *x = probe_input(p, 1, 23, 1, 1);
  PROBE_OK(lb__op_act(&p->stream, &y, x, kind, &p->err));
  return probe_sum(p, y);
}
static double gelu_tanh(gradient_probe *p) {
  return act(p, LB__ACT_GELU_TANH);
}
static double gelu_erf(gradient_probe *p) {
  return act(p, LB__ACT_GELU_ERF);
}
static double silu(gradient_probe *p) {
  return act(p, LB__ACT_SILU);
}
static double relu(gradient_probe *p) {
  return act(p, LB__ACT_RELU);
}

static double act_mul(gradient_probe *p, lb__act_kind kind) {
  lb_tensor *y, *gate = probe_input(p, 2, 3, 5, 1), *up = probe_input(p, 2, 3, 5, 1);
  PROBE_OK(lb__op_act_mul(&p->stream, &y, gate, up, kind, &p->err));
  return probe_sum(p, y);
}
static double gelu_tanh_mul(gradient_probe *p) {
  return act_mul(p, LB__ACT_GELU_TANH);
}
static double silu_mul(gradient_probe *p) {
  return act_mul(p, LB__ACT_SILU);
}

/* The same tensor on both sides: both gradients go to one place. */
static double act_mul_same(gradient_probe *p) {
  lb_tensor *y, *x = probe_input(p, 1, 9, 1, 1);
  PROBE_OK(lb__op_act_mul(&p->stream, &y, x, x, LB__ACT_SILU, &p->err));
  return probe_sum(p, y);
}

static double act_linear(gradient_probe *p, bool gated) {
  lb_tensor *y, *gate = gated ? probe_input(p, 2, 3, 5, 1) : NULL, *up = probe_input(p, 2, 3, 5, 1);
  lb__projection down = {probe_input(p, 2, 4, 5, 1), gated ? NULL : probe_input(p, 1, 4, 1, 1)};
  PROBE_OK(lb__op_act_linear(&p->stream, &y, gate, up, LB__ACT_SILU, &down, &p->err));
  return probe_sum(p, y);
}
static double act_then_linear(gradient_probe *p) {
  return act_linear(p, false);
}
static double act_mul_then_linear(gradient_probe *p) {
  return act_linear(p, true);
}

static double add(gradient_probe *p) {
  lb_tensor *y, *a = probe_input(p, 2, 3, 4, 1), *b = probe_input(p, 2, 3, 4, 1);
  PROBE_OK(lb__op_scale(&p->stream, &y, a, 1.5f, &p->err));
  PROBE_OK(lb__op_add_to(&p->stream, y, b, &p->err));
  return probe_sum(p, y);
}

static double scale(gradient_probe *p) {
  lb_tensor *y;
  PROBE_OK(lb__op_scale(&p->stream, &y, probe_input(p, 1, 9, 1, 1), -1.75f, &p->err));
  return probe_sum(p, y);
}

static double softcap(gradient_probe *p) {
  lb_tensor *y;
  PROBE_OK(lb__op_softcap(&p->stream, &y, probe_input(p, 2, 3, 7, 1), 1.5f, &p->err));
  return probe_sum(p, y);
}

/* ---- together ---- */

/* norm -> linear -> act -> linear -> + x; x is used twice, once more through a reshape, and one
 * result is used by nobody. */
static double block(gradient_probe *p) {
  lb__stream *s = &p->stream;
  lb_tensor *h, *g, *u, *seen, *flat, *nobody, *x = probe_input(p, 2, 3, 4, 1);
  PROBE_OK(lb__op_rms_norm(s, &h, x, probe_input(p, 1, 4, 1, 1), 1e-3f, 0.0f, &p->err));
  PROBE_OK(
      lb__op_linear(s, &g, h, probe_input(p, 2, 6, 4, 1), probe_input(p, 1, 6, 1, 1), &p->err));
  PROBE_OK(lb__op_act(s, &u, g, LB__ACT_GELU_TANH, &p->err));
  PROBE_OK(lb__op_linear(s, &h, u, probe_input(p, 2, 4, 6, 1), NULL, &p->err));
  PROBE_OK(lb__op_act(s, &nobody, g, LB__ACT_SILU, &p->err));
  PROBE_OK(lb__op_add_to(s, h, x, &p->err));
  PROBE_OK(lb__op_reshape(s, &flat, h, 3, (int64_t[]){2, 3, 2}, &p->err));
  PROBE_OK(lb__op_softcap(s, &seen, flat, 2.0f, &p->err));
  return probe_sum(p, seen) + probe_sum(p, h);
}

typedef struct layer {
  lb_tensor *norm, *weight;
} layer;

static lb_status run_layer(lb__stream *s, lb_tensor **out, const lb_tensor *x, void *ctx,
                           lb_error *err) {
  const layer *l = ctx;
  lb_tensor *h, *g;
  lb_status st = lb__op_rms_norm(s, &h, x, l->norm, 1e-3f, 0.0f, err);
  if (st == LB_OK) st = lb__op_linear(s, &g, h, l->weight, NULL, err);
  if (st == LB_OK) st = lb__op_act(s, out, g, LB__ACT_SILU, err);
  return st == LB_OK ? lb__op_add_to(s, *out, x, err) : st;
}

/* Three layers, the second and third run again when backward comes; the last two share weights. */
static double checkpoints(gradient_probe *p) {
  lb__stream *s = &p->stream;
  lb_tensor *a, *b, *c, *x = probe_input(p, 2, 3, 4, 1);
  layer first = {probe_input(p, 1, 4, 1, 1), probe_input(p, 2, 4, 4, 1)};
  layer second = {probe_input(p, 1, 4, 1, 1), probe_input(p, 2, 4, 4, 1)};
  PROBE_OK(run_layer(s, &a, x, &first, &p->err));
  PROBE_OK(lb__tape_checkpoint(s, &b, a, run_layer, &second, sizeof second, &p->err));
  PROBE_OK(lb__tape_checkpoint(s, &c, b, run_layer, &second, sizeof second, &p->err));
  return probe_sum(p, c) + probe_sum(p, a);
}

/* ---- planted bugs ---- */

static void negate(const lb_tensor *t) {
  double *values = lb__tensor_data(t);
  for (int64_t i = 0; i < lb__tensor_elements(t); i++) values[i] = -values[i];
}

/* The whole gradient with the wrong sign. */
#define WRONG_SIGN(op, gradient)                                                                   \
  static lb_status op##_sign(const lb__##op##_args *args, void *workspace) {                       \
    negate(args->gradient);                                                                        \
    lb_status st = probe_right.op(args, workspace);                                                \
    negate(args->gradient);                                                                        \
    return st;                                                                                     \
  }                                                                                                \
  static void plant_##op##_sign(lb__kernel_table *table) {                                         \
    table->op = op##_sign;                                                                         \
  }
WRONG_SIGN(embed_bwd, dout)
WRONG_SIGN(linear_bwd, dout)
WRONG_SIGN(rms_norm_bwd, dout)
WRONG_SIGN(layer_norm_bwd, dout)
WRONG_SIGN(act_bwd, dout)
WRONG_SIGN(act_mul_bwd, dout)
WRONG_SIGN(softcap_bwd, dout)
WRONG_SIGN(add_scaled, x)

/* Something is left out, or not what it should be. */
#define CHANGED(op, name, change)                                                                  \
  static lb_status op##_##name(const lb__##op##_args *args, void *workspace) {                     \
    lb__##op##_args a = *args;                                                                     \
    change;                                                                                        \
    return probe_right.op(&a, workspace);                                                          \
  }                                                                                                \
  static void plant_##op##_##name(lb__kernel_table *table) {                                       \
    table->op = op##_##name;                                                                       \
  }
CHANGED(embed_bwd, scale, a.scale = 1.0f)
CHANGED(linear_bwd, no_dx, a.dx = NULL)
CHANGED(linear_bwd, no_dweight, a.dweight = NULL)
CHANGED(linear_bwd, no_dbias, a.dbias = NULL)
CHANGED(linear_bwd, bf16, a.compute = LB__COMPUTE_BF16)
CHANGED(rms_norm_bwd, no_offset, a.weight_offset = 0.0f)
CHANGED(rms_norm_bwd, no_eps, a.eps = 0.0f)
CHANGED(rms_norm_bwd, no_dweight, a.dweight = NULL)
CHANGED(layer_norm_bwd, no_eps, a.eps = 0.0f)
CHANGED(layer_norm_bwd, no_dbias, a.dbias = NULL)
CHANGED(act_mul_bwd, no_dup, a.dup = NULL)
CHANGED(act_mul_bwd, no_up, a.up = args->gate)
CHANGED(softcap_bwd, no_slope, a.cap *= 1e6f)
CHANGED(add_scaled, factor, a.factor *= 1.00001f)
CHANGED(rope, not_back, a.inverse = false)
CHANGED(rope, no_magnitude, a.magnitude = a.inverse ? 1.0f : a.magnitude)

/* h mean(g h), what changing x does through the scale, is forgotten. */
static lb_status rms_norm_bwd_half(const lb__rms_norm_bwd_args *a, void *workspace) {
  (void)workspace;
  int64_t N = lb__tensor_n_rows(a->x), C = lb__tensor_row_length(a->x);
  for (int64_t i = 0; i < N * C; i++) {
    lb__row_moments row = lb__ref_row_moments(a->x, i / C, false, (double)a->eps);
    double weight = lb__ref_get(a->weight, i % C) + (double)a->weight_offset;
    double dout = lb__ref_get(a->dout, i);
    lb__ref_add_to(a->dx, i, row.scale * dout * weight);
    lb__ref_add_to(a->dweight, i % C, row.scale * dout * lb__ref_get(a->x, i));
  }
  return LB_OK;
}
static void plant_rms_norm_bwd_half(lb__kernel_table *table) {
  table->rms_norm_bwd = rms_norm_bwd_half;
}

/* The mean is forgotten. */
static lb_status layer_norm_bwd_uncentred(const lb__layer_norm_bwd_args *a, void *workspace) {
  lb__rms_norm_bwd_args args = {.dx = a->dx,
                                .dweight = a->dweight,
                                .dout = a->dout,
                                .x = a->x,
                                .weight = a->weight,
                                .eps = a->eps};
  return probe_right.rms_norm_bwd(&args, workspace);
}
static void plant_layer_norm_bwd_uncentred(lb__kernel_table *table) {
  table->layer_norm_bwd = layer_norm_bwd_uncentred;
}

/* The product rule's second half is forgotten: dout act(x) / x. */
static lb_status act_bwd_half(const lb__act_bwd_args *a, void *workspace) {
  (void)workspace;
  for (int64_t i = 0; i < lb__tensor_elements(a->x); i++) {
    double x = lb__ref_get(a->x, i);
    lb__ref_add_to(a->dx, i, lb__ref_get(a->dout, i) * lb__ref_act_value(x, a->kind) / x);
  }
  return LB_OK;
}
static void plant_act_bwd_half(lb__kernel_table *table) {
  table->act_bwd = act_bwd_half;
}

/* ---- the lists ---- */

static const gradient_case cases[] = {
    {"embed", embed},
    {"gather_rows", gather_rows},
    {"linear", linear},
    {"linear, constant x", linear_constant_x},
    {"linear, frozen q8_0 weight", linear_frozen},
    {"linear, tied", linear_tied},
    {"rms_norm", rms_norm},
    {"layer_norm", layer_norm},
    {"layer_norm, frozen", layer_norm_frozen},
    {"rope", rope},
    {"rope alone", rope_alone},
    {"act gelu_tanh", gelu_tanh},
    {"act gelu_erf", gelu_erf},
    {"act silu", silu},
    {"act relu", relu},
    {"act_mul gelu_tanh", gelu_tanh_mul},
    {"act_mul silu", silu_mul},
    {"act_mul, one tensor", act_mul_same},
    {"act, linear", act_then_linear},
    {"act_mul, linear", act_mul_then_linear},
    {"add", add},
    {"scale", scale},
    {"softcap", softcap},
    {"block", block},
    {"checkpoints", checkpoints},
};

static const gradient_bug bugs[] = {
    {"embed", "sign", plant_embed_bwd_sign},
    {"embed", "scale", plant_embed_bwd_scale},
    {"gather_rows", "sign", plant_embed_bwd_sign},
    {"linear", "sign", plant_linear_bwd_sign},
    {"linear", "no dx", plant_linear_bwd_no_dx},
    {"linear", "no dweight", plant_linear_bwd_no_dweight},
    {"linear", "no dbias", plant_linear_bwd_no_dbias},
    {"linear", "rounded factors", plant_linear_bwd_bf16},
    {"linear, frozen q8_0 weight", "no dx", plant_linear_bwd_no_dx},
    {"linear, tied", "no row gradient", plant_embed_bwd_sign},
    {"linear, tied", "no dweight", plant_linear_bwd_no_dweight},
    {"rms_norm", "sign", plant_rms_norm_bwd_sign},
    {"rms_norm", "no offset", plant_rms_norm_bwd_no_offset},
    {"rms_norm", "no eps", plant_rms_norm_bwd_no_eps},
    {"rms_norm", "no dweight", plant_rms_norm_bwd_no_dweight},
    {"rms_norm", "no second term", plant_rms_norm_bwd_half},
    {"layer_norm", "sign", plant_layer_norm_bwd_sign},
    {"layer_norm", "no eps", plant_layer_norm_bwd_no_eps},
    {"layer_norm", "no dbias", plant_layer_norm_bwd_no_dbias},
    {"layer_norm", "not centred", plant_layer_norm_bwd_uncentred},
    {"rope", "not turned back", plant_rope_not_back},
    {"rope alone", "no magnitude", plant_rope_no_magnitude},
    {"act gelu_tanh", "sign", plant_act_bwd_sign},
    {"act, linear", "sign of the activation", plant_act_bwd_sign},
    {"act_mul, linear", "no dx", plant_linear_bwd_no_dx},
    {"act gelu_tanh", "half of the product rule", plant_act_bwd_half},
    {"act gelu_erf", "half of the product rule", plant_act_bwd_half},
    {"act silu", "half of the product rule", plant_act_bwd_half},
    {"act relu", "sign", plant_act_bwd_sign},
    {"act_mul silu", "sign", plant_act_mul_bwd_sign},
    {"act_mul gelu_tanh", "no dup", plant_act_mul_bwd_no_dup},
    {"act_mul gelu_tanh", "gate for up", plant_act_mul_bwd_no_up},
    {"add", "sign", plant_add_scaled_sign},
    {"scale", "factor", plant_add_scaled_factor},
    {"softcap", "sign", plant_softcap_bwd_sign},
    {"softcap", "no slope", plant_softcap_bwd_no_slope},
    {"block", "half of the product rule", plant_act_bwd_half},
    {"block", "residual", plant_add_scaled_sign},
    {"checkpoints", "half of the product rule", plant_act_bwd_half},
};

const gradient_case_list gradient_cases_basic = {cases, sizeof cases / sizeof *cases, bugs,
                                                 sizeof bugs / sizeof *bugs};

/* gradient_cases_attention.c - attention with every switch, dropout, attention relations. See
 * gradient_probe.h. */
#include "gradient_probe.h"

/* ---- attention ---- */

/* Documents of 4, 0, 1 and 6 rows; H heads, G kv-heads of D. Scores spread over some units, so that
 * a soft cap and a window matter. */
static double attend(gradient_probe *p, int64_t H, int64_t G, int64_t D, lb__attention_args a) {
  lb_tensor *y, *starts = probe_i32(p, 5, (int32_t[]){0, 4, 4, 5, 11});
  a.q = probe_input(p, 3, 11, H, D);
  a.k = probe_input(p, 3, 11, G, D);
  a.v = probe_input(p, 3, 11, G, D);
  a.cu_seqlens = starts;
  a.scale = 0.8f;
  PROBE_OK(lb__op_attention(&p->stream, &y, a, &p->err));
  return probe_sum(p, y);
}

static double attention(gradient_probe *p) {
  return attend(p, 2, 2, 3, (lb__attention_args){0});
}
static double attention_groups(gradient_probe *p) {
  return attend(p, 6, 2, 3, (lb__attention_args){0});
}
static double attention_window(gradient_probe *p) {
  return attend(p, 2, 1, 3, (lb__attention_args){.window = 3});
}
static double attention_softcap(gradient_probe *p) {
  return attend(p, 2, 1, 3, (lb__attention_args){.softcap = 1.5f});
}
static double attention_dropout(gradient_probe *p) {
  return attend(p, 4, 2, 3, (lb__attention_args){.dropout = {.p = 0.3f, .seed = 5, .site = 2}});
}
static double attention_all(gradient_probe *p) {
  lb__attention_args a = {.window = 4, .softcap = 2.0f, .dropout = {.p = 0.2f, .seed = 6}};
  return attend(p, 4, 1, 5, a);
}

/* Only one of the three wants a gradient. */
static double attention_of(gradient_probe *p, int which) {
  lb_tensor *y, *starts = probe_i32(p, 3, (int32_t[]){0, 3, 7}), *t[3];
  for (int i = 0; i < 3; i++)
    t[i] = i == which ? probe_input(p, 3, 7, 2, 3) : probe_constant(p, 3, 7, 2, 3);
  lb__attention_args a = {.q = t[0], .k = t[1], .v = t[2], .cu_seqlens = starts, .scale = 0.8f};
  PROBE_OK(lb__op_attention(&p->stream, &y, a, &p->err));
  return probe_sum(p, y);
}
static double attention_q(gradient_probe *p) {
  return attention_of(p, 0);
}
static double attention_k(gradient_probe *p) {
  return attention_of(p, 1);
}
static double attention_v(gradient_probe *p) {
  return attention_of(p, 2);
}

/* One tensor three times: all gradients go to one place. */
static double attention_of_itself(gradient_probe *p) {
  lb_tensor *y, *starts = probe_i32(p, 2, (int32_t[]){0, 5}), *x = probe_input(p, 3, 5, 2, 3);
  lb__attention_args a = {.q = x, .k = x, .v = x, .cu_seqlens = starts, .scale = 0.5f};
  PROBE_OK(lb__op_attention(&p->stream, &y, a, &p->err));
  return probe_sum(p, y);
}

/* ---- dropout ---- */

static double dropout(gradient_probe *p) {
  lb_tensor *y, *x = probe_input(p, 2, 5, 7, 1);
  lb__dropout draw = {.p = 0.4f, .seed = 3, .step = 2, .site = 1};
  PROBE_OK(lb__op_dropout(&p->stream, &y, x, draw, &p->err));
  return probe_sum(p, y);
}
static double dropout_of_nothing(gradient_probe *p) {
  lb_tensor *y, *x = probe_input(p, 2, 2, 3, 1);
  PROBE_OK(lb__op_dropout(&p->stream, &y, x, (lb__dropout){0}, &p->err));
  return probe_sum(p, y);
}

/* ---- relations ---- */

/* Documents of 4, 0, 1 and 3 rows; widths Ws and Wt. */
static double relate(gradient_probe *p, int64_t heads, int64_t Ws, int64_t Wt) {
  static const double scale = 0.7;
  double sum = 0.0;
  lb_tensor *starts = probe_i32(p, 5, (int32_t[]){0, 4, 4, 5, 8});
  lb_tensor *x = probe_input(p, 2, 8, Ws, 1), *target = probe_constant(p, 2, 8, Wt, 1);
  PROBE_OK(lb__op_relation(&p->stream, &sum, x, target, starts, heads, scale, &p->err));
  return scale * sum;
}
static double relation(gradient_probe *p) {
  return relate(p, 2, 6, 6);
}
static double relation_widths(gradient_probe *p) {
  return relate(p, 3, 6, 15);
}
static double relation_one_head(gradient_probe *p) {
  return relate(p, 1, 5, 4);
}

static const gradient_case cases[] = {
    {"attention", attention},
    {"attention, groups", attention_groups},
    {"attention, window", attention_window},
    {"attention, soft cap", attention_softcap},
    {"attention, dropout", attention_dropout},
    {"attention, everything", attention_all},
    {"attention, only q", attention_q},
    {"attention, only k", attention_k},
    {"attention, only v", attention_v},
    {"attention of itself", attention_of_itself},
    {"dropout", dropout},
    {"dropout of nothing", dropout_of_nothing},
    {"relation", relation},
    {"relation, other widths", relation_widths},
    {"relation, one head", relation_one_head},
};

/* ---- planted bugs ---- */

#define BROKEN(op, name, change)                                                                   \
  static lb_status name##_kernel(const lb__##op##_args *args, void *workspace) {                   \
    lb__##op##_args a = *args;                                                                     \
    change;                                                                                        \
    return probe_right.op(&a, workspace);                                                          \
  }                                                                                                \
  static void name(lb__kernel_table *table) {                                                      \
    table->op = name##_kernel;                                                                     \
  }

BROKEN(attention_bwd, scale_off, a.scale *= 1.00001f)
BROKEN(attention_bwd, window_off_by_one, a.window += 1)
BROKEN(attention_bwd, window_forgotten, a.window = 0)
BROKEN(attention_bwd, cap_forgotten, a.softcap = 0)
BROKEN(attention_bwd, draw_forgotten, a.dropout.p = 0)
BROKEN(attention_bwd, other_draw, a.dropout.site += 1)
BROKEN(attention_bwd, not_normalised, a.out = args->q) /* dout.out is what the softmax sends back */
BROKEN(dropout, backward_draws_again, a.draw.step += args->add)
BROKEN(dropout, backward_overwrites, a.add = false; a.draw.p += args->add ? 0.1f : 0.0f)
BROKEN(relation, relation_sign, a.scale *= -1)
BROKEN(relation, relation_double, a.scale *= 2)

static const gradient_bug bugs[] = {
    {"attention", "scale off by 1e-5", scale_off},
    {"attention, window", "window one too wide", window_off_by_one},
    {"attention, window", "no window in backward", window_forgotten},
    {"attention, soft cap", "no soft cap in backward", cap_forgotten},
    {"attention, dropout", "no dropout in backward", draw_forgotten},
    {"attention, everything", "another draw in backward", other_draw},
    {"attention, only q", "q in place of out", not_normalised},
    {"dropout", "another draw in backward", backward_draws_again},
    {"dropout", "overwrites with another p", backward_overwrites},
    {"relation", "wrong sign", relation_sign},
    {"relation, one head", "twice the gradient", relation_double},
};

const gradient_case_list gradient_cases_attention = {cases, sizeof cases / sizeof *cases, bugs,
                                                     sizeof bugs / sizeof *bugs};

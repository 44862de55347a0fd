/* op_cases_attention.c - attention as training runs it (logsumexp, dropout), its backward, dropout
 * itself, and attention relations. See op_cases.h. */
#include "op_case_parts.h"

#include "kernels/cpu/reference/reference.h"

#include <math.h>

/* Packed rows: number of documents, where they start, where the last one ends. */
static const int32_t starts_of[][8] = {
    {1, 0, 1}, {1, 0, 7},       {3, 0, 5, 6, 76}, {2, 0, 130, 133}, {6, 0, 0, 3, 3, 8, 20, 20},
    {1, 0, 0}, {2, 0, 300, 333}};

static lb_tensor documents(int64_t which) {
  return ints(starts_of[which][0] + 1, starts_of[which] + 1);
}

static int64_t rows_of(int64_t which) {
  return starts_of[which][1 + starts_of[which][0]];
}

/* ---- attention ---- */

typedef struct inputs {
  lb_tensor q, k, v, out, logsumexp, starts;
  lb__attention_args args;
} inputs;

/* p: documents, H, G, D, window, soft cap, dropout in percent, .. */
static void make_inputs(inputs *in, const int64_t *p) {
  int64_t N = rows_of(p[0]);
  in->starts = documents(p[0]);
  in->q = floats(3, N, p[1], p[3]);
  in->k = floats(3, N, p[2], p[3]);
  in->v = floats(3, N, p[2], p[3]);
  in->out = make(LB_DTYPE_F32, 3, N, p[1], p[3]);
  in->logsumexp = make(LB_DTYPE_F32, 2, N, p[1], 1);
  in->args =
      (lb__attention_args){.out = &in->out,
                           .logsumexp = &in->logsumexp,
                           .q = &in->q,
                           .k = &in->k,
                           .v = &in->v,
                           .cu_seqlens = &in->starts,
                           .window = p[4],
                           .softcap = (float)p[5],
                           .scale = 1.7f / sqrtf((float)p[3]),
                           .dropout = {.p = (float)p[6] / 100.0f, .seed = 7, .step = 3, .site = 5}};
}

static void deinit_inputs(inputs *in) {
  lb_tensor *all[] = {&in->q, &in->k, &in->v, &in->out, &in->logsumexp, &in->starts};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) lb__tensor_deinit(all[i]);
}

static void run_attention(const op_case *c, const lb__kernel_table *table, op_result *result) {
  inputs in;
  make_inputs(&in, c->p);
  RUN(attention, in.args);
  keep_floats(result, &in.out);
  keep_floats(result, &in.logsumexp);
  deinit_inputs(&in);
}

/* out and logsumexp as the reference makes them. */
static void run_forward(const inputs *in) {
  size_t size = lb__ref_attention_workspace(&in->args);
  void *scratch = aligned_alloc(64, (size + 64) / 64 * 64);
  assert_non_null(scratch);
  assert_int_equal(lb__ref_attention(&in->args, scratch), LB_OK);
  free(scratch);
}

/* p as above, then which gradients are wanted: 1 dq, 2 dk, 4 dv. Each holds something already. */
static void run_attention_bwd(const op_case *c, const lb__kernel_table *table, op_result *result) {
  inputs in;
  make_inputs(&in, c->p);
  run_forward(&in);
  int64_t N = in.q.shape[0];
  lb_tensor dout = floats(3, N, c->p[1], c->p[3]), dq = floats(3, N, c->p[1], c->p[3]);
  lb_tensor dk = floats(3, N, c->p[2], c->p[3]), dv = floats(3, N, c->p[2], c->p[3]);
  lb__attention_bwd_args args = {.dq = c->p[7] & 1 ? &dq : NULL,
                                 .dk = c->p[7] & 2 ? &dk : NULL,
                                 .dv = c->p[7] & 4 ? &dv : NULL,
                                 .dout = &dout,
                                 .out = &in.out,
                                 .logsumexp = &in.logsumexp,
                                 .q = &in.q,
                                 .k = &in.k,
                                 .v = &in.v,
                                 .cu_seqlens = &in.starts,
                                 .window = in.args.window,
                                 .scale = in.args.scale,
                                 .softcap = in.args.softcap,
                                 .dropout = in.args.dropout};
  RUN(attention_bwd, args);
  lb_tensor *gradients[] = {&dq, &dk, &dv};
  for (int i = 0; i < 3; i++) keep_floats(result, gradients[i]);
  for (int i = 0; i < 3; i++) lb__tensor_deinit(gradients[i]);
  lb__tensor_deinit(&dout);
  deinit_inputs(&in);
}

/* ---- dropout ---- */

/* p: n, percent, add */
static void run_dropout(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor x = floats(1, c->p[0], 1, 1), out = floats(1, c->p[0], 1, 1);
  lb__dropout_args args = {
      .out = &out,
      .x = &x,
      .add = c->p[2] != 0,
      .draw = {
          .p = (float)c->p[1] / 100.0f, .seed = 11, .step = 1 + ((uint64_t)1 << 35), .site = 9}};
  RUN(dropout, args);
  keep_floats(result, &out);
  lb__tensor_deinit(&x);
  lb__tensor_deinit(&out);
}

/* ---- relations ---- */

/* p: documents, relation heads, width of x, width of target, 0: no gradient is wanted */
static void run_relation(const op_case *c, const lb__kernel_table *table, op_result *result) {
  int64_t N = rows_of(c->p[0]);
  lb_tensor starts = documents(c->p[0]), losses = make(LB_DTYPE_F64, 1, N, 1, 1);
  lb_tensor x = floats(2, N, c->p[2], 1), target = floats(2, N, c->p[3], 1);
  lb_tensor dx = floats(2, N, c->p[2], 1);
  lb__relation_args args = {.losses = &losses,
                            .dx = c->p[4] ? &dx : NULL,
                            .x = &x,
                            .target = &target,
                            .cu_seqlens = &starts,
                            .heads = c->p[1],
                            .scale = 0.7 * (double)c->p[1]};
  RUN(relation, args);
  for (int64_t n = 0; n < N; n++) keep(result, ((const double *)lb__tensor_data(&losses))[n]);
  keep_floats(result, &dx);
  lb_tensor *all[] = {&starts, &losses, &x, &target, &dx};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) lb__tensor_deinit(all[i]);
}

/* ---- the table ---- */

SEEDED(attention)
SEEDED(attention_bwd)
SEEDED(dropout)
SEEDED(relation)

#define ATTENTION(name, ...)                                                                       \
  CASE(attention, LB_TOL_ATTENTION, name ", for backward", __VA_ARGS__, 0),                        \
      CASE(attention_bwd, LB_TOL_ATTENTION_BWD, name, __VA_ARGS__, 7)

static const op_case cases[] = {
    ATTENTION("one token", 0, 2, 1, 8, 0, 0, 0),
    ATTENTION("no tokens", 5, 2, 1, 8, 0, 0, 0),
    ATTENTION("odd head size", 1, 3, 3, 13, 0, 0, 0),
    ATTENTION("documents, groups", 2, 9, 3, 64, 0, 0, 0),
    ATTENTION("empty documents", 4, 4, 2, 16, 0, 0, 0),
    ATTENTION("wide", 3, 4, 1, 256, 0, 0, 0),
    ATTENTION("more than a block", 6, 2, 2, 64, 0, 0, 0),
    ATTENTION("many heads of one", 6, 14, 1, 24, 0, 0, 0),
    ATTENTION("window", 3, 4, 2, 32, 9, 0, 0),
    ATTENTION("window of one", 1, 4, 2, 32, 1, 0, 0),
    ATTENTION("window over a block, soft cap", 6, 6, 2, 40, 70, 3, 0),
    ATTENTION("dropout", 3, 4, 2, 32, 0, 0, 25),
    ATTENTION("dropout, window, soft cap", 6, 4, 4, 20, 100, 2, 10),
    CASE(attention_bwd, LB_TOL_ATTENTION_BWD, "dq only", 2, 4, 2, 16, 0, 0, 0, 1),
    CASE(attention_bwd, LB_TOL_ATTENTION_BWD, "dk only", 2, 4, 2, 16, 0, 0, 0, 2),
    CASE(attention_bwd, LB_TOL_ATTENTION_BWD, "dv only", 2, 4, 2, 16, 0, 0, 0, 4),

    CASE(dropout, LB_TOL_DROPOUT, "no elements", 0, 10, 0),
    CASE(dropout, LB_TOL_DROPOUT, "odd", 41, 30, 0),
    CASE(dropout, LB_TOL_DROPOUT, "many", 20011, 10, 0),
    CASE(dropout, LB_TOL_DROPOUT, "backward", 20011, 50, 1),
    CASE(dropout, LB_TOL_DROPOUT, "none are zeroed", 33, 0, 0),

    CASE(relation, LB_TOL_RELATION, "one token", 0, 2, 8, 12, 1),
    CASE(relation, LB_TOL_RELATION, "no tokens", 5, 2, 8, 12, 1),
    CASE(relation, LB_TOL_RELATION, "documents", 2, 3, 96, 144, 1),
    CASE(relation, LB_TOL_RELATION, "empty documents", 4, 4, 64, 64, 1),
    CASE(relation, LB_TOL_RELATION, "odd widths", 3, 5, 65, 35, 1),
    CASE(relation, LB_TOL_RELATION, "one head", 3, 1, 40, 24, 1),
    CASE(relation, LB_TOL_RELATION, "long", 6, 2, 128, 48, 1),
    CASE(relation, LB_TOL_RELATION, "value only", 2, 3, 96, 144, 0),
};
const op_case_list op_cases_attention = {cases, sizeof cases / sizeof *cases};

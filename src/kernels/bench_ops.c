/* bench_ops.c - measures ops on shapes of real models. Public: limbeck/bench.h. Owns: the cases and
 * the clock. Each case makes tensors once, then runs until its time is over; the median counts. */
#include <limbeck/bench.h>

#include "kernels.h"

#include "base/fail.h"
#include "base/threads.h"
#include "cpu/halves.h"
#include "cpu/reference/reference.h"
#include "onednn/onednn_gemm.h"
#include "tensor/tensor_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST_SAMPLES = 512, MOST_TENSORS = 10 };

/* The arguments of any op; `op` says which. */
typedef union arguments {
#define LB__OP(name, differentiable, text) lb__##name##_args name;
#include "ops/ops.def"
#undef LB__OP
} arguments;

typedef struct bench_case bench_case;

/* What a case sets up. */
typedef struct setup {
  lb_tensor tensors[MOST_TENSORS];
  int n_tensors;
  lb_status status;
  lb_error *err;
  arguments args;
  double flop, bytes;
  char *shape; /* [64] */
} setup;

struct bench_case {
  const char *model;
  lb__op op;
  void (*prepare)(setup *s, const int64_t *p);
  int64_t p[6];
};

/* ---- tensors ---- */

/* A failed allocation leaves a tensor without memory and a sticky status. */
static lb_tensor *make(setup *s, lb_dtype dtype, int rank, int64_t a, int64_t b, int64_t c) {
  lb_tensor *t = &s->tensors[s->n_tensors++];
  const int64_t shape[] = {a, b, c};
  if (s->status == LB_OK) s->status = lb__tensor_init(t, dtype, rank, shape, s->err);
  s->bytes += (double)t->size_bytes;
  return t;
}

static lb_tensor *floats(setup *s, int rank, int64_t a, int64_t b, int64_t c) {
  lb_tensor *t = make(s, LB_DTYPE_F32, rank, a, b, c);
  for (int64_t i = 0; s->status == LB_OK && i < lb__tensor_elements(t); i++)
    lb__tensor_f32(t)[i] = (float)(i * 7919 % 1009 - 504) / 500.0f;
  return t;
}

/* Small numbers of any type: the byte 0x1C makes small halves, bfloat16 and quantised blocks. */
static lb_tensor *weights(setup *s, lb_dtype dtype, int64_t O, int64_t I) {
  lb_tensor *t = make(s, dtype, 2, O, I, 1);
  if (s->status == LB_OK) memset(lb__tensor_data(t), 0x1C, t->size_bytes);
  return t;
}

static lb_tensor *counted(setup *s, int64_t n) {
  lb_tensor *t = make(s, LB_DTYPE_I32, 1, n, 1, 1);
  for (int64_t i = 0; s->status == LB_OK && i < n; i++) lb__tensor_i32(t)[i] = (int32_t)i;
  return t;
}

/* ---- cases ---- */

/* p: N, I, O, dtype, compute */
static void linear(setup *s, const int64_t *p) {
  s->args.linear = (lb__linear_args){.x = floats(s, 2, p[0], p[1], 1),
                                     .weight = weights(s, (lb_dtype)p[3], p[2], p[1]),
                                     .out = floats(s, 2, p[0], p[2], 1),
                                     .compute = (lb__compute)p[4]};
  s->flop = 2.0 * (double)p[0] * (double)p[1] * (double)p[2];
  snprintf(s->shape, 64, "%lld x %lld -> %lld, %s%s", (long long)p[0], (long long)p[1],
           (long long)p[2], lb_dtype_name((lb_dtype)p[3]),
           p[4] == LB__COMPUTE_BF16 ? ", bf16 products" : "");
}

/* p: N, C */
static void rms_norm(setup *s, const int64_t *p) {
  s->args.rms_norm = (lb__rms_norm_args){.x = floats(s, 2, p[0], p[1], 1),
                                         .weight = floats(s, 1, p[1], 1, 1),
                                         .out = floats(s, 2, p[0], p[1], 1),
                                         .eps = 1e-5f};
  snprintf(s->shape, 64, "%lld x %lld", (long long)p[0], (long long)p[1]);
}

static void layer_norm(setup *s, const int64_t *p) {
  s->args.layer_norm = (lb__layer_norm_args){.x = floats(s, 2, p[0], p[1], 1),
                                             .weight = floats(s, 1, p[1], 1, 1),
                                             .bias = floats(s, 1, p[1], 1, 1),
                                             .out = floats(s, 2, p[0], p[1], 1),
                                             .eps = 1e-5f};
  snprintf(s->shape, 64, "%lld x %lld", (long long)p[0], (long long)p[1]);
}

/* p: N, heads, D */
static void rope(setup *s, const int64_t *p) {
  s->args.rope = (lb__rope_args){.x = floats(s, 3, p[0], p[1], p[2]),
                                 .positions = counted(s, p[0]),
                                 .inv_freq = floats(s, 1, p[2] / 2, 1, 1),
                                 .magnitude = 1.0f};
  snprintf(s->shape, 64, "%lld x %lld heads of %lld", (long long)p[0], (long long)p[1],
           (long long)p[2]);
}

/* p: N, H, G, D, window, keys (more than N: one new token of a cache) */
static void attention(setup *s, const int64_t *p) {
  int64_t N = p[0], keys = p[5];
  lb_tensor *starts = counted(s, 2), *pages = make(s, LB_DTYPE_I32, 2, 1, 1, 1);
  lb_tensor *lens = counted(s, 1);
  if (s->status == LB_OK) {
    lb__tensor_i32(starts)[1] = (int32_t)N;
    lb__tensor_i32(pages)[0] = 0;
    lb__tensor_i32(lens)[0] = (int32_t)keys;
  }
  s->args.attention = (lb__attention_args){.q = floats(s, 3, N, p[1], p[3]),
                                           .k = floats(s, 3, keys, p[2], p[3]),
                                           .v = floats(s, 3, keys, p[2], p[3]),
                                           .out = floats(s, 3, N, p[1], p[3]),
                                           .cu_seqlens = starts,
                                           .page_table = keys > N ? pages : NULL,
                                           .kv_lens = keys > N ? lens : NULL,
                                           .page_size = keys,
                                           .window = p[4],
                                           .scale = 0.125f};
  double seen = keys > N ? (double)(N * keys) : (double)N * (double)(N + 1) / 2.0;
  s->flop = 4.0 * seen * (double)(p[1] * p[3]);
  snprintf(s->shape, 64, "%lld new, %lld keys, %lld/%lld heads of %lld", (long long)N,
           (long long)keys, (long long)p[1], (long long)p[2], (long long)p[3]);
}

/* Two documents of N / 2 tokens. */
static lb_tensor *two_documents(setup *s, int64_t N) {
  lb_tensor *starts = counted(s, 3);
  if (s->status == LB_OK) {
    lb__tensor_i32(starts)[1] = (int32_t)(N / 2);
    lb__tensor_i32(starts)[2] = (int32_t)N;
  }
  return starts;
}

/* Pairs of query and key of two documents of N / 2. */
static double seen_pairs(int64_t N) {
  return (double)(N / 2) * (double)(N / 2 + 1);
}

/* p: N (in two documents), H, G, D, window; five products */
static void attention_bwd(setup *s, const int64_t *p) {
  int64_t N = p[0], H = p[1], G = p[2], D = p[3];
  s->args.attention_bwd = (lb__attention_bwd_args){.q = floats(s, 3, N, H, D),
                                                   .k = floats(s, 3, N, G, D),
                                                   .v = floats(s, 3, N, G, D),
                                                   .out = floats(s, 3, N, H, D),
                                                   .dout = floats(s, 3, N, H, D),
                                                   .logsumexp = floats(s, 2, N, H, 1),
                                                   .dq = floats(s, 3, N, H, D),
                                                   .dk = floats(s, 3, N, G, D),
                                                   .dv = floats(s, 3, N, G, D),
                                                   .cu_seqlens = two_documents(s, N),
                                                   .window = p[4],
                                                   .scale = 0.125f};
  s->flop = 10.0 * seen_pairs(N) * (double)(H * D);
  snprintf(s->shape, 64, "2 x %lld, %lld/%lld heads of %lld", (long long)(N / 2), (long long)H,
           (long long)G, (long long)D);
}

/* p: N (in two documents), heads, width of x, width of target; four products */
static void relation(setup *s, const int64_t *p) {
  s->args.relation = (lb__relation_args){.losses = make(s, LB_DTYPE_F64, 1, p[0], 1, 1),
                                         .dx = floats(s, 2, p[0], p[2], 1),
                                         .x = floats(s, 2, p[0], p[2], 1),
                                         .target = floats(s, 2, p[0], p[3], 1),
                                         .cu_seqlens = two_documents(s, p[0]),
                                         .heads = p[1],
                                         .scale = 1.0};
  s->flop = 2.0 * seen_pairs(p[0]) * (double)(3 * p[2] + p[3]);
  snprintf(s->shape, 64, "2 x %lld, %lld heads of %lld and %lld", (long long)(p[0] / 2),
           (long long)p[1], (long long)(p[2] / p[1]), (long long)(p[3] / p[1]));
}

/* p: n */
static void dropout(setup *s, const int64_t *p) {
  s->args.dropout = (lb__dropout_args){
      .x = floats(s, 1, p[0], 1, 1), .out = floats(s, 1, p[0], 1, 1), .draw = {.p = 0.1f}};
  snprintf(s->shape, 64, "%lld", (long long)p[0]);
}

/* p: n, kind */
static void act(setup *s, const int64_t *p) {
  s->args.act = (lb__act_args){
      .x = floats(s, 1, p[0], 1, 1), .out = floats(s, 1, p[0], 1, 1), .kind = (lb__act_kind)p[1]};
  snprintf(s->shape, 64, "%lld gelu", (long long)p[0]);
}

static void act_mul(setup *s, const int64_t *p) {
  s->args.act_mul = (lb__act_mul_args){.gate = floats(s, 1, p[0], 1, 1),
                                       .up = floats(s, 1, p[0], 1, 1),
                                       .out = floats(s, 1, p[0], 1, 1),
                                       .kind = (lb__act_kind)p[1]};
  snprintf(s->shape, 64, "%lld %s", (long long)p[0], p[1] == LB__ACT_SILU ? "silu" : "gelu");
}

static void add(setup *s, const int64_t *p) {
  s->args.add = (lb__add_args){.a = floats(s, 1, p[0], 1, 1),
                               .b = floats(s, 1, p[0], 1, 1),
                               .out = floats(s, 1, p[0], 1, 1)};
  snprintf(s->shape, 64, "%lld", (long long)p[0]);
}

/* ---- backward: what a training step runs beside the forward ---- */

/* p: N, I, O, dtype, 1: the weight is frozen, compute */
static void linear_bwd(setup *s, const int64_t *p) {
  bool frozen = p[4] != 0;
  s->args.linear_bwd = (lb__linear_bwd_args){.dout = floats(s, 2, p[0], p[2], 1),
                                             .x = floats(s, 2, p[0], p[1], 1),
                                             .weight = weights(s, (lb_dtype)p[3], p[2], p[1]),
                                             .dx = floats(s, 2, p[0], p[1], 1)};
  s->args.linear_bwd.compute = (lb__compute)p[5];
  if (!frozen) s->args.linear_bwd.dweight = floats(s, 2, p[2], p[1], 1);
  s->flop = (frozen ? 2.0 : 4.0) * (double)p[0] * (double)p[1] * (double)p[2];
  snprintf(s->shape, 64, "%lld x %lld -> %lld, %s%s%s", (long long)p[0], (long long)p[1],
           (long long)p[2], lb_dtype_name((lb_dtype)p[3]), frozen ? ", frozen" : "",
           p[5] == LB__COMPUTE_BF16 ? ", bf16 products" : "");
}

/* p: N, C */
static void rms_norm_bwd(setup *s, const int64_t *p) {
  s->args.rms_norm_bwd = (lb__rms_norm_bwd_args){.dout = floats(s, 2, p[0], p[1], 1),
                                                 .x = floats(s, 2, p[0], p[1], 1),
                                                 .weight = floats(s, 1, p[1], 1, 1),
                                                 .dx = floats(s, 2, p[0], p[1], 1),
                                                 .dweight = floats(s, 1, p[1], 1, 1),
                                                 .eps = 1e-5f};
  snprintf(s->shape, 64, "%lld x %lld", (long long)p[0], (long long)p[1]);
}

static void layer_norm_bwd(setup *s, const int64_t *p) {
  s->args.layer_norm_bwd = (lb__layer_norm_bwd_args){.dout = floats(s, 2, p[0], p[1], 1),
                                                     .x = floats(s, 2, p[0], p[1], 1),
                                                     .weight = floats(s, 1, p[1], 1, 1),
                                                     .dx = floats(s, 2, p[0], p[1], 1),
                                                     .dweight = floats(s, 1, p[1], 1, 1),
                                                     .dbias = floats(s, 1, p[1], 1, 1),
                                                     .eps = 1e-5f};
  snprintf(s->shape, 64, "%lld x %lld", (long long)p[0], (long long)p[1]);
}

/* p: n, kind */
static void act_bwd(setup *s, const int64_t *p) {
  s->args.act_bwd = (lb__act_bwd_args){.dout = floats(s, 1, p[0], 1, 1),
                                       .x = floats(s, 1, p[0], 1, 1),
                                       .dx = floats(s, 1, p[0], 1, 1),
                                       .kind = (lb__act_kind)p[1]};
  snprintf(s->shape, 64, "%lld gelu", (long long)p[0]);
}

static void act_mul_bwd(setup *s, const int64_t *p) {
  s->args.act_mul_bwd = (lb__act_mul_bwd_args){.dout = floats(s, 1, p[0], 1, 1),
                                               .gate = floats(s, 1, p[0], 1, 1),
                                               .up = floats(s, 1, p[0], 1, 1),
                                               .dgate = floats(s, 1, p[0], 1, 1),
                                               .dup = floats(s, 1, p[0], 1, 1),
                                               .kind = (lb__act_kind)p[1]};
  snprintf(s->shape, 64, "%lld %s", (long long)p[0], p[1] == LB__ACT_SILU ? "silu" : "gelu");
}

static void add_scaled(setup *s, const int64_t *p) {
  s->args.add_scaled = (lb__add_scaled_args){
      .out = floats(s, 1, p[0], 1, 1), .x = floats(s, 1, p[0], 1, 1), .factor = 1.0f};
  snprintf(s->shape, 64, "%lld", (long long)p[0]);
}

/* p: N, V, C */
static void embed_bwd(setup *s, const int64_t *p) {
  s->args.embed_bwd = (lb__embed_bwd_args){.ids = counted(s, p[0]),
                                           .dout = floats(s, 2, p[0], p[2], 1),
                                           .dweight = floats(s, 2, p[1], p[2], 1),
                                           .scale = 1.0f};
  s->bytes = 12.0 * (double)p[0] * (double)p[2]; /* only the rows that are named */
  snprintf(s->shape, 64, "%lld of %lld x %lld", (long long)p[0], (long long)p[1], (long long)p[2]);
}

/* p: N, V, K */
static void logits_stats(setup *s, const int64_t *p) {
  s->args.logits_stats = (lb__logits_stats_args){.logits = floats(s, 2, p[0], p[1], 1),
                                                 .targets = counted(s, p[0]),
                                                 .logsumexp = floats(s, 1, p[0], 1, 1),
                                                 .top_ids = make(s, LB_DTYPE_I32, 2, p[0], p[2], 1),
                                                 .top_logits = floats(s, 2, p[0], p[2], 1),
                                                 .target_logits = floats(s, 1, p[0], 1, 1)};
  snprintf(s->shape, 64, "%lld x %lld, top %lld", (long long)p[0], (long long)p[1],
           (long long)p[2]);
}

/* ---- the optimizer: p: n ---- */

static void sum_squares(setup *s, const int64_t *p) {
  static double sum;
  s->args.sum_squares = (lb__sum_squares_args){.x = floats(s, 1, p[0], 1, 1), .sum = &sum};
  snprintf(s->shape, 64, "%lld", (long long)p[0]);
}

static void adamw(setup *s, const int64_t *p) {
  s->args.adamw = (lb__adamw_args){.parameter = floats(s, 1, p[0], 1, 1),
                                   .gradient = floats(s, 1, p[0], 1, 1),
                                   .exp_avg = floats(s, 1, p[0], 1, 1),
                                   .exp_avg_sq = weights(s, LB_DTYPE_F32, 1, p[0]),
                                   .learning_rate = 1e-4,
                                   .beta1 = 0.9,
                                   .beta2 = 0.999,
                                   .eps = 1e-8,
                                   .weight_decay = 0.01,
                                   .gradient_scale = 1.0,
                                   .step = 10};
  s->bytes *= 2.0; /* each is read and written */
  snprintf(s->shape, 64, "%lld", (long long)p[0]);
}

/* What distillation computes: alpha KD at temperature 2, (1 - alpha) cross-entropy. p: N, V */
static void divergence(setup *s, const int64_t *p) {
  static const lb__divergence_term terms[] = {
      {LB__DIVERGENCE_forward_kl, 0.7, 2.0, 4.0, {0}},
      {LB__DIVERGENCE_cross_entropy, 0.3, 1.0, 1.0, {0}},
  };
  enum { N_TERMS = sizeof terms / sizeof *terms };
  s->args.divergence = (lb__divergence_args){.student = floats(s, 2, p[0], p[1], 1),
                                             .teacher = floats(s, 2, p[0], p[1], 1),
                                             .targets = counted(s, p[0]),
                                             .losses = make(s, LB_DTYPE_F64, 2, N_TERMS, p[0], 1),
                                             .vocab = p[1],
                                             .terms = terms,
                                             .n_terms = N_TERMS,
                                             .scale = 1.0,
                                             .gradient = true};
  s->bytes += s->args.divergence.student ? (double)s->args.divergence.student->size_bytes : 0.0;
  snprintf(s->shape, 64, "%lld x %lld, forward_kl + cross_entropy", (long long)p[0],
           (long long)p[1]);
}

#define SMOL  "SmolLM2-135M"
#define GPT2  "gpt2"
#define GEMMA "Gemma-3-270M"
static const bench_case cases[] = {
    {GPT2, LB__OP_linear, linear, {512, 768, 3072, LB_DTYPE_F32}},
    {GPT2, LB__OP_linear, linear, {512, 3072, 768, LB_DTYPE_F32}},
    {GPT2, LB__OP_linear, linear, {512, 768, 3072, LB_DTYPE_BF16, LB__COMPUTE_BF16}},
    {SMOL, LB__OP_linear, linear, {512, 576, 1536, LB_DTYPE_F32}},
    {SMOL, LB__OP_linear, linear, {512, 576, 1536, LB_DTYPE_BF16}},
    {SMOL, LB__OP_linear, linear, {512, 576, 1536, LB_DTYPE_Q8_0}},
    {SMOL, LB__OP_linear, linear, {512, 576, 1536, LB_DTYPE_Q4_1}},
    {SMOL, LB__OP_linear, linear, {512, 576, 1536, LB_DTYPE_Q4_1, LB__COMPUTE_BF16}},
    {SMOL, LB__OP_linear, linear, {512, 576, 192, LB_DTYPE_Q4_1}},
    {SMOL, LB__OP_linear, linear, {512, 1536, 576, LB_DTYPE_Q4_1}},
    {GEMMA, LB__OP_linear, linear, {512, 2048, 640, LB_DTYPE_Q4_K}},
    {SMOL, LB__OP_linear, linear, {16, 576, 1536, LB_DTYPE_Q4_1}},
    {SMOL, LB__OP_linear, linear, {8, 576, 1536, LB_DTYPE_Q4_1}},
    {SMOL, LB__OP_linear, linear, {4, 576, 1536, LB_DTYPE_Q4_1}},
    {SMOL, LB__OP_linear, linear, {1, 576, 1536, LB_DTYPE_Q4_1}},
    {SMOL, LB__OP_linear, linear, {1, 576, 49152, LB_DTYPE_F32}},
    {SMOL, LB__OP_linear, linear, {1, 576, 49152, LB_DTYPE_BF16}},
    {SMOL, LB__OP_linear, linear, {1, 576, 49152, LB_DTYPE_Q8_0}},
    {SMOL, LB__OP_linear, linear, {1, 576, 49152, LB_DTYPE_Q4_0}},
    {SMOL, LB__OP_linear, linear, {1, 576, 49152, LB_DTYPE_Q4_1}},
    {SMOL, LB__OP_linear, linear, {4, 576, 49152, LB_DTYPE_Q4_1}},
    {GEMMA, LB__OP_linear, linear, {1, 2048, 16384, LB_DTYPE_Q4_K}},
    {GEMMA, LB__OP_linear, linear, {1, 2048, 16384, LB_DTYPE_Q6_K}},
    {GEMMA, LB__OP_linear, linear, {1, 640, 65536, LB_DTYPE_Q5_0}},
    {SMOL, LB__OP_rms_norm, rms_norm, {512, 576}},
    {GPT2, LB__OP_layer_norm, layer_norm, {512, 768}},
    {SMOL, LB__OP_rope, rope, {512, 9, 64}},
    {SMOL, LB__OP_attention, attention, {512, 9, 3, 64, 0, 512}},
    {GPT2, LB__OP_attention, attention, {1024, 12, 12, 64, 0, 1024}},
    {GEMMA, LB__OP_attention, attention, {1024, 4, 1, 256, 512, 1024}},
    {SMOL, LB__OP_attention, attention, {1, 9, 3, 64, 0, 1024}},
    {GPT2, LB__OP_attention, attention, {512, 12, 12, 64, 0, 512}},
    {GPT2, LB__OP_attention_bwd, attention_bwd, {1024, 12, 12, 64, 0}},
    {SMOL, LB__OP_attention_bwd, attention_bwd, {1024, 9, 3, 64, 0}},
    {GEMMA, LB__OP_attention_bwd, attention_bwd, {1024, 4, 1, 256, 512}},
    {GPT2, LB__OP_relation, relation, {1024, 12, 768, 1024}},
    {GPT2, LB__OP_dropout, dropout, {512 * 768}},
    {GPT2, LB__OP_act, act, {512 * 3072, LB__ACT_GELU_TANH}},
    {SMOL, LB__OP_act_mul, act_mul, {512 * 1536, LB__ACT_SILU}},
    {GEMMA, LB__OP_act_mul, act_mul, {512 * 2048, LB__ACT_GELU_TANH}},
    {SMOL, LB__OP_add, add, {512 * 576}},
    {GPT2, LB__OP_linear_bwd, linear_bwd, {512, 768, 3072, LB_DTYPE_F32}},
    {GPT2, LB__OP_linear_bwd, linear_bwd, {2048, 768, 3072, LB_DTYPE_F32}},
    {GPT2, LB__OP_linear_bwd, linear_bwd, {2048, 3072, 768, LB_DTYPE_F32}},
    {GPT2, LB__OP_linear_bwd, linear_bwd, {2048, 768, 3072, LB_DTYPE_F32, 0, LB__COMPUTE_BF16}},
    {GPT2, LB__OP_linear_bwd, linear_bwd, {2048, 3072, 768, LB_DTYPE_F32, 0, LB__COMPUTE_BF16}},
    {GPT2, LB__OP_linear_bwd, linear_bwd, {256, 768, 50257, LB_DTYPE_BF16, 0, LB__COMPUTE_BF16}},
    {SMOL, LB__OP_linear_bwd, linear_bwd, {512, 576, 1536, LB_DTYPE_F32}},
    {SMOL, LB__OP_linear_bwd, linear_bwd, {512, 576, 192, LB_DTYPE_F32}},
    {SMOL, LB__OP_linear_bwd, linear_bwd, {256, 576, 49152, LB_DTYPE_F32}},
    {SMOL, LB__OP_linear_bwd, linear_bwd, {512, 576, 1536, LB_DTYPE_Q4_1, 1}},
    {SMOL, LB__OP_rms_norm_bwd, rms_norm_bwd, {512, 576}},
    {GPT2, LB__OP_layer_norm_bwd, layer_norm_bwd, {512, 768}},
    {GPT2, LB__OP_act_bwd, act_bwd, {512 * 3072, LB__ACT_GELU_TANH}},
    {SMOL, LB__OP_act_mul_bwd, act_mul_bwd, {512 * 1536, LB__ACT_SILU}},
    {SMOL, LB__OP_add_scaled, add_scaled, {512 * 576}},
    {SMOL, LB__OP_embed_bwd, embed_bwd, {512, 49152, 576}},
    {SMOL, LB__OP_logits_stats, logits_stats, {16, 49152, 1}},
    {GEMMA, LB__OP_logits_stats, logits_stats, {16, 262144, 10}},
    {GPT2, LB__OP_divergence, divergence, {32, 50257}},
    {GPT2, LB__OP_sum_squares, sum_squares, {16 * 768 * 3072}},
    {GPT2, LB__OP_adamw, adamw, {16 * 768 * 3072}},
};
enum { N_CASES = sizeof cases / sizeof *cases };

/* ---- measuring ---- */

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static size_t workspace_of(const lb__kernel_table *table, lb__op op, const arguments *args) {
  switch (op) {
#define LB__OP(name, differentiable, text)                                                         \
  case LB__OP_##name:                                                                              \
    return table->name##_workspace ? table->name##_workspace(&args->name) : 0;
#include "ops/ops.def"
#undef LB__OP
  case LB__OP_COUNT: break;
  }
  return 0;
}

static lb_status run(const lb__kernel_table *table, lb__op op, const arguments *args,
                     void *workspace) {
  switch (op) {
#define LB__OP(name, differentiable, text)                                                         \
  case LB__OP_##name:                                                                              \
    return table->name(&args->name, workspace);
#include "ops/ops.def"
#undef LB__OP
  case LB__OP_COUNT: break;
  }
  return LB_E_ARG;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Runs something until `seconds` are over, at least three times. */
typedef struct timing {
  double samples[MOST_SAMPLES];
  int n;
  double end_ns;
} timing;

static bool timing_continues(const timing *t) {
  return t->n < 3 || (t->n < MOST_SAMPLES && now_ns() < t->end_ns);
}

static void timing_report(timing *t, lb_bench_result *r, double flop, double bytes) {
  qsort(t->samples, (size_t)t->n, sizeof *t->samples, compare);
  r->repetitions = t->n;
  r->median_ns = t->samples[t->n / 2];
  r->fastest_ns = t->samples[0];
  r->slowest_ns = t->samples[t->n - 1];
  r->gflop_per_s = flop / r->median_ns;
  r->gbyte_per_s = bytes / r->median_ns;
}

static lb_status measure(lb_bench_result *r, const lb__kernel_table *table, const bench_case *c,
                         const setup *s, double seconds) {
  size_t size = workspace_of(table, c->op, &s->args);
  void *workspace = lb__alloc_aligned(size);
  if (workspace == NULL) return LB_E_NOMEM;
  lb_status st = run(table, c->op, &s->args, workspace); /* warm */
  timing t = {.end_ns = now_ns() + seconds * 1e9};
  while (st == LB_OK && timing_continues(&t)) {
    double begin = now_ns();
    st = run(table, c->op, &s->args, workspace);
    t.samples[t.n++] = now_ns() - begin;
  }
  if (st == LB_OK) timing_report(&t, r, s->flop, s->bytes);
  lb__free_aligned(workspace);
  return st;
}

/* The reference kernel once, where that does not take seconds. */
static lb_status measure_reference(lb_bench_result *r, const bench_case *c, const setup *s) {
  if (s->flop > 5e8) return LB_OK;
  lb__kernel_table reference;
  lb__ref_fill(&reference);
  void *workspace = lb__alloc_aligned(workspace_of(&reference, c->op, &s->args));
  if (workspace == NULL) return LB_E_NOMEM;
  double begin = now_ns();
  lb_status st = run(&reference, c->op, &s->args, workspace);
  r->reference_ns = now_ns() - begin;
  lb__free_aligned(workspace);
  return st;
}

static lb_status run_case(lb_bench_result *r, const bench_case *c, double seconds, lb_error *err) {
  const lb__kernel_table *table = lb__kernels();
  *r = (lb_bench_result){.op = lb__op_name(c->op), .model = c->model};
  r->kernel = table->chosen[c->op];
  setup s = {.err = err, .shape = r->shape};
  c->prepare(&s, c->p);
  lb_status st = s.status;
  if (st == LB_OK) {
    st = measure(r, table, c, &s, seconds);
    if (st == LB_OK) st = measure_reference(r, c, &s);
    if (st != LB_OK) lb__fail(err, st, "bench of %s %s: %s", r->op, r->shape, lb_status_text(st));
  }
  for (int i = 0; i < s.n_tensors; i++) lb__tensor_deinit(&s.tensors[i]);
  return st;
}

/* ---- what the machine can do ---- */

typedef struct reading {
  const uint64_t *words;
  uint64_t sums[1024][8]; /* [threads], a cache line each */
} reading;

static void read_words(void *ctx, int64_t begin, int64_t end) {
  reading *r = ctx;
  uint64_t a = 0, b = 0, c = 0, d = 0;
  for (int64_t i = begin * 4; i < end * 4; i += 4) {
    a += r->words[i];
    b += r->words[i + 1];
    c += r->words[i + 2];
    d += r->words[i + 3];
  }
  r->sums[lb__thread_index()][0] += a + b + c + d;
}

static lb_status memory_read(lb_bench_result *r, double seconds) {
  enum { BYTES = 1 << 28 };
  *r = (lb_bench_result){.op = "machine", .model = "-", .kernel = "memory read"};
  snprintf(r->shape, sizeof r->shape, "%d MiB, %d threads", BYTES >> 20, lb_threads_get());
  uint64_t *words = lb__alloc_aligned(BYTES);
  reading *job = lb__new(sizeof *job);
  if (words != NULL && job != NULL) {
    memset(words, 1, BYTES);
    job->words = words;
    timing t = {.end_ns = now_ns() + seconds * 1e9};
    while (timing_continues(&t)) {
      double begin = now_ns();
      lb__parallel_for(BYTES / 32, 1 << 16, read_words, job);
      t.samples[t.n++] = now_ns() - begin;
    }
    timing_report(&t, r, 0.0, BYTES);
  }
  lb_status st = words != NULL && job != NULL ? LB_OK : LB_E_NOMEM;
  lb__free(job);
  lb__free_aligned(words);
  return st;
}

/* oneDNN alone, all threads in one product: what our products are measured against. */
enum { RAW_M = 512, RAW_N = 3072, RAW_K = 768 };

static lb_status raw_f32(void *out, const void *x, const void *w) {
  return lb__onednn_gemm(out, RAW_N, x, w, RAW_M, RAW_N, RAW_K);
}
static lb_status raw_bf16(void *out, const void *x, const void *w) {
  return lb__onednn_gemm_bf16(out, RAW_N, x, w, RAW_M, RAW_N, RAW_K);
}
static lb_status raw_u8s8(void *out, const void *x, const void *w) {
  return lb__onednn_gemm_u8s8(out, x, w, RAW_M, RAW_N, RAW_K);
}

typedef struct raw_product {
  const char *kernel, *type;
  size_t element; /* bytes of a factor's */
  lb_status (*run)(void *out, const void *x, const void *w);
} raw_product;
static const raw_product raw_products[] = {{"oneDNN sgemm", "F32", 4, raw_f32},
                                           {"oneDNN bf16", "BF16", 2, raw_bf16},
                                           {"oneDNN u8s8", "U8 by I8", 1, raw_u8s8}};
enum { N_RAW = sizeof raw_products / sizeof *raw_products };

static lb_status raw_gemm(lb_bench_result *r, const raw_product *p, double seconds) {
  *r = (lb_bench_result){.op = "machine", .model = GPT2, .kernel = p->kernel};
  snprintf(r->shape, sizeof r->shape, "%d x %d -> %d, %s", RAW_M, RAW_K, RAW_N, p->type);
  size_t x_bytes = RAW_M * RAW_K * p->element, w_bytes = RAW_N * RAW_K * p->element;
  size_t out_bytes = (size_t)RAW_M * RAW_N * sizeof(float);
  char *memory = lb__alloc_aligned(x_bytes + w_bytes + out_bytes);
  if (memory == NULL) return LB_E_NOMEM;
  memset(memory, 0, x_bytes + w_bytes + out_bytes);
  timing t = {.end_ns = now_ns() + seconds * 1e9};
  lb_status st = LB_OK;
  while (st == LB_OK && timing_continues(&t)) {
    double begin = now_ns();
    st = p->run(memory + x_bytes + w_bytes, memory, memory + x_bytes);
    t.samples[t.n++] = now_ns() - begin;
  }
  timing_report(&t, r, 2.0 * RAW_M * RAW_N * RAW_K, (double)(x_bytes + w_bytes + out_bytes));
  lb__free_aligned(memory);
  return st;
}

static lb_status run_machine(lb_bench_result *results, size_t *n, double seconds, lb_error *err) {
  lb_status st = memory_read(&results[(*n)++], seconds);
  for (int i = 0; i < N_RAW && st == LB_OK; i++) {
    st = raw_gemm(&results[*n], &raw_products[i], seconds);
    if (st == LB_OK) ++*n;
    if (st == LB_E_UNSUPPORTED) st = LB_OK; /* a CPU without such products: no line */
  }
  if (st != LB_OK) return lb__fail(err, st, "bench of the machine: %s", lb_status_text(st));
  return LB_OK;
}

/* ---- public ---- */

static lb_status check_op(const char *name, lb_error *err) {
  if (name == NULL || strcmp(name, "machine") == 0) return LB_OK;
  for (int i = 0; i < N_CASES; i++)
    if (strcmp(lb__op_name(cases[i].op), name) == 0) return LB_OK;
  return lb__fail(err, LB_E_ARG, "bench: no case of op '%s'", name);
}

static lb_status run_all(lb_bench_result *results, size_t *n, const lb_bench_options *options,
                         lb_error *err) {
  double seconds = options != NULL && options->seconds > 0.0 ? options->seconds : 0.2;
  const char *op = options != NULL ? options->op : NULL;
  lb_status st = LB_OK;
  if (op == NULL || strcmp(op, "machine") == 0) st = run_machine(results, n, seconds, err);
  for (int i = 0; i < N_CASES && st == LB_OK; i++) {
    if (op != NULL && strcmp(lb__op_name(cases[i].op), op) != 0) continue;
    st = run_case(&results[*n], &cases[i], seconds, err);
    if (st == LB_OK) ++*n;
  }
  return st;
}

lb_status lb_bench_ops(lb_bench_result **results, size_t *n, const lb_bench_options *options,
                       lb_error *err) {
  *results = NULL;
  *n = 0;
  lb_status st = check_op(options != NULL ? options->op : NULL, err);
  if (st != LB_OK) return st;
  st = lb__kernels_install(err);
  if (st != LB_OK) return st;
  lb_bench_result *all = lb__new_array(N_CASES + 1 + N_RAW, sizeof *all);
  if (all == NULL) return lb__fail_nomem(err, "the results of bench");
  st = run_all(all, n, options, err);
  if (st == LB_OK) {
    *results = all;
    return LB_OK;
  }
  *n = 0;
  lb__free(all);
  return st;
}

void lb_bench_results_free(lb_bench_result *results) {
  lb__free(results);
}

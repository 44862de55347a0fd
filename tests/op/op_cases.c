/* op_cases.c - the forward ops. See op_cases.h. */
#include "op_case_parts.h"

#include "kernels/cpu/halves.h"
#include "tensor/tensor_data.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

/* ---- runners: one for each op ---- */

/* p: N, V, C, dtype, scaled */
static void run_embed(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor ids = random_ints(c->p[0], c->p[1]);
  lb_tensor weight = random_weight((lb_dtype)c->p[3], c->p[1], c->p[2]);
  lb_tensor out = make(LB_DTYPE_F32, 2, c->p[0], c->p[2], 1);
  lb__embed_args args = {&out, &ids, &weight, c->p[4] ? 5.5f : 1.0f};
  RUN(embed, args);
  keep_floats(result, &out);
  lb__tensor_deinit(&ids);
  lb__tensor_deinit(&weight);
  lb__tensor_deinit(&out);
}

/* p: N, I, O, dtype, bias, compute, poison (1: x holds NaN and an infinity) */
static void run_linear(const op_case *c, const lb__kernel_table *table, op_result *result) {
  int64_t N = c->p[0], I = c->p[1], O = c->p[2];
  lb_tensor x = floats(2, N, I, 1), bias = floats(1, O, 1, 1);
  lb_tensor weight = random_weight((lb_dtype)c->p[3], O, I), out = make(LB_DTYPE_F32, 2, N, O, 1);
  if (c->p[6]) {
    lb__tensor_f32(&x)[I / 2] = NAN;
    lb__tensor_f32(&x)[I + 1] = INFINITY;
  }
  lb__linear_args args = {&out, &x, &weight, c->p[4] ? &bias : NULL, (lb__compute)c->p[5], NULL};
  RUN(linear, args);
  keep_floats(result, &out);
  lb__tensor_deinit(&x);
  lb__tensor_deinit(&bias);
  lb__tensor_deinit(&weight);
  lb__tensor_deinit(&out);
}

/* p: N, C, in place, weight offset, poison */
static void run_rms_norm(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor x = floats(2, c->p[0], c->p[1], 1), weight = floats(1, c->p[1], 1, 1);
  lb_tensor out = make(LB_DTYPE_F32, 2, c->p[0], c->p[1], 1);
  if (c->p[4]) lb__tensor_f32(&x)[c->p[1] + 1] = NAN;
  lb__rms_norm_args args = {c->p[2] ? &x : &out, &x, &weight, 1e-5f, (float)c->p[3]};
  RUN(rms_norm, args);
  keep_floats(result, args.out);
  lb__tensor_deinit(&x);
  lb__tensor_deinit(&weight);
  lb__tensor_deinit(&out);
}

/* p: N, C, in place, bias */
static void run_layer_norm(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor x = floats(2, c->p[0], c->p[1], 1), weight = floats(1, c->p[1], 1, 1);
  lb_tensor bias = floats(1, c->p[1], 1, 1), out = make(LB_DTYPE_F32, 2, c->p[0], c->p[1], 1);
  for (int64_t i = 0; i < lb__tensor_elements(&x); i++) lb__tensor_f32(&x)[i] += 3.0f;
  lb__layer_norm_args args = {c->p[2] ? &x : &out, &x, &weight, c->p[3] ? &bias : NULL, 1e-5f};
  RUN(layer_norm, args);
  keep_floats(result, args.out);
  lb__tensor_deinit(&x);
  lb__tensor_deinit(&weight);
  lb__tensor_deinit(&bias);
  lb__tensor_deinit(&out);
}

/* p: N, heads, D, frequencies, magnitude * 100, largest position */
static void run_rope(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor x = floats(3, c->p[0], c->p[1], c->p[2]), freq = floats(1, c->p[3], 1, 1);
  lb_tensor positions = random_ints(c->p[0], c->p[5]);
  for (int64_t j = 0; j < c->p[3]; j++)
    lb__tensor_f32(&freq)[j] = (float)pow(10000.0, -(double)j / (double)c->p[3]);
  lb__rope_args args = {
      .x = &x, .positions = &positions, .inv_freq = &freq, .magnitude = (float)c->p[4] / 100.0f};
  RUN(rope, args);
  keep_floats(result, &x);
  lb__tensor_deinit(&x);
  lb__tensor_deinit(&freq);
  lb__tensor_deinit(&positions);
}

/* p: documents (see below), H, G, D, window, softcap, page size (0: no cache), keys before */
static const int32_t starts_of[][6] = {{1, 0, 1},        {1, 0, 7},           {3, 0, 5, 6, 76},
                                       {2, 0, 130, 133}, {4, 0, 3, 3, 8, 20}, {1, 0, 0}};

/* Pages in reverse order, so that a kernel that ignores the table is wrong. */
static lb_tensor make_pages(const lb_tensor *lens, int64_t size, int64_t *n_pages) {
  int64_t n_docs = lens->shape[0], most = 0, used = 0;
  for (int64_t d = 0; d < n_docs; d++) {
    int64_t pages = (lb__tensor_i32(lens)[d] + size - 1) / size;
    most = pages > most ? pages : most;
    used += pages;
  }
  lb_tensor table = make(LB_DTYPE_I32, 2, n_docs, most, 1);
  int64_t next = *n_pages = used + 1; /* page 0 belongs to nobody */
  for (int64_t d = 0; d < n_docs; d++)
    for (int64_t i = 0; i * size < lb__tensor_i32(lens)[d]; i++)
      lb__tensor_i32(&table)[d * most + i] = (int32_t)--next;
  return table;
}

/* Rows that no document owns hold NaN: whoever reads them is found out. */
static void poison_unused(lb_tensor *t, const lb_tensor *pages, const lb_tensor *lens,
                          int64_t size) {
  int64_t row = t->shape[1] * t->shape[2];
  for (int64_t r = 0; r < t->shape[0]; r++) {
    bool used = false;
    for (int64_t d = 0; d < lens->shape[0]; d++)
      for (int64_t j = 0; j < lb__tensor_i32(lens)[d]; j++)
        used |= lb__tensor_i32(pages)[d * pages->shape[1] + j / size] * size + j % size == r;
    for (int64_t i = 0; !used && i < row; i++) lb__tensor_f32(t)[r * row + i] = NAN;
  }
}

static void run_attention(const op_case *c, const lb__kernel_table *table, op_result *result) {
  const int32_t *starts = starts_of[c->p[0]];
  int64_t n_docs = starts[0], N = starts[1 + n_docs], size = c->p[6], rows = N, n_pages = 0;
  lb_tensor cu = ints(n_docs + 1, starts + 1), lens = make(LB_DTYPE_I32, 1, n_docs, 1, 1),
            pages = {0};
  for (int64_t d = 0; d < n_docs; d++)
    lb__tensor_i32(&lens)[d] = starts[2 + d] - starts[1 + d] + (int32_t)(c->p[7] * (d + 1));
  if (size > 0) {
    pages = make_pages(&lens, size, &n_pages);
    rows = n_pages * size;
  }
  lb_tensor q = floats(3, N, c->p[1], c->p[3]), out = make(LB_DTYPE_F32, 3, N, c->p[1], c->p[3]);
  lb_tensor k = floats(3, rows, c->p[2], c->p[3]), v = floats(3, rows, c->p[2], c->p[3]);
  if (size > 0) {
    poison_unused(&k, &pages, &lens, size);
    poison_unused(&v, &pages, &lens, size);
  }
  lb__attention_args args = {.out = &out,
                             .q = &q,
                             .k = &k,
                             .v = &v,
                             .cu_seqlens = &cu,
                             .page_table = size > 0 ? &pages : NULL,
                             .kv_lens = size > 0 ? &lens : NULL,
                             .page_size = size,
                             .window = c->p[4],
                             .softcap = (float)c->p[5],
                             .scale = 1.7f / sqrtf((float)c->p[3])};
  RUN(attention, args);
  keep_floats(result, &out);
  lb_tensor *all[] = {&cu, &lens, &pages, &q, &out, &k, &v};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) lb__tensor_deinit(all[i]);
}

/* p: N, cache rows, G, D */
static void run_kv_store(const op_case *c, const lb__kernel_table *table, op_result *result) {
  int64_t N = c->p[0], R = c->p[1];
  lb_tensor k = floats(3, N, c->p[2], c->p[3]), v = floats(3, N, c->p[2], c->p[3]);
  lb_tensor cache_k = floats(3, R, c->p[2], c->p[3]), cache_v = floats(3, R, c->p[2], c->p[3]);
  lb_tensor slots = make(LB_DTYPE_I32, 1, N, 1, 1);
  for (int64_t n = 0; n < N; n++) lb__tensor_i32(&slots)[n] = (int32_t)(R - 1 - 2 * n);
  lb__kv_store_args args = {&cache_k, &cache_v, &k, &v, &slots};
  RUN(kv_store, args);
  keep_floats(result, &cache_k);
  keep_floats(result, &cache_v);
  lb_tensor *all[] = {&k, &v, &cache_k, &cache_v, &slots};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) lb__tensor_deinit(all[i]);
}

/* Around zero, far out, not finite. */
static void spread(lb_tensor *t) {
  static const float corners[] = {0.0f,  -0.0f,  1e-30f, -1e-6f,  0.6f,     -20.0f, 20.0f,
                                  90.0f, -90.0f, 700.0f, -700.0f, INFINITY, NAN};
  int64_t n = lb__tensor_elements(t), n_corners = sizeof corners / sizeof *corners;
  for (int64_t i = 0; i < n; i++) lb__tensor_f32(t)[i] *= 3.0f;
  for (int64_t i = 0; i < n_corners && i < n; i++) lb__tensor_f32(t)[n - 1 - i] = corners[i];
}

/* p: n, kind, in place */
static void run_act(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor x = floats(1, c->p[0], 1, 1), out = make(LB_DTYPE_F32, 1, c->p[0], 1, 1);
  spread(&x);
  lb__act_args args = {c->p[2] ? &x : &out, &x, (lb__act_kind)c->p[1]};
  RUN(act, args);
  keep_floats(result, args.out);
  lb__tensor_deinit(&x);
  lb__tensor_deinit(&out);
}

/* p: n, kind, 1: out is gate, 2: out is up */
static void run_act_mul(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor gate = floats(1, c->p[0], 1, 1), up = floats(1, c->p[0], 1, 1);
  lb_tensor out = make(LB_DTYPE_F32, 1, c->p[0], 1, 1);
  spread(&gate);
  lb_tensor *outs[] = {&out, &gate, &up};
  lb__act_mul_args args = {outs[c->p[2]], &gate, &up, (lb__act_kind)c->p[1]};
  RUN(act_mul, args);
  keep_floats(result, args.out);
  for (int i = 0; i < 3; i++) lb__tensor_deinit(outs[i]);
}

/* p: n, 1: out is a, 2: out is b */
static void run_add(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor a = floats(1, c->p[0], 1, 1), b = floats(1, c->p[0], 1, 1);
  lb_tensor out = make(LB_DTYPE_F32, 1, c->p[0], 1, 1);
  spread(&a);
  lb_tensor *outs[] = {&out, &a, &b};
  lb__add_args args = {outs[c->p[1]], &a, &b};
  RUN(add, args);
  keep_floats(result, args.out);
  for (int i = 0; i < 3; i++) lb__tensor_deinit(outs[i]);
}

/* p: n, in place */
static void run_scale(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor x = floats(1, c->p[0], 1, 1), out = make(LB_DTYPE_F32, 1, c->p[0], 1, 1);
  spread(&x);
  lb__scale_args args = {c->p[1] ? &x : &out, &x, 0.3f};
  RUN(scale, args);
  keep_floats(result, args.out);
  lb__tensor_deinit(&x);
  lb__tensor_deinit(&out);
}

/* p: n, in place */
static void run_softcap(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor x = floats(1, c->p[0], 1, 1), out = make(LB_DTYPE_F32, 1, c->p[0], 1, 1);
  spread(&x);
  lb__softcap_args args = {c->p[1] ? &x : &out, &x, 5.0f};
  RUN(softcap, args);
  keep_floats(result, args.out);
  lb__tensor_deinit(&x);
  lb__tensor_deinit(&out);
}

/* p: N, C, M */
static void run_gather_rows(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor x = floats(2, c->p[0], c->p[1], 1), rows = random_ints(c->p[2], c->p[0]);
  lb_tensor out = make(LB_DTYPE_F32, 2, c->p[2], c->p[1], 1);
  lb__gather_rows_args args = {&out, &x, &rows};
  RUN(gather_rows, args);
  keep_floats(result, &out);
  lb__tensor_deinit(&x);
  lb__tensor_deinit(&rows);
  lb__tensor_deinit(&out);
}

/* p: N, V, K, targets, kind (0 usual, 1 full of ties, 2 not finite) */
static void run_logits_stats(const op_case *c, const lb__kernel_table *table, op_result *result) {
  int64_t N = c->p[0], V = c->p[1], K = c->p[2];
  lb_tensor logits = floats(2, N, V, 1), targets = random_ints(N, V),
            lse = make(LB_DTYPE_F32, 1, N, 1, 1);
  lb_tensor ids = make(LB_DTYPE_I32, 2, N, K, 1), top = make(LB_DTYPE_F32, 2, N, K, 1);
  lb_tensor target_logits = make(LB_DTYPE_F32, 1, N, 1, 1);
  float *x = lb__tensor_f32(&logits);
  for (int64_t i = 0; i < N * V; i++) x[i] = c->p[4] == 1 ? roundf(2 * x[i]) : 20.0f * x[i];
  if (c->p[4] == 2) { /* rows: NaN, +inf, all -inf */
    x[V / 2] = NAN;
    x[V + 3] = INFINITY;
    for (int64_t v = 0; v < V; v++) x[2 * V + v] = -INFINITY;
  }
  if (N > 1) lb__tensor_i32(&targets)[1] = -100;
  lb__logits_stats_args args = {
      &lse, &ids, &top, c->p[3] ? &target_logits : NULL, &logits, c->p[3] ? &targets : NULL};
  RUN(logits_stats, args);
  keep_floats(result, &lse);
  keep_ints(result, &ids);
  keep_floats(result, &top);
  if (c->p[3]) keep_floats(result, &target_logits);
  lb_tensor *all[] = {&logits, &targets, &lse, &ids, &top, &target_logits};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) lb__tensor_deinit(all[i]);
}

/* p: N, C, from, to */
static void run_cast(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor x = random_weight((lb_dtype)c->p[2], c->p[0], c->p[1]);
  lb_tensor out = make((lb_dtype)c->p[3], 2, c->p[0], c->p[1], 1);
  lb__cast_args args = {&out, &x};
  RUN(cast, args);
  keep_bytes(result, &out);
  lb__tensor_deinit(&x);
  lb__tensor_deinit(&out);
}

/* p: N, C, dtype */
static void run_transpose(const op_case *c, const lb__kernel_table *table, op_result *result) {
  lb_tensor x = random_weight((lb_dtype)c->p[2], c->p[0], c->p[1]);
  lb_tensor out = make((lb_dtype)c->p[2], 2, c->p[1], c->p[0], 1);
  lb__transpose_args args = {&out, &x};
  RUN(transpose, args);
  keep_bytes(result, &out);
  lb__tensor_deinit(&x);
  lb__tensor_deinit(&out);
}

/* ---- the table ---- */

/* clang-format off */
SEEDED(embed) SEEDED(linear) SEEDED(rms_norm) SEEDED(layer_norm) SEEDED(rope) SEEDED(attention)
SEEDED(kv_store) SEEDED(act) SEEDED(act_mul) SEEDED(add) SEEDED(scale) SEEDED(softcap)
SEEDED(gather_rows) SEEDED(logits_stats) SEEDED(cast) SEEDED(transpose)
/* clang-format on */

#define LINEAR(N, I, O, type, ...)                                                                 \
  CASE(linear, LB_TOL_LINEAR, #N "x" #I "x" #O " " #type, N, I, O, LB_DTYPE_##type, __VA_ARGS__)
#define BOTH_LINEARS(I, type) /* thin and thick, with tails */                                     \
  LINEAR(1, I, 37, type, 0), LINEAR(3, I, 50, type, 1), LINEAR(5, I, 3, type, 0),                  \
      LINEAR(67, I, 101, type, 1)
#define DECODES(type, C) CASE(embed, LB_TOL_EXACT, #type, 9, 21, C, LB_DTYPE_##type, 1)

            static const op_case
    cases[] = {
        CASE(embed, LB_TOL_EXACT, "no ids", 0, 5, 7, LB_DTYPE_F32, 1),
        CASE(embed, LB_TOL_EXACT, "unscaled", 11, 5, 7, LB_DTYPE_F32, 0),
        DECODES(F32, 71),
        DECODES(F16, 71),
        DECODES(BF16, 71),
        DECODES(F64, 9),
        DECODES(F8_E4M3, 33),
        DECODES(F8_E5M2, 33),
        DECODES(Q4_0, 96),
        DECODES(Q4_1, 96),
        DECODES(Q5_0, 96),
        DECODES(Q5_1, 96),
        DECODES(Q8_0, 96),
        DECODES(Q2_K, 512),
        DECODES(Q3_K, 512),
        DECODES(Q4_K, 512),
        DECODES(Q5_K, 512),
        DECODES(Q6_K, 512),

        LINEAR(0, 64, 5, F32, 1),
        LINEAR(4, 0, 5, F32, 1),
        LINEAR(70, 0, 5, F32, 1),
        LINEAR(9, 64, 0, F32, 0),
        LINEAR(9, 64, 1, F32, 1),
        LINEAR(33, 1, 2, BF16, 1),
        LINEAR(300, 96, 40, Q8_0, 1),
        BOTH_LINEARS(77, F32),
        BOTH_LINEARS(77, F16),
        BOTH_LINEARS(77, BF16),
        BOTH_LINEARS(13, F64),
        BOTH_LINEARS(77, F8_E4M3),
        BOTH_LINEARS(77, F8_E5M2),
        BOTH_LINEARS(608, Q4_0),
        BOTH_LINEARS(608, Q4_1),
        BOTH_LINEARS(608, Q5_0),
        BOTH_LINEARS(608, Q5_1),
        BOTH_LINEARS(608, Q8_0),
        BOTH_LINEARS(768, Q2_K),
        BOTH_LINEARS(768, Q3_K),
        BOTH_LINEARS(768, Q4_K),
        BOTH_LINEARS(768, Q5_K),
        BOTH_LINEARS(768, Q6_K),
        CASE(linear, LB_TOL_LINEAR, "not finite, thin", 2, 40, 9, LB_DTYPE_F32, 1, 0, 1),
        CASE(linear, LB_TOL_LINEAR, "not finite, thick", 20, 40, 90, LB_DTYPE_F32, 1, 0, 1),
        CASE(linear, LB_TOL_LINEAR_BF16, "bf16, thin", 2, 128, 31, LB_DTYPE_BF16, 1,
             LB__COMPUTE_BF16),
        CASE(linear, LB_TOL_LINEAR_BF16, "bf16, thick", 65, 129, 131, LB_DTYPE_BF16, 1,
             LB__COMPUTE_BF16),
        CASE(linear, LB_TOL_LINEAR_BF16, "bf16, blocks", 65, 96, 131, LB_DTYPE_Q4_1, 1,
             LB__COMPUTE_BF16),

        CASE(rms_norm, LB_TOL_NORM, "no rows", 0, 64),
        CASE(rms_norm, LB_TOL_NORM, "one", 1, 1),
        CASE(rms_norm, LB_TOL_NORM, "odd, in place", 5, 77, 1, 0),
        CASE(rms_norm, LB_TOL_NORM, "gemma", 70, 640, 0, 1),
        CASE(rms_norm, LB_TOL_NORM, "NaN stays in its row", 3, 33, 0, 0, 1),
        CASE(layer_norm, LB_TOL_NORM, "no rows", 0, 64),
        CASE(layer_norm, LB_TOL_NORM, "odd, in place", 5, 77, 1, 1),
        CASE(layer_norm, LB_TOL_NORM, "gpt2", 70, 768, 0, 1),
        CASE(layer_norm, LB_TOL_NORM, "no bias", 2, 17, 0, 0),

        CASE(rope, LB_TOL_ROPE, "no rows", 0, 2, 8, 4, 100, 9),
        CASE(rope, LB_TOL_ROPE, "llama", 9, 3, 64, 32, 100, 8192),
        CASE(rope, LB_TOL_ROPE, "odd, part of the head, far", 5, 2, 22, 9, 113, 2000000),
        CASE(rope, LB_TOL_ROPE, "wide", 130, 4, 256, 128, 100, 32768),

        CASE(attention, LB_TOL_ATTENTION, "one token", 0, 2, 1, 8, 0, 0, 0, 0),
        CASE(attention, LB_TOL_ATTENTION, "no tokens", 5, 2, 1, 8, 0, 0, 0, 0),
        CASE(attention, LB_TOL_ATTENTION, "odd head size", 1, 3, 3, 13, 0, 0, 0, 0),
        CASE(attention, LB_TOL_ATTENTION, "documents, groups", 2, 9, 3, 64, 0, 0, 0, 0),
        CASE(attention, LB_TOL_ATTENTION, "an empty document", 4, 4, 2, 16, 0, 0, 0, 0),
        CASE(attention, LB_TOL_ATTENTION, "long", 3, 4, 1, 256, 0, 0, 0, 0),
        CASE(attention, LB_TOL_ATTENTION, "window", 3, 4, 2, 32, 9, 0, 0, 0),
        CASE(attention, LB_TOL_ATTENTION, "window of one", 1, 4, 2, 32, 1, 0, 0, 0),
        CASE(attention, LB_TOL_ATTENTION, "window over a tile, soft cap", 3, 6, 2, 40, 70, 3, 0, 0),
        CASE(attention, LB_TOL_ATTENTION, "cache, one new token", 0, 9, 3, 64, 0, 0, 16, 150),
        CASE(attention, LB_TOL_ATTENTION, "cache, documents, window", 2, 4, 2, 64, 20, 0, 8, 67),
        CASE(attention, LB_TOL_ATTENTION, "cache, pages of one", 2, 4, 4, 24, 0, 2, 1, 5),
        CASE(attention, LB_TOL_ATTENTION, "cache, large pages", 4, 4, 4, 100, 0, 0, 256, 300),

        CASE(kv_store, LB_TOL_EXACT, "rows", 3, 9, 2, 5),
        CASE(kv_store, LB_TOL_EXACT, "no rows", 0, 9, 2, 5),

#define ACTS(n, in_place)                                                                          \
  CASE(act, LB_TOL_ACT, "gelu_tanh " #n, n, LB__ACT_GELU_TANH, in_place),                          \
      CASE(act, LB_TOL_ACT, "gelu_erf " #n, n, LB__ACT_GELU_ERF, in_place),                        \
      CASE(act, LB_TOL_ACT, "silu " #n, n, LB__ACT_SILU, in_place),                                \
      CASE(act, LB_TOL_ACT, "relu " #n, n, LB__ACT_RELU, in_place),                                \
      CASE(act_mul, LB_TOL_ACT, "gelu_tanh " #n, n, LB__ACT_GELU_TANH, 2 * in_place),              \
      CASE(act_mul, LB_TOL_ACT, "gelu_erf " #n, n, LB__ACT_GELU_ERF, in_place),                    \
      CASE(act_mul, LB_TOL_ACT, "silu " #n, n, LB__ACT_SILU, in_place),                            \
      CASE(act_mul, LB_TOL_ACT, "relu " #n, n, LB__ACT_RELU, 2 * in_place)
        ACTS(0, 0),
        ACTS(33, 1),
        ACTS(20011, 0),

        CASE(add, LB_TOL_EXACT, "none", 0, 0),
        CASE(add, LB_TOL_EXACT, "odd, in a", 20011, 1),
        CASE(add, LB_TOL_EXACT, "odd, in b", 33, 2),
        CASE(scale, LB_TOL_EXACT, "none", 0, 0),
        CASE(scale, LB_TOL_EXACT, "in place", 20011, 1),
        CASE(softcap, LB_TOL_ACT, "none", 0, 0),
        CASE(softcap, LB_TOL_ACT, "in place", 20011, 1),
        CASE(softcap, LB_TOL_ACT, "odd", 41, 0),

        CASE(gather_rows, LB_TOL_EXACT, "rows", 9, 7, 5),
        CASE(gather_rows, LB_TOL_EXACT, "no rows", 9, 7, 0),

        CASE(logits_stats, LB_TOL_LOGSUMEXP, "argmax", 5, 1003, 1, 1, 0),
        CASE(logits_stats, LB_TOL_LOGSUMEXP, "large vocabulary", 2, 50257, 10, 0, 0),
        CASE(logits_stats, LB_TOL_LOGSUMEXP, "ties", 4, 333, 40, 1, 1),
        CASE(logits_stats, LB_TOL_LOGSUMEXP, "not finite", 4, 77, 3, 1, 2),
        CASE(logits_stats, LB_TOL_LOGSUMEXP, "all of them", 2, 19, 19, 0, 0),
        CASE(logits_stats, LB_TOL_LOGSUMEXP, "no rows", 0, 19, 2, 1, 0),

        CASE(cast, LB_TOL_EXACT, "F32 to BF16", 3, 65, LB_DTYPE_F32, LB_DTYPE_BF16),
        CASE(cast, LB_TOL_EXACT, "F32 to F16", 3, 65, LB_DTYPE_F32, LB_DTYPE_F16),
        CASE(cast, LB_TOL_EXACT, "BF16 to F64", 3, 65, LB_DTYPE_BF16, LB_DTYPE_F64),
        CASE(cast, LB_TOL_EXACT, "F32 to Q8_0", 3, 96, LB_DTYPE_F32, LB_DTYPE_Q8_0),
        CASE(cast, LB_TOL_EXACT, "Q6_K to Q4_0", 3, 512, LB_DTYPE_Q6_K, LB_DTYPE_Q4_0),
        CASE(cast, LB_TOL_EXACT, "Q4_K to F32", 3, 512, LB_DTYPE_Q4_K, LB_DTYPE_F32),
        CASE(cast, LB_TOL_EXACT, "no rows", 0, 65, LB_DTYPE_F32, LB_DTYPE_F16),

        CASE(transpose, LB_TOL_EXACT, "F32", 3, 65, LB_DTYPE_F32),
        CASE(transpose, LB_TOL_EXACT, "BF16", 70, 33, LB_DTYPE_BF16),
        CASE(transpose, LB_TOL_EXACT, "F64", 7, 3, LB_DTYPE_F64),
        CASE(transpose, LB_TOL_EXACT, "F8", 7, 3, LB_DTYPE_F8_E4M3),
};
const op_case_list op_cases_forward = {cases, sizeof cases / sizeof *cases};

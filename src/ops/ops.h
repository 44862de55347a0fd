/* ops.h - the ops that models are written in: a few coarse ones, each with shape checks here and
 * kernels elsewhere (kernel_table.h). Owns: contracts and checks. Refuses: touching memory.
 *
 * Every lb__op_x checks shapes and dtypes (LB_E_SHAPE / LB_E_DTYPE name the op and both sides),
 * allocates its result in the stream's arena unless it works in place, and runs the kernel.
 * Letters: N tokens, C width, H heads, G kv-heads, D head size, V vocabulary, O/I out/in features.
 * Activations are F32. Indices are I32 and are checked by the kernels' callers: ids < V is the
 * model's promise (it validates once per batch).                                              */
#ifndef LB_OPS_OPS_H
#define LB_OPS_OPS_H

#include "tensor/stream.h"

typedef enum lb__op {
#define LB__OP(name, differentiable, text) LB__OP_##name,
#include "ops.def"
#undef LB__OP
  LB__OP_COUNT
} lb__op;
const char *lb__op_name(lb__op op);
const char *lb__op_text(lb__op op);

typedef enum lb__act_kind {
  LB__ACT_GELU_TANH, /* 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): gelu_new, gelu_pytorch_tanh
                      */
  LB__ACT_GELU_ERF,  /* 0.5 x (1 + erf(x / sqrt 2)): gelu */
  LB__ACT_SILU,      /* x / (1 + exp(-x)) */
  LB__ACT_RELU
} lb__act_kind;

/* out[n,:] = scale * weight[ids[n],:]      out [N,C] F32, ids [N] I32, weight [V,C] any float type
 */
typedef struct lb__embed_args {
  lb_tensor *out;
  const lb_tensor *ids, *weight;
  float scale;
} lb__embed_args;

/* out[n,o] = sum_i x[n,i] weight[o,i] + bias[o]   x [N,I] F32, weight [O,I] any float type,
 * bias [O] F32 or NULL, out [N,O] F32 */
typedef struct lb__linear_args {
  lb_tensor *out;
  const lb_tensor *x, *weight, *bias;
  lb__compute compute;
} lb__linear_args;

/* Rows of length D: out = x / sqrt(mean(x^2) + eps) * (weight + weight_offset). Gemma stores
 * weights minus one (offset 1). x, out [..., D] F32 (may be the same tensor), weight [D] F32. */
typedef struct lb__rms_norm_args {
  lb_tensor *out;
  const lb_tensor *x, *weight;
  float eps, weight_offset;
} lb__rms_norm_args;

/* out = (x - mean) / sqrt(var + eps) * weight + bias; var is the biased one.  bias may be NULL */
typedef struct lb__layer_norm_args {
  lb_tensor *out;
  const lb_tensor *x, *weight, *bias;
  float eps;
} lb__layer_norm_args;

/* In place on x [N,heads,D]: with a = positions[n] * inv_freq[j], pair (j, j + R/2), R = 2 * len:
 *   x[j] = (x[j] cos a - x[j+R/2] sin a) * magnitude;  x[j+R/2] = (x[j+R/2] cos a + x[j] sin a) *
 * m. positions [N] I32, inv_freq [R/2] F32, R <= D (dims from R on pass through unrotated). The
 * angle is float32(position) * inv_freq in float32, as Transformers computes it. */
typedef struct lb__rope_args {
  lb_tensor *x;
  const lb_tensor *positions, *inv_freq;
  float magnitude; /* yarn's attention factor; 1 otherwise */
} lb__rope_args;

/* Causal attention; documents lie end to end in q. q, out [N,H,D]; head h reads kv-head h / (H/G).
 *   cu_seqlens [n_docs+1] I32: queries of document d are rows cu_seqlens[d] .. cu_seqlens[d+1]-1
 * Without a cache (page_table NULL): k, v [N,G,D], the keys of d are the same rows.
 * With: k, v [n_pages*page_size,G,D], kv_lens [n_docs] I32 keys of each document (the new ones
 *   included), page_table [n_docs,max_pages] I32: key j of d is row
 *   page_table[d][j / page_size] * page_size + j % page_size. The queries of d are its last ones.
 * Query at position i sees key j when j <= i and (window == 0 or i - j < window).
 * score = scale * q.k, then softcap * tanh(score / softcap) when softcap > 0; softmax; sum of v.
 * Never builds a [T,T] matrix. */
typedef struct lb__attention_args {
  lb_tensor *out;
  const lb_tensor *q, *k, *v, *cu_seqlens;
  const lb_tensor *page_table, *kv_lens;
  int64_t page_size, window;
  float scale, softcap;
} lb__attention_args;

/* cache_k[slots[n],:] = k[n,:], likewise v.  k, v [N,G,D] F32; caches [R,G,D] F32; slots [N] I32 */
typedef struct lb__kv_store_args {
  lb_tensor *cache_k, *cache_v;
  const lb_tensor *k, *v, *slots;
} lb__kv_store_args;

/* out = act(x); may be in place */
typedef struct lb__act_args {
  lb_tensor *out;
  const lb_tensor *x;
  lb__act_kind kind;
} lb__act_args;

/* out = act(gate) * up; out may be gate or up */
typedef struct lb__act_mul_args {
  lb_tensor *out;
  const lb_tensor *gate, *up;
  lb__act_kind kind;
} lb__act_mul_args;

/* out = a + b, same shapes; out may be a or b */
typedef struct lb__add_args {
  lb_tensor *out;
  const lb_tensor *a, *b;
} lb__add_args;

/* out = x * factor; may be in place */
typedef struct lb__scale_args {
  lb_tensor *out;
  const lb_tensor *x;
  float factor;
} lb__scale_args;

/* out = cap * tanh(x / cap), cap > 0; may be in place */
typedef struct lb__softcap_args {
  lb_tensor *out;
  const lb_tensor *x;
  float cap;
} lb__softcap_args;

/* out[m,:] = x[rows[m],:]      x [N,C] F32, rows [M] I32, out [M,C] */
typedef struct lb__gather_rows_args {
  lb_tensor *out;
  const lb_tensor *x, *rows;
} lb__gather_rows_args;

/* Of each row of logits [N,V] F32: logsumexp [N] F32 (max subtracted, summed in double);
 * top_ids [N,K] I32 and top_logits [N,K] F32, largest first, ties to the smaller id, K >= 1 (the
 * first is the argmax); target_logits [N] F32 = logits[n, targets[n]] (NaN where targets[n] < 0).
 * targets [N] I32 and target_logits may both be NULL. */
typedef struct lb__logits_stats_args {
  lb_tensor *logsumexp, *top_ids, *top_logits, *target_logits;
  const lb_tensor *logits, *targets;
} lb__logits_stats_args;

/* out = x in another dtype, same shape. Plain floats and block types to F32; F32 to plain floats
 * (round to nearest even), Q8_0, Q4_0. Others go through F32 row by row. */
typedef struct lb__cast_args {
  lb_tensor *out;
  const lb_tensor *x;
} lb__cast_args;

/* out [C,N] = x [N,C] transposed; plain dtypes of 1, 2, 4 or 8 bytes */
typedef struct lb__transpose_args {
  lb_tensor *out;
  const lb_tensor *x;
} lb__transpose_args;

/* ---- the calls. *out is allocated in the stream's arena unless the op is in place ---- */
lb_status lb__op_embed(lb__stream *s, lb_tensor **out, const lb_tensor *ids,
                       const lb_tensor *weight, float scale, lb_error *err);
lb_status lb__op_linear(lb__stream *s, lb_tensor **out, const lb_tensor *x, const lb_tensor *weight,
                        const lb_tensor *bias, lb_error *err);
lb_status lb__op_rms_norm(lb__stream *s, lb_tensor **out, const lb_tensor *x,
                          const lb_tensor *weight, float eps, float weight_offset, lb_error *err);
lb_status lb__op_layer_norm(lb__stream *s, lb_tensor **out, const lb_tensor *x,
                            const lb_tensor *weight, const lb_tensor *bias, float eps,
                            lb_error *err);
lb_status lb__op_rope(lb__stream *s, lb_tensor *x, const lb_tensor *positions,
                      const lb_tensor *inv_freq, float magnitude, lb_error *err);
/* `a` without `out`, which is allocated with q's shape. */
lb_status lb__op_attention(lb__stream *s, lb_tensor **out, lb__attention_args a, lb_error *err);
lb_status lb__op_kv_store(lb__stream *s, lb_tensor *cache_k, lb_tensor *cache_v, const lb_tensor *k,
                          const lb_tensor *v, const lb_tensor *slots, lb_error *err);
lb_status lb__op_act(lb__stream *s, lb_tensor **out, const lb_tensor *x, lb__act_kind kind,
                     lb_error *err);
lb_status lb__op_act_mul(lb__stream *s, lb_tensor **out, const lb_tensor *gate, const lb_tensor *up,
                         lb__act_kind kind, lb_error *err);
lb_status lb__op_add(lb__stream *s, lb_tensor **out, const lb_tensor *a, const lb_tensor *b,
                     lb_error *err);
/* x += delta: the residual of a pass that nothing will walk backwards. */
lb_status lb__op_add_to(lb__stream *s, lb_tensor *x, const lb_tensor *delta, lb_error *err);
lb_status lb__op_scale(lb__stream *s, lb_tensor **out, const lb_tensor *x, float factor,
                       lb_error *err);
lb_status lb__op_softcap(lb__stream *s, lb_tensor **out, const lb_tensor *x, float cap,
                         lb_error *err);
lb_status lb__op_gather_rows(lb__stream *s, lb_tensor **out, const lb_tensor *x,
                             const lb_tensor *rows, lb_error *err);
/* Allocates the four results; target_logits is NULL when targets is. */
lb_status lb__op_logits_stats(lb__stream *s, lb__logits_stats_args *results,
                              const lb_tensor *logits, const lb_tensor *targets, int64_t top_k,
                              lb_error *err);
/* These two write into tensors the caller made (loading and converting happen outside steps). */
lb_status lb__op_cast(lb_tensor *out, const lb_tensor *x, lb_error *err);
lb_status lb__op_transpose(lb_tensor *out, const lb_tensor *x, lb_error *err);

#endif

/* ops.h - the ops that models are written in: a few coarse ones, each with shape checks here and
 * kernels elsewhere (kernel_table.h). Owns: contracts and checks. Refuses: touching memory.
 *
 * Every lb__op_x checks shapes and dtypes (LB_E_SHAPE / LB_E_DTYPE name the op and both sides),
 * allocates its result in the stream's arena unless it works in place, and runs the kernel.
 * Letters: N tokens, C width, H heads, G kv-heads, D head size, V vocabulary, O/I out/in features.
 * Activations have the stream's real type: F32, or F64, in which only reference kernels compute
 * ("F32" below means that type; so do gradients, and weights of a model opened in double). Indices
 * are I32 and are checked by the kernels' callers: ids < V is the model's promise (it validates
 * once per batch).                                              */
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

/* Which elements a dropout zeroes: element i < 2^48 when
 *   lb__random_uniform({seed, DROPOUT}, step, site * 2^48 + i) < p
 * `site` < 2^16 numbers the places of a model, so that no two draw the same numbers. The others are
 * multiplied by 1 / (1 - p). */
typedef struct lb__dropout {
  float p; /* 0 <= p < 1; 0: none */
  uint64_t seed, step;
  uint32_t site;
} lb__dropout;

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
  void *prepared; /* what linear_prepare (kernel_table.h) made of x; NULL: the kernel does so */
} lb__linear_args;

/* Lays `weight` [O,I] (any float type) out for the products of `compute` (INT8) and attaches the
 * result: from then on lb__op_linear on a stream of that `compute` uses it and never looks at the
 * elements, which may go. Where the weight has none, or the stream computes otherwise, linear reads
 * the elements as before. Packing anew replaces what was there. LB_E_UNSUPPORTED where the kernels
 * of this machine have no such products. With `drop_pages` the elements lie in a mapped file, whose
 * pages leave memory as soon as they are packed. */
lb_status lb__op_pack_weight(lb_tensor *weight, lb__compute compute, bool drop_pages,
                             lb_error *err);

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
  bool inverse;    /* turns back (the angle's sign changes): the gradient of x */
} lb__rope_args;

/* Causal attention; documents lie end to end in q. q, out [N,H,D]; head h reads kv-head h / (H/G).
 *   cu_seqlens [n_docs+1] I32: queries of document d are rows cu_seqlens[d] .. cu_seqlens[d+1]-1
 * Without a cache (page_table NULL): k, v [N,G,D], the keys of d are the same rows.
 * With: k, v [n_pages*page_size,G,D], kv_lens [n_docs] I32 keys of each document (the new ones
 *   included), page_table [n_docs,max_pages] I32: key j of d is row
 *   page_table[d][j / page_size] * page_size + j % page_size. The queries of d are its last ones.
 * Query at position i sees key j when j <= i and (window == 0 or i - j < window).
 * score = scale * q.k, then softcap * tanh(score / softcap) when softcap > 0; softmax; sum of v.
 * Never builds a [T,T] matrix. logsumexp [N,H] F32 of the scores (NULL: not wanted) is for
 * backward. dropout (p 0: none) zeroes weights after the softmax; the draw of weight (query row n,
 * head h, key j of the document) has index (n * H + h) * 2^24 + j, so documents are shorter than
 * 2^24 and N * H is below 2^24. */
typedef struct lb__attention_args {
  lb_tensor *out, *logsumexp;
  const lb_tensor *q, *k, *v, *cu_seqlens;
  const lb_tensor *page_table, *kv_lens;
  int64_t page_size, window;
  float scale, softcap;
  lb__dropout dropout;
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

/* ---- backward: all add to the gradients they are given; a NULL gradient is not wanted ---- */

/* dweight[ids[n],:] += scale * dout[n,:]; ids may repeat (added in order of n) */
typedef struct lb__embed_bwd_args {
  lb_tensor *dweight;
  const lb_tensor *ids, *dout;
  float scale;
} lb__embed_bwd_args;

/* dx += dout W; dweight += dout^T x (F32 weights only); dbias += column sums of dout */
typedef struct lb__linear_bwd_args {
  lb_tensor *dx, *dweight, *dbias;
  const lb_tensor *dout, *x, *weight;
  lb__compute compute;
} lb__linear_bwd_args;

typedef struct lb__rms_norm_bwd_args {
  lb_tensor *dx, *dweight;
  const lb_tensor *dout, *x, *weight;
  float eps, weight_offset;
} lb__rms_norm_bwd_args;

typedef struct lb__layer_norm_bwd_args {
  lb_tensor *dx, *dweight, *dbias;
  const lb_tensor *dout, *x, *weight;
  float eps;
} lb__layer_norm_bwd_args;

/* Without a cache. p_j = exp(score_j - logsumexp), made anew tile by tile; dp_j = dout.v_j;
 * dscore_j = p_j (dp_j - dout.out), times the soft cap's 1 - (score/cap)^2. */
typedef struct lb__attention_bwd_args {
  lb_tensor *dq, *dk, *dv;
  const lb_tensor *dout, *out, *logsumexp, *q, *k, *v, *cu_seqlens;
  int64_t window;
  float scale, softcap;
  lb__dropout dropout;
} lb__attention_bwd_args;

typedef struct lb__act_bwd_args {
  lb_tensor *dx;
  const lb_tensor *dout, *x;
  lb__act_kind kind;
} lb__act_bwd_args;

typedef struct lb__act_mul_bwd_args {
  lb_tensor *dgate, *dup;
  const lb_tensor *dout, *gate, *up;
  lb__act_kind kind;
} lb__act_mul_bwd_args;

/* dx += dout * (1 - (out / cap)^2) */
typedef struct lb__softcap_bwd_args {
  lb_tensor *dx;
  const lb_tensor *dout, *out;
  float cap;
} lb__softcap_bwd_args;

/* out += factor * x */
typedef struct lb__add_scaled_args {
  lb_tensor *out;
  const lb_tensor *x;
  float factor;
} lb__add_scaled_args;

/* out = x with elements zeroed; with `add`: out += that (backward: x is dout) */
typedef struct lb__dropout_args {
  lb_tensor *out;
  const lb_tensor *x;
  lb__dropout draw;
  bool add;
} lb__dropout_args;

/* ---- losses ---- */

typedef enum lb__divergence {
#define LB__DIVERGENCE(name, needs_teacher, n_parameters, smallest, largest, text)                 \
  LB__DIVERGENCE_##name,
#include "divergences.def"
#undef LB__DIVERGENCE
  LB__N_DIVERGENCES
} lb__divergence;
const char *lb__divergence_name(int kind); /* "forward_kl"; "?" */
bool lb__divergence_needs_teacher(int kind);

/* One term of a loss over rows of logits. Which kinds there are: divergences.def. */
typedef struct lb__divergence_term {
  int kind;            /* lb__divergence */
  double coefficient;  /* of this term in the loss */
  double temperature;  /* > 0; both sides' logits are divided by it; CE always has 1 */
  double factor;       /* T^2 where gradients should keep their size, else 1 */
  double parameter[2]; /* of kinds that have some (beta, skew); else 0 */
} lb__divergence_term;
enum { LB__DIVERGENCE_TERMS_MAX = 8 };

/* For each row n of student logits [n,Vs] F32 with weight w = weights[n] (NULL: 1), over the first
 * `vocab` columns of both sides:
 *   losses[t,n] F64 = factor * L_t   in nats, not multiplied by w or the coefficient
 *   student[n,:] is replaced by d(scale * sum_t coefficient_t * w * losses[t,n]) / d student[n,:]
 *     when `gradient` is true; columns from vocab on become 0
 * A row of weight 0 gives losses and a gradient of exactly 0, whatever its logits are. A divergence
 * that is infinite (the student excludes with -inf what the teacher allows) is infinite.
 * Soft caps (0: none) have been applied to neither side yet: student_softcap is, with its gradient;
 * teacher_softcap too. targets [n] I32 in [0, vocab) or -100: no CE there (0).
 * teacher [n,Vt] F32 may be NULL when no term needs it (a term that does is refused).
 * facts [n] F64 x LB__N_ROW_FACTS (may be NULL): what evaluation wants, at temperature 1.
 * Without a teacher (NULL) what needs one is NaN; without a target (-100) what needs one is 0. */
enum {
  LB__FACT_CE,         /* student's -log q(target) */
  LB__FACT_TEACHER_CE, /* teacher's */
  LB__FACT_FORWARD_KL, /* KL(teacher || student) */
  LB__FACT_REVERSE_KL, /* KL(student || teacher) */
  LB__FACT_AGREES,     /* 1 when both argmax are the same id */
  LB__FACT_CORRECT,    /* 1 when the student's argmax is the target */
  LB__N_ROW_FACTS
};
typedef struct lb__divergence_args {
  lb_tensor *student; /* in: logits; out: gradient */
  lb_tensor *losses;  /* [n_terms, n] F64 */
  lb_tensor *facts;   /* [n, LB__N_ROW_FACTS] F64 or NULL */
  const lb_tensor *teacher, *targets, *weights;
  int64_t vocab;
  float student_softcap, teacher_softcap;
  const lb__divergence_term *terms;
  size_t n_terms;
  double scale; /* of the gradient: 1 / number of trained tokens of the optimizer batch */
  bool gradient;
} lb__divergence_args;

/* losses[n] F64 = mean_c (x[n,c] - target[n,c])^2;  dx += scale * d(sum_n losses[n]) / dx.
 * x, target [N,C] F32; losses and dx may be NULL */
typedef struct lb__mse_args {
  lb_tensor *losses, *dx;
  const lb_tensor *x, *target;
  double scale;
} lb__mse_args;

/* MiniLMv2's self-attention relations (arXiv:2012.15828), causal. x [N,Ws], target [N,Wt] F32: one
 * of q, k, v of a layer, all heads side by side; both are cut into `heads` relation heads of widths
 * ds = Ws / heads, dt = Wt / heads. R = softmax over j <= i of x_i.x_j / sqrt(d), per document.
 *   losses[n] F64 = 1/heads * sum over heads of KL(R_target[n] || R_x[n])
 *   dx += scale * d(sum_n losses[n]) / dx    (dx may be NULL)
 * GQA is the caller's: repeat k and v, or choose `heads` that divides both widths. */
typedef struct lb__relation_args {
  lb_tensor *losses, *dx;
  const lb_tensor *x, *target, *cu_seqlens;
  int64_t heads;
  double scale;
} lb__relation_args;

/* ---- the optimizer ---- */

/* *sum += sum of x^2 in double, in an order that does not depend on threads. x F32, any shape */
typedef struct lb__sum_squares_args {
  const lb_tensor *x;
  double *sum;
} lb__sum_squares_args;

/* AdamW as torch.optim.AdamW: with g = gradient * gradient_scale,
 *   p *= 1 - learning_rate * weight_decay
 *   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
 *   p -= learning_rate / (1 - beta1^step) * m / (sqrt(v / (1 - beta2^step)) + eps)
 * and gradient = 0 for the next step. All [n] F32. step counts from 1. */
typedef struct lb__adamw_args {
  lb_tensor *parameter, *gradient, *exp_avg, *exp_avg_sq;
  double learning_rate, beta1, beta2, eps, weight_decay, gradient_scale;
  int64_t step;
} lb__adamw_args;

/* ---- the calls. *out is allocated in the stream's arena unless the op is in place ---- */
lb_status lb__op_embed(lb__stream *s, lb_tensor **out, const lb_tensor *ids,
                       const lb_tensor *weight, float scale, lb_error *err);
lb_status lb__op_linear(lb__stream *s, lb_tensor **out, const lb_tensor *x, const lb_tensor *weight,
                        const lb_tensor *bias, lb_error *err);
/* *outs[i] = x times projections[i]: what kernels do to x alone is done once. */
enum { LB__MOST_PROJECTIONS = 3 };
typedef struct lb__projection {
  const lb_tensor *weight, *bias; /* bias may be NULL */
} lb__projection;
lb_status lb__op_linear_group(lb__stream *s, lb_tensor **const outs[], const lb_tensor *x,
                              const lb__projection *projections, int n, lb_error *err);
lb_status lb__op_rms_norm(lb__stream *s, lb_tensor **out, const lb_tensor *x,
                          const lb_tensor *weight, float eps, float weight_offset, lb_error *err);
lb_status lb__op_layer_norm(lb__stream *s, lb_tensor **out, const lb_tensor *x,
                            const lb_tensor *weight, const lb_tensor *bias, float eps,
                            lb_error *err);
/* While recording, no op before this one may need x's values in backward: they are overwritten.
 * What comes before rope in models (linear, rms_norm, reshape) does not look at its result again.
 */
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
/* linear of act(up), or with a gate of act(gate) * up. While recording, the activation's result is
 * not kept: backward makes it anew, which costs it a few percent of the product's time. */
lb_status lb__op_act_linear(lb__stream *s, lb_tensor **out, const lb_tensor *gate,
                            const lb_tensor *up, lb__act_kind kind, const lb__projection *p,
                            lb_error *err);
/* x += delta. While recording, only when no backward step needs what x was: the result of a linear,
 * a norm, dropout, not that of softcap or attention. */
lb_status lb__op_add_to(lb__stream *s, lb_tensor *x, const lb_tensor *delta, lb_error *err);
lb_status lb__op_scale(lb__stream *s, lb_tensor **out, const lb_tensor *x, float factor,
                       lb_error *err);
lb_status lb__op_softcap(lb__stream *s, lb_tensor **out, const lb_tensor *x, float cap,
                         lb_error *err);
lb_status lb__op_gather_rows(lb__stream *s, lb_tensor **out, const lb_tensor *x,
                             const lb_tensor *rows, lb_error *err);
/* A view of x with another shape; no node, the gradient is shared. */
lb_status lb__op_reshape(lb__stream *s, lb_tensor **out, const lb_tensor *x, int rank,
                         const int64_t *shape, lb_error *err);
/* With draw.p 0, *out is x itself (its descriptor copied). */
lb_status lb__op_dropout(lb__stream *s, lb_tensor **out, const lb_tensor *x, lb__dropout draw,
                         lb_error *err);
/* In place on args->student; writes args->losses and args->facts. Checks shapes, terms and that
 * every target is below `vocab`; records nothing: the fused head takes the gradient on at once. */
lb_status lb__op_divergence(lb__stream *s, const lb__divergence_args *args, lb_error *err);
/* Losses: *sum += sum of losses[n] (not times scale); while recording, backward adds
 * its gradient times `scale` to x's. Values: double, summed in order of n. */
lb_status lb__op_mse(lb__stream *s, double *sum, const lb_tensor *x, const lb_tensor *target,
                     double scale, lb_error *err);
lb_status lb__op_relation(lb__stream *s, double *sum, const lb_tensor *x, const lb_tensor *target,
                          const lb_tensor *cu_seqlens, int64_t heads, double scale, lb_error *err);
/* These look at parameters, outside steps; shapes and dtypes are checked, nothing is recorded. */
lb_status lb__op_sum_squares(double *sum, const lb_tensor *x, lb_error *err);
lb_status lb__op_adamw(const lb__adamw_args *args, lb_error *err);
/* Allocates the four results; target_logits is NULL when targets is. */
lb_status lb__op_logits_stats(lb__stream *s, lb__logits_stats_args *results,
                              const lb_tensor *logits, const lb_tensor *targets, int64_t top_k,
                              lb_error *err);
/* These two write into tensors the caller made (loading and converting happen outside steps). */
lb_status lb__op_cast(lb_tensor *out, const lb_tensor *x, lb_error *err);
lb_status lb__op_transpose(lb_tensor *out, const lb_tensor *x, lb_error *err);

#endif

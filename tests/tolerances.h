/* tolerances.h - every tolerance of every test, measured, with its reason. Loosening one needs a
 * decision note (docs/decisions/). */
#ifndef LB_TESTS_TOLERANCES_H
#define LB_TESTS_TOLERANCES_H

/* ---- golden/: whole models against Transformers in float32 ----
 * expected/<name>.json says how far Transformers' float32 itself is from double: at most 2.9e-5, on
 * logits of standard deviation 2.1-2.8 and up to 12 in size. Ours sums in another order; 3.8e-5 was
 * seen. */
#define LB_TOL_GOLDEN_LOGITS_F32 1e-4
/* sums of at most 18 log-probabilities, each off by no more than the logits */
#define LB_TOL_GOLDEN_LOGPROB_SUM 1e-3
/* one softmax of float32 numbers, both sides rounded to float32 */
#define LB_TOL_GOLDEN_PROBABILITY 2e-6
/* mean KL (nats) of products with both operands rounded to bfloat16, weights and activations;
 * 1.6e-3 was seen */
#define LB_TOL_GOLDEN_KL_BF16_PRODUCTS 5e-3
/* Mean KL (nats) between a tiny model and itself with rounded weights. Seen, with the rounding of
 * the official `gguf` package: f16 8e-6, bf16 5e-4, q8_0 6e-3, q4_0 0.9 (4 bits of random weights
 * are coarse; test_golden_gguf and the peers pin the blocks exactly). */
#define LB_TOL_GOLDEN_KL_F16  5e-5
#define LB_TOL_GOLDEN_KL_BF16 2e-3
#define LB_TOL_GOLDEN_KL_Q8_0 2e-2
#define LB_TOL_GOLDEN_KL_Q4_0 1.5
/* lb_compare_precisions beside the same figures of all logits in double: log-probabilities and
 * logits that lb_score rounded to float32. 3.4e-8 was seen */
#define LB_TOL_COMPARED_KL 2e-7
/* ---- golden/: real models, block-quantised weights expanded to float32 on both sides ----
 * 30 layers of float32 sums in another order; 7e-5 was seen in logsumexp */
#define LB_TOL_GOLDEN_REAL     2e-3
#define LB_TOL_GOLDEN_REAL_SUM 5e-3
/* ---- golden/: gradients against PyTorch in double, of the largest gradient of a parameter ----
 * Stored as float32 (6e-8 of each); what else differs is the order of sums in double. */
#define LB_TOL_GOLDEN_GRADIENT_F64 2e-7
/* PyTorch's own float32 gradients are off by up to 6.4e-6 (generate/gradients.py prints it). */
#define LB_TOL_GOLDEN_GRADIENT_F32 2e-5
/* ---- golden/: what must hold of a step in double whatever the numbers are; sums in another order
 * ---- */
#define LB_TOL_PROPERTY_F64 1e-12

/* ---- e2e/: 40 steps of training in float32 against PyTorch's, relative, every figure of every
 * step PyTorch's own float32 run is within 8e-6 of its double one (generate/train.py prints it). */
#define LB_TOL_REPLAY_F32 1e-4

/* ---- golden/: the optimizer ----
 * 20 steps in float32 against PyTorch in double, relative to the largest; PyTorch's own float32 is
 * off by up to 3e-7 (data/adamw.json). */
#define LB_TOL_GOLDEN_ADAMW 1e-6
/* Python's cosine against ours, relative to the peak rate: libm may differ in the last bit. */
#define LB_TOL_GOLDEN_COSINE 4e-16

/* ---- golden/: divergences against PyTorch in double, as a part of a result's largest number
 * (at least 0.1) ----
 * float32: log-probabilities of about -20 are rounded by 1e-6; 1.1e-6 was seen, where
 * log-ratios of 50 meet. Double: sums in another order; 2.2e-13 was seen. */
#define LB_TOL_GOLDEN_DIVERGENCE_F32 3e-6
#define LB_TOL_GOLDEN_DIVERGENCE_F64 1e-12

/* ---- op/: tuned kernels (float32 sums) against reference kernels (sums in double) ----
 * An error is forgiven when
 *     |got - wanted| <= relative * |wanted| + of_largest * (largest |wanted| of the result);
 * NaN must meet NaN, an infinity the same infinity. Measured with AVX-512, AVX2 and oneDNN; two to
 * four times the worst error seen (LIMBECK_SHOW_ERRORS=1 test_op_parity prints them). */
/* clang-format off */
typedef struct lb_tolerance {
  double relative, of_largest;
} lb_tolerance;

/* Nothing is computed, or one correctly rounded operation: bit for bit. */
#define LB_TOL_EXACT {0, 0}
/* Sums of up to some thousand products: float32 rounding of partial sums, about sqrt(n) * 2^-24. */
#define LB_TOL_LINEAR {0, 2.5e-6}
/* Both factors rounded to bfloat16 (2^-9 each) by one side only: thin kernels leave them exact; the
 * errors average over the sum. */
#define LB_TOL_LINEAR_BF16 {0, 8e-3}
/* A mean over the row, one division, one square root. */
#define LB_TOL_NORM {6e-7, 3e-7}
/* cos and sin rounded to float32 before the products, then a difference of two products. */
#define LB_TOL_ROPE {4e-7, 1e-7}
/* Our exp and tanh are within 2 ulp; x / (1 + exp(-2u)) multiplies the rounding of u by u. Far out
 * on the negative side the reference's own 1 + tanh(u) has only 1e-16 left, and so has PyTorch's. */
#define LB_TOL_ACT {1e-5, 1e-16}
/* Scores in float32 (rounding times |score|), exp, a weighted mean. */
#define LB_TOL_ATTENTION {0, 2e-6}
/* p made again from a float32 logsumexp, then two more products and sums over all queries. */
#define LB_TOL_ATTENTION_BWD {0, 8e-6}
/* One product with 1 / (1 - p) rounded to float32. */
#define LB_TOL_DROPOUT {2.5e-7, 0}
/* Scores in float32; a KL is the difference of logarithms near each other. */
#define LB_TOL_RELATION {0, 4e-6}
/* logsumexp: float32 terms summed in double over stretches; ids and logits are copies. */
#define LB_TOL_LOGSUMEXP {1.5e-7, 0}
/* Log-probabilities in float32 (rounding times |logit|), exp, products; sums in double. The largest
 * of a result is a loss or a fact, a gradient is at most 1. */
#define LB_TOL_DIVERGENCE {8e-7, 8e-7}
/* Squares in float32, sums of up to some hundred of them. */
#define LB_TOL_MSE {3e-7, 1e-7}
/* Exact squares, summed in double in another order. */
#define LB_TOL_SUM_SQUARES {3e-12, 0}
/* A handful of float32 roundings where the reference rounds once. */
#define LB_TOL_ADAMW {3e-7, 3e-8}
/* Two sums of up to some thousand products, added to what was there. */
#define LB_TOL_LINEAR_BWD {0, 2.5e-6}
/* Means over the row as in the forward; weights: sums over rows in float32. */
#define LB_TOL_NORM_BWD {1e-6, 1e-6}
/* Derivatives of activations are sums of terms of size 1 that may cancel. */
#define LB_TOL_ACT_BWD {1e-6, 1e-7}
/* One product, one sum: the rounding of either. */
#define LB_TOL_ADD {2e-7, 1e-7}
/* As many of those as an id has tokens. */
#define LB_TOL_EMBED_BWD {1e-6, 1e-6}
/* clang-format on */

/* ---- op/: gradients in double against central differences with h = 1e-5 ----
 * The difference itself is off by h^2 / 6 of the third derivative and 1e-11 of rounding. */
#define LB_TOL_GRADIENT 1e-6

#endif

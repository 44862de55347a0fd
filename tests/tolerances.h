/* tolerances.h - every tolerance of every test, measured, with its reason. Loosening one needs a
 * decision note (docs/decisions/). */
#ifndef LB_TESTS_TOLERANCES_H
#define LB_TESTS_TOLERANCES_H

/* ---- golden/: whole models against Transformers in float32 ----
 * expected/<name>.json says how far Transformers' float32 itself is from double: at most 2.9e-5, on
 * logits of standard deviation 2.1-2.8 and up to 12 in size. Ours sums in another order; 3.8e-5 was seen. */
#define LB_TOL_GOLDEN_LOGITS_F32 1e-4
/* sums of at most 18 log-probabilities, each off by no more than the logits */
#define LB_TOL_GOLDEN_LOGPROB_SUM 1e-3
/* one softmax of float32 numbers, both sides rounded to float32 */
#define LB_TOL_GOLDEN_PROBABILITY 2e-6
/* mean KL (nats) of products with both operands rounded to bfloat16, weights and activations;
 * 1.6e-3 was seen */
#define LB_TOL_GOLDEN_KL_BF16_PRODUCTS 5e-3
/* Mean KL (nats) between a tiny model and itself with rounded weights. Seen, with the rounding of the
 * official `gguf` package: f16 8e-6, bf16 5e-4, q8_0 6e-3, q4_0 0.9 (4 bits of random weights are
 * coarse; test_golden_gguf and the peers pin the blocks exactly). */
#define LB_TOL_GOLDEN_KL_F16 5e-5
#define LB_TOL_GOLDEN_KL_BF16 2e-3
#define LB_TOL_GOLDEN_KL_Q8_0 2e-2
#define LB_TOL_GOLDEN_KL_Q4_0 1.5
/* ---- golden/: real models, block-quantised weights expanded to float32 on both sides ----
 * 30 layers of float32 sums in another order; 7e-5 was seen in logsumexp */
#define LB_TOL_GOLDEN_REAL 2e-3
#define LB_TOL_GOLDEN_REAL_SUM 2e-2

#endif

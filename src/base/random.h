/* random.h - counter-based random numbers (Philox4x32-10, Salmon et al. 2011): a value is a pure
 * function of (seed, purpose, step, index), so results depend on neither threads nor history. */
#ifndef LB_BASE_RANDOM_H
#define LB_BASE_RANDOM_H

#include <stdint.h>

typedef enum lb__purpose { /* what a stream is for; numbers are part of checkpoints, never reuse */
                           LB__PURPOSE_SAMPLE = 1,
                           LB__PURPOSE_INIT = 2,
                           LB__PURPOSE_SHUFFLE = 3,
                           LB__PURPOSE_DROPOUT = 4,
                           LB__PURPOSE_TEST = 5,
                           LB__PURPOSE_WEIGHTS = 6,
                           LB__PURPOSE_SHRINK = 7
} lb__purpose;

typedef struct lb__random_key {
  uint64_t seed;
  lb__purpose purpose;
} lb__random_key;

void lb__philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);
/* The Philox key of an lb__random_key: for kernels that make many blocks at once. */
uint64_t lb__random_mixed(lb__random_key key);
void lb__random_u32x4(uint32_t out[4], lb__random_key key, uint64_t step, uint64_t index);
double lb__random_uniform(lb__random_key key, uint64_t step, uint64_t index); /* [0, 1), 53 bits */
/* Mean 0, sd 1; the same bits on every machine, whatever its C library. */
double lb__random_normal(lb__random_key key, uint64_t step, uint64_t index);

#endif

/* tensor_data.h - the key to tensor memory. Only src/tensor and src/kernels may include this;
 * tools/check_layers enforces it, because that is what makes a second device possible. */
#ifndef LB_TENSOR_TENSOR_DATA_H
#define LB_TENSOR_TENSOR_DATA_H

#include "tensor.h"

static inline void *lb__tensor_data(const lb_tensor *t) {
  return t->memory_;
}
static inline float *lb__tensor_f32(const lb_tensor *t) {
  return (float *)t->memory_;
}
static inline int32_t *lb__tensor_i32(const lb_tensor *t) {
  return (int32_t *)t->memory_;
}

#endif

/* projector.h - trained linear maps from the student's width to the teacher's, one for each pair of
 * compared layers; where the widths are equal there is none. Parameters like any other: AdamW
 * changes them, checkpoints hold them (projectors.safetensors). */
#ifndef LB_DISTILL_PROJECTOR_H
#define LB_DISTILL_PROJECTOR_H

#include "model/trainable.h"

typedef struct lb__projectors {
  size_t n;                    /* pairs of layers; 0: no projector is needed */
  int64_t from, to;            /* widths */
  lb_tensor *weights, *biases; /* [n]: [to, from], [to] */
  lb_tensor *gradients;        /* [2 n] memory */
  lb__gradient *slots;         /* [2 n] */
  lb__parameter *parameters;   /* [2 n]: "projectors.0.weight", "projectors.0.bias", ... */
} lb__projectors;

/* As torch.nn.Linear starts: uniform in +-1/sqrt(from), drawn from seed. */
lb_status lb__projectors_init(lb__projectors *p, size_t n, int64_t from, int64_t to, lb_dtype real,
                              uint64_t seed, lb_error *err);
void lb__projectors_deinit(lb__projectors *p);
lb_status lb__projectors_save(const lb__projectors *p, const char *folder, lb_error *err);
lb_status lb__projectors_load(lb__projectors *p, const char *folder, lb_error *err);

#endif

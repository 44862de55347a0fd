/* tape.h - what ran, in order, so that backward can walk it.
 *
 *     lb__tape tape;
 *     lb__tape_begin(&tape, stream);          // ops now append a node each
 *     ... forward, ending in loss ops ...
 *     lb__tape_backward(stream, err);         // adds to every gradient that is wanted
 *     lb__stream_reset(stream);
 *
 * An op records when one of its inputs has a gradient slot; its result then gets one too. A node is
 * a function and a copy of what it needs (descriptors by value: a caller's view may be gone).
 * Nodes, activations and their gradients lie in the stream's arena, so a steady-state step
 * allocates nothing. Gradients are always added to. When a node has run, the gradient of its result
 * has served, and its memory is used again for an earlier one. Owns: the order. Refuses: knowing
 * ops. Read next: ops/op_elementwise.c, the simplest users. */
#ifndef LB_TENSOR_TAPE_H
#define LB_TENSOR_TAPE_H

#include "stream.h"

/* Adds to the gradients of the op's inputs. dout: the gradient of its result (NULL for a loss,
 * whose gradient is 1). saved: the copy made by lb__tape_record. */
typedef lb_status lb__backward_fn(lb__stream *s, const lb_tensor *dout, void *saved, lb_error *err);

typedef struct lb__tape_node lb__tape_node;
typedef struct lb__unused_gradient lb__unused_gradient;
struct lb__tape {
  lb__tape_node *last;
  lb__unused_gradient *unused; /* memory of gradients that have served */
  int64_t n_nodes;
};

/* Starts an empty tape on the stream. The stream must be reset before the tape is used again. */
void lb__tape_begin(lb__tape *tape, lb__stream *s);
void lb__tape_end(lb__stream *s); /* stops recording; what was recorded is forgotten */

/* True while recording and `input` (may be NULL) wants a gradient. */
bool lb__tape_wants(const lb__stream *s, const lb_tensor *input);

/* Appends a node and gives `out` a gradient slot. out NULL: a loss.
 * `in_place`: out is an input as well (rope), so its gradient is still needed afterwards. */
lb_status lb__tape_record(lb__stream *s, lb_tensor *out, bool in_place, lb__backward_fn *fn,
                          const void *saved, size_t saved_size, lb_error *err);

/* For backward functions: *view becomes t's gradient as a tensor of t's shape, zeroed when it is
 * new. *wanted is false, and *view untouched, when t is NULL or wants none. */
lb_status lb__gradient_view(lb_tensor *view, bool *wanted, lb__stream *s, const lb_tensor *t,
                            lb_error *err);

/* Walks all nodes, last first, and leaves the tape empty and the stream not recording. A node whose
 * result nobody used is passed over. */
lb_status lb__tape_backward(lb__stream *s, lb_error *err);

/* Activation recomputation: runs fn(x) without recording and keeps only its result; backward runs
 * it again, recorded, from the same x, and walks that. fn must give the same result again (random
 * numbers are counter-based): a new tensor of x's shape, never x itself. Whatever else fn uses that
 * wants a gradient must have the memory for it already, as parameters do: what the second run
 * allocates is given back. ctx is copied. Without a tape it just runs fn. */
typedef lb_status lb__segment_fn(lb__stream *s, lb_tensor **out, const lb_tensor *x, void *ctx,
                                 lb_error *err);
lb_status lb__tape_checkpoint(lb__stream *s, lb_tensor **out, const lb_tensor *x,
                              lb__segment_fn *fn, const void *ctx, size_t ctx_size, lb_error *err);

#endif

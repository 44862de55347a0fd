/* tape.c - see tape.h. */
#include "tape.h"
#include "tensor_data.h"

#include "base/fail.h"

struct lb__tape_node {
  lb__tape_node *before;
  lb__backward_fn *fn;
  void *saved;
  bool has_out, in_place;
  lb_tensor out; /* descriptor of the result */
};

/* Memory of a gradient that has served; the header lies in the memory itself. */
struct lb__unused_gradient {
  lb__unused_gradient *next;
  size_t size_bytes;
};

void lb__tape_begin(lb__tape *tape, lb__stream *s) {
  *tape = (lb__tape){0};
  s->tape = tape;
}

void lb__tape_end(lb__stream *s) {
  s->tape = NULL;
}

bool lb__tape_wants(const lb__stream *s, const lb_tensor *input) {
  return s->tape != NULL && input != NULL && input->gradient != NULL;
}

static lb_status give_slot(lb__stream *s, lb_tensor *out, lb_error *err) {
  lb__gradient *g = lb__arena_new(&s->arena, 1, sizeof *g);
  if (g == NULL) return lb__fail_nomem(err, "a gradient");
  g->size_bytes = out->size_bytes;
  out->gradient = g;
  return LB_OK;
}

lb_status lb__tape_record(lb__stream *s, lb_tensor *out, bool in_place, lb__backward_fn *fn,
                          const void *saved, size_t saved_size, lb_error *err) {
  lb__tape_node *node = lb__arena_new(&s->arena, 1, sizeof *node);
  void *copy = lb__arena_alloc(&s->arena, saved_size);
  if (node == NULL || copy == NULL) return lb__fail_nomem(err, "a node of the tape");
  lb_status st = out != NULL && !in_place ? give_slot(s, out, err) : LB_OK;
  if (st != LB_OK) return st;
  memcpy(copy, saved, saved_size);
  *node = (lb__tape_node){.before = s->tape->last,
                          .fn = fn,
                          .saved = copy,
                          .has_out = out != NULL,
                          .in_place = in_place};
  if (out != NULL) node->out = *out;
  s->tape->last = node;
  s->tape->n_nodes++;
  return LB_OK;
}

/* ---- gradients ---- */

/* Memory of exactly this size that has served, else from the arena. */
static void *gradient_memory(lb__stream *s, size_t size) {
  for (lb__unused_gradient **link = &s->tape->unused; *link != NULL; link = &(*link)->next) {
    lb__unused_gradient *u = *link;
    if (u->size_bytes != size) continue;
    *link = u->next;
    return u;
  }
  return lb__arena_alloc_tensor(
      &s->arena, size < sizeof(lb__unused_gradient) ? sizeof(lb__unused_gradient) : size);
}

static void give_back(lb__stream *s, lb__gradient *g) {
  lb__unused_gradient *u = g->memory_;
  *u = (lb__unused_gradient){.next = s->tape->unused, .size_bytes = g->size_bytes};
  s->tape->unused = u;
  g->memory_ = NULL;
}

lb_status lb__gradient_view(lb_tensor *view, bool *wanted, lb__stream *s, const lb_tensor *t,
                            lb_error *err) {
  *wanted = t != NULL && t->gradient != NULL;
  if (!*wanted) return LB_OK;
  LB_ASSERT(t->gradient->size_bytes == t->size_bytes);
  if (t->gradient->memory_ == NULL) {
    t->gradient->memory_ = gradient_memory(s, t->size_bytes);
    if (t->gradient->memory_ == NULL) return lb__fail_nomem(err, "a gradient");
    memset(t->gradient->memory_, 0, t->size_bytes);
  }
  *view = lb__tensor_gradient(t);
  return LB_OK;
}

/* ---- backward ---- */

static lb_status run_node(lb__stream *s, lb__tape_node *node, lb_error *err) {
  if (!node->has_out) return node->fn(s, NULL, node->saved, err);
  if (node->out.gradient->memory_ == NULL) return LB_OK; /* nobody used the result */
  lb_tensor dout = lb__tensor_gradient(&node->out);
  lb_status st = node->fn(s, &dout, node->saved, err);
  if (st == LB_OK && !node->in_place) give_back(s, node->out.gradient);
  return st;
}

/* Nodes down to, and without, `end`. A checkpoint records new ones on the way; they come off first.
 */
static lb_status walk(lb__stream *s, const lb__tape_node *end, lb_error *err) {
  lb_status st = LB_OK;
  while (s->tape->last != end && st == LB_OK) {
    lb__tape_node *node = s->tape->last;
    s->tape->last = node->before;
    s->tape->n_nodes--;
    st = run_node(s, node, err);
  }
  return st;
}

lb_status lb__tape_backward(lb__stream *s, lb_error *err) {
  lb_status st = walk(s, NULL, err);
  lb__tape_end(s);
  return st;
}

/* ---- recomputation ---- */

typedef struct segment {
  lb__segment_fn *fn;
  lb_tensor x;
} segment; /* followed by the copy of ctx */

static void *context_of(segment *g) {
  return g + 1;
}

/* What the second run allocates is given back, so nothing that outlives it may lie there: x's
 * gradient is made before the mark, and the list of served memory is the outer one again after. */
static lb_status run_again(lb__stream *s, const lb_tensor *dout, void *saved, lb_error *err) {
  segment *g = saved;
  lb_tensor dx, *again;
  bool wanted;
  lb_status st = lb__gradient_view(&dx, &wanted, s, &g->x, err);
  if (st != LB_OK) return st;
  lb__unused_gradient *unused = s->tape->unused;
  lb__arena_mark mark = lb__arena_get_mark(&s->arena);
  lb__tape_node *end = s->tape->last;
  s->tape->unused = NULL;
  st = g->fn(s, &again, &g->x, context_of(g), err);
  LB_ASSERT(st != LB_OK || again->gradient != g->x.gradient || again->gradient == NULL);
  if (st == LB_OK && again->gradient != NULL) {
    again->gradient->memory_ = lb__arena_alloc_tensor(&s->arena, dout->size_bytes);
    if (again->gradient->memory_ == NULL) st = lb__fail_nomem(err, "a gradient");
    if (st == LB_OK) memcpy(again->gradient->memory_, dout->memory_, dout->size_bytes);
    if (st == LB_OK) st = walk(s, end, err);
  }
  lb__arena_release(&s->arena, mark);
  s->tape->unused = unused;
  return st;
}

lb_status lb__tape_checkpoint(lb__stream *s, lb_tensor **out, const lb_tensor *x,
                              lb__segment_fn *fn, const void *ctx, size_t ctx_size, lb_error *err) {
  lb__tape *tape = s->tape;
  *out = NULL;
  segment *g = lb__arena_alloc(&s->arena, sizeof *g + ctx_size);
  if (g == NULL) return lb__fail_nomem(err, "a node of the tape");
  *g = (segment){.fn = fn, .x = *x};
  memcpy(context_of(g), ctx, ctx_size);
  if (tape == NULL) return fn(s, out, x, context_of(g), err);
  lb_tensor *kept, *result;
  lb_status st = lb__stream_tensor(&kept, s, x->dtype, x->rank, x->shape, err);
  if (st != LB_OK) return st;
  lb__arena_mark mark = lb__arena_get_mark(&s->arena);
  s->tape = NULL;
  st = fn(s, &result, x, context_of(g), err);
  s->tape = tape;
  LB_ASSERT(st != LB_OK || lb__tensor_same_shape(result, kept));
  if (st == LB_OK) memcpy(kept->memory_, result->memory_, kept->size_bytes);
  lb__arena_release(&s->arena, mark);
  if (st == LB_OK) st = lb__tape_record(s, kept, false, run_again, g, sizeof *g + ctx_size, err);
  if (st == LB_OK) *out = kept;
  return st;
}

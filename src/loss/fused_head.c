/* fused_head.c - see fused_head.h. Read lb__fused_head at the end first, then one_chunk. */
#include "fused_head.h"

#include "ops/op_check.h"
#include "tensor/tape.h"

#include <string.h>

/* What does not change from chunk to chunk. */
typedef struct head {
  lb__stream *s;
  const lb__fused_head_args *args;
  lb_tensor student_weight, teacher_weight; /* their first `vocab` rows; see round_weight */
  lb_tensor *dhidden;                       /* [M,C] in the arena; NULL: not wanted */
  lb_tensor dweight;                        /* first `vocab` rows of the weight's gradient */
  bool wants_dweight;
  lb__compute compute;
  int64_t M;
} head;

/* ---- checks; the ops check what they are given: widths, dtypes, terms, targets ---- */

static lb_status check_side(const char *name, const lb__head_side *side, int64_t M, int64_t vocab,
                            lb_error *err) {
  char text[96];
  if (side->hidden->rank != 2 || side->weight->rank != 2 || side->hidden->shape[0] != M)
    return lb__fail(err, LB_E_SHAPE, "fused head: %s's hidden %s: want [%lld, width] and a matrix",
                    name, lb__tensor_describe(text, side->hidden), (long long)M);
  if (vocab < 1 || vocab > side->weight->shape[0])
    return lb__fail(err, LB_E_ARG,
                    "fused head: the common vocabulary is %lld tokens; the %s's head %s has rows "
                    "for 1 to %lld",
                    (long long)vocab, name, lb__tensor_describe(text, side->weight),
                    (long long)side->weight->shape[0]);
  return LB_OK;
}

static lb_status check_args(const lb__stream *s, const lb__fused_head_args *a, lb_error *err) {
  char text[96];
  int64_t M = a->student.hidden->shape[0];
  if (a->chunk_tokens < 0)
    return lb__fail(err, LB_E_ARG, "fused head: chunk_tokens is %lld, want 1 or more",
                    (long long)a->chunk_tokens);
  if (lb__tape_wants(s, a->student.weight) && a->student.weight->dtype != s->real)
    return lb__fail(err, LB_E_DTYPE, "fused head: the student's head %s wants a gradient: want %s",
                    lb__tensor_describe(text, a->student.weight), lb_dtype_name(s->real));
  lb_status st = check_side("student", &a->student, M, a->vocab, err);
  if (st == LB_OK && a->teacher != NULL) st = check_side("teacher", a->teacher, M, a->vocab, err);
  return st;
}

/* ---- one chunk ---- */

/* Rows begin .. begin+n-1 of everything; the results of `divergence`. */
typedef struct chunk {
  int64_t begin, n;
  lb_tensor hidden, targets, weights;
  lb_tensor *student, *teacher; /* logits [n,vocab]; the student's become their gradient */
  lb_tensor *losses, *facts;
} chunk;

/* A packed head is multiplied whole: the divergence looks at the first `vocab` columns only. */
static lb_status make_logits(lb_tensor **out, const head *h, const lb__head_side *side,
                             const lb_tensor *weight, const chunk *c, lb_error *err) {
  lb_tensor hidden = lb__tensor_rows(side->hidden, c->begin, c->n);
  lb__compute before = h->s->compute;
  h->s->compute = side->compute;
  if (side->compute == LB__COMPUTE_INT8) weight = side->weight;
  lb_status st = lb__op_linear(h->s, out, &hidden, weight, NULL, err);
  h->s->compute = before;
  return st;
}

static lb_status run_divergence(const head *h, chunk *c, lb_error *err) {
  const lb__fused_head_args *a = h->args;
  lb_status st = lb__stream_tensor(&c->losses, h->s, LB_DTYPE_F64, 2,
                                   (int64_t[]){(int64_t)a->n_terms, c->n}, err);
  if (st == LB_OK && a->want_facts)
    st = lb__stream_tensor(&c->facts, h->s, LB_DTYPE_F64, 2, (int64_t[]){c->n, LB__N_ROW_FACTS},
                           err);
  if (st != LB_OK) return st;
  if (a->targets != NULL) c->targets = lb__tensor_rows(a->targets, c->begin, c->n);
  if (a->weights != NULL) c->weights = lb__tensor_rows(a->weights, c->begin, c->n);
  lb__divergence_args args = {.student = c->student,
                              .losses = c->losses,
                              .facts = c->facts,
                              .teacher = c->teacher,
                              .targets = a->targets != NULL ? &c->targets : NULL,
                              .weights = a->weights != NULL ? &c->weights : NULL,
                              .vocab = a->vocab,
                              .student_softcap = a->student.softcap,
                              .teacher_softcap = a->teacher != NULL ? a->teacher->softcap : 0.0f,
                              .terms = a->terms,
                              .n_terms = a->n_terms,
                              .scale = a->scale,
                              .gradient = h->dhidden != NULL || h->wants_dweight};
  return lb__op_divergence(h->s, &args, err);
}

/* The gradient of the chunk's logits goes on into the head's and the hidden states'. */
static lb_status add_gradients(const head *h, const chunk *c, lb_error *err) {
  if (h->dhidden == NULL && !h->wants_dweight) return LB_OK;
  lb_tensor dx, dweight = h->dweight, x = lb__tensor_rows(h->args->student.hidden, c->begin, c->n);
  if (h->dhidden != NULL) dx = lb__tensor_rows(h->dhidden, c->begin, c->n);
  lb__linear_bwd_args args = {.dx = h->dhidden != NULL ? &dx : NULL,
                              .dweight = h->wants_dweight ? &dweight : NULL,
                              .dout = c->student,
                              .x = &x,
                              .weight = &h->student_weight,
                              .compute = h->compute};
  return lb__run_linear_bwd(&h->s->arena, &args, err);
}

/* ---- sums ---- */

static double real_at(const void *values, lb_dtype dtype, int64_t i) {
  return dtype == LB_DTYPE_F64 ? ((const double *)values)[i] : (double)((const float *)values)[i];
}

/* A tensor's bytes on the host, in the arena. */
static lb_status to_host(const void **out, lb__stream *s, const lb_tensor *t, lb_error *err) {
  void *bytes = lb__arena_alloc_tensor(&s->arena, t->size_bytes);
  if (bytes == NULL) return lb__fail_nomem(err, "the sums of the fused head");
  *out = bytes;
  return lb__tensor_read(t, 0, bytes, t->size_bytes, err);
}

static lb_status add_losses(lb__fused_head_sums *sums, const head *h, const chunk *c,
                            lb_error *err) {
  const void *losses, *weights = NULL;
  lb_status st = to_host(&losses, h->s, c->losses, err);
  if (st == LB_OK && h->args->weights != NULL) st = to_host(&weights, h->s, &c->weights, err);
  if (st != LB_OK) return st;
  for (int64_t n = 0; n < c->n; n++) {
    double w = weights != NULL ? real_at(weights, c->weights.dtype, n) : 1.0;
    sums->weight += w;
    for (size_t t = 0; t < h->args->n_terms; t++)
      sums->terms[t] += w * ((const double *)losses)[(int64_t)t * c->n + n];
  }
  sums->n_rows += c->n;
  return LB_OK;
}

static lb_status add_facts(lb__fused_head_sums *sums, const head *h, const chunk *c,
                           lb_error *err) {
  if (c->facts == NULL) return LB_OK;
  const void *facts;
  lb_status st = to_host(&facts, h->s, c->facts, err);
  if (st != LB_OK) return st;
  for (int64_t i = 0; i < c->n * LB__N_ROW_FACTS; i++)
    sums->facts[i % LB__N_ROW_FACTS] += ((const double *)facts)[i];
  if (h->args->row_facts != NULL)
    memcpy(h->args->row_facts + c->begin * LB__N_ROW_FACTS, facts,
           (size_t)(c->n * LB__N_ROW_FACTS) * sizeof(double));
  return LB_OK;
}

static lb_status one_chunk(lb__fused_head_sums *sums, const head *h, chunk *c, lb_error *err) {
  const lb__fused_head_args *a = h->args;
  lb_status st = make_logits(&c->student, h, &a->student, &h->student_weight, c, err);
  if (st == LB_OK && a->teacher != NULL)
    st = make_logits(&c->teacher, h, a->teacher, &h->teacher_weight, c, err);
  if (st == LB_OK) st = run_divergence(h, c, err);
  if (st == LB_OK) st = add_gradients(h, c, err);
  if (st == LB_OK) st = add_losses(sums, h, c, err);
  return st == LB_OK ? add_facts(sums, h, c, err) : st;
}

static lb_status all_chunks(lb__fused_head_sums *sums, const head *h, lb_error *err) {
  int64_t chunk_tokens =
      h->args->chunk_tokens > 0 ? h->args->chunk_tokens : lb__head_chunk(h->args->vocab);
  lb_status st = LB_OK;
  for (int64_t begin = 0; begin < h->M && st == LB_OK; begin += chunk_tokens) {
    lb__arena_mark mark = lb__arena_get_mark(&h->s->arena);
    chunk c = {.begin = begin, .n = h->M - begin < chunk_tokens ? h->M - begin : chunk_tokens};
    st = one_chunk(sums, h, &c, err);
    lb__arena_release(&h->s->arena, mark);
  }
  return st;
}

/* ---- gradients ---- */

/* What is wanted, made before the first chunk's mark: it must outlive the chunks. */
static lb_status prepare_gradients(head *h, lb_error *err) {
  const lb__head_side *student = &h->args->student;
  lb_tensor whole;
  lb_status st = LB_OK;
  if (lb__tape_wants(h->s, student->weight)) {
    st = lb__gradient_view(&whole, &h->wants_dweight, h->s, student->weight, err);
    if (st == LB_OK) h->dweight = lb__tensor_rows(&whole, 0, h->args->vocab);
  }
  if (st != LB_OK || !lb__tape_wants(h->s, student->hidden)) return st;
  const lb_tensor *hidden = student->hidden;
  st = lb__stream_tensor(&h->dhidden, h->s, hidden->dtype, 2, hidden->shape, err);
  if (st == LB_OK) lb__tensor_zero(h->dhidden);
  return st;
}

/* Products of bfloat16 round the weight: once here, not for each chunk in both directions. */
static lb_status round_weight(const head *h, lb_tensor *weight, lb__compute compute,
                              lb_error *err) {
  if (compute != LB__COMPUTE_BF16 || !lb__kernels()->bf16_products) return LB_OK;
  if (weight->dtype != LB_DTYPE_F32) return LB_OK;
  lb_tensor *rounded;
  lb_status st = lb__stream_tensor(&rounded, h->s, LB_DTYPE_BF16, 2, weight->shape, err);
  if (st != LB_OK) return st;
  lb__cast_args args = {.out = rounded, .x = weight};
  st = lb__run_cast(&h->s->arena, &args, err);
  *weight = *rounded;
  return st;
}

typedef struct node {
  lb_tensor hidden, dhidden;
} node;

static lb_status add_dhidden(lb__stream *s, const lb_tensor *dout, void *saved, lb_error *err) {
  (void)dout; /* a loss: 1 */
  node *n = saved;
  lb_tensor view;
  bool wanted;
  lb_status st = lb__gradient_view(&view, &wanted, s, &n->hidden, err);
  if (st != LB_OK || !wanted) return st;
  lb__add_scaled_args args = {.out = &view, .x = &n->dhidden, .factor = 1.0f};
  return lb__run_add_scaled(&s->arena, &args, err);
}

lb_status lb__fused_head(lb__stream *s, lb__fused_head_sums *sums, const lb__fused_head_args *args,
                         lb_error *err) {
  lb_status st = check_args(s, args, err);
  if (st != LB_OK) return st;
  head h = {.s = s, .args = args, .M = args->student.hidden->shape[0]};
  /* in double nothing is rounded */
  h.compute = s->real == LB_DTYPE_F64 ? LB__COMPUTE_F32 : args->student.compute;
  h.student_weight = lb__tensor_rows(args->student.weight, 0, args->vocab);
  if (args->teacher != NULL)
    h.teacher_weight = lb__tensor_rows(args->teacher->weight, 0, args->vocab);
  st = prepare_gradients(&h, err);
  lb__arena_mark mark = lb__arena_get_mark(&s->arena);
  if (st == LB_OK) st = round_weight(&h, &h.student_weight, h.compute, err);
  if (st == LB_OK && args->teacher != NULL)
    st = round_weight(&h, &h.teacher_weight, args->teacher->compute, err);
  if (st == LB_OK) st = all_chunks(sums, &h, err);
  lb__arena_release(&s->arena, mark);
  if (st != LB_OK || h.dhidden == NULL) return st;
  node n = {.hidden = *args->student.hidden, .dhidden = *h.dhidden};
  return lb__tape_record(s, NULL, false, add_dhidden, &n, sizeof n, err);
}

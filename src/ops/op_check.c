/* op_check.c - see op_check.h. */
#include "op_check.h"
#include "profile.h"

#include <stdarg.h>
#include <stdio.h>

enum { WHY_SIZE = 200 };

lb_status lb__op_fail(lb_error *err, lb_status status, lb__op op, const char *name,
                      const lb_tensor *t, const char *format, ...) {
  char why[WHY_SIZE], text[96];
  va_list args;
  va_start(args, format);
  vsnprintf(why, sizeof why, format, args);
  va_end(args);
  return lb__fail(err, status, "%s: %s %s: %s", lb__op_name(op), name, lb__tensor_describe(text, t),
                  why);
}

lb_status lb__op_fail_pair(lb_error *err, lb__op op, lb__named a, lb__named b, const char *format,
                           ...) {
  char why[WHY_SIZE], a_text[96], b_text[96];
  va_list args;
  va_start(args, format);
  vsnprintf(why, sizeof why, format, args);
  va_end(args);
  return lb__fail(err, LB_E_SHAPE, "%s: %s %s and %s %s: %s", lb__op_name(op), a.name,
                  lb__tensor_describe(a_text, a.tensor), b.name,
                  lb__tensor_describe(b_text, b.tensor), why);
}

lb_status lb__op_check_dtype(lb__op op, const char *name, const lb_tensor *t, lb_dtype want,
                             lb_error *err) {
  if (t->dtype == want) return LB_OK;
  return lb__op_fail(err, LB_E_DTYPE, op, name, t, "want %s", lb_dtype_name(want));
}

lb_status lb__op_check_rank(lb__op op, const char *name, const lb_tensor *t, int want,
                            lb_error *err) {
  if (t->rank == want) return LB_OK;
  return lb__op_fail(err, LB_E_SHAPE, op, name, t, "want %d extents, not %d", want, t->rank);
}

lb_status lb__op_check(lb__op op, const char *name, const lb_tensor *t, lb_dtype dtype, int rank,
                       lb_error *err) {
  lb_status st = lb__op_check_dtype(op, name, t, dtype, err);
  return st != LB_OK ? st : lb__op_check_rank(op, name, t, rank, err);
}

lb_status lb__op_check_same(lb__op op, lb__named a, lb__named b, lb_error *err) {
  if (lb__tensor_same_shape(a.tensor, b.tensor)) return LB_OK;
  return lb__op_fail_pair(err, op, a, b, "want the same shape");
}

lb_status lb__op_check_vector(lb__op op, lb__named vector, lb__named x, lb_dtype real, int64_t want,
                              lb_error *err) {
  if (vector.tensor == NULL) return LB_OK;
  lb_status st = lb__op_check(op, vector.name, vector.tensor, real, 1, err);
  if (st != LB_OK || vector.tensor->shape[0] == want) return st;
  return lb__op_fail_pair(err, op, x, vector, "want %s [%lld]", vector.name, (long long)want);
}

static bool is_float(lb_dtype dtype) {
  switch (dtype) {
  case LB_DTYPE_F32:
  case LB_DTYPE_F16:
  case LB_DTYPE_BF16:
  case LB_DTYPE_F64:
  case LB_DTYPE_F8_E4M3:
  case LB_DTYPE_F8_E5M2: return true;
  default: return false;
  }
}

lb_status lb__op_check_weight(lb__op op, const char *name, const lb_tensor *weight, lb_error *err) {
  lb_status st = lb__op_check_rank(op, name, weight, 2, err);
  if (st != LB_OK || is_float(weight->dtype) || lb_dtype_is_block(weight->dtype)) return st;
  return lb__op_fail(err, LB_E_DTYPE, op, name, weight, "want a float or block type");
}

lb_status lb__op_check_draw(lb__op op, const lb__dropout *draw, lb_error *err) {
  if (draw->p >= 0.0f && draw->p < 1.0f && draw->site <= UINT16_MAX) return LB_OK;
  return lb__fail(
      err, LB_E_ARG,
      "%s: dropout of %g at site %u: want a probability in [0, 1) and a site below 65536",
      lb__op_name(op), (double)draw->p, draw->site);
}

lb_status lb__op_add_losses(double *sum, const lb_tensor *losses, lb_error *err) {
  enum { MOST = 128 };
  double values[MOST];
  int64_t n = lb__tensor_elements(losses);
  for (int64_t begin = 0; begin < n; begin += MOST) {
    size_t count = (size_t)(n - begin < MOST ? n - begin : MOST);
    lb_status st = lb__tensor_read(losses, (size_t)begin * sizeof *values, values,
                                   count * sizeof *values, err);
    if (st != LB_OK) return st;
    for (size_t i = 0; i < count; i++) *sum += values[i];
  }
  return LB_OK;
}

/* ---- running a kernel ---- */

typedef struct call {
  lb__op op;
  lb__arena *arena; /* NULL: workspace is from the heap */
  lb__arena_mark mark;
  void *workspace;
} call;

static lb_status begin(call *c, lb__op op, lb__arena *arena, size_t size, lb_error *err) {
  *c = (call){.op = op, .arena = arena};
  if (size == 0) return LB_OK;
  if (arena != NULL) c->mark = lb__arena_get_mark(arena);
  c->workspace = arena != NULL ? lb__arena_alloc_tensor(arena, size) : lb__alloc_aligned(size);
  if (c->workspace != NULL) return LB_OK;
  return lb__fail(err, LB_E_NOMEM, "out of memory: %zu bytes of scratch for %s", size,
                  lb__op_name(op));
}

static lb_status end(call *c, const lb__kernel_table *table, lb_status st, lb_error *err) {
  if (c->workspace != NULL && c->arena != NULL) lb__arena_release(c->arena, c->mark);
  if (c->workspace != NULL && c->arena == NULL) lb__free_aligned(c->workspace);
  if (st == LB_OK) return st;
  return lb__fail(err, st, "%s: kernel '%s' failed: %s", lb__op_name(c->op), table->chosen[c->op],
                  lb_status_text(st));
}

static lb_status no_kernel(lb__op op, lb_error *err) {
  return lb__fail(err, LB_E_UNSUPPORTED,
                  "%s: no kernel is installed; call lb__kernels_install() first", lb__op_name(op));
}

/* Which of an op's tensors says that it computes in double. */
#define REAL_OF_embed          out
#define REAL_OF_linear         out
#define REAL_OF_rms_norm       out
#define REAL_OF_layer_norm     out
#define REAL_OF_rope           x
#define REAL_OF_attention      out
#define REAL_OF_kv_store       k
#define REAL_OF_act            out
#define REAL_OF_act_mul        out
#define REAL_OF_add            out
#define REAL_OF_scale          out
#define REAL_OF_softcap        out
#define REAL_OF_gather_rows    out
#define REAL_OF_logits_stats   logits
#define REAL_OF_cast           out
#define REAL_OF_transpose      out
#define REAL_OF_embed_bwd      dout
#define REAL_OF_linear_bwd     dout
#define REAL_OF_rms_norm_bwd   dout
#define REAL_OF_layer_norm_bwd dout
#define REAL_OF_attention_bwd  dout
#define REAL_OF_act_bwd        dout
#define REAL_OF_act_mul_bwd    dout
#define REAL_OF_softcap_bwd    dout
#define REAL_OF_add_scaled     out
#define REAL_OF_dropout        out
#define REAL_OF_divergence     student
#define REAL_OF_mse            x
#define REAL_OF_relation       x
#define REAL_OF_sum_squares    x
#define REAL_OF_adamw          parameter

static const lb__kernel_table *table_for(const lb_tensor *t) {
  return t->dtype == LB_DTYPE_F64 ? lb__kernels_exact() : lb__kernels();
}

#define LB__OP(name, differentiable, text)                                                         \
  lb_status lb__run_##name(lb__arena *arena, const lb__##name##_args *args, lb_error *err) {       \
    const lb__kernel_table *table = table_for(args->REAL_OF_##name);                               \
    if (table->name == NULL) return no_kernel(LB__OP_##name, err);                                 \
    size_t size = table->name##_workspace != NULL ? table->name##_workspace(args) : 0;             \
    call c;                                                                                        \
    lb_status st = begin(&c, LB__OP_##name, arena, size, err);                                     \
    if (st != LB_OK) return st;                                                                    \
    int64_t started = lb__profile_begin();                                                         \
    st = table->name(args, c.workspace);                                                           \
    lb__profile_end(started, LB__OP_##name, args);                                                 \
    return end(&c, table, st, err);                                                                \
  }
#include "ops.def"
#undef LB__OP

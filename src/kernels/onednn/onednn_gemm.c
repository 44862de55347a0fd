/* onednn_gemm.c - see onednn_gemm.h. Owns: every call of oneDNN, with signals held back.
 *
 * Both products are meant to be called inside a parallel loop, one for each thread, where oneDNN
 * stays on the calling thread. */
#include "onednn_gemm.h"

#include <oneapi/dnnl/dnnl.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

static lb_status status_of(dnnl_status_t st) {
  switch (st) {
  case dnnl_success: return LB_OK;
  case dnnl_out_of_memory: return LB_E_NOMEM;
  case dnnl_unimplemented: return LB_E_UNSUPPORTED;
  default: return LB_E_DEVICE;
  }
}

const char *lb__onednn_version(char text[16]) {
  const dnnl_version_t *v = dnnl_version();
  snprintf(text, 16, "%d.%d.%d", v->major, v->minor, v->patch);
  return text;
}

/* The code that oneDNN generates does not leave the stack as a signal handler needs it: a handler
 * that runs meanwhile on the same stack writes into the heap (docs/decisions/0009). So signals wait
 * until the product is done. */
static sigset_t hold_signals(void) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  return before;
}
static void let_signals_in(sigset_t before) {
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

lb_status lb__onednn_gemm(float *out, int64_t ldo, const float *x, const float *w, int64_t M,
                          int64_t N, int64_t K) {
  sigset_t before = hold_signals();
  dnnl_status_t st = dnnl_sgemm('N', 'T', M, N, K, 1.0f, x, K, w, K, 0.0f, out, ldo);
  let_signals_in(before);
  return status_of(st);
}

lb_status lb__onednn_gemm_add(const lb__gemm_add *g) {
  sigset_t before = hold_signals();
  dnnl_status_t st = dnnl_sgemm(g->a_transposed ? 'T' : 'N', 'N', g->M, g->N, g->K, 1.0f, g->a,
                                g->lda, g->b, g->ldb, 1.0f, g->c, g->ldc);
  let_signals_in(before);
  return status_of(st);
}

lb_status lb__onednn_gemm_u8s8(int32_t *out, const uint8_t *x, const int8_t *w, int64_t M,
                               int64_t N, int64_t K) {
  const int32_t no_offset = 0;
  sigset_t before = hold_signals();
  dnnl_status_t st =
      dnnl_gemm_u8s8s32('N', 'T', 'F', M, N, K, 1.0f, x, K, 0, w, K, 0, 0.0f, out, N, &no_offset);
  let_signals_in(before);
  return status_of(st);
}

/* ---- bfloat16: a matmul primitive ---- */

static dnnl_engine_t engine;
static dnnl_status_t engine_status;
static pthread_once_t engine_once = PTHREAD_ONCE_INIT;

static void make_engine(void) {
  engine_status = dnnl_engine_create(&engine, dnnl_cpu, 0);
}

/* A matrix over the caller's memory. */
typedef struct matrix {
  dnnl_data_type_t type;
  dnnl_dim_t rows, columns, row_stride, column_stride;
  const void *data;
} matrix;

/* ---- what differs between oneDNN 2 and 3 ---- */

#if DNNL_VERSION_MAJOR >= 3

typedef dnnl_memory_desc_t layout; /* an object of its own */
static dnnl_status_t layout_init(layout *l, const matrix *m) {
  const dnnl_dims_t dims = {m->rows, m->columns}, strides = {m->row_stride, m->column_stride};
  return dnnl_memory_desc_create_with_strides(l, 2, dims, m->type, strides);
}
static void layout_deinit(layout *l) {
  if (*l != NULL) dnnl_memory_desc_destroy(*l);
}
static dnnl_status_t wrap(dnnl_memory_t *memory, layout *l, const matrix *m) {
  return dnnl_memory_create(memory, *l, engine, (void *)(uintptr_t)m->data);
}
static dnnl_status_t append_sum(dnnl_post_ops_t after) {
  return dnnl_post_ops_append_sum(after, 1.0f, 0, dnnl_data_type_undef);
}
static dnnl_status_t describe_product(dnnl_primitive_desc_t *out, layout *x, layout *w, layout *y,
                                      dnnl_primitive_attr_t attributes) {
  return dnnl_matmul_primitive_desc_create(out, engine, *x, *w, NULL, *y, attributes);
}

#else

typedef dnnl_memory_desc_t layout; /* a plain struct */
static dnnl_status_t layout_init(layout *l, const matrix *m) {
  const dnnl_dims_t dims = {m->rows, m->columns}, strides = {m->row_stride, m->column_stride};
  return dnnl_memory_desc_init_by_strides(l, 2, dims, m->type, strides);
}
static void layout_deinit(layout *l) {
  (void)l;
}
static dnnl_status_t wrap(dnnl_memory_t *memory, layout *l, const matrix *m) {
  return dnnl_memory_create(memory, l, engine, (void *)(uintptr_t)m->data);
}
static dnnl_status_t append_sum(dnnl_post_ops_t after) {
  return dnnl_post_ops_append_sum(after, 1.0f);
}
static dnnl_status_t describe_product(dnnl_primitive_desc_t *out, layout *x, layout *w, layout *y,
                                      dnnl_primitive_attr_t attributes) {
  dnnl_matmul_desc_t matmul;
  dnnl_status_t st = dnnl_matmul_desc_init(&matmul, x, w, NULL, y);
  return st != dnnl_success ? st
                            : dnnl_primitive_desc_create(out, &matmul, attributes, engine, NULL);
}

#endif

/* ---- one product ---- */

/* Everything it needs; all members may be zero. */
typedef struct product {
  dnnl_post_ops_t after;
  dnnl_primitive_attr_t attributes;
  dnnl_primitive_desc_t description;
  dnnl_primitive_t primitive;
  dnnl_stream_t stream;
  layout x_layout, w_layout, out_layout;
  dnnl_memory_t x, w, out;
} product;

static void product_deinit(product *p) {
  if (p->out != NULL) dnnl_memory_destroy(p->out);
  if (p->w != NULL) dnnl_memory_destroy(p->w);
  if (p->x != NULL) dnnl_memory_destroy(p->x);
  if (p->stream != NULL) dnnl_stream_destroy(p->stream);
  if (p->primitive != NULL) dnnl_primitive_destroy(p->primitive);
  if (p->description != NULL) dnnl_primitive_desc_destroy(p->description);
  if (p->attributes != NULL) dnnl_primitive_attr_destroy(p->attributes);
  if (p->after != NULL) dnnl_post_ops_destroy(p->after);
  layout_deinit(&p->out_layout);
  layout_deinit(&p->w_layout);
  layout_deinit(&p->x_layout);
}

/* The product is added to what is there. */
static dnnl_status_t make_adding(product *p) {
  dnnl_status_t st = dnnl_post_ops_create(&p->after);
  if (st == dnnl_success) st = append_sum(p->after);
  if (st == dnnl_success) st = dnnl_primitive_attr_create(&p->attributes);
  if (st == dnnl_success) st = dnnl_primitive_attr_set_post_ops(p->attributes, p->after);
  return st;
}

/* Kernels that were generated for a shape come from oneDNN's own cache, which all threads share;
 * the primitive around them is cheap, and must belong to the thread that runs it (its scratch is
 * thread-local). */
static dnnl_status_t make_primitive(product *p, const matrix *x, const matrix *w,
                                    const matrix *out) {
  dnnl_status_t st = layout_init(&p->x_layout, x);
  if (st == dnnl_success) st = layout_init(&p->w_layout, w);
  if (st == dnnl_success) st = layout_init(&p->out_layout, out);
  if (st == dnnl_success)
    st = describe_product(&p->description, &p->x_layout, &p->w_layout, &p->out_layout,
                          p->attributes);
  if (st == dnnl_success) st = dnnl_primitive_create(&p->primitive, p->description);
  return st;
}

static dnnl_status_t execute(product *p, const matrix *x, const matrix *w, const matrix *out) {
  dnnl_status_t st = dnnl_stream_create(&p->stream, engine, dnnl_stream_default_flags);
  if (st == dnnl_success) st = wrap(&p->x, &p->x_layout, x);
  if (st == dnnl_success) st = wrap(&p->w, &p->w_layout, w);
  if (st == dnnl_success) st = wrap(&p->out, &p->out_layout, out);
  if (st != dnnl_success) return st;
  const dnnl_exec_arg_t args[] = {
      {DNNL_ARG_SRC, p->x}, {DNNL_ARG_WEIGHTS, p->w}, {DNNL_ARG_DST, p->out}};
  st = dnnl_primitive_execute(p->primitive, p->stream, 3, args);
  return st != dnnl_success ? st : dnnl_stream_wait(p->stream);
}

/* out = x w, or out += x w */
static lb_status multiply(matrix x, matrix w, matrix out, bool add) {
  pthread_once(&engine_once, make_engine);
  if (engine_status != dnnl_success) return status_of(engine_status);
  product p = {0};
  sigset_t before = hold_signals();
  dnnl_status_t st = add ? make_adding(&p) : dnnl_success;
  if (st == dnnl_success) st = make_primitive(&p, &x, &w, &out);
  if (st == dnnl_success) st = execute(&p, &x, &w, &out);
  product_deinit(&p);
  let_signals_in(before);
  return status_of(st);
}

/* [rows,columns], row-major with leading dimension `ld`; or the transpose of such a matrix. */
static matrix row_major(dnnl_data_type_t type, const void *data, int64_t rows, int64_t columns,
                        int64_t ld) {
  return (matrix){.type = type,
                  .rows = rows,
                  .columns = columns,
                  .row_stride = ld,
                  .column_stride = 1,
                  .data = data};
}

static matrix transposed(matrix m) {
  return (matrix){.type = m.type,
                  .rows = m.columns,
                  .columns = m.rows,
                  .row_stride = m.column_stride,
                  .column_stride = m.row_stride,
                  .data = m.data};
}

lb_status lb__onednn_gemm_bf16(float *out, int64_t ldo, const uint16_t *x, const uint16_t *w,
                               int64_t M, int64_t N, int64_t K) {
  return multiply(row_major(dnnl_bf16, x, M, K, K), transposed(row_major(dnnl_bf16, w, N, K, K)),
                  row_major(dnnl_f32, out, M, N, ldo), false);
}

lb_status lb__onednn_gemm_add_bf16(const lb__gemm_add *g) {
  matrix a = g->a_transposed ? transposed(row_major(dnnl_bf16, g->a, g->K, g->M, g->lda))
                             : row_major(dnnl_bf16, g->a, g->M, g->K, g->lda);
  return multiply(a, row_major(dnnl_bf16, g->b, g->K, g->N, g->ldb),
                  row_major(dnnl_f32, g->c, g->M, g->N, g->ldc), true);
}

/* gradient_probe.c - see gradient_probe.h. */
#include "gradient_probe.h"

#include <math.h>
#include <stdio.h>

lb__kernel_table probe_right;

/* ---- inputs ---- */

static double draw(gradient_probe *p) {
  double sum = -2.0; /* roughly normal, deviation about 1 */
  for (int i = 0; i < 4; i++) {
    p->seed = p->seed * 6364136223846793005u + 1442695040888963407u;
    sum += (double)(p->seed >> 32) / 4294967296.0;
  }
  return sum * 1.7;
}

/* The next tensor of this run; *is_new when it is to be filled. */
static lb_tensor *next_tensor(gradient_probe *p, bool *is_new, lb_dtype dtype, int rank,
                              const int64_t *shape) {
  lb_tensor *t = &p->tensors[p->next];
  assert_true(p->next < PROBE_MOST_TENSORS);
  *is_new = p->next++ == p->n_tensors;
  if (!*is_new) return t;
  p->n_tensors++;
  assert_int_equal(lb__tensor_init(t, dtype, rank, shape, NULL), LB_OK);
  return t;
}

lb_tensor *probe_constant(gradient_probe *p, int rank, int64_t a, int64_t b, int64_t c) {
  bool is_new;
  lb_tensor *t = next_tensor(p, &is_new, LB_DTYPE_F64, rank, (int64_t[]){a, b, c});
  double *values = lb__tensor_data(t);
  for (int64_t i = 0; is_new && i < lb__tensor_elements(t); i++) values[i] = draw(p);
  return t;
}

lb_tensor *probe_input(gradient_probe *p, int rank, int64_t a, int64_t b, int64_t c) {
  lb_tensor *t = probe_constant(p, rank, a, b, c);
  lb__gradient *g = &p->gradients[t - p->tensors];
  if (t->gradient != NULL) return t;
  *g = (lb__gradient){.memory_ = calloc(1, t->size_bytes + 1), .size_bytes = t->size_bytes};
  assert_non_null(g->memory_);
  t->gradient = g;
  return t;
}

lb_tensor *probe_weight(gradient_probe *p, lb_dtype dtype, int64_t rows, int64_t columns) {
  bool is_new;
  const int64_t shape[] = {rows, columns};
  lb_tensor values, *t = next_tensor(p, &is_new, dtype, 2, shape);
  if (!is_new) return t;
  assert_int_equal(lb__tensor_init(&values, LB_DTYPE_F32, 2, shape, NULL), LB_OK);
  for (int64_t i = 0; i < rows * columns; i++) lb__tensor_f32(&values)[i] = (float)draw(p);
  PROBE_OK(lb__op_cast(t, &values, &p->err));
  lb__tensor_deinit(&values);
  return t;
}

lb_tensor *probe_f32(gradient_probe *p, int64_t n, const float *values) {
  bool is_new;
  lb_tensor *t = next_tensor(p, &is_new, LB_DTYPE_F32, 1, &n);
  if (is_new) PROBE_OK(lb__tensor_write(t, 0, values, t->size_bytes, &p->err));
  return t;
}

lb_tensor *probe_i32(gradient_probe *p, int64_t n, const int32_t *values) {
  bool is_new;
  lb_tensor *t = next_tensor(p, &is_new, LB_DTYPE_I32, 1, &n);
  if (is_new) PROBE_OK(lb__tensor_write(t, 0, values, t->size_bytes, &p->err));
  return t;
}

/* ---- the loss ---- */

static double weight_of(int64_t i) {
  return cos(1.0 + 2.3 * (double)i) + 0.1;
}

static lb_status sum_backward(lb__stream *s, const lb_tensor *dout, void *saved, lb_error *err) {
  (void)dout;
  lb_tensor dy;
  bool wanted;
  lb_status st = lb__gradient_view(&dy, &wanted, s, saved, err);
  double *values = st == LB_OK && wanted ? lb__tensor_data(&dy) : NULL;
  for (int64_t i = 0; values != NULL && i < lb__tensor_elements(&dy); i++)
    values[i] += weight_of(i);
  return st;
}

double probe_sum(gradient_probe *p, lb_tensor *y) {
  assert_int_equal(y->dtype, LB_DTYPE_F64);
  const double *values = lb__tensor_data(y);
  double sum = 0.0;
  for (int64_t i = 0; i < lb__tensor_elements(y); i++) sum += weight_of(i) * values[i];
  if (lb__tape_wants(&p->stream, y))
    PROBE_OK(lb__tape_record(&p->stream, NULL, false, sum_backward, y, sizeof *y, &p->err));
  return sum;
}

/* ---- the check ---- */

static double loss_of(gradient_probe *p, const gradient_case *c) {
  p->next = 0;
  double loss = c->loss(p);
  lb__stream_reset(&p->stream);
  return loss;
}

static void walk_back(gradient_probe *p, const gradient_case *c) {
  lb__tape tape;
  p->next = 0;
  lb__tape_begin(&tape, &p->stream);
  c->loss(p);
  PROBE_OK(lb__tape_backward(&p->stream, &p->err));
  lb__stream_reset(&p->stream);
}

static double largest_of(const double *values, int64_t n) {
  double largest = 0.0;
  for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs(values[i]));
  return largest;
}

/* (L(x + h) - L(x - h)) / 2h for each element of one input. */
static double input_error(gradient_probe *p, const gradient_case *c, const lb_tensor *t) {
  const double h = 1e-5;
  int64_t n = lb__tensor_elements(t);
  double *x = lb__tensor_data(t), worst = 0.0;
  const double *gradient = t->gradient->memory_;
  double floor = fmax(1e-2 * largest_of(gradient, n), 1e-4);
  for (int64_t i = 0; i < n; i++) {
    double before = x[i];
    x[i] = before + h;
    double above = loss_of(p, c);
    x[i] = before - h;
    double difference = (above - loss_of(p, c)) / (2.0 * h);
    x[i] = before;
    double size = fmax(fmax(fabs(difference), fabs(gradient[i])), floor);
    double error = fabs(difference - gradient[i]);
    worst = fmax(worst, isfinite(error) ? error / size : INFINITY);
  }
  return worst;
}

double gradient_case_error(const gradient_case *c) {
  gradient_probe p = {.seed = 20240607};
  double worst = 0.0;
  int inputs = 0;
  lb__stream_init(&p.stream, lb__device_cpu());
  p.stream.real = LB_DTYPE_F64;
  loss_of(&p, c);
  walk_back(&p, c);
  for (int i = 0; i < p.n_tensors; i++) {
    if (p.tensors[i].gradient == NULL) continue;
    worst = fmax(worst, input_error(&p, c, &p.tensors[i]));
    inputs++;
  }
  assert_true(inputs > 0);
  for (int i = 0; i < p.n_tensors; i++) {
    free(p.gradients[i].memory_);
    lb__tensor_deinit(&p.tensors[i]);
  }
  lb__stream_deinit(&p.stream);
  return worst;
}

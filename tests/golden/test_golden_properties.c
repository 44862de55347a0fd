/* test_golden_properties.c - what must hold of a distillation step whatever the numbers are, for
 * every family: micro-batches add up, a student that is its teacher has nothing to learn, masked
 * positions count for nothing, chunks and threads change nothing. Several are bugs that were met in
 * the field (a mean of means over micro-batches; NaN when all is masked; a teacher compared with
 * itself). Read next: test_golden_gradients.c for the values. */
#include "golden_gradients.h"

#include "tolerances.h"

#include "loss/fused_head.h"

#include <limbeck/environment.h>

#include <math.h>
#include <string.h>

typedef struct step { /* one step of distillation and what it left */
  lb_model *student, *teacher;
  golden_file file;
  golden_batch batch;
  int64_t chunk_tokens;
  double alpha; /* weight of KD; 0: cross-entropy alone */
  double ce, kd;
} step;

static void step_open(step *s, const char *name, lb_dtype real) {
  char *path = golden_path("gradients/%s.safetensors", name);
  *s = (step){.alpha = 0.7};
  golden_file_open(&s->file, path);
  golden_batch_load(&s->batch, &s->file);
  s->student = golden_open_trainable(real, "models/%s", name);
  s->teacher = golden_open_trainable(real, "models/%s", name);
  free(path);
}

static void step_close(step *s) {
  lb_model_free(s->student);
  lb_model_free(s->teacher);
  golden_batch_unload(&s->batch);
  golden_file_close(&s->file);
}

/* Every parameter of the teacher gets a little noise, always the same. */
static void make_teacher_another(step *s) {
  size_t n;
  uint32_t state = 12345;
  const lb__parameter *list = lb__model_parameters(s->teacher, &n);
  for (size_t k = 0; k < n; k++) {
    for (size_t i = 0; i < (size_t)lb__tensor_elements(list[k].tensor); i++) {
      state = state * 1664525u + 1013904223u;
      double noise = 0.2 * ((double)(state >> 8) / (1 << 24) - 0.5);
      golden_set(list[k].tensor, i, golden_get(list[k].tensor, i) + noise);
    }
  }
}

static lb__head_side head_of(const lb_model *m, const lb_tensor *hidden) {
  lb__head_side side = {.hidden = hidden};
  side.weight = lb__model_head(m, &side.softcap);
  return side;
}

/* Forward and backward of one batch; adds to gradients, s->ce and s->kd (already divided). */
static void run(step *s, const lb__batch *b, const int32_t *targets, double n_trained) {
  lb_error err;
  lb__stream mine, theirs;
  lb__tape tape;
  lb_tensor *hidden, *wanted, *index;
  lb__fused_head_sums sums = {0};
  lb__divergence_term terms[2] = {
      {.kind = LB__DIVERGENCE_cross_entropy,
       .coefficient = 1 - s->alpha,
       .temperature = 1,
       .factor = 1},
      {.kind = LB__DIVERGENCE_forward_kl, .coefficient = s->alpha, .temperature = 2, .factor = 4}};
  lb__model_stream_init(&mine, s->student);
  lb__model_stream_init(&theirs, s->teacher);
  golden_must(lb__model_hidden(&wanted, s->teacher, &theirs, b, &err), &err);
  lb__tape_begin(&tape, &mine);
  golden_must(lb__model_hidden(&hidden, s->student, &mine, b, &err), &err);
  golden_must(lb__stream_i32(&index, &mine, targets, b->n_tokens, &err), &err);
  lb__head_side teacher = head_of(s->teacher, wanted);
  lb__fused_head_args args = {.student = head_of(s->student, hidden),
                              .teacher = &teacher,
                              .targets = index,
                              .vocab = lb_model_get_info(s->student)->vocab_size,
                              .terms = terms,
                              .n_terms = 2,
                              .scale = 1 / n_trained,
                              .chunk_tokens = s->chunk_tokens};
  golden_must(lb__fused_head(&mine, &sums, &args, &err), &err);
  golden_must(lb__tape_backward(&mine, &err), &err);
  s->ce += sums.terms[0] / n_trained;
  s->kd += sums.terms[1] / n_trained;
  lb__stream_deinit(&mine);
  lb__stream_deinit(&theirs);
}

static void run_whole(step *s) {
  lb__model_zero_gradients(s->student);
  s->ce = s->kd = 0;
  run(s, &s->batch.batch, s->batch.targets.i32, (double)s->batch.n_trained);
}

/* All gradients, one after the other. free() */
static double *gradients(const step *s, size_t *n) {
  size_t n_parameters, at = 0;
  const lb__parameter *list = lb__model_parameters(s->student, &n_parameters);
  for (size_t k = *n = 0; k < n_parameters; k++) *n += (size_t)lb__tensor_elements(list[k].tensor);
  double *all = malloc(*n * sizeof *all);
  assert_non_null(all);
  for (size_t k = 0; k < n_parameters; k++) {
    lb_tensor g = lb__tensor_gradient(list[k].tensor);
    for (size_t i = 0; i < (size_t)lb__tensor_elements(&g); i++) all[at++] = golden_get(&g, i);
  }
  return all;
}

static double largest(const double *x, size_t n) {
  double most = 0;
  for (size_t i = 0; i < n; i++) most = fmax(most, isfinite(x[i]) ? fabs(x[i]) : INFINITY);
  return most;
}

/* The largest difference, as a share of the largest. */
static double difference(const double *x, const double *y, size_t n) {
  double worst = 0;
  for (size_t i = 0; i < n; i++) worst = fmax(worst, fabs(x[i] - y[i]));
  return worst / largest(x, n);
}

/* ---- the properties ---- */

/* A batch of five documents is five micro-batches of one, with the same normaliser: unequal lengths
 * are where a mean of means shows. */
static void micro_batches_add_up(void **state) {
  step s;
  size_t n;
  step_open(&s, *state, LB_DTYPE_F64);
  make_teacher_another(&s);
  run_whole(&s);
  double *whole = gradients(&s, &n), ce = s.ce, kd = s.kd;
  lb__model_zero_gradients(s.student);
  s.ce = s.kd = 0;
  const int32_t *starts = s.batch.batch.doc_start;
  for (int64_t d = 0; d < s.batch.batch.n_docs; d++) {
    int32_t begin = starts[d], alone[2] = {0, starts[d + 1] - begin};
    lb__batch one = {.n_tokens = alone[1],
                     .n_docs = 1,
                     .ids = s.batch.batch.ids + begin,
                     .positions = s.batch.batch.positions + begin,
                     .doc_start = alone};
    run(&s, &one, s.batch.targets.i32 + begin, (double)s.batch.n_trained);
  }
  double *parts = gradients(&s, &n), off = difference(whole, parts, n);
  print_message("           %s: %.1e\n", (const char *)*state, off);
  assert_true(off <= LB_TOL_PROPERTY_F64);
  assert_true(fabs(s.ce / ce - 1) <= LB_TOL_PROPERTY_F64);
  assert_true(fabs(s.kd / kd - 1) <= LB_TOL_PROPERTY_F64);
  free(whole);
  free(parts);
  step_close(&s);
}

/* KL(p || p) = 0, and so is its gradient; another teacher gives something to learn, so the
 * teacher's logits do enter. */
static void a_student_that_is_its_teacher_learns_nothing(void **state) {
  step s;
  size_t n;
  step_open(&s, *state, LB_DTYPE_F64);
  s.alpha = 1;
  run_whole(&s);
  double *none = gradients(&s, &n), nothing = largest(none, n);
  assert_true(fabs(s.kd) <= LB_TOL_PROPERTY_F64);
  assert_true(nothing <= LB_TOL_PROPERTY_F64);
  make_teacher_another(&s);
  run_whole(&s);
  double *some = gradients(&s, &n);
  assert_true(s.kd > 1e-3);
  assert_true(largest(some, n) > 1e-4);
  free(none);
  free(some);
  step_close(&s);
}

/* Nothing is trained: cross-entropy is exactly 0, its gradients too; no 0 / 0. */
static void all_masked_is_nothing(void **state) {
  step s;
  size_t n;
  step_open(&s, *state, LB_DTYPE_F32);
  s.alpha = 0;
  int32_t *masked = malloc((size_t)s.batch.batch.n_tokens * sizeof *masked);
  assert_non_null(masked);
  for (int64_t i = 0; i < s.batch.batch.n_tokens; i++) masked[i] = -100;
  run(&s, &s.batch.batch, masked, 1);
  double *all = gradients(&s, &n);
  assert_true(s.ce == 0.0);
  assert_true(largest(all, n) == 0.0);
  free(masked);
  free(all);
  step_close(&s);
}

static void chunks_change_nothing(void **state) {
  static const int64_t sizes[] = {1, 7, 1000};
  step s;
  size_t n;
  step_open(&s, *state, LB_DTYPE_F64);
  make_teacher_another(&s);
  run_whole(&s);
  double *usual = gradients(&s, &n), kd = s.kd;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    s.chunk_tokens = sizes[i];
    run_whole(&s);
    double *other = gradients(&s, &n);
    assert_true(difference(usual, other, n) <= LB_TOL_PROPERTY_F64);
    assert_true(fabs(s.kd / kd - 1) <= LB_TOL_PROPERTY_F64);
    free(other);
  }
  free(usual);
  step_close(&s);
}

/* Bit for bit, so that a resumed run may have another number of threads. */
static void threads_change_no_bit(void **state) {
  step s;
  size_t n;
  step_open(&s, *state, LB_DTYPE_F32);
  make_teacher_another(&s);
  lb_threads_set(1);
  run_whole(&s);
  double *one = gradients(&s, &n), ce = s.ce, kd = s.kd;
  for (int threads = 2; threads <= 3; threads++) {
    lb_threads_set(threads);
    run_whole(&s);
    double *more = gradients(&s, &n);
    assert_memory_equal(one, more, n * sizeof *one);
    assert_true(ce == s.ce && kd == s.kd);
    free(more);
  }
  free(one);
  step_close(&s);
}

int main(void) {
  int failed = golden_run_models("micro-batches add up", micro_batches_add_up);
  failed += golden_run_models("a student that is its teacher",
                              a_student_that_is_its_teacher_learns_nothing);
  failed += golden_run_models("all masked", all_masked_is_nothing);
  failed += golden_run_models("chunks", chunks_change_nothing);
  return failed + golden_run_models("threads", threads_change_no_bit);
}

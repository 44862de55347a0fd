/* test_golden_losses.c - distillation of whole tiny models: the terms and every gradient of
 * PyTorch's, for logits (KD with temperature, and cross-entropy), hidden states through a
 * projector, and attention relations. Two pairs: other widths, depths and head counts; a padded
 * vocabulary. Read next: generate/distil_losses.py, which says the same in PyTorch. */
#include "golden_gradients.h"

#include "tolerances.h"

#include "loss/fused_head.h"

#include <math.h>
#include <string.h>

static const double TEMPERATURE = 2.0, ALPHA = 0.7, BETA = 0.3;

typedef struct pair { /* a teacher, a student, a batch and what PyTorch made of them */
  const char *name;
  lb_dtype real;
  double tolerance;
  golden_file file;
  json_t *facts;
  golden_batch batch;
  lb_model *teacher, *student;
  lb__stream teacher_stream, stream;
  lb__taps teacher_taps, taps;
  lb_tensor *teacher_hidden, *hidden;
  lb_tensor projector[2], projector_gradient[2]; /* weight, bias */
  lb__gradient projector_slot[2];
  int32_t *rows, *targets; /* [n_trained] */
} pair;

typedef struct terms {
  double loss, ce, kd, hidden, attention;
} terms;

static void load_rows(pair *p) {
  size_t n = 0;
  p->rows = calloc((size_t)p->batch.n_trained, sizeof *p->rows);
  p->targets = calloc((size_t)p->batch.n_trained, sizeof *p->targets);
  assert_true(p->rows != NULL && p->targets != NULL);
  for (size_t i = 0; i < p->batch.targets.n; i++) {
    if (p->batch.targets.i32[i] < 0) continue;
    p->rows[n] = (int32_t)i;
    p->targets[n++] = p->batch.targets.i32[i];
  }
}

static const char *const projector_parts[2] = {"projector.weight", "projector.bias"};

static void load_projector(pair *p, int part) {
  lb_error err;
  lb_tensor *t = &p->projector[part], *gradient = &p->projector_gradient[part];
  golden_tensor w = golden_file_tensor(&p->file, "F32", "%s", projector_parts[part]);
  int64_t shape[2] = {(int64_t)w.shape[0], (int64_t)w.shape[1]};
  golden_must(lb__tensor_init(t, p->real, w.rank, shape, &err), &err);
  golden_must(lb__tensor_init(gradient, p->real, w.rank, shape, &err), &err);
  for (size_t i = 0; i < w.n; i++) golden_set(t, i, (double)w.f32[i]);
  lb__tensor_bind_gradient(t, &p->projector_slot[part], gradient);
}

static void pair_load(pair *p) {
  char *tensors = golden_path("train/losses-%s.safetensors", p->name);
  char *facts = golden_path("train/losses-%s.json", p->name);
  golden_file_open(&p->file, tensors);
  p->facts = golden_json(facts);
  golden_batch_load(&p->batch, &p->file);
  p->teacher = golden_open_trainable(p->real, "train/%s-teacher", p->name);
  p->student = golden_open_trainable(p->real, "train/%s-student", p->name);
  lb__model_stream_init(&p->teacher_stream, p->teacher);
  lb__model_stream_init(&p->stream, p->student);
  load_rows(p);
  for (int i = 0; i < 2; i++) load_projector(p, i);
  free(tensors);
  free(facts);
}

static void pair_unload(pair *p) {
  lb__stream_deinit(&p->stream);
  lb__stream_deinit(&p->teacher_stream);
  lb_model_free(p->teacher);
  lb_model_free(p->student);
  for (int i = 0; i < 2; i++) lb__tensor_deinit(&p->projector[i]);
  for (int i = 0; i < 2; i++) lb__tensor_deinit(&p->projector_gradient[i]);
  golden_batch_unload(&p->batch);
  golden_file_close(&p->file);
  json_decref(p->facts);
  free(p->rows);
  free(p->targets);
}

/* ---- one pass of both models ---- */

static lb__taps last_layer(const lb_model *m) {
  int64_t n = lb_model_get_info(m)->n_layers;
  return (lb__taps){
      .n_hidden = 1, .hidden_layers = {n}, .n_attention = 1, .attention_layers = {n - 1}};
}

static void forward(pair *p, lb__tape *tape) {
  lb_error err;
  p->taps = last_layer(p->student), p->teacher_taps = last_layer(p->teacher);
  lb__pass_options ours = {.taps = &p->taps}, theirs = {.taps = &p->teacher_taps};
  lb__model_zero_gradients(p->student);
  for (int i = 0; i < 2; i++) lb__tensor_zero(&p->projector_gradient[i]);
  lb__stream_reset(&p->stream);
  lb__stream_reset(&p->teacher_stream);
  golden_must(lb__model_pass(&p->teacher_hidden, p->teacher, &p->teacher_stream, &p->batch.batch,
                             &theirs, &err),
              &err);
  lb__tape_begin(tape, &p->stream);
  golden_must(lb__model_pass(&p->hidden, p->student, &p->stream, &p->batch.batch, &ours, &err),
              &err);
}

static lb_tensor *pick_trained(pair *p, lb__stream *s, const lb_tensor *hidden) {
  lb_error err;
  lb_tensor *out;
  golden_must(lb__model_pick(&out, s, hidden, p->rows, p->batch.n_trained, &err), &err);
  return out;
}

/* alpha * T^2 * KL + (1 - alpha) * CE, over the trained positions and the common vocabulary. */
static void add_logits(pair *p, terms *t) {
  lb_error err;
  lb_tensor *targets;
  double n = (double)p->batch.n_trained;
  lb__fused_head_sums sums = {0};
  lb__divergence_term list[2] = {{.kind = LB__DIVERGENCE_cross_entropy,
                                  .coefficient = 1 - ALPHA,
                                  .temperature = 1,
                                  .factor = 1},
                                 {.kind = LB__DIVERGENCE_forward_kl,
                                  .coefficient = ALPHA,
                                  .temperature = TEMPERATURE,
                                  .factor = TEMPERATURE * TEMPERATURE}};
  lb__head_side teacher = {.hidden = pick_trained(p, &p->teacher_stream, p->teacher_hidden)};
  teacher.weight = lb__model_head(p->teacher, &teacher.softcap);
  golden_must(lb__stream_i32(&targets, &p->stream, p->targets, p->batch.n_trained, &err), &err);
  lb__fused_head_args args = {.student.hidden = pick_trained(p, &p->stream, p->hidden),
                              .teacher = &teacher,
                              .targets = targets,
                              .vocab = golden_int(p->facts, "vocab", 0),
                              .terms = list,
                              .n_terms = 2,
                              .scale = 1 / n,
                              .chunk_tokens = 50};
  args.student.weight = lb__model_head(p->student, &args.student.softcap);
  golden_must(lb__fused_head(&p->stream, &sums, &args, &err), &err);
  t->ce = sums.terms[0] / n, t->kd = sums.terms[1] / n;
  t->loss = ALPHA * t->kd + (1 - ALPHA) * t->ce;
}

/* beta * mean squared difference of the trained positions' last hidden states, projected. */
static void add_hidden(pair *p, terms *t) {
  lb_error err;
  double sum = 0, n = (double)p->batch.n_trained;
  lb_tensor *x = pick_trained(p, &p->stream, p->taps.hidden[0]);
  const lb_tensor *target = pick_trained(p, &p->teacher_stream, p->teacher_taps.hidden[0]);
  golden_must(lb__op_linear(&p->stream, &x, x, &p->projector[0], &p->projector[1], &err), &err);
  golden_must(lb__op_mse(&p->stream, &sum, x, target, BETA / n, &err), &err);
  t->hidden = sum / n;
  t->loss += BETA * t->hidden;
}

static lb_tensor *side_by_side(lb__stream *s, const lb_tensor *heads) {
  lb_error err;
  lb_tensor *out;
  int64_t shape[2] = {heads->shape[0], heads->shape[1] * heads->shape[2]};
  golden_must(lb__op_reshape(s, &out, heads, 2, shape, &err), &err);
  return out;
}

/* beta * the relations' divergence, over every token: the mean of q, k and v. */
static void add_attention(pair *p, terms *t) {
  lb_error err;
  lb_tensor *starts;
  const lb__batch *b = &p->batch.batch;
  double sum = 0, n = (double)b->n_tokens;
  lb_tensor *ours[3] = {p->taps.q[0], p->taps.k[0], p->taps.v[0]};
  lb_tensor *theirs[3] = {p->teacher_taps.q[0], p->teacher_taps.k[0], p->teacher_taps.v[0]};
  golden_must(lb__stream_i32(&starts, &p->stream, b->doc_start, b->n_docs + 1, &err), &err);
  for (int i = 0; i < 3; i++) {
    const lb_tensor *x = side_by_side(&p->stream, ours[i]);
    const lb_tensor *target = side_by_side(&p->teacher_stream, theirs[i]);
    golden_must(lb__op_relation(&p->stream, &sum, x, target, starts,
                                golden_int(p->facts, "relation_heads", 0), BETA / 3 / n, &err),
                &err);
  }
  t->attention = sum / 3 / n;
  t->loss += BETA * t->attention;
}

/* ---- comparing ---- */

static void compare_value(const pair *p, const char *kind, const char *term, double got) {
  double want = golden_real(json_object_get(p->facts, kind), term, NAN);
  if (!(fabs(got - want) <= p->tolerance * fabs(want)))
    fail_msg("%s, %s: %s is %.9g, want %.9g", p->name, kind, term, got, want);
}

static void compare_projector(const pair *p) {
  for (int i = 0; i < 2; i++) {
    golden_tensor want = golden_file_tensor(&p->file, "F32", "hidden.%s", projector_parts[i]);
    lb__parameter part = {.name = (char *)(uintptr_t)projector_parts[i],
                          .tensor = (lb_tensor *)(uintptr_t)&p->projector[i]};
    double off = golden_compare_gradient(&want, &part, 0);
    if (!(off <= p->tolerance))
      fail_msg("%s: gradient of %s off by %g", p->name, projector_parts[i], off);
  }
}

static void check_kind(pair *p, const char *kind, void (*add)(pair *, terms *)) {
  lb_error err;
  lb__tape tape;
  terms t = {0};
  forward(p, &tape);
  add_logits(p, &t);
  if (add != NULL) add(p, &t);
  golden_must(lb__tape_backward(&p->stream, &err), &err);
  compare_value(p, kind, "ce", t.ce);
  compare_value(p, kind, "kd", t.kd);
  compare_value(p, kind, "loss", t.loss);
  if (add == add_hidden) compare_value(p, kind, "hidden", t.hidden);
  if (add == add_attention) compare_value(p, kind, "attention", t.attention);
  if (add == add_hidden) compare_projector(p);
  double worst = golden_compare_gradients(&p->file, kind, p->student, p->tolerance);
  print_message("           %s, %s: gradients off by %.1e\n", p->name, kind, worst);
}

static void check_pair(const char *name, lb_dtype real, double tolerance) {
  pair p = {.name = name, .real = real, .tolerance = tolerance};
  pair_load(&p);
  check_kind(&p, "logits", NULL);
  check_kind(&p, "hidden", add_hidden);
  check_kind(&p, "attention", add_attention);
  pair_unload(&p);
}

static void llama_in_double(void **state) {
  (void)state;
  check_pair("llama", LB_DTYPE_F64, LB_TOL_GOLDEN_GRADIENT_F64);
}

static void gpt2_in_double(void **state) {
  (void)state;
  check_pair("gpt2", LB_DTYPE_F64, LB_TOL_GOLDEN_GRADIENT_F64);
}

static void llama_in_float32(void **state) {
  (void)state;
  check_pair("llama", LB_DTYPE_F32, LB_TOL_GOLDEN_GRADIENT_F32);
}

static void gpt2_in_float32(void **state) {
  (void)state;
  check_pair("gpt2", LB_DTYPE_F32, LB_TOL_GOLDEN_GRADIENT_F32);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(llama_in_double), cmocka_unit_test(gpt2_in_double),
      cmocka_unit_test(llama_in_float32), cmocka_unit_test(gpt2_in_float32)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_golden_gradients.c - the gradient of every parameter of every family is PyTorch's, in
 * double. One case per folder of data/models: documents of ragged lengths packed end to end, where
 * PyTorch ran them one by one; in double, in float32, and with activations computed again. Read
 * next: generate/gradients.py, which made data/gradients. */
#include "golden_gradients.h"

#include "tolerances.h"

#include "loss/fused_head.h"

#include <math.h>
#include <string.h>

typedef struct how {
  lb_dtype real;
  bool gradient_checkpointing;
  double tolerance; /* of the largest gradient of a parameter */
} how;

/* Cross-entropy of the hidden states, recorded: several chunks, the last one short. */
static double head_loss(lb__stream *s, const lb_tensor *hidden, const lb_model *model,
                        const golden_batch *b) {
  lb_error err;
  lb_tensor *targets;
  lb__fused_head_sums sums = {0};
  lb__divergence_term term = {
      .kind = LB__DIVERGENCE_cross_entropy, .coefficient = 1, .temperature = 1, .factor = 1};
  golden_must(lb__stream_i32(&targets, s, b->targets.i32, b->batch.n_tokens, &err), &err);
  lb__fused_head_args args = {.student.hidden = hidden,
                              .targets = targets,
                              .vocab = lb_model_get_info(model)->vocab_size,
                              .terms = &term,
                              .n_terms = 1,
                              .scale = 1.0 / (double)b->n_trained,
                              .chunk_tokens = 17};
  args.student.weight = lb__model_head(model, &args.student.softcap);
  golden_must(lb__fused_head(s, &sums, &args, &err), &err);
  return sums.terms[0] / (double)b->n_trained;
}

/* The loss of the packed batch; gradients are in the model afterwards. */
static double run(lb_model *model, const golden_batch *b, const how *h) {
  lb_error err;
  lb__stream s;
  lb__tape tape;
  lb_tensor *hidden;
  lb__pass_options options = {.gradient_checkpointing = h->gradient_checkpointing};
  lb__model_zero_gradients(model);
  lb__model_stream_init(&s, model);
  lb__tape_begin(&tape, &s);
  golden_must(lb__model_pass(&hidden, model, &s, &b->batch, &options, &err), &err);
  double loss = head_loss(&s, hidden, model, b);
  golden_must(lb__tape_backward(&s, &err), &err);
  lb__stream_deinit(&s);
  return loss;
}

static void check(const char *name, const how *h) {
  size_t n;
  golden_file f;
  golden_batch b;
  char *path = golden_path("gradients/%s.safetensors", name);
  golden_file_open(&f, path);
  golden_batch_load(&b, &f);
  double want = golden_file_tensor(&f, "F64", "loss").f64[0];
  lb_model *model = golden_open_trainable(h->real, "models/%s", name);
  lb__model_parameters(model, &n);
  assert_int_equal(n, golden_file_count(&f, "gradient."));
  double loss = run(model, &b, h), off = fabs(loss / want - 1);
  double worst = golden_compare_gradients(&f, "gradient", model, h->tolerance);
  print_message("           %s: loss off by %.1e, gradients by %.1e\n", name, off, worst);
  if (!(off <= h->tolerance)) fail_msg("loss %.9g, want %.9g", loss, want);
  lb_model_free(model);
  golden_batch_unload(&b);
  golden_file_close(&f);
  free(path);
}

static void in_double(void **state) {
  check(*state, &(how){.real = LB_DTYPE_F64, .tolerance = LB_TOL_GOLDEN_GRADIENT_F64});
}

static void in_float32(void **state) {
  check(*state, &(how){.real = LB_DTYPE_F32, .tolerance = LB_TOL_GOLDEN_GRADIENT_F32});
}

static void with_activations_computed_again(void **state) {
  check(*state, &(how){.real = LB_DTYPE_F64,
                       .gradient_checkpointing = true,
                       .tolerance = LB_TOL_GOLDEN_GRADIENT_F64});
}

/* Weight decay is for matrices; Transformers' Trainer leaves biases and norms alone. */
static void decay_is_for_matrices(void **state) {
  size_t n;
  lb_model *model = golden_open_trainable(LB_DTYPE_F32, "models/%s", (const char *)*state);
  const lb__parameter *list = lb__model_parameters(model, &n);
  for (size_t k = 0; k < n; k++) assert_int_equal(list[k].decay, list[k].tensor->rank == 2);
  lb_model_free(model);
}

int main(void) {
  int failed = golden_run_models("gradients in double", in_double);
  failed += golden_run_models("gradients in float32", in_float32);
  failed +=
      golden_run_models("gradients, activations computed again", with_activations_computed_again);
  return failed + golden_run_models("weight decay", decay_is_for_matrices);
}

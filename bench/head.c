/* head.c - J4: both heads of a distillation step, KL and cross entropy, and their gradients:
 * 1024 tokens, 50304 x 768. head_peers.py races it.
 *
 *     bench_head STUDENT TEACHER ROUNDS     precisions f32 or bf16; the teacher's also int8
 *
 * Prints the seconds of each round but the first, which warms up, and the peak memory in MB. */
#include "base/clock.h"
#include "base/fail.h"
#include "kernels/kernels.h"
#include "loss/fused_head.h"
#include "tensor/tape.h"
#include "tensor/tensor_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { TOKENS = 1024, WIDTH = 768, VOCAB = 50304 };

static lb_error err;

static void must(lb_status st) {
  if (st == LB_OK) return;
  fprintf(stderr, "bench_head: %s\n", err.message);
  exit(1);
}

/* [rows,WIDTH], between -scale and scale. */
static lb_tensor matrix(int64_t rows, double scale) {
  static uint64_t seed = 1;
  lb_tensor t;
  must(lb__tensor_init(&t, LB_DTYPE_F32, 2, (int64_t[]){rows, WIDTH}, &err));
  for (int64_t i = 0; i < rows * WIDTH; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    lb__tensor_f32(&t)[i] = (float)(scale * ((double)(seed >> 32) / 2147483648.0 - 1.0));
  }
  return t;
}

static lb_tensor make_targets(void) {
  lb_tensor t;
  must(lb__tensor_init(&t, LB_DTYPE_I32, 1, (int64_t[]){TOKENS}, &err));
  for (int32_t i = 0; i < TOKENS; i++) lb__tensor_i32(&t)[i] = i * 37 % VOCAB;
  return t;
}

static void want_gradient(lb_tensor *t, lb__gradient *g) {
  *g = (lb__gradient){calloc(1, t->size_bytes), t->size_bytes};
  if (g->memory_ == NULL) must(lb__fail_nomem(&err, "gradient"));
  t->gradient = g;
}

static lb__compute compute_named(const char *name) {
  if (strcmp(name, "f32") == 0) return LB__COMPUTE_F32;
  if (strcmp(name, "bf16") == 0) return LB__COMPUTE_BF16;
  if (strcmp(name, "int8") == 0) return LB__COMPUTE_INT8;
  fprintf(stderr, "bench_head: want f32, bf16 or int8, found '%s'\n", name);
  exit(2);
}

/* -> seconds */
static double step(lb__stream *s, const lb__fused_head_args *args) {
  lb__fused_head_sums sums = {0};
  lb__tape tape;
  int64_t begin = lb__clock_ns();
  lb__tape_begin(&tape, s);
  must(lb__fused_head(s, &sums, args, &err));
  must(lb__tape_backward(s, &err));
  double seconds = 1e-9 * (double)(lb__clock_ns() - begin);
  lb__stream_reset(s);
  return seconds;
}

int main(int argc, char **argv) {
  static const lb__divergence_term terms[] = {
      {LB__DIVERGENCE_forward_kl, 0.7, 2.0, 4.0, {0}},
      {LB__DIVERGENCE_cross_entropy, 0.3, 1.0, 1.0, {0}},
  };
  if (argc != 4) {
    fprintf(stderr, "usage: bench_head STUDENT TEACHER ROUNDS\n");
    return 2;
  }
  must(lb__kernels_install(&err));
  lb__stream stream;
  lb__stream_init(&stream, lb__device_cpu());
  lb_tensor hidden = matrix(TOKENS, 1.0), weight = matrix(VOCAB, 0.02);
  lb_tensor teacher_hidden = matrix(TOKENS, 1.0), teacher_weight = matrix(VOCAB, 0.02);
  lb_tensor targets = make_targets();
  lb__gradient hidden_gradient, weight_gradient;
  want_gradient(&hidden, &hidden_gradient);
  want_gradient(&weight, &weight_gradient);
  lb__head_side teacher = {&teacher_hidden, &teacher_weight, 0.0f, compute_named(argv[2])};
  if (teacher.compute == LB__COMPUTE_INT8)
    must(lb__op_pack_weight(&teacher_weight, LB__COMPUTE_INT8, false, &err));
  lb__fused_head_args args = {.student = {&hidden, &weight, 0.0f, compute_named(argv[1])},
                              .teacher = &teacher,
                              .targets = &targets,
                              .vocab = VOCAB,
                              .terms = terms,
                              .n_terms = sizeof terms / sizeof *terms,
                              .scale = 1.0 / TOKENS};
  step(&stream, &args);
  for (int i = atoi(argv[3]); i > 0; i--) printf("%.4f\n", step(&stream, &args));
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  printf("%.0f\n", (double)used.ru_maxrss * 1024e-6);
  return 0;
}

/* tune.c - see tune.h. Owns: the clock, and what it said before. */
#include "tune.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "base/threads.h"
#include "cpu/blocks.h"
#include "cpu/linear_parts.h"
#include "cpu/packed.h"
#include "kernels.h"
#include "onednn/onednn_gemm.h"
#include "tensor/tensor_data.h"

#include <limbeck/status.h>

#include <stdio.h>
#include <string.h>

/* ---- measuring ---- */

static lb_status make_tensor(lb_tensor *t, lb_dtype dtype, int64_t rows, int64_t columns) {
  lb_status st = lb__tensor_init(t, dtype, 2, (int64_t[]){rows, columns}, NULL);
  float *row = st == LB_OK ? lb__new_array((size_t)columns, sizeof *row) : NULL;
  if (row == NULL) return LB_E_NOMEM;
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t i = 0; i < columns; i++) row[i] = (float)((r * 31 + i * 17) % 64 - 32) / 32.0f;
    char *to = (char *)lb__tensor_data(t) + (size_t)r * (t->size_bytes / (size_t)rows);
    lb__row_from_f32(dtype)(to, row, columns);
  }
  lb__free(row);
  return LB_OK;
}

typedef struct trial {
  lb_tensor x, weight, out;
  lb__linear_args args;
  void *workspace;
} trial;

static void trial_deinit(trial *t) {
  lb__free_aligned(t->workspace);
  lb__tensor_deinit(&t->out);
  lb__tensor_deinit(&t->weight);
  lb__tensor_deinit(&t->x);
}

static lb_status trial_init(trial *t, const lb__product_class *c) {
  *t = (trial){.args = {.compute = c->compute}};
  t->args.x = &t->x, t->args.weight = &t->weight, t->args.out = &t->out;
  lb_status st = make_tensor(&t->x, LB_DTYPE_F32, c->N, c->I);
  if (st == LB_OK) st = make_tensor(&t->weight, c->dtype, c->O, c->I);
  if (st == LB_OK) st = make_tensor(&t->out, LB_DTYPE_F32, c->N, c->O);
  if (st == LB_OK && c->compute == LB__COMPUTE_INT8)
    st = lb__int8_pack(&t->weight.packed, &t->weight, LB__COMPUTE_INT8, false);
  if (st != LB_OK) return st;
  t->workspace = lb__alloc_aligned(lb__tuned_linear_workspace(&t->args) + 1);
  return t->workspace != NULL ? LB_OK : LB_E_NOMEM;
}

/* The fastest of several runs: what disturbs can only slow down. */
static double best_gflops(const trial *t, const lb__product_class *c) {
  enum { RUNS = 20, ENOUGH_NS = 10000000 };
  double best = 0.0;
  if (lb__tuned_linear(&t->args, t->workspace) != LB_OK) return 0.0; /* warms up */
  int64_t begin = lb__clock_ns();
  for (int run = 0; run < 1 || (run < RUNS && lb__clock_ns() - begin < ENOUGH_NS); run++) {
    int64_t from = lb__clock_ns();
    if (lb__tuned_linear(&t->args, t->workspace) != LB_OK) return 0.0;
    int64_t took = lb__clock_ns() - from;
    double gflops = took > 0 ? 2.0 * (double)(c->N * c->I * c->O) / (double)took : 0.0;
    if (gflops > best) best = gflops;
  }
  return best;
}

static void measure(lb__product_class *c) {
  for (int i = 0; i < LB__TUNE_CANDIDATES && c->candidates[i].name != NULL; i++) {
    lb__candidate *k = &c->candidates[i];
    trial t;
    if (!k->runs) continue;
    k->select();
    if (trial_init(&t, c) == LB_OK) k->gflops = best_gflops(&t, c);
    trial_deinit(&t);
  }
}

/* ---- choosing ---- */

static void choose_and_select(lb__product_class *c) {
  c->chosen = -1;
  for (int i = 0; i < LB__TUNE_CANDIDATES && c->candidates[i].name != NULL; i++) {
    if (!c->candidates[i].runs) continue;
    double best = c->chosen >= 0 ? c->candidates[c->chosen].gflops : 0.0;
    if (c->chosen < 0 || (best > 0.0 && c->candidates[i].gflops > LB__RATE_MARGIN * best))
      c->chosen = i;
  }
  if (c->chosen >= 0) c->candidates[c->chosen].select();
}

/* ---- what was measured before ---- */

/* {"one row, f32": {"avx512": 21.3, "avx2": 18.8}, ...}; a name for each machine and program. */
static char *cache_file(void) {
  char name[64], version[16], cpu[128];
  size_t n;
  uint64_t key[2] = {1, 0};
  lb__cpu_read(cpu, NULL);
  lb__hash_add(key, lb_version());
  lb__hash_add(key, cpu);
  lb__hash_add(key, lb__onednn_version(version));
  const lb__cpu_feature *all = lb__cpu_features(&n);
  for (size_t i = 0; i < n; i++)
    if (all[i].present) lb__hash_add(key, all[i].name);
  snprintf(name, sizeof name, "kernels-%016llx.json", (unsigned long long)key[1]);
  return lb__cache_path(name);
}

/* Whether it holds a number for all that run. */
static bool recall(lb__product_class *classes, int n, const char *path) {
  enum { FILE_MOST = 1 << 16 };
  json_t *root = NULL;
  bool complete = path != NULL && lb__path_is_file(path) &&
                  lb__json_read(&root, path, FILE_MOST, NULL) == LB_OK && json_is_object(root);
  for (int i = 0; i < n && complete; i++) {
    const json_t *speeds = json_object_get(root, classes[i].name);
    for (int k = 0; k < LB__TUNE_CANDIDATES && classes[i].candidates[k].name != NULL; k++) {
      lb__candidate *c = &classes[i].candidates[k];
      if (!c->runs) continue;
      complete = complete && json_is_object(speeds) &&
                 lb__json_get_real(&c->gflops, speeds, c->name, true, path, NULL) == LB_OK &&
                 c->gflops >= 0.0;
    }
  }
  json_decref(root);
  return complete;
}

static json_t *speeds_of(const lb__product_class *c) {
  json_t *speeds = json_object();
  for (int k = 0; k < LB__TUNE_CANDIDATES && c->candidates[k].name != NULL; k++)
    if (c->candidates[k].runs)
      json_object_set_new(speeds, c->candidates[k].name, json_real(c->candidates[k].gflops));
  return speeds;
}

static void remember(const lb__product_class *classes, int n, const char *path) {
  if (path == NULL) return;
  json_t *root = json_object();
  for (int i = 0; i < n; i++) json_object_set_new(root, classes[i].name, speeds_of(&classes[i]));
  lb_error why = {0};
  lb_status st = lb__cache_save(path, root, &why);
  if (st != LB_OK) lb__log(LB_LOG_INFO, "the speed of kernels is not kept: %s", why.message);
  json_decref(root);
}

static void measure_all(lb__product_class *classes, int n) {
  int threads = lb_threads_get();
  lb__log(LB_LOG_INFO, "measuring kernels, once for this machine");
  lb_threads_set(1);
  for (int i = 0; i < n; i++) {
    measure(&classes[i]);
    choose_and_select(&classes[i]); /* what comes next may be built on it */
  }
  lb_threads_set(threads);
}

void lb__tune(lb__product_class *classes, int n, bool may_measure) {
  char *path = may_measure ? cache_file() : NULL;
  if (may_measure && !recall(classes, n, path)) {
    measure_all(classes, n);
    remember(classes, n, path);
  }
  for (int i = 0; i < n; i++) choose_and_select(&classes[i]);
  lb__free(path);
}

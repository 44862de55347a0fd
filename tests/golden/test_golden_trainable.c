/* test_golden_trainable.c - a model that can learn is still the same model: for every folder of
 * data/models, its logits are Transformers' logits, its parameters have Transformers' names and
 * shapes, and what is saved and read back is the same to the bit. test_golden_gradients.c has the
 * gradients. */
#include "golden.h"

#include "scratch.h"
#include "tolerances.h"

#include "formats/checkpoint.h"
#include "model/trainable.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static lb_model *open_trainable(const char *path) {
  lb_error err;
  lb_model *m;
  lb__trainable_options options = {.real = LB_DTYPE_F32, .precision = LB_PRECISION_F32};
  if (lb__model_open_trainable(&m, path, &options, &err) != LB_OK) fail_msg("%s", err.message);
  return m;
}

static float *logits_of(lb_model *m, const golden_logits *want) {
  lb_prompt prompt = {.ids = want->ids, .n_ids = want->n_ids};
  float **all = golden_all_logits(m, &prompt, 1);
  float *logits = all[0];
  free(all);
  return logits;
}

static void check_logits(const char *what, lb_model *m, const golden_logits *want) {
  float *got = logits_of(m, want);
  for (size_t i = 0; i < want->n_ids * want->vocab_size; i++)
    if (!(fabs((double)want->logits[i] - (double)got[i]) <= LB_TOL_GOLDEN_LOGITS_F32))
      fail_msg("%s: logit %zu is %g, want %g", what, i, (double)got[i], (double)want->logits[i]);
  free(got);
}

/* Every parameter is in the folder under its name, in its shape or (Conv1D) turned. */
static void check_names(const char *folder, const lb_model *m) {
  lb__checkpoint *c;
  lb_error err;
  size_t n;
  const lb__parameter *parameters = lb__model_parameters(m, &n);
  assert_int_equal(lb__checkpoint_open(&c, folder, &err), LB_OK);
  assert_int_equal(lb__checkpoint_count(c), n);
  for (size_t i = 0; i < n; i++) {
    const lb__stored_tensor *t = lb__checkpoint_find(c, parameters[i].name);
    const lb_tensor *p = parameters[i].tensor;
    if (t == NULL) fail_msg("%s: no tensor is called %s", folder, parameters[i].name);
    bool same = t->shape[0] == p->shape[0] && (p->rank == 1 || t->shape[1] == p->shape[1]);
    bool turned = p->rank == 2 && t->shape[0] == p->shape[1] && t->shape[1] == p->shape[0];
    assert_int_equal(t->rank, p->rank);
    assert_true(same || turned);
    assert_int_equal(parameters[i].decay, p->rank == 2);
    assert_non_null(p->gradient);
  }
  lb__checkpoint_close(c);
}

static void save(lb_model *m, const char *folder, lb_dtype dtype) {
  lb_error err;
  if (lb__model_save_folder(m, folder, dtype, &err) != LB_OK) fail_msg("%s", err.message);
}

static void check_same_bits(const char *what, lb_model *a, lb_model *b) {
  size_t n, n_b;
  const lb__parameter *pa = lb__model_parameters(a, &n), *pb = lb__model_parameters(b, &n_b);
  assert_int_equal(n, n_b);
  for (size_t i = 0; i < n; i++) {
    size_t size = pa[i].tensor->size_bytes;
    char *x = malloc(size), *y = malloc(size);
    assert_int_equal(lb__tensor_read(pa[i].tensor, 0, x, size, NULL), LB_OK);
    assert_int_equal(lb__tensor_read(pb[i].tensor, 0, y, size, NULL), LB_OK);
    if (memcmp(x, y, size) != 0) fail_msg("%s: %s is not the same", what, pa[i].name);
    free(x);
    free(y);
  }
}

/* Adds a little to every parameter, so that what is read back is not what was there before. */
static void change(lb_model *m) {
  size_t n;
  const lb__parameter *p = lb__model_parameters(m, &n);
  for (size_t i = 0; i < n; i++) {
    float x;
    assert_int_equal(lb__tensor_read(p[i].tensor, 0, &x, sizeof x, NULL), LB_OK);
    x += 0.37f + (float)i;
    assert_int_equal(lb__tensor_write(p[i].tensor, 0, &x, sizeof x, NULL), LB_OK);
  }
}

static void test_model(void **state) {
  golden_model m;
  golden_logits want;
  lb_error err;
  char *scratch = scratch_new();
  golden_model_load(&m, *state);
  golden_logits_load(&want, m.name, 0);
  lb_model *student = open_trainable(m.folder), *again;
  check_logits("trainable", student, &want);

  char folder[512];
  snprintf(folder, sizeof folder, "%s/saved", scratch);
  save(student, folder, LB_DTYPE_F32);
  check_names(folder, student);
  again = open_trainable(folder);
  check_logits("saved", again, &want);
  check_same_bits("saved", student, again);

  change(student); /* a checkpoint goes back to what it holds */
  if (lb__model_load_parameters(student, folder, &err) != LB_OK) fail_msg("%s", err.message);
  check_same_bits("loaded", student, again);
  lb_model_free(again);

  change(student);
  save(student, folder, LB_DTYPE_F32);
  again = open_trainable(folder);
  check_same_bits("changed and saved", student, again);
  lb_model_free(again);
  lb_model_free(student);
  golden_logits_unload(&want);
  golden_model_unload(&m);
  scratch_remove(scratch);
}

int main(void) {
  return golden_run_models("trainable", test_model);
}

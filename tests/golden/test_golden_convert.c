/* test_golden_convert.c - what convert writes is the same model. Every folder of data/models goes
 * to GGUF in float32 and back to a folder; both must give the logits of Transformers. Rounded types
 * (F16, BF16, Q8_0, Q4_0) must stay as close as their rounding allows. What llama.cpp cannot
 * express must be refused. Read next: golden.h; test_peers.sh asks the real peers. */
#include "golden.h"

#include "scratch.h"
#include "tolerances.h"

#include <limbeck/convert.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST_TEXT = 3 };

/* ---- converting and comparing ---- */

static lb_status convert(const char *from, const char *to, lb_dtype dtype, lb_error *err) {
  lb_convert_options options = lb_convert_options_default();
  options.has_dtype = true;
  options.dtype = dtype;
  return lb_convert(from, to, &options, err);
}

static void must_convert(const char *from, const char *to, lb_dtype dtype) {
  lb_error err;
  if (convert(from, to, dtype, &err) != LB_OK) fail_msg("%s -> %s: %s", from, to, err.message);
}

static double largest_difference(const golden_logits *want, const float *got, size_t vocab) {
  size_t common = vocab < want->vocab_size ? vocab : want->vocab_size;
  double worst = 0;
  for (size_t t = 0; t < want->n_ids; t++)
    for (size_t i = 0; i < common; i++) {
      double d = fabs((double)want->logits[t * want->vocab_size + i] - (double)got[t * vocab + i]);
      if (!(d <= worst)) worst = d; /* a NaN wins, and then fails */
    }
  return worst;
}

typedef double measure(const golden_logits *want, const float *got, size_t vocab);

static double measure_file(const char *path, const golden_logits *want, measure *how) {
  lb_model *model = golden_open(path, LB_PRECISION_F32);
  lb_prompt prompt = {.ids = want->ids, .n_ids = want->n_ids};
  float **logits = golden_all_logits(model, &prompt, 1);
  double d = how(want, logits[0], (size_t)lb_model_get_info(model)->vocab_size);
  free(logits[0]);
  free(logits);
  lb_model_free(model);
  return d;
}

static void must_measure(const char *what, const char *path, const golden_logits *want,
                         measure *how, double tolerance) {
  double d = measure_file(path, want, how);
  print_message("           %s: %.2e\n", what, d);
  if (!(d <= tolerance)) fail_msg("%s: %s is off by %g (tolerance %g)", what, path, d, tolerance);
}

/* ---- the tests ---- */

static void check_float32(const golden_model *m, const char *scratch, const golden_logits *want) {
  const char *gguf = scratch_path(scratch, "model.gguf"), *folder = scratch_path(scratch, "folder");
  must_convert(m->folder, gguf, LB_DTYPE_F32);
  must_measure("GGUF f32", gguf, want, largest_difference, LB_TOL_GOLDEN_LOGITS_F32);
  must_convert(gguf, folder, LB_DTYPE_F32);
  must_measure("folder from it", folder, want, largest_difference, LB_TOL_GOLDEN_LOGITS_F32);
}

static void check_rounded(const golden_model *m, const char *scratch, const golden_logits *want) {
  static const struct {
    const char *name;
    lb_dtype dtype;
    double kl;
  } types[] = {{"f16", LB_DTYPE_F16, LB_TOL_GOLDEN_KL_F16},
               {"bf16", LB_DTYPE_BF16, LB_TOL_GOLDEN_KL_BF16},
               {"q8_0", LB_DTYPE_Q8_0, LB_TOL_GOLDEN_KL_Q8_0},
               {"q4_0", LB_DTYPE_Q4_0, LB_TOL_GOLDEN_KL_Q4_0}};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    char name[32];
    snprintf(name, sizeof name, "%s.gguf", types[i].name);
    const char *path = scratch_path(scratch, name);
    must_convert(m->folder, path, types[i].dtype);
    must_measure(types[i].name, path, want, golden_mean_kl, types[i].kl);
  }
}

static bool names_a_reason(const char *message, const json_t *reasons) {
  for (size_t i = 0; i < json_array_size(reasons); i++)
    if (strstr(message, json_string_value(json_array_get(reasons, i))) != NULL) return true;
  return false;
}

static void check_refused(const golden_model *m, const char *scratch, const json_t *reasons) {
  lb_error err;
  lb_status st = convert(m->folder, scratch_path(scratch, "model.gguf"), LB_DTYPE_F32, &err);
  if (st != LB_E_UNSUPPORTED)
    fail_msg("%s: llama.cpp cannot express it, yet convert says %s", m->name, lb_status_text(st));
  if (!names_a_reason(err.message, reasons)) fail_msg("not the reason: %s", err.message);
  assert_int_equal(scratch_count(scratch), 0); /* nothing half-made is left */
}

static void converted_models_are_the_same(void **state) {
  golden_model m;
  golden_logits want;
  golden_model_load(&m, *state);
  golden_logits_load(&want, m.name, LONGEST_TEXT);
  char *scratch = scratch_new();
  const json_t *reasons = json_object_get(m.expected, "llama_cpp_refuses");
  if (json_is_null(reasons)) {
    check_float32(&m, scratch, &want);
    check_rounded(&m, scratch, &want);
  } else {
    check_refused(&m, scratch, reasons);
  }
  scratch_remove(scratch);
  golden_logits_unload(&want);
  golden_model_unload(&m);
}

int main(void) {
  return golden_run_models("conversion", converted_models_are_the_same);
}

/* convert.c - lb_convert: what is asked for is checked here, then the two writers do the work.
 * Read next: convert_weights.c, convert_gguf.c, convert_folder.c. */
#include "convert_internal.h"

#include "kernels/kernels.h"

lb_convert_options lb_convert_options_default(void) {
  return (lb_convert_options){0};
}

static lb_status check_dtype(const lb__conversion *c, lb_error *err) {
  static const lb_dtype gguf[] = {LB_DTYPE_F32, LB_DTYPE_F16, LB_DTYPE_BF16, LB_DTYPE_Q8_0,
                                  LB_DTYPE_Q4_0};
  if (!c->options->has_dtype) return LB_OK;
  size_t n = c->to_gguf ? 5 : 3; /* a folder takes the plain ones */
  for (size_t i = 0; i < n; i++)
    if (gguf[i] == c->options->dtype) return LB_OK;
  return lb__fail(err, LB_E_ARG, "%s: cannot write %s; want %s", c->to,
                  lb_dtype_name(c->options->dtype),
                  c->to_gguf ? "F32, F16, BF16, Q8_0 or Q4_0 (K-quants: llama.cpp's llama-quantize)"
                             : "F32, F16 or BF16");
}

static lb_status check_output(const lb__conversion *c, lb_error *err) {
  char *path = c->to_gguf ? lb__strdup(c->to) : lb__path_join(c->to, "config.json");
  if (path == NULL) return lb__fail_nomem(err, "a path");
  bool exists = lb__path_is_file(path) || (c->to_gguf && lb__path_is_folder(path));
  bool blocked = !c->to_gguf && lb__path_is_file(c->to);
  lb__free(path);
  if (blocked) return lb__fail(err, LB_E_ARG, "'%s' is a file; a folder is to be written", c->to);
  if (exists && !c->options->overwrite)
    return lb__fail(err, LB_E_ARG, "'%s' exists already; --overwrite replaces it", c->to);
  return LB_OK;
}

/* Writing over the file that is mapped for reading would be lost work at best. */
static lb_status check_not_itself(const lb__conversion *c, lb_error *err) {
  if (!lb__path_same(lb__checkpoint_name(c->source), c->to)) return LB_OK;
  return lb__fail(err, LB_E_ARG, "'%s' is both input and output; choose another output", c->to);
}

lb_status lb__conversion_open(lb__conversion *c, const char *from, lb_error *err) {
  lb_status st = lb__kernels_install(err);
  if (st == LB_OK) st = check_dtype(c, err);
  if (st == LB_OK) st = check_output(c, err);
  if (st == LB_OK) st = lb__checkpoint_open(&c->source, from, err);
  if (st == LB_OK) st = check_not_itself(c, err);
  if (st == LB_OK) st = lb__model_config_read(&c->config, c->source, err);
  return st;
}

lb_status lb__conversion_write(lb__conversion *c, lb_error *err) {
  lb_status st = lb__conversion_plan(c, err);
  if (st != LB_OK) return st;
  return c->to_gguf ? lb__convert_to_gguf(c, err) : lb__convert_to_folder(c, err);
}

void lb__conversion_deinit(lb__conversion *c) {
  lb__free(c->layers);
  lb__free(c->weights);
  lb__free(c->decls);
  lb__model_config_deinit(&c->config);
  lb__checkpoint_close(c->source);
}

static lb_status check(lb__conversion *c, lb_error *err) {
  lb_status st = lb__conversion_plan(c, err);
  return st == LB_OK && c->to_gguf ? lb__convert_check_gguf(c, err) : st;
}

static lb_status run(const char *from, const char *to, const lb_convert_options *options,
                     lb_status (*what)(lb__conversion *c, lb_error *err), lb_error *err) {
  lb_convert_options defaults = lb_convert_options_default();
  lb__conversion c = {.options = options != NULL ? options : &defaults,
                      .to = to,
                      .to_gguf = lb__path_ends_with(to, ".gguf")};
  lb_status st = lb__conversion_open(&c, from, err);
  if (st == LB_OK) st = what(&c, err);
  lb__conversion_deinit(&c);
  return st;
}

lb_status lb_convert(const char *from, const char *to, const lb_convert_options *options,
                     lb_error *err) {
  return run(from, to, options, lb__conversion_write, err);
}

lb_status lb_convert_check(const char *from, const char *to, const lb_convert_options *options,
                           lb_error *err) {
  return run(from, to, options, check, err);
}

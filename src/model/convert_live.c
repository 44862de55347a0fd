/* convert_live.c - a model in memory as a Hugging Face folder: the converter's plan, names and
 * configuration, with the bytes of trained weights. See trainable.h. */
#include "convert_internal.h"
#include "trainable.h"

/* The values of a weight in F32, in the folder's orientation. */
static lb_status widen(lb_tensor *out, const lb_tensor *value, bool transpose, lb_error *err) {
  if (!transpose) {
    *out = *value;
    out->gradient = NULL;
    out->owns_memory_ = false;
    return LB_OK;
  }
  int64_t turned[2] = {value->shape[1], value->shape[0]};
  lb_status st = lb__tensor_init(out, LB_DTYPE_F32, 2, turned, err);
  return st == LB_OK ? lb__op_transpose(out, value, err) : st;
}

lb_status lb__pour_live(const lb__conversion *c, const lb__moved_weight *m, lb__sink *sink,
                        lb_error *err) {
  const lb_tensor *value = lb__model_weight(c->live, m->weight, m->layer);
  bool transpose = lb__weight_is_conv1d(c->live->config.family, m->weight);
  lb__moved_weight plain = {.dtype = m->dtype,
                            .gain = 1.0f}; /* offsets were undone when it became trainable */
  lb_tensor wide = {0};
  lb_status st = widen(&wide, value, transpose, err);
  int64_t rows = wide.shape[0], cols = wide.rank == 2 ? wide.shape[1] : 1;
  int64_t step = (1 << 20) / (cols > 0 ? cols : 1) + 1;
  for (int64_t begin = 0; begin < rows && st == LB_OK; begin += step) {
    lb_tensor part = lb__tensor_rows(&wide, begin, rows - begin < step ? rows - begin : step);
    st = lb__pour_wide(&plain, &part, sink, err);
  }
  lb__tensor_deinit(&wide);
  return st;
}

lb_status lb__model_save_folder(lb_model *m, const char *folder, lb_dtype dtype, lb_error *err) {
  lb_convert_options options = {.has_dtype = true, .dtype = dtype, .overwrite = true};
  lb__conversion c = {
      .options = &options, .to = folder, .source = m->checkpoint, .config = m->config, .live = m};
  LB_ASSERT(m->trainable != NULL);
  lb_status st = lb__conversion_plan(&c, err);
  if (st == LB_OK) st = lb__convert_to_folder(&c, err);
  lb__free(c.weights);
  lb__free(c.decls);
  return st;
}

lb_dtype lb__model_source_dtype(const lb_model *m) {
  size_t bytes[LB_DTYPE_COUNT] = {0};
  lb_dtype most = LB_DTYPE_F32;
  for (size_t i = 0; i < lb__checkpoint_count(m->checkpoint); i++) {
    const lb__stored_tensor *t = lb__checkpoint_tensor(m->checkpoint, i);
    bytes[t->dtype] += t->size;
    if (bytes[t->dtype] > bytes[most]) most = t->dtype;
  }
  return most == LB_DTYPE_BF16 || most == LB_DTYPE_F16 ? most : LB_DTYPE_F32;
}

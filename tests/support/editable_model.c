/* editable_model.c - see editable_model.h. */
#include "editable_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void must(lb_status st, const lb_error *err) {
  if (st != LB_OK) fail_msg("%s", err->message);
}

editable_model *editable_open(const char *folder) {
  lb_error err;
  editable_model *e = calloc(1, sizeof *e);
  assert_non_null(e);
  must(lb__checkpoint_open(&e->checkpoint, folder, &err), &err);
  must(lb__model_config_read(&e->config, e->checkpoint, &err), &err);
  e->source = strdup(folder);
  e->n = lb__checkpoint_count(e->checkpoint);
  e->values = calloc(e->n, sizeof *e->values);
  e->decls = calloc(e->n, sizeof *e->decls);
  assert_true(e->values != NULL && e->decls != NULL);
  for (size_t i = 0; i < e->n; i++) {
    const lb__stored_tensor *t = lb__checkpoint_tensor(e->checkpoint, i);
    assert_int_equal(t->dtype, LB_DTYPE_F32);
    e->decls[i] = (lb__tensor_decl){.name = t->name, .dtype = t->dtype, .rank = t->rank};
    memcpy(e->decls[i].shape, t->shape, sizeof t->shape);
    e->values[i] = malloc(t->size);
    assert_non_null(e->values[i]);
    memcpy(e->values[i], t->bytes, t->size);
  }
  return e;
}

void editable_close(editable_model *e) {
  for (size_t i = 0; i < e->n; i++) free(e->values[i]);
  free(e->values);
  free(e->decls);
  free(e->source);
  lb__model_config_deinit(&e->config);
  lb__checkpoint_close(e->checkpoint);
  free(e);
}

static lb_status pour(void *ctx, size_t index, lb__sink *sink, lb_error *err) {
  const editable_model *e = ctx;
  const lb__stored_tensor *t = lb__checkpoint_tensor(e->checkpoint, index);
  return lb__sink_write(sink, e->values[index], t->size, err);
}

void editable_save(const editable_model *e, const char *folder, double norm_eps) {
  lb_error err;
  json_t *config = json_deep_copy(lb__checkpoint_config(e->checkpoint));
  const char *eps = e->config.family->keys == LB__KEYS_GPT2 ? "layer_norm_epsilon" : "rms_norm_eps";
  json_object_set_new(config, eps, json_real(norm_eps));
  must(lb__folder_make(folder, &err), &err);
  must(lb__safetensors_save_folder(folder, e->decls, e->n, 0, pour, (void *)(uintptr_t)e, &err),
       &err);
  must(lb__hf_config_write(folder, config, &err), &err);
  json_decref(config);
}

static const lb__tensor_decl *find(const editable_model *e, lb__weight w, int64_t layer,
                                   float **values) {
  static const char *const prefixes[] = {"model.", "transformer.", ""};
  char name[LB__WEIGHT_NAME_SIZE];
  for (size_t p = 0; p < 3; p++) {
    lb__weight_hf_name(name, w, layer, e->config.family->names, prefixes[p]);
    for (size_t i = 0; i < e->n; i++) {
      if (strcmp(e->decls[i].name, name) != 0) continue;
      *values = e->values[i];
      return &e->decls[i];
    }
  }
  return NULL;
}

static bool is_turned(const editable_model *e, lb__weight w) {
  bool is_table = w == LB__W_TOKEN_EMBED || w == LB__W_POSITION_EMBED || w == LB__W_LM_HEAD;
  return e->config.family->transposed && lb__weight_is_matrix(w) && !is_table;
}

int64_t editable_rows(const editable_model *e, lb__weight w, int64_t layer) {
  float *values;
  const lb__tensor_decl *d = find(e, w, layer, &values);
  return d == NULL ? 0 : d->shape[is_turned(e, w) ? 1 : 0];
}

int64_t editable_cols(const editable_model *e, lb__weight w, int64_t layer) {
  float *values;
  const lb__tensor_decl *d = find(e, w, layer, &values);
  return d == NULL ? 0 : d->rank == 1 ? 1 : d->shape[is_turned(e, w) ? 0 : 1];
}

float *editable_at(const editable_model *e, lb__weight w, int64_t layer, int64_t row, int64_t col) {
  float *values;
  const lb__tensor_decl *d = find(e, w, layer, &values);
  if (d == NULL) return NULL;
  if (d->rank == 1) return &values[row];
  return is_turned(e, w) ? &values[col * d->shape[1] + row] : &values[row * d->shape[1] + col];
}

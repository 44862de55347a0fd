/* teacher.c - see teacher.h. */
#include "teacher.h"

#include "base/fail.h"
#include "evaluate/auto_precision.h"
#include "model/trainable.h"

struct lb__teacher {
  lb_model *model;
  lb__vocabulary_map *rows; /* the student's part of the vocabulary; NULL: all of it */
  lb__stream stream;
};

static lb_status open_model(lb_model **out, const lb__teacher *t, const char *path,
                            lb_precision precision, lb_dtype real, lb_error *err) {
  lb_model_options options = lb_model_options_default(); /* auto: float32, nothing measured */
  if (precision != LB_PRECISION_AUTO) options.precision = precision;
  lb__trainable_options wide = {.real = real, .precision = precision, .rows = t->rows};
  return real == LB_DTYPE_F64 ? lb__model_open_trainable(out, path, &wide, err)
                              : lb__model_open_with(out, path, &options, t->rows, err);
}

lb_status lb__teacher_open(lb__teacher **out, const char *path, const char *student,
                           lb_precision precision, lb_dtype real, lb_error *err) {
  *out = NULL;
  lb__teacher *t = lb__new(sizeof *t);
  if (t == NULL) return lb__fail_nomem(err, "a teacher");
  lb_status st = student != NULL ? lb__vocabulary_map_between(&t->rows, path, student, err) : LB_OK;
  if (st == LB_OK) st = open_model(&t->model, t, path, precision, real, err);
  if (st != LB_OK) {
    lb__teacher_free(t);
    return lb__fail_prefix(err, st, "teacher");
  }
  lb__model_stream_init(&t->stream, t->model);
  *out = t;
  return LB_OK;
}

void lb__teacher_free(lb__teacher *t) {
  if (t == NULL) return;
  lb__stream_deinit(&t->stream);
  lb_model_free(t->model);
  lb__vocabulary_map_free(t->rows);
  lb__free(t);
}

lb_status lb__teacher_open_again(lb_model **out, const lb__teacher *t, lb_precision precision,
                                 lb_error *err) {
  return open_model(out, t, lb_model_get_info(t->model)->path, precision, LB_DTYPE_F32, err);
}

const lb__vocabulary_map *lb__teacher_rows(const lb__teacher *t) {
  return t->rows;
}

lb_model *lb__teacher_model(const lb__teacher *t) {
  return t->model;
}

void lb__teacher_set_model(lb__teacher *t, lb_model *model) {
  lb__stream_deinit(&t->stream);
  if (model != t->model) lb_model_free(t->model);
  t->model = model;
  lb__model_stream_init(&t->stream, model);
}

lb__stream *lb__teacher_stream(lb__teacher *t) {
  return &t->stream;
}

lb_status lb__teacher_observe(lb__head_side *head, lb__teacher *t, const lb__micro_batch *batch,
                              lb__taps *taps, lb_error *err) {
  lb_tensor *hidden;
  lb__batch b = {.n_tokens = batch->n_tokens,
                 .n_docs = batch->n_docs,
                 .ids = batch->ids,
                 .positions = batch->positions,
                 .doc_start = batch->doc_start};
  lb__pass_options options = {.taps = taps};
  lb__stream_reset(&t->stream);
  lb_status st = lb__model_pass(&hidden, t->model, &t->stream, &b, &options, err);
  if (st != LB_OK) return lb__fail_prefix(err, st, "teacher");
  head->hidden = hidden;
  head->compute = t->stream.compute;
  head->weight = lb__model_head(t->model, &head->softcap);
  return LB_OK;
}

/* editable_model.h - a model's weights as numbers that a test changes one by one, in this library's
 * orientation [out, in] whatever the folder's, and a folder of the changed model. */
#ifndef LB_TESTS_EDITABLE_MODEL_H
#define LB_TESTS_EDITABLE_MODEL_H

#include "formats/checkpoint.h"
#include "model/model_config.h"

typedef struct editable_model {
  char *source;
  lb__checkpoint *checkpoint;
  lb__model_config config;
  float **values;         /* [n] of each stored tensor */
  lb__tensor_decl *decls; /* [n] */
  size_t n;
} editable_model;

/* Of a folder in F32; all three fail the test when something is wrong. */
editable_model *editable_open(const char *folder);
void editable_close(editable_model *e);
/* With another epsilon of the norms: one that no activation feels. */
void editable_save(const editable_model *e, const char *folder, double norm_eps);

/* A number of a weight; vectors have column 0. NULL when the model has no such weight. */
float *editable_at(const editable_model *e, lb__weight w, int64_t layer, int64_t row, int64_t col);
/* Rows and columns of a weight; 0 when the model has none. */
int64_t editable_rows(const editable_model *e, lb__weight w, int64_t layer);
int64_t editable_cols(const editable_model *e, lb__weight w, int64_t layer);

#endif

/* golden_gradients.h - packed documents and expected gradients of a data file, and comparing with
 * what a trainable model holds after a backward pass. Any failure fails the running test.
 * Read next: test_golden_gradients.c, test_golden_losses.c. */
#ifndef LB_TESTS_GOLDEN_GRADIENTS_H
#define LB_TESTS_GOLDEN_GRADIENTS_H

#include "golden.h"

#include "golden_file.h"

#include "model/trainable.h"

/* Fails the test with the library's message. */
void golden_must(lb_status st, const lb_error *err);

/* Element i of an F32 or F64 tensor. */
double golden_get(const lb_tensor *t, size_t i);
void golden_set(lb_tensor *t, size_t i, double value);

/* `ids`, `doc_start`, `targets` of a file: documents end to end. */
typedef struct golden_batch {
  lb__batch batch; /* of the model's forward pass */
  golden_tensor targets;
  int64_t n_trained;
  int32_t *positions;
} golden_batch;
void golden_batch_load(golden_batch *b, const golden_file *f);
void golden_batch_unload(golden_batch *b);

/* data/<folder> as a student: real F32 or F64, products in that type. */
lb_model *golden_open_trainable(lb_dtype real, const char *folder, ...) LB_PRINTF(2, 3);

/* Every parameter's gradient against the file's "<prefix>.<name>": same names, same shapes, values
 * within `tolerance` of the parameter's largest one. Returns the worst difference, in that measure.
 */
double golden_compare_gradients(const golden_file *f, const char *prefix, const lb_model *model,
                                double tolerance);
/* One gradient alone, likewise. */
double golden_compare_gradient(const golden_tensor *want, const lb__parameter *p, double least);

#endif

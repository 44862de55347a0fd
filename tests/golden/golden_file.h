/* golden_file.h - a safetensors file of expectations, read in the plainest way: not with the
 * library's reader, so that a bug there cannot hide in both sides of a comparison. Any failure
 * fails the running test. Read next: golden.h. */
#ifndef LB_TESTS_GOLDEN_FILE_H
#define LB_TESTS_GOLDEN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

typedef struct golden_file {
  char *path;
  unsigned char *bytes;
  size_t size, data; /* where the tensors begin */
  json_t *header;
} golden_file;
void golden_file_open(golden_file *f, const char *path);
void golden_file_close(golden_file *f);

typedef struct golden_tensor { /* borrowed from the file */
  const char *dtype;           /* "F32", "I32", "F64" */
  int rank;
  size_t shape[2], n; /* n elements */
  union {
    const void *data;
    const float *f32;
    const int32_t *i32;
    const double *f64;
  };
} golden_tensor;
/* `dtype`: what it must be. The name may have parts: golden_file_tensor(&f, "F32", "ids.%d", k). */
golden_tensor golden_file_tensor(const golden_file *f, const char *dtype, const char *name, ...)
    __attribute__((format(printf, 3, 4)));
bool golden_file_has(const golden_file *f, const char *name);
/* How many tensors' names begin with `prefix`. */
size_t golden_file_count(const golden_file *f, const char *prefix);

#endif

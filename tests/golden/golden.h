/* golden.h - the fixtures of data/ as C sees them. Owns: finding them, reading what is expected,
 * one cmocka case per model. Reads JSON and safetensors by itself, so that a bug of the library's
 * readers cannot hide in both sides of a comparison. Any failure here fails the running test.
 * Read next: README.md, then test_golden_models.c. */
#ifndef LB_TESTS_GOLDEN_H
#define LB_TESTS_GOLDEN_H

#include <limbeck/score.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

/* data/<format...>, a new string */
char *golden_path(const char *format, ...) LB_PRINTF(1, 2);
json_t *golden_json(const char *path); /* json_decref */

/* Runs `test` once for every model in data/models; *state is the name. 0 when all pass. */
int golden_run_models(const char *group, CMUnitTestFunction test);

/* ---- one model ---- */
typedef struct golden_model {
  const char *name;
  char *folder;
  json_t *expected; /* data/expected/<name>.json */
} golden_model;
void golden_model_load(golden_model *m, const char *name);
void golden_model_unload(golden_model *m);

/* ids.k and logits.k of data/expected/<name>.safetensors */
typedef struct golden_logits {
  size_t n_ids, vocab_size;
  int32_t *ids;  /* [n_ids] */
  float *logits; /* [n_ids, vocab_size] */
} golden_logits;
void golden_logits_load(golden_logits *g, const char *name, int k);
void golden_logits_unload(golden_logits *g);

/* Of one row of n logits, in double, as one would write it down. */
double golden_logsumexp(const float *x, size_t n);
size_t golden_best(const float *x, size_t n);                   /* the first of the largest */
double golden_row_kl(const float *x, const float *y, size_t n); /* KL(softmax x || softmax y) */

/* Kullback-Leibler divergence from the expected to the given distribution, mean over positions: one
 * number that rounding of weights moves little and a wrong permutation moves a lot. GGUF drops the
 * padding of a vocabulary, so only the ids of both take part. */
double golden_mean_kl(const golden_logits *want, const float *got, size_t vocab);

/* ---- helpers ---- */
/* Opens a model or fails with the library's message. */
lb_model *golden_open(const char *path, lb_precision precision);
/* All logits of all documents through lb_score: [documents][n_ids, vocab]; free each and the list.
 */
float **golden_all_logits(lb_model *model, const lb_prompt *documents, size_t n_documents);
/* A JSON list of integers as ids; free() */
int32_t *golden_ids(const json_t *list, size_t *n);
lb_prompt golden_prompt(const json_t *list); /* free((void *)prompt.ids) */
int64_t golden_int(const json_t *object, const char *key, int64_t otherwise);
double golden_real(const json_t *object, const char *key, double otherwise);
/* Fails with `what` and both lists when they differ. */
void golden_assert_ids(const char *what, const json_t *want, const int32_t *got, size_t n_got);

#endif

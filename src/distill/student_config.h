/* student_config.h - the configuration of a student of random weights: `student.config` of the
 * recipe, and the teacher for what it leaves open. Owns: those defaults. Refuses: what holds for
 * any model (model/model_create.h). */
#ifndef LB_DISTILL_STUDENT_CONFIG_H
#define LB_DISTILL_STUDENT_CONFIG_H

#include "recipe.h"

#include "base/json.h"

typedef struct lb__student_config {
  json_t *json;     /* config.json */
  const char *name; /* for messages */
  const char
      *tokenizer; /* the model whose tokenizer it gets; NULL: none. Borrowed from the recipe */
  uint64_t tokenizer_hash;
} lb__student_config;

/* @owns *out: lb__student_config_deinit, also after a failure
 * @error LB_E_ARG, LB_E_UNSUPPORTED, LB_E_IO, LB_E_FORMAT, LB_E_NOMEM */
lb_status lb__student_config_make(lb__student_config *out, const lb_recipe *r, lb_error *err);
void lb__student_config_deinit(lb__student_config *c); /* accepts zeroed */

#endif

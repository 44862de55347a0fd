/* vocabulary_map.h - vocab_map.json: which tokens of another model's vocabulary a folder's tokens
 * are. `limbeck shrink --vocab-from` writes it beside the trimmed tokenizer; it travels with the
 * model, in a GGUF file as a key, so that whoever compares the two models, column by column of
 * their logits, knows which rows of the larger head to look at. docs/formats.md describes it.
 * Owns: the file, and whether it fits two models. Refuses: choosing tokens (text/), moving rows. */
#ifndef LB_MODEL_VOCABULARY_MAP_H
#define LB_MODEL_VOCABULARY_MAP_H

#include "formats/checkpoint.h"

#include <limbeck/tokenizer.h>

#define LB__VOCABULARY_MAP_FILE "vocab_map.json"
#define LB__VOCABULARY_MAP_KEY  "limbeck.vocab_map" /* of GGUF: the file's text */

typedef struct lb__vocabulary_map {
  char *source;          /* what the source was called */
  uint64_t source_hash;  /* lb_tokenizer_hash of its tokenizer */
  int64_t source_tokens; /* lb_tokenizer_size of it */
  int32_t *ids;          /* [n] rising, below source_tokens: token i is the source's ids[i] */
  int64_t n;
} lb__vocabulary_map;

/* Of a folder; NULL when it has none.
 * @owns  *out: lb__vocabulary_map_free
 * @error LB_E_FORMAT (what is wrong and where), LB_E_UNSUPPORTED (a later version), LB_E_LIMIT,
 *        LB_E_IO, LB_E_NOMEM   @test tests/unit/test_vocabulary_map.c */
lb_status lb__vocabulary_map_read(lb__vocabulary_map **out, const char *folder, lb_error *err);
/* From the text of the file; `name` appears in errors. */
lb_status lb__vocabulary_map_parse(lb__vocabulary_map **out, const char *text, size_t size,
                                   const char *name, lb_error *err);
lb_status lb__vocabulary_map_write(const char *folder, const lb__vocabulary_map *map,
                                   lb_error *err);
/* Of a folder or a GGUF file that is open; NULL when it has none. */
lb_status lb__vocabulary_map_of(lb__vocabulary_map **out, const lb__checkpoint *model,
                                lb_error *err);
lb_status lb__vocabulary_map_set_gguf(lb__gguf_writer *w, const lb__vocabulary_map *map,
                                      lb_error *err);
void lb__vocabulary_map_free(lb__vocabulary_map *map); /* accepts NULL */

/* The rows of the teacher's vocabulary that are the student's, in the student's order; NULL when
 * there is nothing to cut: the student has no map, or both have the same tokens. A teacher that is
 * itself trimmed from the map's source is fine, as long as it has all of the student's tokens.
 * @param teacher, student  as for lb_model_open
 * @owns  *out: lb__vocabulary_map_free
 * @error LB_E_ARG (the map is of another model: the first token that differs), LB_E_IO (a tokenizer
 *        is missing), and as lb__vocabulary_map_read
 * @test  tests/unit/test_vocabulary_map.c */
lb_status lb__vocabulary_map_between(lb__vocabulary_map **out, const char *teacher,
                                     const char *student, lb_error *err);

#endif

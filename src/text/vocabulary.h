/* vocabulary.h - tokens by id and ids by token text. Owns: a copy of every token's bytes.
 * Ids may have holes. Refuses: the same id or the same text twice. */
#ifndef LB_TEXT_VOCABULARY_H
#define LB_TEXT_VOCABULARY_H

#include <limbeck/status.h>

#include <stdbool.h>

#define LB__VOCABULARY_MAX_ID (1 << 24)

typedef struct lb__vocabulary {
  char *blob; /* token texts, one after the other, each NUL-terminated (a NUL inside is fine) */
  size_t blob_size, blob_capacity;
  struct lb__vocabulary_token {
    size_t offset;
    uint32_t size;
    bool present;
  } * tokens;                              /* [n_ids] */
  size_t n_ids, tokens_capacity, n_tokens; /* n_ids = largest id + 1; n_tokens without holes */
  uint64_t *slots; /* open addressing: upper 32 bits of the hash, id + 1; 0 = empty */
  size_t n_slots;
} lb__vocabulary;

void lb__vocabulary_deinit(lb__vocabulary *v);
/* LB_E_FORMAT when id or text is taken, LB_E_LIMIT when the id is too large. */
lb_status lb__vocabulary_add(lb__vocabulary *v, const char *text, size_t size, int64_t id,
                             lb_error *err);
/* Id or -1. */
int32_t lb__vocabulary_find(const lb__vocabulary *v, const char *text, size_t size);
/* Text or NULL for a hole or an id out of range. */
const char *lb__vocabulary_text(const lb__vocabulary *v, int64_t id, size_t *size);

#endif

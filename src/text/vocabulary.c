/* vocabulary.c - see vocabulary.h. */
#include "vocabulary.h"

#include "base/fail.h"
#include "base/map.h"
#include "base/memory.h"

void lb__vocabulary_deinit(lb__vocabulary *v) {
  lb__free(v->blob);
  lb__free(v->tokens);
  lb__free(v->slots);
  *v = (lb__vocabulary){0};
}

static void insert_slot(uint64_t *slots, size_t n_slots, uint64_t hash, int64_t id) {
  size_t i = (size_t)hash & (n_slots - 1);
  while (slots[i] != 0) i = (i + 1) & (n_slots - 1);
  slots[i] = (hash & 0xFFFFFFFF00000000u) | (uint64_t)(id + 1);
}

/* At most half full, so that a miss ends soon. */
static bool grow_slots(lb__vocabulary *v) {
  if ((v->n_tokens + 1) * 2 <= v->n_slots) return true;
  size_t n_slots = v->n_slots ? v->n_slots * 2 : 1024;
  uint64_t *slots = lb__new_array(n_slots, sizeof *slots);
  if (slots == NULL) return false;
  for (size_t id = 0; id < v->n_ids; id++) {
    if (!v->tokens[id].present) continue;
    uint64_t hash = lb__hash_bytes(v->blob + v->tokens[id].offset, v->tokens[id].size);
    insert_slot(slots, n_slots, hash, (int64_t)id);
  }
  lb__free(v->slots);
  v->slots = slots;
  v->n_slots = n_slots;
  return true;
}

static bool store(lb__vocabulary *v, const char *text, size_t size, size_t id) {
  if (!grow_slots(v) || !lb__grow(&v->tokens, &v->tokens_capacity, id + 1, sizeof *v->tokens) ||
      !lb__grow(&v->blob, &v->blob_capacity, v->blob_size + size + 1, 1))
    return false;
  while (v->n_ids <= id) v->tokens[v->n_ids++] = (struct lb__vocabulary_token){0};
  v->tokens[id] = (struct lb__vocabulary_token){v->blob_size, (uint32_t)size, true};
  if (size > 0) memcpy(v->blob + v->blob_size, text, size);
  v->blob[v->blob_size + size] = '\0';
  v->blob_size += size + 1;
  insert_slot(v->slots, v->n_slots, lb__hash_bytes(text, size), (int64_t)id);
  v->n_tokens++;
  return true;
}

/* For messages: the start of a text that has no NUL at its end. */
static int shown(size_t size) {
  return size < 60 ? (int)size : 60;
}

lb_status lb__vocabulary_add(lb__vocabulary *v, const char *text, size_t size, int64_t id,
                             lb_error *err) {
  if (id < 0 || id >= LB__VOCABULARY_MAX_ID)
    return lb__fail(err, LB_E_LIMIT, "token '%.*s' has id %lld; want 0 to %d", shown(size), text,
                    (long long)id, LB__VOCABULARY_MAX_ID - 1);
  if (size > INT32_MAX) return lb__fail(err, LB_E_LIMIT, "token %lld is too long", (long long)id);
  if ((size_t)id < v->n_ids && v->tokens[id].present)
    return lb__fail(err, LB_E_FORMAT, "id %lld belongs to '%.60s' and to '%.*s'", (long long)id,
                    v->blob + v->tokens[id].offset, shown(size), text);
  int32_t other = lb__vocabulary_find(v, text, size);
  if (other >= 0)
    return lb__fail(err, LB_E_FORMAT, "token '%.*s' has two ids, %d and %lld", shown(size), text,
                    other, (long long)id);
  if (!store(v, text, size, (size_t)id)) return lb__fail_nomem(err, "vocabulary");
  return LB_OK;
}

int32_t lb__vocabulary_find(const lb__vocabulary *v, const char *text, size_t size) {
  if (v->n_slots == 0) return -1;
  uint64_t hash = lb__hash_bytes(text, size);
  for (size_t i = (size_t)hash & (v->n_slots - 1); v->slots[i] != 0;
       i = (i + 1) & (v->n_slots - 1)) {
    if ((v->slots[i] ^ hash) >> 32 != 0) continue;
    uint32_t id = (uint32_t)v->slots[i] - 1;
    if (v->tokens[id].size == size && memcmp(v->blob + v->tokens[id].offset, text, size) == 0)
      return (int32_t)id;
  }
  return -1;
}

const char *lb__vocabulary_text(const lb__vocabulary *v, int64_t id, size_t *size) {
  if (id < 0 || (uint64_t)id >= v->n_ids || !v->tokens[id].present) return NULL;
  *size = v->tokens[id].size;
  return v->blob + v->tokens[id].offset;
}

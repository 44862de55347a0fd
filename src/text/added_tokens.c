/* added_tokens.c - see added_tokens.h. */
#include "added_tokens.h"

#include "base/fail.h"
#include "unicode_class.h"

enum { MAX_TOKEN = 4096 }; /* bounds the search: time is text times longest token */

/* ---- reading ---- */

static lb_status read_flags(lb__added_token *t, const json_t *item, const char *path,
                            lb_error *err) {
  struct {
    const char *key;
    bool *flag;
  } flags[] = {{"single_word", &t->single_word},
               {"lstrip", &t->lstrip},
               {"rstrip", &t->rstrip},
               {"normalized", &t->normalized},
               {"special", &t->special}};
  for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
    lb_status st = lb__json_get_bool(flags[i].flag, item, flags[i].key, false, path, err);
    if (st != LB_OK) return st;
  }
  return LB_OK;
}

lb_status lb__added_tokens_read(lb__added_tokens *out, const json_t *array,
                                const lb__vocabulary *vocabulary, lb_error *err) {
  *out = (lb__added_tokens){.max_id = -1};
  lb__map_init(&out->by_text, true);
  if (array == NULL || json_is_null(array)) return LB_OK;
  if (!json_is_array(array))
    return lb__fail(err, LB_E_FORMAT, "added_tokens: want an array, found %s",
                    lb__json_type_name(array));
  for (size_t i = 0; i < json_array_size(array); i++) {
    lb__config_path path = lb__config_path_item("tokenizer", "added_tokens", i);
    const json_t *item = json_array_get(array, i);
    lb__added_token t = {.normalized = true};
    const char *text;
    int64_t id = 0;
    lb_status st = lb__config_string(&text, &t.size, item, "content", path.text, err);
    if (st == LB_OK) st = lb__json_get_int(&id, item, "id", true, path.text, err);
    if (st == LB_OK) st = read_flags(&t, item, path.text, err);
    if (st != LB_OK) return st;
    t.text = (char *)(uintptr_t)text; /* put copies it */
    st = lb__added_tokens_put(out, &t, vocabulary, err);
    if (st != LB_OK) return st;
  }
  return LB_OK;
}

/* The reference ignores the id in the file: the vocabulary's id, or one more than the largest. */
static int32_t choose_id(const lb__added_tokens *list, const lb__added_token *t,
                         const lb__vocabulary *vocabulary) {
  int32_t id = lb__vocabulary_find(vocabulary, t->text, t->size);
  if (id >= 0) return id;
  int32_t count = (int32_t)vocabulary->n_tokens;
  return list->max_id >= count ? list->max_id + 1 : count;
}

static bool append(lb__added_tokens *list, const lb__added_token *token,
                   const lb__vocabulary *vocabulary) {
  lb__added_token t = *token;
  t.id = choose_id(list, token, vocabulary);
  t.text = lb__strndup(token->text, token->size);
  if (t.text == NULL ||
      !lb__grow(&list->items, &list->capacity, list->n + 1, sizeof *list->items) ||
      !lb__map_put(&list->by_text, t.text, t.size, (int64_t)list->n, NULL)) {
    lb__free(t.text);
    return false;
  }
  list->items[list->n++] = t;
  if (t.id > list->max_id) list->max_id = t.id;
  return true;
}

static lb__added_token *find_mutable(const lb__added_tokens *list, const char *text, size_t size) {
  int64_t index;
  return lb__map_get(&list->by_text, text, size, &index) ? &list->items[index] : NULL;
}

lb_status lb__added_tokens_put(lb__added_tokens *list, const lb__added_token *token,
                               const lb__vocabulary *vocabulary, lb_error *err) {
  if (token->size == 0) return LB_OK; /* as the reference: dropped */
  if (token->size > MAX_TOKEN)
    return lb__fail(err, LB_E_LIMIT, "added token '%.40s...' has %zu bytes; at most %d",
                    token->text, token->size, MAX_TOKEN);
  lb__added_token *old = find_mutable(list, token->text, token->size);
  if (old == NULL)
    return append(list, token, vocabulary) ? LB_OK : lb__fail_nomem(err, "added tokens");
  old->special = old->special || token->special;
  old->single_word = token->single_word;
  old->lstrip = token->lstrip;
  old->rstrip = token->rstrip;
  old->normalized = token->normalized;
  return LB_OK;
}

/* ---- building the search ---- */

static lb_status index_ids(lb__added_tokens *list, const lb__vocabulary *vocabulary,
                           lb_error *err) {
  list->n_ids = vocabulary->n_ids;
  if (list->max_id >= 0 && (size_t)list->max_id + 1 > list->n_ids)
    list->n_ids = (size_t)list->max_id + 1;
  list->index_of_id = lb__alloc_array(list->n_ids, sizeof *list->index_of_id);
  if (list->index_of_id == NULL) return lb__fail_nomem(err, "added tokens");
  for (size_t i = 0; i < list->n_ids; i++) list->index_of_id[i] = -1;
  for (size_t i = 0; i < list->n; i++) list->index_of_id[list->items[i].id] = (int32_t)i;
  return LB_OK;
}

static lb_status set_shown(lb__added_token *t, const lb__normalizers *normalizers, lb_error *err) {
  lb__rewriting r;
  lb__rewriting_init(&r);
  lb__rewriting_begin(&r, t->text, t->size, true);
  lb_status st = t->normalized ? lb__normalize(&r, normalizers, err) : LB_OK;
  if (st == LB_OK) {
    t->shown_size = r.size;
    t->shown = lb__strndup(r.text, r.size);
    if (t->shown == NULL) st = lb__fail_nomem(err, "added tokens");
  }
  lb__rewriting_deinit(&r);
  return st;
}

static lb_status set_all_shown(lb__added_tokens *list, const lb__normalizers *normalizers,
                               lb_error *err) {
  for (size_t i = 0; i < list->n; i++) {
    lb__added_token *t = &list->items[i];
    lb_status st = set_shown(t, normalizers, err);
    if (st != LB_OK) return st;
    const lb__added_token *named = lb__added_tokens_find(list, t->shown, t->shown_size);
    t->skipped = named != NULL && named->special;
    if (t->normalized && t->special) list->has_normalized_special = true;
  }
  return LB_OK;
}

static lb_status build_trie(lb__added_tokens *list, bool normalized, lb_error *err) {
  lb__trie_key *keys = lb__alloc_array(list->n, sizeof *keys);
  if (keys == NULL) return lb__fail_nomem(err, "added tokens");
  struct lb__first_bytes *starts = normalized ? &list->starts_normalized : &list->starts_raw;
  lb_status st = LB_OK;
  size_t n = 0;
  for (size_t i = 0; i < list->n; i++) {
    const lb__added_token *t = &list->items[i];
    /* The first pass holds special tokens of both kinds; a search leaves out what it must. */
    if (normalized ? !t->normalized : t->normalized && !t->special) continue;
    keys[n] = (lb__trie_key){t->text, t->size, (int32_t)i};
    if (normalized) keys[n] = (lb__trie_key){t->shown, t->shown_size, (int32_t)i};
    if (keys[n].size == 0) continue;
    int first = (unsigned char)keys[n].bytes[0];
    starts->any[first] = true;
    starts->only = n == 0 || starts->only == first ? first : -1;
    n++;
  }
  lb__trie *trie = normalized ? &list->normalized : &list->raw;
  if (n > 0 && !lb__trie_build(trie, keys, n)) st = lb__fail_nomem(err, "added tokens");
  lb__free(keys);
  return st;
}

lb_status lb__added_tokens_finish(lb__added_tokens *list, const lb__vocabulary *vocabulary,
                                  const lb__normalizers *normalizers, lb_error *err) {
  lb_status st = index_ids(list, vocabulary, err);
  if (st == LB_OK) st = set_all_shown(list, normalizers, err);
  if (st == LB_OK) st = build_trie(list, false, err);
  return st != LB_OK ? st : build_trie(list, true, err);
}

void lb__added_tokens_deinit(lb__added_tokens *list) {
  for (size_t i = 0; i < list->n; i++) {
    lb__free(list->items[i].text);
    lb__free(list->items[i].shown);
  }
  lb__free(list->items);
  lb__map_deinit(&list->by_text);
  lb__free(list->index_of_id);
  lb__trie_deinit(&list->raw);
  lb__trie_deinit(&list->normalized);
  *list = (lb__added_tokens){0};
}

const lb__added_token *lb__added_tokens_get(const lb__added_tokens *list, int64_t id) {
  if (id < 0 || (uint64_t)id >= list->n_ids || list->index_of_id[id] < 0) return NULL;
  return &list->items[list->index_of_id[id]];
}

const lb__added_token *lb__added_tokens_find(const lb__added_tokens *list, const char *text,
                                             size_t size) {
  return find_mutable(list, text, size);
}

/* ---- searching ---- */

static bool is_forbidden(const lb__added_search *search, size_t start, size_t end) {
  size_t low = 0, high = search->n_forbidden; /* the first range that ends behind `start` */
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (search->forbidden[middle].end <= start)
      low = middle + 1;
    else
      high = middle;
  }
  return low < search->n_forbidden && search->forbidden[low].start < end;
}

/* Whether this search knows the token at all (the first pass's trie holds more than it may use). */
static bool is_known(const lb__added_search *search, const lb__added_token *t) {
  if (search->normalized) return !(search->with_normalized_special && t->special);
  return !t->normalized || search->with_normalized_special;
}

/* The longest token at text[at], or NULL. With forbidden ranges: the longest that may stand there.
 */
static const lb__added_token *longest_at(const lb__added_search *search, const char *text,
                                         size_t size, size_t at, size_t *end) {
  const lb__trie *trie = search->normalized ? &search->tokens->normalized : &search->tokens->raw;
  const lb__added_token *found = NULL;
  uint32_t node = 0;
  for (size_t i = at; i < size; i++) {
    node = lb__trie_child(trie, node, (unsigned char)text[i]);
    if (node == 0) break;
    if (trie->nodes[node].value < 0) continue;
    const lb__added_token *t = &search->tokens->items[trie->nodes[node].value];
    if (!is_known(search, t)) continue;
    if (t->special && search->n_forbidden > 0 && is_forbidden(search, at, i + 1)) continue;
    found = t;
    *end = i + 1;
  }
  return found;
}

static bool is_word_at(const char *text, size_t at) {
  const unsigned char *p = (const unsigned char *)text + at;
  return (lb__unicode_class(lb__unicode(), lb__utf8_next(&p)) & LB__UC_WORD) != 0;
}

static bool stands_alone(const char *text, size_t size, size_t start, size_t end) {
  size_t before;
  if (start > 0 &&
      (lb__unicode_class(lb__unicode(), lb__utf8_before(text, start, &before)) & LB__UC_WORD))
    return false;
  return end == size || !is_word_at(text, end);
}

const lb__added_token *lb__added_tokens_next(const lb__added_search *search, const char *text,
                                             size_t size, size_t *position, size_t floor,
                                             size_t *start, size_t *end) {
  const lb__trie *trie = search->normalized ? &search->tokens->normalized : &search->tokens->raw;
  const struct lb__first_bytes *starts =
      search->normalized ? &search->tokens->starts_normalized : &search->tokens->starts_raw;
  if (trie->nodes == NULL) return NULL;
  for (size_t at = *position; at < size; at++) {
    if (starts->only >= 0) {
      const char *found = memchr(text + at, starts->only, size - at);
      if (found == NULL) break;
      at = (size_t)(found - text);
    }
    if (!starts->any[(unsigned char)text[at]]) continue;
    size_t stop;
    const lb__added_token *t = longest_at(search, text, size, at, &stop);
    if (t == NULL) continue;
    *position = stop;
    if ((t->special && search->ignore_special) ||
        (t->single_word && !stands_alone(text, size, at, stop))) {
      at = stop - 1; /* as the reference: what a refused token covers is not searched again */
      continue;
    }
    *start = at;
    *end = stop;
    if (t->lstrip) {
      size_t white = lb__space_suffix(text, at);
      *start = at - white > floor ? at - white : floor;
    }
    if (t->rstrip) *end += lb__space_prefix(text + stop, size - stop);
    return t;
  }
  *position = size;
  return NULL;
}

/* shrink_vocabulary.c - a shrunk model's vocabulary, trimmed to the tokens that a text uses: which
 * rows of embedding and head go on, and every file of the folder that speaks of ids.
 *
 * Owns: config.json's, generation_config.json's and the tokenizer files' ids, vocab_map.json.
 * Refuses: choosing tokens (text/vocabulary_cut.c) and moving rows (convert_weights.c), which
 * follow the list made here. Read next: lb__trim_choose, lb__trim_write_text. */
#include "convert_internal.h"

#include "base/log.h"
#include "text/chat_source.h"
#include "text/tokenizer_convert.h"
#include "vocabulary_map.h"

#include <stdio.h>
#include <stdlib.h>

void lb__trim_deinit(lb__trim *t) {
  lb_tokenizer_free(t->source);
  lb_tokenizer_free(t->tokenizer);
  lb__vocabulary_cut_deinit(&t->cut);
  lb__free(t->rows);
  *t = (lb__trim){0};
}

/* ---- ids in JSON objects ---- */

/* Keys that mean ids of single tokens: eos_token_id, image_token_index, ... */
static bool names_ids(const char *key) {
  return lb__path_ends_with(key, "_token_id") || lb__path_ends_with(key, "_token_ids") ||
         lb__path_ends_with(key, "_token_index");
}

/* Keys whose ids need not be kept for their own sake. */
static bool forbids_ids(const char *key) {
  return strcmp(key, "suppress_tokens") == 0 || strcmp(key, "begin_suppress_tokens") == 0;
}

/* One id, or a list of nothing but ids. */
static bool is_ids(const json_t *value) {
  bool all = json_is_integer(value) || json_is_array(value);
  for (size_t i = 0; i < json_array_size(value) && all; i++)
    all = json_is_integer(json_array_get(value, i));
  return all;
}

/* Whether all ids can be given new ones: some settings say them in ways of their own. */
static lb_status check_ids(json_t *j, const char *file, lb_error *err) {
  static const char *const others[] = {"bad_words_ids", "force_words_ids", "forced_decoder_ids",
                                       "sequence_bias"};
  const char *key;
  json_t *value;
  json_object_foreach(j, key, value) {
    bool fine = json_is_null(value) || is_ids(value) || !(names_ids(key) || forbids_ids(key));
    for (size_t i = 0; i < sizeof others / sizeof *others && fine; i++)
      fine = strcmp(others[i], key) != 0 || json_is_null(value);
    if (!fine)
      return lb__fail(
          err, LB_E_UNSUPPORTED,
          "%s: key '%s' names tokens, but not as an id or a list of ids, so they cannot "
          "be given new ones; remove it",
          file, key);
  }
  return LB_OK;
}

static bool collect(lb__token_ids *out, const json_t *value) {
  bool fits = true;
  json_int_t id = json_integer_value(value);
  if (json_is_integer(value) && id >= 0 && id < INT32_MAX)
    fits = lb__token_ids_add(out, (int32_t)id);
  for (size_t i = 0; i < json_array_size(value) && fits; i++) {
    id = json_integer_value(json_array_get(value, i));
    if (json_is_integer(json_array_get(value, i)) && id >= 0 && id < INT32_MAX)
      fits = lb__token_ids_add(out, (int32_t)id);
  }
  return fits;
}

static bool collect_all(lb__token_ids *out, json_t *j) {
  const char *key;
  json_t *value;
  bool fits = true;
  json_object_foreach(j, key, value) if (fits && names_ids(key)) fits = collect(out, value);
  return fits;
}

/* A new value for one that names ids; null where none of them is left. Negative ones mean none. */
static json_t *changed(const json_t *value, const lb__vocabulary_cut *cut) {
  if (!json_is_array(value)) {
    int32_t id = lb__vocabulary_cut_id(cut, json_integer_value(value));
    return id >= 0 ? json_integer(id) : json_null();
  }
  json_t *list = json_array();
  for (size_t i = 0; i < json_array_size(value); i++) {
    int32_t id = lb__vocabulary_cut_id(cut, json_integer_value(json_array_get(value, i)));
    if (id >= 0 && json_array_append_new(list, json_integer(id)) != 0)
      return json_decref(list), NULL;
  }
  if (json_array_size(list) > 0) return list;
  json_decref(list);
  return json_null();
}

static lb_status change_ids(json_t *j, const lb__vocabulary_cut *cut, const char *file,
                            lb_error *err) {
  const char *key;
  json_t *value;
  void *next;
  lb_status st = check_ids(j, file, err);
  json_object_foreach_safe(j, next, key, value) {
    bool is_none = json_is_null(value) || (json_is_integer(value) && json_integer_value(value) < 0);
    if (st != LB_OK || is_none || !(names_ids(key) || forbids_ids(key))) continue;
    if (json_object_set_new(j, key, changed(value, cut)) != 0) st = lb__fail_nomem(err, file);
  }
  return st;
}

lb_status lb__trim_config(json_t *config, const lb__trim *t, lb_error *err) {
  if (json_object_set_new(config, "vocab_size", json_integer(t->cut.n)) != 0)
    return lb__fail_nomem(err, "config.json");
  return change_ids(config, &t->cut, "config.json", err);
}

/* ---- choosing ---- */

/* What config.json and generation_config.json name. */
static lb_status collect_needed(lb__token_ids *out, const lb__conversion *c, lb_error *err) {
  const char *name = lb__checkpoint_name(c->source);
  json_t *config = lb__checkpoint_config(c->source); /* NULL: a GGUF */
  lb__hf_generation g = {0};
  lb_status st = config != NULL ? lb__hf_generation_read(&g, name, err) : LB_OK;
  if (st == LB_OK) st = check_ids(g.tree, "generation_config.json", err);
  if (st == LB_OK && config != NULL) st = check_ids(lb__hf_text_config(config), "config.json", err);
  bool fits = true;
  if (st == LB_OK && config != NULL)
    fits = collect_all(out, config) && collect_all(out, lb__hf_text_config(config)) &&
           collect_all(out, g.tree);
  if (c->config.bos_token_id >= 0) fits = fits && lb__token_ids_add(out, c->config.bos_token_id);
  for (size_t i = 0; i < c->config.eos.n && fits; i++)
    fits = lb__token_ids_add(out, c->config.eos.ids[i]);
  lb__hf_generation_deinit(&g);
  return st == LB_OK && !fits ? lb__fail_nomem(err, "token ids") : st;
}

static lb_status open_source(lb__trim *t, const lb__conversion *c, const lb_token_counts *counts,
                             lb_error *err) {
  const char *name = lb__checkpoint_name(c->source);
  const lb__gguf *g = lb__checkpoint_gguf(c->source);
  lb_status st = g != NULL ? lb__tokenizer_from_gguf(&t->source, g, err)
                           : lb_tokenizer_open(&t->source, name, err);
  if (st != LB_OK || counts->n_ids == lb_tokenizer_size(t->source)) return st;
  return lb__fail(err, LB_E_ARG,
                  "vocabulary: %s has %d tokens, but %lld were counted; was it another model's "
                  "tokenizer that read the text?",
                  name, lb_tokenizer_size(t->source), (long long)counts->n_ids);
}

static lb_status list_rows(lb__trim *t, lb_error *err) {
  t->rows = lb__alloc_array((size_t)t->cut.n, sizeof *t->rows);
  if (t->rows == NULL) return lb__fail_nomem(err, "rows of the vocabulary");
  for (int32_t i = 0; i < t->cut.n; i++) t->rows[i] = t->cut.kept[i];
  return LB_OK;
}

lb_status lb__trim_choose(lb__trim *t, const lb__conversion *c, const lb_shrink_options *o,
                          lb_error *err) {
  lb__token_ids needed = {0};
  char *template = NULL;
  size_t template_size = 0;
  if (o->vocabulary == NULL && o->vocab_size != 0)
    return lb__fail(err, LB_E_ARG,
                    "vocab_size: the most used tokens are wanted, and nobody counted "
                    "them; give a text to count in");
  if (o->vocab_size < 0)
    return lb__fail(err, LB_E_ARG,
                    "vocab_size is %lld; want 1 or more, or 0 for as many as are used",
                    (long long)o->vocab_size);
  if (o->vocabulary == NULL) return LB_OK;
  lb_status st = open_source(t, c, o->vocabulary, err);
  if (st == LB_OK) st = collect_needed(&needed, c, err);
  if (st == LB_OK)
    st = lb__chat_template_find(&template, &template_size, lb__checkpoint_name(c->source), err);
  lb__vocabulary_wish wish = {.counts = o->vocabulary->counts,
                              .n_counts = o->vocabulary->n_ids,
                              .needed = needed.ids,
                              .n_needed = needed.n,
                              .template = template,
                              .template_size = template_size,
                              .n_rows = c->config.vocab_size,
                              .most = o->vocab_size};
  if (st == LB_OK) st = lb__vocabulary_cut_choose(&t->cut, t->source, &wish, err);
  if (st == LB_OK) st = lb__tokenizer_cut(&t->tokenizer, t->source, &t->cut, err);
  if (st == LB_OK) st = list_rows(t, err);
  lb__token_ids_deinit(&needed);
  lb__free(template);
  return st;
}

/* ---- files of the folder that was copied ---- */

/* The object in the folder's file, NULL where it has none. */
static lb_status read_own(json_t **out, const char *folder, const char *file, lb_error *err) {
  char *path = lb__path_join(folder, file);
  *out = NULL;
  if (path == NULL) return lb__fail_nomem(err, file);
  lb_status st = lb__path_is_file(path) ? lb__hf_object_read(out, folder, file, err) : LB_OK;
  lb__free(path);
  return st;
}

static lb_status save_own(const char *folder, const char *file, const json_t *j, lb_error *err) {
  char *path = lb__path_join(folder, file);
  lb_status st = path != NULL ? lb__json_save(path, j, err) : lb__fail_nomem(err, file);
  lb__free(path);
  return st;
}

static lb_status change_generation(const lb__conversion *c, lb_error *err) {
  json_t *j;
  lb_status st = read_own(&j, c->to, "generation_config.json", err);
  if (st == LB_OK && j != NULL) st = change_ids(j, &c->trim->cut, "generation_config.json", err);
  if (st == LB_OK && j != NULL) st = lb__hf_generation_write(c->to, j, err);
  json_decref(j);
  return st;
}

/* {"<id>": {...}} under new ids. */
static json_t *change_keys(const json_t *decoder, const lb__vocabulary_cut *cut) {
  json_t *out = json_object(), *all = (json_t *)(uintptr_t)decoder, *value;
  const char *key;
  json_object_foreach(all, key, value) {
    char text[24];
    long long id = strtoll(key, NULL, 10);
    int32_t new_id = lb__vocabulary_cut_id(cut, id);
    snprintf(text, sizeof text, "%d", new_id);
    if (new_id >= 0 && json_object_set(out, text, value) != 0) return json_decref(out), NULL;
  }
  return out;
}

static lb_status change_tokenizer_config(const lb__conversion *c, lb_error *err) {
  static const char *const file = "tokenizer_config.json";
  json_t *j;
  lb_status st = read_own(&j, c->to, file, err);
  json_t *decoder = json_object_get(j, "added_tokens_decoder");
  if (st == LB_OK && json_is_object(decoder) &&
      json_object_set_new(j, "added_tokens_decoder", change_keys(decoder, &c->trim->cut)) != 0)
    st = lb__fail_nomem(err, file);
  if (st == LB_OK && j != NULL) st = change_ids(j, &c->trim->cut, file, err);
  if (st == LB_OK && j != NULL) st = save_own(c->to, file, j, err);
  json_decref(j);
  return st;
}

/* {"<text>": id}, of folders from before tokenizer.json */
static lb_status change_added_tokens(const lb__conversion *c, lb_error *err) {
  static const char *const file = "added_tokens.json";
  json_t *j, *value;
  const char *key;
  void *next;
  lb_status st = read_own(&j, c->to, file, err);
  json_object_foreach_safe(j, next, key, value) {
    int32_t id = lb__vocabulary_cut_id(&c->trim->cut, json_integer_value(value));
    if (st != LB_OK || !json_is_integer(value)) continue;
    if (id < 0)
      (void)json_object_del(j, key);
    else if (json_object_set_new(j, key, json_integer(id)) != 0)
      st = lb__fail_nomem(err, file);
  }
  if (st == LB_OK && j != NULL) st = save_own(c->to, file, j, err);
  json_decref(j);
  return st;
}

/* Other programs' forms of the vocabulary, which stay whole and would contradict tokenizer.json. */
static lb_status remove_other_forms(const char *folder, lb_error *err) {
  char **names;
  size_t n;
  lb_status st = lb__folder_list(&names, &n, folder, err);
  if (st != LB_OK) return st;
  for (size_t i = 0; i < n && st == LB_OK; i++) {
    bool other = strcmp(names[i], "tokenizer.model") == 0 ||
                 strcmp(names[i], "spiece.model") == 0 || strcmp(names[i], "vocab.txt") == 0 ||
                 strncmp(names[i], "sentencepiece.", 14) == 0;
    if (!other) continue;
    lb__log(LB_LOG_NOTE, "%s is left out: it holds the whole vocabulary; tokenizer.json says all",
            names[i]);
    char *path = lb__path_join(folder, names[i]);
    st = path != NULL ? lb__file_remove(path, err) : lb__fail_nomem(err, names[i]);
    lb__free(path);
  }
  lb__name_list_free(names, n);
  return st;
}

static bool has_file(const char *folder, const char *file) {
  char *path = lb__path_join(folder, file);
  bool found = path != NULL && lb__path_is_file(path);
  lb__free(path);
  return found;
}

static lb_status rewrite_copies(const lb__conversion *c, lb_error *err) {
  lb_status st = remove_other_forms(c->to, err);
  if (st == LB_OK) st = lb__tokenizer_save_description(c->trim->tokenizer, c->to, err);
  if (st == LB_OK && has_file(c->to, "vocab.json"))
    st = lb__tokenizer_save_pair(c->trim->tokenizer, c->to, err);
  if (st == LB_OK) st = change_tokenizer_config(c, err);
  return st == LB_OK ? change_added_tokens(c, err) : st;
}

/* ---- the map ---- */

/* From the whole vocabulary, also where the source was trimmed already: its map is followed. */
static lb_status write_map(const lb__conversion *c, lb_error *err) {
  const lb__trim *t = c->trim;
  const char *name = lb__checkpoint_name(c->source);
  lb__vocabulary_map *earlier;
  lb_status st = lb__vocabulary_map_of(&earlier, c->source, err);
  if (st == LB_OK && earlier != NULL && earlier->n != t->cut.n_source)
    st = lb__fail(err, LB_E_FORMAT,
                  "%s: " LB__VOCABULARY_MAP_FILE " is of %lld tokens, but the tokenizer has %d",
                  name, (long long)earlier->n, t->cut.n_source);
  int32_t *ids = lb__alloc_array((size_t)t->cut.n, sizeof *ids);
  char *base = lb__strdup(lb__path_base(name));
  if (st == LB_OK && (ids == NULL || base == NULL)) st = lb__fail_nomem(err, "the map of ids");
  for (int32_t i = 0; i < t->cut.n && st == LB_OK; i++)
    ids[i] = earlier != NULL ? earlier->ids[t->cut.kept[i]] : t->cut.kept[i];
  lb__vocabulary_map map = {.source = base,
                            .source_hash = lb_tokenizer_hash(t->source),
                            .source_tokens = t->cut.n_source,
                            .ids = ids,
                            .n = t->cut.n};
  if (earlier != NULL) {
    map.source = earlier->source;
    map.source_hash = earlier->source_hash;
    map.source_tokens = earlier->source_tokens;
  }
  if (st == LB_OK) st = lb__vocabulary_map_write(c->to, &map, err);
  lb__vocabulary_map_free(earlier);
  lb__free(ids);
  lb__free(base);
  return st;
}

lb_status lb__trim_write_text(const lb__conversion *c, lb_error *err) {
  lb_status st = lb__checkpoint_gguf(c->source) == NULL ? rewrite_copies(c, err) : LB_OK;
  if (st == LB_OK) st = change_generation(c, err);
  return st == LB_OK ? write_map(c, err) : st;
}

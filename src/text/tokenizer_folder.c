/* tokenizer_folder.c - loads a tokenizer from a folder: which file decides, a vocab.json with
 * merges.txt, and the special tokens that the files beside it name. */
#include "tokenizer_internal.h"

#include "base/fail.h"
#include "base/files.h"
#include "json_scan.h"
#include "pre_tokenizer_names.h"

enum { MAX_CONFIG = 64 << 20 };

/* NULL in *out when the file does not exist. */
static lb_status read_optional(json_t **out, const char *folder, const char *name, lb_error *err) {
  *out = NULL;
  char *path = lb__path_join(folder, name);
  if (path == NULL) return lb__fail_nomem(err, name);
  lb_status st = LB_OK;
  if (lb__path_is_file(path)) st = lb__json_read(out, path, MAX_CONFIG, err);
  lb__free(path);
  return st;
}

/* ---- special tokens ---- */

/* The text of a token given as "text" or {"content": "text", ...}; NULL when absent. */
static const char *token_text(const json_t *config, const char *key) {
  const json_t *value = json_object_get(config, key);
  if (json_is_object(value)) value = json_object_get(value, "content");
  return json_string_value(value);
}

static void read_token(int32_t *id, const lb_tokenizer *t, const json_t *config, const char *key) {
  const char *text = token_text(config, key);
  int32_t found = text == NULL ? -1 : lb_tokenizer_token_id(t, text);
  if (found >= 0) *id = found;
}

static void read_tokens(lb_tokenizer *t, const json_t *config) {
  read_token(&t->bos, t, config, "bos_token");
  read_token(&t->eos, t, config, "eos_token");
  read_token(&t->pad, t, config, "pad_token");
  read_token(&t->unk, t, config, "unk_token");
}

static void use_if_missing(int32_t *id, const lb_tokenizer *t, const json_t *value) {
  if (json_is_array(value)) value = json_array_get(value, 0);
  if (*id >= 0 || !json_is_integer(value)) return;
  json_int_t n = json_integer_value(value);
  if (n >= 0 && n < t->n_ids) *id = (int32_t)n;
}

/* config.json and generation_config.json speak in ids; eos_token_id may be a list. */
static lb_status read_ids(lb_tokenizer *t, const json_t *config, lb_error *err) {
  const json_t *eos = json_object_get(config, "eos_token_id");
  use_if_missing(&t->bos, t, json_object_get(config, "bos_token_id"));
  use_if_missing(&t->eos, t, eos);
  use_if_missing(&t->pad, t, json_object_get(config, "pad_token_id"));
  lb_status st = LB_OK;
  if (json_is_integer(eos)) st = lb__tokenizer_add_eos(t, json_integer_value(eos), err);
  for (size_t i = 0; i < json_array_size(eos) && st == LB_OK; i++)
    if (json_is_integer(json_array_get(eos, i)))
      st = lb__tokenizer_add_eos(t, json_integer_value(json_array_get(eos, i)), err);
  return st;
}

lb_status lb__tokenizer_read_specials(lb_tokenizer *t, const char *folder, lb_error *err) {
  static const char *const by_text[] = {"special_tokens_map.json", "tokenizer_config.json"};
  static const char *const by_id[] = {"generation_config.json", "config.json"};
  json_t *config;
  lb_status st = LB_OK;
  for (int i = 0; i < 2 && st == LB_OK; i++) { /* the later file wins */
    st = read_optional(&config, folder, by_text[i], err);
    if (st == LB_OK && config != NULL) {
      read_tokens(t, config);
      t->add_bos = json_is_true(json_object_get(config, "add_bos_token"));
      t->add_eos = json_is_true(json_object_get(config, "add_eos_token"));
    }
    json_decref(config);
  }
  for (int i = 0; i < 2 && st == LB_OK; i++) { /* the earlier file wins */
    st = read_optional(&config, folder, by_id[i], err);
    if (st == LB_OK && config != NULL) st = read_ids(t, config, err);
    json_decref(config);
  }
  return st != LB_OK ? st : lb__tokenizer_add_eos(t, t->eos, err);
}

/* ---- vocab.json and merges.txt ---- */

/* Which pre-tokenizer the class of tokenizer_config.json means. */
static lb_status find_class(const lb__pre_tokenizer_row **row, const json_t *config,
                            const char *folder, lb_error *err) {
  const char *class = json_string_value(json_object_get(config, "tokenizer_class"));
  const char *name = NULL;
  if (class == NULL || strncmp(class, "GPT2Tokenizer", 13) == 0)
    name = "gpt-2";
  else if (strncmp(class, "Qwen2Tokenizer", 14) == 0)
    name = "qwen2";
  if (name == NULL)
    return lb__fail(err, LB_E_UNSUPPORTED,
                    "%s: vocab.json of a '%s' (known: GPT2Tokenizer, Qwen2Tokenizer); save the "
                    "tokenizer as tokenizer.json",
                    folder, class);
  *row = lb__pre_tokenizer_find(name);
  return LB_OK;
}

static bool append_added(json_t *list, const char *text, const json_t *entry, bool special) {
  json_t *item = json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", 0, "content", text,
                           "single_word", json_is_true(json_object_get(entry, "single_word")),
                           "lstrip", json_is_true(json_object_get(entry, "lstrip")), "rstrip",
                           json_is_true(json_object_get(entry, "rstrip")), "normalized",
                           json_is_true(json_object_get(entry, "normalized")), "special", special);
  return item != NULL && json_array_append_new(list, item) == 0;
}

/* added_tokens_decoder {"50256": {...}} in the order of its ids, then the named special tokens. */
static bool collect_added(json_t *list, const json_t *config, const json_t *vocabulary) {
  const json_t *decoder = json_object_get(config, "added_tokens_decoder");
  const char *key;
  json_t *entry;
  bool fits = true;
  for (size_t left = json_object_size(decoder), id = 0; left > 0 && id < LB__VOCABULARY_MAX_ID;
       id++) {
    char text[24];
    snprintf(text, sizeof text, "%zu", id);
    entry = json_object_get(decoder, text);
    if (entry == NULL) continue;
    left--;
    const char *content = json_string_value(json_object_get(entry, "content"));
    if (content != NULL)
      fits = fits &&
             append_added(list, content, entry, json_is_true(json_object_get(entry, "special")));
  }
  static const char *const names[] = {"bos_token", "eos_token", "unk_token", "pad_token"};
  for (int i = 0; i < 4; i++) {
    const char *text = token_text(config, names[i]);
    if (text != NULL) fits = fits && append_added(list, text, NULL, true);
  }
  (void)key;
  if (config == NULL && json_object_get(vocabulary, "<|endoftext|>") != NULL)
    fits = fits && append_added(list, "<|endoftext|>", NULL, true);
  return fits;
}

/* The tokenizer.json that the two files stand for, without vocab and merges. */
static lb_status make_config(json_t **out, const json_t *config, const json_t *vocabulary,
                             const char *folder, lb_error *err) {
  const lb__pre_tokenizer_row *row;
  lb_status st = find_class(&row, config, folder, err);
  if (st != LB_OK) return st;
  st = lb__pre_tokenizer_config(out, row, err);
  if (st != LB_OK) return st;
  json_t *added = json_array();
  if (added == NULL || !collect_added(added, config, vocabulary)) {
    json_decref(added);
    return lb__fail_nomem(err, folder);
  }
  json_object_set_new(*out, "added_tokens", added);
  json_t *prefix = json_object_get(config, "add_prefix_space");
  json_t *pre = json_object_get(*out, "pre_tokenizer");
  if (prefix != NULL && json_object_get(pre, "add_prefix_space") != NULL)
    json_object_set(pre, "add_prefix_space", prefix);
  return LB_OK;
}

static lb_status add_vocabulary(lb_tokenizer *t, const json_t *vocabulary, const char *path,
                                lb_error *err) {
  if (!json_is_object(vocabulary))
    return lb__fail(err, LB_E_FORMAT, "%s: want an object, found %s", path,
                    lb__json_type_name(vocabulary));
  const char *text;
  json_t *id;
  size_t limit = json_object_size(vocabulary) * 8 + 65536;
  for (void *i = json_object_iter((json_t *)(uintptr_t)vocabulary); i != NULL;
       i = json_object_iter_next((json_t *)(uintptr_t)vocabulary, i)) {
    text = json_object_iter_key(i);
    id = json_object_iter_value(i);
    if (!json_is_integer(id) || json_integer_value(id) < 0 ||
        (uint64_t)json_integer_value(id) > limit)
      return lb__fail(err, LB_E_FORMAT, "%s: token '%.60s' has no proper id", path, text);
    lb_status st =
        lb__vocabulary_add(&t->vocabulary, text, strlen(text), json_integer_value(id), err);
    if (st != LB_OK) return lb__fail_prefix(err, st, "%s", path);
  }
  return LB_OK;
}

/* One merge a line, "left right"; lines that begin with "#version" are comments. */
static lb_status add_merges(lb_tokenizer *t, const char *text, size_t size, const char *path,
                            lb_error *err) {
  size_t line = 0;
  for (const char *p = text, *end = text + size; p < end;) {
    const char *stop = memchr(p, '\n', (size_t)(end - p));
    if (stop == NULL) stop = end;
    const char *next = stop < end ? stop + 1 : end;
    if (stop > p && stop[-1] == '\r') stop--;
    line++;
    size_t length = (size_t)(stop - p);
    const char *space = memchr(p, ' ', length);
    bool comment = length >= 8 && memcmp(p, "#version", 8) == 0;
    if (!comment && (length > 0 || next < end)) {
      if (space == NULL || memchr(space + 1, ' ', (size_t)(stop - space - 1)) != NULL)
        return lb__fail(err, LB_E_FORMAT, "%s:%zu: want two tokens and one space", path, line);
      lb_status st = lb__bpe_add_merge(&t->bpe, p, (size_t)(space - p), space + 1,
                                       (size_t)(stop - space - 1), err);
      if (st != LB_OK) return lb__fail_prefix(err, st, "%s:%zu", path, line);
    }
    p = next;
  }
  return LB_OK;
}

static lb_status fill_from_pair(lb_tokenizer *t, const char *folder, const json_t *vocabulary,
                                const char *vocab_path, const char *merges_path, lb_error *err) {
  json_t *settings, *config = NULL;
  char *merges = NULL;
  size_t size = 0;
  lb_status st = read_optional(&settings, folder, "tokenizer_config.json", err);
  if (st == LB_OK) st = make_config(&config, settings, vocabulary, folder, err);
  json_decref(settings);
  if (st != LB_OK) {
    json_decref(config);
    return st;
  }
  st = lb__tokenizer_configure(t, config, err);
  if (st == LB_OK) st = add_vocabulary(t, vocabulary, vocab_path, err);
  if (st == LB_OK) st = lb__file_read(&merges, &size, merges_path, LB__TOKENIZER_MAX_FILE, err);
  if (st == LB_OK) st = add_merges(t, merges, size, merges_path, err);
  lb__free(merges);
  return st != LB_OK ? st : lb__tokenizer_finish(t, err);
}

static lb_status open_pair(lb_tokenizer **out, const char *folder, const char *vocab_path,
                           const char *merges_path, lb_error *err) {
  *out = NULL;
  json_t *vocabulary = NULL;
  lb_status st = lb__json_read(&vocabulary, vocab_path, LB__TOKENIZER_MAX_FILE, err);
  if (st == LB_OK) st = lb__tokenizer_new(out, err);
  if (st == LB_OK) st = fill_from_pair(*out, folder, vocabulary, vocab_path, merges_path, err);
  json_decref(vocabulary);
  return st;
}

lb_status lb__tokenizer_open_folder(lb_tokenizer **out, const char *folder, lb_error *err) {
  *out = NULL;
  lb_tokenizer *t = NULL;
  char *json = lb__path_join(folder, "tokenizer.json");
  char *vocab = lb__path_join(folder, "vocab.json");
  char *merges = lb__path_join(folder, "merges.txt");
  lb_status st;
  if (json == NULL || vocab == NULL || merges == NULL) {
    st = lb__fail_nomem(err, folder);
  } else if (lb__path_is_file(json)) {
    st = lb__tokenizer_open_json(&t, json, err);
  } else if (lb__path_is_file(vocab) && lb__path_is_file(merges)) {
    st = open_pair(&t, folder, vocab, merges, err);
    if (st == LB_OK) st = lb__tokenizer_read_specials(t, folder, err);
    /* GPT-2's own folder names no special tokens: they all are this one. */
    int32_t end = st == LB_OK && t->eos < 0 ? lb_tokenizer_token_id(t, "<|endoftext|>") : -1;
    if (end >= 0) {
      t->eos = end;
      if (t->bos < 0) t->bos = end;
      if (t->unk < 0) t->unk = end;
      st = lb__tokenizer_add_eos(t, end, err);
    }
  } else {
    st = lb__fail(err, LB_E_IO, "%s: no tokenizer.json, nor vocab.json with merges.txt", folder);
  }
  lb__free(json);
  lb__free(vocab);
  lb__free(merges);
  if (st != LB_OK)
    lb_tokenizer_free(t);
  else
    *out = t;
  return st;
}

/* tokenizer_gguf.c - loads the vocabulary of a GGUF file: byte-level BPE ("gpt2", whose pipeline is
 * named by tokenizer.ggml.pre) and sentencepiece's BPE ("llama", whose merges follow from the
 * scores). The result is the tokenizer.json that the model's authors ship. */
#include "tokenizer_internal.h"

#include "base/fail.h"
#include "base/utf8.h"
#include "tokenizer_convert.h"
#include "formats/gguf.h"
#include "pre_tokenizer_names.h"

#include <stdlib.h>

#define MARK "\xE2\x96\x81" /* U+2581, sentencepiece's space */

enum { TYPE_NORMAL = 1, TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER_DEFINED = 4, TYPE_BYTE = 6 };

typedef struct gguf_vocabulary {
  const lb__gguf *file;
  const char *model, *pre;
  lb__gguf_array tokens, types, scores, merges;
  bool is_sentencepiece;
  bool add_bos, add_eos, add_space_prefix;
  int64_t bos, eos, unk, pad;
} gguf_vocabulary;

/* ---- reading the keys ---- */

static lb_status check_length(const lb__gguf_array *a, const gguf_vocabulary *v, const char *what,
                              lb_error *err) {
  if (a->n == 0 || a->n == v->tokens.n) return LB_OK;
  return lb__fail(err, LB_E_FORMAT, "%s: tokenizer.ggml.%s has %zu entries, tokens has %zu",
                  lb__gguf_name(v->file), what, a->n, v->tokens.n);
}

static lb_status read_arrays(gguf_vocabulary *v, lb_error *err) {
  const lb__gguf *g = v->file;
  lb_status st = lb__gguf_get_array(&v->tokens, g, "tokenizer.ggml.tokens",
                                    LB__GGUF_ARRAY_OF_STRINGS, true, err);
  if (st == LB_OK)
    st = lb__gguf_get_array(&v->types, g, "tokenizer.ggml.token_type", LB__GGUF_ARRAY_OF_INTS,
                            false, err);
  if (st == LB_OK)
    st = lb__gguf_get_array(&v->scores, g, "tokenizer.ggml.scores", LB__GGUF_ARRAY_OF_REALS,
                            v->is_sentencepiece, err);
  if (st == LB_OK)
    st = lb__gguf_get_array(&v->merges, g, "tokenizer.ggml.merges", LB__GGUF_ARRAY_OF_STRINGS,
                            !v->is_sentencepiece, err);
  if (st == LB_OK && v->tokens.n > LB__VOCABULARY_MAX_ID)
    st = lb__fail(err, LB_E_LIMIT, "%s: %zu tokens; at most %d", lb__gguf_name(g), v->tokens.n,
                  LB__VOCABULARY_MAX_ID);
  if (st == LB_OK) st = check_length(&v->types, v, "token_type", err);
  return st != LB_OK ? st : check_length(&v->scores, v, "scores", err);
}

static lb_status read_keys(gguf_vocabulary *v, lb_error *err) {
  const lb__gguf *g = v->file;
  lb_status st = lb__gguf_get_string(&v->model, g, "tokenizer.ggml.model", true, err);
  if (st != LB_OK) return st;
  v->is_sentencepiece = strcmp(v->model, "llama") == 0;
  if (!v->is_sentencepiece && strcmp(v->model, "gpt2") != 0)
    return lb__fail(err, LB_E_UNSUPPORTED, "%s: tokenizer.ggml.model '%s' (known: gpt2 llama)",
                    lb__gguf_name(g), v->model);
  v->pre = "default";
  v->add_space_prefix = true;
  v->bos = v->eos = v->unk = v->pad = -1;
  st = lb__gguf_get_string(&v->pre, g, "tokenizer.ggml.pre", false, err);
  const lb__pre_tokenizer_row *row = st == LB_OK ? lb__pre_tokenizer_find(v->pre) : NULL;
  /* What llama.cpp assumes when the key is absent. */
  v->add_bos = v->is_sentencepiece || (row != NULL && row->ignore_merges);
  struct {
    const char *key;
    int64_t *id;
  } ids[] = {{"tokenizer.ggml.bos_token_id", &v->bos},
             {"tokenizer.ggml.eos_token_id", &v->eos},
             {"tokenizer.ggml.unknown_token_id", &v->unk},
             {"tokenizer.ggml.padding_token_id", &v->pad}};
  for (size_t i = 0; i < sizeof ids / sizeof ids[0] && st == LB_OK; i++)
    st = lb__gguf_get_int(ids[i].id, g, ids[i].key, false, err);
  if (st == LB_OK)
    st = lb__gguf_get_bool(&v->add_bos, g, "tokenizer.ggml.add_bos_token", false, err);
  if (st == LB_OK)
    st = lb__gguf_get_bool(&v->add_eos, g, "tokenizer.ggml.add_eos_token", false, err);
  if (st == LB_OK)
    st = lb__gguf_get_bool(&v->add_space_prefix, g, "tokenizer.ggml.add_space_prefix", false, err);
  return st != LB_OK ? st : read_arrays(v, err);
}

static int64_t type_of(const gguf_vocabulary *v, size_t id) {
  return v->types.n > 0 ? lb__gguf_array_int(&v->types, id) : TYPE_NORMAL;
}

/* ---- tokens ---- */

/* Sentencepiece files of Gemma hold its runs of spaces as real spaces; the tokenizer.json has
 * marks. */
static bool is_run_of_spaces(lb__gguf_string s) {
  for (size_t i = 0; i < s.size; i++)
    if (s.bytes[i] != ' ') return false;
  return s.size > 0;
}

static lb_status add_tokens(lb_tokenizer *t, const gguf_vocabulary *v, lb_error *err) {
  lb__buf text;
  lb__buf_init(&text, LB__TEXT_MAX);
  lb_status st = LB_OK;
  for (size_t id = 0; id < v->tokens.n && st == LB_OK; id++) {
    lb__gguf_string s = lb__gguf_array_string(&v->tokens, id);
    lb__buf_clear(&text);
    bool spaces = v->is_sentencepiece && is_run_of_spaces(s);
    for (size_t i = 0; spaces && i < s.size; i++) lb__buf_add_text(&text, MARK);
    if (!spaces) lb__buf_add(&text, s.bytes, s.size);
    st = lb__buf_check(&text, "token", err);
    if (st == LB_OK && !lb__utf8_valid(lb__buf_text(&text), text.size))
      st = lb__fail(err, LB_E_FORMAT, "tokenizer.ggml.tokens[%zu] is not valid UTF-8", id);
    if (st == LB_OK)
      st = lb__vocabulary_add(&t->vocabulary, lb__buf_text(&text), text.size, (int64_t)id, err);
  }
  lb__buf_deinit(&text);
  return st;
}

static lb_status add_merges(lb_tokenizer *t, const gguf_vocabulary *v, lb_error *err) {
  lb_status st = LB_OK;
  for (size_t i = 0; i < v->merges.n && st == LB_OK; i++) {
    lb__gguf_string s = lb__gguf_array_string(&v->merges, i);
    const char *space = s.size > 1 ? memchr(s.bytes + 1, ' ', s.size - 1) : NULL;
    if (space == NULL)
      return lb__fail(err, LB_E_FORMAT, "tokenizer.ggml.merges[%zu]: want two tokens and a space",
                      i);
    st = lb__bpe_add_merge(&t->bpe, s.bytes, (size_t)(space - s.bytes), space + 1,
                           (size_t)(s.bytes + s.size - space - 1), err);
  }
  return st;
}

/* ---- merges from scores. Every way to put a token together from two others is a merge; the better
 * the token's score, the earlier. Sentencepiece scored special tokens 0; GGUF writes -1000. ---- */

typedef struct scored_merge {
  lb__merge merge;
  float score;
  uint16_t left_length, right_length; /* characters */
  uint32_t order;
} scored_merge;

typedef struct scored_merges {
  scored_merge *items;
  size_t n, capacity;
} scored_merges;

enum { MAX_MERGED_TOKEN = 256 }; /* bytes; longer tokens are never the result of a merge here */

static int by_ids(const void *left, const void *right) {
  const scored_merge *a = left, *b = right;
  if (a->merge.left != b->merge.left) return a->merge.left < b->merge.left ? -1 : 1;
  return (a->merge.right > b->merge.right) - (a->merge.right < b->merge.right);
}

static int by_score(const void *left, const void *right) {
  const scored_merge *a = left, *b = right;
  if (a->score > b->score || a->score < b->score) return a->score > b->score ? -1 : 1;
  return (a->order > b->order) - (a->order < b->order);
}

/* The order of today's converter, which Gemma's file has; older files lack the two lengths. */
static int by_score_and_length(const void *left, const void *right) {
  const scored_merge *a = left, *b = right;
  if (a->score > b->score || a->score < b->score) return a->score > b->score ? -1 : 1;
  if (a->left_length != b->left_length) return a->left_length > b->left_length ? -1 : 1;
  if (a->right_length != b->right_length) return a->right_length > b->right_length ? -1 : 1;
  return (a->order > b->order) - (a->order < b->order);
}

static size_t count_characters(const char *text, size_t size) {
  size_t n = 0;
  for (size_t i = 0; i < size; i++) n += ((unsigned char)text[i] & 0xC0) != 0x80;
  return n;
}

static bool split_token(scored_merges *list, const lb_tokenizer *t, int32_t id, float score) {
  size_t size;
  const char *text = lb__vocabulary_text(&t->vocabulary, id, &size);
  size_t first = list->n;
  if (text == NULL || size > MAX_MERGED_TOKEN) return true;
  for (size_t i = 1; i < size; i++) {
    if (((unsigned char)text[i] & 0xC0) == 0x80) continue;
    int32_t left = lb__vocabulary_find(&t->vocabulary, text, i);
    if (left < 0) continue;
    int32_t right = lb__vocabulary_find(&t->vocabulary, text + i, size - i);
    if (right < 0) continue;
    if (!lb__grow(&list->items, &list->capacity, list->n + 1, sizeof *list->items)) return false;
    list->items[list->n++] = (scored_merge){{left, right, id},
                                            score,
                                            (uint16_t)count_characters(text, i),
                                            (uint16_t)count_characters(text + i, size - i),
                                            0};
  }
  if (list->n > first) qsort(list->items + first, list->n - first, sizeof *list->items, by_ids);
  for (size_t i = first; i < list->n; i++) list->items[i].order = (uint32_t)i;
  return true;
}

static lb_status derive_merges(lb_tokenizer *t, const gguf_vocabulary *v, lb_error *err) {
  const char *architecture = "";
  lb_status st = lb__gguf_get_string(&architecture, v->file, "general.architecture", false, err);
  if (st != LB_OK) return st;
  scored_merges list = {0};
  bool fits = true;
  for (size_t id = 0; id < v->tokens.n && fits; id++) {
    int64_t type = type_of(v, id);
    float score = type == TYPE_CONTROL || type == TYPE_USER_DEFINED
                      ? 0
                      : (float)lb__gguf_array_real(&v->scores, id);
    if (score != score) score = -1e30f;
    fits = split_token(&list, t, (int32_t)id, score);
  }
  bool by_length = strncmp(architecture, "gemma", 5) == 0;
  if (fits && list.n > 0)
    qsort(list.items, list.n, sizeof *list.items, by_length ? by_score_and_length : by_score);
  fits = fits && lb__grow(&t->bpe.merges, &t->bpe.merges_capacity, list.n, sizeof *t->bpe.merges);
  for (size_t i = 0; fits && i < list.n; i++) t->bpe.merges[i] = list.items[i].merge;
  t->bpe.n_merges = fits ? list.n : 0;
  lb__free(list.items);
  return fits ? LB_OK : lb__fail_nomem(err, "merges");
}

/* ---- the pipeline ---- */

static json_t *sentencepiece_config(const gguf_vocabulary *v, const char *unk) {
  json_t *replace = json_pack("{s:s, s:{s:s}, s:s}", "type", "Replace", "pattern", "String", " ",
                              "content", MARK);
  json_t *normalizer = !v->add_space_prefix
                           ? replace
                           : json_pack("{s:s, s:[{s:s, s:s}, o]}", "type", "Sequence",
                                       "normalizers", "type", "Prepend", "prepend", MARK, replace);
  json_t *decoders =
      json_pack("[{s:s, s:{s:s}, s:s}, {s:s}, {s:s}]", "type", "Replace", "pattern", "String", MARK,
                "content", " ", "type", "ByteFallback", "type", "Fuse");
  bool fits = true;
  if (v->add_space_prefix)
    fits = json_array_append_new(decoders, json_pack("{s:s, s:s, s:i, s:i}", "type", "Strip",
                                                     "content", " ", "start", 1, "stop", 0)) == 0;
  json_t *config =
      json_pack("{s:s, s:n, s:n, s:[], s:o, s:n, s:n, s:{s:s, s:o}}", "version", "1.0",
                "truncation", "padding", "added_tokens", "normalizer", normalizer, "pre_tokenizer",
                "post_processor", "decoder", "type", "Sequence", "decoders", decoders);
  json_t *model = json_pack("{s:s, s:n, s:o, s:n, s:n, s:b, s:b, s:b, s:n, s:n}", "type", "BPE",
                            "dropout", "unk_token", unk ? json_string(unk) : json_null(),
                            "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 1,
                            "byte_fallback", 1, "ignore_merges", 0, "vocab", "merges");
  if (json_object_set_new(config, "model", model) != 0 || !fits) {
    json_decref(config);
    return NULL;
  }
  return config;
}

static lb_status make_config(json_t **out, const lb_tokenizer *t, const gguf_vocabulary *v,
                             lb_error *err) {
  *out = NULL;
  size_t size;
  if (v->is_sentencepiece) {
    *out = sentencepiece_config(v, lb__vocabulary_text(&t->vocabulary, v->unk, &size));
    return *out != NULL ? LB_OK : lb__fail_nomem(err, "tokenizer");
  }
  const lb__pre_tokenizer_row *row = lb__pre_tokenizer_find(v->pre);
  if (row == NULL)
    return lb__fail(err, LB_E_UNSUPPORTED, "%s: tokenizer.ggml.pre '%s' (known: %s)",
                    lb__gguf_name(v->file), v->pre, lb__pre_tokenizer_known());
  return lb__pre_tokenizer_config(out, row, err);
}

static bool append_sequence(json_t *list, const char *id, int type_id) {
  return json_array_append_new(
             list, json_pack("{s:{s:s, s:i}}", "Sequence", "id", id, "type_id", type_id)) == 0;
}

static bool append_special(json_t *list, json_t *special, const char *text, int64_t id) {
  json_t *entry =
      json_pack("{s:s, s:[I], s:[s]}", "id", text, "ids", (json_int_t)id, "tokens", text);
  json_t *item = json_pack("{s:{s:s, s:i}}", "SpecialToken", "id", text, "type_id", 0);
  bool fits = json_object_set_new(special, text, entry) == 0;
  return json_array_append_new(list, item) == 0 && fits;
}

static bool add_template(json_t *config, const lb_tokenizer *t, const gguf_vocabulary *v) {
  size_t size;
  const char *bos = v->add_bos ? lb__vocabulary_text(&t->vocabulary, v->bos, &size) : NULL;
  const char *eos = v->add_eos ? lb__vocabulary_text(&t->vocabulary, v->eos, &size) : NULL;
  if (bos == NULL && eos == NULL) return true;
  json_t *single = json_array(), *special = json_object();
  bool fits = bos == NULL || append_special(single, special, bos, v->bos);
  fits = append_sequence(single, "A", 0) && fits;
  fits = (eos == NULL || append_special(single, special, eos, v->eos)) && fits;
  json_t *pair = json_deep_copy(single);
  fits = append_sequence(pair, "B", 1) && fits;
  json_t *template = json_pack("{s:s, s:o, s:o, s:o}", "type", "TemplateProcessing", "single",
                               single, "pair", pair, "special_tokens", special);
  return json_object_set_new(config, "post_processor", template) == 0 && fits;
}

/* Control, unknown and user-defined tokens are found in the text before the model sees it. */
static bool add_added_tokens(json_t *config, const lb_tokenizer *t, const gguf_vocabulary *v) {
  json_t *list = json_object_get(config, "added_tokens");
  bool fits = list != NULL;
  for (size_t id = 0; id < v->tokens.n && fits; id++) {
    int64_t type = type_of(v, id);
    if (type != TYPE_CONTROL && type != TYPE_USER_DEFINED && type != TYPE_UNKNOWN) continue;
    size_t size;
    const char *text = lb__vocabulary_text(&t->vocabulary, (int64_t)id, &size);
    json_t *item = json_pack("{s:I, s:o, s:b, s:b, s:b, s:b, s:b}", "id", (json_int_t)id, "content",
                             json_stringn(text, size), "single_word", 0, "lstrip", 0, "rstrip", 0,
                             "normalized", 0, "special", type != TYPE_USER_DEFINED);
    fits = item != NULL && json_array_append_new(list, item) == 0;
  }
  return fits;
}

/* ---- end tokens ---- */

static int32_t checked_id(const lb_tokenizer *t, int64_t id) {
  return id >= 0 && id < t->n_ids ? (int32_t)id : -1;
}

/* The ends of a turn that files often do not name by a key; control tokens only. */
static lb_status read_ends(lb_tokenizer *t, const gguf_vocabulary *v, lb_error *err) {
  static const char *const keys[] = {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"};
  static const char *const texts[] = {"<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<end_of_turn>",
                                      "<|end|>"};
  lb_status st = lb__tokenizer_add_eos(t, t->eos, err);
  for (int i = 0; i < 2 && st == LB_OK; i++) {
    int64_t id = -1;
    st = lb__gguf_get_int(&id, v->file, keys[i], false, err);
    if (st == LB_OK) st = lb__tokenizer_add_eos(t, id, err);
  }
  for (size_t i = 0; i < sizeof texts / sizeof texts[0] && st == LB_OK; i++) {
    int32_t id = lb_tokenizer_token_id(t, texts[i]);
    if (id >= 0 && lb_tokenizer_is_special(t, id)) st = lb__tokenizer_add_eos(t, id, err);
  }
  return st;
}

static lb_status load(lb_tokenizer *t, gguf_vocabulary *v, lb_error *err) {
  json_t *config = NULL;
  lb_status st = read_keys(v, err);
  if (st == LB_OK) st = add_tokens(t, v, err);
  if (st == LB_OK) st = make_config(&config, t, v, err);
  if (st != LB_OK) return st;
  if (!add_template(config, t, v) || !add_added_tokens(config, t, v)) {
    json_decref(config);
    return lb__fail_nomem(err, "tokenizer");
  }
  st = lb__tokenizer_configure(t, config, err);
  if (st == LB_OK) st = v->is_sentencepiece ? derive_merges(t, v, err) : add_merges(t, v, err);
  if (st == LB_OK) st = lb__tokenizer_finish(t, err);
  if (st != LB_OK) return st;
  t->bos = checked_id(t, v->bos);
  t->eos = checked_id(t, v->eos);
  t->pad = checked_id(t, v->pad);
  if (t->unk < 0) t->unk = checked_id(t, v->unk);
  t->add_bos = v->add_bos;
  t->add_eos = v->add_eos;
  return read_ends(t, v, err);
}

lb_status lb__tokenizer_from_gguf(lb_tokenizer **out, const lb__gguf *file, lb_error *err) {
  gguf_vocabulary v = {.file = file};
  lb_status st = lb__tokenizer_new(out, err);
  if (st == LB_OK) st = lb__tokenizer_name_file(load(*out, &v, err), lb__gguf_name(file), err);
  if (st != LB_OK) {
    lb_tokenizer_free(*out);
    *out = NULL;
  }
  return st;
}

lb_status lb__tokenizer_open_gguf(lb_tokenizer **out, const char *path, lb_error *err) {
  *out = NULL;
  lb__gguf *file;
  lb_status st = lb__gguf_open(&file, path, err);
  if (st == LB_OK) st = lb__tokenizer_from_gguf(out, file, err);
  lb__gguf_close(file);
  return st;
}

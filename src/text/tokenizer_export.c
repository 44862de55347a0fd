/* tokenizer_export.c - see tokenizer_convert.h. */
#include "tokenizer_convert.h"

#include "base/fail.h"
#include "base/files.h"
#include "base/log.h"
#include "pre_tokenizer_names.h"
#include "tokenizer_internal.h"

#include <stdio.h>

#define MARK "\xE2\x96\x81"

enum {
  TYPE_NORMAL = 1,
  TYPE_UNKNOWN = 2,
  TYPE_CONTROL = 3,
  TYPE_USER_DEFINED = 4,
  TYPE_UNUSED = 5,
  TYPE_BYTE = 6
};

/* ---- GGUF ---- */

/* One arena holds all texts made for the writer, which copies what it is given. */
typedef struct gguf_export {
  const lb_tokenizer *t;
  size_t n;
  bool sentencepiece;
  lb__arena arena;
  lb__gguf_string *tokens, *merges;
  int32_t *types;
  float *scores;
} gguf_export;

static bool is_byte_token(const char *text, size_t size) {
  return size == 6 && memcmp(text, "<0x", 3) == 0 && text[5] == '>';
}

static int32_t type_of(const gguf_export *e, int32_t id, const char *text, size_t size) {
  const lb__added_token *added = lb__added_tokens_get(&e->t->added, id);
  if (e->sentencepiece && id == e->t->unk) return TYPE_UNKNOWN;
  if (added != NULL) return added->special ? TYPE_CONTROL : TYPE_USER_DEFINED;
  return e->sentencepiece && is_byte_token(text, size) ? TYPE_BYTE : TYPE_NORMAL;
}

/* A user-defined run of U+2581 is written as spaces, as llama.cpp's converter does: there these
 * tokens are compared with the text before spaces are replaced. */
static bool is_run_of_marks(const char *text, size_t size) {
  for (size_t i = 0; i < size; i += 3)
    if (size - i < 3 || memcmp(text + i, MARK, 3) != 0) return false;
  return size > 0;
}

static bool fill_token(gguf_export *e, size_t id) {
  size_t size = 0;
  const char *text =
      (int64_t)id < e->t->n_ids ? lb_tokenizer_token_text(e->t, (int32_t)id, &size) : NULL;
  if (text == NULL) {
    char pad[32];
    snprintf(pad, sizeof pad, "[PAD%zu]", id);
    e->types[id] = TYPE_UNUSED;
    e->tokens[id].size = strlen(pad);
    e->tokens[id].bytes = lb__arena_strndup(&e->arena, pad, e->tokens[id].size);
    return e->tokens[id].bytes != NULL;
  }
  e->types[id] = type_of(e, (int32_t)id, text, size);
  e->tokens[id] = (lb__gguf_string){text, size};
  if (!e->sentencepiece || e->types[id] != TYPE_USER_DEFINED || !is_run_of_marks(text, size))
    return true;
  char *spaces = lb__arena_alloc(&e->arena, size / 3 + 1);
  if (spaces == NULL) return false;
  memset(spaces, ' ', size / 3);
  e->tokens[id] = (lb__gguf_string){spaces, size / 3};
  return true;
}

/* "left right"; a space inside a token is written as the byte alphabet's space. */
static bool fill_merge(gguf_export *e, size_t i) {
  lb__merge m = e->t->bpe.merges[i];
  size_t left_size, right_size;
  const char *left = lb__vocabulary_text(&e->t->vocabulary, m.left, &left_size);
  const char *right = lb__vocabulary_text(&e->t->vocabulary, m.right, &right_size);
  char *text = lb__arena_alloc(&e->arena, (left_size + right_size) * 2 + 1);
  if (text == NULL) return false;
  size_t n = 0;
  const char *parts[] = {left, right};
  const size_t sizes[] = {left_size, right_size};
  for (int p = 0; p < 2; p++) {
    if (p == 1) text[n++] = ' ';
    for (size_t k = 0; k < sizes[p]; k++) {
      if (parts[p][k] == ' ') {
        text[n++] = (char)0xC4;
        text[n++] = (char)0xA0;
      } else {
        text[n++] = parts[p][k];
      }
    }
  }
  e->merges[i] = (lb__gguf_string){text, n};
  return true;
}

/* Scores that bring about the merges in their order: the n-th token to come out of a merge gets -n,
 * those that no merge makes follow, special ones get what converters write. */
static void fill_scores(gguf_export *e) {
  float next = 0;
  for (size_t i = 0; i < e->n; i++) e->scores[i] = 1;
  for (size_t i = 0; i < e->t->bpe.n_merges; i++) {
    int32_t result = e->t->bpe.merges[i].result;
    if (e->scores[result] > 0) e->scores[result] = -next++;
  }
  for (size_t i = 0; i < e->n; i++) {
    if (e->types[i] == TYPE_BYTE || e->types[i] == TYPE_UNKNOWN)
      e->scores[i] = 0;
    else if (e->types[i] != TYPE_NORMAL)
      e->scores[i] = -1000;
    else if (e->scores[i] > 0)
      e->scores[i] = -next++;
  }
}

static bool fill_export(gguf_export *e) {
  size_t n_merges = e->t->bpe.n_merges;
  e->tokens = lb__new_array(e->n, sizeof *e->tokens);
  e->types = lb__new_array(e->n, sizeof *e->types);
  if (e->tokens == NULL || e->types == NULL) return false;
  for (size_t i = 0; i < e->n; i++)
    if (!fill_token(e, i)) return false;
  if (e->sentencepiece) {
    e->scores = lb__new_array(e->n, sizeof *e->scores);
    if (e->scores != NULL) fill_scores(e);
    return e->scores != NULL;
  }
  e->merges = lb__new_array(n_merges, sizeof *e->merges);
  for (size_t i = 0; e->merges != NULL && i < n_merges; i++)
    if (!fill_merge(e, i)) return false;
  return e->merges != NULL;
}

static void set_id(lb__gguf_writer *w, const gguf_export *e, const char *key, int32_t id) {
  if (id >= 0 && (size_t)id < e->n) lb__gguf_set_u32(w, key, (uint32_t)id);
}

/* What the post-processor really adds decides, not what tokenizer_config.json claims. */
static bool template_has(const lb_tokenizer *t, int32_t id, bool in_front) {
  for (size_t i = 0; id >= 0 && i < t->templates.n; i++) {
    const lb__ids *template = &t->templates.items[i];
    if (template->n > 0 && template->items[in_front ? 0 : template->n - 1] == id) return true;
  }
  return false;
}

static const char *text_member(const json_t *part, const char *key) {
  const char *text = json_string_value(json_object_get(part, key));
  return text != NULL ? text : "";
}

static bool is_kind(const json_t *part, const char *type) {
  return strcmp(text_member(part, "type"), type) == 0;
}

/* Whether a sentencepiece pipeline puts a space in front of the text. */
static bool adds_space_prefix(const json_t *config) {
  const json_t *normalizer = json_object_get(config, "normalizer");
  const json_t *pre = json_object_get(config, "pre_tokenizer");
  const json_t *list = json_object_get(normalizer, "normalizers");
  bool prepends = is_kind(normalizer, "Prepend");
  for (size_t i = 0; i < json_array_size(list); i++)
    prepends = prepends || is_kind(json_array_get(list, i), "Prepend");
  if (!is_kind(pre, "Metaspace")) return prepends;
  return strcmp(text_member(pre, "prepend_scheme"), "never") != 0;
}

static lb_status set_keys(lb__gguf_writer *w, gguf_export *e, const char *pre, lb_error *err) {
  const lb_tokenizer *t = e->t;
  if (!fill_export(e)) return lb__fail_nomem(err, "tokenizer");
  lb__gguf_set_string(w, "tokenizer.ggml.model", e->sentencepiece ? "llama" : "gpt2");
  lb__gguf_set_string(w, "tokenizer.ggml.pre", pre);
  lb__gguf_set_string_array(w, "tokenizer.ggml.tokens", e->tokens, e->n);
  if (e->scores != NULL) lb__gguf_set_f32_array(w, "tokenizer.ggml.scores", e->scores, e->n);
  lb__gguf_set_i32_array(w, "tokenizer.ggml.token_type", e->types, e->n);
  if (e->merges != NULL)
    lb__gguf_set_string_array(w, "tokenizer.ggml.merges", e->merges, t->bpe.n_merges);
  set_id(w, e, "tokenizer.ggml.bos_token_id", t->bos);
  set_id(w, e, "tokenizer.ggml.eos_token_id", t->eos);
  set_id(w, e, "tokenizer.ggml.unknown_token_id", t->unk);
  set_id(w, e, "tokenizer.ggml.padding_token_id", t->pad);
  lb__gguf_set_bool(w, "tokenizer.ggml.add_bos_token", template_has(t, t->bos, true));
  lb__gguf_set_bool(w, "tokenizer.ggml.add_eos_token", template_has(t, t->eos, false));
  if (e->sentencepiece)
    lb__gguf_set_bool(w, "tokenizer.ggml.add_space_prefix", adds_space_prefix(t->config));
  return LB_OK;
}

/* Gemma 3's text models come with the tokenizer of the multimodal ones, which has an added token
 * for images (id 262144) and no embedding row for it. The model cannot read such tokens, so the
 * file does without them, as with llama.cpp's converter. A token of the vocabulary proper without a
 * row means that tokenizer and model do not belong together. */
lb_status lb__tokenizer_check_rows(const lb_tokenizer *t, size_t n_rows, lb_error *err) {
  if (n_rows >= (size_t)t->n_ids) return LB_OK;
  if (n_rows == 0 || n_rows < t->vocabulary.n_ids)
    return lb__fail(err, LB_E_ARG,
                    "tokenizer: %zu ids besides added tokens, but the model has %zu embedding rows",
                    t->vocabulary.n_ids, n_rows);
  size_t size;
  const char *text = lb_tokenizer_token_text(t, (int32_t)n_rows, &size);
  lb__log(
      LB_LOG_WARN,
      "tokenizer: left out the added tokens from id %zu on ('%.*s'): the model has no embedding "
      "row for them",
      n_rows, text != NULL ? (int)size : 0, text != NULL ? text : "");
  return LB_OK;
}

lb_status lb__tokenizer_set_gguf(lb__gguf_writer *w, const lb_tokenizer *t, size_t n_rows,
                                 lb_error *err) {
  if (t->is_unigram)
    return lb__fail(err, LB_E_UNSUPPORTED,
                    "tokenizer: Unigram vocabularies are not written to GGUF");
  lb_status st = lb__tokenizer_check_rows(t, n_rows, err);
  if (st != LB_OK) return st;
  gguf_export e = {.t = t, .n = n_rows, .sentencepiece = t->bpe.byte_fallback};
  const lb__pre_tokenizer_row *row = NULL;
  st = e.sentencepiece ? LB_OK : lb__pre_tokenizer_identify(&row, t->config, err);
  if (st != LB_OK) return st;
  if (row == NULL && !e.sentencepiece)
    return lb__fail(err, LB_E_UNSUPPORTED,
                    "tokenizer: llama.cpp has no name for this normalizer and pre-tokenizer; it "
                    "knows %s",
                    lb__pre_tokenizer_known());
  lb__arena_init(&e.arena, 0);
  st = set_keys(w, &e, row != NULL ? row->name : "default", err);
  lb__free(e.tokens);
  lb__free(e.merges);
  lb__free(e.types);
  lb__free(e.scores);
  lb__arena_deinit(&e.arena);
  return st;
}

/* ---- tokenizer.json ---- */

static void add_json_string(lb__buf *out, const char *text, size_t size) {
  lb__buf_add_char(out, '"');
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c == '"' || c == '\\') lb__buf_add_char(out, '\\');
    if (c < 0x20)
      lb__buf_printf(out, "\\u%04x", c);
    else
      lb__buf_add_char(out, (char)c);
  }
  lb__buf_add_char(out, '"');
}

static void add_token(lb__buf *out, const lb_tokenizer *t, int32_t id) {
  size_t size = 0;
  const char *text = lb__vocabulary_text(&t->vocabulary, id, &size);
  add_json_string(out, text, size);
}

/* {"token":id,...} */
static void add_vocabulary(lb__buf *out, const lb_tokenizer *t) {
  bool first = true;
  lb__buf_add_char(out, '{');
  for (size_t id = 0; id < t->vocabulary.n_ids; id++) {
    if (!t->vocabulary.tokens[id].present) continue;
    if (!first) lb__buf_add_char(out, ',');
    first = false;
    add_token(out, t, (int32_t)id);
    lb__buf_printf(out, ":%zu", id);
  }
  lb__buf_add_char(out, '}');
}

static void add_bpe_tables(lb__buf *out, const lb_tokenizer *t) {
  lb__buf_add_text(out, "\"vocab\":");
  add_vocabulary(out, t);
  lb__buf_add_text(out, ",\"merges\":[");
  for (size_t i = 0; i < t->bpe.n_merges; i++) {
    lb__buf_add_text(out, i == 0 ? "[" : ",[");
    add_token(out, t, t->bpe.merges[i].left);
    lb__buf_add_char(out, ',');
    add_token(out, t, t->bpe.merges[i].right);
    lb__buf_add_char(out, ']');
  }
  lb__buf_add_char(out, ']');
}

static void add_unigram_table(lb__buf *out, const lb_tokenizer *t) {
  lb__buf_add_text(out, "\"vocab\":[");
  for (size_t id = 0; id < t->unigram.n_scores; id++) {
    lb__buf_add_text(out, id == 0 ? "[" : ",[");
    add_token(out, t, (int32_t)id);
    lb__buf_printf(out, ",%.17g]", t->unigram.scores[id]);
  }
  lb__buf_add_char(out, ']');
}

/* Adds `"key":value,` for every member but those of `without` (space-separated). */
static void add_members(lb__buf *out, const json_t *object, const char *without) {
  json_t *all = (json_t *)(uintptr_t)object; /* jansson iterates over non-const trees */
  for (void *i = json_object_iter(all); i != NULL; i = json_object_iter_next(all, i)) {
    const char *key = json_object_iter_key(i);
    if (strstr(without, key) != NULL) continue;
    add_json_string(out, key, strlen(key));
    lb__buf_add_char(out, ':');
    char *text = lb__json_text(json_object_iter_value(i), 0);
    if (text == NULL)
      out->failed = true;
    else
      lb__buf_add_text(out, text);
    lb__free(text);
    lb__buf_add_char(out, ',');
  }
}

static lb_status save(const lb__buf *text, const char *folder, const char *name, lb_error *err) {
  lb_status st = lb__buf_check(text, name, err);
  if (st != LB_OK) return st;
  char *path = lb__path_join(folder, name);
  if (path == NULL) return lb__fail_nomem(err, name);
  st = lb__file_save(path, lb__buf_text(text), text->size, err);
  lb__free(path);
  return st;
}

static void add_special(lb__buf *out, const lb_tokenizer *t, const char *key, int32_t id) {
  size_t size;
  const char *text = lb_tokenizer_token_text(t, id, &size);
  if (text == NULL) return;
  lb__buf_printf(out, ",\n  \"%s\": ", key);
  add_json_string(out, text, size);
}

static void add_config(lb__buf *out, const lb_tokenizer *t) {
  lb__buf_printf(out, "{\n  \"add_bos_token\": %s,\n  \"add_eos_token\": %s",
                 t->add_bos ? "true" : "false", t->add_eos ? "true" : "false");
  add_special(out, t, "bos_token", t->bos);
  lb__buf_add_text(out, ",\n  \"clean_up_tokenization_spaces\": false");
  add_special(out, t, "eos_token", t->eos);
  add_special(out, t, "pad_token", t->pad);
  lb__buf_add_text(out, ",\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\"");
  add_special(out, t, "unk_token", t->unk);
  lb__buf_add_text(out, "\n}\n");
}

lb_status lb__tokenizer_save_description(const lb_tokenizer *t, const char *folder, lb_error *err) {
  lb__buf text;
  lb__buf_init(&text, LB__TOKENIZER_MAX_FILE);
  lb__buf_add_char(&text, '{');
  add_members(&text, t->config, "model");
  lb__buf_add_text(&text, "\"model\":{");
  add_members(&text, json_object_get(t->config, "model"), "vocab merges");
  if (t->is_unigram)
    add_unigram_table(&text, t);
  else
    add_bpe_tables(&text, t);
  lb__buf_add_text(&text, "}}\n");
  lb_status st = save(&text, folder, "tokenizer.json", err);
  lb__buf_deinit(&text);
  return st;
}

lb_status lb__tokenizer_save_json(const lb_tokenizer *t, const char *folder, lb_error *err) {
  lb__buf text;
  lb_status st = lb__tokenizer_save_description(t, folder, err);
  if (st != LB_OK) return st;
  lb__buf_init(&text, LB__TOKENIZER_MAX_FILE);
  add_config(&text, t);
  st = save(&text, folder, "tokenizer_config.json", err);
  lb__buf_deinit(&text);
  return st;
}

/* ---- vocab.json and merges.txt ---- */

static void add_merge_lines(lb__buf *out, const lb_tokenizer *t) {
  lb__buf_add_text(out, "#version: 0.2\n");
  for (size_t i = 0; i < t->bpe.n_merges; i++) {
    size_t left_size, right_size;
    const char *left = lb__vocabulary_text(&t->vocabulary, t->bpe.merges[i].left, &left_size);
    const char *right = lb__vocabulary_text(&t->vocabulary, t->bpe.merges[i].right, &right_size);
    lb__buf_add(out, left, left_size);
    lb__buf_add_char(out, ' ');
    lb__buf_add(out, right, right_size);
    lb__buf_add_char(out, '\n');
  }
}

lb_status lb__tokenizer_save_pair(const lb_tokenizer *t, const char *folder, lb_error *err) {
  lb__buf text;
  lb__buf_init(&text, LB__TOKENIZER_MAX_FILE);
  add_vocabulary(&text, t);
  lb_status st = save(&text, folder, "vocab.json", err);
  lb__buf_clear(&text);
  add_merge_lines(&text, t);
  if (st == LB_OK) st = save(&text, folder, "merges.txt", err);
  lb__buf_deinit(&text);
  return st;
}

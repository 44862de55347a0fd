/* tokenizer_open.c - building, freeing and looking at a tokenizer. Read tokenizer_internal.h first.
 */
#include "tokenizer_internal.h"

#include "base/fail.h"
#include "base/files.h"
#include "formats/hub_cache.h"

static lb_status open_hub_name(lb_tokenizer **out, const char *name, lb_error *err) {
  lb__model_place place = {0};
  lb_status st = lb__model_place_find(&place, name, err);
  if (st == LB_OK)
    st = place.kind == LB__MODEL_GGUF ? lb__tokenizer_open_gguf(out, place.file, err)
                                      : lb__tokenizer_open_folder(out, place.folder, err);
  lb__model_place_deinit(&place);
  return st;
}

/* A folder without tokenizer files may be one that holds a GGUF. */
static lb_status open_folder(lb_tokenizer **out, const char *path, lb_error *err) {
  lb__model_place place = {0};
  lb_status st = lb__tokenizer_open_folder(out, path, err);
  if (st != LB_E_IO) return st;
  if (lb__model_place_find(&place, path, NULL) == LB_OK && place.kind == LB__MODEL_GGUF)
    st = lb__tokenizer_open_gguf(out, place.file, err);
  lb__model_place_deinit(&place);
  return st;
}

lb_status lb_tokenizer_open(lb_tokenizer **out, const char *path, lb_error *err) {
  *out = NULL;
  if (path == NULL) return lb__fail(err, LB_E_ARG, "tokenizer: no path given");
  if (lb__path_is_folder(path)) return open_folder(out, path, err);
  size_t size = strlen(path);
  if (size > 5 && strcmp(path + size - 5, ".gguf") == 0)
    return lb__tokenizer_open_gguf(out, path, err);
  if (size > 5 && strcmp(path + size - 5, ".json") == 0)
    return lb__tokenizer_open_json(out, path, err);
  if (!lb__path_is_file(path) && lb__hub_name_valid(path)) return open_hub_name(out, path, err);
  return lb__tokenizer_open_json(out, path, err);
}

lb_status lb__tokenizer_new(lb_tokenizer **out, lb_error *err) {
  *out = lb__new(sizeof **out);
  if (*out == NULL) return lb__fail_nomem(err, "tokenizer");
  (*out)->bos = (*out)->eos = (*out)->pad = (*out)->unk = -1;
  (*out)->bpe.vocabulary = (*out)->unigram.vocabulary = &(*out)->vocabulary;
  (*out)->unigram.unk_id = -1;
  return LB_OK;
}

void lb_tokenizer_free(lb_tokenizer *t) {
  if (t == NULL) return;
  for (size_t i = 0; i < LB__MAX_ENCODERS; i++) lb__encoder_free(atomic_load(&t->encoders[i]));
  json_decref(t->config);
  lb__bpe_deinit(&t->bpe);
  lb__unigram_deinit(&t->unigram);
  lb__normalizers_deinit(&t->normalizers);
  lb__pretokenizers_deinit(&t->pretokenizers);
  lb__templates_deinit(&t->templates);
  lb__decoders_deinit(&t->decoders);
  lb__added_tokens_deinit(&t->added);
  lb__vocabulary_deinit(&t->vocabulary);
  lb__free(t->eos_ids.items);
  lb__free(t);
}

lb_status lb__tokenizer_name_file(lb_status st, const char *name, lb_error *err) {
  if (st == LB_OK || err == NULL || strncmp(err->message, name, strlen(name)) == 0) return st;
  return lb__fail_prefix(err, st, "%.160s", name);
}

/* ---- the options of the model ---- */

static lb_status copy_text(char **out, size_t *size, const json_t *model, const char *key,
                           lb_error *err) {
  const json_t *value = json_object_get(model, key);
  if (value == NULL || json_is_null(value)) return LB_OK;
  if (!json_is_string(value))
    return lb__fail(err, LB_E_FORMAT, "model.%s: want a string, found %s", key,
                    lb__json_type_name(value));
  *size = json_string_length(value);
  *out = lb__strndup(json_string_value(value), *size);
  return *out != NULL ? LB_OK : lb__fail_nomem(err, key);
}

static lb_status read_bpe_options(lb__bpe *bpe, const json_t *model, lb_error *err) {
  double dropout = 0;
  lb_status st = lb__json_get_real(&dropout, model, "dropout", false, "model", err);
  if (st != LB_OK) return st;
  if (dropout != 0)
    return lb__fail(err, LB_E_UNSUPPORTED,
                    "model.dropout is %g: encoding would be random; set it to null", dropout);
  struct {
    const char *key;
    bool *flag;
  } flags[] = {{"fuse_unk", &bpe->fuse_unk},
               {"byte_fallback", &bpe->byte_fallback},
               {"ignore_merges", &bpe->ignore_merges}};
  for (size_t i = 0; i < sizeof flags / sizeof flags[0] && st == LB_OK; i++)
    st = lb__json_get_bool(flags[i].flag, model, flags[i].key, false, "model", err);
  if (st == LB_OK)
    st = copy_text(&bpe->prefix, &bpe->prefix_size, model, "continuing_subword_prefix", err);
  if (st == LB_OK)
    st = copy_text(&bpe->suffix, &bpe->suffix_size, model, "end_of_word_suffix", err);
  return st != LB_OK ? st
                     : copy_text(&bpe->unk_token, &bpe->unk_token_size, model, "unk_token", err);
}

static lb_status read_unigram_options(lb__unigram *u, const json_t *model, lb_error *err) {
  lb_status st = lb__json_get_int(&u->unk_id, model, "unk_id", false, "model", err);
  if (st == LB_OK && u->unk_id < -1)
    st = lb__fail(err, LB_E_FORMAT, "model.unk_id is %lld", (long long)u->unk_id);
  return st != LB_OK
             ? st
             : lb__json_get_bool(&u->byte_fallback, model, "byte_fallback", false, "model", err);
}

lb_status lb__tokenizer_configure(lb_tokenizer *t, json_t *config, lb_error *err) {
  t->config = config;
  const json_t *model = json_object_get(config, "model");
  const char *version = NULL, *type = NULL;
  lb_status st = lb__json_get_string(&version, config, "version", false, "tokenizer", err);
  if (st != LB_OK) return st;
  if (version != NULL && strcmp(version, "1.0") != 0)
    return lb__fail(err, LB_E_UNSUPPORTED, "tokenizer version '%s'; want '1.0'", version);
  if (!json_is_object(model))
    return lb__fail(err, LB_E_FORMAT, "model: want an object, found %s", lb__json_type_name(model));
  st = lb__json_get_string(&type, model, "type", false, "model", err);
  if (st != LB_OK) return st;
  /* Old files have no type; only Unigram has an unk_id. */
  if (type == NULL) type = json_object_get(model, "unk_id") != NULL ? "Unigram" : "BPE";
  t->is_unigram = strcmp(type, "Unigram") == 0;
  if (t->is_unigram) return read_unigram_options(&t->unigram, model, err);
  if (strcmp(type, "BPE") != 0)
    return lb__config_unknown("model", type, "BPE Unigram", "model", err);
  return read_bpe_options(&t->bpe, model, err);
}

/* ---- finishing ---- */

/* Sentencepiece's models want U+2581 for a space, and nothing else sees the text in between: the
 * model can read the spaces themselves. Then no text is copied, and a word is shorter. */
static bool can_read_spaces(const lb_tokenizer *t) {
  const lb__bpe *bpe = &t->bpe;
  if (bpe->reads_bytes || bpe->ignore_merges || bpe->prefix_size > 0 || bpe->suffix_size > 0)
    return false;
  for (size_t i = 0; i < t->added.n; i++)
    if (t->added.items[i].normalized) return false;
  return lb__normalizers_end_in_marks(&t->normalizers) &&
         lb__pretokenizers_need_spaces(&t->pretokenizers) &&
         lb__vocabulary_find(&t->vocabulary, "\xE2\x96\x81", 3) >= 0;
}

static lb_status finish_model(lb_tokenizer *t, lb_error *err) {
  if (t->is_unigram) return lb__unigram_finish(&t->unigram, err);
  bool plain = !t->bpe.byte_fallback && t->bpe.prefix_size == 0 && t->bpe.suffix_size == 0;
  t->bpe.reads_bytes = plain && lb__pretokenizers_end_in_bytes(&t->pretokenizers);
  t->pretokenizers.keeps_bytes = t->bpe.reads_bytes;
  t->bpe.reads_spaces = can_read_spaces(t);
  if (t->bpe.reads_spaces) {
    lb__normalizers_drop_last(&t->normalizers);
    lb__pretokenizers_deinit(&t->pretokenizers);
  }
  if (t->bpe.unk_token != NULL)
    t->unk = lb__vocabulary_find(&t->vocabulary, t->bpe.unk_token, t->bpe.unk_token_size);
  return lb__bpe_finish(&t->bpe, err);
}

lb_status lb__tokenizer_finish(lb_tokenizer *t, lb_error *err) {
  const json_t *c = t->config;
  lb_status st = lb__normalizers_compile(&t->normalizers, json_object_get(c, "normalizer"), err);
  if (st == LB_OK)
    st = lb__pretokenizers_compile(&t->pretokenizers, json_object_get(c, "pre_tokenizer"), err);
  if (st == LB_OK)
    st = lb__templates_compile(&t->templates, json_object_get(c, "post_processor"), err);
  if (st == LB_OK) st = lb__decoders_compile(&t->decoders, json_object_get(c, "decoder"), err);
  if (st == LB_OK)
    st = lb__added_tokens_read(&t->added, json_object_get(c, "added_tokens"), &t->vocabulary, err);
  if (st == LB_OK) st = finish_model(t, err);
  if (st == LB_OK) st = lb__added_tokens_finish(&t->added, &t->vocabulary, &t->normalizers, err);
  if (st != LB_OK) return st;
  t->n_ids = (int32_t)t->added.n_ids;
  if (t->is_unigram) t->unk = (int32_t)t->unigram.unk_id;
  return lb__templates_check(&t->templates, t->n_ids, err);
}

lb_status lb__tokenizer_add_eos(lb_tokenizer *t, int64_t id, lb_error *err) {
  if (id < 0 || id >= t->n_ids) return LB_OK;
  size_t at = 0;
  while (at < t->eos_ids.n && t->eos_ids.items[at] < id) at++;
  if (at < t->eos_ids.n && t->eos_ids.items[at] == id) return LB_OK;
  if (!lb__ids_add(&t->eos_ids, 0)) return lb__fail_nomem(err, "end tokens");
  for (size_t i = t->eos_ids.n - 1; i > at; i--) t->eos_ids.items[i] = t->eos_ids.items[i - 1];
  t->eos_ids.items[at] = (int32_t)id;
  return LB_OK;
}

/* ---- looking around ---- */

int32_t lb_tokenizer_size(const lb_tokenizer *t) {
  return t->n_ids;
}

const char *lb_tokenizer_token_text(const lb_tokenizer *t, int32_t id, size_t *size) {
  size_t ignored;
  if (size == NULL) size = &ignored;
  const lb__added_token *added = lb__added_tokens_get(&t->added, id);
  if (added == NULL) return lb__vocabulary_text(&t->vocabulary, id, size);
  *size = added->size;
  return added->text;
}

int32_t lb_tokenizer_token_id(const lb_tokenizer *t, const char *text) {
  const lb__added_token *added = lb__added_tokens_find(&t->added, text, strlen(text));
  return added != NULL ? added->id : lb__vocabulary_find(&t->vocabulary, text, strlen(text));
}

int32_t lb_tokenizer_bos(const lb_tokenizer *t) {
  return t->bos;
}
int32_t lb_tokenizer_eos(const lb_tokenizer *t) {
  return t->eos;
}
int32_t lb_tokenizer_pad(const lb_tokenizer *t) {
  return t->pad;
}
int32_t lb_tokenizer_unk(const lb_tokenizer *t) {
  return t->unk;
}

const int32_t *lb_tokenizer_eos_ids(const lb_tokenizer *t, size_t *n) {
  *n = t->eos_ids.n;
  return t->eos_ids.items;
}

bool lb_tokenizer_is_special(const lb_tokenizer *t, int32_t id) {
  const lb__added_token *added = lb__added_tokens_get(&t->added, id);
  return added != NULL && added->skipped;
}

bool lb_tokenizer_add_bos(const lb_tokenizer *t) {
  return t->add_bos;
}

const char *lb_tokenizer_model_name(const lb_tokenizer *t) {
  return t->is_unigram ? "Unigram" : "BPE";
}

/* FNV-1a: the value goes into checkpoints, so it may depend on nothing but the tokens. */
static uint64_t mix_bytes(uint64_t hash, const char *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001B3u;
  return (hash ^ 0x1FF) * 0x100000001B3u; /* a mark that no byte makes: the token's end */
}

uint64_t lb_tokenizer_hash(const lb_tokenizer *t) {
  uint64_t hash = mix_bytes(0xCBF29CE484222325u, lb_tokenizer_model_name(t), 3);
  for (int32_t id = 0; id < t->n_ids; id++) {
    size_t size = 0;
    const char *text = lb_tokenizer_token_text(t, id, &size);
    if (text != NULL) hash = mix_bytes(hash, text, size);
    hash = mix_bytes(hash, text == NULL ? "-" : lb_tokenizer_is_special(t, id) ? "s" : "o", 1);
  }
  return hash;
}

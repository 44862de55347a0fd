/* tokenizer_cut.c - a tokenizer with some of the tokens of another: the same description with ids
 * changed, the tables with what is left of them. See vocabulary_cut.h. */
#include "tokenizer_internal.h"
#include "vocabulary_cut.h"

#include "base/fail.h"

typedef struct cutter {
  const lb_tokenizer *from;
  const lb__vocabulary_cut *cut;
  lb_tokenizer *to;
  lb_error *err;
} cutter;

/* ---- the description ---- */

/* object[key], an id; one that was dropped goes. */
static bool change_id(json_t *object, const char *key, const lb__vocabulary_cut *cut) {
  json_t *value = json_object_get(object, key);
  if (!json_is_integer(value)) return true;
  int32_t id = lb__vocabulary_cut_id(cut, json_integer_value(value));
  if (id >= 0) return json_integer_set(value, id) == 0;
  return json_object_set_new(object, key, json_null()) == 0;
}

static json_t *cut_added_tokens(const cutter *c, const json_t *list) {
  json_t *kept = json_array();
  bool fits = kept != NULL;
  for (size_t i = 0; fits && i < json_array_size(list); i++) {
    json_t *item = json_array_get(list, i), *content = json_object_get(item, "content");
    size_t size = json_string_length(content);
    const lb__added_token *token =
        size > 0 ? lb__added_tokens_find(&c->from->added, json_string_value(content), size) : NULL;
    int32_t id = token != NULL ? lb__vocabulary_cut_id(c->cut, token->id) : -1;
    if (id < 0) continue;
    fits = fits && json_object_set_new(item, "id", json_integer(id)) == 0 &&
           json_array_append(kept, item) == 0;
  }
  if (fits) return kept;
  json_decref(kept);
  return NULL;
}

/* {"SpecialToken":...}: special_tokens[name].ids */
static bool change_template(json_t *part, const lb__vocabulary_cut *cut) {
  const char *name;
  json_t *special;
  bool fits = true;
  json_object_foreach(json_object_get(part, "special_tokens"), name, special) {
    json_t *ids = json_object_get(special, "ids");
    for (size_t i = 0; i < json_array_size(ids) && fits; i++) {
      json_int_t id = json_integer_value(json_array_get(ids, i));
      fits = json_integer_set(json_array_get(ids, i), lb__vocabulary_cut_id(cut, id)) == 0;
    }
  }
  return fits;
}

/* {"sep":["</s>",2],"cls":["<s>",0]} */
static bool change_pair(json_t *part, const char *key, const lb__vocabulary_cut *cut) {
  json_t *id = json_array_get(json_object_get(part, key), 1);
  return id == NULL ||
         json_integer_set(id, lb__vocabulary_cut_id(cut, json_integer_value(id))) == 0;
}

static lb_status change_leaf(void *ctx, const char *type, const json_t *part, const char *path,
                             lb_error *err) {
  const cutter *c = ctx;
  json_t *own = (json_t *)(uintptr_t)part; /* of our copy of the description */
  bool fits = true;
  if (strcmp(type, "TemplateProcessing") == 0) fits = change_template(own, c->cut);
  if (strcmp(type, "BertProcessing") == 0 || strcmp(type, "RobertaProcessing") == 0)
    fits = change_pair(own, "cls", c->cut) && change_pair(own, "sep", c->cut);
  return fits ? LB_OK : lb__fail_nomem(err, path);
}

/* *out: the description of the new tokenizer. */
static lb_status describe(json_t **out, cutter *c) {
  json_t *config = json_deep_copy(c->from->config);
  *out = config;
  json_t *added = json_object_get(config, "added_tokens");
  json_t *kept = json_is_array(added) ? cut_added_tokens(c, added) : NULL;
  bool fits = config != NULL && change_id(json_object_get(config, "padding"), "pad_id", c->cut) &&
              change_id(json_object_get(config, "model"), "unk_id", c->cut);
  if (json_is_array(added)) fits = json_object_set_new(config, "added_tokens", kept) == 0 && fits;
  if (!fits) return lb__fail_nomem(c->err, "tokenizer");
  return lb__config_each(json_object_get(config, "post_processor"), "processors", "post_processor",
                         change_leaf, c, c->err);
}

/* ---- the tables ---- */

static lb_status cut_vocabulary(const cutter *c) {
  lb_status st = LB_OK;
  for (int32_t id = 0; id < c->cut->n && st == LB_OK; id++) {
    size_t size;
    int32_t old = c->cut->kept[id];
    const char *text = lb__vocabulary_text(&c->from->vocabulary, old, &size);
    if (text == NULL) continue; /* an added token alone */
    st = lb__vocabulary_add(&c->to->vocabulary, text, size, id, c->err);
    if (st == LB_OK && c->from->is_unigram)
      st = lb__unigram_add_score(&c->to->unigram, c->from->unigram.scores[old], c->err);
  }
  return st;
}

static lb_status cut_merges(const cutter *c) {
  const lb__bpe *bpe = &c->from->bpe;
  const lb__vocabulary *v = &c->from->vocabulary;
  lb_status st = LB_OK;
  for (size_t i = 0; i < bpe->n_merges && st == LB_OK; i++) {
    const lb__merge *m = &bpe->merges[i];
    size_t left_size, right_size;
    if (lb__vocabulary_cut_id(c->cut, m->left) < 0 || lb__vocabulary_cut_id(c->cut, m->right) < 0 ||
        lb__vocabulary_cut_id(c->cut, m->result) < 0)
      continue;
    const char *left = lb__vocabulary_text(v, m->left, &left_size);
    const char *right = lb__vocabulary_text(v, m->right, &right_size);
    st = lb__bpe_add_merge(&c->to->bpe, left, left_size, right, right_size, c->err);
  }
  return st;
}

static lb_status cut_specials(const cutter *c) {
  const lb_tokenizer *from = c->from;
  lb_tokenizer *to = c->to;
  lb_status st = LB_OK;
  to->bos = lb__vocabulary_cut_id(c->cut, from->bos);
  to->eos = lb__vocabulary_cut_id(c->cut, from->eos);
  to->pad = lb__vocabulary_cut_id(c->cut, from->pad);
  to->unk = lb__vocabulary_cut_id(c->cut, from->unk);
  to->add_bos = from->add_bos;
  to->add_eos = from->add_eos;
  for (size_t i = 0; i < from->eos_ids.n && st == LB_OK; i++)
    st = lb__tokenizer_add_eos(to, lb__vocabulary_cut_id(c->cut, from->eos_ids.items[i]), c->err);
  return st;
}

/* Hugging Face numbers added tokens itself, behind the vocabulary; so what came out is compared. */
static lb_status check_ids(const cutter *c) {
  for (int32_t id = 0; id < c->cut->n; id++) {
    size_t want_size, size = 0;
    const char *want = lb_tokenizer_token_text(c->from, c->cut->kept[id], &want_size);
    const char *text = lb_tokenizer_token_text(c->to, id, &size);
    if (text == NULL || size != want_size || memcmp(text, want, size) != 0)
      return lb__fail(
          c->err, LB_E_UNSUPPORTED,
          "tokenizer: the vocabulary cannot be cut: id %d would have to be '%.60s', but "
          "the order of its added tokens makes it '%.60s'",
          id, want, text != NULL ? text : "nothing");
  }
  if (c->to->n_ids == c->cut->n) return LB_OK;
  return lb__fail(c->err, LB_E_UNSUPPORTED,
                  "tokenizer: the vocabulary cannot be cut: %d tokens are kept, %d come out",
                  c->cut->n, c->to->n_ids);
}

lb_status lb__tokenizer_cut(lb_tokenizer **out, const lb_tokenizer *t,
                            const lb__vocabulary_cut *cut, lb_error *err) {
  cutter c = {.from = t, .cut = cut, .err = err};
  json_t *config = NULL;
  *out = NULL;
  lb_status st = describe(&config, &c);
  if (st == LB_OK) st = lb__tokenizer_new(&c.to, err);
  if (st == LB_OK) {
    json_t *taken = config;
    config = NULL;
    st = lb__tokenizer_configure(c.to, taken, err);
  }
  if (st == LB_OK) st = cut_vocabulary(&c);
  if (st == LB_OK && !t->is_unigram) st = cut_merges(&c);
  if (st == LB_OK) st = lb__tokenizer_finish(c.to, err);
  if (st == LB_OK) st = cut_specials(&c);
  if (st == LB_OK) st = check_ids(&c);
  json_decref(config);
  if (st == LB_OK)
    *out = c.to;
  else
    lb_tokenizer_free(c.to);
  return st;
}

/* tokenizer_json.c - loads a tokenizer.json. The two big members of `model` are read by a cursor
 * straight into the tables; the rest, with null in their places, becomes a small JSON tree. */
#include "tokenizer_internal.h"

#include "base/fail.h"
#include "base/files.h"
#include "base/utf8.h"
#include "json_scan.h"

typedef struct value_range {
  const char *begin, *end; /* NULL: the member is absent */
} value_range;

typedef struct big_members {
  value_range vocab, merges;
} big_members;

/* Walks the members of an object; `model` is entered once (depth 1), its big members noted. */
static lb_status find_members(lb__json_cursor *c, big_members *found, bool inside_model,
                              lb_error *err) {
  lb_status st = lb__json_expect(c, '{', err);
  if (st != LB_OK || lb__json_accept(c, '}')) return st;
  do {
    const char *key, *start;
    size_t size;
    st = lb__json_string(c, &key, &size, err);
    bool is_model = st == LB_OK && !inside_model && size == 5 && memcmp(key, "model", 5) == 0;
    bool is_vocab = st == LB_OK && inside_model && size == 5 && memcmp(key, "vocab", 5) == 0;
    bool is_merges = st == LB_OK && inside_model && size == 6 && memcmp(key, "merges", 6) == 0;
    if (st == LB_OK) st = lb__json_expect(c, ':', err);
    if (st != LB_OK) return st;
    lb__json_cursor ahead = *c;
    if (is_model && lb__json_accept(&ahead, '{')) {
      st = find_members(c, found, true, err);
    } else {
      st = lb__json_skip(c, &start, err);
      if (is_vocab) found->vocab = (value_range){start, c->at};
      if (is_merges) found->merges = (value_range){start, c->at};
    }
    if (st != LB_OK) return st;
  } while (lb__json_accept(c, ','));
  return lb__json_expect(c, '}', err);
}

/* The file with null instead of the big members. */
static lb_status parse_rest(json_t **config, const char *text, size_t size, big_members m,
                            const char *name, lb_error *err) {
  value_range first = m.vocab, second = m.merges;
  if (first.begin == NULL || (second.begin != NULL && second.begin < first.begin)) {
    first = m.merges;
    second = m.vocab;
  }
  lb__buf rest;
  lb__buf_init(&rest, size + 16);
  const char *at = text;
  const value_range ranges[] = {first, second};
  for (int i = 0; i < 2; i++) {
    if (ranges[i].begin == NULL) continue;
    lb__buf_add(&rest, at, (size_t)(ranges[i].begin - at));
    lb__buf_add_text(&rest, "null");
    at = ranges[i].end;
  }
  lb__buf_add(&rest, at, (size_t)(text + size - at));
  lb_status st = lb__buf_check(&rest, name, err);
  if (st == LB_OK) st = lb__json_parse(config, lb__buf_text(&rest), rest.size, name, err);
  lb__buf_deinit(&rest);
  return st;
}

/* Ids may have holes, but a huge id must not buy a huge table. */
static lb_status check_id(int64_t id, size_t n_bytes, const lb__json_cursor *c, lb_error *err) {
  if (id >= 0 && (uint64_t)id <= n_bytes + 65536) return LB_OK;
  return lb__fail(err, LB_E_LIMIT,
                  "%s: byte %zu: id %lld is far beyond what a vocabulary of this "
                  "size needs",
                  c->name, (size_t)(c->at - c->begin), (long long)id);
}

/* {"token": id, ...} */
static lb_status read_bpe_vocabulary(lb_tokenizer *t, lb__json_cursor *c, lb_error *err) {
  lb_status st = lb__json_expect(c, '{', err);
  if (st != LB_OK || lb__json_accept(c, '}')) return st;
  size_t n_bytes = (size_t)(c->end - c->begin);
  do {
    const char *text;
    size_t size;
    int64_t id;
    st = lb__json_string(c, &text, &size, err);
    if (st == LB_OK) st = lb__json_expect(c, ':', err);
    if (st == LB_OK) st = lb__json_integer(c, &id, err);
    if (st == LB_OK) st = check_id(id, n_bytes, c, err);
    if (st == LB_OK) {
      st = lb__vocabulary_add(&t->vocabulary, text, size, id, err);
      if (st != LB_OK) return lb__fail_prefix(err, st, "%s: model.vocab", c->name);
    }
    if (st != LB_OK) return st;
  } while (lb__json_accept(c, ','));
  return lb__json_expect(c, '}', err);
}

/* ["a b", ...] or [["a", "b"], ...] */
static lb_status read_merge(lb_tokenizer *t, lb__json_cursor *c, lb__buf *left, lb_error *err) {
  const char *text;
  size_t size;
  if (!lb__json_accept(c, '[')) {
    lb_status st = lb__json_string(c, &text, &size, err);
    if (st != LB_OK) return st;
    const char *space = memchr(text, ' ', size);
    if (space == NULL || memchr(space + 1, ' ', (size_t)(text + size - space - 1)) != NULL)
      return lb__fail(err, LB_E_FORMAT, "%s: merge %zu '%.*s': want two tokens and one space",
                      c->name, t->bpe.n_merges, (int)(size < 60 ? size : 60), text);
    return lb__bpe_add_merge(&t->bpe, text, (size_t)(space - text), space + 1,
                             (size_t)(text + size - space - 1), err);
  }
  lb_status st = lb__json_string(c, &text, &size, err);
  if (st != LB_OK) return st;
  lb__buf_clear(left);
  lb__buf_add(left, text, size);
  st = lb__json_expect(c, ',', err);
  if (st == LB_OK) st = lb__json_string(c, &text, &size, err);
  if (st == LB_OK) st = lb__json_expect(c, ']', err);
  if (st == LB_OK) st = lb__buf_check(left, "merge", err);
  return st != LB_OK ? st
                     : lb__bpe_add_merge(&t->bpe, lb__buf_text(left), left->size, text, size, err);
}

static lb_status read_merges(lb_tokenizer *t, lb__json_cursor *c, lb_error *err) {
  lb_status st = lb__json_expect(c, '[', err);
  if (st != LB_OK || lb__json_accept(c, ']')) return st;
  lb__buf left;
  lb__buf_init(&left, LB__TEXT_MAX);
  do st = read_merge(t, c, &left, err);
  while (st == LB_OK && lb__json_accept(c, ','));
  lb__buf_deinit(&left);
  return st != LB_OK ? st : lb__json_expect(c, ']', err);
}

/* [["piece", score], ...]; the id is the place in the list. */
static lb_status read_unigram_vocabulary(lb_tokenizer *t, lb__json_cursor *c, lb_error *err) {
  lb_status st = lb__json_expect(c, '[', err);
  if (st != LB_OK || lb__json_accept(c, ']')) return st;
  do {
    const char *text;
    size_t size;
    double score;
    st = lb__json_expect(c, '[', err);
    if (st == LB_OK) st = lb__json_string(c, &text, &size, err);
    if (st == LB_OK)
      st = lb__vocabulary_add(&t->vocabulary, text, size, (int64_t)t->unigram.n_scores, err);
    if (st == LB_OK) st = lb__json_expect(c, ',', err);
    if (st == LB_OK) st = lb__json_number(c, &score, err);
    if (st == LB_OK) st = lb__unigram_add_score(&t->unigram, score, err);
    if (st == LB_OK) st = lb__json_expect(c, ']', err);
    if (st != LB_OK) return st;
  } while (lb__json_accept(c, ','));
  return lb__json_expect(c, ']', err);
}

static lb_status read_big_members(lb_tokenizer *t, lb__json_cursor *c, big_members m,
                                  lb_error *err) {
  if (m.vocab.begin == NULL) return lb__fail(err, LB_E_FORMAT, "%s: model has no vocab", c->name);
  c->at = m.vocab.begin;
  if (t->is_unigram) return read_unigram_vocabulary(t, c, err);
  lb_status st = read_bpe_vocabulary(t, c, err);
  if (st != LB_OK) return st;
  if (m.merges.begin == NULL) return lb__fail(err, LB_E_FORMAT, "%s: model has no merges", c->name);
  c->at = m.merges.begin;
  return read_merges(t, c, err);
}

lb_status lb__tokenizer_parse_json(lb_tokenizer **out, const char *text, size_t size,
                                   const char *name, lb_error *err) {
  *out = NULL;
  size_t valid = lb__utf8_valid_prefix(text, size);
  if (valid < size) return lb__fail(err, LB_E_FORMAT, "%s: byte %zu: not valid UTF-8", name, valid);
  lb__json_cursor c = {.begin = text, .at = text, .end = text + size, .name = name};
  lb__buf_init(&c.text, LB__TEXT_MAX);
  big_members m = {0};
  json_t *config = NULL;
  lb_tokenizer *t = NULL;
  lb_status st = find_members(&c, &m, false, err);
  if (st == LB_OK) st = parse_rest(&config, text, size, m, name, err);
  if (st == LB_OK) st = lb__tokenizer_new(&t, err);
  if (st == LB_OK) {
    json_t *taken = config;
    config = NULL;
    st = lb__tokenizer_configure(t, taken, err);
    if (st == LB_OK) st = read_big_members(t, &c, m, err);
    if (st == LB_OK) st = lb__tokenizer_finish(t, err);
    st = lb__tokenizer_name_file(st, name, err);
  }
  lb__buf_deinit(&c.text);
  json_decref(config);
  if (st != LB_OK) {
    lb_tokenizer_free(t);
    return st;
  }
  *out = t;
  return LB_OK;
}

static lb_status parse_file(lb_tokenizer **out, const char *path, lb_error *err) {
  char *text;
  size_t size;
  lb_status st = lb__file_read(&text, &size, path, LB__TOKENIZER_MAX_FILE, err);
  if (st != LB_OK) return st;
  st = lb__tokenizer_parse_json(out, text, size, path, err);
  lb__free(text);
  return st;
}

lb_status lb__tokenizer_open_json(lb_tokenizer **out, const char *path, lb_error *err) {
  *out = NULL;
  lb_tokenizer *t = NULL;
  const char *base = lb__path_base(path);
  char *folder = base == path ? lb__strdup(".") : lb__strndup(path, (size_t)(base - path));
  if (folder == NULL) return lb__fail_nomem(err, path);
  lb_status st = parse_file(&t, path, err);
  if (st == LB_OK) st = lb__tokenizer_read_specials(t, folder, err);
  lb__free(folder);
  if (st != LB_OK) {
    lb_tokenizer_free(t);
    return st;
  }
  *out = t;
  return LB_OK;
}

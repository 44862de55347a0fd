/* vocabulary_cut.c - see vocabulary_cut.h: the choice. The tokenizer that is left is
 * tokenizer_cut.c's. Read next: lb__vocabulary_cut_choose at the end. */
#include "vocabulary_cut.h"

#include "base/fail.h"
#include "tokenizer_convert.h"
#include "tokenizer_internal.h"
#include "unicode_class.h"

#include <stdlib.h>

enum { SPELLED_MOST = 128 }; /* characters of a token that is put together again, O(n^2) */

typedef struct chooser {
  const lb_tokenizer *t;
  const lb__vocabulary_wish *wish;
  int64_t n_ids, n_rows; /* of the tokenizer; ids that can stay */
  bool *kept, *reached;  /* [n_ids]; with everything that leads there */
  int64_t n_kept;
  lb__ids way;     /* of the token in hand: itself and what leads to it, each once */
  lb__ids symbols; /* it is being put together from */
  int32_t *seen;   /* [n_ids] the number of the last way that it was on */
  int32_t n_ways;
  /* Of each token the merges that give it, [begin[id], begin[id + 1]) in by_result; made when one
   * is first asked for. */
  int32_t *begin, *by_result;
} chooser;

static void keep(chooser *c, int64_t id) {
  if (id < 0 || id >= c->n_rows || c->kept[id]) return;
  if (lb_tokenizer_token_text(c->t, (int32_t)id, NULL) == NULL) return;
  c->kept[id] = true;
  c->n_kept++;
}

/* ---- the way to a token ---- */

static void begin_way(chooser *c) {
  c->way.n = 0;
  c->n_ways++;
}

static bool add_to_way(chooser *c, int32_t id) {
  if (c->seen[id] == c->n_ways) return true;
  c->seen[id] = c->n_ways;
  return lb__ids_add(&c->way, id);
}

/* ---- putting it together again ----
 *
 * The merges inside a token never look outside of it: whatever text it stood in, they were the ones
 * that happen when its own characters are all there is. So replaying those gives every token on the
 * way, exactly. */

/* The characters of a token as symbols; false: it is not made of such, or too long. */
static bool spell(chooser *c, const char *text, size_t size) {
  const lb__vocabulary *v = &c->t->vocabulary;
  c->symbols.n = 0;
  if (c->t->bpe.prefix_size > 0 || c->t->bpe.suffix_size > 0) return false;
  for (size_t i = 0; i < size;) {
    size_t length = lb__utf8_length((unsigned char)text[i]);
    int32_t id = length <= size - i ? lb__vocabulary_find(v, text + i, length) : -1;
    if (id < 0 || c->symbols.n == SPELLED_MOST) return false;
    c->symbols.items[c->symbols.n++] = id;
    i += length;
  }
  return c->symbols.n > 0;
}

/* The place of the pair that merges first, -1: none does. */
static int64_t first_pair(const chooser *c, int32_t *result) {
  uint32_t best = UINT32_MAX;
  int64_t at = -1;
  for (size_t i = 0; i + 1 < c->symbols.n; i++) {
    const lb__merge_slot *m =
        lb__bpe_find_merge(&c->t->bpe, c->symbols.items[i], c->symbols.items[i + 1]);
    if (m == NULL || m->rank >= best) continue;
    best = m->rank;
    at = (int64_t)i;
    *result = m->result;
  }
  return at;
}

/* Adds what comes up between the symbols and the token; false: no memory. */
static bool replay(chooser *c, int32_t id) {
  lb__ids *s = &c->symbols;
  int32_t result = -1;
  bool fits = true;
  for (size_t i = 0; fits && i < s->n; i++) fits = add_to_way(c, s->items[i]);
  for (int64_t at; fits && (at = first_pair(c, &result)) >= 0;) {
    s->items[at] = result;
    memmove(s->items + at + 1, s->items + at + 2, (s->n - (size_t)at - 2) * sizeof *s->items);
    s->n--;
    fits = add_to_way(c, result);
  }
  if (s->n == 1 && s->items[0] == id) return fits;
  begin_way(c); /* merges do not lead to it: it was found whole (added token, ignore_merges) */
  return fits;
}

/* ---- whatever could lead to it ---- */

static bool index_merges(chooser *c) {
  const lb__bpe *bpe = &c->t->bpe;
  if (c->begin != NULL) return true;
  c->begin = lb__new_array((size_t)c->n_ids + 2, sizeof *c->begin);
  c->by_result = lb__alloc_array(bpe->n_merges + 1, sizeof *c->by_result);
  if (c->begin == NULL || c->by_result == NULL) return false;
  int32_t *next = c->begin + 1; /* while filling: where the next merge of a token goes */
  for (size_t i = 0; i < bpe->n_merges; i++) next[bpe->merges[i].result + 1]++;
  for (int64_t id = 0; id < c->n_ids; id++) next[id + 1] += next[id];
  for (size_t i = 0; i < bpe->n_merges; i++)
    c->by_result[next[bpe->merges[i].result]++] = (int32_t)i;
  return true;
}

/* Tokens of prefixes, suffixes or bytes do not tell their symbols: everything that some merge makes
 * one of is kept. */
static bool add_ancestors(chooser *c, int32_t id) {
  const lb__bpe *bpe = &c->t->bpe;
  bool fits = index_merges(c) && add_to_way(c, id);
  for (size_t at = 0; fits && at < c->way.n; at++) {
    int32_t result = c->way.items[at];
    for (int32_t i = c->begin[result]; fits && i < c->begin[result + 1]; i++) {
      const lb__merge *m = &bpe->merges[c->by_result[i]];
      fits = add_to_way(c, m->left) && add_to_way(c, m->right);
    }
  }
  return fits;
}

/* c->way = the token and what leads to it; false: no memory. */
static bool find_way(chooser *c, int32_t id) {
  size_t size;
  const char *text = lb__vocabulary_text(&c->t->vocabulary, id, &size);
  begin_way(c);
  if (c->t->is_unigram || text == NULL || c->t->bpe.n_merges == 0) return add_to_way(c, id);
  if (!spell(c, text, size)) return add_ancestors(c, id);
  return replay(c, id) && add_to_way(c, id);
}

static void keep_way(chooser *c, int32_t id) {
  for (size_t i = 0; i < c->way.n; i++) keep(c, c->way.items[i]);
  c->reached[id] = true;
}

static int64_t n_new_on_way(const chooser *c) {
  int64_t n = 0;
  for (size_t i = 0; i < c->way.n; i++) n += !c->kept[c->way.items[i]];
  return n;
}

/* ---- what any text may need ---- */

static lb_status find_byte_decoder(void *ctx, const char *type, const json_t *part,
                                   const char *path, lb_error *err) {
  bool *found = ctx;
  (void)part, (void)path, (void)err;
  if (strcmp(type, "ByteFallback") == 0) *found = true;
  return LB_OK;
}

/* Whether bytes can stand for every character that the vocabulary lacks, and are characters again
 * in the text that is decoded. */
static lb_status falls_back(bool *out, const lb_tokenizer *t, lb_error *err) {
  const int32_t *bytes = t->is_unigram ? t->unigram.fallback_byte : t->bpe.fallback_byte;
  bool all =
      t->is_unigram ? t->unigram.byte_fallback && t->unigram.unk_id >= 0 : t->bpe.byte_fallback;
  for (int i = 0; all && i < 256; i++) all = bytes[i] >= 0;
  *out = false;
  if (!all) return LB_OK;
  return lb__config_each(json_object_get(t->config, "decoder"), "decoders", "decoder",
                         find_byte_decoder, out, err);
}

static bool is_character(const char *text, size_t size) {
  return size > 0 && lb__utf8_length((unsigned char)text[0]) == size;
}

/* Whether a piece may begin as this token: a character, with the prefix or the suffix or both. */
static bool is_first_symbol(const lb__bpe *bpe, const char *text, size_t size) {
  size_t p = bpe->prefix_size, s = bpe->suffix_size;
  bool has_prefix = p > 0 && size > p && memcmp(text, bpe->prefix, p) == 0;
  bool has_suffix = s > 0 && size > s && memcmp(text + size - s, bpe->suffix, s) == 0;
  return is_character(text, size) || (has_prefix && is_character(text + p, size - p)) ||
         (has_suffix && is_character(text, size - s)) ||
         (has_prefix && has_suffix && size > p + s && is_character(text + p, size - p - s));
}

static void keep_first_symbols(chooser *c) {
  for (int64_t id = 0; id < c->n_ids; id++) {
    size_t size;
    const char *text = lb__vocabulary_text(&c->t->vocabulary, id, &size);
    if (text != NULL && is_first_symbol(&c->t->bpe, text, size)) keep(c, id);
  }
}

/* An unknown character costs a little more than the rarest token: that one stays, for the bound. */
static void keep_rarest(chooser *c) {
  const lb__unigram *u = &c->t->unigram;
  size_t rarest = 0;
  for (size_t i = 1; i < u->n_scores; i++)
    if (u->scores[i] < u->scores[rarest]) rarest = i;
  keep(c, (int64_t)rarest);
}

static lb_status keep_alphabet(chooser *c, lb_error *err) {
  const lb_tokenizer *t = c->t;
  const int32_t *bytes = t->is_unigram ? t->unigram.fallback_byte : t->bpe.fallback_byte;
  bool has_bytes = t->is_unigram ? t->unigram.byte_fallback : t->bpe.byte_fallback;
  bool are_enough;
  if (t->is_unigram) keep_rarest(c);
  if (!t->is_unigram && t->bpe.reads_bytes) {
    for (int i = 0; i < 256; i++) keep(c, t->bpe.symbol_of_byte[i]);
    return LB_OK;
  }
  for (int i = 0; has_bytes && i < 256; i++) keep(c, bytes[i]);
  lb_status st = falls_back(&are_enough, t, err);
  if (st == LB_OK && !are_enough) keep_first_symbols(c);
  keep(c, lb__vocabulary_find(&t->vocabulary, "\xE2\x96\x81", 3)); /* what a space becomes */
  return st;
}

/* ---- what is asked for by name ---- */

static bool occurs(const char *in, size_t in_size, const char *text, size_t size) {
  if (size == 0) return false;
  for (size_t at = 0; at + size <= in_size; at++) {
    const char *first = memchr(in + at, text[0], in_size - size + 1 - at);
    if (first == NULL) return false;
    if (memcmp(first, text, size) == 0) return true;
    at = (size_t)(first - in);
  }
  return false;
}

/* Added tokens that a model's makers left for later use, a number between two texts: of Gemma's
 * 262145 tokens they are 6242. */
static const struct {
  const char *before, *after;
} placeholders[] = {
    {"<unused", ">"},
    {"[unused", "]"},
    {"<|unused_", "|>"},
    {"<|reserved_special_token_", "|>"}, /* Llama 3 */
    {"<|reserved_", "|>"},
    {"<|extra_", "|>"}, /* Qwen */
    {"<|dummy_", "|>"}, /* Phi */
    {"<SPECIAL_", ">"}, /* Mistral */
    {"[control_", "]"},
    {"<\xEF\xBD\x9Cplace\xE2\x96\x81holder\xE2\x96\x81no\xE2\x96\x81",
     "\xEF\xBD\x9C>"}, /* DeepSeek */
    {"[PAD", "]"},     /* llama.cpp, for rows of the embedding that have no token */
};

static bool is_placeholder(const char *text, size_t size) {
  for (size_t i = 0; i < sizeof placeholders / sizeof *placeholders; i++) {
    size_t before = strlen(placeholders[i].before), after = strlen(placeholders[i].after);
    if (size <= before + after || memcmp(text, placeholders[i].before, before) != 0) continue;
    size_t at = before;
    while (at < size && text[at] >= '0' && text[at] <= '9') at++;
    if (at > before && size - at == after && memcmp(text + at, placeholders[i].after, after) == 0)
      return true;
  }
  return false;
}

static void keep_added(chooser *c) {
  const lb__vocabulary_wish *w = c->wish;
  for (size_t i = 0; i < c->t->added.n; i++) {
    const lb__added_token *a = &c->t->added.items[i];
    if (!is_placeholder(a->text, a->size) ||
        occurs(w->template, w->template_size, a->text, a->size))
      keep(c, a->id);
  }
}

/* What a post-processor puts around a pair of texts, too. */
static lb_status keep_template(void *ctx, const char *type, const json_t *part, const char *path,
                               lb_error *err) {
  json_t *specials = json_object_get(part, "special_tokens"), *special;
  const char *name;
  (void)type, (void)path, (void)err;
  json_object_foreach(specials, name, special) {
    const json_t *ids = json_object_get(special, "ids");
    for (size_t i = 0; i < json_array_size(ids); i++)
      keep(ctx, json_integer_value(json_array_get(ids, i)));
  }
  return LB_OK;
}

static lb_status keep_named(chooser *c, lb_error *err) {
  const lb_tokenizer *t = c->t;
  const json_t *padding = json_object_get(json_object_get(t->config, "padding"), "pad_id");
  const int32_t named[] = {t->bos, t->eos, t->pad, t->unk};
  for (size_t i = 0; i < sizeof named / sizeof *named; i++) keep(c, named[i]);
  for (size_t i = 0; i < t->eos_ids.n; i++) keep(c, t->eos_ids.items[i]);
  for (size_t i = 0; i < t->templates.n; i++)
    for (size_t k = 0; k < t->templates.items[i].n; k++) keep(c, t->templates.items[i].items[k]);
  for (size_t i = 0; i < c->wish->n_needed; i++) keep(c, c->wish->needed[i]);
  if (json_is_integer(padding)) keep(c, json_integer_value(padding));
  return lb__config_each(json_object_get(t->config, "post_processor"), "processors",
                         "post_processor", keep_template, c, err);
}

/* ---- what was used ---- */

typedef struct used_token {
  int64_t count;
  int32_t id;
} used_token;

static int by_count(const void *left, const void *right) {
  const used_token *a = left, *b = right;
  if (a->count != b->count) return a->count > b->count ? -1 : 1;
  return a->id < b->id ? -1 : a->id > b->id;
}

/* The most used ones first, each with what leads to it, as far as they fit. */
static lb_status keep_used(chooser *c, lb_error *err) {
  const lb__vocabulary_wish *w = c->wish;
  int64_t n_counts = w->n_counts < c->n_rows ? w->n_counts : c->n_rows;
  int64_t most = w->most > 0 ? w->most : c->n_ids;
  used_token *used = lb__alloc_array((size_t)n_counts + 1, sizeof *used);
  size_t n = 0;
  lb_status st = used != NULL ? LB_OK : lb__fail_nomem(err, "the vocabulary");
  for (int64_t id = 0; id < n_counts && st == LB_OK; id++)
    if (w->counts[id] > 0) used[n++] = (used_token){w->counts[id], (int32_t)id};
  if (st == LB_OK) qsort(used, n, sizeof *used, by_count);
  for (size_t i = 0; i < n && st == LB_OK; i++) {
    if (c->reached[used[i].id]) continue;
    if (!find_way(c, used[i].id)) st = lb__fail_nomem(err, "the vocabulary");
    if (st == LB_OK && c->n_kept + n_new_on_way(c) <= most) keep_way(c, used[i].id);
  }
  lb__free(used);
  return st;
}

/* ---- all of it ---- */

static lb_status choose(chooser *c, lb_error *err) {
  lb_status st = keep_alphabet(c, err);
  keep_added(c);
  if (st == LB_OK) st = keep_named(c, err);
  if (st != LB_OK) return st;
  if (c->wish->most > 0 && c->n_kept > c->wish->most)
    return lb__fail(err, LB_E_ARG,
                    "vocabulary: %lld tokens are to be kept, but special tokens and those that any "
                    "text may need are %lld; want at least so many",
                    (long long)c->wish->most, (long long)c->n_kept);
  return keep_used(c, err);
}

static lb_status list_kept(lb__vocabulary_cut *out, const chooser *c, lb_error *err) {
  out->kept = lb__alloc_array((size_t)c->n_kept, sizeof *out->kept);
  out->new_ids = lb__alloc_array((size_t)c->n_ids, sizeof *out->new_ids);
  if (out->kept == NULL || out->new_ids == NULL) return lb__fail_nomem(err, "the vocabulary");
  out->n_source = (int32_t)c->n_ids;
  for (int32_t id = 0; id < out->n_source; id++) {
    out->new_ids[id] = c->kept[id] ? out->n : -1;
    if (c->kept[id]) out->kept[out->n++] = id;
  }
  return LB_OK;
}

static lb_status chooser_init(chooser *c, lb_error *err) {
  c->n_ids = c->t->n_ids;
  c->n_rows = c->n_ids;
  if (c->wish->n_rows > 0) {
    lb_status st = lb__tokenizer_check_rows(c->t, (size_t)c->wish->n_rows, err);
    if (st != LB_OK) return st;
    if (c->wish->n_rows < c->n_ids) c->n_rows = c->wish->n_rows;
  }
  c->kept = lb__new_array((size_t)c->n_ids + 1, sizeof *c->kept);
  c->reached = lb__new_array((size_t)c->n_ids + 1, sizeof *c->reached);
  c->seen = lb__new_array((size_t)c->n_ids + 1, sizeof *c->seen);
  c->symbols.items = lb__alloc_array(SPELLED_MOST, sizeof *c->symbols.items);
  bool fits = c->kept != NULL && c->reached != NULL && c->seen != NULL && c->symbols.items != NULL;
  return fits ? LB_OK : lb__fail_nomem(err, "the vocabulary");
}

lb_status lb__vocabulary_cut_choose(lb__vocabulary_cut *out, const lb_tokenizer *t,
                                    const lb__vocabulary_wish *wish, lb_error *err) {
  chooser c = {.t = t, .wish = wish};
  *out = (lb__vocabulary_cut){0};
  lb_status st = chooser_init(&c, err);
  if (st == LB_OK) st = choose(&c, err);
  if (st == LB_OK) st = list_kept(out, &c, err);
  lb__free(c.kept);
  lb__free(c.reached);
  lb__free(c.seen);
  lb__free(c.way.items);
  lb__free(c.symbols.items);
  lb__free(c.begin);
  lb__free(c.by_result);
  if (st != LB_OK) lb__vocabulary_cut_deinit(out);
  return st;
}

void lb__vocabulary_cut_deinit(lb__vocabulary_cut *cut) {
  lb__free(cut->kept);
  lb__free(cut->new_ids);
  *cut = (lb__vocabulary_cut){0};
}

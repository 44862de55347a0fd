/* bpe.c - see bpe.h. A piece becomes symbols (ids), then the adjacent pair whose merge has the
 * lowest rank is replaced, leftmost first, until no pair merges. Short pieces rescan an array; long
 * ones keep a heap of candidates over a linked list. */
#include "bpe.h"

#include "base/fail.h"
#include "base/map.h"
#include "base/memory.h"
#include "byte_alphabet.h"
#include "unicode_class.h"

#include <stdio.h>

bool lb__ids_append(lb__ids *ids, const int32_t *items, size_t n) {
  if (ids->capacity - ids->n < n &&
      !lb__grow(&ids->items, &ids->capacity, ids->n + n, sizeof *ids->items))
    return false;
  for (size_t i = 0; i < n; i++) ids->items[ids->n + i] = items[i];
  ids->n += n;
  return true;
}

bool lb__ids_add(lb__ids *ids, int32_t id) {
  return lb__ids_append(ids, &id, 1);
}

/* ---- the merge table ---- */

static uint64_t pair_of(int32_t left, int32_t right) {
  return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

static inline const lb__merge_slot *find_merge(const lb__bpe *bpe, int32_t left, int32_t right) {
  uint64_t pair = pair_of(left, right);
  size_t i = (size_t)((pair * bpe->table_multiplier) >> bpe->table_shift);
  while (bpe->table[i].pair != pair) {
    if (bpe->table[i].pair == UINT64_MAX) return NULL;
    i = (i + 1) & (bpe->n_slots - 1);
  }
  return &bpe->table[i];
}

/* Of two merges of the same pair the later wins, as in the reference. */
static lb_status build_table(lb__bpe *bpe, lb_error *err) {
  bpe->n_slots = 16;
  bpe->table_shift = 60;
  while (bpe->n_slots < bpe->n_merges * 2) {
    bpe->n_slots *= 2;
    bpe->table_shift--;
  }
  bpe->table_multiplier = lb__hash_bytes("merge table", 11) | 1;
  bpe->table = lb__alloc_array(bpe->n_slots, sizeof *bpe->table);
  if (bpe->table == NULL) return lb__fail_nomem(err, "merge table");
  for (size_t i = 0; i < bpe->n_slots; i++) bpe->table[i].pair = UINT64_MAX;
  for (size_t rank = 0; rank < bpe->n_merges; rank++) {
    lb__merge m = bpe->merges[rank];
    uint64_t pair = pair_of(m.left, m.right);
    size_t i = (size_t)((pair * bpe->table_multiplier) >> bpe->table_shift);
    while (bpe->table[i].pair != UINT64_MAX && bpe->table[i].pair != pair)
      i = (i + 1) & (bpe->n_slots - 1);
    bpe->table[i] = (lb__merge_slot){pair, (uint32_t)rank, m.result};
  }
  return LB_OK;
}

/* For messages: the start of a text that has no NUL at its end. */
static int shown(size_t size) {
  return size < 60 ? (int)size : 60;
}

lb_status lb__bpe_add_merge(lb__bpe *bpe, const char *left, size_t left_size, const char *right,
                            size_t right_size, lb_error *err) {
  lb__merge m;
  m.left = lb__vocabulary_find(bpe->vocabulary, left, left_size);
  m.right = lb__vocabulary_find(bpe->vocabulary, right, right_size);
  if (m.left < 0 || m.right < 0)
    return lb__fail(err, LB_E_FORMAT, "merge %zu: '%.*s' is not in the vocabulary", bpe->n_merges,
                    shown(m.left < 0 ? left_size : right_size), m.left < 0 ? left : right);
  if (right_size < bpe->prefix_size)
    return lb__fail(err, LB_E_FORMAT, "merge %zu: '%.*s' is shorter than the subword prefix",
                    bpe->n_merges, shown(right_size), right);
  char small[256], *text = small;
  size_t size = left_size + right_size - bpe->prefix_size;
  if (size > sizeof small && (text = lb__alloc(size)) == NULL) return lb__fail_nomem(err, "merge");
  memcpy(text, left, left_size);
  memcpy(text + left_size, right + bpe->prefix_size, right_size - bpe->prefix_size);
  m.result = lb__vocabulary_find(bpe->vocabulary, text, size);
  lb_status st = LB_OK;
  if (m.result < 0)
    st = lb__fail(err, LB_E_FORMAT, "merge %zu: its result '%.*s' is not in the vocabulary",
                  bpe->n_merges, shown(size), text);
  else if (!lb__grow(&bpe->merges, &bpe->merges_capacity, bpe->n_merges + 1, sizeof *bpe->merges))
    st = lb__fail_nomem(err, "merges");
  else
    bpe->merges[bpe->n_merges++] = m;
  if (text != small) lb__free(text);
  return st;
}

/* ---- tables made from the vocabulary ---- */

static void find_byte_tokens(lb__bpe *bpe) {
  for (int byte = 0; byte < 256; byte++) {
    char text[8], raw = (char)byte;
    snprintf(text, sizeof text, "<0x%02X>", byte);
    bpe->fallback_byte[byte] = lb__vocabulary_find(bpe->vocabulary, text, 6);
    size_t size = lb__bytes_to_alphabet(text, &raw, 1);
    bpe->symbol_of_byte[byte] = lb__vocabulary_find(bpe->vocabulary, text, size);
  }
}

/* Single-character tokens, and which bytes stand before U+2581 inside a token. */
static void scan_vocabulary(lb__bpe *bpe) {
  static const char mark[] = "\xE2\x96\x81";
  bool has_mark = false;
  for (size_t id = 0; id < bpe->vocabulary->n_ids; id++) {
    size_t size;
    const char *text = lb__vocabulary_text(bpe->vocabulary, (int64_t)id, &size);
    if (text == NULL || size == 0) continue;
    if (size <= 3 && lb__utf8_length((unsigned char)text[0]) == size) {
      const unsigned char *p = (const unsigned char *)text;
      bpe->symbol_of_bmp[lb__utf8_next(&p)] = (int32_t)id;
    }
    has_mark = has_mark || (size == 3 && memcmp(text, mark, 3) == 0);
    for (size_t i = 1; i + 3 <= size; i++)
      if (memcmp(text + i, mark, 3) == 0) bpe->joins_boundary[(unsigned char)text[i - 1]] = true;
  }
  /* A boundary must itself be a symbol, or an unknown run could reach over it. */
  if (!has_mark || bpe->prefix_size > 0 || bpe->suffix_size > 0 || bpe->ignore_merges) return;
  memcpy(bpe->boundary, mark, 3);
  bpe->boundary_size = 3;
}

lb_status lb__bpe_finish(lb__bpe *bpe, lb_error *err) {
  find_byte_tokens(bpe);
  bpe->symbol_of_bmp = lb__alloc_array(65536, sizeof *bpe->symbol_of_bmp);
  if (bpe->symbol_of_bmp == NULL) return lb__fail_nomem(err, "vocabulary");
  for (size_t i = 0; i < 65536; i++) bpe->symbol_of_bmp[i] = -1;
  scan_vocabulary(bpe);
  return build_table(bpe, err);
}

void lb__bpe_deinit(lb__bpe *bpe) {
  lb__free(bpe->merges);
  lb__free(bpe->table);
  lb__free(bpe->prefix);
  lb__free(bpe->suffix);
  lb__free(bpe->unk_token);
  lb__free(bpe->symbol_of_bmp);
  *bpe = (lb__bpe){0};
}

/* ---- scratch: symbols, heap, cache; one per thread that encodes ---- */

typedef struct symbol {
  int32_t id;
  int32_t previous, next; /* -1: none; next = -2: merged away */
} symbol;

typedef struct candidate {
  uint32_t rank;
  int32_t at, result;
} candidate;

/* A cached piece: one cache line. Longer ones are not worth keeping. */
enum { CACHE_KEY = 30, CACHE_IDS = 8, CACHE_SLOTS = 1 << 15 };
typedef struct cached_piece {
  uint8_t size, n; /* size 0: empty */
  char key[CACHE_KEY];
  int32_t ids[CACHE_IDS];
} cached_piece;

struct lb__bpe_scratch {
  lb__ids start;
  symbol *symbols;
  size_t symbols_capacity;
  candidate *heap;
  size_t n_heap, heap_capacity;
  char *text; /* whole piece in the byte alphabet, or a character with prefix and suffix */
  size_t text_capacity;
  cached_piece *cache;
};

lb__bpe_scratch *lb__bpe_scratch_new(void) {
  lb__bpe_scratch *s = lb__new(sizeof *s);
  if (s == NULL) return NULL;
  s->cache = lb__new_array(CACHE_SLOTS, sizeof *s->cache);
  if (s->cache != NULL) return s;
  lb__bpe_scratch_free(s);
  return NULL;
}

void lb__bpe_scratch_free(lb__bpe_scratch *s) {
  if (s == NULL) return;
  lb__free(s->start.items);
  lb__free(s->symbols);
  lb__free(s->heap);
  lb__free(s->text);
  lb__free(s->cache);
  lb__free(s);
}

/* ---- first symbols ---- */

typedef struct starter {
  const lb__bpe *bpe;
  lb__ids *out;
  bool pending_unk;
  bool fits;
} starter;

static void emit(starter *st, int32_t id) {
  st->fits = st->fits && lb__ids_add(st->out, id);
}

static void flush_unk(starter *st, int32_t unk) {
  if (st->pending_unk) emit(st, unk);
  st->pending_unk = false;
}

/* A character that the vocabulary lacks: its bytes, or the unknown token, or nothing. The reference
 * does not flush a pending unknown token before fallback bytes; neither do we. */
static lb_status start_unknown(starter *st, const char *text, size_t size, lb_error *err) {
  const lb__bpe *bpe = st->bpe;
  bool has_bytes = bpe->byte_fallback;
  for (size_t i = 0; i < size && has_bytes; i++)
    has_bytes = bpe->fallback_byte[(unsigned char)text[i]] >= 0;
  if (has_bytes) {
    for (size_t i = 0; i < size; i++) emit(st, bpe->fallback_byte[(unsigned char)text[i]]);
    return LB_OK;
  }
  if (bpe->unk_token == NULL) return LB_OK;
  int32_t unk = lb__vocabulary_find(bpe->vocabulary, bpe->unk_token, bpe->unk_token_size);
  if (unk < 0)
    return lb__fail(err, LB_E_FORMAT,
                    "the text needs the unknown token '%s', which the vocabulary lacks",
                    bpe->unk_token);
  if (!bpe->fuse_unk) flush_unk(st, unk);
  st->pending_unk = true;
  return LB_OK;
}

static int32_t find_character(const lb__bpe *bpe, const char *text, size_t size) {
  const unsigned char *p = (const unsigned char *)text;
  if (size < 4) return bpe->symbol_of_bmp[lb__utf8_next(&p)];
  return lb__vocabulary_find(bpe->vocabulary, text, size);
}

static lb_status start_symbol(starter *st, int32_t id, const char *text, size_t size,
                              lb_error *err) {
  if (id < 0) return start_unknown(st, text, size, err);
  if (st->pending_unk)
    flush_unk(
        st, lb__vocabulary_find(st->bpe->vocabulary, st->bpe->unk_token, st->bpe->unk_token_size));
  emit(st, id);
  return LB_OK;
}

/* The character at text[at], with prefix and suffix where they belong; size of the result. */
static size_t decorate(const lb__bpe *bpe, char *out, const char *text, size_t size, size_t at,
                       size_t length) {
  size_t n = 0;
  if (at > 0 && bpe->prefix_size > 0) {
    memcpy(out, bpe->prefix, bpe->prefix_size);
    n = bpe->prefix_size;
  }
  memcpy(out + n, text + at, length);
  n += length;
  if (at + length == size && bpe->suffix_size > 0) {
    memcpy(out + n, bpe->suffix, bpe->suffix_size);
    n += bpe->suffix_size;
  }
  return n;
}

static lb_status start_characters(starter *st, lb__bpe_scratch *s, const char *text, size_t size,
                                  lb_error *err) {
  const lb__bpe *bpe = st->bpe;
  bool plain = bpe->prefix_size == 0 && bpe->suffix_size == 0;
  if (!plain && !lb__grow(&s->text, &s->text_capacity, bpe->prefix_size + bpe->suffix_size + 4, 1))
    return lb__fail_nomem(err, "tokens");
  for (size_t i = 0; i < size;) {
    size_t length = lb__utf8_length((unsigned char)text[i]), decorated = length;
    const char *symbol_text = text + i;
    int32_t id;
    if (plain) {
      id = find_character(bpe, symbol_text, length);
    } else {
      decorated = decorate(bpe, s->text, text, size, i, length);
      symbol_text = s->text;
      id = lb__vocabulary_find(bpe->vocabulary, symbol_text, decorated);
    }
    lb_status status = start_symbol(st, id, symbol_text, decorated, err);
    if (status != LB_OK) return status;
    i += length;
  }
  return LB_OK;
}

static lb_status start_bytes(starter *st, const char *text, size_t size, lb_error *err) {
  for (size_t i = 0; i < size; i++) {
    char shown[2];
    int32_t id = st->bpe->symbol_of_byte[(unsigned char)text[i]];
    size_t n = id < 0 ? lb__bytes_to_alphabet(shown, text + i, 1) : 0;
    lb_status status = start_symbol(st, id, shown, n, err);
    if (status != LB_OK) return status;
  }
  return LB_OK;
}

static lb_status start_piece(const lb__bpe *bpe, lb__bpe_scratch *s, const char *piece, size_t size,
                             lb_error *err) {
  starter st = {bpe, &s->start, false, true};
  s->start.n = 0;
  lb_status status = bpe->reads_bytes ? start_bytes(&st, piece, size, err)
                                      : start_characters(&st, s, piece, size, err);
  if (status != LB_OK) return status;
  if (st.pending_unk)
    flush_unk(&st, lb__vocabulary_find(bpe->vocabulary, bpe->unk_token, bpe->unk_token_size));
  return st.fits ? LB_OK : lb__fail_nomem(err, "tokens");
}

/* ---- merging ---- */

enum { SHORT_PIECE = 32 };

/* Few symbols: the next merge is found by looking at all pairs. */
static size_t merge_short(const lb__bpe *bpe, int32_t *ids, size_t n) {
  uint32_t ranks[SHORT_PIECE]; /* of the pair (i, i + 1) */
  int32_t results[SHORT_PIECE];
  if (n < 2) return n;
  for (size_t i = 0; i + 1 < n; i++) {
    const lb__merge_slot *m = find_merge(bpe, ids[i], ids[i + 1]);
    ranks[i] = m != NULL ? m->rank : UINT32_MAX;
    results[i] = m != NULL ? m->result : -1;
  }
  for (;;) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < n; i++)
      if (ranks[i] < ranks[best]) best = i;
    if (n < 2 || ranks[best] == UINT32_MAX) return n;
    ids[best] = results[best];
    for (size_t i = best + 1; i + 1 < n; i++) {
      ids[i] = ids[i + 1];
      ranks[i] = ranks[i + 1];
      results[i] = results[i + 1];
    }
    n--;
    for (size_t i = best > 0 ? best - 1 : 0; i <= best && i + 1 < n; i++) {
      const lb__merge_slot *m = find_merge(bpe, ids[i], ids[i + 1]);
      ranks[i] = m != NULL ? m->rank : UINT32_MAX;
      results[i] = m != NULL ? m->result : -1;
    }
  }
}

static bool before(candidate a, candidate b) {
  return a.rank != b.rank ? a.rank < b.rank : a.at < b.at;
}

/* The heap has room: a piece of n symbols pushes at most 3 n candidates. */
static void push(lb__bpe_scratch *s, candidate c) {
  size_t i = s->n_heap++;
  while (i > 0 && before(c, s->heap[(i - 1) / 2])) {
    s->heap[i] = s->heap[(i - 1) / 2];
    i = (i - 1) / 2;
  }
  s->heap[i] = c;
}

static candidate pop(lb__bpe_scratch *s) {
  candidate top = s->heap[0], last = s->heap[--s->n_heap];
  size_t i = 0;
  for (;;) {
    size_t child = 2 * i + 1;
    if (child >= s->n_heap) break;
    if (child + 1 < s->n_heap && before(s->heap[child + 1], s->heap[child])) child++;
    if (!before(s->heap[child], last)) break;
    s->heap[i] = s->heap[child];
    i = child;
  }
  s->heap[i] = last;
  return top;
}

static void push_pair(const lb__bpe *bpe, lb__bpe_scratch *s, int32_t at) {
  int32_t next = at < 0 ? -1 : s->symbols[at].next;
  if (next < 0) return;
  const lb__merge_slot *m = find_merge(bpe, s->symbols[at].id, s->symbols[next].id);
  if (m != NULL) push(s, (candidate){m->rank, at, m->result});
}

/* Replaces symbols `at` and its successor, unless the pair is no longer what it was. */
static void apply(const lb__bpe *bpe, lb__bpe_scratch *s, candidate c) {
  symbol *left = &s->symbols[c.at];
  if (left->next < 0) return; /* merged away, or the last one */
  symbol *right = &s->symbols[left->next];
  const lb__merge_slot *m = find_merge(bpe, left->id, right->id);
  if (m == NULL || m->result != c.result) return;
  left->id = c.result;
  left->next = right->next;
  right->next = -2;
  if (left->next >= 0) s->symbols[left->next].previous = c.at;
  push_pair(bpe, s, left->previous);
  push_pair(bpe, s, c.at);
}

static lb_status merge_long(const lb__bpe *bpe, lb__bpe_scratch *s, lb__ids *ids, lb_error *err) {
  size_t n = s->start.n;
  if (!lb__grow(&s->symbols, &s->symbols_capacity, n, sizeof *s->symbols) ||
      !lb__grow(&s->heap, &s->heap_capacity, 3 * n, sizeof *s->heap))
    return lb__fail_nomem(err, "tokens");
  for (size_t i = 0; i < n; i++)
    s->symbols[i] = (symbol){s->start.items[i], (int32_t)i - 1, i + 1 < n ? (int32_t)i + 1 : -1};
  s->n_heap = 0;
  for (size_t i = 0; i + 1 < n; i++) push_pair(bpe, s, (int32_t)i);
  while (s->n_heap > 0) apply(bpe, s, pop(s));
  for (int32_t i = 0; i >= 0; i = s->symbols[i].next)
    if (!lb__ids_add(ids, s->symbols[i].id)) return lb__fail_nomem(err, "tokens");
  return LB_OK;
}

/* ---- one piece ---- */

/* The token that is the whole piece; *id is -1 when there is none. */
static lb_status find_whole(const lb__bpe *bpe, lb__bpe_scratch *s, const char *piece, size_t size,
                            int32_t *id, lb_error *err) {
  const char *text = piece;
  if (bpe->reads_bytes) {
    if (!lb__grow(&s->text, &s->text_capacity, 2 * size, 1)) return lb__fail_nomem(err, "tokens");
    size = lb__bytes_to_alphabet(s->text, piece, size);
    text = s->text;
  }
  *id = lb__vocabulary_find(bpe->vocabulary, text, size);
  return LB_OK;
}

static lb_status encode_uncached(const lb__bpe *bpe, lb__bpe_scratch *s, const char *piece,
                                 size_t size, lb__ids *ids, lb_error *err) {
  if (bpe->ignore_merges) {
    int32_t whole;
    lb_status found = find_whole(bpe, s, piece, size, &whole, err);
    if (found != LB_OK) return found;
    if (whole >= 0) return lb__ids_add(ids, whole) ? LB_OK : lb__fail_nomem(err, "tokens");
  }
  lb_status st = start_piece(bpe, s, piece, size, err);
  if (st != LB_OK) return st;
  if (s->start.n > SHORT_PIECE) return merge_long(bpe, s, ids, err);
  size_t n = merge_short(bpe, s->start.items, s->start.n);
  return lb__ids_append(ids, s->start.items, n) ? LB_OK : lb__fail_nomem(err, "tokens");
}

/* Which slot a piece may be cached in. A bad hash costs speed only: the key is compared. */
static size_t cache_slot(const char *piece, size_t size) {
  uint64_t hash = size;
  size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    uint64_t word;
    memcpy(&word, piece + i, 8);
    hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 29;
  }
  uint64_t word = 0;
  for (size_t k = 0; i + k < size; k++) word |= (uint64_t)(unsigned char)piece[i + k] << (8 * k);
  hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
  return (size_t)(hash >> 49);
}

static lb_status encode_cached(const lb__bpe *bpe, lb__bpe_scratch *s, const char *piece,
                               size_t size, lb__ids *ids, lb_error *err) {
  if (size > CACHE_KEY) return encode_uncached(bpe, s, piece, size, ids, err);
  cached_piece *c = &s->cache[cache_slot(piece, size)];
  if (c->size == size && memcmp(c->key, piece, size) == 0)
    return lb__ids_append(ids, c->ids, c->n) ? LB_OK : lb__fail_nomem(err, "tokens");
  size_t first = ids->n;
  lb_status st = encode_uncached(bpe, s, piece, size, ids, err);
  if (st != LB_OK || ids->n - first > CACHE_IDS) return st;
  c->size = (uint8_t)size;
  c->n = (uint8_t)(ids->n - first);
  memcpy(c->key, piece, size);
  for (size_t i = 0; i < c->n; i++) c->ids[i] = ids->items[first + i];
  return LB_OK;
}

/* Where the part that starts at `from` ends: before the next boundary that no token spans. */
static size_t part_end(const lb__bpe *bpe, const char *piece, size_t size, size_t from) {
  for (size_t i = from + 1; i + bpe->boundary_size <= size; i++) {
    const char *at = memchr(piece + i, bpe->boundary[0], size - i);
    if (at == NULL) return size;
    i = (size_t)(at - piece);
    if (i + bpe->boundary_size <= size && memcmp(at, bpe->boundary, bpe->boundary_size) == 0 &&
        !bpe->joins_boundary[(unsigned char)piece[i - 1]])
      return i;
  }
  return size;
}

lb_status lb__bpe_encode(const lb__bpe *bpe, lb__bpe_scratch *s, const char *piece, size_t size,
                         lb__ids *ids, lb_error *err) {
  if (bpe->boundary_size == 0) return encode_cached(bpe, s, piece, size, ids, err);
  for (size_t i = 0; i < size;) {
    size_t end = part_end(bpe, piece, size, i);
    lb_status st = encode_cached(bpe, s, piece + i, end - i, ids, err);
    if (st != LB_OK) return st;
    i = end;
  }
  return LB_OK;
}

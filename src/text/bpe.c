/* bpe.c - see bpe.h. The tables; the symbols (ids) that a piece begins as; the pieces that are
 * remembered. Read next: bpe_merge.h. */
#include "bpe.h"

#include "base/fail.h"
#include "base/map.h"
#include "base/memory.h"
#include "bpe_merge.h"
#include "byte_alphabet.h"
#include "piece_cache.h"
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
    uint64_t pair = lb__merge_pair(m.left, m.right);
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

/* Single-character tokens. A text that keeps its spaces writes U+2581 as a space. */
static void find_characters(lb__bpe *bpe) {
  for (size_t i = 0; i < 65536; i++) bpe->symbol_of_bmp[i] = -1;
  for (size_t id = 0; id < bpe->vocabulary->n_ids; id++) {
    size_t size;
    const char *text = lb__vocabulary_text(bpe->vocabulary, (int64_t)id, &size);
    if (text == NULL || size == 0 || size > 3) continue;
    const unsigned char *p = (const unsigned char *)text;
    if (lb__utf8_length(*p) == size) bpe->symbol_of_bmp[lb__utf8_next(&p)] = (int32_t)id;
  }
  if (bpe->reads_spaces) bpe->symbol_of_bmp[' '] = bpe->symbol_of_bmp[0x2581];
}

/* ---- where a piece may be cut ---- */

static inline bool is_mark(const char *text) {
  return memcmp(text, "\xE2\x96\x81", 3) == 0;
}

/* The outer byte of a text on the left or on the right of a cut; U+2581 counts as a space. */
static inline unsigned last_edge(const char *text, size_t size) {
  return size >= 3 && is_mark(text + size - 3) ? ' ' : (unsigned char)text[size - 1];
}

static inline unsigned first_edge(const char *text, size_t size) {
  return size >= 3 && is_mark(text) ? ' ' : (unsigned char)text[0];
}

static inline bool is_joined(const lb__bpe *bpe, unsigned last, unsigned first) {
  return (bpe->joined[first][last >> 6] >> (last & 63) & 1) != 0;
}

static bool is_fallback(const char *text, size_t size) {
  return size == 6 && memcmp(text, "<0x", 3) == 0;
}

/* Cuts need symbols that are spelled like the text that they stand for: a fallback byte is not, an
 * unknown token neither. */
static void find_joined(lb__bpe *bpe) {
  bpe->may_cut = bpe->byte_fallback && !bpe->reads_bytes && !bpe->ignore_merges &&
                 bpe->prefix_size == 0 && bpe->suffix_size == 0;
  for (int byte = 0; byte < 256; byte++)
    bpe->may_cut = bpe->may_cut && bpe->fallback_byte[byte] >= 0;
  for (size_t i = 0; bpe->may_cut && i < bpe->n_merges; i++) {
    size_t left_size, right_size;
    const char *left = lb__vocabulary_text(bpe->vocabulary, bpe->merges[i].left, &left_size);
    const char *right = lb__vocabulary_text(bpe->vocabulary, bpe->merges[i].right, &right_size);
    if (left_size == 0 || right_size == 0) continue;
    if (is_fallback(left, left_size) || is_fallback(right, right_size)) bpe->may_cut = false;
    unsigned last = last_edge(left, left_size), first = first_edge(right, right_size);
    bpe->joined[first][last >> 6] |= (uint64_t)1 << (last & 63);
  }
}

/* Where the part that starts at `from` ends: behind the next character that no merge joins to the
 * one that follows. */
static size_t part_end(const lb__bpe *bpe, const char *piece, size_t size, size_t from) {
  for (size_t at = from;;) {
    size_t length = lb__utf8_length((unsigned char)piece[at]), next = at + length;
    if (next >= size) return size;
    if (!is_joined(bpe, last_edge(piece + at, length), first_edge(piece + next, size - next)))
      return next;
    at = next;
  }
}

lb_status lb__bpe_finish(lb__bpe *bpe, lb_error *err) {
  find_byte_tokens(bpe);
  bpe->symbol_of_bmp = lb__alloc_array(65536, sizeof *bpe->symbol_of_bmp);
  if (bpe->symbol_of_bmp == NULL) return lb__fail_nomem(err, "vocabulary");
  find_characters(bpe);
  find_joined(bpe);
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

/* ---- scratch, one per thread that encodes ---- */

struct lb__bpe_scratch {
  lb__ids start;
  lb__bpe_merger *merger;
  char *text; /* whole piece in the byte alphabet, or a character with prefix and suffix */
  size_t text_capacity;
  lb__cached_piece *cache;
};

lb__bpe_scratch *lb__bpe_scratch_new(void) {
  lb__bpe_scratch *s = lb__new(sizeof *s);
  if (s == NULL) return NULL;
  size_t cache_size = sizeof *s->cache << LB__CACHE_BITS;
  s->cache = lb__alloc_aligned(cache_size);
  s->merger = lb__bpe_merger_new();
  if (s->cache != NULL && s->merger != NULL) {
    memset(s->cache, 0, cache_size);
    return s;
  }
  lb__bpe_scratch_free(s);
  return NULL;
}

void lb__bpe_scratch_free(lb__bpe_scratch *s) {
  if (s == NULL) return;
  lb__free(s->start.items);
  lb__bpe_merger_free(s->merger);
  lb__free(s->text);
  lb__free_aligned(s->cache);
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
  if (s->start.n > LB__SHORT_PIECE)
    return lb__bpe_merge_long(bpe, s->merger, s->start.items, s->start.n, ids, err);
  size_t n = lb__bpe_merge_short(bpe, s->start.items, s->start.n);
  return lb__ids_append(ids, s->start.items, n) ? LB_OK : lb__fail_nomem(err, "tokens");
}

static lb_status encode_cached(const lb__bpe *bpe, lb__bpe_scratch *s, const char *piece,
                               size_t size, lb__ids *ids, lb_error *err) {
  if (size - 1 >= LB__CACHED_BYTES) return encode_uncached(bpe, s, piece, size, ids, err);
  lb__cached_piece c = lb__cached_piece_of(piece, size);
  lb__cached_piece *seen = &s->cache[lb__cached_piece_slot(&c)]; /* a pair, the newer first */
  size_t first = ids->n;
  if (ids->capacity - first < LB__CACHED_IDS &&
      !lb__grow(&ids->items, &ids->capacity, first + LB__CACHED_IDS, sizeof *ids->items))
    return lb__fail_nomem(err, "tokens");
  bool newer = lb__cached_piece_is(&seen[0], &c);
  if (newer || lb__cached_piece_is(&seen[1], &c)) {
    seen += !newer;
    memcpy(ids->items + first, seen->ids, sizeof seen->ids); /* all: no loop */
    ids->n += seen->n;
    return LB_OK;
  }
  lb_status st = encode_uncached(bpe, s, piece, size, ids, err);
  if (st != LB_OK || ids->n - first > LB__CACHED_IDS) return st;
  c.n = (uint8_t)(ids->n - first);
  memcpy(c.ids, ids->items + first, c.n * sizeof *c.ids);
  seen[1] = seen[0];
  seen[0] = c;
  return LB_OK;
}

lb_status lb__bpe_encode(const lb__bpe *bpe, lb__bpe_scratch *s, const char *piece, size_t size,
                         lb__ids *ids, lb_error *err) {
  if (!bpe->may_cut) return encode_cached(bpe, s, piece, size, ids, err);
  for (size_t i = 0; i < size;) {
    size_t end = part_end(bpe, piece, size, i);
    lb_status st = encode_cached(bpe, s, piece + i, end - i, ids, err);
    if (st != LB_OK) return st;
    i = end;
  }
  return LB_OK;
}

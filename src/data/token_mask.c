/* token_mask.c - see token_mask.h. */
#include "token_mask.h"

#include "base/fail.h"
#include "text/stream_decoder.h"

/* ---- the text as spans ---- */

typedef struct text_view {
  const lb_text_span *spans;
  size_t n, size;
} text_view;

static text_view view_of(const lb_text_span *spans, size_t n) {
  text_view v = {spans, n, 0};
  for (size_t i = 0; i < n; i++) v.size += spans[i].size;
  return v;
}

static unsigned char byte_at(const text_view *v, size_t at) {
  size_t i = 0;
  while (at >= v->spans[i].size) at -= v->spans[i++].size;
  return (unsigned char)v->spans[i].text[at];
}

/* Is text[at .. at + size) of the spans `bytes`? `*span` and `*before` (its offset) only go
 * forwards. */
typedef struct text_cursor {
  size_t span, before;
} text_cursor;

static bool same_bytes(const text_view *v, text_cursor *c, size_t at, const char *bytes,
                       size_t size) {
  while (size > 0) {
    while (c->span < v->n && at >= c->before + v->spans[c->span].size)
      c->before += v->spans[c->span++].size;
    if (c->span == v->n) return false;
    const lb_text_span *s = &v->spans[c->span];
    size_t offset = at - c->before, part = s->size - offset;
    if (part > size) part = size;
    if (memcmp(s->text + offset, bytes, part) != 0) return false;
    bytes += part;
    size -= part;
    at += part;
  }
  return true;
}

/* ---- by decoding ---- */

typedef struct mask {
  bool *trained;
  const lb_tokenizer *tokenizer;
  const int32_t *ids;
  size_t n;
  text_view text;
  const lb__byte_range *ranges;
  size_t n_ranges, range; /* the first range that ends behind where we are */
  size_t retokenized;     /* bytes, see MOST_RETOKENIZED */
} mask;

/* How [begin, end) meets the ranges; the calls go forwards. */
static bool overlaps(mask *m, size_t begin, size_t end) {
  while (m->range < m->n_ranges && m->ranges[m->range].end <= begin) m->range++;
  return m->range < m->n_ranges && m->ranges[m->range].begin < end;
}

/* *found is false when the decoded text is not the text. */
static lb_status mask_by_decoding(mask *m, bool *found, lb_error *err) {
  lb_stream_decoder *d;
  text_cursor cursor = {0};
  size_t at = 0, begin = 0; /* what has come out; where the next token begins */
  *found = true;
  m->range = 0;
  lb_status st = lb_stream_decoder_new(&d, m->tokenizer, false, err);
  for (size_t i = 0; i <= m->n && st == LB_OK && *found; i++) {
    const char *piece;
    size_t size;
    st = i < m->n ? lb_stream_decoder_feed(d, m->ids[i], &piece, &size, err)
                  : lb_stream_decoder_finish(d, &piece, &size, err);
    if (st != LB_OK) break;
    /* add_prefix_space: the tokenizer wrote a space before the text */
    if (at == 0 && size > 0 && piece[0] == ' ' && m->text.size > 0 && byte_at(&m->text, 0) != ' ')
      piece++, size--;
    *found = size <= m->text.size - at && same_bytes(&m->text, &cursor, at, piece, size);
    at += size;
    if (i == m->n) break;
    size_t end = at + lb__stream_decoder_held(d);
    /* A token without bytes belongs to what follows it. */
    m->trained[i] = overlaps(m, begin, end > begin ? end : begin + 1);
    begin = end;
  }
  lb_stream_decoder_free(d);
  if (at != m->text.size) *found = false;
  return st;
}

/* ---- by tokenising the text up to a border ---- */

/* Each border costs tokenizations of all that is before it. About a second. */
enum { MOST_RETOKENIZED = 1 << 24 };

/* *clean: the tokens of text[0..at) are the first *n of all tokens. */
static lb_status tokens_before(size_t *n, bool *clean, mask *m, lb_text_span *cut, size_t at,
                               lb_error *err) {
  static const lb_encode_options plain = {.add_special_tokens = false, .parse_special = true};
  size_t n_cut = 0, left = at;
  m->retokenized += at;
  if (m->retokenized > MOST_RETOKENIZED)
    return lb__fail(err, LB_E_FORMAT,
                    "cannot tell which tokens of %zu bytes with %zu trained parts are trained: the "
                    "tokenizer changes the text, so that each border is looked for in tokens of "
                    "all the text before it; cut the row, or train on all of it",
                    m->text.size, m->n_ranges);
  for (size_t i = 0; i < m->text.n && left > 0; i++) {
    cut[n_cut] = m->text.spans[i];
    if (cut[n_cut].size > left) cut[n_cut].size = left;
    left -= cut[n_cut++].size;
  }
  int32_t *ids;
  lb_status st = lb_tokenizer_encode_spans(m->tokenizer, cut, n_cut, &plain, &ids, n, err);
  *clean = st == LB_OK && *n <= m->n && (*n == 0 || memcmp(ids, m->ids, *n * sizeof *ids) == 0);
  lb_ids_free(ids);
  return st;
}

static bool is_character_start(const text_view *v, size_t at) {
  return at == 0 || at >= v->size || (byte_at(v, at) & 0xC0) != 0x80;
}

enum { FARTHEST = 256 }; /* bytes from a border to the next place where tokens part */

/* The nearest place from a border on, in one direction, where the tokens part: *n tokens before it.
 */
static lb_status find_parting(size_t *n, mask *m, lb_text_span *cut, size_t border, int direction,
                              lb_error *err) {
  for (size_t at = border, moved = 0; moved < FARTHEST; moved++) {
    bool clean = false;
    if (at == 0 || at >= m->text.size) {
      *n = at == 0 ? 0 : m->n;
      return LB_OK;
    }
    if (is_character_start(&m->text, at)) {
      lb_status st = tokens_before(n, &clean, m, cut, at, err);
      if (st != LB_OK || clean) return st;
    }
    at = direction < 0 ? at - 1 : at + 1;
  }
  *n = direction < 0 ? 0 : m->n;
  return LB_OK;
}

/* The tokens before a border, and those before its end. One token may lie across it; of several we
 * cannot tell which, and nothing is learned rather than something wrong. */
static lb_status find_border(size_t *before, size_t *through, mask *m, lb_text_span *cut,
                             size_t border, lb_error *err) {
  lb_status st = find_parting(before, m, cut, border, -1, err);
  if (st == LB_OK) st = find_parting(through, m, cut, border, 1, err);
  if (st != LB_OK || *through <= *before + 1) return st;
  return lb__fail(err, LB_E_FORMAT,
                  "cannot tell where the trained part begins or ends among the tokens: near byte "
                  "%zu the tokenizer changes the text and joins it across the border",
                  border);
}

static lb_status mask_by_prefixes(mask *m, lb_error *err) {
  lb_text_span *cut = lb__alloc_array(m->text.n, sizeof *cut);
  if (cut == NULL) return lb__fail_nomem(err, "token mask");
  lb_status st = LB_OK;
  memset(m->trained, 0, m->n * sizeof *m->trained);
  for (size_t r = 0; r < m->n_ranges && st == LB_OK; r++) {
    size_t first = 0, end = 0, unused;
    st = find_border(&first, &unused, m, cut, m->ranges[r].begin, err);
    if (st == LB_OK) st = find_border(&unused, &end, m, cut, m->ranges[r].end, err);
    for (size_t i = first; st == LB_OK && i < end; i++) m->trained[i] = true;
  }
  lb__free(cut);
  return st;
}

lb_status lb__mask_tokens(bool *trained, const lb_tokenizer *tokenizer, const int32_t *ids,
                          size_t n, const lb_text_span *spans, size_t n_spans,
                          const lb__byte_range *ranges, size_t n_ranges, lb_error *err) {
  mask m = {trained, tokenizer, ids, n, view_of(spans, n_spans), ranges, n_ranges, 0, 0};
  bool found;
  memset(trained, 0, n * sizeof *trained);
  if (n == 0 || n_ranges == 0) return LB_OK;
  lb_status st = mask_by_decoding(&m, &found, err);
  return st != LB_OK || found ? st : mask_by_prefixes(&m, err);
}

/* ---- behind the end of a turn ---- */

static bool is_blank_text(const char *text, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (text[i] != ' ' && text[i] != '\n' && text[i] != '\r' && text[i] != '\t') return false;
  return true;
}

/* The run is [begin, end). */
static lb_status trim_run(bool *trained, const lb_tokenizer *t, const int32_t *ids, size_t begin,
                          size_t end, lb_error *err) {
  char *text;
  size_t size, last = end;
  while (last > begin && !lb_tokenizer_is_special(t, ids[last - 1])) last--;
  if (last == begin || last == end) return LB_OK; /* no special token, or it is the end */
  lb_status st = lb_tokenizer_decode(t, ids + last, end - last, false, &text, &size, err);
  if (st != LB_OK) return st;
  if (is_blank_text(text, size))
    for (size_t i = last; i < end; i++) trained[i] = false;
  lb_text_free(text);
  return LB_OK;
}

lb_status lb__mask_trim(bool *trained, const lb_tokenizer *tokenizer, const int32_t *ids, size_t n,
                        lb_error *err) {
  lb_status st = LB_OK;
  for (size_t i = 0; i < n && st == LB_OK; i++) {
    if (!trained[i]) continue;
    size_t begin = i;
    while (i < n && trained[i]) i++;
    st = trim_run(trained, tokenizer, ids, begin, i, err);
  }
  return st;
}

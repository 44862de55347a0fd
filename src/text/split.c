/* split.c - see split.h. */
#define _GNU_SOURCE /* memmem */
#include "split.h"

#include "base/fail.h"
#include "base/memory.h"

bool lb__spans_add(lb__spans *s, size_t start, size_t end) {
  if (s->n == s->capacity && !lb__grow(&s->items, &s->capacity, s->n + 1, sizeof *s->items))
    return false;
  s->items[s->n++] = (lb__span){(uint32_t)start, (uint32_t)end};
  return true;
}

void lb__pattern_deinit(lb__pattern *p) {
  lb__free(p->string);
  lb__regex_free(p->regex);
  *p = (lb__pattern){0};
}

bool lb__pattern_is_space(const lb__pattern *p) {
  return p->kind == LB__PATTERN_STRING && p->string_size == 1 && p->string[0] == ' ';
}

static void find_string(const lb__matches *m, bool *found, size_t *start, size_t *end) {
  const lb__pattern *p = m->pattern;
  if (p->string_size == 0 || m->size - m->position < p->string_size) return;
  const char *at =
      p->string_size == 1
          ? memchr(m->text + m->position, p->string[0], m->size - m->position)
          : memmem(m->text + m->position, m->size - m->position, p->string, p->string_size);
  *found = at != NULL;
  if (!*found) return;
  *start = (size_t)(at - m->text);
  *end = *start + p->string_size;
}

static void find_class(const lb__matches *m, bool *found, size_t *start, size_t *end) {
  const lb__unicode_table *t = lb__unicode();
  const unsigned char *base = (const unsigned char *)m->text, *p = base + m->position;
  while (p < base + m->size) {
    const unsigned char *before = p;
    if (!(lb__unicode_class(t, lb__utf8_next(&p)) & m->pattern->class_bits)) continue;
    *found = true;
    *start = (size_t)(before - base);
    *end = (size_t)(p - base);
    return;
  }
}

/* An empty match directly behind the match before does not count: look one character further. */
static lb_status find_regex(lb__matches *m, bool *found, size_t *start, size_t *end,
                            lb_error *err) {
  while (m->position <= m->size) {
    lb_status st =
        lb__regex_find(m->pattern->regex, m->text, m->size, m->position, found, start, end, err);
    if (st != LB_OK || !*found) return st;
    if (*end > *start || !m->has_last || m->last_end != *end) return LB_OK;
    *found = false;
    m->position += m->position < m->size ? lb__utf8_length((unsigned char)m->text[m->position]) : 1;
  }
  return LB_OK;
}

lb_status lb__matches_next(lb__matches *m, bool *found, size_t *start, size_t *end, lb_error *err) {
  *found = false;
  lb_status st = LB_OK;
  switch (m->pattern->kind) {
  case LB__PATTERN_STRING: find_string(m, found, start, end); break;
  case LB__PATTERN_CLASS: find_class(m, found, start, end); break;
  case LB__PATTERN_REGEX: st = find_regex(m, found, start, end, err); break;
  case LB__PATTERN_SCANNER:
    if (m->position >= m->size) break;
    *found = true;
    *start = m->position;
    *end = (size_t)(m->pattern->scanner(lb__unicode(), (const unsigned char *)m->text + *start,
                                        (const unsigned char *)m->text + m->size) -
                    (const unsigned char *)m->text);
    break;
  }
  if (st != LB_OK || !*found) return st;
  m->position = m->last_end = *end;
  m->has_last = true;
  return LB_OK;
}

/* The matches and the stretches between them, in order. A match carries the top bit of `end`. */
#define MATCH_BIT 0x80000000u

static bool add_cut(lb__spans *cuts, size_t start, size_t end, bool is_match) {
  return lb__spans_add(cuts, start, end | (is_match ? MATCH_BIT : 0));
}

static lb_status find_cuts(lb__spans *cuts, const char *text, lb__span piece,
                           const lb__pattern *pattern, bool invert, lb_error *err) {
  lb__matches m = {.pattern = pattern, .text = text + piece.start, .size = piece.end - piece.start};
  size_t previous = 0, start, end;
  bool found, fits = true;
  for (;;) {
    lb_status st = lb__matches_next(&m, &found, &start, &end, err);
    if (st != LB_OK) return st;
    if (!found) break;
    if (start > previous) fits = fits && add_cut(cuts, previous, start, invert);
    fits = fits && add_cut(cuts, start, end, !invert);
    previous = end;
  }
  if (previous < m.size) fits = fits && add_cut(cuts, previous, m.size, invert);
  return fits ? LB_OK : lb__fail_nomem(err, "pieces of text");
}

static bool is_match(lb__span cut) {
  return (cut.end & MATCH_BIT) != 0;
}

/* Whether cut i continues the piece begun by the cut before it (or, for MERGED_WITH_NEXT, which
 * is the mirror image, the cut after it). */
static bool joins(const lb__spans *cuts, size_t i, lb__split_behavior behavior) {
  switch (behavior) {
  case LB__SPLIT_MERGED_WITH_PREVIOUS:
    return i > 0 && is_match(cuts->items[i]) && !is_match(cuts->items[i - 1]);
  case LB__SPLIT_MERGED_WITH_NEXT:
    return i > 0 && is_match(cuts->items[i - 1]) && !is_match(cuts->items[i]);
  case LB__SPLIT_CONTIGUOUS:
    return i > 0 && is_match(cuts->items[i]) == is_match(cuts->items[i - 1]);
  default: return false;
  }
}

static bool join_cuts(lb__spans *out, const lb__spans *cuts, uint32_t base,
                      lb__split_behavior behavior) {
  size_t i = 0;
  while (i < cuts->n) {
    size_t first = i;
    while (i + 1 < cuts->n && joins(cuts, i + 1, behavior)) i++;
    size_t start = cuts->items[first].start, end = cuts->items[i].end & ~MATCH_BIT;
    bool removed = behavior == LB__SPLIT_REMOVED && is_match(cuts->items[first]);
    if (!removed && end > start && !lb__spans_add(out, base + start, base + end)) return false;
    i++;
  }
  return true;
}

static lb_status split_by_scanner(lb__spans *out, const char *text, lb__span piece,
                                  lb__scanner *scanner, lb_error *err) {
  const lb__unicode_table *t = lb__unicode();
  const unsigned char *base = (const unsigned char *)text, *p = base + piece.start;
  const unsigned char *end = base + piece.end;
  while (p < end) {
    const unsigned char *next = scanner(t, p, end);
    if (!lb__spans_add(out, (size_t)(p - base), (size_t)(next - base)))
      return lb__fail_nomem(err, "pieces of text");
    p = next;
  }
  return LB_OK;
}

lb_status lb__split(lb__spans *out, lb__spans *scratch, const char *text, lb__span piece,
                    const lb__pattern *pattern, lb__split_behavior behavior, bool invert,
                    lb_error *err) {
  if (pattern->kind == LB__PATTERN_SCANNER && behavior == LB__SPLIT_ISOLATED)
    return split_by_scanner(out, text, piece, pattern->scanner, err);
  scratch->n = 0;
  lb_status st = find_cuts(scratch, text, piece, pattern, invert, err);
  if (st != LB_OK) return st;
  return join_cuts(out, scratch, piece.start, behavior) ? LB_OK
                                                        : lb__fail_nomem(err, "pieces of text");
}

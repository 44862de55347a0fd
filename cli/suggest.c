/* suggest.c - "did you mean": the smallest number of slips of the finger. */
#include "option_table.h"

#include <ctype.h>
#include <string.h>

enum { WORD_MAX = 40 };

static char folded(char c) {
  return c == '_' ? '-' : (char)tolower((unsigned char)c);
}

static size_t smallest(size_t a, size_t b, size_t c) {
  size_t m = a < b ? a : b;
  return m < c ? m : c;
}

/* Edits to get from a to b: insert, drop, replace, or swap two neighbours (Damerau and
 * Levenshtein, restricted). Only three rows of the table are alive at a time. */
static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size) {
  size_t rows[3][WORD_MAX + 1];
  for (size_t j = 0; j <= b_size; j++) rows[0][j] = j;
  for (size_t i = 1; i <= a_size; i++) {
    size_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];
    now[0] = i;
    for (size_t j = 1; j <= b_size; j++) {
      bool same = folded(a[i - 1]) == folded(b[j - 1]);
      now[j] = smallest(before[j] + 1, now[j - 1] + 1, before[j - 1] + (same ? 0 : 1));
      bool swapped = i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
                     folded(a[i - 2]) == folded(b[j - 1]);
      if (swapped && earlier[j - 2] + 1 < now[j]) now[j] = earlier[j - 2] + 1;
    }
  }
  return rows[a_size % 3][b_size];
}

suggestion suggestion_for(const char *wanted, size_t size) {
  return (suggestion){.wanted = wanted, .wanted_size = size, .best_distance = 1 + (size + 1) / 3};
}

void suggestion_consider(suggestion *s, const char *candidate) {
  size_t size = strlen(candidate);
  if (s->wanted_size == 0 || s->wanted_size > WORD_MAX || size > WORD_MAX) return;
  size_t d = distance(s->wanted, s->wanted_size, candidate, size);
  /* A beginning ("temp") counts as one slip: it is how people abbreviate. */
  if (s->wanted_size >= 3 && size > s->wanted_size &&
      distance(s->wanted, s->wanted_size, candidate, s->wanted_size) == 0)
    d = 1;
  if (d >= s->best_distance) return;
  s->best_distance = d;
  s->best = candidate;
}

/* bpe_merge.c - see bpe_merge.h. Short pieces rescan an array. Longer ones keep symbols in a linked
 * list and candidates in a heap. In the longest (a million equal letters) the heap would be all the
 * time: there, candidates of a rank that is not due yet wait in its bucket, and only those that a
 * merge makes due at once go through the heap. */
#include "bpe_merge.h"

#include "base/fail.h"
#include "base/memory.h"

#include <stdlib.h>

/* ---- short pieces ---- */

/* Of the pair (i, i + 1). */
static void look_up(const lb__bpe *bpe, const int32_t *ids, size_t i, uint32_t *ranks,
                    int32_t *results) {
  const lb__merge_slot *m = lb__bpe_find_merge(bpe, ids[i], ids[i + 1]);
  ranks[i] = m != NULL ? m->rank : UINT32_MAX;
  results[i] = m != NULL ? m->result : -1;
}

/* Few symbols: the next merge is found by looking at all pairs. */
size_t lb__bpe_merge_short(const lb__bpe *bpe, int32_t *ids, size_t n) {
  uint32_t ranks[LB__SHORT_PIECE];
  int32_t results[LB__SHORT_PIECE];
  if (n < 2) return n;
  for (size_t i = 0; i + 1 < n; i++) look_up(bpe, ids, i, ranks, results);
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
    for (size_t i = best > 0 ? best - 1 : 0; i <= best && i + 1 < n; i++)
      look_up(bpe, ids, i, ranks, results);
  }
}

/* ---- long pieces: what is kept ---- */

typedef struct symbol {
  int32_t id;
  int32_t previous, next; /* -1: none; next = -2: merged away */
} symbol;

typedef struct candidate {
  uint32_t rank;
  int32_t at;
} candidate;

typedef struct waiting {
  int32_t at, next; /* next: index of the one that came before it into the bucket, or -1 */
} waiting;

struct lb__bpe_merger {
  symbol *symbols;
  size_t symbols_capacity;
  candidate *heap;
  size_t n_heap, heap_capacity;
  /* Ranks from `later` on wait. bucket[rank] is the last that came, `filled` a bit for each rank.
   */
  uint32_t later;
  waiting *waiting;
  int32_t n_waiting, free; /* free: a list of those that were taken, or -1 */
  size_t waiting_capacity;
  int32_t *bucket;
  uint64_t *filled;
  size_t bucket_capacity, filled_capacity, n_filled;
  /* The bucket of rank `later` - 1, in order; taken from `run_begin` on. */
  int32_t *run;
  size_t run_begin, run_end, run_capacity;
};

lb__bpe_merger *lb__bpe_merger_new(void) {
  return lb__new(sizeof(lb__bpe_merger));
}

void lb__bpe_merger_free(lb__bpe_merger *m) {
  if (m == NULL) return;
  lb__free(m->symbols);
  lb__free(m->heap);
  lb__free(m->waiting);
  lb__free(m->bucket);
  lb__free(m->filled);
  lb__free(m->run);
  lb__free(m);
}

/* ---- candidates: a heap ---- */

static bool before(candidate a, candidate b) {
  return a.rank != b.rank ? a.rank < b.rank : a.at < b.at;
}

/* The heap has room: a piece of n symbols pushes at most 3 n candidates. */
static void push(lb__bpe_merger *m, candidate c) {
  size_t i = m->n_heap++;
  while (i > 0 && before(c, m->heap[(i - 1) / 2])) {
    m->heap[i] = m->heap[(i - 1) / 2];
    i = (i - 1) / 2;
  }
  m->heap[i] = c;
}

static candidate pop(lb__bpe_merger *m) {
  candidate top = m->heap[0], last = m->heap[--m->n_heap];
  size_t i = 0;
  for (;;) {
    size_t child = 2 * i + 1;
    if (child >= m->n_heap) break;
    if (child + 1 < m->n_heap && before(m->heap[child + 1], m->heap[child])) child++;
    if (!before(m->heap[child], last)) break;
    m->heap[i] = m->heap[child];
    i = child;
  }
  m->heap[i] = last;
  return top;
}

/* ---- candidates: buckets ---- */

static void put_into_bucket(lb__bpe_merger *m, candidate c) {
  uint64_t *word = &m->filled[c.rank / 64], bit = (uint64_t)1 << c.rank % 64;
  int32_t i = m->free;
  if (i < 0)
    i = m->n_waiting++;
  else
    m->free = m->waiting[i].next;
  m->waiting[i] = (waiting){c.at, *word & bit ? m->bucket[c.rank] : -1};
  m->bucket[c.rank] = i;
  *word |= bit;
}

static int by_position(const void *left, const void *right) {
  int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
  return (a > b) - (a < b);
}

/* Empties bucket[rank] into the run. Mostly they came in order; the list has the last one first. In
 * a long text every step is a cache miss, but the steps are alike. */
static void take_bucket(lb__bpe_merger *m, size_t rank) {
  size_t n = 0;
  bool in_order = true;
  for (int32_t i = m->bucket[rank], next; i >= 0; i = next) {
    next = m->waiting[i].next;
    if (next < 0) m->waiting[i].next = m->free;
    int64_t guess = i + (int64_t)8 * (next - i);
    if (guess >= 0 && guess < m->n_waiting) __builtin_prefetch(&m->waiting[guess]);
    m->run[n++] = m->waiting[i].at;
    in_order = in_order && (n == 1 || m->run[n - 1] <= m->run[n - 2]);
  }
  for (size_t i = 0; i < n / 2; i++) {
    int32_t first = m->run[i];
    m->run[i] = m->run[n - 1 - i];
    m->run[n - 1 - i] = first;
  }
  m->free = m->bucket[rank];
  if (!in_order) qsort(m->run, n, sizeof *m->run, by_position);
  m->run_begin = 0;
  m->run_end = n;
  m->filled[rank / 64] &= ~((uint64_t)1 << rank % 64);
  m->later = (uint32_t)rank + 1;
}

/* The next bucket that holds something; all before `later` are empty. */
static bool open_next_bucket(lb__bpe_merger *m) {
  for (size_t word = m->later / 64; word < m->n_filled; word++) {
    if (m->filled[word] == 0) continue;
    take_bucket(m, word * 64 + (size_t)__builtin_ctzll(m->filled[word]));
    return true;
  }
  return false;
}

static bool next_candidate(lb__bpe_merger *m, candidate *c) {
  enum { AHEAD = 12 }; /* in a long text every symbol is a cache miss */
  if (m->run_begin == m->run_end && m->n_heap == 0 && !open_next_bucket(m)) return false;
  if (m->run_begin < m->run_end) {
    *c = (candidate){m->later - 1, m->run[m->run_begin]};
    if (m->n_heap == 0 || before(*c, m->heap[0])) {
      if (++m->run_begin + AHEAD < m->run_end)
        __builtin_prefetch(&m->symbols[m->run[m->run_begin + AHEAD]], 1);
      return true;
    }
  }
  *c = pop(m);
  return true;
}

/* ---- merging ---- */

static void add_pair(const lb__bpe *bpe, lb__bpe_merger *m, int32_t at) {
  int32_t next = at < 0 ? -1 : m->symbols[at].next;
  if (next < 0) return;
  const lb__merge_slot *merge = lb__bpe_find_merge(bpe, m->symbols[at].id, m->symbols[next].id);
  if (merge == NULL) return;
  candidate c = {merge->rank, at};
  if (c.rank >= m->later)
    put_into_bucket(m, c);
  else
    push(m, c);
}

/* Replaces symbol `at` and its successor, unless the pair is no longer what it was. */
static void apply(const lb__bpe *bpe, lb__bpe_merger *m, candidate c) {
  symbol *left = &m->symbols[c.at];
  if (left->next < 0) return; /* merged away, or the last one */
  symbol *right = &m->symbols[left->next];
  const lb__merge_slot *merge = lb__bpe_find_merge(bpe, left->id, right->id);
  if (merge == NULL || merge->result != bpe->merges[c.rank].result) return;
  left->id = merge->result;
  left->next = right->next;
  right->next = -2;
  if (left->next >= 0) m->symbols[left->next].previous = c.at;
  add_pair(bpe, m, left->previous);
  add_pair(bpe, m, c.at);
}

/* A piece of n symbols makes at most 3 n candidates. Buckets are worth looking through from a few
 * thousand symbols on. */
static bool prepare(lb__bpe_merger *m, size_t n, size_t n_merges) {
  enum { MANY = 4096 };
  bool fits = lb__grow(&m->symbols, &m->symbols_capacity, n, sizeof *m->symbols) &&
              lb__grow(&m->heap, &m->heap_capacity, 3 * n, sizeof *m->heap);
  m->n_heap = m->n_filled = m->run_begin = m->run_end = 0;
  m->n_waiting = 0;
  m->free = -1;
  m->later = n < MANY ? UINT32_MAX : 0;
  if (n < MANY || !fits) return fits;
  m->n_filled = n_merges / 64 + 1;
  fits = lb__grow(&m->waiting, &m->waiting_capacity, 3 * n, sizeof *m->waiting) &&
         lb__grow(&m->run, &m->run_capacity, 3 * n, sizeof *m->run) &&
         lb__grow(&m->bucket, &m->bucket_capacity, n_merges, sizeof *m->bucket) &&
         lb__grow(&m->filled, &m->filled_capacity, m->n_filled, sizeof *m->filled);
  if (fits) memset(m->filled, 0, m->n_filled * sizeof *m->filled);
  return fits;
}

lb_status lb__bpe_merge_long(const lb__bpe *bpe, lb__bpe_merger *m, const int32_t *ids, size_t n,
                             lb__ids *out, lb_error *err) {
  if (!prepare(m, n, bpe->n_merges)) return lb__fail_nomem(err, "tokens");
  for (size_t i = 0; i < n; i++)
    m->symbols[i] = (symbol){ids[i], (int32_t)i - 1, i + 1 < n ? (int32_t)i + 1 : -1};
  for (size_t i = 0; i + 1 < n; i++) add_pair(bpe, m, (int32_t)i);
  candidate c;
  while (next_candidate(m, &c)) apply(bpe, m, c);
  for (int32_t i = 0; i >= 0; i = m->symbols[i].next)
    if (!lb__ids_add(out, m->symbols[i].id)) return lb__fail_nomem(err, "tokens");
  return LB_OK;
}

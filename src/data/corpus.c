/* corpus.c - see corpus.h: what a finished corpus answers, the held-out split, documents from
 * memory. Read next: corpus_build.c. */
#include "corpus_internal.h"

#include "batch.h"
#include "render_parts.h"

#include "base/fail.h"
#include "base/map.h"
#include "base/random.h"

#include <math.h>

lb__corpus_options lb__corpus_options_default(void) {
  return (lb__corpus_options){.append_eos = true, .max_length = 1024};
}

void lb__corpus_free(lb__corpus *c) {
  if (c == NULL) return;
  lb__free(c->documents);
  lb__free(c->memory);
  lb__file_unmap(&c->mapping);
  lb__free(c);
}

const lb__corpus_facts *lb__corpus_get_facts(const lb__corpus *c) {
  return &c->facts;
}

int64_t lb__corpus_n_documents(const lb__corpus *c) {
  return (int64_t)c->n;
}

lb__document_view lb__corpus_document(const lb__corpus *c, int64_t i) {
  const lb__document_entry *d = &c->documents[i];
  const int32_t *ids = c->cells + d->at;
  return (lb__document_view){
      .ids = ids, .targets = ids + d->n, .n = d->n, .n_trained = d->n_trained};
}

/* ---- building ---- */

uint64_t lb__hash_pair(uint64_t a, uint64_t b) {
  static const uint64_t key[2] = {0x6C696D6265636B32U, 0x636F72707573U}; /* part of checkpoints */
  const uint64_t pair[2] = {a, b};
  return lb__hash_sip13(pair, sizeof pair, key);
}

static void count_in(lb__corpus_facts *f, lb__document_entry d, uint64_t hash) {
  f->n_documents++;
  f->n_tokens += d.n;
  f->n_trained += d.n_trained;
  if (d.n > f->longest) f->longest = d.n;
  f->hash = lb__hash_pair(f->hash, hash);
}

lb_status lb__corpus_add_entry(lb__corpus *c, lb__document_entry entry, uint64_t hash,
                               lb_error *err) {
  if (!lb__grow(&c->documents, &c->capacity, c->n + 1, sizeof *c->documents))
    return lb__fail_nomem(err, "index of documents");
  c->documents[c->n++] = entry;
  count_in(&c->facts, entry, hash);
  return LB_OK;
}

/* ---- documents from memory ---- */

static lb_status check_arrays(const int64_t *doc_start, int64_t n_docs, lb_error *err) {
  if (n_docs < 1) return lb__fail(err, LB_E_ARG, "no document");
  for (int64_t i = 0; i < n_docs; i++)
    if (doc_start[i] < 0 || doc_start[i + 1] <= doc_start[i])
      return lb__fail(err, LB_E_ARG, "document %lld: want at least one token", (long long)i);
  return LB_OK;
}

static lb_status copy_documents(lb__corpus *c, const int32_t *ids, const int32_t *targets,
                                const int64_t *doc_start, int64_t n_docs, lb_error *err) {
  size_t cells = 2 * (size_t)(doc_start[n_docs] - doc_start[0]);
  c->memory = lb__alloc_array(cells, sizeof *c->memory);
  if (c->memory == NULL) return lb__fail_nomem(err, "tokens");
  c->cells = c->memory;
  lb_status st = LB_OK;
  for (int64_t i = 0; i < n_docs && st == LB_OK; i++) {
    int64_t n = doc_start[i + 1] - doc_start[i];
    int32_t *to = c->memory + c->n_cells;
    lb__document_entry entry = {.at = (int64_t)c->n_cells, .n = n};
    memcpy(to, ids + doc_start[i], (size_t)n * sizeof *ids);
    memcpy(to + n, targets + doc_start[i], (size_t)n * sizeof *targets);
    for (int64_t k = 0; k < n; k++) entry.n_trained += to[n + k] != LB__NOT_TRAINED;
    c->facts.n_untrained += entry.n_trained == 0;
    c->n_cells += 2 * (size_t)n;
    st = lb__corpus_add_entry(c, entry, lb__hash_document(to, n), err);
  }
  return st;
}

lb_status lb__corpus_from_arrays(lb__corpus **out, const int32_t *ids, const int32_t *targets,
                                 const int64_t *doc_start, int64_t n_docs, lb_error *err) {
  *out = NULL;
  lb_status st = check_arrays(doc_start, n_docs, err);
  if (st != LB_OK) return st;
  lb__corpus *c = lb__new(sizeof *c);
  if (c == NULL) return lb__fail_nomem(err, "corpus");
  c->facts.format = LB__DATA_TOKENS;
  c->facts.train_on = LB__TRAIN_ON_AUTO;
  st = copy_documents(c, ids, targets, doc_start, n_docs, err);
  if (st != LB_OK) {
    lb__corpus_free(c);
    return st;
  }
  *out = c;
  return LB_OK;
}

/* ---- the held-out part ---- */

/* Every document draws a number; the k smallest are held out, so that the count is exact. */
typedef struct draw {
  uint64_t number;
  int64_t document;
} draw;

enum { LB__SPLIT_STEP = -1 }; /* of the shuffle's random numbers; epochs count from 0 */

static uint64_t draw_number(uint64_t seed, int64_t document) {
  uint32_t bits[4];
  lb__random_u32x4(bits, (lb__random_key){seed, LB__PURPOSE_SHUFFLE}, (uint64_t)LB__SPLIT_STEP,
                   (uint64_t)document);
  return (uint64_t)bits[1] << 32 | bits[0];
}

static bool is_less(draw a, draw b) {
  return a.number != b.number ? a.number < b.number : a.document < b.document;
}

static void sift_down(draw *heap, size_t n, size_t i) {
  for (size_t child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && is_less(heap[child], heap[child + 1])) child++;
    if (!is_less(heap[i], heap[child])) return;
    draw swapped = heap[i];
    heap[i] = heap[child];
    heap[child] = swapped;
  }
}

/* The largest of the k smallest draws of n: a heap of the k smallest so far, the largest on top. */
static draw kth_smallest(draw *heap, size_t k, size_t n, uint64_t seed) {
  for (size_t i = 0; i < k; i++) heap[i] = (draw){draw_number(seed, (int64_t)i), (int64_t)i};
  for (size_t i = k / 2; i > 0; i--) sift_down(heap, k, i - 1);
  for (size_t i = k; i < n; i++) {
    draw next = {draw_number(seed, (int64_t)i), (int64_t)i};
    if (!is_less(next, heap[0])) continue;
    heap[0] = next;
    sift_down(heap, k, 0);
  }
  return heap[0];
}

/* The hashes of the parts follow from the whole's and from how it was cut. */
static void start_facts(lb__corpus_facts *f, const lb__corpus_facts *whole, uint64_t part,
                        uint64_t cut) {
  *f = *whole;
  f->n_documents = f->n_tokens = f->n_trained = f->longest = 0;
  f->hash = lb__hash_pair(lb__hash_pair(whole->hash, cut), part);
}

static void move_documents(lb__corpus *held_out, lb__corpus *from, draw last, uint64_t seed) {
  const lb__corpus_facts whole = from->facts;
  size_t kept = 0, n = from->n;
  uint64_t cut = lb__hash_pair(last.number, (uint64_t)last.document);
  start_facts(&from->facts, &whole, 0, cut);
  start_facts(&held_out->facts, &whole, 1, cut);
  held_out->facts.n_untrained = held_out->facts.n_truncated = held_out->facts.n_bad_lines = 0;
  held_out->facts.n_too_short = 0;
  held_out->facts.first_bad[0] = '\0';
  for (size_t i = 0; i < n; i++) {
    lb__document_entry d = from->documents[i];
    draw mine = {draw_number(seed, (int64_t)i), (int64_t)i};
    bool moves = !is_less(last, mine);
    if (moves)
      held_out->documents[held_out->n++] = d;
    else
      from->documents[kept++] = d;
    count_in(moves ? &held_out->facts : &from->facts, d, (uint64_t)i);
  }
  from->n = kept;
}

lb_status lb__corpus_split(lb__corpus **held_out, lb__corpus *from, double fraction, uint64_t seed,
                           lb_error *err) {
  *held_out = NULL;
  if (!(fraction > 0 && fraction < 1))
    return lb__fail(err, LB_E_ARG, "eval_fraction: want a number between 0 and 1, found %g",
                    fraction);
  if (from->n < 2)
    return lb__fail(err, LB_E_ARG, "eval_fraction: %zu document cannot be split", from->n);
  size_t k = (size_t)ceil(fraction * (double)from->n); /* as datasets' train_test_split */
  if (k > from->n - 1) k = from->n - 1;
  lb__corpus *c = lb__new(sizeof *c);
  draw *heap = lb__alloc_array(k, sizeof *heap);
  if (c != NULL) c->documents = lb__alloc_array(k, sizeof *c->documents);
  if (c == NULL || heap == NULL || c->documents == NULL) {
    lb__free(heap);
    lb__corpus_free(c);
    return lb__fail_nomem(err, "held-out documents");
  }
  c->capacity = k;
  c->cells = from->cells;
  move_documents(c, from, kth_smallest(heap, k, from->n, seed), seed);
  lb__free(heap);
  *held_out = c;
  return LB_OK;
}

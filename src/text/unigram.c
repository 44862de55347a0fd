/* unigram.c - see unigram.h. */
#include "unigram.h"

#include "base/fail.h"
#include "base/memory.h"
#include "unicode_class.h"

#include <math.h>
#include <stdio.h>

lb_status lb__unigram_add_score(lb__unigram *u, double score, lb_error *err) {
  if (!isfinite(score))
    return lb__fail(err, LB_E_FORMAT, "score of token %zu is not a number", u->n_scores);
  if (!lb__grow(&u->scores, &u->scores_capacity, u->n_scores + 1, sizeof *u->scores))
    return lb__fail_nomem(err, "scores");
  u->scores[u->n_scores++] = score;
  return LB_OK;
}

static bool build_trie(lb__unigram *u) {
  lb__trie_key *keys = lb__alloc_array(u->n_scores, sizeof *keys);
  if (keys == NULL) return false;
  size_t n = 0;
  for (size_t id = 0; id < u->n_scores; id++) {
    size_t size;
    const char *text = lb__vocabulary_text(u->vocabulary, (int64_t)id, &size);
    if (text != NULL && size > 0) keys[n++] = (lb__trie_key){text, size, (int32_t)id};
  }
  bool built = lb__trie_build(&u->trie, keys, n);
  lb__free(keys);
  return built;
}

lb_status lb__unigram_finish(lb__unigram *u, lb_error *err) {
  if (u->unk_id >= (int64_t)u->n_scores)
    return lb__fail(err, LB_E_FORMAT, "model.unk_id is %lld; the vocabulary has %zu tokens",
                    (long long)u->unk_id, u->n_scores);
  double smallest = INFINITY;
  for (size_t i = 0; i < u->n_scores; i++)
    if (u->scores[i] < smallest) smallest = u->scores[i];
  u->unk_score = smallest - 10;
  for (int byte = 0; byte < 256; byte++) {
    char text[8];
    snprintf(text, sizeof text, "<0x%02X>", byte);
    u->fallback_byte[byte] = lb__vocabulary_find(u->vocabulary, text, 6);
  }
  return build_trie(u) ? LB_OK : lb__fail_nomem(err, "unigram trie");
}

void lb__unigram_deinit(lb__unigram *u) {
  lb__free(u->scores);
  lb__trie_deinit(&u->trie);
  *u = (lb__unigram){0};
}

static void offer(lb__unigram_node *node, double score, int32_t id, size_t start) {
  if (node->start != UINT32_MAX && !(score > node->score)) return;
  *node = (lb__unigram_node){score, id, (uint32_t)start};
}

static lb_status fail_unknown(lb_error *err) {
  return lb__fail(err, LB_E_FORMAT, "the text needs an unknown token, but model.unk_id is missing");
}

/* Forward: the best last token before every byte position. */
static lb_status find_best(const lb__unigram *u, lb__unigram_node *nodes, const char *piece,
                           size_t size, lb_error *err) {
  for (size_t i = 0; i <= size; i++) nodes[i] = (lb__unigram_node){0, -1, UINT32_MAX};
  for (size_t at = 0; at < size;) {
    size_t length = lb__utf8_length((unsigned char)piece[at]);
    bool has_single = false;
    uint32_t node = 0;
    for (size_t i = at; i < size; i++) {
      node = lb__trie_child(&u->trie, node, (unsigned char)piece[i]);
      if (node == 0) break;
      int32_t id = u->trie.nodes[node].value;
      if (id < 0) continue;
      offer(&nodes[i + 1], nodes[at].score + u->scores[id], id, at);
      has_single = has_single || i + 1 == at + length;
    }
    if (!has_single) {
      lb__unigram_node *next = &nodes[at + length];
      double score = nodes[at].score + u->unk_score;
      if (u->unk_id < 0 && (next->start == UINT32_MAX || score > next->score))
        return fail_unknown(err);
      offer(next, score, (int32_t)u->unk_id, at);
    }
    at += length;
  }
  return LB_OK;
}

/* A run of unknown characters is one token: the vocabulary's own if it has that very text, else
 * fallback bytes, else the unknown token. */
static lb_status emit_unknown(const lb__unigram *u, const char *text, size_t size, lb__ids *ids,
                              lb_error *err) {
  int32_t whole = lb__vocabulary_find(u->vocabulary, text, size);
  if (whole >= 0) return lb__ids_add(ids, whole) ? LB_OK : lb__fail_nomem(err, "tokens");
  bool has_bytes = u->byte_fallback, fits = true;
  for (size_t i = 0; i < size && has_bytes; i++)
    has_bytes = u->fallback_byte[(unsigned char)text[i]] >= 0;
  if (!has_bytes) fits = lb__ids_add(ids, (int32_t)u->unk_id);
  for (size_t i = 0; i < size && has_bytes && fits; i++)
    fits = lb__ids_add(ids, u->fallback_byte[(unsigned char)text[i]]);
  return fits ? LB_OK : lb__fail_nomem(err, "tokens");
}

/* Turns the backward links of the best path into forward ones: nodes[start].id/.start of the
 * token that begins there. */
static void reverse_path(lb__unigram_node *nodes, size_t size) {
  size_t end = size;
  int32_t id = nodes[end].id;
  uint32_t start = nodes[end].start;
  while (end > 0) {
    lb__unigram_node before = nodes[start];
    nodes[start].id = id;
    nodes[start].start = (uint32_t)end; /* now: where the token that begins here ends */
    end = start;
    id = before.id;
    start = before.start;
  }
}

lb_status lb__unigram_encode(const lb__unigram *u, lb__unigram_scratch *s, const char *piece,
                             size_t size, lb__ids *ids, lb_error *err) {
  if (size == 0) return LB_OK;
  if (!lb__grow(&s->nodes, &s->capacity, size + 1, sizeof *s->nodes))
    return lb__fail_nomem(err, "tokens");
  lb_status st = find_best(u, s->nodes, piece, size, err);
  if (st != LB_OK) return st;
  reverse_path(s->nodes, size);
  for (size_t at = 0; at < size && st == LB_OK;) {
    size_t end = s->nodes[at].start;
    if (s->nodes[at].id == u->unk_id) {
      while (end < size && s->nodes[end].id == u->unk_id) end = s->nodes[end].start;
      st = emit_unknown(u, piece + at, end - at, ids, err);
    } else if (!lb__ids_add(ids, s->nodes[at].id)) {
      st = lb__fail_nomem(err, "tokens");
    }
    at = end;
  }
  return st;
}

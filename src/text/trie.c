/* trie.c - see trie.h. Breadth first, so that the children of a node lie side by side. */
#include "trie.h"

#include "base/memory.h"

#include <stdlib.h>

static int compare_keys(const void *left, const void *right) {
  const lb__trie_key *a = left, *b = right;
  size_t common = a->size < b->size ? a->size : b->size;
  int order = common == 0 ? 0 : memcmp(a->bytes, b->bytes, common);
  if (order != 0) return order;
  if (a->size != b->size) return a->size < b->size ? -1 : 1;
  return (a->value > b->value) - (a->value < b->value);
}

typedef struct pending {
  size_t begin, end, depth; /* keys[begin..end) share their first `depth` bytes */
} pending;

/* One level: gives `node` its value and its children, whose key ranges go into work. */
static size_t expand(lb__trie *trie, pending *work, size_t n_nodes, uint32_t node,
                     const lb__trie_key *keys) {
  size_t i = work[node].begin, end = work[node].end, depth = work[node].depth;
  for (; i < end && keys[i].size == depth; i++) trie->nodes[node].value = keys[i].value;
  trie->nodes[node].first_child = (uint32_t)n_nodes;
  while (i < end) {
    uint8_t label = (uint8_t)keys[i].bytes[depth];
    size_t first = i;
    while (i < end && (uint8_t)keys[i].bytes[depth] == label) i++;
    trie->nodes[n_nodes] = (lb__trie_node){.label = label, .value = -1};
    work[n_nodes++] = (pending){first, i, depth + 1};
    trie->nodes[node].n_children++;
  }
  return n_nodes;
}

/* Exact: one node per distinct prefix. */
static size_t count_nodes(const lb__trie_key *keys, size_t n) {
  size_t nodes = 1;
  for (size_t i = 0; i < n; i++) {
    size_t common = 0, limit = i == 0 ? 0 : keys[i - 1].size;
    while (common < limit && common < keys[i].size &&
           keys[i].bytes[common] == keys[i - 1].bytes[common])
      common++;
    nodes += keys[i].size - common;
  }
  return nodes;
}

bool lb__trie_build(lb__trie *trie, lb__trie_key *keys, size_t n) {
  *trie = (lb__trie){0};
  if (n > 0) qsort(keys, n, sizeof *keys, compare_keys);
  size_t capacity = count_nodes(keys, n);
  if (capacity >= UINT32_MAX) return false;
  pending *work = lb__alloc_array(capacity, sizeof *work);
  trie->nodes = lb__new_array(capacity, sizeof *trie->nodes);
  if (work == NULL || trie->nodes == NULL) {
    lb__free(work);
    lb__trie_deinit(trie);
    return false;
  }
  trie->nodes[0].value = -1;
  work[0] = (pending){0, n, 0};
  trie->n_nodes = 1;
  for (size_t node = 0; node < trie->n_nodes; node++)
    trie->n_nodes = expand(trie, work, trie->n_nodes, (uint32_t)node, keys);
  lb__free(work);
  return true;
}

void lb__trie_deinit(lb__trie *trie) {
  lb__free(trie->nodes);
  *trie = (lb__trie){0};
}

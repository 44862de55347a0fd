/* trie.h - a set of byte strings with numbers, walked byte by byte: the pieces of a Unigram model,
 * the added tokens. Built once from a list, then read-only. */
#ifndef LB_TEXT_TRIE_H
#define LB_TEXT_TRIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lb__trie_node {
  uint32_t first_child; /* children lie side by side, sorted by label */
  uint16_t n_children;
  uint8_t label;
  int32_t value; /* -1: no string ends here */
} lb__trie_node;

typedef struct lb__trie {
  lb__trie_node *nodes; /* [0] is the root; NULL: empty */
  size_t n_nodes;
} lb__trie;

typedef struct lb__trie_key {
  const char *bytes;
  size_t size;
  int32_t value; /* >= 0; of equal keys the last in the list wins */
} lb__trie_key;

/* Sorts `keys`. False: no memory. */
bool lb__trie_build(lb__trie *trie, lb__trie_key *keys, size_t n);
void lb__trie_deinit(lb__trie *trie);

/* The child of a node by its label, or 0. */
static inline uint32_t lb__trie_child(const lb__trie *trie, uint32_t node, unsigned char label) {
  const lb__trie_node *n = &trie->nodes[node];
  uint32_t low = n->first_child, high = low + n->n_children;
  if (node == 0 && n->n_children == 256) return low + label;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (trie->nodes[middle].label < label)
      low = middle + 1;
    else
      high = middle;
  }
  return low < n->first_child + n->n_children && trie->nodes[low].label == label ? low : 0;
}

#endif

/* normalize.h - the normalizers of a tokenizer.json, run one after the other. Owns: every kind but
 * those of BERT; their configuration. Refuses: unknown kinds, by name. */
#ifndef LB_TEXT_NORMALIZE_H
#define LB_TEXT_NORMALIZE_H

#include "base/memory.h"
#include "config_path.h"

typedef struct lb__normalizer lb__normalizer;
typedef struct lb__normalizers {
  lb__normalizer *items; /* Sequences are flattened */
  size_t n, capacity;
} lb__normalizers;

lb_status lb__normalizers_compile(lb__normalizers *out, const json_t *part, lb_error *err);
void lb__normalizers_deinit(lb__normalizers *list);
/* Whether the last step is the one that writes spaces as U+2581; and without it. */
bool lb__normalizers_end_in_marks(const lb__normalizers *list);
void lb__normalizers_drop_last(lb__normalizers *list);

/* A text on its way through the steps: it lies in the caller's memory until the first step that
 * changes it, then in one of the two buffers. */
typedef struct lb__rewriting {
  const char *text;
  size_t size;
  lb__buf buffers[2];
  int current;    /* the buffer that the next change writes into */
  bool at_origin; /* the first byte still stands for the first byte of the whole input */
} lb__rewriting;
#define LB__TEXT_MAX ((size_t)1 << 30)

void lb__rewriting_init(lb__rewriting *r);
void lb__rewriting_deinit(lb__rewriting *r);
void lb__rewriting_begin(lb__rewriting *r, const char *text, size_t size, bool at_origin);
/* The empty buffer to write the changed text into; then lb__rewriting_done. */
lb__buf *lb__rewriting_buffer(lb__rewriting *r);
lb_status lb__rewriting_done(lb__rewriting *r, lb_error *err);

lb_status lb__normalize(lb__rewriting *r, const lb__normalizers *list, lb_error *err);

/* ---- sentencepiece's compiled character map ("Precompiled") ---- */
typedef struct lb__charsmap {
  uint32_t *units; /* a double-array trie */
  size_t n_units;
  char *replacements; /* NUL-separated */
  size_t replacements_size;
} lb__charsmap;
lb_status lb__charsmap_init(lb__charsmap *map, const char *base64, size_t size, const char *path,
                            lb_error *err);
void lb__charsmap_deinit(lb__charsmap *map);
void lb__charsmap_apply(const lb__charsmap *map, lb__buf *out, const char *text, size_t size);

#endif

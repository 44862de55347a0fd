/* kv_cache.h - keys and values of what was already read, in pages that sequences share.
 *
 * A page holds LB__KV_PAGE_SIZE consecutive tokens of one sequence, in every layer. Sequences are
 * page tables; a fork copies the table only, and a page that two sequences hold is copied when one
 * of them is about to write into it. So beams pay for the prompt once.
 * Owns: pages, who holds them, the tensors. Refuses: running the model.
 *
 *   lb__kv_prepare(cache, appends, n, &view, err)   room for new tokens, and the view for a batch
 *   lb__model_hidden(... &batch ...)                fills the slots
 *   lb__kv_commit(cache, appends, n)                now they count; without it nothing happened
 *
 * Memory grows geometrically with what is really used, so a steady-state step allocates nothing. */
#ifndef LB_GENERATE_KV_CACHE_H
#define LB_GENERATE_KV_CACHE_H

#include "model/forward.h"

enum { LB__KV_PAGE_SIZE = 16 };

typedef struct lb__kv_shape {
  int64_t n_layers, n_kv_heads, head_dim;
} lb__kv_shape;

typedef struct lb__kv_append { /* n_new more tokens for one sequence */
  int32_t sequence;
  int64_t n_new;
} lb__kv_append;

typedef struct lb__kv_cache lb__kv_cache;

/* Bytes that n_tokens of unshared cache take. False when they do not fit. */
bool lb__kv_estimate(size_t *bytes, lb__kv_shape shape, int64_t n_tokens);

lb_status lb__kv_cache_new(lb__kv_cache **out, lb__kv_shape shape, lb_error *err);
void lb__kv_cache_free(lb__kv_cache *c);

/* An empty sequence; a sequence with the same tokens as another. Numbers are reused after a drop.
 * @error LB_E_NOMEM */
lb_status lb__kv_sequence_new(lb__kv_cache *c, int32_t *sequence, lb_error *err);
lb_status lb__kv_fork(lb__kv_cache *c, int32_t *copy, int32_t sequence, lb_error *err);
void lb__kv_drop(lb__kv_cache *c, int32_t sequence);
/* Keeps the first n_tokens; n_tokens <= length. */
void lb__kv_truncate(lb__kv_cache *c, int32_t sequence, int64_t n_tokens);
int64_t lb__kv_length(const lb__kv_cache *c, int32_t sequence);

/* Makes room for the appended tokens (of different sequences) and describes them. The view's
 * arrays belong to the cache and are valid until its next call.
 * @error LB_E_NOMEM, LB_E_LIMIT (more rows than an int32 can number). The cache is as before. */
lb_status lb__kv_prepare(lb__kv_cache *c, const lb__kv_append *appends, int64_t n,
                         lb__kv_view *view, lb_error *err);
void lb__kv_commit(lb__kv_cache *c, const lb__kv_append *appends, int64_t n);

/* For tests and `inspect`: pages in use, and how many sequences hold a page. */
int64_t lb__kv_pages_used(const lb__kv_cache *c);
int32_t lb__kv_page_holders(const lb__kv_cache *c, int32_t sequence, int64_t page);

#endif

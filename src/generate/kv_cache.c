/* kv_cache.c - see kv_cache.h. Read next: lb__kv_prepare, which is all a step does. */
#include "kv_cache.h"

#include "base/fail.h"

enum { FIRST_PAGES = 8, COPY_BYTES = 64 * 1024 };

typedef struct kv_sequence {
  int32_t *pages; /* page j holds tokens j * page_size ...; kept for reuse after a drop */
  size_t n_pages, capacity;
  int64_t length;
  bool alive;
} kv_sequence;

struct lb__kv_cache {
  lb__kv_shape shape;
  lb_tensor *keys, *values; /* [n_layers], each [n_pages * page_size, G, D] */
  int64_t n_pages;          /* that exist in every layer */
  int32_t *holders;         /* [n_pages] sequences that hold a page; 0 = free */
  int32_t *free_pages;      /* [n_free] a stack with room for all */
  size_t holders_capacity, free_capacity;
  int64_t n_free;
  kv_sequence *sequences;
  size_t n_sequences, sequences_capacity;
  int32_t *slots, *table, *lengths; /* the arrays of the last view */
  size_t slots_capacity, table_capacity, lengths_capacity;
  char *bounce; /* [COPY_BYTES] between two tensors */
};

static int64_t pages_for(int64_t n_tokens) {
  return (n_tokens + LB__KV_PAGE_SIZE - 1) / LB__KV_PAGE_SIZE;
}

static size_t row_bytes(const lb__kv_cache *c) {
  return (size_t)(c->shape.n_kv_heads * c->shape.head_dim) * sizeof(float);
}

bool lb__kv_estimate(size_t *bytes, lb__kv_shape shape, int64_t n_tokens) {
  *bytes = 2 * sizeof(float);
  return lb__ck_mul(bytes, *bytes, (size_t)(pages_for(n_tokens) * LB__KV_PAGE_SIZE)) &&
         lb__ck_mul(bytes, *bytes, (size_t)shape.n_layers) &&
         lb__ck_mul(bytes, *bytes, (size_t)shape.n_kv_heads) &&
         lb__ck_mul(bytes, *bytes, (size_t)shape.head_dim);
}

lb_status lb__kv_cache_new(lb__kv_cache **out, lb__kv_shape shape, lb_error *err) {
  *out = NULL;
  lb__kv_cache *c = lb__new(sizeof *c);
  if (c == NULL) return lb__fail_nomem(err, "the KV cache");
  c->shape = shape;
  c->keys = lb__new_array((size_t)shape.n_layers, sizeof *c->keys);
  c->values = lb__new_array((size_t)shape.n_layers, sizeof *c->values);
  c->bounce = lb__alloc(COPY_BYTES);
  if (c->keys == NULL || c->values == NULL || c->bounce == NULL) {
    lb__kv_cache_free(c);
    return lb__fail_nomem(err, "the KV cache");
  }
  *out = c;
  return LB_OK;
}

void lb__kv_cache_free(lb__kv_cache *c) {
  if (c == NULL) return;
  for (int64_t l = 0; l < c->shape.n_layers; l++) {
    if (c->keys != NULL) lb__tensor_deinit(&c->keys[l]);
    if (c->values != NULL) lb__tensor_deinit(&c->values[l]);
  }
  for (size_t i = 0; i < c->n_sequences; i++) lb__free(c->sequences[i].pages);
  lb__free(c->keys);
  lb__free(c->values);
  lb__free(c->holders);
  lb__free(c->free_pages);
  lb__free(c->sequences);
  lb__free(c->slots);
  lb__free(c->table);
  lb__free(c->lengths);
  lb__free(c->bounce);
  lb__free(c);
}

/* ---- the tensors ---- */

/* size bytes between two tensors of one device, through the host */
static lb_status copy_bytes(lb__kv_cache *c, lb_tensor *to, size_t to_offset, const lb_tensor *from,
                            size_t from_offset, size_t size, lb_error *err) {
  lb_status st = LB_OK;
  for (size_t done = 0; done < size && st == LB_OK;) {
    size_t n = size - done < COPY_BYTES ? size - done : COPY_BYTES;
    st = lb__tensor_read(from, from_offset + done, c->bounce, n, err);
    if (st == LB_OK) st = lb__tensor_write(to, to_offset + done, c->bounce, n, err);
    done += n;
  }
  return st;
}

static lb_status larger_copy(lb__kv_cache *c, lb_tensor *out, const lb_tensor *old, int64_t n_rows,
                             lb_error *err) {
  const int64_t shape[3] = {n_rows, c->shape.n_kv_heads, c->shape.head_dim};
  *out = (lb_tensor){0};
  lb_status st = lb__tensor_init(out, LB_DTYPE_F32, 3, shape, err);
  if (st == LB_OK) st = copy_bytes(c, out, 0, old, 0, old->size_bytes, err);
  if (st != LB_OK) lb__tensor_deinit(out);
  return st;
}

/* Keys and values of a layer grow together or not at all. */
static lb_status grow_layer(lb__kv_cache *c, int64_t layer, int64_t n_rows, lb_error *err) {
  lb_tensor keys, values;
  if (c->keys[layer].shape[0] >= n_rows && c->keys[layer].size_bytes > 0) return LB_OK;
  lb_status st = larger_copy(c, &keys, &c->keys[layer], n_rows, err);
  if (st != LB_OK) return st;
  st = larger_copy(c, &values, &c->values[layer], n_rows, err);
  if (st != LB_OK) {
    lb__tensor_deinit(&keys);
    return st;
  }
  lb__tensor_deinit(&c->keys[layer]);
  lb__tensor_deinit(&c->values[layer]);
  c->keys[layer] = keys;
  c->values[layer] = values;
  return LB_OK;
}

static lb_status grow_pages(lb__kv_cache *c, int64_t n_pages, lb_error *err) {
  if (n_pages > INT32_MAX / LB__KV_PAGE_SIZE)
    return lb__fail(err, LB_E_LIMIT, "KV cache: %lld tokens do not fit, the limit is %d",
                    (long long)n_pages * LB__KV_PAGE_SIZE, INT32_MAX);
  size_t wanted = (size_t)n_pages;
  if (!lb__grow(&c->holders, &c->holders_capacity, wanted, sizeof *c->holders) ||
      !lb__grow(&c->free_pages, &c->free_capacity, wanted, sizeof *c->free_pages))
    return lb__fail_nomem(err, "the KV cache's page list");
  for (int64_t l = 0; l < c->shape.n_layers; l++) {
    lb_status st = grow_layer(c, l, n_pages * LB__KV_PAGE_SIZE, err);
    if (st != LB_OK)
      return lb__fail_prefix(err, st, "KV cache of %lld tokens",
                             (long long)n_pages * LB__KV_PAGE_SIZE);
  }
  for (int64_t page = n_pages - 1; page >= c->n_pages;
       page--) { /* low pages are handed out first */
    c->holders[page] = 0;
    c->free_pages[c->n_free++] = (int32_t)page;
  }
  c->n_pages = n_pages;
  return LB_OK;
}

/* At least `wanted` free pages: half as many again as there are, or just enough when memory is
 * short. */
static lb_status reserve_pages(lb__kv_cache *c, int64_t wanted, lb_error *err) {
  if (c->n_free >= wanted) return LB_OK;
  int64_t least = c->n_pages + (wanted - c->n_free), roomy = c->n_pages + c->n_pages / 2;
  if (roomy < FIRST_PAGES) roomy = FIRST_PAGES;
  if (roomy > least && grow_pages(c, roomy, NULL) == LB_OK) return LB_OK;
  return grow_pages(c, least, err);
}

static void release_page(lb__kv_cache *c, int32_t page) {
  if (--c->holders[page] == 0) c->free_pages[c->n_free++] = page;
}

/* ---- sequences ---- */

static kv_sequence *get_sequence(const lb__kv_cache *c, int32_t sequence) {
  LB_ASSERT(sequence >= 0 && (size_t)sequence < c->n_sequences && c->sequences[sequence].alive);
  return &c->sequences[sequence];
}

lb_status lb__kv_sequence_new(lb__kv_cache *c, int32_t *sequence, lb_error *err) {
  size_t i = 0;
  *sequence = -1;
  while (i < c->n_sequences && c->sequences[i].alive) i++;
  if (i == c->n_sequences) {
    if (!lb__grow(&c->sequences, &c->sequences_capacity, i + 1, sizeof *c->sequences))
      return lb__fail_nomem(err, "the KV cache's sequences");
    c->sequences[c->n_sequences++] = (kv_sequence){0};
  }
  c->sequences[i].alive = true;
  c->sequences[i].length = 0;
  c->sequences[i].n_pages = 0;
  *sequence = (int32_t)i;
  return LB_OK;
}

lb_status lb__kv_fork(lb__kv_cache *c, int32_t *copy, int32_t sequence, lb_error *err) {
  lb_status st = lb__kv_sequence_new(c, copy, err);
  if (st != LB_OK) return st;
  const kv_sequence *from = get_sequence(c, sequence);
  kv_sequence *to = get_sequence(c, *copy);
  size_t n_pages = (size_t)pages_for(from->length);
  if (!lb__grow(&to->pages, &to->capacity, n_pages, sizeof *to->pages)) {
    to->alive = false;
    *copy = -1;
    return lb__fail_nomem(err, "the KV cache's page table");
  }
  for (size_t j = 0; j < n_pages; j++) {
    to->pages[j] = from->pages[j];
    c->holders[to->pages[j]]++;
  }
  to->n_pages = n_pages;
  to->length = from->length;
  return LB_OK;
}

void lb__kv_truncate(lb__kv_cache *c, int32_t sequence, int64_t n_tokens) {
  kv_sequence *s = get_sequence(c, sequence);
  LB_ASSERT(n_tokens >= 0 && n_tokens <= s->length);
  size_t n_pages = (size_t)pages_for(n_tokens);
  while (s->n_pages > n_pages) release_page(c, s->pages[--s->n_pages]);
  s->length = n_tokens;
}

void lb__kv_drop(lb__kv_cache *c, int32_t sequence) {
  if (sequence < 0) return;
  lb__kv_truncate(c, sequence, 0);
  c->sequences[sequence].alive = false;
}

int64_t lb__kv_length(const lb__kv_cache *c, int32_t sequence) {
  return get_sequence(c, sequence)->length;
}

int64_t lb__kv_pages_used(const lb__kv_cache *c) {
  return c->n_pages - c->n_free;
}

int32_t lb__kv_page_holders(const lb__kv_cache *c, int32_t sequence, int64_t page) {
  return c->holders[get_sequence(c, sequence)->pages[page]];
}

/* ---- a step ---- */

/* Whether the next token goes into a page that others hold too. */
static bool writes_shared_page(const lb__kv_cache *c, const kv_sequence *s) {
  int64_t last = s->length / LB__KV_PAGE_SIZE;
  return s->length % LB__KV_PAGE_SIZE != 0 && c->holders[s->pages[last]] > 1;
}

/* An upper bound: sequences that share a page may both count it. */
static int64_t pages_needed(const lb__kv_cache *c, const lb__kv_append *appends, int64_t n) {
  int64_t total = 0;
  for (int64_t i = 0; i < n; i++) {
    const kv_sequence *s = get_sequence(c, appends[i].sequence);
    int64_t more = pages_for(s->length + appends[i].n_new) - (int64_t)s->n_pages;
    total += (more > 0 ? more : 0) + (writes_shared_page(c, s) ? 1 : 0);
  }
  return total;
}

static int32_t take_page(lb__kv_cache *c) {
  LB_ASSERT(c->n_free > 0); /* prepare reserved it */
  int32_t page = c->free_pages[--c->n_free];
  c->holders[page] = 1;
  return page;
}

/* Copy on write: the tokens so far of the last, partial page move to a page of our own. */
static lb_status own_last_page(lb__kv_cache *c, kv_sequence *s, lb_error *err) {
  if (!writes_shared_page(c, s)) return LB_OK;
  int32_t *place = &s->pages[s->length / LB__KV_PAGE_SIZE], old = *place, page = take_page(c);
  size_t row = row_bytes(c), size = row * (size_t)(s->length % LB__KV_PAGE_SIZE);
  size_t from = row * LB__KV_PAGE_SIZE * (size_t)old, to = row * LB__KV_PAGE_SIZE * (size_t)page;
  lb_status st = LB_OK;
  for (int64_t l = 0; l < c->shape.n_layers && st == LB_OK; l++) {
    st = copy_bytes(c, &c->keys[l], to, &c->keys[l], from, size, err);
    if (st == LB_OK) st = copy_bytes(c, &c->values[l], to, &c->values[l], from, size, err);
  }
  *place = page;
  release_page(c, old);
  return st;
}

/* Page table and own pages for n_new more tokens; enough pages are free. */
static lb_status extend(lb__kv_cache *c, const lb__kv_append *a, lb_error *err) {
  kv_sequence *s = get_sequence(c, a->sequence);
  size_t n_pages = (size_t)pages_for(s->length + a->n_new);
  if (!lb__grow(&s->pages, &s->capacity, n_pages, sizeof *s->pages))
    return lb__fail_nomem(err, "the KV cache's page table");
  lb_status st = own_last_page(c, s, err);
  while (st == LB_OK && s->n_pages < n_pages) s->pages[s->n_pages++] = take_page(c);
  return st;
}

static bool grow_view(lb__kv_cache *c, size_t n_tokens, size_t n_docs, size_t max_pages) {
  size_t table;
  return lb__ck_mul(&table, n_docs, max_pages) &&
         lb__grow(&c->slots, &c->slots_capacity, n_tokens, sizeof *c->slots) &&
         lb__grow(&c->table, &c->table_capacity, table, sizeof *c->table) &&
         lb__grow(&c->lengths, &c->lengths_capacity, n_docs, sizeof *c->lengths);
}

static void fill_view(lb__kv_cache *c, const lb__kv_append *appends, int64_t n, int64_t max_pages) {
  int32_t *slot = c->slots;
  for (int64_t d = 0; d < n; d++) {
    const kv_sequence *s = get_sequence(c, appends[d].sequence);
    int64_t end = s->length + appends[d].n_new;
    for (int64_t t = s->length; t < end; t++)
      *slot++ = s->pages[t / LB__KV_PAGE_SIZE] * LB__KV_PAGE_SIZE + (int32_t)(t % LB__KV_PAGE_SIZE);
    int64_t used = pages_for(end);
    for (int64_t j = 0; j < max_pages; j++) /* behind the last page nothing is read: a valid 0 */
      c->table[d * max_pages + j] = j < used ? s->pages[j] : 0;
    c->lengths[d] = (int32_t)end;
  }
}

lb_status lb__kv_prepare(lb__kv_cache *c, const lb__kv_append *appends, int64_t n,
                         lb__kv_view *view, lb_error *err) {
  int64_t n_tokens = 0, max_pages = 1;
  *view = (lb__kv_view){0};
  lb_status st = reserve_pages(c, pages_needed(c, appends, n), err);
  for (int64_t i = 0; i < n && st == LB_OK; i++) {
    st = extend(c, &appends[i], err);
    int64_t pages = pages_for(lb__kv_length(c, appends[i].sequence) + appends[i].n_new);
    if (pages > max_pages) max_pages = pages;
    n_tokens += appends[i].n_new;
  }
  if (st != LB_OK) return st;
  if (!grow_view(c, (size_t)n_tokens, (size_t)n, (size_t)max_pages))
    return lb__fail_nomem(err, "the KV cache's page table");
  fill_view(c, appends, n, max_pages);
  *view = (lb__kv_view){.keys = c->keys,
                        .values = c->values,
                        .page_size = LB__KV_PAGE_SIZE,
                        .slots = c->slots,
                        .page_table = c->table,
                        .max_pages = max_pages,
                        .kv_lens = c->lengths};
  return LB_OK;
}

void lb__kv_commit(lb__kv_cache *c, const lb__kv_append *appends, int64_t n) {
  for (int64_t i = 0; i < n; i++) get_sequence(c, appends[i].sequence)->length += appends[i].n_new;
}

/* loader.c - see loader.h. Rows are packed once. An epoch shuffles the rows, and lets documents of
 * equal length trade places, so that neighbours change while every row keeps its shape: the number
 * of steps is the same in every epoch. Shuffles are Fisher and Yates' with counter-based random
 * numbers: a function of (seed, epoch) alone. */
#include "loader.h"

#include "packing.h"

#include "base/fail.h"
#include "base/memory.h"
#include "base/random.h"

struct lb__loader {
  const lb__corpus *corpus;
  lb__loader_options o;
  int64_t *documents; /* [n_documents] of the corpus: those with a trained token */
  int64_t n_documents;
  lb__packing packing;
  int64_t longest_row;    /* tokens */
  int64_t most_documents; /* of a row */
  /* of the epoch */
  int64_t epoch;          /* whose order this is; -1: none yet */
  int64_t *slot_document; /* [n_slots] index into documents */
  int64_t *row_order;     /* [n_rows] */
  lb__cursor cursor;
  /* of the optimizer batch; all are large enough for any */
  lb__micro_batch *micro;
  int32_t *ids, *positions, *targets, *doc_start;
};

/* ---- the order of an epoch ---- */

/* The two shuffles of an epoch draw from different halves of the index. */
typedef enum shuffle_kind { SHUFFLE_ROWS, SHUFFLE_SLOTS } shuffle_kind;

/* Items [0, n) of a list whose first item has the number `offset` among all. */
static void shuffle(const lb__loader *l, int64_t *items, int64_t n, int64_t offset,
                    shuffle_kind kind) {
  const lb__random_key key = {l->o.seed, LB__PURPOSE_SHUFFLE};
  for (int64_t i = n - 1; i > 0; i--) {
    uint64_t index = (uint64_t)kind << 62 | (uint64_t)(offset + i);
    double u = lb__random_uniform(key, (uint64_t)l->epoch, index); /* [0, 1) */
    int64_t k = (int64_t)(u * (double)(i + 1)), swapped = items[i];
    items[i] = items[k];
    items[k] = swapped;
  }
}

static int64_t length_of(const lb__loader *l, int64_t document) {
  return lb__corpus_document(l->corpus, l->documents[document]).n;
}

/* Slots are sorted by length. */
static void shuffle_equal_lengths(lb__loader *l) {
  int64_t n = l->packing.n_slots;
  for (int64_t begin = 0, end; begin < n; begin = end) {
    int64_t length = length_of(l, l->packing.slot_document[begin]);
    for (end = begin + 1; end < n && length_of(l, l->packing.slot_document[end]) == length;) end++;
    shuffle(l, l->slot_document + begin, end - begin, begin, SHUFFLE_SLOTS);
  }
}

static void order_epoch(lb__loader *l, int64_t epoch) {
  if (l->epoch == epoch || (l->epoch >= 0 && !l->o.shuffle)) return;
  l->epoch = epoch;
  memcpy(l->slot_document, l->packing.slot_document,
         (size_t)l->packing.n_slots * sizeof *l->slot_document);
  for (int64_t r = 0; r < l->packing.n_rows; r++) l->row_order[r] = r;
  if (!l->o.shuffle) return;
  if (l->o.packing) shuffle_equal_lengths(l);
  shuffle(l, l->row_order, l->packing.n_rows, 0, SHUFFLE_ROWS);
}

/* ---- making one ---- */

static lb_status check_options(const lb__corpus *corpus, const lb__loader_options *o,
                               lb_error *err) {
  const struct {
    const char *name;
    int64_t value;
  } sizes[] = {{"max_length", o->max_length},
               {"per_device_train_batch_size", o->per_device_train_batch_size},
               {"gradient_accumulation_steps", o->gradient_accumulation_steps}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    if (sizes[i].value < 1 || sizes[i].value > INT32_MAX)
      return lb__fail(err, LB_E_ARG, "%s: want a number from 1 to %d, found %lld", sizes[i].name,
                      INT32_MAX, (long long)sizes[i].value);
  for (int64_t i = 0; o->packing && i < lb__corpus_n_documents(corpus); i++)
    if (lb__corpus_document(corpus, i).n > o->max_length)
      return lb__fail(
          err, LB_E_ARG, "document %lld has %lld tokens, a packed row takes max_length = %lld",
          (long long)i, (long long)lb__corpus_document(corpus, i).n, (long long)o->max_length);
  return LB_OK;
}

static lb_status list_documents(lb__loader *l, lb_error *err) {
  int64_t n = lb__corpus_n_documents(l->corpus);
  l->documents = lb__alloc_array((size_t)n, sizeof *l->documents);
  if (l->documents == NULL) return lb__fail_nomem(err, "order of documents");
  for (int64_t i = 0; i < n; i++)
    if (lb__corpus_document(l->corpus, i).n_trained > 0) l->documents[l->n_documents++] = i;
  if (l->n_documents > 0) return LB_OK;
  return lb__fail(err, LB_E_ARG, "no document has a trained token");
}

static lb_status pack_documents(lb__loader *l, lb_error *err) {
  if (!l->o.packing) return lb__pack_nothing(&l->packing, l->n_documents, err);
  int64_t *lengths = lb__alloc_array((size_t)l->n_documents, sizeof *lengths), longest = 0;
  if (lengths == NULL) return lb__fail_nomem(err, "packing");
  for (int64_t i = 0; i < l->n_documents; i++) {
    lengths[i] = length_of(l, i);
    if (lengths[i] > longest) longest = lengths[i];
  }
  /* A huge max_length needs no more room than all documents together. */
  int64_t room = l->o.max_length;
  if (room / l->n_documents > longest) room = longest * l->n_documents;
  lb_status st = lb__pack(&l->packing, lengths, l->n_documents, room, err);
  lb__free(lengths);
  return st;
}

static int64_t at_most(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static void measure_rows(lb__loader *l) {
  for (int64_t r = 0; r < l->packing.n_rows; r++) {
    int64_t begin = l->packing.row_start[r], end = l->packing.row_start[r + 1], tokens = 0;
    for (int64_t i = begin; i < end; i++)
      tokens += length_of(l, l->packing.slot_document[l->packing.row_slots[i]]);
    if (tokens > l->longest_row) l->longest_row = tokens;
    if (end - begin > l->most_documents) l->most_documents = end - begin;
  }
}

/* Every buffer holds the largest optimizer batch, so that a step allocates nothing. */
static lb_status make_buffers(lb__loader *l, lb_error *err) {
  int64_t n_micro = at_most(l->o.gradient_accumulation_steps, lb__loader_micro_per_epoch(l));
  size_t rows, tokens, starts;
  bool fits = lb__ck_mul(&rows, (size_t)n_micro, (size_t)l->o.per_device_train_batch_size);
  if (fits && rows > (size_t)l->packing.n_rows) rows = (size_t)l->packing.n_rows;
  fits = fits && lb__ck_mul(&tokens, rows, (size_t)l->longest_row) &&
         lb__ck_mul(&starts, rows, (size_t)l->most_documents) &&
         lb__ck_add(&starts, starts, (size_t)n_micro);
  if (!fits) return lb__fail(err, LB_E_ARG, "an optimizer batch of this size fits no memory");
  l->slot_document = lb__alloc_array((size_t)l->packing.n_slots, sizeof *l->slot_document);
  l->row_order = lb__alloc_array((size_t)l->packing.n_rows, sizeof *l->row_order);
  l->micro = lb__new_array((size_t)n_micro, sizeof *l->micro);
  l->ids = lb__alloc_array(tokens, sizeof *l->ids);
  l->positions = lb__alloc_array(tokens, sizeof *l->positions);
  l->targets = lb__alloc_array(tokens, sizeof *l->targets);
  l->doc_start = lb__alloc_array(starts, sizeof *l->doc_start);
  bool ok = l->slot_document != NULL && l->row_order != NULL && l->micro != NULL &&
            l->ids != NULL && l->positions != NULL && l->targets != NULL && l->doc_start != NULL;
  return ok ? LB_OK : lb__fail_nomem(err, "batches");
}

lb_status lb__loader_new(lb__loader **out, const lb__corpus *corpus,
                         const lb__loader_options *options, lb_error *err) {
  *out = NULL;
  lb_status st = check_options(corpus, options, err);
  if (st != LB_OK) return st;
  lb__loader *l = lb__new(sizeof *l);
  if (l == NULL) return lb__fail_nomem(err, "loader");
  l->corpus = corpus;
  l->o = *options;
  l->epoch = -1;
  st = list_documents(l, err);
  if (st == LB_OK) st = pack_documents(l, err);
  if (st == LB_OK) {
    measure_rows(l);
    st = make_buffers(l, err);
  }
  if (st != LB_OK) {
    lb__loader_free(l);
    return st;
  }
  *out = l;
  return LB_OK;
}

void lb__loader_free(lb__loader *l) {
  if (l == NULL) return;
  lb__packing_deinit(&l->packing);
  lb__free(l->documents);
  lb__free(l->slot_document);
  lb__free(l->row_order);
  lb__free(l->micro);
  lb__free(l->ids);
  lb__free(l->positions);
  lb__free(l->targets);
  lb__free(l->doc_start);
  lb__free(l);
}

/* ---- batches ---- */

/* How much of the buffers is used. */
typedef struct used {
  int64_t tokens, starts;
} used;

static void add_document(lb__loader *l, lb__micro_batch *m, used *u, int64_t document) {
  const lb__document_view d = lb__corpus_document(l->corpus, l->documents[document]);
  memcpy(l->ids + u->tokens, d.ids, (size_t)d.n * sizeof *d.ids);
  memcpy(l->targets + u->tokens, d.targets, (size_t)d.n * sizeof *d.targets);
  for (int64_t i = 0; i < d.n; i++) l->positions[u->tokens + i] = (int32_t)i;
  u->tokens += d.n;
  m->n_tokens += d.n;
  m->n_trained += d.n_trained;
  l->doc_start[u->starts++] = (int32_t)m->n_tokens;
  m->n_docs++;
}

static void fill_micro(lb__loader *l, lb__micro_batch *m, used *u, int64_t index) {
  *m = (lb__micro_batch){.ids = l->ids + u->tokens,
                         .positions = l->positions + u->tokens,
                         .targets = l->targets + u->tokens,
                         .doc_start = l->doc_start + u->starts};
  l->doc_start[u->starts++] = 0;
  int64_t begin = index * l->o.per_device_train_batch_size;
  int64_t end = at_most(begin + l->o.per_device_train_batch_size, l->packing.n_rows);
  for (int64_t r = begin; r < end; r++) {
    const int64_t *starts = l->packing.row_start + l->row_order[r];
    for (int64_t i = starts[0]; i < starts[1]; i++)
      add_document(l, m, u, l->slot_document[l->packing.row_slots[i]]);
  }
}

lb_status lb__loader_next(lb__loader *l, lb__optimizer_batch *out, lb_error *err) {
  (void)err; /* everything that can fail did so in lb__loader_new */
  used u = {0};
  int64_t per_epoch = lb__loader_micro_per_epoch(l), first = l->cursor.micro;
  order_epoch(l, l->cursor.epoch);
  *out = (lb__optimizer_batch){.micro = l->micro, .epoch = l->cursor.epoch};
  out->n_micro = at_most(l->o.gradient_accumulation_steps, per_epoch - first);
  for (int64_t i = 0; i < out->n_micro; i++) {
    fill_micro(l, &l->micro[i], &u, first + i);
    out->n_tokens += l->micro[i].n_tokens;
    out->n_trained += l->micro[i].n_trained;
  }
  l->cursor.micro += out->n_micro;
  l->cursor.step++;
  out->ends_epoch = l->cursor.micro == per_epoch;
  if (out->ends_epoch) {
    l->cursor.epoch++;
    l->cursor.micro = 0;
  }
  return LB_OK;
}

/* ---- counts ---- */

static int64_t ceil_div(int64_t a, int64_t b) {
  return a / b + (a % b != 0);
}

int64_t lb__loader_micro_per_epoch(const lb__loader *l) {
  return ceil_div(l->packing.n_rows, l->o.per_device_train_batch_size);
}

int64_t lb__loader_steps_per_epoch(const lb__loader *l) {
  return ceil_div(lb__loader_micro_per_epoch(l), l->o.gradient_accumulation_steps);
}

int64_t lb__loader_most_tokens(const lb__loader *l) {
  return at_most(l->o.per_device_train_batch_size, l->packing.n_rows) * l->longest_row;
}

/* ---- the cursor ---- */

lb__cursor lb__loader_cursor(const lb__loader *l) {
  return l->cursor;
}

lb_status lb__loader_seek(lb__loader *l, lb__cursor cursor, lb_error *err) {
  int64_t per_epoch = lb__loader_micro_per_epoch(l);
  if (cursor.epoch < 0 || cursor.step < 0 || cursor.micro < 0 || cursor.micro >= per_epoch)
    return lb__fail(err, LB_E_ARG,
                    "cursor (epoch %lld, micro-batch %lld, step %lld) does not fit: an epoch of "
                    "this data has %lld micro-batches; is it the same data and batch size?",
                    (long long)cursor.epoch, (long long)cursor.micro, (long long)cursor.step,
                    (long long)per_epoch);
  l->cursor = cursor;
  return LB_OK;
}

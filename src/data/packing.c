/* packing.c - see packing.h. */
#include "packing.h"

#include "base/fail.h"
#include "base/memory.h"

static int64_t *new_list(int64_t n) {
  return lb__new_array((size_t)n, sizeof(int64_t));
}

/* ---- slots: a counting sort by length, longest first ---- */

static lb_status sort_slots(int64_t *slots, const int64_t *lengths, int64_t n, int64_t max_length,
                            lb_error *err) {
  int64_t *next = new_list(max_length + 2); /* where the next document of a length goes */
  if (next == NULL) return lb__fail_nomem(err, "packing");
  for (int64_t i = 0; i < n; i++) next[max_length - lengths[i] + 1]++;
  for (int64_t k = 0; k < max_length; k++) next[k + 1] += next[k];
  for (int64_t i = 0; i < n; i++) slots[next[max_length - lengths[i]]++] = i;
  lb__free(next);
  return LB_OK;
}

/* ---- rooms: which rows have how many tokens of room left ---- */

/* Rows of one room are a stack; a tree over the rooms tells the least one that is large enough. */
typedef struct rooms {
  int64_t n_leaves; /* a power of two above max_length */
  bool *tree;       /* [2 * n_leaves]: is there a row in this part? leaf r is at n_leaves + r */
  int64_t *top;     /* [n_leaves] the last row with this room, or -1 */
  int64_t *below;   /* [n] the next row of the same stack, or -1 */
} rooms;

static void rooms_deinit(rooms *r) {
  lb__free(r->tree);
  lb__free(r->top);
  lb__free(r->below);
}

static lb_status rooms_init(rooms *r, int64_t n, int64_t max_length, lb_error *err) {
  *r = (rooms){.n_leaves = 1};
  while (r->n_leaves <= max_length) r->n_leaves *= 2;
  r->tree = lb__new_array((size_t)r->n_leaves * 2, sizeof *r->tree);
  r->top = new_list(r->n_leaves);
  r->below = new_list(n);
  if (r->tree == NULL || r->top == NULL || r->below == NULL) {
    rooms_deinit(r);
    return lb__fail_nomem(err, "packing");
  }
  for (int64_t i = 0; i < r->n_leaves; i++) r->top[i] = -1;
  return LB_OK;
}

static void push(rooms *r, int64_t room, int64_t row) {
  r->below[row] = r->top[room];
  r->top[room] = row;
  for (int64_t k = r->n_leaves + room; k > 0 && !r->tree[k]; k /= 2) r->tree[k] = true;
}

static int64_t pop(rooms *r, int64_t room) {
  int64_t row = r->top[room];
  r->top[room] = r->below[row];
  if (r->top[room] >= 0) return row;
  int64_t k = r->n_leaves + room;
  r->tree[k] = false;
  for (k /= 2; k > 0 && !r->tree[2 * k] && !r->tree[2 * k + 1]; k /= 2) r->tree[k] = false;
  return row;
}

/* The least room of at least `wanted`, or -1. */
static int64_t least_room(const rooms *r, int64_t wanted) {
  int64_t k = r->n_leaves + wanted;
  while (!r->tree[k]) {
    while (k % 2 == 1) k /= 2; /* a right child: nothing to its right in this part */
    if (k == 0) return -1;
    k++;
  }
  while (k < r->n_leaves) k = r->tree[2 * k] ? 2 * k : 2 * k + 1;
  return k - r->n_leaves;
}

/* ---- rows ---- */

/* row_of_slot[n]; returns the number of rows. */
static int64_t fill_rows(int64_t *row_of_slot, rooms *r, const int64_t *slots,
                         const int64_t *lengths, int64_t n, int64_t max_length) {
  int64_t n_rows = 0;
  for (int64_t s = 0; s < n; s++) {
    int64_t length = lengths[slots[s]], room = least_room(r, length);
    int64_t row = room >= 0 ? pop(r, room) : n_rows++;
    if (room < 0) room = max_length;
    row_of_slot[s] = row;
    push(r, room - length, row);
  }
  return n_rows;
}

/* Numbers the rows by their lowest document, so that unshuffled rows follow the data's order. */
static lb_status number_rows(int64_t *row_of_slot, const int64_t *slots, int64_t n, int64_t n_rows,
                             lb_error *err) {
  int64_t *slot_of = new_list(n), *number = new_list(n_rows), next = 0;
  lb_status st = LB_OK;
  if (slot_of == NULL || number == NULL) {
    st = lb__fail_nomem(err, "packing");
  } else {
    for (int64_t s = 0; s < n; s++) slot_of[slots[s]] = s;
    for (int64_t i = 0; i < n; i++) {
      int64_t row = row_of_slot[slot_of[i]];
      if (number[row] == 0) number[row] = ++next;
    }
    for (int64_t s = 0; s < n; s++) row_of_slot[s] = number[row_of_slot[s]] - 1;
  }
  lb__free(slot_of);
  lb__free(number);
  return st;
}

static lb_status list_rows(lb__packing *p, const int64_t *row_of_slot, lb_error *err) {
  p->row_start = new_list(p->n_rows + 2);
  p->row_slots = new_list(p->n_slots);
  if (p->row_start == NULL || p->row_slots == NULL) return lb__fail_nomem(err, "packing");
  int64_t *next = p->row_start + 1; /* becomes the ends, which are the next row's starts */
  for (int64_t s = 0; s < p->n_slots; s++) next[row_of_slot[s] + 1]++;
  for (int64_t r = 0; r < p->n_rows; r++) next[r + 1] += next[r];
  for (int64_t s = 0; s < p->n_slots; s++) p->row_slots[next[row_of_slot[s]]++] = s;
  return LB_OK;
}

static lb_status pack_slots(lb__packing *p, int64_t *row_of_slot, const int64_t *lengths,
                            int64_t max_length, lb_error *err) {
  rooms r;
  lb_status st = sort_slots(p->slot_document, lengths, p->n_slots, max_length, err);
  if (st == LB_OK) st = rooms_init(&r, p->n_slots, max_length, err);
  if (st != LB_OK) return st;
  p->n_rows = fill_rows(row_of_slot, &r, p->slot_document, lengths, p->n_slots, max_length);
  rooms_deinit(&r);
  st = number_rows(row_of_slot, p->slot_document, p->n_slots, p->n_rows, err);
  return st == LB_OK ? list_rows(p, row_of_slot, err) : st;
}

lb_status lb__pack(lb__packing *out, const int64_t *lengths, int64_t n, int64_t max_length,
                   lb_error *err) {
  *out = (lb__packing){.n_slots = n};
  out->slot_document = new_list(n);
  int64_t *row_of_slot = new_list(n);
  lb_status st = out->slot_document == NULL || row_of_slot == NULL
                     ? lb__fail_nomem(err, "packing")
                     : pack_slots(out, row_of_slot, lengths, max_length, err);
  lb__free(row_of_slot);
  if (st != LB_OK) lb__packing_deinit(out);
  return st;
}

lb_status lb__pack_nothing(lb__packing *out, int64_t n, lb_error *err) {
  *out = (lb__packing){.n_slots = n, .n_rows = n};
  out->slot_document = new_list(n);
  out->row_start = new_list(n + 1);
  out->row_slots = new_list(n);
  if (out->slot_document == NULL || out->row_start == NULL || out->row_slots == NULL) {
    lb__packing_deinit(out);
    return lb__fail_nomem(err, "packing");
  }
  for (int64_t i = 0; i < n; i++) out->slot_document[i] = out->row_slots[i] = i;
  for (int64_t i = 0; i <= n; i++) out->row_start[i] = i;
  return LB_OK;
}

void lb__packing_deinit(lb__packing *p) {
  lb__free(p->slot_document);
  lb__free(p->row_start);
  lb__free(p->row_slots);
  *p = (lb__packing){0};
}

/* packing.h - best-fit decreasing: documents into rows of a fixed number of tokens, the longest
 * first, each into the row with the least room that still takes it (Johnson 1974: at most 11/9 of
 * the best possible number of rows; TRL's "bfd"). No document is cut. */
#ifndef LB_DATA_PACKING_H
#define LB_DATA_PACKING_H

#include <limbeck/status.h>

/* Rows hold slots; a slot holds one document. Slots are sorted by length, longest first, equal
 * lengths by index: documents of one length may trade places without changing any row's shape. */
typedef struct lb__packing {
  int64_t n_slots, n_rows;
  int64_t *slot_document; /* [n_slots] before any shuffle */
  int64_t *row_start;     /* [n_rows + 1] into row_slots; rows by their first document's index */
  int64_t *row_slots;     /* [n_slots] */
} lb__packing;

/* O(n log max_length) time.
 * @param lengths  [n], each in 1..max_length   @owns *out: lb__packing_deinit
 * @error LB_E_NOMEM   @test tests/unit/test_loader.c */
lb_status lb__pack(lb__packing *out, const int64_t *lengths, int64_t n, int64_t max_length,
                   lb_error *err);
/* One document a row, in order: what no packing is. */
lb_status lb__pack_nothing(lb__packing *out, int64_t n, lb_error *err);
void lb__packing_deinit(lb__packing *p);

#endif

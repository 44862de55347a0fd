/* dataset.h - what users have on disk, row by row: JSON Lines, JSON lists, plain text, each also
 * .gz or .zst, and folders of them.
 *
 *   .jsonl, .ndjson  a row is a line; blank lines are nothing
 *   .json            a list of rows, or rows one after another, over as many lines as they like
 *   .txt, .text, .md running text: rows of about 1 MiB, cut at the end of a line where there is
 * one; no byte is lost
 *
 * Owns: finding files, unpacking, cutting into rows. Files are streamed: memory is one batch.
 * Refuses: knowing what a row means (example.h). */
#ifndef LB_DATA_DATASET_H
#define LB_DATA_DATASET_H

#include "base/memory.h"

#define LB__ROW_MAX_SIZE ((size_t)64 << 20) /* a longer line is a bad one */

typedef enum lb__row_kind {
  LB__ROW_JSON,
  LB__ROW_TEXT,     /* a part of a text file */
  LB__ROW_TEXT_END, /* its last part */
  LB__ROW_BAD       /* cannot be read; `problem` says why */
} lb__row_kind;

typedef struct lb__row {
  lb__row_kind kind;
  size_t begin, size; /* in the batch's bytes */
  int64_t line;       /* where it begins, from 1 */
  const char *problem;
} lb__row;

/* Some rows of one file. */
typedef struct lb__row_batch {
  lb__buf bytes;
  lb__row *rows;
  size_t n, capacity;
  const char *path; /* of the file; borrowed from the dataset */
  bool ends_file;
} lb__row_batch;
void lb__row_batch_init(lb__row_batch *b);
void lb__row_batch_deinit(lb__row_batch *b);

typedef struct lb__dataset lb__dataset;
/* Finds all files (of a folder: those with an ending from above, sorted by name) and opens each
 * once, so that a missing one is known before the work.
 * @owns *out: lb__dataset_close
 * @error LB_E_IO, LB_E_UNSUPPORTED (another ending), LB_E_ARG (a folder without such a file),
 *        LB_E_NOMEM   @test tests/unit/test_dataset.c */
lb_status lb__dataset_open(lb__dataset **out, const char *const *paths, size_t n_paths,
                           lb_error *err);
/* Replaces what is in *batch. batch->path is NULL after the last file; n may be 0 at a file's end.
 * @error LB_E_IO, LB_E_FORMAT (damaged compressed data), LB_E_NOMEM */
lb_status lb__dataset_next(lb__dataset *d, lb__row_batch *batch, lb_error *err);
uint64_t lb__dataset_bytes_total(const lb__dataset *d); /* as on disk */
uint64_t lb__dataset_bytes_done(const lb__dataset *d);
void lb__dataset_close(lb__dataset *d); /* accepts NULL */

#endif

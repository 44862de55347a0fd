/* row_cutter.h - one file, cut into rows (dataset.h). Nobody but dataset.c includes it. */
#ifndef LB_DATA_ROW_CUTTER_H
#define LB_DATA_ROW_CUTTER_H

#include "dataset.h"
#include "unpacker.h"

typedef enum lb__cut_kind { LB__CUT_LINES, LB__CUT_VALUES, LB__CUT_TEXT } lb__cut_kind;

typedef struct lb__row_cutter {
  lb__unpacker *file; /* NULL: not open */
  lb__cut_kind kind;
  char *window; /* unpacked bytes that wait: [at, n) */
  size_t at, n;
  bool at_end; /* no more will come into the window */
  int64_t line;
  /* the row being collected, at the end of the batch's bytes; it may span windows */
  bool is_open, is_too_long;
  size_t row_begin;
  int64_t row_line;
  /* LB__CUT_VALUES: where in the JSON we are */
  bool began, in_list, list_ended, told_of_rest, in_string, after_backslash;
  int64_t depth;
} lb__row_cutter;

lb_status lb__row_cutter_open(lb__row_cutter *c, const char *path, lb__cut_kind kind,
                              lb_error *err);
bool lb__row_cutter_is_open(const lb__row_cutter *c);
/* Adds rows to an empty batch until it is large enough or the file ends. */
lb_status lb__row_cutter_fill(lb__row_cutter *c, lb__row_batch *batch, lb_error *err);
uint64_t lb__row_cutter_offset(const lb__row_cutter *c);
void lb__row_cutter_close(lb__row_cutter *c); /* accepts a zeroed one */

#endif

/* terminal.h - what people see: tables that line up, sizes they can read, a progress bar, and
 * model text that cannot steer the terminal. */
#ifndef TERMINAL_H
#define TERMINAL_H

#include "cli.h"

/* Prints text that somebody else wrote (a model, a file). On a terminal, characters that steer it
 * are replaced; into a pipe or a file everything goes as it is. */
void terminal_print_text(FILE *file, bool is_terminal, const char *bytes, size_t size);

/* "\033[1m" and "\033[0m" when colours are wanted and file is a terminal, else "". */
const char *terminal_bold(const cli *c, FILE *file);
const char *terminal_plain(const cli *c, FILE *file);

/* "134.5 M", "1.24 B" */
void format_count(text *out, int64_t n);
/* "144.8 MB", decimal as on hubs and disks */
void format_bytes(text *out, uint64_t n);
/* Cells a string takes on a terminal: wide characters take two, combining ones none. */
size_t display_width(const char *string);

/* ---- a table: rows of cells; columns of numbers are set right ---- */

enum { TABLE_COLUMNS_MAX = 10 };
typedef struct table {
  const char *header[TABLE_COLUMNS_MAX]; /* all NULL: no header line */
  const char *align;                     /* one letter per column: "lrr" */
  char **cells;
  bool *stands_out; /* [n_cells] shown in bold where there is bold */
  size_t n_cells, capacity;
} table;
/* Adds the next cell, left to right, top to bottom. The text is made harmless. */
void table_add(table *t, const char *format, ...) LB_PRINTF(2, 3);
void table_emphasize(table *t);                          /* the cell added last */
void table_add_number(table *t, int decimals, double x); /* "-" for NaN */
void table_print(const table *t, const cli *c, FILE *file);
void table_free(table *t);

/* ---- progress: one line on stderr, only when that is a terminal ---- */

typedef struct progress {
  const cli *c;
  const char *title;
  int last_permille;
} progress;
void progress_show(progress *p, size_t done, size_t total, const char *what);
void progress_end(progress *p);

#endif

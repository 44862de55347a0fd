/* tiles.h - how a matrix product is cut among threads: the result into tiles, by its shape only, so
 * that sums do not depend on the number of threads. */
#ifndef LB_KERNELS_TILES_H
#define LB_KERNELS_TILES_H

#include <stdint.h>

/* Large enough that oneDNN's packing of both factors does not show, and halved while there are too
 * few for several threads (measured: src/kernels/README.md). Multiples of its register tile. */
enum { LB__TILE_ROWS = 256, LB__TILE_COLUMNS = 768, LB__TILE_LEAST = 96, LB__TILES_WISHED = 8 };

typedef struct lb__tiles {
  int64_t rows, columns, row_step, column_step, n_across, n; /* tile i: row i / n_across */
} lb__tiles;

static inline void lb__count_tiles(lb__tiles *t) {
  t->n_across = (t->columns + t->column_step - 1) / t->column_step;
  t->n = t->n_across * ((t->rows + t->row_step - 1) / t->row_step);
}

/* At least two, unless there is one element: alone, oneDNN would take all threads, and its sums
 * could depend on their number. */
static inline lb__tiles lb__cut_tiles(int64_t rows, int64_t columns) {
  lb__tiles t = {
      .rows = rows, .columns = columns, .row_step = LB__TILE_ROWS, .column_step = LB__TILE_COLUMNS};
  lb__count_tiles(&t);
  if (t.n == 0) return t;
  while (t.n < LB__TILES_WISHED &&
         (t.row_step > LB__TILE_LEAST || t.column_step > LB__TILE_LEAST)) {
    if (t.row_step > t.column_step)
      t.row_step /= 2;
    else
      t.column_step /= 2;
    lb__count_tiles(&t);
  }
  if (t.n > 1) return t;
  t.row_step = rows > 1 ? (rows + 1) / 2 : 1;
  t.column_step = rows > 1 || columns < 2 ? columns : (columns + 1) / 2;
  lb__count_tiles(&t);
  return t;
}

#endif

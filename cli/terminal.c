/* terminal.c - see terminal.h. */
#define _GNU_SOURCE /* vasprintf, wcwidth */
#include "terminal.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

void terminal_print_text(FILE *file, bool is_terminal, const char *bytes, size_t size) {
  if (!is_terminal) {
    fwrite(bytes, 1, size, file);
    return;
  }
  for (size_t at = 0; at < size;) {
    int32_t c;
    size_t n = text_character(&c, bytes + at, size - at);
    if (c < 0 || text_is_control(c))
      fputs("\xef\xbf\xbd", file); /* U+FFFD */
    else
      fwrite(bytes + at, 1, n, file);
    at += n;
  }
}

static const char *style(const cli *c, FILE *file, const char *code) {
  bool is_terminal = file == stderr ? c->err_is_terminal : c->out_is_terminal;
  return is_terminal && !c->global.no_color ? code : "";
}

const char *terminal_bold(const cli *c, FILE *file) {
  return style(c, file, "\033[1m");
}
const char *terminal_plain(const cli *c, FILE *file) {
  return style(c, file, "\033[0m");
}

static void format_units(text *out, double x, const char *const *units, size_t n_units) {
  size_t k = 0;
  for (; k + 1 < n_units && x >= 999.5; k++) x /= 1000;
  text_putf(out, k == 0 ? "%.0f%s" : x < 10 ? "%.2f%s" : "%.1f%s", x, units[k]);
}

void format_count(text *out, int64_t n) {
  static const char *const units[] = {"", " k", " M", " B", " T"};
  format_units(out, (double)n, units, 5);
}

void format_bytes(text *out, uint64_t n) {
  static const char *const units[] = {" B", " kB", " MB", " GB", " TB"};
  format_units(out, (double)n, units, 5);
}

size_t display_width(const char *string) {
  size_t width = 0, size = strlen(string);
  for (size_t at = 0; at < size;) {
    int32_t c;
    at += text_character(&c, string + at, size - at);
    int w = c < 0 ? 1 : wcwidth((wchar_t)c);
    width += w < 0 ? 1 : (size_t)w;
  }
  return width;
}

/* ---- table ---- */

void table_add(table *t, const char *format, ...) {
  va_list args;
  va_start(args, format);
  char *raw = NULL;
  int length = vasprintf(&raw, format, args);
  va_end(args);
  text cell = {0};
  text_put(&cell, "");
  if (length > 0) text_put_visible(&cell, raw, (size_t)length);
  if (length >= 0) free(raw);
  if (t->n_cells == t->capacity) {
    t->capacity = t->capacity == 0 ? 64 : t->capacity * 2;
    t->cells = cli_resize(t->cells, t->capacity * sizeof *t->cells);
    t->stands_out = cli_resize(t->stands_out, t->capacity * sizeof *t->stands_out);
  }
  t->stands_out[t->n_cells] = false;
  t->cells[t->n_cells++] = cell.data;
}

void table_emphasize(table *t) {
  t->stands_out[t->n_cells - 1] = true;
}

void table_add_number(table *t, int decimals, double x) {
  if (isnan(x))
    table_add(t, "-");
  else
    table_add(t, "%.*f", decimals, x);
}

typedef struct emphasis {
  const char *before, *after; /* "" for none */
} emphasis;

/* A line is gathered first, so that it never ends in blanks. */
static void put_cell(text *line, const char *cell, size_t width, char align, emphasis e) {
  size_t own = display_width(cell);
  int space = width > own ? (int)(width - own) : 0;
  if (line->size > 0) text_put(line, "  ");
  if (align == 'r')
    text_putf(line, "%*s%s%s%s", space, "", e.before, cell, e.after);
  else
    text_putf(line, "%s%s%s%*s", e.before, cell, e.after, space, "");
}

static void print_line(text *line, const char *before, const char *after, FILE *file) {
  while (line->size > 0 && line->data[line->size - 1] == ' ') line->size--;
  fprintf(file, "%s%.*s%s\n", before, (int)line->size, text_get(line), after);
  text_clear(line);
}

static void measure_columns(const table *t, size_t columns, size_t *width) {
  for (size_t k = 0; k < columns && t->header[0] != NULL; k++)
    width[k] = display_width(t->header[k]);
  for (size_t i = 0; i < t->n_cells; i++) {
    size_t w = display_width(t->cells[i]);
    if (w > width[i % columns]) width[i % columns] = w;
  }
}

void table_print(const table *t, const cli *c, FILE *file) {
  size_t columns = strlen(t->align), width[TABLE_COLUMNS_MAX] = {0};
  text line = {0};
  const emphasis none = {"", ""}, bold = {terminal_bold(c, file), terminal_plain(c, file)};
  measure_columns(t, columns, width);
  if (t->header[0] != NULL) {
    for (size_t k = 0; k < columns; k++) put_cell(&line, t->header[k], width[k], t->align[k], none);
    print_line(&line, bold.before, bold.after, file);
  }
  for (size_t i = 0; i < t->n_cells; i++) {
    size_t k = i % columns;
    put_cell(&line, t->cells[i], width[k], t->align[k], t->stands_out[i] ? bold : none);
    if (k + 1 == columns) print_line(&line, "", "", file);
  }
  text_free(&line);
}

void table_free(table *t) {
  for (size_t i = 0; i < t->n_cells; i++) free(t->cells[i]);
  free(t->cells);
  free(t->stands_out);
  t->cells = NULL;
  t->stands_out = NULL;
  t->n_cells = t->capacity = 0;
}

/* ---- progress ---- */

void progress_show(progress *p, size_t done, size_t total, const char *what) {
  enum { BAR = 24 };
  if (!p->c->err_is_terminal || p->c->global.quiet || total == 0) return;
  int permille = (int)((double)done / (double)total * 1000);
  if (permille == p->last_permille && done != total) return;
  p->last_permille = permille;
  char bar[BAR + 1];
  for (int i = 0; i < BAR; i++) bar[i] = i * 1000 < permille * BAR ? '#' : '.';
  bar[BAR] = '\0';
  text name = {0};
  text_put_visible(&name, what, strlen(what));
  fprintf(stderr, "\r%s [%s] %zu/%zu %.36s\033[K", p->title, bar, done, total, text_get(&name));
  fflush(stderr);
  text_free(&name);
}

void progress_end(progress *p) {
  if (p->c->err_is_terminal && p->last_permille > 0) fputs("\r\033[K", stderr);
  p->last_permille = 0;
}

/* row_cutter.c - see row_cutter.h. Bytes come through a window of fixed size; a row is collected in
 * the batch, window by window, so that only its own length bounds memory. */
#include "row_cutter.h"

#include "base/fail.h"
#include "base/utf8.h"

enum {
  WINDOW_SIZE = 1 << 18,
  TEXT_ROW_SIZE = 1 << 20, /* of running text; large against a document, small against memory */
  BATCH_ROWS = 2048,
  BATCH_BYTES = 4 << 20
};

/* ---- the window ---- */

lb_status lb__row_cutter_open(lb__row_cutter *c, const char *path, lb__cut_kind kind,
                              lb_error *err) {
  *c = (lb__row_cutter){.kind = kind, .line = 1};
  lb_status st = lb__unpacker_open(&c->file, path, err);
  if (st != LB_OK) return st;
  c->window = lb__alloc(WINDOW_SIZE);
  if (c->window != NULL) return LB_OK;
  lb__row_cutter_close(c);
  return lb__fail_nomem(err, path);
}

bool lb__row_cutter_is_open(const lb__row_cutter *c) {
  return c->file != NULL;
}

uint64_t lb__row_cutter_offset(const lb__row_cutter *c) {
  return c->file != NULL ? lb__unpacker_offset(c->file) : 0;
}

void lb__row_cutter_close(lb__row_cutter *c) {
  lb__unpacker_close(c->file);
  lb__free(c->window);
  *c = (lb__row_cutter){0};
}

/* Keeps what waits and fills the rest of the window. */
static lb_status refill(lb__row_cutter *c, lb_error *err) {
  bool is_start = c->line == 1 && c->n == 0;
  memmove(c->window, c->window + c->at, c->n - c->at);
  c->n -= c->at;
  c->at = 0;
  while (!c->at_end && c->n < WINDOW_SIZE) {
    size_t got;
    lb_status st = lb__unpacker_read(c->file, c->window + c->n, WINDOW_SIZE - c->n, &got, err);
    if (st != LB_OK) return st;
    c->n += got;
    c->at_end = got == 0;
  }
  /* Windows programs begin UTF-8 with a byte order mark. */
  if (is_start && c->n >= 3 && memcmp(c->window, "\xEF\xBB\xBF", 3) == 0) c->at = 3;
  return LB_OK;
}

/* ---- the row being collected ---- */

static void begin_row(lb__row_cutter *c, const lb__row_batch *b) {
  c->is_open = true;
  c->is_too_long = false;
  c->row_begin = b->bytes.size;
  c->row_line = c->line;
}

/* Moves n bytes of the window into the row. */
static lb_status take(lb__row_cutter *c, lb__row_batch *b, size_t n, lb_error *err) {
  const char *from = c->window + c->at;
  c->at += n;
  if (b->bytes.size - c->row_begin + n > LB__ROW_MAX_SIZE) c->is_too_long = true;
  if (!c->is_too_long && !lb__buf_add(&b->bytes, from, n)) return lb__fail_nomem(err, b->path);
  for (const char *p = from; (p = memchr(p, '\n', (size_t)(from + n - p))) != NULL; p++) c->line++;
  return LB_OK;
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static lb_status end_row(lb__row_cutter *c, lb__row_batch *b, lb__row_kind kind,
                         const char *problem, lb_error *err) {
  lb__row row = {kind, c->row_begin, b->bytes.size - c->row_begin, c->row_line, problem};
  c->is_open = false;
  if (c->is_too_long) {
    row.kind = LB__ROW_BAD;
    row.problem = "longer than 64 MiB";
  }
  if (row.kind == LB__ROW_BAD) {
    b->bytes.size = c->row_begin;
    row.size = 0;
  }
  if (row.kind == LB__ROW_JSON) { /* JSON knows no other blanks */
    const char *text = lb__buf_text(&b->bytes);
    while (row.size > 0 && is_blank(text[row.begin + row.size - 1])) row.size--;
    while (row.size > 0 && is_blank(text[row.begin])) row.begin++, row.size--;
    if (row.size == 0) return LB_OK;
  }
  if (!lb__grow(&b->rows, &b->capacity, b->n + 1, sizeof *b->rows))
    return lb__fail_nomem(err, b->path);
  b->rows[b->n++] = row;
  return LB_OK;
}

/* A row outside of the text: something is wrong with the file here. */
static lb_status add_problem(lb__row_cutter *c, lb__row_batch *b, const char *problem,
                             lb_error *err) {
  if (!c->is_open) begin_row(c, b);
  return end_row(c, b, LB__ROW_BAD, problem, err);
}

/* ---- lines ---- */

static lb_status cut_line(lb__row_cutter *c, lb__row_batch *b, lb_error *err) {
  if (!c->is_open) begin_row(c, b);
  const char *newline = memchr(c->window + c->at, '\n', c->n - c->at);
  size_t n = newline != NULL ? (size_t)(newline + 1 - (c->window + c->at)) : c->n - c->at;
  lb_status st = take(c, b, n, err);
  if (st == LB_OK && newline != NULL) st = end_row(c, b, LB__ROW_JSON, NULL, err);
  return st;
}

/* ---- JSON values ---- */

/* Said once; the rest of the file is passed over. */
static lb_status pass_over_rest(lb__row_cutter *c, lb__row_batch *b, lb_error *err) {
  c->at = c->n;
  if (c->told_of_rest) return LB_OK;
  c->told_of_rest = true;
  return add_problem(c, b, "there is more after the end of the list", err);
}

/* Between two values. */
static lb_status skip_between(lb__row_cutter *c, lb__row_batch *b, lb_error *err) {
  char byte = c->window[c->at];
  if (is_blank(byte) || (byte == ',' && c->in_list)) {
    c->line += byte == '\n';
    c->at++;
  } else if (c->list_ended) {
    return pass_over_rest(c, b, err);
  } else if (byte == '[' && !c->began) {
    c->began = c->in_list = true;
    c->at++;
  } else if (byte == ']' && c->in_list) {
    c->in_list = false;
    c->list_ended = true;
    c->at++;
  } else {
    c->began = true;
    c->depth = 0;
    c->in_string = c->after_backslash = false;
    begin_row(c, b);
  }
  return LB_OK;
}

/* True when the value ends with (`*with` true) or before this byte. */
static bool value_ends(lb__row_cutter *c, char byte, bool *with) {
  *with = true;
  if (c->in_string) {
    bool escaped = c->after_backslash;
    c->after_backslash = byte == '\\' && !escaped;
    if (byte != '"' || escaped) return false;
    c->in_string = false;
    return c->depth == 0;
  }
  switch (byte) {
  case '"': c->in_string = true; return false;
  case '{':
  case '[': c->depth++; return false;
  case '}':
  case ']':
    if (c->depth > 0) return --c->depth == 0;
    *with = byte == '}'; /* a stray one is a (bad) value of its own; ] ends the list */
    return true;
  case ',':
  case '\n': *with = false; return c->depth == 0;
  default: return false;
  }
}

static lb_status cut_value(lb__row_cutter *c, lb__row_batch *b, lb_error *err) {
  if (!c->is_open) return skip_between(c, b, err);
  for (size_t i = c->at; i < c->n; i++) {
    bool with;
    if (!value_ends(c, c->window[i], &with)) continue;
    /* A bare comma between rows (not in a list) must not stand still. */
    size_t n = i - c->at + (with || i == c->at);
    lb_status st = take(c, b, n, err);
    return st != LB_OK ? st : end_row(c, b, LB__ROW_JSON, NULL, err);
  }
  return take(c, b, c->n - c->at, err);
}

/* ---- running text ---- */

/* Where in a full window to end a row: after the last line end, else before the last space, else
 * between two characters. Something is left, so that the last row of a file is never empty. */
static size_t best_cut(const char *text, size_t n) {
  for (size_t i = n - 1; i > 0; i--)
    if (text[i - 1] == '\n') return i;
  for (size_t i = n - 1; i > 0; i--)
    if (text[i] == ' ') return i;
  size_t whole = lb__utf8_complete(text, n - 1);
  return whole > 0 ? whole : n - 1;
}

static lb_status cut_text(lb__row_cutter *c, lb__row_batch *b, lb_error *err) {
  if (!c->is_open) begin_row(c, b);
  size_t n = c->n - c->at;
  if (c->at_end || b->bytes.size - c->row_begin + n < TEXT_ROW_SIZE) return take(c, b, n, err);
  lb_status st = take(c, b, best_cut(c->window + c->at, n), err);
  return st != LB_OK ? st : end_row(c, b, LB__ROW_TEXT, NULL, err);
}

/* ---- a batch ---- */

static lb_status end_file(lb__row_cutter *c, lb__row_batch *b, lb_error *err) {
  b->ends_file = true;
  switch (c->kind) {
  case LB__CUT_LINES: return c->is_open ? end_row(c, b, LB__ROW_JSON, NULL, err) : LB_OK;
  case LB__CUT_TEXT:
    if (!c->is_open) begin_row(c, b);
    return end_row(c, b, LB__ROW_TEXT_END, NULL, err);
  case LB__CUT_VALUES:
    if (c->is_open && (c->depth > 0 || c->in_string))
      return add_problem(c, b, "the file ends inside this row", err);
    if (c->is_open) return end_row(c, b, LB__ROW_JSON, NULL, err);
    if (c->in_list) return add_problem(c, b, "the file ends before the list does", err);
    break;
  }
  return LB_OK;
}

lb_status lb__row_cutter_fill(lb__row_cutter *c, lb__row_batch *b, lb_error *err) {
  lb_status st = LB_OK;
  while (st == LB_OK && !b->ends_file) {
    if (!c->is_open && (b->n >= BATCH_ROWS || b->bytes.size >= BATCH_BYTES)) break;
    if (c->at == c->n || (c->kind == LB__CUT_TEXT && !c->at_end)) {
      st = refill(c, err);
      if (st != LB_OK) break;
    }
    if (c->at == c->n) {
      st = end_file(c, b, err);
    } else {
      switch (c->kind) {
      case LB__CUT_LINES: st = cut_line(c, b, err); break;
      case LB__CUT_VALUES: st = cut_value(c, b, err); break;
      case LB__CUT_TEXT: st = cut_text(c, b, err); break;
      }
    }
  }
  return st;
}

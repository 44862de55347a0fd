/* fail.c - see fail.h. Owns: what a message may contain (UTF-8 without control characters, because
 * names in it come from hostile files and end on a terminal) and how a long one is cut. */
#define LB__FAIL_C /* the functions themselves */
#include "fail.h"

#include "utf8.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const char *lb_status_text(lb_status status) {
  switch (status) {
#define LB_STATUS_CASE(name, number, text)                                                         \
  case LB_##name: return text;
    LB_STATUS_MAP(LB_STATUS_CASE)
#undef LB_STATUS_CASE
  }
  return "unknown status";
}

/* ---- the text ---- */

static bool is_control(uint32_t c) {
  return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0);
}

/* Replaces, byte for byte, whatever is not printable UTF-8. */
static void clean_text(char *text) {
  size_t size = strlen(text);
  for (size_t i = 0; i < size;) {
    uint32_t c;
    int length = lb__utf8_decode(&c, text + i, size - i);
    bool bad = length == 0 || is_control(c);
    size_t step = length == 0 ? 1 : (size_t)length;
    if (bad) memset(text + i, '?', step);
    i += step;
  }
}

/* Ends a cut message in "...", never in half a character. */
static void mark_cut(char message[LB_ERROR_MESSAGE_SIZE]) {
  size_t keep = lb__utf8_complete(message, LB_ERROR_MESSAGE_SIZE - 4);
  memcpy(message + keep, "...", 4);
}

lb_status lb__fail_v(lb_error *err, lb_status status, const char *format, va_list args) {
  if (err == NULL) return status;
  char text[LB_ERROR_MESSAGE_SIZE]; /* apart: an argument may be err->message itself */
  int length = vsnprintf(text, sizeof text, format, args);
  if (length < 0) text[0] = '\0';
  if (length >= (int)sizeof text) mark_cut(text);
  clean_text(text);
  err->status = status;
  memcpy(err->message, text, sizeof text);
  return status;
}

lb_status lb__fail(lb_error *err, lb_status status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  lb__fail_v(err, status, format, args);
  va_end(args);
  return status;
}

lb_status lb__fail_prefix(lb_error *err, lb_status status, const char *format, ...) {
  if (err == NULL) return status;
  lb_error prefix;
  va_list args;
  va_start(args, format);
  lb__fail_v(&prefix, status, format, args);
  va_end(args);
  return lb__fail(err, status, "%s: %s", prefix.message, err->message);
}

lb_status lb__fail_nomem(lb_error *err, const char *what) {
  return lb__fail(err, LB_E_NOMEM, "out of memory: %s", what);
}

/* ---- did you mean ---- */

enum { LONGEST_NAME = 63 };

/* Options and keys are equal up to case and to '-' against '_'. */
static char fold(char c) {
  if (c >= 'A' && c <= 'Z') return (char)(c - 'A' + 'a');
  return c == '-' ? '_' : c;
}

static int min_int(int a, int b) {
  return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours between a and b (Damerau 1964, each
 * substring edited once). Three rows of the table are alive at a time. */
static int edit_distance(const char *a, int na, const char *b, int nb) {
  int rows[3][LONGEST_NAME + 1];
  int *before = rows[0], *above = rows[1], *row = rows[2];
  for (int j = 0; j <= nb; j++) above[j] = j;
  for (int i = 1; i <= na; i++) {
    row[0] = i;
    for (int j = 1; j <= nb; j++) {
      char x = fold(a[i - 1]), y = fold(b[j - 1]);
      row[j] = min_int(above[j - 1] + (x != y), min_int(above[j], row[j - 1]) + 1);
      if (i > 1 && j > 1 && x == fold(b[j - 2]) && fold(a[i - 2]) == y)
        row[j] = min_int(row[j], before[j - 2] + 1);
    }
    int *oldest = before;
    before = above;
    above = row;
    row = oldest;
  }
  return above[nb];
}

const char *lb__did_you_mean(const char *wrong, const char *const *names) {
  size_t n_wrong = strlen(wrong);
  const char *best = NULL;
  int best_distance = LONGEST_NAME + 1;
  if (n_wrong > LONGEST_NAME) return NULL;
  for (; *names != NULL; names++) {
    size_t n_name = strlen(*names);
    if (n_name > LONGEST_NAME) continue;
    int longer = (int)(n_name > n_wrong ? n_name : n_wrong);
    int distance = edit_distance(wrong, (int)n_wrong, *names, (int)n_name);
    if (distance > longer / 3 || distance >= best_distance) continue;
    best = *names;
    best_distance = distance;
  }
  return best;
}

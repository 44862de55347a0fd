/* normal_form.c - see normal_form.h. The text is cut at characters that never change and never join
 * with what stands before them; what lies between two such cuts is decomposed, ordered and
 * composed. */
#include "normal_form.h"

#include "base/fail.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "unicode_class.h"

#include <pthread.h>
#include <utf8proc.h>

/* ---- which characters may change or join in NFC: one bit each ---- */

static uint8_t unstable_bits[0x30000 / 8];
static pthread_once_t unstable_once = PTHREAD_ONCE_INIT;

static void mark_unstable(uint32_t c) {
  if (c < 0x30000) unstable_bits[c >> 3] |= (uint8_t)(1u << (c & 7));
}

static int decompose(utf8proc_int32_t out[32], uint32_t c, bool compatible) {
  int boundary = 0;
  int options = UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0);
  utf8proc_ssize_t n =
      utf8proc_decompose_char((utf8proc_int32_t)c, out, 32, (utf8proc_option_t)options, &boundary);
  return n > 32 ? 32 : (int)n;
}

static void find_unstable(void) {
  for (uint32_t c = 0; c < 0x30000; c++) {
    if (c >= 0xAC00 && c <= 0xD7FF) continue; /* Hangul syllables are composed */
    const utf8proc_property_t *property = utf8proc_get_property((utf8proc_int32_t)c);
    if (property->combining_class != 0 || (lb__unicode_class(lb__unicode(), c) & LB__UC_FROZEN))
      mark_unstable(c);
    utf8proc_int32_t parts[32];
    int n = decompose(parts, c, false);
    for (int i = 1; i < n; i++) mark_unstable((uint32_t)parts[i]);
    if (n == 1 && parts[0] == (utf8proc_int32_t)c) continue;
    utf8proc_ssize_t left =
        utf8proc_normalize_utf32(parts, n, (utf8proc_option_t)(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    if (left != 1 || parts[0] != (utf8proc_int32_t)c) mark_unstable(c);
  }
  for (uint32_t c = 0x1161; c <= 0x11C2; c++)
    mark_unstable(c); /* Hangul vowels, final consonants */
}

/* True when c stays as it is and nothing before it can join with it. Other forms than NFC have no
 * table: there, only ASCII is certain. */
static bool is_stable(uint32_t c, lb__normal_form form) {
  if (c < 0x80) return true;
  if (form.compatible || !form.compose || c >= 0x30000) return false;
  return !(unstable_bits[c >> 3] & (1u << (c & 7)));
}

size_t lb__normal_form_prefix(const char *text, size_t size, lb__normal_form form) {
  pthread_once(&unstable_once, find_unstable);
  const unsigned char *begin = (const unsigned char *)text, *p = begin, *end = begin + size;
  const unsigned char *previous = p;
  for (;;) {
    size_t ascii = lb__ascii_prefix((const char *)p, (size_t)(end - p));
    if (ascii > 0) previous = p + ascii - 1;
    p += ascii;
    if (p == end) return size;
    const unsigned char *at = p;
    if (!is_stable(lb__utf8_next(&p), form)) return (size_t)(previous - begin);
    previous = at;
  }
}

/* ---- one stretch between two cuts ---- */

typedef struct stretch {
  utf8proc_int32_t *chars, *sorted;
  size_t n, capacity, sorted_capacity;
} stretch;

static int combining_class(utf8proc_int32_t c) {
  return utf8proc_get_property(c)->combining_class;
}

/* Canonical order: marks sorted by class, equal ones as they came. A counting sort. */
static bool order_marks(stretch *s, size_t begin, size_t end) {
  if (end - begin < 2) return true;
  if (!lb__grow(&s->sorted, &s->sorted_capacity, end - begin, sizeof *s->sorted)) return false;
  size_t position[257] = {0};
  for (size_t i = begin; i < end; i++) position[combining_class(s->chars[i]) + 1]++;
  for (int c = 0; c < 256; c++) position[c + 1] += position[c];
  for (size_t i = begin; i < end; i++)
    s->sorted[position[combining_class(s->chars[i])]++] = s->chars[i];
  memcpy(s->chars + begin, s->sorted, (end - begin) * sizeof *s->chars);
  return true;
}

static bool order_all_marks(stretch *s, size_t begin, size_t end) {
  size_t i = begin;
  while (i < end) {
    while (i < end && combining_class(s->chars[i]) == 0) i++;
    size_t first = i;
    while (i < end && combining_class(s->chars[i]) != 0) i++;
    if (!order_marks(s, first, i)) return false;
  }
  return true;
}

static void write_chars(lb__buf *out, const utf8proc_int32_t *chars, size_t n) {
  for (size_t i = 0; i < n; i++) {
    char bytes[4];
    lb__buf_add(out, bytes, (size_t)lb__utf8_encode(bytes, (uint32_t)chars[i]));
  }
}

/* chars[begin..) are decomposed and hold no frozen character. */
static bool flush(lb__buf *out, stretch *s, lb__normal_form form) {
  if (s->n == 0) return true;
  if (!order_all_marks(s, 0, s->n)) return false;
  utf8proc_ssize_t n = (utf8proc_ssize_t)s->n;
  if (form.compose)
    n = utf8proc_normalize_utf32(s->chars, n,
                                 (utf8proc_option_t)(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  write_chars(out, s->chars, n < 0 ? 0 : (size_t)n);
  s->n = 0;
  return true;
}

static bool add_char(lb__buf *out, stretch *s, uint32_t c, lb__normal_form form) {
  if (lb__unicode_class(lb__unicode(), c) & LB__UC_FROZEN) {
    utf8proc_int32_t same = (utf8proc_int32_t)c;
    if (!flush(out, s, form)) return false;
    write_chars(out, &same, 1);
    return true;
  }
  if (!lb__grow(&s->chars, &s->capacity, s->n + 32, sizeof *s->chars)) return false;
  s->n += (size_t)decompose(s->chars + s->n, c, form.compatible);
  return true;
}

static bool apply(lb__buf *out, stretch *s, const unsigned char *p, const unsigned char *end,
                  lb__normal_form form) {
  while (p < end) {
    size_t same = lb__normal_form_prefix((const char *)p, (size_t)(end - p), form);
    lb__buf_add(out, p, same);
    p += same;
    for (size_t n = 0; p < end; n++) { /* the stretch ends before the second stable character */
      const unsigned char *at = p;
      uint32_t c = lb__utf8_next(&p);
      if (n > 0 && is_stable(c, form)) {
        p = at;
        break;
      }
      if (!add_char(out, s, c, form)) return false;
    }
    if (!flush(out, s, form)) return false;
  }
  return true;
}

lb_status lb__normal_form_apply(lb__buf *out, const char *text, size_t size, lb__normal_form form,
                                lb_error *err) {
  stretch s = {0};
  bool fits = apply(out, &s, (const unsigned char *)text, (const unsigned char *)text + size, form);
  lb__free(s.chars);
  lb__free(s.sorted);
  return fits ? lb__buf_check(out, "normalised text", err) : lb__fail_nomem(err, "normalised text");
}

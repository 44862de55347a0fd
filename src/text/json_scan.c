/* json_scan.c - see json_scan.h. */
#include "json_scan.h"

#include "base/fail.h"
#include "base/json.h"
#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>

lb_status lb__json_fail(const lb__json_cursor *c, const char *what, lb_error *err) {
  return lb__fail(err, LB_E_FORMAT, "%s: byte %zu: want %s, found '%.10s'", c->name,
                  (size_t)(c->at - c->begin), what, c->at);
}

static void skip_white(lb__json_cursor *c) {
  while (*c->at == ' ' || *c->at == '\n' || *c->at == '\r' || *c->at == '\t') c->at++;
}

bool lb__json_accept(lb__json_cursor *c, char character) {
  skip_white(c);
  if (*c->at != character || c->at == c->end) return false;
  c->at++;
  return true;
}

lb_status lb__json_expect(lb__json_cursor *c, char character, lb_error *err) {
  if (lb__json_accept(c, character)) return LB_OK;
  char what[4] = {'\'', character, '\'', '\0'};
  return lb__json_fail(c, what, err);
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four digits at p (the text is NUL-terminated, so a short one stops at the NUL); -1: not hex. */
static int32_t hex4(const char *p) {
  int32_t value = 0;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(p[i]);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

/* \uXXXX, with its second half when it is the first of a surrogate pair. c->at is on the 'u'. */
static bool unicode_escape(lb__json_cursor *c) {
  int32_t unit = hex4(c->at + 1);
  if (unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF)) return false; /* at stays: the text may end */
  c->at += 5;
  uint32_t code = (uint32_t)unit;
  if (unit >= 0xD800 && unit < 0xDC00) {
    int32_t low = c->at[0] == '\\' && c->at[1] == 'u' ? hex4(c->at + 2) : -1;
    if (low < 0xDC00 || low > 0xDFFF) return false;
    code = 0x10000 + (((uint32_t)unit & 0x3FF) << 10) + ((uint32_t)low & 0x3FF);
    c->at += 6;
  }
  char bytes[4];
  return lb__buf_add(&c->text, bytes, (size_t)lb__utf8_encode(bytes, code));
}

static bool escape(lb__json_cursor *c) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  if (*c->at == 'u') return unicode_escape(c);
  const char *which = *c->at != '\0' ? strchr(from, *c->at) : NULL;
  if (which == NULL) return false;
  c->at++;
  return lb__buf_add_char(&c->text, to[which - from]);
}

static const char *plain_end(const char *p) {
  while ((unsigned char)*p >= 0x20 && *p != '"' && *p != '\\') p++;
  return p;
}

lb_status lb__json_string(lb__json_cursor *c, const char **text, size_t *size, lb_error *err) {
  if (!lb__json_accept(c, '"')) return lb__json_fail(c, "a string", err);
  const char *start = c->at, *end = plain_end(start);
  if (*end == '"') { /* nearly always: nothing to unescape, nothing to copy */
    *text = start;
    *size = (size_t)(end - start);
    c->at = end + 1;
    return LB_OK;
  }
  lb__buf_clear(&c->text);
  for (;;) {
    end = plain_end(c->at);
    lb__buf_add(&c->text, c->at, (size_t)(end - c->at));
    c->at = end;
    if (*end == '"') break;
    if (*end != '\\') return lb__json_fail(c, "a string without control characters", err);
    c->at++;
    if (!escape(c)) {
      lb_status st = lb__buf_check(&c->text, c->name, err);
      return st != LB_OK ? st : lb__json_fail(c, "a valid escape", err);
    }
  }
  c->at++;
  *text = lb__buf_text(&c->text);
  *size = c->text.size;
  return lb__buf_check(&c->text, c->name, err);
}

lb_status lb__json_integer(lb__json_cursor *c, int64_t *value, lb_error *err) {
  skip_white(c);
  const char *p = c->at;
  int64_t n = 0;
  bool negative = *p == '-';
  if (negative) p++;
  const char *digits = p;
  while (*p >= '0' && *p <= '9' && p - digits < 18) n = n * 10 + (*p++ - '0');
  if (p == digits || (*p >= '0' && *p <= '9') || *p == '.' || *p == 'e' || *p == 'E')
    return lb__json_fail(c, "an integer", err);
  *value = negative ? -n : n;
  c->at = p;
  return LB_OK;
}

/* 10 to the n-th, 0 <= n <= 308, rounded correctly. */
static double power_of_ten(int n) {
  char text[8] = "1e";
  int at = 2;
  if (n >= 100) text[at++] = (char)('0' + n / 100);
  if (n >= 10) text[at++] = (char)('0' + n / 10 % 10);
  text[at++] = (char)('0' + n % 10);
  text[at] = '\0';
  return strtod(text, NULL);
}

/* The digits of a number as an integer, and the power of ten that it lacks. Digits that no longer
 * fit 64 bits are dropped. */
typedef struct decimal {
  uint64_t digits;
  int exponent;
  bool full;
} decimal;

static const char *read_digits(decimal *d, const char *p, bool fraction) {
  for (; *p >= '0' && *p <= '9'; p++) {
    uint64_t digit = (uint64_t)(*p - '0');
    d->full = d->full || d->digits > (UINT64_MAX - digit) / 10;
    if (!d->full) d->digits = d->digits * 10 + digit;
    if (d->full && !fraction && d->exponent < 100000) d->exponent++;
    if (!d->full && fraction) d->exponent--;
  }
  return p;
}

static const char *read_exponent(decimal *d, const char *p) {
  bool negative = p[1] == '-';
  const char *digits = p + 1 + (p[1] == '-' || p[1] == '+');
  int value = 0;
  for (p = digits; *p >= '0' && *p <= '9'; p++)
    if (value < 100000) value = value * 10 + (*p - '0');
  d->exponent += negative ? -value : value;
  return p > digits ? p : NULL;
}

/* Not the nearest double but the reference's: its JSON reader rounds twice, and the scores of a
 * Unigram model decide ties by their last bit. */
lb_status lb__json_number(lb__json_cursor *c, double *value, lb_error *err) {
  skip_white(c);
  const char *p = c->at;
  bool negative = *p == '-';
  if (negative) p++;
  if (!(*p >= '0' && *p <= '9')) return lb__json_fail(c, "a number", err);
  decimal d = {0};
  p = read_digits(&d, p, false);
  if (*p == '.') p = read_digits(&d, p + 1, true);
  if (*p == 'e' || *p == 'E') p = read_exponent(&d, p);
  if (p == NULL || d.exponent > 308) return lb__json_fail(c, "a number", err);
  double f = (double)d.digits;
  for (; d.exponent < -308 && f > 0; d.exponent += 308) f /= 1e308;
  if (f > 0) f = d.exponent >= 0 ? f * power_of_ten(d.exponent) : f / power_of_ten(-d.exponent);
  if (!isfinite(f)) return lb__json_fail(c, "a number", err);
  *value = negative ? -f : f;
  c->at = p;
  return LB_OK;
}

/* Without recursion: brackets are only counted here; what is skipped is parsed again, strictly. */
lb_status lb__json_skip(lb__json_cursor *c, const char **start, lb_error *err) {
  skip_white(c);
  *start = c->at;
  int depth = 0;
  do {
    skip_white(c);
    const char *text;
    size_t size;
    char first = *c->at;
    if (first == '"') {
      lb_status st = lb__json_string(c, &text, &size, err);
      if (st != LB_OK) return st;
    } else if (first == '{' || first == '[') {
      if (++depth > LB__JSON_MAX_DEPTH) return lb__json_fail(c, "less nesting", err);
      c->at++;
    } else if ((first == '}' || first == ']') && depth > 0) {
      depth--;
      c->at++;
    } else if ((first == ',' || first == ':') && depth > 0) {
      c->at++;
    } else {
      const char *p = c->at;
      while ((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') || *p == '-' || *p == '+' ||
             *p == '.' || *p == 'E' || *p == 'N' || *p == 'I')
        p++;
      if (p == c->at) return lb__json_fail(c, "a value", err);
      c->at = p;
    }
  } while (depth > 0);
  return LB_OK;
}

/* json_parse.c - JSON text into a jansson tree. The tree is jansson's, the parser is ours, because
 * jansson 2.14's lexer ignores a failed allocation while it collects a token and then reads past
 * the token's end (heap corruption, found by failing every allocation of a model open). This one
 * also needs no second pass for depth, and knows integers beyond 64 bits.
 *
 * Grammar: RFC 8259, UTF-8 only, no NUL in keys, duplicate keys refused. Recursion is capped. */
#include "json.h"

#include "fail.h"
#include "memory.h"
#include "utf8.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

typedef struct json_parser {
  const char *text;
  size_t size, at;
  const char *name; /* for messages */
  lb__buf scratch;  /* the string or number being read */
  lb_error *err;
} json_parser;

static lb_status parse_value(json_t **out, json_parser *p, int depth);

/* ---- errors ---- */
static lb_status fail_at(json_parser *p, size_t at, lb_status status, const char *what) {
  int line = 1, column = 1;
  for (size_t i = 0; i < at && i < p->size; i++) {
    column++;
    if (p->text[i] != '\n') continue;
    line++;
    column = 1;
  }
  return lb__fail(p->err, status, "%s:%d:%d: %s", p->name, line, column, what);
}

static lb_status fail_here(json_parser *p, const char *what) {
  return fail_at(p, p->at, LB_E_FORMAT, p->at < p->size ? what : "the text ends too early");
}

static lb_status fail_memory(json_parser *p) {
  return lb__fail_nomem(p->err, p->name);
}

/* ---- characters ---- */
static int peek(const json_parser *p) {
  return p->at < p->size ? (unsigned char)p->text[p->at] : -1;
}

static void skip_space(json_parser *p) {
  while (peek(p) == ' ' || peek(p) == '\n' || peek(p) == '\r' || peek(p) == '\t') p->at++;
}

static bool accept(json_parser *p, char c) {
  if (peek(p) != c) return false;
  p->at++;
  return true;
}

/* ---- strings ---- */
static bool read_hex4(uint32_t *out, json_parser *p) {
  *out = 0;
  for (int i = 0; i < 4; i++, p->at++) {
    int c = peek(p);
    uint32_t digit;
    if (c >= '0' && c <= '9')
      digit = (uint32_t)(c - '0');
    else if (c >= 'a' && c <= 'f')
      digit = (uint32_t)(c - 'a' + 10);
    else if (c >= 'A' && c <= 'F')
      digit = (uint32_t)(c - 'A' + 10);
    else
      return false;
    *out = *out << 4 | digit;
  }
  return true;
}

/* After "\u". Two escapes make one character beyond U+FFFF; half a pair is refused. */
static lb_status read_unicode_escape(json_parser *p) {
  uint32_t c, low;
  char bytes[4];
  if (!read_hex4(&c, p)) return fail_here(p, "want four hexadecimal digits after \\u");
  if (c >= 0xD800 && c <= 0xDFFF) {
    bool pair = c < 0xDC00 && accept(p, '\\') && accept(p, 'u') && read_hex4(&low, p) &&
                low >= 0xDC00 && low <= 0xDFFF;
    if (!pair) return fail_here(p, "half of a surrogate pair");
    c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
  }
  int n = lb__utf8_encode(bytes, c);
  return lb__buf_add(&p->scratch, bytes, (size_t)n) ? LB_OK : fail_memory(p);
}

static lb_status read_escape(json_parser *p) {
  static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
  int c = peek(p);
  const char *letter = c > 0 ? strchr(letters, c) : NULL;
  if (c == 'u') {
    p->at++;
    return read_unicode_escape(p);
  }
  if (letter == NULL) return fail_here(p, "unknown escape in a string");
  p->at++;
  return lb__buf_add_char(&p->scratch, meant[letter - letters]) ? LB_OK : fail_memory(p);
}

/* The decoded string is in p->scratch. The text as a whole is known to be UTF-8. */
static lb_status read_string(json_parser *p) {
  lb_status st = LB_OK;
  lb__buf_clear(&p->scratch);
  p->at++; /* the quote */
  while (st == LB_OK) {
    size_t start = p->at;
    int c = peek(p);
    while (c >= 0x20 && c != '"' && c != '\\') {
      p->at++;
      c = peek(p);
    }
    if (!lb__buf_add(&p->scratch, p->text + start, p->at - start)) return fail_memory(p);
    if (accept(p, '"')) return LB_OK;
    if (!accept(p, '\\')) return fail_here(p, "a control character in a string");
    st = read_escape(p);
  }
  return st;
}

static lb_status parse_string(json_t **out, json_parser *p) {
  lb_status st = read_string(p);
  if (st != LB_OK) return st;
  *out = json_stringn_nocheck(lb__buf_text(&p->scratch), p->scratch.size);
  return *out != NULL ? LB_OK : fail_memory(p);
}

/* ---- numbers ---- */
static bool skip_digits(json_parser *p) {
  size_t start = p->at;
  while (peek(p) >= '0' && peek(p) <= '9') p->at++;
  return p->at > start;
}

/* Walks over -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)? */
static bool skip_number(bool *is_real, json_parser *p) {
  *is_real = false;
  accept(p, '-');
  if (!accept(p, '0') && !skip_digits(p)) return false;
  if (accept(p, '.')) {
    *is_real = true;
    if (!skip_digits(p)) return false;
  }
  if (accept(p, 'e') || accept(p, 'E')) {
    *is_real = true;
    if (!accept(p, '+')) accept(p, '-');
    if (!skip_digits(p)) return false;
  }
  return true;
}

/* strtod obeys the process's locale, JSON does not. */
static double to_double(char *number) {
  char *point = strchr(number, '.');
  if (point != NULL) *point = localeconv()->decimal_point[0];
  return strtod(number, NULL);
}

static lb_status parse_number(json_t **out, json_parser *p) {
  size_t start = p->at;
  bool is_real;
  if (!skip_number(&is_real, p)) return fail_here(p, "malformed number");
  if (peek(p) >= '0' && peek(p) <= '9') return fail_here(p, "a number with a leading zero");
  lb__buf_clear(&p->scratch);
  if (!lb__buf_add(&p->scratch, p->text + start, p->at - start)) return fail_memory(p);
  if (!is_real) {
    errno = 0;
    long long value = strtoll(p->scratch.bytes, NULL, 10);
    if (errno == 0) {
      *out = json_integer(value);
      return *out != NULL ? LB_OK : fail_memory(p);
    }
  }
  double value = to_double(p->scratch.bytes);
  if (!isfinite(value)) return fail_at(p, start, LB_E_FORMAT, "number overflow");
  *out = json_real(value);
  return *out != NULL ? LB_OK : fail_memory(p);
}

/* ---- containers ---- */
static lb_status parse_array(json_t **out, json_parser *p, int depth) {
  json_t *array = *out = json_array();
  if (array == NULL) return fail_memory(p);
  skip_space(p);
  if (accept(p, ']')) return LB_OK;
  for (;;) {
    json_t *value;
    lb_status st = parse_value(&value, p, depth);
    if (st != LB_OK) return st;
    if (json_array_append_new(array, value) != 0) return fail_memory(p);
    skip_space(p);
    if (accept(p, ']')) return LB_OK;
    if (!accept(p, ',')) return fail_here(p, "want ',' or ']' in a list");
  }
}

/* The key ends up in a string of its own, because reading the value needs the scratch. */
static lb_status read_key(char **key, json_parser *p, const json_t *object) {
  size_t start;
  skip_space(p);
  start = p->at;
  if (peek(p) != '"') return fail_here(p, "want a string as key");
  lb_status st = read_string(p);
  if (st != LB_OK) return st;
  const char *text = lb__buf_text(&p->scratch);
  if (strlen(text) != p->scratch.size) return fail_at(p, start, LB_E_FORMAT, "NUL in a key");
  if (json_object_get(object, text) != NULL) return fail_at(p, start, LB_E_FORMAT, "duplicate key");
  skip_space(p);
  if (!accept(p, ':')) return fail_here(p, "want ':' after a key");
  *key = lb__strndup(text, p->scratch.size);
  return *key != NULL ? LB_OK : fail_memory(p);
}

static lb_status parse_member(json_t *object, json_parser *p, int depth) {
  char *key = NULL;
  json_t *value;
  lb_status st = read_key(&key, p, object);
  if (st == LB_OK) st = parse_value(&value, p, depth);
  if (st == LB_OK && json_object_set_new_nocheck(object, key, value) != 0) st = fail_memory(p);
  lb__free(key);
  return st;
}

static lb_status parse_object(json_t **out, json_parser *p, int depth) {
  json_t *object = *out = json_object();
  if (object == NULL) return fail_memory(p);
  skip_space(p);
  if (accept(p, '}')) return LB_OK;
  for (;;) {
    lb_status st = parse_member(object, p, depth);
    if (st != LB_OK) return st;
    skip_space(p);
    if (accept(p, '}')) return LB_OK;
    if (!accept(p, ',')) return fail_here(p, "want ',' or '}' in an object");
  }
}

/* ---- values ---- */
static bool accept_word(json_parser *p, const char *word) {
  size_t n = strlen(word);
  if (p->size - p->at < n || memcmp(p->text + p->at, word, n) != 0) return false;
  p->at += n;
  return true;
}

static lb_status parse_word(json_t **out, json_parser *p) {
  if (accept_word(p, "true"))
    *out = json_true();
  else if (accept_word(p, "false"))
    *out = json_false();
  else if (accept_word(p, "null"))
    *out = json_null();
  else
    return fail_here(p, "want a value");
  return LB_OK;
}

/* *out is NULL on failure. depth: containers around this value. */
static lb_status parse_value(json_t **out, json_parser *p, int depth) {
  lb_status st;
  *out = NULL;
  skip_space(p);
  int c = peek(p);
  if ((c == '{' || c == '[') && depth == LB__JSON_MAX_DEPTH) {
    char text[60];
    snprintf(text, sizeof text, "nested deeper than %d levels", LB__JSON_MAX_DEPTH);
    return fail_at(p, p->at, LB_E_LIMIT, text);
  }
  if (accept(p, '{'))
    st = parse_object(out, p, depth + 1);
  else if (accept(p, '['))
    st = parse_array(out, p, depth + 1);
  else if (c == '"')
    st = parse_string(out, p);
  else if (c == '-' || (c >= '0' && c <= '9'))
    st = parse_number(out, p);
  else
    st = parse_word(out, p);
  if (st == LB_OK) return LB_OK;
  json_decref(*out);
  *out = NULL;
  return st;
}

lb_status lb__json_parse(json_t **out, const char *text, size_t size, const char *name,
                         lb_error *err) {
  json_parser p = {.text = text, .size = size, .name = name, .err = err};
  lb_status st;
  size_t valid = lb__utf8_valid_prefix(text, size);
  *out = NULL;
  if (valid < size) return fail_at(&p, valid, LB_E_FORMAT, "not UTF-8");
  lb__buf_init(&p.scratch, SIZE_MAX);
  st = parse_value(out, &p, 0);
  skip_space(&p);
  if (st == LB_OK && p.at < p.size) {
    st = fail_here(&p, "something follows the value");
    json_decref(*out);
    *out = NULL;
  }
  lb__buf_deinit(&p.scratch);
  return st;
}

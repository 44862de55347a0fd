/* jinja_lex.c - template source to tokens, with Jinja's white space rules as Transformers sets
 * them: trim_blocks (the newline after a tag goes), lstrip_blocks (spaces before a tag that starts
 * a line go), `-` and `+` in tags, {% raw %}, comments. Read first: jinja_parse.h. */
#include "jinja_parse.h"
#include "jinja_string.h"

#include "base/utf8.h"

#include <utf8proc.h>

typedef struct lexer {
  lb__jrun *r;
  const char *source;
  size_t size, at;
  size_t counted; /* lines are counted up to here */
  int line;
  bool line_starting; /* the last thing taken ended in a newline */
  lb__jtoken *tokens;
  size_t n, capacity;
} lexer;

static int line_at(lexer *x, size_t at) {
  for (; x->counted < at; x->counted++) x->line += x->source[x->counted] == '\n';
  return x->line;
}

static void add_token(lexer *x, lb__jtoken_kind kind, size_t begin, size_t end) {
  if (x->n == x->capacity) {
    size_t capacity = x->capacity == 0 ? 256 : x->capacity * 2;
    lb__jtoken *grown = lb__jalloc(x->r, capacity, sizeof *grown);
    if (grown == NULL) return;
    if (x->n > 0) memcpy(grown, x->tokens, x->n * sizeof *grown);
    x->tokens = grown;
    x->capacity = capacity;
  }
  x->tokens[x->n++] = (lb__jtoken){kind, line_at(x, begin), x->source + begin, end - begin};
}

static bool starts(const lexer *x, size_t at, const char *text) {
  size_t n = strlen(text);
  return at <= x->size && x->size - at >= n && memcmp(x->source + at, text, n) == 0;
}

static uint32_t char_at(const lexer *x, size_t at, size_t *next) {
  uint32_t c = 0xFFFD;
  int n = at < x->size ? lb__utf8_decode(&c, x->source + at, x->size - at) : 0;
  *next = at + (size_t)(n > 0 ? n : 1);
  return c;
}

static size_t skip_space(const lexer *x, size_t at) {
  size_t next;
  while (at < x->size && lb__jis_space(char_at(x, at, &next))) at = next;
  return at;
}

static size_t previous_char(const lexer *x, size_t begin, size_t at) {
  do at--;
  while (at > begin && ((unsigned char)x->source[at] & 0xC0) == 0x80);
  return at;
}

static size_t strip_right(const lexer *x, size_t begin, size_t end) {
  size_t next;
  while (end > begin) {
    size_t last = previous_char(x, begin, end);
    if (!lb__jis_space(char_at(x, last, &next))) break;
    end = last;
  }
  return end;
}

/* The end of the text before a tag: '-' strips all space, none strips spaces that begin the
 * tag's line (lstrip_blocks; not for {{ }}), '+' strips nothing. */
static size_t text_end(const lexer *x, size_t begin, size_t end, char sign, bool is_variable) {
  if (sign == '-') return strip_right(x, begin, end);
  if (sign == '+' || is_variable) return end;
  size_t line_begin = end, next;
  while (line_begin > begin && x->source[line_begin - 1] != '\n') line_begin--;
  if (line_begin == begin && !x->line_starting) return end;
  for (size_t at = line_begin; at < end; at = next)
    if (!lb__jis_space(char_at(x, at, &next))) return end;
  return line_begin;
}

static char sign_at(const lexer *x, size_t at) {
  return at < x->size && (x->source[at] == '-' || x->source[at] == '+') ? x->source[at] : '\0';
}

/* Moves past a closing "%}" or "#}" whose sign stands before it. */
static void close_tag(lexer *x, size_t after, char sign, bool trims_newline) {
  x->at = after;
  if (sign == '-')
    x->at = skip_space(x, after);
  else if (sign != '+' && trims_newline && after < x->size && x->source[after] == '\n')
    x->at++;
  x->line_starting = x->at > 0 && x->source[x->at - 1] == '\n';
}

static void fail_at(lexer *x, size_t at, const char *what) {
  x->r->line = line_at(x, at);
  lb__jfail(x->r, LB_E_FORMAT, "%s", what);
}

static void lex_comment(lexer *x, size_t body) {
  for (size_t at = body; at + 1 < x->size; at++) {
    if (x->source[at] != '#' || x->source[at + 1] != '}') continue;
    close_tag(x, at + 2, at > body ? sign_at(x, at - 1) : '\0', true);
    return;
  }
  fail_at(x, body, "missing end of comment tag");
}

/* At "{%" of a tag that holds only `word`: the offset behind it and the sign before its "%}". */
static bool is_word_tag(const lexer *x, size_t at, const char *word, char *sign, size_t *after) {
  if (!starts(x, at, "{%")) return false;
  at += sign_at(x, at + 2) ? 3 : 2;
  at = skip_space(x, at);
  if (!starts(x, at, word)) return false;
  at = skip_space(x, at + strlen(word));
  *sign = sign_at(x, at);
  if (*sign != '\0') at++;
  *after = at + 2;
  return starts(x, at, "%}");
}

static void lex_raw(lexer *x, size_t after, char sign) {
  close_tag(x, after, sign, false);
  size_t begin = x->at;
  for (size_t at = begin; at < x->size; at++) {
    if (x->source[at] != '{' || !is_word_tag(x, at, "endraw", &sign, &after)) continue;
    size_t end = text_end(x, begin, at, sign_at(x, at + 2), false);
    if (end > begin) add_token(x, LB__JT_DATA, begin, end);
    close_tag(x, after, sign, true);
    return;
  }
  fail_at(x, begin, "missing end of raw directive");
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static size_t digits(const lexer *x, size_t at) {
  while (at < x->size && (is_digit(x->source[at]) || (x->source[at] == '_' && at + 1 < x->size &&
                                                      is_digit(x->source[at + 1]))))
    at++;
  return at;
}

static void lex_number(lexer *x) {
  size_t begin = x->at, end = digits(x, begin), next;
  bool is_float = false, after_dot = begin > 0 && x->source[begin - 1] == '.';
  if (!after_dot && starts(x, end, ".") && (next = digits(x, end + 1)) > end + 1) {
    end = next;
    is_float = true;
  }
  if (!after_dot && (starts(x, end, "e") || starts(x, end, "E"))) {
    size_t exponent = end + 1 + (sign_at(x, end + 1) != '\0');
    if ((next = digits(x, exponent)) > exponent) {
      end = next;
      is_float = true;
    }
  }
  add_token(x, is_float ? LB__JT_FLOAT : LB__JT_INTEGER, begin, end);
  x->at = end;
}

static bool is_name_char(uint32_t c) {
  if (c < 128)
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9');
  utf8proc_category_t k = utf8proc_category((int32_t)c);
  return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NL && k != UTF8PROC_CATEGORY_ME);
}

static void lex_string(lexer *x) {
  size_t begin = x->at, at = begin + 1;
  char quote = x->source[begin];
  while (at < x->size && x->source[at] != quote) at += x->source[at] == '\\' ? 2 : 1;
  if (at >= x->size) {
    fail_at(x, begin, "a string literal never ends");
    return;
  }
  add_token(x, LB__JT_STRING, begin, at + 1);
  x->at = at + 1;
}

static void lex_operator(lexer *x) {
  static const char *const operators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                          "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                          ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
  for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
    if (!starts(x, x->at, operators[i])) continue;
    size_t end = x->at + strlen(operators[i]);
    add_token(x, LB__JT_OPERATOR, x->at, end);
    x->at = end;
    return;
  }
  fail_at(x, x->at, "unexpected character in a tag");
}

/* '{' pushes, '}' pops; a tag can only end outside of all brackets. */
static void balance(lexer *x, int *open) {
  const lb__jtoken *t = &x->tokens[x->n - 1];
  if (t->kind != LB__JT_OPERATOR || t->size != 1) return;
  if (strchr("([{", *t->text) != NULL) (*open)++;
  if (strchr(")]}", *t->text) != NULL && --*open < 0)
    fail_at(x, x->at - 1, "a closing bracket without its opening one");
}

static bool lex_tag_end(lexer *x, bool is_variable) {
  const char *close = is_variable ? "}}" : "%}";
  size_t at = x->at;
  char sign = sign_at(x, at);
  if (is_variable && sign == '+') return false;
  if (sign != '\0') at++;
  if (!starts(x, at, close)) return false;
  add_token(x, is_variable ? LB__JT_VARIABLE_END : LB__JT_BLOCK_END, at, at + 2);
  close_tag(x, at + 2, sign, !is_variable);
  return true;
}

static void lex_tag(lexer *x, bool is_variable) {
  int open = 0;
  size_t next;
  while (lb__jcharge(x->r, 1)) {
    if (open == 0 && lex_tag_end(x, is_variable)) return;
    if (x->at >= x->size) {
      fail_at(x, x->size, "the template ends inside a tag");
      return;
    }
    uint32_t c = char_at(x, x->at, &next);
    if (lb__jis_space(c)) {
      x->at = next;
      continue;
    }
    if (c < 128 && is_digit((char)c)) {
      lex_number(x);
    } else if (is_name_char(c)) {
      size_t begin = x->at;
      while (x->at < x->size && is_name_char(char_at(x, x->at, &next))) x->at = next;
      add_token(x, LB__JT_NAME, begin, x->at);
    } else if (c == '"' || c == '\'') {
      lex_string(x);
    } else {
      lex_operator(x);
    }
    if (x->r->status == LB_OK) balance(x, &open);
  }
}

static size_t find_tag(const lexer *x) {
  for (size_t at = x->at; at + 1 < x->size; at++)
    if (x->source[at] == '{' && strchr("{%#", x->source[at + 1]) != NULL &&
        x->source[at + 1] != '\0')
      return at;
  return x->size;
}

static void lex_next(lexer *x) {
  size_t begin = x->at, tag = find_tag(x), after;
  if (tag == x->size) {
    add_token(x, LB__JT_DATA, begin, tag);
    x->at = tag;
    return;
  }
  char kind = x->source[tag + 1], sign = sign_at(x, tag + 2), end_sign;
  size_t end = text_end(x, begin, tag, sign, kind == '{');
  if (end > begin) add_token(x, LB__JT_DATA, begin, end);
  x->at = tag + (sign != '\0' ? 3 : 2);
  if (kind == '#') {
    lex_comment(x, x->at);
  } else if (kind == '%' && is_word_tag(x, tag, "raw", &end_sign, &after) && end_sign != '+') {
    lex_raw(x, after, end_sign);
  } else {
    add_token(x, kind == '{' ? LB__JT_VARIABLE_BEGIN : LB__JT_BLOCK_BEGIN, tag, x->at);
    lex_tag(x, kind == '{');
  }
}

lb__jtoken *lb__jlex(lb__jrun *r, const char *source, size_t size, size_t *n_tokens) {
  lexer x = {.r = r, .source = source, .size = size, .line = 1, .line_starting = true};
  while (x.at < size && r->status == LB_OK) lex_next(&x);
  add_token(&x, LB__JT_END, size, size);
  *n_tokens = x.n;
  return r->status == LB_OK ? x.tokens : NULL;
}

/* recipe_values.c - see recipe_values.h. Values are read by read_<kind>; a kind that does not find
 * what it wants returns LB_E_FORMAT without a text, and refuse() writes it. */
#include "recipe_values.h"

#include "base/fail.h"
#include "base/real_text.h"
#include "base/utf8.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

enum {
  NUMBER_SIZE_MAX = 63,
  SHOWN_SIZE = 64,
  REFUSAL_SIZE_MAX = 4096,
  CHOICES_MAX = 8,
  CHOICE_SIZE = 32
};

/* ---- saying what was wanted and what was found ---- */

static const char *const kind_texts[] = {
    [LB__RECIPE_NUMBER] = "a number",
    [LB__RECIPE_INTEGER] = "a whole number",
    [LB__RECIPE_BOOL] = "true or false",
    [LB__RECIPE_TEXT] = "text",
    [LB__RECIPE_TEXTS] = "text or a list of texts",
    [LB__RECIPE_INTEGERS] = "a whole number or a list of them",
};

static void put_choices(lb__buf *b, const char *choices) {
  const char *choice;
  size_t size;
  for (size_t k = 0; (size = lb__choice_at(&choice, choices, k)) > 0; k++)
    lb__buf_printf(b, "%s%.*s", k == 0 ? " " : ", ", (int)size, choice);
}

/* At most SHOWN_SIZE bytes of what somebody wrote, cut between characters. */
static void put_found(lb__buf *b, const lb__yaml_node *value) {
  if (value->kind != LB__YAML_SCALAR) {
    lb__buf_add_text(b, value->kind == LB__YAML_LIST ? "a list" : "a map of keys");
    return;
  }
  if (lb__recipe_is_null(value)) {
    lb__buf_add_text(b, "nothing");
    return;
  }
  size_t size = strlen(value->text), shown = 0;
  uint32_t c;
  while (shown < size && shown < SHOWN_SIZE) {
    int n = lb__utf8_decode(&c, value->text + shown, size - shown);
    shown += n > 0 ? (size_t)n : 1;
  }
  lb__buf_add_text(b, value->quoted ? "the text '" : "'");
  lb__buf_add(b, value->text, shown);
  lb__buf_add_text(b, shown < size ? "...'" : "'");
}

/* "; did you mean 'logits'?" */
static void put_near(lb__buf *b, const char *choices, const char *found) {
  char names[CHOICES_MAX][CHOICE_SIZE];
  const char *list[CHOICES_MAX + 1] = {0}, *choice;
  size_t size;
  for (size_t k = 0; k < CHOICES_MAX && (size = lb__choice_at(&choice, choices, k)) > 0; k++) {
    if (size >= CHOICE_SIZE) return;
    memcpy(names[k], choice, size);
    names[k][size] = '\0';
    list[k] = names[k];
  }
  const char *near = lb__did_you_mean(found, list);
  if (near != NULL) lb__buf_printf(b, "; did you mean '%s'?", near);
}

static lb_status refuse(const lb__recipe_row *row, const lb__yaml_node *value, lb_error *err) {
  lb__buf b;
  lb__buf_init(&b, REFUSAL_SIZE_MAX);
  const char *wanted = row->choices == NULL            ? kind_texts[row->kind]
                       : row->kind == LB__RECIPE_TEXTS ? "one or more of"
                                                       : "one of";
  lb__buf_printf(&b, "%s: want %s", row->key.path, wanted);
  if (row->key.range != NULL) lb__buf_printf(&b, " %s", row->key.range);
  put_choices(&b, row->choices);
  lb__buf_add_text(&b, ", found ");
  put_found(&b, value);
  if (value->kind == LB__YAML_SCALAR && value->quoted && row->kind <= LB__RECIPE_BOOL)
    lb__buf_add_text(&b, "; write it without quotes");
  if (value->kind == LB__YAML_SCALAR) put_near(&b, row->choices, value->text);
  lb_status st = b.failed ? lb__fail_nomem(err, row->key.path)
                          : lb__fail(err, LB_E_FORMAT, "%s", lb__buf_text(&b));
  lb__buf_deinit(&b);
  return st;
}

/* ---- reading ---- */

bool lb__recipe_is_null(const lb__yaml_node *value) {
  static const char *const words[] = {"", "~", "null", "Null", "NULL"};
  if (value->kind != LB__YAML_SCALAR || value->quoted) return false;
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    if (strcmp(value->text, words[i]) == 0) return true;
  return false;
}

/* Is x inside ">= 0, < 1"? */
static bool is_in_range(double x, const char *range) {
  for (const char *at = range; at != NULL && *at != '\0';) {
    bool is_low = at[0] == '>', is_closed = at[1] == '=';
    char *end;
    double limit = strtod(at + (is_closed ? 2 : 1), &end);
    if (is_low ? x < limit : x > limit) return false;
    if (x == limit && !is_closed) return false;
    at = end + strspn(end, ", ");
  }
  return true;
}

static size_t skip_digits(const char **at) {
  size_t n = strspn(*at, "0123456789");
  *at += n;
  return n;
}

/* [+-] digits [. digits] [e [+-] digits]: neither hexadecimal nor nan, whatever strtod takes. */
static bool is_number(const char *text) {
  text += *text == '+' || *text == '-';
  size_t digits = skip_digits(&text);
  if (*text == '.') {
    text++;
    digits += skip_digits(&text);
  }
  if (digits == 0) return false;
  if (*text != 'e' && *text != 'E') return *text == '\0';
  text++;
  text += *text == '+' || *text == '-';
  return skip_digits(&text) > 0 && *text == '\0';
}

static bool read_number(double *out, const char *text) {
  char copy[NUMBER_SIZE_MAX + 1];
  if (!is_number(text) || strlen(text) > NUMBER_SIZE_MAX) return false;
  memcpy(copy, text, strlen(text) + 1);
  char *point = strchr(copy, '.');
  if (point != NULL) *point = localeconv()->decimal_point[0]; /* strtod obeys the locale */
  *out = strtod(copy, NULL);
  return isfinite(*out);
}

static bool read_integer(int64_t *out, const char *text) {
  const char *at = text + (*text == '+' || *text == '-');
  errno = 0;
  long long x = strtoll(text, NULL, 10);
  if (skip_digits(&at) == 0 || *at != '\0' || errno != 0) return false;
  *out = x;
  return true;
}

static bool read_bool(bool *out, const char *text) {
  int which = lb__choice_find(NULL, "false|true|no|yes|off|on", text);
  *out = which % 2 == 1;
  return which >= 0;
}

static lb_status read_text(const char **out, lb_recipe *r, const lb__recipe_row *row,
                           const lb__yaml_node *value, lb_error *err) {
  if (value->kind != LB__YAML_SCALAR || value->text[0] == '\0') return refuse(row, value, err);
  const char *text = value->text, *choice = text;
  size_t size = strlen(text);
  if (row->choices != NULL) { /* as the table spells it */
    int which = lb__choice_find(row, row->choices, text);
    if (which < 0) return refuse(row, value, err);
    size = lb__choice_at(&choice, row->choices, (size_t)which);
  }
  *out = lb__arena_strndup(&r->arena, choice, size);
  return *out != NULL ? LB_OK : lb__fail_nomem(err, row->key.path);
}

/* A list, or one value as a list of one. */
static size_t count_items(const lb__yaml_node **first, const lb__yaml_node *value) {
  *first = value->kind == LB__YAML_LIST ? value->first : value;
  if (value->kind != LB__YAML_LIST) return 1;
  size_t n = 0;
  for (const lb__yaml_node *item = value->first; item != NULL; item = item->next) n++;
  return n;
}

static lb_status read_texts(lb__text_list *out, lb_recipe *r, const lb__recipe_row *row,
                            const lb__yaml_node *value, lb_error *err) {
  const lb__yaml_node *item;
  size_t n = count_items(&item, value);
  const char **items = lb__arena_new(&r->arena, n, sizeof *items);
  if (items == NULL) return lb__fail_nomem(err, row->key.path);
  for (size_t i = 0; i < n; i++, item = item->next) {
    lb_status st = read_text(&items[i], r, row, item, err);
    if (st != LB_OK) return st;
  }
  *out = (lb__text_list){items, n};
  return LB_OK;
}

static lb_status read_integers(lb__int_list *out, lb_recipe *r, const lb__recipe_row *row,
                               const lb__yaml_node *value, lb_error *err) {
  const lb__yaml_node *item;
  size_t n = count_items(&item, value);
  int64_t *items = lb__arena_new(&r->arena, n, sizeof *items);
  if (items == NULL) return lb__fail_nomem(err, row->key.path);
  for (size_t i = 0; i < n; i++, item = item->next)
    if (item->kind != LB__YAML_SCALAR || item->quoted || !read_integer(&items[i], item->text))
      return refuse(row, item, err);
  *out = (lb__int_list){items, n};
  return LB_OK;
}

/* The kinds that are one word without quotes. */
static bool read_plain(void *field, const lb__recipe_row *row, const lb__yaml_node *value) {
  bool is_choice = row->kind == LB__RECIPE_CHOICE || row->kind == LB__RECIPE_SAVE_DTYPE;
  if (value->kind != LB__YAML_SCALAR || (value->quoted && !is_choice)) return false;
  double x;
  int64_t n;
  switch (row->kind) {
  case LB__RECIPE_NUMBER:
    if (!read_number(&x, value->text) || !is_in_range(x, row->key.range)) return false;
    *(double *)field = x;
    return true;
  case LB__RECIPE_INTEGER:
    if (!read_integer(&n, value->text) || !is_in_range((double)n, row->key.range)) return false;
    *(int64_t *)field = n;
    return true;
  case LB__RECIPE_BOOL: return read_bool(field, value->text);
  default: break;
  }
  int which = lb__choice_find(row, row->choices, value->text);
  if (which >= 0) *(int *)field = row->kind == LB__RECIPE_SAVE_DTYPE ? which - 1 : which;
  return which >= 0;
}

lb_status lb__recipe_set(lb_recipe *r, const lb__recipe_row *row, const lb__yaml_node *value,
                         lb_error *err) {
  void *field = lb__recipe_field(r, row);
  switch (row->kind) {
  case LB__RECIPE_TEXT: return read_text(field, r, row, value, err);
  case LB__RECIPE_TEXTS: return read_texts(field, r, row, value, err);
  case LB__RECIPE_INTEGERS: return read_integers(field, r, row, value, err);
  default: return read_plain(field, row, value) ? LB_OK : refuse(row, value, err);
  }
}

/* ---- given or not ---- */

static size_t size_of(lb__recipe_kind kind) {
  switch (kind) {
  case LB__RECIPE_NUMBER: return sizeof(double);
  case LB__RECIPE_INTEGER: return sizeof(int64_t);
  case LB__RECIPE_BOOL: return sizeof(bool);
  case LB__RECIPE_TEXT: return sizeof(const char *);
  case LB__RECIPE_CHOICE:
  case LB__RECIPE_SAVE_DTYPE: return sizeof(int);
  case LB__RECIPE_TEXTS: return sizeof(lb__text_list);
  case LB__RECIPE_INTEGERS: return sizeof(lb__int_list);
  }
  return 0;
}

bool lb__recipe_is_given(const lb_recipe *r, const lb__recipe_row *row) {
  const unsigned char *field = (const unsigned char *)r + row->offset;
  for (size_t i = 0; i < size_of(row->kind); i++)
    if (field[i] != 0) return true;
  return false;
}

bool lb__recipe_has_below(const lb_recipe *r, const char *section) {
  const lb__recipe_row *row;
  for (size_t i = 0; (row = lb__recipe_row_at(i)) != NULL; i++)
    if (lb__recipe_is_below(row, section) && lb__recipe_is_given(r, row)) return true;
  return false;
}

void lb__recipe_unset(lb_recipe *r, const lb__recipe_row *row) {
  memset(lb__recipe_field(r, row), 0, size_of(row->kind));
}

/* ---- writing ---- */

static void write_number(lb__buf *out, double x) {
  char text[LB__REAL_TEXT_SIZE];
  lb__real_text(text, x);
  for (char *c = text; *c != '\0'; c++)
    if (strchr("0123456789+-e", *c) == NULL) *c = '.'; /* whatever the locale's point is */
  lb__buf_add_text(out, text);
}

/* Words that YAML, or we, would take for something else than text. */
static bool is_plain(const char *text) {
  static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-";
  bool truth;
  lb__yaml_node as_value = {.kind = LB__YAML_SCALAR, .text = text};
  return text[strspn(text, safe)] == '\0' && text[0] != '-' && text[0] != '.' && !is_number(text) &&
         !read_bool(&truth, text) && !lb__recipe_is_null(&as_value);
}

/* YAML refuses these as they are (YAML 1.2, 5.1), or would fold them. */
static bool needs_escape(uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029 || c == 0xFEFF ||
         c == 0xFFFE || c == 0xFFFF;
}

static void write_text(lb__buf *out, const char *text) {
  size_t size = strlen(text);
  uint32_t c;
  if (is_plain(text)) {
    lb__buf_add_text(out, text);
    return;
  }
  lb__buf_add_char(out, '"');
  for (size_t at = 0; at < size;) {
    int n = lb__utf8_decode(&c, text + at, size - at); /* never 0: libyaml and recipe.c checked */
    if (n == 0) break;
    if (c == '"' || c == '\\')
      lb__buf_printf(out, "\\%c", (int)c);
    else if (needs_escape(c))
      lb__buf_printf(out, "\\u%04x", (unsigned)c);
    else
      lb__buf_add(out, text + at, (size_t)n);
    at += (size_t)n;
  }
  lb__buf_add_char(out, '"');
}

static void write_texts(lb__buf *out, const lb__text_list *list) {
  lb__buf_add_char(out, '[');
  for (size_t i = 0; i < list->n; i++) {
    if (i > 0) lb__buf_add_text(out, ", ");
    write_text(out, list->items[i]);
  }
  lb__buf_add_char(out, ']');
}

static void write_integers(lb__buf *out, const lb__int_list *list) {
  lb__buf_add_char(out, '[');
  for (size_t i = 0; i < list->n; i++)
    lb__buf_printf(out, "%s%lld", i > 0 ? ", " : "", (long long)list->items[i]);
  lb__buf_add_char(out, ']');
}

void lb__recipe_write(lb__buf *out, lb_recipe *r, const lb__recipe_row *row) {
  const void *field = lb__recipe_field(r, row);
  const char *choice, *text;
  size_t size;
  int which;
  bool is_number = row->kind == LB__RECIPE_NUMBER || row->kind == LB__RECIPE_INTEGER;
  if (is_number && row->key.fallback == NULL && !lb__recipe_is_given(r, row)) {
    lb__buf_add_text(out, "null");
    return;
  }
  switch (row->kind) {
  case LB__RECIPE_NUMBER: write_number(out, *(const double *)field); break;
  case LB__RECIPE_INTEGER: lb__buf_printf(out, "%lld", (long long)*(const int64_t *)field); break;
  case LB__RECIPE_BOOL: lb__buf_add_text(out, *(const bool *)field ? "true" : "false"); break;
  case LB__RECIPE_TEXTS: write_texts(out, field); break;
  case LB__RECIPE_INTEGERS: write_integers(out, field); break;
  case LB__RECIPE_TEXT:
    text = *(const char *const *)field;
    if (text == NULL)
      lb__buf_add_text(out, "null");
    else
      write_text(out, text);
    break;
  case LB__RECIPE_CHOICE:
  case LB__RECIPE_SAVE_DTYPE:
    which = *(const int *)field + (row->kind == LB__RECIPE_SAVE_DTYPE);
    size = lb__choice_at(&choice, row->choices, (size_t)which);
    lb__buf_add(out, choice, size);
    break;
  }
}

/* jinja_methods.c - the methods of str, dict, list and loop. A row without a function is a method
 * that Python has and templates may not or need not use: the error then says so.
 * Read first: jinja_builtin.h. */
#include "jinja_eval.h"
#include "jinja_filters.h"
#include "jinja_string.h"

#include <utf8proc.h>

#define METHOD(name)                                                                               \
  static lb__jval name(lb__jrun *r, lb__jval v, const lb__jval *a, const lb__jargs *raw)

static const lb__jstr *str_or_null(lb__jrun *r, lb__jval v, const char *what) {
  return !lb__jgiven(v) || v.kind == LB__J_NONE ? NULL : lb__jarg_str(r, v, what);
}

/* ---- str: cutting ---- */

METHOD(s_strip) {
  (void)raw;
  return lb__jstr_strip(r, v.s, str_or_null(r, a[0], "strip"), LB__JSTRIP_BOTH);
}
METHOD(s_lstrip) {
  (void)raw;
  return lb__jstr_strip(r, v.s, str_or_null(r, a[0], "lstrip"), LB__JSTRIP_LEFT);
}
METHOD(s_rstrip) {
  (void)raw;
  return lb__jstr_strip(r, v.s, str_or_null(r, a[0], "rstrip"), LB__JSTRIP_RIGHT);
}
METHOD(s_split) {
  (void)raw;
  return lb__jstr_split(r, v.s, str_or_null(r, a[0], "split"), lb__jarg_int(r, a[1], -1, "split"));
}
METHOD(s_rsplit) {
  (void)raw;
  return lb__jstr_rsplit(r, v.s, str_or_null(r, a[0], "rsplit"),
                         lb__jarg_int(r, a[1], -1, "rsplit"));
}
METHOD(s_splitlines) {
  (void)raw;
  return lb__jstr_splitlines(r, v.s, lb__jgiven(a[0]) && lb__jtruth(a[0]));
}
METHOD(s_replace) {
  (void)raw;
  return lb__jstr_replace(r, v.s, lb__jarg_str(r, a[0], "replace"),
                          lb__jarg_str(r, a[1], "replace"), lb__jarg_int(r, a[2], -1, "replace"));
}
METHOD(s_removeprefix) {
  (void)raw;
  const lb__jstr *p = lb__jarg_str(r, a[0], "removeprefix");
  bool has = p->size <= v.s->size && memcmp(v.s->bytes, p->bytes, p->size) == 0;
  return has ? lb__jstr_slice(r, v.s, p->size, v.s->size) : v;
}
METHOD(s_removesuffix) {
  (void)raw;
  const lb__jstr *p = lb__jarg_str(r, a[0], "removesuffix");
  bool has = p->size <= v.s->size && p->size > 0 &&
             memcmp(v.s->bytes + v.s->size - p->size, p->bytes, p->size) == 0;
  return has ? lb__jstr_slice(r, v.s, 0, v.s->size - p->size) : v;
}

static lb__jval parts(lb__jrun *r, const lb__jstr *s, const lb__jstr *separator, bool last) {
  lb__jval tuple = lb__jnew_list(r, LB__J_TUPLE, 3);
  if (separator->size == 0) return lb__jfail(r, LB_E_ARG, "empty separator");
  size_t at = last ? lb__jstr_rfind(r, s, separator, 0, s->size)
                   : lb__jstr_find(r, s, separator, 0, s->size);
  if (tuple.kind != LB__J_LIST) return tuple;
  bool found = at != SIZE_MAX;
  size_t cut = found ? at : last ? 0 : s->size, end = found ? at + separator->size : cut;
  lb__jlist_add(r, tuple.list, lb__jstr_slice(r, s, 0, cut));
  lb__jlist_add(r, tuple.list, lb__jstr_slice(r, s, cut, end));
  lb__jlist_add(r, tuple.list, lb__jstr_slice(r, s, end, s->size));
  return tuple;
}
METHOD(s_partition) {
  (void)raw;
  return parts(r, v.s, lb__jarg_str(r, a[0], "partition"), false);
}
METHOD(s_rpartition) {
  (void)raw;
  return parts(r, v.s, lb__jarg_str(r, a[0], "rpartition"), true);
}

/* ---- str: searching ---- */

/* The byte range of the optional start and end arguments; false when start lies behind the end. */
static bool search_range(lb__jrun *r, const lb__jstr *s, const lb__jval *a, size_t *begin,
                         size_t *end) {
  int64_t n = (int64_t)s->n_chars, from = lb__jarg_int(r, a[1], 0, "start"),
          to = lb__jarg_int(r, a[2], n, "end");
  if (from < 0) from = from + n < 0 ? 0 : from + n;
  if (to < 0) to = to + n < 0 ? 0 : to + n;
  if (to > n) to = n;
  if (s->n_chars != s->size) lb__jcharge(r, s->size / 16);
  *begin = lb__jstr_offset(s, (size_t)from);
  *end = lb__jstr_offset(s, (size_t)to);
  return from <= to;
}

static bool has_affix(const lb__jstr *s, lb__jval affix, size_t begin, size_t end, bool at_end) {
  size_t n = affix.s->size;
  if (end - begin < n) return false;
  return memcmp(s->bytes + (at_end ? end - n : begin), affix.s->bytes, n) == 0;
}

static lb__jval affix_test(lb__jrun *r, lb__jval v, const lb__jval *a, bool at_end) {
  size_t begin, end;
  if (!lb__jcharge(r, v.s->size / 16) || !search_range(r, v.s, a, &begin, &end))
    return lb__jbool(false);
  if (!lb__jis_list(a[0], LB__J_TUPLE)) {
    lb__jarg_str(r, a[0], at_end ? "endswith" : "startswith");
    return r->status != LB_OK ? lb__jundefined(NULL)
                              : lb__jbool(has_affix(v.s, a[0], begin, end, at_end));
  }
  for (size_t i = 0; i < a[0].list->n && lb__jcharge(r, 1 + v.s->size / 16); i++) {
    lb__jarg_str(r, a[0].list->values[i], "affix");
    if (r->status == LB_OK && has_affix(v.s, a[0].list->values[i], begin, end, at_end))
      return lb__jbool(true);
  }
  return lb__jbool(false);
}
METHOD(s_startswith) {
  (void)raw;
  return affix_test(r, v, a, false);
}
METHOD(s_endswith) {
  (void)raw;
  return affix_test(r, v, a, true);
}

static lb__jval find(lb__jrun *r, lb__jval v, const lb__jval *a, bool last, bool must) {
  size_t begin, end, at = SIZE_MAX;
  const lb__jstr *what = lb__jarg_str(r, a[0], "find");
  if (search_range(r, v.s, a, &begin, &end))
    at = last ? lb__jstr_rfind(r, v.s, what, begin, end) : lb__jstr_find(r, v.s, what, begin, end);
  if (at == SIZE_MAX) return must ? lb__jfail(r, LB_E_ARG, "substring not found") : lb__jint(-1);
  lb__jval before = lb__jstr_slice(r, v.s, 0, at);
  return lb__jint((int64_t)before.s->n_chars);
}
METHOD(s_find) {
  (void)raw;
  return find(r, v, a, false, false);
}
METHOD(s_rfind) {
  (void)raw;
  return find(r, v, a, true, false);
}
METHOD(s_index) {
  (void)raw;
  return find(r, v, a, false, true);
}
METHOD(s_rindex) {
  (void)raw;
  return find(r, v, a, true, true);
}
METHOD(s_count) {
  (void)raw;
  size_t at, end;
  int64_t n = 0;
  const lb__jstr *what = lb__jarg_str(r, a[0], "count");
  if (!search_range(r, v.s, a, &at, &end)) return lb__jint(0);
  if (what->size == 0) return lb__jint((int64_t)lb__jstr_slice(r, v.s, at, end).s->n_chars + 1);
  while ((at = lb__jstr_find(r, v.s, what, at, end)) != SIZE_MAX) {
    at += what->size;
    n++;
  }
  return lb__jint(n);
}

/* ---- str: making ---- */

METHOD(s_join) {
  (void)raw;
  return lb__jstr_join(r, v.s, lb__jiterate(r, a[0]), true);
}
METHOD(s_format) {
  (void)a;
  return lb__jbrace_format(r, v.s, raw);
}
METHOD(s_upper) {
  (void)a, (void)raw;
  return lb__jstr_case(r, v.s, LB__JCASE_UPPER);
}
METHOD(s_lower) {
  (void)a, (void)raw;
  return lb__jstr_case(r, v.s, LB__JCASE_LOWER);
}
METHOD(s_capitalize) {
  (void)a, (void)raw;
  return lb__jstr_case(r, v.s, LB__JCASE_CAPITALIZE);
}
METHOD(s_title) {
  (void)a, (void)raw;
  return lb__jstr_case(r, v.s, LB__JCASE_TITLE);
}
METHOD(s_swapcase) {
  (void)a, (void)raw;
  return lb__jstr_case(r, v.s, LB__JCASE_SWAP);
}

lb__jval lb__jpad(lb__jrun *r, const lb__jstr *s, int64_t width, lb__jval fill, int side) {
  static const lb__jstr space = {.bytes = " ", .size = 1, .n_chars = 1};
  const lb__jstr *with = lb__jgiven(fill) ? lb__jarg_str(r, fill, "fill character") : &space;
  int64_t n = (int64_t)s->n_chars, pad = width > n ? width - n : 0;
  int64_t left = side < 0 ? 0 : side > 0 ? pad : pad / 2 + (pad & width & 1);
  lb__jout out = {0};
  if (with->n_chars != 1) return lb__jfail(r, LB_E_ARG, "the fill must be one character");
  for (int64_t i = 0; i < left && lb__jcharge(r, 1); i++)
    lb__jout_str(r, &out, with, 0, with->size);
  lb__jout_str(r, &out, s, 0, s->size);
  for (int64_t i = left; i < pad && lb__jcharge(r, 1); i++)
    lb__jout_str(r, &out, with, 0, with->size);
  return lb__jout_take(r, &out);
}
METHOD(s_ljust) {
  (void)raw;
  return lb__jpad(r, v.s, lb__jarg_int(r, a[0], 0, "width"), a[1], -1);
}
METHOD(s_rjust) {
  (void)raw;
  return lb__jpad(r, v.s, lb__jarg_int(r, a[0], 0, "width"), a[1], 1);
}
METHOD(s_center) {
  (void)raw;
  return lb__jpad(r, v.s, lb__jarg_int(r, a[0], 0, "width"), a[1], 0);
}
METHOD(s_zfill) {
  (void)raw;
  bool sign = v.s->size > 0 && (v.s->bytes[0] == '-' || v.s->bytes[0] == '+');
  int64_t width = lb__jarg_int(r, a[0], 0, "width");
  lb__jval rest = lb__jstr_slice(r, v.s, sign, v.s->size);
  lb__jval padded = lb__jpad(r, rest.s, width - sign, lb__jtext(r, "0"), 1);
  if (!sign || padded.kind != LB__J_STRING) return padded;
  return lb__jstr_concat(r, lb__jstr_slice(r, v.s, 0, 1).s, padded.s);
}

/* ---- str: kinds of characters ---- */

static bool is_letter(uint32_t c) {
  utf8proc_category_t k = utf8proc_category((int32_t)c);
  return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}
static bool is_decimal(uint32_t c) {
  return utf8proc_category((int32_t)c) == UTF8PROC_CATEGORY_ND;
}
/* Decimals, and the superscripts, subscripts and circled digits that Python counts as digits. */
static bool is_digit(uint32_t c) {
  static const uint32_t ranges[][2] = {
      {0xB2, 0xB3},     {0xB9, 0xB9},     {0x1369, 0x1371}, {0x19DA, 0x19DA},
      {0x2070, 0x2070}, {0x2074, 0x2079}, {0x2080, 0x2089}, {0x2460, 0x2468},
      {0x2474, 0x247C}, {0x2488, 0x2490}, {0x24EA, 0x24EA}, {0x24F5, 0x24FD},
      {0x24FF, 0x24FF}, {0x2776, 0x277E}, {0x2780, 0x2788}, {0x278A, 0x2792}};
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
    if (c >= ranges[i][0] && c <= ranges[i][1]) return true;
  return is_decimal(c);
}
static bool is_alnum(uint32_t c) {
  return is_letter(c) || is_digit(c);
}
static bool is_ascii(uint32_t c) {
  return c < 128;
}

static lb__jval every(lb__jrun *r, const lb__jstr *s, bool (*holds)(uint32_t), bool of_empty) {
  for (size_t at = 0; at < s->size && lb__jcharge(r, 1); at = lb__jstr_next(s, at))
    if (!holds(lb__jstr_char(s, at))) return lb__jbool(false);
  return lb__jbool(s->size > 0 || of_empty);
}
#define KIND(name, holds, of_empty)                                                                \
  METHOD(name) {                                                                                   \
    (void)a, (void)raw;                                                                            \
    return every(r, v.s, holds, of_empty);                                                         \
  }
KIND(s_isalpha, is_letter, false)
KIND(s_isdecimal, is_decimal, false)
KIND(s_isdigit, is_digit, false)
KIND(s_isalnum, is_alnum, false)
KIND(s_isspace, lb__jis_space, false)
KIND(s_isascii, is_ascii, true)

static lb__jval by_test(lb__jrun *r, lb__jval v, const char *name, const lb__jargs *raw) {
  return lb__jbuiltin_find(lb__jtests, name)->fn(r, v, NULL, raw);
}
METHOD(s_islower) {
  (void)a;
  return by_test(r, v, "lower", raw);
}
METHOD(s_isupper) {
  (void)a;
  return by_test(r, v, "upper", raw);
}

const lb__jbuiltin lb__jstr_methods[] = {
    {"strip", s_strip, "chars", 0},
    {"lstrip", s_lstrip, "chars", 0},
    {"rstrip", s_rstrip, "chars", 0},
    {"split", s_split, "sep,maxsplit", 0},
    {"rsplit", s_rsplit, "sep,maxsplit", 0},
    {"splitlines", s_splitlines, "keepends", 0},
    {"startswith", s_startswith, "prefix,start,end", 1},
    {"endswith", s_endswith, "suffix,start,end", 1},
    {"replace", s_replace, "old,new,count", 2},
    {"upper", s_upper, "", 0},
    {"lower", s_lower, "", 0},
    {"casefold", s_lower, "", 0},
    {"capitalize", s_capitalize, "", 0},
    {"title", s_title, "", 0},
    {"swapcase", s_swapcase, "", 0},
    {"find", s_find, "sub,start,end", 1},
    {"rfind", s_rfind, "sub,start,end", 1},
    {"index", s_index, "sub,start,end", 1},
    {"rindex", s_rindex, "sub,start,end", 1},
    {"count", s_count, "sub,start,end", 1},
    {"join", s_join, "iterable", 1},
    {"format", s_format, "*", 0},
    {"removeprefix", s_removeprefix, "prefix", 1},
    {"removesuffix", s_removesuffix, "suffix", 1},
    {"partition", s_partition, "sep", 1},
    {"rpartition", s_rpartition, "sep", 1},
    {"ljust", s_ljust, "width,fillchar", 1},
    {"rjust", s_rjust, "width,fillchar", 1},
    {"center", s_center, "width,fillchar", 1},
    {"zfill", s_zfill, "width", 1},
    {"isalpha", s_isalpha, "", 0},
    {"isdigit", s_isdigit, "", 0},
    {"isdecimal", s_isdecimal, "", 0},
    {"isalnum", s_isalnum, "", 0},
    {"isspace", s_isspace, "", 0},
    {"isascii", s_isascii, "", 0},
    {"islower", s_islower, "", 0},
    {"isupper", s_isupper, "", 0},
    {"encode", NULL, "", 0},
    {"expandtabs", NULL, "", 0},
    {"format_map", NULL, "", 0},
    {"isidentifier", NULL, "", 0},
    {"isnumeric", NULL, "", 0},
    {"isprintable", NULL, "", 0},
    {"istitle", NULL, "", 0},
    {"maketrans", NULL, "", 0},
    {"translate", NULL, "", 0},
    {0},
};

/* ---- dict ---- */

METHOD(d_items) {
  (void)a, (void)raw;
  return lb__jdict_list(r, v.dict, LB__J_ITEMS);
}
METHOD(d_keys) {
  (void)a, (void)raw;
  return lb__jdict_list(r, v.dict, LB__J_KEYS);
}
METHOD(d_values) {
  (void)a, (void)raw;
  return lb__jdict_list(r, v.dict, LB__J_VALUES);
}
METHOD(d_get) {
  (void)raw;
  uint64_t hash;
  if (a[0].kind == LB__J_STRING) lb__jcharge(r, a[0].s->size / 16);
  if (!lb__jhash(a[0], &hash))
    return lb__jfail(r, LB_E_ARG, "unhashable type: '%s'", lb__jtype_name(a[0]));
  const lb__jval *value = lb__jdict_get(v.dict, a[0]);
  if (value != NULL) return *value;
  return lb__jgiven(a[1]) ? a[1] : lb__jnone();
}
METHOD(d_copy) {
  (void)a, (void)raw;
  lb__jval copy = lb__jnew_dict(r);
  for (size_t i = 0; i < v.dict->n && copy.kind == LB__J_DICT; i++)
    if (!lb__jdict_put(r, copy.dict, v.dict->pairs[i].key, v.dict->pairs[i].value)) break;
  return copy;
}

const lb__jbuiltin lb__jdict_methods[] = {
    {"items", d_items, "", 0},   {"keys", d_keys, "", 0},
    {"values", d_values, "", 0}, {"get", d_get, "key,default", 1},
    {"copy", d_copy, "", 0},     {"clear", NULL, "", 0},
    {"pop", NULL, "", 0},        {"popitem", NULL, "", 0},
    {"setdefault", NULL, "", 0}, {"update", NULL, "", 0},
    {"fromkeys", NULL, "", 0},   {0},
};

/* ---- list, tuple, range ---- */

METHOD(l_index) {
  (void)raw;
  for (size_t i = 0; i < v.list->n; i++)
    if (lb__jequal(r, v.list->values[i], a[0])) return lb__jint((int64_t)i);
  return lb__jfail(r, LB_E_ARG, "the value is not in the list");
}
METHOD(l_count) {
  (void)raw;
  int64_t n = 0;
  for (size_t i = 0; i < v.list->n; i++) n += lb__jequal(r, v.list->values[i], a[0]);
  return lb__jint(n);
}
METHOD(l_copy) {
  (void)a;
  return lb__jfilter_list(r, v, NULL, raw);
}

const lb__jbuiltin lb__jlist_methods[] = {
    {"index", l_index, "value", 1}, {"count", l_count, "value", 1}, {"copy", l_copy, "", 0},
    {"append", NULL, "", 0},        {"extend", NULL, "", 0},        {"insert", NULL, "", 0},
    {"pop", NULL, "", 0},           {"remove", NULL, "", 0},        {"clear", NULL, "", 0},
    {"reverse", NULL, "", 0},       {"sort", NULL, "", 0},          {0},
};

/* ---- loop ---- */

METHOD(loop_cycle) {
  (void)a;
  if (raw->n == 0) return lb__jfail(r, LB_E_ARG, "no items for cycling given");
  return raw->values[v.loop->index % raw->n];
}
METHOD(loop_changed) {
  (void)a;
  lb__jval now = lb__jnew_list(r, LB__J_TUPLE, raw->n);
  for (size_t i = 0; i < raw->n && now.kind == LB__J_LIST; i++)
    lb__jlist_add(r, now.list, raw->values[i]);
  bool same = lb__jgiven(v.loop->changed) && lb__jequal(r, v.loop->changed, now);
  v.loop->changed = now;
  return lb__jbool(!same);
}

const lb__jbuiltin lb__jloop_methods[] = {
    {"cycle", loop_cycle, "*", 0}, {"changed", loop_changed, "*", 0}, {0}};

/* normalize.c - see normalize.h. */
#include "normalize.h"

#include "base/fail.h"
#include "base/utf8.h"
#include "byte_alphabet.h"
#include "normal_form.h"

struct lb__normalizer {
  enum { FORM, LOWERCASE, STRIP, STRIP_ACCENTS, REPLACE, PREPEND, PRECOMPILED, BYTE_LEVEL } kind;
  lb__normal_form form;
  bool strip_left, strip_right;
  lb__pattern pattern;
  char *content; /* REPLACE, PREPEND */
  size_t content_size;
  lb__charsmap charsmap;
};

#define KNOWN "NFC NFD NFKC NFKD Lowercase Strip StripAccents Replace Prepend Precompiled ByteLevel"

/* ---- configuration ---- */

static lb_status set_content(lb__normalizer *n, const json_t *part, const char *key,
                             const char *path, lb_error *err) {
  const char *text;
  lb_status st = lb__config_string(&text, &n->content_size, part, key, path, err);
  if (st != LB_OK) return st;
  n->content = lb__strndup(text, n->content_size);
  return n->content != NULL ? LB_OK : lb__fail_nomem(err, path);
}

static lb_status compile_one(lb__normalizer *n, const char *type, const json_t *part,
                             const char *path, lb_error *err) {
  lb_status st;
  static const char *const forms[] = {"NFD", "NFC", "NFKD", "NFKC"};
  for (int i = 0; i < 4; i++) {
    if (strcmp(type, forms[i]) != 0) continue;
    n->kind = FORM;
    n->form = (lb__normal_form){.compose = i % 2 == 1, .compatible = i >= 2};
    return LB_OK;
  }
  if (strcmp(type, "Lowercase") == 0)
    n->kind = LOWERCASE;
  else if (strcmp(type, "StripAccents") == 0)
    n->kind = STRIP_ACCENTS;
  else if (strcmp(type, "ByteLevel") == 0)
    n->kind = BYTE_LEVEL;
  else if (strcmp(type, "Strip") == 0) {
    n->kind = STRIP;
    n->strip_left = n->strip_right = true;
    st = lb__json_get_bool(&n->strip_left, part, "strip_left", false, path, err);
    return st != LB_OK ? st
                       : lb__json_get_bool(&n->strip_right, part, "strip_right", false, path, err);
  } else if (strcmp(type, "Replace") == 0) {
    n->kind = REPLACE;
    st = lb__config_pattern(&n->pattern, part, "pattern", path, err);
    return st != LB_OK ? st : set_content(n, part, "content", path, err);
  } else if (strcmp(type, "Prepend") == 0) {
    n->kind = PREPEND;
    return set_content(n, part, "prepend", path, err);
  } else if (strcmp(type, "Precompiled") == 0) {
    n->kind = PRECOMPILED;
    const char *map;
    size_t size;
    st = lb__config_string(&map, &size, part, "precompiled_charsmap", path, err);
    return st != LB_OK ? st : lb__charsmap_init(&n->charsmap, map, size, path, err);
  } else {
    return lb__config_unknown("normalizer", type, KNOWN, path, err);
  }
  return LB_OK;
}

static lb_status compile_leaf(void *ctx, const char *type, const json_t *part, const char *path,
                              lb_error *err) {
  lb__normalizers *list = ctx;
  if (!lb__grow(&list->items, &list->capacity, list->n + 1, sizeof *list->items))
    return lb__fail_nomem(err, path);
  lb__normalizer *n = &list->items[list->n++];
  memset(n, 0, sizeof *n);
  return compile_one(n, type, part, path, err);
}

lb_status lb__normalizers_compile(lb__normalizers *out, const json_t *part, lb_error *err) {
  return lb__config_each(part, "normalizers", "normalizer", compile_leaf, out, err);
}

bool lb__normalizers_end_in_marks(const lb__normalizers *list) {
  const lb__normalizer *last = list->n > 0 ? &list->items[list->n - 1] : NULL;
  return last != NULL && last->kind == REPLACE && lb__pattern_is_space(&last->pattern) &&
         last->content_size == 3 && memcmp(last->content, "\xE2\x96\x81", 3) == 0;
}

void lb__normalizers_drop_last(lb__normalizers *list) {
  lb__normalizer *last = &list->items[--list->n];
  lb__pattern_deinit(&last->pattern);
  lb__free(last->content);
  lb__charsmap_deinit(&last->charsmap);
}

void lb__normalizers_deinit(lb__normalizers *list) {
  while (list->n > 0) lb__normalizers_drop_last(list);
  lb__free(list->items);
  *list = (lb__normalizers){0};
}

/* ---- a text and its two buffers ---- */

void lb__rewriting_init(lb__rewriting *r) {
  *r = (lb__rewriting){0};
  lb__buf_init(&r->buffers[0], LB__TEXT_MAX);
  lb__buf_init(&r->buffers[1], LB__TEXT_MAX);
}

void lb__rewriting_deinit(lb__rewriting *r) {
  lb__buf_deinit(&r->buffers[0]);
  lb__buf_deinit(&r->buffers[1]);
}

void lb__rewriting_begin(lb__rewriting *r, const char *text, size_t size, bool at_origin) {
  r->text = text;
  r->size = size;
  r->at_origin = at_origin;
}

lb__buf *lb__rewriting_buffer(lb__rewriting *r) {
  lb__buf *b = &r->buffers[r->current];
  lb__buf_clear(b);
  return b;
}

lb_status lb__rewriting_done(lb__rewriting *r, lb_error *err) {
  lb__buf *b = &r->buffers[r->current];
  lb_status st = lb__buf_check(b, "text inside the tokenizer", err);
  r->text = lb__buf_text(b);
  r->size = b->size;
  r->current = !r->current;
  return st;
}

/* ---- the steps ---- */

static void lowercase(lb__buf *out, const char *text, size_t size) {
  const unsigned char *p = (const unsigned char *)text, *end = p + size;
  while (p < end) {
    uint32_t lower[2];
    int n = lb__unicode_lower(lower, lb__utf8_next(&p));
    for (int i = 0; i < n; i++) {
      char bytes[4];
      lb__buf_add(out, bytes, (size_t)lb__utf8_encode(bytes, lower[i]));
    }
  }
}

static void strip(lb__rewriting *r, const lb__normalizer *n) {
  size_t left = n->strip_left ? lb__space_prefix(r->text, r->size) : 0;
  r->text += left;
  r->size -= left;
  if (left > 0) r->at_origin = false;
  if (n->strip_right) r->size -= lb__space_suffix(r->text, r->size);
}

static void strip_accents(lb__rewriting *r, lb__buf *out) {
  const lb__unicode_table *t = lb__unicode();
  const unsigned char *p = (const unsigned char *)r->text, *begin = p, *end = p + r->size;
  while (p < end) {
    const unsigned char *at = p;
    bool accent = (lb__unicode_class(t, lb__utf8_next(&p)) & LB__UC_ACCENT) != 0;
    if (!accent)
      lb__buf_add(out, at, (size_t)(p - at));
    else if (at == begin)
      r->at_origin = false;
  }
}

static lb_status replace(lb__rewriting *r, const lb__normalizer *n, lb_error *err) {
  lb__matches m = {.pattern = &n->pattern, .text = r->text, .size = r->size};
  lb__buf *out = NULL;
  size_t previous = 0, start, end;
  bool found;
  for (;;) {
    lb_status st = lb__matches_next(&m, &found, &start, &end, err);
    if (st != LB_OK) return st;
    if (!found) break;
    if (out == NULL) out = lb__rewriting_buffer(r);
    lb__buf_add(out, r->text + previous, start - previous);
    lb__buf_add(out, n->content, n->content_size);
    if (start == 0 && end > 0 && n->content_size == 0) r->at_origin = false;
    previous = end;
  }
  if (out == NULL) return LB_OK; /* the common case costs no copy */
  lb__buf_add(out, r->text + previous, r->size - previous);
  return lb__rewriting_done(r, err);
}

static lb_status normal_form(lb__rewriting *r, lb__normal_form form, lb_error *err) {
  size_t same = lb__normal_form_prefix(r->text, r->size, form);
  if (same == r->size) return LB_OK;
  lb__buf *out = lb__rewriting_buffer(r);
  lb__buf_add(out, r->text, same);
  lb_status st = lb__normal_form_apply(out, r->text + same, r->size - same, form, err);
  return st != LB_OK ? st : lb__rewriting_done(r, err);
}

static void byte_level(lb__buf *out, const char *text, size_t size) {
  for (size_t i = 0; i < size; i++) {
    char bytes[2];
    lb__buf_add(out, bytes, lb__bytes_to_alphabet(bytes, text + i, 1));
  }
}

static lb_status run_step(lb__rewriting *r, const lb__normalizer *n, lb_error *err) {
  switch (n->kind) {
  case FORM: return normal_form(r, n->form, err);
  case STRIP: strip(r, n); return LB_OK;
  case REPLACE: return replace(r, n, err);
  case PREPEND:
    if (r->size == 0) return LB_OK;
    break;
  default: break;
  }
  lb__buf *out = lb__rewriting_buffer(r);
  switch (n->kind) {
  case LOWERCASE: lowercase(out, r->text, r->size); break;
  case STRIP_ACCENTS: strip_accents(r, out); break;
  case PRECOMPILED: lb__charsmap_apply(&n->charsmap, out, r->text, r->size); break;
  case BYTE_LEVEL: byte_level(out, r->text, r->size); break;
  default: /* PREPEND */
    lb__buf_add(out, n->content, n->content_size);
    lb__buf_add(out, r->text, r->size);
  }
  return lb__rewriting_done(r, err);
}

lb_status lb__normalize(lb__rewriting *r, const lb__normalizers *list, lb_error *err) {
  lb_status st = LB_OK;
  for (size_t i = 0; i < list->n && st == LB_OK; i++) st = run_step(r, &list->items[i], err);
  return st;
}

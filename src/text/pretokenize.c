/* pretokenize.c - see pretokenize.h. */
#include "pretokenize.h"

#include "base/fail.h"
#include "byte_alphabet.h"

struct lb__pretokenizer {
  enum { SPLIT, BYTE_LEVEL, METASPACE } kind;
  lb__pattern pattern; /* SPLIT; METASPACE: its replacement */
  lb__split_behavior behavior;
  bool invert;
  bool add_prefix_space, use_regex;      /* BYTE_LEVEL */
  enum { ALWAYS, FIRST, NEVER } prepend; /* METASPACE */
  bool split;
};

#define KNOWN                                                                                      \
  "Split ByteLevel Digits Metaspace Whitespace WhitespaceSplit Punctuation CharDelimiterSplit "    \
  "BertPreTokenizer"

/* ---- configuration ---- */

static lb__pretokenizer *add_step(lb__pretokenizers *list) {
  if (!lb__grow(&list->items, &list->capacity, list->n + 1, sizeof *list->items)) return NULL;
  lb__pretokenizer *step = &list->items[list->n++];
  memset(step, 0, sizeof *step);
  return step;
}

static lb_status add_class_split(lb__pretokenizers *list, unsigned bits,
                                 lb__split_behavior behavior, lb_error *err) {
  lb__pretokenizer *step = add_step(list);
  if (step == NULL) return lb__fail_nomem(err, "pre_tokenizer");
  step->pattern = (lb__pattern){.kind = LB__PATTERN_CLASS, .class_bits = bits};
  step->behavior = behavior;
  return LB_OK;
}

static lb_status read_behavior(lb__split_behavior *out, const json_t *part, const char *path,
                               lb_error *err) {
  static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext",
                                      "Contiguous"};
  const char *name = NULL;
  lb_status st = lb__json_get_string(&name, part, "behavior", false, path, err);
  if (st != LB_OK || name == NULL) return st;
  for (int i = 0; i < 5; i++) {
    if (strcmp(name, names[i]) != 0) continue;
    *out = (lb__split_behavior)i;
    return LB_OK;
  }
  return lb__config_unknown(
      "behavior", name, "Removed Isolated MergedWithPrevious MergedWithNext Contiguous", path, err);
}

static lb_status add_split(lb__pretokenizers *list, const json_t *part, const char *path,
                           lb_error *err) {
  lb__pretokenizer *step = add_step(list);
  if (step == NULL) return lb__fail_nomem(err, path);
  lb_status st = lb__config_pattern(&step->pattern, part, "pattern", path, err);
  if (st == LB_OK) st = read_behavior(&step->behavior, part, path, err);
  return st != LB_OK ? st : lb__json_get_bool(&step->invert, part, "invert", false, path, err);
}

static lb_status add_byte_level(lb__pretokenizers *list, const json_t *part, const char *path,
                                lb_error *err) {
  lb__pretokenizer *step = add_step(list);
  if (step == NULL) return lb__fail_nomem(err, path);
  step->kind = BYTE_LEVEL;
  step->add_prefix_space = step->use_regex = true;
  lb_status st =
      lb__json_get_bool(&step->add_prefix_space, part, "add_prefix_space", false, path, err);
  return st != LB_OK ? st
                     : lb__json_get_bool(&step->use_regex, part, "use_regex", false, path, err);
}

static lb_status add_metaspace(lb__pretokenizers *list, const json_t *part, const char *path,
                               lb_error *err) {
  lb__pretokenizer *step = add_step(list);
  if (step == NULL) return lb__fail_nomem(err, path);
  step->kind = METASPACE;
  step->split = true;
  const char *text, *scheme = NULL;
  size_t size;
  bool add_prefix_space = true;
  lb_status st = lb__config_string(&text, &size, part, "replacement", path, err);
  if (st == LB_OK) st = lb__json_get_bool(&step->split, part, "split", false, path, err);
  if (st == LB_OK)
    st = lb__json_get_bool(&add_prefix_space, part, "add_prefix_space", false, path, err);
  if (st == LB_OK) st = lb__json_get_string(&scheme, part, "prepend_scheme", false, path, err);
  if (st != LB_OK) return st;
  if (size == 0 || lb__utf8_length((unsigned char)text[0]) != size)
    return lb__fail(err, LB_E_FORMAT, "%s.replacement: want one character, found '%.20s'", path,
                    text);
  step->prepend = add_prefix_space ? ALWAYS : NEVER;
  if (scheme != NULL) {
    if (strcmp(scheme, "always") == 0)
      step->prepend = ALWAYS;
    else if (strcmp(scheme, "first") == 0)
      step->prepend = FIRST;
    else if (strcmp(scheme, "never") == 0)
      step->prepend = NEVER;
    else
      return lb__config_unknown("prepend_scheme", scheme, "always first never", path, err);
  }
  step->behavior = LB__SPLIT_MERGED_WITH_NEXT;
  step->pattern.kind = LB__PATTERN_STRING;
  step->pattern.string = lb__strndup(text, size);
  step->pattern.string_size = size;
  return step->pattern.string != NULL ? LB_OK : lb__fail_nomem(err, path);
}

static lb_status add_delimiter(lb__pretokenizers *list, const json_t *part, const char *path,
                               lb_error *err) {
  const char *text;
  size_t size;
  lb_status st = lb__config_string(&text, &size, part, "delimiter", path, err);
  if (st != LB_OK) return st;
  lb__pretokenizer *step = add_step(list);
  if (step == NULL) return lb__fail_nomem(err, path);
  step->pattern = (lb__pattern){.string = lb__strndup(text, size), .string_size = size};
  return step->pattern.string != NULL ? LB_OK : lb__fail_nomem(err, path);
}

static lb_status compile_leaf(void *ctx, const char *type, const json_t *part, const char *path,
                              lb_error *err) {
  lb__pretokenizers *list = ctx;
  if (strcmp(type, "Split") == 0) return add_split(list, part, path, err);
  if (strcmp(type, "ByteLevel") == 0) return add_byte_level(list, part, path, err);
  if (strcmp(type, "Metaspace") == 0) return add_metaspace(list, part, path, err);
  if (strcmp(type, "CharDelimiterSplit") == 0) return add_delimiter(list, part, path, err);
  if (strcmp(type, "WhitespaceSplit") == 0)
    return add_class_split(list, LB__UC_SPACE, LB__SPLIT_REMOVED, err);
  if (strcmp(type, "Digits") == 0) {
    bool individual = false;
    lb_status st = lb__json_get_bool(&individual, part, "individual_digits", false, path, err);
    if (st != LB_OK) return st;
    return add_class_split(list, LB__UC_SPLIT_DIGIT,
                           individual ? LB__SPLIT_ISOLATED : LB__SPLIT_CONTIGUOUS, err);
  }
  if (strcmp(type, "Punctuation") == 0) {
    lb__split_behavior behavior = LB__SPLIT_ISOLATED;
    lb_status st = read_behavior(&behavior, part, path, err);
    return st != LB_OK ? st : add_class_split(list, LB__UC_SPLIT_PUNCTUATION, behavior, err);
  }
  if (strcmp(type, "Whitespace") == 0 || strcmp(type, "BertPreTokenizer") == 0) {
    /* Whitespace is \w+|[^\w\s]+, which is: drop the spaces, then cut where \w begins or ends. */
    bool bert = type[0] == 'B';
    lb_status st = add_class_split(list, LB__UC_SPACE, LB__SPLIT_REMOVED, err);
    if (st != LB_OK) return st;
    return add_class_split(list, bert ? LB__UC_SPLIT_PUNCTUATION : LB__UC_WORD,
                           bert ? LB__SPLIT_ISOLATED : LB__SPLIT_CONTIGUOUS, err);
  }
  return lb__config_unknown("pre-tokenizer", type, KNOWN, path, err);
}

lb_status lb__pretokenizers_compile(lb__pretokenizers *out, const json_t *part, lb_error *err) {
  return lb__config_each(part, "pretokenizers", "pre_tokenizer", compile_leaf, out, err);
}

void lb__pretokenizers_deinit(lb__pretokenizers *list) {
  for (size_t i = 0; i < list->n; i++) lb__pattern_deinit(&list->items[i].pattern);
  lb__free(list->items);
  *list = (lb__pretokenizers){0};
}

bool lb__pretokenizers_end_in_bytes(const lb__pretokenizers *list) {
  return list->n > 0 && list->items[list->n - 1].kind == BYTE_LEVEL;
}

bool lb__pretokenizers_need_spaces(const lb__pretokenizers *list) {
  for (size_t i = 0; i < list->n; i++) {
    const lb__pretokenizer *step = &list->items[i];
    if (step->kind != SPLIT || step->invert || !lb__pattern_is_space(&step->pattern)) return false;
  }
  return true;
}

/* ---- running ---- */

void lb__pieces_init(lb__pieces *p) {
  *p = (lb__pieces){0};
  lb__rewriting_init(&p->text);
}

void lb__pieces_deinit(lb__pieces *p) {
  lb__rewriting_deinit(&p->text);
  lb__free(p->spans.items);
  lb__free(p->next.items);
  lb__free(p->cuts.items);
}

static void take_next(lb__pieces *p) {
  lb__spans old = p->spans;
  /* A first piece that was cut away takes the beginning of the text with it. */
  if (p->next.n == 0 || old.n == 0 || p->next.items[0].start != old.items[0].start)
    p->text.at_origin = false;
  p->spans = p->next;
  p->next = old;
}

static lb_status split_pieces(lb__pieces *p, const lb__pattern *pattern,
                              lb__split_behavior behavior, bool invert, lb_error *err) {
  p->next.n = 0;
  for (size_t i = 0; i < p->spans.n; i++) {
    lb_status st = lb__split(&p->next, &p->cuts, p->text.text, p->spans.items[i], pattern, behavior,
                             invert, err);
    if (st != LB_OK) return st;
  }
  take_next(p);
  return LB_OK;
}

/* Writes every piece anew through `write`, so that pieces may grow. */
typedef void write_piece(lb__buf *out, const char *text, size_t size, bool at_origin,
                         const lb__pretokenizer *step);

static lb_status rewrite_pieces(lb__pieces *p, write_piece *write, const lb__pretokenizer *step,
                                lb_error *err) {
  lb__buf *out = lb__rewriting_buffer(&p->text);
  for (size_t i = 0; i < p->spans.n; i++) {
    lb__span *span = &p->spans.items[i];
    size_t start = out->size;
    write(out, p->text.text + span->start, span->end - span->start, p->text.at_origin && i == 0,
          step);
    *span = (lb__span){(uint32_t)start, (uint32_t)out->size};
  }
  return lb__rewriting_done(&p->text, err);
}

static void write_with_space(lb__buf *out, const char *text, size_t size, bool at_origin,
                             const lb__pretokenizer *step) {
  (void)at_origin, (void)step;
  if (text[0] != ' ') lb__buf_add_char(out, ' ');
  lb__buf_add(out, text, size);
}

static void write_alphabet(lb__buf *out, const char *text, size_t size, bool at_origin,
                           const lb__pretokenizer *step) {
  (void)at_origin, (void)step;
  for (size_t i = 0; i < size; i++) {
    char bytes[2];
    lb__buf_add(out, bytes, lb__bytes_to_alphabet(bytes, text + i, 1));
  }
}

static void write_metaspace(lb__buf *out, const char *text, size_t size, bool at_origin,
                            const lb__pretokenizer *step) {
  const char *mark = step->pattern.string;
  size_t mark_size = step->pattern.string_size;
  bool has_mark = text[0] == ' ' || (size >= mark_size && memcmp(text, mark, mark_size) == 0);
  if (!has_mark && (step->prepend == ALWAYS || (step->prepend == FIRST && at_origin)))
    lb__buf_add(out, mark, mark_size);
  for (size_t i = 0; i < size;) {
    const char *space = memchr(text + i, ' ', size - i);
    size_t end = space != NULL ? (size_t)(space - text) : size;
    lb__buf_add(out, text + i, end - i);
    if (space != NULL) lb__buf_add(out, mark, mark_size);
    i = end + 1;
  }
}

static lb_status run_byte_level(lb__pieces *p, const lb__pretokenizer *step, bool keeps_bytes,
                                lb_error *err) {
  static const lb__pattern gpt2 = {.kind = LB__PATTERN_SCANNER, .scanner = lb__scan_gpt2};
  lb_status st = LB_OK;
  if (step->add_prefix_space) st = rewrite_pieces(p, write_with_space, step, err);
  if (st == LB_OK && step->use_regex) st = split_pieces(p, &gpt2, LB__SPLIT_ISOLATED, false, err);
  if (st == LB_OK && !keeps_bytes) st = rewrite_pieces(p, write_alphabet, step, err);
  return st;
}

static lb_status run_step(lb__pieces *p, const lb__pretokenizer *step, bool keeps_bytes,
                          lb_error *err) {
  lb_status st;
  switch (step->kind) {
  case BYTE_LEVEL: return run_byte_level(p, step, keeps_bytes, err);
  case METASPACE:
    st = rewrite_pieces(p, write_metaspace, step, err);
    if (st != LB_OK || !step->split) return st;
    break;
  case SPLIT: break;
  }
  return split_pieces(p, &step->pattern, step->behavior, step->invert, err);
}

lb_status lb__pretokenize(lb__pieces *p, const lb__pretokenizers *list, lb_error *err) {
  p->spans.n = 0;
  if (p->text.size == 0) return LB_OK;
  if (!lb__spans_add(&p->spans, 0, p->text.size)) return lb__fail_nomem(err, "pieces of text");
  lb_status st = LB_OK;
  for (size_t i = 0; i < list->n && st == LB_OK; i++)
    st = run_step(p, &list->items[i], list->keeps_bytes && i + 1 == list->n, err);
  return st;
}

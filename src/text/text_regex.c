/* text_regex.c - see text_regex.h. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text_regex.h"

#include "base/fail.h"
#include "base/memory.h"
#include "unicode_class.h"

#include <pcre2.h>
#include <stdatomic.h>
#include <stdio.h>

#define MAX_PATTERN    (64 << 10)
#define MATCH_LIMIT    1000000u /* steps; and 50 more for every byte of the text */
#define HEAP_LIMIT_KIB (64u << 10)

/* What one match needs. A thread takes one that nobody uses and puts it back. */
typedef struct match_space {
  pcre2_match_data *data;
  pcre2_match_context *context;
} match_space;
enum { MAX_SPACES = 16 };

struct lb__regex {
  pcre2_general_context *general;
  pcre2_compile_context *compile;
  pcre2_code *code;
  bool jit;
  char where[96];
  _Atomic(match_space *) spaces[MAX_SPACES];
};

static void *pcre2_alloc(size_t size, void *ctx) {
  (void)ctx;
  return lb__alloc(size);
}

static void pcre2_release(void *p, void *ctx) {
  (void)ctx;
  lb__free(p);
}

/* ---- rewriting. PCRE2 10.42 knows Unicode 14, takes U+180E for white space and leaves marks out
 * of \w; Oniguruma knows Unicode 16. So \s, \w and \p{..} are spelled out as sets. ---- */

#define SPACE_SET                                                                                  \
  "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"      \
  "\\x{205f}\\x{3000}"
#define WORD_SET                                                                                   \
  "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}\\x{24b6}-\\x{24e9}"       \
  "\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}"

typedef struct rewriter {
  const char *p, *end;
  lb__buf *out;
  bool in_class;
} rewriter;

/* [set] or [^set] outside a class, set inside one. False for a negated set inside a class, which
 * cannot be written down. */
static bool put_set(rewriter *r, const char *set, bool negated) {
  if (r->in_class && negated) return false;
  if (!r->in_class) lb__buf_add_text(r->out, negated ? "[^" : "[");
  lb__buf_add_text(r->out, set);
  return r->in_class || lb__buf_add_text(r->out, "]");
}

/* A set that lacks a part for want of memory must not become a pattern. */
static void close_set(rewriter *r, lb__buf *set) {
  r->out->failed = r->out->failed || set->failed;
  lb__buf_deinit(set);
}

static void put_word_set(rewriter *r, bool negated) {
  lb__buf set;
  lb__buf_init(&set, MAX_PATTERN);
  lb__buf_add_text(&set, WORD_SET);
  static const char *const newer[] = {"L", "M", "Nd", "Nl", "Pc"};
  for (size_t i = 0; i < sizeof newer / sizeof newer[0]; i++)
    lb__unicode_newer_ranges(&set, newer[i], strlen(newer[i]));
  if (!put_set(r, lb__buf_text(&set), negated)) lb__buf_add_text(r->out, "\\W");
  close_set(r, &set);
}

/* \p{Name}, \P{Name}, \p{^Name}: p stands on the letter. */
static void put_property(rewriter *r) {
  const char *close =
      r->end - r->p > 1 && r->p[1] == '{' ? memchr(r->p, '}', (size_t)(r->end - r->p)) : NULL;
  bool negated = *r->p == 'P';
  if (close == NULL) {
    lb__buf_add_char(r->out, '\\');
    lb__buf_add_char(r->out, *r->p++);
    return;
  }
  const char *name = r->p + 2;
  if (name < close && *name == '^') name++, negated = !negated;
  lb__buf set;
  lb__buf_init(&set, MAX_PATTERN);
  lb__buf_printf(&set, "\\p{%.*s}", (int)(close - name), name);
  lb__unicode_newer_ranges(&set, name, (size_t)(close - name));
  if (!put_set(r, lb__buf_text(&set), negated)) /* newer characters are not worth an error */
    lb__buf_printf(r->out, "\\P{%.*s}", (int)(close - name), name);
  close_set(r, &set);
  r->p = close + 1;
}

static lb_status put_escape(rewriter *r, const char *where, lb_error *err) {
  if (r->end - r->p < 2)
    return lb__fail(err, LB_E_FORMAT, "%s: pattern ends in a backslash", where);
  char c = *++r->p;
  if (c == 'p' || c == 'P') {
    put_property(r);
    return LB_OK;
  }
  r->p++;
  if (c == 's' || c == 'S') {
    if (!put_set(r, SPACE_SET, c == 'S'))
      return lb__fail(err, LB_E_UNSUPPORTED, "%s: \\S inside [...] is not supported", where);
  } else if (c == 'w' || c == 'W') {
    put_word_set(r, c == 'W');
  } else if (c == 'd' || c == 'D') {
    lb__buf set;
    lb__buf_init(&set, MAX_PATTERN);
    lb__buf_add_text(&set, "\\p{Nd}");
    lb__unicode_newer_ranges(&set, "Nd", 2);
    if (!put_set(r, lb__buf_text(&set), c == 'D')) lb__buf_add_text(r->out, "\\P{Nd}");
    close_set(r, &set);
  } else if (c == 'h' || c == 'H') { /* a hexadecimal digit to Oniguruma, a blank to PCRE2 */
    if (!put_set(r, "0-9a-fA-F", c == 'H'))
      return lb__fail(err, LB_E_UNSUPPORTED, "%s: \\H inside [...] is not supported", where);
  } else {
    lb__buf_add_char(r->out, '\\');
    lb__buf_add_char(r->out, c);
  }
  return LB_OK;
}

static lb_status rewrite(lb__buf *out, const char *pattern, size_t size, const char *where,
                         lb_error *err) {
  rewriter r = {pattern, pattern + size, out, false};
  const char *class_begin = NULL;
  while (r.p < r.end) {
    if (*r.p == '\\') {
      lb_status st = put_escape(&r, where, err);
      if (st != LB_OK) return st;
      continue;
    }
    if (!r.in_class && *r.p == '[') {
      r.in_class = true;
      class_begin = r.p + (r.end - r.p > 1 && r.p[1] == '^' ? 2 : 1);
    } else if (r.in_class && *r.p == ']' && r.p > class_begin) {
      r.in_class = false;
    } else if (r.in_class && r.p >= class_begin &&
               ((*r.p == '[' && !(r.end - r.p > 1 && r.p[1] == ':')) ||
                (*r.p == '&' && r.end - r.p > 1 && r.p[1] == '&'))) {
      return lb__fail(err, LB_E_UNSUPPORTED,
                      "%s: a class inside a class ('[' or '&&' in [...]) is not supported", where);
    }
    lb__buf_add_char(out, *r.p++);
  }
  return lb__buf_check(out, where, err);
}

lb_status lb__regex_new(lb__regex **out, const char *pattern, size_t size, const char *where,
                        lb_error *err) {
  *out = NULL;
  if (size > MAX_PATTERN)
    return lb__fail(err, LB_E_LIMIT, "%s: pattern of %zu bytes; at most %d", where, size,
                    MAX_PATTERN);
  lb__buf text;
  lb__buf_init(&text, (size_t)MAX_PATTERN * 32);
  lb__regex *regex = lb__new(sizeof *regex);
  lb_status st =
      regex == NULL ? lb__fail_nomem(err, where) : rewrite(&text, pattern, size, where, err);
  if (st != LB_OK) goto fail;
  snprintf(regex->where, sizeof regex->where, "%s", where);
  regex->general = pcre2_general_context_create(pcre2_alloc, pcre2_release, NULL);
  regex->compile = regex->general ? pcre2_compile_context_create(regex->general) : NULL;
  st = LB_E_NOMEM;
  if (regex->compile == NULL) goto nomem;
  int code;
  PCRE2_SIZE offset;
  /* Oniguruma's Ruby syntax: ^ and $ always stand at line ends, "\n" is the only line end. */
  pcre2_set_newline(regex->compile, PCRE2_NEWLINE_LF);
  regex->code = pcre2_compile((PCRE2_SPTR)lb__buf_text(&text), text.size,
                              PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                              &code, &offset, regex->compile);
  if (regex->code == NULL && code == PCRE2_ERROR_HEAP_FAILED) goto nomem;
  if (regex->code == NULL) {
    PCRE2_UCHAR message[128];
    pcre2_get_error_message(code, message, sizeof message);
    st = lb__fail(err, LB_E_FORMAT, "%s: bad pattern '%.100s': %s", where, pattern,
                  (const char *)message);
    goto fail;
  }
  code = pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE);
  if (code == PCRE2_ERROR_NOMEMORY) goto nomem;
  regex->jit = code == 0; /* else this CPU has none: the interpreter gives the same answers */
  lb__buf_deinit(&text);
  *out = regex;
  return LB_OK;
nomem:
  lb__fail_nomem(err, where);
fail:
  lb__buf_deinit(&text);
  lb__regex_free(regex);
  return st;
}

static void free_space(match_space *space) {
  if (space == NULL) return;
  pcre2_match_data_free(space->data);
  pcre2_match_context_free(space->context);
  lb__free(space);
}

void lb__regex_free(lb__regex *regex) {
  if (regex == NULL) return;
  for (size_t i = 0; i < MAX_SPACES; i++) free_space(atomic_load(&regex->spaces[i]));
  pcre2_code_free(regex->code);
  pcre2_compile_context_free(regex->compile);
  pcre2_general_context_free(regex->general);
  lb__free(regex);
}

/* ---- matching ---- */

static match_space *take_space(lb__regex *regex) {
  for (size_t i = 0; i < MAX_SPACES; i++) {
    match_space *space = atomic_exchange(&regex->spaces[i], NULL);
    if (space != NULL) return space;
  }
  match_space *space = lb__new(sizeof *space);
  if (space == NULL) return NULL;
  space->data = pcre2_match_data_create(1, regex->general);
  space->context = pcre2_match_context_create(regex->general);
  if (space->data == NULL || space->context == NULL) {
    free_space(space);
    return NULL;
  }
  pcre2_set_heap_limit(space->context, HEAP_LIMIT_KIB);
  return space;
}

static void return_space(lb__regex *regex, match_space *space) {
  for (size_t i = 0; i < MAX_SPACES; i++) {
    match_space *empty = NULL;
    if (atomic_compare_exchange_strong(&regex->spaces[i], &empty, space)) return;
  }
  free_space(space);
}

static int match(const lb__regex *regex, match_space *space, const char *text, size_t size,
                 size_t from) {
  size_t limit = MATCH_LIMIT + (size < UINT32_MAX / 64 ? size * 50 : 50u * (UINT32_MAX / 64));
  pcre2_set_match_limit(space->context, limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX);
  if (regex->jit)
    return pcre2_jit_match(regex->code, (PCRE2_SPTR)text, size, from, PCRE2_NO_UTF_CHECK,
                           space->data, space->context);
  return pcre2_match(regex->code, (PCRE2_SPTR)text, size, from, PCRE2_NO_UTF_CHECK, space->data,
                     space->context);
}

lb_status lb__regex_find(lb__regex *regex, const char *text, size_t size, size_t from, bool *found,
                         size_t *start, size_t *end, lb_error *err) {
  *found = false;
  match_space *space = take_space(regex);
  if (space == NULL) return lb__fail_nomem(err, "regex match");
  int rc = match(regex, space, text, size, from);
  if (rc >= 0) {
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(space->data);
    *found = true;
    *start = at[0];
    *end = at[1];
  }
  return_space(regex, space);
  if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH) return LB_OK;
  if (rc == PCRE2_ERROR_NOMEMORY) return lb__fail_nomem(err, "regex match");
  PCRE2_UCHAR message[128];
  pcre2_get_error_message(rc, message, sizeof message);
  return lb__fail(err, LB_E_LIMIT, "%s: the pattern cannot cope with this text at byte %zu: %s",
                  regex->where, from, (const char *)message);
}

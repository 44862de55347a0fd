/* gguf_split.c - a model in several files, prefix-00001-of-00003.gguf, as llama-gguf-split cuts it.
 * Part 1 holds the keys that matter; each part says split.no, split.count and, for all parts
 * together, split.tensors.count. */
#include "gguf_parts.h"

#include "base/fail.h"

#include <ctype.h>
#include <inttypes.h>

#define SUFFIX_SIZE (sizeof "-00001-of-00003.gguf" - 1)

/* Reads the five digits at p; -1 when they are not digits. */
static int five_digits(const char *p) {
  int x = 0;
  for (int i = 0; i < 5; i++) {
    if (!isdigit((unsigned char)p[i])) return -1;
    x = x * 10 + (p[i] - '0');
  }
  return x;
}

/* Takes a split's name apart. False: not such a name. */
static bool parse_name(size_t *prefix, int *no, int *count, const char *path) {
  size_t n = strlen(path);
  const char *p = path + n - SUFFIX_SIZE;
  if (n < SUFFIX_SIZE || p[0] != '-' || memcmp(p + 6, "-of-", 4) != 0 ||
      memcmp(p + 15, ".gguf", 5) != 0)
    return false;
  *prefix = n - SUFFIX_SIZE;
  *no = five_digits(p + 1);
  *count = five_digits(p + 10);
  return *no >= 1 && *count >= *no;
}

static char *part_path(const char *path, size_t prefix, int no, int count) {
  return lb__format("%.*s-%05d-of-%05d.gguf", (int)prefix, path, no, count);
}

/* What a part says of itself must be what its name says. */
static lb_status check_part(const lb__gguf *part, int no, int count, lb_error *err) {
  int64_t said_no = 0, said_count = 1;
  lb_status st = lb__gguf_get_int(&said_no, part, "split.no", true, err);
  if (st == LB_OK) st = lb__gguf_get_int(&said_count, part, "split.count", true, err);
  if (st != LB_OK) return st;
  if (said_no == no - 1 && said_count == count) return LB_OK;
  return lb__fail(err, LB_E_FORMAT,
                  "%.160s: by its name part %d of %d, but split.no is %" PRId64
                  " (counted from 0) and split.count is %" PRId64,
                  part->name, no, count, said_no, said_count);
}

/* Lists the part's tensors in g too; the part goes on owning them. */
static lb_status adopt(lb__gguf *g, lb__gguf *part, lb_error *err) {
  size_t total;
  if (!lb__ck_add(&total, g->n, part->n) ||
      !lb__grow(&g->tensors, &g->capacity, total, sizeof *g->tensors))
    return lb__fail_nomem(err, g->name);
  for (size_t i = 0; i < part->n; i++) {
    const lb__stored_tensor *t = &part->tensors[i];
    bool twice;
    if (!lb__map_put(&g->by_name, t->name, strlen(t->name), (int64_t)g->n, &twice))
      return lb__fail_nomem(err, g->name);
    if (twice)
      return lb__fail(err, LB_E_FORMAT, "%.160s: tensor '%.80s' is also in an earlier part",
                      part->name, t->name);
    g->tensors[g->n++] = *t;
  }
  return LB_OK;
}

static lb_status open_others(lb__gguf *g, size_t prefix, int count, lb_error *err) {
  g->others = lb__new_array((size_t)count - 1, sizeof(lb__gguf *));
  if (g->others == NULL) return lb__fail_nomem(err, g->name);
  for (int no = 2; no <= count; no++) {
    lb__gguf **part = &g->others[g->n_others];
    lb_status st;
    char *path = part_path(g->name, prefix, no, count);
    if (path == NULL) return lb__fail_nomem(err, g->name);
    st = lb__gguf_open_part(part, path, err);
    lb__free(path);
    if (st != LB_OK) return st;
    g->n_others++;
    st = check_part(*part, no, count, err);
    if (st == LB_OK) st = adopt(g, *part, err);
    if (st != LB_OK) return st;
  }
  return LB_OK;
}

static lb_status check_total(const lb__gguf *g, lb_error *err) {
  int64_t total = 0;
  lb_status st = lb__gguf_get_int(&total, g, "split.tensors.count", true, err);
  if (st != LB_OK || (total >= 0 && (uint64_t)total == g->n)) return st;
  return lb__fail(err, LB_E_FORMAT,
                  "%.160s: split.tensors.count is %" PRId64 ", the parts hold %zu", g->name, total,
                  g->n);
}

static lb_status complete_split(lb__gguf *g, lb_error *err) {
  size_t prefix;
  int no, count;
  int64_t said = 1;
  lb_status st = lb__gguf_get_int(&said, g, "split.count", false, err);
  if (st != LB_OK || said <= 1) return st;
  if (!parse_name(&prefix, &no, &count, g->name))
    return lb__fail(err, LB_E_FORMAT,
                    "%.160s: one of %" PRId64 " parts, but its name does not end in "
                    "-00001-of-%05" PRId64 ".gguf, so the others cannot be found",
                    g->name, said, said);
  st = check_part(g, no, count, err);
  if (st == LB_OK) st = open_others(g, prefix, count, err);
  if (st == LB_OK) st = check_total(g, err);
  return st;
}

/* The file to begin with: part 1 when path names another part. @owns a new string */
static char *first_part(const char *path) {
  size_t prefix;
  int no, count;
  char *first;
  if (!parse_name(&prefix, &no, &count, path) || no == 1) return lb__strdup(path);
  first = part_path(path, prefix, 1, count);
  if (first != NULL && !lb__path_is_file(first)) {
    lb__free(first); /* then path itself fails with the better message, or is a file of its own */
    return lb__strdup(path);
  }
  return first;
}

lb_status lb__gguf_open(lb__gguf **out, const char *path, lb_error *err) {
  lb_status st;
  char *first = first_part(path);
  *out = NULL;
  if (first == NULL) return lb__fail_nomem(err, path);
  st = lb__gguf_open_part(out, first, err);
  lb__free(first);
  if (st != LB_OK) return st;
  st = complete_split(*out, err);
  if (st != LB_OK) {
    lb__gguf_close(*out);
    *out = NULL;
  }
  return st;
}

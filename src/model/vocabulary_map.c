/* vocabulary_map.c - see vocabulary_map.h. */
#include "vocabulary_map.h"

#include "base/fail.h"
#include "base/files.h"
#include "base/json.h"
#include "formats/hub_cache.h"
#include "text/vocabulary.h"

#include <stdio.h>
#include <stdlib.h>

enum { VERSION = 1 };
#define FORMAT    "limbeck-vocab-map"
#define FILE_MOST ((size_t)8 << 20) /* a million ids */

void lb__vocabulary_map_free(lb__vocabulary_map *m) {
  if (m == NULL) return;
  lb__free(m->source);
  lb__free(m->ids);
  lb__free(m);
}

/* ---- reading ---- */

static lb_status check_format(const json_t *j, const char *name, lb_error *err) {
  const char *format = NULL;
  int64_t version = 0;
  if (!json_is_object(j))
    return lb__fail(err, LB_E_FORMAT, "%s: want an object, found %s", name, lb__json_type_name(j));
  lb_status st = lb__json_get_string(&format, j, "format", true, name, err);
  if (st == LB_OK) st = lb__json_get_int(&version, j, "version", true, name, err);
  if (st != LB_OK) return st;
  if (strcmp(format, FORMAT) != 0)
    return lb__fail(err, LB_E_FORMAT, "%s: format is '%.60s', want '" FORMAT "'", name, format);
  if (version == VERSION) return LB_OK;
  return lb__fail(err, LB_E_UNSUPPORTED,
                  "%s: version %lld; this program knows version %d: a newer one is needed", name,
                  (long long)version, VERSION);
}

static lb_status read_source(lb__vocabulary_map *m, const json_t *j, const char *name,
                             lb_error *err) {
  const json_t *source = json_object_get(j, "source");
  const char *text = NULL, *hash = NULL;
  char *end = NULL;
  if (!json_is_object(source))
    return lb__fail(err, LB_E_FORMAT, "%s: source: want an object, found %s", name,
                    lb__json_type_name(source));
  lb_status st = lb__json_get_string(&text, source, "name", true, name, err);
  if (st == LB_OK) st = lb__json_get_string(&hash, source, "tokenizer", true, name, err);
  if (st == LB_OK) st = lb__json_get_int(&m->source_tokens, source, "tokens", true, name, err);
  if (st != LB_OK) return st;
  m->source_hash = strtoull(hash, &end, 16);
  if (strlen(hash) != 16 || strspn(hash, "0123456789abcdef") != 16)
    return lb__fail(err, LB_E_FORMAT, "%s: source.tokenizer: want 16 hexadecimal digits", name);
  if (m->source_tokens < 1 || m->source_tokens > LB__VOCABULARY_MAX_ID)
    return lb__fail(err, LB_E_FORMAT, "%s: source.tokens is %lld; want 1 to %d", name,
                    (long long)m->source_tokens, LB__VOCABULARY_MAX_ID);
  m->source = lb__strdup(text);
  return m->source != NULL ? LB_OK : lb__fail_nomem(err, name);
}

static lb_status read_ids(lb__vocabulary_map *m, const json_t *j, const char *name, lb_error *err) {
  const json_t *list = json_object_get(j, "ids");
  size_t n = json_array_size(list);
  if (n == 0)
    return lb__fail(err, LB_E_FORMAT, "%s: ids: want a list of ids, found %s", name,
                    json_is_array(list) ? "an empty one" : lb__json_type_name(list));
  m->ids = lb__alloc_array(n, sizeof *m->ids);
  if (m->ids == NULL) return lb__fail_nomem(err, name);
  for (size_t i = 0; i < n; i++) {
    const json_t *item = json_array_get(list, i);
    json_int_t id = json_is_integer(item) ? json_integer_value(item) : -1;
    if (id < 0 || id >= m->source_tokens)
      return lb__fail(err, LB_E_FORMAT,
                      "%s: ids[%zu]: want an id from 0 to %lld, one of the source's %lld tokens",
                      name, i, (long long)m->source_tokens - 1, (long long)m->source_tokens);
    if (i > 0 && id <= m->ids[i - 1])
      return lb__fail(err, LB_E_FORMAT,
                      "%s: ids[%zu] is %lld, after %d; want them rising, each once", name, i,
                      (long long)id, m->ids[i - 1]);
    m->ids[m->n++] = (int32_t)id;
  }
  return LB_OK;
}

lb_status lb__vocabulary_map_parse(lb__vocabulary_map **out, const char *text, size_t size,
                                   const char *name, lb_error *err) {
  json_t *j = NULL;
  *out = NULL;
  lb_status st = lb__json_parse(&j, text, size, name, err);
  if (st != LB_OK) return st;
  lb__vocabulary_map *m = lb__new(sizeof *m);
  st = m != NULL ? check_format(j, name, err) : lb__fail_nomem(err, name);
  if (st == LB_OK) st = read_source(m, j, name, err);
  if (st == LB_OK) st = read_ids(m, j, name, err);
  json_decref(j);
  if (st == LB_OK)
    *out = m;
  else
    lb__vocabulary_map_free(m);
  return st;
}

lb_status lb__vocabulary_map_read(lb__vocabulary_map **out, const char *folder, lb_error *err) {
  char *text = NULL, *path = lb__path_join(folder, LB__VOCABULARY_MAP_FILE);
  size_t size;
  *out = NULL;
  lb_status st = path != NULL ? LB_OK : lb__fail_nomem(err, "a path");
  if (st == LB_OK && lb__path_is_file(path)) {
    st = lb__file_read(&text, &size, path, FILE_MOST, err);
    if (st == LB_OK) st = lb__vocabulary_map_parse(out, text, size, path, err);
  }
  lb__free(text);
  lb__free(path);
  return st;
}

static lb_status read_gguf(lb__vocabulary_map **out, const lb__gguf *g, lb_error *err) {
  const char *text = NULL;
  *out = NULL;
  lb_status st = lb__gguf_get_string(&text, g, LB__VOCABULARY_MAP_KEY, false, err);
  if (st != LB_OK || text == NULL) return st;
  char *name = lb__format("%s: " LB__VOCABULARY_MAP_KEY, lb__gguf_name(g));
  if (name == NULL) return lb__fail_nomem(err, LB__VOCABULARY_MAP_KEY);
  st = lb__vocabulary_map_parse(out, text, strlen(text), name, err);
  lb__free(name);
  return st;
}

lb_status lb__vocabulary_map_of(lb__vocabulary_map **out, const lb__checkpoint *model,
                                lb_error *err) {
  const lb__gguf *g = lb__checkpoint_gguf(model);
  return g != NULL ? read_gguf(out, g, err)
                   : lb__vocabulary_map_read(out, lb__checkpoint_name(model), err);
}

/* ---- writing ---- */

/* On one line: a line for each of thirty thousand ids serves nobody. NULL when memory is out. */
static char *text_of(const lb__vocabulary_map *m) {
  char hash[24];
  snprintf(hash, sizeof hash, "%016llx", (unsigned long long)m->source_hash);
  json_t *ids = json_array();
  bool fits = ids != NULL;
  for (int64_t i = 0; i < m->n && fits; i++)
    fits = json_array_append_new(ids, json_integer(m->ids[i])) == 0;
  json_t *j = json_pack("{s:s, s:i, s:{s:s, s:I, s:s}, s:o}", "format", FORMAT, "version", VERSION,
                        "source", "name", m->source, "tokens", (json_int_t)m->source_tokens,
                        "tokenizer", hash, "ids", ids);
  char *text = j != NULL && fits ? lb__json_text(j, 0) : NULL;
  char *line = text != NULL ? lb__format("%s\n", text) : NULL;
  lb__free(text);
  json_decref(j);
  return line;
}

lb_status lb__vocabulary_map_write(const char *folder, const lb__vocabulary_map *m, lb_error *err) {
  char *text = text_of(m), *path = lb__path_join(folder, LB__VOCABULARY_MAP_FILE);
  lb_status st = text != NULL && path != NULL ? lb__file_save(path, text, strlen(text), err)
                                              : lb__fail_nomem(err, LB__VOCABULARY_MAP_FILE);
  lb__free(path);
  lb__free(text);
  return st;
}

lb_status lb__vocabulary_map_set_gguf(lb__gguf_writer *w, const lb__vocabulary_map *m,
                                      lb_error *err) {
  char *text = text_of(m);
  if (text == NULL) return lb__fail_nomem(err, LB__VOCABULARY_MAP_KEY);
  lb__gguf_set_string(w, LB__VOCABULARY_MAP_KEY, text);
  lb__free(text);
  return LB_OK;
}

/* ---- between two models ---- */

static bool is_same_text(const lb_tokenizer *a, int32_t i, const lb_tokenizer *b, int32_t k) {
  size_t a_size, b_size;
  const char *a_text = lb_tokenizer_token_text(a, i, &a_size);
  const char *b_text = lb_tokenizer_token_text(b, k, &b_size);
  if (a_text == NULL || b_text == NULL) return false;
  return a_size == b_size && memcmp(a_text, b_text, a_size) == 0;
}

static bool are_same(const lb_tokenizer *a, const lb_tokenizer *b) {
  int32_t n = lb_tokenizer_size(a);
  bool same = n == lb_tokenizer_size(b);
  for (int32_t i = 0; i < n && same; i++)
    same = is_same_text(a, i, b, i) || (lb_tokenizer_token_text(a, i, NULL) == NULL &&
                                        lb_tokenizer_token_text(b, i, NULL) == NULL);
  return same;
}

/* The map's ids, of the common source, become those of a teacher that was trimmed from it too. */
static lb_status translate(lb__vocabulary_map *m, const lb__vocabulary_map *teacher,
                           const char *name, lb_error *err) {
  int64_t k = 0;
  for (int64_t i = 0; i < m->n; i++) {
    while (k < teacher->n && teacher->ids[k] < m->ids[i]) k++;
    if (k == teacher->n || teacher->ids[k] != m->ids[i])
      return lb__fail(
          err, LB_E_ARG,
          "%s: its trimmed vocabulary lacks the student's token %lld (id %d of '%.60s'); "
          "want a teacher that has all of them, such as the untrimmed one",
          name, (long long)i, m->ids[i], m->source);
    m->ids[i] = (int32_t)k;
  }
  m->source_tokens = teacher->n;
  return LB_OK;
}

static void name_token(char out[64], const lb_tokenizer *t, int64_t id) {
  size_t size = 0;
  const char *text =
      id < lb_tokenizer_size(t) ? lb_tokenizer_token_text(t, (int32_t)id, &size) : NULL;
  bool plain = text != NULL && size < 40;
  for (size_t i = 0; i < size && plain; i++) plain = (unsigned char)text[i] >= 0x20;
  if (text == NULL)
    snprintf(out, 64, "no token");
  else if (plain)
    snprintf(out, 64, "'%s'", text);
  else
    snprintf(out, 64, "another text");
}

static lb_status check_texts(const lb__vocabulary_map *m, const lb_tokenizer *teacher,
                             const lb_tokenizer *student, const char *student_name, lb_error *err) {
  char wanted[64], found[64];
  if (m->n != lb_tokenizer_size(student))
    return lb__fail(err, LB_E_ARG,
                    "%s: " LB__VOCABULARY_MAP_FILE
                    " is of %lld tokens, but the tokenizer has %d; trim the vocabulary anew",
                    student_name, (long long)m->n, lb_tokenizer_size(student));
  for (int64_t i = 0; i < m->n; i++) {
    int32_t id = m->ids[i];
    if (id < lb_tokenizer_size(teacher) && is_same_text(teacher, id, student, (int32_t)i)) continue;
    name_token(wanted, student, i);
    name_token(found, teacher, id);
    return lb__fail(err, LB_E_ARG,
                    "%s: its vocabulary was trimmed from '%.60s', whose tokens are not the "
                    "teacher's: token %lld is %s, the teacher's %d is %s; give it that teacher",
                    student_name, m->source, (long long)i, wanted, id, found);
  }
  return LB_OK;
}

static lb_status open_tokenizer(lb_tokenizer **out, const char *path, const char *whose,
                                lb_error *err) {
  lb_status st = lb_tokenizer_open(out, path, err);
  if (st == LB_OK) return LB_OK;
  return lb__fail_prefix(
      err, st, "the student's vocabulary is trimmed, so both tokenizers are needed: the %s", whose);
}

/* The map of what a model's name stands for; NULL for a name that stands for nothing, which opening
 * it will tell better. Touches no weights. */
static lb_status read_of(lb__vocabulary_map **out, const char *model, lb_error *err) {
  lb__model_place place = {0};
  *out = NULL;
  if (lb__model_place_find(&place, model, NULL) != LB_OK) return LB_OK;
  lb__gguf *g = NULL;
  lb_status st = LB_OK;
  if (place.kind == LB__MODEL_FOLDER)
    st = lb__vocabulary_map_read(out, place.folder, err);
  else if (lb__gguf_open(&g, place.file, NULL) == LB_OK)
    st = read_gguf(out, g, err);
  lb__gguf_close(g);
  lb__model_place_deinit(&place);
  return st;
}

typedef struct pair {
  lb__vocabulary_map *map, *of_teacher;
  lb_tokenizer *teacher, *student;
} pair;

static lb_status relate(pair *p, const char *teacher, const char *student, lb_error *err) {
  lb_status st = open_tokenizer(&p->teacher, teacher, "teacher's", err);
  if (st == LB_OK) st = open_tokenizer(&p->student, student, "student's", err);
  if (st != LB_OK) return st;
  if (are_same(p->teacher, p->student)) {
    lb__vocabulary_map_free(p->map);
    p->map = NULL;
    return LB_OK;
  }
  st = read_of(&p->of_teacher, teacher, err);
  if (st == LB_OK && p->of_teacher != NULL) st = translate(p->map, p->of_teacher, teacher, err);
  return st == LB_OK ? check_texts(p->map, p->teacher, p->student, student, err) : st;
}

lb_status lb__vocabulary_map_between(lb__vocabulary_map **out, const char *teacher,
                                     const char *student, lb_error *err) {
  pair p = {0};
  *out = NULL;
  lb_status st = read_of(&p.map, student, err);
  if (st == LB_OK && p.map != NULL) st = relate(&p, teacher, student, err);
  if (st == LB_OK)
    *out = p.map;
  else
    lb__vocabulary_map_free(p.map);
  lb__vocabulary_map_free(p.of_teacher);
  lb_tokenizer_free(p.teacher);
  lb_tokenizer_free(p.student);
  return st;
}

/* source_license.c - see source_license.h. A card is prose by many hands, and its YAML often more
 * than our parser takes; so only the lines that are wanted are parsed, each by itself. */
#include "source_license.h"

#include "base/fail.h"
#include "base/files.h"
#include "base/yaml.h"
#include "formats/gguf.h"

enum { LARGEST_CARD = 4 << 20 };

void lb__source_license_deinit(lb__source_license *license) {
  lb__free(license->license);
  lb__free(license->name);
  lb__free(license->link);
  *license = (lb__source_license){0};
}

/* Where `key` belongs; NULL: nowhere. */
static char **place_of(lb__source_license *out, const char *key) {
  if (strcmp(key, "license") == 0) return &out->license;
  if (strcmp(key, "license_name") == 0) return &out->name;
  return strcmp(key, "license_link") == 0 ? &out->link : NULL;
}

static lb_status keep(char **place, const char *text, lb_error *err) {
  if (place == NULL || *place != NULL || text == NULL || text[0] == '\0') return LB_OK;
  *place = lb__strdup(text);
  return *place != NULL ? LB_OK : lb__fail_nomem(err, "a license");
}

/* ---- README.md ---- */

/* "license: mit  # a comment". What is not a plain scalar says nothing. */
static lb_status read_line(lb__source_license *out, const char *line, size_t size, lb_error *err) {
  lb__yaml *yaml;
  if (size < 8 || strncmp(line, "license", 7) != 0) return LB_OK;
  lb_status st = lb__yaml_parse(&yaml, line, size, "README.md", err);
  if (st != LB_OK) return st == LB_E_NOMEM ? st : LB_OK;
  const lb__yaml_node *root = lb__yaml_root(yaml);
  const lb__yaml_node *value = root->kind == LB__YAML_MAP ? root->first : NULL;
  if (value != NULL && value->kind == LB__YAML_SCALAR)
    st = keep(place_of(out, value->key), value->text, err);
  lb__yaml_free(yaml);
  return st;
}

static bool is_fence(const char *line, size_t size) {
  while (size > 3 && (line[size - 1] == ' ' || line[size - 1] == '\r')) size--;
  return size == 3 && memcmp(line, "---", 3) == 0;
}

static lb_status read_front_matter(lb__source_license *out, const char *text, size_t size,
                                   lb_error *err) {
  lb_status st = LB_OK;
  const char *end = text + size;
  for (const char *line = text, *next; line < end && st == LB_OK; line = next) {
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    size_t length = (size_t)((newline != NULL ? newline : end) - line);
    next = newline != NULL ? newline + 1 : end;
    if (is_fence(line, length) != (line == text)) break; /* no front matter, or its end */
    if (line != text) st = read_line(out, line, length, err);
  }
  return st;
}

static lb_status read_card(lb__source_license *out, const char *folder, lb_error *err) {
  char *text = NULL, *path = lb__path_join(folder, "README.md");
  size_t size;
  if (path == NULL) return lb__fail_nomem(err, "a path");
  lb_status st = LB_OK;
  if (lb__path_is_file(path)) {
    st = lb__file_read(&text, &size, path, LARGEST_CARD, err);
    if (st == LB_OK) st = read_front_matter(out, text, size, err);
    if (st == LB_E_LIMIT) st = LB_OK; /* whatever that is, it is no card */
  }
  lb__free(text);
  lb__free(path);
  return st;
}

/* ---- GGUF ---- */

static lb_status read_gguf(lb__source_license *out, const char *path, lb_error *err) {
  static const char *const keys[][2] = {{"general.license", "license"},
                                        {"general.license.name", "license_name"},
                                        {"general.license.link", "license_link"}};
  lb__gguf *g;
  lb_status st = lb__gguf_open(&g, path, err);
  for (size_t i = 0; i < 3 && st == LB_OK; i++) {
    const char *text = NULL;
    st = lb__gguf_get_string(&text, g, keys[i][0], false, err);
    if (st == LB_OK) st = keep(place_of(out, keys[i][1]), text, err);
  }
  lb__gguf_close(g);
  return st;
}

lb_status lb__source_license_read(lb__source_license *out, const char *path, lb_error *err) {
  *out = (lb__source_license){0};
  return lb__path_ends_with(path, ".gguf") && lb__path_is_file(path) ? read_gguf(out, path, err)
                                                                     : read_card(out, path, err);
}

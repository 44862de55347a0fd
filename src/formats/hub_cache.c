/* hub_cache.c - from what the user typed to a folder or file; the layout is that of
 * huggingface.co/docs/hub/local-cache. */
#include "hub_cache.h"

#include "base/fail.h"

#include <ctype.h>
#include <stdlib.h>

/* ---- the cache ---- */
static const char *environment(const char *name) {
  const char *value = getenv(name);
  return value != NULL && value[0] != '\0' ? value : NULL;
}

lb_status lb__hub_cache_root(char **out, lb_error *err) {
  static const struct {
    const char *variable, *below;
  } places[] = {{"HF_HUB_CACHE", NULL},
                {"HF_HOME", "hub"},
                {"XDG_CACHE_HOME", "huggingface/hub"},
                {"HOME", ".cache/huggingface/hub"}};
  *out = NULL;
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    const char *value = environment(places[i].variable);
    if (value == NULL) continue;
    *out = places[i].below ? lb__path_join(value, places[i].below) : lb__strdup(value);
    return *out != NULL ? LB_OK : lb__fail_nomem(err, "path of the hub cache");
  }
  return lb__fail(err, LB_E_IO,
                  "no hub cache: none of HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME and HOME is set");
}

/* The hub's rule for one part of a name: letters, digits, '-', '_', '.'; no "--" or "..", which
 * would be ambiguous on disk; not at the ends. */
static bool valid_part(const char *s, size_t n) {
  if (n == 0 || n > 96 || strchr("-.", s[0]) || strchr("-.", s[n - 1])) return false;
  for (size_t i = 0; i < n; i++) {
    if (!isalnum((unsigned char)s[i]) && !strchr("-_.", s[i])) return false;
    if (i > 0 && s[i] == s[i - 1] && strchr("-.", s[i])) return false;
  }
  return true;
}

static bool valid_name(const char *name, size_t n) {
  const char *slash = memchr(name, '/', n);
  if (slash == NULL) return valid_part(name, n);
  size_t first = (size_t)(slash - name);
  return valid_part(name, first) && valid_part(slash + 1, n - first - 1);
}

bool lb__hub_name_valid(const char *name) {
  return valid_name(name, strlen(name));
}

/* "org/name" -> "<root>/models--org--name" */
static char *model_folder(const char *root, const char *name) {
  const char *slash = strchr(name, '/');
  if (slash == NULL) return lb__format("%s/models--%s", root, name);
  return lb__format("%s/models--%.*s--%s", root, (int)(slash - name), name, slash + 1);
}

/* A revision is a commit (the name of a snapshot) or a reference that holds one. */
static lb_status find_commit(char **commit, const char *model, const char *revision,
                             lb_error *err) {
  size_t size;
  lb_status st;
  char *path = lb__format("%s/refs/%s", model, revision);
  *commit = NULL;
  if (path == NULL) return lb__fail_nomem(err, model);
  if (!lb__path_is_file(path)) {
    *commit = lb__strdup(revision);
    lb__free(path);
    return *commit != NULL ? LB_OK : lb__fail_nomem(err, model);
  }
  st = lb__file_read(commit, &size, path, 256, err);
  while (st == LB_OK && size > 0 && isspace((unsigned char)(*commit)[size - 1]))
    (*commit)[--size] = '\0';
  if (st == LB_OK && !lb__path_is_plain_name(*commit)) {
    st = lb__fail(err, LB_E_FORMAT, "%s: want a commit, found '%.80s'", path, *commit);
    lb__free(*commit);
    *commit = NULL;
  }
  lb__free(path);
  return st;
}

/* Branches may contain '/' (refs/pr/1), but must not climb. */
static bool valid_revision(const char *revision) {
  if (revision[0] == '\0' || revision[0] == '/' || strlen(revision) > 200) return false;
  return strstr(revision, "..") == NULL;
}

static lb_status fail_absent(const char *model, const char *name, const char *revision,
                             lb_error *err) {
  return lb__fail(err, LB_E_IO,
                  "model '%.100s': no such folder or file, and not in the hub cache (looked for "
                  "revision '%.60s' in %.160s); fetch it with: huggingface-cli download %.100s",
                  name, revision, model, name);
}

lb_status lb__hub_cache_find(char **folder, const char *name, const char *revision, lb_error *err) {
  char *root = NULL, *model = NULL, *commit = NULL, *snapshot = NULL;
  lb_status st;
  *folder = NULL;
  if (revision == NULL) revision = "main";
  if (!lb__hub_name_valid(name) || !valid_revision(revision))
    return lb__fail(err, LB_E_IO,
                    "model '%.160s': no such folder or file, and not a hub name such as org/name",
                    name);
  st = lb__hub_cache_root(&root, err);
  if (st != LB_OK) return st;
  model = model_folder(root, name);
  if (model == NULL) {
    st = lb__fail_nomem(err, name);
    goto done;
  }
  st = find_commit(&commit, model, revision, err);
  if (st != LB_OK) goto done;
  snapshot = lb__path_is_plain_name(commit) ? lb__format("%s/snapshots/%s", model, commit) : NULL;
  if (snapshot != NULL && lb__path_is_folder(snapshot)) {
    *folder = snapshot;
    snapshot = NULL;
  } else {
    st = fail_absent(model, name, revision, err);
  }
done:
  lb__free(root);
  lb__free(model);
  lb__free(commit);
  lb__free(snapshot);
  return st;
}

/* ---- what the user typed ---- */
/* "dir/x" -> "dir", "x" -> "." */
static char *folder_of(const char *path) {
  const char *base = lb__path_base(path);
  if (base == path) return lb__strdup(".");
  size_t n = (size_t)(base - path) - 1;
  return lb__strndup(path, n > 0 ? n : 1);
}

static lb_status place_file(lb__model_place *out, const char *path, lb_error *err) {
  if (lb__path_ends_with(path, ".gguf")) {
    out->kind = LB__MODEL_GGUF;
    out->file = lb__strdup(path);
    if (out->file == NULL) return lb__fail_nomem(err, path);
  } else if (!lb__path_ends_with(path, ".safetensors") && !lb__path_ends_with(path, ".json")) {
    return lb__fail(err, LB_E_UNSUPPORTED,
                    "%.200s: want a Hugging Face folder, a .gguf file or a hub name", path);
  }
  out->folder = folder_of(path);
  return out->folder != NULL ? LB_OK : lb__fail_nomem(err, path);
}

static bool holds(const char *folder, const char *name) {
  char *path = lb__path_join(folder, name);
  bool there = path != NULL && lb__path_is_file(path);
  lb__free(path);
  return there;
}

/* Picks the .gguf to open in a folder without config.json: the only one, or part 1 of the only
 * split. NULL name: there is none. */
static lb_status pick_gguf(const char **name, char **names, size_t n, const char *folder,
                           lb_error *err) {
  *name = NULL;
  for (size_t i = 0; i < n; i++) {
    bool later_part = strstr(names[i], "-of-") != NULL && strstr(names[i], "-00001-of-") == NULL;
    if (!lb__path_ends_with(names[i], ".gguf") || later_part) continue;
    if (*name != NULL)
      return lb__fail(err, LB_E_ARG, "%.160s: holds several models (%.80s, %.80s); name the file",
                      folder, *name, names[i]);
    *name = names[i];
  }
  return LB_OK;
}

static lb_status place_folder(lb__model_place *out, const char *path, lb_error *err) {
  char **names = NULL;
  size_t n = 0;
  const char *gguf = NULL;
  lb_status st = LB_OK;
  out->folder = lb__strdup(path);
  if (out->folder == NULL) return lb__fail_nomem(err, path);
  if (holds(path, "config.json")) return LB_OK;
  st = lb__folder_list(&names, &n, path, err);
  if (st == LB_OK) st = pick_gguf(&gguf, names, n, path, err);
  if (st == LB_OK && gguf != NULL) {
    out->kind = LB__MODEL_GGUF;
    out->file = lb__path_join(path, gguf);
    if (out->file == NULL) st = lb__fail_nomem(err, path);
  }
  lb__name_list_free(names, n);
  return st;
}

/* "org/name" or "org/name@revision" */
static lb_status place_hub_name(lb__model_place *out, const char *path, lb_error *err) {
  const char *at = strchr(path, '@');
  char *folder, *name = at ? lb__strndup(path, (size_t)(at - path)) : lb__strdup(path);
  lb_status st;
  if (name == NULL) return lb__fail_nomem(err, path);
  st = lb__hub_cache_find(&folder, name, at ? at + 1 : NULL, err);
  if (st == LB_OK) st = place_folder(out, folder, err);
  lb__free(folder);
  lb__free(name);
  return st;
}

lb_status lb__model_place_find(lb__model_place *out, const char *path, lb_error *err) {
  lb_status st;
  memset(out, 0, sizeof *out);
  if (lb__path_is_folder(path))
    st = place_folder(out, path, err);
  else if (lb__path_is_file(path))
    st = place_file(out, path, err);
  else
    st = place_hub_name(out, path, err);
  if (st != LB_OK) lb__model_place_deinit(out);
  return st;
}

void lb__model_place_deinit(lb__model_place *place) {
  lb__free(place->folder);
  lb__free(place->file);
  memset(place, 0, sizeof *place);
}

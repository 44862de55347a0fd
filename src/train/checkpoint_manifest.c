/* checkpoint_manifest.c - see checkpoint_manifest.h. */
#include "checkpoint_manifest.h"

#include "base/fail.h"
#include "base/files.h"
#include "base/json.h"
#include "base/sha256.h"

static const char FILE_NAME[] = "manifest.json", FORMAT[] = "limbeck checkpoint";
enum { VERSION = 1, MANIFEST_MAX = 16 << 20 };

/* ---- writing ---- */

/* Takes `value`, also on failure. */
static lb_status set(json_t *object, const char *key, json_t *value, lb_error *err) {
  if (value != NULL && json_object_set_new(object, key, value) == 0) return LB_OK;
  return lb__fail_nomem(err, FILE_NAME);
}

static lb_status add_file(json_t *files, const char *folder, const char *name, lb_error *err) {
  char hex[LB__SHA256_HEX_SIZE];
  uint64_t size = 0;
  char *path = lb__path_join(folder, name);
  json_t *entry = json_object();
  lb_status st = path != NULL && entry != NULL ? LB_OK : lb__fail_nomem(err, FILE_NAME);
  if (st == LB_OK) st = lb__path_sync(path, err);
  if (st == LB_OK) st = lb__sha256_file(hex, &size, path, err);
  if (st == LB_OK) st = set(entry, "size", json_integer((json_int_t)size), err);
  if (st == LB_OK) st = set(entry, "sha256", json_string(hex), err);
  if (st == LB_OK) st = set(files, name, json_incref(entry), err);
  json_decref(entry);
  lb__free(path);
  return st;
}

static lb_status add_files(json_t *files, const char *folder, lb_error *err) {
  char **names;
  size_t n;
  lb_status st = lb__folder_list(&names, &n, folder, err);
  for (size_t i = 0; i < n && st == LB_OK; i++)
    if (strcmp(names[i], FILE_NAME) != 0) st = add_file(files, folder, names[i], err);
  lb__name_list_free(names, n);
  return st;
}

static lb_status save(const char *folder, const json_t *manifest, lb_error *err) {
  char *path = lb__path_join(folder, FILE_NAME);
  lb_status st = path != NULL ? lb__json_save(path, manifest, err) : lb__fail_nomem(err, FILE_NAME);
  if (st == LB_OK) st = lb__path_sync(folder, err);
  lb__free(path);
  return st;
}

lb_status lb__manifest_write(const char *folder, int64_t step, lb_error *err) {
  json_t *manifest = json_object(), *files = json_object();
  lb_status st = manifest != NULL && files != NULL ? LB_OK : lb__fail_nomem(err, FILE_NAME);
  if (st == LB_OK) st = add_files(files, folder, err);
  if (st == LB_OK) st = set(manifest, "files", json_incref(files), err);
  if (st == LB_OK) st = set(manifest, "format", json_string(FORMAT), err);
  if (st == LB_OK) st = set(manifest, "version", json_integer(VERSION), err);
  if (st == LB_OK) st = set(manifest, "step", json_integer(step), err);
  if (st == LB_OK) st = save(folder, manifest, err);
  json_decref(files);
  json_decref(manifest);
  return st;
}

/* ---- verifying ---- */

static lb_status check_contents(const char *path, int64_t size, const char *sha256, lb_error *err) {
  char hex[LB__SHA256_HEX_SIZE];
  uint64_t found;
  if (!lb__path_is_file(path)) return lb__fail(err, LB_E_FORMAT, "'%s': the file is missing", path);
  lb_status st = lb__sha256_file(hex, &found, path, err);
  if (st != LB_OK) return st;
  if (found != (uint64_t)size)
    return lb__fail(err, LB_E_FORMAT, "'%s': want %lld bytes, found %llu", path, (long long)size,
                    (unsigned long long)found);
  if (strcmp(hex, sha256) != 0)
    return lb__fail(err, LB_E_FORMAT,
                    "'%s': its SHA-256 is not what the manifest says: the file has changed", path);
  return LB_OK;
}

static lb_status check_file(const char *folder, const char *name, const json_t *entry,
                            const char *manifest, lb_error *err) {
  int64_t size;
  const char *sha256;
  if (!lb__path_is_plain_name(name) || strcmp(name, FILE_NAME) == 0)
    return lb__fail(err, LB_E_FORMAT, "%s: '%s': not the name of a file beside it", manifest, name);
  lb_status st = lb__json_get_int(&size, entry, "size", true, manifest, err);
  if (st == LB_OK) st = lb__json_get_string(&sha256, entry, "sha256", true, manifest, err);
  if (st != LB_OK) return st;
  if (size < 0) return lb__fail(err, LB_E_FORMAT, "%s: '%s': negative size", manifest, name);
  char *path = lb__path_join(folder, name);
  st = path != NULL ? check_contents(path, size, sha256, err) : lb__fail_nomem(err, name);
  lb__free(path);
  return st;
}

static lb_status check_head(int64_t *step, const json_t *root, const char *name, lb_error *err) {
  const char *format;
  int64_t version;
  lb_status st = lb__json_get_string(&format, root, "format", true, name, err);
  if (st == LB_OK) st = lb__json_get_int(&version, root, "version", true, name, err);
  if (st == LB_OK) st = lb__json_get_int(step, root, "step", true, name, err);
  if (st != LB_OK) return st;
  if (strcmp(format, FORMAT) != 0)
    return lb__fail(err, LB_E_FORMAT, "%s: want format '%s', found '%.40s'", name, FORMAT, format);
  if (version != VERSION)
    return lb__fail(err, LB_E_FORMAT, "%s: version %lld; this program reads version %d", name,
                    (long long)version, VERSION);
  return *step >= 0 ? LB_OK : lb__fail(err, LB_E_FORMAT, "%s: negative step", name);
}

static lb_status check_files(const char *folder, json_t *root, const char *name, lb_error *err) {
  json_t *files = json_object_get(root, "files");
  if (json_object_size(files) == 0)
    return lb__fail(err, LB_E_FORMAT, "%s: key 'files': want an object that is not empty, found %s",
                    name, lb__json_type_name(files));
  const char *file;
  json_t *entry;
  json_object_foreach(files, file, entry) {
    lb_status st = check_file(folder, file, entry, name, err);
    if (st != LB_OK) return st;
  }
  return LB_OK;
}

lb_status lb__manifest_verify(int64_t *step, const char *folder, lb_error *err) {
  json_t *root = NULL;
  *step = 0;
  char *path = lb__path_join(folder, FILE_NAME);
  if (path == NULL) return lb__fail_nomem(err, folder);
  lb_status st;
  if (!lb__path_is_file(path))
    st =
        lb__fail(err, LB_E_FORMAT, "'%s': not a whole checkpoint: it has no %s", folder, FILE_NAME);
  else
    st = lb__json_read(&root, path, MANIFEST_MAX, err);
  if (st == LB_OK) st = check_head(step, root, path, err);
  if (st == LB_OK) st = check_files(folder, root, path, err);
  json_decref(root);
  lb__free(path);
  return st;
}

/* cache_folder.c - see files.h and json.h. */
#include "files.h"

#include "fail.h"
#include "json.h"

#include <stdlib.h>
#include <string.h>

char *lb__cache_path(const char *name) {
  static const struct {
    const char *variable, *below;
  } places[] = {{"LIMBECK_CACHE", NULL}, {"XDG_CACHE_HOME", "limbeck"}, {"HOME", ".cache/limbeck"}};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    const char *value = getenv(places[i].variable);
    if (value == NULL || *value != '/') continue; /* XDG: a relative path is to be ignored */
    char *folder =
        places[i].below != NULL ? lb__path_join(value, places[i].below) : lb__strdup(value);
    char *path = folder != NULL ? lb__path_join(folder, name) : NULL;
    lb__free(folder);
    return path;
  }
  return NULL;
}

lb_status lb__cache_save(const char *path, const json_t *value, lb_error *err) {
  char *folder = lb__strdup(path);
  if (folder == NULL || value == NULL) {
    lb__free(folder);
    return lb__fail_nomem(err, path);
  }
  *strrchr(folder, '/') = '\0';
  lb_status st = lb__folder_make(folder, err);
  if (st == LB_OK) st = lb__json_save(path, value, err);
  lb__free(folder);
  return st;
}

/* cache_folder.c - see files.h. */
#include "files.h"

#include <stdlib.h>

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

/* fuzz_folder.c - see fuzz_folder.h. */
#define _GNU_SOURCE
#include "fuzz_folder.h"

#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static void path_of(char path[512], const char *name) {
  snprintf(path, 512, "%s/%s", folder, name);
}

static void remove_all(void) {
  DIR *d = opendir(folder);
  if (d == NULL) return;
  for (struct dirent *e; (e = readdir(d)) != NULL;)
    if (e->d_name[0] != '.') fuzz_folder_remove(e->d_name);
  closedir(d);
  rmdir(folder);
}

void fuzz_folder_make(void) {
  struct stat facts;
  const char *parent = stat("/dev/shm", &facts) == 0 ? "/dev/shm" : "/tmp";
  snprintf(folder, sizeof folder, "%s/limbeck-fuzz-XXXXXX", parent);
  FUZZ_CHECK(mkdtemp(folder) != NULL);
  atexit(remove_all);
}

const char *fuzz_folder(void) {
  return folder;
}

void fuzz_folder_write(const char *name, const void *bytes, size_t size) {
  char path[512];
  path_of(path, name);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  FUZZ_CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
  close(fd);
}

void fuzz_folder_link(const char *target, const char *name) {
  char path[512];
  path_of(path, name);
  FUZZ_CHECK(symlink(target, path) == 0);
}

void fuzz_folder_remove(const char *name) {
  char path[512];
  path_of(path, name);
  unlink(path);
}

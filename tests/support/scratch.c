/* scratch.c - see scratch.h. */
#define _GNU_SOURCE /* nftw */
#include "scratch.h"

#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Memory rather than disk where there is one: the fault tests sync thousands of times. */
static const char *top_folder(void) {
  const char *top = getenv("TMPDIR");
  if (top != NULL) return top;
  return access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
}

char *scratch_new(void) {
  char *folder = malloc(512);
  assert_non_null(folder);
  snprintf(folder, 512, "%s/limbeck-test-XXXXXX", top_folder());
  assert_non_null(mkdtemp(folder));
  return folder;
}

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *where) {
  (void)s, (void)kind, (void)where;
  return remove(path);
}

void scratch_remove(char *folder) {
  if (folder != NULL) nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  free(folder);
}

const char *scratch_path(const char *folder, const char *name) {
  static char paths[8][1024];
  static unsigned next;
  char *path = paths[next++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

void scratch_write(const char *folder, const char *name, const void *bytes, size_t size) {
  FILE *f = fopen(scratch_path(folder, name), "wb");
  assert_non_null(f);
  if (size > 0) assert_int_equal(fwrite(bytes, 1, size, f), size);
  assert_int_equal(fclose(f), 0);
}

void scratch_write_text(const char *folder, const char *name, const char *text) {
  scratch_write(folder, name, text, strlen(text));
}

char *scratch_read(const char *folder, const char *name, size_t *size) {
  FILE *f = fopen(scratch_path(folder, name), "rb");
  assert_non_null(f);
  fseek(f, 0, SEEK_END);
  long n = ftell(f);
  char *bytes = malloc((size_t)n + 1);
  assert_non_null(bytes);
  rewind(f);
  assert_int_equal(fread(bytes, 1, (size_t)n, f), n);
  fclose(f);
  bytes[n] = '\0';
  if (size != NULL) *size = (size_t)n;
  return bytes;
}

int scratch_exists(const char *folder, const char *name) {
  return access(scratch_path(folder, name), F_OK) == 0;
}

static int count(const char *folder, int (*counts)(const char *name)) {
  int n = 0;
  DIR *d = opendir(folder);
  assert_non_null(d);
  for (struct dirent *e; (e = readdir(d)) != NULL;)
    n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && counts(e->d_name);
  closedir(d);
  return n;
}

static int any_name(const char *name) {
  return name[0] != '\0';
}
static int hidden_name(const char *name) {
  return name[0] == '.';
}

int scratch_count(const char *folder) {
  return count(folder, any_name);
}
int scratch_count_hidden(const char *folder) {
  return count(folder, hidden_name);
}

void scratch_empty(const char *folder) {
  DIR *d = opendir(folder);
  assert_non_null(d);
  for (struct dirent *e; (e = readdir(d)) != NULL;)
    if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
      assert_int_equal(unlinkat(dirfd(d), e->d_name, 0), 0);
  closedir(d);
}

/* fuzz_recipe.c - recipes: a file of any bytes, and the same bytes as an override. What loads is
 * written, loads again, and is then the same. */
#define _GNU_SOURCE /* memfd_create */
#include "fuzz.h"

#include "base/files.h"

#include <limbeck/distill.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The disk of this target: one file, whatever its name, holding `contents`. */
static struct {
  const char *bytes;
  size_t size, at;
} contents;

static int memory_open(const char *path, int flags, mode_t mode) {
  (void)path, (void)flags, (void)mode;
  contents.at = 0;
  return memfd_create("recipe", MFD_CLOEXEC); /* an empty regular file, for fstat and close */
}

static ssize_t memory_read(int fd, void *bytes, size_t size) {
  (void)fd;
  size_t left = contents.size - contents.at, n = size < left ? size : left;
  memcpy(bytes, contents.bytes + contents.at, n);
  contents.at += n;
  return (ssize_t)n;
}

static lb_status load(lb_recipe **out, const char *bytes, size_t size, const char *override) {
  lb_error err = {0};
  contents.bytes = bytes;
  contents.size = size;
  lb_status st = lb_recipe_load(out, "fuzz.yaml", &override, override != NULL, &err);
  FUZZ_CHECK((st == LB_OK) == (*out != NULL) && (st == LB_OK) == (err.message[0] == '\0'));
  return st;
}

static void check_round_trip(lb_recipe *r) {
  lb_recipe *again;
  const char *text = lb_recipe_text(r);
  FUZZ_CHECK(text != NULL);
  FUZZ_CHECK(load(&again, text, strlen(text), NULL) == LB_OK);
  FUZZ_CHECK(strcmp(lb_recipe_text(again), text) == 0);
  lb_recipe_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char needed[] = "teacher: t\nstudent: s\ndata: {train: x}\n";
  lb__io io = *lb__io_default();
  io.open = memory_open;
  io.read = memory_read;
  lb__io_set(&io);
  lb_recipe *r;
  if (load(&r, (const char *)data, size, NULL) == LB_OK) check_round_trip(r);
  lb_recipe_free(r);
  char *override = malloc(size + 1);
  if (size > 0) memcpy(override, data, size);
  override[size] = '\0';
  if (load(&r, needed, sizeof needed - 1, override) == LB_OK) check_round_trip(r);
  lb_recipe_free(r);
  free(override);
  lb__io_set(NULL);
  return 0;
}

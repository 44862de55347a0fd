/* golden_file.c - see golden_file.h. */
#include "golden_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned char *read_whole(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail_msg("cannot open %s", path);
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  unsigned char *bytes = malloc(*size + 1);
  assert_non_null(bytes);
  if (fread(bytes, 1, *size, file) != *size || *size < 8) fail_msg("cannot read %s", path);
  fclose(file);
  return bytes;
}

void golden_file_open(golden_file *f, const char *path) {
  uint64_t length;
  f->bytes = read_whole(path, &f->size);
  f->path = strdup(path);
  memcpy(&length, f->bytes, 8);
  if (length > f->size - 8) fail_msg("%s: header longer than the file", path);
  f->data = 8 + (size_t)length;
  f->header = json_loadb((const char *)f->bytes + 8, (size_t)length, 0, NULL);
  if (f->header == NULL) fail_msg("%s: header is not JSON", path);
}

void golden_file_close(golden_file *f) {
  json_decref(f->header);
  free(f->bytes);
  free(f->path);
}

static size_t element_size(const char *dtype) {
  return strcmp(dtype, "F64") == 0 ? 8 : 4;
}

static golden_tensor from_entry(const golden_file *f, const json_t *entry, const char *name) {
  const json_t *offsets = json_object_get(entry, "data_offsets");
  const json_t *shape = json_object_get(entry, "shape");
  golden_tensor t = {.dtype = json_string_value(json_object_get(entry, "dtype")), .n = 1};
  size_t begin = (size_t)json_integer_value(json_array_get(offsets, 0));
  size_t end = (size_t)json_integer_value(json_array_get(offsets, 1));
  t.rank = (int)json_array_size(shape);
  if (t.rank > 2) fail_msg("%s: %s has more than two dimensions", f->path, name);
  for (int i = 0; i < t.rank; i++) {
    t.shape[i] = (size_t)json_integer_value(json_array_get(shape, (size_t)i));
    t.n *= t.shape[i];
  }
  if (begin > end || end > f->size - f->data || end - begin != t.n * element_size(t.dtype))
    fail_msg("%s: %s leaves the file", f->path, name);
  t.data = f->bytes + f->data + begin;
  if ((uintptr_t)t.data % element_size(t.dtype) != 0) fail_msg("%s is not aligned", name);
  return t;
}

golden_tensor golden_file_tensor(const golden_file *f, const char *dtype, const char *name, ...) {
  char text[160];
  va_list args;
  va_start(args, name);
  vsnprintf(text, sizeof text, name, args);
  va_end(args);
  const json_t *entry = json_object_get(f->header, text);
  if (entry == NULL) fail_msg("%s: no tensor %s", f->path, text);
  golden_tensor t = from_entry(f, entry, text);
  if (strcmp(t.dtype, dtype) != 0) fail_msg("%s: %s is %s, not %s", f->path, text, t.dtype, dtype);
  return t;
}

bool golden_file_has(const golden_file *f, const char *name) {
  return json_object_get(f->header, name) != NULL;
}

size_t golden_file_count(const golden_file *f, const char *prefix) {
  const char *key;
  json_t *value;
  size_t n = 0;
  json_object_foreach(f->header, key, value) n += strncmp(key, prefix, strlen(prefix)) == 0;
  return n;
}

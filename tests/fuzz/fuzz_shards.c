/* fuzz_shards.c - any bytes as model.safetensors.index.json of a folder with two shards, in which
 * lies a third file that no index may reach by a path. What opens is what the shards hold. */
#include "fuzz.h"
#include "fuzz_folder.h"

#include "formats/safetensors.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void write_shard(const char *name, const char *tensor) {
  static const float values[] = {1.0f, 2.0f};
  static const char header[] = "{\"%s\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
  char bytes[256];
  int n = snprintf(bytes + 8, sizeof bytes - 8, header, tensor);
  uint64_t length = (uint64_t)n;
  memcpy(bytes, &length, sizeof length);
  memcpy(bytes + 8 + n, values, sizeof values);
  fuzz_folder_write(name, bytes, 8 + (size_t)n + sizeof values);
}

static void start(void) {
  fuzz_folder_make();
  write_shard("a.safetensors", "x");
  write_shard("b.safetensors", "y");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static bool started;
  if (!started) start();
  started = true;
  fuzz_folder_write("model.safetensors.index.json", data, size);
  lb__safetensors *s;
  lb_error err = {0};
  lb_status st = lb__safetensors_open_folder(&s, fuzz_folder(), &err);
  FUZZ_CHECK((st == LB_OK) == (s != NULL) && (st == LB_OK) == (err.message[0] == '\0'));
  for (size_t i = 0; s != NULL && i < lb__safetensors_count(s); i++) {
    const lb__stored_tensor *t = lb__safetensors_tensor(s, i);
    FUZZ_CHECK(strcmp(t->name, "x") == 0 || strcmp(t->name, "y") == 0);
    FUZZ_CHECK(t->size == 8);
  }
  lb__safetensors_close(s);
  return 0;
}

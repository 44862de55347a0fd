/* fuzz_vocabulary.c - any bytes as vocab_map.json: it is a map or an error that says something; a
 * map is rising and in range, and a real, tiny model is cut to it or says why not. */
#include "fuzz.h"

#include "model/forward.h"

static void cut_model(const lb__vocabulary_map *map) {
  lb_model *m;
  lb_error err = {0};
  lb_status st = lb__model_open_rows(&m, FUZZ_MODEL, LB_PRECISION_F32, map, &err);
  FUZZ_CHECK((st == LB_OK) == (m != NULL) && (st == LB_OK) == (err.message[0] == '\0'));
  if (m != NULL) FUZZ_CHECK(lb_model_get_info(m)->vocab_size == map->n);
  lb_model_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lb__vocabulary_map *map;
  lb_error err = {0};
  lb_status st = lb__vocabulary_map_parse(&map, (const char *)data, size, "fuzz", &err);
  FUZZ_CHECK((st == LB_OK) == (map != NULL) && (st == LB_OK) == (err.message[0] == '\0'));
  if (map == NULL) return 0;
  FUZZ_CHECK(map->n > 0 && map->ids[0] >= 0 && map->ids[map->n - 1] < map->source_tokens);
  for (int64_t i = 1; i < map->n; i++) FUZZ_CHECK(map->ids[i] > map->ids[i - 1]);
  cut_model(map);
  lb__vocabulary_map_free(map);
  return 0;
}

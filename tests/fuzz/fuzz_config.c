/* fuzz_config.c - any bytes as config.json of a real, tiny model folder; after a line "---" as its
 * generation_config.json too. Opening gives a model or an error that says something; a model that
 * opens can read a token. */
#define _GNU_SOURCE /* memmem */
#include "fuzz.h"
#include "fuzz_folder.h"

#include <limbeck/score.h>

#include <stdbool.h>
#include <string.h>

static void start(void) {
  fuzz_folder_make();
  fuzz_folder_link(FUZZ_MODEL "/model.safetensors", "model.safetensors");
}

static void check_model(lb_model *m) {
  const lb_model_info *info = lb_model_get_info(m);
  FUZZ_CHECK(info->vocab_size > 0 && info->hidden_size > 0 && info->n_layers >= 0);
  FUZZ_CHECK(info->n_kv_heads > 0 && info->n_heads % info->n_kv_heads == 0);
  const int32_t ids[] = {0, 1};
  lb_prompt document = {.ids = ids, .n_ids = info->vocab_size > 1 ? 2 : 1};
  lb_scores *scores;
  lb_error err = {0};
  lb_status st = lb_score(&scores, m, &document, 1, NULL, &err);
  FUZZ_CHECK((st == LB_OK) == (err.message[0] == '\0'));
  lb_scores_free(scores);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static bool started;
  if (!started) start();
  started = true;
  static const char rule[] = "\n---\n";
  const uint8_t *second = memmem(data, size, rule, sizeof rule - 1);
  size_t first = second != NULL ? (size_t)(second - data) : size;
  fuzz_folder_write("config.json", data, first);
  if (second != NULL)
    fuzz_folder_write("generation_config.json", second + sizeof rule - 1,
                      size - first - (sizeof rule - 1));
  else
    fuzz_folder_remove("generation_config.json");
  lb_model *m;
  lb_error err = {0};
  lb_status st = lb_model_open(&m, fuzz_folder(), NULL, &err);
  FUZZ_CHECK((st == LB_OK) == (m != NULL) && (st == LB_OK) == (err.message[0] == '\0'));
  if (m != NULL) check_model(m);
  lb_model_free(m);
  return 0;
}

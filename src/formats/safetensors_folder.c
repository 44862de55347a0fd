/* safetensors_folder.c - a Hugging Face folder's tensors: one file or many behind an index.
 * The index is as hostile as any file: its shard names must be plain names. Symbolic links are
 * fine, because the hub's cache is made of them. */
#include "safetensors_parts.h"

#include "base/fail.h"

#include <stdlib.h>

#define INDEX_MAX_BYTES ((size_t)256 << 20)

/* Maps one shard into the handle and appends its tensors. */
static lb_status add_file(lb__safetensors *s, const char *folder, const char *name, lb_error *err) {
  lb__mapping map = {0};
  lb_status st;
  char *path = lb__path_join(folder, name);
  if (path == NULL || !lb__grow(&s->maps, &s->maps_capacity, s->n_maps + 1, sizeof map)) {
    lb__free(path);
    return lb__fail_nomem(err, folder);
  }
  st = lb__file_map(&map, path, err);
  if (st == LB_OK) {
    s->maps[s->n_maps++] = map; /* the handle unmaps it, whatever happens next */
    st = lb__safetensors_read_part(s, map.bytes, map.size, path, err);
  }
  lb__free(path);
  return st;
}

/* ---- shards ---- */
static lb_status check_weight_map(const json_t *weight_map, const char *index, lb_error *err) {
  const char *tensor;
  json_t *shard;
  if (!json_is_object(weight_map))
    return lb__fail(err, LB_E_FORMAT, "%.160s: weight_map: want an object, found %s", index,
                    lb__json_type_name(weight_map));
  json_object_foreach((json_t *)weight_map, tensor, shard) {
    if (!json_is_string(shard))
      return lb__fail(err, LB_E_FORMAT,
                      "%.160s: weight_map: tensor '%.120s': want a string, found %s", index, tensor,
                      lb__json_type_name(shard));
    if (!lb__path_is_plain_name(json_string_value(shard)) ||
        strlen(json_string_value(shard)) != json_string_length(shard))
      return lb__fail(err, LB_E_FORMAT,
                      "%.160s: weight_map: tensor '%.120s': shard '%.80s' is not a plain file name",
                      index, tensor, json_string_value(shard));
  }
  return LB_OK;
}

/* The shards' names, sorted, each once; the strings stay the tree's. */
static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static lb_status list_shards(const char ***out, size_t *n, const json_t *weight_map,
                             lb_error *err) {
  const char *tensor, **names;
  json_t *shard;
  size_t used = 0, unique = 0;
  names = lb__alloc_array(json_object_size(weight_map), sizeof *names);
  if (names == NULL) return lb__fail_nomem(err, "list of shards");
  json_object_foreach((json_t *)weight_map, tensor, shard) {
    names[used++] = json_string_value(shard);
  }
  if (used > 1) qsort(names, used, sizeof *names, by_text);
  for (size_t i = 0; i < used; i++)
    if (i == 0 || strcmp(names[i], names[i - 1]) != 0) names[unique++] = names[i];
  *out = names;
  *n = unique;
  return LB_OK;
}

/* Drops the tensors, from `first` on, that the index does not place into this shard. */
static void keep_listed(lb__safetensors *s, size_t first, const json_t *weight_map,
                        const char *shard) {
  size_t kept = first;
  for (size_t i = first; i < s->n; i++) {
    const char *place = json_string_value(json_object_get(weight_map, s->tensors[i].name));
    if (place != NULL && strcmp(place, shard) == 0) s->tensors[kept++] = s->tensors[i];
  }
  s->n = kept;
}

static lb_status check_all_found(const lb__safetensors *s, const json_t *weight_map,
                                 const char *index, lb_error *err) {
  const char *tensor;
  json_t *shard;
  json_object_foreach((json_t *)weight_map, tensor, shard) {
    if (lb__safetensors_find(s, tensor) == NULL)
      return lb__fail(err, LB_E_FORMAT, "%.160s: tensor '%.120s' is not in shard '%.80s'", index,
                      tensor, json_string_value(shard));
  }
  return LB_OK;
}

static lb_status open_shards(lb__safetensors *s, const char *folder, const char *index,
                             const json_t *root, lb_error *err) {
  const json_t *weight_map = json_object_get(root, "weight_map");
  const char **shards = NULL;
  size_t n_shards = 0;
  lb_status st = check_weight_map(weight_map, index, err);
  if (st == LB_OK) st = list_shards(&shards, &n_shards, weight_map, err);
  for (size_t i = 0; st == LB_OK && i < n_shards; i++) {
    size_t first = s->n;
    st = add_file(s, folder, shards[i], err);
    keep_listed(s, first, weight_map, shards[i]);
  }
  if (st == LB_OK) st = lb__safetensors_index(s, index, err);
  if (st == LB_OK) st = check_all_found(s, weight_map, index, err);
  lb__free(shards);
  return st;
}

/* ---- which kind of folder ---- */
static lb_status fail_no_weights(const char *folder, lb_error *err) {
  static const char *const pickles[] = {"pytorch_model.bin", "pytorch_model.bin.index.json"};
  for (size_t i = 0; i < 2; i++) {
    char *path = lb__path_join(folder, pickles[i]);
    bool there = path != NULL && lb__path_is_file(path);
    lb__free(path);
    if (there)
      return lb__fail(
          err, LB_E_UNSUPPORTED,
          "%.200s: has only %s, a pickle, which can run code and is not read; convert it "
          "with Transformers: "
          "AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(DIR)",
          folder, pickles[i]);
  }
  return lb__fail(err, LB_E_IO,
                  "%.200s: found neither " LB__SAFETENSORS_FILE " nor " LB__SAFETENSORS_INDEX,
                  folder);
}

static lb_status open_into(lb__safetensors *s, const char *folder, const char *file,
                           const char *index, lb_error *err) {
  json_t *root = NULL;
  lb_status st;
  if (lb__path_is_file(file)) {
    st = add_file(s, folder, LB__SAFETENSORS_FILE, err);
    return st == LB_OK ? lb__safetensors_index(s, file, err) : st;
  }
  if (!lb__path_is_file(index)) return fail_no_weights(folder, err);
  st = lb__json_read(&root, index, INDEX_MAX_BYTES, err);
  if (st == LB_OK) st = open_shards(s, folder, index, root, err);
  json_decref(root);
  return st;
}

lb_status lb__safetensors_open_folder(lb__safetensors **out, const char *folder, lb_error *err) {
  lb_status st;
  lb__safetensors *s = lb__safetensors_new();
  char *file = lb__path_join(folder, LB__SAFETENSORS_FILE);
  char *index = lb__path_join(folder, LB__SAFETENSORS_INDEX);
  *out = NULL;
  if (s == NULL || file == NULL || index == NULL)
    st = lb__fail_nomem(err, folder);
  else
    st = open_into(s, folder, file, index, err);
  lb__free(file);
  lb__free(index);
  if (st == LB_OK)
    *out = s;
  else
    lb__safetensors_close(s);
  return st;
}

/* safetensors_shards.c - writing a folder's weights: cut into shards, save, clean up.
 *
 * The order of the last steps is the point. A reader looks for model.safetensors, then for the
 * index, then for the shards the index names. So everything is first written to temporary files;
 * then shards get their names, then the index, then an old model.safetensors goes away. A reader
 * in between sees the old model. Only when new shards must take the names of old ones (same number
 * of shards) is the old index removed first: then a reader in between sees no model, never a
 * mixture. */
#include "safetensors_save.h"
#include "safetensors_parts.h"

#include "base/fail.h"
#include "base/json.h"

#include <ctype.h>
#include <stdlib.h>

#define SHARD_NAME_SIZE 64

static void shard_name(char name[SHARD_NAME_SIZE], size_t shard, size_t n_shards) {
  snprintf(name, SHARD_NAME_SIZE, "model-%05zu-of-%05zu.safetensors", shard + 1, n_shards);
}

/* ---- the cut ---- */
/* Cuts where huggingface_hub cuts (which numbers the shards a little differently): greedy in the
 * order given; a tensor larger than the limit gets a shard of its own, and the shard that was being
 * filled goes on. Returns the number of shards. */
static size_t cut_into_shards(lb__planned_tensor *plan, size_t n, uint64_t max_size) {
  size_t n_shards = 0, current = SIZE_MAX;
  uint64_t filled = 0;
  for (size_t i = 0; i < n; i++) {
    if (plan[i].size > max_size) {
      plan[i].shard = n_shards++;
      continue;
    }
    if (current == SIZE_MAX || plan[i].size > max_size - filled) {
      current = n_shards++;
      filled = 0;
    }
    plan[i].shard = current;
    filled += plan[i].size;
  }
  return n_shards;
}

static int by_shard(const void *a, const void *b) {
  const lb__planned_tensor *x = a, *y = b;
  return x->shard != y->shard ? (x->shard < y->shard ? -1 : 1) : 0;
}

/* ---- the index ---- */
static json_t *build_weight_map(const lb__planned_tensor *plan, size_t n, size_t n_shards) {
  json_t *map = json_object();
  char name[SHARD_NAME_SIZE];
  for (size_t i = 0; map != NULL && i < n; i++) {
    shard_name(name, plan[i].shard, n_shards);
    if (json_object_set_new(map, plan[i].decl->name, json_string(name)) == 0) continue;
    json_decref(map);
    map = NULL;
  }
  return map;
}

static int64_t count_parameters(const lb__planned_tensor *plan, size_t n) {
  int64_t total = 0;
  for (size_t i = 0; i < n; i++) {
    int64_t elements = 1;
    for (int d = 0; d < plan[i].decl->rank; d++) elements *= plan[i].decl->shape[d]; /* checked */
    total += elements;
  }
  return total;
}

static lb_status save_index(const char *folder, const lb__planned_tensor *plan, size_t n,
                            size_t n_shards, lb_error *err) {
  int64_t total_size = 0;
  json_t *root;
  lb_status st;
  char *path = lb__path_join(folder, LB__SAFETENSORS_INDEX);
  for (size_t i = 0; i < n; i++) total_size += (int64_t)plan[i].size;
  root = json_pack("{s:{s:I,s:I},s:o*}", "metadata", "total_parameters",
                   (json_int_t)count_parameters(plan, n), "total_size", (json_int_t)total_size,
                   "weight_map", build_weight_map(plan, n, n_shards));
  if (path == NULL || json_object_get(root, "weight_map") == NULL)
    st = lb__fail_nomem(err, LB__SAFETENSORS_INDEX);
  else
    st = lb__json_save(path, root, err);
  json_decref(root);
  lb__free(path);
  return st;
}

/* ---- cleaning up after an earlier save ---- */
/* Parses "model-00001-of-00003.safetensors". */
static bool is_shard_name(size_t *n_shards, const char *name) {
  const char *p = name;
  unsigned long long count = 0;
  if (strncmp(p, "model-", 6) != 0) return false;
  for (p += 6; isdigit((unsigned char)*p); p++) continue;
  if (strncmp(p, "-of-", 4) != 0) return false;
  for (p += 4; isdigit((unsigned char)*p); p++)
    count = count < 1000000 ? count * 10 + (unsigned)(*p - '0') : count;
  *n_shards = (size_t)count;
  return strcmp(p, ".safetensors") == 0;
}

static lb_status remove_file(const char *folder, const char *name, lb_error *err) {
  char *path = lb__path_join(folder, name);
  lb_status st = path == NULL ? lb__fail_nomem(err, folder) : LB_OK;
  if (st == LB_OK && lb__path_is_file(path)) st = lb__file_remove(path, err);
  lb__free(path);
  return st;
}

/* Shards that belong to another number of shards than n_keep. */
static lb_status remove_stale_shards(const char *folder, size_t n_keep, lb_error *err) {
  char **names;
  size_t n, n_shards;
  lb_status st = lb__folder_list(&names, &n, folder, err);
  if (st != LB_OK) return st;
  for (size_t i = 0; st == LB_OK && i < n; i++)
    if (is_shard_name(&n_shards, names[i]) && n_shards != n_keep)
      st = remove_file(folder, names[i], err);
  lb__name_list_free(names, n);
  return st;
}

static lb_status remove_index_of_same_shards(const char *folder, size_t n_shards, lb_error *err) {
  char name[SHARD_NAME_SIZE], *path;
  bool collide;
  shard_name(name, 0, n_shards);
  path = lb__path_join(folder, name);
  if (path == NULL) return lb__fail_nomem(err, folder);
  collide = lb__path_is_file(path);
  lb__free(path);
  return collide ? remove_file(folder, LB__SAFETENSORS_INDEX, err) : LB_OK;
}

/* ---- the shards ---- */
static lb_status write_shard(lb__save *save, const char *folder, const char *name,
                             lb__planned_tensor *plan, size_t n, lb__fill_fn *fill, void *ctx,
                             lb_error *err) {
  char *path = lb__path_join(folder, name);
  lb_status st;
  if (path == NULL) return lb__fail_nomem(err, folder);
  st = lb__save_begin(save, path, err);
  lb__free(path);
  if (st != LB_OK) return st;
  return lb__safetensors_write(save, plan, n, NULL, 0, fill, ctx, err);
}

/* All shards into temporary files; plan is sorted by shard. */
static lb_status write_shards(lb__save *saves, size_t n_shards, const char *folder,
                              lb__planned_tensor *plan, size_t n, lb__fill_fn *fill, void *ctx,
                              lb_error *err) {
  char name[SHARD_NAME_SIZE];
  lb_status st = LB_OK;
  for (size_t shard = 0, i = 0; st == LB_OK && shard < n_shards; shard++) {
    size_t end = i;
    while (end < n && plan[end].shard == shard) end++;
    shard_name(name, shard, n_shards);
    st = write_shard(&saves[shard], folder, name, plan + i, end - i, fill, ctx, err);
    i = end;
  }
  return st;
}

static lb_status save_shards(const char *folder, lb__planned_tensor *plan, size_t n,
                             size_t n_shards, lb__fill_fn *fill, void *ctx, lb_error *err) {
  lb_status st;
  lb__save *saves = lb__new_array(n_shards, sizeof *saves);
  if (saves == NULL) return lb__fail_nomem(err, folder);
  qsort(plan, n, sizeof *plan, by_shard);
  st = write_shards(saves, n_shards, folder, plan, n, fill, ctx, err);
  if (st == LB_OK) st = remove_index_of_same_shards(folder, n_shards, err);
  for (size_t i = 0; st == LB_OK && i < n_shards; i++) st = lb__save_commit(&saves[i], err);
  if (st == LB_OK) st = save_index(folder, plan, n, n_shards, err);
  if (st == LB_OK) st = remove_file(folder, LB__SAFETENSORS_FILE, err);
  if (st == LB_OK) st = remove_stale_shards(folder, n_shards, err);
  for (size_t i = 0; i < n_shards; i++) lb__save_abort(&saves[i]);
  lb__free(saves);
  return st;
}

static lb_status save_single(const char *folder, lb__planned_tensor *plan, size_t n,
                             lb__fill_fn *fill, void *ctx, lb_error *err) {
  lb__save save = {0};
  lb_status st = write_shard(&save, folder, LB__SAFETENSORS_FILE, plan, n, fill, ctx, err);
  if (st == LB_OK) st = lb__save_commit(&save, err);
  lb__save_abort(&save);
  if (st == LB_OK) st = remove_file(folder, LB__SAFETENSORS_INDEX, err);
  if (st == LB_OK) st = remove_stale_shards(folder, SIZE_MAX, err);
  return st;
}

lb_status lb__safetensors_save_folder(const char *folder, const lb__tensor_decl *tensors, size_t n,
                                      uint64_t max_shard_size, lb__fill_fn *fill, void *ctx,
                                      lb_error *err) {
  lb__planned_tensor *plan = NULL;
  size_t n_shards;
  lb_status st = lb__folder_make(folder, err);
  if (st == LB_OK) st = lb__safetensors_check(&plan, tensors, n, err);
  if (st != LB_OK) return st;
  n_shards = cut_into_shards(plan, n, max_shard_size > 0 ? max_shard_size : LB__SHARD_SIZE_DEFAULT);
  st = n_shards <= 1 ? save_single(folder, plan, n, fill, ctx, err)
                     : save_shards(folder, plan, n, n_shards, fill, ctx, err);
  lb__free(plan);
  return st;
}

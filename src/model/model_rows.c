/* model_rows.c - a model that is left with some tokens of its vocabulary: rows of its embedding and
 * its head are gathered before anything is packed or rounded, so that nothing is computed for the
 * others. Softmax over what is left is the model's distribution given that one of these tokens
 * comes. See vocabulary_map.h for where the rows come from. */
#include "model_internal.h"

static lb_status gather_rows(lb_tensor *t, const lb__vocabulary_map *map, lb_error *err) {
  int64_t shape[2] = {map->n, t->shape[1]};
  size_t row = t->size_bytes / (size_t)t->shape[0];
  lb_tensor kept = {0};
  void *bytes = lb__alloc(row);
  lb_status st = bytes != NULL ? lb__tensor_init(&kept, t->dtype, 2, shape, err)
                               : lb__fail_nomem(err, "rows of a vocabulary");
  for (int64_t i = 0; i < map->n && st == LB_OK; i++) {
    st = lb__tensor_read(t, (size_t)map->ids[i] * row, bytes, row, err);
    if (st == LB_OK) st = lb__tensor_write(&kept, (size_t)i * row, bytes, row, err);
  }
  lb__free(bytes);
  if (st != LB_OK) {
    lb__tensor_deinit(&kept);
    return st;
  }
  if (!t->owns_memory_) lb__tensor_forget_pages(t);
  lb__tensor_deinit(t);
  *t = kept;
  return LB_OK;
}

static lb_status take_rows(lb_model *m, lb__weight w, const lb__vocabulary_map *map,
                           lb_error *err) {
  lb_tensor *t = lb__model_slot(m, w, 0);
  if (lb__model_weight(m, w, 0) == NULL) return LB_OK;
  int64_t elements = lb__tensor_elements(t);
  size_t bytes = t->size_bytes;
  lb_status st = gather_rows(t, map, err);
  if (st != LB_OK) return st;
  m->info.n_parameters -= elements - lb__tensor_elements(t);
  m->info.weight_bytes -= bytes - t->size_bytes;
  return LB_OK;
}

/* The new id of a token, -1: it is not kept. */
static int32_t new_id(const lb__vocabulary_map *map, int32_t id) {
  int64_t low = 0, high = map->n;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (map->ids[middle] < id)
      low = middle + 1;
    else
      high = middle;
  }
  return low < map->n && map->ids[low] == id ? (int32_t)low : -1;
}

static void change_ids(lb__model_config *c, const lb__vocabulary_map *map) {
  size_t n = 0;
  c->bos_token_id = new_id(map, c->bos_token_id);
  for (size_t i = 0; i < c->eos.n; i++) {
    int32_t id = new_id(map, c->eos.ids[i]);
    if (id >= 0) c->eos.ids[n++] = id;
  }
  c->eos.n = n;
}

lb_status lb__model_take_vocabulary(lb_model *m, const lb__vocabulary_map *map, lb_error *err) {
  if (map->n < 1 || map->ids[map->n - 1] >= m->config.vocab_size)
    return lb__fail(err, LB_E_ARG,
                    "%s: has %lld rows of embeddings, but the vocabulary it is to be cut to has a "
                    "token of row %d; is it the model that vocabulary was trimmed from?",
                    m->info.path, (long long)m->config.vocab_size,
                    map->n < 1 ? -1 : map->ids[map->n - 1]);
  lb_status st = take_rows(m, LB__W_TOKEN_EMBED, map, err);
  if (st == LB_OK) st = take_rows(m, LB__W_LM_HEAD, map, err);
  if (st != LB_OK) return st;
  change_ids(&m->config, map);
  m->config.vocab_size = map->n;
  m->info.vocab_size = map->n;
  m->info.bos_token_id = m->config.bos_token_id;
  m->info.eos_token_ids = m->config.eos.ids;
  m->info.n_eos_token_ids = m->config.eos.n;
  return LB_OK;
}

/* hf_generation.c - generation_config.json: what a model's authors want generation to do. */
#include "hf_config.h"

#include "base/fail.h"

static lb_status read_early_stopping(lb__hf_generation *g, const char *name, lb_error *err) {
  const json_t *value = json_object_get(g->tree, "early_stopping");
  if (value == NULL || json_is_null(value)) return LB_OK;
  if (json_is_boolean(value))
    g->early_stopping = json_is_true(value) ? LB__EARLY_STOPPING_TRUE : LB__EARLY_STOPPING_FALSE;
  else if (json_is_string(value) && strcmp(json_string_value(value), "never") == 0)
    g->early_stopping = LB__EARLY_STOPPING_NEVER;
  else
    return lb__fail(err, LB_E_FORMAT,
                    "%.200s: key 'early_stopping': want true, false or \"never\", found %s", name,
                    lb__json_type_name(value));
  g->has_early_stopping = true;
  return LB_OK;
}

static bool is_set(const json_t *tree, const char *key) {
  const json_t *value = json_object_get(tree, key);
  return value != NULL && !json_is_null(value);
}

static lb_status read_fields(lb__hf_generation *g, const char *name, lb_error *err) {
  lb_status st;
#define READ_FIELD(c_type, reader, field)                                                          \
  st = lb__json_get_##reader(&g->field, g->tree, #field, false, name, err);                        \
  if (st != LB_OK) return st;                                                                      \
  g->has_##field = is_set(g->tree, #field);
  LB__GENERATION_MAP(READ_FIELD)
#undef READ_FIELD
  st = read_early_stopping(g, name, err);
  if (st != LB_OK) return st;
  return lb__hf_ids_read(&g->eos, g->tree, "eos_token_id", name, err);
}

lb_status lb__hf_generation_parse(lb__hf_generation *out, json_t *tree, const char *name,
                                  lb_error *err) {
  lb_status st;
  *out = (lb__hf_generation){.tree = json_incref(tree)};
  st = read_fields(out, name, err);
  if (st != LB_OK) lb__hf_generation_deinit(out);
  return st;
}

lb_status lb__hf_generation_read(lb__hf_generation *out, const char *folder, lb_error *err) {
  json_t *tree;
  lb_status st;
  char *path = lb__path_join(folder, "generation_config.json");
  *out = (lb__hf_generation){0};
  if (path == NULL) return lb__fail_nomem(err, folder);
  if (!lb__path_is_file(path)) {
    lb__free(path);
    return LB_OK;
  }
  st = lb__hf_object_read(&tree, folder, "generation_config.json", err);
  if (st == LB_OK) st = lb__hf_generation_parse(out, tree, path, err);
  json_decref(tree);
  lb__free(path);
  return st;
}

void lb__hf_generation_deinit(lb__hf_generation *g) {
  lb__token_ids_deinit(&g->eos);
  json_decref(g->tree);
  *g = (lb__hf_generation){0};
}
